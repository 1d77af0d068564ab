//! [`Explanation`]: what a key was made of.

use crate::canonical::Writer;
use crate::endpoint::EndpointKind;
use crate::options::{Equivalence, KeyOptions};
use crate::pointer;
use crate::rules::{Place, Rule, Rules};
use crate::sink::{HashSink, Sink};
use crate::tape::{Node, Tape};

/// What went into the key of a request, and what did not and why. Made by
/// [`Request::explain`](crate::Request::explain).
///
/// It holds names and digests, no values: it is safe to log wherever the names of members are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// Whose rules applied.
    pub kind: EndpointKind,
    /// The members of the body that count, sorted by name.
    pub entered: Vec<Entered>,
    /// The members that do not count, at any depth.
    pub left_out: Vec<LeftOut>,
    /// The values that were written as another one that means the same.
    pub rewritten: Vec<Rewritten>,
    /// What counts, by section, in the order of [`Section`]: those that have anything.
    pub sections: Vec<(Section, [u8; 32])>,
}

/// A member of the body that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entered {
    /// Its JSON Pointer (RFC 6901).
    pub pointer: String,
    /// Which section it belongs to. The system messages among `messages` have one of their own.
    pub section: Section,
    /// BLAKE3 of the canonical form of its value.
    pub digest: [u8; 32],
}

/// A member that does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// Its JSON Pointer (RFC 6901).
    pub pointer: String,
    /// What left it out.
    pub rule: Rule,
}

/// A value that counts as another one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rewritten {
    /// Its JSON Pointer (RFC 6901).
    pub pointer: String,
    /// What makes the two equal.
    pub equivalence: Equivalence,
}

/// A part of a request that changes for reasons of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Section {
    /// The model.
    Model,
    /// Tools and functions, and how they are chosen.
    Tools,
    /// The system prompt: `system`, `instructions`, and messages of the roles `system` and
    /// `developer`, each with its place among the messages.
    System,
    /// The other messages, or the prompt, input, query and documents.
    Messages,
    /// Everything else.
    Parameters,
}

impl Section {
    /// All of them, in order.
    const ALL: [Self; 5] =
        [Self::Model, Self::Tools, Self::System, Self::Messages, Self::Parameters];

    /// Its name: `model`, `tools`, `system`, `messages`, `parameters`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Tools => "tools",
            Self::System => "system",
            Self::Messages => "messages",
            Self::Parameters => "parameters",
        }
    }

    /// The section of the member `name` of a body.
    fn of(name: &str) -> Self {
        match name {
            "model" => Self::Model,
            "tools" | "tool_choice" | "parallel_tool_calls" | "functions" | "function_call" => {
                Self::Tools
            }
            "system" | "instructions" => Self::System,
            "messages" | "input" | "prompt" | "query" | "documents" => Self::Messages,
            _ => Self::Parameters,
        }
    }
}

/// As [`Section::as_str`].
impl std::fmt::Display for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Explains the body on `tape`.
pub(crate) fn explain(tape: &Tape<'_>, kind: EndpointKind, options: &KeyOptions) -> Explanation {
    let rules = Rules::new(kind, options);
    let mut explainer = Explainer {
        tape,
        rules,
        made: Explanation {
            kind,
            entered: Vec::new(),
            left_out: Vec::new(),
            rewritten: Vec::new(),
            sections: Vec::new(),
        },
        sections: Section::ALL.map(|_| None),
    };
    explainer.body();
    let sections = Section::ALL.into_iter().zip(explainer.sections);
    explainer.made.sections =
        sections.filter_map(|(section, sink)| Some((section, sink?.finish()))).collect();
    explainer.made
}

struct Explainer<'t> {
    tape: &'t Tape<'t>,
    rules: Rules<'t>,
    made: Explanation,
    /// The digest of each section that has anything, in the making.
    sections: [Option<HashSink>; 5],
}

impl Explainer<'_> {
    fn body(&mut self) {
        let tape = self.tape;
        for &member in tape.members(0) {
            let name = tape.name(member);
            let pointer = pointer::child("", name);
            if self.leaves_out(Place::Body, member, &pointer) {
                continue;
            }
            let section = Section::of(name);
            let digest = digest(|sink| self.writer(sink).body_member(member));
            match self.rules.place_below(tape, member) {
                Some(Place::Message) => self.messages(member, &pointer),
                Some(place) => {
                    for &below in tape.members(member + 1) {
                        let pointer = pointer::child(&pointer, tape.name(below));
                        self.leaves_out(place, below, &pointer);
                    }
                    self.add(section, name, &digest);
                }
                None => self.add(section, name, &digest),
            }
            self.made.entered.push(Entered { pointer, section, digest });
        }
    }

    /// Looks into the messages and deals them out to sections.
    fn messages(&mut self, member: u32, pointer: &str) {
        let tape = self.tape;
        let Node::Array { next, len } = tape.node(member + 1) else { return };
        if len == 0 {
            self.add(Section::Messages, "messages", &[]);
        }
        let mut node = member + 2;
        let mut index = 0_u32;
        while node < next {
            let pointer = pointer::child(pointer, &index.to_string());
            for &below in tape.members(node) {
                let pointer = pointer::child(&pointer, tape.name(below));
                let left_out = self.leaves_out(Place::Message, below, &pointer);
                if !left_out && self.rules.stands_for(tape, below) != below + 1 {
                    let equivalence = Equivalence::OneTextPart;
                    self.made.rewritten.push(Rewritten { pointer, equivalence });
                }
            }
            let role = tape.member(node, "role");
            let system =
                role.is_some_and(|r| tape.string_is(r, "system") || tape.string_is(r, "developer"));
            let section = if system { Section::System } else { Section::Messages };
            let digest = digest(|sink| self.writer(sink).message(node));
            self.add(section, &index.to_string(), &digest);
            node = tape.after(node);
            index += 1;
        }
    }

    /// Whether a member does not count; then it is noted.
    fn leaves_out(&mut self, place: Place, member: u32, pointer: &str) -> bool {
        let rule =
            self.rules.at(place).leave_out(self.tape.bytes(member), self.tape.node(member + 1));
        let pointer = || pointer.to_owned();
        self.made.left_out.extend(rule.map(|rule| LeftOut { pointer: pointer(), rule }));
        rule.is_some()
    }

    fn add(&mut self, section: Section, name: &str, digest: &[u8]) {
        let sink = self.sections[section as usize].get_or_insert_with(HashSink::of_part);
        sink.put_frame(name.as_bytes());
        sink.put_frame(digest);
    }

    fn writer<'s>(&'s self, sink: &'s mut HashSink) -> Writer<'s, HashSink> {
        Writer::new(self.tape, self.rules, sink)
    }
}

fn digest(write: impl FnOnce(&mut HashSink)) -> [u8; 32] {
    let mut sink = HashSink::of_part();
    write(&mut sink);
    sink.finish()
}
