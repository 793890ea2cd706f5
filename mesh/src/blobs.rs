//! Files that are named by what is in them: catalogues, images, anything too large for an entry.
//!
//! Invariants: a blob is there whole and durable, or not there; what is read was verified against its name, and a blob that
//! no longer is what it was is removed, so that it is fetched again. Absent on purpose: any idea of what a blob means or
//! when it may go.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use thiserror::Error;
use toko_crdt::{Hash, book::blob_hash};

/// The largest blob: a catalogue of 100 000 items several times over.
pub const BLOB_BYTES_MAX: u64 = 64 << 20;

/// Numbers the half-written files of this process, so that two writers of one blob are in nobody's way.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// A directory of blobs.
#[derive(Clone, Debug)]
pub struct Blobs {
    dir: PathBuf,
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
    #[error("blobs in {}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// The disk's own words.
        #[source]
        source: io::Error,
    },
}

impl Blobs {
    /// The blobs in `dir`, which is made where it is missing. What a power cut left half-written is removed.
    pub fn open(dir: &Path, bytes_max: u64) -> Result<Self, BlobError> {
        let blobs = Self { dir: dir.to_owned(), bytes_max: bytes_max.min(BLOB_BYTES_MAX) };
        std::fs::create_dir_all(dir).map_err(blobs.failed())?;
        for entry in std::fs::read_dir(dir).map_err(blobs.failed())? {
            let path = entry.map_err(blobs.failed())?.path();
            if path.extension().is_some_and(|extension| extension == "new") {
                std::fs::remove_file(path).map_err(blobs.failed())?;
            }
        }
        Ok(blobs)
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
        self.write(hash, bytes).map_err(self.failed())
    }

    fn write(&self, hash: Hash, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(hash);
        let new = path.with_extension(format!("{}.new", WRITES.fetch_add(1, Ordering::Relaxed)));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if let Err(error) = written {
            std::fs::remove_file(&new)?;
            return Err(error);
        }
        std::fs::rename(&new, &path)?;
        File::open(&self.dir)?.sync_all()
    }

    /// The bytes with this name, verified; `None` where they are not here (any more).
    pub fn get(&self, hash: Hash) -> Result<Option<Vec<u8>>, BlobError> {
        let path = self.path(hash);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed()(error)),
        };
        let mut bytes = Vec::new();
        file.take(self.bytes_max + 1).read_to_end(&mut bytes).map_err(self.failed())?;
        if blob_hash(&bytes) == hash {
            return Ok(Some(bytes));
        }
        tracing::error!(blob = %hash.short(), "a blob is no longer what it was; it is removed and fetched again");
        std::fs::remove_file(&path).map_err(self.failed())?;
        Ok(None)
    }

    /// Whether a file with this name is here. It is verified when it is read.
    pub fn has(&self, hash: Hash) -> bool {
        self.path(hash).is_file()
    }

    /// Removes a blob; one that is not there is as good as removed.
    pub fn remove(&self, hash: Hash) -> Result<(), BlobError> {
        match std::fs::remove_file(self.path(hash)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed()(error)),
            _ => Ok(()),
        }
    }

    fn path(&self, hash: Hash) -> PathBuf {
        self.dir.join(hash.to_string())
    }

    fn failed(&self) -> impl Fn(io::Error) -> BlobError {
        move |source| BlobError::Io { path: self.dir.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_kept_once_read_back_and_removed() {
        let tmp = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(&tmp.path().join("blobs"), 1000).unwrap();
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
        let blobs = Blobs::open(tmp.path(), 10).unwrap();
        assert!(matches!(blobs.put_as(Hash([1; 32]), b"x"), Err(BlobError::Mismatch(_))));
        assert!(matches!(blobs.put(&[0; 11]), Err(BlobError::TooLarge { bytes: 11, bytes_max: 10 })));
        assert_eq!(std::fs::read_dir(tmp.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_rotten_blob_is_not_served_and_is_kept_anew() {
        let tmp = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(tmp.path(), 1000).unwrap();
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
        Blobs::open(tmp.path(), 1000).unwrap();
        assert_eq!(std::fs::read_dir(tmp.path()).unwrap().count(), 0);
    }
}
