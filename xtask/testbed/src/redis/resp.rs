//! Where a RESP message ends (RESP2 and RESP3): framing only, for replies and for requests.

use std::io;

/// Finds the end of the message at the start of a buffer that grows.
///
/// It goes on where it stopped, so a long reply that comes in small pieces is read once.
#[derive(Debug)]
pub(super) struct Framer {
    /// All before this belongs to the message.
    position: usize,
    /// How many values have to follow.
    pending: u64,
}

impl Framer {
    pub(super) const fn new() -> Self {
        Self { position: 0, pending: 1 }
    }

    /// The length of the first message in `buffer`, or `None` if its end is not there yet. After a
    /// length the framer is ready for the next message, which starts a new buffer.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] if this is not RESP.
    pub(super) fn end(&mut self, buffer: &[u8]) -> io::Result<Option<usize>> {
        while self.pending > 0 {
            let Some((length, children)) = header(&buffer[self.position..])? else {
                return Ok(None);
            };
            self.position += length;
            self.pending = (self.pending - 1).checked_add(children).ok_or_else(not_resp)?;
        }
        let length = self.position;
        *self = Self::new();
        Ok(Some(length))
    }
}

/// Reads one value up to its children: its length, and how many children follow. `None` if it is
/// not there as a whole.
fn header(bytes: &[u8]) -> io::Result<Option<(usize, u64)>> {
    let Some(kind) = bytes.first() else { return Ok(None) };
    if !b"+-:_,#($=!*~>%|".contains(kind) {
        return Err(not_resp());
    }
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
    let (line, length) = (&bytes[1..end], end + 2);
    match kind {
        b'$' | b'=' | b'!' => {
            let Some(body) = count(line)? else { return Ok(Some((length, 0))) };
            let body = usize::try_from(body).map_err(|_| not_resp())?;
            let whole = length.checked_add(body).and_then(|sum| sum.checked_add(2));
            let whole = whole.ok_or_else(not_resp)?;
            Ok((bytes.len() >= whole).then_some((whole, 0)))
        }
        b'*' | b'~' | b'>' => Ok(Some((length, count(line)?.unwrap_or(0)))),
        b'%' => Ok(Some((length, pairs(line)?))),
        // Attributes stand before the value that they describe.
        b'|' => Ok(Some((length, pairs(line)? + 1))),
        _ => Ok(Some((length, 0))),
    }
}

/// A length; `None` is the null of RESP2, `-1`.
fn count(line: &[u8]) -> io::Result<Option<u64>> {
    if line == b"-1" {
        return Ok(None);
    }
    let text = std::str::from_utf8(line).map_err(|_| not_resp())?;
    // Redis itself allows no more than 512 MiB; whoever promises more speaks something else.
    match text.parse::<u64>() {
        Ok(number) if number < 1 << 32 => Ok(Some(number)),
        _ => Err(not_resp()),
    }
}

fn pairs(line: &[u8]) -> io::Result<u64> {
    Ok(2 * count(line)?.unwrap_or(0))
}

fn not_resp() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is not RESP")
}

/// All bulk strings of a message, in order, however deep they lie.
///
/// # Errors
///
/// As [`Framer::end`].
pub(super) fn bulk_strings(message: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let mut strings = Vec::new();
    let mut rest = message;
    while let Some((length, _)) = header(rest)? {
        if rest[0] == b'$' && !rest.starts_with(b"$-1") {
            let line = rest.windows(2).position(|pair| pair == b"\r\n").unwrap_or(0) + 2;
            strings.push(rest[line..length - 2].to_vec());
        }
        rest = &rest[length..];
    }
    Ok(strings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &[&[u8]] = &[
        b"+OK\r\n",
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b":42\r\n",
        b"_\r\n",
        b",1.5\r\n",
        b"#t\r\n",
        b"(349245\r\n",
        b"$5\r\na\r\nbc\r\n",
        b"$0\r\n\r\n",
        b"$-1\r\n",
        b"!5\r\nERR x\r\n",
        b"=7\r\ntxt:abc\r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"*2\r\n*1\r\n$1\r\na\r\n:1\r\n",
        b"~2\r\n+a\r\n+b\r\n",
        b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nv\r\n",
        b"%2\r\n+a\r\n*1\r\n:1\r\n+b\r\n_\r\n",
        b"|1\r\n+ttl\r\n:3\r\n$1\r\nv\r\n",
    ];

    #[test]
    fn every_message_ends_where_it_ends_however_it_comes() {
        for message in MESSAGES {
            let mut framer = Framer::new();
            for length in 0..message.len() {
                assert_eq!(framer.end(&message[..length]).unwrap(), None, "{message:?}");
            }
            assert_eq!(framer.end(message).unwrap(), Some(message.len()), "{message:?}");

            let followed = [message, b"+next\r\n".as_slice()].concat();
            assert_eq!(framer.end(&followed).unwrap(), Some(message.len()), "{message:?}");
        }
    }

    #[test]
    fn what_is_not_resp_is_said_to_be_so() {
        for bytes in
            [b"\x16\x03\x01".as_slice(), b"HTTP/1.1 200 OK\r\n", b"$x\r\n", b"*99999999999\r\n"]
        {
            assert!(Framer::new().end(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn bulk_strings_are_found_at_any_depth() {
        let strings =
            bulk_strings(b"*3\r\n$1\r\na\r\n:1\r\n*2\r\n$-1\r\n$4\r\nb\r\nc\r\n").unwrap();
        assert_eq!(strings, [b"a".to_vec(), b"b\r\nc".to_vec()]);
    }
}
