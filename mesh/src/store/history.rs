//! Views that begin at a seal instead of at the first record of the log.
//!
//! Where the views' file is lost and the log no longer reaches back to its beginning, they are made from the sealed views;
//! what the log holds beyond is folded on top, and what it holds below is only found again. A snapshot that came from a peer
//! goes the same way, while the store runs: the new views are made beside the old ones and take their place in one step.

use std::sync::Arc;

use toko_crdt::{Hash, Kv, KvError, KvRead, book::rows, frontier::Frontier, ids::EntryRef, member::Members};

use super::{
    OpenStoreError, SaveError, SealedViews, Store, StoreReader,
    open::Kept,
    prune::{ArchivedLog, Rows},
    sealed::SEALED_FILE,
    tables,
};
use crate::{
    log::Log,
    views::{FlushError, Views},
};

/// The file in which views are made from a snapshot, before they take the place of those in use.
pub(super) const NEXT_FILE: &str = "views.redb.next";

const CACHE_BYTES: usize = 4 << 20;
/// Rows that may gather before they go to disk.
const WAITING_BYTES: usize = 8 << 20;
/// How many rows are read at once.
const PAGE_ROWS: usize = 4096;

/// Fills empty views from the sealed ones, where the log alone would not make them. Gives what they cover; empty where they
/// were not needed.
pub(super) fn begin_from_sealed(
    reader: &StoreReader,
    views: &Views,
    log: &Log,
    members: &Members,
) -> Result<Frontier, OpenStoreError> {
    SealedViews::recover(&*reader.disk())?;
    if reader.disk().size(SEALED_FILE).is_err() {
        return if log.reader().has_first() {
            Ok(Frontier::default())
        } else {
            Err(OpenStoreError::NoSnapshot)
        };
    }
    let sealed = match Views::open_as(reader.disk(), SEALED_FILE, CACHE_BYTES) {
        Ok(sealed) => sealed,
        Err(error) if log.reader().has_first() => {
            tracing::warn!(err = %error, "the sealed views cannot be read; views are made from the log alone");
            return Ok(Frontier::default());
        }
        Err(error) => return Err(error.into()),
    };
    let made = sealed.read(|kv| tables::made_from(kv))?;
    let adopted = sealed.read(tables::is_adopted)?;
    if log.reader().has_first() && !adopted {
        return Ok(Frontier::default());
    }
    let Some(made) = made.filter(|made| made.store == reader.store()) else {
        return Err(OpenStoreError::NoSnapshot);
    };
    let sealed = if made.fold_version == reader.fold_version() {
        sealed
    } else {
        drop(sealed);
        match SealedViews::of_this_build(reader, members, made.fold_version) {
            Ok(true) => Views::open_as(reader.disk(), SEALED_FILE, CACHE_BYTES)?,
            Ok(false) => return Err(OpenStoreError::NoSnapshot),
            Err(error) => return Err(OpenStoreError::Upgrade(Box::new(error))),
        }
    };
    fill(reader, &sealed, views)?;
    let heads = sealed.read(|kv| Ok(tables::heads(kv)?.into_iter().collect::<Frontier>()))?;
    tracing::info!(journals = heads.len(), "views begin at the last seal");
    Ok(heads)
}

/// Copies what belongs into views, and finds archived entries again.
fn fill(reader: &StoreReader, sealed: &Views, into: &Views) -> Result<(), OpenStoreError> {
    let from = sealed.snapshot();
    let mut next = Vec::new();
    loop {
        let (mut page, mut last) = (Rows::new(), None);
        from.scan_from(&[], &next, &mut |key, value| {
            last = Some(key.to_vec());
            if tables::goes_live(key) {
                page.insert(key.to_vec(), Some(value.to_vec()));
            }
            page.len() < PAGE_ROWS
        })?;
        into.publish(page);
        let Some(mut last) = last else { break };
        last.push(0);
        next = last;
        if into.waiting_bytes() > WAITING_BYTES {
            into.flush()?;
        }
    }
    ArchivedLog::find_again(reader, into)?;
    into.flush()?;
    Ok(())
}

/// Says where an effect stands that is in the views already, for whoever looks for its entry by its hash.
pub(super) fn stands_at(kv: &mut dyn Kv, effect: Hash, place: EntryRef) -> Result<(), KvError> {
    let row = [&[rows::PLACE], effect.0.as_slice()].concat();
    if kv.get(&row)?.is_none() {
        kv.put(&row, &place.to_bytes())?;
    }
    Ok(())
}

