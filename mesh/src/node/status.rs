//! How a node is, in one answer for people and for scripts.

use crate::find::{Rung, Tried};
use crate::identity::Role;
use crate::log::SetAside;
use crate::node::Node;
use crate::node::alerts::{Alert, alerts};
use crate::node::shared::{Holds, Shared};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use toko_crdt::book::rows::{self, Parked};
use toko_crdt::digest::Digests;
use toko_crdt::frontier::Frontier;
use toko_crdt::member::Members;
use toko_crdt::{Hash, KvError, Lane, NodeId, StoreId};

/// How a node is.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// The node.
    pub node: NodeId,
    /// Its store.
    pub store: StoreId,
    /// What it was made as.
    pub role: Role,
    /// Drawn by this process.
    pub incarnation: u64,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Every link whose peer has greeted.
    pub links: Vec<LinkStatus>,
    /// One hash over all that is durable here; two nodes of a store with equal roots hold the same.
    pub frontier_root: Hash,
    /// The same over the books lane only: what headquarters compares.
    pub books_root: Hash,
    /// Entries that are durable here, both lanes.
    pub entries: u64,
    /// Digests of the views.
    pub digests: Digests,
    /// What is kept and not in the views.
    pub parked: Vec<Parked>,
    /// What a person should know, and has not settled.
    pub alerts: Vec<Alert>,
    /// The hub.
    pub hub: HubStatus,
    /// Headquarters, where the store has one.
    pub headquarters: Option<HeadquartersStatus>,
    /// Every address that is known, and what came of it: for `doctor`.
    pub addresses: Vec<Tried>,
}

/// One link.
#[derive(Clone, Debug)]
pub struct LinkStatus {
    /// Who.
    pub peer: NodeId,
    /// What people call it: a terminal's name, "hub" or "headquarters".
    pub name: String,
    /// At which address, as of now: a link outlives a change of address.
    pub addr: SocketAddr,
    /// How that was found.
    pub rung: Rung,
    /// For how long.
    pub age: Duration,
    /// Whether both know what the other holds.
    pub settled: bool,
    /// Round trip.
    pub rtt: Duration,
    /// Bytes sent, with everything that UDP carries.
    pub bytes_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes of frames sent, without what QUIC and UDP add.
    pub frame_bytes_out: u64,
    /// Bytes of frames received.
    pub frame_bytes_in: u64,
    /// Tellings of where others are that it has not confirmed yet.
    pub telling: usize,
    /// Entries that are durable here and not, as far as it said, there.
    pub it_lacks: u64,
    /// Entries that it holds and this node does not.
    pub we_lack: u64,
}

/// The hub, seen from here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HubStatus {
    /// Since which term, if a statement names a hub.
    pub term: Option<u64>,
    /// Who it is, if a statement says so.
    pub node: Option<NodeId>,
    /// Whether this node is it, or has a working link to it.
    pub alive: bool,
}

/// Headquarters, seen from here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeadquartersStatus {
    /// Who it is.
    pub node: NodeId,
    /// Whether this node has a working link to it. Terminals have none, and see it by its watermark only.
    pub alive: bool,
    /// Entries of the books that it has not yet said to hold.
    pub behind: u64,
}

impl Node {
    /// How this node is now.
    ///
    /// Errors: the views could not be read.
    pub async fn status(&self) -> Result<NodeStatus, KvError> {
        let alive = self.probe().await;
        let shared = &self.shared;
        let members = self.members();
        let frontier = self.frontier();
        let (digests, parked, watermark, mut alerts) = self.read(|kv| {
            let watermark = rows::watermark_union(kv)?;
            let alerts = alerts(shared, &members, kv, &alive)?;
            Ok((Digests::of(kv)?, rows::parked_all(kv)?, watermark, alerts))
        })?;
        alerts.retain(|alert| !alert.settled);
        let books = frontier.of_lanes(&[Lane::Books]);
        Ok(NodeStatus {
            node: shared.node,
            store: shared.store_id,
            role: shared.role,
            incarnation: shared.incarnation,
            listen: shared.listen,
            links: links(shared, &members, &frontier),
            frontier_root: frontier.root(),
            books_root: books.root(),
            entries: frontier.lines().map(|(_, head)| head.seq).sum(),
            digests,
            parked,
            alerts,
            hub: HubStatus {
                term: members.hub().map(|(term, _)| term),
                node: members.hub().map(|(_, node)| node),
                alive: self.hub_alive(),
            },
            headquarters: headquarters(shared, &members, &books, &watermark),
            addresses: shared.board().ladder.report(),
        })
    }
}

