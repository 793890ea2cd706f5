//! What a person should know: copies of one key, forks, a broken disk, doors that stay shut.
//!
//! An alert says what was seen and what to do, never who is guilty. It is derived each time it is asked for, from the views
//! and the board, so that it goes when its cause goes.

use crate::node::seals;
use crate::node::shared::Shared;
use crate::store::SaveError;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;
use toko_crdt::body::Continued;
use toko_crdt::book::rows;
use toko_crdt::clock::Hlc;
use toko_crdt::frontier::Frontier;
use toko_crdt::ids::EntryRef;
use toko_crdt::{JournalId, KvError, KvRead, Lane, NodeId, Run};
use tracing::error;

/// How long two processes of one node must both live before they are called a clone: a restart looks the same until then.
const CLONE_AFTER: Duration = Duration::from_secs(4);

/// What kind of trouble.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum AlertCode {
    /// Two machines work with one node's key.
    CloneSeen,
    /// A node went on from an older state than others hold of it.
    RestoreSeen,
    /// A journal has two continuations and was closed.
    Fork,
    /// The store saves nothing any more.
    DiskBroken,
    /// A peer does not let this node in.
    RefusedByPeer,
    /// Somebody else answers where the hub or headquarters should be.
    WrongPeer,
    /// This node was revoked.
    Revoked,
    /// No hub is known, or several claim one term.
    NoHub,
    /// Entries are kept and not in the books.
    Parked,
    /// At one and the same place, this node and the hub made different things of the books or the floor.
    SealDiffers,
}

impl AlertCode {
    /// A short word for lists and scripts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::CloneSeen => "clone-seen",
            Self::RestoreSeen => "restore-seen",
            Self::Fork => "fork",
            Self::DiskBroken => "disk-broken",
            Self::RefusedByPeer => "refused-by-peer",
            Self::WrongPeer => "wrong-peer",
            Self::Revoked => "revoked",
            Self::NoHub => "no-hub",
            Self::SealDiffers => "seal-differs",
            Self::Parked => "parked-entries",
        }
    }

    /// What a person should do about it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::CloneSeen => {
                "find the second machine with a copy of this data directory, stop it, and enrol it as a terminal of its own"
            }
            Self::RestoreSeen => {
                "nothing is lost: its peers give back what the copy lacked; check why an old copy was started"
            }
            Self::Fork => {
                "nothing is lost: both branches count; find out whether a machine was copied while it ran"
            }
            Self::DiskBroken => "check the disk of this machine, then start it again",
            Self::RefusedByPeer => {
                "see on the hub whether this node was revoked; otherwise wait until the peer has caught up"
            }
            Self::WrongPeer => {
                "nothing was exchanged: check the address in the configuration; if this machine moved to another store, enrol it there as a new terminal"
            }
            Self::Revoked => {
                "this node no longer belongs to the store; enrol it as a new terminal if it should"
            }
            Self::SealDiffers => {
                "nothing is lost, the journals are whole: check disk and memory of that machine, stop it, set its files views.redb and sealed.redb aside, start it, and seal again with hubctl seal"
            }
            Self::NoHub => "start the hub, or make another machine the hub with the recovery code",
            Self::Parked => {
                "nothing is lost and nothing waits for them: look at hubctl quarantine list on the hub"
            }
        }
    }
}

impl fmt::Display for AlertCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One thing that a person should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alert {
    /// What kind.
    pub code: AlertCode,
    /// About whom, where it is about a node.
    pub node: Option<NodeId>,
    /// What was seen.
    pub what: String,
}

