//! The truth on disk: an append-only log of preallocated segments, one sync per group of appends.
//!
//! Purpose: everything that a node holds stands here before it stands anywhere else. Views and indexes are made from it.
//!
//! Invariants: what was appended before a [`Log::sync`] that succeeded is there after every power cut, whole and in order.
//! What was not synced is there whole or not at all: a torn tail is cut at the last whole record, and what lies behind the
//! cut is wiped, and the wipe synced, before anything new is written. Damage *below* a sync is never cut: it is an error
//! that names file and offset. A failed sync is never retried: the log is broken until the process starts again. A segment
//! is written only after the one before it was closed and synced. A full disk is an answer, not a failure: nothing of that
//! append will ever be read, and appending goes on when there is space.
//!
//! Damage below a sync stays an error here; whoever opens the log may [set it aside](SetAside).
//!
//! Absent on purpose: knowledge of what the records mean, compaction, threads.

mod aside;
mod format;
mod reserve;
mod scan;
mod segments;

#[cfg(test)]
mod tests;

pub(crate) use aside::set_aside;
pub use aside::{ASIDE_MAX, SetAside, all_set_aside};
pub use format::Position;
pub use scan::{Record, Records};
pub use segments::{MadeSegment, SegmentJob};

use std::{io, sync::Arc};

use thiserror::Error;
use toko_crdt::StoreId;

use crate::disk::{Disk, is_full, remove_if_there};
use format::{
    FRAME_BYTES, Found, HEADER_BYTES, KIND_NEXT, SYNCED_BEFORE, Salt, record_bytes, segment_name,
    segment_number,
};
use reserve::Reserve;

/// How a log lies on its disk.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    /// Bytes of a new segment. The first of all is smaller, and where the disk is nearly full, so are others.
    pub segment_bytes: u32,
    /// The largest payload of a record; longer ones are taken for damage.
    pub payload_bytes_max: u32,
    /// Bytes of the file that is given up when the disk fills, so that selling goes on while somebody makes room.
    pub reserve_bytes: u64,
    /// Number of the first segment that is ever made. Two logs may share a directory: one from 1 on, the archive from
    /// [`ARCHIVE_FIRST`] on, so that one position names a place in either.
    pub first_segment: u32,
}

/// The first segment of the archive: what was kept when older segments of the log went.
pub const ARCHIVE_FIRST: u32 = 50_000_001;

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 8 << 20,
            payload_bytes_max: (1 << 20) + 2048,
            reserve_bytes: 4 << 20,
            first_segment: 1,
        }
    }
}

/// The log of one store on one disk. One writer; readers go through [`LogReader`].
#[derive(Debug)]
pub struct Log {
    reader: LogReader,
    first: u32,
    active: u32,
    active_bytes: u32,
    spare: Option<u32>,
    /// The next segment is being made on another thread.
    making: bool,
    salt: Salt,
    end: u32,
    synced: u32,
    dirty_to: u32,
    broken: Option<Arc<str>>,
    reserve: Reserve,
    buffer: Vec<u8>,
}

/// Reads records of a log by position. Clones are cheap and may live on any thread.
#[derive(Clone, Debug)]
pub struct LogReader {
    disk: Arc<dyn Disk>,
    store: StoreId,
    config: LogConfig,
}

