//! What travels between two nodes, as live values. How it is written is the business of the private module `wire` alone.
//!
//! On the wire a frame is `length u32 LE | protocol version u8 | kind u8 | body`; the length covers what follows it and is
//! at most [`FRAME_BYTES_MAX`]. A kind that this build does not know is skipped and counted. A frame never changes: what
//! changes becomes another kind.

use super::wire;
use core::net::SocketAddr;
use std::sync::Arc;
use thiserror::Error;
use toko_crdt::frontier::Frontier;
use toko_crdt::{Hash, JournalId, Lane, NodeId, StoreId};

/// The largest frame, without its length field.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Bytes in front of a body: length, version, kind.
pub const HEADER_BYTES: usize = 6;
/// The protocol version of every frame so far, which every build speaks.
pub const VERSION: u8 = 1;
/// The highest protocol version that this build speaks: from 2 on, frames may come packed.
pub const VERSION_MAX: u8 = 2;
/// How much of a frame entries, statements, fragments and parts of blobs may fill.
pub const PAYLOAD_BYTES_MAX: usize = 60 * 1024;
/// What each item of a list costs of [`PAYLOAD_BYTES_MAX`] beside its own bytes.
pub const ITEM_BYTES: usize = 8;
/// How many entries or statements one frame may carry.
pub const ITEMS_MAX: usize = 1_024;
/// How many lines of a frontier one frame may carry.
pub const LINES_MAX: usize = 640;
/// How many seals [`Frame::Bases`] may name.
pub const BASES_MAX: usize = 4;
/// How many nodes [`Frame::Peers`] may name.
pub const PEERS_MAX: usize = 64;
/// How many addresses of one node may be named.
pub const ADDRS_MAX: usize = 8;
/// The longest reason in a [`Frame::Bye`], in bytes.
pub const REASON_BYTES_MAX: usize = 200;

/// Which lanes a node asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lanes {
    /// Books only: headquarters.
    Books,
    /// Books and floor: everybody in the store.
    All,
}

impl Lanes {
    /// Whether this lane is among them.
    #[must_use]
    pub fn has(self, lane: Lane) -> bool {
        self == Self::All || lane == Lane::Books
    }

    /// The lanes that are in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self == Self::All { other } else { self }
    }

    /// As a list.
    #[must_use]
    pub fn list(self) -> &'static [Lane] {
        if self == Self::All { &Lane::ALL } else { &[Lane::Books] }
    }
}

/// The first frame of each side. Its bytes are the same in all versions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// The lowest protocol version that the sender speaks.
    pub version_min: u8,
    /// The highest one. Both use the highest that both speak.
    pub version_max: u8,
    /// The store that the sender belongs to.
    pub store: StoreId,
    /// Drawn by the sender's process when it started: two at one time with one key are a clone.
    pub incarnation: u64,
    /// What the sender asks for.
    pub lanes: Lanes,
    /// Whether new entries may be sent to it without being asked for.
    pub push: bool,
    /// Where the sender listens, as far as it knows. *Shape*: at most [`ADDRS_MAX`].
    pub addrs: Vec<SocketAddr>,
}

/// Lines of the sender's durable frontier: the one and only acknowledgement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lines {
    /// Whether what was known of the sender before is forgotten first.
    pub whole: bool,
    /// Whether more frames of the same telling follow.
    pub more: bool,
    /// The root of the sender's frontier (of the lanes on this link) after these lines, where it is worth checking.
    pub root: Option<Hash>,
    /// The lines. *Shape*: at most [`LINES_MAX`].
    pub lines: Frontier,
}

/// A piece of an entry that does not fit into a frame. Pieces of one entry follow each other from offset 0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fragment {
    /// The journal.
    pub journal: JournalId,
    /// The entry's number.
    pub seq: u64,
    /// Where in the encoded entry this piece begins.
    pub offset: u32,
    /// Bytes of the whole encoded entry.
    pub total: u32,
    /// The piece. *Shape*: 1 to [`PAYLOAD_BYTES_MAX`] bytes.
    pub bytes: Vec<u8>,
}

