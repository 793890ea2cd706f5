//! How a node comes to be: a store is founded, a terminal enrols, headquarters takes a store in.
//!
//! Each makes a data directory that is whole, or none. Nothing here runs a node: [`super::Node::open`] does, afterwards.

use crate::disk::replace;
use crate::endpoint::{BindError, Endpoint};
use crate::enrol::{self, Code, CodeKind, Desk, EnrolError, FrontDesk, Joining, NoRandomness, RecoveryCode};
use crate::identity::{CreateDirError, DataDir, NewDir, Role};
use crate::log::LogConfig;
use crate::machine::Machine;
use crate::node::open::{OpenError, open_store};
use crate::store::{Reply, Request, SaveError, StoreConfig};
use crate::tls::{self, Gate, Tenant, TlsError, TlsKey};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::mpsc;
use toko_crdt::ids::StoreId;
use toko_crdt::member::{Claim, Statement, StatementError};
use toko_crdt::sign::{PublicKey, SecretKey};
use toko_crdt::{Fold, NodeId, Scope};
use tracing::{info, warn};

mod terminal;

pub use terminal::enrol_terminal;

/// What stands where a log will, for a moment.
const ROOM: &str = "room";

/// Why no node came to be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The directory was not made.
    #[error(transparent)]
    Dir(#[from] CreateDirError),
    /// The store in it did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The first statements were not saved.
    #[error("the first statements were not saved")]
    NotSaved(#[from] SaveError),
    /// The first statements do not hold.
    #[error("a statement does not hold")]
    Statement(#[from] StatementError),
    /// Something is there already.
    #[error("{path} is not empty; this node is set up already, or give the path of a new directory")]
    Occupied {
        /// Where.
        path: String,
    },
    /// The socket is not to be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The machine gives no randomness.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// No hub of the code's store answered on this LAN.
    #[error("no hub of this store was found on this LAN; give its address")]
    NoHub,
    /// The hub did not let this terminal in.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
}

/// What ops mean: needed to open a store for the first time.
#[derive(Clone)]
pub struct Meaning {
    /// Ops into views.
    pub fold: Arc<dyn Fold>,
    /// Who may write what.
    pub scope: Arc<dyn Scope>,
}

impl std::fmt::Debug for Meaning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meaning").finish_non_exhaustive()
    }
}

