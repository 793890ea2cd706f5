//! Folding a group while its sync is under way.
//!
//! A sync is the disk's time, a fold the processor's: on a thread of its own the fold is over before the disk has answered,
//! so a sale costs the longer of the two and not their sum. Nobody sees what was folded before the sync succeeded.
//!
//! Invariants: one group at a time; the fold sees the views as they were before the group, and nothing that changes
//! meanwhile. In simulations, and while the log's tail is folded at a start, the same job runs inline.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, mpsc},
};

use toko_crdt::{
    Body, Entry, Fold, JournalId, KvError, KvRead, Lane, Run, Scope, StoreId,
    book::{Book, Code, rows},
    digest::Digests,
    frontier::Frontier,
    member::Members,
};

use super::{
    Store,
    commit::{Absorb, Absorbed},
    poison::Poison,
    stage::{Staged, What},
};
use crate::{
    log::{LogReader, Position},
    views::Snapshot,
};

/// What a fold stands on: the state of the store before it.
pub(super) struct Ground {
    pub(super) store: StoreId,
    pub(super) fold: Arc<dyn Fold>,
    pub(super) scope: Arc<dyn Scope>,
    pub(super) poison: Arc<Poison>,
    pub(super) log: LogReader,
    pub(super) heads: Arc<Frontier>,
    /// Up to here nothing is folded: it is in the views that these were made from.
    pub(super) below: Arc<Frontier>,
    pub(super) digests: Digests,
    pub(super) members: Arc<Members>,
    pub(super) closed: BTreeMap<JournalId, rows::Closed>,
    pub(super) last_runs: BTreeMap<Lane, Run>,
}

/// A group that is in the log, to be folded on any thread.
pub(super) struct FoldJob {
    ground: Ground,
    base: Snapshot,
    records: Vec<Staged>,
    positions: Vec<Position>,
    end: Position,
}

/// The new state, and the replies whose entries are parked, each with its code.
pub(super) type Folded = Result<(Absorbed, Vec<(usize, Code)>), KvError>;

/// Who folds.
pub(super) enum Folder {
    /// The caller, at once.
    Inline,
    /// Another thread, which is given one job at a time.
    Beside { jobs: mpsc::Sender<FoldJob>, done: mpsc::Receiver<Folded> },
}

/// A fold that is under way.
#[must_use]
pub(super) enum Folding {
    Done(Box<Folded>),
    Beside,
}

impl Ground {
    /// The pipeline from an entry to the views.
    pub(super) fn book(&self) -> Book<'_> {
        Book { store: self.store, fold: &*self.fold, scope: &*self.scope }
    }

    /// What an entry says, where that may be the store's business: nearly all entries are the shop's, and not decoded here.
    pub(super) fn told_by(&self, entry: &Entry) -> Option<Body> {
        let body = entry.body().filter(|body| !Body::is_shops(body))?;
        Body::decode(&self.store, body).ok()
    }
}

impl FoldJob {
    fn run(self) -> Folded {
        let base: &dyn KvRead = &self.base;
        let mut absorb = Absorb::new(&self.ground, base);
        let mut parked = Vec::new();
        for (record, at) in self.records.iter().zip(&self.positions) {
            match &record.what {
                What::Entry(entry) => {
                    let code = absorb.entry(record.kind, entry, *at)?;
                    parked.extend(record.reply.zip(code));
                }
                What::Statement(statement) => absorb.statement(statement)?,
            }
        }
        Ok((absorb.finish(self.end)?, parked))
    }
}

impl Folder {
    /// Starts the thread. It ends with this value.
    pub(super) fn beside() -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<FoldJob>();
        let (report, done) = mpsc::channel();
        std::thread::Builder::new().name("toko-fold".to_owned()).spawn(move || {
            while let Ok(job) = inbox.recv() {
                if report.send(job.run()).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self::Beside { jobs, done })
    }

    /// Begins to fold. Call [`Folder::finish`] before anything else.
    pub(super) fn start(&self, job: FoldJob) -> Folding {
        match self {
            Self::Inline => Folding::Done(Box::new(job.run())),
            Self::Beside { jobs, .. } => match jobs.send(job) {
                Ok(()) => Folding::Beside,
                Err(_) => Folding::Done(Box::new(Err(ended()))),
            },
        }
    }

    /// Waits for the fold.
    pub(super) fn finish(&self, folding: Folding) -> Folded {
        match (folding, self) {
            (Folding::Done(folded), _) => *folded,
            (Folding::Beside, Self::Beside { done, .. }) => done.recv().unwrap_or_else(|_| Err(ended())),
            (Folding::Beside, Self::Inline) => Err(ended()),
        }
    }
}

fn ended() -> KvError {
    KvError::storage(io::Error::other("the thread that folds has ended"))
}

impl Store {
    /// What a fold stands on, as of now.
    pub(super) fn ground(&self) -> Ground {
        Ground {
            store: self.store_id(),
            fold: Arc::clone(&self.fold),
            scope: Arc::clone(&self.scope),
            poison: Arc::clone(&self.poison),
            log: self.log.reader(),
            heads: Arc::clone(&self.heads),
            below: Arc::clone(&self.below),
            digests: self.digests,
            members: Arc::clone(&self.members),
            closed: self.closed.clone(),
            last_runs: self.last_runs.clone(),
        }
    }

    /// A group that was written to the log, ready to be folded.
    pub(super) fn fold_job(&self, records: Vec<Staged>, positions: Vec<Position>) -> FoldJob {
        let (ground, base) = (self.ground(), self.views.snapshot());
        FoldJob { ground, base, records, positions, end: self.log.end() }
    }

    /// From now on folds beside its syncs, on a thread of its own.
    pub(super) fn fold_beside_syncs(&mut self) -> io::Result<()> {
        self.folder = Folder::beside()?;
        Ok(())
    }
}
