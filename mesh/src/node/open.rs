//! How a node starts: directory, store, socket, tasks.

use crate::bell::Bell;
use crate::blobs::{BlobError, Blobs};
use crate::disk::{Disk, read_whole, remove_if_there};
use crate::endpoint::{BindError, Endpoint};
use crate::enrol::{CodeKind, Desk, FrontDesk, NoRandomness};
use crate::find::{Ladder, Rung, mdns};
use crate::identity::{DataDir, OpenDirError, Role};
use crate::machine::Machine;
use crate::node::alerts::Notes;
use crate::node::bases;
use crate::node::elsewhere::Elsewhere;
use crate::node::news::Newsroom;
use crate::node::scrub;
use crate::node::setup::Meaning;
use crate::node::shared::{Board, Shared};
use crate::node::switch::Switch;
use crate::node::{Node, NodeConfig, Running};
use crate::proto::Claims;
use crate::store::{OpenStoreError, Store, StoreConfig, StoreSetup, StoreThread};
use crate::tls::{self, Gate, LiveMembers, Tenant, TlsError, TlsKey};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use toko_crdt::{Fold, Hash, Run, Scope};
use tracing::{info, warn};

/// Arrivals that may wait for the switchboard. *Full*: they are told to come again.
const ARRIVALS_MAX: usize = 32;
/// What mDNS heard that may wait. *Full*: it will be heard again.
const HEARD_MAX: usize = 32;

/// The file of remembered addresses in a node's directory.
pub(super) const ADDRESSES_FILE: &str = "addresses";
/// The most bytes that are read of it.
const ADDRESSES_BYTES_MAX: u64 = 1 << 20;

