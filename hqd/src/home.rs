//! Headquarters' own directory: the sentinel that says it is one, and a folder for each store.
//!
//! ```text
//! headquarters.toml          the sentinel: made by `hqd init`, never by `hqd run`
//! lock                       held by the running hqd
//! port.key                   the port's secret, drawn at the first start: peers of a killed hqd are told by the next one, mode 0600
//! hqd.toml  hqd.sock         settings, where there are any; the control socket
//! stores/FINGERPRINT/        one store, named by the fingerprint of headquarters' key for it
//!     store.toml             what people call it, its currency, and its root key once it has joined
//!     key                    headquarters' secret key for this store, mode 0600
//!     books/                 sentinel, key, log, views and blobs, once the store has joined; nobody but `mesh` writes there
//! ```
//!
//! Invariants: every file is written whole (new file, synced, renamed), and a store's folder appears complete or not at
//! all; a directory without the sentinel is never taken for headquarters, so that a lost disk is not a fresh start.

use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;
use toko_crdt::NodeId;
use toko_crdt::hash::{hex, unhex};
use toko_crdt::member::name_is_sane;
use toko_crdt::sign::{PublicKey, SecretKey};
use toko_retail::currency::Currency;

const SENTINEL: &str = "headquarters.toml";
const LOCK: &str = "lock";
const PORT_KEY: &str = "port.key";
const STORES: &str = "stores";
const ABOUT: &str = "store.toml";
const KEY: &str = "key";
const BOOKS: &str = "books";
const FORMAT: u32 = 1;

/// Why the directory is not used. Nothing in it was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HomeError {
    /// There is no sentinel.
    #[error(
        "{dir} is no headquarters: {SENTINEL} is missing. If it is new, run `hqd init --data {dir}`; if stores were here, its disk is not mounted or was emptied: bring it back first"
    )]
    Foreign {
        /// The directory.
        dir: String,
    },
    /// `init` on a directory with something in it.
    #[error("{dir} is not empty ({found} is in it); headquarters starts in an empty directory")]
    NotEmpty {
        /// The directory.
        dir: String,
        /// The first thing in it.
        found: String,
    },
    /// `init` on a headquarters.
    #[error("{dir} is a headquarters already; run `hqd run --data {dir}`")]
    Already {
        /// The directory.
        dir: String,
    },
    /// Another process has it.
    #[error("another hqd runs on {dir}")]
    Locked {
        /// The directory.
        dir: String,
    },
    /// A name that cannot be one.
    #[error("{name:?} is no name: 1 to 64 bytes, no control characters, no blanks around it")]
    Name {
        /// What was given.
        name: String,
    },
    /// A file that holds something else.
    #[error("{path}: {why}")]
    Broken {
        /// Which file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The disk.
    #[error("{path}: {source}")]
    Io {
        /// Which file or directory.
        path: String,
        /// What the system says.
        source: io::Error,
    },
}

/// What makes a directory headquarters'.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sentinel {
    format: u32,
    id: String,
    name: String,
}

/// What is kept about a store beside its key and its books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AboutFile {
    format: u32,
    name: String,
    currency: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<String>,
}

/// Headquarters' directory, locked while this lives.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    sentinel: Sentinel,
    _lock: File,
}

/// A store as its folder tells it.
#[derive(Debug, Clone)]
pub struct StoreFolder {
    dir: PathBuf,
    /// What people call it.
    pub name: String,
    /// What its prices are in.
    pub currency: Currency,
    /// Headquarters' key for this store.
    pub key: SecretKey,
    /// The store's root key, once it has joined.
    pub root: Option<PublicKey>,
}

impl Home {
    /// Makes a headquarters out of an empty or missing directory.
    ///
    /// Errors: [`HomeError::NotEmpty`] (`hqd.toml` may be there before), [`HomeError::Already`], the disk.
    pub fn init(dir: &Path, name: &str, id: &[u8; 16]) -> Result<(), HomeError> {
        check_name(name)?;
        fs::create_dir_all(dir).map_err(io_at(dir))?;
        let shown = dir.display().to_string();
        if dir.join(SENTINEL).exists() {
            return Err(HomeError::Already { dir: shown });
        }
        for item in fs::read_dir(dir).map_err(io_at(dir))? {
            let found = item.map_err(io_at(dir))?.file_name().to_string_lossy().into_owned();
            if found != crate::config::FILE && found != "lost+found" {
                return Err(HomeError::NotEmpty { dir: shown, found });
            }
        }
        rustix::fs::chmod(dir, Mode::RWXU).map_err(|errno| io_at(dir)(errno.into()))?;
        make_dir(&dir.join(STORES))?;
        let sentinel = Sentinel { format: FORMAT, id: hex(id), name: name.to_owned() };
        write_whole(&dir.join(SENTINEL), &as_toml(&sentinel))
    }

