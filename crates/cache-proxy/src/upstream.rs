//! The provider: a service that sends requests on and brings answers back, unchanged.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, HOST, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use cache_core::BoxError;
use cache_tower::{Body, BodyError};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower::Service;

/// How long connecting to the provider may take. Answers may take as long as they need.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept. Shorter than the 5 s after which common servers close
/// theirs: a request sent into a closing connection is lost, and must not be sent twice.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// Sends requests to the provider. Clones share its connections.
///
/// It never fails: a provider that cannot be reached is an answer too, 502 in OpenAI's error shape.
#[derive(Clone, Debug)]
pub struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    scheme: Scheme,
    authority: Authority,
    /// What goes before every request's path, without a slash at its end.
    prefix: String,
}

impl Upstream {
    /// The provider at `base`, which has a scheme and a host (checked by
    /// [`Config`](crate::Config)).
    ///
    /// # Errors
    ///
    /// If `base` has no scheme or host.
    pub fn new(base: &Uri) -> Result<Self, BoxError> {
        let parts = base.clone().into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err("the upstream URL needs a scheme and a host".into());
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false); // https URIs come through here too
        tcp.set_nodelay(true); // requests are one write; waiting to fill a packet only delays them
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let tls = HttpsConnectorBuilder::new().with_native_roots().unwrap_or_else(|error| {
            tracing::warn!(%error, "no root certificates on this system; using Mozilla's");
            HttpsConnectorBuilder::new().with_webpki_roots()
        });
        let https = tls.https_or_http().enable_all_versions().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .build(https);
        let prefix = base.path().trim_end_matches('/').to_owned();
        Ok(Self { client, scheme, authority, prefix })
    }

    fn target(&self, uri: &Uri) -> Result<Uri, BoxError> {
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(format!("{}{path}", self.prefix));
        Ok(uri.build()?)
    }

    async fn send(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let (mut parts, body) = request.into_parts();
        let mut outbound = Request::new(body);
        *outbound.method_mut() = parts.method;
        *outbound.uri_mut() = self.target(&parts.uri)?;
        remove_hop_by_hop(&mut parts.headers);
        parts.headers.remove(HOST); // the client sets the provider's
        *outbound.headers_mut() = parts.headers;
        let mut answer = self.client.request(outbound).await?;
        remove_hop_by_hop(answer.headers_mut());
        Ok(answer.map(|body| body.map_err(BodyError::new).boxed_unsync()))
    }
}

impl Service<Request<Body>> for Upstream {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async {
            Ok(this.send(request).await.unwrap_or_else(|error| {
                tracing::warn!(error = &*error as &dyn std::error::Error, "provider not reached");
                bad_gateway()
            }))
        })
    }
}

/// Says nothing of the cause, which may name internal hosts; the log does.
fn bad_gateway() -> Response<Body> {
    const BODY: &str = r#"{"error":{"message":"The provider could not be reached.","type":"upstream_error","param":null,"code":"upstream_unreachable"}}"#;
    let body = Full::new(BODY.into()).map_err(|never| match never {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// Headers that are about one connection, not about the message (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_behind_the_prefix() {
        let target = |base: &'static str, path: &str| {
            let upstream = Upstream::new(&Uri::from_static(base)).unwrap();
            upstream.target(&path.parse().unwrap()).unwrap().to_string()
        };
        assert_eq!(target("https://h", "/v1/models?limit=1"), "https://h/v1/models?limit=1");
        assert_eq!(target("http://h:81/api/", "/v1/models"), "http://h:81/api/v1/models");
    }

    #[test]
    fn headers_of_the_connection_stay_behind() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Mine"),
            ("x-mine", "1"),
            ("te", "trailers"),
            ("authorization", "Bearer k"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.len(), 1);
        assert!(headers.contains_key("authorization"));
    }
}
