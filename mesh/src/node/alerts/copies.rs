//! Copies of a node's directory, as its runs tell them: clones and restored backups.

use crate::node::shared::Shared;
use std::collections::{BTreeMap, BTreeSet};
use toko_crdt::body::Continued;
use toko_crdt::book::rows;
use toko_crdt::clock::Hlc;
use toko_crdt::frontier::Frontier;
use toko_crdt::ids::EntryRef;
use toko_crdt::{JournalId, KvError, KvRead, Lane, NodeId, Run};

/// What the runs of a node say about copies of its directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Copy {
    /// Two directories were written side by side.
    Clone,
    /// An older directory was put back.
    Restore {
        /// Entries that it did not have.
        lost: u64,
    },
}

/// A finding, and the two runs that show it.
pub(super) type Finding = (Copy, [Run; 2]);

/// All findings about a node, each once.
pub(super) fn copies(
    shared: &Shared,
    kv: &dyn KvRead,
    node: &NodeId,
    frontier: &Frontier,
) -> Result<Vec<Finding>, KvError> {
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
    out.sort_unstable();
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
    fn judge(&self) -> Vec<Finding> {
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
                    out.push((self.judge_pair(*run, before, seq), [*run, before]));
                }
                let earlier = runs.iter().take(nth);
                out.extend(earlier.map(|earlier| (self.judge_pair(*run, *earlier, 0), [*run, *earlier])));
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
            // Where the beginning is in a snapshot only, which came first is not known: the milder word.
            if begun.is_some() && held > behind && (self.at)(run, held) > begun {
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
        let found = Runs { runs: &all, held: &held, at: &at }.judge();
        found.into_iter().map(|(copy, _)| copy).collect()
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
