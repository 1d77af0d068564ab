//! What stands in an entry: the provider's bytes as they came, behind one line about them.
//!
//! The line is a comment in the syntax of event streams, so that the entry of a stream still is what
//! it looks like to people and tools:
//!
//! ```text
//! : cache-llm/2 su- 120,90,-,34,12 stop gpt-4o-2024-08-06
//! ```
//!
//! * `p` or `s`: a plain answer or a stream. `u`: the usage was asked for (`-`: not). `o` or `x`:
//!   obfuscation was asked for or refused (`-`: neither).
//! * The usage: input, cached input, cache writes, output, reasoning; `-` is not known.
//! * The finish reason, `-` if there is none that is one word.
//! * The model that answered, to the end of the line.
//!
//! So a hit tells all this without a look at the answer. Answers of earlier versions stand as they
//! came, and their streams behind `: cache-llm/1 u-`: those are read too, and nothing is known about
//! them. No JSON document begins with a colon, and no entry that begins with another one is ours.

use std::fmt::Write;

use bytes::Bytes;

use crate::response::{StreamOptions, Transport};
use crate::usage::{Summary, Usage};

const MARK: &[u8] = b": cache-llm/2 ";
const MARK_1: &[u8] = b": cache-llm/1 ";
/// The longest finish reason and the longest name of a model that are kept.
const LONGEST: [usize; 2] = [64, 256];
/// The longest line there is: the mark, five numbers, two texts.
const LONGEST_LINE: usize = 512;

/// One entry, read.
pub(crate) struct Stored {
    pub(crate) transport: Transport,
    /// What a stream was asked for.
    pub(crate) options: StreamOptions,
    pub(crate) about: About,
    pub(crate) body: Bytes,
}

/// What a hit tells beside the body.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) usage: Usage,
    finish_reason: Bytes,
    model: Bytes,
}

impl About {
    /// Of embeddings, which do not finish.
    pub(crate) fn of(usage: Usage, model: Option<String>) -> Self {
        let model = model.unwrap_or_default().into();
        Self { usage, model, ..Self::default() }
    }

    pub(crate) fn finish_reason(&self) -> Option<&str> {
        text(&self.finish_reason)
    }

    pub(crate) fn model(&self) -> Option<&str> {
        text(&self.model)
    }
}

fn text(bytes: &Bytes) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

/// The entry of a plain answer, and the answer as a part of it.
pub(crate) fn plain(summary: &Summary, body: &Bytes) -> (Bytes, Bytes) {
    let line = line(Transport::Plain, StreamOptions::default(), summary);
    let head = line.len();
    let entry = Bytes::from([line.as_bytes(), body].concat());
    let body = entry.slice(head..);
    (entry, body)
}

/// The entry of a stream that came in `pieces`.
pub(crate) fn stream(options: StreamOptions, summary: &Summary, pieces: &[Bytes]) -> Bytes {
    let mut entry = line(Transport::Stream, options, summary).into_bytes();
    entry.reserve_exact(pieces.iter().map(Bytes::len).sum());
    for piece in pieces {
        entry.extend_from_slice(piece);
    }
    entry.into()
}

/// The line about an answer.
pub(crate) fn line(transport: Transport, options: StreamOptions, summary: &Summary) -> String {
    let mut line = String::with_capacity(LONGEST_LINE);
    line.push_str(": cache-llm/2 ");
    line.push(match transport {
        Transport::Plain => 'p',
        Transport::Stream => 's',
    });
    line.push(if options.include_usage { 'u' } else { '-' });
    line.push(match options.include_obfuscation {
        None => '-',
        Some(true) => 'o',
        Some(false) => 'x',
    });
    for (at, count) in summary.usage.as_array().into_iter().enumerate() {
        line.push(if at == 0 { ' ' } else { ',' });
        match count {
            Some(count) => write!(line, "{count}").expect("a String takes everything"),
            None => line.push('-'),
        }
    }
    let fits = |text: &&str, longest: usize| {
        !text.is_empty() && text.len() <= longest && !text.contains(char::is_control)
    };
    let [longest_reason, longest_model] = LONGEST;
    let reason = summary.finish_reason.as_deref();
    let reason = reason.filter(|text| fits(text, longest_reason) && !text.contains(' '));
    let model = summary.model.as_deref().filter(|text| fits(text, longest_model));
    for part in [" ", reason.unwrap_or("-"), " ", model.unwrap_or_default(), "\n"] {
        line.push_str(part);
    }
    line
}

/// Reads an entry; `None` if it is not one of ours. Nothing is copied.
pub(crate) fn read(entry: &Bytes) -> Option<Stored> {
    if entry.first() != Some(&b':') {
        return Some(Stored {
            transport: Transport::Plain,
            options: StreamOptions::default(),
            about: About::default(),
            body: entry.clone(),
        });
    }
    if let Some(rest) = entry.strip_prefix(MARK_1) {
        let flags = rest.first_chunk::<3>().filter(|flags| flags[2] == b'\n')?;
        return Some(Stored {
            transport: Transport::Stream,
            options: read_options(flags[0], flags[1])?,
            about: About::default(),
            body: entry.slice(MARK_1.len() + 3..),
        });
    }
    let rest = entry.strip_prefix(MARK)?;
    let end = rest.iter().take(LONGEST_LINE).position(|&byte| byte == b'\n')?;
    let line = &rest[..end];
    let flags = line.first_chunk::<4>().filter(|flags| flags[3] == b' ')?;
    let transport = match flags[0] {
        b'p' => Transport::Plain,
        b's' => Transport::Stream,
        _ => return None,
    };
    let options = read_options(flags[1], flags[2])?;
    let counts_end = 4 + line[4..].iter().position(|&byte| byte == b' ')?;
    let usage = read_usage(&line[4..counts_end])?;
    let reason = counts_end + 1;
    let reason_end = reason + line[reason..].iter().position(|&byte| byte == b' ')?;
    let part = |from: usize, to: usize| entry.slice(MARK.len() + from..MARK.len() + to);
    let finish_reason = match &line[reason..reason_end] {
        b"-" => Bytes::new(),
        _ => part(reason, reason_end),
    };
    Some(Stored {
        transport,
        options,
        about: About { usage, finish_reason, model: part(reason_end + 1, end) },
        body: entry.slice(MARK.len() + end + 1..),
    })
}

