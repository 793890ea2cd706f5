//! Who may write what, judged from the author's signed record and the op's kind alone.
//!
//! | | terminal | hub | headquarters |
//! | --- | --- | --- | --- |
//! | sales, movements, days, shifts, cash, prints asked | yes | yes | no |
//! | drawers asked to open | yes | yes | no |
//! | prints started and their outcomes, what drawers did | yes (its own devices) | yes | no |
//! | bundles published | no | yes | yes |
//! | bundles activated | yes (its own clock, where the hub is dark) | yes | no |
//! | custody, tenders, closed carts | yes | yes | no |
//! | books settled | no | yes | no |
//!
//! An op of a kind that this build does not know is admitted here and then parked by the fold as newer: its scope is judged
//! by a build that knows it.

use toko_crdt::Lane;
use toko_crdt::fold::Scope;
use toko_crdt::member::Roles;

use crate::ops::OpKind;

/// The scope of a shop.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShopScope;

impl Scope for ShopScope {
    fn admits(&self, roles: &Roles, lane: Lane, op: &[u8]) -> bool {
        let Some(kind) = OpKind::peek(op) else { return roles.any() };
        kind.lane() == lane && may_write(roles, kind)
    }
}

/// Whether these roles may write ops of this kind.
pub fn may_write(roles: &Roles, kind: OpKind) -> bool {
    let in_store = roles.is_terminal() || roles.is_hub();
    match kind {
        _ if toko_crdt::mutant!("terminal-sets-prices") => roles.any(),
        OpKind::BundlePublished => roles.is_hub() || roles.headquarters,
        OpKind::BooksSettled => roles.is_hub(),
        _ => in_store,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal() -> Roles {
        Roles { terminal: vec![(1, "Till 1".to_string())], ..Roles::default() }
    }

    #[test]
    fn a_terminal_sells_but_sets_no_price() {
        assert!(may_write(&terminal(), OpKind::Sale));
        assert!(!may_write(&terminal(), OpKind::BundlePublished));
        let hub = Roles { hub_terms: vec![1], ..Roles::default() };
        assert!(may_write(&hub, OpKind::BundlePublished) && may_write(&hub, OpKind::BundleActivated));
    }

    #[test]
    fn headquarters_publishes_and_sells_nothing() {
        let hq = Roles { headquarters: true, ..Roles::default() };
        assert!(may_write(&hq, OpKind::BundlePublished));
        for kind in OpKind::ALL.into_iter().filter(|kind| *kind != OpKind::BundlePublished) {
            assert!(!may_write(&hq, kind), "{kind:?}");
        }
    }

    #[test]
    fn a_stranger_writes_nothing_and_no_op_stands_in_the_other_lane() {
        for kind in OpKind::ALL {
            assert!(!may_write(&Roles::default(), kind));
            let number = u8::try_from(OpKind::ALL.iter().position(|k| *k == kind).unwrap()).unwrap();
            let op = [1, 0, number];
            assert_eq!(OpKind::peek(&op), Some(kind));
            let lanes = Lane::ALL.map(|lane| ShopScope.admits(&terminal(), lane, &op));
            assert_eq!(
                lanes.iter().filter(|admitted| **admitted).count(),
                usize::from(!matches!(kind, OpKind::BundlePublished | OpKind::BooksSettled))
            );
        }
    }
}
