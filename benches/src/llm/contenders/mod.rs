//! The caches of answers under test, each used as its users would.

#[cfg(feature = "slow-rivals")]
mod litellm;
mod llm_edge_cache;
mod llmix;
mod ours;
#[cfg(feature = "slow-rivals")]
mod vex;

use std::time::Instant;

use serde_json::{Map, Value};

use super::questions::Question;
use crate::contenders::Role;

pub(super) use self::ours::{Cache, Known, policies, provided, scope};

/// A cache of answers.
pub(super) trait Answers {
    /// What its users get.
    type Answer;

    fn name(&self) -> (&'static str, Role);

    /// What is stored for this question, from its raw body on; `None` is a miss.
    fn ask(&self, question: &Question) -> Option<Self::Answer>;

    fn is_right(answer: &Self::Answer, question: &Question) -> bool;
}

/// The same, whatever the answer.
pub(super) trait Lane {
    fn name(&self) -> (&'static str, Role);

    /// Asks these questions in this order; nanoseconds of each. Answers are looked at between them.
    fn ask_all(&self, questions: &[Question], order: &[u32], times: &mut Vec<u32>);
}

impl<A: Answers> Lane for A {
    fn name(&self) -> (&'static str, Role) {
        Answers::name(self)
    }

    fn ask_all(&self, questions: &[Question], order: &[u32], times: &mut Vec<u32>) {
        for &number in order {
            let question = &questions[number as usize];
            let start = Instant::now();
            let answer = self.ask(question);
            let took = start.elapsed();
            let (name, _) = Answers::name(self);
            let answer = answer.unwrap_or_else(|| panic!("{name} does not have it"));
            assert!(A::is_right(&answer, question), "{name}: a wrong answer");
            times.push(u32::try_from(took.as_nanos()).unwrap_or(u32::MAX));
        }
    }
}

/// Everyone, with all of these stored; our default comes first.
pub(super) fn lanes(
    questions: &[Question],
) -> Result<Vec<Box<dyn Lane>>, Box<dyn std::error::Error>> {
    let mut lanes: Vec<Box<dyn Lane>> = Vec::new();
    for ours in ours::variants(questions)? {
        lanes.push(Box::new(ours));
    }
    lanes.push(Box::new(llmix::Llmix::holding(questions)?));
    lanes.push(Box::new(llm_edge_cache::LlmEdgeCache::holding(questions)));
    #[cfg(feature = "slow-rivals")]
    {
        lanes.push(Box::new(litellm::Litellm::holding(questions)?));
        lanes.push(Box::new(vex::Vex::holding(questions)?));
    }
    Ok(lanes)
}

/// A body as those need it that have fields for some members.
fn members(body: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(body).expect("a valid body")
}

fn text(value: Option<Value>) -> Option<String> {
    value.and_then(|value| value.as_str().map(str::to_owned))
}

fn number(value: Option<Value>) -> Option<f64> {
    value.and_then(|value| value.as_f64())
}
