//! [`HitOptions`]: what of a stored answer is changed on its way out, caller by caller. What is stored
//! stays as it came.

mod think;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::dialect::NotTranscodable;
use crate::json::{Json, Object, get, position, set, take};
use crate::replay::rewrite;
use crate::response::{AnswerKind, Transport};
use think::Think;

/// What hits look like: by default as the provider's answers did, byte for byte. Set for a cache, or
/// for one request ([`Plan::with_hit_options`](crate::Plan::with_hit_options)).
///
/// With any other option, an answer is read and written anew on each hit: numbers and strings keep
/// their source text, white space does not. An entry that cannot be read so does not serve the
/// request, and the provider is asked.
///
/// ```
/// use cache_llm::{AnswerKind, HitOptions, Reasoning, Transport};
///
/// let options: HitOptions = serde_json::from_str(r#"{"reasoning": "strip"}"#)?;
/// assert_eq!(options.reasoning, Reasoning::Strip);
/// let answer = r#"{"choices":[{"message":{"content":"<think>Hm.</think>\n\nParis"}}]}"#;
/// let edited = options.apply(AnswerKind::Chat, Transport::Plain, answer.into(), 0)?;
/// assert_eq!(edited, r#"{"choices":[{"message":{"content":"Paris"}}]}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HitOptions {
    /// Whose `id` and time an answer bears.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::identity"))]
    pub identity: Identity,
    /// Whether it shows how the model came to it.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::reasoning"))]
    pub reasoning: Reasoning,
    /// What its body says of tokens; [`Hit::usage`](crate::Hit::usage) is the original one in any
    /// case.
    #[cfg_attr(feature = "serde", serde(with = "crate::settings::usage"))]
    pub usage: UsageView,
}

/// Whose `id` and `created` (`created_at`) a hit bears, in every event of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// Those of the recorded answer.
    #[default]
    Recorded,
    /// An `id` of its own with the same prefix, and the time of the hit: for logs that drop what they
    /// have seen. The provider does not know such an `id`, e.g. as a `previous_response_id`.
    Fresh,
}

/// Whether a hit shows reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reasoning {
    /// It does, as recorded.
    #[default]
    Keep,
    /// It does not: `<think>` blocks of texts, up to the end where one is not closed, with the white
    /// space behind them; `reasoning_content`, `reasoning`, `reasoning_details` and `thinking` of
    /// messages; thinking blocks; reasoning items. Log probabilities of a text that is changed go
    /// too, since they spell it.
    Strip,
}

/// What the body of a hit says of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageView {
    /// What the provider said.
    #[default]
    Original,
    /// Zero in every place: nobody is to be billed for a hit.
    Zero,
}

/// Members of a message that are reasoning and nothing else.
const REASONING: [&str; 4] = ["reasoning_content", "reasoning", "reasoning_details", "thinking"];

impl HitOptions {
    /// The answer `body`, all of it, as these options have it at `now`, in seconds of Unix time.
    ///
    /// For whoever passes on answers that are no hits and wants both to look alike.
    ///
    /// # Errors
    ///
    /// If it is not such an answer, so that there is no telling what is in it.
    pub fn apply(
        self,
        kind: AnswerKind,
        transport: Transport,
        body: Bytes,
        now: u64,
    ) -> Result<Bytes, NotTranscodable> {
        if self == Self::default() {
            return Ok(body);
        }
        let mut editor = Editor::new(kind, self, now);
        match transport {
            Transport::Plain => {
                let mut answer = Json::parse_bytes(&body)?.into_object();
                editor.answer(answer.as_mut().ok_or(NotTranscodable::Unexpected)?);
                let mut out = String::with_capacity(body.len());
                Json::Object(answer.unwrap_or_default()).write(&mut out);
                Ok(out.into())
            }
            Transport::Stream => editor.stream(body).map(Bytes::from),
        }
    }
}

/// One answer on its way out.
struct Editor {
    kind: AnswerKind,
    options: HitOptions,
    now: u64,
    id: Option<String>,
    /// The texts of a stream so far: by choice, block or item, and by part of it.
    texts: BTreeMap<(usize, usize), Think>,
    /// Blocks or items of a stream that are left out.
    left_out: BTreeSet<usize>,
    /// How many events of a stream were written.
    events: usize,
}

impl Editor {
    fn new(kind: AnswerKind, options: HitOptions, now: u64) -> Self {
        let (texts, left_out) = (BTreeMap::new(), BTreeSet::new());
        Self { kind, options, now, id: None, texts, left_out, events: 0 }
    }

