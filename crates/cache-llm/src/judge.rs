//! Whether an answer is kept, and what a hit will tell of it: read from the answer once.

use std::iter;

use bytes::Bytes;

use crate::dialect;
use crate::models::is_same;
use crate::not_stored::NotStored;
use crate::pattern::Pattern;
use crate::price::{Dollars, PriceTable};
use crate::response::{AnswerKind, Asked, ResponsePolicy, Transport};
use crate::sse::{Event, EventTooLarge, SseParser};
use crate::usage::{Summary, Tally};
use crate::wire::{self, Choices, Frame, Gaps};

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
                let mut tally = Tally::default();
                let plain = dialect::gather(asked.kind, pieces, |event| tally.add_event(event))?;
                self.read_plain(asked, plain.as_bytes())?;
                Ok(tally.summary(asked.kind))
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
    /// The call that the last chunk has added a fragment to.
    call: Option<(u64, u64)>,
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
        if let Some(text) = self.pattern.matched(event.data) {
            if let Some(call) = self.call {
                self.choices.add_arguments(call, text);
            }
            return Ok(());
        }
        let frame = wire::parse::<Frame<'_>>(event.data)?;
        self.tally.add_frame(&frame);
        match frame.gaps() {
            Some(Gaps { fragment, texts }) => {
                let (call, fragment) = fragment.unzip();
                self.call = call;
                self.pattern.learn(event.data, fragment.into_iter().chain(texts));
            }
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
        let fragment = |(choice, call, arguments): (u64, u64, &str)| {
            let call = serde_json::json!([{"index": call, "function": {"arguments": arguments}}]);
            format!(r#"{{"index":{choice},"delta":{{"tool_calls":{call}}}}}"#)
        };
        let two_calls = |(arguments, more): (&str, &str)| {
            let call = |arguments| serde_json::json!({"function": {"arguments": arguments}});
            let calls = serde_json::json!([call(arguments), call(more)]);
            format!(r#"{{"index":0,"delta":{{"tool_calls":{calls}}}}}"#)
        };
        let thought = |(name, text): (&str, String)| {
            let thought = match name {
                "reasoning_details" => serde_json::json!([{ "text": text }]),
                _ => serde_json::json!(text),
            };
            format!(r#"{{"index":0,"delta":{{"content":"","{name}":{thought}}}}}"#)
        };
        let braces = || prop::sample::select(vec!["{", "}", "{}", "", "\""]);
        let thoughts = vec!["reasoning_content", "reasoning", "reasoning_details", "refusal"];
        let choice = prop_oneof![
            4 => (0..2_u64, 0..2_u64, braces()).prop_map(fragment),
            1 => (braces(), braces()).prop_map(two_calls),
            2 => (prop::sample::select(thoughts), "[a-c]?").prop_map(thought),
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
        fn a_pattern_changes_no_verdict(chunks in prop::collection::vec((chunk(), 1..3_usize), 0..5)) {
            let asked = asked(AnswerKind::Chat, Transport::Stream, None);
            let (mut with, mut without) = (Chunks::default(), Chunks::default());
            let stop = r#"{"choices":[{"index":0,"finish_reason":"stop"}]}"#;
            let chunks = chunks.iter().flat_map(|(chunk, times)| std::iter::repeat_n(&**chunk, *times));
            for data in chunks.chain([stop, "[DONE]"]) {
                let event = Event { name: b"", data: data.as_bytes() };
                with.add(Ok(event));
                without.pattern = Pattern::default();
                without.add(Ok(event));
            }
            let amounts = |chunks: &Chunks| format!("{:?} {:?}", chunks.choices, chunks.tally);
            prop_assert_eq!(amounts(&with), amounts(&without));
            let policy = ResponsePolicy::default();
            let [with, without] = [with, without].map(|chunks| chunks.verdict(&policy, &asked));
            prop_assert_eq!(format!("{with:?}"), format!("{without:?}"));
        }
    }

    /// Events of one dialect, and one that says nothing.
    #[derive(Clone, Copy, Debug)]
    struct Events {
        kind: AnswerKind,
        begin: &'static str,
        middle: &'static [&'static str],
        end: &'static str,
        nothing: &'static str,
    }

    const MESSAGES: Events = Events {
        kind: AnswerKind::Messages,
        begin: r#"{"type":"message_start","message":{"type":"message","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1}}}
{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        middle: &[
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"T"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"T"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"text":"T","type":"text_delta"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"T"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"T"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"T"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"T"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"T"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":"T"}}"#,
            r#"{"type":"content_block_delta","index":0,"usage":{"output_tokens":5},"delta":{"type":"text_delta","text":"T"}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","input":{}}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":null}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"T"},"usage":{"output_tokens":7}}"#,
        ],
        end: r#"{"type":"content_block_stop","index":0}
{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":4}}
{"type":"message_stop"}"#,
        nothing: r#"{"type":"ping"}"#,
    };

    const RESPONSES: Events = Events {
        kind: AnswerKind::Responses,
        begin: r#"{"type":"response.created","sequence_number":0,"response":{"model":"m"}}"#,
        middle: &[
            r#"{"type":"response.output_text.delta","sequence_number":N,"delta":"T"}"#,
            r#"{"type":"response.output_text.delta","sequence_number":N,"delta":"T"}"#,
            r#"{"type":"response.output_text.delta","sequence_number":N,"delta":"T","obfuscation":"T"}"#,
            r#"{"type":"response.output_text.delta","sequence_number":N,"delta":N}"#,
            r#"{"type":"response.output_text.delta","delta":"T","response":{"model":"T"}}"#,
            r#"{"type":"response.function_call_arguments.delta","delta":"T","usage":{"input_tokens":N}}"#,
            r#"{"type":"response.output_item.done","sequence_number":N}"#,
            r#"{"type":"response.in_progress","sequence_number":N,"response":{"model":"other"}}"#,
            r#"{"type":"response.failed","sequence_number":N}"#,
        ],
        end: r#"{"type":"response.completed","response":{"model":"m","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"x"}]}],"usage":{"input_tokens":3,"output_tokens":4}}}"#,
        nothing: r#"{"type":"response.nothing"}"#,
    };

    const CHAT: Events = Events {
        kind: AnswerKind::Chat,
        begin: r#"{"object":"chat.completion.chunk","model":"m","usage":{},"choices":[{"index":0,"delta":{"role":"assistant","content":"T"}}]}"#,
        middle: &[
            r#"{"model":"m","choices":[{"index":0,"delta":{"content":"T"},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"T"}}],"obfuscation":"T"}"#,
            r#"{"p":"T","choices":[{"delta":{"content":"T"}}]}"#,
            r#"{"choices":[{"delta":{"reasoning_details":""}}]}"#,
            r#"{"choices":[{"delta":{"reasoning_details":[{"index":0,"text":"T"},{"index":0,"x":5}]}}]}"#,
            r#"{"choices":[{"delta":{"content":"","reasoning_content":"T"}}]}"#,
            r#"{"choices":[{"delta":{"content":"T","refusal":"T"}}]}"#,
            r#"{"choices":[{"delta":{"role":"T","content":"T"}}]}"#,
            r#"{"choices":[{"delta":{"content":"T","other":"x"}}]}"#,
            r#"{"choices":[{"delta":{"content":"T"}}],"usage":{"prompt_tokens":5}}"#,
            r#"{"choices":[{"delta":{"content":"T"}},{"index":1,"delta":{"content":"T"}}],"usage":{"prompt_tokens":6}}"#,
            r#"{"choices":[{"delta":{"content":"T"},"logprobs":{"content":[N]}}]}"#,
            r#"{"choices":[{"index":1,"delta":{"content":"T"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"T"}},{"index":1,"delta":{"content":"T"}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"T"}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"function":{"arguments":"T"}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"T"}}]}}]}"#,
            r#"{"choices":[{"delta":{"reasoning_details":[{"index":0,"text":"T"},{"index":1,"other":"x"}]}}]}"#,
            r#"{"choices":[{"delta":{"function_call":{"name":"T","arguments":"T"}}}]}"#,
        ],
        end: r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}
[DONE]"#,
        nothing: r#"{"choices":[]}"#,
    };

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        /// Events told by the one before amount to what they do when each is parsed: as they are where
        /// one between them says nothing.
        #[test]
        fn events_told_by_a_pattern_are_as_good(
            events in prop::sample::select(&[CHAT, MESSAGES, RESPONSES][..]),
            picks in prop::collection::vec((0_usize..19, 1_usize..4, "[a-c]?|[{}:1]|é|\\\\n|\\\\x|\u{1}"), 0..6),
        ) {
            let middle = picks.iter().flat_map(|(pick, times, text)| {
                let event = events.middle[pick % events.middle.len()];
                (0..*times).map(move |n| {
                    let text = text.repeat(1 + n / 2); // said again, then said otherwise
                    event.replace('T', &text).replace('N', &(n * 10).to_string())
                })
            });
            let all = events.begin.lines().map(str::to_owned).chain(middle);
            let all: Vec<_> = all.chain(events.end.lines().map(str::to_owned)).collect();
            let stream = |before: &str| -> Vec<Bytes> {
                let before = [""].into_iter().chain(std::iter::repeat(before));
                let event = |(before, data)| format!("{before}data: {data}\n\n").into();
                before.zip(&all).map(event).collect()
            };
            let asked = asked(events.kind, Transport::Stream, None);
            let policy = ResponsePolicy::default();
            let told = stream("");
            let parsed = stream(&format!("data: {}\n\n", events.nothing));
            prop_assert_eq!(
                format!("{:?}", policy.read(&asked, &told)),
                format!("{:?}", policy.read(&asked, &parsed))
            );
            let plain = |pieces: &[Bytes]| dialect::gather(events.kind, pieces, |_| {});
            prop_assert_eq!(plain(&told), plain(&parsed));
        }
    }

    /// An event that comes again when its time is over is not taken for more of the same.
    #[test]
    fn what_comes_too_late_is_not_told_by_a_pattern() {
        let judged = |events: Events, late: &str| {
            let all = [events.begin, late, events.end, late].map(str::lines);
            let all = all.into_iter().flatten().map(|data| data.replace('N', "1"));
            let stream: Vec<_> = all.map(|data| format!("data: {data}\n\n")).collect();
            let asked = asked(events.kind, Transport::Stream, None);
            ResponsePolicy::default().judge(&asked, stream.concat().as_bytes())
        };
        for events in [MESSAGES, RESPONSES] {
            assert_eq!(judged(events, events.middle[0]), Err(NotStored::Unexpected));
        }
        let (text, stop) = (MESSAGES.middle[0], MESSAGES.end.lines().next().unwrap());
        let twice = format!("{text}\n{stop}\n{text}");
        let begun = Events { end: "", ..MESSAGES };
        assert_eq!(judged(begun, &twice), Err(NotStored::Unexpected));
        // What counts of a chunk is what comes last, though it came before.
        let chunk = |choices: &str, total: u64| {
            format!(r#"{{"choices":[{choices}],"usage":{{"total_tokens":{total}}}}}"#)
        };
        let text = chunk(r#"{"delta":{"content":"T"}}"#, 5);
        let chunks = [CHAT.begin, &text, &chunk("", 6), &text, "[DONE]"];
        let pieces = chunks.map(|data| format!("data: {data}\n\n"));
        let plain = dialect::gather(AnswerKind::Chat, &pieces, |_| {}).unwrap();
        assert!(plain.contains(r#""usage":{"total_tokens":5}"#), "{plain}");
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
