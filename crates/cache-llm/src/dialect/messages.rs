//! Anthropic messages: a stream opens the message, then each content block, sends what is added to it
//! and closes it. `message_delta` brings the stop reason and the usage, `message_stop` ends the
//! stream. `ping` says nothing.

use std::borrow::Cow;

use super::merge::{Rule, merge};
use super::{Added, Gather, NotTranscodable, Streaming};
use crate::json::{Json, Object, Writer, get, pieces, position, set, take, unescape};
use crate::pattern::Pattern;

/// The events so far.
#[derive(Default)]
pub(super) struct Gathered {
    message: Option<Object<'static>>,
    blocks: Vec<Block>,
    done: bool,
    /// The last event, if it has added a fragment of text.
    pattern: Pattern,
    /// To what it has: the block, and of that.
    added_to: (usize, Target),
}

/// What fragments of text are added to.
#[derive(Clone, Copy, Default)]
enum Target {
    #[default]
    Input,
    Member(&'static str),
}

/// A content block.
struct Block {
    members: Object<'static>,
    /// The JSON text of its input so far, as the text of a string.
    input: String,
    closed: bool,
}

impl Gather for Gathered {
    fn add(&mut self, data: &[u8]) -> Result<Added, NotTranscodable> {
        if let Some(fragment) = self.pattern.matched(data)
            && let (index, target) = self.added_to
            && let Some(block) = self.blocks.get_mut(index)
            && let Some(text) = block.text(target)
        {
            text.push_str(fragment);
            return Ok(Added::More);
        }
        self.pattern.forget();
        let event = Json::parse_bytes(data)?.into_object().ok_or(NotTranscodable::Unexpected)?;
        if let Some(fragment) = self.add_event(event)? {
            self.pattern.learn(data, [fragment]);
        }
        Ok(Added::News)
    }

    fn finish(self) -> Result<String, NotTranscodable> {
        if !self.done {
            return Err(NotTranscodable::Cut);
        }
        let mut message = self.message.ok_or(NotTranscodable::Unexpected)?;
        if !self.blocks.iter().all(|block| block.closed) {
            return Err(NotTranscodable::Unexpected);
        }
        let blocks = self.blocks.into_iter().map(|block| Json::Object(block.members)).collect();
        set(&mut message, "content", Json::Array(blocks));
        let mut out = String::new();
        Json::Object(message).write(&mut out);
        Ok(out)
    }
}

impl Gathered {
    /// Adds an event; the fragment of text that it has added, if that is all it does.
    fn add_event<'e>(&mut self, mut event: Object<'e>) -> Result<Option<&'e str>, NotTranscodable> {
        use NotTranscodable::Unexpected;
        let kind = take(&mut event, "type").ok_or(Unexpected)?;
        let kind = kind.as_text().ok_or(Unexpected)?;
        match kind {
            "ping" => {}
            "error" => return Err(NotTranscodable::Error),
            _ if self.done => return Err(Unexpected),
            "message_start" if self.message.is_none() => {
                let message = take(&mut event, "message").and_then(Json::into_object);
                let message = message.ok_or(Unexpected)?;
                // Content that is there from the start would have to be told from the blocks.
                if get(&message, "content")
                    .and_then(Json::as_array)
                    .is_none_or(|all| !all.is_empty())
                {
                    return Err(Unexpected);
                }
                self.message = Json::Object(message).into_owned().into_object();
            }
            _ if self.message.is_none() => return Err(Unexpected),
            "content_block_start" => {
                let block = take(&mut event, "content_block").and_then(Json::into_object);
                let members = Json::Object(block.ok_or(Unexpected)?).into_owned();
                if block_index(&event)? != self.blocks.len() {
                    return Err(Unexpected);
                }
                let members = members.into_object().ok_or(Unexpected)?;
                self.blocks.push(Block { members, input: String::new(), closed: false });
            }
            "content_block_delta" => {
                let delta = take(&mut event, "delta").and_then(Json::into_object);
                let index = block_index(&event)?;
                let block = self.open_block(index)?;
                if let Some((target, fragment)) = block.add(delta.ok_or(Unexpected)?)? {
                    self.added_to = (index, target);
                    return Ok(Some(fragment));
                }
            }
            "content_block_stop" => {
                self.open_block(block_index(&event)?)?.close()?;
            }
            "message_delta" => self.end_message(event)?,
            "message_stop" => self.done = true,
            _ => return Err(NotTranscodable::UnknownEvent),
        }
        Ok(None)
    }

    fn open_block(&mut self, index: usize) -> Result<&mut Block, NotTranscodable> {
        let block = self.blocks.get_mut(index);
        block.filter(|block| !block.closed).ok_or(NotTranscodable::Unexpected)
    }

    /// Takes what is known of the message at its end.
    fn end_message(&mut self, mut event: Object<'_>) -> Result<(), NotTranscodable> {
        let message = self.message.as_mut().ok_or(NotTranscodable::Unexpected)?;
        let delta = take(&mut event, "delta").and_then(Json::into_object);
        merge(message, delta.unwrap_or_default(), |name| match name {
            "content" | "id" | "type" | "role" | "model" => Rule::Single,
            _ => Rule::Last,
        })?;
        // The counts are totals, so the later ones hold.
        if let Some(usage) = take(&mut event, "usage").and_then(Json::into_object) {
            if get(message, "usage").and_then(Json::as_object).is_none() {
                set(message, "usage", Json::Object(Object::new()));
            }
            let whole = message.iter_mut().find(|(name, _)| name == "usage");
            if let Some((_, Json::Object(whole))) = whole {
                merge(whole, usage, |_| Rule::Last)?;
            }
        }
        // Such as `context_management`.
        merge(message, event, |name| match name {
            "content" | "id" | "type" | "role" | "model" => Rule::Single,
            _ => Rule::Last,
        })
    }
}

