//! What a node needs to be told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::identity::Role;
use crate::machine::Machine;
use crate::store::StoreConfig;

/// Settings of one node. *Shape*: addresses are parsed, paths are as the daemon gives them.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The data directory, made by [`crate::node::setup`]. One process at a time.
    pub dir: PathBuf,
    /// What this node is. The directory must agree.
    pub role: Role,
    /// Where to listen (UDP). Not used by [`crate::node::Node::open_on`].
    pub listen: SocketAddr,
    /// What peers are told instead of the listening address, where they reach us by another one.
    pub advertise: Vec<SocketAddr>,
    /// Where the hub may be.
    pub hub: Vec<SocketAddr>,
    /// Where other terminals may be; any of them at any of these.
    pub peers: Vec<SocketAddr>,
    /// Where headquarters may be (hub only).
    pub headquarters: Vec<SocketAddr>,
    /// Whether to shout and listen on the LAN.
    pub mdns: bool,
    /// How often headquarters tells the store what it holds, at most. *Cost*: an entry each time that something is new.
    pub watermark_every: Duration,
    /// The most bytes that one blob may have.
    pub blob_bytes_max: u64,
    /// How far back history is kept entry by entry.
    pub history: History,
    /// Sizes of the store.
    pub store: StoreConfig,
    /// What it runs on.
    pub machine: Machine,
}

/// How far back history is kept entry by entry. *Cost*: disk; headquarters keeps everything, whatever this says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct History {
    /// Days that sales and all other books are kept: receipts, returns, what others ask for.
    pub books_days: u32,
    /// Days that the log as it was written is kept, what happened on the floor included.
    pub floor_days: u32,
}

impl Default for History {
    fn default() -> Self {
        Self { books_days: 400, floor_days: 7 }
    }
}

impl NodeConfig {
    /// A node in `dir` that listens at `listen` and knows nobody's address yet.
    #[must_use]
    pub fn new(dir: PathBuf, role: Role, listen: SocketAddr) -> Self {
        Self {
            dir,
            role,
            listen,
            advertise: Vec::new(),
            hub: Vec::new(),
            peers: Vec::new(),
            headquarters: Vec::new(),
            mdns: false,
            watermark_every: Duration::from_secs(10),
            blob_bytes_max: crate::blobs::BLOB_BYTES_MAX,
            history: History::default(),
            store: StoreConfig::default(),
            machine: Machine::real(),
        }
    }
}
