//! Opening a log, and going from one segment to the next.

use std::{io, sync::Arc};

use toko_crdt::StoreId;

use super::{
    ARCHIVE_FIRST, AppendLogError, Log, LogConfig, LogReader, OpenLogError, Position,
    format::{
        FRAME_BYTES, HEADER_BYTES, HeaderFault, KIND_NEXT, SYNCED_BEFORE, Salt, VERSION, check_header,
        header, segment_name, segment_number,
    },
    offset_of,
    reserve::Reserve,
    scan::{Segment, SegmentEnd},
};
use crate::disk::{Disk, is_full, remove_if_there};

/// The smallest segment that is worth making when the disk is nearly full.
const SEGMENT_BYTES_MIN: u32 = 64 << 10;
/// Somebody waits while the first segment of all is made; those that follow are made behind them.
const FIRST_BYTES_MAX: u32 = 1 << 20;

impl Log {
    /// Opens the log of `store`, or begins it where there is none.
    ///
    /// Shape: `trusted` is a place that had been synced (from the views), so that only what lies above is looked at;
    /// without one, everything is. A torn tail is cut and wiped here.
    /// Errors: see [`OpenLogError`].
    pub fn open(
        disk: Arc<dyn Disk>,
        store: StoreId,
        config: LogConfig,
        trusted: Option<Position>,
    ) -> Result<Self, OpenLogError> {
        let mut numbers = Vec::new();
        for name in disk.list().map_err(io_error("listing"))? {
            let half = name.strip_suffix(".new").map(|name| name.strip_prefix("ahead-").unwrap_or(name));
            let (whole, half) = (segment_number(&name), half.and_then(segment_number));
            let ours = |number| is_archive(number) == is_archive(config.first_segment);
            if let Some(number) = whole.filter(|number| ours(*number)) {
                numbers.push(number);
            } else if half.is_some_and(ours) {
                remove_if_there(&*disk, &name).map_err(io_error("removing a half-made segment"))?;
            }
        }
        numbers.sort_unstable();
        let reader = LogReader { disk, store, config };
        let (Some(first), Some(last)) = (numbers.first().copied(), numbers.last().copied()) else {
            if let Some(trusted) = trusted {
                return Err(gone(trusted.segment));
            }
            let first = config.first_segment;
            make_segment(&*reader.disk, &store, first, config.segment_bytes.min(FIRST_BYTES_MAX))
                .map_err(io_error("making the first segment"))?;
            return Self::at(reader, first, first, None, HEADER_BYTES);
        };
        // The process that made the newest file may have died before its name was synced.
        reader.disk.sync_dir().map_err(io_error("syncing the directory"))?;
        if let Some(hole) = (first..=last).find(|number| !numbers.contains(number)) {
            return Err(gone(hole));
        }
        let from = trusted.unwrap_or(Position::start_of(first)).max(Position::start_of(first));
        if from.segment > last {
            return Err(gone(from.segment));
        }
        let (active, end) = find_end(&reader, from, last)?;
        let spare = (active < last).then_some(active + 1);
        Self::at(reader, first, active, spare, end)
    }

    fn at(
        reader: LogReader,
        first: u32,
        active: u32,
        spare: Option<u32>,
        end: u32,
    ) -> Result<Self, OpenLogError> {
        let size = reader.disk.size(&segment_name(active)).map_err(io_error("measuring a segment"))?;
        let salt = Salt::new(&reader.store, active);
        let reserve = Reserve::open(&*reader.disk, reader.config.reserve_bytes);
        Ok(Self {
            first,
            active,
            active_bytes: offset_of(size),
            spare,
            making: false,
            salt,
            end,
            synced: end,
            dirty_to: 0,
            broken: None,
            reserve,
            buffer: Vec::new(),
            reader,
        })
    }

    /// Makes the next segment before it is needed, here and now, and takes the reserve again once there is room: for whoever
    /// has no thread to spare for [`Log::start_segment`].
    ///
    /// Errors: [`AppendLogError::DiskFull`] as a warning: appending still works until the active segment is full.
    pub fn prepare(&mut self) -> Result<(), AppendLogError> {
        self.usable()?;
        self.keep_reserve();
        match self.start_segment() {
            Some(job) => self.finish_segment(job.run()),
            None => Ok(()),
        }
    }

    /// Takes the reserve again once there is room.
    pub fn keep_reserve(&mut self) {
        self.reserve.keep(&*self.reader.disk);
    }

    /// What makes the next segment, on any thread, if it is time for that: filling it with zeros takes the disk a while, and
    /// a sale's sync is faster in a file that is filled.
    pub fn start_segment(&mut self) -> Option<SegmentJob> {
        if self.broken.is_some() || self.making || self.spare.is_some() || self.end <= self.active_bytes / 2 {
            return None;
        }
        self.making = true;
        let (disk, store) = (Arc::clone(&self.reader.disk), self.reader.store);
        Some(SegmentJob { disk, store, number: self.active + 1, bytes: self.reader.config.segment_bytes })
    }

