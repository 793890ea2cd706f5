//! Reading a store from any thread, while its owner goes on.

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::bell::{Bell, Ear};
use toko_crdt::{
    Body, EffectId, Entry, Fold, Hash, JournalId, KvError, KvRead, Scope, StoreId,
    book::{
        Book,
        rows::{self, Parked},
    },
    clock::UnixMicros,
    digest::Digests,
    entry::ENTRY_BYTES_MAX,
    frontier::{Frontier, Head},
    ids::EntryRef,
    member::Members,
    seal::Seal,
    settling::Settling,
};

use super::{ReadStoreError, tables};
use crate::{
    disk::Disk,
    log::{LogConfig, LogReader, Position, SetAside, all_set_aside},
    views::{Snapshot, Views},
};

/// A cheap handle for reading a store. What it shows is one moment; the next moment may be further on.
#[derive(Clone)]
pub struct StoreReader {
    store: StoreId,
    views: Views,
    log: LogReader,
    meaning: Meaning,
    shared: Arc<Shared>,
}

/// An entry of a peer that is not durable here yet: where it stands, and its encoded bytes.
pub(crate) type Came = (EntryRef, Arc<[u8]>);

/// What ops mean and who may write what, for whoever folds beside the store.
#[derive(Clone)]
pub(super) struct Meaning {
    pub(super) fold: Arc<dyn Fold>,
    pub(super) scope: Arc<dyn Scope>,
}

struct Shared {
    durable: RwLock<Frontier>,
    /// Whether entries of peers are passed on while they are synced.
    passes_on: AtomicBool,
    /// Those that are just now.
    came: Mutex<Vec<Came>>,
    members: RwLock<Option<Arc<Members>>>,
    changed: Bell,
}

impl StoreReader {
    pub(super) fn new(store: StoreId, views: Views, log: LogReader, meaning: Meaning) -> Self {
        let shared = Shared {
            durable: RwLock::default(),
            passes_on: AtomicBool::default(),
            came: Mutex::default(),
            members: RwLock::default(),
            changed: Bell::default(),
        };
        Self { store, views, log, meaning, shared: Arc::new(shared) }
    }

    /// The store.
    pub fn store(&self) -> StoreId {
        self.store
    }

    /// Version of the fold that makes the views.
    pub fn fold_version(&self) -> u32 {
        self.meaning.fold.version()
    }

    pub(super) fn meaning(&self) -> &Meaning {
        &self.meaning
    }

    pub(super) fn log_config(&self) -> LogConfig {
        self.log.config()
    }

    pub(super) fn log_reader(&self) -> &LogReader {
        &self.log
    }

    /// The number of the oldest segment that is still here.
    pub(super) fn first_segment(&self) -> std::io::Result<Option<u32>> {
        self.log.first_segment()
    }

    pub(super) fn disk(&self) -> Arc<dyn Disk> {
        self.log.disk()
    }

    /// What this disk spoilt of what it had kept, and was set aside at a start. Peers give back what they hold of it.
    pub fn set_aside(&self) -> io::Result<Vec<SetAside>> {
        all_set_aside(&*self.disk())
    }

    /// All views as they are now.
    pub fn snapshot(&self) -> Snapshot {
        self.views.snapshot()
    }

    /// Reads from one snapshot of the views.
    pub fn read<T>(&self, read: impl FnOnce(&dyn KvRead) -> Result<T, KvError>) -> Result<T, KvError> {
        self.views.read(read)
    }

    /// What is here durably: what others may have, and what is acknowledged to them.
    pub fn frontier(&self) -> Frontier {
        self.with_frontier(Frontier::clone)
    }

