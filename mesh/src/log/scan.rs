//! Reading segments from one end to the other, a window at a time.

use std::io;

use super::{
    LogReader, ReadLogError,
    format::{FRAME_BYTES, Found, KIND_NEXT, Position, SYNCED_BEFORE, Salt, segment_name},
    offset_of,
};

const WINDOW_BYTES: usize = 256 << 10;
const ZEROS: [u8; 4096] = [0; 4096];

/// A record as it was appended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Where it stands.
    pub position: Position,
    /// What its writer said it is.
    pub kind: u8,
    /// What was written.
    pub payload: Vec<u8>,
}

/// How a segment ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SegmentEnd {
    /// The log goes on in the next one; nothing stands from here on.
    Closed(u32),
    /// Here: nothing, or nothing whole.
    Open(u32),
}

/// One segment, read through a window.
#[derive(Debug)]
pub(super) struct Segment {
    reader: LogReader,
    name: String,
    salt: Salt,
    bytes: u64,
    window_at: u64,
    window: Vec<u8>,
}

impl Segment {
    pub(super) fn open(reader: &LogReader, number: u32) -> io::Result<Self> {
        let name = segment_name(number);
        let bytes = reader.disk.size(&name)?;
        let salt = Salt::new(&reader.store, number);
        Ok(Self { reader: reader.clone(), name, salt, bytes, window_at: 0, window: Vec::new() })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes from `at` on: `want` of them, more, or all there are.
    fn from(&mut self, at: u64, want: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let inside =
            at >= self.window_at && at + want.min(left) as u64 <= self.window_at + self.window.len() as u64;
        if !inside {
            self.window.resize(want.max(WINDOW_BYTES).min(left), 0);
            self.reader.disk.read_at(&self.name, at, &mut self.window)?;
            self.window_at = at;
        }
        let start = usize::try_from(at - self.window_at).unwrap_or(usize::MAX);
        Ok(self.window.get(start..).unwrap_or_default())
    }

    /// What stands at `offset`, whole records with their kind byte as written.
    fn found(&mut self, offset: u32) -> io::Result<Found<'_>> {
        let payload_max = self.reader.config.payload_bytes_max;
        let frame = self.from(u64::from(offset), FRAME_BYTES as usize)?;
        let len = frame.get(..4).and_then(|len| len.try_into().ok()).map_or(0, u32::from_le_bytes);
        let want = if len > 0 && len - 1 <= payload_max { 8 + len as usize } else { FRAME_BYTES as usize };
        let salt = self.salt.clone();
        Ok(salt.read(self.from(u64::from(offset), want)?, offset, payload_max))
    }

    /// Goes over whole records from `offset` on.
    pub(super) fn walk(&mut self, offset: u32) -> io::Result<SegmentEnd> {
        let mut at = offset;
        loop {
            match self.found(at)? {
                Found::Record { kind, .. } if kind & !SYNCED_BEFORE == KIND_NEXT => {
                    return Ok(SegmentEnd::Closed(at + FRAME_BYTES));
                }
                Found::Record { payload, .. } => at += FRAME_BYTES + offset_of(payload.len() as u64),
                Found::Nothing | Found::Broken => return Ok(SegmentEnd::Open(at)),
            }
        }
    }

    /// The end of the last byte from `offset` on that is not zero; `None` where all are.
    pub(super) fn dirty_to(&mut self, offset: u32) -> io::Result<Option<u32>> {
        let (mut at, mut dirty) = (u64::from(offset), None);
        while at < self.bytes {
            let bytes = self.from(at, WINDOW_BYTES)?;
            let clean = bytes.chunks(ZEROS.len()).all(|chunk| *chunk == ZEROS[..chunk.len()]);
            if !clean && let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
                dirty = Some(offset_of(at + last as u64 + 1));
            }
            at += bytes.len() as u64;
        }
        Ok(dirty)
    }

    /// Whether any whole record above `offset` was written when everything before it had been synced.
    pub(super) fn synced_record_after(&mut self, offset: u32) -> io::Result<bool> {
        let Some(dirty_to) = self.dirty_to(offset)? else { return Ok(false) };
        for at in offset + 1..dirty_to {
            let kind = self.from(u64::from(at), FRAME_BYTES as usize)?.get(8).copied().unwrap_or(0);
            if kind & SYNCED_BEFORE != 0 && matches!(self.found(at)?, Found::Record { .. }) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes a stretch again as it reads, so that the next sync covers it even where an earlier one failed and the
    /// kernel has forgotten that its pages never reached the disk.
    pub(super) fn write_again(&mut self, from: u32, to: u32) -> io::Result<()> {
        let (mut at, to) = (u64::from(from), u64::from(to));
        if toko_crdt::mutant!("believe-what-a-dead-process-left") {
            return Ok(());
        }
        while at < to {
            let bytes = self.from(at, WINDOW_BYTES)?;
            let part = usize::try_from(to - at).unwrap_or(usize::MAX).min(bytes.len());
            let bytes = bytes[..part].to_vec();
            self.reader.disk.write_at(&self.name, at, &bytes)?;
            at += part as u64;
        }
        self.reader.disk.sync(&self.name)
    }

    /// Overwrites a stretch with zeros and syncs.
    pub(super) fn wipe(&mut self, from: u32, to: u32) -> io::Result<()> {
        let zeros = vec![0; (to - from) as usize];
        self.reader.disk.write_at(&self.name, u64::from(from), &zeros)?;
        self.window.clear();
        self.reader.disk.sync(&self.name)
    }
}

/// The records of a log, in the order of writing.
#[derive(Debug)]
pub struct Records {
    reader: LogReader,
    segment: Option<Segment>,
    at: Position,
    end: Position,
}

impl Records {
    pub(super) fn new(reader: LogReader, from: Position, end: Position) -> Self {
        Self { reader, segment: None, at: from, end }
    }

    fn step(&mut self) -> Result<Option<Record>, ReadLogError> {
        while self.at < self.end {
            let file = || segment_name(self.at.segment);
            let failed = |source| ReadLogError::Io { file: file(), source };
            let mut segment = match self.segment.take() {
                Some(segment) => segment,
                None => Segment::open(&self.reader, self.at.segment).map_err(failed)?,
            };
            match segment.found(self.at.offset).map_err(failed)? {
                Found::Record { kind, .. } if kind & !SYNCED_BEFORE == KIND_NEXT => {
                    self.at = Position::start_of(self.at.segment + 1);
                }
                Found::Record { kind, payload } => {
                    let record =
                        Record { position: self.at, kind: kind & !SYNCED_BEFORE, payload: payload.to_vec() };
                    self.at.offset += FRAME_BYTES + offset_of(payload.len() as u64);
                    self.segment = Some(segment);
                    return Ok(Some(record));
                }
                Found::Nothing | Found::Broken => {
                    return Err(ReadLogError::NoRecord { file: file(), offset: u64::from(self.at.offset) });
                }
            }
        }
        Ok(None)
    }
}

impl Iterator for Records {
    type Item = Result<Record, ReadLogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.at = self.end;
        }
        step.transpose()
    }
}
