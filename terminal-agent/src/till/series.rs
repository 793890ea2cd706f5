//! Which series receipts are numbered in: gap-free, never reused, also where this directory was copied or restored.
//!
//! Every process run of a node says in its first entry where the one before it ended. As long as these make one chain, there
//! is one directory. Two runs that continue the same one are two directories of one node: a clone, or a restored backup
//! beside what came after it. Then each opens a series of its own, named after its run. The tag on each receipt tells two
//! receipts apart whose number was printed twice before anybody could know. A disk that spoilt what it had kept may have
//! spoilt the last numbers, so a series of its own begins there as well, at once.

use std::collections::BTreeMap;
use toko_crdt::Run;
use toko_crdt::body::Continued;

use crate::desk::SeriesNote;

/// The series of a terminal that was never copied.
pub const FIRST: u32 = 1;
/// Series of their own begin here and go up to six digits.
const OWN_FROM: u32 = 1_000;
const OWN_TO: u32 = 1_000_000;

/// The runs of this node, as far as this directory knows: what each continued.
pub(super) type Runs = [(Run, Option<Continued>)];

/// Decides the series to number in. `now` is the run that numbers; `None` before its first entry, when nothing of this
/// process is known to anybody.
///
/// Returns the note to keep, if it is another one than `noted`.
#[must_use]
pub(super) fn decide(runs: &Runs, now: Option<Run>, noted: Option<SeriesNote>) -> Option<SeriesNote> {
    let before: BTreeMap<Run, Option<Run>> =
        runs.iter().map(|(run, from)| (*run, from.map(|from| from.run))).collect();
    let now = now.filter(|run| before.contains_key(run))?;
    let mine = chain(&before, now, noted.map(|note| note.since));
    let rooted = match noted {
        Some(note) => mine.contains(&note.since),
        None => true,
    };
    let branched = before.iter().any(|(run, from)| {
        let from_mine = match from {
            Some(from) => mine.contains(from),
            // A second beginning, beside the one of a chain that reaches back to its own.
            None => noted.is_none(),
        };
        from_mine && !mine.contains(run)
    });
    if (rooted && !branched) || toko_crdt::mutant!("number-as-the-copy-does") {
        return None;
    }
    Some(SeriesNote { series: own(now), since: now, spoilt: noted.and_then(|note| note.spoilt) })
}

/// The note of a series that begins because of what the disk spoilt, unless one did already.
#[must_use]
pub(super) fn after_damage(spoilt: Option<u64>, now: Option<Run>, noted: SeriesNote) -> Option<SeriesNote> {
    let what = spoilt.filter(|_| spoilt != noted.spoilt && !toko_crdt::mutant!("number-on-after-damage"))?;
    let now = now.unwrap_or(Run(what));
    Some(SeriesNote { series: own(now), since: now, spoilt })
}

/// The runs from `now` back to `since`, or to the beginning.
fn chain(before: &BTreeMap<Run, Option<Run>>, now: Run, since: Option<Run>) -> Vec<Run> {
    let mut mine = Vec::new();
    let mut at = Some(now);
    while let Some(run) = at.filter(|run| !mine.contains(run)) {
        mine.push(run);
        at = if Some(run) == since { None } else { before.get(&run).copied().flatten() };
    }
    mine
}

fn own(run: Run) -> u32 {
    let room = u64::from(OWN_TO - OWN_FROM);
    OWN_FROM + u32::try_from(run.0 % room).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use toko_crdt::Hash;
    use toko_crdt::frontier::Head;

    fn run(number: u64, after: Option<(u64, u64)>) -> (Run, Option<Continued>) {
        let from =
            after.map(|(run, seq)| Continued { run: Run(run), head: Head { seq, hash: Hash([7; 32]) } });
        (Run(number), from)
    }

    #[test]
    fn one_chain_of_runs_stays_in_its_series() {
        let runs = [run(5, None), run(3, Some((5, 9))), run(8, Some((3, 2)))];
        assert_eq!(decide(&runs, Some(Run(8)), None), None);
        assert_eq!(decide(&runs, None, None), None, "nothing of this run is known yet");
        assert_eq!(decide(&[], None, None), None);
    }

    #[test]
    fn two_runs_after_one_are_two_directories_and_each_opens_its_own() {
        let runs = [run(5, None), run(3, Some((5, 9))), run(8, Some((5, 9)))];
        let here = decide(&runs, Some(Run(3)), None).unwrap();
        let there = decide(&runs, Some(Run(8)), None).unwrap();
        assert_ne!(here.series, there.series);
        assert!(here.series >= OWN_FROM && there.series >= OWN_FROM);
        assert_eq!(decide(&runs, Some(Run(3)), Some(here)), None, "once is enough");
        let later = [runs.as_slice(), &[run(4, Some((3, 7)))]].concat();
        assert_eq!(decide(&later, Some(Run(4)), Some(here)), None, "its next run goes on in it");
    }

    #[test]
    fn a_restored_directory_opens_a_series_although_the_heads_differ() {
        // Run 3 continued 5 at its end; the backup knew 5 only up to 4, and continued there.
        let runs = [run(5, None), run(3, Some((5, 9))), run(8, Some((5, 4)))];
        assert!(decide(&runs, Some(Run(8)), None).is_some());
    }

    #[test]
    fn a_copy_of_a_copy_opens_another_one() {
        let note = SeriesNote { series: 4_711, since: Run(3), spoilt: None };
        let runs = [
            run(5, None),
            run(3, Some((5, 9))),
            run(8, Some((5, 9))),
            run(4, Some((3, 2))),
            run(6, Some((3, 2))),
        ];
        let again = decide(&runs, Some(Run(6)), Some(note)).unwrap();
        assert_eq!(again.since, Run(6));
    }

    #[test]
    fn a_note_of_another_directory_is_not_believed() {
        let runs = [run(5, None), run(3, Some((5, 9)))];
        assert!(
            decide(&runs, Some(Run(3)), Some(SeriesNote { series: 9, since: Run(77), spoilt: None }))
                .is_some()
        );
    }

    #[test]
    fn what_the_disk_spoilt_opens_one_series_each_time() {
        let first = SeriesNote { series: FIRST, since: Run(0), spoilt: None };
        assert_eq!(after_damage(None, Some(Run(8)), first), None);
        let note = after_damage(Some(5), Some(Run(8)), first).unwrap();
        assert!(note.series >= OWN_FROM);
        assert_eq!(after_damage(Some(5), Some(Run(9)), note), None, "the next start goes on in it");
        assert_eq!(after_damage(None, Some(Run(9)), note), None, "somebody removed the files");
        assert!(after_damage(Some(6), Some(Run(9)), note).is_some());
        let runs = [run(7, None), run(8, Some((7, 4)))];
        assert_eq!(decide(&runs, Some(Run(8)), Some(note)), None);
    }

    #[test]
    fn two_beginnings_are_a_copy_from_before_the_first_entry() {
        let runs = [run(5, None), run(3, None)];
        assert!(decide(&runs, Some(Run(3)), None).is_some());
    }
}