fn read_options(usage: u8, obfuscation: u8) -> Option<StreamOptions> {
    let include_usage = match usage {
        b'u' => true,
        b'-' => false,
        _ => return None,
    };
    let include_obfuscation = match obfuscation {
        b'-' => None,
        b'o' => Some(true),
        b'x' => Some(false),
        _ => return None,
    };
    Some(StreamOptions { include_usage, include_obfuscation })
}

fn read_usage(counts: &[u8]) -> Option<Usage> {
    let mut usage = [None; 5];
    let mut parts = counts.split(|&byte| byte == b',');
    for count in &mut usage {
        *count = match parts.next()? {
            b"-" => None,
            digits => Some(read_count(digits)?),
        };
    }
    parts.next().is_none().then(|| Usage::from_array(usage))
}

fn read_count(digits: &[u8]) -> Option<u64> {
    let mut count = (!digits.is_empty()).then_some(0_u64);
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        count = count?.checked_mul(10)?.checked_add(digit.into());
    }
    count
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn summary() -> Summary {
        let usage = [Some(120), Some(0), None, Some(u64::MAX), None];
        let text = |text: &str| Some(text.to_owned());
        Summary {
            usage: Usage::from_array(usage),
            model: text("meta/llama 3"),
            finish_reason: text("stop"),
            other_models: BTreeSet::new(),
        }
    }

    #[test]
    fn what_is_stored_is_read() {
        for include_usage in [false, true] {
            for include_obfuscation in [None, Some(true), Some(false)] {
                let options = StreamOptions { include_usage, include_obfuscation };
                let entry = stream(options, &summary(), &["data: 1\n".into(), "\n".into()]);
                let stored = read(&entry).unwrap();
                assert_eq!((stored.transport, stored.options), (Transport::Stream, options));
                assert_eq!(stored.body, "data: 1\n\n");
                assert_eq!(stored.about.usage, summary().usage);
            }
        }
        let (entry, body) = plain(&summary(), &Bytes::from(" {}"));
        let stored = read(&entry).unwrap();
        assert_eq!(
            (stored.transport, &stored.body, &body),
            (Transport::Plain, &body, &" {}".into())
        );
        assert_eq!(stored.about.model(), Some("meta/llama 3"));
        assert_eq!(stored.about.finish_reason(), Some("stop"));
        assert_eq!(
            entry,
            ": cache-llm/2 p-- 120,0,-,18446744073709551615,- stop meta/llama 3\n {}"
        );
    }

    /// Names come from outside: none can end the line, or make it too long to be read.
    #[test]
    fn names_that_do_not_fit_are_left_out() {
        for (model, reason) in [("a\nb", "a b"), (&*"m".repeat(257), &*"r".repeat(65)), ("", "")] {
            let texts = (Some(model.to_owned()), Some(reason.to_owned()));
            let summary = Summary { model: texts.0, finish_reason: texts.1, ..Summary::default() };
            let stored = read(&plain(&summary, &Bytes::from("{}")).0).unwrap();
            assert_eq!((stored.about.model(), stored.about.finish_reason()), (None, None));
            assert_eq!(stored.body, "{}");
        }
        let (model, reason) = ("m".repeat(256), "r".repeat(64));
        let usage = Usage::from_array([Some(u64::MAX); 5]);
        let texts = (Some(model), Some(reason));
        let summary =
            Summary { usage, model: texts.0, finish_reason: texts.1, ..Summary::default() };
        assert_eq!(read(&plain(&summary, &Bytes::from("{}")).0).unwrap().body, "{}");
    }

    /// F64: what another program wrote, or another version, is not taken for an answer.
    #[test]
    fn foreign_entries_are_not_read() {
        for entry in [
            ": x\n",
            ": cache-llm/1 u",
            ": cache-llm/1 uu\n",
            ": cache-llm/3 p-- -,-,-,-,- - m\n{}",
            ": cache-llm/2 q-- -,-,-,-,- - m\n{}",
            ": cache-llm/2 p-- -,-,-,- - m\n{}",
            ": cache-llm/2 p-- -,-,-,-,-,- - m\n{}",
            ": cache-llm/2 p-- -,-,-,-,18446744073709551616 - m\n{}",
            ": cache-llm/2 p-- -,-,-,-,- - m",
            ": cache-llm/2 p-- -,-,-,-,-\n{}",
            ":",
        ] {
            assert!(read(&Bytes::from(entry)).is_none(), "{entry}");
        }
    }

    /// Answers of version 0.1 before this line are read as they stand.
    #[test]
    fn earlier_entries_are_read() {
        let stored = read(&Bytes::from("{\"a\":1}")).unwrap();
        assert_eq!((stored.transport, &stored.body[..]), (Transport::Plain, &b"{\"a\":1}"[..]));
        let stored = read(&Bytes::from(": cache-llm/1 u-\ndata: 1\n\n")).unwrap();
        assert_eq!((stored.transport, &stored.body[..]), (Transport::Stream, &b"data: 1\n\n"[..]));
        assert!(stored.options.include_usage && stored.about.model().is_none());
    }
}
