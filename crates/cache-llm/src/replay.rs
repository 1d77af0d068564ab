//! [`Replay`]: a recorded stream, given out again event by event.

use bytes::Bytes;

/// Cuts a recorded event stream at its event bounds, without copying.
///
/// The pieces together are exactly the recorded bytes; each ends with the blank line that ends an
/// event, the last one with whatever came after it.
///
/// ```
/// use cache_llm::Replay;
///
/// let pieces: Vec<_> = Replay::new("data: 1\n\ndata: 2\n\n".into()).collect();
/// assert_eq!(pieces, ["data: 1\n\n", "data: 2\n\n"]);
/// ```
#[derive(Clone, Debug)]
pub struct Replay {
    rest: Bytes,
}

impl Replay {
    /// Replays `recorded` from its start.
    pub fn new(recorded: Bytes) -> Self {
        Self { rest: recorded }
    }
}

impl Iterator for Replay {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.rest.is_empty() {
            return None;
        }
        let end = first_event_end(&self.rest);
        Some(self.rest.split_to(end))
    }
}

/// Where the first blank line that follows another line ends; the length if there is none.
fn first_event_end(bytes: &[u8]) -> usize {
    let mut at = 0;
    let mut in_event = false;
    while let Some(length) = bytes[at..].iter().position(|&byte| byte == b'\n' || byte == b'\r') {
        let line_end = at + length;
        at = line_end + 1;
        if bytes[line_end] == b'\r' && bytes.get(at) == Some(&b'\n') {
            at += 1;
        }
        if length > 0 {
            in_event = true;
        } else if in_event {
            return at;
        }
    }
    bytes.len()
}