    /// Takes the segment that was made, unless another was needed meanwhile.
    ///
    /// Errors: [`AppendLogError::DiskFull`] as a warning: appending still works until the active segment is full.
    pub fn finish_segment(&mut self, made: MadeSegment) -> Result<(), AppendLogError> {
        self.making = false;
        self.usable()?;
        let (disk, new) = (&self.reader.disk, ahead_name(made.number));
        let taken = match made.result {
            Ok(()) if self.spare.is_none() && made.number == self.active + 1 => {
                disk.rename(&new, &segment_name(made.number)).and_then(|()| disk.sync_dir())
            }
            Ok(()) => {
                return remove_if_there(&**disk, &new).map_err(|error| self.break_down("remove", &error));
            }
            Err(error) => Err(error),
        };
        match taken {
            Ok(()) => {
                self.spare = Some(made.number);
                Ok(())
            }
            Err(error) if is_full(&error) => {
                Err(AppendLogError::DiskFull { bytes: u64::from(self.reader.config.segment_bytes) })
            }
            Err(error) => Err(self.break_down("making a segment", &error)),
        }
    }

    /// Gives up the reserved file so that others (the views) can write; true if there was one.
    pub fn release_reserve(&mut self) -> bool {
        self.reserve.release(&*self.reader.disk)
    }

    /// Whether there is head-room for a full disk.
    pub fn has_reserve(&self) -> bool {
        self.reserve.is_kept()
    }

    /// Closes the active segment, synced, and goes on in the next, which has room for `bytes`.
    pub(super) fn next_segment(&mut self, bytes: u64) -> Result<(), AppendLogError> {
        let next = match self.spare {
            Some(next) => next,
            None => self.make_spare(bytes)?,
        };
        let name = segment_name(next);
        let size = self.reader.disk.size(&name).map_err(|error| self.break_down("size", &error))?;
        let mut close = Vec::new();
        let flag = if self.end == self.synced { SYNCED_BEFORE } else { 0 };
        self.salt.write(&mut close, self.end, KIND_NEXT | flag, &[]);
        self.write(&close)?;
        self.sync()?;
        self.active = next;
        self.active_bytes = offset_of(size);
        self.salt = Salt::new(&self.reader.store, next);
        (self.end, self.synced, self.dirty_to, self.spare) = (HEADER_BYTES, HEADER_BYTES, 0, None);
        if bytes + u64::from(HEADER_BYTES + FRAME_BYTES) > size {
            // It was made while the disk was nearly full, and is too small for this.
            return self.next_segment(bytes);
        }
        Ok(())
    }

    /// Makes the segment behind the active one, smaller ones and the reserve's space where the disk is nearly full.
    fn make_spare(&mut self, bytes: u64) -> Result<u32, AppendLogError> {
        let least = bytes + u64::from(HEADER_BYTES + FRAME_BYTES);
        let number = self.active + 1;
        let mut size = self.reader.config.segment_bytes;
        loop {
            match make_segment(&*self.reader.disk, &self.reader.store, number, size) {
                Ok(()) => break,
                Err(error) if !is_full(&error) => return Err(self.break_down("making a segment", &error)),
                Err(_) if u64::from(size / 2) >= least && size / 2 >= SEGMENT_BYTES_MIN => size /= 2,
                Err(_) if self.reserve.release(&*self.reader.disk) => size = self.reader.config.segment_bytes,
                Err(_) => return Err(AppendLogError::DiskFull { bytes: least }),
            }
        }
        self.spare = Some(number);
        Ok(number)
    }
}

/// The making of a segment ahead of need.
#[derive(Debug)]
#[must_use = "the segment is made when the job runs"]
pub struct SegmentJob {
    disk: Arc<dyn Disk>,
    store: StoreId,
    number: u32,
    bytes: u32,
}

/// What came of a [`SegmentJob`]; hand it to [`Log::finish_segment`].
#[derive(Debug)]
#[must_use = "the log waits for it"]
pub struct MadeSegment {
    number: u32,
    result: io::Result<()>,
}

impl SegmentJob {
    /// Makes the file, under a name that the log does not read yet. Takes as long as the disk takes.
    pub fn run(self) -> MadeSegment {
        let new = ahead_name(self.number);
        MadeSegment {
            number: self.number,
            result: fill_segment(&*self.disk, &self.store, &new, self.number, self.bytes),
        }
    }
}

/// What a segment is called while it is made ahead of need.
fn ahead_name(number: u32) -> String {
    format!("ahead-{}.new", segment_name(number))
}

fn is_archive(segment: u32) -> bool {
    segment >= ARCHIVE_FIRST
}

/// Makes a segment file that is whole and durable, with its name, or not there.
fn make_segment(disk: &dyn Disk, store: &StoreId, number: u32, bytes: u32) -> io::Result<()> {
    let name = segment_name(number);
    let new = format!("{name}.new");
    fill_segment(disk, store, &new, number, bytes)?;
    disk.rename(&new, &name)?;
    disk.sync_dir()
}

