//! One question to the hub: HTTP/1.1 with JSON over its Unix socket.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;
use tokio::net::UnixStream;
use toko_daemon::exit;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Joining a headquarters and importing a large catalogue take the longest.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no answer, or no good one.
#[derive(Debug, Error)]
pub(super) enum AskError {
    /// Nobody listens on the socket.
    #[error(
        "the hub does not answer at {socket}: {problem}. Is hubd running, and is this its data directory (--data)?"
    )]
    Silent {
        /// The socket.
        socket: String,
        /// What the system says.
        problem: String,
    },
    /// The hub said no.
    #[error("{screen}{}", if .log.is_empty() { String::new() } else { format!(" ({log})") })]
    Refused {
        /// What to do.
        screen: String,
        /// What happened.
        log: String,
    },
    /// A file of the person's could not be read.
    #[error("{path}: {problem}")]
    File {
        /// Which.
        path: String,
        /// What the system says.
        problem: String,
    },
    /// The command line lacks something.
    #[error("{0}")]
    Usage(String),
}

impl AskError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Silent { .. } => exit::PEER,
            Self::Refused { .. } => exit::FAILED,
            Self::File { .. } => exit::STORE,
            Self::Usage(_) => exit::USAGE,
        }
    }
}

/// A hub's socket.
pub(super) struct Ask {
    socket: PathBuf,
}

impl Ask {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, AskError> {
        self.ask(Method::GET, path, None)
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, AskError> {
        self.ask(Method::POST, path, Some(body))
    }

    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, AskError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|problem| self.silent(&problem))?;
        let answer = runtime.block_on(async {
            match tokio::time::timeout(PATIENCE, self.exchange(method, path, body)).await {
                Ok(answer) => answer,
                Err(_) => Err(self.silent(&"no answer within a minute")),
            }
        })?;
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
            .header(header::HOST, "hub")
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

    fn silent(&self, problem: &dyn std::fmt::Display) -> AskError {
        AskError::Silent { socket: self.socket.display().to_string(), problem: problem.to_string() }
    }
}
