//! Going over old parts of the log, piece by piece, beside everything else: bit rot below what the views were made from would
//! otherwise be found by whoever asks for that entry, or by a start that reads the whole log.
//!
//! Invariants: only segments are read that nobody writes to any more; nothing is changed. A segment that is pruned meanwhile is
//! as good as whole. Absent on purpose: mending, which is a start's ([`crate::log`] sets aside, peers give back).

use std::io;

use super::StoreReader;
use crate::log::{ReadLogError, Records};

/// Bytes that are read at one go.
const PIECE_BYTES: usize = 1 << 20;

/// One old segment that is gone over.
#[derive(Debug)]
pub struct Scrub {
    records: Records,
}

/// What one go came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scrubbed {
    /// So far it is whole; there is more.
    More,
    /// It is whole, or was pruned.
    Whole,
    /// Here it is not what was written.
    Damaged {
        /// Which file and from which byte on, in words.
        what: String,
    },
}

impl StoreReader {
    /// The segments that nobody writes to any more, oldest first.
    pub fn old_segments(&self) -> io::Result<Vec<u32>> {
        self.log_reader().old_segments()
    }

    /// Begins to go over one of them.
    #[must_use]
    pub fn scrub(&self, segment: u32) -> Scrub {
        Scrub { records: self.log_reader().records_of(segment) }
    }
}

impl Scrub {
    /// Reads on, up to a mebibyte. It waits for the disk.
    pub fn go_on(&mut self) -> Scrubbed {
        let mut bytes = 0;
        while bytes < PIECE_BYTES {
            match self.records.next() {
                Some(Ok(record)) => bytes += record.payload.len(),
                None => return Scrubbed::Whole,
                Some(Err(ReadLogError::Io { source, .. })) if source.kind() == io::ErrorKind::NotFound => {
                    return Scrubbed::Whole;
                }
                Some(Err(error)) => return Scrubbed::Damaged { what: error.to_string() },
            }
        }
        Scrubbed::More
    }
}