/// A piece of a blob.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlobPart {
    /// Which blob.
    pub hash: Hash,
    /// Where in the blob this piece begins.
    pub offset: u64,
    /// Bytes of the whole blob.
    pub total: u64,
    /// The piece. *Shape*: at most [`PAYLOAD_BYTES_MAX`] bytes; empty only for the empty blob.
    pub bytes: Arc<[u8]>,
}

/// Where a node may be found. A hint: whoever answers there proves itself by its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerAddrs {
    /// The node.
    pub node: NodeId,
    /// Its addresses. *Shape*: at most [`ADDRS_MAX`].
    pub addrs: Vec<SocketAddr>,
}

/// Why a conversation ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u16)]
#[non_exhaustive]
pub enum Code {
    /// Nothing is wrong; the sender stops.
    Stopping = 1,
    /// The other side is revoked, or no member.
    NoMember = 2,
    /// The other side belongs to another store.
    OtherStore = 3,
    /// No protocol version that both speak.
    Version = 4,
    /// Bytes that are no frame.
    Malformed = 5,
    /// A frame that does not belong there.
    OutOfState = 6,
    /// More than was agreed on.
    TooMuch = 7,
    /// Something of a lane that was not asked for.
    Lane = 8,
    /// Too many batches that did not prove themselves.
    BadBatches = 9,
    /// A newer link with the same node took over.
    Replaced = 10,
    /// A code that this build does not know.
    Other = 0xffff,
}

impl Code {
    const ALL: [Self; 10] = [
        Self::Stopping,
        Self::NoMember,
        Self::OtherStore,
        Self::Version,
        Self::Malformed,
        Self::OutOfState,
        Self::TooMuch,
        Self::Lane,
        Self::BadBatches,
        Self::Replaced,
    ];

    /// Reads the number that stands for a code.
    #[must_use]
    pub fn from_number(number: u16) -> Self {
        Self::ALL.into_iter().find(|code| *code as u16 == number).unwrap_or(Self::Other)
    }
}

/// One frame.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Frame {
    /// Who is there and what it asks for.
    Hello(Hello),
    /// What the sender holds durably, in one hash each; also the keep-alive.
    Root {
        /// Root of its frontier, of the lanes on this link.
        root: Hash,
        /// Root of its member statements.
        members: Hash,
    },
    /// What the sender holds durably now, in one hash each, and the keep-alive, between two that have both said it. What the
    /// peer holds too is told no further: whoever hears its own root in it knows what the sender holds.
    Pulse {
        /// Root of its frontier, of the lanes on this link.
        root: Hash,
        /// Root of its member statements.
        members: Hash,
    },
    /// Durable heads.
    Lines(Lines),
    /// Asks for [`Lines`] from the beginning: what we made of yours does not give your root.
    WantLines,
    /// Encoded member statements, those of the root key first.
    Statements(Vec<Arc<[u8]>>),
    /// Asks for all member statements: an author is not known here.
    WantStatements,
    /// Asks for entries.
    Want {
        /// Of which journal.
        journal: JournalId,
        /// The first number. *Shape*: from 1.
        from: u64,
        /// The last number. *Shape*: not below `from`.
        to: u64,
    },
    /// Consecutive entries of one journal, asked for or pushed.
    Batch {
        /// Their journal.
        journal: JournalId,
        /// Encoded entries. *Shape*: 1 to [`ITEMS_MAX`].
        entries: Vec<Arc<[u8]>>,
    },
    /// A piece of an entry.
    Fragment(Fragment),
    /// The answer to a want that cannot be served.
    NoEntries {
        /// The journal.
        journal: JournalId,
        /// The number that was asked for and is not here.
        from: u64,
    },
    /// Asks for a blob from an offset on; a few parts come, then it is asked for again.
    WantBlob {
        /// Which blob.
        hash: Hash,
        /// From where.
        offset: u64,
    },
    /// A piece of a blob.
    BlobPart(BlobPart),
    /// The blob is not here.
    NoBlob {
        /// Which blob.
        hash: Hash,
    },
    /// Where others may be found. An empty one says that one with something in it has come.
    Peers(Vec<PeerAddrs>),
    /// The last seal that the sender went over, and whether the same came out there.
    Sealed {
        /// The entry that says the seal.
        seal: Hash,
        /// Whether the same came out.
        equal: bool,
    },
    /// The answer to a want whose beginning the sender holds no more: take a snapshot.
    Pruned {
        /// The journal.
        journal: JournalId,
        /// The number that was asked for.
        from: u64,
    },
    /// Asks for a snapshot at a seal.
    WantSnapshot {
        /// The entry that says the seal.
        seal: Hash,
    },
    /// The blob that lists the pieces of a snapshot.
    Snapshot {
        /// The entry that says the seal.
        seal: Hash,
        /// The blob; `None` where the sender has no snapshot at that seal (any more).
        manifest: Option<Hash>,
    },
    /// The seals that the sender went over and holds all of, newest first: what both say, both may leave unsaid. *Shape*: at most
    /// [`BASES_MAX`].
    Bases(Vec<Hash>),
    /// The sender ends the conversation.
    Bye {
        /// Why.
        code: Code,
        /// In words, for a log. *Shape*: at most [`REASON_BYTES_MAX`] bytes without control characters.
        reason: String,
    },
}

