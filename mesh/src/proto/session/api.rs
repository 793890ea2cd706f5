//! What goes into a session and what comes out of it.

use crate::proto::claims::Claims;
use crate::proto::frame::{Code, Frame, FrameError, Lanes, PeerAddrs};
use core::net::SocketAddr;
use std::sync::Arc;
use thiserror::Error;
use toko_crdt::clock::UnixMicros;
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::journal::BatchError;
use toko_crdt::member::{Members, Statement};
use toko_crdt::{Entry, Hash, JournalId, NodeId, StoreId};

/// What does not change during a conversation.
#[derive(Clone, Debug)]
pub struct Config {
    /// The store; a peer of another one is turned away.
    pub store: StoreId,
    /// The node at the other end, as its key proved.
    pub peer: NodeId,
    /// Whether that node is headquarters: then only books travel, whatever it asks for.
    pub headquarters: bool,
    /// Whether this is a hub link (one end is the hub, or headquarters): new entries are pushed, both ways.
    pub push: bool,
    /// What this node asks for. Headquarters asks for [`Lanes::Books`].
    pub lanes: Lanes,
    /// Drawn by this process when it started.
    pub incarnation: u64,
    /// Where this node listens, to be told to the peer.
    pub addrs: Vec<SocketAddr>,
    /// Drawn for this session, so that not all ask at once. *Shape*: 0 to 20 000. *Units*: microseconds.
    pub jitter_micros: u32,
    /// Who pulls what; one for all sessions of a node.
    pub claims: Claims,
}

/// A seal that this node went over, and all that it covers. Where both ends of a link went over one, they speak only of lines
/// that are not as they are there: what ended long ago weighs nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Base {
    /// The entry that says the seal.
    pub seal: Hash,
    /// Its frontier, as a whole.
    pub frontier: Arc<Frontier>,
}

/// What happens to a session. *Shape*: [`Input::Opened`] comes first, and once.
#[derive(Clone, Debug)]
pub enum Input {
    /// The link stands. Answered by our greeting.
    Opened {
        /// All that this node holds durably.
        frontier: Arc<Frontier>,
        /// The member statements that it holds.
        roster: Arc<Roster>,
        /// Whether this node has a live link to the hub, or is the hub.
        hub_alive: bool,
        /// Seals that it went over, newest first.
        bases: Vec<Base>,
    },
    /// A frame came.
    Frame(Frame),
    /// Bytes came that are no frame. Always a [`Violation`].
    Broken(FrameError),
    /// A second went by: roots or lines go out, whatever waits too long is given up.
    Tick,
    /// The time of the last [`Output::WakeAt`] has come. Too early or too often does no harm.
    Wake,
    /// This node's durable frontier moved on. Give every session every move, in order, own entries and others' alike.
    News {
        /// The lines that changed.
        delta: Arc<Frontier>,
        /// The new entries, if they are at hand: saves a [`Output::Load`] for each push. May be empty, or only some.
        fresh: Arc<[Fresh]>,
    },
    /// Entries of others that are here and not durable yet: they may be pushed, since their author has them, and are told and
    /// acknowledged when [`Input::News`] says that they are durable. *Shape*: of each journal consecutive numbers.
    Came(Arc<[Fresh]>),
    /// This node's durable frontier as a whole. Where no line is missing or lower than before this is [`Input::News`];
    /// otherwise (runs that ended left it, a fork closed a journal) the peer is told all of it anew.
    Frontier(Arc<Frontier>),
    /// Answer to [`Output::Load`]: consecutive encoded entries from `from` on, fewer if that is all that there is or fits.
    Loaded {
        /// The journal.
        journal: JournalId,
        /// As in the request.
        from: u64,
        /// Encoded entries; empty if the first one is not here.
        entries: Vec<Arc<[u8]>>,
    },
    /// Answer to [`Output::Ingest`], once it is durable or refused. Each is answered exactly once, in any order.
    Ingested {
        /// As in the request.
        ticket: u64,
        /// What became of it.
        outcome: Outcome,
    },
    /// Answer to [`Output::Load`] where the first entry is no longer here, but later ones are.
    Gone {
        /// The journal.
        journal: JournalId,
        /// As in the request.
        from: u64,
    },
    /// The last seal that this node went over, and whether the same came out here.
    Sealed {
        /// The entry that says the seal.
        seal: Hash,
        /// Whether the same came out.
        equal: bool,
    },
    /// Ask this peer for a snapshot at a seal. Answered by [`Output::SnapshotAt`], or by nothing.
    WantSnapshot {
        /// The entry that says the seal.
        seal: Hash,
    },
    /// Answer to [`Output::LoadSnapshot`].
    SnapshotLoaded {
        /// As in the request.
        seal: Hash,
        /// The blob that lists its pieces; `None` where there is none.
        manifest: Option<Hash>,
    },
    /// The member statements changed.
    Roster(Arc<Roster>),
    /// The link to the hub died, or lives again. Decides how patient pulls are and what is announced at once.
    Hub {
        /// Whether it lives.
        alive: bool,
    },
    /// Addresses of others, to be told to the peer.
    Peers(Vec<PeerAddrs>),
    /// Fetch a blob from this peer, from an offset on. Answered by [`Output::BlobPart`]s or [`Output::BlobMissing`].
    FetchBlob {
        /// Which blob.
        hash: Hash,
        /// How much of it is here already.
        offset: u64,
    },
    /// Answer to [`Output::LoadBlob`].
    BlobLoaded {
        /// Which blob.
        hash: Hash,
        /// As in the request.
        offset: u64,
        /// Bytes of the whole blob and the bytes from `offset` on; `None` if the blob is not here, whole.
        slice: Option<(u64, Arc<[u8]>)>,
    },
    /// End the conversation.
    Close {
        /// Why.
        code: Code,
        /// In words, for the peer's log.
        reason: String,
    },
}

