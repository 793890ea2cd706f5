//! The changes of a cart that a node holds, and which of them are visible: a function of the set, not of the order.
//!
//! A change is visible when everything before it is, and when it is what an honest cart would have written there: the
//! actor's next number, the next operation, and only operations undone that it had seen. All of this follows from a
//! change's ancestry, which its hash names, so every node judges alike. Two changes of one actor with one number are a
//! machine that was copied while it ran (the journal's fork proof says so too): the one with the lower place (first
//! operation, then hash) is visible, the other and what follows it are kept and counted, and every node picks the same.

use super::Actor;
use super::document::{Change, GENESIS, Op, OpId, Parsed, parse};
use super::raw::{ChangeHead, change_head};
use crate::codec::CodecError;
use crate::hash::Hash;
use crate::ids::{LineId, StepId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A change that we hold.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Vec<u8>,
    pub(super) head: ChangeHead,
    /// `None`: not a change that a cart makes; never visible.
    pub(super) parsed: Option<Parsed>,
}

/// What a visible change had seen, itself included.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// How many changes of each actor.
    clock: BTreeMap<Actor, u64>,
    /// The highest operation.
    op_max: u64,
}

/// Which key an operation wrote, and in which change of its actor.
#[derive(Debug)]
struct Wrote {
    seq: u64,
    key: OpKey,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum OpKey {
    Step(LineId, StepId),
    Header(String),
}

/// Whether a change is visible, and if not, whether it may become so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Visible,
    Waits,
    /// Another change of its actor with its number is visible and stays so.
    Twin,
    /// As before, but this one has the lower place: everything is judged again.
    Supersedes,
    Refused,
}

/// All changes of one cart, and the verdicts.
#[derive(Debug)]
pub(super) struct History {
    held: BTreeMap<Hash, Held>,
    seen: HashMap<Hash, Seen>,
    by_number: BTreeMap<(Actor, u64), Hash>,
    wrote: HashMap<OpId, Wrote>,
    /// How many changes of each actor are held.
    held_of: BTreeMap<Actor, u64>,
    heads: BTreeSet<Hash>,
    genesis: Hash,
}

impl History {
    pub(super) fn new() -> Result<Self, CodecError> {
        let genesis = change_head(GENESIS)?.hash;
        let mut history = Self {
            held: BTreeMap::new(),
            seen: HashMap::new(),
            by_number: BTreeMap::new(),
            wrote: HashMap::new(),
            held_of: BTreeMap::new(),
            heads: BTreeSet::new(),
            genesis,
        };
        history.forget();
        Ok(history)
    }

    /// Forgets every verdict; the changes stay.
    pub(super) fn forget(&mut self) {
        self.by_number.clear();
        self.wrote.clear();
        self.heads = BTreeSet::from([self.genesis]);
        let nothing = Seen { clock: BTreeMap::new(), op_max: 3 };
        self.seen = HashMap::from([(self.genesis, nothing)]);
    }

    /// Takes a change in without judging it. `None`: it is here already, or it is the genesis.
    pub(super) fn hold(&mut self, bytes: &[u8]) -> Result<Option<Hash>, CodecError> {
        let head = change_head(bytes)?;
        let hash = head.hash;
        if hash == self.genesis || self.held.contains_key(&hash) {
            return Ok(None);
        }
        *self.held_of.entry(head.actor).or_default() += 1;
        self.held.insert(hash, Held { bytes: bytes.to_vec(), head, parsed: parse(bytes) });
        Ok(Some(hash))
    }

    /// A change that turned out to harm Automerge is never visible again.
    pub(super) fn refuse(&mut self, hash: &Hash) {
        if let Some(held) = self.held.get_mut(hash) {
            held.parsed = None;
        }
    }

    /// Forgets a change of our own that was never given to anybody.
    pub(super) fn let_go(&mut self, hash: &Hash) {
        if let Some(count) = self.held.remove(hash).and_then(|held| self.held_of.get_mut(&held.head.actor)) {
            *count -= 1;
        }
    }

    pub(super) fn held(&self) -> &BTreeMap<Hash, Held> {
        &self.held
    }

    pub(super) fn is_visible(&self, hash: &Hash) -> bool {
        self.seen.contains_key(hash)
    }

    /// Whether changes of this actor are held that are not visible.
    pub(super) fn is_behind(&self, actor: &Actor) -> bool {
        let visible = self.by_number.range((*actor, 0)..=(*actor, u64::MAX)).next_back();
        visible.map_or(0, |((_, seq), _)| *seq) != self.held_of.get(actor).copied().unwrap_or(0)
    }