/// Where a node comes to be: a directory, of the machine that we are on unless another is named.
#[derive(Clone, Debug)]
pub struct Spot {
    /// The machine.
    pub machine: Machine,
    /// The directory.
    pub dir: PathBuf,
    /// Sizes of its store, as the node has them later: the first segment of its log is made here.
    pub store: StoreConfig,
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Spot {
    fn from(dir: &P) -> Self {
        Self { machine: Machine::real(), dir: dir.as_ref().to_owned(), store: StoreConfig::default() }
    }
}

/// A store that was founded.
#[derive(Clone, Debug)]
pub struct Founded {
    /// The store.
    pub store: StoreId,
    /// Its hub.
    pub hub: NodeId,
    /// The root key, which is kept nowhere: show it once, on paper.
    pub recovery: RecoveryCode,
}

/// Founds a store: draws its root key and a hub's key, and makes the hub's directory.
pub fn found_store(spot: impl Into<Spot>, meaning: &Meaning) -> Result<Founded, SetupError> {
    let spot = spot.into();
    let root = SecretKey::from_seed(spot.machine.random()?);
    let key = SecretKey::from_seed(spot.machine.random()?);
    let store = StoreId::of(&root.public());
    let hub = key.node();
    let claim = Claim::Hub { term: 1, key: key.public() };
    let statement = Statement::sign(&store, &root, claim);
    begin(&spot, (root.public(), key, Role::Hub), vec![statement], meaning)?;
    info!(store = %store.short(), hub = %hub.short(), "store founded");
    Ok(Founded { store, hub, recovery: RecoveryCode(root) })
}

/// Makes the directory of headquarters for a store that came with a good code.
pub fn take_in_store(
    spot: impl Into<Spot>,
    key: &SecretKey,
    joining: &Joining,
    meaning: &Meaning,
) -> Result<(), SetupError> {
    let statements = joining.members.statements().cloned().collect();
    begin(&spot.into(), (joining.root, key.clone(), Role::Headquarters), statements, meaning).map(drop)
}

pub(super) fn refuse_occupied(dir: &Path) -> Result<(), SetupError> {
    let occupied = || SetupError::Occupied { path: dir.display().to_string() };
    match std::fs::read_dir(dir) {
        Ok(mut files) => files.next().map_or(Ok(()), |_| Err(occupied())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(_) => Err(occupied()),
    }
}

/// Takes what a log needs when it has grown out of its first segment, and gives it back.
fn find_room(spot: &Spot, data: &DataDir) -> std::io::Result<()> {
    let LogConfig { segment_bytes, reserve_bytes, .. } = spot.store.log;
    let disk = data.journal_disk()?;
    disk.create(ROOM, u64::from(segment_bytes) + reserve_bytes)?;
    disk.remove(ROOM)
}

/// A directory with a store whose first records are statements.
fn begin(
    spot: &Spot,
    new: (PublicKey, SecretKey, Role),
    statements: Vec<Statement>,
    meaning: &Meaning,
) -> Result<DataDir, SetupError> {
    begin_marked(spot, new, None, statements, meaning)
}

/// Likewise, with an empty file of that name in it before there is anything in its store.
pub(super) fn begin_marked(
    spot: &Spot,
    new: (PublicKey, SecretKey, Role),
    mark: Option<&str>,
    statements: Vec<Statement>,
    meaning: &Meaning,
) -> Result<DataDir, SetupError> {
    let data = make_dir(spot, new)?;
    let path = spot.dir.clone();
    let marked = mark.map_or(Ok(()), |name| data.own_disk().and_then(|disk| replace(&*disk, name, b"")));
    let marked = marked.map_err(|source| CreateDirError::Io { path, source }.into());
    if let Err(error) = marked.and_then(|()| write_first(spot, &data, statements, meaning)) {
        drop(data);
        clear_dir(spot);
        return Err(error);
    }
    Ok(data)
}

/// A node's directory without a store, on a disk that has room for one.
fn make_dir(spot: &Spot, (root, key, role): (PublicKey, SecretKey, Role)) -> Result<DataDir, SetupError> {
    let created = spot.machine.wall();
    let data = spot.machine.create_dir(&spot.dir, NewDir { root, key, role, created })?;
    if let Err(source) = find_room(spot, &data) {
        drop(data);
        clear_dir(spot);
        return Err(CreateDirError::Io { path: spot.dir.clone(), source }.into());
    }
    Ok(data)
}

fn clear_dir(spot: &Spot) {
    if let Err(err) = spot.machine.clear_dir(&spot.dir) {
        let dir = spot.dir.display();
        warn!(%err, %dir, "what was made so far could not be removed; remove it and try again");
    }
}

fn write_first(
    spot: &Spot,
    data: &DataDir,
    statements: Vec<Statement>,
    meaning: &Meaning,
) -> Result<(), SetupError> {
    let mut store = open_store(&spot.machine, data, spot.store, meaning.clone())?;
    for reply in store.step(spot.machine.wall(), vec![Request::Statements(statements)]) {
        if let Reply::Statements(answers) = reply {
            answers?.into_iter().collect::<Result<Vec<bool>, _>>()?;
        }
    }
    Ok(())
}

/// Headquarters waits for a store whose hub was given a code.
#[derive(Debug)]
pub struct PendingStore {
    desk: Arc<FrontDesk>,
    arrivals: mpsc::Receiver<crate::endpoint::Arrival>,
    _registration: tls::tenants::Registration,
}

impl PendingStore {
    /// Opens a door for the store that will belong to this key, behind a socket that is served.
    pub fn open(endpoint: &Endpoint, key: &SecretKey) -> Result<Self, TlsError> {
        let node = key.node();
        let desk = Arc::new(FrontDesk::new(Desk::new(CodeKind::JoinHq, tls::node_fingerprint(&node))));
        let (inbox, arrivals) = mpsc::channel(4);
        let gate = Some(Arc::clone(&desk) as Arc<dyn Gate>);
        let tenant = Tenant { key: TlsKey::new(key)?, members: None, gate, inbox };
        let registration = endpoint.tenants().register(vec![tls::node_name(&node)], tenant);
        Ok(Self { desk, arrivals, _registration: registration })
    }

    /// A code for the store's hub: 15 minutes, 5 tries, one use.
    pub fn code(&self) -> Result<Code, enrol::OpenError> {
        self.desk.open(None)
    }

    /// Waits for the hub with the code. `remember` makes the store's directory ([`take_in_store`]); only then is the hub
    /// told that it is in.
    ///
    /// Shape: `None` when the endpoint is gone.
    pub async fn wait<F>(mut self, remember: impl Fn(Joining) -> F) -> Option<Joining>
    where
        F: Future<Output = Result<(), String>>,
    {
        while let Some(arrival) = self.arrivals.recv().await {
            match enrol::take_in(&arrival, &self.desk, &remember).await {
                Ok(joining) => return Some(joining),
                Err(err) => info!(%err, "a store did not get in"),
            }
        }
        None
    }
}