impl Frame {
    /// The bytes on the wire, length in front.
    ///
    /// Shape: at most [`FRAME_BYTES_MAX`] and the length field. A list longer than its limit is our own mistake and stops
    /// the process with a sentence.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// Likewise, packed where that makes it smaller: for who said that it speaks [`VERSION_MAX`].
    #[must_use]
    pub fn encode_packed(&self) -> Vec<u8> {
        wire::packed(wire::encode(self))
    }

    /// Reads one frame, as it stands behind the length field. `None` for a kind that this build does not know.
    ///
    /// Errors: too long, another protocol version, a body that does not decode or breaks a limit, bytes left over.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        wire::decode(bytes)
    }

    /// The frame's name, for logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Root { .. } => "root",
            Self::Pulse { .. } => "pulse",
            Self::Lines(_) => "lines",
            Self::WantLines => "want-lines",
            Self::Statements(_) => "statements",
            Self::WantStatements => "want-statements",
            Self::Want { .. } => "want",
            Self::Batch { .. } => "batch",
            Self::Fragment(_) => "fragment",
            Self::NoEntries { .. } => "no-entries",
            Self::WantBlob { .. } => "want-blob",
            Self::BlobPart(_) => "blob-part",
            Self::NoBlob { .. } => "no-blob",
            Self::Peers(_) => "peers",
            Self::Sealed { .. } => "sealed",
            Self::Pruned { .. } => "pruned",
            Self::WantSnapshot { .. } => "want-snapshot",
            Self::Snapshot { .. } => "snapshot",
            Self::Bases(_) => "bases",
            Self::Bye { .. } => "bye",
        }
    }
}

/// Why some bytes are no frame. The link is of no use after that: where the next frame begins is not known.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length field says more than a frame may have, or less than a header.
    #[error("a frame of {bytes} bytes where 2 to {FRAME_BYTES_MAX} are allowed")]
    Length {
        /// What the length field says.
        bytes: usize,
    },
    /// Of a protocol version that was not agreed on.
    #[error("a frame of protocol version {found}, this build speaks {VERSION}")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// Not the shape that its kind has.
    #[error("frame kind {kind} does not decode")]
    Malformed {
        /// The kind byte.
        kind: u8,
    },
    /// Bytes after the end.
    #[error("{left} bytes left over after frame kind {kind}")]
    Trailing {
        /// The kind byte.
        kind: u8,
        /// How many.
        left: usize,
    },
    /// More of something than its limit.
    #[error("frame kind {kind} breaks a limit: {what}")]
    Limit {
        /// The kind byte.
        kind: u8,
        /// Of what there is too much, or too little.
        what: &'static str,
    },
}
