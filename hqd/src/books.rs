//! The books of one store: headquarters' own node in it, which keeps, folds and carries, and tells the store by watermarks
//! what is safe here.
//!
//! Invariants: books are made only before a store has joined, whole or not at all; everything of a store lies below its own
//! directory and under its own key. Absent on purpose: any lane but books, and any way from one store's books to another's.

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};
use thiserror::Error;
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use toko_crdt::sign::SecretKey;
use toko_crdt::{Body, Hash, KvError, KvRead, Lane, NodeId};
use toko_mesh::blobs::BlobError;
use toko_mesh::endpoint::Endpoint;
use toko_mesh::enrol::Joining;
use toko_mesh::identity::Role;
use toko_mesh::log::LogConfig;
use toko_mesh::node::setup::{Meaning, SetupError, Spot, take_in_store};
use toko_mesh::node::{Node, NodeConfig, NodeStatus, OpenError};
use toko_mesh::store::{SaveError, StoreConfig, Wait};
use toko_retail::scope::ShopScope;
use toko_retail::views::{AllTime, KeepingFold};
use tracing::warn;

/// Where a store's books are, and the port that all stores share.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// The directory.
    pub(crate) dir: PathBuf,
    /// The port.
    pub(crate) endpoint: Endpoint,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// The least time between two watermarks.
    pub(crate) watermark_every: Duration,
}

