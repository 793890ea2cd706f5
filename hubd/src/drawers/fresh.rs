//! Whether an ask is young enough: by what its till said it held, not by any clock of its own.
//!
//! A till says each second what it holds. If an entry of it was not among that, the entry is younger than that word. So an ask
//! opens a drawer only if its till was level with this hub a moment before the ask came. After a restart, a partition or a
//! detour over another till nobody knows how old it is, and it opens nothing.

use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use toko_crdt::NodeId;

/// How long before an ask its till must have been level.
const LEVEL_WITHIN: Duration = Duration::from_millis(2_500);
/// How old the till's word can have been when it was held against what is here: a link that is silent for longer is dead.
const WORD_AGE_MAX: Duration = Duration::from_secs(2);

/// When each till was level last.
#[derive(Debug, Default)]
pub(super) struct Fresh(BTreeMap<NodeId, Instant>);

impl Fresh {
    /// These tills held nothing that was not here when somebody looked.
    pub(super) fn level(&mut self, tills: impl IntoIterator<Item = NodeId>, at: Instant) {
        self.0.extend(tills.into_iter().map(|till| (till, at)));
    }

    /// Until when an ask of this till that has come now may open a drawer; nothing where that has passed.
    ///
    /// Shape: the till is held against looks of before the ask came.
    pub(super) fn until(&self, till: &NodeId, now: Instant, ttl: Duration) -> Option<Instant> {
        let level = *self.0.get(till)?;
        if toko_crdt::mutant!("drawer-opens-however-late") {
            return Some(now + ttl);
        }
        let until = level + ttl.checked_sub(WORD_AGE_MAX)?;
        (now < until && now <= level + LEVEL_WITHIN).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(5);

    #[test]
    fn an_ask_is_young_if_its_till_was_level_a_moment_ago_and_never_otherwise() {
        let (one, other) = (NodeId([1; 32]), NodeId([2; 32]));
        let start = Instant::now();
        let mut fresh = Fresh::default();
        assert_eq!(fresh.until(&one, start, TTL), None, "nobody knows");
        fresh.level([one], start);
        assert_eq!(fresh.until(&one, start, TTL), Some(start + Duration::from_secs(3)));
        assert_eq!(fresh.until(&other, start, TTL), None);
        assert!(fresh.until(&one, start + LEVEL_WITHIN, TTL).is_some());
        assert_eq!(fresh.until(&one, start + LEVEL_WITHIN + Duration::from_millis(1), TTL), None);
        assert_eq!(
            fresh.until(&one, start, Duration::from_secs(2)),
            None,
            "one that lives no longer than a word"
        );
    }
}
