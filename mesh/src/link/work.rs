//! What a session wants done with the store and with blobs.

use super::{BAD_STATEMENTS_MAX, Link, Piece};
use crate::endpoint::CloseCode;
use crate::node::{elsewhere, snapshots};
use crate::proto::frame::PAYLOAD_BYTES_MAX;
use crate::proto::{Code, Input, Outcome};
use crate::store::{IngestError, Ingested};
use std::sync::Arc;
use toko_crdt::journal::BatchError;
use toko_crdt::member::Statement;
use toko_crdt::{Entry, Hash, JournalId};
use tracing::{debug, warn};

/// What came of work that was given away.
pub(super) enum Worked {
    /// Entries are in the store, or not.
    Entries { ticket: u64, outcome: Outcome },
    /// Statements were judged; so many of them nobody signed.
    Statements { bad: usize },
    /// Somebody else was asked for an entry that the peer wants; what came is remembered.
    AskedOn { hash: Hash, offset: u64, bytes_max: usize },
}

/// A slice of a blob and the size of the whole.
type Slice = Option<(u64, Arc<[u8]>)>;

impl Link {
    /// Reads entries for the peer. What cannot be read is not here, as far as the peer is concerned.
    pub(super) fn load(&mut self, journal: JournalId, from: u64, to: u64, bytes_max: usize) {
        let read = self.shared.store.reader().entries(journal, from, bytes_max);
        let entries = read.unwrap_or_else(|err| {
            warn!(?journal, from, %err, "entries could not be read");
            Vec::new()
        });
        if entries.is_empty() && self.shared.store.reader().is_pruned(&journal, from) {
            return self.feed(Input::Gone { journal, from });
        }
        let wanted = entries.iter().take_while(|entry| entry.seq() <= to);
        let entries = wanted.map(|entry| entry.encode().into()).collect();
        self.feed(Input::Loaded { journal, from, entries });
    }

    /// Makes a snapshot for the peer, beside everything else.
    pub(super) fn load_snapshot(&mut self, seal: Hash) {
        let shared = Arc::clone(&self.shared);
        self.makings.spawn(async move { (seal, snapshots::make(&shared, seal).await) });
    }

    /// Tells whoever asked what the peer's snapshot is called.
    pub(super) fn pass_on_snapshot(&mut self, seal: Hash, manifest: Option<Hash>) {
        if let Some(to) = self.snapshots.remove(&seal) {
            // Whoever asked may have gone.
            let _ = to.send(manifest);
        }
    }

    /// Gives entries to the store; its answer comes back as an input.
    pub(super) fn ingest(&mut self, ticket: u64, journal: JournalId, entries: Vec<Entry>) {
        let store = self.shared.store.clone();
        self.work.spawn(async move {
            let answer = store.ingest(entries).await;
            let head = store.reader().with_frontier(|frontier| frontier.head(&journal).copied());
            let outcome = match answer {
                Ok(Ingested { forked: true, .. }) => Outcome::Closed,
                Ok(Ingested { above_close, .. }) if above_close > 0 => Outcome::Closed,
                Ok(_) => head.map_or(Outcome::Refused, Outcome::Held),
                Err(error) => refused(&error),
            };
            Worked::Entries { ticket, outcome }
        });
    }

    /// Statements go into the store; when they hold, the roster changes and every session hears of it.
    ///
    /// One lot at a time, and nothing more is read of the peer meanwhile. Those that are here are passed over, and signatures
    /// are checked on a thread of their own first: what anybody can make up does not keep the store from selling.
    pub(super) fn take_statements(&mut self, mut statements: Vec<Statement>) {
        let members = self.shared.members.now();
        statements.retain(|statement| !members.holds(&statement.hash()));
        if statements.is_empty() {
            return;
        }
        self.judging += 1;
        let (shared, peer) = (Arc::clone(&self.shared), self.peer);
        self.work.spawn(async move {
            let all = statements.len();
            let signed = shared.config.machine.aside(move || {
                statements.retain(Statement::verify);
                statements
            });
            let Ok(signed) = signed.await else { return Worked::Statements { bad: all } };
            let bad = all - signed.len();
            if !signed.is_empty() {
                match shared.store.statements(signed).await {
                    Ok(answers) => {
                        for err in answers.into_iter().filter_map(Result::err) {
                            debug!(peer = %peer.short(), %err, "a statement does not hold");
                        }
                    }
                    Err(err) => warn!(%err, "statements were not saved"),
                }
            }
            Worked::Statements { bad }
        });
    }

