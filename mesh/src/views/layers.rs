//! Rows in memory above other rows: a newer layer hides an older one, a removed row hides what lies below.

use std::{
    collections::{BTreeMap, btree_map},
    fmt,
    ops::Bound,
    sync::Arc,
};

use toko_crdt::{Kv, KvError, KvRead};

/// A value, or "removed".
pub(super) type Row = Option<Arc<[u8]>>;

/// Rows that are not in the database yet.
#[derive(Clone, Default)]
pub(super) struct Rows {
    rows: BTreeMap<Arc<[u8]>, Row>,
    bytes: usize,
}

/// Rough cost of a row beside its bytes.
const ROW_BYTES: usize = 96;

impl Rows {
    pub(super) fn get(&self, key: &[u8]) -> Option<&Row> {
        self.rows.get(key)
    }

    pub(super) fn iter(&self) -> btree_map::Iter<'_, Arc<[u8]>, Row> {
        self.rows.iter()
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

    /// Takes rows in; later ones replace earlier ones.
    pub(super) fn extend<K: Into<Arc<[u8]>>, V: Into<Arc<[u8]>>>(
        &mut self,
        rows: impl IntoIterator<Item = (K, Option<V>)>,
    ) {
        for (key, value) in rows {
            let (key, value) = (key.into(), value.map(Into::into));
            let key_bytes = key.len() + ROW_BYTES;
            self.bytes += value.as_ref().map_or(0, |value: &Arc<[u8]>| value.len());
            match self.rows.insert(key, value) {
                Some(before) => self.bytes -= before.map_or(0, |value| value.len()),
                None => self.bytes += key_bytes,
            }
        }
    }

    fn range(&self, from: &[u8]) -> btree_map::Range<'_, Arc<[u8]>, Row> {
        self.rows.range::<[u8], _>((Bound::Included(from), Bound::Unbounded))
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("rows", &self.rows.len()).field("bytes", &self.bytes).finish()
    }
}

/// Visits the rows of `layers` (newest first) and `base` as if they were one map.
pub(super) fn scan_layers(
    layers: &[Option<&Rows>],
    base: &dyn KvRead,
    prefix: &[u8],
    from: &[u8],
    visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
) -> Result<(), KvError> {
    let Some((newest, older)) = layers.split_first() else {
        return base.scan_from(prefix, from, visit);
    };
    let Some(rows) = newest.filter(|rows| !rows.is_empty()) else {
        return scan_layers(older, base, prefix, from, visit);
    };
    let mine = rows.range(prefix.max(from)).map(|(key, row)| (&**key, row.as_deref()));
    merge(mine.take_while(|(key, _)| key.starts_with(prefix)), visit, |below| {
        scan_layers(older, base, prefix, from, below)
    })
}

/// Visits `mine` and what `scan_below` visits in the order of their keys; `mine` hides what has the same key.
fn merge<'a>(
    mine: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    scan_below: impl FnOnce(&mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), KvError>,
) -> Result<(), KvError> {
    let mut mine = mine.peekable();
    let mut more = true;
    scan_below(&mut |key, value| {
        while let Some((my_key, my_value)) = mine.next_if(|(my_key, _)| *my_key < key) {
            more = my_value.is_none_or(|my_value| visit(my_key, my_value));
            if !more {
                return false;
            }
        }
        more = match mine.next_if(|(my_key, _)| *my_key == key) {
            Some((my_key, my_value)) => my_value.is_none_or(|my_value| visit(my_key, my_value)),
            None => visit(key, value),
        };
        more
    })?;
    for (my_key, my_value) in mine {
        more = more && my_value.is_none_or(|my_value| visit(my_key, my_value));
        if !more {
            break;
        }
    }
    Ok(())
}

/// Rows that a group is writing, above the views as they were when it began. Nobody sees them yet.
pub(crate) struct Draft<'a> {
    base: &'a dyn KvRead,
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(base: &'a dyn KvRead) -> Self {
        Self { base, rows: BTreeMap::new() }
    }

    pub(crate) fn into_rows(self) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        self.rows
    }
}

impl KvRead for Draft<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        match self.rows.get(key) {
            Some(row) => Ok(row.clone()),
            None => self.base.get(key),
        }
    }

    fn scan_from(
        &self,
        prefix: &[u8],
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), KvError> {
        let start = (Bound::Included(prefix.max(from)), Bound::Unbounded);
        let mine = self.rows.range::<[u8], _>(start).map(|(key, row)| (&**key, row.as_deref()));
        merge(mine.take_while(|(key, _)| key.starts_with(prefix)), visit, |below| {
            self.base.scan_from(prefix, from, below)
        })
    }
}

impl Kv for Draft<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        self.rows.insert(key.to_vec(), Some(value.to_vec()));
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), KvError> {
        self.rows.insert(key.to_vec(), None);
        Ok(())
    }
}

impl fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}