    /// Visible changes that no visible change follows, sorted.
    pub(super) fn heads(&self) -> Vec<Hash> {
        self.heads.iter().copied().collect()
    }

    /// What Automerge made of these changes.
    pub(super) fn parsed(&self, hashes: &[Hash]) -> Vec<Change> {
        let parsed = hashes.iter().filter_map(|hash| self.held.get(hash)?.parsed.as_ref());
        parsed.map(|parsed| parsed.change.clone()).collect()
    }

    /// What a change does.
    pub(super) fn ops(&self, hash: &Hash) -> &[Op] {
        self.held.get(hash).and_then(|held| held.parsed.as_ref()).map_or(&[], |parsed| &parsed.ops)
    }

    /// Changes that are not visible, in the order of their places. That order puts what follows after what it follows.
    pub(super) fn unseen(&self) -> Vec<Hash> {
        let unseen = self.held.iter().filter(|(hash, _)| !self.seen.contains_key(*hash));
        let mut places: Vec<(u64, Hash)> = unseen.map(|(hash, held)| (held.head.start_op, *hash)).collect();
        places.sort_unstable();
        places.into_iter().map(|(_, hash)| hash).collect()
    }

    /// Judges a change that is not visible, and notes it if it now is.
    pub(super) fn judge(&mut self, hash: &Hash) -> Verdict {
        let Some(Held { head, parsed, .. }) = self.held.get(hash) else { return Verdict::Waits };
        let Some(parsed) = parsed else { return Verdict::Refused };
        let mut seen = Seen::default();
        for dep in &head.deps {
            let Some(dep) = self.seen.get(dep) else { return Verdict::Waits };
            seen.op_max = seen.op_max.max(dep.op_max);
            for (actor, seq) in &dep.clock {
                let known = seen.clock.entry(*actor).or_default();
                *known = (*known).max(*seq);
            }
        }
        let next = seen.clock.get(&head.actor).copied().unwrap_or(0) + 1;
        let honest = head.seq == next
            && head.start_op == seen.op_max + 1
            && parsed.ops.iter().all(|op| self.undoes_only_what_it_saw(op, &seen));
        if !honest {
            return Verdict::Refused;
        }
        let number = (head.actor, head.seq);
        if let Some(twin) = self.by_number.get(&number).and_then(|twin| self.held.get(twin)) {
            let lower = (head.start_op, *hash) < (twin.head.start_op, twin.head.hash);
            let lower = lower && !crate::mutant!("first-twin-stands");
            return if lower { Verdict::Supersedes } else { Verdict::Twin };
        }
        seen.clock.insert(head.actor, head.seq);
        seen.op_max += parsed.ops.len() as u64;
        for (op, id) in parsed.ops.iter().zip(head.start_op..) {
            if let Some(key) = written(op) {
                self.wrote.insert((id, head.actor), Wrote { seq: head.seq, key });
            }
        }
        self.by_number.insert(number, *hash);
        head.deps.iter().for_each(|dep| {
            self.heads.remove(dep);
        });
        self.heads.insert(*hash);
        self.seen.insert(*hash, seen);
        Verdict::Visible
    }

    fn undoes_only_what_it_saw(&self, op: &Op, seen: &Seen) -> bool {
        let (key, undone) = match op {
            Op::Facts { .. } | Op::Step { .. } => return true,
            Op::Unstep { line, step, seen } => (OpKey::Step(*line, *step), seen),
            Op::Header { name, seen, .. } => (OpKey::Header(name.clone()), seen),
        };
        undone.iter().all(|id| {
            if crate::mutant!("undo-the-unseen") {
                return true;
            }
            let known = seen.clock.get(&id.1).copied().unwrap_or(0);
            self.wrote.get(id).is_some_and(|wrote| wrote.seq <= known && wrote.key == key)
        })
    }

    /// The changes that `heads` cover, `heads` included; the first head that is not visible otherwise.
    pub(super) fn covered(&self, heads: &[Hash]) -> Result<Vec<Hash>, Hash> {
        let mut covered = BTreeSet::new();
        let mut next: Vec<Hash> = heads.to_vec();
        while let Some(hash) = next.pop() {
            if !self.is_visible(&hash) {
                return Err(hash);
            }
            if let Some(held) = self.held.get(&hash)
                && covered.insert(hash)
            {
                next.extend(&held.head.deps);
            }
        }
        Ok(covered.into_iter().collect())
    }
}

fn written(op: &Op) -> Option<OpKey> {
    match op {
        Op::Step { line, step, .. } => Some(OpKey::Step(*line, *step)),
        Op::Header { name, .. } => Some(OpKey::Header(name.clone())),
        Op::Facts { .. } | Op::Unstep { .. } => None,
    }
}