/// Why a node did not start. Nothing was changed, unless the store says so.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory is not this node's.
    #[error(transparent)]
    Dir(#[from] OpenDirError),
    /// The store did not open.
    #[error("the store did not open")]
    Store(#[from] OpenStoreError),
    /// The socket is not to be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Blobs are not to be had.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The machine gives no randomness.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The machine gives no threads, or the disk did not answer.
    #[error("the machine refused")]
    Io(#[from] io::Error),
    /// Opening panicked: a mistake of ours.
    #[error("opening the store panicked")]
    Panicked(#[from] JoinError),
}

impl Node {
    /// Opens the node of a directory, binds its socket, and begins to look for its peers.
    pub async fn open(
        config: NodeConfig,
        fold: Arc<dyn Fold>,
        scope: Arc<dyn Scope>,
    ) -> Result<Self, OpenError> {
        let dir = config.machine.open_dir(&config.dir, config.role)?;
        let endpoint = config.machine.bind(config.listen, Some(dir.key()))?;
        Self::start(config, dir, Socket { endpoint, ours: true }, Meaning { fold, scope }).await
    }

    /// Opens a node on a socket that somebody else owns and serves: headquarters keeps many stores behind one port.
    pub async fn open_on(
        endpoint: &Endpoint,
        config: NodeConfig,
        fold: Arc<dyn Fold>,
        scope: Arc<dyn Scope>,
    ) -> Result<Self, OpenError> {
        let dir = config.machine.open_dir(&config.dir, config.role)?;
        let socket = Socket { endpoint: endpoint.clone(), ours: false };
        Self::start(config, dir, socket, Meaning { fold, scope }).await
    }

    async fn start(
        config: NodeConfig,
        dir: DataDir,
        socket: Socket,
        meaning: Meaning,
    ) -> Result<Self, OpenError> {
        let Socket { endpoint, ours } = socket;
        let config = NodeConfig { machine: config.machine.for_one(), ..config };
        let machine = config.machine.clone();
        let blobs = Blobs::open(dir.blobs_disk()?, config.blob_bytes_max)?;
        let (dir, store) = {
            let (sizes, on) = (config.store, machine.clone());
            let open = move || {
                let store = open_store(&on, &dir, sizes, meaning)?;
                if store.reader().members().statements().next().is_none() {
                    let why = "its journal knows of no member, not even of this node".to_owned();
                    return Err(OpenDirError::Damaged { path: dir.path().to_owned(), why }.into());
                }
                Ok::<_, OpenError>((dir, store))
            };
            machine.aside(open).await??
        };
        let thread = StoreThread::start_on(&machine, store)?;
        let listen = endpoint.local_addr()?;
        let shared = share(Parts { config, dir, blobs, listen, thread: &thread })?;
        info!(node = %shared.node.short(), store = %shared.store_id.short(), role = %shared.role, %listen, "node open");

        let (inbox, arrivals) = mpsc::channel(ARRIVALS_MAX);
        let tenant = Tenant {
            key: shared.tls.clone(),
            members: Some(Arc::clone(&shared.members)),
            gate: shared.desk.clone().map(|desk| desk as Arc<dyn Gate>),
            inbox,
        };
        let names = vec![tls::node_name(&shared.node), store_door(&shared)];
        let registration = endpoint.tenants().register(names, tenant);
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        if ours {
            let (endpoint, stop) = (endpoint.clone(), stop.clone());
            tasks.spawn(async move { endpoint.serve(stop).await });
        }
        let (heard, hints) = mpsc::channel(HEARD_MAX);
        if shared.config.mdns {
            let announcement = announce(&shared, listen);
            tasks.spawn(mdns::run(Some(announcement), heard, stop.clone()));
        }
        tasks.spawn(scrub::keep(Arc::clone(&shared), stop.clone()));
        let switch = Switch::new(Arc::clone(&shared), endpoint.clone(), arrivals, hints);
        tasks.spawn(switch.run(stop.clone()));
        let endpoint = ours.then_some(endpoint);
        let running = Running { tasks, registration, store: thread, endpoint };
        Ok(Self { shared, stop, running: Arc::new(Mutex::new(Some(running))) })
    }
}

/// The socket, and whether this node serves and closes it.
struct Socket {
    endpoint: Endpoint,
    ours: bool,
}

struct Parts<'a> {
    config: NodeConfig,
    dir: DataDir,
    blobs: Blobs,
    listen: SocketAddr,
    thread: &'a StoreThread,
}

fn share(parts: Parts<'_>) -> Result<Arc<Shared>, OpenError> {
    let Parts { config, dir, blobs, listen, thread } = parts;
    let store = thread.handle();
    let (members, frontier) = (store.reader().members(), store.reader().frontier());
    let (store_id, node) = (dir.sentinel().store(), dir.key().node());
    let is_hub = config.role == Role::Hub && members.hub().is_some_and(|(_, hub)| hub == node);
    let desk = (config.role == Role::Hub)
        .then(|| Desk::new(CodeKind::Enrol, tls::store_fingerprint(&store_id)))
        .map(|desk| Arc::new(FrontDesk::on(&config.machine, desk)));
    let addrs = match config.advertise.as_slice() {
        [] if listen.ip().is_unspecified() => Vec::new(),
        [] => vec![listen],
        told => told.to_vec(),
    };
    let notes = dir.own_disk().map(|disk| Notes::load(&*disk)).unwrap_or_default();
    let board = Board { ladder: load_ladder(&dir), ..Board::default() };
    let bases = bases::at_start(store.reader(), &members, config.role).unwrap_or_else(|err| {
        warn!(%err, "what earlier seals cover could not be read: links say everything anew");
        Vec::new()
    });
    Ok(Arc::new(Shared {
        role: config.role,
        node,
        store_id,
        incarnation: u64::from_le_bytes(config.machine.random()?),
        tls: TlsKey::new(dir.key())?,
        blobs,
        newsroom: Newsroom::new(frontier, &members, is_hub, bases),
        members: Arc::new(LiveMembers::new((*members).clone())),
        claims: Claims::default(),
        listen,
        addrs,
        desk,
        numbering: Mutex::new(()),
        fetching: Mutex::new(()),
        elsewhere: Elsewhere::default(),
        started: Instant::now(),
        board: std::sync::Mutex::new(board),
        notes: std::sync::Mutex::new(notes),
        net_changes: Bell::default(),
        seals: std::sync::Mutex::default(),
        damaged: std::sync::Mutex::default(),
        sealed_file: std::sync::Mutex::default(),
        store,
        config,
        dir,
    }))
}

/// Opens the store of a directory, on the thread that calls.
pub(super) fn open_store(
    machine: &Machine,
    dir: &DataDir,
    config: StoreConfig,
    meaning: Meaning,
) -> Result<Store, OpenError> {
    let Meaning { fold, scope } = meaning;
    let disk = dir.journal_disk()?;
    let (root, key) = (dir.sentinel().root, dir.key().clone());
    let machine = machine.clone();
    let mint_run = Box::new(move || mint_run(&machine));
    Ok(Store::open(StoreSetup { disk, root, key, mint_run, fold, scope, config })?)
}

/// Draws a run. A machine without randomness still never repeats one, as long as its clock moves.
fn mint_run(machine: &Machine) -> Run {
    let drawn = machine.random().unwrap_or_else(|_| {
        let now = machine.wall().0.to_be_bytes();
        let hash = Hash::of("toko/run/1", &[&now, &std::process::id().to_be_bytes()]);
        hash.0.first_chunk::<8>().copied().unwrap_or_default()
    });
    Run(u64::from_le_bytes(drawn))
}

/// Addresses that worked before. A file that does not read is as good as none: other rungs are there.
fn load_ladder(dir: &DataDir) -> Ladder {
    let mut ladder = Ladder::default();
    let read = dir.own_disk().and_then(|disk| read_whole(&*disk, ADDRESSES_FILE, ADDRESSES_BYTES_MAX));
    match read {
        Ok(Some(bytes)) => {
            if let Err(err) = ladder.load(&bytes) {
                warn!(%err, "remembered addresses do not read; they are found again");
            }
        }
        Ok(None) => {}
        Err(err) => warn!(%err, "remembered addresses are not to be had"),
    }
    ladder
}

/// Keeps addresses for the next start. They are hints, so a power cut in between costs nothing but a search.
pub(super) fn save_ladder(disk: &dyn Disk, bytes: &[u8]) -> io::Result<()> {
    let new = format!("{ADDRESSES_FILE}.new");
    remove_if_there(disk, &new)?;
    disk.create(&new, 0)?;
    disk.write_at(&new, 0, bytes)?;
    disk.rename(&new, ADDRESSES_FILE)
}

fn store_door(shared: &Shared) -> String {
    tls::store_name(&tls::store_fingerprint(&shared.store_id))
}

fn announce(shared: &Shared, listen: SocketAddr) -> mdns::Announcement {
    mdns::Announcement {
        hub: shared.role == Role::Hub,
        store: tls::store_fingerprint(&shared.store_id),
        node: tls::node_fingerprint(&shared.node),
        port: listen.port(),
    }
}

/// Writes addresses that were configured onto the ladder, for whoever they may be.
pub(super) fn hint_configured(shared: &Shared, ladder: &mut Ladder) {
    let members = shared.members.now();
    let hub = members.hub().map(|(_, node)| node);
    let others = members.nodes().into_iter().filter(|node| *node != shared.node);
    for (at, node) in others.enumerate() {
        let (list, rung) = if hub == Some(node) {
            (&shared.config.hub, Rung::Configured)
        } else if members.roles(&node).headquarters {
            (&shared.config.headquarters, Rung::Configured)
        } else {
            (&shared.config.peers, Rung::Guessed)
        };
        // Who is where is not configured. Each begins somewhere else, and whoever is met elsewhere is remembered there.
        let begin = at % list.len().max(1);
        let others = list.iter().cycle().skip(begin).take(list.len()).filter(|addr| **addr != shared.listen);
        others.for_each(|addr| ladder.hint(node, *addr, rung));
    }
}
