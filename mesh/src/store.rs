//! A node's store: the log is the truth, views are made from it, one group of work costs one sync.
//!
//! Purpose: everything that a node keeps passes [`Store::step`]: what it writes itself, what it receives, who belongs to the
//! store. The step is a function of the store, the time and the batch: no thread, no clock, no randomness of its own. In
//! production [`StoreThread`] runs it on one named thread; simulations call it inline.
//!
//! Invariants, in the order in which a group goes: judged (journal rules, signatures) → written to the log → folded into
//! rows that nobody sees, while the log is synced, once → rows, heads and members shown, replies given. So whatever was acknowledged is in
//! the log, synced; what others may take from here ([`StoreReader::frontier`]) is synced; and a failure in between leaves
//! views and heads as they were. An entry is accepted before it is folded; one that cannot be folded is parked with a code.
//! What was written with [`Wait::Memory`] is answered before its sync, and goes with the next one. A hub passes on what came
//! from peers while it is synced; it is told and acknowledged after.
//!
//! Absent on purpose: deciding what an op means (that is the [`Fold`]'s), asking peers for anything, deleting old entries.

mod commit;
mod error;
mod folder;
mod forks;
mod history;
mod open;
mod pace;
mod poison;
mod prune;
mod reader;
mod retry;
mod scrub;
mod sealed;
mod snapshot;
mod stage;
mod tables;
mod thread;

#[cfg(test)]
mod tests;

pub use error::{IngestError, OpenStoreError, ReadStoreError, SaveError};
pub use pace::SlowDisk;
pub use prune::{ArchivedLog, Cut, PruneError, PrunePlan};
pub use reader::StoreReader;
pub use scrub::{Scrub, Scrubbed};
pub use sealed::{Checked, SealError, SealedViews, Verdict};
pub use snapshot::{Incoming, Outgoing, SnapshotError};
pub use thread::{StoreHandle, StoreThread, WallClock};

use std::{collections::BTreeMap, fmt, sync::Arc};

use toko_crdt::{
    Body, EffectId, Entry, Fold, Hash, JournalId, Lane, NodeId, Run, Scope, StoreId,
    book::{Applied, Code, rows::Closed},
    clock::{Clock, Hlc, UnixMicros},
    digest::Digests,
    entry::Saw,
    frontier::{Frontier, Head},
    ids::EntryRef,
    member::{Members, Statement, StatementError},
    sign::{PublicKey, SecretKey},
};

use folder::Folder;
use poison::Poison;

use crate::{
    disk::Disk,
    log::{Log, LogConfig, MadeSegment, SegmentJob},
    views::{Flush, FlushError, Flushed, Views},
};

/// What a store needs to open.
pub struct StoreSetup {
    /// Where log and views lie. Nobody else may use it meanwhile.
    pub disk: Arc<dyn Disk>,
    /// The store's root key.
    pub root: PublicKey,
    /// This node's key.
    pub key: SecretKey,
    /// Draws a run at random: once at the first append of this process, and again if its journal turns out forked.
    pub mint_run: Box<dyn FnMut() -> Run + Send>,
    /// What ops mean.
    pub fold: Arc<dyn Fold>,
    /// Who may write what.
    pub scope: Arc<dyn Scope>,
    /// Sizes.
    pub config: StoreConfig,
}

/// Sizes of a store.
#[derive(Clone, Copy, Debug)]
pub struct StoreConfig {
    /// How the log lies on disk.
    pub log: LogConfig,
    /// What the database keeps of its file in memory.
    pub views_cache_bytes: usize,
    /// Views that wait in memory for the database: from here on a checkpoint is worth it, once a second at most. *Cost*: a start
    /// after a crash folds again what waited, some 80 sales of eight lines with their carts for each MiB.
    pub waiting_bytes_soft: usize,
    /// From here on it does not wait for its second.
    pub waiting_bytes_hurry: usize,
    /// From here on nothing is saved until they have moved: the disk is full.
    pub waiting_bytes_max: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            log: LogConfig::default(),
            views_cache_bytes: 8 << 20,
            waiting_bytes_soft: 12 << 20,
            waiting_bytes_hurry: 16 << 20,
            waiting_bytes_max: 24 << 20,
        }
    }
}

/// Work for one step.
#[derive(Clone, Debug)]
pub enum Request {
    /// Write an entry of this node.
    Append(Box<Append>),
    /// Take in a stretch of one journal, from a peer.
    Ingest(Vec<Entry>),
    /// Take in statements about members, from enrolment or a peer. Offer root's first.
    Statements(Vec<Statement>),
    /// Nothing: the reply shows that the store still works. It needs no disk.
    Probe,
    /// Try parked effects again, whatever their codes.
    Retry(Vec<EffectId>),
}