fn block_index(event: &Object<'_>) -> Result<usize, NotTranscodable> {
    get(event, "index").and_then(Json::as_index).ok_or(NotTranscodable::Unexpected)
}

impl Block {
    /// Adds a delta; if it is a fragment of text, that, and to what it was added.
    fn add<'d>(
        &mut self,
        mut delta: Object<'d>,
    ) -> Result<Option<(Target, &'d str)>, NotTranscodable> {
        use NotTranscodable::Unexpected;
        let kind = take(&mut delta, "type").ok_or(Unexpected)?;
        let name = match kind.as_text() {
            Some("text_delta") => "text",
            Some("thinking_delta") => "thinking",
            Some("signature_delta") => {
                only(&delta, &["signature"])?;
                merge(&mut self.members, delta, |_| Rule::Once)?;
                return Ok(None);
            }
            Some("input_json_delta") => {
                let part = take(&mut delta, "partial_json").ok_or(Unexpected)?;
                self.input.push_str(part.as_text().ok_or(Unexpected)?);
                only(&delta, &[])?;
                return Ok(part.as_source().map(|fragment| (Target::Input, fragment)));
            }
            Some("citations_delta") => {
                let citation = take(&mut delta, "citation").ok_or(Unexpected)?;
                let more = vec![(Cow::Borrowed("citations"), Json::Array(vec![citation]))];
                merge(&mut self.members, more, |_| Rule::Append)?;
                only(&delta, &[])?;
                return Ok(None);
            }
            _ => return Err(NotTranscodable::UnknownEvent),
        };
        only(&delta, &[name])?;
        let fragment = get(&delta, name).and_then(Json::as_source);
        merge(&mut self.members, delta, |_| Rule::Text)?;
        Ok(fragment.map(|fragment| (Target::Member(name), fragment)))
    }

    /// The text so far, if it is one.
    fn text(&mut self, target: Target) -> Option<&mut String> {
        let name = match target {
            Target::Input => return Some(&mut self.input),
            Target::Member(name) => name,
        };
        match &mut self.members.iter_mut().find(|(known, _)| known == name)?.1 {
            Json::Text(text) => Some(text.to_mut()),
            _ => None,
        }
    }

    fn close(&mut self) -> Result<(), NotTranscodable> {
        self.closed = true;
        if self.input.is_empty() {
            return Ok(());
        }
        // What a block has from its start is an empty object in place of what comes.
        let start = get(&self.members, "input").and_then(Json::as_object);
        if start.is_none_or(|members| !members.is_empty()) {
            return Err(NotTranscodable::Ambiguous);
        }
        let input = unescape(&self.input).ok_or(NotTranscodable::NotJson)?;
        let input = Json::parse(&input)?.into_owned();
        set(&mut self.members, "input", input);
        Ok(())
    }
}

/// Refuses a delta with members other than these.
fn only(delta: &Object<'_>, names: &[&str]) -> Result<(), NotTranscodable> {
    if delta.iter().all(|(name, _)| names.contains(&&**name)) {
        Ok(())
    } else {
        Err(NotTranscodable::UnknownEvent)
    }
}

