//! Entries of which this node has rows only, since it began from a snapshot: fetched from whoever of its peers still keeps
//! them, and remembered for a while.
//!
//! An entry travels as a blob does, under its own hash, so that nobody can give another one for it.
//!
//! Absent on purpose: keeping them on the disk. What a node does not hold journal by journal it does not hold for others.

use crate::node::blob::{gather, links};
use crate::node::shared::Shared;
use crate::store::ReadStoreError;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::timeout;
use toko_crdt::entry::ENTRY_BYTES_MAX;
use toko_crdt::{Entry, Hash, Lane};
use tracing::{debug, warn};

/// Bytes of entries that are remembered. *Full*: all before are forgotten.
const BYTES_MAX: usize = 1 << 20;
/// How long all peers together may take.
const WAIT: Duration = Duration::from_secs(5);

/// What is asked of peers, and what they gave.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    /// Held while an entry is fetched, so that nobody fetches it twice.
    asking: tokio::sync::Mutex<()>,
    fetched: Mutex<Fetched>,
}

#[derive(Debug, Default)]
struct Fetched {
    entries: BTreeMap<Hash, Entry>,
    bytes: usize,
}

impl Elsewhere {
    fn fetched(&self) -> MutexGuard<'_, Fetched> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetched {
    fn keep(&mut self, hash: Hash, entry: Entry, bytes: usize) {
        if self.bytes + bytes > BYTES_MAX {
            *self = Self::default();
        }
        if self.entries.insert(hash, entry).is_none() {
            self.bytes += bytes;
        }
    }
}

/// An entry that is here or was fetched lately.
pub(super) fn known(shared: &Shared, hash: Hash) -> Result<Option<Entry>, ReadStoreError> {
    if let Some(entry) = shared.store.reader().entry_by_hash(hash)? {
        return Ok(Some(entry));
    }
    Ok(shared.elsewhere.fetched().entries.get(&hash).cloned())
}

/// An entry, from here or from peers one after the other.
pub(super) async fn fetch(shared: &Shared, hash: Hash) -> Result<Option<Entry>, ReadStoreError> {
    if let Some(entry) = known(shared, hash)? {
        return Ok(Some(entry));
    }
    let asked = timeout(WAIT, async {
        let _one_at_a_time = shared.elsewhere.asking.lock().await;
        match known(shared, hash) {
            Ok(None) => {}
            // Somebody else fetched it meanwhile.
            other => return other,
        }
        let Some((entry, bytes)) = ask(shared, hash).await else { return Ok(None) };
        shared.elsewhere.fetched().keep(hash, entry.clone(), bytes);
        Ok(Some(entry))
    });
    asked.await.unwrap_or(Ok(None))
}

async fn ask(shared: &Shared, hash: Hash) -> Option<(Entry, usize)> {
    for link in links(shared) {
        let mut bytes = Vec::new();
        if !gather(&link, hash, &mut bytes, ENTRY_BYTES_MAX as u64).await {
            continue;
        }
        match Entry::decode(&shared.store_id, &bytes) {
            Ok(entry) if entry.hash() == hash => return Some((entry, bytes.len())),
            Ok(_) => warn!(entry = %hash.short(), "a peer gave another entry than was asked for"),
            Err(err) => debug!(entry = %hash.short(), %err, "a peer gave no entry"),
        }
    }
    None
}

/// What a peer is given that asks for an entry: of the books only, which every member may read.
pub(crate) fn bytes_of(shared: &Shared, hash: Hash) -> Option<Vec<u8>> {
    match shared.store.reader().entry_by_hash(hash) {
        Ok(entry) => entry.filter(|entry| entry.journal().lane == Lane::Books).map(|entry| entry.encode()),
        Err(err) => {
            warn!(entry = %hash.short(), %err, "an entry could not be read");
            None
        }
    }
}