/// Why a log stayed closed. Nothing was changed but what a torn tail left behind.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenLogError {
    /// The disk did not answer as it should.
    #[error("the disk failed while opening the log ({what})")]
    Io {
        /// What was tried.
        what: String,
        /// The disk's own words.
        #[source]
        source: io::Error,
    },
    /// Bytes that had been synced are no longer what was written: bit rot, or a disk that lied about a sync.
    #[error(
        "{} is damaged at offset {} ({why}); what was written there had been safe on disk, so the disk is at fault: keep a \
         copy of this directory, then enrol this node anew or restore it; peers hold what it had sent",
        segment_name(.at.segment),
        .at.offset
    )]
    Damaged {
        /// From where on nothing can be trusted.
        at: Position,
        /// What was found.
        why: &'static str,
    },
    /// A file that held synced records is not there. A disk does not do that by itself.
    #[error(
        "{file} is gone or cut short, and the log cannot do without it; put it back, or enrol this node anew"
    )]
    Gone {
        /// The file.
        file: String,
    },
    /// A segment of another store.
    #[error("{file} belongs to store {other}, not to store {ours}; this directory mixes two stores")]
    Foreign {
        /// The file.
        file: String,
        /// Whose it is.
        other: StoreId,
        /// Whose it should be.
        ours: StoreId,
    },
    /// A segment of a build that writes another format.
    #[error(
        "{file} has format {found}, this build reads {known}; start the build that wrote it, or a newer one"
    )]
    Version {
        /// The file.
        file: String,
        /// What it says.
        found: u32,
        /// What this build knows.
        known: u32,
    },
}

/// Why nothing was appended, or nothing is durable. Nothing of it may be acknowledged.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum AppendLogError {
    /// No space. The log is whole, and the same append may succeed as soon as there is some.
    #[error("the disk is full ({bytes} bytes did not fit); make room, selling goes on without a restart")]
    DiskFull {
        /// What should have been appended.
        bytes: u64,
    },
    /// More in one append than a segment holds.
    #[error("{bytes} bytes in one append, a segment holds {bytes_max}")]
    TooLarge {
        /// What should have been appended.
        bytes: u64,
        /// What fits.
        bytes_max: u64,
    },
    /// The disk failed a write or a sync. Nothing is accepted until the process starts again and has looked what is there.
    #[error("the disk failed ({why}); nothing is saved any more: check the disk, then start again")]
    Broken {
        /// The disk's own words.
        why: Arc<str>,
    },
}

/// Why a record could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadLogError {
    /// The disk did not answer.
    #[error("{file} could not be read")]
    Io {
        /// The file.
        file: String,
        /// The disk's own words.
        #[source]
        source: io::Error,
    },
    /// There is no whole record at this place.
    #[error("{file} has no whole record at offset {offset}")]
    NoRecord {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
    },
}

impl Log {
    /// The record kinds that callers may use.
    pub const KINDS: std::ops::RangeInclusive<u8> = 0x01..=0x7e;

