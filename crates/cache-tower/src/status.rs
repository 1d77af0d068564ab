//! The `Cache-Status` header (RFC 9211) and `Age` (RFC 9111, 5.1).

use std::fmt::{self, Write};
use std::time::Duration;

use http::header::{AGE, HeaderName};
use http::{HeaderMap, HeaderValue};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What this cache did with one request.
pub(crate) enum CacheStatus<'a> {
    /// A tier answered.
    Hit { tier: &'static str, age: Duration, remaining: Duration },
    /// The provider answered because no tier could.
    Miss { stored: bool, collapsed: bool, detail: Option<&'a dyn fmt::Display> },
    /// The provider answered because the caller wanted it so.
    Refresh { stored: bool, detail: Option<&'a dyn fmt::Display> },
    /// The provider answered because this request is not to be cached.
    Bypass { detail: &'a dyn fmt::Display },
}

impl CacheStatus<'_> {
    /// Adds what this cache did, behind what caches nearer to the provider said.
    pub(crate) fn write(&self, cache: &str, headers: &mut HeaderMap) {
        if let Self::Hit { age, .. } = self {
            headers.insert(AGE, HeaderValue::from(age.as_secs()));
        }
        let value = self.value(cache);
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.append(CACHE_STATUS, value);
        }
    }

    fn value(&self, cache: &str) -> String {
        let mut value = cache.to_owned();
        match self {
            Self::Hit { tier, remaining, .. } => {
                push(&mut value, format_args!("; hit; ttl={}; detail={tier}", remaining.as_secs()));
            }
            Self::Miss { stored, collapsed, detail } => {
                value.push_str("; fwd=miss");
                push_stored(&mut value, *stored);
                if *collapsed {
                    value.push_str("; collapsed");
                }
                push_detail(&mut value, *detail);
            }
            Self::Refresh { stored, detail } => {
                value.push_str("; fwd=request");
                push_stored(&mut value, *stored);
                push_detail(&mut value, *detail);
            }
            Self::Bypass { detail } => {
                value.push_str("; fwd=bypass");
                push_detail(&mut value, Some(detail));
            }
        }
        value
    }
}

fn push(value: &mut String, what: fmt::Arguments<'_>) {
    value.write_fmt(what).expect("a String takes everything");
}

fn push_stored(value: &mut String, stored: bool) {
    if stored {
        value.push_str("; stored");
    }
}

/// Adds a reason as a structured-field string (RFC 8941, 3.3.3): printable ASCII, escaped.
fn push_detail(value: &mut String, detail: Option<&dyn fmt::Display>) {
    let Some(detail) = detail else { return };
    value.push_str("; detail=\"");
    for character in detail.to_string().chars() {
        match character {
            '"' | '\\' => value.extend(['\\', character]),
            ' '..='~' => value.push(character),
            _ => value.push('?'),
        }
    }
    value.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_happened() {
        let secs = Duration::from_secs;
        let hit = CacheStatus::Hit { tier: "l1", age: secs(2), remaining: secs(58) };
        assert_eq!(hit.value("c"), "c; hit; ttl=58; detail=l1");
        let miss = CacheStatus::Miss { stored: true, collapsed: true, detail: None };
        assert_eq!(miss.value("c"), "c; fwd=miss; stored; collapsed");
        let refresh = CacheStatus::Refresh { stored: false, detail: Some(&"status 500") };
        assert_eq!(refresh.value("c"), "c; fwd=request; detail=\"status 500\"");
        let bypass = CacheStatus::Bypass { detail: &"a \"b\\\" é" };
        assert_eq!(bypass.value("c"), r#"c; fwd=bypass; detail="a \"b\\\" ?""#);
    }

    #[test]
    fn stands_behind_other_caches() {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_STATUS, HeaderValue::from_static("upstream; hit"));
        let hit = CacheStatus::Hit { tier: "l2", age: Duration::ZERO, remaining: Duration::ZERO };
        hit.write("ours", &mut headers);
        let all: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
        assert_eq!(all, ["upstream; hit", "ours; hit; ttl=0; detail=l2"]);
        assert_eq!(headers[AGE], "0");
    }
}
