//! The index of codes: open addressing over one array of numbers, at most half full.
//!
//! The hash is FNV-1a without a seed: whoever could choose colliding codes is the shop's own publisher, and a full table of
//! collisions makes a look-up slow, never wrong.

/// Places of codes, by the hash of their key.
#[derive(Clone)]
pub(super) struct Index {
    /// One above a code's place; 0 for a free slot. The length is a power of two.
    slots: Box<[u32]>,
}

impl Index {
    /// Indexes `count` codes, each under the key that `key_of` gives.
    ///
    /// Errors: the places of two codes with one key.
    pub(super) fn build<'a>(
        count: usize,
        key_of: impl Fn(usize) -> &'a str,
    ) -> Result<Index, (usize, usize)> {
        let mut slots = vec![0_u32; (count * 2).next_power_of_two().max(8)].into_boxed_slice();
        let mask = slots.len() - 1;
        for place in 0..count {
            let key = key_of(place);
            let mut slot = start(key, mask);
            while let Some(other) = (slots[slot] as usize).checked_sub(1) {
                if key_of(other) == key {
                    return Err((other, place));
                }
                slot = (slot + 1) & mask;
            }
            slots[slot] = u32::try_from(place + 1).unwrap_or(0);
        }
        Ok(Index { slots })
    }

    /// The place of the code with this key.
    pub(super) fn find<'a>(&self, key: &str, key_of: impl Fn(usize) -> &'a str) -> Option<usize> {
        let mask = self.slots.len() - 1;
        let mut slot = start(key, mask);
        loop {
            let place = (self.slots[slot] as usize).checked_sub(1)?;
            if key_of(place) == key {
                return Some(place);
            }
            slot = (slot + 1) & mask;
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.slots.len() * size_of::<u32>()
    }
}

fn start(key: &str, mask: usize) -> usize {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // The low bits of FNV are its weakest.
    usize::try_from((hash ^ (hash >> 32)) & 0xffff_ffff).unwrap_or(0) & mask
}
