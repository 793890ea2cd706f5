//! Views as of a seal, made anew from entries beside the views that people read.
//!
//! Purpose: a seal says what came out of a frontier. A node is never just there: its own sales are ahead, others' are on the
//! way. So it keeps a second, smaller fold in a file of its own, which stands exactly at the last seal that it went over;
//! when it holds all that the next seal names, it folds those entries, and only those, on top. The digest that comes out is
//! this node's answer, computed from its log and not from the views in use. What stands here afterwards is what a blank
//! terminal is given, what the views are made from when their file is lost, and below it the log may go.
//!
//! Invariants: rows and the heads that they are made from change together, so a power cut leaves an earlier or a later place
//! and never a mixture; an effect is folded once, however it came. A fold at a seal never decides about the store: a
//! difference is noted and shown.
//!
//! | key | value |
//! | --- | --- |
//! | views | as everywhere |
//! | `80` effect | where it stands; only of what was carried, or is parked |
//! | `82`, `83` | parked effects, digests |
//! | `f1`, `f3` | heads, and what made these views |
//! | `f2`, `f4`, `f5` | copies of the store's own |
//! | `f6` journal | its head, signed, without its body |
//! | `f7` effect | the entry of a parked effect, whole |
//! | `f9` | nothing: these views came from a peer |
//! | `f8` seal | version 1, verdict, and the two digests that came out here |

mod upgrade;

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;
use toko_crdt::{
    Body, EffectId, Entry, Hash, JournalId, Kv, KvError, KvRead, Lane, NodeId, StoreId,
    book::{
        Applied, Book, Code,
        rows::{self, Parked},
    },
    clock::UnixMicros,
    codec::CodecError,
    digest::Digests,
    frontier::{Frontier, Head},
    ids::EntryRef,
    member::Members,
    seal::Seal,
};

use super::{ReadStoreError, StoreReader, reader::Meaning, tables};
use crate::{
    disk::Disk,
    log::Position,
    views::{Draft, FlushError, Snapshot, Views},
};

/// The file of the views at the last seal.
pub(crate) const SEALED_FILE: &str = "sealed.redb";

/// What redb keeps of the file in memory while it is open, which is seldom.
const CACHE_BYTES: usize = 4 << 20;
/// How much is read from the log at once.
const READ_BYTES: usize = 256 << 10;
/// Rows that may gather before they go to disk.
const WAITING_BYTES: usize = 8 << 20;
/// How many verdicts are kept.
const VERDICTS_MAX: usize = 64;

/// Views at the last seal that this node went over. One owner at a time.
pub struct SealedViews {
    reader: StoreReader,
    views: Views,
    heads: Frontier,
    digests: Digests,
}

/// What came of going over a seal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The same came out here.
    Equal,
    /// Something else came out here.
    Differs,
    /// Another build's fold made it; nothing is compared.
    OtherBuild,
}

/// A seal that this node went over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checked {
    /// The entry that says the seal.
    pub seal: Hash,
    /// What came of it.
    pub verdict: Verdict,
    /// What came out here.
    pub digests: Digests,
}

