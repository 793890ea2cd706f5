//! The tick between two that both say [`Frame::Pulse`]: a root, and lines only where the roots stay different.
//!
//! In a shop everybody hears everything from the hub, so a second later all hold the same: telling it line by line, on every
//! link and both ways, would cost more than the sales themselves. What is on its way makes roots differ for a moment; only
//! when they differ twice in a row are lines told, and only those that the peer may lack. Where they go on differing, each
//! fourth time is as it is with a peer that knows no pulse: all that it was not told, with the root of all, so that what was
//! misunderstood comes to light.
//!
//! Whoever hears one answers with its own, unless it said one a moment ago: so of two ticks in each second one is left out, and
//! the answer takes the word along that the question came.
//!
//! An author hears at once that its entry is safe here too. Whoever only carries it to us hears it by the next root that both
//! have, by lines where roots differ, or after [`OWED_BYTES_MAX`].

use super::Session;
use super::api::{Output, Violation};
use crate::proto::frame::Frame;
use std::collections::BTreeSet;
use toko_crdt::clock::UnixMicros;
use toko_crdt::{Hash, JournalId};

/// How much may have come from a peer without a word that it is safe: far less than the window of the peer.
const OWED_BYTES_MAX: usize = 32 * 1024;
/// From so many different roots in a row on, lines are told.
const APART_MIN: u32 = 2;
/// So long after one no other is said: more than half of a second, so that of two clocks one leads and the other follows, and
/// few enough that a peer whose question is lost is heard from long before it counts as silent.
const LATELY_MICROS: i64 = 600_000;
/// Each so many different roots in a row, the peer is told as one that knows no pulse.
const CHECK_EVERY: u32 = 4;

#[derive(Debug, Default)]
pub(super) struct Pulses {
    /// Whether ours was ever said, so that the peer knows that we know them.
    said: bool,
    /// Whether one was heard.
    heard: bool,
    /// When this was said last.
    said_at: Option<UnixMicros>,
    /// How many in a row were not our root.
    apart: u32,
    /// Journals of which something is safe here that the peer only carried, and was not told so.
    owed: BTreeSet<JournalId>,
    owed_bytes: usize,
}

impl Session {
    /// A second went by, or the peer's pulse came.
    pub(super) fn beat(&mut self) {
        let lately = |at: UnixMicros| self.now.0.saturating_sub(at.0) < LATELY_MICROS;
        if self.pulses.heard && self.pulses.said_at.is_some_and(lately) {
            return;
        }
        self.pulses.said_at = Some(self.now);
        if !self.pulses.heard {
            self.tell_or_root();
        }
        if self.pulses.heard || !self.pulses.said {
            self.pulses.said = true;
            let root = self.telling.root();
            self.send(Frame::Pulse { root, members: self.roll.root() });
        }
    }

    /// What changed, with the root, or the root alone.
    fn tell_or_root(&mut self) {
        self.soon.retain(|journal| !self.telling.is_untold(journal));
        let frames = self.telling.tell_changes();
        if frames.is_empty() {
            let root = self.telling.root();
            self.send(Frame::Root { root, members: self.roll.root() });
        }
        self.send_all(frames);
    }

    /// The peer's root of this second.
    pub(super) fn pulse(&mut self, root: Hash, members: Hash) -> Result<(), Violation> {
        let first = !self.pulses.heard;
        self.compare(root, members);
        if !first {
            self.beat();
        }
        Ok(())
    }

    fn compare(&mut self, root: Hash, members: Hash) {
        self.pulses.heard = true;
        let statements = self.roll.compare(members);
        self.send_all(statements);
        let Some(moved) = self.telling.meet(root) else {
            return self.differs();
        };
        let Pulses { said, said_at, .. } = self.pulses;
        self.pulses = Pulses { said, said_at, heard: true, ..Pulses::default() };
        self.counters.resyncs = 0;
        for (journal, head) in moved.lines() {
            self.server.acked(journal, head.seq);
            self.puller.review(self.now, &self.telling, journal);
        }
        if !moved.is_empty() {
            self.out.push_back(Output::PeerHolds(moved));
        }
    }

    fn differs(&mut self) {
        self.pulses.apart = self.pulses.apart.saturating_add(1);
        if self.pulses.apart.is_multiple_of(CHECK_EVERY) {
            self.settle_debts();
            self.tell_or_root();
        } else if self.pulses.apart >= APART_MIN || !self.hub_alive {
            self.settle_debts();
            self.soon.extend(self.telling.untold_beyond());
        }
    }

    /// Something of a journal came by the peer and is durable: it is told so, soon or by and by.
    pub(super) fn acknowledge(&mut self, journal: JournalId, bytes: usize) {
        if !self.pulses.heard || journal.node == self.config.peer {
            self.soon.insert(journal);
            return;
        }
        self.pulses.owed.insert(journal);
        self.pulses.owed_bytes += bytes;
        if self.pulses.owed_bytes >= OWED_BYTES_MAX {
            self.settle_debts();
        }
    }

    fn settle_debts(&mut self) {
        self.pulses.owed_bytes = 0;
        self.soon.append(&mut self.pulses.owed);
    }
}
