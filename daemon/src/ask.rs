//! One question to a running daemon: HTTP/1.1 with JSON over its Unix control socket.
//!
//! A refusal is JSON too: `{"error":{"code","screen","log"}}`, what to do and what happened.

use crate::exit;
use http_body_util::{BodyExt, Full, Limited};
pub use hyper::Method;
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;
use tokio::net::UnixStream;

/// The largest answer that is read: a year of items of many stores.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// A report over years and a large catalogue take the longest.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no answer, or no good one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AskError {
    /// Nobody listens on the socket.
    #[error(
        "{daemon} does not answer at {socket}: {problem}. Is `{daemon} run` running, and is this its data directory (--data)?"
    )]
    Silent {
        /// The daemon.
        daemon: &'static str,
        /// The socket.
        socket: String,
        /// What the system says.
        problem: String,
    },
    /// It said no.
    #[error("{screen}{}", if .log.is_empty() { String::new() } else { format!(" ({log})") })]
    Refused {
        /// What to do.
        screen: String,
        /// What happened.
        log: String,
    },
}

impl AskError {
    /// The exit code that says so.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Silent { .. } => exit::PEER,
            Self::Refused { .. } => exit::FAILED,
        }
    }
}

/// A socket to ask at.
#[derive(Debug)]
pub struct Ask {
    daemon: &'static str,
    socket: PathBuf,
}

impl Ask {
    /// The socket of a running daemon, which errors call by its name.
    #[must_use]
    pub fn new(daemon: &'static str, socket: PathBuf) -> Self {
        Self { daemon, socket }
    }

    /// Asks for something.
    pub fn get(&self, path: &str) -> Result<Value, AskError> {
        self.block_on(Method::GET, path, None)
    }

    /// Asks for something to be done.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, AskError> {
        self.block_on(Method::POST, path, Some(body))
    }

    fn block_on(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, AskError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|problem| self.silent(&problem))?;
        runtime.block_on(self.ask(method, path, body))
    }

    /// Asks within a runtime that is there.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, AskError> {
        let answer = match tokio::time::timeout(PATIENCE, self.exchange(method, path, body)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(self.silent(&"no answer within a minute")),
        };
        match answer.get("error") {
            None => Ok(answer),
            Some(error) => {
                let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                Err(AskError::Refused { screen: text("screen"), log: text("log") })
            }
        }
    }

    async fn exchange(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, AskError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|problem| self.silent(&problem))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|problem| self.silent(&problem))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.daemon)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.map(Value::to_string).unwrap_or_default())))
            .map_err(|problem| self.silent(&problem))?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|problem| self.silent(&problem))?;
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let bytes = body.map_err(|problem| self.silent(&problem))?.to_bytes();
            serde_json::from_slice(&bytes).map_err(|problem| self.silent(&problem))
        };
        tokio::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            ended = connection => {
                ended.map_err(|problem| self.silent(&problem))?;
                exchange.await
            }
        }
    }

    fn silent(&self, problem: &dyn fmt::Display) -> AskError {
        AskError::Silent {
            daemon: self.daemon,
            socket: self.socket.display().to_string(),
            problem: problem.to_string(),
        }
    }
}

/// A path with its query, escaped; parameters without a value are left out.
#[must_use]
pub fn with_query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let given = parameters.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    let pairs: Vec<String> = given.map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

fn escaped(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    value.bytes().fold(String::new(), |mut out, byte| {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_into_a_query_whole() {
        let path =
            with_query("/report", &[("store", Some("Fish & Chips")), ("day", None), ("by", Some("day"))]);
        assert_eq!(path, "/report?store=Fish%20%26%20Chips&by=day");
        assert_eq!(with_query("/report", &[("day", None)]), "/report");
    }

    #[test]
    fn nobody_at_the_socket_is_said_with_its_path() {
        let problem = Ask::new("hqd", "/nowhere/hqd.sock".into()).get("/status").unwrap_err();
        assert_eq!(problem.exit_code(), exit::PEER);
        assert!(problem.to_string().contains("/nowhere/hqd.sock"), "{problem}");
    }
}
