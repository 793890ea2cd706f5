//! Entries that kill the process that folds them.
//!
//! A fold that errs or panics is parked at once. One that takes the process along (out of memory, a stack overflow, an abort)
//! would do so again at every start. So while the log's tail is folded at the start, a note on disk says which stretch is
//! being folded; a start that finds such a note knows that the last one died there, and goes over the stretch in smaller
//! pieces, until the note names one entry. That one is marked, parked, and never folded again by itself.
//!
//! This costs a sale nothing: notes are written at a start that has something to fold, not while selling.

use std::{collections::BTreeSet, io, str::FromStr};

use toko_crdt::{Hash, hash::unhex};

use crate::{
    disk::{Disk, read_whole, remove_if_there, replace},
    log::Position,
};

const FOLDING: &str = "folding";
const MARKED: &str = "poison";
/// How many records are folded below one note, at first.
const STRETCH: u64 = 4096;
/// By how much the stretch shrinks each time that the process dies in it.
const SHRINK: u64 = 16;
/// How many records are folded into one change of the views.
const RECORDS_PER_GROUP: u64 = 256;
const NOTE_BYTES_MAX: u64 = 64 << 10;

/// The marked entries. A mark is of one fold: another one tries for itself, as careful as the first.
#[derive(Clone, Debug, Default)]
pub(super) struct Poison {
    fold_version: u32,
    marked: BTreeSet<Hash>,
}

/// Watches over the folding of the tail.
#[derive(Debug)]
pub(super) struct Guard {
    /// Where the last start died, and how many records it was folding from there.
    died_at: Option<(Position, u64)>,
    /// Records that are left of the stretch in which it died, and the pieces in which they are gone over.
    suspicious: u64,
    piece: u64,
    /// Records that are left below the note that is on disk.
    covered: u64,
    noted: bool,
}

/// What may be folded next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stretch {
    pub(super) records: u64,
    /// The first of them killed the process: mark it before it is folded.
    pub(super) kills: bool,
}

impl Poison {
    pub(super) fn load(disk: &dyn Disk, fold_version: u32) -> io::Result<Self> {
        let text = read_text(disk, MARKED)?.unwrap_or_default();
        let of_this = |line: &str| {
            let (hash, version) = line.split_once(' ')?;
            (u32::from_str(version).ok()? == fold_version).then(|| unhex(hash).map(Hash))?
        };
        Ok(Self { fold_version, marked: text.lines().filter_map(of_this).collect() })
    }

    pub(super) fn is_marked(&self, hash: &Hash) -> bool {
        self.marked.contains(hash) && !toko_crdt::mutant!("skip-poison-mark")
    }

    pub(super) fn mark(&mut self, disk: &dyn Disk, hash: Hash) -> io::Result<()> {
        self.marked.insert(hash);
        self.save(disk)
    }

    /// Takes a mark away, in memory only: until [`Poison::save`] the next start finds it again.
    pub(super) fn forgive(&mut self, hash: &Hash) {
        self.marked.remove(hash);
    }

    pub(super) fn save(&self, disk: &dyn Disk) -> io::Result<()> {
        if self.marked.is_empty() {
            return remove_if_there(disk, MARKED);
        }
        let version = self.fold_version;
        let text: String = self.marked.iter().map(|hash| format!("{hash} {version}\n")).collect();
        replace(disk, MARKED, text.as_bytes())
    }
}

impl Guard {
    pub(super) fn begin(disk: &dyn Disk) -> io::Result<Self> {
        let text = read_text(disk, FOLDING)?;
        let died_at = text.as_deref().and_then(|text| {
            let (position, records) = text.trim().split_once(' ')?;
            Some((Position::from_u64(u64::from_str(position).ok()?), u64::from_str(records).ok()?))
        });
        if let Some((position, records)) = died_at {
            tracing::warn!(
                ?position,
                records,
                "the last start ended while it was folding; going on with care"
            );
        }
        Ok(Self { died_at, suspicious: 0, piece: 0, covered: 0, noted: text.is_some() })
    }