    /// Something is done that was given away.
    pub(super) fn worked(&mut self, worked: Worked) {
        match worked {
            Worked::Entries { ticket, outcome } => self.feed(Input::Ingested { ticket, outcome }),
            Worked::AskedOn { hash, offset, bytes_max } => {
                let bytes = elsewhere::bytes_of(&self.shared, hash);
                let slice = bytes.map(|bytes| self.serve(hash, bytes, offset, bytes_max));
                self.feed(Input::BlobLoaded { hash, offset, slice });
            }
            Worked::Statements { bad } => {
                self.judging = self.judging.saturating_sub(1);
                self.bad_statements += bad;
                if self.bad_statements > BAD_STATEMENTS_MAX {
                    warn!(peer = %self.peer.short(), "the peer brings statements that nobody signed");
                    self.stop(Code::TooMuch, CloseCode::Violation);
                }
            }
        }
    }

    /// Reads a slice of a blob, or of an entry, for the peer. It is verified once and kept in memory until the next tick. What is
    /// not here the hub may ask headquarters for, beside everything else; the peer's next request waits until then.
    pub(super) async fn load_blob(&mut self, hash: Hash, offset: u64, bytes_max: usize) {
        let slice = self.slice(hash, offset, bytes_max).await;
        if slice.is_some() || !elsewhere::asks_on_for(&self.shared, &self.peer) {
            return self.feed(Input::BlobLoaded { hash, offset, slice });
        }
        let shared = Arc::clone(&self.shared);
        self.work.spawn(async move {
            elsewhere::ask_on(&shared, hash).await;
            Worked::AskedOn { hash, offset, bytes_max }
        });
    }

    async fn slice(&mut self, hash: Hash, offset: u64, bytes_max: usize) -> Slice {
        if self.serving.as_ref().is_none_or(|(held, _)| *held != hash) {
            let blobs = self.shared.blobs.clone();
            let read = self.shared.config.machine.aside(move || blobs.get(hash)).await;
            let bytes = match read {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => elsewhere::bytes_of(&self.shared, hash)?,
                Ok(Err(err)) => {
                    warn!(blob = %hash.short(), %err, "a blob could not be read");
                    return None;
                }
                Err(_) => return None,
            };
            return Some(self.serve(hash, bytes, offset, bytes_max));
        }
        let (_, bytes) = self.serving.as_ref()?;
        Some(slice_of(bytes, offset, bytes_max))
    }

    fn serve(&mut self, hash: Hash, bytes: Vec<u8>, offset: u64, bytes_max: usize) -> (u64, Arc<[u8]>) {
        let (_, bytes) = self.serving.insert((hash, bytes.into()));
        slice_of(bytes, offset, bytes_max)
    }

    /// Passes a piece on to whoever fetches the blob. A fetcher that went away is forgotten.
    pub(super) async fn pass_on(&mut self, hash: Hash, piece: Piece) {
        let Some(to) = self.fetches.get(&hash) else { return };
        if to.send(piece).await.is_err() {
            self.fetches.remove(&hash);
        }
    }
}

fn slice_of(bytes: &[u8], offset: u64, bytes_max: usize) -> (u64, Arc<[u8]>) {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    let end = bytes.len().min(start + bytes_max.min(4 * PAYLOAD_BYTES_MAX));
    (bytes.len() as u64, bytes[start..end].into())
}

fn refused(error: &IngestError) -> Outcome {
    match error {
        IngestError::UnknownAuthor(_) => Outcome::UnknownAuthor,
        IngestError::Proof(proof) => Outcome::Bad(*proof),
        IngestError::Gap { .. } => Outcome::Gap,
        IngestError::Diverges { seq } => Outcome::Diverges { seq: *seq },
        IngestError::Size { .. } => Outcome::Bad(BatchError::Broken { seq: 0 }),
        _ => Outcome::Refused,
    }
}
