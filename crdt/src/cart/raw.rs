//! A raw change, checked byte by byte before any decoder of documents sees it.
//!
//! An Automerge change is a header (magic, checksum, kind, length) and run-length encoded columns: forty bytes may claim
//! a billion operations, and a compressed one inflates without limit. So only uncompressed changes pass, and only if the
//! sum of their runs is bounded. What is checked here depends on these bytes alone, so it is the same on every node and
//! may decide what is folded; to make it stricter is a new version of the fold.
//!
//! Source: <https://automerge.org/automerge-binary-format-spec/>.

use super::{Actor, CHANGE_BYTES_MAX, OPS_MAX};
use crate::codec::{CodecError, check_len};
use crate::hash::Hash;

/// The first four bytes of every chunk.
const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
/// The chunk type of an uncompressed change. Documents are 0, compressed changes 2, bundles 3.
const KIND_CHANGE: u8 = 1;
/// How many changes one change may directly follow.
const DEPS_MAX: u64 = 256;
/// How many other actors one change may name.
const ACTORS_MAX: u64 = 256;
/// The longest key of a map.
const KEY_BYTES_MAX: u64 = 128;

const MALFORMED: CodecError = CodecError::Malformed { what: "cart change" };

/// What a raw change says of itself before its operations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeHead {
    /// Automerge's own hash of the change; others name it by this.
    pub hash: Hash,
    /// Who made it.
    pub actor: Actor,
    /// Its number among the changes of that actor in this cart, from 1.
    pub seq: u64,
    /// The number of its first operation.
    pub start_op: u64,
    /// The changes that it follows, sorted.
    pub deps: Vec<Hash>,
}

/// Checks a raw change and reads its head, without any decoder of documents.
///
/// Errors: too long; not exactly one uncompressed change with its own checksum; dated or with a message; columns that are
/// compressed, broken, or that claim more than [`OPS_MAX`] operations.
pub fn change_head(change: &[u8]) -> Result<ChangeHead, CodecError> {
    check_len(change, CHANGE_BYTES_MAX)?;
    read_head(change).ok_or(MALFORMED)
}

fn read_head(change: &[u8]) -> Option<ChangeHead> {
    let (magic, rest) = change.split_first_chunk::<4>()?;
    let (checksum, hashed) = rest.split_first_chunk::<4>()?;
    let mut bytes = Bytes(hashed);
    if *magic != MAGIC || bytes.byte()? != KIND_CHANGE {
        return None;
    }
    let len = bytes.uleb_short()?;
    if len != bytes.0.len() as u64 {
        return None;
    }
    let hash = Hash::sha256(hashed);
    if hash.0[..4] != checksum[..] {
        return None;
    }
    let deps = bytes.count(DEPS_MAX)?;
    let deps = (0..deps).map(|_| bytes.take(32).and_then(|dep| Some(Hash(dep.try_into().ok()?))));
    let deps = deps.collect::<Option<Vec<Hash>>>()?;
    let actor = bytes.actor()?;
    let (seq, start_op) = (bytes.uleb()?, bytes.uleb()?);
    let undated = bytes.uleb()? == 0;
    let wordless = bytes.uleb()? == 0;
    let sorted = deps.is_sorted_by(|before, after| before < after);
    if seq == 0 || start_op == 0 || u32::try_from(start_op).is_err() || !undated || !wordless || !sorted {
        return None;
    }
    for _ in 0..bytes.count(ACTORS_MAX)? {
        bytes.actor()?;
    }
    check_columns(&mut bytes)?;
    bytes.0.is_empty().then_some(ChangeHead { hash, actor, seq, start_op, deps })
}

