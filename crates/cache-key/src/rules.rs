//! What each endpoint kind declares equal: the only lists that can merge requests.
//!
//! A change here changes keys, so it comes with a new `FORMAT_VERSION`. The reason of each entry is
//! in `docs/key-format.md`.

use crate::endpoint::EndpointKind;
use crate::options::{Equivalence, KeyOptions};
use crate::tape::{Node, Tape};

/// Why a member is not in the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// By this equivalence.
    Equivalence(Equivalence),
    /// By [`KeyOptions::leave_out`].
    Option,
}

/// Which object a member belongs to: rules go by place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The body itself.
    Body,
    /// The `extra_body` of the body.
    ExtraBody,
    /// A message of `messages` of the body.
    Message,
}

/// The rules of one endpoint kind under given options.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'o> {
    kind: EndpointKind,
    /// The members that options leave out.
    more: &'o [(u8, String)],
    off: u8,
}

impl<'o> Rules<'o> {
    pub(crate) fn new(kind: EndpointKind, options: &'o KeyOptions) -> Self {
        Self { kind, more: options.left_out(kind), off: options.off(kind) }
    }

    /// Whether an equivalence holds.
    pub(crate) fn hold(&self, equivalence: Equivalence) -> bool {
        self.off & equivalence.bit() == 0
    }

    /// Those for the members of one object.
    #[inline]
    pub(crate) fn at(&self, place: Place) -> RulesAt<'o> {
        let kind = self.kind;
        let (transport, optional, more) = match place {
            Place::Body => (left_out(kind), null_is_absent(kind), self.more),
            Place::ExtraBody => (left_out_of_extra_body(kind), [].as_slice(), [].as_slice()),
            Place::Message => ([].as_slice(), null_is_absent_in_message(kind), [].as_slice()),
        };
        let null_is_absent = self.hold(Equivalence::NullIsAbsent);
        let optional = if null_is_absent { optional } else { &[] };
        let lengths = transport.iter().fold(0, |bits, rule| bits | 1 << rule.name.len());
        RulesAt { lengths, transport, optional, more, off: self.off }
    }

    /// The place of the objects in the value of the body's member `member`, if rules know any: of
    /// the value itself, or of its items if it is an array.
    #[inline]
    pub(crate) fn place_below(&self, tape: &Tape<'_>, member: u32) -> Option<Place> {
        match tape.node(member + 1) {
            Node::Array { .. } if tape.bytes(member) == b"messages" => {
                has_chat_messages(self.kind).then_some(Place::Message)
            }
            Node::Object { .. } if tape.bytes(member) == b"extra_body" => Some(Place::ExtraBody),
            _ => None,
        }
    }

    /// What stands for the value of the member `member` of a message: the text of
    /// `"content":[{"type":"text","text":…}]` for the whole, any other value for itself.
    #[inline]
    pub(crate) fn stands_for(&self, tape: &Tape<'_>, member: u32) -> u32 {
        let value = member + 1;
        let Node::Array { len: 1, .. } = tape.node(value) else {
            return value;
        };
        if tape.bytes(member) != b"content" || !self.hold(Equivalence::OneTextPart) {
            return value;
        }
        only_text(tape, value).unwrap_or(value)
    }
}

/// The rules for the members of one object.
#[derive(Clone, Copy)]
pub(crate) struct RulesAt<'o> {
    /// A bit for the length of each name of `transport`: most members have another one.
    lengths: u64,
    transport: &'static [LeftOut],
    /// The members of which null is absence.
    optional: &'static [&'static str],
    more: &'o [(u8, String)],
    off: u8,
}

impl RulesAt<'_> {
    /// Why a member of this name and value does not count; `None` if it does.
    #[inline]
    pub(crate) fn leave_out(&self, name: &[u8], value: Node) -> Option<Rule> {
        let length = u32::try_from(name.len()).ok().and_then(|len| 1_u64.checked_shl(len));
        let known = self.lengths & length.unwrap_or(0) != 0;
        // Nearly every member is done with here.
        if !known && !matches!(value, Node::Null) && self.more.is_empty() {
            return None;
        }
        self.look_up(name, value)
    }

    #[inline(never)]
    fn look_up(&self, name: &[u8], value: Node) -> Option<Rule> {
        let rule = self.transport.iter().find(|rule| rule.name.as_bytes() == name);
        if let Some(rule) = rule
            && (rule.fits)(value)
            && self.off & rule.equivalence.bit() == 0
        {
            return Some(Rule::Equivalence(rule.equivalence));
        }
        if matches!(value, Node::Null)
            && self.optional.iter().any(|optional| optional.as_bytes() == name)
        {
            return Some(Rule::Equivalence(Equivalence::NullIsAbsent));
        }
        let more = self.more.iter().any(|(_, more)| more.as_bytes() == name);
        more.then_some(Rule::Option)
    }
}