    /// Looks at what is here durably without copying it. Be quick: the store waits meanwhile.
    pub fn with_frontier<T>(&self, look: impl FnOnce(&Frontier) -> T) -> T {
        look(&self.shared.durable.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on entries of peers may be taken by [`StoreReader::take_came`] while they are synced, or no more.
    pub(crate) fn pass_on(&self, passes_on: bool) {
        self.shared.passes_on.store(passes_on, Ordering::Relaxed);
    }

    pub(super) fn passes_on(&self) -> bool {
        self.shared.passes_on.load(Ordering::Relaxed)
    }

    /// Entries of peers, proven and written but not durable here yet: safe where they came from, so that they may be passed on,
    /// and not acknowledged. Each is given once.
    pub(crate) fn take_came(&self) -> Vec<Came> {
        std::mem::take(&mut *self.shared.came.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces what nobody took: it is durable meanwhile.
    pub(super) fn set_came(&self, came: Vec<Came>) {
        if !came.is_empty() {
            *self.shared.came.lock().unwrap_or_else(PoisonError::into_inner) = came;
            self.note_change();
        }
    }

    /// Who belongs to the store.
    pub fn members(&self) -> Arc<Members> {
        let members = self.shared.members.read().unwrap_or_else(PoisonError::into_inner).clone();
        members.unwrap_or_else(|| unreachable!("members are set before the store hands out a reader"))
    }

    /// Counts changes: of views, of the durable frontier, of members.
    pub fn changed(&self) -> Ear {
        self.shared.changed.listen()
    }

    /// The digests of the views.
    pub fn digests(&self) -> Result<Digests, KvError> {
        self.read(|kv| Digests::of(kv))
    }

    /// Everything that is kept and not in the views, with its code.
    pub fn parked(&self) -> Result<Vec<Parked>, KvError> {
        self.read(|kv| rows::parked_all(kv))
    }

    /// The entry at a place, if it is here.
    pub fn entry(&self, place: EntryRef) -> Result<Option<Entry>, ReadStoreError> {
        match self.read(|kv| tables::place(kv, place))? {
            Some((at, _)) => self.entry_at(at).map(Some),
            None => Ok(None),
        }
    }

    /// The entry with a hash, if it is here: in its own place, or carried out of a closed journal.
    pub fn entry_by_hash(&self, hash: Hash) -> Result<Option<Entry>, ReadStoreError> {
        let Some(place) = self.read(|kv| rows::place_of(kv, EffectId::from(hash)))? else { return Ok(None) };
        let mut entry = self.entry(place)?;
        while let Some(outer) = entry {
            if outer.hash() == hash {
                return Ok(Some(outer));
            }
            entry = match outer.body().map(|body| Body::decode(&self.store, body)).transpose()? {
                Some(Body::Carried(inner)) => Some(*inner),
                _ => None,
            };
        }
        Ok(None)
    }

    /// The stretch of a journal from number `from` on that is durable here, as far as `bytes_max` goes, or one entry.
    ///
    /// Shape: in order, without gaps; empty where nothing is.
    pub fn entries(
        &self,
        journal: JournalId,
        from: u64,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, ReadStoreError> {
        let last = self.with_frontier(|frontier| frontier.head(&journal).map_or(0, |head| head.seq));
        let (mut places, mut next) = (Vec::new(), from);
        let entries_max = bytes_max / ENTRY_BYTES_MIN + 1;
        self.read(|kv| {
            tables::places_from(kv, EntryRef { journal, seq: from }, &mut |seq, at, _| {
                // Where the beginning went into a snapshot, what follows is no answer.
                if seq != next || seq > last {
                    return false;
                }
                places.push(at);
                next += 1;
                seq < last && places.len() < entries_max
            })
        })?;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for at in places {
            let record = self.log.read(at)?;
            bytes += record.payload.len();
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            entries.push(Entry::decode(&self.store, &record.payload)?);
        }
        Ok(entries)
    }

    /// What a seal says now: all heads, and what came out of them, at one moment.
    ///
    /// Shape: some heads may not be durable yet; whoever writes the seal behind them, synced, makes them so.
    pub fn cut(&self) -> Result<Seal, KvError> {
        self.read(|kv| {
            let frontier = tables::heads(kv)?.into_iter().collect();
            Ok(Seal::whole(self.fold_version(), frontier, Digests::of(kv)?))
        })
    }

    /// What a hub is to write so that carts that were done before `before` go ([`Book::settlings_due`]).
    pub fn settlings_due(&self, before: UnixMicros) -> Result<Vec<Settling>, KvError> {
        let Meaning { fold, scope } = &self.meaning;
        self.read(|kv| Book { store: self.store, fold: &**fold, scope: &**scope }.settlings_due(kv, before))
    }

    /// What a hub is to say, op by op, so that rows of books from before a time go ([`Fold::books_due`]).
    pub fn books_due(&self, before: UnixMicros) -> Result<Vec<Vec<u8>>, KvError> {
        self.read(|kv| self.meaning.fold.books_due(kv, before))
    }

    /// Whether the log reaches back to the first record that was ever written.
    pub fn is_whole(&self) -> bool {
        self.log.has_first()
    }

    /// Whether this entry was here and went: what it did is in the views, and in a snapshot.
    pub fn is_pruned(&self, journal: &JournalId, seq: u64) -> bool {
        let held = self.with_frontier(|frontier| frontier.head(journal).is_some_and(|head| head.seq >= seq));
        held && self
            .read(|kv| tables::place(kv, EntryRef { journal: *journal, seq }))
            .is_ok_and(|place| place.is_none())
    }

    fn entry_at(&self, at: Position) -> Result<Entry, ReadStoreError> {
        let record = self.log.read(at)?;
        debug_assert!(record.payload.len() <= ENTRY_BYTES_MAX, "the log holds entries");
        Ok(Entry::decode(&self.store, &record.payload)?)
    }

    pub(super) fn set_members(&self, members: &Arc<Members>) {
        *self.shared.members.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(members));
        self.note_change();
    }

    /// The caller tells of it.
    pub(super) fn set_durable(&self, lines: BTreeMap<JournalId, Option<Head>>) {
        let mut durable = self.shared.durable.write().unwrap_or_else(PoisonError::into_inner);
        for (journal, head) in lines {
            match head {
                Some(head) => durable.set(journal, head),
                None => durable.remove(&journal),
            }
        }
    }

    pub(super) fn note_change(&self) {
        self.shared.changed.ring();
    }
}

/// No entry is shorter than its envelope.
const ENTRY_BYTES_MIN: usize = 180;

impl fmt::Debug for StoreReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreReader").field("store", &self.store).finish_non_exhaustive()
    }
}