fn check_columns(bytes: &mut Bytes<'_>) -> Option<()> {
    let columns = bytes.count(32)?;
    let columns = (0..columns).map(|_| Some((bytes.uleb()?, bytes.uleb()?))).collect::<Option<Vec<_>>>()?;
    for (spec, len) in columns {
        let data = Bytes(bytes.take(usize::try_from(len).ok()?)?);
        let compressed = spec & 8 != 0 && !crate::mutant!("take-compressed-changes");
        let rows = match spec & 7 {
            _ if compressed => return None,
            0 => data.sum_of_runs()?,
            4 => data.booleans()?,
            5 => data.runs(|value| {
                let len = value.uleb()?;
                (len <= KEY_BYTES_MAX).then(|| value.take(usize::try_from(len).ok()?))??;
                Some(1)
            })?,
            7 => 0,
            _ => data.runs(|value| value.leb().map(|()| 1))?,
        };
        if rows > OPS_MAX as u64 && !crate::mutant!("believe-claimed-operations") {
            return None;
        }
    }
    Some(())
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn actor(&mut self) -> Option<Actor> {
        match self.uleb()? {
            16 => Some(Actor(self.take(16)?.try_into().ok()?)),
            _ => None,
        }
    }

    fn count(&mut self, max: u64) -> Option<u64> {
        self.uleb().filter(|count| *count <= max)
    }

    fn uleb(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// The one shortest form: the length is hashed by value, so a longer form would give two byte strings one hash.
    fn uleb_short(&mut self) -> Option<u64> {
        let before = self.0;
        let value = self.uleb()?;
        let used = before.len() - self.0.len();
        (used == 1 || before.get(used - 1) != Some(&0)).then_some(value)
    }

    fn sleb(&mut self) -> Option<i64> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            value |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let sign = if byte & 0x40 == 0 { 0 } else { -1 << (shift + 7).min(63) };
                return Some(value | sign);
            }
        }
        None
    }

    /// Skips one number of either sign.
    fn leb(&mut self) -> Option<()> {
        (0..10).find_map(|_| self.byte().map_or(Some(None), |byte| (byte & 0x80 == 0).then_some(Some(()))))?
    }

    /// Rows of a run-length encoded column, each weighing what `value` says.
    fn runs(mut self, mut value: impl FnMut(&mut Self) -> Option<u64>) -> Option<u64> {
        let mut rows: u64 = 0;
        while !self.0.is_empty() {
            let run = self.sleb()?;
            rows = rows.checked_add(match run {
                0 => self.uleb()?,
                1.. => run.unsigned_abs().max(value(&mut self)?.checked_mul(run.unsigned_abs())?),
                _ => {
                    let mut sum: u64 = 0;
                    for _ in 0..run.unsigned_abs() {
                        sum = sum.checked_add(value(&mut self)?)?;
                    }
                    sum.max(run.unsigned_abs())
                }
            })?;
        }
        Some(rows)
    }

    /// A group column counts the rows of the columns below it: the greater of its own rows and those.
    fn sum_of_runs(self) -> Option<u64> {
        self.runs(|value| value.uleb())
    }

    fn booleans(mut self) -> Option<u64> {
        let mut rows: u64 = 0;
        while !self.0.is_empty() {
            rows = rows.checked_add(self.uleb()?)?;
        }
        Some(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_written_and_only_their_shortest_form_is_a_length() {
        assert_eq!(Bytes(&[0xac, 0x02]).uleb(), Some(300));
        assert_eq!(Bytes(&[0x7e]).sleb(), Some(-2));
        assert_eq!(Bytes(&[0x80, 0x7f]).sleb(), Some(-128));
        assert_eq!(Bytes(&[0xff; 12]).uleb(), None);
        assert_eq!(Bytes(&[0x80]).uleb(), None, "cut short");
        assert_eq!(Bytes(&[0]).uleb_short(), Some(0));
        assert_eq!(Bytes(&[0xac, 0x02]).uleb_short(), Some(300));
        assert_eq!(Bytes(&[0xac, 0x82, 0]).uleb_short(), None);
    }

    #[test]
    fn runs_are_added_up_and_not_walked() {
        let count = |column: &[u8]| Bytes(column).runs(|value| value.leb().map(|()| 1));
        assert_eq!(count(&[5, 1]), Some(5), "five times the same");
        assert_eq!(count(&[0x7d, 1, 2, 3, 2, 9]), Some(5), "three of their own, then two");
        assert_eq!(count(&[0, 7]), Some(7), "seven times nothing");
        assert_eq!(count(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 1]), Some(1 << 35));
        assert_eq!(count(&[0x7d, 1, 2]), None, "cut short");
        assert_eq!(Bytes(&[2, 100]).sum_of_runs(), Some(200), "a group counts what is below it");
        assert_eq!(Bytes(&[3, 0x80, 0x80, 0x02]).booleans(), Some(3 + (2 << 14)));
    }

    #[test]
    fn columns_that_are_compressed_or_claim_more_than_a_change_may_hold_are_refused() {
        let check = |columns: &[u8]| check_columns(&mut Bytes(columns));
        assert_eq!(check(&[1, 0x42, 2, 5, 1]), Some(()), "five actions in two bytes");
        assert_eq!(check(&[1, 0x4a, 2, 5, 1]), None, "the same, marked as compressed");
        assert_eq!(check(&[1, 0x42, 3, 0x80, 0x08, 1]), Some(()), "as many as there may be");
        assert_eq!(check(&[1, 0x42, 3, 0x81, 0x08, 1]), None, "one more");
        assert_eq!(check(&[1, 0x42, 7, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 1]), None, "a bomb");
    }
}
