//! Which requests are the cache's business.

use cache_key::EndpointKind;
use http::Method;

/// The endpoint that a request asks, if it is one that the cache knows.
///
/// Paths are matched by their end, so that gateways may serve the API below a prefix.
pub(crate) fn endpoint(method: &Method, path: &str) -> Option<EndpointKind> {
    if method != Method::POST {
        return None;
    }
    [
        ("/v1/chat/completions", EndpointKind::ChatCompletions),
        ("/v1/completions", EndpointKind::Completions),
        ("/v1/responses", EndpointKind::Responses),
        ("/v1/messages", EndpointKind::Messages),
        ("/v1/embeddings", EndpointKind::Embeddings),
    ]
    .into_iter()
    .find_map(|(end, kind)| path.ends_with(end).then_some(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_endpoints_and_no_others() {
        let endpoint = |path| endpoint(&Method::POST, path);
        assert_eq!(endpoint("/v1/chat/completions"), Some(EndpointKind::ChatCompletions));
        assert_eq!(endpoint("/v1/completions"), Some(EndpointKind::Completions));
        assert_eq!(endpoint("/v1/responses"), Some(EndpointKind::Responses));
        assert_eq!(endpoint("/anthropic/v1/messages"), Some(EndpointKind::Messages));
        assert_eq!(endpoint("/openai/v1/embeddings"), Some(EndpointKind::Embeddings));
        for other in [
            "/v1/models",
            "/v1/messages/count_tokens",
            "/v1/responses/r/cancel",
            "/v1/chat/completions/abc",
            "/v1/embeddings/",
            "/",
        ] {
            assert_eq!(endpoint(other), None, "{other}");
        }
        assert_eq!(super::endpoint(&Method::GET, "/v1/embeddings"), None);
    }
}
