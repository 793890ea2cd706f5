//! One link: a QUIC connection with one stream, and the session that speaks over it.
//!
//! The session decides, this loop does: frames in and out, entries from and to the store, blobs, time. It never waits for
//! one thing while another could go on. Invariants: what waits to be written is bounded; a peer that is silent for 2 s is
//! gone, whatever the operating system says; where packets of it still come, but late and with gaps, so that none of its
//! words is whole yet, it has 6 s; the end is said (a goodbye, a code) as far as the other side still listens.
//!
//! Absent on purpose: any choice of peers ([`crate::node`] has it), and any byte read before the peer was proven.

use crate::endpoint::{CloseCode, close, is_refusal};
use crate::link::pipe::{Inlet, Outlet};
use crate::link::quiet::Quiet;
use crate::link::work::Worked;
use crate::node::news::{Bulletin, News, Now};
use crate::node::shared::{FrameBytes, LinkId, Shared};
use crate::proto::{self, Code, Input, Output, Session};
use quinn::Connection;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use toko_crdt::clock::UnixMicros;
use toko_crdt::{Hash, NodeId};
use tracing::{debug, warn};

mod pipe;
mod quiet;
mod work;

pub use quiet::SILENCE;

/// How long the other side has for its stream and its greeting.
const GREETING: Duration = Duration::from_secs(5);
/// Nothing more is read for a peer that has so much still to read. At most one load of entries and one of a blob wait.
const SERVE_BELOW: usize = 512 * 1024;
/// After how many statements that nobody signed the peer is left.
const BAD_STATEMENTS_MAX: usize = 64;
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(500);

/// What a link needs to run.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) id: LinkId,
    pub(crate) connection: Connection,
    pub(crate) peer: NodeId,
    pub(crate) we_dialled: bool,
    pub(crate) config: proto::Config,
    pub(crate) shared: Arc<Shared>,
    pub(crate) frames: Arc<FrameBytes>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: mpsc::Sender<(LinkId, Event)>,
}

/// What the node asks of a link.
#[derive(Debug)]
pub(crate) enum Command {
    /// Tell the peer where others are.
    Tell(Vec<proto::frame::PeerAddrs>),
    /// Ask for a snapshot at a seal; the name of its list goes to whoever asked.
    Snapshot { seal: Hash, to: oneshot::Sender<Option<Hash>> },
    /// Fetch a blob; pieces go to whoever asked.
    Fetch { hash: Hash, offset: u64, to: mpsc::Sender<Piece> },
    /// End the conversation.
    Close { code: Code, with: CloseCode },
}

/// A piece of a blob, or `None` when this peer has no more of it.
pub(crate) type Piece = Option<BlobPiece>;

/// A piece of a blob.
#[derive(Debug)]
pub(crate) struct BlobPiece {
    pub(crate) offset: u64,
    pub(crate) total: u64,
    pub(crate) bytes: Arc<[u8]>,
}

/// What a link tells its node.
#[derive(Debug)]
pub(crate) enum Event {
    /// The peer's greeting came.
    Greeted { incarnation: u64 },
    /// Both know what the other holds: the link works.
    Settled,
    /// Where others may be.
    Addresses(Vec<proto::frame::PeerAddrs>),
}

/// How a link ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) id: LinkId,
    /// Whether the peer greeted.
    pub(crate) greeted: bool,
    /// Whether the peer does not let our key in.
    pub(crate) refused: bool,
    /// For the log and for `doctor`.
    pub(crate) why: String,
}

struct Link {
    id: LinkId,
    peer: NodeId,
    connection: Connection,
    shared: Arc<Shared>,
    session: Session,
    inlet: Inlet,
    outlet: Outlet,
    news: News,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<(LinkId, Event)>,
    work: JoinSet<Worked>,
    /// How many lots of statements are being judged: until they are, nothing more of the peer is read.
    judging: usize,
    /// How many statements came that nobody signed.
    bad_statements: usize,
    /// What the peer asked for and waits until it has read what it asked for before.
    later: VecDeque<Output>,
    fetches: BTreeMap<Hash, mpsc::Sender<Piece>>,
    /// Who waits for the name of a snapshot's list.
    snapshots: BTreeMap<Hash, oneshot::Sender<Option<Hash>>>,
    /// Snapshots that are being made for the peer.
    makings: JoinSet<(Hash, Option<Hash>)>,
    /// The blob that is being served: verified once, not for each part.
    serving: Option<(Hash, Arc<[u8]>)>,
    wake_at: Option<UnixMicros>,
    quiet: Quiet,
    greeted: bool,
    settled: bool,
    over: Option<Over>,
}

struct Over {
    with: CloseCode,
    why: String,
    /// The peer said that our key is not let in.
    refused: bool,
}

