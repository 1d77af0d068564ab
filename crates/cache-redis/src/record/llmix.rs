//! The payload of llmix's response cache: `{"data": "...", "cached_at": 1767225600.25}`.
//!
//! As llmix-rs 2.1.0 has it: `data` is the text of the answer, `cached_at` a number of seconds since
//! the Unix epoch, with a fraction. Older writers called it `cachedAt` or counted milliseconds.
//! Members beyond these are ignored.

use std::borrow::Cow;

use bytes::Bytes;
use cache_core::{CodecId, Payload, Timestamp};
use serde::{Deserialize, Serialize};

use super::{MAX_PAYLOAD, Undecodable, Unencodable};

/// Moments that may have been meant, in seconds: from September 2001 to November 2286.
const SECONDS: std::ops::RangeInclusive<f64> = 1e9..=1e10;
/// The same moments in milliseconds. No number is in both.
const MILLIS: std::ops::RangeInclusive<f64> = 1e12..=1e13;

/// What llmix stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) text: Bytes,
    /// By the clock of whoever wrote it, if they said.
    pub(crate) cached_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(default, alias = "cachedAt")]
    cached_at: Option<f64>,
}

#[derive(Serialize)]
struct Written<'a> {
    data: &'a str,
    cached_at: f64,
}

/// Reads a payload. A text without escapes is not copied.
pub(crate) fn decode(found: &Bytes) -> Result<Answer, Undecodable> {
    if found.len() > MAX_PAYLOAD {
        return Err(Undecodable::NotLlmix);
    }
    let read: Found<'_> = serde_json::from_slice(found).map_err(|_| Undecodable::NotLlmix)?;
    let cached_at = match read.cached_at {
        Some(number) => Some(moment(number).ok_or(Undecodable::NotLlmix)?),
        None => None,
    };
    let text = match read.data {
        Cow::Borrowed(text) => found.slice_ref(text.as_bytes()),
        Cow::Owned(text) => Bytes::from(text),
    };
    Ok(Answer { text, cached_at })
}

/// A28: seconds or milliseconds, which no moment that may be meant can confuse.
fn moment(number: f64) -> Option<Timestamp> {
    let millis = if SECONDS.contains(&number) {
        number * 1e3
    } else if MILLIS.contains(&number) {
        number
    } else {
        return None; // zero, negative, microseconds, not a number: nobody meant a time by it
    };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive and below 2^53"
    )]
    Some(Timestamp::from_unix_millis(millis.round() as u64))
}

