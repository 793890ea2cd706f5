//! Snapshots between nodes: made for a peer that lacks pruned history, and taken by a node that lacks it.
//!
//! Pieces travel as blobs. They are kept only while they are needed: those that were made, until the next seal; those that
//! were taken, until they are adopted. Absent on purpose: a snapshot for headquarters, which keeps everything itself.

use crate::link::Command;
use crate::node::blob;
use crate::node::shared::{MadeSnapshot, Shared};
use crate::store::{Incoming, Outgoing, SnapshotError, Verdict};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use toko_crdt::{Hash, NodeId};
use tracing::{info, warn};

/// How long a peer may take to make a snapshot.
const MAKING: Duration = Duration::from_secs(300);

/// Why no snapshot was taken. The store is as it was.
#[derive(Debug, Error)]
pub(crate) enum TakeError {
    #[error("no linked peer stands at a seal that came out equal there")]
    Nobody,
    #[error("the peer gave no snapshot")]
    NotGiven,
    #[error("a piece of the snapshot could not be fetched")]
    Piece,
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error("{0}")]
    Other(String),
}

/// Makes the snapshot at a seal, in pieces; the blob that lists them. `None` where this node does not stand at that seal.
pub(crate) async fn make(shared: &Arc<Shared>, seal: Hash) -> Option<Hash> {
    let on_thread = Arc::clone(shared);
    let made = shared.config.machine.aside(move || make_here(&on_thread, seal)).await;
    match made {
        Ok(Ok(list)) => Some(list),
        Ok(Err(err)) => {
            info!(seal = %seal.short(), %err, "no snapshot was made");
            None
        }
        Err(err) => {
            warn!(%err, "making a snapshot failed");
            None
        }
    }
}

fn make_here(shared: &Shared, seal: Hash) -> Result<Hash, SnapshotError> {
    let _one_at_a_time = shared.sealed_file.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = shared.seals().made.clone().filter(|made| made.seal == seal) {
        return Ok(made.list);
    }
    let reader = shared.store.reader();
    let entry = reader.entry_by_hash(seal).map_err(|error| SnapshotError::Piece(error.to_string()))?;
    let entry = entry.ok_or(SnapshotError::NotHere)?;
    let mut blobs = BTreeSet::new();
    let mut keep = |piece: Vec<u8>| {
        let hash = shared.blobs.put(&piece).map_err(|error| SnapshotError::Piece(error.to_string()))?;
        blobs.insert(hash);
        Ok(hash)
    };
    let list = Outgoing::make(reader, &entry, &mut keep)?;
    let list = keep(list)?;
    info!(seal = %seal.short(), pieces = blobs.len(), "a snapshot was made");
    let before = shared.seals().made.replace(MadeSnapshot { seal, list, blobs: blobs.clone() });
    forget(shared, before.map(|made| made.blobs).unwrap_or_default().difference(&blobs));
    Ok(list)
}

/// Lets go of a snapshot that was made at an earlier seal.
pub(crate) fn forget_made(shared: &Shared) {
    let made = shared.seals().made.take();
    forget(shared, made.map(|made| made.blobs).unwrap_or_default().iter());
}

fn forget<'a>(shared: &Shared, blobs: impl Iterator<Item = &'a Hash>) {
    for hash in blobs {
        if let Err(err) = shared.blobs.remove(*hash) {
            warn!(%err, "a piece of an old snapshot was not removed");
        }
    }
}

/// Takes a snapshot from a linked peer, and makes the views from it.
pub(crate) async fn take(shared: &Arc<Shared>) -> Result<(), TakeError> {
    let mut last = TakeError::Nobody;
    for (peer, seal, link) in givers(shared) {
        match take_from(shared, seal, &link).await {
            Ok(()) => {
                shared.seals().pruned_by.clear();
                return Ok(());
            }
            Err(err) => {
                warn!(peer = %peer.short(), %err, "no snapshot from this peer");
                last = err;
            }
        }
    }
    Err(last)
}

/// Linked peers at a seal that came out equal there, the hub first.
fn givers(shared: &Shared) -> Vec<(NodeId, Hash, mpsc::Sender<Command>)> {
    let hub = shared.hub();
    let told = shared.seals().peers.clone();
    let board = shared.board();
    let settled = board.links.values().filter(|line| line.settled);
    let mut out: Vec<_> = settled
        .filter_map(|line| {
            let (seal, equal) = told.get(&line.peer)?;
            equal.then(|| (line.peer, *seal, line.commands.clone()))
        })
        .collect();
    out.sort_by_key(|(peer, ..)| (hub != Some(*peer), *peer));
    out
}

async fn take_from(shared: &Arc<Shared>, seal: Hash, link: &mpsc::Sender<Command>) -> Result<(), TakeError> {
    let (to, answer) = oneshot::channel();
    link.send(Command::Snapshot { seal, to }).await.map_err(|_| TakeError::NotGiven)?;
    let Ok(Ok(Some(list))) = timeout(MAKING, answer).await else { return Err(TakeError::NotGiven) };
    let fetch = |hash| async move {
        match blob::fetch(shared, hash).await {
            Ok(Some(bytes)) => Ok(bytes),
            _ => Err(TakeError::Piece),
        }
    };
    let bytes = fetch(list).await?;
    let reader = shared.store.reader().clone();
    let aside = |error: tokio::task::JoinError| TakeError::Other(error.to_string());
    let begin = move || Incoming::begin(&reader, &bytes);
    let mut incoming = shared.config.machine.aside(begin).await.map_err(aside)??;
    let pieces = incoming.pieces();
    info!(seal = %seal.short(), pieces = pieces.len(), "taking a snapshot");
    let mut result = Ok(());
    for hash in &pieces {
        let piece = match fetch(*hash).await {
            Ok(piece) => piece,
            Err(err) => return Err(err),
        };
        let taken = move || {
            let taken = incoming.take(&piece);
            (incoming, taken)
        };
        let (back, taken) = shared.config.machine.aside(taken).await.map_err(aside)?;
        incoming = back;
        result = taken;
        if result.is_err() {
            break;
        }
    }
    let checked = match result {
        Ok(()) => {
            let on_thread = Arc::clone(shared);
            let finish = move || {
                let _one_at_a_time = on_thread.sealed_file.lock().unwrap_or_else(PoisonError::into_inner);
                incoming.finish()
            };
            shared.config.machine.aside(finish).await.map_err(aside)?
        }
        Err(error) => Err(error),
    };
    forget(shared, pieces.iter().chain([&list]));
    let checked = checked?;
    shared.store.adopt().await.map_err(|error| TakeError::Other(error.to_string()))?;
    {
        let mut board = shared.seals();
        board.checked.insert(checked.seal, checked);
        board.newest = Some(checked);
    }
    shared.newsroom.sealed(checked.seal, checked.verdict == Verdict::Equal);
    Ok(())
}
