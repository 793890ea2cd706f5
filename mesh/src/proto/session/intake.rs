//! What came and is on its way into the store: one batch of a journal at a time, what follows meanwhile goes as the next.
//!
//! So the order of a journal does not depend on how the driver's calls overtake each other, and a journal that comes fast
//! is proven in few, larger batches.

use super::api::Output;
use std::collections::{BTreeMap, VecDeque};
use toko_crdt::entry::ENTRY_BYTES_MAX;
use toko_crdt::{Entry, JournalId};

/// How much of a journal goes to the store at once.
const INGEST_BYTES_MAX: usize = ENTRY_BYTES_MAX;

#[derive(Debug, Default)]
pub(super) struct Intake {
    tickets: u64,
    /// At the store, by ticket.
    pending: BTreeMap<u64, Stretch>,
    /// Behind what is at the store.
    queued: BTreeMap<JournalId, VecDeque<(Entry, usize)>>,
    bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Stretch {
    journal: JournalId,
    to: u64,
    bytes: usize,
}

impl Intake {
    /// Takes consecutive entries with their encoded sizes.
    pub(super) fn take(&mut self, journal: JournalId, batch: Vec<(Entry, usize)>) -> Option<Output> {
        let follows = batch.first().is_some_and(|(first, _)| self.last(&journal) == Some(first.seq() - 1));
        self.bytes += batch.iter().map(|(_, bytes)| bytes).sum::<usize>();
        if follows {
            self.queued.entry(journal).or_default().extend(batch);
            return None;
        }
        self.ingest(journal, batch)
    }

    /// The store has answered; gives the journal and how many bytes it was. Go on with [`Intake::next`] or
    /// [`Intake::drop_queue`].
    pub(super) fn answered(&mut self, ticket: u64) -> Option<(JournalId, usize)> {
        let stretch = self.pending.remove(&ticket)?;
        self.bytes -= stretch.bytes;
        Some((stretch.journal, stretch.bytes))
    }

    /// The next batch of a journal, if something waits and nothing is at the store.
    pub(super) fn next(&mut self, journal: &JournalId) -> Option<Output> {
        if self.pending.values().any(|stretch| stretch.journal == *journal) {
            return None;
        }
        let queue = self.queued.get_mut(journal)?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(item) = queue.pop_front_if(|(_, more)| bytes == 0 || bytes + *more <= INGEST_BYTES_MAX)
        {
            bytes += item.1;
            batch.push(item);
        }
        if queue.is_empty() {
            self.queued.remove(journal);
        }
        self.ingest(*journal, batch)
    }

    /// What went before did not get in: what follows cannot either.
    pub(super) fn drop_queue(&mut self, journal: &JournalId) {
        let dropped = self.queued.remove(journal).unwrap_or_default();
        self.bytes -= dropped.iter().map(|(_, bytes)| bytes).sum::<usize>();
    }

    /// The last number of a journal that is on its way.
    pub(super) fn last(&self, journal: &JournalId) -> Option<u64> {
        let queued = self.queued.get(journal).and_then(|queue| queue.back()).map(|(entry, _)| entry.seq());
        let pending = self.pending.values().filter(|stretch| stretch.journal == *journal);
        pending.map(|stretch| stretch.to).chain(queued).max()
    }

    /// Bytes on their way.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn ingest(&mut self, journal: JournalId, batch: Vec<(Entry, usize)>) -> Option<Output> {
        let to = batch.last()?.0.seq();
        let bytes = batch.iter().map(|(_, bytes)| bytes).sum();
        self.tickets += 1;
        self.pending.insert(self.tickets, Stretch { journal, to, bytes });
        let entries = batch.into_iter().map(|(entry, _)| entry).collect();
        Some(Output::Ingest { ticket: self.tickets, journal, entries })
    }
}
