//! Blobs: kept here, or fetched from whichever linked peer has them.

use crate::blobs::{BlobError, Blobs};
use crate::link::{BlobPiece, Command};
use crate::node::shared::Shared;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use toko_crdt::Hash;
use tracing::{debug, warn};

/// Pieces that may wait for whoever puts a blob together. *Full*: the link waits.
const PIECES_MAX: usize = 8;
/// How long the next piece may take. The session gives up on a silent peer before that.
const PIECE_WAIT: Duration = Duration::from_secs(10);

pub(super) async fn put(shared: &Shared, bytes: Vec<u8>) -> Result<Hash, BlobError> {
    on_disk(shared, move |blobs| blobs.put(&bytes)).await
}

/// From here, or from peers one after the other; each goes on where the one before stopped.
pub(super) async fn fetch(shared: &Shared, hash: Hash) -> Result<Option<Vec<u8>>, BlobError> {
    if let Some(bytes) = on_disk(shared, move |blobs| blobs.get(hash)).await? {
        return Ok(Some(bytes));
    }
    let _one_at_a_time = shared.fetching.lock().await;
    if let Some(bytes) = on_disk(shared, move |blobs| blobs.get(hash)).await? {
        return Ok(Some(bytes));
    }
    let mut gathered = Vec::new();
    for link in links(shared) {
        if gather(&link, hash, &mut gathered, shared.config.blob_bytes_max).await {
            let bytes = Arc::new(std::mem::take(&mut gathered));
            let kept = Arc::clone(&bytes);
            match on_disk(shared, move |blobs| blobs.put_as(hash, &kept)).await {
                Ok(()) => return Ok(Some(Arc::unwrap_or_clone(bytes))),
                Err(BlobError::Mismatch(_)) => {
                    warn!(blob = %hash.short(), "a fetched blob is not what its name says")
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(None)
}

/// Links that work, the hub's first.
pub(super) fn links(shared: &Shared) -> Vec<mpsc::Sender<Command>> {
    let hub = shared.hub();
    let board = shared.board();
    let mut lines: Vec<_> = board.links.values().filter(|line| line.settled).collect();
    lines.sort_by_key(|line| (hub != Some(line.peer), line.peer));
    lines.into_iter().map(|line| line.commands.clone()).collect()
}

/// Goes on with a blob from one peer. `true` when it is whole.
pub(super) async fn gather(
    link: &mpsc::Sender<Command>,
    hash: Hash,
    into: &mut Vec<u8>,
    bytes_max: u64,
) -> bool {
    let (to, mut pieces) = mpsc::channel(PIECES_MAX);
    let command = Command::Fetch { hash, offset: into.len() as u64, to };
    if link.send(command).await.is_err() {
        return false;
    }
    while let Ok(Some(Some(BlobPiece { offset, total, bytes }))) = timeout(PIECE_WAIT, pieces.recv()).await {
        if offset != into.len() as u64 || total > bytes_max {
            debug!(blob = %hash.short(), total, "a blob's piece does not fit");
            return false;
        }
        into.extend_from_slice(&bytes);
        if into.len() as u64 >= total {
            return true;
        }
    }
    false
}

/// Files are read and hashed on a thread that may wait.
async fn on_disk<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce(&Blobs) -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    let blobs = shared.blobs.clone();
    match shared.config.machine.aside(move || work(&blobs)).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