/// The payload of a text that was stored at this moment.
///
/// # Errors
///
/// [`Unencodable::NotLlmix`] if it is not text, or the moment none that a reader would believe.
pub(crate) fn encode(value: &Payload, stored_at: Timestamp) -> Result<Vec<u8>, Unencodable> {
    if value.codec != CodecId::RAW {
        return Err(Unencodable::NotLlmix("texts as they are, and no encoded values"));
    }
    let data = std::str::from_utf8(&value.bytes)
        .map_err(|_| Unencodable::NotLlmix("texts, which these bytes are not"))?;
    #[allow(clippy::cast_precision_loss, reason = "checked: exact below 2^53")]
    let cached_at = stored_at.as_unix_millis() as f64 / 1e3;
    if !SECONDS.contains(&cached_at) {
        return Err(Unencodable::NotLlmix("moments from 2001 to 2286"));
    }
    let written = serde_json::to_vec(&Written { data, cached_at }).unwrap_or_default();
    if written.len() > MAX_PAYLOAD || written.is_empty() {
        return Err(Unencodable::TooLong);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Timestamp = Timestamp::from_unix_millis(1_767_225_600_250);

    fn read(json: &str) -> Result<Answer, Undecodable> {
        decode(&Bytes::copy_from_slice(json.as_bytes()))
    }

    fn raw(bytes: &'static [u8]) -> Payload {
        Payload { codec: CodecId::RAW, bytes: Bytes::from_static(bytes) }
    }

    fn answer(text: &'static str, cached_at: Option<Timestamp>) -> Answer {
        Answer { text: Bytes::from_static(text.as_bytes()), cached_at }
    }

    /// A28: what llmix wrote in any of its versions is read; `llmix-rs.json` is what 2.1.0 left in a
    /// Redis.
    #[test]
    fn kept_answers_are_read() {
        macro_rules! kept {
            ($name:literal) => {
                include_str!(concat!("../../tests/entries/llmix/", $name))
            };
        }
        let text = "Grüße, \"Welt\"\n👋";
        let whole = Timestamp::from_unix_millis(1_767_225_600_000);
        for (name, json, at) in [
            ("seconds", kept!("seconds.json"), Some(whole)),
            ("fraction", kept!("fraction.json"), Some(MOMENT)),
            ("millis", kept!("millis.json"), Some(MOMENT)),
            ("camel", kept!("camel.json"), Some(MOMENT)),
            ("camel seconds", kept!("camel-seconds.json"), Some(whole)),
            ("missing", kept!("missing.json"), None),
            ("null", kept!("null.json"), None),
            ("more members", kept!("more.json"), Some(whole)),
        ] {
            assert_eq!(read(json.trim_end()), Ok(answer(text, at)), "{name}");
        }
        let theirs = read(kept!("llmix-rs.json")).unwrap();
        assert_eq!(theirs.text, text);
        assert!(theirs.cached_at > Some(whole));
    }

    /// A28: what is no time of an answer is a miss, and so is what is no answer.
    #[test]
    fn absurd_answers_are_refused() {
        for number in [
            "0",
            "-1767225600",
            "1",
            "1e300",
            "1e999",
            "-0.0",
            "999999999",
            "10000000001",
            "100000000000",
            "1767225600000000",
            "\"1767225600\"",
            "true",
            "[]",
            "NaN",
        ] {
            let json = format!(r#"{{"data":"x","cached_at":{number}}}"#);
            assert_eq!(read(&json), Err(Undecodable::NotLlmix), "{json}");
        }
        for json in [
            "",
            "{}",
            "null",
            "[]",
            "\"x\"",
            r#"{"cached_at":1767225600}"#,
            r#"{"data":null,"cached_at":1767225600}"#,
            r#"{"data":{},"cached_at":1767225600}"#,
            r#"{"data":"x","cached_at":1767225600"#,
            r#"{"data":"x","cached_at":1767225600}}"#,
            r#"{"data":"x","cached_at":1767225600,"cachedAt":1767225600}"#,
            r#"{"data":"x","data":"y","cached_at":1767225600}"#,
            r#"{"data":"\ud800","cached_at":1767225600}"#,
        ] {
            assert_eq!(read(json), Err(Undecodable::NotLlmix), "{json}");
        }
        let not_text = Bytes::from_static(b"{\"data\":\"\xFF\",\"cached_at\":1767225600}");
        assert_eq!(decode(&not_text), Err(Undecodable::NotLlmix));
    }

    #[test]
    fn what_is_written_is_read() {
        for text in [&b"hello"[..], b"", "Grüße, \"Welt\"\n👋\0".as_bytes()] {
            let written = encode(&raw(text), MOMENT).unwrap();
            let read = decode(&Bytes::from(written)).unwrap();
            assert_eq!(read, Answer { text: Bytes::from_static(text), cached_at: Some(MOMENT) });
        }
        let written = encode(&raw(b"x"), MOMENT).unwrap();
        assert_eq!(written, br#"{"data":"x","cached_at":1767225600.25}"#);
    }

    #[test]
    fn only_texts_are_written() {
        let json = Payload { codec: CodecId::JSON, ..raw(b"{}") };
        for (value, at) in
            [(json, MOMENT), (raw(b"\xFF"), MOMENT), (raw(b"x"), Timestamp::from_unix_millis(7))]
        {
            assert!(matches!(encode(&value, at), Err(Unencodable::NotLlmix(_))), "{value:?}");
        }
    }

    /// A text without escapes is a view into what came from the network.
    #[test]
    fn decoding_copies_no_plain_text() {
        let found = Bytes::from_static(br#"{"data":"hello","cached_at":1767225600}"#);
        assert_eq!(decode(&found).unwrap().text.as_ptr(), found[9..].as_ptr());
    }
}
