//! Views and indexes: rows in memory for what is new, redb for the rest, read as one.
//!
//! Purpose: what the fold makes of the log, for everybody who reads. A group's rows become visible all at once, in memory;
//! when enough has gathered it moves into redb in one synced commit, on whatever thread runs the [`Flush`]. So a sale waits for
//! the log's sync and for nothing else. A move writes nearly a page for each row that it touches, until it touches every page:
//! measured over 3 000 sales with their carts, 43 KB of views for each sale where 4 MiB of rows move at once, 30 KB with 8 MiB,
//! 21 KB with 12 MiB. So they are few and large, as far as memory and the time of a start allow.
//!
//! Invariants: a [`Snapshot`] never changes. redb holds rows of synced log records only, together with the log position
//! that they are made from; what is lost above it is folded again from the log. A database file that cannot be trusted is
//! thrown away and made anew: it holds nothing that the log does not.
//!
//! In the file each first byte of a key has a table of its own: rows that come in the order of their keys then fill whole
//! pages, where in one tree for all of them each page that they leave behind stays half empty (measured: a third more pages).
//! The file is still about twice what its rows need: redb doubles it when it is full, since a flush writes every page that it
//! touches anew before the old ones are free. Compacting it would be undone by the next flush, so nobody does.
//!
//! Absent on purpose: any meaning of keys and values beyond that byte, and any typed redb table: bytes to bytes.

mod backend;
mod layers;
mod rows;

use std::{
    collections::BTreeMap,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redb::{Builder, Database, Durability, ReadOnlyTable, ReadableDatabase, TableDefinition, TableHandle};
use thiserror::Error;
use toko_crdt::{KvError, KvRead};

use crate::disk::{Disk, remove_if_there};
use backend::DiskBackend;
pub(crate) use layers::Draft;
use layers::scan_layers;
pub(crate) use rows::Rows;

/// The database's file.
pub const VIEWS_FILE: &str = "views.redb";

/// Fresh rows that may wait for a moment in which nobody reads.
const FRESH_ROWS_MAX: usize = 4096;

/// A table of the file: `t` and the byte that its keys begin with, in hex.
type Definition<'name> = TableDefinition<'name, &'static [u8], &'static [u8]>;

/// A cheap handle for reading views, on any thread.
#[derive(Clone, Debug)]
pub struct Views {
    shared: Arc<Mutex<Layers>>,
}

/// All views at one moment. It keeps what it needs; let go of it soon, since the database cannot reuse space meanwhile.
#[derive(Clone)]
pub struct Snapshot {
    fresh: Arc<Rows>,
    recent: Arc<Rows>,
    moving: Option<Arc<Rows>>,
    base: Arc<Base>,
}

/// A move of gathered rows into the database, ready to run on any thread.
#[derive(Debug)]
#[must_use = "rows that are not moved stay in memory"]
pub struct Flush {
    rows: Arc<Rows>,
    base: Arc<Base>,
}

/// What came of a [`Flush`]; hand it to [`Views::finish`].
#[derive(Debug)]
pub struct Flushed(Result<(Arc<Base>, u64), FlushError>);

/// Why rows did not get into the database. They are still in memory and in the log.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FlushError {
    /// No space; it is tried again.
    #[error("the disk is full; views wait in memory until there is room")]
    DiskFull,
    /// The database's file cannot be trusted any more.
    #[error("the views' file failed ({why}); it will be made anew from the log at the next start")]
    Failed {
        /// The database's own words.
        why: String,
    },
}

#[derive(Debug)]
struct Layers {
    /// The newest rows, as long as somebody reads the recent ones.
    fresh: Arc<Rows>,
    recent: Arc<Rows>,
    moving: Option<Arc<Rows>>,
    base: Arc<Base>,
    disk: Arc<dyn Disk>,
    file: &'static str,
    cache_bytes: usize,
}

/// The database as of its last commit.
struct Base {
    tables: BTreeMap<u8, ReadOnlyTable<&'static [u8], &'static [u8]>>,
    // Below the tables: it must outlive every reader.
    db: Arc<Database>,
    backend: DiskBackend,
}

impl Views {
    /// Opens the database on `disk`, or makes an empty one where there is none.
    ///
    /// Errors: what is wrong with the file that is there; [`Views::discard`] it and open again.
    pub fn open(disk: Arc<dyn Disk>, cache_bytes: usize) -> Result<Self, FlushError> {
        Self::open_as(disk, VIEWS_FILE, cache_bytes)
    }

    /// Opens another database beside the views, or makes an empty one.
    pub(crate) fn open_as(
        disk: Arc<dyn Disk>,
        file: &'static str,
        cache_bytes: usize,
    ) -> Result<Self, FlushError> {
        let base = Arc::new(open_base(&disk, file, cache_bytes)?);
        let (fresh, recent) = (Arc::default(), Arc::default());
        let layers = Layers { fresh, recent, moving: None, base, disk, file, cache_bytes };
        Ok(Self { shared: Arc::new(Mutex::new(layers)) })
    }

