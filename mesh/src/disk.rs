//! The files of a store's directory, behind one object-safe trait.
//!
//! Purpose: the log and the views reach the machine's disk only through [`Disk`], so that every promise about power
//! cuts is tested against [`SimDisk`](crate::sim_disk::SimDisk) and kept by [`RealDisk`] with the same calls.
//!
//! Invariants: a write is durable only after [`Disk::sync`] of that file; a name (made, renamed, removed) is durable
//! only after [`Disk::sync_dir`]. Names are plain file names, so that no caller can leave the directory.
//!
//! Absent on purpose: retries. A sync that failed once is never asked again, since the kernel may have dropped the
//! pages and answer "fine" the second time (Rebello et al., "Can Applications Recover from fsync Failures?", 2020).

use std::{
    collections::BTreeMap,
    fmt,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// Zeros that are written and synced at once.
const FILL_BYTES: usize = 512 << 10;

/// Files by name in one directory. Every method may fail; nothing is durable before it was synced.
pub trait Disk: fmt::Debug + Send + Sync {
    /// The names of all files, in order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes a new file of `bytes` zero bytes whose space is taken now, so that writes inside it cannot run out.
    ///
    /// Errors: `AlreadyExists`; `StorageFull`, and then no such file is left behind.
    fn create(&self, name: &str, bytes: u64) -> io::Result<()>;

    /// Writes zeros over a new file of `bytes`, durable after [`Disk::sync`], so that later syncs of what is written inside it have no
    /// bookkeeping of the file system to wait for. It takes as long as the disk takes. A disk that has no such bookkeeping
    /// does nothing.
    fn fill(&self, _name: &str, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    /// How long the file is, in bytes. `NotFound` where there is none.
    fn size(&self, name: &str) -> io::Result<u64>;

    /// Fills `buf` from `offset`; `UnexpectedEof` where the file is shorter.
    fn read_at(&self, name: &str, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`, growing the file where needed. Durable after [`Disk::sync`].
    ///
    /// Errors: any part of `bytes` may have been written.
    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts or grows the file to `bytes`.
    fn set_len(&self, name: &str, bytes: u64) -> io::Result<()>;

    /// Waits until everything written to this file would survive a power cut.
    ///
    /// Errors: what was written since the last sync is in doubt for ever. Never sync again and believe it.
    fn sync(&self, name: &str) -> io::Result<()>;

    /// Gives the file another name, replacing what was there. Durable after [`Disk::sync_dir`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes the file and gives back its space. Durable after [`Disk::sync_dir`].
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Waits until every name made, changed or removed so far would survive a power cut.
    fn sync_dir(&self) -> io::Result<()>;

    /// Bytes that new files may still take.
    fn free(&self) -> io::Result<u64>;

    /// Nobody asks for this file soon: what is kept open for it may go.
    fn close(&self, _name: &str) {}
}

/// Reads a whole file of at most `bytes_max`; `None` where there is none.
///
/// Errors: `InvalidData` for a longer file, before anything is allocated for it.
pub fn read_whole(disk: &dyn Disk, name: &str, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let size = match disk.size(name) {
        Ok(size) => size,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    if size > bytes_max {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{name} holds {size} bytes, at most {bytes_max} make sense"),
        ));
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    disk.read_at(name, 0, &mut bytes)?;
    Ok(Some(bytes))
}

/// Writes a small file so that a power cut leaves the old content or the new, never a mixture.
pub fn replace(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = format!("{name}.new");
    remove_if_there(disk, &new)?;
    disk.create(&new, 0)?;
    disk.write_at(&new, 0, bytes)?;
    disk.sync(&new)?;
    disk.rename(&new, name)?;
    disk.sync_dir()
}

/// Removes a file; one that is not there is as good as removed. Durable after [`Disk::sync_dir`].
pub fn remove_if_there(disk: &dyn Disk, name: &str) -> io::Result<()> {
    match disk.remove(name) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// True for the errors that say "no space": a full disk, a quota, a file too large for the file system.
pub fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// A directory of the machine. Open files are kept, so that one append costs one write and one sync.
pub struct RealDisk {
    dir: PathBuf,
    handle: File,
    open: Mutex<BTreeMap<String, Arc<File>>>,
}

impl fmt::Debug for RealDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealDisk").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl RealDisk {
    /// The files in `dir`, which must exist.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let handle = File::open(dir)?;
        if !handle.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, format!("{} is a file", dir.display())));
        }
        Ok(Self { dir: dir.to_owned(), handle, open: Mutex::default() })
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        check_name(name)?;
        Ok(self.dir.join(name))
    }

    fn file(&self, name: &str) -> io::Result<Arc<File>> {
        if let Some(file) = self.handles().get(name) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(OpenOptions::new().read(true).write(true).open(self.path(name)?)?);
        self.handles().insert(name.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    /// For reading, on a disk too that takes no writes any more.
    fn file_to_read(&self, name: &str) -> io::Result<Arc<File>> {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        match self.file(name) {
            Err(error) if matches!(error.kind(), ReadOnlyFilesystem | PermissionDenied) => {
                Ok(Arc::new(File::open(self.path(name)?)?))
            }
            other => other,
        }
    }

    fn handles(&self) -> MutexGuard<'_, BTreeMap<String, Arc<File>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<()> {
        let path = self.path(name)?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        if let Err(error) = take_space(&file, bytes) {
            drop(file);
            std::fs::remove_file(&path)?;
            return Err(error);
        }
        self.handles().insert(name.to_owned(), Arc::new(file));
        Ok(())
    }

    fn fill(&self, name: &str, bytes: u64) -> io::Result<()> {
        let file = self.file(name)?;
        let zeros = vec![0; FILL_BYTES];
        let mut at = 0;
        while at < bytes {
            if at > 0 {
                // In small pieces, so that a sale's sync never waits behind all of it.
                file.sync_data()?;
            }
            let part = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(zeros.len());
            file.write_all_at(&zeros[..part], at)?;
            at += part as u64;
        }
        Ok(())
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        Ok(self.file_to_read(name)?.metadata()?.len())
    }

    fn read_at(&self, name: &str, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file_to_read(name)?.read_exact_at(buf, offset)
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(name)?.write_all_at(bytes, offset)
    }

    fn set_len(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.file(name)?.set_len(bytes)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.file(name)?.sync_data()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from)?, self.path(to)?)?;
        let mut handles = self.handles();
        handles.remove(to);
        if let Some(file) = handles.remove(from) {
            handles.insert(to.to_owned(), file);
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name)?;
        self.handles().remove(name);
        std::fs::remove_file(path)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn free(&self) -> io::Result<u64> {
        let space = statvfs(&self.dir)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    fn close(&self, name: &str) {
        self.handles().remove(name);
    }
}

/// Refuses a name that could leave the directory or hide in it.
pub(crate) fn check_name(name: &str) -> io::Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 80 || name.starts_with('.') || !name.chars().all(plain) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is no file name here")));
    }
    Ok(())
}

/// Takes the space now. A file system that cannot reserve is written full of zeros instead.
fn take_space(file: &File, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => return Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    let zeros = [0; 64 * 1024];
    let mut at = 0;
    while at < bytes {
        let part = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(zeros.len());
        file.write_all_at(&zeros[..part], at)?;
        at += part as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_written_renamed_read_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(dir.path()).unwrap();
        disk.create("a", 4096).unwrap();
        assert_eq!(disk.size("a").unwrap(), 4096, "the space is taken at once");
        disk.write_at("a", 10, b"tin").unwrap();
        disk.sync("a").unwrap();
        disk.rename("a", "b").unwrap();
        disk.sync_dir().unwrap();
        let mut buf = [9; 4];
        disk.read_at("b", 9, &mut buf).unwrap();
        assert_eq!(&buf, b"\0tin");
        assert_eq!(disk.list().unwrap(), ["b"]);
        disk.remove("b").unwrap();
        assert_eq!(disk.size("b").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_second_file_of_one_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(dir.path()).unwrap();
        disk.create("a", 0).unwrap();
        assert_eq!(disk.create("a", 0).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_file_too_large_for_the_disk_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(dir.path()).unwrap();
        let error = disk.create("huge", 1 << 50).unwrap_err();
        assert!(is_full(&error), "{error}");
        assert!(disk.list().unwrap().is_empty());
    }

    #[test]
    fn replacing_leaves_the_new_content_and_no_second_file() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(dir.path()).unwrap();
        replace(&disk, "note", b"one").unwrap();
        replace(&disk, "note", b"two").unwrap();
        assert_eq!(read_whole(&disk, "note", 10).unwrap().unwrap(), b"two");
        assert_eq!(disk.list().unwrap(), ["note"]);
        assert_eq!(read_whole(&disk, "note", 2).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(read_whole(&disk, "other", 2).unwrap(), None);
    }

    #[test]
    fn a_name_cannot_leave_the_directory() {
        for bad in ["", ".", "..", "../a", "a/b", ".hidden", "a\0"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