/// Runs a link to its end.
pub(crate) async fn run(setup: Setup) -> End {
    let (id, connection) = (setup.id, setup.connection.clone());
    let mut link = match timeout(GREETING, Link::open(setup)).await {
        Ok(Ok(link)) => link,
        Ok(Err(error)) => {
            return End { id, greeted: false, refused: is_refusal(&error), why: error.to_string() };
        }
        Err(_) => {
            close(&connection, CloseCode::Silent);
            return End { id, greeted: false, refused: false, why: "no stream came".into() };
        }
    };
    let (why, refused) = link.talk().await;
    debug!(peer = %link.peer.short(), %why, "link ended");
    End { id, greeted: link.greeted, refused, why }
}

impl Link {
    async fn open(setup: Setup) -> Result<Self, quinn::ConnectionError> {
        let connection = setup.connection;
        let (to, from) =
            if setup.we_dialled { connection.open_bi().await? } else { connection.accept_bi().await? };
        let (news, now) = setup.shared.newsroom.join();
        let Now { frontier, roster, hub_alive, sealed, bases } = now;
        let mut link = Self {
            id: setup.id,
            peer: setup.peer,
            connection,
            session: Session::new(setup.config),
            inlet: Inlet::new(from, Arc::clone(&setup.frames)),
            outlet: Outlet::new(to, setup.frames),
            news,
            commands: setup.commands,
            events: setup.events,
            work: JoinSet::new(),
            judging: 0,
            bad_statements: 0,
            later: VecDeque::new(),
            fetches: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            makings: JoinSet::new(),
            serving: None,
            wake_at: None,
            quiet: Quiet::default(),
            greeted: false,
            settled: false,
            over: None,
            shared: setup.shared,
        };
        link.feed(Input::Opened { frontier, roster, hub_alive, bases });
        if let Some((seal, equal)) = sealed {
            link.feed(Input::Sealed { seal, equal });
        }
        Ok(link)
    }

    /// Until one side ends it, or it breaks. Returns why, and whether the peer does not let our key in.
    async fn talk(&mut self) -> (String, bool) {
        loop {
            self.drain().await;
            if let Some(over) = self.over.take() {
                self.say_goodbye(over.with).await;
                return (over.why, over.refused);
            }
            if let Err(why) = self.one_step().await {
                // Whatever the connection says of its end is clearer than what the stream noticed.
                let reason = self.connection.close_reason();
                close(&self.connection, CloseCode::Silent);
                let refused = reason.as_ref().is_some_and(is_refusal);
                return (reason.map_or(why, |reason| reason.to_string()), refused);
            }
        }
    }

    /// Waits for whatever comes first, and feeds it to the session.
    async fn one_step(&mut self) -> Result<(), String> {
        let heard_at = self.instant(self.session.heard_at());
        let (silent_at, look_at) = match self.settled {
            true => self.quiet.ends(heard_at),
            false => (heard_at + GREETING, heard_at + GREETING),
        };
        let wake_at = self.wake_at.map_or(look_at, |at| self.instant(at).min(look_at));
        let more = self.outlet.has_more();
        tokio::select! {
            biased;
            Some(done) = self.work.join_next() => match done {
                Ok(worked) => self.worked(worked),
                Err(error) => return Err(format!("taking entries in failed: {error}")),
            },
            Some(made) = self.makings.join_next() => match made {
                Ok((seal, manifest)) => self.feed(Input::SnapshotLoaded { seal, manifest }),
                Err(error) => return Err(format!("making a snapshot failed: {error}")),
            },
            () = sleep_until(wake_at) => {
                let now = Instant::now();
                if now >= silent_at {
                    return Err("silent for too long".into());
                }
                if now >= look_at {
                    self.quiet.look(now, heard_at, quiet::packets_of(&self.connection));
                    return Ok(());
                }
                self.wake_at = None;
                self.feed(Input::Wake);
            }
            command = self.commands.recv() => match command {
                Some(command) => self.obey(command),
                None => self.stop(Code::Stopping, CloseCode::Stopping),
            },
            bulletin = self.news.next() => self.hear(bulletin),
            wrote = self.outlet.write(), if more => wrote?,
            read = self.inlet.read(), if self.judging == 0 => {
                let frames = read?;
                for frame in frames {
                    self.feed(Input::Frame(frame));
                }
                if let Some(error) = self.inlet.broken() {
                    self.feed(Input::Broken(error));
                }
            },
        }
        Ok(())
    }

    fn feed(&mut self, input: Input) {
        if let Err(violation) = self.session.handle(self.shared.micros(), input) {
            warn!(peer = %self.peer.short(), err = %violation, "the peer broke a rule of the wire");
        }
    }

    /// The node drains its events faster than links make them; one that does not fit is lost only while it is stopping.
    fn tell(&self, event: Event) {
        if self.events.try_send((self.id, event)).is_err() {
            debug!(peer = %self.peer.short(), "the node does not listen to its links");
        }
    }

