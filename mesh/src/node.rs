//! A node: one store's journals on one machine, kept, shown, and shared with whoever else belongs to the store.
//!
//! [`Node`] is what the three daemons hold. Writing and reading go to the store and wait for nobody else; links come and go
//! beside it. There is no mode for a dead hub, a dead network or a dead headquarters: the same calls answer the same way.
//!
//! ```no_run
//! # async fn example(fold: std::sync::Arc<dyn toko_crdt::Fold>, scope: std::sync::Arc<dyn toko_crdt::Scope>)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use toko_crdt::{Body, Lane};
//! use toko_mesh::identity::Role;
//! use toko_mesh::node::{Node, NodeConfig};
//! use toko_mesh::store::Wait;
//!
//! let listen = "0.0.0.0:7443".parse()?;
//! let node = Node::open(NodeConfig::new("/var/lib/toko".into(), Role::Terminal, listen), fold, scope).await?;
//! let sold = node.append(Lane::Books, Body::Op(vec![1]), None, Wait::Synced).await?;
//! println!("{} is durable on {} nodes", sold.hash, node.holders(&sold.place)?.len());
//! node.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Inside: the store on its thread, one switchboard task that decides who is linked with whom (`node::wanted`), one task for
//! each link ([`crate::link`]), all in one set that is drained. Invariants: nothing here holds a lock across a wait; every
//! queue is bounded; a revoked node's links end as soon as the statement is known here.
//!
//! Absent on purpose: what entries mean, and any order between nodes.

use crate::bell::Ear;
use crate::blobs::{BlobError, Blobs};
use crate::disk::Disk;
use crate::endpoint::{CloseCode, Endpoint};
use crate::find::Rung;
use crate::machine::Machine;
use crate::node::shared::Shared;
use crate::store::{Append, Appended, ReadStoreError, SaveError, StoreHandle, StoreThread, Wait};
use crate::tls::tenants::Registration;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toko_crdt::book::rows;
use toko_crdt::entry::Saw;
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::ids::EntryRef;
use toko_crdt::member::Members;
use toko_crdt::{Body, Entry, Hash, KvError, KvRead, Lane, NodeId, StoreId};
use tracing::{info, warn};

mod admin;
mod alerts;
mod bases;
mod blob;
mod config;
pub(crate) mod elsewhere;
mod late;
pub(crate) mod news;
mod open;
mod pruning;
mod quarantine;
mod race;
pub mod recover;
mod scrub;
mod seals;
mod settling;
pub mod setup;
pub(crate) mod shared;
pub(crate) mod snapshots;
mod status;
mod switch;
mod switch_links;
mod wanted;
mod watermark;
mod word;

pub use admin::AdminError;
pub use alerts::{Alert, AlertCode, SettleError};
pub use config::{History, NodeConfig};
pub use late::Late;
pub use open::OpenError;
pub use quarantine::{AdmitError, Admitted};
pub use seals::{SealNowError, SealStatus};
pub use status::{HeadquartersStatus, HubStatus, LinkStatus, NodeStatus};

/// How long sessions may take to finish the frame in hand.
const SESSIONS_MS_MAX: u64 = 5_000;

/// A running node. Cheap to clone; it runs until [`Node::shutdown`], or until the last clone is gone.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
    stop: CancellationToken,
    running: Arc<Mutex<Option<Running>>>,
}

/// What [`Node::shutdown`] takes down, in this order.
struct Running {
    tasks: JoinSet<()>,
    registration: Registration,
    store: StoreThread,
    /// `None` where somebody else owns the socket: headquarters with many stores.
    endpoint: Option<Endpoint>,
}

impl Node {
    /// Writes an entry of this node.
    ///
    /// Shape: with [`Wait::Synced`] the answer means that a power cut does not lose it; with [`Wait::Memory`] that it is in
    /// the views, and durable within a second. `saw` names what the author had seen where that matters.
    /// Errors: nothing was written, except after [`SaveError::Broken`], which says so.
    pub async fn append(
        &self,
        lane: Lane,
        body: Body,
        saw: Option<Saw>,
        wait: Wait,
    ) -> Result<Appended, SaveError> {
        self.shared.store.append(Append { lane, body, saw, wait }).await
    }

    /// Reads the views as they are now, in one piece.
    pub fn read<T>(&self, read: impl FnOnce(&dyn KvRead) -> Result<T, KvError>) -> Result<T, KvError> {
        self.shared.store.reader().read(read)
    }

    /// The entry at a place, if it is here.
    pub fn entry(&self, place: &EntryRef) -> Result<Option<Entry>, ReadStoreError> {
        self.shared.store.reader().entry(*place)
    }

    /// The entry with this hash, if it is here, in its own place or carried out of a closed journal, or was fetched lately.
    pub fn entry_by_hash(&self, hash: &Hash) -> Result<Option<Entry>, ReadStoreError> {
        elsewhere::known(&self.shared, *hash)
    }

    /// Likewise, or else, where it is in the books, from whichever linked peer has it: a node that began from a snapshot has rows
    /// of entries that it never had. `None` when nobody gives it now, after some seconds at most.
    pub async fn fetch_entry(&self, hash: &Hash) -> Result<Option<Entry>, ReadStoreError> {
        elsewhere::fetch(&self.shared, *hash).await
    }

    /// Moves with every commit of the store: views, durable entries, members.
    #[must_use]
    pub fn changed(&self) -> Ear {
        self.shared.store.reader().changed()
    }