    /// Throws a database away that nobody has open.
    pub fn discard(disk: &dyn Disk) -> io::Result<()> {
        Self::discard_as(disk, VIEWS_FILE)
    }

    /// Throws another database away that nobody has open.
    pub(crate) fn discard_as(disk: &dyn Disk, file: &str) -> io::Result<()> {
        remove_if_there(disk, file)?;
        disk.sync_dir()
    }

    /// Puts another database, which nobody has open, in the place of this one, for every handle at once. Rows that wait in
    /// memory are forgotten, and whoever still reads an earlier snapshot is told that it was given up.
    ///
    /// Errors: the views cannot be used any more until they are opened anew.
    pub(crate) fn replace_with(&self, file: &'static str) -> Result<(), FlushError> {
        let mut layers = self.layers();
        layers.base.backend.let_go();
        layers.disk.rename(file, layers.file).map_err(failed)?;
        layers.disk.sync_dir().map_err(failed)?;
        layers.base = Arc::new(open_base(&layers.disk, layers.file, layers.cache_bytes)?);
        (layers.recent, layers.moving) = (Arc::default(), None);
        Ok(())
    }

    /// Moves everything that has gathered into the database, here and now.
    ///
    /// Errors: see [`FlushError`]; the rows are still in memory.
    pub(crate) fn flush(&self) -> Result<(), FlushError> {
        match self.start_flush() {
            Some(flush) => self.finish(flush.run()).map(drop),
            None => Ok(()),
        }
    }

    /// All views as they are now.
    pub fn snapshot(&self) -> Snapshot {
        let layers = self.layers();
        Snapshot {
            fresh: Arc::clone(&layers.fresh),
            recent: Arc::clone(&layers.recent),
            moving: layers.moving.clone(),
            base: Arc::clone(&layers.base),
        }
    }

    /// Reads from one snapshot.
    pub fn read<T>(&self, read: impl FnOnce(&dyn KvRead) -> Result<T, KvError>) -> Result<T, KvError> {
        read(&self.snapshot())
    }

    /// Makes a group's rows visible, all at once.
    pub(crate) fn publish(&self, rows: impl Into<Rows>) {
        let rows = Arc::new(rows.into());
        if rows.is_empty() {
            return;
        }
        let mut layers = self.layers();
        if layers.settle_fresh() {
            Arc::make_mut(&mut layers.recent).take_in(rows);
        } else {
            // Copies a few rows, where somebody is reading them right now.
            Arc::make_mut(&mut layers.fresh).take_in(rows);
        }
    }

    /// Bytes of rows that are not in the database yet.
    pub fn waiting_bytes(&self) -> usize {
        let layers = self.layers();
        layers.fresh.bytes() + layers.recent.bytes() + layers.moving.as_ref().map_or(0, |rows| rows.bytes())
    }

    /// Sets what has gathered aside, to be moved into the database. `None` where nothing has, or a move is under way.
    ///
    /// The caller has synced the log up to these rows.
    pub fn start_flush(&self) -> Option<Flush> {
        let mut layers = self.layers();
        layers.gather();
        if layers.moving.is_some() || layers.recent.is_empty() {
            return None;
        }
        let rows = std::mem::take(&mut layers.recent);
        layers.moving = Some(Arc::clone(&rows));
        Some(Flush { rows, base: Arc::clone(&layers.base) })
    }

    /// Takes note of how a [`Flush`] went. Returns the bytes that were moved.
    ///
    /// Errors: as the flush said; the rows are among the recent ones again.
    pub fn finish(&self, flushed: Flushed) -> Result<u64, FlushError> {
        let mut layers = self.layers();
        match flushed.0 {
            Ok((base, bytes)) => {
                layers.base = base;
                layers.moving = None;
                Ok(bytes)
            }
            Err(error) => {
                let mut rows = layers.moving.take().unwrap_or_default();
                layers.gather();
                let newer = std::mem::take(&mut layers.recent);
                Arc::make_mut(&mut rows).take_in(newer);
                layers.recent = rows;
                layers.base.backend.let_go();
                if matches!(error, FlushError::DiskFull) {
                    // The commit did not reach the file, which is opened anew, as of the last one that did.
                    layers.base = Arc::new(open_base(&layers.disk, layers.file, layers.cache_bytes)?);
                }
                Err(error)
            }
        }
    }

    fn layers(&self) -> MutexGuard<'_, Layers> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Layers {
    /// Takes the fresh rows among the recent ones, unless somebody reads these right now: all of them would be copied. False
    /// if so.
    fn settle_fresh(&mut self) -> bool {
        if self.fresh.len() < FRESH_ROWS_MAX && Arc::get_mut(&mut self.recent).is_none() {
            return false;
        }
        self.gather();
        true
    }

    /// Takes the fresh rows among the recent ones.
    fn gather(&mut self) {
        if !self.fresh.is_empty() {
            let fresh = std::mem::take(&mut self.fresh);
            Arc::make_mut(&mut self.recent).take_in(fresh);
        }
    }
}

