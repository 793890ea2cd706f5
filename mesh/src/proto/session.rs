//! One conversation with one peer: feed it, then drain it. It never waits and never does I/O.
//!
//! How it goes. Both sides say [`Hello`] and then the root of what they hold durably. Where the roots are equal, that is
//! all; otherwise each tells its frontier, once as a whole and from then on by what changed, each second at the latest.
//! Whoever lacks something asks for it (`pull`); on hub links new entries are pushed (`serve`). Whatever came is
//! acknowledged by lines once it is durable, to its author at once, or by a root that both have. Between two that know it,
//! each second says a root and lines follow only where the roots stay different (`pulse`). Member statements travel first
//! (`roll`).
//!
//! Invariants: nothing is buffered without a bound; nothing of a lane that does not travel on the link leaves or is taken;
//! what a peer does wrong ends at worst this conversation.
//!
//! Absent on purpose: verification (the store's), the choice of peers (the node's), silence (the node looks at
//! [`Session::heard_at`]) and any difference between a node and its clone.

mod api;
mod assembly;
mod blobs;
mod entries;
mod intake;
mod listen;
mod pull;
mod pulse;
mod roll;
mod seals;
mod serve;
mod telling;

pub use api::{Base, Config, Counters, Fresh, Input, Outcome, Output, Roster, Violation};

use super::frame::{
    ADDRS_MAX, BASES_MAX, Code, Frame, Hello, Lanes, PEERS_MAX, PeerAddrs, VERSION, VERSION_MAX,
};
use assembly::Assembly;
use blobs::Blobs;
use pull::Puller;
use pulse::Pulses;
use roll::Roll;
use seals::Seals;
use serve::Server;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use telling::Telling;
use toko_crdt::JournalId;
use toko_crdt::clock::UnixMicros;
use toko_crdt::frontier::Frontier;

/// How many ticks the peer's greeting may take.
const GREETING_TICKS_MAX: u32 = 5;

/// One conversation with one peer over one link.
///
/// Give it every [`Input`] with a time that never goes back, and call [`Session::poll`] until it gives `None` after each
/// (several inputs that are at hand may go in before: acknowledgements are then one frame).
///
/// ```
/// use std::sync::Arc;
/// use toko_crdt::{NodeId, StoreId, clock::UnixMicros};
/// use toko_mesh::proto::{Claims, Config, Frame, Input, Output, Session, frame::Lanes};
///
/// let config = Config {
///     store: StoreId([1; 32]),
///     peer: NodeId([2; 32]),
///     headquarters: false,
///     push: true,
///     lanes: Lanes::All,
///     incarnation: 7,
///     addrs: vec![],
///     jitter_micros: 0,
///     claims: Claims::default(),
/// };
/// let mut session = Session::new(config);
/// let (frontier, roster) = (Arc::default(), Arc::default());
/// session.handle(UnixMicros(0), Input::Opened { frontier, roster, hub_alive: true, bases: vec![] })?;
/// assert!(matches!(session.poll(), Some(Output::Send(Frame::Hello(_)))));
/// assert_eq!(session.poll(), None);
/// # Ok::<(), toko_mesh::proto::Violation>(())
/// ```
#[derive(Debug)]
pub struct Session {
    config: Config,
    state: State,
    now: UnixMicros,
    heard_at: UnixMicros,
    hub_alive: bool,
    /// Whether new entries may be pushed: a hub link, and the peer wants it.
    pushing: bool,
    /// Whether the peer reads packed frames.
    peer_unpacks: bool,
    ticks: u32,
    /// Frames with addresses since the last tick.
    hints: u32,
    hints_dropped: bool,
    telling: Telling,
    pulses: Pulses,
    /// Seals that we went over, until one is agreed on.
    bases: Vec<Base>,
    roll: Roll,
    puller: Puller,
    server: Server,
    blobs: Blobs,
    seals: Seals,
    assembly: Assembly,
    /// Lines that go out with the next poll: acknowledgements, and news where no hub carries them.
    soon: BTreeSet<JournalId>,
    out: VecDeque<Output>,
    wake_at: Option<UnixMicros>,
    counters: Counters,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum State {
    /// Not yet opened.
    New,
    /// Our greeting is out.
    Opened,
    /// The peer's greeting is here; whether it went over a seal that we went over comes next, or its root.
    Hailed,
    /// It is agreed what stays unsaid, and our root is out.
    Greeted,
    /// The peer's root is here.
    Settled,
    /// It has ended.
    Over,
}

impl Session {
    /// A conversation that has not begun.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let id = config.claims.enter();
        Self {
            state: State::New,
            now: UnixMicros(i64::MIN),
            heard_at: UnixMicros(i64::MIN),
            hub_alive: false,
            pushing: false,
            peer_unpacks: false,
            ticks: 0,
            hints: 0,
            hints_dropped: false,
            telling: Telling::new(&Frontier::default(), config.lanes),
            pulses: Pulses::default(),
            bases: Vec::new(),
            roll: Roll::new(Arc::default()),
            puller: Puller::new(&config, id),
            server: Server::default(),
            blobs: Blobs::default(),
            seals: Seals::default(),
            assembly: Assembly::default(),
            soon: BTreeSet::new(),
            out: VecDeque::new(),
            wake_at: None,
            counters: Counters::default(),
            config,
        }
    }