/// An entry to be written by this node.
#[derive(Clone, Debug)]
pub struct Append {
    /// Which journal of this run.
    pub lane: Lane,
    /// What it says.
    pub body: Body,
    /// What its author had seen, where that matters.
    pub saw: Option<Saw>,
    /// When the answer comes.
    pub wait: Wait,
}

/// When an append is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// When it would survive a power cut: sales, tenders, parking, hand-over.
    Synced,
    /// At once; durable with the next group or checkpoint, a second at most: lines of a cart.
    Memory,
}

/// What came of a [`Request`], in the order of the batch.
#[derive(Debug)]
pub enum Reply {
    /// Of [`Request::Append`].
    Appended(Result<Appended, SaveError>),
    /// Of [`Request::Ingest`].
    Ingested(Result<Ingested, IngestError>),
    /// Of [`Request::Statements`]: for each whether it was new, or why it was not taken.
    Statements(Result<Vec<Result<bool, StatementError>>, SaveError>),
    /// Of [`Request::Probe`].
    Alive(Result<(), SaveError>),
    /// Of [`Request::Retry`], in its order: what came of each; `None` for what is not parked.
    Retried(Result<Vec<Option<Applied>>, SaveError>),
}

/// An entry that this node wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appended {
    /// Its hash, which is also the id of its effect.
    pub hash: Hash,
    /// Where it stands.
    pub place: EntryRef,
    /// When, by the hybrid clock.
    pub at: Hlc,
    /// Why it is not in the views, if it is not.
    pub parked: Option<Code>,
}

/// What came of a stretch of a journal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ingested {
    /// Entries that were new, and are durable now.
    pub accepted: usize,
    /// Entries that were here already.
    pub known: usize,
    /// Entries above the end of a closed journal: they travel as `Carried`.
    pub above_close: usize,
    /// Of the new ones, those that are parked.
    pub parked: usize,
    /// The stretch proved that the journal is forked; the proof is written.
    pub forked: bool,
}

/// The store of one node. One owner; others read through its [`StoreReader`].
pub struct Store {
    key: SecretKey,
    node: NodeId,
    mint_run: Box<dyn FnMut() -> Run + Send>,
    fold: Arc<dyn Fold>,
    scope: Arc<dyn Scope>,
    config: StoreConfig,
    disk: Arc<dyn Disk>,
    log: Log,
    views: Views,
    clock: Clock,
    /// This process's run, once something was appended.
    run: Option<Run>,
    /// The run before it, per lane.
    last_runs: BTreeMap<Lane, Run>,
    heads: Arc<Frontier>,
    /// What was folded before, while views are made from sealed ones and the log is gone over: up to here nothing is folded.
    below: Arc<Frontier>,
    /// Lines of `heads` that are written but not synced.
    unsynced: BTreeMap<JournalId, Option<Head>>,
    members: Arc<Members>,
    closed: BTreeMap<JournalId, Closed>,
    /// Journals that were closed just now; what we hold above is to be carried.
    closings: Vec<JournalId>,
    digests: Digests,
    poison: Arc<Poison>,
    folder: Folder,
    broken: Option<Arc<str>>,
    /// Something was shown that nobody was told of yet.
    has_news: bool,
    reader: StoreReader,
}

impl Store {
    /// Works off a batch as one group: one write, one sync, one change of the views. Replies in the order of the batch.
    ///
    /// Shape: `now` is the wall clock, as good as it is; a group larger than [`Store::GROUP_BYTES_MAX`] becomes several.
    /// Errors: per request. After [`SaveError::Broken`] every later request fails too.
    pub fn step(&mut self, now: UnixMicros, batch: Vec<Request>) -> Vec<Reply> {
        let replies = self.step_quietly(now, batch);
        self.announce();
        replies
    }

    /// The same, and nobody is told yet that something changed: whoever waits for a reply goes first, since peers, who hear of
    /// it, keep the processor busy for longer than an answer takes.
    fn step_quietly(&mut self, now: UnixMicros, batch: Vec<Request>) -> Vec<Reply> {
        let mut replies = Vec::with_capacity(batch.len());
        let mut group = stage::Group::default();
        let bytes_max = Self::GROUP_BYTES_MAX.min(self.log.append_bytes_max() / 2);
        for request in batch {
            if group.bytes() + stage::request_bytes(&request) > bytes_max
                || matches!(request, Request::Retry(_))
            {
                self.close_group(now, std::mem::take(&mut group), &mut replies);
            }
            let reply = self.stage(now, &mut group, replies.len(), request);
            replies.push(reply);
        }
        self.close_group(now, group, &mut replies);
        replies
    }

    /// The most bytes that one group writes.
    pub const GROUP_BYTES_MAX: u64 = 4 << 20;

