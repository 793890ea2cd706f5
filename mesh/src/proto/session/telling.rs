//! What each side has told the other of its durable frontier.
//!
//! A frontier is told once as a whole and then by the lines that changed. Where both open with equal roots nothing is told
//! at all. Roots are hashed only when something changed, so that an idle link costs no hashing.
//!
//! Where both went over the same seal, a frontier here is what differs from the one of that seal: neither tells nor hashes the
//! lines of runs that ended before. Both hold all that it covers for as long as they talk.

use crate::proto::frame::{Frame, LINES_MAX, Lanes, Lines};
use std::collections::BTreeSet;
use std::sync::Arc;
use toko_crdt::frontier::{self, Frontier, Head};
use toko_crdt::{Hash, JournalId};

/// Both frontiers, of the lanes on this link.
#[derive(Debug)]
pub(super) struct Telling {
    lanes: Lanes,
    /// What both hold, and neither says.
    base: Arc<Frontier>,
    ours: Frontier,
    ours_root: Option<Hash>,
    /// Lines of ours that changed since the peer was told.
    untold: BTreeSet<JournalId>,
    theirs: Frontier,
    theirs_root: Option<Hash>,
    /// What we held when we sent our first root; gone once the peer's first root is here.
    opening: Option<Frontier>,
    /// A whole telling of theirs is expected; roots are not compared before it comes.
    whole_expected: bool,
}

/// What became of lines that the peer told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// They fit.
    Fits,
    /// They do not give the root that they should.
    Mismatch,
    /// More than a frontier may have.
    TooMany,
}

impl Telling {
    pub(super) fn new(ours: &Frontier, lanes: Lanes) -> Self {
        Self {
            lanes,
            base: Arc::default(),
            ours: ours.of_lanes(lanes.list()),
            ours_root: None,
            untold: BTreeSet::new(),
            theirs: Frontier::default(),
            theirs_root: None,
            opening: None,
            whole_expected: false,
        }
    }

    /// The lanes are agreed on: from here on nothing of another lane is told.
    pub(super) fn restrict(&mut self, lanes: Lanes) {
        self.lanes = lanes;
        self.ours = self.ours.of_lanes(lanes.list());
    }

    /// It is agreed what both hold, if anything. Gives our first root.
    pub(super) fn open(&mut self, base: Option<&Arc<Frontier>>) -> Hash {
        if let Some(base) = base {
            // All links share one; only one of fewer lanes is a copy.
            self.base = match self.lanes {
                Lanes::All => Arc::clone(base),
                lanes => Arc::new(base.of_lanes(lanes.list())),
            };
            self.ours = self.ours.delta(&self.base);
        }
        self.ours_root = None;
        self.untold.clear();
        self.opening = Some(self.ours.clone());
        self.root()
    }

    /// The peer's first root. `true` if both held the same, and so know of each other what they hold.
    pub(super) fn opened(&mut self, root: Hash) -> bool {
        let Some(opening) = self.opening.take() else { return false };
        let equal = opening.root() == root;
        if equal {
            self.theirs = opening;
            self.theirs_root = Some(root);
        } else {
            self.whole_expected = true;
        }
        equal
    }

    pub(super) fn lanes(&self) -> Lanes {
        self.lanes
    }

    pub(super) fn ours(&self, journal: &JournalId) -> Option<&Head> {
        self.ours.head(journal).or_else(|| self.base.head(journal))
    }

    pub(super) fn ours_seq(&self, journal: &JournalId) -> u64 {
        self.ours(journal).map_or(0, |head| head.seq)
    }

    pub(super) fn theirs(&self, journal: &JournalId) -> Option<&Head> {
        self.theirs.head(journal).or_else(|| self.base.head(journal))
    }

    pub(super) fn theirs_seq(&self, journal: &JournalId) -> u64 {
        self.theirs(journal).map_or(0, |head| head.seq)
    }

    /// What both hold and neither says.
    pub(super) fn base(&self) -> &Arc<Frontier> {
        &self.base
    }

    /// What the peer told, beside what both hold.
    pub(super) fn theirs_beyond(&self) -> &Frontier {
        &self.theirs
    }

    /// Root of ours. Hashes only if something changed.
    pub(super) fn root(&mut self) -> Hash {
        *self.ours_root.get_or_insert_with(|| self.ours.root())
    }

    /// Moves one line of ours on. `None` if it is no news here: another lane, or not beyond what is known.
    pub(super) fn advance(&mut self, journal: JournalId, head: Head) -> Option<u64> {
        let before = self.ours_seq(&journal);
        if !self.lanes.has(journal.lane) || head.seq <= before {
            return None;
        }
        place(&mut self.ours, &self.base, journal, head);
        self.ours_root = None;
        self.untold.insert(journal);
        Some(before)
    }

