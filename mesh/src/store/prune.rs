//! What may go from the log, and what is kept of it elsewhere.
//!
//! A segment goes when everything in it is below the last seal that came out equal here, is held by others, and is older than
//! what this node keeps. Books that are younger than their own limit move to the archive, a second log in the same directory;
//! entries that are parked move beside the views. Ages are differences of entries' own clocks from the seal's, so that a
//! machine whose clock is wrong prunes nothing early by itself. An entry that a row of the views leads to
//! ([`toko_crdt::Fold::leads_to`]) is kept for as long, however old it is: rows go when a hub settles them, which may be later.
//!
//! Invariants: first the archive is synced, then rows lead there and are kept, then files go. So a power cut at any moment
//! leaves every entry that is to be kept where a row leads, or in the log that is gone over at the start. A segment of which
//! one record may not go stays, and so does everything behind it.
//!
//! Absent on purpose: a clock, and any choice of which seal counts (the node's).

use std::{collections::BTreeMap, io};

use thiserror::Error;
use toko_crdt::{
    Body, EffectId, Entry, KvError, KvRead, Lane, book::rows, clock::UnixMicros, frontier::Frontier,
};

use super::{OpenStoreError, StoreReader, tables};
use crate::{
    log::{ARCHIVE_FIRST, AppendLogError, Log, LogConfig, OpenLogError, ReadLogError, Record, Records},
    views::Views,
};

/// Rows that change, beside the views.
pub(super) type Rows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Rows that change in one step of the store.
const CHUNK_ROWS: usize = 2048;
/// Bytes that go to the archive in one write.
const WRITE_BYTES: usize = 1 << 20;

/// Up to where history may go.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The frontier of the last seal that came out equal here.
    pub sealed: Frontier,
    /// What headquarters holds of the books; `None` where there is no headquarters.
    pub headquarters: Option<Frontier>,
    /// Entries up to here may leave the log.
    pub log_before: UnixMicros,
    /// Books up to here may leave the archive too, where no row leads to them.
    pub books_before: UnixMicros,
}

/// What goes from the log. Carry it out with [`super::Store::prune`].
#[derive(Debug)]
pub struct PrunePlan {
    rows: Rows,
    below: u32,
}

