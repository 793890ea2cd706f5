//! Why something was not saved, not taken in, or not opened.

use std::sync::Arc;

use thiserror::Error;
use toko_crdt::{KvError, NodeId, codec::CodecError, entry::BODY_BYTES_MAX, journal::BatchError};

use super::SealError;
use crate::{
    log::{AppendLogError, OpenLogError, ReadLogError},
    views::FlushError,
};

/// Why nothing was saved, or nothing is known to be saved.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum SaveError {
    /// No space. Nothing was written; the same request works as soon as there is some, without a restart.
    #[error("the disk is full; make room, selling goes on without a restart")]
    DiskFull,
    /// A body larger than an entry may be.
    #[error("{bytes} bytes, an entry holds {bytes_max}")]
    TooLarge {
        /// What came.
        bytes: usize,
        /// What is allowed.
        bytes_max: usize,
    },
    /// The disk or the database failed. Whether this request is on disk shows only after a restart; none after it is.
    #[error("the store failed ({why}); nothing is saved any more: check the disk, then start again")]
    Broken {
        /// What failed, in its own words.
        why: Arc<str>,
    },
    /// The store has been stopped.
    #[error("the store has stopped")]
    Stopped,
}

/// Why a stretch of a journal was not taken in. Nothing of it was.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum IngestError {
    /// No statement about the author is known; offer that first.
    #[error("node {} is not known here; its member statement comes first", .0.short())]
    UnknownAuthor(NodeId),
    /// The stretch proves nothing. Ask another peer.
    #[error("the stretch proves nothing")]
    Proof(#[source] BatchError),
    /// Entries before it are missing.
    #[error("entries from {want} on are missing")]
    Gap {
        /// The first one that is.
        want: u64,
    },
    /// It follows another entry at `seq` than the one here: ask for that one, which will prove a fork.
    #[error("it follows another entry {seq} than ours")]
    Diverges {
        /// Where.
        seq: u64,
    },
    /// Nothing in it, or more than one step takes.
    #[error("{bytes} bytes in one stretch, 1 to {bytes_max} are taken")]
    Size {
        /// What came.
        bytes: u64,
        /// What is allowed.
        bytes_max: u64,
    },
    /// It could not be saved.
    #[error(transparent)]
    NotSaved(#[from] SaveError),
}

/// Why a store stayed closed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenStoreError {
    /// The log stayed closed.
    #[error(transparent)]
    Log(#[from] OpenLogError),
    /// A record of the log could not be read.
    #[error("the log could not be read")]
    Read(#[from] ReadLogError),
    /// A record is whole and yet not what this build writes.
    #[error(
        "segment {segment} of the log, offset {offset}: a whole record that this build cannot read; start the build that \
         wrote it, or a newer one"
    )]
    Record {
        /// The segment's number.
        segment: u32,
        /// Where in it.
        offset: u32,
    },
    /// The views are to be made anew, the log begins in the middle of history, and the views at the last seal cannot be used.
    #[error(
        "the views are gone, the log no longer reaches back to the beginning, and sealed.redb, from which they would be made, \
         is missing or of a build that this one does not follow; start the build that wrote it, or enrol this node anew: peers hold what it had sent"
    )]
    NoSnapshot,
    /// What an older build left could not be made into what this one needs. Nothing was changed; the older build still starts.
    #[error("the views at the last seal, which an older build made, could not be brought up")]
    Upgrade(#[source] Box<SealError>),
    /// The views could not be made.
    #[error("the views could not be opened")]
    Views(#[from] FlushError),
    /// The views could not be read or written while the log was folded.
    #[error("the views failed while the log was folded")]
    Kv(#[from] KvError),
    /// The disk failed beside log and views.
    #[error("the disk failed")]
    Io(#[from] std::io::Error),
    /// What was found could not be completed.
    #[error("the store could not be completed")]
    Save(#[from] SaveError),
}

/// Why something could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadStoreError {
    /// The views could not be read.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] ReadLogError),
    /// What stands in the log is no entry.
    #[error("an entry in the log does not decode")]
    Entry(#[from] CodecError),
}

/// The largest body that is appended: room is left so that it can be carried out of a forked journal.
pub(super) const APPEND_BODY_BYTES_MAX: usize = BODY_BYTES_MAX - 4096;

impl From<AppendLogError> for SaveError {
    fn from(error: AppendLogError) -> Self {
        match error {
            AppendLogError::Broken { why } => Self::Broken { why },
            // Groups are far smaller than segments; only the small segments of a nearly full disk cannot take one.
            AppendLogError::DiskFull { .. } | AppendLogError::TooLarge { .. } => Self::DiskFull,
        }
    }
}