    /// Writes `records` (kind, payload) behind everything else, in one write and without a sync.
    ///
    /// Shape: all of them stand in one segment; the positions are in the order of the records.
    /// Errors: none of the records will ever be read back. See [`AppendLogError`] for what helps.
    pub fn append(&mut self, records: &[(u8, &[u8])]) -> Result<Vec<Position>, AppendLogError> {
        self.usable()?;
        self.wipe_dirty()?;
        let bytes = self.check_sizes(records)?;
        if bytes + u64::from(FRAME_BYTES) > u64::from(self.active_bytes - self.end) {
            self.next_segment(bytes)?;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let mut positions = Vec::with_capacity(records.len());
        let mut at = self.end;
        for (kind, payload) in records {
            assert!(Self::KINDS.contains(kind), "record kinds are 0x01 to 0x7e");
            let flag = if at == self.synced { SYNCED_BEFORE } else { 0 };
            positions.push(Position { segment: self.active, offset: at });
            self.salt.write(&mut buffer, at, kind | flag, payload);
            at = self.end + offset_of(buffer.len() as u64);
        }
        let written = self.write(&buffer);
        self.buffer = buffer;
        written.map(|()| positions)
    }

    /// Waits until everything appended so far would survive a power cut: one fdatasync, or none where nothing is new.
    ///
    /// Errors: [`AppendLogError::Broken`], now and for every later call.
    pub fn sync(&mut self) -> Result<(), AppendLogError> {
        self.usable()?;
        if self.end > self.synced && !toko_crdt::mutant!("skip-sync") {
            let name = segment_name(self.active);
            self.reader.disk.sync(&name).map_err(|error| self.break_down("sync", &error))?;
            self.synced = self.end;
        }
        Ok(())
    }

    /// Where the next record will stand, unless it begins a segment. Everything below is in the log.
    pub fn end(&self) -> Position {
        Position { segment: self.active, offset: self.end }
    }

    /// Everything below has been synced.
    pub fn synced(&self) -> Position {
        Position { segment: self.active, offset: self.synced }
    }

    /// Where the oldest record stands, or would stand.
    pub fn start(&self) -> Position {
        Position::start_of(self.first)
    }

    /// All records from `from` (which is the place of one, or the end) up to the end.
    pub fn records(&self, from: Position) -> Records {
        Records::new(self.reader.clone(), from.max(self.start()), self.end())
    }

    /// Numbers of the segments below the active one, oldest first.
    pub fn closed_segments(&self) -> std::ops::Range<u32> {
        self.first..self.active
    }

    /// All records of one closed segment.
    pub fn records_of(&self, segment: u32) -> Records {
        self.reader.records_of(segment)
    }

    /// Removes the segments below `segment`, oldest first, for ever. The active one stays.
    ///
    /// Errors: what is left is whole; trying again goes on.
    pub fn drop_below(&mut self, segment: u32) -> io::Result<()> {
        while self.first < segment.min(self.active) {
            // One name after the other, so that no power cut leaves a hole.
            remove_if_there(&*self.reader.disk, &segment_name(self.first))?;
            self.reader.disk.sync_dir()?;
            self.first += 1;
        }
        Ok(())
    }

    /// A handle for reading by position, on any thread.
    pub fn reader(&self) -> LogReader {
        self.reader.clone()
    }

    /// The largest sum of record bytes that one append may hold.
    pub fn append_bytes_max(&self) -> u64 {
        u64::from(self.reader.config.segment_bytes.saturating_sub(HEADER_BYTES + FRAME_BYTES))
    }

    /// How many bytes of one append a record with this payload takes.
    pub fn record_bytes(payload: &[u8]) -> u64 {
        record_bytes(payload)
    }

    /// Why nothing is accepted any more, if so.
    pub fn broken(&self) -> Option<Arc<str>> {
        self.broken.clone()
    }

    fn usable(&self) -> Result<(), AppendLogError> {
        match &self.broken {
            Some(why) => Err(AppendLogError::Broken { why: Arc::clone(why) }),
            None => Ok(()),
        }
    }

    fn check_sizes(&self, records: &[(u8, &[u8])]) -> Result<u64, AppendLogError> {
        let bytes: u64 = records.iter().map(|(_, payload)| record_bytes(payload)).sum();
        let bytes_max = self.append_bytes_max();
        let payload_max = u64::from(self.reader.config.payload_bytes_max);
        if let Some((_, long)) = records.iter().find(|(_, payload)| payload.len() as u64 > payload_max) {
            return Err(AppendLogError::TooLarge { bytes: long.len() as u64, bytes_max: payload_max });
        }
        if bytes > bytes_max { Err(AppendLogError::TooLarge { bytes, bytes_max }) } else { Ok(bytes) }
    }

    /// Writes at the end and moves the end. What a failed write left behind is wiped before the next append.
    fn write(&mut self, bytes: &[u8]) -> Result<(), AppendLogError> {
        let to = self.end + offset_of(bytes.len() as u64);
        match self.reader.disk.write_at(&segment_name(self.active), u64::from(self.end), bytes) {
            Ok(()) => {
                self.end = to;
                Ok(())
            }
            Err(error) if is_full(&error) => {
                self.dirty_to = self.dirty_to.max(to);
                Err(AppendLogError::DiskFull { bytes: bytes.len() as u64 })
            }
            Err(error) => Err(self.break_down("write", &error)),
        }
    }

    /// Overwrites what a failed append left behind the end, and syncs, so that it can never be read as records.
    fn wipe_dirty(&mut self) -> Result<(), AppendLogError> {
        if self.dirty_to <= self.end {
            return Ok(());
        }
        let name = segment_name(self.active);
        let zeros = vec![0; (self.dirty_to - self.end) as usize];
        match self.reader.disk.write_at(&name, u64::from(self.end), &zeros) {
            Ok(()) => {}
            Err(error) if is_full(&error) => {
                self.reserve.release(&*self.reader.disk);
                return Err(AppendLogError::DiskFull { bytes: zeros.len() as u64 });
            }
            Err(error) => return Err(self.break_down("write", &error)),
        }
        self.reader.disk.sync(&name).map_err(|error| self.break_down("sync", &error))?;
        self.synced = self.end;
        self.dirty_to = 0;
        Ok(())
    }

    fn break_down(&mut self, what: &str, error: &io::Error) -> AppendLogError {
        let why: Arc<str> = format!("{what} of {}: {error}", segment_name(self.active)).into();
        tracing::error!(%why, "the disk failed; nothing is saved any more");
        if !toko_crdt::mutant!("try-a-failed-sync-again") {
            self.broken = Some(Arc::clone(&why));
        }
        AppendLogError::Broken { why }
    }
}

impl LogReader {
    /// Whether the first segment that was ever made is still here.
    pub(crate) fn has_first(&self) -> bool {
        self.disk.size(&segment_name(1)).is_ok()
    }

