//! Which carts are settled, and the rows that go with them.
//!
//! A row here per settling, less those that another takes in: mostly there is one. What stands is the set of the settlings
//! that no other takes in, whatever came first.
//!
//! Tables whose keys begin with a cart are in the order in which carts were made, so what is settled is found at their
//! beginning, past the few carts that are kept.

use super::rows;
use crate::clock::UnixMicros;
use crate::fold::{Kv, KvError, KvRead};
use crate::hash::Hash;
use crate::ids::CartId;
use crate::settling::Settling;

const SETTLED: u8 = 0x45;
/// Bytes of a cart's id.
const ID: usize = 16;

/// All settlings that no other takes in.
pub fn settlings(kv: &dyn KvRead) -> Result<Vec<Settling>, KvError> {
    let mut out = Vec::new();
    kv.scan(&[SETTLED], &mut |key, value| {
        out.push(read(key, value));
        true
    })?;
    out.into_iter().collect()
}

/// Whether a cart is settled: nothing is kept of it, whatever still comes.
pub fn is_settled(kv: &dyn KvRead, cart: &CartId) -> Result<bool, KvError> {
    let mut settled = Ok(false);
    let after = cart.made_at().0.saturating_add(1);
    kv.scan_from(&[SETTLED], &[&[SETTLED], after.to_be_bytes().as_slice()].concat(), &mut |key, value| {
        settled = read(key, value).map(|settling| settling.settles(cart));
        matches!(settled, Ok(false))
    })?;
    settled
}

/// Up to when carts are settled, if any are: a cart that is made now is given a later time.
pub fn settled_before(kv: &dyn KvRead) -> Result<Option<UnixMicros>, KvError> {
    Ok(settlings(kv)?.iter().map(Settling::before).max())
}

/// The keys of all rows that a settling ends, in a table whose keys begin with a cart.
pub fn rows_settled(kv: &dyn KvRead, table: u8, settling: &Settling) -> Result<Vec<Vec<u8>>, KvError> {
    let mut out = Vec::new();
    for cart in carts_before(kv, table, settling.before())? {
        if settling.settles(&cart) {
            kv.scan(&[&[table], cart.0.as_slice()].concat(), &mut |key, _| {
                out.push(key.to_vec());
                true
            })?;
        }
    }
    Ok(out)
}

/// The carts made before a time that have rows in a table whose keys begin with a cart, in the order of their ids.
pub fn carts_before(kv: &dyn KvRead, table: u8, before: UnixMicros) -> Result<Vec<CartId>, KvError> {
    let mut out: Vec<CartId> = Vec::new();
    let mut is_whole = true;
    kv.scan(&[table], &mut |key, _| {
        let Some(cart) = key.get(1..).and_then(|id| id.first_chunk::<ID>()).map(|id| CartId(*id)) else {
            is_whole = false;
            return false;
        };
        if cart.made_at() >= before {
            return false;
        }
        if out.last() != Some(&cart) {
            out.push(cart);
        }
        true
    })?;
    if is_whole { Ok(out) } else { Err(KvError::corrupt("a row of a cart")) }
}

/// Notes a settling and takes the book's own rows away. False where another one says as much already.
pub(super) fn settle(kv: &mut dyn Kv, settling: &Settling) -> Result<bool, KvError> {
    let known = settlings(kv)?;
    if known.iter().any(|other| settling.is_within(other)) {
        return Ok(false);
    }
    for other in known.iter().filter(|other| other.is_within(settling)) {
        kv.delete(&key(other))?;
    }
    let keep: Vec<u8> = settling.keep().iter().flat_map(|cart| cart.0).collect();
    kv.put(&key(settling), &keep)?;
    rows::settle(kv, settling)?;
    Ok(true)
}

fn key(settling: &Settling) -> Vec<u8> {
    let keep: Vec<&[u8]> = settling.keep().iter().map(|cart| cart.0.as_slice()).collect();
    let hash = Hash::of("toko/settled/1", &keep);
    [&[SETTLED], settling.before().0.to_be_bytes().as_slice(), &hash.0].concat()
}

fn read(key: &[u8], value: &[u8]) -> Result<Settling, KvError> {
    let read = || {
        let before = i64::from_be_bytes(*key.get(1..)?.first_chunk()?);
        let (keep, rest) = value.as_chunks::<ID>();
        let keep = rest.is_empty().then(|| keep.iter().map(|id| CartId(*id)).collect())?;
        Settling::stored(UnixMicros(before), keep)
    };
    read().ok_or_else(|| KvError::corrupt("a row of settlings"))
}
