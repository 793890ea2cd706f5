//! The views at a seal as blobs: pieces of rows in order, and one list of pieces that begins with the signed seal.
//!
//! Purpose: whoever lacks history that nobody has entry by entry any more takes this instead, and goes on from there. Pieces
//! are bounded, named by what is in them, and equal on every node that stands at the same seal, but for those with rows that
//! are no views; so a fetch goes on at another peer.
//!
//! ```text
//! list  = version 1, postcard: signed seal entry, hash of each piece
//! piece = version 1, postcard: rows (key, value) in rising order, over all pieces
//! ```
//!
//! Invariants: nothing of a snapshot is used before all of it is here and adds up to the digests that a hub signed; each head
//! that the seal names comes with its author's signature. What is no view (heads, parked entries, what was carried) is
//! checked row by row. Absent on purpose: members, which travel as statements before everything else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use toko_crdt::{
    Body, Entry, Hash, Kv, KvError, KvRead, Lane,
    book::rows,
    codec::{self, CodecError},
    digest::Digests,
    frontier::Frontier,
    seal::Seal,
};

use super::{
    Checked, OpenStoreError, SealError, SealedViews, StoreReader, Verdict, history,
    sealed::{SEALED_FILE, innermost},
    tables::{self, KeptEntry, MadeFrom},
};
use crate::{
    log::Position,
    views::{FlushError, Views},
};

/// The file in which a snapshot is put together.
const INCOMING_FILE: &str = "sealed.redb.next";
/// A piece is cut behind the row that makes it this long.
const PIECE_BYTES: usize = 1 << 20;
/// The longest piece: one row behind the cut, and a row is no longer than an entry.
const PIECE_BYTES_MAX: usize = 4 << 20;
/// The longest list.
const LIST_BYTES_MAX: usize = 8 << 20;
const CACHE_BYTES: usize = 4 << 20;
const WAITING_BYTES: usize = 8 << 20;

