//! [`SseParser`]: Server-Sent Events out of bytes that arrive in any pieces.

use std::fmt;

/// An incremental parser of event streams, by the rules of the
/// [WHATWG HTML standard, 9.2.6](https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation).
///
/// Lines end with LF, CRLF or CR, and the pieces may be cut anywhere: inside a line end, inside a
/// UTF-8 sequence, inside the byte order mark. The same bytes give the same events however they are
/// cut. Each byte is looked at once, and the data of an event that arrives in one piece is handed
/// out where it lies, without a copy.
///
/// What the parser holds between two pieces is bounded by the limit *per event*: an event beyond it
/// is reported as [`EventTooLarge`] where it ends, and the next one is parsed as if nothing had been.
/// Comments do not count. An event that the stream does not finish with a blank line is dropped, as
/// the standard says.
///
/// ```
/// use cache_llm::sse::SseParser;
///
/// let mut parser = SseParser::new(1024);
/// let mut seen = Vec::new();
/// for piece in [&b"data: {\"a\":"[..], b"1}\r\n\r", b"\ndata: [DONE]\n\n"] {
///     parser.push(piece, |event| seen.push(event.expect("small events").data.to_vec()));
/// }
/// assert_eq!(seen, [&b"{\"a\":1}"[..], b"[DONE]"]);
/// ```
#[derive(Debug)]
pub struct SseParser {
    /// The most bytes that the lines of one event may have.
    limit: usize,
    /// How many bytes of the byte order mark were seen; all of them once that is decided.
    bom: usize,
    /// The last byte was a CR: an LF right after it belongs to it.
    after_cr: bool,
    /// The part of the current line that came in earlier pieces.
    line: Vec<u8>,
    /// The rest of the current line is of no interest: a comment, or beyond the limit.
    skipping: bool,
    /// The event so far.
    event: Pending,
}

/// One event as it was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The value of the last `event` field; empty means `message`.
    pub name: &'a [u8],
    /// The values of the `data` fields, joined with LF. Meant to be UTF-8, not checked here.
    pub data: &'a [u8],
}

/// Prompts and answers stay out of logs, so only lengths are shown.
impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("data_bytes", &self.data.len()).finish_non_exhaustive()
    }
}

/// One event had more bytes than the parser accepts; those after it are not affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream has more than {limit} bytes")]
pub struct EventTooLarge {
    /// The limit, in bytes.
    pub limit: usize,
}

/// An event whose end was not seen yet.
#[derive(Debug, Default)]
struct Pending {
    name: Vec<u8>,
    /// The data, unless it is a single line that still lies in the piece being parsed.
    data: Vec<u8>,
    data_lines: usize,
    /// Bytes of the complete lines so far, comments apart.
    size: usize,
    too_large: bool,
}

const BOM: &[u8] = "\u{feff}".as_bytes();

impl SseParser {
    /// A parser that accepts events of up to `max_event_bytes`, counted without line ends.
    pub fn new(max_event_bytes: usize) -> Self {
        Self {
            limit: max_event_bytes,
            bom: 0,
            after_cr: false,
            line: Vec::new(),
            skipping: false,
            event: Pending::default(),
        }
    }

    /// The same in the middle of a stream, where a byte order mark is none but part of a line.
    pub(crate) fn inside(max_event_bytes: usize) -> Self {
        Self { bom: BOM.len(), ..Self::new(max_event_bytes) }
    }

    /// Parses the next piece and calls `on_event` for each event that ends in it.
    pub fn push(
        &mut self,
        piece: &[u8],
        mut on_event: impl FnMut(Result<Event<'_>, EventTooLarge>),
    ) {
        let mut rest = self.skip_bom(piece);
        // The data of the event while it is one line that lies in this piece.
        let mut held: Option<&[u8]> = None;
        loop {
            if self.after_cr && !rest.is_empty() {
                self.after_cr = false;
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else {
                break;
            };
            let part = &rest[..end];
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];

            if self.line.is_empty() && !self.skipping {
                if part.is_empty() {
                    self.dispatch(held.take(), &mut on_event);
                } else if let Some(value) = self.event.field(part, self.limit) {
                    self.event.data_lines += 1;
                    if self.event.data_lines == 1 {
                        held = Some(value);
                    } else {
                        self.event.spill(held.take());
                        self.event.append(value);
                    }
                }
                continue;
            }
            self.keep(part);
            if !std::mem::take(&mut self.skipping) {
                let mut line = std::mem::take(&mut self.line);
                if let Some(value) = self.event.field(&line, self.limit) {
                    self.event.data_lines += 1;
                    self.event.spill(held.take());
                    self.event.append(value);
                }
                line.clear();
                self.line = line; // keeps its allocation
            }
        }
        self.keep(rest);
        self.event.spill(held);
    }

    /// Keeps part of a line whose end is in a later piece.
    fn keep(&mut self, part: &[u8]) {
        if part.is_empty() || self.skipping {
            return;
        }
        if self.line.is_empty() && part[0] == b':' {
            self.skipping = true;
        } else if self.event.too_large
            || self.event.size + self.line.len() + part.len() > self.limit
        {
            self.event.give_up();
            self.line.clear();
            self.skipping = true;
        } else {
            self.line.extend_from_slice(part);
        }
    }

    fn dispatch(
        &mut self,
        held: Option<&[u8]>,
        on_event: &mut impl FnMut(Result<Event<'_>, EventTooLarge>),
    ) {
        let event = &mut self.event;
        if event.too_large {
            on_event(Err(EventTooLarge { limit: self.limit }));
        } else if event.data_lines > 0 {
            on_event(Ok(Event { name: &event.name, data: held.unwrap_or(&event.data) }));
        }
        event.name.clear();
        event.data.clear();
        event.data_lines = 0;
        event.size = 0;
        event.too_large = false;
    }

    /// Drops the byte order mark that a stream may begin with.
    fn skip_bom<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
        let mut rest = piece;
        while self.bom < BOM.len() {
            match rest.split_first() {
                None => break,
                Some((&byte, tail)) if byte == BOM[self.bom] => {
                    self.bom += 1;
                    rest = tail;
                }
                Some(_) => {
                    let seen = std::mem::replace(&mut self.bom, BOM.len());
                    self.keep(&BOM[..seen]);
                }
            }
        }
        rest
    }
}

impl Pending {
    /// Takes one complete line that is not blank; returns the value if it is a `data` field.
    fn field<'l>(&mut self, line: &'l [u8], limit: usize) -> Option<&'l [u8]> {
        if line[0] == b':' {
            return None;
        }
        self.size = self.size.saturating_add(line.len());
        if self.too_large || self.size > limit {
            self.give_up();
            return None;
        }
        let (field, value) = match line.iter().position(|&byte| byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => Some(value),
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
                None
            }
            _ => None, // `id` and `retry` are for reconnecting clients; the rest is to be ignored
        }
    }

    /// Takes over the single line that was left in its piece so far.
    fn spill(&mut self, held: Option<&[u8]>) {
        if let Some(line) = held
            && !self.too_large
        {
            self.data.extend_from_slice(line);
        }
    }

    fn append(&mut self, value: &[u8]) {
        if self.data_lines > 1 {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
    }

    /// Keeps nothing of this event but that it was too large.
    fn give_up(&mut self) {
        self.too_large = true;
        self.name.clear();
        self.data.clear();
    }
}
