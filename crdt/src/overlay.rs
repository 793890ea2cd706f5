//! Writes that wait beside the views until they are known to be whole.
//!
//! A fold that errs or panics half way leaves nothing behind, and the digests are computed here, once per changed row.

use crate::digest::{Digests, FLOOR_KEYS, LOCAL_KEYS};
use crate::fold::{Kv, KvError, KvRead};
use crate::ids::Lane;
use std::collections::BTreeMap;

/// Pending writes over some views. Reads see them; the views do not, until [`Writes::commit`].
pub struct Overlay<'a> {
    base: &'a dyn KvRead,
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

/// The writes of an overlay, detached from what they were computed over.
#[derive(Debug, Default)]
pub struct Writes {
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<'a> Overlay<'a> {
    /// An overlay without writes.
    #[must_use]
    pub fn new(base: &'a dyn KvRead) -> Self {
        Self { base, writes: BTreeMap::new() }
    }

    /// Lets go of the base.
    #[must_use]
    pub fn into_writes(self) -> Writes {
        Writes { writes: self.writes }
    }

    /// Whether all writes are views of `lane` or local tables, and outside crdt's own keys if they are the `shop`'s.
    pub(crate) fn keeps_to(&self, lane: Lane, shop: bool) -> bool {
        let lane_keys = match lane {
            Lane::Books => 1..FLOOR_KEYS,
            Lane::Floor => FLOOR_KEYS..LOCAL_KEYS,
        };
        self.writes.keys().all(|key| {
            let Some(first) = key.first() else { return false };
            let ours = first & 0x3f < 0x10;
            (lane_keys.contains(first) || *first >= LOCAL_KEYS) && !(shop && ours && *first < 0x90)
        })
    }
}

impl Writes {
    /// Writes everything into the views, without a look at what was there: whoever calls counts changed rows later.
    pub fn put_all(self, kv: &mut dyn Kv) -> Result<(), KvError> {
        self.writes.into_iter().try_for_each(|(key, after)| match after {
            Some(value) => kv.put(&key, &value),
            None => kv.delete(&key),
        })
    }

    /// Writes everything into the views and moves `digests` along.
    ///
    /// Shape: `kv` is what the overlay was over, and has not changed since.
    pub fn commit(self, kv: &mut dyn Kv, digests: &mut Digests) -> Result<(), KvError> {
        for (key, after) in self.writes {
            let before = kv.get(&key)?;
            if before == after {
                continue;
            }
            digests.change(&key, before.as_deref(), after.as_deref());
            match after {
                Some(value) => kv.put(&key, &value)?,
                None => kv.delete(&key)?,
            }
        }
        Ok(())
    }
}

impl KvRead for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        match self.writes.get(key) {
            Some(write) => Ok(write.clone()),
            None => self.base.get(key),
        }
    }

    fn scan_from(
        &self,
        prefix: &[u8],
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), KvError> {
        let start = prefix.max(from).to_vec();
        let mut ours = self.writes.range(start..).take_while(|(key, _)| key.starts_with(prefix)).peekable();
        let mut more = true;
        self.base.scan_from(prefix, from, &mut |key, value| {
            while let Some((mine, write)) = ours.next_if(|(mine, _)| mine.as_slice() < key) {
                more = write.as_ref().is_none_or(|value| visit(mine, value));
                if !more {
                    return false;
                }
            }
            more = match ours.next_if(|(mine, _)| mine.as_slice() == key) {
                Some((mine, write)) => write.as_ref().is_none_or(|value| visit(mine, value)),
                None => visit(key, value),
            };
            more
        })?;
        for (mine, write) in ours {
            more = more && write.as_ref().is_none_or(|value| visit(mine, value));
        }
        Ok(())
    }
}

impl Kv for Overlay<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        self.writes.insert(key.to_vec(), Some(value.to_vec()));
        Ok(())
    }

    fn delete(&mut self, key: &[u8]) -> Result<(), KvError> {
        self.writes.insert(key.to_vec(), None);
        Ok(())
    }
}

impl std::fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay").field("writes", &self.writes.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::MapKv;

    fn keys(kv: &dyn KvRead, stop: usize) -> Vec<u8> {
        let mut out = Vec::new();
        kv.scan(b"k", &mut |key, _| {
            out.push(key[1]);
            out.len() < stop
        })
        .unwrap();
        out
    }

    #[test]
    fn a_scan_sees_writes_and_deletions_in_order() {
        let mut base = MapKv::default();
        for key in [b"k1", b"k3", b"k5", b"x1"] {
            base.put(key, b"").unwrap();
        }
        let mut overlay = Overlay::new(&base);
        overlay.put(b"k0", b"").unwrap();
        overlay.put(b"k3", b"new").unwrap();
        overlay.put(b"k4", b"").unwrap();
        overlay.put(b"k9", b"").unwrap();
        overlay.delete(b"k5").unwrap();
        assert_eq!(keys(&overlay, 99), b"01349");
        assert_eq!(keys(&overlay, 3), b"013");

        let mut views = base.clone();
        let writes = overlay.into_writes();
        let mut whole = Digests::recompute(&views).unwrap();
        writes.commit(&mut views, &mut whole).unwrap();
        assert_eq!(keys(&views, 99), b"01349");
        assert_eq!(whole, Digests::recompute(&views).unwrap());
    }

    #[test]
    fn writes_keep_to_the_keys_of_their_lane_and_writer() {
        let base = MapKv::default();
        let keeps = |key: &[u8], lane, shop| {
            let mut overlay = Overlay::new(&base);
            overlay.put(key, b"").unwrap();
            overlay.keeps_to(lane, shop)
        };
        for (key, books, floor) in
            [(0x10, true, false), (0x3f, true, false), (0x50, false, true), (0x7f, false, true)]
        {
            assert_eq!([keeps(&[key], Lane::Books, true), keeps(&[key], Lane::Floor, true)], [books, floor]);
        }
        assert!(keeps(&[0x90], Lane::Books, true) && keeps(&[0xc1], Lane::Floor, true));
        for key in [0x01, 0x0f, 0x80, 0x8f] {
            assert_eq!([keeps(&[key], Lane::Books, true), keeps(&[key], Lane::Books, false)], [false, true]);
        }
        assert!(!keeps(&[], Lane::Books, false) && !keeps(&[0], Lane::Books, false));
    }
}