/// Why there is no snapshot, or why one is not used. Nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The sealed views do not stand at that seal.
    #[error("this node does not stand at that seal")]
    NotHere,
    /// The list or a piece is not what it should be.
    #[error("the snapshot does not decode")]
    Codec(#[from] CodecError),
    /// It is not what a hub sealed.
    #[error("the snapshot does not hold: {why}")]
    Wrong {
        /// What is wrong.
        why: &'static str,
    },
    /// The views could not be read or written.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// The views could not be kept.
    #[error(transparent)]
    Flush(#[from] FlushError),
    /// The sealed views could not be opened.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// The disk did not answer.
    #[error("the disk failed")]
    Io(#[from] std::io::Error),
    /// The views could not be made from it.
    #[error("the views could not be made from the snapshot")]
    Made(#[from] OpenStoreError),
    /// A piece could not be kept.
    #[error("a piece could not be kept: {0}")]
    Piece(String),
}

#[derive(Serialize, Deserialize)]
struct ListV1 {
    seal: Vec<u8>,
    pieces: Vec<[u8; 32]>,
}

/// A snapshot on its way out.
#[derive(Debug)]
pub struct Outgoing;

impl Outgoing {
    /// Cuts the sealed views into pieces, each handed to `keep`, which names it. Gives the list.
    ///
    /// Errors: [`SnapshotError::NotHere`] where they stand at another seal than `entry`, or came out otherwise.
    pub fn make(
        reader: &StoreReader,
        entry: &Entry,
        keep: &mut dyn FnMut(Vec<u8>) -> Result<Hash, SnapshotError>,
    ) -> Result<Vec<u8>, SnapshotError> {
        let sealed = SealedViews::open(reader)?;
        let equal = |checked: &Checked| checked.seal == entry.hash() && checked.verdict == Verdict::Equal;
        let seal = seal_of(reader, entry)?;
        if sealed.frontier().root() != seal.root || !sealed.verdicts()?.iter().any(equal) {
            return Err(SnapshotError::NotHere);
        }
        let views = sealed.snapshot();
        let (mut pieces, mut from) = (Vec::new(), Vec::new());
        loop {
            let (mut rows, mut bytes, mut last) = (Vec::new(), 0, None);
            views.scan_from(&[], &from, &mut |key, value| {
                last = Some(key.to_vec());
                if tables::goes_out(key) {
                    bytes += key.len() + value.len() + 8;
                    rows.push((key.to_vec(), value.to_vec()));
                }
                bytes < PIECE_BYTES
            })?;
            if !rows.is_empty() {
                pieces.push(keep(codec::encode(1, &rows))?.0);
            }
            let Some(mut last) = last else { break };
            last.push(0);
            from = last;
        }
        Ok(codec::encode(1, &ListV1 { seal: entry.encode(), pieces }))
    }
}

/// A snapshot on its way in.
#[derive(Debug)]
pub struct Incoming {
    reader: StoreReader,
    views: Views,
    entry: Entry,
    seal: Seal,
    pieces: Vec<Hash>,
    digests: Digests,
    last: Vec<u8>,
    heads: Frontier,
}

impl Incoming {
    /// Begins with a list: the seal in it is by a hub of this store, and of this build's fold.
    pub fn begin(reader: &StoreReader, list: &[u8]) -> Result<Self, SnapshotError> {
        let list: ListV1 = codec::decode("snapshot", 1, list, LIST_BYTES_MAX)?;
        let entry = Entry::decode(&reader.store(), &list.seal)?;
        let members = reader.members();
        let signed = members.key(entry.author()).is_some_and(|key| entry.verify(&key));
        if !signed || !members.roles_of(entry.author()).is_hub() {
            return Err(SnapshotError::Wrong { why: "no hub of this store signed its seal" });
        }
        let seal = seal_of(reader, &entry)?;
        if seal.fold_version != reader.fold_version() {
            return Err(SnapshotError::Wrong { why: "it is of another build" });
        }
        Views::discard_as(&*reader.disk(), INCOMING_FILE)?;
        let views = Views::open_as(reader.disk(), INCOMING_FILE, CACHE_BYTES)?;
        Ok(Self {
            reader: reader.clone(),
            views,
            entry,
            seal,
            pieces: list.pieces.into_iter().map(Hash).collect(),
            digests: Digests::default(),
            last: Vec::new(),
            heads: Frontier::default(),
        })
    }

    /// The pieces, in the order in which [`Incoming::take`] wants them.
    #[must_use]
    pub fn pieces(&self) -> Vec<Hash> {
        self.pieces.clone()
    }

    /// The seal at which the snapshot stands.
    #[must_use]
    pub fn seal(&self) -> Hash {
        self.entry.hash()
    }

    /// Takes the next piece.
    pub fn take(&mut self, piece: &[u8]) -> Result<(), SnapshotError> {
        let rows: Vec<(Vec<u8>, Vec<u8>)> = codec::decode("snapshot", 1, piece, PIECE_BYTES_MAX)?;
        let mut out = BTreeMap::new();
        for (key, value) in rows {
            if key <= self.last || !tables::goes_out(&key) {
                return Err(SnapshotError::Wrong { why: "its rows are not in order" });
            }
            self.digests.change(&key, None, Some(&value));
            match tables::kept_entry(&key, &value) {
                KeptEntry::Head(bytes) => {
                    let head = self.signed(bytes)?;
                    if key[1..] != head.journal().to_bytes() {
                        return Err(SnapshotError::Wrong { why: "a head stands at another journal" });
                    }
                    let line = toko_crdt::frontier::Head { seq: head.seq(), hash: head.hash() };
                    self.heads.set(*head.journal(), line);
                }
                KeptEntry::Parked(bytes) => {
                    let entry = self.signed(bytes)?;
                    let inner = innermost(&self.reader.store(), &entry);
                    let is_of = |entry: &Entry| entry.hash().0 == key[1..];
                    if !is_of(&entry) && !inner.as_ref().is_some_and(is_of) {
                        return Err(SnapshotError::Wrong { why: "a parked entry is another effect's" });
                    }
                }
                KeptEntry::None => {}
            }
            self.last.clone_from(&key);
            out.insert(key, Some(value));
        }
        self.views.publish(out);
        if self.views.waiting_bytes() > WAITING_BYTES {
            self.views.flush()?;
        }
        Ok(())
    }

    /// Whether the author of an entry signed it.
    fn signed(&self, bytes: &[u8]) -> Result<Entry, SnapshotError> {
        let entry = Entry::decode(&self.reader.store(), bytes)?;
        match self.reader.members().key(entry.author()) {
            Some(key) if entry.verify(&key) => Ok(entry),
            _ => Err(SnapshotError::Wrong { why: "an entry in it is not signed by its author" }),
        }
    }

    /// Checks the whole, puts it in the place of the sealed views, and prepares the views that follow from it. Call
    /// [`super::Store::adopt`] then. Nobody may have the sealed views open.
    pub fn finish(self) -> Result<Checked, SnapshotError> {
        if self.digests != self.seal.digests && !toko_crdt::mutant!("take-any-snapshot") {
            return Err(SnapshotError::Wrong { why: "it does not add up to what the hub sealed" });
        }
        let views = self.views.snapshot();
        let frontier = rows::sealed_frontier(&views, &self.seal, &Lane::ALL, &self.heads)?;
        drop(views);
        let Some(frontier) = frontier else {
            return Err(SnapshotError::Wrong { why: "a seal on which it stands is missing" });
        };
        let missing = frontier.lines().any(|(journal, head)| {
            // A fork proof takes a journal back below the head that is kept of it.
            self.heads
                .head(journal)
                .is_none_or(|ours| ours.seq < head.seq || (ours.seq == head.seq && ours != head))
        });
        if missing {
            return Err(SnapshotError::Wrong { why: "a head that the seal names is missing" });
        }
        let checked = Checked { seal: self.entry.hash(), verdict: Verdict::Equal, digests: self.digests };
        let mut rows = Rows::default();
        for (journal, head) in frontier.lines() {
            tables::put_head(&mut rows, journal, Some(*head))?;
        }
        let made = MadeFrom {
            store: self.reader.store(),
            fold_version: self.seal.fold_version,
            position: Position::default(),
        };
        tables::copy_own(&self.reader.snapshot(), &mut rows)?;
        self.digests.save(&mut rows)?;
        tables::put_adopted(&mut rows)?;
        tables::put_made_from(&mut rows, made)?;
        rows.put(&tables::verdict_key(checked.seal), &tables::verdict_row(&checked))?;
        self.views.publish(rows.0);
        self.views.flush()?;
        drop(self.views);
        let disk = self.reader.disk();
        disk.rename(INCOMING_FILE, SEALED_FILE)?;
        disk.sync_dir()?;
        history::prepare(&self.reader)?;
        Ok(checked)
    }
}

/// Rows in the making.
#[derive(Default)]
struct Rows(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl KvRead for Rows {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        Ok(self.0.get(key).cloned().flatten())
    }

    fn scan_from(&self, _: &[u8], _: &[u8], _: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), KvError> {
        Ok(())
    }
}

impl Kv for Rows {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        self.0.insert(key.to_vec(), Some(value.to_vec()));
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), KvError> {
        self.0.remove(key);
        Ok(())
    }
}

fn seal_of(reader: &StoreReader, entry: &Entry) -> Result<Seal, SnapshotError> {
    match entry.body().map(|body| Body::decode(&reader.store(), body)).transpose()? {
        Some(Body::Seal(seal)) => Ok(seal),
        _ => Err(SnapshotError::Wrong { why: "no seal is in it" }),
    }
}
