//! A disk whose sync takes as long as that of a shop's cheap flash: what group commit is for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use toko_mesh::disk::{Disk, RealDisk};

/// How long each sync takes longer.
pub const SYNC: Duration = Duration::from_micros(3_500);

/// A real disk with slow syncs.
#[derive(Debug)]
pub struct SlowDisk(pub Arc<RealDisk>);

impl Disk for SlowDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.0.create(name, bytes)
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        self.0.size(name)
    }

    fn read_at(&self, name: &str, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_at(name, offset, buf)
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(name, offset, bytes)
    }

    fn set_len(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.0.set_len(name, bytes)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        std::thread::sleep(SYNC);
        self.0.sync(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.0.sync_dir()
    }

    fn free(&self) -> io::Result<u64> {
        self.0.free()
    }
}
