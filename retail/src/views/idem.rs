//! Which requests were answered already.
//!
//! Absent on purpose: refusing. A key that was used for two requests (by a cloned terminal) has two rows; the caller sees both.

use toko_crdt::body::Idem;
use toko_crdt::book::settled::rows_settled;
use toko_crdt::fold::{Effect, Kv, KvError, KvRead};
use toko_crdt::settling::Settling;
use toko_crdt::{CartId, EffectId, Lane, NodeId};

use super::table::{IDEM_BOOKS, IDEM_FLOOR, IDEM_OF_CART, Key, Parts, mark, rows_below, value, write};

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

/// Notes what used a key: in the table of the floor what was done to a cart there, with a row that leads from the cart to it.
pub(super) fn fold(
    kv: &mut dyn Kv,
    effect: &Effect<'_>,
    cart: Option<&CartId>,
    used: &Idem,
) -> Result<(), KvError> {
    if toko_crdt::mutant!("drop-dedupe") {
        return Ok(());
    }
    if cart.is_none() {
        return write(kv, &key_in_books(effect.author(), used.key, effect.id), &used.request);
    }
    let to = |key: Key| key.bytes(&effect.author().0).bytes(&used.key).bytes(&effect.id.0).done();
    if let Some(cart) = cart {
        mark(kv, &to(Key::of(IDEM_OF_CART).bytes(&cart.0)))?;
    }
    write(kv, &to(Key::of(IDEM_FLOOR)), &used.request)
}

/// The row of what a key did in the books.
pub(super) fn key_in_books(node: NodeId, key: [u8; 16], effect: EffectId) -> Vec<u8> {
    Key::of(IDEM_BOOKS).bytes(&node.0).bytes(&key).bytes(&effect.0).done()
}

/// Takes away what is kept of the keys that were used on carts.
pub(super) fn settle(kv: &mut dyn Kv, settling: &Settling) -> Result<(), KvError> {
    for row in rows_settled(kv, IDEM_OF_CART, settling)? {
        let mut parts = Parts::of(&row);
        parts.take::<16>()?;
        let used = Key::of(IDEM_FLOOR).bytes(&parts.take::<32>()?).bytes(&parts.take::<16>()?);
        kv.delete(&used.bytes(&parts.take::<32>()?).done())?;
        kv.delete(&row)?;
    }
    Ok(())
}
