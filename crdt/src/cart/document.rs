//! The one door to Automerge: a document of three flat maps, its constant genesis, and changes read into what a cart knows.
//!
//! | map | key | value |
//! | --- | --- | --- |
//! | `facts` | line | when it was added (micros, tick), then the shop's own bytes |
//! | `steps` | line `/` step | thousandths |
//! | `header` | name | bytes |
//!
//! Flat on purpose: no map is created after the genesis, so nothing can hide behind a map that was created twice, and a
//! line's steps count whoever wrote its facts. A key of `facts` and `steps` is written once and holds a fixed value.
//!
//! Automerge may panic on bytes of others. Every call runs guarded, and a document that panicked is thrown away.

use super::{Actor, FACTS_BYTES_MAX, VALUE_BYTES_MAX, name_is_sane};
use crate::clock::Hlc;
use crate::hash::{Hash, unhex};
use crate::ids::{LineId, StepId};
use crate::stock::Milli;
pub(super) use automerge::Change;
use automerge::legacy::{Key, ObjectId, Op as RawOp, OpType};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{
    ActorId, AutoCommit, AutomergeError, ObjId, ROOT, ReadDoc, ScalarValue, ScalarValueRef, ValueRef,
};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The first change of every cart, byte for byte: creates the three maps. Its actor is
/// `SHA-256("toko/cart-genesis/1" 00)`, cut to 16 bytes, and its time is 0. A test makes it again from scratch.
#[rustfmt::skip]
pub(super) const GENESIS: &[u8] = &[
    0x85, 0x6f, 0x4a, 0x83, 0x44, 0x19, 0x0a, 0xc3, 0x01, 0x3d, 0x00, 0x10, 0xf4, 0x08, 0x54, 0x76,
    0xd3, 0x91, 0xd9, 0xcd, 0xf8, 0x71, 0xe9, 0x5f, 0xc1, 0x15, 0x5a, 0x72, 0x01, 0x01, 0x00, 0x00,
    0x00, 0x05, 0x15, 0x14, 0x34, 0x01, 0x42, 0x02, 0x56, 0x02, 0x70, 0x02, 0x7d, 0x05, 0x66, 0x61,
    0x63, 0x74, 0x73, 0x05, 0x73, 0x74, 0x65, 0x70, 0x73, 0x06, 0x68, 0x65, 0x61, 0x64, 0x65, 0x72,
    0x03, 0x03, 0x00, 0x03, 0x00, 0x03, 0x00,
];
const MAPS: [&str; 3] = ["facts", "steps", "header"];

/// Automerge failed or panicked: the document must not be used again.
#[derive(Debug)]
pub(super) struct Failed;

/// The number of an operation: its place in Automerge's order, and who made it.
pub(super) type OpId = (u64, Actor);

/// One operation, as a cart understands it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Op {
    /// A line appears.
    Facts { line: LineId, at: Hlc, facts: Vec<u8> },
    /// A step of a line appears.
    Step { line: LineId, step: StepId, qty: Milli },
    /// The steps that were seen at this key disappear.
    Unstep { line: LineId, step: StepId, seen: Vec<OpId> },
    /// A register is set above what was seen of it.
    Header { name: String, value: Vec<u8>, seen: Vec<OpId> },
}

/// An Automerge document and the ids of its maps.
pub(super) struct Document {
    doc: AutoCommit,
    maps: [ObjId; 3],
}

/// A change that Automerge has parsed, and what it does.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub(super) change: Change,
    pub(super) ops: Vec<Op>,
}

fn guarded<T>(work: impl FnOnce() -> Result<T, AutomergeError>) -> Result<T, Failed> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(_)) | Err(_) => Err(Failed),
    }
}

/// Parses a change that [`super::raw::change_head`] let through. `None`: it is not one that a cart makes.
pub(super) fn parse(bytes: &[u8]) -> Option<Parsed> {
    let read = || {
        let change = Change::try_from(bytes).ok()?;
        let ops = change.decode().operations.iter().map(read_op).collect::<Option<Vec<Op>>>()?;
        (!ops.is_empty() && each_key_once(&ops)).then_some(Parsed { change, ops })
    };
    catch_unwind(AssertUnwindSafe(read)).ok().flatten()
}