impl Node {
    /// What the disk spoilt of what it had kept, and was set aside.
    pub fn set_aside(&self) -> io::Result<Vec<SetAside>> {
        self.shared.store.reader().set_aside()
    }

    /// What a person should know, with what was settled.
    pub async fn alerts(&self) -> Result<Vec<Alert>, KvError> {
        let alive = self.probe().await;
        let members = self.members();
        self.read(|kv| alerts(&self.shared, &members, kv, &alive))
    }

    /// Whether a peer with a working link has written nothing that is not here, by its last word, which is two seconds old at
    /// most. So an entry of it that comes later was not long durable there, whatever anybody's clock says.
    ///
    /// Shape: of a journal that a fork has closed nothing more is awaited.
    pub fn is_level_with(&self, peer: &NodeId) -> Result<bool, KvError> {
        let board = self.shared.board();
        let theirs = board.holds.get(peer).filter(|_| board.is_settled(peer)).map(Holds::all);
        drop(board);
        let Some(theirs) = theirs else { return Ok(false) };
        let mut lacks = self.shared.store.reader().with_frontier(|ours| ours.lacks(&theirs));
        lacks.retain(|lack| lack.journal.node == *peer);
        if lacks.is_empty() {
            return Ok(true);
        }
        self.read(|kv| {
            let closed = lacks.iter().map(|lack| rows::closed(kv, &lack.journal));
            closed
                .map(|closed| closed.map(|closed| closed.is_some()))
                .try_fold(true, |all, one| Ok(all && one?))
        })
    }

    /// Whether this node is the hub of its store, as far as it knows: a hub that was succeeded is not.
    #[must_use]
    pub fn is_hub(&self) -> bool {
        self.shared.is_hub()
    }
}

fn links(shared: &Shared, members: &Members, frontier: &Frontier) -> Vec<LinkStatus> {
    let board = shared.board();
    let greeted = board.links.values().filter(|line| line.greeted.is_some());
    let each = greeted.map(|line| {
        let stats = line.connection.stats();
        let lanes = if members.roles(&line.peer).headquarters || shared.role == Role::Headquarters {
            &[Lane::Books][..]
        } else {
            &Lane::ALL
        };
        let ours = frontier.of_lanes(lanes);
        let theirs = board.holds.get(&line.peer).map(Holds::all).unwrap_or_default();
        LinkStatus {
            peer: line.peer,
            name: name_of(members, &line.peer),
            addr: line.connection.remote_address(),
            rung: line.rung,
            age: line.since.elapsed(),
            settled: line.settled,
            rtt: line.connection.rtt(),
            bytes_out: stats.udp_tx.bytes,
            bytes_in: stats.udp_rx.bytes,
            frame_bytes_out: line.frames.out.load(Relaxed),
            frame_bytes_in: line.frames.into.load(Relaxed),
            telling: line.telling.len(),
            it_lacks: entries_beyond(&theirs, &ours),
            we_lack: entries_beyond(&ours, &theirs),
        }
    });
    each.collect()
}

/// What people call a node.
fn name_of(members: &Members, node: &NodeId) -> String {
    let roles = members.roles(node);
    match (members.hub(), roles.terminal.first()) {
        (Some((_, hub)), _) if hub == *node => "hub".into(),
        (_, Some((_, name))) => name.clone(),
        _ if roles.headquarters => "headquarters".into(),
        _ if roles.is_hub() => "old hub".into(),
        _ => node.short(),
    }
}

fn headquarters(
    shared: &Shared,
    members: &Members,
    books: &Frontier,
    watermark: &Frontier,
) -> Option<HeadquartersStatus> {
    let node = *members.headquarters().first()?;
    let board = shared.board();
    let told = board.holds.get(&node).map(Holds::all);
    // What it wrote itself it holds, and no watermark names the entry that it is.
    let beyond = |held: &Frontier| {
        let lacks = held.lacks(books).into_iter().filter(|lack| lack.journal.node != node);
        lacks.map(|lack| lack.to - lack.from + 1).sum::<u64>()
    };
    let behind = beyond(watermark);
    let behind = told.map_or(behind, |told| behind.min(beyond(&told)));
    Some(HeadquartersStatus { node, alive: board.is_settled(&node), behind })
}

/// How many entries `more` holds that `less` does not.
fn entries_beyond(less: &Frontier, more: &Frontier) -> u64 {
    less.lacks(more).iter().map(|lack| lack.to - lack.from + 1).sum()
}
