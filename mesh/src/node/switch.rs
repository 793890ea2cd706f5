//! The switchboard: one task that lets links in, dials, and ends them. It decides; links and dials run in its task set.

use crate::bell::Ear;
use crate::endpoint::{Arrival, CloseCode, DialError, Endpoint};
use crate::find::{Candidate, Rung, WAIT_FAR_MAX, WAIT_GUESSED_MAX, WAIT_HUB_MAX, WAIT_NEAR_MAX, mdns};
use crate::link::{self, Event};
use crate::node::open::{hint_configured, save_ladder};
use crate::node::race::race;
use crate::node::seals::SealKeeper;
use crate::node::shared::{LinkId, Shared};
use crate::node::wanted::{PATIENCE, Wanted, wanted};
use crate::node::watermark::Watermark;
use crate::node::{admin, alerts, recover, word};
use crate::proto::Code;
use crate::tls::{self, Protocol};
use quinn::Connection;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, sleep_until};
use tokio_util::sync::CancellationToken;
use toko_crdt::NodeId;
use toko_crdt::frontier::Frontier;
use toko_crdt::member::Members;
use tracing::{debug, info, warn};

/// Events of links that may wait. Links never wait for it.
const EVENTS_MAX: usize = 1_024;
/// How many links a node has at most, clones and duplicates included.
pub(super) const LINKS_MAX: usize = 64;
/// How many of them one peer may have: its process, those that were killed a moment ago, and copies of its directory.
pub(super) const LINKS_OF_ONE_MAX: usize = LINKS_MAX / 8;
/// How many newcomers are talked to at once.
const NEWCOMERS_MAX: usize = 8;
/// The one beat of a node: roots go out on all links.
const TICK: Duration = Duration::from_secs(1);
/// After a link broke, the next dial waits up to this long, so that a shop does not dial as one.
const REDIAL_MS_MAX: u64 = 200;
/// How long a node that does not let us in is left alone.
const REFUSED_WAIT: Duration = Duration::from_secs(5);
/// How often remembered addresses are written down, in ticks.
const SAVE_TICKS: u64 = 5;
/// How long links have to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// The one who connects.
pub(super) struct Switch {
    pub(super) shared: Arc<Shared>,
    endpoint: Endpoint,
    arrivals: mpsc::Receiver<Arrival>,
    hints: mpsc::Receiver<mdns::Sighting>,
    /// Where links tell what happens; each gets a clone of the first.
    pub(super) tell: mpsc::Sender<(LinkId, Event)>,
    events: mpsc::Receiver<(LinkId, Event)>,
    pub(super) tasks: JoinSet<Done>,
    pub(super) wants: BTreeMap<NodeId, Want>,
    /// With whom links are wanted, as long as these are the members.
    wanted: (Arc<Members>, Arc<[Wanted]>),
    pub(super) next_link: LinkId,
    newcomers: usize,
    asking: word::Asking,
    /// Whether the ladder changed since it was written down.
    pub(super) unsaved: bool,
    ticks: u64,
    changed: Ear,
    watermark: Watermark,
    seals: SealKeeper,
}

/// A node with which there is no link and should be one.
#[derive(Debug)]
pub(super) struct Want {
    pub(super) not_before: Instant,
    pub(super) dialling: bool,
}

/// What a task of the switchboard came to.
pub(super) enum Done {
    Link(link::End),
    /// The root key's word for a new hub was kept; now it is a peer like any other.
    Introduced {
        connection: Connection,
        peer: NodeId,
        addr: SocketAddr,
    },
    Dial {
        wanted: Wanted,
        result: Result<(Connection, Candidate), Vec<(SocketAddr, DialError)>>,
    },
    Newcomer,
    /// Somebody whom we do not know was asked for the root key's word: the hub that it names, if any.
    Asked {
        addr: SocketAddr,
        hub: Option<NodeId>,
    },
    Watermark {
        told: Option<Frontier>,
    },
    Seals,
}

impl Switch {
    pub(super) fn new(
        shared: Arc<Shared>,
        endpoint: Endpoint,
        arrivals: mpsc::Receiver<Arrival>,
        hints: mpsc::Receiver<mdns::Sighting>,
    ) -> Self {
        let changed = shared.store.reader().changed();
        let members = shared.members.now();
        let wanted = wanted(shared.node, shared.role, &members).into();
        let (tell, events) = mpsc::channel(EVENTS_MAX);
        Self {
            shared,
            endpoint,
            arrivals,
            hints,
            tell,
            events,
            tasks: JoinSet::new(),
            wants: BTreeMap::new(),
            wanted: (members, wanted),
            next_link: 0,
            newcomers: 0,
            asking: word::Asking::default(),
            unsaved: false,
            ticks: 0,
            changed,
            watermark: Watermark::default(),
            seals: SealKeeper::default(),
        }
    }

