//! A provider whose answer tells exactly what it was asked, and by whom.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cache_llm::EndpointKind;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::json::Json;

/// What is asked, as the provider sees it.
#[derive(Clone)]
pub(crate) struct Question {
    pub(crate) kind: EndpointKind,
    /// Who asks whom.
    pub(crate) scope: String,
    /// The request without what does not count.
    pub(crate) body: Json,
}

impl Question {
    /// A text that no other question has.
    pub(crate) fn digest(&self) -> String {
        let text = format!("{}\0{}\0{}", self.kind, self.scope, self.body.meaning());
        blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
    }

    /// The one answer to it.
    pub(crate) fn answer(&self) -> String {
        let is = self.digest();
        match self.kind {
            EndpointKind::ChatCompletions => {
                let mut choices = String::new();
                for index in 0..self.choices() {
                    write!(
                        choices,
                        r#"{}{{"index":{index},"message":{{"role":"assistant","content":"{is}"}},"finish_reason":"stop"}}"#,
                        if index > 0 { "," } else { "" },
                    )
                    .expect("strings take all");
                }
                format!(
                    r#"{{"id":"{is}","object":"chat.completion","created":1,"choices":[{choices}],"usage":{{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}}}"#
                )
            }
            EndpointKind::Completions => format!(
                r#"{{"id":"{is}","object":"text_completion","created":1,"choices":[{{"index":0,"text":"{is}","logprobs":null,"finish_reason":"stop"}}]}}"#
            ),
            EndpointKind::Responses => format!(
                r#"{{"id":"{is}","object":"response","status":"completed","output":[{{"type":"message","id":"m","status":"completed","role":"assistant","content":[{{"type":"output_text","text":"{is}","annotations":[]}}]}}]}}"#
            ),
            EndpointKind::Messages => format!(
                r#"{{"id":"{is}","type":"message","role":"assistant","content":[{{"type":"text","text":"{is}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":1,"output_tokens":2}}}}"#
            ),
            _ => self.embeddings(self.body.get("input").unwrap_or(&Json::Null)),
        }
    }

    /// The same as a stream, of chat completions.
    pub(crate) fn stream(&self) -> Vec<String> {
        let is = self.digest();
        let mut events = Vec::new();
        for index in 0..self.choices() {
            for delta in [format!(r#"{{"role":"assistant","content":"{is}"}}"#), "{}".to_owned()] {
                let reason = if delta == "{}" { r#""stop""# } else { "null" };
                events.push(format!(
                    "data: {{\"id\":\"{is}\",\"object\":\"chat.completion.chunk\",\"created\":1,\"choices\":[{{\"index\":{index},\"delta\":{delta},\"finish_reason\":{reason}}}]}}\n\n"
                ));
            }
        }
        events.push(format!(
            "data: {{\"id\":\"{is}\",\"object\":\"chat.completion.chunk\",\"created\":1,\"choices\":[],\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}}}\n\n"
        ));
        events.push("data: [DONE]\n\n".to_owned());
        events
    }

    fn choices(&self) -> usize {
        let Some(Json::Number(n)) = self.body.get("n") else { return 1 };
        n.parse().ok().filter(|n| (1..=3).contains(n)).unwrap_or(1)
    }

    /// The items that are to be embedded, as they count one by one.
    fn items(input: &Json) -> Vec<Json> {
        match input {
            Json::List(items) if !matches!(items.first(), Some(Json::Number(_)) | None) => {
                items.clone()
            }
            other => vec![other.clone()],
        }
    }

    /// The vector of one item: it tells of everything but of its neighbours.
    fn vector(&self, item: &Json) -> [f32; 4] {
        let mut rest = self.body.clone();
        let Json::Object(members) = &mut rest else { panic!("a body is an object") };
        members.retain(|(name, _)| name != "input" && name != "encoding_format");
        let text = format!("{}\0{}\0{}", self.scope, rest.meaning(), item.meaning());
        let digest = blake3::hash(text.as_bytes());
        let number = |at: usize| {
            f32::from(u16::from_le_bytes([digest.as_bytes()[at], digest.as_bytes()[at + 1]]))
        };
        [number(0), number(2), number(4), number(6)]
    }

    /// The vectors of all items of the question.
    pub(crate) fn vectors(&self) -> Vec<[f32; 4]> {
        let items = Self::items(self.body.get("input").unwrap_or(&Json::Null));
        items.iter().map(|item| self.vector(item)).collect()
    }

    /// The answer about these items, with the caller's other members.
    pub(crate) fn embeddings(&self, input: &Json) -> String {
        let is_base64 = matches!(self.body.get("encoding_format"), Some(Json::Text(format)) if format == "base64");
        let items = Self::items(input);
        let data: Vec<String> = (items.iter().enumerate())
            .map(|(index, item)| {
                let vector = self.vector(item);
                let vector = if is_base64 {
                    let bytes: Vec<u8> = vector.into_iter().flat_map(f32::to_le_bytes).collect();
                    format!("\"{}\"", STANDARD.encode(bytes))
                } else {
                    let [a, b, c, d] = vector;
                    format!("[{a:?},{b:?},{c:?},{d:?}]")
                };
                format!(r#"{{"object":"embedding","index":{index},"embedding":{vector}}}"#)
            })
            .collect();
        let (data, tokens) = (data.join(","), 3 * items.len());
        format!(
            r#"{{"object":"list","data":[{data}],"usage":{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}}}"#
        )
    }
}

/// The vectors in an answer, however they are written.
pub(crate) fn vectors(answer: &Bytes) -> Vec<[f32; 4]> {
    let answer: Value = serde_json::from_slice(answer).expect("an answer is JSON");
    let data = answer["data"].as_array().expect("it has data");
    let vectors = data.iter().enumerate().map(|(index, item)| {
        assert_eq!(item["index"], index, "in order");
        let numbers: Vec<f32> = match &item["embedding"] {
            Value::String(text) => {
                let bytes = STANDARD.decode(text).expect("it is base64");
                bytes
                    .chunks(4)
                    .map(|four| f32::from_le_bytes(four.try_into().expect("four")))
                    .collect()
            }
            list => serde_json::from_value(list.clone()).expect("they are numbers"),
        };
        numbers.try_into().expect("four of them")
    });
    vectors.collect()
}

/// The `input` of a request that the cache made: texts and tokens, as they are written.
pub(crate) fn input(body: &[u8]) -> Json {
    #[derive(serde::Deserialize)]
    struct Body<'b> {
        #[serde(borrow)]
        input: &'b RawValue,
    }
    fn read(value: &RawValue) -> Json {
        let written = value.get();
        match written.as_bytes()[0] {
            b'"' => Json::Text(serde_json::from_str(written).expect("it is a string")),
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(written).expect("it is a list");
                Json::List(items.into_iter().map(read).collect())
            }
            _ => Json::Number(written.to_owned()),
        }
    }
    let body: Body<'_> = serde_json::from_slice(body).expect("what the cache sends is JSON");
    read(body.input)
}