/// Whether no two operations are about one thing. No cart makes such a change, and equal keys cost nothing on the wire: without
/// this, a hundred bytes would be a thousand operations in memory.
fn each_key_once(ops: &[Op]) -> bool {
    let mut seen = HashSet::new();
    ops.iter().all(|op| match op {
        Op::Facts { line, .. } => seen.insert((0, line.0, None, "")),
        Op::Step { line, step, .. } | Op::Unstep { line, step, .. } => {
            seen.insert((1, line.0, Some(step.0), ""))
        }
        Op::Header { name, .. } => seen.insert((2, [0; 16], None, name.as_str())),
    })
}

fn read_op(op: &RawOp) -> Option<Op> {
    let ObjectId::Id(map) = &op.obj else { return None };
    let Key::Map(key) = &op.key else { return None };
    if op.insert || map.actor().to_bytes() != genesis_actor().0 {
        return None;
    }
    let seen = || -> Option<Vec<OpId>> {
        op.pred.iter().map(|id| Some((id.counter(), Actor(id.actor().to_bytes().try_into().ok()?)))).collect()
    };
    match (map.counter(), &op.action) {
        (1, OpType::Put(ScalarValue::Bytes(value))) if op.pred.is_empty() => {
            let (at, facts) = read_facts(value)?;
            Some(Op::Facts { line: LineId(lower_hex(key)?), at, facts })
        }
        (2, OpType::Put(ScalarValue::Int(qty))) if op.pred.is_empty() => {
            let ((line, step), qty) = (read_step_key(key)?, Milli(*qty));
            super::qty_is_sane(qty).then_some(Op::Step { line, step, qty })
        }
        (2, OpType::Delete) if !op.pred.is_empty() => {
            let (line, step) = read_step_key(key)?;
            Some(Op::Unstep { line, step, seen: seen()? })
        }
        (3, OpType::Put(ScalarValue::Bytes(value)))
            if value.len() <= VALUE_BYTES_MAX && name_is_sane(key) =>
        {
            Some(Op::Header { name: key.to_string(), value: value.clone(), seen: seen()? })
        }
        _ => None,
    }
}

fn lower_hex(key: &str) -> Option<[u8; 16]> {
    if key.bytes().any(|byte| byte.is_ascii_uppercase()) { None } else { unhex(key) }
}

fn read_step_key(key: &str) -> Option<(LineId, StepId)> {
    let (line, step) = key.split_once('/')?;
    Some((LineId(lower_hex(line)?), StepId(lower_hex(step)?)))
}

fn read_facts(value: &[u8]) -> Option<(Hlc, Vec<u8>)> {
    let (micros, rest) = value.split_first_chunk::<8>()?;
    let (tick, facts) = rest.split_first_chunk::<2>()?;
    let at = Hlc { micros: u64::from_be_bytes(*micros), tick: u16::from_be_bytes(*tick) };
    (facts.len() <= FACTS_BYTES_MAX).then(|| (at, facts.to_vec()))
}

fn step_key(line: &LineId, step: &StepId) -> String {
    [line.to_string(), step.to_string()].join("/")
}

/// The actor of the genesis, which no node can have.
pub(super) fn genesis_actor() -> Actor {
    Actor::cut(Hash::of("toko/cart-genesis/1", &[]))
}

impl Document {
    /// A document that holds the genesis only, to be changed by `actor`.
    pub(super) fn new(actor: &Actor) -> Result<Self, Failed> {
        guarded(|| {
            let genesis = Change::try_from(GENESIS).map_err(|_| AutomergeError::Fail)?;
            let mut doc = AutoCommit::new().with_actor(ActorId::from(&actor.0));
            doc.apply_changes([genesis])?;
            let mut maps = [ROOT, ROOT, ROOT];
            for (map, name) in maps.iter_mut().zip(MAPS) {
                *map = doc.get(ROOT, name)?.ok_or(AutomergeError::Fail)?.1;
            }
            Ok(Self { doc, maps })
        })
    }

    /// Takes in changes whose dependencies are here already, or among them.
    pub(super) fn apply(&mut self, changes: Vec<Change>) -> Result<(), Failed> {
        guarded(|| self.doc.apply_changes(changes))
    }

