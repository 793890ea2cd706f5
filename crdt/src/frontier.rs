//! What a node holds, in one line per journal, and one root over all lines.
//!
//! Two nodes exchange 32-byte roots; lines go only when roots differ, and then only those that changed. Lines carry the
//! hash of the head, so equal numbers with different heads are seen. Acknowledgements, checkpoints and HQ's watermark are
//! frontiers too.

use crate::codec::{self, CodecError};
use crate::hash::Hash;
use crate::ids::{JournalId, Lane};
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How many journals a frontier may name: what a blank node is told of a large shop that starts anew each day for three years.
/// Others speak of what moved since a seal only.
pub const LINES_MAX: usize = 65_536;

/// The last entry of a journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Its number, from 1.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

/// Journal → head.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Frontier {
    lines: BTreeMap<JournalId, Head>,
}

/// A stretch of one journal that the other side holds and we do not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lack {
    /// The journal.
    pub journal: JournalId,
    /// The first number that we lack.
    pub from: u64,
    /// The last number that the other side holds.
    pub to: u64,
}

impl Frontier {
    /// The head of a journal, if we hold any of it.
    #[must_use]
    pub fn head(&self, journal: &JournalId) -> Option<&Head> {
        self.lines.get(journal)
    }

    /// Sets a journal's head.
    pub fn set(&mut self, journal: JournalId, head: Head) {
        self.lines.insert(journal, head);
    }

    /// Forgets a journal.
    pub fn remove(&mut self, journal: &JournalId) {
        self.lines.remove(journal);
    }

    /// All lines, in the order of their journals.
    pub fn lines(&self) -> impl Iterator<Item = (&JournalId, &Head)> {
        self.lines.iter()
    }

    /// How many journals.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// How many entries.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.lines.values().fold(0, |sum, head| sum.saturating_add(head.seq))
    }

    /// Whether no journal is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The lines of some lanes only: headquarters asks for books.
    #[must_use]
    pub fn of_lanes(&self, lanes: &[Lane]) -> Self {
        let lines = self.lines.iter().filter(|(journal, _)| lanes.contains(&journal.lane));
        Self { lines: lines.map(|(journal, head)| (*journal, *head)).collect() }
    }

    /// One hash over all lines. *Shape*: the empty frontier has a root too.
    #[must_use]
    pub fn root(&self) -> Hash {
        Hash::of("toko/frontier/1", &[&self.encode()])
    }

    /// The lines of `self` that differ from `known`, or are missing there.
    #[must_use]
    pub fn delta(&self, known: &Self) -> Self {
        let news = self.lines.iter().filter(|(journal, head)| known.lines.get(*journal) != Some(*head));
        Self { lines: news.map(|(journal, head)| (*journal, *head)).collect() }
    }

    /// Takes over every line of `delta`.
    pub fn apply(&mut self, delta: &Self) {
        self.lines.extend(delta.lines.iter().map(|(journal, head)| (*journal, *head)));
    }

    /// Raises every line to the higher of ours and theirs; of equal numbers the higher hash stands, so order does not matter.
    pub fn join(&mut self, theirs: &Self) {
        for (journal, head) in &theirs.lines {
            let line = self.lines.entry(*journal).or_insert(*head);
            if (line.seq, line.hash) < (head.seq, head.hash) {
                *line = *head;
            }
        }
    }

    /// What `theirs` holds beyond us. Equal numbers with different heads are named by [`Frontier::conflicts`].
    #[must_use]
    pub fn lacks(&self, theirs: &Self) -> Vec<Lack> {
        let beyond = theirs.lines.iter().filter_map(|(journal, head)| {
            let have = self.lines.get(journal).map_or(0, |head| head.seq);
            let have = if crate::mutant!("skip-one-entry") { have + 1 } else { have };
            (head.seq > have).then_some(Lack { journal: *journal, from: have + 1, to: head.seq })
        });
        beyond.collect()
    }

    /// Journals whose head has our number and another hash: a fork.
    #[must_use]
    pub fn conflicts(&self, theirs: &Self) -> Vec<JournalId> {
        let differ = theirs.lines.iter().filter(|(journal, head)| {
            self.lines.get(*journal).is_some_and(|ours| {
                ours.seq == head.seq && ours.hash != head.hash && !crate::mutant!("compare-numbers-only")
            })
        });
        differ.map(|(journal, _)| *journal).collect()
    }

    /// Whether we hold all that `other` holds, by number.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.lacks(other).is_empty()
    }

    /// The kept, signed and sent form: version 1, then postcard of the lines in order.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let lines: Vec<LineV1> = self.lines.iter().map(LineV1::from).collect();
        codec::encode(1, &lines)
    }

    /// Reads the kept, signed or sent form.
    ///
    /// Errors: too many lines, unknown lanes, lines out of order or twice, a head without a number.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let what = "frontier";
        let Lines(out) = codec::decode(what, 1, bytes, LINES_MAX * 96)?;
        // Numbers have longer forms too; only the one that is written is read.
        if out.encoded_len() == bytes.len() { Ok(out) } else { Err(CodecError::Malformed { what }) }
    }

    /// How long [`Frontier::encode`] is.
    fn encoded_len(&self) -> usize {
        let line = |(journal, head): (&JournalId, &Head)| {
            32 + number_len(journal.run.0) + 1 + number_len(head.seq) + 32
        };
        1 + number_len(self.lines.len() as u64) + self.lines.iter().map(line).sum::<usize>()
    }
}

