//! Checkpoints: what the hub says came out of a frontier.
//!
//! A seal names only the lines that differ from those of the seal below it, so that runs that ended long ago weigh nothing; the
//! count and the root are of the whole. Whoever went over the seal below has the rest, and whoever did not follows the chain
//! down to a seal that it went over, or to one that names every line itself.

use crate::codec::{self, CodecError};
use crate::digest::Digests;
use crate::frontier::Frontier;
use crate::hash::Hash;
use crate::ids::Lane;
use serde::{Deserialize, Serialize};

/// A checkpoint: two nodes with equal fold version and equal frontier have equal digests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seal {
    /// Version of the fold that made the views.
    pub fold_version: u32,
    /// The entry that says the seal on which this one stands; `None` for one that names every line itself.
    pub over: Option<Hash>,
    /// The lines that are not as they are there.
    pub lines: Frontier,
    /// How many entries were folded, in all.
    pub entries: u64,
    /// Root of all lines that were folded.
    pub root: Hash,
    /// Root of those of the books: headquarters holds no others.
    pub books_root: Hash,
    /// What came out.
    pub digests: Digests,
}

impl Seal {
    /// One that names every line itself.
    #[must_use]
    pub fn whole(fold_version: u32, frontier: Frontier, digests: Digests) -> Self {
        let (entries, root, books_root) =
            (frontier.entries(), frontier.root(), frontier.of_lanes(&[Lane::Books]).root());
        Self { fold_version, over: None, lines: frontier, entries, root, books_root, digests }
    }

    /// This one, as what it says beyond the seal of entry `below`, which came out of `frontier_below`. *Shape*: a frontier that
    /// lost a line cannot be said so, and stays whole.
    #[must_use]
    pub fn over(self, below: Hash, frontier_below: &Frontier) -> Self {
        let lost = frontier_below.lines().any(|(journal, _)| self.lines.head(journal).is_none());
        if self.over.is_some() || lost {
            return self;
        }
        Self { over: Some(below), lines: self.lines.delta(frontier_below), ..self }
    }

    /// The whole frontier, of all lanes or of the books, made from the seals below: `below` says what an entry seals. *Shape*:
    /// `standing` is a frontier that is at hand already and saves the way down, where it is one of theirs. `None` where a
    /// seal below is not known, or what is known does not add up to what this one says.
    ///
    /// Errors: what `below` says.
    pub fn frontier<E>(
        &self,
        lanes: &[Lane],
        standing: &Frontier,
        mut below: impl FnMut(&Hash) -> Result<Option<Self>, E>,
    ) -> Result<Option<Frontier>, E> {
        let root_of = |seal: &Self| if lanes == [Lane::Books] { seal.books_root } else { seal.root };
        let (mut chain, mut next, at_hand) = (vec![self.lines.of_lanes(lanes)], self.over, standing.root());
        let mut all = Frontier::default();
        while let Some(over) = next {
            let Some(seal) = below(&over)? else { return Ok(None) };
            if root_of(&seal) == at_hand {
                all = standing.clone();
                break;
            }
            chain.push(seal.lines.of_lanes(lanes));
            next = seal.over;
        }
        chain.iter().rev().for_each(|lines| all.apply(lines));
        let adds_up = all.root() == root_of(self) || crate::mutant!("believe-what-a-seal-adds-up-to");
        Ok(adds_up.then_some(all))
    }

    /// What somebody else got out of the seal that entry `of` says.
    #[must_use]
    pub fn countersign(&self, of: Hash, digests: Digests) -> Self {
        Self { over: Some(of), lines: Frontier::default(), digests, ..self.clone() }
    }

    /// Whether this is a countersign of the seal that entry `of` says.
    #[must_use]
    pub fn countersigns(&self, of: Hash) -> bool {
        self.over == Some(of) && self.lines.is_empty()
    }

    /// The signed form: version 1 names every line, version 2 does not.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        let Seal { fold_version, digests, .. } = *self;
        let (books, floor, lines) = (digests.books.0, digests.floor.0, self.lines.encode());
        match self.over {
            None => codec::append(out, &SealV1 { fold_version, frontier: lines, books, floor }),
            Some(over) => {
                let (over, entries, roots) = (over.0, self.entries, (self.root.0, self.books_root.0));
                codec::append(out, &SealV2 { fold_version, over, lines, entries, roots, books, floor });
            }
        }
    }

    /// Which version [`Seal::append_to`] writes.
    pub(crate) fn version(&self) -> u8 {
        if self.over.is_none() { 1 } else { 2 }
    }

    /// Reads the signed form; `None` for a version that this build does not know.
    pub(crate) fn read(version: u8, bytes: &[u8]) -> Result<Option<Self>, CodecError> {
        match version {
            1 => {
                let SealV1 { fold_version, frontier, books, floor } = codec::decode_plain("seal", bytes)?;
                Ok(Some(Self::whole(fold_version, Frontier::decode(&frontier)?, digests(books, floor))))
            }
            2 => {
                let SealV2 { fold_version, over, lines, entries, roots, books, floor } =
                    codec::decode_plain("seal", bytes)?;
                let (over, lines, digests) =
                    (Some(Hash(over)), Frontier::decode(&lines)?, digests(books, floor));
                let (root, books_root) = (Hash(roots.0), Hash(roots.1));
                Ok(Some(Self { fold_version, over, lines, entries, root, books_root, digests }))
            }
            _ => Ok(None),
        }
    }
}