/// The text of `[{"type":"text","text":…}]`, an array of one item.
fn only_text(tape: &Tape<'_>, content: u32) -> Option<u32> {
    let part = content + 1;
    let Node::Object { len: 2, .. } = tape.node(part) else {
        return None;
    };
    let is_text = tape.string_is(tape.member(part, "type")?, "text");
    let text = tape.member(part, "text")?;
    (is_text && tape.is_string(text)).then_some(text)
}

/// The bits of the equivalences that exist for `kind`: to switch another one off changes nothing.
pub(crate) fn equivalences(kind: EndpointKind) -> u8 {
    let transport = left_out(kind).iter().fold(0, |bits, rule| bits | rule.equivalence.bit());
    let optional = !null_is_absent(kind).is_empty() || !null_is_absent_in_message(kind).is_empty();
    let bit = |equivalence: Equivalence, exists: bool| if exists { equivalence.bit() } else { 0 };
    transport
        | bit(Equivalence::NullIsAbsent, optional)
        | bit(Equivalence::OneTextPart, has_chat_messages(kind))
        | bit(Equivalence::NumberSpelling, true)
        | bit(Equivalence::MemberOrder, true)
}

/// The members that are left out of keys of `kind`, at the top level of the body.
fn left_out(kind: EndpointKind) -> &'static [LeftOut] {
    match kind {
        EndpointKind::ChatCompletions | EndpointKind::Completions | EndpointKind::Responses => {
            &[STREAM, STREAM_OPTIONS, REQUEST_ID]
        }
        EndpointKind::Messages => &[STREAM],
        EndpointKind::Embeddings | EndpointKind::Rerank => &[REQUEST_ID],
        EndpointKind::Generic => &[],
    }
}

/// The members that are left out of an `extra_body` at the top level: a gateway that takes such a
/// member merges it into the body. `stream` is not among them: what answers it is unknown here.
fn left_out_of_extra_body(kind: EndpointKind) -> &'static [LeftOut] {
    match kind {
        EndpointKind::ChatCompletions | EndpointKind::Completions | EndpointKind::Responses => {
            &[STREAM_OPTIONS, REQUEST_ID]
        }
        EndpointKind::Embeddings | EndpointKind::Rerank => &[REQUEST_ID],
        EndpointKind::Messages | EndpointKind::Generic => &[],
    }
}

/// A member that is left out if its value is what the member is documented to be: a value that the
/// provider would refuse counts.
#[derive(Clone, Copy)]
struct LeftOut {
    name: &'static str,
    fits: fn(Node) -> bool,
    equivalence: Equivalence,
}

const STREAM: LeftOut = LeftOut {
    name: "stream",
    fits: |value| matches!(value, Node::True | Node::False | Node::Null),
    equivalence: Equivalence::Stream,
};

const STREAM_OPTIONS: LeftOut = LeftOut {
    name: "stream_options",
    fits: |value| matches!(value, Node::Object { .. } | Node::Null),
    equivalence: Equivalence::StreamOptions,
};

const REQUEST_ID: LeftOut = LeftOut {
    name: "request_id",
    fits: |value| matches!(value, Node::Plain { .. } | Node::Escaped { .. } | Node::Null),
    equivalence: Equivalence::RequestId,
};

/// The top-level members of `kind` for which null means the same as absence.
fn null_is_absent(kind: EndpointKind) -> &'static [&'static str] {
    match kind {
        EndpointKind::ChatCompletions => CHAT_COMPLETIONS,
        EndpointKind::Completions => COMPLETIONS,
        EndpointKind::Responses => RESPONSES,
        EndpointKind::Messages => MESSAGES,
        EndpointKind::Embeddings => &["dimensions", "encoding_format", "user"],
        EndpointKind::Rerank => &["max_tokens_per_doc", "rank_fields", "return_documents", "top_n"],
        EndpointKind::Generic => &[],
    }
}

/// The members of a message for which null means the same as absence.
fn null_is_absent_in_message(kind: EndpointKind) -> &'static [&'static str] {
    match kind {
        EndpointKind::ChatCompletions => {
            &["audio", "content", "function_call", "name", "refusal", "tool_calls"]
        }
        _ => &[],
    }
}

/// Whether `messages` of this kind hold chat messages, whose content may be one string.
fn has_chat_messages(kind: EndpointKind) -> bool {
    matches!(kind, EndpointKind::ChatCompletions | EndpointKind::Messages)
}

const CHAT_COMPLETIONS: &[&str] = &[
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "modalities",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];

const COMPLETIONS: &[&str] = &[
    "best_of",
    "echo",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_tokens",
    "n",
    "presence_penalty",
    "seed",
    "stop",
    "suffix",
    "temperature",
    "top_p",
    "user",
];

const RESPONSES: &[&str] = &[
    "background",
    "conversation",
    "include",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

const MESSAGES: &[&str] = &[
    "metadata",
    "service_tier",
    "stop_sequences",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];