/// Makes the views that a snapshot gives, in [`NEXT_FILE`]. The sealed views' file is the snapshot's already.
pub(super) fn prepare(reader: &StoreReader) -> Result<(), OpenStoreError> {
    Views::discard_as(&*reader.disk(), NEXT_FILE)?;
    let sealed = Views::open_as(reader.disk(), SEALED_FILE, CACHE_BYTES)?;
    let next = Views::open_as(reader.disk(), NEXT_FILE, CACHE_BYTES)?;
    fill(reader, &sealed, &next)
}

impl Store {
    /// Makes the views that were prepared from a snapshot, and what the log holds beyond it, the views of this store.
    ///
    /// Shape: nobody sees anything between before and after. What nobody has synced yet has been moved to disk before.
    /// Errors: the views are as they were, except after [`SaveError::Broken`].
    pub fn adopt(&mut self) -> Result<(), SaveError> {
        self.usable()?;
        if self.disk.size(NEXT_FILE).is_err() {
            return Ok(());
        }
        let in_use = self.views.clone();
        let adopted = self.fold_beside();
        self.views = in_use;
        self.below = Arc::default();
        let taken = adopted.and_then(|()| self.views.replace_with(NEXT_FILE).map_err(OpenStoreError::from));
        let kept = self.reload();
        if let Err(error) = taken {
            return Err(self.break_down(&format!("a snapshot could not be adopted: {error}")));
        }
        kept.map_err(|error| self.break_down(&error.to_string()))?;
        self.unsynced = self.heads.lines().map(|(journal, head)| (*journal, Some(*head))).collect();
        self.show_synced();
        self.reader.note_change();
        tracing::info!(journals = self.heads.len(), "a snapshot was adopted");
        Ok(())
    }

    /// Folds what the log holds beyond the snapshot onto views that nobody sees yet.
    fn fold_beside(&mut self) -> Result<(), OpenStoreError> {
        self.views = Views::open_as(Arc::clone(&self.disk), NEXT_FILE, CACHE_BYTES)?;
        self.reload()?;
        self.below = Arc::clone(&self.heads);
        self.fold_tail(Some(self.log.start()))?;
        match self.views.flush() {
            Err(FlushError::DiskFull) => Err(FlushError::DiskFull.into()),
            other => Ok(other?),
        }
    }

    /// Reads again what is kept in memory beside the views.
    fn reload(&mut self) -> Result<(), KvError> {
        let mut members = Members::new(*self.members.root());
        for statement in self.members.statements() {
            // They held before.
            let _ = members.add(statement.clone());
        }
        let kept = Kept::read(&self.views, &mut members)?;
        (self.heads, self.closed, self.digests, self.last_runs) =
            (Arc::new(kept.heads), kept.closed, kept.digests, kept.last_runs);
        self.members = Arc::new(members);
        self.reader.set_members(&self.members);
        Ok(())
    }

    /// Changes rows beside the views: where entries stand in the log, and which are gone from it.
    ///
    /// Errors: [`SaveError::Broken`].
    pub fn move_rows(&mut self, rows: Rows) -> Result<(), SaveError> {
        self.usable()?;
        self.views.publish(rows);
        self.reader.note_change();
        Ok(())
    }

    /// Removes the segments below one, which no row leads to any more, on disk as in memory.
    pub fn drop_below(&mut self, segment: u32) -> Result<(), SaveError> {
        self.usable()?;
        if let Err(error) = SealedViews::forget_older(&*self.disk) {
            tracing::warn!(err = %error, "what an older build left could not be removed; tried again later");
        }
        if let Err(error) = self.log.drop_below(segment) {
            tracing::warn!(err = %error, "old segments of the log could not be removed; tried again later");
        }
        Ok(())
    }

    /// Takes every row away that leads to what goes from the archive; its files may go then. For stores without a thread.
    pub fn prune_archive(&mut self, plan: super::PrunePlan) -> Result<(), SaveError> {
        for rows in plan.into_chunks().1 {
            self.move_rows(rows)?;
        }
        self.checkpoint()
    }

    /// How many segments the log has.
    pub fn log_segments(&self) -> std::io::Result<usize> {
        let names = self.disk.list()?;
        Ok(names.iter().filter(|name| name.starts_with("log-0")).count())
    }

    /// Carries out a plan here and now: for stores without a thread.
    pub fn prune(&mut self, plan: super::PrunePlan) -> Result<(), SaveError> {
        let (segment, chunks) = plan.into_chunks();
        for rows in chunks {
            self.move_rows(rows)?;
        }
        self.checkpoint()?;
        self.drop_below(segment)
    }
}
