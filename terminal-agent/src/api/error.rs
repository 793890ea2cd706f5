//! What a caller is told when something did not work out: one shape for everything.
//!
//! `{"error": {"code", "screen", "log", "field"?}}`: a stable word for programs, what the person at the till should do, what
//! happened, and where in the request.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::fmt;

use crate::till::{Kind, Refusal};

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// A stable word.
    pub code: &'static str,
    /// What the person at the till should do.
    pub screen: &'static str,
    /// What happened.
    pub log: String,
    /// Where in the request.
    pub field: Option<String>,
}

impl ApiError {
    /// A refusal without a field.
    pub fn new(status: StatusCode, code: &'static str, screen: &'static str, log: impl Into<String>) -> Self {
        Self { status, code, screen, log: log.into(), field: None }
    }

    /// A request that is not what it should be, and where.
    pub fn field(code: &'static str, screen: &'static str, field: &str, log: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, screen, log).at(field)
    }

    /// The same, with the place in the request.
    #[must_use]
    pub fn at(self, field: &str) -> Self {
        Self { field: Some(field.to_owned()), ..self }
    }

    /// The JSON of it.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut error = json!({ "code": self.code, "screen": self.screen, "log": self.log });
        if let Some(field) = &self.field {
            error["field"] = json!(field);
        }
        json!({ "error": error })
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let shown = refusal.shown();
        let status = match shown.kind {
            Kind::Malformed => StatusCode::BAD_REQUEST,
            Kind::Missing => StatusCode::NOT_FOUND,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Unsaved => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let field = refusal.field().or_else(|| shown.field.map(str::to_owned));
        Self { status, code: shown.code, screen: shown.screen, log: refusal.to_string(), field }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.log)
    }
}

impl std::error::Error for ApiError {}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        answer(self.status, &self.body())
    }
}

/// A JSON answer. Nothing of it may be kept by anybody in between.
#[must_use]
pub(super) fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, body.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
