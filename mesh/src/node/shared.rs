//! What all parts of a running node share, and the board on which links are written down.

use crate::bell::Bell;
use crate::blobs::Blobs;
use crate::enrol::FrontDesk;
use crate::find::{Ladder, Rung};
use crate::identity::{DataDir, Role};
use crate::link::Command;
use crate::node::NodeConfig;
use crate::node::alerts::Notes;
use crate::node::elsewhere::Elsewhere;
use crate::node::news::Newsroom;
use crate::proto::Claims;
use crate::proto::frame::{ADDRS_MAX, PeerAddrs};
use crate::store::{Checked, StoreHandle};
use crate::tls::{LiveMembers, TlsKey};
use quinn::Connection;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio::time::Instant;
use toko_crdt::clock::UnixMicros;
use toko_crdt::frontier::{Frontier, Head, LINES_MAX};
use toko_crdt::sign::SecretKey;
use toko_crdt::{Hash, JournalId, NodeId, StoreId};

/// Tellings of addresses that a peer may leave unconfirmed. *Full*: it is told no more on this link.
const TELLINGS_MAX: usize = 32;
/// Addresses of one node that a peer is remembered to know.
const TOLD_OF_ONE_MAX: usize = 4 * ADDRS_MAX;

/// Numbers a node's links, in the order in which they began.
pub(crate) type LinkId = u64;

/// One node, as its tasks share it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: NodeConfig,
    pub(crate) role: Role,
    pub(crate) node: NodeId,
    pub(crate) store_id: StoreId,
    /// Drawn when this process opened the node: two at one time with one key are a clone.
    pub(crate) incarnation: u64,
    pub(crate) tls: TlsKey,
    pub(crate) store: StoreHandle,
    pub(crate) blobs: Blobs,
    pub(crate) members: Arc<LiveMembers>,
    pub(crate) newsroom: Newsroom,
    pub(crate) claims: Claims,
    /// Where we listen, and what peers are told.
    pub(crate) listen: SocketAddr,
    pub(crate) addrs: Vec<SocketAddr>,
    /// The desk of a hub.
    pub(crate) desk: Option<Arc<FrontDesk>>,
    /// Held while a terminal gets its number, so that two get two.
    pub(crate) numbering: tokio::sync::Mutex<()>,
    /// Held while a blob is fetched, so that nobody fetches it twice.
    pub(crate) fetching: tokio::sync::Mutex<()>,
    /// Entries that peers gave.
    pub(crate) elsewhere: Elsewhere,
    pub(crate) started: Instant,
    pub(crate) board: Mutex<Board>,
    /// What of alerts outlives a start.
    pub(crate) notes: Mutex<Notes>,
    pub(crate) net_changes: Bell,
    /// What came of seals, here and at peers.
    pub(crate) seals: Mutex<SealBoard>,
    /// What is not what was written any more in old parts of the log, as the last look at them found.
    pub(crate) damaged: Mutex<Vec<String>>,
    /// Held by whoever has the sealed views' file open: two that have it open destroy it.
    pub(crate) sealed_file: Mutex<()>,
    /// The locked directory. It goes last, after every reader of the store: two that have one directory open destroy it.
    pub(crate) dir: DataDir,
}

/// What is known of peers just now.
#[derive(Debug, Default)]
pub(crate) struct Board {
    pub(crate) links: BTreeMap<LinkId, Line>,
    /// What each node said that it holds durably. It outlives the link: what was durable stays so.
    pub(crate) holds: BTreeMap<NodeId, Holds>,
    pub(crate) ladder: Ladder,
    /// What each peer's process knows of where others are, so that it is not told again.
    pub(crate) told: BTreeMap<NodeId, Told>,
    /// Nodes of which two lived at one time.
    pub(crate) clones: BTreeSet<NodeId>,
    /// Nodes that do not let our key in, and what they said.
    pub(crate) refused_by: BTreeMap<NodeId, String>,
    /// Where the hub or headquarters should be and somebody else answers.
    pub(crate) strangers: BTreeMap<NodeId, BTreeSet<SocketAddr>>,
}

/// What a node said that it holds durably.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    /// The frontier of a seal that it went over, as many links share it.
    base: Arc<Frontier>,
    /// Lines that it said beside.
    beyond: Frontier,
}