pub(super) fn to_stream(
    plain: Object<'_>,
    streaming: Streaming,
) -> Result<String, NotTranscodable> {
    if get(&plain, "type").and_then(Json::as_text) != Some("message") {
        return Err(NotTranscodable::Unexpected);
    }
    let mut message = plain;
    let content = get(&message, "content").and_then(Json::as_array);
    let content = content.ok_or(NotTranscodable::Unexpected)?.to_vec();
    let usage = get(&message, "usage").and_then(Json::as_object);
    let output = usage.ok_or(NotTranscodable::Unexpected)?;
    let output = get(output, "output_tokens").filter(|count| !count.is_null()).cloned();
    // What is known at the end only.
    let mut ends = Object::new();
    for name in ["stop_reason", "stop_sequence"] {
        if let Some(at) = position(&message, name) {
            ends.push((name.into(), std::mem::replace(&mut message[at].1, Json::NULL)));
        }
    }
    set(&mut message, "content", Json::Array(Vec::new()));
    if output.is_some()
        && let Some((_, Json::Object(usage))) = message.iter_mut().find(|(name, _)| name == "usage")
    {
        set(usage, "output_tokens", Json::Bare(Cow::Borrowed("0")));
    }
    let mut stream = Stream { out: String::new(), piece: streaming.piece.get() };
    stream.event("message_start", |out| out.json("message", &Json::Object(message)));
    for (index, block) in content.into_iter().enumerate() {
        stream.block(index, block.into_object().ok_or(NotTranscodable::Unexpected)?)?;
    }
    stream.event("message_delta", |out| {
        out.json("delta", &Json::Object(ends));
        out.object("usage", |usage| {
            if let Some(output) = &output {
                usage.json("output_tokens", output);
            }
        });
    });
    stream.event("message_stop", |_| {});
    Ok(stream.out)
}

/// A stream being written.
struct Stream {
    out: String,
    piece: usize,
}

impl Stream {
    fn event(&mut self, kind: &str, members: impl FnOnce(&mut Writer<'_>)) {
        event(&mut self.out, kind, members);
    }

    fn block(&mut self, index: usize, mut block: Object<'_>) -> Result<(), NotTranscodable> {
        let kind = get(&block, "type").and_then(Json::as_text);
        let kind = kind.ok_or(NotTranscodable::Unexpected)?.to_owned();
        // What comes in deltas: the kind of delta, the member of it, and its text.
        let mut texts: Vec<(&str, &str, String)> = Vec::new();
        let mut citations = Vec::new();
        let names: &[(&'static str, &str)] = match kind.as_str() {
            "text" => &[("text", "text_delta")],
            "thinking" => &[("thinking", "thinking_delta"), ("signature", "signature_delta")],
            _ => &[],
        };
        for &(name, delta) in names {
            if let Some(at) = position(&block, name)
                && let Json::Text(text) = &mut block[at].1
            {
                texts.push((delta, name, std::mem::take(text).into_owned()));
            }
        }
        match block.iter_mut().find(|(name, _)| name == "citations") {
            Some((_, Json::Array(all))) if kind == "text" => citations = std::mem::take(all),
            _ => {}
        }
        if let Some((_, Json::Object(input))) = block.iter_mut().find(|(name, _)| name == "input")
            && kind.ends_with("tool_use")
            && !input.is_empty()
        {
            let (mut json, mut text) = (String::new(), String::new());
            Json::Object(std::mem::take(input)).write(&mut json);
            crate::json::escape(&json, &mut text);
            texts.push(("input_json_delta", "partial_json", text));
        }
        self.event("content_block_start", |out| {
            out.index("index", index);
            out.json("content_block", &Json::Object(block));
        });
        let size = self.piece;
        for (delta, name, text) in &texts {
            // Signatures have no pieces.
            let size = if *delta == "signature_delta" { usize::MAX } else { size };
            for piece in pieces(text, size) {
                self.delta(index, delta, |out| out.text(name, piece));
            }
        }
        for citation in &citations {
            self.delta(index, "citations_delta", |out| out.json("citation", citation));
        }
        self.event("content_block_stop", |out| out.index("index", index));
        Ok(())
    }

    fn delta(&mut self, index: usize, kind: &str, members: impl FnOnce(&mut Writer<'_>)) {
        self.event("content_block_delta", |out| {
            out.index("index", index);
            out.object("delta", |delta| {
                delta.text("type", kind);
                members(delta);
            });
        });
    }
}

/// Writes one event whose data names its type too.
pub(super) fn event(out: &mut String, kind: &str, members: impl FnOnce(&mut Writer<'_>)) {
    out.push_str("event: ");
    out.push_str(kind);
    out.push_str("\ndata: ");
    let mut data = Writer::begin(out);
    data.text("type", kind);
    members(&mut data);
    data.end();
    out.push_str("\n\n");
}
