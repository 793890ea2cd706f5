//! Carts that are settled: the hub's word up to when, and which of them stay all the same.
//!
//! A cart's id says when it was made, so that one word settles a whole day of them. It says no more than its author wrote
//! into it: a till whose clock is wrong makes carts that are settled early or late, and none that is open at the hub is.
//!
//! Invariants: what one settling settles, none un-settles; so the settled carts follow from the set of settlings.
//! Absent on purpose: a clock. Whoever writes a settling says the time.

use crate::clock::UnixMicros;
use crate::ids::CartId;

/// Most carts that one settling keeps.
pub const KEEP_MAX: usize = 256;

/// The hub's word that carts made before a time are settled, but for some that are not done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settling {
    before: UnixMicros,
    keep: Vec<CartId>,
}

impl Settling {
    /// Settles what was made before a time, but for `keep`; of these only the ones made before it need a word.
    ///
    /// *Shape*: a time since 1970. `None` for another, and where more than [`KEEP_MAX`] are to be kept.
    #[must_use]
    pub fn new(before: UnixMicros, keep: impl IntoIterator<Item = CartId>) -> Option<Self> {
        let mut keep: Vec<CartId> = keep.into_iter().filter(|cart| cart.made_at() < before).collect();
        keep.sort_unstable();
        keep.dedup();
        (before.0 >= 0 && keep.len() <= KEEP_MAX).then_some(Self { before, keep })
    }

    /// Reads a list that is kept or was sent; `None` unless it is as [`Settling::new`] makes it.
    #[must_use]
    pub fn stored(before: UnixMicros, keep: Vec<CartId>) -> Option<Self> {
        Self::new(before, keep.iter().copied()).filter(|settling| settling.keep == keep)
    }

    /// Up to when.
    #[must_use]
    pub fn before(&self) -> UnixMicros {
        self.before
    }

    /// What stays. *Shape*: sorted, each once, all made before [`Settling::before`].
    #[must_use]
    pub fn keep(&self) -> &[CartId] {
        &self.keep
    }

    /// Whether it settles a cart.
    #[must_use]
    pub fn settles(&self, cart: &CartId) -> bool {
        cart.made_at() < self.before
            && (self.keep.binary_search(cart).is_err() || crate::mutant!("settle-open-carts"))
    }

    /// Whether all that it settles is settled by `other` too.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.before <= other.before
            && other
                .keep
                .iter()
                .filter(|cart| cart.made_at() < self.before)
                .all(|cart| self.keep.binary_search(cart).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cart(day: i64, n: u8) -> CartId {
        CartId::made(UnixMicros(day * 86_400_000_000), [n; 16])
    }

    fn until(day: i64, keep: &[CartId]) -> Settling {
        Settling::new(UnixMicros(day * 86_400_000_000), keep.iter().copied()).unwrap()
    }

    #[test]
    fn what_was_made_before_is_settled_but_for_what_is_kept() {
        let [old, kept, new] = [cart(1, 1), cart(1, 2), cart(3, 1)];
        let settling = until(3, &[kept, new, kept]);
        assert_eq!(settling.keep(), [kept], "what is newer needs no word");
        assert_eq!([old, kept, new].map(|cart| settling.settles(&cart)), [true, false, false]);
        assert!(Settling::stored(settling.before(), vec![kept, new]).is_none());
        assert!(Settling::stored(UnixMicros(-1), vec![]).is_none());
        assert!(Settling::new(UnixMicros(i64::MAX), (0..=255).map(|n| cart(1, n))).is_some());
        assert!(Settling::new(UnixMicros(i64::MAX), (0..=255).map(|n| cart(1, n)).chain([new])).is_none());
    }

    #[test]
    fn a_later_word_takes_an_earlier_one_in_where_it_settles_as_much() {
        let [one, two, three] = [cart(1, 1), cart(2, 2), cart(5, 3)];
        let first = until(3, &[one, two]);
        for (other, within) in [
            (until(3, &[one, two]), true),
            (until(4, &[one]), true),
            (until(9, &[two, three]), true),
            (until(2, &[]), false),
        ] {
            assert_eq!(first.is_within(&other), within, "{other:?}");
        }
        assert!(!until(3, &[one]).is_within(&until(4, &[two])), "the other keeps what this one settled");
    }
}
