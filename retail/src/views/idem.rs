//! Which requests were answered already.
//!
//! Absent on purpose: refusing. A key that was used for two requests (by a cloned terminal) has two rows; the caller sees both.

use toko_crdt::body::Idem;
use toko_crdt::fold::{Effect, Kv, KvError, KvRead};
use toko_crdt::{EffectId, Lane, NodeId};

use super::table::{IDEM_BOOKS, IDEM_FLOOR, Key, Parts, rows_below, value, write};

/// One use of an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdemUse {
    /// Hash of the request that used it.
    pub request: [u8; 16],
    /// What it did.
    pub effect: EffectId,
    /// In which lane.
    pub lane: Lane,
}

/// The uses of a node's key, in either lane; empty for one that was never used. More than one only where a terminal was cloned.
pub fn idem_uses(kv: &dyn KvRead, node: NodeId, key: [u8; 16]) -> Result<Vec<IdemUse>, KvError> {
    let mut uses = Vec::new();
    for (table, lane) in [(IDEM_BOOKS, Lane::Books), (IDEM_FLOOR, Lane::Floor)] {
        for (row_key, row) in rows_below(kv, &Key::of(table).bytes(&node.0).bytes(&key).done())? {
            let mut parts = Parts::of(&row_key);
            parts.take::<32>()?;
            parts.take::<16>()?;
            uses.push(IdemUse { request: value(&row)?, effect: EffectId(parts.take()?), lane });
        }
    }
    Ok(uses)
}

pub(super) fn fold(kv: &mut dyn Kv, effect: &Effect<'_>, lane: Lane, used: &Idem) -> Result<(), KvError> {
    if toko_crdt::mutant!("drop-dedupe") {
        return Ok(());
    }
    let table = match lane {
        Lane::Books => IDEM_BOOKS,
        Lane::Floor => IDEM_FLOOR,
    };
    let key = Key::of(table).bytes(&effect.author().0).bytes(&used.key).bytes(&effect.id.0).done();
    write(kv, &key, &used.request)
}
