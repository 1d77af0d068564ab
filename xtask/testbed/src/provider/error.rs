//! Errors in OpenAI's shape and with OpenAI's words.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error answer.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
    kind: &'static str,
    param: Option<&'static str>,
    code: Option<&'static str>,
}

impl ApiError {
    fn bad_request(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
            kind: "invalid_request_error",
            param: None,
            code: None,
        }
    }

    pub(super) fn unparsable() -> Self {
        Self::bad_request(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't \
             using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was \
             sent was not valid JSON.)",
        )
    }

    pub(super) fn missing(param: &'static str) -> Self {
        let error = Self::bad_request(format!("Missing required parameter: '{param}'."));
        Self { param: Some(param), code: Some("missing_required_parameter"), ..error }
    }

    pub(super) fn invalid(param: &'static str, wanted: &str) -> Self {
        let error = Self::bad_request(format!("Invalid value for '{param}': expected {wanted}."));
        Self { param: Some(param), code: Some("invalid_value"), ..error }
    }

    pub(super) fn too_large() -> Self {
        let error = Self::bad_request("Request body is too large.");
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, ..error }
    }

    pub(super) fn unknown_model(model: &str) -> Self {
        let message =
            format!("The model `{model}` does not exist or you do not have access to it.");
        let error = Self::bad_request(message);
        Self { status: StatusCode::NOT_FOUND, code: Some("model_not_found"), ..error }
    }

    pub(super) fn unknown_url(method: &str, path: &str) -> Self {
        let error = Self::bad_request(format!("Invalid URL ({method} {path})"));
        Self { status: StatusCode::NOT_FOUND, ..error }
    }

    pub(super) fn no_credential() -> Self {
        let error = Self::bad_request(
            "You didn't provide an API key. You need to provide your API key in an Authorization \
             header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
        );
        Self { status: StatusCode::UNAUTHORIZED, ..error }
    }

    pub(super) fn rate_limit() -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            message: "Rate limit reached for requests. Please try again in 1s.".to_owned(),
            kind: "requests",
            param: None,
            code: Some("rate_limit_exceeded"),
        }
    }

    pub(super) fn server_error() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: "The server had an error while processing your request. Sorry about that!"
                .to_owned(),
            kind: "server_error",
            param: None,
            code: None,
        }
    }

    /// The JSON body, which is also what an error frame in a stream carries.
    pub(super) fn body(&self) -> Value {
        json!({"error": {
            "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
        }})
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(format!("{:#}\n", self.body())));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