    /// Moves with every change of links and of what peers hold.
    #[must_use]
    pub fn links_changed(&self) -> Ear {
        self.shared.net_changes.listen()
    }

    /// What is here durably.
    #[must_use]
    pub fn frontier(&self) -> Frontier {
        self.shared.store.reader().frontier()
    }

    /// Who holds the entry at this place durably, as far as this node was told: itself, peers by their acknowledgements,
    /// headquarters by its watermark too.
    ///
    /// Shape: sorted, each once; empty while nobody holds it durably.
    pub fn holders(&self, place: &EntryRef) -> Result<Vec<NodeId>, KvError> {
        let reaches = |head: Option<&Head>| head.is_some_and(|head| head.seq >= place.seq);
        let holds = |frontier: &Frontier| reaches(frontier.head(&place.journal));
        let mut out = Vec::new();
        if self.shared.store.reader().with_frontier(holds) {
            out.push(self.shared.node);
        }
        let board = self.shared.board();
        out.extend(
            board
                .holds
                .iter()
                .filter(|(_, holds)| reaches(holds.head(&place.journal)))
                .map(|(node, _)| *node),
        );
        drop(board);
        if place.journal.lane == Lane::Books && holds(&self.read(rows::watermark_union)?) {
            out.extend(self.members().headquarters());
        }
        out.sort_unstable();
        out.dedup();
        Ok(out)
    }

    /// Who belongs to the store, as it is known here now.
    #[must_use]
    pub fn members(&self) -> Arc<Members> {
        self.shared.store.reader().members()
    }

    /// This node.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.shared.node
    }

    /// Its store.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.shared.store_id
    }

    /// What it runs on.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.shared.config.machine
    }

    /// The disk for small files of the daemon's own, beside log and blobs.
    pub fn own_disk(&self) -> io::Result<Arc<dyn Disk>> {
        self.shared.dir.own_disk()
    }

    /// Where it listens.
    #[must_use]
    pub fn listen_addr(&self) -> SocketAddr {
        self.shared.listen
    }

    /// Whether this node is the hub, or has a working link to it.
    #[must_use]
    pub fn hub_alive(&self) -> bool {
        self.shared.newsroom.hub_alive()
    }

    /// Whether a link with headquarters carries entries now.
    #[must_use]
    pub fn headquarters_alive(&self) -> bool {
        let members = self.shared.members.now();
        let board = self.shared.board();
        members.headquarters().iter().any(|node| board.is_settled(node))
    }

    /// Says where headquarters may be: it is dialled there at the next climb. A hint like any other; who answers must show
    /// its key.
    pub fn headquarters_may_be(&self, addresses: &[SocketAddr]) {
        let members = self.shared.members.now();
        let mut board = self.shared.board();
        for node in members.headquarters() {
            for addr in addresses {
                board.ladder.hint(node, *addr, Rung::Configured);
            }
        }
    }

    /// Whether the store still saves: for the watchdog. It goes through the store's thread and needs no disk.
    pub async fn probe(&self) -> Result<(), SaveError> {
        self.shared.store.probe().await
    }

    /// Syncs what is in memory and moves views into the database, now.
    pub async fn checkpoint(&self) -> Result<(), SaveError> {
        self.shared.store.checkpoint().await
    }

    /// The store itself: for whoever writes from a thread that is no async task.
    #[must_use]
    pub fn store(&self) -> &StoreHandle {
        &self.shared.store
    }

    /// The blobs that are here, without asking anybody.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.shared.blobs
    }

    /// Keeps bytes as a blob, durably, and gives the hash that names them.
    pub async fn blob_put(&self, bytes: Vec<u8>) -> Result<Hash, BlobError> {
        blob::put(&self.shared, bytes).await
    }

    /// A blob: from here, or else from whichever linked peer has it. `None` when nobody has it now.
    pub async fn blob(&self, hash: &Hash) -> Result<Option<Vec<u8>>, BlobError> {
        blob::fetch(&self.shared, *hash).await
    }

    /// Stops in stages: mDNS withdrawn and links ended with a goodbye, then the store, then the socket. Asking twice is fine.
    ///
    /// Shape: reading still works afterwards; the directory stays locked until the last clone of the node is gone, and then is free.
    /// Errors: what the store's last checkpoint answered; the log is whole in any case.
    pub async fn shutdown(&self) -> Result<(), SaveError> {
        let Some(mut running) = self.running.lock().await.take() else { return Ok(()) };
        drop(running.registration);
        self.stop.cancel();
        let drained = async { while running.tasks.join_next().await.is_some() {} };
        if timeout(Duration::from_millis(SESSIONS_MS_MAX), drained).await.is_err() {
            warn!("some links did not end in time");
        }
        running.tasks.shutdown().await;
        let saved = running.store.stop().await;
        // A seal that is gone over, or a part of the log that is looked at, holds the directory until it is done.
        let aside = self.shared.config.machine.is_done_aside();
        if timeout(Duration::from_millis(SESSIONS_MS_MAX), aside).await.is_err() {
            warn!("work beside the store goes on for a while");
        }
        if let Some(endpoint) = running.endpoint {
            endpoint.close(CloseCode::Stopping).await;
        }
        info!(node = %self.shared.node.short(), "node stopped");
        saved
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("node", &self.shared.node)
            .field("store", &self.shared.store_id)
            .field("role", &self.shared.role)
            .finish_non_exhaustive()
    }
}