/// Everything that a person should know now.
pub(super) fn alerts(
    shared: &Shared,
    kv: &dyn KvRead,
    alive: &Result<(), SaveError>,
) -> Result<Vec<Alert>, KvError> {
    let mut out = Vec::new();
    let mut note = |code, node, what| out.push(Alert { code, node, what });
    if let Err(SaveError::Broken { why }) = alive {
        note(AlertCode::DiskBroken, None, why.to_string());
    }
    let members = shared.members.now();
    if members.revoked(&shared.node).is_some() {
        note(AlertCode::Revoked, Some(shared.node), "the hub ended this node's membership".into());
    }
    if members.hub().is_none() {
        note(AlertCode::NoHub, None, "no statement names a hub that stands".into());
    }
    let frontier = shared.store.reader().frontier();
    let (mut clones, mut refused, mut strangers) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
    {
        let board = shared.board();
        clones.extend(board.clones.iter().copied());
        refused.extend(board.refused_by.iter().map(|(node, why)| (*node, why.clone())));
        strangers.extend(board.strangers.iter().filter(|(node, _)| !board.is_linked(node)));
    }
    for node in &clones {
        note(AlertCode::CloneSeen, Some(*node), "two processes with its key were linked at one time".into());
    }
    for (node, why) in refused {
        note(AlertCode::RefusedByPeer, Some(node), why);
    }
    for (node, addr) in strangers {
        let whom = if members.roles(&node).headquarters { "headquarters" } else { "hub" };
        note(AlertCode::WrongPeer, Some(node), format!("who answers at {addr} is not this store's {whom}"));
    }
    for node in members.nodes() {
        for finding in copies(shared, kv, &node, &frontier)? {
            match finding {
                Copy::Clone if !clones.contains(&node) => {
                    let what = "two of its runs continue one and the same entry".into();
                    note(AlertCode::CloneSeen, Some(node), what);
                }
                Copy::Clone => {}
                Copy::Restore { lost } => {
                    let what = format!("a run began {lost} entries below what is held of the run before");
                    note(AlertCode::RestoreSeen, Some(node), what);
                }
            }
        }
    }
    for closed in rows::closed_all(kv)? {
        let what = format!("journal {:?} has two continuations after entry {}", closed.journal, closed.at);
        note(AlertCode::Fork, Some(closed.journal.node), what);
    }
    let parked = parked_words(&rows::parked_all(kv)?);
    out.extend(parked.map(|what| Alert { code: AlertCode::Parked, node: None, what }));
    for (node, what) in seals::differences(shared, kv, &members)? {
        out.push(Alert { code: AlertCode::SealDiffers, node: Some(node), what });
    }
    out.sort_by_key(|alert| (alert.code, alert.node));
    out.dedup_by_key(|alert| (alert.code, alert.node, alert.what.clone()));
    Ok(out)
}

/// How many entries are parked with which code.
fn parked_words(parked: &[rows::Parked]) -> Option<String> {
    let mut counts = BTreeMap::<_, usize>::new();
    parked.iter().for_each(|parked| *counts.entry(parked.code).or_default() += 1);
    let each: Vec<String> = counts.iter().map(|(code, count)| format!("{count} {code}")).collect();
    (!each.is_empty()).then(|| format!("kept, and not in the books: {}", each.join(", ")))
}

/// What the runs of a node say about copies of its directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Copy {
    Clone,
    Restore { lost: u64 },
}

fn copies(
    shared: &Shared,
    kv: &dyn KvRead,
    node: &NodeId,
    frontier: &Frontier,
) -> Result<Vec<Copy>, KvError> {
    let mut out = Vec::new();
    for lane in Lane::ALL {
        let journal = |run| JournalId { node: *node, run, lane };
        let held = |run| frontier.head(&journal(run)).map_or(0, |head| head.seq);
        let at = |run, seq| {
            let entry = shared.store.reader().entry(EntryRef { journal: journal(run), seq });
            Some(entry.ok()??.at())
        };
        let runs = rows::continuations(kv, node, lane)?;
        out.extend(Runs { runs: &runs, held: &held, at: &at }.judge());
    }
    out.dedup();
    Ok(out)
}

/// All runs of a node in one lane.
///
/// Where a run begins although the one before it went on otherwise, there are two directories. If what went on otherwise had
/// come to an end before, by the hybrid clock, then the run's directory is an older one that was put back: a restore. If
/// both wrote side by side they are a clone. The clock only chooses the words; that there are two is known from the chain.
struct Runs<'a> {
    runs: &'a [(Run, Option<Continued>)],
    /// How many entries of a run are held.
    held: &'a dyn Fn(Run) -> u64,
    /// When an entry was written.
    at: &'a dyn Fn(Run, u64) -> Option<Hlc>,
}

impl Runs<'_> {
    fn judge(&self) -> Vec<Copy> {
        let mut out = Vec::new();
        let mut begun_at: BTreeMap<_, Vec<Run>> = BTreeMap::new();
        for (run, before) in self.runs {
            begun_at.entry(before.map(|before| (before.run, before.head.seq))).or_default().push(*run);
        }
        // Restarts make one chain, so nothing but copies costs a look at the log.
        for (place, mut runs) in begun_at {
            if runs.len() > 1 {
                runs.sort_by_key(|run| ((self.at)(*run, 1), *run));
            }
            for (nth, run) in runs.iter().enumerate() {
                if let Some((before, seq)) = place.filter(|(before, seq)| (self.held)(*before) > *seq) {
                    out.push(self.judge_pair(*run, before, seq));
                }
                out.extend(runs.iter().take(nth).map(|earlier| self.judge_pair(*run, *earlier, 0)));
            }
        }
        out
    }

    /// A run, against what `other` wrote behind its entry `behind`, its later runs included.
    fn judge_pair(&self, run: Run, other: Run, behind: u64) -> Copy {
        let begun = (self.at)(run, 1);
        let (mut lost, mut seen) = (0, BTreeSet::new());
        let mut next = vec![(other, behind)];
        while let Some((run, behind)) = next.pop() {
            if !seen.insert(run) {
                continue;
            }
            let held = (self.held)(run);
            if held > behind && (self.at)(run, held) > begun {
                return Copy::Clone;
            }
            lost += held.saturating_sub(behind);
            let later = |(_, before): &&(Run, Option<Continued>)| {
                before.is_some_and(|before| before.run == run && before.head.seq > behind)
            };
            next.extend(self.runs.iter().filter(later).map(|(run, _)| (*run, 0)));
        }
        Copy::Restore { lost }
    }
}

