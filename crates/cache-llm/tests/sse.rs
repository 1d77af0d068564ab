//! The event-stream parser against the rules of the standard, and against itself cut differently.

use cache_llm::Replay;
use cache_llm::sse::SseParser;
use proptest::prelude::*;

/// What a parser reports, owned: name and data of each event, or that it was too large.
type Seen = Vec<Option<(Vec<u8>, Vec<u8>)>>;

fn parse<'a>(limit: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let mut parser = SseParser::new(limit);
    let mut seen = Vec::new();
    for piece in pieces {
        parser.push(piece, |event| {
            seen.push(event.ok().map(|event| (event.name.to_vec(), event.data.to_vec())));
        });
    }
    seen
}

fn whole(stream: &str) -> Vec<(String, String)> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    parse(1024, [stream.as_bytes()])
        .into_iter()
        .map(|event| event.map(|(name, data)| (text(name), text(data))).expect("within the limit"))
        .collect()
}

fn data(stream: &str) -> Vec<String> {
    whole(stream).into_iter().map(|(_, data)| data).collect()
}

/// A98: each kind of line end, also mixed.
#[test]
fn all_line_ends() {
    for end in ["\n", "\r\n", "\r"] {
        let stream = "data: 1\n\ndata: 2\ndata: 3\n\n".replace('\n', end);
        assert_eq!(data(&stream), ["1", "2\n3"], "{end:?}");
    }
    assert_eq!(data("data: 1\r\ndata: 2\r\r\ndata: 3\n\n"), ["1\n2", "3"]);
}

/// The examples of the standard (9.2.6), and its rules one by one.
#[test]
fn rules_of_the_standard() {
    assert_eq!(data("data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
    assert_eq!(
        data(
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third\n\n"
        ),
        ["first event", "second event", " third"],
    );
    assert_eq!(data("data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
    assert_eq!(data("data:test\n\ndata: test\n\n"), ["test", "test"]);
    assert_eq!(data("\u{feff}data: 1\n\n"), ["1"], "one byte order mark is dropped");
    assert_eq!(data("\u{feff}\u{feff}data: 1\n\ndata: 2\n\n"), ["2"], "and only one");
    assert_eq!(data("data: 1\n\ndata: unfinished\n"), ["1"]);
    assert_eq!(data("event: x\n\nretry: 5\n\n"), [""; 0], "no data, no event");
    assert_eq!(data("Data: 1\n data: 2\nfoo: 3\n\n"), [""; 0], "unknown fields");
    let named = |name: &str, data: &str| (name.to_owned(), data.to_owned());
    assert_eq!(
        whole("event: a\nevent: b\ndata: 1\n\ndata: 2\n\n"),
        [named("b", "1"), named("", "2")],
    );
}

/// A98: over the limit is an error of that event alone.
#[test]
fn too_large_is_one_error_and_the_stream_goes_on() {
    let long = "x".repeat(100);
    let stream =
        format!("data: 1\n\ndata: {long}\n\ndata: 2\n\nid: {long}\ndata: 3\n\n: {long}\n\n");
    let bytes = stream.as_bytes();
    let kinds = |seen: Seen| seen.iter().map(Option::is_some).collect::<Vec<_>>();
    for size in [1, 7, bytes.len()] {
        let seen = parse(50, bytes.chunks(size));
        assert_eq!(kinds(seen), [true, false, true, false], "in pieces of {size}");
    }
}

/// A98: many short lines are summed up too.
#[test]
fn limit_is_per_event_not_per_line() {
    let lines = "data: 12345\n".repeat(10) + "\n";
    assert_eq!(parse(110, [lines.as_bytes()]).iter().flatten().count(), 1);
    assert_eq!(parse(109, [lines.as_bytes()]), [None]);
}

/// F33: no line however long makes it look at bytes twice. (Quadratic work on 8 MB in single bytes
/// would take hours.)
#[test]
fn linear_in_single_bytes() {
    let mut stream = vec![b'x'; 8 << 20];
    stream[..5].copy_from_slice(b"data:");
    stream.extend_from_slice(b"\n\n");
    let seen = parse(16 << 20, stream.chunks(1));
    assert_eq!(seen[0].as_ref().unwrap().1.len(), (8 << 20) - 5);
}

/// Lines as streams have them, and such as they should not have.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("data: {\"a\":\"é 漢 🦀\"}".to_owned()),
        Just("data:x".to_owned()),
        Just("data: [DONE]".to_owned()),
        Just("data".to_owned()),
        Just(": comment".to_owned()),
        Just(":".to_owned()),
        Just("event: error".to_owned()),
        Just("id: 7".to_owned()),
        Just(String::new()),
        Just(String::new()),
        "\\PC{0,40}",
        "data: \\PC{0,40}",
    ];
    let end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    let lines = proptest::collection::vec((line, end), 0..30);
    (any::<bool>(), lines).prop_map(|(bom, lines)| {
        let mut stream = if bom { "\u{feff}".to_owned() } else { String::new() };
        for (line, end) in lines {
            stream.push_str(&line);
            stream.push_str(end);
        }
        stream.into_bytes()
    })
}

fn cut<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    /// A97, A98: any cutting, inside UTF-8 and CRLF too, gives the same events and errors.
    #[test]
    fn any_cutting_gives_the_same_events(
        stream in stream(),
        cuts in proptest::collection::vec(any::<usize>(), 0..20),
        limit in 0_usize..120,
    ) {
        let expected = parse(limit, [&stream[..]]);
        prop_assert_eq!(&parse(limit, cut(&stream, &cuts)), &expected);
        prop_assert_eq!(&parse(limit, stream.chunks(1)), &expected);
    }

    /// The parser against the plainest reading of the standard: split into lines, then go through
    /// them.
    #[test]
    fn agrees_with_a_plain_model(stream in stream()) {
        prop_assert_eq!(parse(usize::MAX, [&stream[..]]), model(&stream));
    }

    /// A50: a replay is the recorded bytes, cut at event bounds: each piece alone gives its events.
    #[test]
    fn replay_is_the_recording(stream in stream()) {
        let pieces: Vec<_> = Replay::new(stream.clone().into()).collect();
        prop_assert_eq!(pieces.concat(), &stream[..]);
        let mut events = Seen::new();
        for (index, piece) in pieces.iter().enumerate() {
            prop_assert!(!piece.is_empty());
            let first = if index == 0 { &piece[..] } else { &[b"\n", &piece[..]].concat()[..] };
            let seen = parse(usize::MAX, [first]);
            prop_assert!(seen.len() <= 1);
            events.extend(seen);
        }
        prop_assert_eq!(events, parse(usize::MAX, [&stream[..]]));
    }
}

fn model(stream: &[u8]) -> Seen {
    let text = String::from_utf8(stream.to_vec()).expect("streams are made of text");
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let (mut seen, mut name, mut data) = (Seen::new(), String::new(), String::new());
    let Some((complete, _)) = text.rsplit_once('\n') else {
        return seen;
    };
    for line in complete.split('\n') {
        if line.is_empty() {
            if let Some(data) = data.strip_suffix('\n') {
                seen.push(Some((name.clone().into_bytes(), data.as_bytes().to_vec())));
            }
            name.clear();
            data.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut name),
            "data" => data = data + value + "\n",
            _ => {}
        }
    }
    seen
}
