//! Entries of which this node has rows only, since it began from a snapshot: fetched from whoever of its peers still keeps
//! them, and remembered for a while.
//!
//! An entry travels as a blob does, under its own hash, so that nobody can give another one for it. Terminals have no link with
//! headquarters, which keeps everything: where a terminal asks the hub for an entry that is not there either, the hub asks
//! headquarters, one hop and no further.
//!
//! Absent on purpose: keeping them on the disk. What a node does not hold journal by journal it does not hold for others.

use crate::link::Command;
use crate::node::blob::{gather, links};
use crate::node::shared::Shared;
use crate::store::ReadStoreError;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use toko_crdt::entry::ENTRY_BYTES_MAX;
use toko_crdt::member::Members;
use toko_crdt::{Entry, Hash, Lane, NodeId};
use tracing::{debug, warn};

/// Bytes of entries that are remembered. *Full*: all before are forgotten.
const BYTES_MAX: usize = 1 << 20;
/// How long all peers together may take.
const WAIT: Duration = Duration::from_secs(5);
/// How long headquarters may take where a terminal waits behind us, which gives up after [`WAIT`].
const WAIT_BEHIND: Duration = Duration::from_secs(3);

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
        Ok(ask(shared, links(shared), hash).await)
    });
    asked.await.unwrap_or(Ok(None))
}

/// Whether headquarters is asked for what this peer asks of us and is not here.
pub(crate) fn asks_on_for(shared: &Shared, peer: &NodeId) -> bool {
    let is_terminal = |members: &Members| members.is_member(peer) && !members.roles(peer).terminal.is_empty();
    shared.is_hub() && is_terminal(&shared.members.now()) && !far_links(shared).is_empty()
}

/// An entry for a peer, from headquarters. What comes is remembered, and given by [`bytes_of`].
pub(crate) async fn ask_on(shared: &Shared, hash: Hash) {
    let asked = timeout(WAIT_BEHIND, async {
        let _one_at_a_time = shared.elsewhere.asking.lock().await;
        if let Ok(None) = known(shared, hash) {
            ask(shared, far_links(shared), hash).await;
        }
    });
    if asked.await.is_err() {
        debug!(entry = %hash.short(), "headquarters gave no answer in time");
    }
}

fn far_links(shared: &Shared) -> Vec<mpsc::Sender<Command>> {
    let members = shared.members.now();
    let board = shared.board();
    let far = board.links.values().filter(|line| line.settled && members.roles(&line.peer).headquarters);
    far.map(|line| line.commands.clone()).collect()
}

/// Asks one after the other, and remembers what comes.
async fn ask(shared: &Shared, links: Vec<mpsc::Sender<Command>>, hash: Hash) -> Option<Entry> {
    for link in links {
        let mut bytes = Vec::new();
        if !gather(&link, hash, &mut bytes, ENTRY_BYTES_MAX as u64).await {
            continue;
        }
        match Entry::decode(&shared.store_id, &bytes) {
            Ok(entry) if entry.hash() == hash => {
                shared.elsewhere.fetched().keep(hash, entry.clone(), bytes.len());
                return Some(entry);
            }
            Ok(_) => warn!(entry = %hash.short(), "a peer gave another entry than was asked for"),
            Err(err) => debug!(entry = %hash.short(), %err, "a peer gave no entry"),
        }
    }
    None
}

/// What a peer is given that asks for an entry: of the books only, which every member may read.
pub(crate) fn bytes_of(shared: &Shared, hash: Hash) -> Option<Vec<u8>> {
    match known(shared, hash) {
        Ok(entry) => entry.filter(|entry| entry.journal().lane == Lane::Books).map(|entry| entry.encode()),
        Err(err) => {
            warn!(entry = %hash.short(), %err, "an entry could not be read");
            None
        }
    }
}
