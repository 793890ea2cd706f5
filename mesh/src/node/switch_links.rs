//! What the switchboard does with links once they are there: begins them, hears them, settles which of two stays.

use super::shared::{FrameBytes, Line, LinkId};
use super::switch::{Done, LINKS_MAX, LINKS_OF_ONE_MAX, Switch, is_hub_link};
use super::wanted::keeps_first;
use crate::endpoint::{CloseCode, close};
use crate::find::{ADDRESSES_MAX, Rung};
use crate::identity::Role;
use crate::link::{self, Command, Event};
use crate::proto::frame::{ADDRS_MAX, Lanes, PEERS_MAX, PeerAddrs};
use crate::proto::{Code, Config};
use quinn::Connection;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;
use toko_crdt::NodeId;
use tracing::{debug, info, warn};

/// Commands that may wait for a link. *Full*: the link is busy dying, and is left to it.
const COMMANDS_MAX: usize = 64;
/// The most that a session waits by chance before it asks.
const SESSION_JITTER_MICROS: u32 = 20_000;

impl Switch {
    pub(super) fn start_link(
        &mut self,
        connection: Connection,
        peer: NodeId,
        addr: SocketAddr,
        rung: Rung,
        we_dialled: bool,
    ) {
        let shared = Arc::clone(&self.shared);
        let (all, of_peer) = {
            let board = shared.board();
            (board.links.len(), board.links.values().filter(|line| line.peer == peer).count())
        };
        if all >= LINKS_MAX || of_peer >= LINKS_OF_ONE_MAX {
            return close(&connection, CloseCode::Busy);
        }
        if !shared.members.admits(&peer) {
            return close(&connection, CloseCode::NotMember);
        }
        let id = self.next_link;
        self.next_link += 1;
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let frames = Arc::<FrameBytes>::default();
        let line = Line {
            peer,
            addr,
            rung,
            we_dialled,
            since: Instant::now(),
            connection: connection.clone(),
            commands,
            greeted: None,
            settled: false,
            told: false,
            telling: VecDeque::new(),
            frames: Arc::clone(&frames),
        };
        shared.board().links.insert(id, line);
        let config = self.session_config(peer);
        let setup = link::Setup {
            id,
            connection,
            peer,
            we_dialled,
            config,
            shared,
            frames,
            commands: inbox,
            events: self.tell.clone(),
        };
        self.tasks.spawn(async move { Done::Link(link::run(setup).await) });
    }

    fn session_config(&self, peer: NodeId) -> Config {
        let shared = &self.shared;
        let drawn =
            shared.config.machine.random().map(u32::from_le_bytes).unwrap_or(SESSION_JITTER_MICROS / 2);
        Config {
            store: shared.store_id,
            peer,
            headquarters: shared.members.now().roles(&peer).headquarters,
            push: is_hub_link(shared, &peer),
            lanes: if shared.role == Role::Headquarters { Lanes::Books } else { Lanes::All },
            incarnation: shared.incarnation,
            addrs: shared.addrs.clone(),
            jitter_micros: drawn % SESSION_JITTER_MICROS,
            claims: shared.claims.clone(),
        }
    }

    pub(super) fn link_says(&mut self, id: LinkId, event: Event) {
        match event {
            Event::Greeted { incarnation } => self.greeted(id, incarnation),
            Event::Settled => self.settled(id),
            Event::Addresses(peers) => self.told(id, peers),
        }
    }

    fn greeted(&mut self, id: LinkId, incarnation: u64) {
        let own = self.shared.node;
        let mut board = self.shared.board();
        let Some(line) = board.links.get_mut(&id) else { return };
        line.greeted = Some((incarnation, Instant::now()));
        let (peer, addr, rung, we_dialled) = (line.peer, line.addr, line.rung, line.we_dialled);
        board.refused_by.remove(&peer);
        board.strangers.remove(&peer);
        let ourselves = peer == own && incarnation == self.shared.incarnation;
        if we_dialled && !ourselves {
            board.ladder.worked(peer, addr, rung);
        } else {
            board.ladder.reached(peer);
        }
        let twin = board.links.iter().find(|(other, line)| {
            **other != id && line.peer == peer && line.greeted.is_some_and(|(known, _)| known == incarnation)
        });
        let twin = twin.map(|(other, line)| (*other, line.we_dialled));
        drop(board);
        self.unsaved |= we_dialled;
        if ourselves {
            return self.end_link(id, Code::Replaced, CloseCode::Duplicate);
        }
        if let Some(twin) = twin {
            let Some(first) = keeps_first(own, peer, (id, we_dialled), twin) else { return };
            let ends = if first { twin.0 } else { id };
            debug!(peer = %peer.short(), "two links with one process, one goes");
            self.end_link(ends, Code::Replaced, CloseCode::Duplicate);
        }
        info!(peer = %peer.short(), %addr, rung = rung.word(), "link up");
        self.shared.note_net_change();
    }

