//! Which request headers count in the key.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::tenant::CREDENTIALS;

/// Which request headers count in the key: all but those known to say nothing about the answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeaderRules {
    ignored: Vec<String>,
}

/// About the connection, the client, the trace or the way of the request, not about the answer.
const NEUTRAL: [&str; 45] = [
    "accept-encoding", // not passed on: the cache asks for plain answers
    "baggage",
    "cache-control",
    "cdn-loop",
    "cf-connecting-ip",
    "cf-ray",
    "connection",
    "content-length",
    "date",
    "dnt",
    "expect",
    "forwarded",
    "host", // replaced by the provider's
    "http2-settings",
    "idempotency-key",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "origin",
    "pragma",
    "priority",
    "proxy-connection",
    "referer",
    "request-id",
    "sentry-trace",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "user-agent",
    "via",
    "x-amzn-trace-id",
    "x-client-request-id",
    "x-cloud-trace-context",
    "x-correlation-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
    "x-trace-id",
];

/// The same, by how their names begin.
const NEUTRAL_PREFIXES: [&str; 5] =
    ["sec-ch-", "sec-fetch-", "x-b3-", "x-datadog-", "x-stainless-"];

impl HeaderRules {
    pub(crate) fn ignore(&mut self, name: &str) {
        self.ignored.push(name.to_ascii_lowercase());
    }

    /// Whether the caller of the layer has said that `name` does not matter.
    pub(crate) fn ignores(&self, name: &str) -> bool {
        self.ignored.iter().any(|ignored| ignored == name)
    }

    /// Whether `name` counts in the key beside the tenant. Credentials do not: they are the tenant,
    /// or are not to divide callers.
    pub(crate) fn count(&self, name: &HeaderName) -> bool {
        let name = name.as_str();
        !CREDENTIALS.contains(&name)
            && NEUTRAL.binary_search(&name).is_err()
            && !NEUTRAL_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            && !self.ignores(name)
    }
}

/// Whether it is an `Accept` that names nothing but the transports of an answer. The body says which
/// one is wanted, and one entry serves both.
pub(crate) fn names_transports(name: &HeaderName, value: &HeaderValue) -> bool {
    name == header::ACCEPT
        && value.as_bytes().split(|&byte| byte == b',').all(|range| {
            ["application/json", "text/event-stream", "*/*"]
                .iter()
                .any(|known| range.trim_ascii().eq_ignore_ascii_case(known.as_bytes()))
        })
}

/// Whether the `Connection` header makes fields of the request ones that are not passed on (RFC
/// 9110, 7.6.1), beyond those that never are.
pub(crate) fn names_fields_in_connection(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONNECTION).iter().any(|value| {
        let usual = ["", "close", "keep-alive", "te", "upgrade", "http2-settings"];
        value.as_bytes().split(|&byte| byte == b',').any(|option| {
            !usual.iter().any(|usual| option.trim_ascii().eq_ignore_ascii_case(usual.as_bytes()))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(NEUTRAL.is_sorted());
    }

    /// F1, F8: what is not known to be neutral counts.
    #[test]
    fn unknown_headers_count() {
        let mut rules = HeaderRules::default();
        rules.ignore("X-Mine");
        let count = |name| rules.count(&HeaderName::from_static(name));
        for name in [
            "ocp-apim-subscription-key",
            "x-litellm-api-key",
            "x-forwarded-user",
            "openai-beta",
            "x-portkey-config",
            "accept",
            "accept-language",
            "never-heard-of",
        ] {
            assert!(count(name), "{name}");
        }
        for name in ["user-agent", "x-stainless-async", "traceparent", "x-mine", "authorization"] {
            assert!(!count(name), "{name}");
        }
    }

    #[test]
    fn only_known_transports_are_neutral() {
        let neutral = |name, value| names_transports(&name, &HeaderValue::from_static(value));
        for value in
            ["application/json", "Text/Event-Stream", "application/json, text/event-stream", "*/*"]
        {
            assert!(neutral(header::ACCEPT, value), "{value}");
            assert!(!neutral(header::ACCEPT_LANGUAGE, value), "{value}");
        }
        for value in [
            "",
            "application/x-ndjson",
            "application/json, application/vnd.x+json",
            "application/json;v=2",
        ] {
            assert!(!neutral(header::ACCEPT, value), "{value}");
        }
    }

    #[test]
    fn fields_named_by_connection_are_seen() {
        let named = |value| {
            let value = HeaderValue::from_static(value);
            names_fields_in_connection(&[(header::CONNECTION, value)].into_iter().collect())
        };
        assert!(named("close, OpenAI-Organization") && named("authorization"));
        assert!(!named("Keep-Alive") && !named("Upgrade, HTTP2-Settings") && !named(""));
    }
}