/// Makes a segment under the name `new`, synced, or leaves nothing behind.
fn fill_segment(disk: &dyn Disk, store: &StoreId, new: &str, number: u32, bytes: u32) -> io::Result<()> {
    remove_if_there(disk, new)?;
    let made = disk
        .create(new, u64::from(bytes))
        .and_then(|()| disk.fill(new, u64::from(bytes)))
        .and_then(|()| disk.write_at(new, 0, &header(store, number)))
        .and_then(|()| disk.sync(new));
    if let Err(error) = made {
        remove_if_there(disk, new)?;
        return Err(error);
    }
    Ok(())
}

/// Walks from `from` to the last whole record, wipes what a torn write left behind it, and says where the log ends.
///
/// What is found is written again and synced: a process that was killed may have left it in memory only.
fn find_end(reader: &LogReader, from: Position, last: u32) -> Result<(u32, u32), OpenLogError> {
    let failed = || io_error("reading a segment");
    let mut at = from;
    let mut before: Option<(Segment, u32, u32)> = None;
    loop {
        check_segment(reader, at.segment)?;
        let mut segment = Segment::open(reader, at.segment).map_err(failed())?;
        if u64::from(at.offset) > segment.bytes() {
            return Err(gone(at.segment));
        }
        match segment.walk(at.offset).map_err(failed())? {
            SegmentEnd::Closed(end) if at.segment < last => {
                before = Some((segment, at.offset, end));
                at = Position::start_of(at.segment + 1);
            }
            SegmentEnd::Closed(_) => {
                return Err(gone(at.segment + 1));
            }
            SegmentEnd::Open(end) => {
                cut_tail(&mut segment, at.segment, end)?;
                segment.write_again(at.offset, end).map_err(io_error("syncing the tail"))?;
                if let (HEADER_BYTES, Some((mut closed, from, to))) = (end, before) {
                    closed.write_again(from, to).map_err(io_error("syncing the tail"))?;
                }
                check_unused(reader, Position { segment: at.segment, offset: end }, last)?;
                return Ok((at.segment, end));
            }
        }
    }
}

/// Behind the last whole record: zeros, or what an un-synced write left, which is wiped. A record that was written after
/// a sync proves that whole records are missing.
fn cut_tail(segment: &mut Segment, number: u32, end: u32) -> Result<(), OpenLogError> {
    let Some(dirty_to) = segment.dirty_to(end).map_err(io_error("reading a segment"))? else { return Ok(()) };
    let whole_after = segment.synced_record_after(end).map_err(io_error("reading a segment"))?;
    if whole_after && !toko_crdt::mutant!("cut-what-was-synced") {
        return Err(damaged(
            Position { segment: number, offset: end },
            "later records are whole, this one is not",
        ));
    }
    tracing::warn!(file = segment_name(number), offset = end, bytes = dirty_to - end, "cut a torn tail");
    if toko_crdt::mutant!("forget-the-torn-tail") {
        return Ok(());
    }
    segment.wipe(end, dirty_to).map_err(io_error("wiping a torn tail"))
}

/// Segments behind the active one were made ahead and hold nothing yet.
fn check_unused(reader: &LogReader, end: Position, last: u32) -> Result<(), OpenLogError> {
    for number in end.segment + 1..=last {
        check_segment(reader, number)?;
        let mut segment = Segment::open(reader, number).map_err(io_error("reading a segment"))?;
        if segment.dirty_to(HEADER_BYTES).map_err(io_error("reading a segment"))?.is_some() {
            return Err(damaged(end, "the next segment has records, this one is not closed"));
        }
    }
    Ok(())
}

fn check_segment(reader: &LogReader, number: u32) -> Result<(), OpenLogError> {
    let (file, start) = (segment_name(number), Position { segment: number, offset: 0 });
    let mut bytes = [0; HEADER_BYTES as usize];
    match reader.disk.read_at(&file, 0, &mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(damaged(start, "the file has no header"));
        }
        other => other.map_err(io_error("reading a segment's header"))?,
    }
    match check_header(&bytes, &reader.store, number) {
        Ok(()) => Ok(()),
        Err(HeaderFault::Damaged) => Err(damaged(start, "the header is damaged")),
        Err(HeaderFault::Segment(_)) => Err(damaged(start, "the header is another segment's")),
        Err(HeaderFault::Version(found)) => Err(OpenLogError::Version { file, found, known: VERSION }),
        Err(HeaderFault::Store(other)) => Err(OpenLogError::Foreign { file, other, ours: reader.store }),
    }
}

fn damaged(at: Position, why: &'static str) -> OpenLogError {
    OpenLogError::Damaged { at, why }
}

fn gone(segment: u32) -> OpenLogError {
    OpenLogError::Gone { file: segment_name(segment) }
}

fn io_error(what: &'static str) -> impl Fn(io::Error) -> OpenLogError {
    move |source| OpenLogError::Io { what: what.to_owned(), source }
}
