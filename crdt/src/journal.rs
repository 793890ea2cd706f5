//! The rules of a journal: what comes next, what is there already, what is missing, and what proves a fork.

use crate::Entry;
use crate::frontier::Head;
use crate::hash::Hash;
use crate::sign::PublicKey;

/// Where an entry stands to a journal that we hold up to `head`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// The next one: its number and its `prev` fit.
    Next,
    /// We hold this very entry.
    Duplicate,
    /// Entries before it are missing; ask from `want`.
    Gap {
        /// The first number that we lack.
        want: u64,
    },
    /// We hold another entry at this place: with that one it is a [`ForkProof`].
    Fork,
    /// It follows another entry than ours at `seq`: ask the sender for that one, which will be a fork.
    Diverges {
        /// The place where sender and we differ at the latest.
        seq: u64,
    },
}

/// Judges `entry` against the journal's `head` (`None` when we hold nothing of it) and the hash that we hold at its place.
#[must_use]
pub fn place(head: Option<&Head>, held: Option<&Hash>, entry: &Entry) -> Place {
    let have = head.map_or(0, |head| head.seq);
    if entry.seq() <= have {
        return match held {
            Some(hash) if *hash == entry.hash() => Place::Duplicate,
            _ => Place::Fork,
        };
    }
    if entry.seq() > have + 1 && !crate::mutant!("accept-gaps") {
        return Place::Gap { want: have + 1 };
    }
    let expected = head.map_or(Hash::ZERO, |head| head.hash);
    if *entry.prev() == expected { Place::Next } else { Place::Diverges { seq: have } }
}

/// Checks that `batch` is one unbroken chain and that its last entry is signed by `key`.
///
/// Hashes chain backwards, so the last signature proves every entry before it.
///
/// Errors: the first place that does not hold, in words for a log.
pub fn prove_batch(batch: &[Entry], key: &PublicKey) -> Result<(), BatchError> {
    for pair in batch.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        let fits = before.journal() == after.journal()
            && after.seq() == before.seq() + 1
            && *after.prev() == before.hash();
        if !fits && !crate::mutant!("skip-chain") {
            return Err(BatchError::Broken { seq: after.seq() });
        }
    }
    match batch.last() {
        Some(last) if last.verify(key) || crate::mutant!("trust-unverified-signature") => Ok(()),
        Some(last) => Err(BatchError::Signature { seq: last.seq() }),
        None => Ok(()),
    }
}

/// Why a batch proves nothing. It convicts nobody but the sender; ask another peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// An entry does not follow the one before it.
    #[error("entry {seq} does not follow the one before it")]
    Broken {
        /// The entry that does not follow.
        seq: u64,
    },
    /// The last entry is not signed by its author.
    #[error("entry {seq} is not signed by its author")]
    Signature {
        /// The entry.
        seq: u64,
    },
}

/// Two signed entries with one place and different hashes: a VM snapshot, a bug or malice; never a restore.
///
/// The proof closes that journal everywhere at the last entry below it. What lies above on every branch travels as
/// `Carried`; there is no winner and nothing is un-applied. *Shape*: `one` has the lower hash, so a proof has one form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForkProof {
    /// The entry with the lower hash, without its body.
    pub one: Entry,
    /// The entry with the higher hash, without its body.
    pub other: Entry,
}

impl ForkProof {
    /// The proof that these two make; `None` when they prove nothing.
    #[must_use]
    pub fn new(one: Entry, other: Entry) -> Option<Self> {
        if one.place() != other.place() || one.hash() == other.hash() {
            return None;
        }
        let (one, other) = if one.hash() < other.hash() { (one, other) } else { (other, one) };
        Some(Self { one: one.pruned(), other: other.pruned() })
    }

    /// Whether both are signed by their author.
    #[must_use]
    pub fn verify(&self, key: &PublicKey) -> bool {
        self.one.verify(key) && self.other.verify(key)
    }

    /// The last number that both branches share; 0 when they share nothing.
    #[must_use]
    pub fn closed_at(&self) -> u64 {
        self.one.seq() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Body;
    use crate::clock::Hlc;
    use crate::entry::Draft;
    use crate::ids::{JournalId, Lane, Run, StoreId};
    use crate::sign::SecretKey;

    fn chain(key: &SecretKey, ops: &[u8]) -> Vec<Entry> {
        let journal = JournalId { node: key.node(), run: Run(1), lane: Lane::Books };
        let mut out: Vec<Entry> = Vec::new();
        for op in ops {
            let (seq, prev) = out.last().map_or((1, Hash::ZERO), |last| (last.seq() + 1, last.hash()));
            let body = Body::Op(vec![*op]).encode();
            let draft = Draft { journal, seq, prev, at: Hlc::default(), saw: None, body };
            out.push(draft.sign(&StoreId([1; 32]), key));
        }
        out
    }

    fn head(entry: &Entry) -> Head {
        Head { seq: entry.seq(), hash: entry.hash() }
    }

    #[test]
    fn next_duplicate_gap_fork_and_divergence_are_told_apart() {
        let key = SecretKey::from_seed([3; 32]);
        let (ours, theirs) = (chain(&key, b"abc"), chain(&key, b"axcd"));
        assert_eq!(place(None, None, &ours[0]), Place::Next);
        assert_eq!(place(Some(&head(&ours[0])), None, &ours[1]), Place::Next);
        assert_eq!(place(Some(&head(&ours[0])), None, &ours[2]), Place::Gap { want: 2 });
        assert_eq!(place(Some(&head(&ours[2])), Some(&ours[1].hash()), &ours[1]), Place::Duplicate);
        assert_eq!(place(Some(&head(&ours[2])), Some(&ours[1].hash()), &theirs[1]), Place::Fork);
        assert_eq!(place(Some(&head(&ours[2])), None, &theirs[3]), Place::Diverges { seq: 3 });
    }

    #[test]
    fn a_batch_is_proven_by_its_chain_and_its_last_signature() {
        let (key, stranger) = (SecretKey::from_seed([3; 32]), SecretKey::from_seed([4; 32]));
        let batch = chain(&key, b"abcd");
        assert_eq!(prove_batch(&batch, &key.public()), Ok(()));
        assert_eq!(prove_batch(&batch, &stranger.public()), Err(BatchError::Signature { seq: 4 }));
        let holed = [batch[0].clone(), batch[2].clone()];
        assert_eq!(prove_batch(&holed, &key.public()), Err(BatchError::Broken { seq: 3 }));
        let mixed = [batch[0].clone(), chain(&key, b"xy")[1].clone()];
        assert_eq!(prove_batch(&mixed, &key.public()), Err(BatchError::Broken { seq: 2 }));
    }

    #[test]
    fn a_fork_proof_has_one_form_and_needs_one_place() {
        let key = SecretKey::from_seed([3; 32]);
        let (ours, theirs) = (chain(&key, b"abc"), chain(&key, b"axc"));
        let proof = ForkProof::new(ours[1].clone(), theirs[1].clone()).unwrap();
        assert_eq!(Some(&proof), ForkProof::new(theirs[1].clone(), ours[1].clone()).as_ref());
        assert!(proof.verify(&key.public()));
        assert_eq!(proof.closed_at(), 1);
        assert_eq!(ForkProof::new(ours[1].clone(), ours[1].clone()), None);
        assert_eq!(ForkProof::new(ours[1].clone(), theirs[2].clone()), None);
    }
}