    fn settled(&mut self, id: LinkId) {
        let mut board = self.shared.board();
        let Some(line) = board.links.get_mut(&id) else { return };
        line.settled = true;
        let (peer, addr) = (line.peer, line.addr);
        let silent_about_itself = !line.told && !line.we_dialled;
        if silent_about_itself {
            // One socket dials and listens, so where it came from is where it is, unless it says otherwise.
            board.ladder.hint(peer, addr, Rung::Told);
        }
        let members = self.shared.members.now();
        let others = members.nodes().into_iter().filter(|node| *node != peer && *node != self.shared.node);
        let others = others.filter(|node| !members.roles(node).headquarters);
        let known = others.filter_map(|node| {
            let mut addrs = board.ladder.known(&node);
            addrs.truncate(ADDRS_MAX);
            (!addrs.is_empty()).then_some(PeerAddrs { node, addrs })
        });
        let known: Vec<PeerAddrs> = known.take(PEERS_MAX).collect();
        // A process that was told before still knows: a link that comes back without news says next to nothing.
        board.tell(id, known);
        drop(board);
        self.unsaved = true;
        self.look_for_hub();
        self.shared.note_net_change();
    }

    /// A peer told addresses: hints, and worth telling on when they are its own. None at all: it has heard ours.
    fn told(&mut self, id: LinkId, peers: Vec<PeerAddrs>) {
        let members = self.shared.members.now();
        let mut board = self.shared.board();
        if peers.is_empty() {
            board.confirmed(id);
            drop(board);
            return self.shared.note_net_change();
        }
        let Some(teller) = board.links.get(&id).map(|line| line.peer) else { return };
        let mut hinted = Vec::new();
        for told in peers.iter().filter(|told| members.is_member(&told.node)) {
            if told.node == self.shared.node {
                continue;
            }
            for addr in &told.addrs {
                board.ladder.hint(told.node, *addr, Rung::Told);
            }
            hinted.push(told.node);
        }
        let own: Vec<PeerAddrs> = peers.into_iter().filter(|told| told.node == teller).collect();
        if !own.is_empty() {
            if let Some(line) = board.links.get_mut(&id) {
                line.told = true;
            }
            let settled = board.links.iter().filter(|(other, line)| **other != id && line.settled);
            let others = settled.filter(|(_, line)| line.peer != teller).map(|(other, _)| *other);
            for other in others.collect::<Vec<LinkId>>() {
                board.tell(other, own.clone());
            }
        }
        drop(board);
        hinted.into_iter().for_each(|node| self.hinted(node));
    }

    pub(super) fn end_link(&mut self, id: LinkId, code: Code, with: CloseCode) {
        let board = self.shared.board();
        let Some(line) = board.links.get(&id) else { return };
        if line.commands.try_send(Command::Close { code, with }).is_err() {
            close(&line.connection, with);
        }
    }

    pub(super) fn link_ended(&mut self, end: &link::End) {
        let mut board = self.shared.board();
        let Some(line) = board.links.remove(&end.id) else { return };
        let peer = line.peer;
        let still_linked = board.is_linked(&peer);
        if !end.greeted && line.we_dialled {
            board.ladder.failed(peer, line.addr, &end.why);
        }
        drop(board);
        if end.greeted {
            info!(peer = %peer.short(), why = %end.why, "link down");
        } else {
            debug!(peer = %peer.short(), why = %end.why, "link did not come up");
        }
        if end.refused {
            self.note_refusal(peer, &end.why);
        }
        if !still_linked {
            if end.greeted && !end.refused {
                self.redial_soon(peer);
            } else if line.we_dialled {
                self.wait_before_redial(peer, end.refused);
            }
        }
        self.look_for_hub();
        self.shared.note_net_change();
    }

    /// A peer does not let us in: a person must know, once.
    pub(super) fn note_refusal(&mut self, peer: NodeId, why: &str) {
        let news = self.shared.board().refused_by.insert(peer, why.to_owned()).is_none();
        if news {
            warn!(peer = %peer.short(), %why, "a peer does not let this node in");
            self.shared.note_net_change();
        }
    }

    /// Somebody else answers where the hub or headquarters should be: a wrong address, or another store's. A person must
    /// know, once. Terminals change addresses among themselves, and the next rung finds them.
    pub(super) fn note_stranger(&mut self, wanted: NodeId, addr: SocketAddr) {
        let members = self.shared.members.now();
        let is_hub = members.hub().is_some_and(|(_, hub)| hub == wanted);
        if !is_hub && !members.roles(&wanted).headquarters {
            return;
        }
        let news = {
            let mut board = self.shared.board();
            let known = board.strangers.entry(wanted).or_default();
            known.len() < ADDRESSES_MAX && known.insert(addr)
        };
        if news {
            warn!(peer = %wanted.short(), %addr, "who answers there is not who was expected: another store's, or an old address");
            self.shared.note_net_change();
        }
    }

    /// Whether the hub lives, as far as this node can tell; all sessions hear of a change.
    pub(super) fn look_for_hub(&mut self) {
        let shared = &self.shared;
        let alive = shared.is_hub() || {
            let board = shared.board();
            shared.hub().is_some_and(|hub| board.is_settled(&hub))
        };
        if shared.newsroom.hub(alive) {
            info!(alive, "hub");
            shared.note_net_change();
        }
    }
}