    /// Opens and locks a headquarters that is there.
    ///
    /// Errors: [`HomeError::Foreign`] for a directory that is none, [`HomeError::Locked`], the disk.
    pub fn open(dir: &Path) -> Result<Self, HomeError> {
        let path = dir.join(SENTINEL);
        let sentinel: Sentinel = match fs::read_to_string(&path) {
            Ok(text) => read_toml(&path, &text)?,
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => {
                return Err(HomeError::Foreign { dir: dir.display().to_string() });
            }
            Err(problem) => return Err(io_at(&path)(problem)),
        };
        check_format(&path, sentinel.format)?;
        let path = dir.join(LOCK);
        let lock = create(&path)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { dir: dir.to_path_buf(), sentinel, _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(HomeError::Locked { dir: dir.display().to_string() }),
            Err(errno) => Err(io_at(&path)(errno.into())),
        }
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.sentinel.name
    }

    /// Drawn at random when it was made.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.sentinel.id
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The port's secret. It is no identity: it makes the tokens by which peers that still talk to a dead process learn at once
    /// that it is gone. `fresh` is taken where there is none yet.
    ///
    /// Errors: the disk; a file that holds no key.
    pub fn port_key(&self, fresh: &[u8; 32]) -> Result<SecretKey, HomeError> {
        let path = self.dir.join(PORT_KEY);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let broken = || HomeError::Broken {
                    path: path.display().to_string(),
                    why: "it holds no key; remove it, and a new one is made".into(),
                };
                Ok(SecretKey::from_seed(unhex::<32>(text.trim()).ok_or_else(broken)?))
            }
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => {
                write_whole(&path, &hex(fresh))?;
                Ok(SecretKey::from_seed(*fresh))
            }
            Err(problem) => Err(io_at(&path)(problem)),
        }
    }

    /// The folder of every store, in the order of its fingerprint. What a crash left half made is cleared away; what cannot be
    /// is among them, and is no store.
    ///
    /// Errors: the directory that all of them are in.
    pub fn folders(&self) -> Result<Vec<PathBuf>, HomeError> {
        let dir = self.dir.join(STORES);
        let mut found = Vec::new();
        for item in fs::read_dir(&dir).map_err(io_at(&dir))? {
            let path = item.map_err(io_at(&dir))?.path();
            let is_half_made = path.extension().is_some_and(|extension| extension == "new");
            if !is_half_made || fs::remove_dir_all(&path).is_err() {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Makes the folder of a new store.
    ///
    /// Errors: the name, the disk; then there is no such folder.
    pub fn add_store(
        &self,
        name: &str,
        currency: Currency,
        key: SecretKey,
    ) -> Result<StoreFolder, HomeError> {
        check_name(name)?;
        let stores = self.dir.join(STORES);
        let dir = stores.join(fingerprint(&key));
        let fresh = dir.with_extension("new");
        make_dir(&fresh)?;
        write_whole(&fresh.join(KEY), &hex(key.seed()))?;
        let folder = StoreFolder { dir: dir.clone(), name: name.to_owned(), currency, key, root: None };
        write_whole(&fresh.join(ABOUT), &as_toml(&folder.about()))?;
        sync_dir(&fresh)?;
        fs::rename(&fresh, &dir).map_err(io_at(&dir))?;
        sync_dir(&stores)?;
        Ok(folder)
    }
}

/// What people call the store of a folder, where that much can be read.
#[must_use]
pub fn name_in(dir: &Path) -> Option<String> {
    let about: toml::Table = fs::read_to_string(dir.join(ABOUT)).ok()?.parse().ok()?;
    let name = about.get("name")?.as_str()?;
    name_is_sane(name).then(|| name.to_owned())
}

impl StoreFolder {
    /// Reads a folder of [`Home::folders`].
    ///
    /// Errors: the disk; a file that holds something else, or is of a newer hqd.
    pub fn read(dir: &Path) -> Result<Self, HomeError> {
        let path = dir.join(ABOUT);
        let about: AboutFile = read_toml(&path, &fs::read_to_string(&path).map_err(io_at(&path))?)?;
        check_format(&path, about.format)?;
        let broken = |path: &Path, why: String| HomeError::Broken { path: path.display().to_string(), why };
        let currency =
            Currency::parse(&about.currency).map_err(|problem| broken(&path, problem.to_string()))?;
        let root = match about.root.as_deref().map(unhex::<32>) {
            None => None,
            Some(Some(root)) => Some(PublicKey(root)),
            Some(None) => return Err(broken(&path, "root is no key".into())),
        };
        let path = dir.join(KEY);
        let text = fs::read_to_string(&path).map_err(io_at(&path))?;
        let seed = unhex::<32>(text.trim()).ok_or_else(|| broken(&path, "it holds no key".into()))?;
        let key = SecretKey::from_seed(seed);
        if dir.file_name().is_none_or(|name| name != fingerprint(&key).as_str()) {
            return Err(broken(dir, "the folder is not named after the key in it".into()));
        }
        Ok(Self { dir: dir.to_path_buf(), name: about.name, currency, key, root })
    }

    fn about(&self) -> AboutFile {
        AboutFile {
            format: FORMAT,
            name: self.name.clone(),
            currency: self.currency.code().to_owned(),
            root: self.root.map(|root| hex(&root.0)),
        }
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Headquarters' node in this store.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.key.node()
    }

    /// Where `mesh` keeps the store's books, once it has joined.
    #[must_use]
    pub fn books(&self) -> PathBuf {
        self.dir.join(BOOKS)
    }

    /// Notes, durably, which store this is.
    pub fn joined(&mut self, root: PublicKey) -> Result<(), HomeError> {
        let known = self.root.replace(root);
        let written = write_whole(&self.dir.join(ABOUT), &as_toml(&self.about()));
        if written.is_err() {
            self.root = known;
        }
        written
    }
}

/// The name of a store's folder: the fingerprint that its code carries too.
fn fingerprint(key: &SecretKey) -> String {
    hex(&key.node().0[..10])
}

/// Whether a headquarters or a store may be called that.
pub fn check_name(name: &str) -> Result<(), HomeError> {
    if name_is_sane(name) { Ok(()) } else { Err(HomeError::Name { name: name.chars().take(80).collect() }) }
}

fn check_format(path: &Path, format: u32) -> Result<(), HomeError> {
    if format == FORMAT {
        return Ok(());
    }
    let why =
        format!("format {format}, this hqd reads {FORMAT}; start the one that wrote it, or a newer one");
    Err(HomeError::Broken { path: path.display().to_string(), why })
}

fn read_toml<T: for<'de> Deserialize<'de>>(path: &Path, text: &str) -> Result<T, HomeError> {
    toml::from_str(text).map_err(|problem| HomeError::Broken {
        path: path.display().to_string(),
        why: problem.to_string().trim_end().replace('\n', " "),
    })
}

fn as_toml<T: Serialize>(value: &T) -> String {
    toml::to_string(value).expect("a table of plain values is always TOML")
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> HomeError {
    let path = path.display().to_string();
    move |source| HomeError::Io { path: path.clone(), source }
}

fn make_dir(path: &Path) -> Result<(), HomeError> {
    fs::create_dir(path).map_err(io_at(path))
}

fn sync_dir(path: &Path) -> Result<(), HomeError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(io_at(path))
}

fn create(path: &Path) -> Result<File, HomeError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR);
    opened.map(File::from).map_err(|errno| io_at(path)(errno.into()))
}

/// Writes a small file that only its owner reads, so that a power cut leaves the old content or the new.
fn write_whole(path: &Path, text: &str) -> Result<(), HomeError> {
    let fresh = path.with_extension("new");
    let written = create(&fresh).and_then(|mut file| {
        let write = file.set_len(0).and_then(|()| writeln!(file, "{}", text.trim_end()));
        write.and_then(|()| file.sync_all()).map_err(io_at(&fresh))
    });
    written?;
    fs::rename(&fresh, path).map_err(io_at(path))?;
    path.parent().map_or(Ok(()), sync_dir)
}

#[cfg(test)]
mod tests;