    /// Takes one input. After the end, everything is ignored.
    ///
    /// Errors: the peer broke the rules; the session has queued its goodbye and is over.
    pub fn handle(&mut self, now: UnixMicros, input: Input) -> Result<(), Violation> {
        if self.state == State::Over {
            return Ok(());
        }
        self.now = self.now.max(now);
        let taken = self.take(input);
        match &taken {
            Ok(()) => self.pump(),
            Err(violation) => self.end(violation.code(), violation.to_string()),
        }
        taken
    }

    /// What should happen next. `None`: nothing before the next input.
    pub fn poll(&mut self) -> Option<Output> {
        if self.out.is_empty() && !self.soon.is_empty() && self.state == State::Settled {
            let soon = std::mem::take(&mut self.soon);
            let frames = self.telling.tell_some(&soon);
            self.send_all(frames);
        }
        let output = self.out.pop_front()?;
        self.counters.frames_out += u64::from(matches!(output, Output::Send(_)));
        Some(output)
    }

    /// When the peer was last heard; whoever has been silent for 2 s is as good as gone.
    #[must_use]
    pub fn heard_at(&self) -> UnixMicros {
        self.heard_at
    }

    /// Whether both have greeted and told their roots.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.state == State::Settled
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// The bytes of a frame for this peer: packed, if it reads that.
    #[must_use]
    pub fn encode(&self, frame: &Frame) -> Vec<u8> {
        if self.peer_unpacks { frame.encode_packed() } else { frame.encode() }
    }

