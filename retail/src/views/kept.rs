//! Where headquarters keeps the rows of what stores have settled: in local tables, outside every digest, for ever.
//!
//! A row is either in the table where it was made or here, never in both. [`AllTime`] reads the two as one.

use std::cell::RefCell;

use toko_crdt::fold::{Kv, KvError, KvRead};

use super::table::Row;

/// First key byte of a row that is kept; the row's own key follows.
const KEPT: u8 = 0x90;

/// Views into which the rows of what is settled are folded.
pub(super) struct Kept<'a>(pub(super) &'a mut dyn Kv);

/// Everything that was ever done, settled or not: the views of headquarters as if nothing had been settled.
pub struct AllTime<'a>(pub &'a dyn KvRead);

impl KvRead for Kept<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.0.get(&kept(key))
    }

    fn scan_from(
        &self,
        prefix: &[u8],
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), KvError> {
        self.0.scan_from(&kept(prefix), &kept(from), &mut |key, value| visit(&key[1..], value))
    }
}

impl Kv for Kept<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        self.0.put(&kept(key), value)
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), KvError> {
        self.0.delete(&kept(key))
    }
}

impl KvRead for AllTime<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        match self.0.get(key)? {
            Some(value) => Ok(Some(value)),
            None => self.0.get(&kept(key)),
        }
    }

    fn scan_from(
        &self,
        prefix: &[u8],
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), KvError> {
        let mut old = Pages { kv: self.0, prefix, next: Some(prefix.max(from).to_vec()), page: Vec::new() };
        let (mut more, fault) = (true, RefCell::new(Ok(())));
        let mut step = |below: Option<&[u8]>, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool| {
            let next = old.next_below(below).unwrap_or_else(|error| {
                *fault.borrow_mut() = Err(error);
                None
            });
            next.map(|(key, value)| visit(&key, &value))
        };
        self.0.scan_from(prefix, from, &mut |key, value| {
            while more && let Some(wants_more) = step(Some(key), visit) {
                more = wants_more;
            }
            more = more && fault.borrow().is_ok() && visit(key, value);
            more
        })?;
        while more && let Some(wants_more) = step(None, visit) {
            more = wants_more;
        }
        fault.into_inner()
    }
}

/// Rows that are kept, a page at a time, so that few are in memory however many there are.
struct Pages<'a> {
    kv: &'a dyn KvRead,
    prefix: &'a [u8],
    /// Where the next page begins; nothing behind the last one.
    next: Option<Vec<u8>>,
    /// Backwards, so that the next one is at the end.
    page: Vec<Row>,
}

const PAGE_ROWS: usize = 256;

impl Pages<'_> {
    /// The next row, if its key is below the given one.
    fn next_below(&mut self, below: Option<&[u8]>) -> Result<Option<Row>, KvError> {
        if self.page.is_empty() {
            self.turn()?;
        }
        let fits = self.page.last().is_some_and(|(key, _)| below.is_none_or(|below| key.as_slice() < below));
        Ok(if fits { self.page.pop() } else { None })
    }

    fn turn(&mut self) -> Result<(), KvError> {
        let Some(from) = self.next.take() else { return Ok(()) };
        let page = &mut self.page;
        self.kv.scan_from(&kept(self.prefix), &kept(&from), &mut |key, value| {
            page.push((key[1..].to_vec(), value.to_vec()));
            page.len() < PAGE_ROWS
        })?;
        if let Some((last, _)) = page.last().filter(|_| page.len() == PAGE_ROWS) {
            // A zero byte behind a key is the least key above it.
            self.next = Some([last.as_slice(), &[0]].concat());
        }
        page.reverse();
        Ok(())
    }
}

fn kept(key: &[u8]) -> Vec<u8> {
    [&[KEPT], key].concat()
}

impl std::fmt::Debug for AllTime<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AllTime(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toko_crdt::fold::MapKv;

    #[test]
    fn what_is_kept_and_what_is_not_are_read_as_one_in_order_and_page_by_page() {
        let mut kv = MapKv::default();
        let key = |n: u32| [&[0x18], n.to_be_bytes().as_slice()].concat();
        for n in 0..1_000_u32 {
            let value = n.to_string().into_bytes();
            match n % 3 {
                0 => kv.put(&key(n), &value).unwrap(),
                _ => Kept(&mut kv).put(&key(n), &value).unwrap(),
            }
        }
        kv.put(&[0x19], b"another table").unwrap();
        let all = |from: u32, limit: usize| {
            let mut found = Vec::new();
            let mut visit = |key: &[u8], value: &[u8]| {
                found.push((key.to_vec(), value.to_vec()));
                found.len() < limit
            };
            AllTime(&kv).scan_from(&[0x18], &key(from), &mut visit).unwrap();
            found
        };
        let expected =
            |from, to| (from..to).map(|n: u32| (key(n), n.to_string().into_bytes())).collect::<Vec<_>>();
        assert_eq!(all(0, usize::MAX), expected(0, 1_000));
        for from in [1, 2, 3, 500, 999] {
            assert_eq!(all(from, usize::MAX), expected(from, 1_000));
            assert_eq!(all(from, 1), expected(from, from + 1));
        }
        assert_eq!(all(2, 400), expected(2, 402), "it ends where the reader says");
        assert_eq!(AllTime(&kv).get(&key(4)).unwrap(), Some(b"4".to_vec()));
        assert_eq!(AllTime(&kv).get(&key(1_000)).unwrap(), None);
    }
}
