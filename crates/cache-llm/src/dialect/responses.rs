//! `OpenAI` responses: each event names its type and has a number. The terminal event,
//! `response.completed` or `response.incomplete`, carries the whole answer, so a plain answer is
//! taken from there; a stream is built item by item from the answer.

use super::messages::event;
use super::{Added, Gather, NotTranscodable, Streaming};
use crate::json::{Json, Object, Writer, get, pieces, set, take};
use crate::pattern::Pattern;

/// The events so far.
#[derive(Default)]
pub(super) struct Gathered {
    /// The answer, from the terminal event.
    response: Option<String>,
    /// Items that were finished.
    items: usize,
    /// The last event, if it only told something that the terminal event tells again.
    pattern: Pattern,
}

impl Gather for Gathered {
    fn add(&mut self, data: &[u8]) -> Result<Added, NotTranscodable> {
        use NotTranscodable::Unexpected;
        if self.pattern.matched(data).is_some() {
            return Ok(Added::More);
        }
        self.pattern.forget();
        if data == b"[DONE]" && self.response.is_some() {
            return Ok(Added::News); // some servers add it
        }
        let mut event = Json::parse_bytes(data)?.into_object().ok_or(Unexpected)?;
        match get(&event, "type").and_then(Json::as_text).ok_or(Unexpected)? {
            "error" | "response.failed" => return Err(NotTranscodable::Error),
            _ if self.response.is_some() => return Err(Unexpected),
            "response.output_item.done" => self.items += 1,
            "response.completed" | "response.incomplete" => {
                let whole = take(&mut event, "response").ok_or(Unexpected)?;
                // Some servers leave the output out here, and it cannot be had without a guess.
                let output = whole.get("output").and_then(Json::as_array).ok_or(Unexpected)?;
                if output.len() < self.items {
                    return Err(NotTranscodable::Ambiguous);
                }
                let mut text = String::new();
                whole.write(&mut text);
                self.response = Some(text);
            }
            _ => {
                let differs = ["delta", "sequence_number", "obfuscation"];
                let differs = differs.into_iter().filter_map(|name| get(&event, name)?.as_scalar());
                self.pattern.learn(data, differs);
            }
        }
        Ok(Added::News)
    }

    fn finish(self) -> Result<String, NotTranscodable> {
        self.response.ok_or(NotTranscodable::Cut)
    }
}

pub(super) fn to_stream(
    plain: &Object<'_>,
    streaming: Streaming,
) -> Result<String, NotTranscodable> {
    use NotTranscodable::Unexpected;
    if get(plain, "error").is_some_and(|error| !error.is_null()) {
        return Err(NotTranscodable::Error);
    }
    let end = match get(plain, "status").and_then(Json::as_text) {
        Some("completed") => "response.completed",
        Some("incomplete") => "response.incomplete",
        _ => return Err(Unexpected),
    };
    let output = get(plain, "output").and_then(Json::as_array).ok_or(Unexpected)?;
    let mut stream = Stream { out: String::new(), next: 0, piece: streaming.piece.get() };
    let begun = Json::Object(begun(plain));
    for kind in ["response.created", "response.in_progress"] {
        stream.event(kind, |out| out.json("response", &begun));
    }
    for (index, item) in output.iter().enumerate() {
        stream.item(index, item.as_object().ok_or(Unexpected)?)?;
    }
    stream.event(end, |out| {
        out.object("response", |out| {
            for (name, value) in plain {
                out.json(name, value);
            }
        });
    });
    Ok(stream.out)
}

/// The answer as it was before anything was said.
fn begun<'a>(plain: &Object<'a>) -> Object<'a> {
    let mut begun = plain.clone();
    set(&mut begun, "status", Json::Text("in_progress".into()));
    set(&mut begun, "output", Json::Array(Vec::new()));
    for name in ["usage", "incomplete_details", "completed_at"] {
        if get(&begun, name).is_some() {
            set(&mut begun, name, Json::NULL);
        }
    }
    take(&mut begun, "output_text"); // the sum of the output, where a server gives it
    begun
}

/// A stream being written.
struct Stream {
    out: String,
    next: usize,
    piece: usize,
}

/// Where in the answer an event belongs.
struct Place<'p> {
    item_id: Option<&'p Json<'p>>,
    item: usize,
    /// As `content_index`, and its value.
    part: Option<(&'static str, usize)>,
}

impl Place<'_> {
    fn write(&self, out: &mut Writer<'_>) {
        if let Some(id) = self.item_id {
            out.json("item_id", id);
        }
        out.index("output_index", self.item);
        if let Some((name, index)) = self.part {
            out.index(name, index);
        }
    }
}

