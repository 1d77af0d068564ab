//! What chat completions and legacy completions have in common: chunks with choices, the usage in a
//! chunk of its own, `[DONE]`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::merge::{Rule, check_indexes, fragment, has_room, index, merge, places, text_at};
use super::{Added, Gather, NotTranscodable, Streaming};
use crate::json::{Json, Object, Writer, array_of_one, get, pieces, set, take};
use crate::pattern::Pattern;
use crate::replay::rewrite;

/// What tells the two dialects apart.
pub(super) struct Shape {
    pub(super) plain_object: &'static str,
    pub(super) chunk_object: &'static str,
    /// Whether a choice has a `message` in a plain answer and a `delta` in a chunk, or its text in
    /// itself.
    pub(super) parts: bool,
    /// How the members of a choice are joined.
    pub(super) choice: fn(&str) -> Rule,
}

/// How the members of chunks are joined.
fn chunk_rules(name: &str) -> Rule {
    match name {
        "obfuscation" | "p" => Rule::Drop, // padding against traffic analysis; `p` is Mistral's
        "usage" => Rule::Last,             // running totals, where more than one comes
        "created" => Rule::First,          // some servers take the time for each chunk anew
        _ => Rule::Once,
    }
}

/// The chunks so far.
pub(super) struct Gathered {
    shape: &'static Shape,
    done: bool,
    top: Object<'static>,
    choices: BTreeMap<usize, Object<'static>>,
    /// The last chunk, if it has added a fragment of text.
    pattern: Pattern,
    /// To what it has: the choice, and where in it.
    added_to: (usize, Vec<usize>),
}

impl Gather for Gathered {
    fn add(&mut self, data: &[u8]) -> Result<Added, NotTranscodable> {
        if self.done {
            return Err(NotTranscodable::Unexpected);
        }
        if let Some(fragment) = self.pattern.matched(data)
            && let (choice, places) = &self.added_to
            && let Some(text) =
                self.choices.get_mut(choice).and_then(|whole| text_at(whole, places))
        {
            text.push_str(fragment);
            return Ok(Added::More);
        }
        self.pattern.forget();
        if data == b"[DONE]" {
            self.done = true;
            return Ok(Added::News);
        }
        let chunk = Json::parse_bytes(data)?.into_object().ok_or(NotTranscodable::Unexpected)?;
        let noise = ["obfuscation", "p"].map(|name| get(&chunk, name).and_then(Json::as_source));
        if let Some(fragment) = self.add_chunk(chunk)? {
            self.pattern.learn(data, [fragment].into_iter().chain(noise.into_iter().flatten()));
        }
        Ok(Added::News)
    }

    fn finish(mut self) -> Result<String, NotTranscodable> {
        if !self.done {
            return Err(NotTranscodable::Cut);
        }
        if self.choices.is_empty() {
            return Err(NotTranscodable::Unexpected);
        }
        if get(&self.top, "usage").is_none_or(Json::is_null) {
            return Err(NotTranscodable::NoUsage);
        }
        let choices = std::mem::take(&mut self.choices).into_iter();
        let choices = choices.map(|(index, choice)| finish_choice(self.shape, index, choice));
        set(&mut self.top, "choices", Json::Array(choices.collect::<Result<_, _>>()?));
        let mut out = String::new();
        Json::Object(self.top).write(&mut out);
        Ok(out)
    }
}

impl Gathered {
    pub(super) const fn new(shape: &'static Shape) -> Self {
        Self {
            shape,
            done: false,
            top: Object::new(),
            choices: BTreeMap::new(),
            pattern: Pattern::new(),
            added_to: (0, Vec::new()),
        }
    }

