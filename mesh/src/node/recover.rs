//! How a blank machine becomes a store's hub: the recovery code finds terminals, the root key names the machine in the next
//! term, and the books flow back by the ordinary links.
//!
//! ```text
//! ask    every address that is given, heard by mDNS, or told by who answers: who belongs to the store?   changes nothing
//! sign   Hub { highest term + 1, a fresh key }, by the root key; the data directory is made, whole or not at all
//! open   the node dials the terminals with the root key's word in its hello, and lacks everything
//! ```
//!
//! Invariants: nothing is changed anywhere before the directory is durable; from then on nothing but the directory is needed,
//! so a recovery that is cut short goes on where it stopped. The root key is kept nowhere. Until it is [recovered](Node::recovered)
//! the directory says so: such a hub would print again what the dead hub printed, since it does not know better yet.
//!
//! Absent on purpose: asking the old hub for leave. It learns of its successor like everybody else.

use crate::disk::remove_if_there;
use crate::endpoint::{Arrival, BindError, Distance, Endpoint};
use crate::enrol::{self, EnrolError, NoRandomness, RecoveryCode, Told};
use crate::find::{Ladder, Rung, mdns};
use crate::identity::Role;
use crate::machine::Machine;
use crate::node::Node;
use crate::node::open::save_ladder;
use crate::node::setup::{Meaning, SetupError, Spot, begin_marked, refuse_occupied};
use crate::node::shared::Shared;
use crate::node::word;
use crate::tls::{self, TlsError, TlsKey};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use toko_crdt::NodeId;
use toko_crdt::frontier::Frontier;
use toko_crdt::ids::StoreId;
use toko_crdt::member::{Claim, Members, Statement};
use toko_crdt::sign::SecretKey;
use tracing::{debug, info, warn};

/// How long the LAN is listened to.
const LISTEN: Duration = Duration::from_secs(4);
/// How many addresses are asked at most.
const ADDRESSES_MAX: usize = 256;
/// A peer that has told nothing for so long since its link settled holds nothing.
const NOTHING_TOLD: Duration = Duration::from_secs(3);
/// The file that says that a hub has not yet got its books back.
const RECOVERING_FILE: &str = "recovering";

/// Why a machine did not become hub. Nothing was changed anywhere.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// No address answered.
    #[error("no terminal of this store answered{}", places_tried(.tried))]
    Nobody {
        /// Who was asked, and what came of it.
        tried: Vec<(SocketAddr, String)>,
    },
    /// Somebody answered, of another store.
    #[error("who answers at {addr} belongs to another store than this recovery code")]
    OtherStore {
        /// Where.
        addr: SocketAddr,
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
    /// The directory was not made.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

fn places_tried(tried: &[(SocketAddr, String)]) -> String {
    let each: Vec<String> = tried.iter().map(|(addr, why)| format!("{addr}: {why}")).collect();
    if each.is_empty() { "; no address is known".into() } else { format!(": {}", each.join("; ")) }
}

/// Where nodes of the store may be.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Terminals, on the LAN.
    pub near: Vec<SocketAddr>,
    /// Headquarters.
    pub far: Vec<SocketAddr>,
    /// Whether to listen for terminals by mDNS.
    pub mdns: bool,
}

/// What the store's nodes told to whoever holds its root key.
#[derive(Clone, Debug)]
pub struct Found {
    /// All statements that anybody told.
    pub members: Members,
    /// Who answered, and where.
    pub answered: Vec<(NodeId, SocketAddr)>,
    ladder: Ladder,
}

/// A machine that became hub.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Succeeded {
    /// The store.
    pub store: StoreId,
    /// The new hub.
    pub hub: NodeId,
    /// Its term.
    pub term: u64,
}

/// Refuses a directory in which something is, before anybody is asked.
pub fn check_blank(dir: &Path) -> Result<(), RecoverError> {
    Ok(refuse_occupied(dir)?)
}