impl Flush {
    /// Writes the rows and syncs. Takes as long as the disk takes; readers and writers go on meanwhile.
    #[must_use]
    pub fn run(self) -> Flushed {
        let moved = catch_unwind(AssertUnwindSafe(|| self.write()))
            .unwrap_or_else(|_| Err(FlushError::Failed { why: "the database panicked".to_owned() }));
        // Where the disk was full, the commit stands in memory only and is not believed.
        if self.base.backend.ran_full() { Flushed(Err(FlushError::DiskFull)) } else { Flushed(moved) }
    }

    fn write(&self) -> Result<(Arc<Base>, u64), FlushError> {
        let db = &self.base.db;
        let mut write = db.begin_write().map_err(failed)?;
        write.set_durability(Durability::Immediate).map_err(failed)?;
        write.set_quick_repair(true);
        let mut rows = self.rows.iter().peekable();
        while let Some(byte) = rows.peek().map(|(key, _)| first_byte(key)) {
            let name = table_name(byte);
            let mut table = write.open_table(Definition::new(&name)).map_err(failed)?;
            while let Some((key, value)) = rows.next_if(|(key, _)| first_byte(key) == byte) {
                match value {
                    Some(value) => drop(table.insert(key, value).map_err(failed)?),
                    None => drop(table.remove(key).map_err(failed)?),
                }
            }
        }
        write.commit().map_err(failed)?;
        let base = Base::read(Arc::clone(db), self.base.backend.clone())?;
        Ok((Arc::new(base), self.rows.bytes() as u64))
    }
}

impl Base {
    fn read(db: Arc<Database>, backend: DiskBackend) -> Result<Self, FlushError> {
        let read = db.begin_read().map_err(failed)?;
        let mut tables = BTreeMap::new();
        for handle in read.list_tables().map_err(failed)? {
            let table = read.open_table(Definition::new(handle.name())).map_err(failed)?;
            tables.insert(byte_of(handle.name()).ok_or_else(|| failed("another build's tables"))?, table);
        }
        Ok(Self { tables, db, backend })
    }
}

/// The byte whose table a key is in. No row has an empty key; it would stand before all others.
fn first_byte(key: &[u8]) -> u8 {
    key.first().copied().unwrap_or(0)
}

fn table_name(byte: u8) -> String {
    format!("t{byte:02x}")
}

fn byte_of(table: &str) -> Option<u8> {
    table.strip_prefix('t').and_then(|byte| u8::from_str_radix(byte, 16).ok())
}

/// Opens the database's file. What it does with a damaged one is redb's business, a panic included.
fn open_base(disk: &Arc<dyn Disk>, file: &'static str, cache_bytes: usize) -> Result<Base, FlushError> {
    let backend = DiskBackend::open(Arc::clone(disk), file).map_err(failed)?;
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let db = Builder::new()
            .set_cache_size(cache_bytes)
            .create_with_backend(backend.clone())
            .map_err(failed)?;
        Base::read(Arc::new(db), backend.clone())
    }));
    let result =
        opened.unwrap_or_else(|_| Err(FlushError::Failed { why: "the database panicked".to_owned() }));
    if result.is_err() {
        backend.let_go();
        if backend.ran_full() {
            return Err(FlushError::DiskFull);
        }
    }
    result
}

impl KvRead for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        let newer = self.fresh.get(key).or_else(|| self.recent.get(key));
        if let Some(row) = newer.or_else(|| self.moving.as_ref()?.get(key)) {
            return Ok(row.map(<[u8]>::to_vec));
        }
        self.base.get(key)
    }

    fn scan_from(
        &self,
        prefix: &[u8],
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), KvError> {
        let layers = [Some(&*self.fresh), Some(&*self.recent), self.moving.as_deref()];
        scan_layers(&layers, &*self.base, prefix, from, visit)
    }
}

impl KvRead for Base {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        let Some(table) = self.tables.get(&first_byte(key)) else { return Ok(None) };
        calm(|| Ok(table.get(key).map_err(KvError::storage)?.map(|value| value.value().to_vec())))
    }

    fn scan_from(
        &self,
        prefix: &[u8],
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), KvError> {
        let start = prefix.max(from);
        let is_wanted = |byte: u8| prefix.first().is_none_or(|first| *first == byte);
        for (_, table) in self.tables.range(first_byte(start)..).take_while(|(byte, _)| is_wanted(**byte)) {
            let mut rows = calm(|| table.range(start..).map_err(KvError::storage))?;
            while let Some((key, value)) = calm(|| rows.next().transpose().map_err(KvError::storage))? {
                if !key.value().starts_with(prefix) || !visit(key.value(), value.value()) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// A panic of the database over a damaged page is an error of the views, never the fault of whatever was being folded.
fn calm<T>(read: impl FnOnce() -> Result<T, KvError>) -> Result<T, KvError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(KvError::corrupt("the database panicked")))
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("recent_bytes", &self.recent.bytes()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base").field("backend", &self.backend).finish_non_exhaustive()
    }
}

fn failed(error: impl fmt::Display) -> FlushError {
    FlushError::Failed { why: error.to_string() }
}

#[cfg(test)]
mod tests;