    /// Adds a chunk; the fragment of text that it has added, if that is all it does.
    fn add_chunk<'c>(&mut self, mut chunk: Object<'c>) -> Result<Option<&'c str>, NotTranscodable> {
        if get(&chunk, "error").is_some_and(|error| !error.is_null()) {
            return Err(NotTranscodable::Error);
        }
        let choices = take(&mut chunk, "choices").unwrap_or(Json::NULL);
        if let Some(object) = take(&mut chunk, "object")
            && !object.is_unset()
        {
            // Some servers call their chunks by the name of the whole.
            let Shape { plain_object, chunk_object, .. } = self.shape;
            if ![Some(*chunk_object), Some(*plain_object)].contains(&object.as_text()) {
                return Err(NotTranscodable::Unexpected);
            }
            set(&mut self.top, "object", Json::Text(Cow::Borrowed(plain_object)));
        }
        merge(&mut self.top, chunk, chunk_rules)?;
        if get(&self.top, "choices").is_none() {
            set(&mut self.top, "choices", Json::NULL); // their place
            has_room(&self.top)?;
        }
        let choices = match choices {
            Json::Array(choices) => choices,
            none if none.is_null() => Vec::new(),
            _ => return Err(NotTranscodable::Unexpected),
        };
        let is_only = choices.len() == 1;
        let mut added = None;
        for (at, choice) in choices.into_iter().enumerate() {
            let at = match choice.get_some("index") {
                Some(index) => index.as_index().ok_or(NotTranscodable::Unexpected)?,
                None => at,
            };
            let choice = choice.into_object().ok_or(NotTranscodable::Unexpected)?;
            if get(&choice, "error").is_some_and(|error| !error.is_null()) {
                return Err(NotTranscodable::Error);
            }
            let fragment = fragment(&choice, self.shape.choice).filter(|_| is_only);
            let whole = self.choices.entry(at).or_default();
            merge(whole, choice, self.shape.choice)?;
            if let Some((path, text)) = fragment
                && let Some(places) = places(whole, &path)
            {
                self.added_to = (at, places);
                added = Some(text);
            }
        }
        Ok(added)
    }
}

fn finish_choice(
    shape: &Shape,
    index: usize,
    mut choice: Object<'static>,
) -> Result<Json<'static>, NotTranscodable> {
    set(&mut choice, "index", Json::Bare(index.to_string().into()));
    if shape.parts {
        // A server that sends whole messages in its chunks has rules that we do not know.
        if get(&choice, "message").is_some() {
            return Err(NotTranscodable::Ambiguous);
        }
        let (name, delta) = choice
            .iter_mut()
            .find(|(name, _)| name == "delta")
            .ok_or(NotTranscodable::Unexpected)?;
        *name = Cow::Borrowed("message");
        let Json::Object(message) = delta else { return Err(NotTranscodable::Unexpected) };
        if get(message, "role").is_none_or(Json::is_unset) {
            set(message, "role", Json::Text(Cow::Borrowed("assistant")));
        }
        if let Some((_, Json::Array(calls))) =
            message.iter_mut().find(|(name, _)| name == "tool_calls")
        {
            finish_calls(calls)?;
        }
    }
    Ok(Json::Object(choice))
}