    fn strips(&self) -> bool {
        self.options.reasoning == Reasoning::Strip
    }

    fn stream(&mut self, recorded: Bytes) -> Result<Vec<u8>, NotTranscodable> {
        rewrite(recorded, |event, piece, out| {
            if event.data == b"[DONE]" {
                out.extend_from_slice(piece);
                return Ok(());
            }
            self.event(event.name, event.data, out)
        })
    }

    fn event(
        &mut self,
        name: &[u8],
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), NotTranscodable> {
        let event = Json::parse_bytes(data)?.into_object().ok_or(NotTranscodable::Unexpected)?;
        for mut event in self.edited(event) {
            if self.strips() && get(&event, "sequence_number").is_some() {
                set(&mut event, "sequence_number", Json::Bare(self.events.to_string().into()));
            }
            self.events += 1;
            if !name.is_empty() {
                // Named events name their type too, and one that was added has its own.
                let kind = get(&event, "type").and_then(Json::as_text);
                out.extend_from_slice(b"event: ");
                out.extend_from_slice(kind.map_or(name, str::as_bytes));
                out.push(b'\n');
            }
            let mut text = String::with_capacity(data.len());
            Json::Object(event).write(&mut text);
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(b"\n\n");
        }
        Ok(())
    }

    /// What an event becomes: nothing, one, or one more before it.
    fn edited<'a>(&mut self, mut event: Object<'a>) -> Vec<Object<'a>> {
        match self.kind {
            AnswerKind::Messages => self.message_event(event),
            AnswerKind::Responses => self.response_event(event),
            _ => {
                let removed = self.answer(&mut event);
                if removed && says_nothing(&event) { Vec::new() } else { vec![event] }
            }
        }
    }

    /// Edits a whole answer, or what an event has of one; whether reasoning was taken out.
    fn answer(&mut self, answer: &mut Object<'_>) -> bool {
        if self.options.identity == Identity::Fresh {
            self.give_identity(answer);
        }
        if self.options.usage == UsageView::Zero
            && let Some(usage) = member(answer, "usage")
        {
            zero(usage);
        }
        if !self.strips() {
            return false;
        }
        match self.kind {
            AnswerKind::Chat | AnswerKind::Completions => {
                let Some(Json::Array(choices)) = member(answer, "choices") else { return false };
                let mut removed = false;
                for (at, choice) in choices.iter_mut().enumerate() {
                    let at = choice.get_some("index").and_then(Json::as_index).unwrap_or(at);
                    if let Json::Object(choice) = choice {
                        removed |= self.choice(at, choice);
                    }
                }
                removed
            }
            AnswerKind::Messages => match member(answer, "content") {
                Some(Json::Array(blocks)) => strip_blocks(blocks),
                _ => false,
            },
            AnswerKind::Responses => match member(answer, "output") {
                Some(Json::Array(items)) => strip_items(items),
                _ => false,
            },
            AnswerKind::Embeddings => false,
        }
    }

    fn give_identity(&mut self, answer: &mut Object<'_>) {
        if let Some(Json::Text(id)) = member(answer, "id") {
            *id = Cow::Owned(self.id.get_or_insert_with(|| fresh_id(id)).clone());
        }
        for name in ["created", "created_at"] {
            if let Some(created @ Json::Bare(_)) = member(answer, name)
                && !created.is_null()
            {
                *created = Json::Bare(self.now.to_string().into());
            }
        }
    }

    /// A choice of a chat completion or of a legacy one, or a part of it.
    fn choice(&mut self, at: usize, choice: &mut Object<'_>) -> bool {
        let is_part = get(choice, "delta").is_some() || self.kind == AnswerKind::Completions;
        let finish = get(choice, "finish_reason").is_some_and(|reason| !reason.is_null());
        let ends = finish || !is_part;
        let think = self.texts.entry((at, 0)).or_default();
        let (mut removed, mut changed) = (false, false);
        if ends && self.kind == AnswerKind::Chat && get(choice, "message").is_none() {
            // Where what is held back is to go.
            let has_delta = get(choice, "delta").is_some_and(|delta| !delta.is_null());
            if think.holds() && !has_delta {
                set(choice, "delta", Json::Object(Object::new()));
            }
        }
        for name in ["message", "delta"] {
            let Some(Json::Object(message)) = member(choice, name) else { continue };
            let before = message.len();
            message.retain(|(name, _)| !REASONING.contains(&&**name));
            removed |= message.len() < before;
            changed |= filter(think, message, "content", ends);
            if name == "delta" && changed && get(message, "content").is_some_and(Json::is_unset) {
                take(message, "content");
            }
        }
        if self.kind == AnswerKind::Completions {
            let before = choice.len();
            choice.retain(|(name, _)| !REASONING.contains(&&**name));
            removed |= choice.len() < before;
            changed |= filter(think, choice, "text", ends);
        }
        if changed && let Some(logprobs) = member(choice, "logprobs") {
            *logprobs = Json::NULL;
        }
        removed | changed
    }

    fn message_event<'a>(&mut self, mut event: Object<'a>) -> Vec<Object<'a>> {
        if let Some(Json::Object(message)) = member(&mut event, "message") {
            self.answer(message);
        }
        if self.options.usage == UsageView::Zero
            && let Some(usage) = member(&mut event, "usage")
        {
            zero(usage);
        }
        let at = get(&event, "index").and_then(Json::as_index);
        let (true, Some(at)) = (self.strips(), at) else { return vec![event] };
        let kind = get(&event, "type").and_then(Json::as_text).unwrap_or_default().to_owned();
        if kind == "content_block_start" && get(&event, "content_block").is_some_and(is_thinking) {
            self.left_out.insert(at);
        }
        if self.left_out.contains(&at) {
            return Vec::new();
        }
        let place = at - self.left_out.range(..at).count();
        set(&mut event, "index", Json::Bare(place.to_string().into()));
        let think = self.texts.entry((at, 0)).or_default();
        match kind.as_str() {
            "content_block_delta" => {
                let Some(Json::Object(delta)) = member(&mut event, "delta") else {
                    return vec![event];
                };
                let changed = filter(think, delta, "text", false);
                if changed && get(delta, "text").is_some_and(Json::is_unset) {
                    return Vec::new();
                }
                vec![event]
            }
            "content_block_stop" => {
                let rest = think.finish();
                if rest.is_empty() {
                    return vec![event];
                }
                // What looked like the beginning of a tag was none.
                let mut last = event.clone();
                set(&mut last, "type", Json::Text("content_block_delta".into()));
                let kind = ("type".into(), Json::Text("text_delta".into()));
                let text = ("text".into(), Json::Text(rest.into()));
                set(&mut last, "delta", Json::Object(vec![kind, text]));
                vec![last, event]
            }
            _ => vec![event],
        }
    }

    fn response_event<'a>(&mut self, mut event: Object<'a>) -> Vec<Object<'a>> {
        if let Some(Json::Object(response)) = member(&mut event, "response") {
            self.answer(response);
        }
        if !self.strips() {
            return vec![event];
        }
        let kind = get(&event, "type").and_then(Json::as_text).unwrap_or_default().to_owned();
        if kind.starts_with("response.reasoning") {
            return Vec::new();
        }
        let Some(at) = get(&event, "output_index").and_then(Json::as_index) else {
            return vec![event];
        };
        if get(&event, "item").is_some_and(is_reasoning) {
            self.left_out.insert(at);
        }
        if self.left_out.contains(&at) {
            return Vec::new();
        }
        let place = at - self.left_out.range(..at).count();
        set(&mut event, "output_index", Json::Bare(place.to_string().into()));
        let part = get(&event, "content_index").and_then(Json::as_index).unwrap_or(0);
        let think = self.texts.entry((at, part)).or_default();
        match kind.as_str() {
            "response.output_text.delta" => {
                let changed = filter(think, &mut event, "delta", false);
                if changed {
                    empty(&mut event, "logprobs");
                    if get(&event, "delta").is_some_and(Json::is_unset) {
                        return Vec::new();
                    }
                }
                vec![event]
            }
            "response.output_text.done" => {
                let rest = think.finish();
                let mut last = event.clone();
                strip_text(&mut event);
                if rest.is_empty() {
                    return vec![event];
                }
                set(&mut last, "type", Json::Text("response.output_text.delta".into()));
                take(&mut last, "text");
                empty(&mut last, "logprobs");
                set(&mut last, "delta", Json::Text(rest.into()));
                vec![last, event]
            }
            _ => {
                if let Some(Json::Object(part)) = member(&mut event, "part") {
                    strip_text(part);
                }
                if let Some(item) = member(&mut event, "item") {
                    strip_item(item);
                }
                vec![event]
            }
        }
    }
}