    /// Until told to stop; then every link says goodbye.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        hint_configured(&self.shared, &mut self.shared.board().ladder);
        let mut hints_open = true;
        let mut next = self.tend();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                changed = self.changed.changed() => match changed.map(|()| self.store_changed()) {
                    Ok(true) => {}
                    // Entries alone change nothing of who is to be linked with whom.
                    Ok(false) => continue,
                    // The store's end is the node's end.
                    Err(_) => break,
                },
                Some(done) = self.tasks.join_next() => match done {
                    Ok(done) => self.done(done),
                    Err(err) => warn!(%err, "a link's task failed"),
                },
                Some((id, event)) = self.events.recv() => self.link_says(id, event),
                Some(arrival) = self.arrivals.recv() => self.arrived(arrival),
                heard = self.hints.recv(), if hints_open => match heard {
                    Some(sighting) => self.sighted(&sighting),
                    None => hints_open = false,
                },
                _ = tick.tick() => self.tick(),
                () = sleep_until(next) => {}
            }
            next = self.tend();
        }
        self.stop().await;
    }

    /// Starts every dial that is due. Returns when the next one is.
    fn tend(&mut self) -> Instant {
        let now = Instant::now();
        let mut next = now + TICK;
        let list = self.wanted();
        self.wants.retain(|node, _| list.iter().any(|wanted| wanted.node == *node));
        for wanted in list.iter().copied() {
            let (linked, pending) = {
                let board = self.shared.board();
                (board.is_linked(&wanted.node), board.is_pending(&wanted.node))
            };
            if linked {
                self.wants.remove(&wanted.node);
                continue;
            }
            let patience = if wanted.at_once { Duration::ZERO } else { PATIENCE };
            let want = self
                .wants
                .entry(wanted.node)
                .or_insert_with(|| Want { not_before: now + patience, dialling: false });
            if want.dialling || pending {
                continue;
            }
            if want.not_before <= now {
                self.dial(wanted, now);
            }
            if let Some(want) = self.wants.get(&wanted.node).filter(|want| !want.dialling) {
                next = next.min(want.not_before);
            }
        }
        next
    }

    /// With whom links are wanted. Reckoned when the members change, since it hashes every pair.
    fn wanted(&mut self) -> Arc<[Wanted]> {
        let members = self.shared.members.now();
        if !Arc::ptr_eq(&self.wanted.0, &members) {
            let list = wanted(self.shared.node, self.shared.role, &members);
            self.wanted = (members, list.into());
        }
        Arc::clone(&self.wanted.1)
    }

    /// Dials everything that the ladder has for a node at once; the first to answer is taken.
    fn dial(&mut self, wanted: Wanted, now: Instant) {
        let Some(want) = self.wants.get_mut(&wanted.node) else { return };
        let candidates = self.shared.board().ladder.candidates(&wanted.node);
        if candidates.is_empty() {
            // Nothing to dial; a hint makes it due at once.
            want.not_before = now + TICK;
            return;
        }
        want.dialling = true;
        let (endpoint, shared) = (self.endpoint.clone(), Arc::clone(&self.shared));
        self.tasks.spawn(async move {
            let result = race(&endpoint, &shared, wanted, candidates).await;
            Done::Dial { wanted, result }
        });
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Newcomer => self.newcomers = self.newcomers.saturating_sub(1),
            Done::Link(end) => self.link_ended(&end),
            Done::Introduced { connection, peer, addr } => {
                let _ = self.store_changed();
                self.start_link(connection, peer, addr, Rung::Inbound, false);
            }
            Done::Asked { addr, hub } => {
                self.asking.done();
                if let Some(hub) = hub {
                    let _ = self.store_changed();
                    self.met(hub, addr);
                }
            }
            Done::Watermark { told } => self.watermark.was_told(told),
            Done::Seals => self.seals.done(),
            Done::Dial { wanted, result: Ok((connection, Candidate { addr, rung })) } => {
                if let Some(want) = self.wants.get_mut(&wanted.node) {
                    want.dialling = false;
                }
                self.start_link(connection, wanted.node, addr, rung, true);
            }
            Done::Dial { wanted, result: Err(errors) } => {
                let refused = errors.iter().any(|(_, error)| matches!(error, DialError::Refused { .. }));
                for (addr, error) in errors {
                    debug!(peer = %wanted.node.short(), %addr, err = %error, "dial failed");
                    self.shared.board().ladder.failed(wanted.node, addr, &error.to_string());
                    if let DialError::WrongPeer { met, .. } = error {
                        self.note_stranger(wanted.node, addr);
                        met.into_iter().for_each(|met| self.met(met, addr));
                    }
                }
                if refused {
                    self.note_refusal(wanted.node, "its door does not know our key");
                }
                self.wait_before_redial(wanted.node, refused);
            }
        }
    }

    /// Somebody answered where another was looked for: whoever looks for it next knows. Whom we do not know may be a new hub.
    fn met(&mut self, node: NodeId, addr: SocketAddr) {
        let members = self.shared.members.now();
        if members.is_member(&node) {
            if node != self.shared.node {
                self.shared.board().ladder.answers(node, addr);
                self.hinted(node);
            }
        } else if members.revoked(&node).is_none() {
            self.ask_for_word(addr);
        }
    }

    /// Asks whoever answers there for the root key's word for it.
    fn ask_for_word(&mut self, addr: SocketAddr) {
        if !self.asking.begin(addr, Instant::now()) {
            return;
        }
        let (endpoint, shared) = (self.endpoint.clone(), Arc::clone(&self.shared));
        self.tasks.spawn(async move {
            let hub = word::ask(&shared, &endpoint, addr).await;
            Done::Asked { addr, hub }
        });
    }

    /// A dial failed, or a link that never came to be: the next climb waits.
    pub(super) fn wait_before_redial(&mut self, node: NodeId, refused: bool) {
        let cap = if self.shared.members.now().roles(&node).headquarters {
            WAIT_FAR_MAX
        } else if self.shared.hub() == Some(node) {
            WAIT_HUB_MAX
        } else if self.shared.board().ladder.known(&node).is_empty() {
            WAIT_GUESSED_MAX
        } else {
            WAIT_NEAR_MAX
        };
        let mut wait = self.shared.board().ladder.wait(node, cap, self.jitter());
        if refused {
            wait = wait.max(REFUSED_WAIT);
        }
        if let Some(want) = self.wants.get_mut(&node) {
            want.dialling = false;
            want.not_before = Instant::now() + wait;
        }
    }

    /// A link ended that had worked: the one who dials first dials again almost at once.
    pub(super) fn redial_soon(&mut self, node: NodeId) {
        let list = self.wanted();
        let Some(wanted) = list.iter().find(|wanted| wanted.node == node) else { return };
        let pause = Duration::from_millis(u64::from(self.jitter()) * REDIAL_MS_MAX / u64::from(u16::MAX));
        let wait = if wanted.at_once { pause } else { PATIENCE };
        self.wants.insert(node, Want { not_before: Instant::now() + wait, dialling: false });
    }

    /// A hint came: whoever waited only for an address is dialled now.
    pub(super) fn hinted(&mut self, node: NodeId) {
        self.unsaved = true;
        let fresh = self.shared.board().ladder.candidates(&node).iter().any(|c| c.rung != Rung::Cached);
        let list = self.wanted();
        let at_once = list.iter().any(|wanted| wanted.node == node && wanted.at_once);
        let soon = Duration::from_millis(u64::from(self.jitter() % 50));
        if let Some(want) = self.wants.get_mut(&node)
            && fresh
            && at_once
        {
            want.not_before = want.not_before.min(Instant::now() + soon);
        }
    }

    fn arrived(&mut self, arrival: Arrival) {
        let peer = NodeId::of(&arrival.key);
        let addr = arrival.connection.remote_address();
        match arrival.protocol {
            Protocol::Member => match arrival.introduction.filter(|_| !self.shared.members.admits(&peer)) {
                None => self.start_link(arrival.connection, peer, addr, Rung::Inbound, false),
                Some(word) => {
                    let (shared, connection) = (Arc::clone(&self.shared), arrival.connection);
                    self.tasks.spawn(async move {
                        word::keep(&shared, &word).await;
                        Done::Introduced { connection, peer, addr }
                    });
                }
            },
            Protocol::Newcomer | Protocol::Recovery | Protocol::Word if self.newcomers < NEWCOMERS_MAX => {
                self.newcomers += 1;
                let shared = Arc::clone(&self.shared);
                self.tasks.spawn(async move {
                    match arrival.protocol {
                        Protocol::Recovery => recover::tell(&shared, &arrival).await,
                        Protocol::Word => word::tell(&shared, &arrival).await,
                        _ => admin::welcome(&shared, &arrival).await,
                    }
                    Done::Newcomer
                });
            }
            Protocol::Newcomer | Protocol::Recovery | Protocol::Word => {
                crate::endpoint::close(&arrival.connection, CloseCode::Busy);
            }
        }
    }

    /// mDNS heard something of our store: a hint for a member of that name.
    fn sighted(&mut self, sighting: &mdns::Sighting) {
        if sighting.store != tls::store_fingerprint(&self.shared.store_id) {
            return;
        }
        let nodes = self.shared.members.now().nodes();
        let named =
            |node: &&NodeId| tls::node_fingerprint(node) == sighting.node && **node != self.shared.node;
        let Some(node) = nodes.iter().find(named).copied() else {
            // A hub of a later term, of which we have not heard; or a lie, which costs a dial.
            if sighting.hub && sighting.node != tls::node_fingerprint(&self.shared.node) {
                sighting.addresses.iter().for_each(|addr| self.ask_for_word(*addr));
            }
            return;
        };
        for addr in &sighting.addresses {
            self.shared.board().ladder.hint(node, *addr, Rung::Mdns);
        }
        self.hinted(node);
    }

    /// The store committed: links hear of new entries; new members may come in, and revoked ones go. `true` where members
    /// changed.
    fn store_changed(&mut self) -> bool {
        let reader = self.shared.store.reader();
        let is_hub = self.shared.is_hub();
        reader.pass_on(is_hub);
        if is_hub {
            self.shared.newsroom.look_at_what_came(reader);
        }
        self.shared.newsroom.look_at(reader, (!is_hub).then_some(self.shared.node));
        let members = reader.members();
        if members.root_hash() == self.shared.members.now().root_hash() {
            return false;
        }
        let hub_before = self.shared.hub();
        self.shared.members.set(Arc::clone(&members));
        self.shared.newsroom.look_at_members(&members);
        hint_configured(&self.shared, &mut self.shared.board().ladder);
        let hub_changed = self.shared.hub() != hub_before;
        if hub_changed {
            // Whoever answers where the old one was is no stranger by that.
            self.shared.board().strangers.clear();
        }
        let lines: Vec<(LinkId, NodeId)> =
            self.shared.board().links.iter().map(|(id, line)| (*id, line.peer)).collect();
        for (id, peer) in lines {
            if !members.is_member(&peer) {
                info!(peer = %peer.short(), "link ends: the peer is no member any more");
                self.end_link(id, Code::NoMember, CloseCode::NotMember);
            } else if hub_changed {
                // Which links carry news is agreed when they begin.
                self.end_link(id, Code::Replaced, CloseCode::Done);
            }
        }
        self.look_for_hub();
        true
    }

    fn tick(&mut self) {
        self.ticks += 1;
        self.shared.newsroom.tick();
        alerts::watch_for_clones(&self.shared);
        if let Some(telling) = self.watermark.tell(&self.shared) {
            self.tasks.spawn(async move { Done::Watermark { told: telling.await } });
        }
        if let Some(work) = self.seals.look(&self.shared) {
            self.tasks.spawn(async move {
                work.await;
                Done::Seals
            });
        }
        if self.unsaved && self.ticks.is_multiple_of(SAVE_TICKS) {
            self.save();
        }
    }

    /// Any value.
    fn jitter(&self) -> u16 {
        self.shared.config.machine.random().map(u16::from_le_bytes).unwrap_or(u16::MAX / 2)
    }

    fn save(&mut self) {
        let bytes = self.shared.board().ladder.encode();
        self.unsaved = false;
        let saved = self.shared.dir.own_disk().and_then(|disk| save_ladder(&*disk, &bytes));
        if let Err(err) = saved {
            warn!(%err, "remembered addresses could not be saved");
        }
    }

    async fn stop(mut self) {
        let ids: Vec<LinkId> = self.shared.board().links.keys().copied().collect();
        for id in ids {
            self.end_link(id, Code::Stopping, CloseCode::Stopping);
        }
        if self.unsaved {
            self.save();
        }
        let all = async {
            while !self.shared.board().links.is_empty() {
                match self.tasks.join_next().await {
                    Some(Ok(Done::Link(end))) => drop(self.shared.board().links.remove(&end.id)),
                    Some(_) => {}
                    None => break,
                }
            }
        };
        if tokio::time::timeout(GOODBYE, all).await.is_err() {
            debug!("some peers did not hear the goodbye");
        }
        self.tasks.shutdown().await;
        self.shared.board().links.clear();
    }
}

/// Only the hub and headquarters are pushed to and push.
pub(super) fn is_hub_link(shared: &Shared, peer: &NodeId) -> bool {
    let members = shared.members.now();
    let hub = members.hub().map(|(_, node)| node);
    let is_central = |node: &NodeId| hub == Some(*node) || members.roles(node).headquarters;
    is_central(peer) || is_central(&shared.node)
}
