//! redb's file on our own disk, so that its power cuts are simulated like the log's.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
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
    ran_full: AtomicBool,
}

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

    /// Whether some write failed for want of space.
    pub(super) fn ran_full(&self) -> bool {
        self.state.ran_full.load(Ordering::SeqCst)
    }

    fn run<T>(&self, op: impl FnOnce(&dyn Disk) -> io::Result<T>) -> io::Result<T> {
        if self.state.let_go.load(Ordering::SeqCst) {
            return Err(io::Error::other("this database was given up"));
        }
        op(&*self.disk).inspect_err(|error| {
            if is_full(error) {
                self.state.ran_full.store(true, Ordering::SeqCst);
            }
        })
    }
}

impl StorageBackend for DiskBackend {
    fn len(&self) -> Result<u64, io::Error> {
        self.run(|disk| disk.size(self.name))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.run(|disk| disk.read_at(self.name, offset, out))
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.run(|disk| disk.set_len(self.name, len))
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.run(|disk| disk.sync(self.name))
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.run(|disk| disk.write_at(self.name, offset, data))
    }
}
