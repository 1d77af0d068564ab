//! Whether an answer is kept, and what a hit will tell of it: read from the answer once.

mod pattern;

use std::iter;

use bytes::Bytes;

use self::pattern::Pattern;
use crate::dialect;
use crate::models::is_same;
use crate::not_stored::NotStored;
use crate::price::{Dollars, PriceTable};
use crate::response::{AnswerKind, Asked, ResponsePolicy, Transport};
use crate::sse::{Event, EventTooLarge, SseParser};
use crate::usage::{Summary, Tally};
use crate::wire::{self, Choices, Frame};

impl ResponsePolicy {
    /// What can be said before the body is there.
    ///
    /// # Errors
    ///
    /// Why the answer is not to be stored, whatever its body.
    pub fn judge_head(
        &self,
        asked: &Asked,
        status: u16,
        is_event_stream: bool,
        content_encoded: bool,
    ) -> Result<(), NotStored> {
        if status != 200 {
            return Err(NotStored::Status(status));
        }
        if content_encoded {
            return Err(NotStored::Encoded);
        }
        if is_event_stream != (asked.transport == Transport::Stream) {
            return Err(NotStored::Transport);
        }
        Ok(())
    }

    /// Whether this body, all of it, is to be stored.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn judge(&self, asked: &Asked, body: &[u8]) -> Result<(), NotStored> {
        self.read(asked, &[body]).map(drop)
    }

    /// Judges a stream recorded in pieces and, if it is good, joins them.
    ///
    /// # Errors
    ///
    /// Why it is not to be stored.
    pub fn judge_recorded(&self, asked: &Asked, pieces: &[Bytes]) -> Result<Bytes, NotStored> {
        self.read(asked, pieces)?;
        Ok(pieces.concat().into())
    }

    /// Whether an answer to a request for `model`, which came in `pieces`, is to be stored, and if so,
    /// what hits will tell of it.
    pub(crate) fn examine(
        &self,
        asked: &Asked,
        model: &str,
        pieces: &[impl AsRef<[u8]>],
        prices: &PriceTable,
    ) -> Result<Summary, NotStored> {
        let summary = self.read(asked, pieces)?;
        self.judge_summary(model, &summary, prices)?;
        Ok(summary)
    }

    /// Whether an answer that was found good is worth its place.
    fn judge_summary(
        &self,
        asked: &str,
        summary: &Summary,
        prices: &PriceTable,
    ) -> Result<(), NotStored> {
        let answered = summary.model.as_deref().unwrap_or(asked);
        let others = summary.other_models.iter().map(String::as_str);
        for answered in iter::once(answered).chain(others) {
            if !self.stores_fallbacks() && !is_same(asked, answered) {
                return Err(NotStored::OtherModel(answered.chars().take(256).collect()));
            }
        }
        if let Some(least) = self.least_cost()
            && let Some(cost) = prices.cost(answered, &summary.usage)
            && cost < Dollars::from_f64(least)
        {
            return Err(NotStored::TooCheap);
        }
        Ok(())
    }

    fn read(&self, asked: &Asked, pieces: &[impl AsRef<[u8]>]) -> Result<Summary, NotStored> {
        let limit = self.largest();
        if pieces.iter().map(|piece| piece.as_ref().len()).sum::<usize>() > limit {
            return Err(NotStored::TooLarge { limit });
        }
        match (asked.transport, pieces) {
            (Transport::Stream, _) => self.read_stream(asked, pieces),
            (Transport::Plain, [body]) => self.read_plain(asked, body.as_ref()),
            (Transport::Plain, _) => {
                let body: Vec<_> = pieces.iter().map(AsRef::as_ref).collect();
                self.read_plain(asked, &body.concat())
            }
        }
    }

    fn read_plain(&self, asked: &Asked, body: &[u8]) -> Result<Summary, NotStored> {
        if body.first() == Some(&b':') {
            return Err(NotStored::NotJson); // would be read as a stored stream
        }
        match asked.kind {
            AnswerKind::Chat | AnswerKind::Completions => {
                let (mut choices, mut tally) = (Choices::default(), Tally::default());
                let frame = wire::parse::<Frame<'_>>(body)?;
                tally.add_frame(&frame);
                choices.add_answer(frame)?;
                choices.verdict(self, asked)?;
                return Ok(tally.summary(asked.kind));
            }
            AnswerKind::Responses => wire::response(body, self, asked)?,
            AnswerKind::Messages => wire::message(body, self, asked)?,
            AnswerKind::Embeddings => wire::embeddings(body, asked)?,
        }
        Summary::of_plain(asked.kind, body)
    }

    fn read_stream(
        &self,
        asked: &Asked,
        pieces: &[impl AsRef<[u8]>],
    ) -> Result<Summary, NotStored> {
        match asked.kind {
            AnswerKind::Chat | AnswerKind::Completions => {
                let mut parser = SseParser::new(self.largest());
                let mut chunks = Chunks::default();
                for piece in pieces {
                    parser.push(piece.as_ref(), |event| chunks.add(event));
                }
                chunks.verdict(self, asked)
            }
            // These are judged by the plain answer that they are a stream of.
            AnswerKind::Responses | AnswerKind::Messages => {
                let whole: Vec<u8> = pieces.iter().flat_map(AsRef::as_ref).copied().collect();
                let plain = dialect::to_plain(asked.kind, &whole)?;
                self.read_plain(asked, plain.as_bytes())?;
                Ok(Summary::of(asked.kind, Transport::Stream, &[whole]))
            }
            AnswerKind::Embeddings => Err(NotStored::Transport),
        }
    }
}