    /// Carries out `ops` as one change of this document's actor. The raw, uncompressed change.
    pub(super) fn commit(&mut self, ops: &[Op]) -> Result<Vec<u8>, Failed> {
        let [facts_map, steps, header] = &self.maps;
        let doc = &mut self.doc;
        guarded(|| {
            for op in ops {
                match op {
                    Op::Facts { line, at, facts } => {
                        let value = [&at.micros.to_be_bytes()[..], &at.tick.to_be_bytes(), facts].concat();
                        doc.put(facts_map, line.to_string(), ScalarValue::Bytes(value))?;
                    }
                    Op::Step { line, step, qty } => doc.put(steps, step_key(line, step), qty.0)?,
                    Op::Unstep { line, step, .. } => doc.delete(steps, step_key(line, step))?,
                    Op::Header { name, value, .. } => {
                        doc.put(header, name.as_str(), ScalarValue::Bytes(value.clone()))?;
                    }
                }
            }
            let made = doc.commit_with(CommitOptions::default().with_time(0));
            let change = made.and_then(|_| doc.get_last_local_change()).ok_or(AutomergeError::Fail)?;
            Ok(change.raw_bytes().to_vec())
        })
    }

    /// What is live at the key that `op` touches.
    pub(super) fn look(&self, op: &Op) -> Result<Option<Live>, Failed> {
        let [facts, steps, header] = &self.maps;
        guarded(|| {
            Ok(match op {
                Op::Facts { line, .. } => self.doc.get(facts, line.to_string())?.and_then(|(value, _)| {
                    let (at, facts) = read_facts(value.as_bytes()?)?;
                    Some(Live::Facts(*line, at, facts))
                }),
                Op::Step { line, step, .. } | Op::Unstep { line, step, .. } => {
                    let value = self.doc.get(steps, step_key(line, step))?;
                    value.and_then(|(value, _)| Some(Live::Step(*line, *step, Milli(value.as_i64()?))))
                }
                Op::Header { name, .. } => {
                    let value = self.doc.get(header, name.as_str())?;
                    value.and_then(|(value, _)| Some(Live::Header(name.clone(), value.as_bytes()?.to_vec())))
                }
            })
        })
    }

    /// Reads everything that is live, as Automerge sees it: facts, steps and registers, in the order of their keys.
    pub(super) fn read(&self, visit: &mut dyn FnMut(Live)) -> Result<(), Failed> {
        let [facts, steps, header] = &self.maps;
        guarded(|| {
            let facts = self.doc.map_range(facts, ..).filter_map(|item| {
                let (at, facts) = read_facts(&bytes_of(item.value)?)?;
                Some(Live::Facts(LineId(lower_hex(&item.key)?), at, facts))
            });
            facts.for_each(&mut *visit);
            let steps = self.doc.map_range(steps, ..).filter_map(|item| {
                let (line, step) = read_step_key(&item.key)?;
                match item.value {
                    ValueRef::Scalar(ScalarValueRef::Int(qty)) => Some(Live::Step(line, step, Milli(qty))),
                    _ => None,
                }
            });
            steps.for_each(&mut *visit);
            let header = self.doc.map_range(header, ..);
            header
                .filter_map(|item| Some(Live::Header(item.key.to_string(), bytes_of(item.value)?)))
                .for_each(visit);
            Ok(())
        })
    }
}

/// Something that a document shows.
pub(super) enum Live {
    Facts(LineId, Hlc, Vec<u8>),
    Step(LineId, StepId, Milli),
    Header(String, Vec<u8>),
}

fn bytes_of(value: ValueRef<'_>) -> Option<Vec<u8>> {
    match value {
        ValueRef::Scalar(ScalarValueRef::Bytes(bytes)) => Some(bytes.into_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::hex;
    use automerge::ObjType;

    #[test]
    fn the_genesis_is_what_automerge_makes_of_three_maps_at_time_zero() {
        let mut doc = AutoCommit::new().with_actor(ActorId::from(&genesis_actor().0));
        for name in MAPS {
            doc.put_object(ROOT, name, ObjType::Map).unwrap();
        }
        doc.commit_with(CommitOptions::default().with_time(0));
        let change = doc.get_last_local_change().unwrap();
        assert_eq!(hex(change.raw_bytes()), hex(GENESIS));
    }
}