/// Asks for the store of a recovery code. Nothing is changed by asking.
///
/// Errors: [`RecoverError::Nobody`] and [`RecoverError::OtherStore`] with what was tried.
pub async fn find_store(
    machine: &Machine,
    recovery: &RecoveryCode,
    places: &Places,
) -> Result<Found, RecoverError> {
    let root = TlsKey::new(&recovery.0)?;
    let store = StoreId::of(&root.public());
    let bind = |any: IpAddr| machine.bind(SocketAddr::new(any, 0), None);
    let (v4, v6) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
    let mut search = Search {
        // A machine without IPv6 asks without it.
        endpoints: [bind(v4)?, bind(v6).or_else(|_| bind(v4))?],
        asked: BTreeMap::new(),
        asking: JoinSet::new(),
        found: Found {
            members: Members::new(root.public()),
            answered: Vec::new(),
            ladder: Ladder::default(),
        },
        root,
    };
    places.near.iter().for_each(|addr| search.ask(*addr, Distance::Near));
    places.far.iter().for_each(|addr| search.ask(*addr, Distance::Far));

    let (heard, mut sightings) = mpsc::channel(64);
    let stop = CancellationToken::new();
    let mut ears = JoinSet::new();
    if places.mdns {
        ears.spawn(mdns::run(None, heard, stop.clone()));
    } else {
        drop(heard);
    }
    let until = Instant::now() + LISTEN;
    let mut listening = places.mdns;
    while listening || !search.asking.is_empty() {
        tokio::select! {
            biased;
            Some(done) = search.asking.join_next() => if let Ok((addr, told)) = done { search.heard(addr, told) },
            sighting = sightings.recv(), if listening => match sighting {
                Some(sighting) if sighting.store == tls::store_fingerprint(&store) => {
                    sighting.addresses.iter().for_each(|addr| search.ask(*addr, Distance::Near));
                }
                Some(_) => {}
                None => listening = false,
            },
            () = sleep_until(until), if listening => listening = false,
        }
    }
    stop.cancel();
    ears.shutdown().await;
    search.end()
}

struct Search {
    endpoints: [Endpoint; 2],
    root: TlsKey,
    /// Each address, and what went wrong there.
    asked: BTreeMap<SocketAddr, Option<EnrolError>>,
    asking: JoinSet<(SocketAddr, Result<Told, EnrolError>)>,
    found: Found,
}

impl Search {
    fn ask(&mut self, addr: SocketAddr, distance: Distance) {
        if self.asked.len() >= ADDRESSES_MAX || self.asked.contains_key(&addr) {
            return;
        }
        self.asked.insert(addr, None);
        let [v4, v6] = &self.endpoints;
        let endpoint = if addr.is_ipv4() { v4.clone() } else { v6.clone() };
        let root = self.root.clone();
        self.asking.spawn(async move { (addr, enrol::ask_members(&endpoint, &root, addr, distance).await) });
    }

    fn heard(&mut self, addr: SocketAddr, told: Result<Told, EnrolError>) {
        let told = match told {
            Ok(told) => told,
            Err(err) => {
                debug!(%addr, %err, "nothing was told");
                self.asked.insert(addr, Some(err));
                return;
            }
        };
        info!(peer = %told.by.short(), %addr, "a node of the store answers");
        for statement in told.members.statements() {
            // All of them held where they were gathered, issuers first.
            let _ = self.found.members.add(statement.clone());
        }
        self.found.answered.push((told.by, addr));
        self.found.ladder.worked(told.by, addr, Rung::Told);
        for (node, addrs) in told.known {
            for addr in addrs {
                self.found.ladder.hint(node, addr, Rung::Told);
                self.ask(addr, Distance::Near);
            }
        }
    }

    fn end(self) -> Result<Found, RecoverError> {
        if !self.found.answered.is_empty() {
            return Ok(self.found);
        }
        if let Some((addr, _)) =
            self.asked.iter().find(|(_, error)| matches!(error, Some(EnrolError::OtherRoot)))
        {
            return Err(RecoverError::OtherStore { addr: *addr });
        }
        let tried = self.asked.into_iter();
        let tried =
            tried.map(|(addr, error)| (addr, error.map(|error| error.to_string()).unwrap_or_default()));
        Err(RecoverError::Nobody { tried: tried.collect() })
    }
}

