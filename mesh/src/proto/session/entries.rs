//! Entries on their way: news of ours out, batches of theirs in, and what the store makes of them.

use super::api::{Fresh, Outcome, Violation};
use super::pull::WANTS_MAX;
use super::serve::JOBS_MAX;
use super::{Session, State};
use crate::proto::frame::{Fragment, Frame};
use std::sync::Arc;
use toko_crdt::entry::ENTRY_BYTES_MAX;
use toko_crdt::frontier::Frontier;
use toko_crdt::{Entry, JournalId};

/// How many bytes of batches may wait for the store: several windows, since the sender counts by acknowledgements and gives
/// up on them after a while.
const PENDING_BYTES_MAX: usize = 4 * ENTRY_BYTES_MAX;
/// After how many batches that prove nothing the peer is left.
const BAD_BATCHES_MAX: u32 = 8;

const _: () = assert!(WANTS_MAX <= JOBS_MAX, "what we ask for at once, a peer must be willing to serve");

impl Session {
    /// This node's frontier moved: push it, announce it, or leave it to the tick.
    pub(super) fn news(&mut self, delta: &Frontier, fresh: &[Fresh]) {
        for (journal, head) in delta.lines() {
            let Some(before) = self.telling.advance(*journal, *head) else { continue };
            self.puller.review(self.now, &self.telling, journal);
            if self.state != State::Settled {
                continue;
            }
            let told = self.telling.theirs_seq(journal);
            let range = (before + 1, head.seq);
            let pushed =
                self.pushing && self.server.push(self.now, *journal, told, range, fresh, &mut self.out);
            if !pushed && !self.hub_alive && told < head.seq {
                self.soon.insert(*journal);
            }
        }
    }

    /// Entries of others are here and not durable yet: whoever is up to date gets them now.
    pub(super) fn came(&mut self, fresh: &[Fresh]) {
        if self.state != State::Settled || !self.pushing {
            return;
        }
        for run in fresh.chunk_by(|one, next| one.journal == next.journal) {
            let journal = run[0].journal;
            if self.telling.lanes().has(journal.lane) {
                let told = self.telling.theirs_seq(&journal);
                self.server.push_ahead(self.now, journal, told, run, &mut self.out);
            }
        }
    }

    /// The peer asks for entries.
    pub(super) fn wanted(&mut self, journal: JournalId, from: u64, to: u64) -> Result<(), Violation> {
        if !self.telling.lanes().has(journal.lane) {
            return Err(Violation::Lane);
        }
        let last = self.telling.ours_seq(&journal);
        if from > last {
            self.send(Frame::NoEntries { journal, from });
            return Ok(());
        }
        if self.server.want(journal, from, to.min(last)) {
            Ok(())
        } else {
            Err(Violation::TooMuch { what: "journals asked for" })
        }
    }

    /// A piece of an entry came.
    pub(super) fn fragment(&mut self, piece: Fragment) -> Result<(), Violation> {
        let journal = piece.journal;
        if !self.telling.lanes().has(journal.lane) {
            return Err(Violation::Lane);
        }
        self.puller.progress(self.now, &journal);
        match self.assembly.add(piece) {
            Ok(None) => Ok(()),
            Ok(Some(entry)) => self.batch(journal, &[entry.into()]),
            Err(_) => Err(Violation::OutOfState { frame: "fragment" }),
        }
    }

    /// Entries came.
    pub(super) fn batch(&mut self, journal: JournalId, encoded: &[Arc<[u8]>]) -> Result<(), Violation> {
        if !self.telling.lanes().has(journal.lane) {
            return Err(Violation::Lane);
        }
        self.counters.batches_in += 1;
        let bytes: usize = encoded.iter().map(|entry| entry.len()).sum();
        let full = self.puller.intake.bytes() + bytes > PENDING_BYTES_MAX;
        if full && !toko_crdt::mutant!("hold-all-that-comes") {
            return Err(Violation::TooMuch { what: "entries before they were acknowledged" });
        }
        let entries: Option<Vec<Entry>> =
            encoded.iter().map(|entry| Entry::decode(&self.config.store, entry).ok()).collect();
        let Some(entries) = entries.filter(|entries| is_row(&journal, entries)) else {
            return self.bad_batch(&journal);
        };
        let Some(last) = entries.last() else { return Ok(()) };
        let (seq, hash) = (last.seq(), last.hash());
        self.server.came(journal, seq);
        if self.telling.ours(&journal).is_some_and(|head| head.seq == seq && head.hash == hash) {
            // It came by another way as well; the peer cannot know.
            self.acknowledge(journal, bytes);
            return Ok(());
        }
        self.puller.progress(self.now, &journal);
        let sizes = encoded.iter().map(|entry| entry.len());
        let ingest = self.puller.intake.take(journal, entries.into_iter().zip(sizes).collect());
        self.out.extend(ingest);
        self.puller.review(self.now, &self.telling, &journal);
        Ok(())
    }

    fn bad_batch(&mut self, journal: &JournalId) -> Result<(), Violation> {
        self.counters.bad_batches += 1;
        self.failed(journal);
        let count = self.counters.bad_batches;
        if count >= BAD_BATCHES_MAX && !toko_crdt::mutant!("bear-bad-batches-for-ever") {
            Err(Violation::BadBatches { count })
        } else {
            Ok(())
        }
    }

    /// What came did not get in.
    pub(super) fn failed(&mut self, journal: &JournalId) {
        self.server.forget(journal);
        self.puller.failed(self.now, &self.telling, journal);
    }

    /// The store has answered.
    pub(super) fn ingested(&mut self, ticket: u64, outcome: Outcome) -> Result<(), Violation> {
        let Some((journal, bytes)) = self.puller.intake.answered(ticket) else { return Ok(()) };
        match outcome {
            Outcome::Held(_) => {
                let next = self.puller.intake.next(&journal);
                self.out.extend(next);
            }
            _ => self.puller.intake.drop_queue(&journal),
        }
        self.puller.answered(self.now, &journal);
        match outcome {
            Outcome::Held(head) => {
                self.telling.advance(journal, head);
                self.acknowledge(journal, bytes);
                self.puller.succeeded(&journal);
                self.puller.review(self.now, &self.telling, &journal);
            }
            Outcome::Bad(_) => return self.bad_batch(&journal),
            Outcome::UnknownAuthor => {
                self.failed(&journal);
                let ask = self.roll.ask(self.now);
                self.send_all(ask.into_iter().collect());
            }
            Outcome::Diverges { seq } => {
                self.failed(&journal);
                let ask = self.puller.ask_place(journal, seq);
                self.send_all(ask.into_iter().collect());
            }
            Outcome::Closed => {
                self.server.forget(&journal);
                self.puller.close(journal);
            }
            Outcome::Gap | Outcome::Fork { .. } | Outcome::Refused => {
                self.failed(&journal);
            }
        }
        Ok(())
    }
}

/// Whether these are consecutive entries of one journal. Chain and signature are the store's business.
fn is_row(journal: &JournalId, entries: &[Entry]) -> bool {
    let of_journal = entries.iter().all(|entry| entry.journal() == journal);
    of_journal && entries.windows(2).all(|pair| pair[1].seq() == pair[0].seq() + 1)
}