fn member<'m, 'a>(members: &'m mut Object<'a>, name: &str) -> Option<&'m mut Json<'a>> {
    position(members, name).map(|at| &mut members[at].1)
}

/// Whether a chunk has nothing left that anybody would miss: nothing but what every chunk has.
fn says_nothing(chunk: &Object<'_>) -> bool {
    chunk.iter().all(|(name, value)| match &**name {
        "id" | "object" | "created" | "model" | "service_tier" | "system_fingerprint"
        | "obfuscation" => true,
        "choices" => value.as_array().unwrap_or_default().iter().all(|choice| {
            choice.as_object().unwrap_or_default().iter().all(|(name, value)| match &**name {
                "index" => true,
                "delta" => value.as_object().is_none_or(<[_]>::is_empty),
                _ => value.is_unset(),
            })
        }),
        _ => value.is_null(),
    })
}

/// Filters a text of a stream, which may come in parts; whether that changed it.
fn filter(think: &mut Think, members: &mut Object<'_>, name: &'static str, ends: bool) -> bool {
    match member(members, name) {
        Some(Json::Text(text)) => {
            let mut filtered = think.push(text);
            if ends {
                filtered.push_str(&think.finish());
            }
            let changed = filtered != **text;
            *text = Cow::Owned(filtered);
            changed
        }
        // Content in parts, some of which are thoughts.
        Some(Json::Array(parts)) => {
            let before = parts.len();
            parts.retain(|part| !is_thinking(part) && !is_reasoning(part));
            let mut changed = parts.len() < before;
            for part in parts {
                if let Json::Object(part) = part {
                    changed |= filter(think, part, "text", ends);
                }
            }
            changed
        }
        _ if ends => {
            let rest = think.finish();
            let changed = !rest.is_empty();
            if changed {
                set(members, name, Json::Text(rest.into()));
            }
            changed
        }
        _ => false,
    }
}