/// What should happen. Drain after every input.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Write this frame, after those before it.
    Send(Frame),
    /// The greeting of the peer came and fits.
    Greeted {
        /// Drawn by the peer's process when it started; two at one time with one key are a clone.
        incarnation: u64,
        /// The lanes that travel on this link: what both ask for, and books only with headquarters.
        lanes: Lanes,
    },
    /// Read entries `from..=to` from the log, at most `bytes_max` of them but at least one. At most one is under way.
    Load {
        /// The journal.
        journal: JournalId,
        /// The first number.
        from: u64,
        /// The last number.
        to: u64,
        /// How many bytes of entries.
        bytes_max: usize,
    },
    /// Verify, append and make durable. Answered by [`Input::Ingested`]; until then no more of this journal follows, but for
    /// a place that was asked for because of a fork.
    Ingest {
        /// Names this batch in the answer.
        ticket: u64,
        /// Their journal.
        journal: JournalId,
        /// Consecutive numbers of that journal, at least one. Chain and signature are not checked yet.
        entries: Vec<Entry>,
    },
    /// Add to the member set, in this order; those that hold for the store will come back as [`Input::Roster`].
    Statements(Vec<Statement>),
    /// The peer holds these heads durably: "who holds it". Lines add to, or replace, what it said before.
    PeerHolds(Frontier),
    /// The peer holds all of this durably, beside what it will say: both went over the same seal.
    PeerStandsOn(Arc<Frontier>),
    /// Where nodes, the peer among them, may be found. A hint.
    PeerAddrs(Vec<PeerAddrs>),
    /// Read from a blob, at most `bytes_max`.
    LoadBlob {
        /// Which blob.
        hash: Hash,
        /// From where.
        offset: u64,
        /// How many bytes.
        bytes_max: usize,
    },
    /// A piece of a blob came, in order. The hash is checked by whoever puts it together.
    BlobPart {
        /// Which blob.
        hash: Hash,
        /// Where it belongs.
        offset: u64,
        /// Bytes of the whole blob.
        total: u64,
        /// The piece.
        bytes: Arc<[u8]>,
    },
    /// This peer does not have that blob, or does not answer; ask another.
    BlobMissing {
        /// Which blob.
        hash: Hash,
    },
    /// The peer went over a seal.
    PeerSealed {
        /// The entry that says the seal.
        seal: Hash,
        /// Whether the same came out there.
        equal: bool,
    },
    /// The peer holds the beginning of this journal no more: it is in a snapshot.
    PeerPruned {
        /// The journal.
        journal: JournalId,
        /// The number that was asked for.
        from: u64,
    },
    /// The peer asks for a snapshot at a seal: make it, and answer with [`Input::SnapshotLoaded`].
    LoadSnapshot {
        /// The entry that says the seal.
        seal: Hash,
    },
    /// The peer's answer to [`Input::WantSnapshot`].
    SnapshotAt {
        /// The entry that says the seal.
        seal: Hash,
        /// The blob that lists its pieces; `None` where the peer has none.
        manifest: Option<Hash>,
    },
    /// Give [`Input::Wake`] at that time. Replaces the one before.
    WakeAt(UnixMicros),
    /// The conversation is over: send what is before this, then close the link with the code. Nothing comes after it.
    Close {
        /// Why.
        code: Code,
        /// In words, for the log.
        reason: String,
        /// Whether the peer ended it.
        by_peer: bool,
    },
}