/// What the chunks of a stream of completions amount to.
#[derive(Debug, Default)]
struct Chunks {
    choices: Choices,
    tally: Tally,
    pattern: Pattern,
    done: bool,
    flaw: Option<NotStored>,
}

impl Chunks {
    fn add(&mut self, event: Result<Event<'_>, EventTooLarge>) {
        if let Err(flaw) = self.try_add(event) {
            self.flaw.get_or_insert(flaw);
        }
    }

    fn try_add(&mut self, event: Result<Event<'_>, EventTooLarge>) -> Result<(), NotStored> {
        let event = event.map_err(|EventTooLarge { limit }| NotStored::TooLarge { limit })?;
        if event.name == b"error" {
            return Err(NotStored::ErrorObject);
        }
        if self.done {
            return Err(NotStored::Unexpected); // clients would not see it
        }
        if event.data == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        if self.pattern.matches(event.data) {
            return Ok(()); // more text, and there was some before
        }
        let frame = wire::parse::<Frame<'_>>(event.data)?;
        self.tally.add_frame(&frame);
        match frame.texts() {
            Some(texts) => self.pattern.learn(event.data, texts),
            None => self.pattern.forget(), // behind this one, an earlier one may change something
        }
        self.choices.add_chunk(frame);
        Ok(())
    }

