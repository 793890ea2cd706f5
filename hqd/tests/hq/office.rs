//! A headquarters in a temporary directory, running in this process.

use crate::store::SOON;
use hqd::config::{Config, File};
use hqd::home::Home;
use hqd::serve::{RunError, Server};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toko_daemon::ask::Method;
use toko_daemon::ask::{Ask, AskError};

/// A running headquarters.
pub(crate) struct Office {
    dir: TempDir,
    pub(crate) listen: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<Result<(), RunError>>,
}

impl Office {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Home::init(&dir.path().join("hq"), "Head office", &[7; 16]).unwrap();
        Self::start(dir, "127.0.0.1:0".parse().unwrap()).await
    }

    async fn start(dir: TempDir, listen: SocketAddr) -> Self {
        let server = Server::open(home(&dir), config(&dir, listen)).await.unwrap();
        let (listen, stop) = (server.listen(), CancellationToken::new());
        let served = tokio::spawn(server.serve(stop.clone()));
        Self { dir, listen, stop, served }
    }

    /// Stops it whole and starts it again on the same port.
    pub(crate) async fn restart(self) -> Self {
        Self::start_again(self.stop().await).await
    }

    pub(crate) async fn stop(self) -> (TempDir, SocketAddr) {
        self.stop.cancel();
        self.served.await.unwrap().unwrap();
        (self.dir, self.listen)
    }

    /// Starts what was stopped. Within one process the socket goes a moment after its owner.
    pub(crate) async fn start_again((dir, listen): (TempDir, SocketAddr)) -> Self {
        let free = async {
            while std::net::UdpSocket::bind(listen).is_err() {
                tokio::task::yield_now().await;
            }
        };
        assert!(timeout(SOON, free).await.is_ok(), "{listen} is still taken");
        Self::start(dir, listen).await
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("hq")
    }

    fn ask(&self) -> Ask {
        Ask::new("hqd", self.data().join("hqd.sock"))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.try_get(path).await.unwrap()
    }

    pub(crate) async fn try_get(&self, path: &str) -> Result<Value, AskError> {
        self.ask().ask(Method::GET, path, None).await
    }

    pub(crate) async fn try_post(&self, path: &str, body: Value) -> Result<Value, AskError> {
        self.ask().ask(Method::POST, path, Some(&body)).await
    }

    pub(crate) async fn refused(&self, path: &str, body: Value) -> String {
        self.try_post(path, body).await.unwrap_err().to_string()
    }

    pub(crate) async fn add_store(&self, name: &str) -> String {
        let answer = self.try_post("/stores", json!({ "name": name, "currency": "GBP" })).await.unwrap();
        answer["code"].as_str().unwrap().to_owned()
    }

    /// The row of a store.
    pub(crate) async fn store(&self, name: &str) -> Value {
        let stores = self.get("/stores").await;
        let rows = stores["stores"].as_array().unwrap();
        rows.iter().find(|row| row["store"] == name).unwrap().clone()
    }
}

fn home(dir: &TempDir) -> Home {
    Home::open(&dir.path().join("hq")).unwrap()
}

fn config(dir: &TempDir, listen: SocketAddr) -> Config {
    let mut file = File::default();
    file.links.listen = listen.to_string();
    file.books.watermark_every = toko_daemon::settings::Millis(1_000);
    file.parse(&dir.path().join("hq")).unwrap()
}