impl Stream {
    fn event(&mut self, kind: &str, members: impl FnOnce(&mut Writer<'_>)) {
        let number = self.next;
        self.next += 1;
        event(&mut self.out, kind, |out| {
            out.index("sequence_number", number);
            members(out);
        });
    }

    fn item(
        &mut self,
        index: usize,
        item: &[(std::borrow::Cow<'_, str>, Json<'_>)],
    ) -> Result<(), NotTranscodable> {
        let kind = get(item, "type").and_then(Json::as_text);
        let kind = kind.ok_or(NotTranscodable::Unexpected)?;
        // The member that comes in pieces, and the events that bring it.
        let text = match kind {
            "function_call" => Some(("arguments", "response.function_call_arguments")),
            "mcp_call" => Some(("arguments", "response.mcp_call_arguments")),
            "custom_tool_call" => Some(("input", "response.custom_tool_call_input")),
            "code_interpreter_call" => Some(("code", "response.code_interpreter_call_code")),
            _ => None,
        };
        let mut opening = item.to_vec();
        if get(&opening, "status").is_some() {
            set(&mut opening, "status", Json::Text("in_progress".into()));
        }
        let lists: &[&'static str] = match kind {
            "message" => &["content"],
            "reasoning" => &["summary", "content"],
            _ => &[],
        };
        for list in lists {
            if get(&opening, list).and_then(Json::as_array).is_some() {
                set(&mut opening, list, Json::Array(Vec::new()));
            }
        }
        if let Some((name, _)) = text
            && get(&opening, name).and_then(Json::as_text).is_some()
        {
            set(&mut opening, name, Json::Text("".into()));
        }
        self.event("response.output_item.added", |out| {
            out.index("output_index", index);
            out.json("item", &Json::Object(opening));
        });
        let item_id = get(item, "id");
        let place = |part| Place { item_id, item: index, part };
        for &list in lists {
            let parts = get(item, list).and_then(Json::as_array).unwrap_or_default();
            for (at, part) in parts.iter().enumerate() {
                if list == "summary" {
                    self.summary(&place(Some(("summary_index", at))), part);
                } else {
                    self.content(&place(Some(("content_index", at))), part);
                }
            }
        }
        if let Some((name, events)) = text
            && let Some(text) = get(item, name).and_then(Json::as_text)
        {
            self.text(&place(None), events, name, text, |out| {
                if let (Some(call), "function_call") = (get(item, "name"), kind) {
                    out.json("name", call);
                }
            });
        }
        self.event("response.output_item.done", |out| {
            out.index("output_index", index);
            out.object("item", |out| {
                for (name, value) in item {
                    out.json(name, value);
                }
            });
        });
        Ok(())
    }

    /// A part of a reasoning summary.
    fn summary(&mut self, place: &Place<'_>, part: &Json<'_>) {
        self.part("response.reasoning_summary_part.added", place, &emptied(part));
        if let Some(text) = part.get("text").and_then(Json::as_text) {
            self.text(place, "response.reasoning_summary_text", "text", text, |_| {});
        }
        self.part("response.reasoning_summary_part.done", place, part);
    }

    /// A part of a message, or of a reasoning.
    fn content(&mut self, place: &Place<'_>, part: &Json<'_>) {
        let kind = part.get("type").and_then(Json::as_text);
        let (name, events) = match kind {
            Some("output_text") => ("text", "response.output_text"),
            Some("refusal") => ("refusal", "response.refusal"),
            Some("reasoning_text") => ("text", "response.reasoning_text"),
            _ => ("", ""),
        };
        self.part("response.content_part.added", place, &emptied(part));
        if let Some(text) = part.get(name).and_then(Json::as_text) {
            let logprobs = match kind {
                Some("output_text") => Some(part.get("logprobs").and_then(Json::as_array)),
                _ => None,
            };
            self.pieces(place, events, text, |out| {
                if logprobs.is_some() {
                    out.bare("logprobs", "[]");
                }
            });
            let annotations = part.get("annotations").and_then(Json::as_array).unwrap_or_default();
            for (at, annotation) in annotations.iter().enumerate() {
                self.event("response.output_text.annotation.added", |out| {
                    place.write(out);
                    out.index("annotation_index", at);
                    out.json("annotation", annotation);
                });
            }
            self.done(place, events, name, text, |out| {
                if let Some(logprobs) = logprobs {
                    out.json("logprobs", &Json::Array(logprobs.unwrap_or_default().to_vec()));
                }
            });
        }
        self.part("response.content_part.done", place, part);
    }

    fn part(&mut self, kind: &str, place: &Place<'_>, part: &Json<'_>) {
        self.event(kind, |out| {
            place.write(out);
            out.json("part", part);
        });
    }

    fn text(
        &mut self,
        place: &Place<'_>,
        events: &str,
        name: &str,
        text: &str,
        more: impl Fn(&mut Writer<'_>),
    ) {
        self.pieces(place, events, text, |_| {});
        self.done(place, events, name, text, more);
    }

    fn pieces(
        &mut self,
        place: &Place<'_>,
        events: &str,
        text: &str,
        more: impl Fn(&mut Writer<'_>),
    ) {
        let kind = format!("{events}.delta");
        for piece in pieces(text, self.piece) {
            self.event(&kind, |out| {
                place.write(out);
                out.text("delta", piece);
                more(out);
            });
        }
    }

    fn done(
        &mut self,
        place: &Place<'_>,
        events: &str,
        name: &str,
        text: &str,
        more: impl Fn(&mut Writer<'_>),
    ) {
        self.event(&format!("{events}.done"), |out| {
            place.write(out);
            out.text(name, text);
            more(out);
        });
    }
}

/// A part before its text.
fn emptied<'a>(part: &Json<'a>) -> Json<'a> {
    let mut part = part.clone();
    if let Json::Object(members) = &mut part {
        for name in ["text", "refusal"] {
            if get(members, name).and_then(Json::as_text).is_some() {
                set(members, name, Json::Text("".into()));
            }
        }
        for name in ["annotations", "logprobs"] {
            if get(members, name).and_then(Json::as_array).is_some() {
                set(members, name, Json::Array(Vec::new()));
            }
        }
    }
    part
}