/// Puts calls in order and takes their indexes off, which plain answers do not have.
fn finish_calls(calls: &mut [Json<'static>]) -> Result<(), NotTranscodable> {
    let with_index = calls.iter().filter(|call| index(call).is_some()).count();
    if with_index != 0 && with_index != calls.len() {
        return Err(NotTranscodable::Ambiguous);
    }
    calls.sort_by_key(|call| index(call));
    for call in calls {
        let Json::Object(members) = call else { return Err(NotTranscodable::Unexpected) };
        take(members, "index");
    }
    Ok(())
}

pub(super) fn to_stream(
    shape: &Shape,
    plain: &Object<'_>,
    streaming: Streaming,
) -> Result<String, NotTranscodable> {
    let mut stream = Stream::new(shape, plain, streaming)?;
    let choices = get(plain, "choices").and_then(Json::as_array).unwrap_or_default();
    if choices.is_empty() {
        return Err(NotTranscodable::Unexpected);
    }
    let mut seen = BTreeSet::new();
    for (at, choice) in choices.iter().enumerate() {
        let at = match choice.get_some("index") {
            Some(index) => index.as_index().ok_or(NotTranscodable::Unexpected)?,
            None => at,
        };
        if !seen.insert(at) {
            return Err(NotTranscodable::Ambiguous);
        }
        stream.choice(at, choice.as_object().ok_or(NotTranscodable::Unexpected)?)?;
    }
    Ok(stream.end())
}

/// A stream being written.
struct Stream<'p> {
    shape: &'p Shape,
    /// What every chunk begins with, up to its choices.
    head: String,
    /// What only the first chunk has.
    more: Vec<(&'p str, &'p Json<'p>)>,
    usage: Option<&'p Json<'p>>,
    piece: usize,
    out: String,
}

impl<'p> Stream<'p> {
    fn new(
        shape: &'p Shape,
        plain: &'p Object<'p>,
        streaming: Streaming,
    ) -> Result<Self, NotTranscodable> {
        if get(plain, "error").is_some_and(|error| !error.is_null()) {
            return Err(NotTranscodable::Error);
        }
        let mut head = String::from("data: ");
        let mut chunk = Writer::begin(&mut head);
        let mut more = Vec::new();
        for (name, value) in plain {
            match &**name {
                "choices" | "usage" => {}
                "object" if value.as_text() == Some(shape.plain_object) => {
                    chunk.text("object", shape.chunk_object);
                }
                "object" | "obfuscation" => return Err(NotTranscodable::Unexpected),
                "id" | "created" | "model" | "service_tier" | "system_fingerprint" => {
                    chunk.json(name, value);
                }
                _ => more.push((&**name, value)),
            }
        }
        chunk.name("choices"); // whose value each chunk has of its own
        let usage = get(plain, "usage").filter(|usage| !usage.is_null());
        let usage = match (streaming.usage, usage) {
            (true, None) => return Err(NotTranscodable::NoUsage),
            (true, usage) => usage,
            (false, _) => None,
        };
        let (piece, out) = (streaming.piece.get(), String::new());
        Ok(Self { shape, head, more, usage, piece, out })
    }

    /// Makes room for about what the chunks of a text take.
    fn expect(&mut self, text: &str) {
        let frame =
            self.head.len() + r#"[{"index":0,"delta":{"content":""},"logprobs":null}]}"#.len();
        self.out.reserve(text.len() + text.len().div_ceil(self.piece) * frame);
    }

    /// Writes one chunk: `choices` the value of that member, `usage` the member of that name.
    fn chunk(&mut self, choices: impl FnOnce(&mut String), usage: impl FnOnce(&mut Writer<'_>)) {
        self.out.push_str(&self.head);
        choices(&mut self.out);
        let mut chunk = Writer::within(&mut self.out);
        for (name, value) in self.more.drain(..) {
            chunk.json(name, value);
        }
        usage(&mut chunk);
        chunk.end();
        self.out.push_str("\n\n");
    }

    /// Writes one chunk of one choice.
    fn part(&mut self, index: usize, part: impl FnOnce(&mut Writer<'_>)) {
        let nulls = self.usage.is_some();
        let choice = |out: &mut String| {
            array_of_one(out, |choice| {
                choice.index("index", index);
                part(choice);
            });
        };
        self.chunk(choice, |chunk| {
            if nulls {
                chunk.bare("usage", "null");
            }
        });
    }

    fn choice(
        &mut self,
        at: usize,
        choice: &[(Cow<'_, str>, Json<'_>)],
    ) -> Result<(), NotTranscodable> {
        if get(choice, "error").is_some_and(|error| !error.is_null())
            || get(choice, "delta").is_some()
        {
            return Err(NotTranscodable::Unexpected);
        }
        let logprobs = get(choice, "logprobs");
        let finish = get(choice, "finish_reason");
        let open = |part: &mut Writer<'_>, logprobs: Option<&Json<'_>>| {
            if let Some(logprobs) = logprobs {
                part.json("logprobs", logprobs);
            }
            if finish.is_some() {
                part.bare("finish_reason", "null");
            }
        };
        let no_logprobs = logprobs.map(|_| &Json::NULL);
        if self.shape.parts {
            let message = get(choice, "message").and_then(Json::as_object);
            let message = Message::new(message.ok_or(NotTranscodable::Unexpected)?)?;
            message.texts.iter().for_each(|(_, text)| self.expect(text));
            let mut logprobs = logprobs;
            for delta in message.deltas(self.piece) {
                self.part(at, |part| {
                    part.object("delta", |out| delta.write(out));
                    open(part, std::mem::replace(&mut logprobs, no_logprobs));
                });
            }
        } else {
            let text = get(choice, "text").and_then(Json::as_text);
            let text = text.ok_or(NotTranscodable::Unexpected)?;
            self.expect(text);
            let mut logprobs = logprobs;
            let first = text.is_empty().then_some(""); // so that the rest has something to follow
            for piece in pieces(text, self.piece).chain(first) {
                self.part(at, |part| {
                    part.text("text", piece);
                    open(part, std::mem::replace(&mut logprobs, no_logprobs));
                });
            }
        }
        let parts = self.shape.parts;
        self.part(at, |part| {
            if parts {
                part.object("delta", |_| {});
            } else {
                part.text("text", "");
            }
            if logprobs.is_some() {
                part.bare("logprobs", "null");
            }
            for (name, value) in choice {
                let said = if parts { "message" } else { "text" };
                if !matches!(&**name, "index" | "logprobs") && name != said {
                    part.json(name, value);
                }
            }
        });
        Ok(())
    }

    fn end(mut self) -> String {
        if let Some(usage) = self.usage {
            self.chunk(|choices| choices.push_str("[]"), |chunk| chunk.json("usage", usage));
        }
        self.out.push_str("data: [DONE]\n\n");
        self.out
    }
}

/// A message as the parts that a stream sends of it.
struct Message<'m> {
    /// What the first delta holds.
    opening: Vec<(&'m str, &'m Json<'m>)>,
    /// The texts that come in pieces: the answer after what led to it.
    texts: Vec<(&'m str, &'m str)>,
    calls: Vec<Call<'m>>,
    function_call: Option<&'m Json<'m>>,
}

/// A tool call, and which of its members comes in pieces.
struct Call<'m> {
    members: &'m [(Cow<'m, str>, Json<'m>)],
    /// As in `function` and `arguments`.
    text: Option<(&'static str, &'static str, &'m str)>,
}

/// One delta of a message.
enum Delta<'d, 'm> {
    Opening(&'d Message<'m>),
    Text(&'m str, &'m str),
    CallOpening(usize, &'d Call<'m>),
    CallText(usize, &'static str, &'static str, &'m str),
    FunctionText(&'m str),
}

impl<'m> Message<'m> {
    fn new(members: &'m [(Cow<'m, str>, Json<'m>)]) -> Result<Self, NotTranscodable> {
        let mut message =
            Self { opening: Vec::new(), texts: Vec::new(), calls: Vec::new(), function_call: None };
        for (name, value) in members {
            match (&**name, super::chat::delta(name), value) {
                ("tool_calls", _, Json::Array(calls)) if !calls.is_empty() => {
                    message.calls =
                        calls.iter().enumerate().map(Call::new).collect::<Result<_, _>>()?;
                }
                ("function_call", _, Json::Object(_)) => message.function_call = Some(value),
                (name, Rule::Text, Json::Text(text)) if !text.is_empty() => {
                    message.texts.push((name, text));
                }
                (name, rule, value) => {
                    if matches!(rule, Rule::ByIndex(_)) {
                        check_indexes(value)?;
                    }
                    message.opening.push((name, value));
                }
            }
        }
        message.texts.sort_by_key(|(name, _)| matches!(*name, "content" | "refusal"));
        Ok(message)
    }

    fn deltas<'d>(&'d self, size: usize) -> impl Iterator<Item = Delta<'d, 'm>> {
        let texts = self.texts.iter().flat_map(move |&(name, text)| {
            pieces(text, size).map(move |piece| Delta::Text(name, piece))
        });
        let calls = self.calls.iter().enumerate().flat_map(move |(at, call)| {
            let text = call.text.into_iter().flat_map(move |(object, name, text)| {
                pieces(text, size).map(move |piece| Delta::CallText(at, object, name, piece))
            });
            std::iter::once(Delta::CallOpening(at, call)).chain(text)
        });
        let function = self.function_call.and_then(|call| call.get("arguments")?.as_text());
        let function =
            function.into_iter().flat_map(move |text| pieces(text, size).map(Delta::FunctionText));
        std::iter::once(Delta::Opening(self)).chain(texts).chain(calls).chain(function)
    }
}

impl<'m> Call<'m> {
    fn new((at, call): (usize, &'m Json<'m>)) -> Result<Self, NotTranscodable> {
        let members = call.as_object().ok_or(NotTranscodable::Unexpected)?;
        // Some servers number the calls of plain answers too. Another number than the place would
        // be lost.
        if call.get("index").is_some() && index(call) != Some(at) {
            return Err(NotTranscodable::Ambiguous);
        }
        let text = [("function", "arguments"), ("custom", "input")].into_iter().find_map(
            |(object, name)| {
                let text = call.get(object)?.get(name)?.as_text()?;
                Some((object, name, text))
            },
        );
        Ok(Self { members, text })
    }
}

impl Delta<'_, '_> {
    fn write(&self, out: &mut Writer<'_>) {
        match self {
            Self::Opening(message) => {
                for (name, value) in &message.opening {
                    out.json(name, value);
                }
                if let Some(call) = message.function_call {
                    out.object("function_call", |out| without_text(out, call, "arguments"));
                }
            }
            Self::Text(name, piece) => out.text(name, piece),
            Self::CallOpening(at, call) => out.array_of_one("tool_calls", |out| {
                out.index("index", *at);
                for (name, value) in call.members {
                    match call.text {
                        _ if name == "index" => {}
                        Some((object, text, _)) if name == object => {
                            out.object(object, |out| without_text(out, value, text));
                        }
                        _ => out.json(name, value),
                    }
                }
            }),
            Self::CallText(at, object, name, piece) => out.array_of_one("tool_calls", |out| {
                out.index("index", *at);
                out.object(object, |out| out.text(name, piece));
            }),
            Self::FunctionText(piece) => {
                out.object("function_call", |out| out.text("arguments", piece));
            }
        }
    }
}

/// Writes an object with an empty string for the text that is to follow.
fn without_text(out: &mut Writer<'_>, object: &Json<'_>, text: &str) {
    for (name, value) in object.as_object().unwrap_or_default() {
        match value {
            Json::Text(_) if name == text => out.text(name, ""),
            _ => out.json(name, value),
        }
    }
}

/// What a stream is to be rid of.
#[derive(Clone, Copy)]
pub(super) struct Without {
    pub(super) usage: bool,
    pub(super) obfuscation: bool,
}

/// The stream without what its new reader did not ask for. Events that have nothing of it keep
/// their bytes.
pub(super) fn strip(stream: &[u8], without: Without) -> Result<Vec<u8>, NotTranscodable> {
    rewrite(stream.to_vec().into(), |event, piece, out| {
        strip_event(piece, event.name, event.data, without, out)
    })
}

fn strip_event(
    piece: &[u8],
    event: &[u8],
    data: &[u8],
    without: Without,
    out: &mut Vec<u8>,
) -> Result<(), NotTranscodable> {
    if data == b"[DONE]" {
        out.extend_from_slice(piece);
        return Ok(());
    }
    let mut chunk = Json::parse_bytes(data)?.into_object().ok_or(NotTranscodable::Unexpected)?;
    let usage = get(&chunk, "usage");
    let of_usage = get(&chunk, "choices").and_then(Json::as_array).is_some_and(<[_]>::is_empty)
        && usage.is_some_and(|usage| !usage.is_null());
    if without.usage && of_usage {
        return Ok(());
    }
    let mut changed = false;
    if without.usage && usage.is_some_and(Json::is_null) {
        changed |= take(&mut chunk, "usage").is_some();
    }
    if without.obfuscation {
        changed |= take(&mut chunk, "obfuscation").is_some();
    }
    if !changed {
        out.extend_from_slice(piece);
        return Ok(());
    }
    if !event.is_empty() {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(event);
        out.push(b'\n');
    }
    let mut text = String::with_capacity(data.len());
    Json::Object(chunk).write(&mut text);
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\n\n");
    Ok(())
}
