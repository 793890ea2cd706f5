//! A disk whose sync takes as long as that of a shop's cheap flash: what group commit is for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use toko_mesh::disk::{Disk, RealDisk};

/// How long each sync takes longer.
pub const SYNC: Duration = Duration::from_micros(3_500);

/// A real disk with slow syncs.
#[derive(Debug)]
pub struct SlowDisk {
    disk: Arc<RealDisk>,
    sync: Duration,
    reaches: bool,
}

impl SlowDisk {
    /// Each sync takes [`SYNC`] longer than the disk's own.
    pub fn slower(disk: Arc<RealDisk>) -> Self {
        Self { disk, sync: SYNC, reaches: true }
    }

    /// Each sync takes exactly so long, and reaches no disk: what was written would not survive a power cut.
    pub fn simulated(disk: Arc<RealDisk>, sync: Duration) -> Self {
        Self { disk, sync, reaches: false }
    }
}

impl Disk for SlowDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.disk.create(name, bytes)
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        self.disk.size(name)
    }

    fn read_at(&self, name: &str, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.disk.read_at(name, offset, buf)
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.write_at(name, offset, bytes)
    }

    fn set_len(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.disk.set_len(name, bytes)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        std::thread::sleep(self.sync);
        if self.reaches { self.disk.sync(name) } else { Ok(()) }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        if self.reaches { self.disk.sync_dir() } else { Ok(()) }
    }

    fn free(&self) -> io::Result<u64> {
        self.disk.free()
    }
}