    fn hear(&mut self, bulletin: Bulletin) {
        match bulletin {
            Bulletin::Came(fresh) => self.feed(Input::Came(fresh)),
            Bulletin::News { delta, fresh } => self.feed(Input::News { delta, fresh }),
            Bulletin::Roster(roster) => self.feed(Input::Roster(roster)),
            Bulletin::Hub(alive) => self.feed(Input::Hub { alive }),
            Bulletin::Sealed(seal, equal) => self.feed(Input::Sealed { seal, equal }),
            Bulletin::Tick => {
                self.serving = None;
                self.feed(Input::Tick);
            }
            Bulletin::Anew(Now { frontier, roster, hub_alive, sealed, .. }) => {
                if let Some((seal, equal)) = sealed {
                    self.feed(Input::Sealed { seal, equal });
                }
                self.feed(Input::Roster(roster));
                self.feed(Input::Hub { alive: hub_alive });
                self.feed(Input::Frontier(frontier));
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Tell(peers) => self.feed(Input::Peers(peers)),
            // Of two who want the same the first one gets it.
            Command::Fetch { hash, offset, to }
                if self.fetches.get(&hash).is_none_or(mpsc::Sender::is_closed) =>
            {
                self.fetches.insert(hash, to);
                self.feed(Input::FetchBlob { hash, offset });
            }
            Command::Fetch { .. } => {}
            Command::Snapshot { seal, to } => {
                self.snapshots.insert(seal, to);
                self.feed(Input::WantSnapshot { seal });
            }
            Command::Close { code, with } => self.stop(code, with),
        }
    }

    fn stop(&mut self, code: Code, with: CloseCode) {
        self.feed(Input::Close { code, reason: with.word().into() });
        self.over.get_or_insert(Over { with, why: with.word().into(), refused: false });
    }

    /// Does what the session wants done.
    async fn drain(&mut self) {
        while let Some(output) = self.next_output() {
            match output {
                Output::Send(frame) => self.outlet.push(&self.session.encode(&frame)),
                Output::Greeted { incarnation, lanes } => {
                    self.greeted = true;
                    debug!(peer = %self.peer.short(), incarnation, ?lanes, "greeted");
                    self.tell(Event::Greeted { incarnation });
                }
                Output::Load { .. } | Output::LoadBlob { .. } if self.outlet.waiting() > SERVE_BELOW => {
                    self.later.push_back(output);
                }
                Output::Load { journal, from, to, bytes_max } => self.load(journal, from, to, bytes_max),
                Output::Ingest { ticket, journal, entries } => self.ingest(ticket, journal, entries),
                Output::Statements(statements) => self.take_statements(statements),
                Output::PeerStandsOn(base) => self.shared.peer_stands_on(self.id, self.peer, base),
                Output::PeerHolds(lines) => self.shared.peer_holds(self.id, self.peer, &lines),
                Output::PeerAddrs(peers) => self.tell(Event::Addresses(peers)),
                Output::LoadBlob { hash, offset, bytes_max } => self.load_blob(hash, offset, bytes_max).await,
                Output::BlobPart { hash, offset, total, bytes } => {
                    self.pass_on(hash, Some(BlobPiece { offset, total, bytes })).await;
                }
                Output::BlobMissing { hash } => {
                    self.pass_on(hash, None).await;
                    self.fetches.remove(&hash);
                }
                Output::PeerSealed { seal, equal } => self.shared.peer_sealed(self.peer, seal, equal),
                Output::PeerPruned { journal, from } => {
                    debug!(peer = %self.peer.short(), ?journal, from, "the peer has this in a snapshot only");
                    self.shared.peer_pruned(self.peer, journal, from);
                }
                Output::LoadSnapshot { seal } => self.load_snapshot(seal),
                Output::SnapshotAt { seal, manifest } => self.pass_on_snapshot(seal, manifest),
                Output::WakeAt(at) => self.wake_at = Some(at),
                Output::Close { code, reason, by_peer } => {
                    let why = format!("{} ({code:?}, by {})", reason, if by_peer { "peer" } else { "us" });
                    let refused = by_peer && code == Code::NoMember;
                    self.over.get_or_insert(Over { with: close_code(code), why, refused });
                }
            }
        }
        // After the outputs: one read may bring the greeting and the root, and the node has to hear them in this order.
        if self.session.is_settled() && !self.settled {
            self.settled = true;
            self.tell(Event::Settled);
        }
        if self.outlet.is_too_long() {
            let why = "the peer does not read".into();
            self.over.get_or_insert(Over { with: CloseCode::Violation, why, refused: false });
        }
    }

    /// What the session wants done, and what had to wait for the peer to read.
    fn next_output(&mut self) -> Option<Output> {
        let output = self.session.poll();
        if output.is_none() && self.outlet.waiting() <= SERVE_BELOW { self.later.pop_front() } else { output }
    }

    /// Writes what is left and waits, for a moment, until the other side has it.
    async fn say_goodbye(&mut self, with: CloseCode) {
        let _ = timeout(GOODBYE, self.outlet.finish()).await;
        close(&self.connection, with);
    }

    fn instant(&self, at: UnixMicros) -> Instant {
        self.shared.started + Duration::from_micros(u64::try_from(at.0).unwrap_or(0))
    }
}

/// Our code for the link's end, from the session's.
fn close_code(code: Code) -> CloseCode {
    match code {
        Code::Stopping => CloseCode::Stopping,
        Code::NoMember => CloseCode::NotMember,
        Code::Replaced => CloseCode::Duplicate,
        _ => CloseCode::Violation,
    }
}
