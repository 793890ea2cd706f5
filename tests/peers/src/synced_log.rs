//! samod's storage, made durable: a log with one `fdatasync` for each thing that samod puts. samod's own file storage syncs
//! nothing and writes a file for each change; this is the least that a power cut asks for, and less than its own would cost.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use automerge::ChangeHash;
use samod::storage::{Storage, StorageKey};
use tokio::sync::watch;

use crate::trouble::Trouble;

/// The length that says that a key was deleted.
const DELETED: u32 = u32::MAX;
/// The part of a key that says that it holds the whole document.
const SNAPSHOT: &str = "snapshot";

/// A log on disk. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct SyncedLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: Mutex<File>,
    begun: AtomicU64,
    safe: watch::Sender<Safe>,
}

/// What is safe so far.
#[derive(Debug, Default)]
struct Safe {
    changes: HashSet<String>,
    /// The newest whole document: the number of its put.
    whole: u64,
}

impl SyncedLog {
    /// Opens it in a new directory.
    pub(crate) fn open(dir: &Path) -> Result<Self, Trouble> {
        std::fs::create_dir_all(dir)?;
        let path = dir.join("samod.log");
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let (safe, begun) = (watch::Sender::default(), AtomicU64::new(0));
        Ok(Self(Arc::new(Inner { path, file: Mutex::new(file), begun, safe })))
    }

    /// A mark in time, for [`SyncedLog::is_safe`].
    pub(crate) fn mark(&self) -> u64 {
        self.0.begun.load(Ordering::SeqCst)
    }

    /// Returns when a change that was made after a mark is safe: by itself, or in a whole document that was put since.
    pub(crate) async fn is_safe(&self, change: ChangeHash, mark: u64) -> Result<(), Trouble> {
        let name = change.to_string();
        let holds = |safe: &Safe| safe.changes.contains(&name) || safe.whole > mark;
        self.0
            .safe
            .subscribe()
            .wait_for(holds)
            .await
            .map(drop)
            .map_err(Trouble::of("waiting for samod's storage"))
    }

    /// Everything that was put and not deleted.
    fn contents(&self) -> HashMap<String, Vec<u8>> {
        let bytes = std::fs::read(&self.0.path).unwrap_or_default();
        let (mut rest, mut found) = (bytes.as_slice(), HashMap::new());
        while let Some((key, after)) = piece(rest) {
            let key = String::from_utf8_lossy(key).into_owned();
            if let Some(after) = after.strip_prefix(&DELETED.to_le_bytes()) {
                found.remove(&key);
                rest = after;
            } else {
                let Some((data, after)) = piece(after) else { break };
                found.insert(key, data.to_vec());
                rest = after;
            }
        }
        found
    }

    async fn write(&self, record: Vec<u8>, sync: bool) {
        let log = self.clone();
        let wrote = tokio::task::spawn_blocking(move || {
            let mut file = log.0.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(&record)?;
            if sync { file.sync_data() } else { Ok(()) }
        });
        // samod has no way to hear of a disk that failed; whoever waits for the sync hears nothing, and gives up.
        if !matches!(wrote.await, Ok(Ok(()))) {
            std::future::pending::<()>().await;
        }
    }
}

impl Storage for SyncedLog {
    async fn load(&self, key: StorageKey) -> Option<Vec<u8>> {
        self.contents().remove(&key.to_string())
    }

    async fn load_range(&self, prefix: StorageKey) -> HashMap<StorageKey, Vec<u8>> {
        let keyed =
            |(key, data): (String, Vec<u8>)| Some((StorageKey::from_parts(key.split('/')).ok()?, data));
        self.contents().into_iter().filter_map(keyed).filter(|(key, _)| prefix.is_prefix_of(key)).collect()
    }

    async fn put(&self, key: StorageKey, data: Vec<u8>) {
        let number = self.0.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let name = key.to_string();
        self.write([framed(name.as_bytes()), framed(&data)].concat(), true).await;
        self.0.safe.send_modify(|safe| {
            if name.contains(SNAPSHOT) {
                safe.whole = safe.whole.max(number);
            } else if let Some(change) = name.rsplit('/').next() {
                safe.changes.insert(change.to_owned());
            }
        });
    }

    async fn delete(&self, key: StorageKey) {
        let deleted = [framed(key.to_string().as_bytes()), DELETED.to_le_bytes().to_vec()].concat();
        self.write(deleted, false).await;
    }
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(DELETED - 1);
    [&length.to_le_bytes(), bytes].concat()
}

fn piece(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}