    /// Writes a group, then what follows from it (a fork that came to light closes a journal).
    fn close_group(&mut self, now: UnixMicros, mut group: stage::Group, replies: &mut [Reply]) {
        loop {
            self.finish_group(group, replies);
            group = self.follow_up(now);
            if group.is_empty() {
                return;
            }
        }
    }

    /// Moves views into the database and syncs it, and makes the log ready for what comes: the whole checkpoint, here and
    /// now. Call it when [`Store::wants_checkpoint`] says so where [`Store::start_checkpoint`] is not used.
    ///
    /// Errors: [`SaveError::DiskFull`] as a warning; the rest as in [`Store::step`].
    pub fn checkpoint(&mut self) -> Result<(), SaveError> {
        self.keep_up()?;
        if let Err(error) = self.log.prepare() {
            tracing::warn!(err = %error, "the next part of the log could not be made ready");
        }
        match self.start_checkpoint()? {
            Some(flush) => self.finish_checkpoint(flush.run()),
            None => Ok(()),
        }
    }

    /// Syncs what was only in memory, and takes back the head-room that a full disk cost. Call it once a second.
    pub fn keep_up(&mut self) -> Result<(), SaveError> {
        self.usable()?;
        self.sync_log()?;
        self.log.keep_reserve();
        Ok(())
    }

    /// What makes the next part of the log, on any thread, if it is time for that.
    pub fn start_segment(&mut self) -> Option<SegmentJob> {
        self.log.start_segment()
    }

    /// Takes in what a [`SegmentJob`] made.
    pub fn finish_segment(&mut self, made: MadeSegment) {
        if let Err(error) = self.log.finish_segment(made) {
            tracing::warn!(err = %error, "the next part of the log could not be made ready");
        }
    }

    /// Begins a checkpoint: syncs the log, and sets views aside for a [`Flush`] on another thread.
    pub fn start_checkpoint(&mut self) -> Result<Option<Flush>, SaveError> {
        self.usable()?;
        self.sync_log()?;
        Ok(self.views.start_flush())
    }

    /// Ends a checkpoint with what its [`Flush`] answered.
    pub fn finish_checkpoint(&mut self, flushed: Flushed) -> Result<(), SaveError> {
        match self.views.finish(flushed) {
            Ok(_) => Ok(()),
            Err(FlushError::DiskFull) => {
                self.log.release_reserve();
                Err(SaveError::DiskFull)
            }
            Err(FlushError::Failed { why }) => {
                if let Err(error) = Views::discard(&*self.disk) {
                    tracing::warn!(err = %error, "the views' file could not be removed");
                }
                Err(self.break_down(&why))
            }
        }
    }

    /// Whether enough rows have gathered that moving them into the database is worth it.
    ///
    /// A checkpoint writes a page for nearly each row that it touches, so rare and large ones cost the disk far less than
    /// frequent and small ones; what a start has to fold again grows with it.
    pub fn wants_checkpoint(&self) -> bool {
        self.views.waiting_bytes() > self.config.waiting_bytes_soft
    }

    /// Whether a checkpoint should not wait for its second.
    pub fn hurries_checkpoint(&self) -> bool {
        self.views.waiting_bytes() > self.config.waiting_bytes_hurry
    }

    /// Whether appending must wait until views have moved into the database.
    pub fn must_checkpoint(&self) -> bool {
        self.views.waiting_bytes() > self.config.waiting_bytes_max
    }

    /// A handle for reading, on any thread.
    pub fn reader(&self) -> StoreReader {
        self.reader.clone()
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// This process's run, once something was appended.
    pub fn run(&self) -> Option<Run> {
        self.run
    }

    /// Why nothing is saved any more, if so.
    pub fn broken(&self) -> Option<Arc<str>> {
        self.broken.clone().or_else(|| self.log.broken())
    }

    /// Whether the reserved file that is given up on a full disk is there.
    pub fn has_reserve(&self) -> bool {
        self.log.has_reserve()
    }

    fn store_id(&self) -> StoreId {
        *self.members.store()
    }

    fn usable(&self) -> Result<(), SaveError> {
        match self.broken() {
            Some(why) => Err(SaveError::Broken { why }),
            None => Ok(()),
        }
    }

    fn break_down(&mut self, why: &str) -> SaveError {
        tracing::error!(%why, "the store failed; nothing is saved any more");
        let why: Arc<str> = why.into();
        self.broken.get_or_insert_with(|| Arc::clone(&why));
        SaveError::Broken { why }
    }
}

impl fmt::Debug for StoreSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreSetup").field("disk", &self.disk).finish_non_exhaustive()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("node", &self.node).field("run", &self.run).finish_non_exhaustive()
    }
}