    /// What the peer holds durably, of the lanes on this link, as far as it said so.
    #[must_use]
    pub fn peer_frontier(&self) -> Frontier {
        let mut all = Frontier::clone(self.telling.base());
        all.apply(self.telling.theirs_beyond());
        all
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn take(&mut self, input: Input) -> Result<(), Violation> {
        match input {
            Input::Opened { frontier, roster, hub_alive, bases } => {
                self.opened(&frontier, roster, hub_alive, bases);
            }
            Input::Frame(frame) => {
                self.heard_at = self.now;
                self.counters.frames_in += 1;
                return self.frame(frame);
            }
            Input::Broken(error) => return Err(error.into()),
            Input::Tick => self.tick(),
            Input::Wake => self.wake_at = None,
            Input::Came(fresh) => self.came(&fresh),
            Input::News { delta, fresh } => self.news(&delta, &fresh),
            Input::Frontier(frontier) => self.replaced(&frontier),
            Input::Loaded { journal, from, entries } => {
                self.server.loaded(self.now, journal, from, &entries, &mut self.out);
            }
            Input::Gone { journal, from } => self.gone(journal, from),
            Input::Sealed { seal, equal } => self.sealed(seal, equal),
            Input::WantSnapshot { seal } if self.state == State::Settled => {
                self.send(Frame::WantSnapshot { seal });
            }
            Input::WantSnapshot { .. } => {}
            Input::SnapshotLoaded { seal, manifest } => self.snapshot_loaded(seal, manifest),
            Input::Ingested { ticket, outcome } => return self.ingested(ticket, outcome),
            Input::Roster(roster) => {
                self.roll.replace(roster);
                self.puller.forgive(self.now);
                if self.state >= State::Hailed {
                    let frames = self.roll.tell_new();
                    self.send_all(frames);
                }
            }
            Input::Hub { alive } => self.hub(alive),
            Input::Peers(peers) if self.state == State::Settled => {
                let peers = peers.into_iter().take(PEERS_MAX).map(clipped).collect();
                self.send(Frame::Peers(peers));
            }
            Input::Peers(_) => {}
            Input::FetchBlob { hash, offset } => self.blobs.fetch(hash, offset, &mut self.out),
            Input::BlobLoaded { hash, offset, slice } => {
                self.blobs.loaded(hash, offset, slice, &mut self.out);
            }
            Input::Close { code, reason } => self.end(code, reason),
        }
        Ok(())
    }

    fn opened(&mut self, frontier: &Frontier, roster: Arc<Roster>, hub_alive: bool, bases: Vec<Base>) {
        if self.state != State::New {
            return;
        }
        self.state = State::Opened;
        self.heard_at = self.now;
        self.hub_alive = hub_alive;
        self.telling = Telling::new(frontier, self.lanes_at_most());
        let lost =
            |base: &Base| !frontier.covers(&base.frontier) && !toko_crdt::mutant!("stand-on-what-is-lost");
        self.bases = bases.into_iter().take(BASES_MAX).filter(|base| !lost(base)).collect();
        self.roll = Roll::new(roster);
        let mut addrs = self.config.addrs.clone();
        addrs.truncate(ADDRS_MAX);
        self.send(Frame::Hello(Hello {
            version_min: VERSION,
            version_max: VERSION_MAX,
            store: self.config.store,
            incarnation: self.config.incarnation,
            lanes: self.config.lanes,
            push: self.config.push,
            addrs,
        }));
        if !self.bases.is_empty() {
            self.send(Frame::Bases(self.bases.iter().map(|base| base.seal).collect()));
        }
    }

    /// What we ask for; with headquarters never more than books.
    fn lanes_at_most(&self) -> Lanes {
        if self.config.headquarters { Lanes::Books } else { self.config.lanes }
    }

    fn tick(&mut self) {
        self.ticks = self.ticks.saturating_add(1);
        self.hints = 0;
        match self.state {
            State::New | State::Over => {}
            State::Opened | State::Hailed | State::Greeted if self.ticks > GREETING_TICKS_MAX => {
                self.end(Code::OutOfState, "no greeting came".into());
            }
            State::Opened | State::Hailed | State::Greeted => {}
            State::Settled => {
                self.beat();
                self.puller.expire(self.now, &self.telling, &mut self.counters);
                self.server.expire(self.now);
                self.blobs.expire(self.now, &mut self.out);
            }
        }
    }

    fn hub(&mut self, alive: bool) {
        if self.hub_alive && !alive {
            // Nobody carries our news for us any more.
            self.soon.extend(self.telling.untold_beyond());
        }
        self.hub_alive = alive;
    }

    fn replaced(&mut self, frontier: &Frontier) {
        if !self.telling.goes_back(frontier) {
            return self.news(frontier, &[]);
        }
        if self.telling.loses_base(frontier) {
            // What both left unsaid is not so any more: the next conversation says it.
            return self.end(Code::Replaced, "what both had is here no more".into());
        }
        self.telling.replace(frontier);
        if self.state == State::Settled {
            let frames = self.telling.tell_whole();
            self.send_all(frames);
        }
        self.puller.review_all(self.now, &self.telling);
    }

    /// Whatever can go on goes on.
    fn pump(&mut self) {
        if self.state != State::Settled {
            return;
        }
        let wants = self.puller.ask(self.now, self.hub_alive, &self.telling);
        self.send_all(wants);
        self.out.extend(self.server.load());
        self.blobs.pump(self.now, &mut self.out);
        let due_at = self.puller.due_at(self.now, self.hub_alive);
        if due_at != self.wake_at
            && let Some(at) = due_at
        {
            self.out.push_back(Output::WakeAt(at));
        }
        self.wake_at = due_at;
    }

    fn end(&mut self, code: Code, reason: String) {
        if self.state != State::New {
            self.send(Frame::Bye { code, reason: reason.clone() });
        }
        self.over(code, reason, false);
    }

    fn over(&mut self, code: Code, reason: String, by_peer: bool) {
        self.state = State::Over;
        self.puller.leave();
        self.blobs.abandon(&mut self.out);
        self.out.push_back(Output::Close { code, reason, by_peer });
    }

    fn send(&mut self, frame: Frame) {
        self.out.push_back(Output::Send(frame));
    }

    fn send_all(&mut self, frames: Vec<Frame>) {
        self.out.extend(frames.into_iter().map(Output::Send));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.puller.leave();
    }
}

fn clipped(mut peer: PeerAddrs) -> PeerAddrs {
    peer.addrs.truncate(ADDRS_MAX);
    peer
}
