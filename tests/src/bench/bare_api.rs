//! The least that a durable API is: a server over a socket that stays open, one thread that appends and syncs, an answer.
//!
//! What a call of the product's API takes beyond this is the product's; what this takes beyond the append is the way there.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::trouble::Trouble;
use super::wire::Wire;
use crate::machine::{RawLog, Room};

/// Whoever waits for a sync.
type Waiting = oneshot::Sender<bool>;

/// The server, and a connection to it.
#[derive(Debug)]
pub struct BareApi {
    wire: Wire,
    body: String,
    calls: u64,
    _runtime: Runtime,
}

impl BareApi {
    /// Appends records of `bytes` to a file in `dir`; a call brings as many in its body, and a `2xx` means that they are synced.
    pub fn beside(dir: &Path, bytes: usize) -> Result<Self, Trouble> {
        let mut log = RawLog::create(dir, bytes, Room::Growing)?;
        let (inbox, asked) = mpsc::channel::<Waiting>();
        std::thread::Builder::new().name("bare-log".into()).spawn(move || {
            for waiting in asked {
                // Whoever asked may have gone.
                let _ = waiting.send(log.round().is_ok());
            }
        })?;
        let runtime = Runtime::new()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let routes = Router::new().route("/sale", post(sale)).with_state(inbox);
        runtime.spawn(async move { axum::serve(listener, routes).await });
        let body = format!("\"{}\"", "s".repeat(bytes.saturating_sub(2)));
        Ok(Self { wire: Wire::open(address, "none")?, body, calls: 0, _runtime: runtime })
    }

    /// One call, and how long it took.
    pub fn round(&mut self) -> Result<Duration, Trouble> {
        self.calls += 1;
        let (_, took) = self.wire.post("/sale", &self.calls.to_string(), &self.body)?;
        Ok(took)
    }
}

async fn sale(State(inbox): State<mpsc::Sender<Waiting>>, body: String) -> (StatusCode, String) {
    let (tell, told) = oneshot::channel();
    let kept = inbox.send(tell).is_ok() && told.await.unwrap_or(false);
    if kept {
        (StatusCode::CREATED, body.len().to_string())
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "\"not kept\"".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_in_the_file_before_it_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        let mut api = BareApi::beside(dir.path(), 500).unwrap();
        for calls in 1..=3 {
            api.round().unwrap();
            let file = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap();
            assert_eq!(file.metadata().unwrap().len(), calls * 500);
        }
    }
}