    fn verdict(self, policy: &ResponsePolicy, asked: &Asked) -> Result<Summary, NotStored> {
        match self.flaw {
            Some(flaw) => Err(flaw),
            None if !self.done => Err(NotStored::Cut),
            None => {
                self.choices.verdict(policy, asked)?;
                Ok(self.tally.summary(asked.kind))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::response::StreamOptions;

    fn asked(kind: AnswerKind, transport: Transport, results: Option<u64>) -> Asked {
        let stream = StreamOptions::default();
        Asked { kind, transport, stream, token_limit: false, results }
    }

    /// What does the least harm comes most: verdicts shall not all be the same.
    fn chunk() -> impl Strategy<Value = String> {
        let text = |index: u64, text: &str| {
            let text = serde_json::json!(text);
            format!(r#"{{"index":{index},"delta":{{"content":{text}}}}}"#)
        };
        let calls = |arguments: &str| {
            let call = serde_json::json!([{"function": {"arguments": arguments}}]);
            format!(r#"{{"index":0,"delta":{{"content":"a","tool_calls":{call}}}}}"#)
        };
        let choice = prop_oneof![
            8 => "[a-c]?".prop_map(move |content| text(0, &content)),
            2 => "[a-c\\\"{}\né ]{0,3}".prop_map(move |content| text(0, &content)),
            1 => "[a-c]?".prop_map(move |content| text(1, &content)),
            1 => "[a-c]?".prop_map(|text| format!(r#"{{"index":0,"text":"{text}"}}"#)),
            4 => prop::sample::select(vec!["{", "}", "{}"]).prop_map(calls),
            2 => prop::sample::select(vec![
                r#"{"index":0,"delta":{},"finish_reason":"stop"}"#,
                r#"{"index":0,"delta":{"content":"a"},"finish_reason":"length"}"#,
                r#"{"index":0,"delta":{"content":"a","refusal":"b"}}"#,
                r#"{"index":0,"error":{}}"#,
            ])
            .prop_map(str::to_owned),
        ];
        let choices = prop_oneof![
            8 => choice.clone(),
            1 => prop::collection::vec(choice, 0..3).prop_map(|choices| choices.join(",")),
        ];
        let rest = prop_oneof![
            12 => Just(String::new()),
            3 => "[x-z]?".prop_map(|noise| format!(r#","obfuscation":"{noise}""#)),
            2 => prop::sample::select(vec![
                r#","model":"m""#,
                r#","model":"other""#,
                r#","model":"another""#,
                r#","usage":{"prompt_tokens":3,"completion_tokens":4}"#,
                r#","usage":{"prompt_tokens":3,"completion_tokens":5}"#,
                r#","error":"bad""#,
                "}", // no JSON
            ])
            .prop_map(str::to_owned),
        ];
        (choices, rest).prop_map(|(choices, rest)| format!(r#"{{"choices":[{choices}]{rest}}}"#))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Chunks told by a pattern amount to what they do when each is parsed.
        #[test]
        fn a_pattern_changes_no_verdict(chunks in prop::collection::vec(chunk(), 0..6)) {
            let asked = asked(AnswerKind::Chat, Transport::Stream, None);
            let (mut with, mut without) = (Chunks::default(), Chunks::default());
            let stop = r#"{"choices":[{"index":0,"finish_reason":"stop"}]}"#;
            for data in chunks.iter().map(String::as_str).chain([stop, "[DONE]"]) {
                let event = Event { name: b"", data: data.as_bytes() };
                with.add(Ok(event));
                without.pattern = Pattern::default();
                without.add(Ok(event));
            }
            let policy = ResponsePolicy::default();
            let [with, without] = [with, without].map(|chunks| chunks.verdict(&policy, &asked));
            prop_assert_eq!(format!("{with:?}"), format!("{without:?}"));
        }
    }

    /// A chunk that comes again is told by its pattern only while nothing came between: else what it
    /// says of the model, the usage or the end of a choice is news again.
    #[test]
    fn a_chunk_that_comes_again_counts() {
        let stop = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3}}"#;
        let calls = r#"{"choices":[{"index":1,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":4}}"#;
        let body = [stop, calls, stop, "[DONE]"].map(|data| format!("data: {data}\n\n")).concat();
        let asked = asked(AnswerKind::Chat, Transport::Stream, Some(2));
        let (policy, prices) = (ResponsePolicy::default(), PriceTable::default());
        let summary = policy.examine(&asked, "m", &[body], &prices).unwrap();
        assert_eq!(summary.finish_reason.as_deref(), Some("stop"));
        assert_eq!(summary.usage.input, Some(3));
    }

    /// Some servers end with a chunk whose finish reason is empty: it is none, for hits too.
    #[test]
    fn an_empty_reason_is_none() {
        let stop = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
        let last = r#"{"choices":[{"index":0,"delta":{},"finish_reason":""}]}"#;
        let body = [stop, last, "[DONE]"].map(|data| format!("data: {data}\n\n")).concat();
        let asked = asked(AnswerKind::Chat, Transport::Stream, None);
        let (policy, prices) = (ResponsePolicy::default(), PriceTable::default());
        let summary = policy.examine(&asked, "m", &[body], &prices).unwrap();
        assert_eq!(summary.finish_reason.as_deref(), Some("stop"));
    }

    /// An array is no answer, though its items could be taken for the members of one in their order.
    #[test]
    fn arrays_are_no_answers() {
        let policy = ResponsePolicy::default();
        for (kind, body) in [
            (AnswerKind::Chat, r#"[null,[[0,"x",null,null,"stop",null]],"m",null,null]"#),
            (AnswerKind::Responses, r#"[null,"completed",null,[["message",[["x",null]],null]]]"#),
            (AnswerKind::Messages, r#" [null,"message",[["text","x"]],"end_turn"]"#),
            (AnswerKind::Embeddings, "[null,[[0,[1]]]]"),
        ] {
            let plain = policy.judge(&asked(kind, Transport::Plain, None), body.as_bytes());
            assert_eq!(plain, Err(NotStored::Unexpected), "{body}");
        }
        let stream = r#"data: [null,[[0,"x",null,null,"stop",null]],"m",null,null]"#.to_owned();
        let stream = stream + "\n\ndata: [DONE]\n\n";
        let judged =
            policy.judge(&asked(AnswerKind::Chat, Transport::Stream, None), stream.as_bytes());
        assert_eq!(judged, Err(NotStored::Unexpected));
    }

    /// A55: readers differ on which of two members of one name counts, so an answer that may be a
    /// fallback's to one of them is nobody's.
    #[test]
    fn members_that_count_come_once() {
        let response = r#""status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"x"}]}]"#;
        let message =
            r#""type":"message","stop_reason":"end_turn","content":[{"type":"text","text":"x"}]"#;
        let embeddings = r#""data":[{"embedding":[1]}]"#;
        let (policy, prices) = (ResponsePolicy::default(), PriceTable::default());
        for (kind, rest) in [
            (AnswerKind::Responses, response),
            (AnswerKind::Messages, message),
            (AnswerKind::Embeddings, embeddings),
        ] {
            let judge = |members: &str| {
                let body = format!("{{{members},{rest}}}");
                let asked = asked(kind, Transport::Plain, None);
                policy.examine(&asked, "m", &[body], &prices).map(drop)
            };
            assert_eq!(judge(r#""model":"m""#), Ok(()));
            let other = NotStored::OtherModel("other".into());
            assert_eq!(judge(r#""model":"other""#), Err(other));
            for twice in [
                r#""model":"m","model":"other""#,
                r#""model":"other","delta":1,"delta":2"#,
                r#""model":"other","response":1,"response":2"#,
            ] {
                assert_eq!(judge(twice), Err(NotStored::Unexpected), "{kind} {twice}");
            }
        }
    }
}