    /// How many records from the one at `at` on may be folded before the next call, and whether the first one kills.
    pub(super) fn next(&mut self, disk: &dyn Disk, at: Position) -> io::Result<Stretch> {
        let mut kills = false;
        if let Some((died_at, records)) = self.died_at {
            if at < died_at {
                // This was folded before the last start died, and did no harm.
                return Ok(Stretch { records: 1, kills });
            }
            self.died_at = None;
            kills = records == 1 && at == died_at;
            self.suspicious = if kills { 0 } else { records };
            self.piece = (records / SHRINK).max(1);
            self.covered = 0;
        }
        if self.covered == 0 {
            self.covered = if self.suspicious > 0 { self.piece } else { STRETCH };
            replace(disk, FOLDING, format!("{} {}\n", at.to_u64(), self.covered).as_bytes())?;
            self.noted = true;
        }
        let records = if kills { 1 } else { self.covered.min(RECORDS_PER_GROUP) };
        self.covered -= records;
        self.suspicious = self.suspicious.saturating_sub(records);
        Ok(Stretch { records, kills })
    }

    /// The whole tail is folded.
    pub(super) fn end(self, disk: &dyn Disk) -> io::Result<()> {
        if self.noted {
            remove_if_there(disk, FOLDING)?;
            disk.sync_dir()?;
        }
        Ok(())
    }
}

fn read_text(disk: &dyn Disk, name: &str) -> io::Result<Option<String>> {
    let bytes = read_whole(disk, name, NOTE_BYTES_MAX)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_disk::SimDisk;

    /// Folds `records` records, of which number `killer` kills until it is marked. Returns after how many starts all were
    /// folded, and which one was marked.
    fn starts(records: u32, killer: u32) -> (u32, Vec<u32>) {
        let disk = SimDisk::new();
        let mut marked = Vec::new();
        'starts: for start in 1.. {
            let mut guard = Guard::begin(&disk).unwrap();
            let mut at = 0;
            while at < records {
                let stretch = guard.next(&disk, Position { segment: 1, offset: at }).unwrap();
                if stretch.kills {
                    marked.push(at);
                }
                let end = records.min(at + u32::try_from(stretch.records).unwrap());
                if (at..end).contains(&killer) && !marked.contains(&killer) {
                    continue 'starts;
                }
                at = end;
            }
            guard.end(&disk).unwrap();
            assert!(disk.list().unwrap().is_empty());
            return (start, marked);
        }
        unreachable!()
    }

    #[test]
    fn a_killer_is_found_in_few_starts_wherever_it_stands() {
        for (records, killer) in
            [(1, 0), (3, 2), (500, 0), (500, 499), (9000, 4095), (9000, 4096), (9000, 8999)]
        {
            let (starts, marked) = starts(records, killer);
            assert_eq!(marked, [killer], "{records} records");
            assert!(starts <= 5, "{starts} starts for {killer} of {records}");
        }
    }

    #[test]
    fn a_tail_without_a_killer_is_folded_at_the_first_start() {
        assert_eq!(starts(9000, 99_999), (1, vec![]));
    }

    #[test]
    fn marks_survive() {
        let disk = SimDisk::new();
        let mut poison = Poison::load(&disk, 1).unwrap();
        poison.mark(&disk, Hash([1; 32])).unwrap();
        poison.mark(&disk, Hash([2; 32])).unwrap();
        let disk = disk.power_cut(1);
        let mut poison = Poison::load(&disk, 1).unwrap();
        assert!(poison.is_marked(&Hash([1; 32])) && poison.is_marked(&Hash([2; 32])));
        assert!(!Poison::load(&disk, 2).unwrap().is_marked(&Hash([1; 32])), "another fold tries for itself");
        poison.forgive(&Hash([1; 32]));
        assert!(Poison::load(&disk, 1).unwrap().is_marked(&Hash([1; 32])), "not before it is saved");
        poison.save(&disk).unwrap();
        assert!(!Poison::load(&disk, 1).unwrap().is_marked(&Hash([1; 32])));
    }
}