fn digests(books: [u8; 32], floor: [u8; 32]) -> Digests {
    Digests { books: Hash(books).into(), floor: Hash(floor).into() }
}

#[derive(Serialize, Deserialize)]
struct SealV1 {
    fold_version: u32,
    frontier: Vec<u8>,
    books: [u8; 32],
    floor: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct SealV2 {
    fold_version: u32,
    over: [u8; 32],
    lines: Vec<u8>,
    entries: u64,
    roots: ([u8; 32], [u8; 32]),
    books: [u8; 32],
    floor: [u8; 32],
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontier::Head;
    use crate::ids::{JournalId, NodeId, Run};

    fn frontier(lines: &[(u8, u64)]) -> Frontier {
        let line = |(node, seq): &(u8, u64)| {
            let journal = JournalId { node: NodeId([*node; 32]), run: Run(1), lane: Lane::Books };
            (journal, Head { seq: *seq, hash: Hash([*node; 32]) })
        };
        lines.iter().map(line).collect()
    }

    fn seal(frontier: Frontier) -> Seal {
        Seal::whole(7, frontier, Digests::default())
    }

    #[test]
    fn a_seal_over_another_names_what_moved_and_counts_all() {
        let (below, now) = (frontier(&[(1, 4), (2, 9)]), frontier(&[(1, 4), (2, 10), (3, 1)]));
        let over = seal(now.clone()).over(Hash([5; 32]), &below);
        assert_eq!(over.lines, frontier(&[(2, 10), (3, 1)]));
        assert_eq!((over.entries, over.root), (15, now.root()));
        let mut all = below;
        all.apply(&over.lines);
        assert_eq!(all, now);
    }

    #[test]
    fn the_frontier_of_a_seal_is_found_down_the_chain_or_from_where_one_stands() {
        let frontiers =
            [&[(1, 4), (2, 9)][..], &[(1, 4), (2, 10), (3, 1)], &[(1, 4), (2, 10), (3, 2)]].map(frontier);
        let [one, two, three] = frontiers.clone().map(seal);
        let hash = |n| Hash([n; 32]);
        let (two, three) = (two.over(hash(1), &frontiers[0]), three.over(hash(2), &frontiers[1]));
        let known = [(hash(1), one), (hash(2), two)];
        let all = |seal: &Seal, from: usize, lanes: &[Lane], standing: &Frontier| {
            let found =
                |of: &Hash| known[from..].iter().find(|(hash, _)| hash == of).map(|(_, seal)| seal.clone());
            seal.frontier(lanes, standing, |of| Ok::<_, ()>(found(of))).unwrap()
        };
        let nothing = Frontier::default();
        assert_eq!(all(&three, 0, &Lane::ALL, &nothing).as_ref(), Some(&frontiers[2]));
        assert_eq!(all(&three, 1, &Lane::ALL, &nothing), None, "the first seal is not known");
        assert_eq!(all(&three, 1, &Lane::ALL, &frontiers[1]).as_ref(), Some(&frontiers[2]));
        assert_eq!(all(&three, 1, &[Lane::Books], &frontiers[1]).as_ref(), Some(&frontiers[2]));
        let lie = Seal { root: hash(9), ..three };
        assert_eq!(all(&lie, 0, &Lane::ALL, &nothing), None);
    }

    #[test]
    fn a_frontier_that_lost_a_line_is_named_whole() {
        let (below, now) = (frontier(&[(1, 4), (2, 9)]), frontier(&[(1, 4)]));
        assert_eq!(seal(now.clone()).over(Hash([5; 32]), &below), seal(now));
    }

    #[test]
    fn both_versions_read_back_and_a_third_is_not_known() {
        let whole = seal(frontier(&[(1, 4)]));
        for seal in [whole.clone(), whole.countersign(Hash([9; 32]), Digests::default())] {
            let mut bytes = Vec::new();
            seal.append_to(&mut bytes);
            assert_eq!(Seal::read(seal.version(), &bytes), Ok(Some(seal)));
        }
        assert_eq!(Seal::read(3, &[]), Ok(None));
    }
}