/// How many bytes a number takes: seven bits in each.
fn number_len(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

/// Lines that go into their places as they are read: a frontier of a peer takes no more memory than it is worth.
struct Lines(Frontier);

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Frontier;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("lines in order, each journal once")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut lines: A) -> Result<Frontier, A::Error> {
                let mut out = Frontier::default();
                while let Some(line) = lines.next_element::<LineV1>()? {
                    let (journal, head) = line.read().ok_or_else(|| A::Error::custom("an unknown lane"))?;
                    let last = out.lines.last_key_value().map(|(last, _)| *last);
                    if last >= Some(journal) || head.seq == 0 {
                        return Err(A::Error::custom("out of order, or a head without a number"));
                    }
                    out.lines.insert(journal, head);
                }
                Ok(out)
            }
        }
        from.deserialize_seq(InOrder).map(Self)
    }
}

impl FromIterator<(JournalId, Head)> for Frontier {
    fn from_iter<T: IntoIterator<Item = (JournalId, Head)>>(lines: T) -> Self {
        Self { lines: lines.into_iter().collect() }
    }
}

#[derive(Serialize, Deserialize)]
struct LineV1 {
    node: [u8; 32],
    run: u64,
    lane: u8,
    seq: u64,
    hash: [u8; 32],
}

impl From<(&JournalId, &Head)> for LineV1 {
    fn from((journal, head): (&JournalId, &Head)) -> Self {
        let JournalId { node, run, lane } = *journal;
        Self { node: node.0, run: run.0, lane: lane as u8, seq: head.seq, hash: head.hash.0 }
    }
}

impl LineV1 {
    fn read(self) -> Option<(JournalId, Head)> {
        use crate::ids::{NodeId, Run};
        let journal =
            JournalId { node: NodeId(self.node), run: Run(self.run), lane: Lane::from_byte(self.lane)? };
        Some((journal, Head { seq: self.seq, hash: Hash(self.hash) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{NodeId, Run};

    fn line(node: u8, seq: u64, hash: u8) -> (JournalId, Head) {
        let journal = JournalId { node: NodeId([node; 32]), run: Run(1), lane: Lane::Books };
        (journal, Head { seq, hash: Hash([hash; 32]) })
    }

    #[test]
    fn a_delta_brings_the_other_side_to_the_same_root() {
        let ours: Frontier = [line(1, 4, 4), line(2, 2, 2)].into_iter().collect();
        let mut known: Frontier = [line(1, 3, 3), line(2, 2, 2)].into_iter().collect();
        let delta = ours.delta(&known);
        assert_eq!(delta.len(), 1);
        known.apply(&delta);
        assert_eq!(known.root(), ours.root());
    }

    #[test]
    fn lacks_name_stretches_and_conflicts_name_forks() {
        let ours: Frontier = [line(1, 4, 4), line(2, 2, 2)].into_iter().collect();
        let theirs: Frontier = [line(1, 4, 9), line(2, 5, 5), line(3, 1, 1)].into_iter().collect();
        let (two, three) = (line(2, 0, 0).0, line(3, 0, 0).0);
        let expected = [Lack { journal: two, from: 3, to: 5 }, Lack { journal: three, from: 1, to: 1 }];
        assert_eq!(ours.lacks(&theirs), expected);
        assert_eq!(ours.conflicts(&theirs), [line(1, 0, 0).0]);
    }

    #[test]
    fn lines_out_of_order_or_twice_are_refused() {
        let lines = |list: Vec<(JournalId, Head)>| {
            codec::encode(
                1,
                &list.iter().map(|(journal, head)| LineV1::from((journal, head))).collect::<Vec<_>>(),
            )
        };
        assert!(Frontier::decode(&lines(vec![line(1, 1, 1), line(2, 1, 1)])).is_ok());
        for seq in [1, 127, 128, 16_383, 16_384, u64::MAX] {
            let one = lines(vec![line(1, seq, 1)]);
            assert_eq!(Frontier::decode(&one).map(|read| read.encode()), Ok(one), "{seq}");
        }
        assert!(Frontier::decode(&lines(vec![line(2, 1, 1), line(1, 1, 1)])).is_err());
        assert!(Frontier::decode(&lines(vec![line(1, 1, 1), line(1, 2, 1)])).is_err());
        assert!(Frontier::decode(&lines(vec![line(1, 0, 1)])).is_err());
    }
}
