//! redb's file on our own disk, so that its power cuts are simulated like the log's.
//!
//! A full disk is not shown to redb, which answers nobody any more once a write has failed: from the first write that finds
//! no room the file is left as it is, and what redb writes stays in memory ([`Shadow`]). Readers go on undisturbed; the
//! commit is not believed ([`DiskBackend::ran_full`]), and the file is opened anew as of the last commit that it holds. That
//! is safe because a commit in two phases writes its pages first: the header that would make them count never arrives.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use redb::StorageBackend;

use crate::disk::{Disk, is_full};

/// One file of a [`Disk`] as redb wants it. Clones are handles of one file.
#[derive(Clone, Debug)]
pub(super) struct DiskBackend {
    disk: Arc<dyn Disk>,
    name: &'static str,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    let_go: AtomicBool,
    /// Bytes that were written since the last sync.
    unsynced: AtomicUsize,
    /// Whether there is a shadow: readers look here first, so that none waits for a writer's disk.
    ran_full: AtomicBool,
    shadow: Mutex<Option<Shadow>>,
}

/// What was written since the disk was full, page by page, over a file that stays as it is.
#[derive(Debug)]
struct Shadow {
    len: u64,
    pages: BTreeMap<u64, Box<[u8]>>,
}

const PAGE_BYTES: usize = 4096;
/// Bytes that are written before the disk is asked to take them: the sync of a sale never waits behind more.
const PACE_BYTES: usize = 128 << 10;

impl DiskBackend {
    pub(super) fn open(disk: Arc<dyn Disk>, name: &'static str) -> io::Result<Self> {
        match disk.size(name) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                disk.create(name, 0)?;
                disk.sync_dir()?;
            }
            Err(error) => return Err(error),
        }
        Ok(Self { disk, name, state: Arc::default() })
    }

    /// From now on nothing reaches the file through this handle: another database may open it.
    pub(super) fn let_go(&self) {
        self.state.let_go.store(true, Ordering::SeqCst);
    }

    /// Whether some write found no room. What was committed since then is in memory only.
    pub(super) fn ran_full(&self) -> bool {
        self.state.ran_full.load(Ordering::SeqCst)
    }

    fn shadow(&self) -> MutexGuard<'_, Option<Shadow>> {
        self.state.shadow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self) -> io::Result<()> {
        if self.state.let_go.load(Ordering::SeqCst) {
            return Err(io::Error::other("this database was given up"));
        }
        Ok(())
    }

    /// Does `on_disk`, or `in_memory` once the disk was full. redb has one writer, so nobody else changes the file meanwhile.
    fn change(
        &self,
        on_disk: impl FnOnce() -> io::Result<()>,
        in_memory: impl FnOnce(&Self, &mut Shadow) -> io::Result<()>,
    ) -> io::Result<()> {
        self.usable()?;
        if !self.ran_full() {
            match on_disk() {
                Err(error) if is_full(&error) => {
                    let len = self.disk.size(self.name)?;
                    *self.shadow() = Some(Shadow { len, pages: BTreeMap::new() });
                    self.state.ran_full.store(true, Ordering::SeqCst);
                }
                done => return done,
            }
        }
        match self.shadow().as_mut() {
            Some(shadow) => in_memory(self, shadow),
            None => Ok(()),
        }
    }

    /// Hands the disk what was written in pieces, instead of all at the end.
    fn keep_pace(&self, bytes: usize) -> io::Result<()> {
        let unsynced = self.state.unsynced.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if unsynced < PACE_BYTES {
            return Ok(());
        }
        self.state.unsynced.store(0, Ordering::Relaxed);
        self.disk.sync(self.name)
    }

    /// A page as the shadow has it, else as the file has it; zeros beyond its end.
    fn page(&self, shadow: &Shadow, number: u64) -> io::Result<Box<[u8]>> {
        if let Some(page) = shadow.pages.get(&number) {
            return Ok(page.clone());
        }
        let mut page = vec![0; PAGE_BYTES].into_boxed_slice();
        let start = number * PAGE_BYTES as u64;
        let there = self.disk.size(self.name)?.min(shadow.len).saturating_sub(start);
        let there = usize::try_from(there).unwrap_or(PAGE_BYTES).min(PAGE_BYTES);
        if there > 0 {
            self.disk.read_at(self.name, start, &mut page[..there])?;
        }
        Ok(page)
    }
}

impl Shadow {
    /// The stretches of pages that `len` bytes at `offset` touch: page, where in it, where in the bytes, how many.
    fn stretches(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
        let mut done = 0;
        std::iter::from_fn(move || {
            if done == len {
                return None;
            }
            let at = offset + done as u64;
            let within = usize::try_from(at % PAGE_BYTES as u64).unwrap_or(0);
            let count = (PAGE_BYTES - within).min(len - done);
            let stretch = (at / PAGE_BYTES as u64, within, done, count);
            done += count;
            Some(stretch)
        })
    }
}

impl StorageBackend for DiskBackend {
    fn len(&self) -> Result<u64, io::Error> {
        self.usable()?;
        if !self.ran_full() {
            return self.disk.size(self.name);
        }
        Ok(self.shadow().as_ref().map_or(0, |shadow| shadow.len))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.usable()?;
        if !self.ran_full() {
            return self.disk.read_at(self.name, offset, out);
        }
        let shadow = self.shadow();
        let Some(shadow) = shadow.as_ref() else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        if offset.saturating_add(out.len() as u64) > shadow.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, within, done, count) in Shadow::stretches(offset, out.len()) {
            let page = self.page(shadow, number)?;
            out[done..done + count].copy_from_slice(&page[within..within + count]);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.change(
            || self.disk.set_len(self.name, len),
            |_, shadow| {
                shadow.len = len;
                shadow.pages.split_off(&len.div_ceil(PAGE_BYTES as u64));
                Ok(())
            },
        )
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.change(|| self.disk.sync(self.name), |_, _| Ok(()))
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.change(
            || {
                self.disk.write_at(self.name, offset, data)?;
                self.keep_pace(data.len())
            },
            |backend, shadow| {
                for (number, within, done, count) in Shadow::stretches(offset, data.len()) {
                    let mut page = backend.page(shadow, number)?;
                    page[within..within + count].copy_from_slice(&data[done..done + count]);
                    shadow.pages.insert(number, page);
                }
                shadow.len = shadow.len.max(offset.saturating_add(data.len() as u64));
                Ok(())
            },
        )
    }
}
