//! With whom a node keeps links, and who of two dials. Pure.
//!
//! A terminal keeps a link to the hub and to every other terminal, to 4 chosen by rendezvous hashing where there are more
//! than 8. The hub keeps links with everybody in the store, and dials headquarters; headquarters dials nobody. Terminals dial
//! the hub, whose address they know from enrolment; a hub that was succeeded wants a link with everybody, and of all only the
//! hub wants one with it; of two equals the lower id dials. The other one of any pair dials when
//! there has been no link for 3 s, so that one stale address never keeps two nodes apart.

use crate::endpoint::Distance;
use crate::identity::Role;
use std::time::Duration;
use toko_crdt::member::Members;
use toko_crdt::{Hash, NodeId};

/// How long whoever does not dial first waits for the other.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);
/// Up to here every terminal keeps a link to every other one.
const PEERS_ALL_MAX: usize = 8;
/// How many it keeps beyond that.
const PEERS_CHOSEN: usize = 4;

/// A node with which a link is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    pub(crate) node: NodeId,
    /// Whether we dial at once.
    pub(crate) at_once: bool,
    pub(crate) distance: Distance,
}

/// Everybody with whom `own` wants a link.
pub(crate) fn wanted(own: NodeId, role: Role, members: &Members) -> Vec<Wanted> {
    if role == Role::Headquarters {
        return Vec::new();
    }
    let hub = members.hub().map(|(_, node)| node);
    let we_are_hub = hub == Some(own);
    let (mut out, mut peers) = (Vec::new(), Vec::new());
    for node in members.nodes() {
        if node == own || !members.is_member(&node) {
            continue;
        }
        if members.roles(&node).headquarters {
            if we_are_hub {
                out.push(Wanted { node, at_once: true, distance: Distance::Far });
            }
        } else if hub == Some(node) {
            out.push(Wanted { node, at_once: true, distance: Distance::Near });
        } else if we_are_hub || is_old_hub(members, &own) {
            out.push(Wanted { node, at_once: false, distance: Distance::Near });
        } else if !is_old_hub(members, &node) {
            peers.push(node);
        }
    }
    if peers.len() > PEERS_ALL_MAX {
        peers.sort_by_cached_key(|node| std::cmp::Reverse(weight(own, *node)));
        peers.truncate(PEERS_CHOSEN);
    }
    let peer = |node| Wanted { node, at_once: own < node, distance: Distance::Near };
    out.extend(peers.into_iter().map(peer));
    out
}

/// Whether it is there only because it was hub once. It comes by itself, with what it still holds; nobody else dials into the
/// dark for it but the hub.
fn is_old_hub(members: &Members, node: &NodeId) -> bool {
    let roles = members.roles_of(node);
    roles.is_hub() && !roles.is_terminal() && members.hub().is_none_or(|(_, hub)| hub != *node)
}

/// The same from both ends, so that choices meet.
fn weight(one: NodeId, other: NodeId) -> Hash {
    let (low, high) = (one.min(other), one.max(other));
    Hash::of("toko/rendezvous/1", &[&low.0, &high.0])
}

/// Of two links with one process of one node, whether the first is kept; `None` when the other side decides.
///
/// *Shape*: for each link its number and whether we dialled it. Both sides come to the same answer: the link that the lower
/// node id dialled is kept; of two that one side dialled, that side keeps the older.
pub(crate) fn keeps_first(own: NodeId, peer: NodeId, one: (u64, bool), other: (u64, bool)) -> Option<bool> {
    match (one.1, other.1) {
        (true, true) => Some(one.0 < other.0),
        (false, false) => None,
        (we_dialled_one, _) => Some(we_dialled_one == (own < peer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toko_crdt::ids::StoreId;
    use toko_crdt::member::{Claim, Statement};
    use toko_crdt::sign::SecretKey;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed([seed; 32])
    }

    fn shop(terminals: u8) -> Members {
        let (root, hub) = (key(1), key(2));
        let store = StoreId::of(&root.public());
        let mut members = Members::new(root.public());
        members.add(Statement::sign(&store, &root, Claim::Hub { term: 1, key: hub.public() })).unwrap();
        members.add(Statement::sign(&store, &root, Claim::Headquarters { key: key(3).public() })).unwrap();
        for number in 1..=terminals {
            let name = format!("Till {number}");
            let claim =
                Claim::Terminal { term: 1, key: key(100 + number).public(), number: number.into(), name };
            members.add(Statement::sign(&store, &hub, claim)).unwrap();
        }
        members
    }

    #[test]
    fn a_terminal_dials_the_hub_and_of_two_terminals_one_dials() {
        let members = shop(2);
        let [one, two] = [key(101).node(), key(102).node()];
        let of_one = wanted(one, Role::Terminal, &members);
        let of_two = wanted(two, Role::Terminal, &members);
        assert_eq!(of_one.len(), 2, "the hub and the other till; headquarters is the hub's business");
        assert!(of_one.iter().any(|w| w.node == key(2).node() && w.at_once));
        let dials = |list: &[Wanted], node| list.iter().any(|w| w.node == node && w.at_once);
        assert_ne!(dials(&of_one, two), dials(&of_two, one));
    }

    #[test]
    fn the_hub_dials_headquarters_and_headquarters_dials_nobody() {
        let members = shop(2);
        let of_hub = wanted(key(2).node(), Role::Hub, &members);
        assert_eq!(of_hub.len(), 3);
        assert!(of_hub.iter().any(|w| w.distance == Distance::Far && w.at_once));
        assert_eq!(wanted(key(3).node(), Role::Headquarters, &members), []);
    }

    #[test]
    fn in_a_large_shop_each_terminal_keeps_four_others_and_the_hub() {
        let members = shop(24);
        for number in 1..=24 {
            assert_eq!(wanted(key(100 + number).node(), Role::Terminal, &members).len(), 5);
        }
    }

    #[test]
    fn a_hub_that_was_succeeded_comes_by_itself_and_only_the_hub_looks_for_it() {
        let mut members = shop(2);
        let claim = Claim::Hub { term: 2, key: key(4).public() };
        members.add(Statement::sign(&StoreId::of(&key(1).public()), &key(1), claim)).unwrap();
        let (old, new) = (key(2).node(), key(4).node());
        let of_till = wanted(key(101).node(), Role::Terminal, &members);
        assert!(of_till.iter().any(|w| w.node == new && w.at_once));
        assert!(!of_till.iter().any(|w| w.node == old));
        let of_old = wanted(old, Role::Hub, &members);
        assert_eq!(of_old.len(), 3, "the hub and both tills; headquarters is the hub's business");
        assert!(of_old.iter().any(|w| w.node == new && w.at_once));
        assert!(wanted(new, Role::Hub, &members).iter().any(|w| w.node == old && !w.at_once));
    }

    #[test]
    fn both_sides_keep_the_same_one_of_two_links() {
        let (low, high) = (NodeId([1; 32]), NodeId([2; 32]));
        // Link 1 was dialled by the lower node, link 2 by the higher one.
        assert_eq!(keeps_first(low, high, (1, true), (2, false)), Some(true));
        assert_eq!(keeps_first(high, low, (1, false), (2, true)), Some(true));
        assert_eq!(keeps_first(low, high, (5, true), (4, true)), Some(false), "the older one");
        assert_eq!(keeps_first(high, low, (5, false), (4, false)), None, "whoever dialled both decides");
    }
}