impl Holds {
    /// The last entry of a journal that it holds.
    pub(crate) fn head(&self, journal: &JournalId) -> Option<&Head> {
        self.beyond.head(journal).or_else(|| self.base.head(journal))
    }

    /// All of it.
    pub(crate) fn all(&self) -> Frontier {
        let mut all = Frontier::clone(&self.base);
        all.join(&self.beyond);
        all
    }

    /// *Shape*: what is told goes on for as long as the peer is a member; what it makes up must not.
    fn set(&mut self, lines: &Frontier) {
        for (journal, head) in lines.lines() {
            if self.beyond.len() < LINES_MAX || self.beyond.head(journal).is_some() {
                self.beyond.set(*journal, *head);
            }
        }
    }

    fn stand_on(&mut self, base: Arc<Frontier>) {
        let news = |(journal, head): &(&JournalId, &Head)| {
            base.head(journal).is_none_or(|known| known.seq < head.seq)
        };
        self.beyond = self.beyond.lines().filter(news).map(|(journal, head)| (*journal, *head)).collect();
        self.base = base;
    }
}

/// What came of seals.
#[derive(Debug, Default)]
pub(crate) struct SealBoard {
    /// The seals that this node went over lately.
    pub(crate) checked: BTreeMap<Hash, Checked>,
    /// Seals that will not be gone over: a later one was, or they cannot be compared.
    pub(crate) passed: BTreeSet<Hash>,
    /// The newest of them that was.
    pub(crate) newest: Option<Checked>,
    /// The seal that each peer went over last, and whether the same came out there.
    pub(crate) peers: BTreeMap<NodeId, (Hash, bool)>,
    /// Peers that have something only in a snapshot that is lacking here.
    pub(crate) pruned_by: BTreeMap<NodeId, (JournalId, u64)>,
    /// The snapshot that was made last.
    pub(crate) made: Option<MadeSnapshot>,
    /// Why no seal is gone over, if so.
    pub(crate) problem: Option<String>,
}

/// What a peer's process has confirmed that it was told of where others are.
#[derive(Debug)]
pub(crate) struct Told {
    incarnation: u64,
    addrs: BTreeMap<NodeId, BTreeSet<SocketAddr>>,
}

/// A snapshot that was made for a peer.
#[derive(Clone, Debug)]
pub(crate) struct MadeSnapshot {
    pub(crate) seal: Hash,
    pub(crate) list: Hash,
    /// Every blob of it.
    pub(crate) blobs: BTreeSet<Hash>,
}

/// One link on the board.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) peer: NodeId,
    pub(crate) addr: SocketAddr,
    pub(crate) rung: Rung,
    pub(crate) we_dialled: bool,
    pub(crate) since: Instant,
    pub(crate) connection: Connection,
    pub(crate) commands: mpsc::Sender<Command>,
    /// The peer process's incarnation and when it greeted.
    pub(crate) greeted: Option<(u64, Instant)>,
    pub(crate) settled: bool,
    /// Whether the peer said where it listens.
    pub(crate) told: bool,
    /// What it was told of where others are and has not confirmed yet, oldest first.
    pub(crate) telling: VecDeque<Vec<PeerAddrs>>,
    pub(crate) frames: Arc<FrameBytes>,
}

/// Bytes of frames that went over a link, without what QUIC and UDP add.
#[derive(Debug, Default)]
pub(crate) struct FrameBytes {
    pub(crate) out: AtomicU64,
    pub(crate) into: AtomicU64,
}

