//! Files that are named by what is in them: catalogues, images, anything too large for an entry.
//!
//! Invariants: a blob is there whole and durable, or not there; what is read was verified against its name, and a blob that
//! no longer is what it was is removed, so that it is fetched again. Absent on purpose: any idea of what a blob means or
//! when it may go.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use thiserror::Error;
use toko_crdt::{Hash, book::blob_hash};

use crate::disk::{Disk, read_whole, remove_if_there};

/// The largest blob: a catalogue of 100 000 items several times over.
pub const BLOB_BYTES_MAX: u64 = 64 << 20;

/// Numbers the half-written files of this process, so that two writers of one blob are in nobody's way.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// A directory of blobs.
#[derive(Clone, Debug)]
pub struct Blobs {
    disk: Arc<dyn Disk>,
    bytes_max: u64,
}

/// Why a blob was not kept or not found. Nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BlobError {
    /// Larger than a blob may be.
    #[error("{bytes} bytes, a blob holds {bytes_max}")]
    TooLarge {
        /// What came.
        bytes: u64,
        /// What is allowed.
        bytes_max: u64,
    },
    /// The bytes are not those of that name.
    #[error("the bytes are not those of blob {}", .0.short())]
    Mismatch(Hash),
    /// The disk did not answer.
    #[error("the disk of the blobs")]
    Io(#[from] io::Error),
}

impl Blobs {
    /// The blobs on a disk of their own. What a power cut left half-written is removed.
    pub fn open(disk: Arc<dyn Disk>, bytes_max: u64) -> Result<Self, BlobError> {
        for name in disk.list()?.into_iter().filter(|name| name.ends_with(".new")) {
            disk.remove(&name)?;
        }
        Ok(Self { disk, bytes_max: bytes_max.min(BLOB_BYTES_MAX) })
    }

    /// Keeps bytes, durably. Keeping them again changes nothing.
    pub fn put(&self, bytes: &[u8]) -> Result<Hash, BlobError> {
        let hash = blob_hash(bytes);
        self.put_as(hash, bytes)?;
        Ok(hash)
    }

    /// Keeps bytes that came from somebody else, if they are what their name says.
    pub fn put_as(&self, hash: Hash, bytes: &[u8]) -> Result<(), BlobError> {
        let size = bytes.len() as u64;
        if size > self.bytes_max {
            return Err(BlobError::TooLarge { bytes: size, bytes_max: self.bytes_max });
        }
        if blob_hash(bytes) != hash {
            return Err(BlobError::Mismatch(hash));
        }
        if self.get(hash)?.is_some() {
            return Ok(());
        }
        Ok(self.write(&hash.to_string(), bytes)?)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let new = format!("{name}.{}.new", WRITES.fetch_add(1, Ordering::Relaxed));
        self.disk.create(&new, 0)?;
        if let Err(error) = self.disk.write_at(&new, 0, bytes).and_then(|()| self.disk.sync(&new)) {
            self.disk.remove(&new)?;
            return Err(error);
        }
        self.disk.rename(&new, name)?;
        self.disk.close(name);
        self.disk.sync_dir()
    }

    /// The bytes with this name, verified; `None` where they are not here (any more).
    pub fn get(&self, hash: Hash) -> Result<Option<Vec<u8>>, BlobError> {
        let name = hash.to_string();
        let read = match read_whole(&*self.disk, &name, self.bytes_max) {
            // One that has grown is no longer what it was either.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Some(Vec::new())),
            read => read,
        };
        self.disk.close(&name);
        match read? {
            Some(bytes) if blob_hash(&bytes) == hash => return Ok(Some(bytes)),
            Some(_) => {}
            None => return Ok(None),
        }
        tracing::error!(blob = %hash.short(), "a blob is no longer what it was; it is removed and fetched again");
        self.disk.remove(&name)?;
        Ok(None)
    }

    /// Whether a file with this name is here. It is verified when it is read.
    pub fn has(&self, hash: Hash) -> bool {
        let name = hash.to_string();
        let has = self.disk.size(&name).is_ok();
        self.disk.close(&name);
        has
    }

    /// Removes a blob; one that is not there is as good as removed.
    pub fn remove(&self, hash: Hash) -> Result<(), BlobError> {
        Ok(remove_if_there(&*self.disk, &hash.to_string())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;
    use std::path::Path;

    fn open(dir: &Path, bytes_max: u64) -> Blobs {
        Blobs::open(Arc::new(RealDisk::open(dir).unwrap()), bytes_max).unwrap()
    }

    #[test]
    fn a_blob_is_kept_once_read_back_and_removed() {
        let tmp = tempfile::tempdir().unwrap();
        let blobs = open(tmp.path(), 1000);
        let hash = blobs.put(b"catalogue").unwrap();
        assert_eq!(blobs.put(b"catalogue").unwrap(), hash);
        assert!(blobs.has(hash));
        assert_eq!(blobs.get(hash).unwrap().unwrap(), b"catalogue");
        blobs.remove(hash).unwrap();
        blobs.remove(hash).unwrap();
        assert_eq!(blobs.get(hash).unwrap(), None);
    }

    #[test]
    fn wrong_and_oversized_bytes_are_refused() {
        let tmp = tempfile::tempdir().unwrap();
        let blobs = open(tmp.path(), 10);
        assert!(matches!(blobs.put_as(Hash([1; 32]), b"x"), Err(BlobError::Mismatch(_))));
        assert!(matches!(blobs.put(&[0; 11]), Err(BlobError::TooLarge { bytes: 11, bytes_max: 10 })));
        assert_eq!(std::fs::read_dir(tmp.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_rotten_blob_is_not_served_and_is_kept_anew() {
        let tmp = tempfile::tempdir().unwrap();
        let blobs = open(tmp.path(), 1000);
        let hash = blobs.put(b"catalogue").unwrap();
        std::fs::write(tmp.path().join(hash.to_string()), b"catalog!e").unwrap();
        assert_eq!(blobs.get(hash).unwrap(), None);
        blobs.put(b"catalogue").unwrap();
        assert_eq!(blobs.get(hash).unwrap().unwrap(), b"catalogue");
    }

    #[test]
    fn what_a_power_cut_left_half_written_is_removed() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::write(tmp.path().join("abc.17.new"), b"half").unwrap();
        open(tmp.path(), 1000);
        assert_eq!(std::fs::read_dir(tmp.path()).unwrap().count(), 0);
    }
}