fn kind<'j>(json: &'j Json<'_>) -> &'j str {
    json.get("type").and_then(Json::as_text).unwrap_or_default()
}

fn is_thinking(block: &Json<'_>) -> bool {
    matches!(kind(block), "thinking" | "redacted_thinking")
}

fn is_reasoning(item: &Json<'_>) -> bool {
    kind(item) == "reasoning"
}

/// Of a message of the Messages API. A text that was nothing but thoughts goes as a whole.
fn strip_blocks(blocks: &mut Vec<Json<'_>>) -> bool {
    let before = blocks.len();
    let mut changed = false;
    blocks.retain_mut(|block| {
        if is_thinking(block) {
            return false;
        }
        let Json::Object(block) = block else { return true };
        let stripped = strip_text(block);
        changed |= stripped;
        !(stripped && get(block, "text").is_some_and(Json::is_unset))
    });
    changed || blocks.len() < before
}

/// Of a response.
fn strip_items(items: &mut Vec<Json<'_>>) -> bool {
    let before = items.len();
    items.retain(|item| !is_reasoning(item));
    let mut changed = items.len() < before;
    for item in items {
        changed |= strip_item(item);
    }
    changed
}

fn strip_item(item: &mut Json<'_>) -> bool {
    let Json::Object(item) = item else { return false };
    let Some(Json::Array(parts)) = member(item, "content") else { return false };
    let mut changed = false;
    for part in parts {
        if let Json::Object(part) = part {
            changed |= strip_text(part);
        }
    }
    changed
}

/// Strips the `text` of a part, all of it.
fn strip_text(part: &mut Object<'_>) -> bool {
    let changed = matches!(member(part, "text"), Some(Json::Text(_)))
        && filter(&mut Think::default(), part, "text", true);
    if changed {
        empty(part, "logprobs");
    }
    changed
}

fn empty(members: &mut Object<'_>, name: &str) {
    if let Some(Json::Array(items)) = member(members, name) {
        items.clear();
    }
}

/// Every number in it.
fn zero(json: &mut Json<'_>) {
    match json {
        Json::Bare(text)
            if text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) =>
        {
            *text = Cow::Borrowed("0");
        }
        Json::Array(items) => items.iter_mut().for_each(zero),
        Json::Object(members) => members.iter_mut().for_each(|(_, value)| zero(value)),
        Json::Bare(_) | Json::Text(_) => {}
    }
}

/// An id that looks like `recorded`: `chatcmpl-`, `msg_` or `resp_`, and as many letters and digits,
/// but enough of them.
fn fresh_id(recorded: &str) -> String {
    let end = recorded
        .find(['-', '_'])
        .filter(|end| *end > 0 && recorded[..*end].bytes().all(|byte| byte.is_ascii_alphabetic()));
    let prefix = end.map_or("", |end| &recorded[..=end]);
    let length = (recorded.len() - prefix.len()).clamp(24, 64);
    let random = std::iter::repeat_with(fastrand::alphanumeric).take(length);
    prefix.chars().chain(random).collect()
}