impl Shared {
    /// Monotonic time for sessions.
    pub(crate) fn micros(&self) -> UnixMicros {
        UnixMicros(i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    /// What came of seals. Never held across a wait.
    pub(crate) fn seals(&self) -> MutexGuard<'_, SealBoard> {
        self.seals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A peer went over a seal.
    pub(crate) fn peer_sealed(&self, peer: NodeId, seal: Hash, equal: bool) {
        if self.seals().peers.insert(peer, (seal, equal)) != Some((seal, equal)) {
            self.note_net_change();
        }
    }

    /// A peer has this entry in a snapshot only, and it is lacking here.
    pub(crate) fn peer_pruned(&self, peer: NodeId, journal: JournalId, from: u64) {
        if self.seals().pruned_by.insert(peer, (journal, from)) != Some((journal, from)) {
            self.note_net_change();
        }
    }

    /// This node's key.
    pub(crate) fn key(&self) -> &SecretKey {
        self.dir.key()
    }

    /// The board. Never held across a wait.
    pub(crate) fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The notes about alerts. Never held across a wait, and not together with the board but after it.
    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A peer said what it holds durably.
    pub(crate) fn peer_holds(&self, link: LinkId, peer: NodeId, lines: &Frontier) {
        let mut board = self.board();
        if board.links.contains_key(&link) {
            board.holds.entry(peer).or_default().set(lines);
            drop(board);
            self.note_net_change();
        }
    }

    /// A peer went over a seal that we went over: it holds all below.
    pub(crate) fn peer_stands_on(&self, link: LinkId, peer: NodeId, base: Arc<Frontier>) {
        let mut board = self.board();
        if board.links.contains_key(&link) {
            board.holds.entry(peer).or_default().stand_on(base);
        }
    }

    /// Whoever watches links and holders looks again.
    pub(crate) fn note_net_change(&self) {
        self.net_changes.ring();
    }

    /// The hub of the store as this node knows it.
    pub(crate) fn hub(&self) -> Option<NodeId> {
        self.members.now().hub().map(|(_, node)| node)
    }

    /// Whether this node is the store's hub.
    pub(crate) fn is_hub(&self) -> bool {
        self.role == Role::Hub && self.hub() == Some(self.node)
    }
}

impl Line {
    /// Which process is at the other end; 0 before it greeted.
    pub(crate) fn incarnation(&self) -> u64 {
        self.greeted.map_or(0, |(incarnation, _)| incarnation)
    }
}

impl Board {
    /// Tells the peer of a link what of this its process was not told yet. A node is told whole where one address is new.
    pub(crate) fn tell(&mut self, id: LinkId, known: Vec<PeerAddrs>) {
        let Some(line) = self.links.get_mut(&id) else { return };
        let told = self.told.get(&line.peer).filter(|told| told.incarnation == line.incarnation());
        let knows = |node: NodeId, addr: &SocketAddr| {
            told.is_some_and(|told| told.addrs.get(&node).is_some_and(|addrs| addrs.contains(addr)))
                || line.telling.iter().flatten().any(|of| of.node == node && of.addrs.contains(addr))
        };
        let news = |of: &PeerAddrs| of.addrs.iter().any(|addr| !knows(of.node, addr));
        let untold: Vec<PeerAddrs> = known.into_iter().filter(news).collect();
        if untold.is_empty() || line.telling.len() >= TELLINGS_MAX {
            return;
        }
        if line.commands.try_send(Command::Tell(untold.clone())).is_ok() {
            line.telling.push_back(untold);
        }
    }

    /// The peer of a link confirms the oldest telling that it did not confirm yet.
    pub(crate) fn confirmed(&mut self, id: LinkId) {
        let Some(line) = self.links.get_mut(&id) else { return };
        let Some(telling) = line.telling.pop_front() else { return };
        let (peer, incarnation) = (line.peer, line.incarnation());
        let nothing = || Told { incarnation, addrs: BTreeMap::new() };
        let told = self.told.entry(peer).or_insert_with(nothing);
        if told.incarnation != incarnation {
            *told = nothing();
        }
        for of in telling {
            let addrs = told.addrs.entry(of.node).or_default();
            // A node that moves about leaves more addresses behind than anybody keeps.
            if addrs.len() + of.addrs.len() > TOLD_OF_ONE_MAX {
                addrs.clear();
            }
            addrs.extend(of.addrs);
        }
    }

    /// Whether a link with this node has greeted.
    pub(crate) fn is_linked(&self, node: &NodeId) -> bool {
        self.links.values().any(|line| line.peer == *node && line.greeted.is_some())
    }

    /// Whether a link with this node works.
    pub(crate) fn is_settled(&self, node: &NodeId) -> bool {
        self.links.values().any(|line| line.peer == *node && line.settled)
    }

    /// Whether a link with this node is on its way.
    pub(crate) fn is_pending(&self, node: &NodeId) -> bool {
        self.links.values().any(|line| line.peer == *node && line.greeted.is_none())
    }
}
