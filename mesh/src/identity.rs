//! The sentinel of a data directory: whose store and node this is, its key, and a lock.
//!
//! Purpose: an empty, foreign or half-made directory is never taken for a new node, and two processes never open one
//! directory. A node that starts on the wrong directory says what is there and what to do, and changes nothing.
//!
//! ```text
//! DIR/STORE      what this directory is, as text (version 1, one "name value" per line)
//! DIR/node.key   the node's secret: 32 bytes, readable by its owner only
//! DIR/lock       locked while a process has the directory open
//! DIR/journal/   log and views
//! DIR/blobs/     content-addressed files
//! ```
//!
//! Invariants: `STORE` is written last and at once, so a directory that has it is whole, and one that lacks it was never
//! used. Absent on purpose: any way to make a directory as a side effect of opening it.

use std::{
    fmt,
    fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;
use toko_crdt::{
    NodeId, StoreId,
    clock::UnixMicros,
    hash::{hex, unhex},
    sign::{PublicKey, SecretKey},
};

use crate::disk::{Disk, RealDisk};
use crate::machine::Disks;

const STORE_FILE: &str = "STORE";
const KEY_FILE: &str = "node.key";
const LOCK_FILE: &str = "lock";
const JOURNAL_DIR: &str = "journal";
const BLOBS_DIR: &str = "blobs";
const FIRST_LINE: &str = "toko-store 1";
const TEXT_BYTES_MAX: u64 = 4096;

/// What a directory says that it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sentinel {
    /// The store's root key; the store's id is its hash.
    pub root: PublicKey,
    /// The node whose directory this is.
    pub node: NodeId,
    /// What the node was made as. What it *may* do is in the members' statements.
    pub role: Role,
    /// When it was made, by the clock of that moment.
    pub created: UnixMicros,
}

/// What a node was made as.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// A store's hub.
    Hub,
    /// A terminal.
    Terminal,
    /// Headquarters, for one store.
    Headquarters,
}

/// What the directory of a new node is to say.
#[derive(Clone, Debug)]
pub struct NewDir {
    /// The store's root key.
    pub root: PublicKey,
    /// The node's key.
    pub key: SecretKey,
    /// What the node is made as.
    pub role: Role,
    /// When, by the clock of this moment.
    pub created: UnixMicros,
}

/// An open data directory. It stays locked until this is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    sentinel: Sentinel,
    key: SecretKey,
    held: Held,
}

/// How a directory is held.
#[derive(Debug)]
enum Held {
    /// By the lock in it.
    Locked(File),
    /// By whoever lends its disks, who lends them once.
    Lent(Disks),
}

/// Why a directory stayed closed. Nothing in it was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenDirError {
    /// There is nothing: no directory, or an empty one.
    #[error(
        "{} is {what}; this node keeps its data there, so either the disk is not mounted or the data was removed: mount or \
         restore it, or set this node up again on purpose", path.display()
    )]
    Nothing {
        /// Where.
        path: PathBuf,
        /// Missing or empty.
        what: &'static str,
    },
    /// There are files, and none of them says that this is a node's directory.
    #[error(
        "{} holds {example:?} and no file STORE, so it is not a node's directory; check the path in the configuration",
        path.display()
    )]
    Foreign {
        /// Where.
        path: PathBuf,
        /// One of the files.
        example: String,
    },
    /// Setting the node up was cut short; it never ran.
    #[error(
        "{} was being set up when that was cut short; nothing was sold from it: remove the directory and set this node up \
         again", path.display()
    )]
    HalfMade {
        /// Where.
        path: PathBuf,
    },
    /// A part that was there is gone or altered.
    #[error("{} is damaged: {why}; restore it from a copy, or set this node up again", path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Made by a newer build.
    #[error("{} was made by a newer build ({found:?}); start that one", path.display())]
    Newer {
        /// Where.
        path: PathBuf,
        /// What its first line says.
        found: String,
    },
    /// It is another kind of node's.
    #[error("{} is a {found}'s directory, this is a {wanted}; check the path in the configuration", path.display())]
    OtherRole {
        /// Where.
        path: PathBuf,
        /// Whose it is.
        found: Role,
        /// What asks for it.
        wanted: Role,
    },
    /// Another process has it open.
    #[error("{} is open in another process; two on one directory would destroy it", path.display())]
    Locked {
        /// Where.
        path: PathBuf,
    },
    /// The disk did not answer.
    #[error("{} could not be read", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// The disk's own words.
        #[source]
        source: io::Error,
    },
}