    /// All records of one closed segment.
    pub(crate) fn records_of(&self, segment: u32) -> Records {
        Records::new(self.clone(), Position::start_of(segment), Position::start_of(segment + 1))
    }

    /// The number of the oldest segment that is still here.
    pub(crate) fn first_segment(&self) -> io::Result<Option<u32>> {
        let numbers = self.disk.list()?;
        Ok(numbers.iter().filter_map(|name| segment_number(name)).filter(|n| *n < ARCHIVE_FIRST).min())
    }

    /// Numbers of segments that are surely closed, oldest first: of the last two files one is written to, the other may be next.
    pub(crate) fn old_segments(&self) -> io::Result<Vec<u32>> {
        let names = self.disk.list()?;
        let mut numbers: Vec<u32> = names.iter().filter_map(|name| segment_number(name)).collect();
        numbers.retain(|number| *number < ARCHIVE_FIRST);
        numbers.sort_unstable();
        numbers.truncate(numbers.len().saturating_sub(2));
        Ok(numbers)
    }

    pub(crate) fn config(&self) -> LogConfig {
        self.config
    }

    pub(crate) fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk)
    }

    /// Reads the record at `position`, its checksum verified.
    pub fn read(&self, position: Position) -> Result<Record, ReadLogError> {
        let file = segment_name(position.segment);
        let offset = u64::from(position.offset);
        let no_record = || ReadLogError::NoRecord { file: segment_name(position.segment), offset };
        let mut frame = [0; FRAME_BYTES as usize];
        self.read_at(&file, offset, &mut frame)?;
        let len = u32::from_le_bytes([frame[0], frame[1], frame[2], frame[3]]);
        if len == 0 || len - 1 > self.config.payload_bytes_max {
            return Err(no_record());
        }
        let mut bytes = vec![0; FRAME_BYTES as usize + len as usize - 1];
        self.read_at(&file, offset, &mut bytes)?;
        let salt = Salt::new(&self.store, position.segment);
        match salt.read(&bytes, position.offset, self.config.payload_bytes_max) {
            Found::Record { kind, payload } if kind & !SYNCED_BEFORE != KIND_NEXT => {
                Ok(Record { position, kind: kind & !SYNCED_BEFORE, payload: payload.to_vec() })
            }
            _ => Err(no_record()),
        }
    }

    fn read_at(&self, file: &str, offset: u64, buf: &mut [u8]) -> Result<(), ReadLogError> {
        self.disk.read_at(file, offset, buf).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => ReadLogError::NoRecord { file: file.to_owned(), offset },
            _ => ReadLogError::Io { file: file.to_owned(), source },
        })
    }
}

/// Offsets fit 32 bits because segments do.
fn offset_of(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
