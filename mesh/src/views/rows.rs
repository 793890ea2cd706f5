//! Rows in memory, in the order of their keys.
//!
//! A row is one piece of memory, key and value, and the first bytes of its key stand in the tree itself, so that nearly all
//! comparisons on the way to a row touch the tree and nothing else: with keys behind pointers, catching up spent half of its
//! processor time on waiting for them.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// Rows that are not in the database yet: each with its value, or as "removed".
#[derive(Clone, Default)]
pub(crate) struct Rows {
    rows: BTreeSet<Row<'static>>,
    bytes: usize,
    /// Where a row is put together.
    scratch: Vec<u8>,
}

/// Rough cost of a row beside its bytes.
const ROW_BYTES: usize = 96;

/// A key and its value, or the key of a row that was removed, or a key that is looked for.
#[derive(Clone)]
struct Row<'k> {
    head: Head,
    rest: Rest<'k>,
}

#[derive(Clone)]
enum Rest<'k> {
    /// The key, then the value.
    Kept { bytes: Arc<[u8]>, key_bytes: u32, is_removed: bool },
    /// The key.
    Sought(&'k [u8]),
}

/// The first sixteen bytes of a key as numbers that sort like them; zeros where it is shorter.
type Head = [u64; 2];

fn head_of(key: &[u8]) -> Head {
    let mut padded = [0; 16];
    let bytes = key.len().min(padded.len());
    padded[..bytes].copy_from_slice(&key[..bytes]);
    let number = u128::from_be_bytes(padded);
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    [(number >> 64) as u64, number as u64]
}

impl Rows {
    /// The value of a row, "removed", or nothing where this does not speak of it.
    pub(super) fn get<'a>(&'a self, key: &'a [u8]) -> Option<Option<&'a [u8]>> {
        among(&self.rows).get(&Row::sought(key)).map(Row::value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.rows.iter().map(|row| (row.key(), row.value()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// What the rows take in memory, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sets or removes a row.
    pub(crate) fn set(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.scratch.clear();
        self.scratch.extend_from_slice(key);
        self.scratch.extend_from_slice(value.unwrap_or_default());
        let key_bytes = u32::try_from(key.len()).unwrap_or_else(|_| unreachable!("keys are short"));
        let bytes = Arc::from(self.scratch.as_slice());
        let rest = Rest::Kept { bytes, key_bytes, is_removed: value.is_none() };
        self.insert(Row { head: head_of(key), rest });
    }

    /// Takes newer rows in.
    pub(super) fn take_in(&mut self, newer: Arc<Self>) {
        match Arc::try_unwrap(newer) {
            Ok(newer) if self.is_empty() => *self = newer,
            Ok(newer) => newer.rows.into_iter().for_each(|row| self.insert(row)),
            Err(shared) => shared.rows.iter().for_each(|row| self.insert(row.clone())),
        }
    }

    /// Drops the rows that `keep` says `false` to.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&[u8], Option<&[u8]>) -> bool) {
        let mut dropped = 0;
        self.rows.retain(|row| {
            let stays = keep(row.key(), row.value());
            dropped += if stays { 0 } else { row.cost() };
            stays
        });
        self.bytes -= dropped;
    }

    /// Rows from a key on, in order.
    pub(super) fn range<'a>(&'a self, from: &'a [u8]) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        among(&self.rows).range(Row::sought(from)..).map(|row| (row.key(), row.value()))
    }

    fn insert(&mut self, row: Row<'static>) {
        self.bytes += row.cost();
        self.bytes -= self.rows.replace(row).map_or(0, |before| before.cost());
    }
}

/// The same rows, as what a key can be looked for in.
fn among<'k>(rows: &'k BTreeSet<Row<'static>>) -> &'k BTreeSet<Row<'k>> {
    rows
}

impl<'k> Row<'k> {
    fn sought(key: &'k [u8]) -> Self {
        Self { head: head_of(key), rest: Rest::Sought(key) }
    }

    fn key(&self) -> &[u8] {
        match &self.rest {
            Rest::Kept { bytes, key_bytes, .. } => &bytes[..*key_bytes as usize],
            Rest::Sought(key) => key,
        }
    }

    fn value(&self) -> Option<&[u8]> {
        match &self.rest {
            Rest::Kept { bytes, key_bytes, is_removed: false } => Some(&bytes[*key_bytes as usize..]),
            Rest::Kept { .. } | Rest::Sought(_) => None,
        }
    }

    fn cost(&self) -> usize {
        match &self.rest {
            Rest::Kept { bytes, .. } => bytes.len() + ROW_BYTES,
            Rest::Sought(_) => 0,
        }
    }
}

impl Ord for Row<'_> {
    /// The order of the keys: where heads differ, they differ as the keys do.
    fn cmp(&self, other: &Self) -> Ordering {
        self.head.cmp(&other.head).then_with(|| self.key().cmp(other.key()))
    }
}

impl PartialOrd for Row<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Row<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Row<'_> {}

impl From<BTreeMap<Vec<u8>, Option<Vec<u8>>>> for Rows {
    fn from(map: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Self {
        let mut rows = Self::default();
        map.iter().for_each(|(key, value)| rows.set(key, value.as_deref()));
        rows
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("rows", &self.rows.len()).field("bytes", &self.bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_the_order_of_their_keys_whatever_their_first_bytes_are() {
        let long = [7; 16];
        let keys: [&[u8]; 9] = [
            b"a",
            b"a\0",
            b"a\0\x01",
            b"a\x01",
            b"",
            &long,
            &[long.as_slice(), &[0]].concat(),
            &[7; 15],
            b"\xff",
        ];
        let mut rows = Rows::default();
        keys.iter().for_each(|key| rows.set(key, Some(key)));
        let mut sorted = keys;
        sorted.sort_unstable();
        assert!(rows.iter().map(|(key, _)| key).eq(sorted));
        for key in keys {
            assert_eq!(rows.get(key), Some(Some(key)));
            assert_eq!(rows.range(key).next(), Some((key, Some(key))));
        }
        assert_eq!(
            (rows.get(b"a\0\x02"), rows.range(b"a\0\x02").next().map(|(key, _)| key)),
            (None, Some(&b"a\x01"[..]))
        );
    }

    #[test]
    fn what_rows_take_is_counted_once_however_often_they_change() {
        let mut rows = Rows::default();
        rows.set(b"k", Some(b"12345678"));
        let once = rows.bytes();
        rows.set(b"k", Some(b"1"));
        assert_eq!(rows.bytes(), once - 7);
        rows.set(b"k", None);
        assert_eq!((rows.bytes(), rows.get(b"k")), (once - 8, Some(None)));
        let mut all = Rows::default();
        all.set(b"k", Some(b"12345678"));
        all.take_in(Arc::new(rows));
        assert_eq!((all.bytes(), all.len(), all.get(b"k")), (once - 8, 1, Some(None)));
        all.retain(|_, value| value.is_some());
        assert_eq!((all.bytes(), all.is_empty()), (0, true));
    }
}
