//! One number over all views, kept up to date row by row, so that two nodes compare millions of rows by 32 bytes.
//!
//! An incremental multiset hash: the sum, modulo 2²⁵⁶, of the SHA-256 of each row. Adding and removing a row cost one hash;
//! order does not matter. It finds mistakes and lost rows, which is its job; it is not meant to stand against a member who
//! searches for colliding views (entries and seals are signed, and views are recomputed from them).
//! Source: Clarke et al., "Incremental multiset hash functions", ASIACRYPT 2003 (MSet-Add-Hash).

use crate::fold::{Kv, KvError, KvRead};
use crate::hash::{Hash, hex};
use std::fmt;

/// Views whose first key byte is below this belong to the books lane; from here on, to the floor lane.
pub const FLOOR_KEYS: u8 = 0x40;
/// Keys from this first byte on are local tables: outside every digest.
pub const LOCAL_KEYS: u8 = 0x80;

const DIGESTS_KEY: &[u8] = &[0x83];

/// A digest of some rows. *Shape*: 32 bytes, most significant first; all zero for no row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest(pub [u8; 32]);

/// The digests of both kinds of views. HQ holds books only and compares the first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Digests {
    /// Over the views of the books lane.
    pub books: Digest,
    /// Over the views of the floor lane.
    pub floor: Digest,
}

impl Digest {
    /// Adds a row.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        self.sum(row_limbs(key, value), u64::carrying_sum);
    }

    /// Takes a row back out.
    pub fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.sum(row_limbs(key, value), u64::borrowing_difference);
    }

    fn sum(&mut self, row: [u64; 4], step: fn(u64, u64, bool) -> (u64, bool)) {
        let mut limbs = limbs(&self.0);
        let mut carry = false;
        for (limb, add) in limbs.iter_mut().zip(row).rev() {
            (*limb, carry) = step(*limb, add, carry);
        }
        for (bytes, limb) in self.0.chunks_exact_mut(8).zip(limbs) {
            bytes.copy_from_slice(&limb.to_be_bytes());
        }
    }
}

impl Digests {
    /// What the views of `kv` add up to, as of its last commit.
    pub fn of(kv: &dyn KvRead) -> Result<Self, KvError> {
        let Some(row) = kv.get(DIGESTS_KEY)? else { return Ok(Self::default()) };
        let Some((books, floor)) = row.split_first_chunk::<32>() else {
            return Err(KvError::corrupt("the digests' row is too short"));
        };
        let floor = floor.try_into().map_err(|_| KvError::corrupt("the digests' row is too short"))?;
        Ok(Self { books: Digest(*books), floor: Digest(floor) })
    }

    /// Writes the digests' row.
    pub fn save(&self, kv: &mut dyn Kv) -> Result<(), KvError> {
        kv.put(DIGESTS_KEY, &[self.books.0, self.floor.0].concat())
    }

    /// Whether rows with this key count: local tables do not.
    #[must_use]
    pub fn count(key: &[u8]) -> bool {
        key.first().is_some_and(|first| *first < LOCAL_KEYS)
    }

    /// Notes that the row `key` changed from `before` to `after`; local tables do not count.
    pub fn change(&mut self, key: &[u8], before: Option<&[u8]>, after: Option<&[u8]>) {
        let digest = match key.first() {
            Some(&first) if first < FLOOR_KEYS => &mut self.books,
            Some(&first) if first < LOCAL_KEYS => &mut self.floor,
            _ => return,
        };
        if before == after {
            return;
        }
        if let Some(value) = before.filter(|_| !crate::mutant!("digest-keeps-old-rows")) {
            digest.remove(key, value);
        }
        if let Some(value) = after {
            digest.add(key, value);
        }
    }

    /// Recomputes both digests from every row: slow, and what the incremental ones must equal.
    pub fn recompute(kv: &dyn KvRead) -> Result<Self, KvError> {
        let mut out = Self::default();
        kv.scan(&[], &mut |key, value| {
            out.change(key, None, Some(value));
            true
        })?;
        Ok(out)
    }
}

fn row_limbs(key: &[u8], value: &[u8]) -> [u64; 4] {
    let length = (key.len() as u64).to_be_bytes();
    limbs(&Hash::of("toko/view/1", &[&length, key, value]).0)
}

fn limbs(bytes: &[u8; 32]) -> [u64; 4] {
    let mut out = [0; 4];
    for (limb, chunk) in out.iter_mut().zip(bytes.chunks_exact(8)) {
        *limb = chunk.iter().fold(0, |limb, byte| limb << 8 | u64::from(*byte));
    }
    out
}

/// Addition and subtraction with a carry.
trait Carry: Sized {
    fn carrying_sum(self, other: Self, carry: bool) -> (Self, bool);
    fn borrowing_difference(self, other: Self, borrow: bool) -> (Self, bool);
}

impl Carry for u64 {
    fn carrying_sum(self, other: Self, carry: bool) -> (Self, bool) {
        let (sum, one) = self.overflowing_add(other);
        let (sum, two) = sum.overflowing_add(Self::from(carry));
        (sum, one || two)
    }

    fn borrowing_difference(self, other: Self, borrow: bool) -> (Self, bool) {
        let (left, one) = self.overflowing_sub(other);
        let (left, two) = left.overflowing_sub(Self::from(borrow));
        (left, one || two)
    }
}

impl From<Hash> for Digest {
    fn from(hash: Hash) -> Self {
        Self(hash.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0[..4]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_add_up_in_any_order_and_come_out_again() {
        let rows: Vec<[u8; 2]> = (0..80).map(|i| [i, 3 * i]).collect();
        let (mut forth, mut back) = (Digest::default(), Digest::default());
        rows.iter().for_each(|row| forth.add(&row[..1], &row[1..]));
        rows.iter().rev().for_each(|row| back.add(&row[..1], &row[1..]));
        assert_eq!(forth, back);
        rows.iter().for_each(|row| forth.remove(&row[..1], &row[1..]));
        assert_eq!(forth, Digest::default());
    }

    #[test]
    fn where_a_key_ends_matters() {
        let (mut one, mut other) = (Digest::default(), Digest::default());
        one.add(b"ab", b"c");
        other.add(b"a", b"bc");
        assert_ne!(one, other);
    }

    #[test]
    fn local_tables_do_not_count() {
        let mut digests = Digests::default();
        digests.change(&[LOCAL_KEYS], None, Some(b"x"));
        assert_eq!(digests, Digests::default());
        digests.change(&[FLOOR_KEYS], None, Some(b"x"));
        assert_eq!(digests.books, Digest::default());
        assert_ne!(digests.floor, Digest::default());
    }
}