/// Names this machine the hub of the next term and makes its directory, which lacks everything but the members.
///
/// Errors: the directory is as it was.
pub fn succeed(
    spot: impl Into<Spot>,
    recovery: &RecoveryCode,
    found: &Found,
    meaning: &Meaning,
) -> Result<Succeeded, RecoverError> {
    let spot = spot.into();
    check_blank(&spot.dir)?;
    let root = &recovery.0;
    let store = *found.members.store();
    let key = SecretKey::from_seed(spot.machine.random()?);
    let hub = key.node();
    let term = found.members.last_term().saturating_add(1);
    let word = Statement::sign(&store, root, Claim::Hub { term, key: key.public() });
    // Root's first, as everywhere.
    let statements = std::iter::once(word).chain(found.members.statements().cloned()).collect();
    let new = (root.public(), key, Role::Hub);
    let data = begin_marked(&spot, new, Some(RECOVERING_FILE), statements, meaning)?;
    let saved = data.own_disk().and_then(|disk| save_ladder(&*disk, &found.ladder.encode()));
    if let Err(err) = saved {
        warn!(%err, "addresses could not be saved; terminals are found again, or give them in the configuration");
    }
    info!(store = %store.short(), hub = %hub.short(), term, "this machine is the hub of the next term");
    Ok(Succeeded { store, hub, term })
}

/// Whether the hub of this directory has not yet got its books back.
#[must_use]
pub fn is_recovering(dir: &Path) -> bool {
    dir.join(RECOVERING_FILE).exists()
}

/// How far a node is from holding what its peers hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CatchUp {
    /// Peers that have said what they hold.
    pub told: Vec<NodeId>,
    /// Members with whom there is no link that works, or that have not yet said what they hold.
    pub dark: Vec<NodeId>,
    /// Entries that are durable here.
    pub here: u64,
    /// Entries that peers hold and this node does not.
    pub lacking: u64,
}

impl Node {
    /// How far this node is from holding what its peers hold.
    #[must_use]
    pub fn catch_up(&self) -> CatchUp {
        let shared = &self.shared;
        let (members, frontier) = (self.members(), self.frontier());
        let mut all = Frontier::default();
        let (mut told, mut dark) = (Vec::new(), Vec::new());
        let board = shared.board();
        for node in members.nodes().into_iter().filter(|node| *node != shared.node && members.is_member(node))
        {
            let settled = |line: &&crate::node::shared::Line| line.peer == node && line.settled;
            let since = board.links.values().filter(settled).map(|line| line.since.elapsed()).max();
            // What was said on a link that is being begun anew still holds.
            let holds = board.holds.get(&node);
            holds.into_iter().for_each(|holds| all.join(&holds.all()));
            match (since, holds) {
                (Some(_), Some(_)) => told.push(node),
                (Some(since), None) if since >= NOTHING_TOLD => told.push(node),
                _ => dark.push(node),
            }
        }
        drop(board);
        let here = frontier.lines().map(|(_, head)| head.seq).sum();
        let lacking = frontier.lacks(&all).iter().map(|lack| lack.to - lack.from + 1).sum();
        CatchUp { told, dark, here, lacking }
    }

    /// Notes that this hub has its books back.
    pub fn recovered(&self) -> io::Result<()> {
        let disk = self.own_disk()?;
        remove_if_there(&*disk, RECOVERING_FILE)?;
        disk.sync_dir()
    }

    /// Writes the root key's word for this hub into its books, so that they tell who was hub when. Once is enough.
    pub async fn proclaim(&self) -> Result<(), super::AdminError> {
        let Some(word) = word::own_statement(&self.shared) else { return Ok(()) };
        self.add_statement(word).await.map(drop)
    }
}

/// Tells whoever proved the root key who belongs to the store, and where nodes may be.
pub(super) async fn tell(shared: &Arc<Shared>, arrival: &Arrival) {
    let from = arrival.connection.remote_address();
    warn!(%from, "the recovery code is used: somebody makes a new hub of this store");
    let members = shared.store.reader().members();
    let known: Vec<(NodeId, Vec<SocketAddr>)> = {
        let board = shared.board();
        let others = members.nodes().into_iter().filter(|node| {
            *node != shared.node && members.is_member(node) && !members.roles_of(node).headquarters
        });
        let known = others.map(|node| (node, board.ladder.known(&node)));
        known.filter(|(_, addrs)| !addrs.is_empty()).collect()
    };
    if let Err(err) = enrol::tell_members(arrival, &members, &known).await {
        debug!(%from, %err, "whoever holds the recovery code went away");
    }
}