/// Why books were not made or did not open.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum BooksError {
    /// They were not made.
    #[error("the books were not made")]
    Setup(#[from] SetupError),
    /// They did not open.
    #[error("the books did not open")]
    Open(#[from] OpenError),
    /// The disk did not answer.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// Making them panicked: a mistake of ours.
    #[error("making the books panicked")]
    Panicked(#[from] JoinError),
}

/// The books of one store. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Books {
    node: Node,
    /// When somebody of the store was last heard, since this process runs.
    heard: Arc<Mutex<Option<Instant>>>,
    gone: CancellationToken,
    /// Below the node, so that it goes after it: with the last clone.
    _held: Arc<DropGuard>,
}

impl Books {
    /// Makes the books of a store that came with a good code, in place of any that were made for an earlier, broken try.
    ///
    /// *Shape*: only before the store has joined, when nothing was promised yet; whatever had come is fetched again.
    pub(crate) async fn make(site: &Site, key: &SecretKey, joining: &Joining) -> Result<(), BooksError> {
        let (dir, key, joining) = (site.dir.clone(), key.clone(), joining.clone());
        tokio::task::spawn_blocking(move || {
            let fresh = dir.with_extension("fresh");
            remove(&fresh)?;
            let meaning = Meaning { fold: Arc::new(KeepingFold), scope: Arc::new(ShopScope) };
            let spot = Spot { store: sizes(), ..Spot::from(&fresh) };
            take_in_store(spot, &key, &joining, &meaning)?;
            remove(&dir)?;
            fs::rename(&fresh, &dir).map_err(io_at(&dir))?;
            let parent = dir.parent().unwrap_or(&dir);
            fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(io_at(parent))
        })
        .await?
    }

    /// Opens the books of a store behind the common port.
    pub(crate) async fn open(site: &Site) -> Result<Self, BooksError> {
        let mut config = NodeConfig::new(site.dir.clone(), Role::Headquarters, site.listen);
        config.watermark_every = site.watermark_every;
        config.store = sizes();
        let (fold, scope) = (Arc::new(KeepingFold), Arc::new(ShopScope));
        let node = Node::open_on(&site.endpoint, config, fold, scope).await?;
        let gone = CancellationToken::new();
        Ok(Self { node, heard: Arc::default(), _held: Arc::new(gone.clone().drop_guard()), gone })
    }

    /// Tells when nobody has them in hand any more: once they are closed, their directory may be opened again.
    pub(crate) fn gone(&self) -> CancellationToken {
        self.gone.clone()
    }

    /// Headquarters' node in this store.
    pub(crate) fn id(&self) -> NodeId {
        self.node.id()
    }

    /// Whether the store says that this node is its headquarters.
    pub(crate) fn is_headquarters(&self) -> bool {
        self.node.members().headquarters().contains(&self.id())
    }

    /// Reads the views as they are now, in one piece, what the store has settled included.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&dyn KvRead) -> Result<T, KvError>) -> Result<T, KvError> {
        self.node.read(|kv| read(&AllTime(kv)))
    }

    /// Writes an entry of headquarters; done when it is durable.
    pub(crate) async fn append(&self, body: Body) -> Result<(), SaveError> {
        self.node.append(Lane::Books, body, None, Wait::Synced).await.map(drop)
    }

    /// Keeps a blob, which the store's hub may then fetch.
    pub(crate) async fn blob_put(&self, bytes: Vec<u8>) -> Result<Hash, BlobError> {
        self.node.blob_put(bytes).await
    }

    /// Whether the books still take what is written.
    pub(crate) async fn probe(&self) -> Result<(), SaveError> {
        self.node.probe().await
    }

    /// Adds the newest seal of the store's hub, and whether these books, gone over here, came to the same.
    pub(crate) fn show_seal(&self, row: &mut Value) -> Result<(), KvError> {
        let last = self.node.seals()?.into_iter().next();
        row["seal"] = json!(last.as_ref().map(|seal| seal.entry.to_string()));
        row["countersigned"] = json!(last.and_then(|seal| seal.countersigned));
        Ok(())
    }

    /// How the node is.
    pub(crate) async fn status(&self) -> Result<NodeStatus, KvError> {
        self.node.status().await
    }

    /// Whether the store's hub is linked just now.
    pub(crate) fn is_linked(&self) -> bool {
        self.node.hub_alive()
    }

    /// For how long nobody of the store was heard; `None` where nobody was since this process runs.
    pub(crate) fn silent_for(&self, status: &NodeStatus) -> Option<Duration> {
        if !status.links.is_empty() {
            return Some(Duration::ZERO);
        }
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).map(|heard| heard.elapsed())
    }

    /// Adds what the books tell to a store's row.
    pub(crate) fn show(&self, status: &NodeStatus, row: &mut Value) {
        let link = |link: &toko_mesh::node::LinkStatus| {
            json!({
                "node": link.peer.to_string(),
                "name": link.name,
                "address": link.addr.to_string(),
                "rtt_ms": u64::try_from(link.rtt.as_millis()).unwrap_or(u64::MAX),
                "lacks": link.we_lack,
            })
        };
        row["store_id"] = json!(status.store.to_string());
        row["links"] = status.links.iter().map(link).collect();
        row["last_contact_s"] = json!(self.silent_for(status).map(|silent| silent.as_secs()));
        row["lacks"] = json!(status.links.iter().map(|link| link.we_lack).max());
        row["entries"] = json!(status.entries);
        row["frontier"] = json!(status.books_root.to_string());
        row["digests"] = json!({ "books": status.digests.books.to_string() });
        row["parked"] = json!(status.parked.len());
    }

    /// Saves and closes.
    pub(crate) async fn close(&self) {
        if let Err(err) = self.node.shutdown().await {
            warn!(%err, "the books were closed unsaved; the next start folds their tail again");
        }
    }

    /// Waits until the store says that this node is its headquarters.
    pub(crate) async fn until_headquarters(&self) {
        let mut changed = self.node.changed();
        while !self.is_headquarters() && changed.changed().await.is_ok() {}
    }

    /// Notes each time when somebody of the store is heard, for as long as it is asked.
    pub(crate) async fn listen(&self) {
        let mut links = self.node.links_changed();
        while links.changed().await.is_ok() {
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }
}

/// Sizes of one store's books. There may be thousands of them on this disk and in this memory, most of them at rest; each
/// has its store behind it, so that what a full disk keeps from being written here is not lost.
fn sizes() -> StoreConfig {
    let log = LogConfig { segment_bytes: 2 << 20, reserve_bytes: 256 << 10, ..LogConfig::default() };
    StoreConfig {
        log,
        views_cache_bytes: 2 << 20,
        waiting_bytes_soft: 2 << 20,
        waiting_bytes_hurry: 4 << 20,
        waiting_bytes_max: 8 << 20,
    }
}

fn remove(dir: &Path) -> Result<(), BooksError> {
    match fs::remove_dir_all(dir) {
        Err(problem) if problem.kind() != io::ErrorKind::NotFound => Err(io_at(dir)(problem)),
        _ => Ok(()),
    }
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> BooksError {
    let path = path.display().to_string();
    move |source| BooksError::Io { path: path.clone(), source }
}
