//! What stands in an entry: the provider's bytes as they came, and of a stream what its request had
//! asked for.
//!
//! A plain answer is stored as it is. A stream stands behind one line, which is a comment in its own
//! syntax, so that an entry still is what it looks like to people and tools:
//!
//! ```text
//! : cache-llm/1 u-
//! ```
//!
//! `u` says that the usage was asked for (`-`: not), then `o` or `x` that obfuscation was asked for
//! or refused (`-`: neither). No JSON document begins with a colon, and no entry that begins with
//! another one is ours.

use bytes::Bytes;

use crate::response::{StreamOptions, Transport};

const MARK: &[u8] = b": cache-llm/1 ";
/// Two flags and a line end.
const HEAD: usize = MARK.len() + 3;

/// One entry, read.
pub(crate) struct Stored {
    pub(crate) transport: Transport,
    /// What a stream was asked for.
    pub(crate) options: StreamOptions,
    pub(crate) body: Bytes,
}

/// The entry of a stream that came in `pieces`.
pub(crate) fn stream(options: StreamOptions, pieces: &[Bytes]) -> Bytes {
    let mut entry = Vec::with_capacity(HEAD + pieces.iter().map(Bytes::len).sum::<usize>());
    entry.extend_from_slice(MARK);
    entry.push(if options.include_usage { b'u' } else { b'-' });
    entry.push(match options.include_obfuscation {
        None => b'-',
        Some(true) => b'o',
        Some(false) => b'x',
    });
    entry.push(b'\n');
    for piece in pieces {
        entry.extend_from_slice(piece);
    }
    entry.into()
}

/// Reads an entry; `None` if it is not one of ours. Nothing is copied.
pub(crate) fn read(entry: &Bytes) -> Option<Stored> {
    if entry.first() != Some(&b':') {
        let options = StreamOptions::default();
        return Some(Stored { transport: Transport::Plain, options, body: entry.clone() });
    }
    let flags = entry.strip_prefix(MARK)?.first_chunk::<3>()?;
    let include_usage = match flags[0] {
        b'u' => true,
        b'-' => false,
        _ => return None,
    };
    let include_obfuscation = match flags[1] {
        b'-' => None,
        b'o' => Some(true),
        b'x' => Some(false),
        _ => return None,
    };
    let options = StreamOptions { include_usage, include_obfuscation };
    (flags[2] == b'\n').then(|| Stored {
        transport: Transport::Stream,
        options,
        body: entry.slice(HEAD..),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read() {
        for include_usage in [false, true] {
            for include_obfuscation in [None, Some(true), Some(false)] {
                let options = StreamOptions { include_usage, include_obfuscation };
                let entry = stream(options, &["data: 1\n".into(), "\n".into()]);
                let stored = read(&entry).unwrap();
                assert_eq!((stored.transport, stored.options), (Transport::Stream, options));
                assert_eq!(stored.body, "data: 1\n\n");
            }
        }
        let plain = Bytes::from(" {}");
        let stored = read(&plain).unwrap();
        assert_eq!((stored.transport, stored.body), (Transport::Plain, plain));
    }

    /// F64: what another program wrote, or another version, is not taken for a stream.
    #[test]
    fn foreign_entries_are_not_read() {
        for entry in [": x\n", ": cache-llm/1 u", ": cache-llm/1 uu\n", ": cache-llm/2 u-\n", ":"] {
            assert!(read(&Bytes::from(entry)).is_none(), "{entry}");
        }
    }
}