/// Why a directory was not made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CreateDirError {
    /// Something is there already. It was not touched.
    #[error("{} is not empty (it holds {example:?}); give the path of a new directory", path.display())]
    Occupied {
        /// Where.
        path: PathBuf,
        /// One of the files.
        example: String,
    },
    /// The disk did not take it. What was made so far is no node's directory; remove it and try again.
    #[error("{} could not be made", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// The disk's own words.
        #[source]
        source: io::Error,
    },
}

impl DataDir {
    /// Makes the directory of a new node in `path`, which must be empty or absent, and opens it.
    ///
    /// Errors: see [`CreateDirError`]; there is no node then.
    pub fn create(
        path: &Path,
        root: PublicKey,
        key: SecretKey,
        role: Role,
        created: UnixMicros,
    ) -> Result<Self, CreateDirError> {
        let failed = |source| CreateDirError::Io { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o750).create(path).map_err(failed)?;
        if let Some(example) = one_file_of(path).map_err(failed)? {
            return Err(CreateDirError::Occupied { path: path.to_owned(), example });
        }
        let sentinel = Sentinel { root, node: key.node(), role, created };
        let lock = Self::fill(path, &sentinel, &key).map_err(failed)?;
        Ok(Self { path: path.to_owned(), sentinel, key, held: Held::Locked(lock) })
    }

    fn fill(path: &Path, sentinel: &Sentinel, key: &SecretKey) -> io::Result<File> {
        let lock = File::create_new(path.join(LOCK_FILE))?;
        lock.try_lock()?;
        for dir in [JOURNAL_DIR, BLOBS_DIR] {
            DirBuilder::new().mode(0o750).create(path.join(dir))?;
        }
        write_whole(path, KEY_FILE, key.seed(), 0o600)?;
        write_whole(path, STORE_FILE, sentinel.to_text().as_bytes(), 0o640)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Ok(lock)
    }

    /// Opens the directory of a node that exists.
    ///
    /// Errors: see [`OpenDirError`]; nothing was changed.
    pub fn open(path: &Path, role: Role) -> Result<Self, OpenDirError> {
        let io_error = |source| OpenDirError::Io { path: path.to_owned(), source };
        let damaged = |why: &str| OpenDirError::Damaged { path: path.to_owned(), why: why.to_owned() };
        let Some(text) = read_limited(&path.join(STORE_FILE)).map_err(io_error)? else {
            return Err(what_is_there_instead(path));
        };
        let sentinel = Sentinel::parse(&String::from_utf8_lossy(&text)).map_err(|fault| match fault {
            TextFault::Newer(found) => OpenDirError::Newer { path: path.to_owned(), found },
            TextFault::Bad(why) => damaged(&format!("the file STORE {why}")),
        })?;
        if sentinel.role != role {
            return Err(OpenDirError::OtherRole {
                path: path.to_owned(),
                found: sentinel.role,
                wanted: role,
            });
        }
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(path.join(LOCK_FILE));
        let lock = lock.map_err(io_error)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if toko_crdt::mutant!("open-a-directory-twice") => {}
            Err(TryLockError::WouldBlock) => return Err(OpenDirError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io_error(source)),
        }
        let seed = read_limited(&path.join(KEY_FILE)).map_err(io_error)?;
        let seed = seed.ok_or_else(|| damaged("its key file node.key is gone"))?;
        let seed =
            <[u8; 32]>::try_from(seed.as_slice()).map_err(|_| damaged("its key file node.key is no key"))?;
        let key = SecretKey::from_seed(seed);
        if key.node() != sentinel.node && !toko_crdt::mutant!("take-anybodys-key") {
            return Err(damaged("its key file node.key is another node's"));
        }
        if !path.join(JOURNAL_DIR).is_dir() {
            return Err(damaged("its journal is gone"));
        }
        Ok(Self { path: path.to_owned(), sentinel, key, held: Held::Locked(lock) })
    }

    /// A directory on disks that somebody lends, who also knows whose it is.
    pub fn lent(path: &Path, new: NewDir, disks: Disks) -> Self {
        let NewDir { root, key, role, created } = new;
        let sentinel = Sentinel { root, node: key.node(), role, created };
        Self { path: path.to_owned(), sentinel, key, held: Held::Lent(disks) }
    }

    /// What the directory says that it is.
    pub fn sentinel(&self) -> &Sentinel {
        &self.sentinel
    }

    /// The node's key.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The disk for log and views.
    pub fn journal_disk(&self) -> io::Result<Arc<dyn Disk>> {
        match &self.held {
            Held::Locked(_) => Ok(Arc::new(RealDisk::open(&self.path.join(JOURNAL_DIR))?)),
            Held::Lent(disks) => Ok(Arc::clone(&disks.journal)),
        }
    }

    /// The disk for blobs.
    pub fn blobs_disk(&self) -> io::Result<Arc<dyn Disk>> {
        match &self.held {
            Held::Locked(_) => {
                let path = self.path.join(BLOBS_DIR);
                std::fs::create_dir_all(&path)?;
                Ok(Arc::new(RealDisk::open(&path)?))
            }
            Held::Lent(disks) => Ok(Arc::clone(&disks.blobs)),
        }
    }

    /// The disk for small files beside them.
    pub fn own_disk(&self) -> io::Result<Arc<dyn Disk>> {
        match &self.held {
            Held::Locked(_) => Ok(Arc::new(RealDisk::open(&self.path)?)),
            Held::Lent(disks) => Ok(Arc::clone(&disks.own)),
        }
    }
}