/// Why nothing was planned. Nothing was changed that would matter.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PruneError {
    /// The archive could not be opened.
    #[error(transparent)]
    Open(#[from] OpenLogError),
    /// The archive could not be written.
    #[error(transparent)]
    Append(#[from] AppendLogError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadLogError),
    /// The views could not be read.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// A record does not decode.
    #[error("a record of the log does not decode")]
    Record,
    /// The disk did not answer.
    #[error("the disk failed")]
    Io(#[from] io::Error),
}

impl PrunePlan {
    /// Whether anything goes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.below == 0
    }

    /// The segment below which all go, if any goes.
    #[must_use]
    pub fn below(&self) -> Option<u32> {
        (self.below > 0).then_some(self.below)
    }

    /// The segment below which all go, and the rows to change before, in bounded steps.
    pub(super) fn into_chunks(self) -> (u32, Vec<Rows>) {
        let mut chunks = vec![Rows::new()];
        for (key, value) in self.rows {
            if chunks.last().is_none_or(|chunk| chunk.len() >= CHUNK_ROWS) {
                chunks.push(Rows::new());
            }
            if let Some(chunk) = chunks.last_mut() {
                chunk.insert(key, value);
            }
        }
        (self.below, chunks)
    }
}

/// Books that left the log and are kept: for those who ask for them, and for receipts and returns.
#[derive(Debug)]
pub struct ArchivedLog {
    log: Log,
}

impl ArchivedLog {
    /// Opens the archive beside a store's log, or begins it. One owner at a time.
    pub fn open(reader: &StoreReader) -> Result<Self, PruneError> {
        let config = LogConfig { first_segment: ARCHIVE_FIRST, reserve_bytes: 0, ..reader.log_config() };
        Ok(Self { log: Log::open(reader.disk(), reader.store(), config, None)? })
    }

    /// Plans what goes: at most `segments_max` segments of the log, the oldest first. What is to be kept of them is in the
    /// archive, synced, when this returns.
    pub fn plan(
        &mut self,
        reader: &StoreReader,
        cut: &Cut,
        segments_max: usize,
    ) -> Result<PrunePlan, PruneError> {
        let mut plan = PrunePlan { rows: Rows::new(), below: 0 };
        for segment in reader.closed_segments()?.take(segments_max) {
            let mut kept = Vec::new();
            if !Self::plan_segment(reader, cut, segment, &mut plan.rows, &mut kept)? {
                break;
            }
            self.keep(&kept, &mut plan.rows)?;
            plan.below = segment + 1;
        }
        self.log.sync()?;
        Ok(plan)
    }

    /// Looks at every record of a segment. `false` where one may not go; then nothing of it counts.
    fn plan_segment(
        reader: &StoreReader,
        cut: &Cut,
        segment: u32,
        rows: &mut Rows,
        kept: &mut Vec<(Entry, u8, Vec<u8>)>,
    ) -> Result<bool, PruneError> {
        let views = reader.snapshot();
        let mut mine = Rows::new();
        for record in reader.records_of(segment) {
            let record = record?;
            if record.kind == tables::RECORD_STATEMENT {
                continue;
            }
            let entry = decode(reader, &record)?;
            let above_close = rows::closed(&views, entry.journal())?.is_some_and(|end| entry.seq() > end.at);
            if above_close && entry.at().wall() <= cut.log_before {
                // It travels carried, and is known by its effect, whose row stays.
                mine.insert(tables::place_key(entry.place()), None);
                continue;
            }
            if !may_go(cut, &entry) {
                return Ok(false);
            }
            match tables::place(&views, entry.place())? {
                // It was moved before, and the power went before its segment did.
                Some((at, _)) if at != record.position => continue,
                None => continue,
                Some(_) => {}
            }
            let is_young = entry.journal().lane == Lane::Books && entry.at().wall() > cut.books_before;
            if is_young || is_led_to(reader, &views, &entry)? {
                kept.push((entry, record.kind, record.payload));
            } else if is_parked(&views, &entry, &mut mine)? {
                mine.insert(tables::place_key(entry.place()), None);
            } else {
                forget(&views, &entry, &mut mine)?;
            }
        }
        rows.extend(mine);
        Ok(true)
    }

    /// Writes books to the archive; rows will lead there.
    fn keep(&mut self, kept: &[(Entry, u8, Vec<u8>)], rows: &mut Rows) -> Result<(), PruneError> {
        let mut from = 0;
        while from < kept.len() {
            let mut bytes = 0;
            let part = kept[from..].iter().take_while(|(_, _, payload)| {
                let first = bytes == 0;
                bytes += payload.len();
                first
                    || bytes <= WRITE_BYTES.min(usize::try_from(self.log.append_bytes_max() / 2).unwrap_or(0))
            });
            let part: Vec<_> = part.collect();
            let records: Vec<(u8, &[u8])> =
                part.iter().map(|(_, kind, payload)| (*kind, payload.as_slice())).collect();
            for ((entry, ..), at) in part.iter().zip(self.log.append(&records)?) {
                rows.insert(tables::place_key(entry.place()), Some(tables::place_row(at, entry.hash())));
            }
            from += part.len();
        }
        Ok(())
    }

    /// Plans which segments of the archive go: those of which every entry is older than books are kept, and no row leads there.
    pub fn plan_archive(&self, reader: &StoreReader, cut: &Cut) -> Result<PrunePlan, PruneError> {
        let mut plan = PrunePlan { rows: Rows::new(), below: 0 };
        let views = reader.snapshot();
        for segment in self.log.closed_segments() {
            let mut mine = Rows::new();
            for record in self.log.records_of(segment) {
                let record = record?;
                let entry = decode(reader, &record)?;
                if entry.at().wall() > cut.books_before {
                    return Ok(plan);
                }
                match tables::place(&views, entry.place())? {
                    Some((at, _)) if at == record.position => {}
                    _ => continue,
                }
                if is_led_to(reader, &views, &entry)? {
                    return Ok(plan);
                }
                if is_parked(&views, &entry, &mut mine)? {
                    mine.insert(tables::place_key(entry.place()), None);
                } else {
                    forget(&views, &entry, &mut mine)?;
                }
            }
            plan.rows.extend(mine);
            plan.below = segment + 1;
        }
        Ok(plan)
    }

    /// Removes archive segments that a plan has taken every row away from, after it was carried out.
    pub fn drop_below(&mut self, segment: u32) -> io::Result<()> {
        self.log.drop_below(segment)
    }

    /// Writes rows into fresh views that lead to what is in the archive.
    pub(super) fn find_again(reader: &StoreReader, views: &Views) -> Result<(), OpenStoreError> {
        let archive = match Self::open_if_there(reader) {
            Ok(Some(archive)) => archive,
            Ok(None) => return Ok(()),
            Err(error) => {
                tracing::error!(err = %error, "the archive cannot be read; what was in it is not found here any more");
                return Ok(());
            }
        };
        let mut found = Rows::new();
        for record in archive.log.records(archive.log.start()) {
            let Ok(record) = record else { break };
            let Ok(entry) = Entry::decode(&reader.store(), &record.payload) else { continue };
            found.insert(
                tables::place_key(entry.place()),
                Some(tables::place_row(record.position, entry.hash())),
            );
            found.insert(effect_key(&entry), Some(entry.place().to_bytes().to_vec()));
            if found.len() >= CHUNK_ROWS {
                views.publish(std::mem::take(&mut found));
                views.flush()?;
            }
        }
        views.publish(found);
        Ok(())
    }

    fn open_if_there(reader: &StoreReader) -> Result<Option<Self>, PruneError> {
        let names = reader.disk().list()?;
        let there = names.iter().any(|name| name.starts_with("log-5"));
        if there { Self::open(reader).map(Some) } else { Ok(None) }
    }
}

impl StoreReader {
    /// Numbers of the closed segments of the log, oldest first.
    fn closed_segments(&self) -> Result<std::ops::Range<u32>, PruneError> {
        let active = self.read(|kv| Ok(tables::made_from(kv)?.map_or(0, |made| made.position.segment)))?;
        let first = self.first_segment()?.unwrap_or(active);
        Ok(first..active)
    }

    fn records_of(&self, segment: u32) -> Records {
        self.log_reader().records_of(segment)
    }
}

fn decode(reader: &StoreReader, record: &Record) -> Result<Entry, PruneError> {
    Entry::decode(&reader.store(), &record.payload).map_err(|_| PruneError::Record)
}

/// Whether an entry may leave the log.
fn may_go(cut: &Cut, entry: &Entry) -> bool {
    let covers =
        |frontier: &Frontier| frontier.head(entry.journal()).is_some_and(|head| head.seq >= entry.seq());
    let held = match (&cut.headquarters, entry.journal().lane) {
        (Some(told), Lane::Books) => covers(told),
        _ => true,
    };
    let held = held || toko_crdt::mutant!("prune-what-headquarters-lacks");
    let sealed = covers(&cut.sealed) || toko_crdt::mutant!("prune-too-early");
    held && sealed && entry.at().wall() <= cut.log_before
}

/// Whether rows lead to an entry, or to one that it carries.
fn is_led_to(reader: &StoreReader, views: &dyn KvRead, entry: &Entry) -> Result<bool, PruneError> {
    if toko_crdt::mutant!("prune-what-rows-lead-to") {
        return Ok(false);
    }
    let fold = &reader.meaning().fold;
    let mut carried = None;
    loop {
        let this = carried.as_ref().unwrap_or(entry);
        let effect = EffectId::from(this.hash());
        if fold.leads_to(views, effect)? && rows::place_of(views, effect)? == Some(entry.place()) {
            return Ok(true);
        }
        match this.body().map(|body| Body::decode(&reader.store(), body)) {
            Some(Ok(Body::Carried(inner))) => carried = Some(*inner),
            _ => return Ok(false),
        }
    }
}

/// Whether an entry is parked; then it is kept beside the views.
fn is_parked(views: &dyn KvRead, entry: &Entry, rows: &mut Rows) -> Result<bool, KvError> {
    let effect = EffectId::from(entry.hash());
    let Some(parked) = rows::parked(views, effect)? else { return Ok(false) };
    if parked.place == entry.place() {
        rows.insert(tables::parked_entry_key(effect), Some(entry.encode()));
    }
    Ok(true)
}

/// Nothing leads to an entry any more.
fn forget(views: &dyn KvRead, entry: &Entry, rows: &mut Rows) -> Result<(), KvError> {
    rows.insert(tables::place_key(entry.place()), None);
    let stands = rows::place_of(views, EffectId::from(entry.hash()))?;
    if stands == Some(entry.place()) {
        rows.insert(effect_key(entry), None);
    }
    Ok(())
}

fn effect_key(entry: &Entry) -> Vec<u8> {
    [&[rows::PLACE], entry.hash().0.as_slice()].concat()
}