/// Looks whether two processes of one node have been linked for longer than a restart explains.
pub(super) fn watch_for_clones(shared: &Shared) {
    let now = Instant::now();
    let mut board = shared.board();
    let mut alive: BTreeMap<NodeId, BTreeSet<u64>> = BTreeMap::new();
    for line in board.links.values() {
        if let Some((incarnation, since)) = line.greeted
            && now.duration_since(since) >= CLONE_AFTER
        {
            alive.entry(line.peer).or_default().insert(incarnation);
        }
    }
    // Our own twin has our key, so it is a peer with our own name.
    alive.entry(shared.node).or_default().insert(shared.incarnation);
    for (node, incarnations) in alive {
        if incarnations.len() > 1 && board.clones.insert(node) {
            error!(peer = %node.short(), "two machines work with one node's key: a copied data directory");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toko_crdt::Hash;
    use toko_crdt::frontier::Head;

    fn after(run: u64, seq: u64) -> Option<Continued> {
        Some(Continued { run: Run(run), head: Head { seq, hash: Hash([7; 32]) } })
    }

    /// Each run with what it continued, how many entries of it are held, and when its first and its last were written.
    fn judge(runs: &[(u64, Option<Continued>, u64, [u64; 2])]) -> Vec<Copy> {
        let all: Vec<_> = runs.iter().map(|(run, before, ..)| (Run(*run), *before)).collect();
        let of = |run: Run| runs.iter().find(|(number, ..)| Run(*number) == run);
        let held = |run| of(run).map_or(0, |(_, _, held, _)| *held);
        let at = |run, seq| {
            let (_, _, held, [first, last]) = of(run)?;
            let micros = if seq == 1 { *first } else { *last };
            (seq <= *held).then_some(Hlc { micros, tick: 0 })
        };
        Runs { runs: &all, held: &held, at: &at }.judge()
    }

    #[test]
    fn restarts_are_no_copies() {
        let runs = [(1, None, 5, [10, 20]), (2, after(1, 5), 9, [30, 40]), (3, after(2, 9), 1, [50, 50])];
        assert_eq!(judge(&runs), []);
    }

    #[test]
    fn two_runs_that_write_side_by_side_after_one_entry_are_a_clone() {
        let runs = [(1, None, 5, [10, 20]), (2, after(1, 5), 4, [30, 60]), (3, after(1, 5), 4, [40, 50])];
        assert_eq!(judge(&runs), [Copy::Clone]);
        let emptied = [(1, None, 5, [10, 20]), (2, None, 5, [15, 30])];
        assert_eq!(judge(&emptied), [Copy::Clone], "an emptied journal with its key kept");
    }

    #[test]
    fn a_clone_stays_one_when_both_go_on_in_later_runs() {
        let runs = [
            (1, None, 5, [10, 20]),
            (2, after(1, 5), 1, [30, 30]),
            (3, after(1, 5), 1, [40, 40]),
            (4, after(2, 1), 1, [50, 50]),
        ];
        assert_eq!(judge(&runs), [Copy::Clone]);
    }

    #[test]
    fn a_copy_that_was_taken_while_the_terminal_ran_is_a_clone_too() {
        assert_eq!(judge(&[(1, None, 8, [10, 90]), (2, after(1, 5), 2, [50, 60])]), [Copy::Clone]);
    }

    #[test]
    fn a_run_that_begins_below_what_is_held_is_a_restore() {
        assert_eq!(
            judge(&[(1, None, 8, [10, 20]), (2, after(1, 5), 1, [50, 50])]),
            [Copy::Restore { lost: 3 }]
        );
    }

    #[test]
    fn a_backup_of_a_terminal_at_rest_is_a_restore_by_all_that_was_written_since() {
        let runs = [
            (1, None, 5, [10, 20]),
            (2, after(1, 5), 4, [30, 40]),
            (4, after(2, 4), 2, [45, 46]),
            (3, after(1, 5), 7, [50, 60]),
        ];
        assert_eq!(judge(&runs), [Copy::Restore { lost: 6 }]);
    }
}