impl Drop for DataDir {
    /// Unlocks by word: closing alone would leave the lock with a child that was just forked and has not yet begun its own
    /// program, since it shares our open file until then.
    fn drop(&mut self) {
        if let Held::Locked(lock) = &self.held
            && let Err(err) = lock.unlock()
        {
            tracing::warn!(path = %self.path.display(), %err, "the directory's lock goes only when this process ends");
        }
    }
}

impl Sentinel {
    /// The store.
    pub fn store(&self) -> StoreId {
        StoreId::of(&self.root)
    }

    fn to_text(&self) -> String {
        format!(
            "{FIRST_LINE}\nstore {}\nroot {}\nnode {}\nrole {}\ncreated {}\n",
            self.store(),
            hex(&self.root.0),
            self.node,
            self.role,
            self.created.0
        )
    }

    fn parse(text: &str) -> Result<Self, TextFault> {
        let mut lines = text.lines();
        match lines.next() {
            Some(FIRST_LINE) => {}
            Some(line) if line.starts_with("toko-store ") => return Err(TextFault::Newer(line.to_owned())),
            _ => return Err(TextFault::Bad("does not begin with \"toko-store 1\"".to_owned())),
        }
        let mut value = |name: &str| {
            let line = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.ok_or_else(|| TextFault::Bad(format!("has no line {name:?} where it should be")))
        };
        let bad = |name: &'static str| move || TextFault::Bad(format!("has an unreadable line {name:?}"));
        let store = StoreId::parse(value("store")?).ok_or_else(bad("store"))?;
        let root = PublicKey(unhex(value("root")?).ok_or_else(bad("root"))?);
        let node = NodeId::parse(value("node")?).ok_or_else(bad("node"))?;
        let role = Role::parse(value("role")?).ok_or_else(bad("role"))?;
        let created = UnixMicros(value("created")?.parse().map_err(|_| bad("created")())?);
        if StoreId::of(&root) != store {
            return Err(TextFault::Bad("names a store that is not its root key's".to_owned()));
        }
        Ok(Self { root, node, role, created })
    }
}

impl Role {
    const ALL: [Self; 3] = [Self::Hub, Self::Terminal, Self::Headquarters];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.to_string() == text)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hub => "hub",
            Self::Terminal => "terminal",
            Self::Headquarters => "headquarters",
        })
    }
}

enum TextFault {
    Newer(String),
    Bad(String),
}

/// There is no `STORE`: says what there is.
fn what_is_there_instead(path: &Path) -> OpenDirError {
    let path = path.to_owned();
    match one_file_of(&path) {
        Ok(None) => OpenDirError::Nothing { path, what: "empty" },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            OpenDirError::Nothing { path, what: "missing" }
        }
        Err(source) => OpenDirError::Io { path, source },
        Ok(Some(example)) => {
            let ours =
                [LOCK_FILE, KEY_FILE, JOURNAL_DIR, BLOBS_DIR].iter().any(|name| example.starts_with(name));
            let log_is_empty = matches!(one_file_of(&path.join(JOURNAL_DIR)), Ok(None) | Err(_));
            match (ours || example.starts_with(STORE_FILE), log_is_empty) {
                (true, true) => OpenDirError::HalfMade { path },
                (true, false) => {
                    let why = "its file STORE is gone, and its journal is not empty".to_owned();
                    OpenDirError::Damaged { path, why }
                }
                (false, _) => OpenDirError::Foreign { path, example },
            }
        }
    }
}

/// The first name in a directory, if there is any. What a file system puts there itself does not count.
fn one_file_of(path: &Path) -> io::Result<Option<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "lost+found" {
            names.push(name);
        }
    }
    names.sort();
    Ok(names.into_iter().next())
}

fn read_limited(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(TEXT_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Writes a file so that it is there whole, or not at all.
fn write_whole(dir: &Path, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    let new = dir.join(format!("{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests;
