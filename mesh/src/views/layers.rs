//! Rows in memory above other rows: a newer layer hides an older one, a removed row hides what lies below.

use std::{cell::RefCell, collections::HashMap, fmt, sync::Arc};

use toko_crdt::{Kv, KvError, KvRead, digest::Digests};

use super::rows::Rows;

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
    let mine = rows.range(prefix.max(from));
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
///
/// What the base answered is kept beside: many entries of a group read and write the same few rows, and [`Draft::settle`]
/// needs each row as it was once more.
pub(crate) struct Draft<'a> {
    base: &'a dyn KvRead,
    rows: Rows,
    /// Rows of views only: whatever else a fold reads, it reads once.
    reads: RefCell<Answers>,
}

/// What the base answered, by key.
type Answers = HashMap<Box<[u8]>, Option<Arc<[u8]>>>;

impl<'a> Draft<'a> {
    pub(crate) fn new(base: &'a dyn KvRead) -> Self {
        Self { base, rows: Rows::default(), reads: RefCell::default() }
    }

    pub(crate) fn into_rows(self) -> Rows {
        self.rows
    }

    /// Moves `digests` along by every row that is not what it was in the base: two hashes for a row, however often the group
    /// changed it. Rows that are again what they were are dropped.
    pub(crate) fn settle(&mut self, digests: &mut Digests) -> Result<(), KvError> {
        let mut reads = self.reads.take();
        let mut fault = Ok(());
        self.rows.retain(|key, after| {
            if fault.is_err() || !Digests::count(key) {
                return true;
            }
            let before = match reads.remove(key) {
                Some(before) => before,
                None => match self.base.get(key) {
                    Ok(before) => before.map(Arc::from),
                    Err(error) => {
                        fault = Err(error);
                        return true;
                    }
                },
            };
            digests.change(key, before.as_deref(), after);
            before.as_deref() != after
        });
        fault
    }

    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        if !Digests::count(key) {
            return self.base.get(key);
        }
        if let Some(known) = self.reads.borrow().get(key) {
            return Ok(known.as_deref().map(<[u8]>::to_vec));
        }
        let read = self.base.get(key)?;
        self.reads.borrow_mut().insert(key.into(), read.as_deref().map(Arc::from));
        Ok(read)
    }
}

impl KvRead for Draft<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        match self.rows.get(key) {
            Some(row) => Ok(row.map(<[u8]>::to_vec)),
            None => self.read(key),
        }
    }

    fn scan_from(
        &self,
        prefix: &[u8],
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), KvError> {
        let mine = self.rows.range(prefix.max(from));
        merge(mine.take_while(|(key, _)| key.starts_with(prefix)), visit, |below| {
            self.base.scan_from(prefix, from, below)
        })
    }
}

impl Kv for Draft<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        self.rows.set(key, Some(value));
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), KvError> {
        self.rows.set(key, None);
        Ok(())
    }
}

impl fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}
