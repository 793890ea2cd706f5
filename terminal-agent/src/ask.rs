//! Asking a running terminal through its own API: for `terminal-agent status`, and for tests.

use http_body_util::{BodyExt, Full, Limited};
pub use hyper::Method;
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpStream;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, Error)]
#[error(
    "the terminal does not answer at {address}: {problem}. Is `terminal-agent run` running, and is this its data directory (--data)?"
)]
pub struct Silent {
    /// Where it was asked.
    pub address: SocketAddr,
    /// What happened.
    pub problem: String,
}

/// A terminal's API.
#[derive(Debug, Clone)]
pub struct Door {
    /// Where it listens.
    pub address: SocketAddr,
    /// The bearer token.
    pub token: String,
}

impl Door {
    /// One call; gives the status and the JSON of the answer.
    ///
    /// Errors: nobody answered, or something else than JSON. What was asked may have been done.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(u16, Value), Silent> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(body.map(Value::to_string).unwrap_or_default()));
        let request = request.body(body).map_err(|problem| self.silent(&problem))?;
        self.send(request).await
    }

    /// One call with a request of the caller's own making.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<(u16, Value), Silent> {
        match tokio::time::timeout(PATIENCE, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.silent(&format!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(u16, Value), Silent> {
        let stream = TcpStream::connect(self.address).await.map_err(|problem| self.silent(&problem))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|problem| self.silent(&problem))?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|problem| self.silent(&problem))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let bytes = body.map_err(|problem| self.silent(&problem))?.to_bytes();
            let value = serde_json::from_slice(&bytes).map_err(|problem| self.silent(&problem))?;
            Ok((status, value))
        };
        tokio::pin!(exchange);
        tokio::select! {
            biased;
            answer = &mut exchange => answer,
            ended = connection => {
                ended.map_err(|problem| self.silent(&problem))?;
                exchange.await
            }
        }
    }

    fn silent(&self, problem: &dyn Display) -> Silent {
        Silent { address: self.address, problem: problem.to_string() }
    }
}
