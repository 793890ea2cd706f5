//! A "no" on the control socket: a code for programs, what to do for the person, what happened for the log.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, http};
use serde_json::json;

/// Why a command was not done. Nothing was changed.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    screen: String,
    log: String,
}

impl Refusal {
    /// The command makes no sense as it is.
    pub(crate) fn asked_wrongly(code: &'static str, screen: impl Into<String>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, code, screen: screen.into(), log: String::new() }
    }

    /// What is named is not there.
    pub(crate) fn not_there(code: &'static str, screen: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, code, screen: screen.into(), log: String::new() }
    }

    /// As things are it cannot be done.
    pub(crate) fn not_now(code: &'static str, screen: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, code, screen: screen.into(), log: String::new() }
    }

    /// The disk, or something of ours.
    pub(crate) fn failed(screen: impl Into<String>, log: &dyn std::fmt::Display) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self { status, code: "failed", screen: screen.into(), log: log.to_string() }
    }

    /// The same with what happened.
    #[must_use]
    pub(crate) fn because(mut self, log: &dyn std::fmt::Display) -> Self {
        self.log = log.to_string();
        self
    }

    /// The same, after something that was done already.
    #[must_use]
    pub(crate) fn after(mut self, done: &str) -> Self {
        self.log = if self.log.is_empty() { done.to_owned() } else { format!("{done}: {}", self.log) };
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::error!(code = self.code, err = %self.log, "a command failed");
        }
        let body = json!({ "error": { "code": self.code, "screen": self.screen, "log": self.log } });
        (self.status, Json(body)).into_response()
    }
}

impl From<toko_crdt::KvError> for Refusal {
    fn from(problem: toko_crdt::KvError) -> Self {
        Self::failed("the books could not be read; check the disk", &problem)
    }
}

impl From<crate::home::HomeError> for Refusal {
    fn from(problem: crate::home::HomeError) -> Self {
        match problem {
            crate::home::HomeError::Name { .. } => Self::asked_wrongly("bad-name", problem.to_string()),
            other => Self::failed("headquarters' directory could not be written; check the disk", &other),
        }
    }
}

/// What a path that nobody serves is answered.
pub(super) async fn nobody(method: http::Method, uri: http::Uri) -> Refusal {
    Refusal::not_there("no-such-command", format!("this hqd knows no {method} {}", uri.path()))
        .because(&"is the hqd on the command line newer than the one that runs?")
}
