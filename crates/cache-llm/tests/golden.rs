//! Requests, answers and streams as the API references have them, for each dialect, in
//! `tests/golden`: what is to be stored is, and each answer is the same in both transports.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod values;

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use cache_llm::transcode::{NotTranscodable, to_plain, to_stream};
use cache_llm::{
    Asked, EndpointKind, KeyScope, Plan, Request, RequestPolicy, ResponsePolicy, StreamOptions,
    Tenant, Transport,
};
use values::value;

struct Case {
    name: String,
    kind: EndpointKind,
    folder: PathBuf,
}

impl Case {
    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file))
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    fn plan(&self, body: &str) -> Plan {
        let request = Request::parse(self.kind, body.as_bytes()).unwrap();
        RequestPolicy::default().plan(&request, &KeyScope::new(Tenant::Shared)).unwrap()
    }

    /// What is asked for, as a stream.
    fn asked(&self) -> Asked {
        let plan = self.plan(&self.read("request.json"));
        assert_eq!(plan.transport(), Transport::Stream, "{}", self.name);
        *plan.asked()
    }
}

/// The cases that have `file`.
fn cases(file: &str) -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases = Vec::new();
    for (dialect, kind) in [
        ("chat", EndpointKind::ChatCompletions),
        ("completions", EndpointKind::Completions),
        ("responses", EndpointKind::Responses),
        ("messages", EndpointKind::Messages),
    ] {
        for entry in fs::read_dir(root.join(dialect)).unwrap() {
            let folder = entry.unwrap().path();
            if folder.join(file).exists() {
                let name = format!("{dialect}/{}", folder.file_name().unwrap().display());
                cases.push(Case { name, kind, folder });
            }
        }
    }
    assert!(cases.len() > 5, "the cases are there");
    cases
}

fn policy() -> ResponsePolicy {
    ResponsePolicy::default().store_refusals(true)
}

/// A50: both transports of one answer are stored, under one key.
#[test]
fn good_answers_are_stored() {
    for case in cases("plain.json") {
        let asked = case.asked();
        let stream = case.read("stream.sse");
        assert_eq!(policy().judge(&asked, stream.as_bytes()), Ok(()), "{}", case.name);
        let plain = case.read("plain.json");
        let asked = Asked { transport: Transport::Plain, ..asked };
        assert_eq!(policy().judge(&asked, plain.as_bytes()), Ok(()), "{}", case.name);
        let request = case.read("request.json");
        let plainly = request.replace("\"stream\":true", "\"stream\":false");
        assert_eq!(case.plan(&request).key(), case.plan(&plainly).key(), "{}", case.name);
    }
}

/// A50, A52, A60: the stream of an answer assembled is the plain answer, down to the spelling of its
/// numbers.
#[test]
fn streams_assemble_to_the_plain_answer() {
    for case in cases("plain.json") {
        let kind = case.asked().kind;
        let expected = value(case.read("plain.json"));
        let stream = case.read("stream.sse");
        // Whatever ends its lines, and whatever stands between its events.
        for stream in [
            stream.clone(),
            stream.replace('\n', "\r\n"),
            stream.replace('\n', "\r"),
            format!("\u{feff}{}", stream.replace("\n\n", "\n\n: keep-alive\n\n")),
            stream.replace("data: ", "data:"),
        ] {
            let plain = to_plain(kind, stream.as_bytes());
            let plain = plain.unwrap_or_else(|error| panic!("{}: {error}", case.name));
            assert_eq!(value(plain), expected, "{}", case.name);
        }
    }
}

/// A50, A52, A60: a plain answer made into a stream, in pieces of any size, is judged as good and
/// assembles to the same answer.
#[test]
fn plain_answers_survive_being_streamed() {
    let options = StreamOptions { include_usage: true, ..StreamOptions::default() };
    for case in cases("plain.json") {
        let plain = case.read("plain.json");
        let asked = case.asked();
        for piece in [1, 2, 3, 7, 16, 100, usize::MAX] {
            let stream =
                to_stream(asked.kind, plain.as_bytes(), options, piece.try_into().unwrap());
            let stream = stream.unwrap_or_else(|error| panic!("{}: {error}", case.name));
            let again = to_plain(asked.kind, &stream).unwrap();
            assert_eq!(value(again), value(&plain), "{}, in {piece}", case.name);
            assert_eq!(policy().judge(&asked, &stream), Ok(()), "{}, in {piece}", case.name);
        }
    }
}

/// A55, F11: a stream that failed, was cut or filtered is not stored, with its reason, wherever its
/// pieces end.
#[test]
fn bad_streams_are_not_stored() {
    for case in cases("reason.txt") {
        let asked = case.asked();
        let stream = case.read("stream.sse");
        let reason = case.read("reason.txt");
        for size in [1, 10, 1000] {
            let pieces: Vec<_> =
                stream.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
            let judged = ResponsePolicy::default().judge_recorded(&asked, &pieces);
            assert_eq!(judged.unwrap_err().label(), reason.trim(), "{}", case.name);
        }
    }
}

/// F11: no part of a stream makes a plain answer.
#[test]
fn no_part_is_taken_for_the_whole() {
    for case in cases("plain.json") {
        let kind = case.asked().kind;
        let stream = case.read("stream.sse");
        for end in
            (0..stream.trim_end().len()).step_by(5).filter(|&end| stream.is_char_boundary(end))
        {
            let part = to_plain(kind, &stream.as_bytes()[..end]);
            assert!(
                matches!(part, Err(NotTranscodable::Cut | NotTranscodable::NotJson)),
                "{}: {part:?} of {end} bytes",
                case.name
            );
        }
    }
}

/// A stream without any one of its events is another answer, or none: nothing is left out unseen.
/// (Pings, and what responses tell twice, are no answer.)
#[test]
fn every_event_counts() {
    for case in cases("plain.json") {
        let kind = case.asked().kind;
        if case.kind == EndpointKind::Responses {
            continue; // the terminal event tells all again
        }
        let stream = case.read("stream.sse");
        let whole = value(to_plain(kind, stream.as_bytes()).unwrap());
        let events: Vec<_> = stream.split_inclusive("\n\n").collect();
        for left_out in 0..events.len() {
            // A role is known without being said, and so is an input of which nothing came.
            let nothing =
                ["\"ping\"", "\"partial_json\":\"\"", "\"role\":\"assistant\",\"content\""];
            if nothing.iter().any(|nothing| events[left_out].contains(nothing)) {
                continue;
            }
            let mut rest = events.clone();
            let event = rest.remove(left_out);
            let part = to_plain(kind, rest.concat().as_bytes()).map(value);
            assert_ne!(part, Ok(whole.clone()), "{}: {event}", case.name);
        }
    }
}