/// Why a seal could not be gone over. Nothing was decided; trying again is safe.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SealError {
    /// Something that the seal names is not here (yet).
    #[error("entries from {from} on of a journal that the seal names are not here")]
    Missing {
        /// Of which journal.
        journal: JournalId,
        /// From where.
        from: u64,
    },
    /// A journal went on otherwise here than the seal says: it is forked.
    #[error("a journal went on otherwise here than the seal says")]
    OtherBranch {
        /// Which one.
        journal: JournalId,
    },
    /// What stands here is beyond the seal already.
    #[error("a later seal was gone over already")]
    Past,
    /// The views at the last seal were made by another build, and the history below them is gone.
    #[error("the sealed views are of another build")]
    OtherBuild,
    /// Views could not be read or written.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// Views could not be kept.
    #[error(transparent)]
    Flush(#[from] FlushError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadStoreError),
    /// The disk did not answer.
    #[error("the disk failed")]
    Io(#[from] std::io::Error),
    /// What is kept does not decode.
    #[error("what is kept does not decode")]
    Codec(#[from] CodecError),
}

impl SealedViews {
    /// Opens the views at the last seal, or begins them where there are none.
    ///
    /// Errors: [`SealError::OtherBuild`] where another fold made them; see [`SealedViews::discard`].
    pub fn open(reader: &StoreReader) -> Result<Self, SealError> {
        let views = Views::open_as(reader.disk(), SEALED_FILE, CACHE_BYTES)?;
        let (made, heads, digests) = views.read(|kv| {
            Ok((
                tables::made_from(kv)?,
                tables::heads(kv)?.into_iter().collect::<Frontier>(),
                Digests::of(kv)?,
            ))
        })?;
        if made.is_some_and(|made| made.store != reader.store() || made.fold_version != reader.fold_version())
        {
            return Err(SealError::OtherBuild);
        }
        Ok(Self { reader: reader.clone(), views, heads, digests })
    }

    /// Throws them away; they are made anew from the log as far as it reaches. Nobody may have them open.
    pub fn discard(disk: &dyn Disk) -> std::io::Result<()> {
        Views::discard_as(disk, SEALED_FILE)
    }

    /// [`SealedViews::discard`], on the disk of a store.
    pub fn discard_for(reader: &StoreReader) -> std::io::Result<()> {
        Self::discard(&*reader.disk())
    }

    /// Where they stand.
    #[must_use]
    pub fn frontier(&self) -> &Frontier {
        &self.heads
    }

    /// What they add up to.
    #[must_use]
    pub fn digests(&self) -> Digests {
        self.digests
    }

    /// When a node wrote the last of its entries in a lane that are in here, by its own clock.
    pub fn heard_at(&self, node: &NodeId, lane: Lane) -> Result<Option<UnixMicros>, KvError> {
        self.views.read(|kv| tables::heard_at(kv, &self.reader.store(), node, lane))
    }

    /// All rows as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.views.snapshot()
    }

    /// Goes over a seal: folds what its frontier names beyond what stands here, compares, and keeps what came of it.
    ///
    /// Errors: nothing was decided. What was folded on the way stays, since the next seal names it too.
    pub fn check(
        &mut self,
        entry: Hash,
        seal: &Seal,
        frontier: &Frontier,
        books_only: bool,
    ) -> Result<Checked, SealError> {
        let verdict = if seal.fold_version != self.reader.fold_version() {
            Verdict::OtherBuild
        } else {
            let digests = self.fold_to(frontier)?;
            let equal = match books_only {
                true => digests.books == seal.digests.books,
                false => digests == seal.digests,
            };
            if equal || toko_crdt::mutant!("nod-at-every-seal") { Verdict::Equal } else { Verdict::Differs }
        };
        let checked = Checked { seal: entry, verdict, digests: self.digests };
        let mut rows = BTreeMap::new();
        let known = self.verdicts()?;
        if known.len() >= VERDICTS_MAX {
            // Hashes are in no order of time; which one goes does not matter, a seal is gone over once.
            let first = known.first().map(|checked| (tables::verdict_key(checked.seal), None));
            rows.extend(first);
        }
        rows.insert(tables::verdict_key(entry), Some(tables::verdict_row(&checked)));
        self.views.publish(rows);
        self.views.flush()?;
        Ok(checked)
    }

    /// The seals that were gone over lately, in no order of time.
    pub fn verdicts(&self) -> Result<Vec<Checked>, KvError> {
        self.views.read(tables::verdicts)
    }

    /// Folds exactly up to `to`, which this node holds.
    fn fold_to(&mut self, to: &Frontier) -> Result<Digests, SealError> {
        let live = self.reader.snapshot();
        self.look_ahead(&live, to)?;
        let members = self.reader.members();
        for (journal, head) in to.lines() {
            self.fold_journal(&live, &members, *journal, *head)?;
        }
        self.take_back(to)?;
        self.heal(&live, &members)?;
        self.keep_store_rows(&live)?;
        self.views.flush()?;
        Ok(self.digests)
    }

    /// Whether everything is here and nothing stands beyond, before a row is touched.
    fn look_ahead(&self, live: &Snapshot, to: &Frontier) -> Result<(), SealError> {
        let durable = self.reader.frontier();
        for (journal, head) in to.lines() {
            if let Some(ours) = self.heads.head(journal).filter(|ours| ours.seq >= head.seq) {
                if ours.seq == head.seq && ours.hash != head.hash {
                    return Err(SealError::OtherBranch { journal: *journal });
                }
                // A fork proof takes a journal back; anything else that is lower is an older seal.
                if ours.seq > head.seq && rows::closed(live, journal)?.is_none() {
                    return Err(SealError::Past);
                }
                continue;
            }
            match tables::place(live, EntryRef { journal: *journal, seq: head.seq })? {
                Some((_, hash)) if hash != head.hash => {
                    return Err(SealError::OtherBranch { journal: *journal });
                }
                Some(_) if durable.head(journal).is_some_and(|held| held.seq >= head.seq) => {}
                _ => {
                    let from = durable.head(journal).map_or(1, |held| held.seq + 1);
                    return Err(SealError::Missing { journal: *journal, from });
                }
            }
        }
        let left = self.heads.lines().filter(|(journal, _)| to.head(journal).is_none());
        match left
            .map(|(journal, _)| rows::closed(live, journal))
            .find(|closed| !matches!(closed, Ok(Some(_))))
        {
            Some(Ok(_)) => Err(SealError::Past),
            Some(Err(error)) => Err(error.into()),
            None => Ok(()),
        }
    }

    fn fold_journal(
        &mut self,
        live: &Snapshot,
        members: &Members,
        journal: JournalId,
        to: Head,
    ) -> Result<(), SealError> {
        let mut at = self.heads.head(&journal).map_or(0, |head| head.seq);
        while at < to.seq {
            let entries = self.reader.entries(journal, at + 1, READ_BYTES)?;
            let wanted: Vec<Entry> = entries.into_iter().take_while(|entry| entry.seq() <= to.seq).collect();
            let Some(last) = wanted.last() else {
                return Err(SealError::Missing { journal, from: at + 1 });
            };
            let head = Head { seq: last.seq(), hash: last.hash() };
            let base = self.views.snapshot();
            let mut draft = Draft::new(&base);
            for entry in &wanted {
                self.fold_entry(live, members, &mut draft, entry)?;
            }
            tables::put_head(&mut draft, &journal, Some(head))?;
            tables::put_head_entry(&mut draft, &last.pruned())?;
            self.put_made_from(&mut draft)?;
            let rows = draft.into_rows();
            drop(base);
            self.views.publish(rows);
            self.heads.set(journal, head);
            at = head.seq;
            if self.views.waiting_bytes() > WAITING_BYTES {
                self.views.flush()?;
            }
        }
        Ok(())
    }

    /// A fork proof took journals back. Only now, since what is carried was found by its own place until here.
    fn take_back(&mut self, to: &Frontier) -> Result<(), SealError> {
        let base = self.views.snapshot();
        let mut draft = Draft::new(&base);
        let beyond = to
            .lines()
            .filter(|(journal, head)| self.heads.head(journal).is_some_and(|ours| ours.seq > head.seq));
        let beyond: Vec<(JournalId, Head)> = beyond.map(|(journal, head)| (*journal, *head)).collect();
        for (journal, head) in beyond {
            tables::put_head(&mut draft, &journal, Some(head))?;
            self.heads.set(journal, head);
        }
        let rows = draft.into_rows();
        drop(base);
        self.views.publish(rows);
        Ok(())
    }

    fn fold_entry(
        &mut self,
        live: &Snapshot,
        members: &Members,
        draft: &mut Draft<'_>,
        entry: &Entry,
    ) -> Result<(), SealError> {
        let Meaning { fold, scope } = self.reader.meaning().clone();
        let book = Book { store: self.reader.store(), fold: &*fold, scope: &*scope };
        let inner = innermost(&book.store, entry);
        let mut kv = Frugal::new(draft, inner.is_some());
        // What it carries may have been folded in its own place, before the fork was known.
        if let Some(inner) = &inner
            && self.stands_here(live, inner)?
        {
            kv.put(&[&[rows::PLACE], inner.hash().0.as_slice()].concat(), &inner.place().to_bytes())?;
        }
        let effect = EffectId::from(inner.as_ref().unwrap_or(entry).hash());
        let killed = rows::parked(live, effect)?.is_some_and(|parked| parked.code == Code::Killed);
        let applied = match killed {
            true => book.park(&mut kv, effect, entry.place(), Code::Killed)?,
            false => book.apply(&mut kv, &mut self.digests, members, entry)?,
        };
        if matches!(applied, Applied::Parked(_)) {
            tables::put_parked_entry(draft, effect, entry)?;
        }
        Ok(())
    }

    /// Whether an entry was folded here in its own place.
    fn stands_here(&self, live: &Snapshot, entry: &Entry) -> Result<bool, KvError> {
        let folded = self.heads.head(entry.journal()).is_some_and(|head| head.seq >= entry.seq());
        let there = tables::place(live, entry.place())?;
        Ok(folded && there.is_some_and(|(_, hash)| hash == entry.hash()))
    }

    /// Tries parked entries again whose author or right to write may be known now, or that people let in.
    fn heal(&mut self, live: &Snapshot, members: &Members) -> Result<(), SealError> {
        let is_ripe = |parked: &Parked| {
            let may_heal = matches!(parked.code, Code::OutOfScope | Code::UnknownAuthor);
            Ok(may_heal || rows::parked(live, parked.effect)?.is_none())
        };
        self.try_again(live, members, &is_ripe)
    }

    /// Tries everything again that another build parked.
    fn heal_all(&mut self, live: &Snapshot, members: &Members) -> Result<(), SealError> {
        self.try_again(live, members, &|parked| Ok(parked.code.may_heal()))
    }

    fn try_again(
        &mut self,
        live: &Snapshot,
        members: &Members,
        is_ripe: &dyn Fn(&Parked) -> Result<bool, KvError>,
    ) -> Result<(), SealError> {
        let base = self.views.snapshot();
        let parked = rows::parked_all(&base)?;
        let mut draft = Draft::new(&base);
        let mut tried = BTreeSet::new();
        for parked in parked {
            let Some(bytes) = tables::parked_entry(&base, parked.effect)? else { continue };
            if is_ripe(&parked)? && tried.insert(parked.place) {
                let entry = Entry::decode(&self.reader.store(), &bytes)?;
                let Meaning { fold, scope } = self.reader.meaning().clone();
                let book = Book { store: self.reader.store(), fold: &*fold, scope: &*scope };
                book.unpark(&mut draft, parked.effect)?;
                self.fold_entry(live, members, &mut draft, &entry)?;
            }
        }
        let rows = draft.into_rows();
        drop(base);
        self.views.publish(rows);
        Ok(())
    }

    /// Copies what the store needs beside the views when it is made anew from here.
    fn keep_store_rows(&self, live: &Snapshot) -> Result<(), SealError> {
        let base = self.views.snapshot();
        let mut draft = Draft::new(&base);
        tables::copy_own(live, &mut draft)?;
        self.put_made_from(&mut draft)?;
        let rows = draft.into_rows();
        drop(base);
        self.views.publish(rows);
        Ok(())
    }

    fn put_made_from(&self, kv: &mut dyn Kv) -> Result<(), KvError> {
        let (store, fold_version) = (self.reader.store(), self.reader.fold_version());
        tables::put_made_from(kv, tables::MadeFrom { store, fold_version, position: Position::default() })
    }
}

/// The entry that a carrying entry carries in the end; `None` for one that carries nothing.
pub(super) fn innermost(store: &StoreId, entry: &Entry) -> Option<Entry> {
    let mut inner = None;
    let mut body = entry.body().and_then(|bytes| Body::decode(store, bytes).ok());
    while let Some(Body::Carried(next)) = body {
        body = next.body().and_then(|bytes| Body::decode(store, bytes).ok());
        inner = Some(*next);
    }
    inner
}

/// Views without the row per effect that says where it stands: heads say that here, but for what was carried or is parked.
struct Frugal<'d, 'a> {
    draft: &'d mut Draft<'a>,
    carries: bool,
    held_back: Option<(Vec<u8>, Vec<u8>)>,
}

impl<'d, 'a> Frugal<'d, 'a> {
    fn new(draft: &'d mut Draft<'a>, carries: bool) -> Self {
        Self { draft, carries, held_back: None }
    }
}

impl KvRead for Frugal<'_, '_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        match &self.held_back {
            Some((held, value)) if held == key => Ok(Some(value.clone())),
            _ => self.draft.get(key),
        }
    }

    fn scan_from(
        &self,
        prefix: &[u8],
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), KvError> {
        self.draft.scan_from(prefix, from, visit)
    }
}

impl Kv for Frugal<'_, '_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        match key.first() {
            Some(&rows::PLACE) if !self.carries => {
                self.held_back = Some((key.to_vec(), value.to_vec()));
                return Ok(());
            }
            Some(&rows::PARKED) => {
                if let Some((key, value)) = self.held_back.take() {
                    self.draft.put(&key, &value)?;
                }
            }
            _ => {}
        }
        self.draft.put(key, value)
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), KvError> {
        self.draft.delete(key)
    }
}

impl std::fmt::Debug for SealedViews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedViews").field("journals", &self.heads.len()).finish_non_exhaustive()
    }
}