    /// Whether something that both hold and neither says is not in `ours`, or not as it was.
    pub(super) fn loses_base(&self, ours: &Frontier) -> bool {
        let ours = ours.of_lanes(self.lanes.list());
        self.base.lines().any(|(journal, head)| ours.head(journal).is_none_or(|new| new.seq < head.seq))
    }

    /// Whether some line of ours is missing in `ours`, or lower there.
    pub(super) fn goes_back(&self, ours: &Frontier) -> bool {
        if toko_crdt::mutant!("never-tell-less") {
            return false;
        }
        let lower =
            |(journal, head): (&JournalId, &Head)| ours.head(journal).is_none_or(|new| new.seq < head.seq);
        self.ours.lines().any(lower) || self.base.lines().any(lower)
    }

    /// Replaces all of ours. The next telling is a whole one.
    pub(super) fn replace(&mut self, ours: &Frontier) {
        self.ours = ours.of_lanes(self.lanes.list()).delta(&self.base);
        self.ours_root = None;
        self.untold.clear();
    }

    /// Whether this line changed since the peer was told.
    pub(super) fn is_untold(&self, journal: &JournalId) -> bool {
        self.untold.contains(journal)
    }

    /// Lines that the peer was not told and does not hold.
    pub(super) fn untold_beyond(&self) -> Vec<JournalId> {
        let beyond = |journal: &&JournalId| self.theirs_seq(journal) < self.ours_seq(journal);
        self.untold.iter().filter(beyond).copied().collect()
    }

    /// Frames that tell all of ours from the beginning.
    pub(super) fn tell_whole(&mut self) -> Vec<Frame> {
        self.untold.clear();
        let all = self.ours.lines().map(|(journal, head)| (*journal, *head)).collect();
        let root = self.root();
        frames(all, true, Some(root))
    }

    /// Frames that tell what changed, with the root; none if nothing did.
    pub(super) fn tell_changes(&mut self) -> Vec<Frame> {
        if self.untold.is_empty() {
            return Vec::new();
        }
        let journals = std::mem::take(&mut self.untold);
        let root = self.root();
        frames(self.pick(&journals), false, Some(root))
    }

    /// Frames that tell some lines at once, without the root; the tick checks.
    pub(super) fn tell_some(&mut self, journals: &BTreeSet<JournalId>) -> Vec<Frame> {
        let lines = self.pick(journals);
        for journal in journals {
            self.untold.remove(journal);
        }
        if lines.is_empty() { Vec::new() } else { frames(lines, false, None) }
    }

    fn pick(&self, journals: &BTreeSet<JournalId>) -> Vec<(JournalId, Head)> {
        journals.iter().filter_map(|journal| Some((*journal, *self.ours(journal)?))).collect()
    }

    /// Takes over lines that the peer told.
    pub(super) fn hear(&mut self, told: &Lines) -> Heard {
        if told.whole {
            self.theirs = Frontier::default();
            self.whole_expected = false;
        }
        for (journal, head) in told.lines.lines() {
            place(&mut self.theirs, &self.base, *journal, *head);
        }
        self.theirs_root = None;
        if self.theirs.len() > frontier::LINES_MAX {
            return Heard::TooMany;
        }
        if told.more {
            return Heard::Fits;
        }
        told.root.map_or(Heard::Fits, |root| self.check(root))
    }

    /// The peer's root at this moment. Where it is ours too, both hold the same and nothing need be told: gives the lines by
    /// which the peer had moved on.
    pub(super) fn meet(&mut self, root: Hash) -> Option<Frontier> {
        if self.root() != root {
            return None;
        }
        let moved = self.ours.delta(&self.theirs);
        if self.theirs_root != Some(root) {
            self.theirs = self.ours.clone();
            self.theirs_root = Some(root);
        }
        self.untold.clear();
        Some(moved)
    }

    /// Compares a root of the peer with what it told.
    pub(super) fn check(&mut self, root: Hash) -> Heard {
        if self.whole_expected || *self.theirs_root.get_or_insert_with(|| self.theirs.root()) == root {
            return Heard::Fits;
        }
        self.whole_expected = true;
        Heard::Mismatch
    }
}

/// Sets a line, which is none where it is as both hold it.
fn place(lines: &mut Frontier, base: &Frontier, journal: JournalId, head: Head) {
    match base.head(&journal) {
        Some(known) if *known == head => lines.remove(&journal),
        _ => lines.set(journal, head),
    }
}

/// Cuts lines into frames; only the last one has the root.
fn frames(lines: Vec<(JournalId, Head)>, whole: bool, root: Option<Hash>) -> Vec<Frame> {
    let mut out = Vec::new();
    let mut lines = lines.into_iter().peekable();
    loop {
        let part: Frontier = lines.by_ref().take(LINES_MAX).collect();
        let more = lines.peek().is_some();
        let (whole, root) = (whole && out.is_empty(), root.filter(|_| !more));
        out.push(Frame::Lines(Lines { whole, more, root, lines: part }));
        if !more {
            return out;
        }
    }
}