/// A new entry, encoded, as the store has it in hand after a group commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fresh {
    /// The journal.
    pub journal: JournalId,
    /// The entry's number.
    pub seq: u64,
    /// The encoded entry.
    pub bytes: Arc<[u8]>,
}

/// What became of an ingested batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// It is durable (or was before), and this is the journal's head now.
    Held(Head),
    /// Entries before it are missing here. They will be asked for.
    Gap,
    /// No statement names its author: statements are asked for, then the batch.
    UnknownAuthor,
    /// It proves nothing: counted against the sender, and asked of another peer.
    Bad(BatchError),
    /// It has another entry at a place that we hold: the store makes the proof from what it has in hand.
    Fork {
        /// The place.
        seq: u64,
    },
    /// It follows another entry than ours at that place, which is asked for; then it is a fork.
    Diverges {
        /// The place.
        seq: u64,
    },
    /// The journal is closed by a fork proof, or its author is out: no more of it is asked for on this link.
    Closed,
    /// The store did not take it now (busy, full, failing). Asked for again after a while.
    Refused,
}

/// The member statements of a node, encoded once for all sessions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Roster {
    /// [`Members::root_hash`].
    pub root: Hash,
    /// Hash and encoded statement, those of the root key first.
    pub statements: Vec<(Hash, Arc<[u8]>)>,
}

impl Roster {
    /// The roster of a member set.
    #[must_use]
    pub fn of(members: &Members) -> Self {
        let encoded = members.statements().map(|s| (s.hash(), s.encode().into()));
        Self { root: members.root_hash(), statements: encoded.collect() }
    }
}

/// What the peer did that no peer of ours does. The session has said goodbye and is over; drain it and close the link.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum Violation {
    /// It belongs to another store.
    #[error("the peer belongs to store {}", .theirs.short())]
    OtherStore {
        /// Its store.
        theirs: StoreId,
    },
    /// No protocol version that both speak.
    #[error("the peer speaks protocol versions {min} to {max}")]
    Version {
        /// Its lowest.
        min: u8,
        /// Its highest.
        max: u8,
    },
    /// It sent bytes that are no frame.
    #[error(transparent)]
    Broken(#[from] FrameError),
    /// A frame that does not belong there.
    #[error("the peer sent {frame} where it does not belong")]
    OutOfState {
        /// The frame's name.
        frame: &'static str,
    },
    /// More of something than agreed on.
    #[error("the peer sent too much: {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
    },
    /// Something of a lane that does not travel on this link.
    #[error("the peer sent or asked for a lane that does not travel here")]
    Lane,
    /// Too many batches that proved nothing.
    #[error("{count} batches of the peer proved nothing")]
    BadBatches {
        /// How many.
        count: u32,
    },
}

impl Violation {
    /// The code that the peer is told.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::OtherStore { .. } => Code::OtherStore,
            Self::Version { .. } => Code::Version,
            Self::Broken(_) => Code::Malformed,
            Self::OutOfState { .. } => Code::OutOfState,
            Self::TooMuch { .. } => Code::TooMuch,
            Self::Lane => Code::Lane,
            Self::BadBatches { .. } => Code::BadBatches,
        }
    }
}

/// What a session has counted so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Frames sent.
    pub frames_out: u64,
    /// Frames received.
    pub frames_in: u64,
    /// Batches and whole fragmented entries received.
    pub batches_in: u64,
    /// Batches that proved nothing.
    pub bad_batches: u32,
    /// Wants that were not answered in time.
    pub wants_late: u64,
    /// Times that the peer's frontier had to be told from the beginning, since both last held the same.
    pub resyncs: u64,
}
