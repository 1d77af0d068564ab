//! Requests in the shapes that gateways see, generated from a seed: nothing is downloaded.
//!
//! | share | shape | what repeats |
//! |---|---|---|
//! | 45 % | one question, half of them streamed | questions, Zipf 1.0 over 400 |
//! | 20 % | a conversation that grows by a turn each time | its script, Zipf 1.0 over 40, 3 to 6 turns |
//! | 15 % | an agent with tools that works through steps | its task, Zipf 1.0 over 20, 2 to 5 steps |
//! | 5 % | a question about an image in a data URL | the image, Zipf 1.0 over 12 |
//! | 15 % | a batch of texts to embed | the document, Zipf 1.0 over 60, 16 texts each |
//!
//! One request in four is written with other white space than the rest, as another client library
//! would, and means the same.
//!
//! ```
//! use testbed::traffic::Traffic;
//!
//! let first: Vec<_> = Traffic::new(7).take(100).map(|request| request.body).collect();
//! let again: Vec<_> = Traffic::new(7).take(100).map(|request| request.body).collect();
//! assert_eq!(first, again);
//! ```

mod image;
mod session;
mod shape;
mod zipf;

use std::fmt;

use serde_json::Value;

use crate::random::Random;
use session::Sessions;
use zipf::Zipf;

/// One request to an OpenAI-compatible API.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// Where it is posted, e.g. `/v1/embeddings`.
    pub path: &'static str,
    /// Its JSON body.
    pub body: String,
    /// Whether the answer is to be a stream.
    pub streamed: bool,
    /// Which kind of use it stands for.
    pub shape: Shape,
}

impl Request {
    /// A single question, the rest as in [`Shape::Question`].
    pub fn question(text: &str) -> Self {
        let body = shape::ask(text).to_string();
        Self { path: CHAT, body, streamed: false, shape: Shape::Question }
    }
}

const CHAT: &str = "/v1/chat/completions";
const EMBEDDINGS: &str = "/v1/embeddings";

/// The kinds of use that are mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// One question, one answer.
    Question,
    /// A conversation: each request repeats the last one and adds to it.
    Conversation,
    /// An agent: tool calls and their results pile up.
    Agent,
    /// A question about a picture.
    Image,
    /// A batch of texts to embed.
    Embedding,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Question => "question",
            Self::Conversation => "conversation",
            Self::Agent => "agent",
            Self::Image => "image",
            Self::Embedding => "embedding",
        })
    }
}

/// An endless stream of requests; the same for the same seed.
#[derive(Clone, Debug)]
pub struct Traffic {
    random: Random,
    questions: Zipf,
    conversations: Sessions,
    agents: Sessions,
    images: Zipf,
    documents: Zipf,
}

impl Traffic {
    /// Traffic that is drawn from this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            questions: Zipf::new(400),
            conversations: Sessions::new(Zipf::new(40), 3..=6),
            agents: Sessions::new(Zipf::new(20), 2..=5),
            images: Zipf::new(12),
            documents: Zipf::new(60),
        }
    }
}

impl Iterator for Traffic {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        let random = &mut self.random;
        let (shape, json) = match random.below(100) {
            0..45 => (Shape::Question, shape::question(self.questions.draw(random))),
            45..65 => {
                let (script, turn) = self.conversations.next(random);
                (Shape::Conversation, shape::conversation(script, turn))
            }
            65..80 => {
                let (task, step) = self.agents.next(random);
                (Shape::Agent, shape::agent(task, step))
            }
            80..85 => (Shape::Image, shape::image(self.images.draw(random))),
            _ => (Shape::Embedding, shape::embedding(self.documents.draw(random))),
        };
        Some(Request {
            path: match shape {
                Shape::Embedding => EMBEDDINGS,
                _ => CHAT,
            },
            body: if random.below(4) == 0 { format!("{json:#}") } else { json.to_string() },
            streamed: json["stream"] == Value::Bool(true),
            shape,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn sample() -> Vec<Request> {
        Traffic::new(1).take(2000).collect()
    }

    #[test]
    fn every_shape_has_its_share() {
        let mut shares: HashMap<Shape, usize> = HashMap::new();
        for request in sample() {
            *shares.entry(request.shape).or_default() += 1;
        }
        for (shape, percent) in [
            (Shape::Question, 45),
            (Shape::Conversation, 20),
            (Shape::Agent, 15),
            (Shape::Image, 5),
            (Shape::Embedding, 15),
        ] {
            let expected = percent * 20;
            assert!(shares[&shape].abs_diff(expected) < 60, "{shape}: {}", shares[&shape]);
        }
    }

    #[test]
    fn every_body_is_json_and_names_a_model() {
        for request in sample() {
            let json: Value = serde_json::from_str(&request.body).expect("JSON");
            assert!(json["model"].is_string());
            assert_eq!(json["stream"] == true, request.streamed);
        }
    }

    #[test]
    fn a_good_part_repeats_and_some_only_in_meaning() {
        let mut bodies: HashMap<String, usize> = HashMap::new();
        let mut meanings: HashMap<String, usize> = HashMap::new();
        for request in sample() {
            let json: Value = serde_json::from_str(&request.body).expect("JSON");
            *meanings.entry(json.to_string()).or_default() += 1;
            *bodies.entry(request.body).or_default() += 1;
        }
        assert!((200..1000).contains(&meanings.len()), "{} meanings", meanings.len());
        assert!(meanings.len() < bodies.len());
    }

    #[test]
    fn other_seeds_give_other_traffic() {
        let bodies = |seed| Traffic::new(seed).take(20).map(|request| request.body);
        assert!(bodies(1).ne(bodies(2)));
    }
}
