//! The member set as it is now, shared by every handshake and every link.
//!
//! Invariants: readers get a whole set, never one half changed; the set of one store is only ever replaced by a set of the
//! same store; whoever waits on [`LiveMembers::changed`] learns of each change, so that a revocation ends links at once.

use crate::bell::{Bell, Ear};
use std::sync::{Arc, PoisonError, RwLock};
use toko_crdt::NodeId;
use toko_crdt::member::Members;

/// A member set that changes under its readers. Cheap to read: one lock, one reference count.
#[derive(Debug)]
pub struct LiveMembers {
    now: RwLock<Arc<Members>>,
    changes: Bell,
}

impl LiveMembers {
    /// Starts with this set.
    #[must_use]
    pub fn new(members: Members) -> Self {
        Self { now: RwLock::new(Arc::new(members)), changes: Bell::default() }
    }

    /// The set as it is now.
    #[must_use]
    pub fn now(&self) -> Arc<Members> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the set. A set of another store is a mistake of ours.
    pub fn set(&self, members: Arc<Members>) {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        assert!(now.store() == members.store(), "a member set is never replaced by that of another store");
        if Arc::ptr_eq(&now, &members) || now.root_hash() == members.root_hash() {
            return;
        }
        *now = members;
        drop(now);
        if !toko_crdt::mutant!("revoked-keeps-its-link") {
            self.changes.ring();
        }
    }

    /// Whether links with this node are allowed.
    #[must_use]
    pub fn admits(&self, node: &NodeId) -> bool {
        self.now().is_member(node)
    }

    /// Counts the changes, for whoever must act on one.
    #[must_use]
    pub fn changed(&self) -> Ear {
        self.changes.listen()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toko_crdt::member::{Claim, Statement};
    use toko_crdt::sign::SecretKey;

    #[test]
    fn whoever_waits_learns_of_each_change_and_of_nothing_else() {
        let [root, hub] = [1, 2].map(|seed| SecretKey::from_seed([seed; 32]));
        let nobody = Members::new(root.public());
        let live = LiveMembers::new(nobody.clone());
        let changed = live.changed();
        live.set(Arc::new(nobody.clone()));
        assert!(!changed.has_changed(), "the same set again");
        let mut more = nobody;
        let claim = Claim::Hub { term: 1, key: hub.public() };
        more.add(Statement::sign(more.store(), &root, claim)).unwrap();
        live.set(Arc::new(more));
        assert!(changed.has_changed() && live.admits(&hub.node()));
    }
}
