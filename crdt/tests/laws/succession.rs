//! Who is hub and who belongs: the same for everybody who holds the same statements, in whatever order they came (F15, F17,
//! F18, F19, F46). What the set must say is computed here once more, from the definition and nothing else.

use crate::dice::{Dice, config};
use proptest::prelude::*;
use std::cmp::Reverse;
use toko_crdt::frontier::Frontier;
use toko_crdt::ids::{NodeId, StoreId};
use toko_crdt::member::{Claim, Members, Statement, StatementError};
use toko_crdt::sign::{PublicKey, SecretKey};

const HUBS: [u8; 4] = [2, 3, 4, 5];
const TILLS: [u8; 5] = [10, 11, 12, 13, 14];
const HQ: u8 = 20;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn store() -> StoreId {
    StoreId::of(&key(1).public())
}

fn hub(term: u64, hub: u8) -> Statement {
    Statement::sign(&store(), &key(1), Claim::Hub { term, key: key(hub).public() })
}

fn enrol(term: u64, by: u8, till: u8) -> Statement {
    let claim =
        Claim::Terminal { term, key: key(till).public(), number: till.into(), name: format!("Till {till}") };
    Statement::sign(&store(), &key(by), claim)
}

fn revoke(term: u64, by: u8, whom: u8) -> Statement {
    let claim = Claim::Revoked { term, node: key(whom).node(), cut: Frontier::default() };
    Statement::sign(&store(), &key(by), claim)
}

/// Takes statements as a node does: one whose issuer is not known yet is offered again with each that is new.
fn hear(statements: impl IntoIterator<Item = Statement>) -> Members {
    let mut members = Members::new(key(1).public());
    let mut waiting = Vec::new();
    for statement in statements {
        match members.add(statement.clone()) {
            Err(StatementError::Issuer) => waiting.push(statement),
            Err(error) => panic!("{error}"),
            Ok(_) => {
                let mut progress = true;
                while progress {
                    let before = waiting.len();
                    waiting.retain(|statement| members.add(statement.clone()).is_err());
                    progress = waiting.len() < before;
                }
            }
        }
    }
    members
}

/// Years of a shop that has bad luck with its hubs: succeeded, doubled, revoked, revived, and lied about.
fn years(dice: &mut Dice) -> Vec<Statement> {
    let mut out = Vec::new();
    let mut reigns = Vec::new();
    for term in 1..=1 + dice.roll(4) as u64 {
        for _ in 0..1 + dice.roll(2) {
            let who = HUBS[dice.roll(HUBS.len())];
            reigns.push((term, who));
            out.push(hub(term, who));
        }
    }
    out.push(Statement::sign(&store(), &key(1), Claim::Headquarters { key: key(HQ).public() }));
    for till in TILLS {
        for _ in 0..1 + dice.roll(2) {
            let (term, by) = reigns[dice.roll(reigns.len())];
            out.push(enrol(term, by, till));
        }
    }
    for _ in 0..dice.roll(8) {
        let (term, by) = reigns[dice.roll(reigns.len())];
        let whom =
            if dice.roll(2) == 0 { HUBS[dice.roll(HUBS.len())] } else { TILLS[dice.roll(TILLS.len())] };
        out.push(revoke(term, by, whom));
    }
    // A hub that claims a term it never had is heard by nobody.
    out.push(enrol(9, HUBS[dice.roll(HUBS.len())], 99));
    out
}

fn shuffled(dice: &mut Dice, mut list: Vec<Statement>) -> Vec<Statement> {
    for at in (1..list.len()).rev() {
        list.swap(at, dice.roll(at + 1));
    }
    // Some come twice.
    let again: Vec<_> = list.iter().filter(|_| dice.roll(3) == 0).cloned().collect();
    list.into_iter().chain(again).collect()
}

/// The definition: rank, who is out, who belongs.
struct Law<'a>(&'a [Statement]);

impl Law<'_> {
    fn reigns(&self) -> impl Iterator<Item = (u64, Reverse<PublicKey>)> {
        self.0.iter().filter_map(|statement| match statement.claim() {
            Claim::Hub { term, key } => Some((*term, Reverse(*key))),
            _ => None,
        })
    }

    fn may_say(&self, statement: &Statement, term: u64) -> bool {
        self.reigns().any(|reign| reign == (term, Reverse(*statement.issuer())))
    }

    fn is_out(&self, node: NodeId) -> bool {
        let own = self.reigns().filter(|(_, key)| NodeId::of(&key.0) == node).max();
        self.0.iter().any(|statement| match statement.claim() {
            Claim::Revoked { term, node: whom, .. } if *whom == node && self.may_say(statement, *term) => {
                let counts = own.is_none_or(|own| (*term, Reverse(*statement.issuer())) > own);
                counts && !self.is_out(NodeId::of(statement.issuer()))
            }
            _ => false,
        })
    }

    fn belongs(&self, node: NodeId) -> bool {
        let vouched = self.0.iter().filter(|statement| statement.subject() == node);
        let vouched = vouched.into_iter().any(|statement| match statement.claim() {
            Claim::Hub { .. } | Claim::Headquarters { .. } => true,
            Claim::Terminal { term, .. } => {
                self.may_say(statement, *term) && !self.is_out(NodeId::of(statement.issuer()))
            }
            Claim::Revoked { .. } => false,
        });
        vouched && !self.is_out(node)
    }
}

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn everybody_who_holds_the_same_statements_agrees_on_hub_and_members(seed: u64) {
        let mut dice = Dice(seed);
        let said = years(&mut dice);
        let one = hear(shuffled(&mut dice, said.clone()));
        let other = hear(shuffled(&mut dice, said.clone()));
        prop_assert_eq!(one.root_hash(), other.root_hash());
        prop_assert_eq!(one.hub(), other.hub());
        let law = Law(&said);
        let best = law.reigns().max().unwrap();
        prop_assert_eq!(one.hub(), Some((best.0, NodeId::of(&best.1.0))));
        for seed in HUBS.into_iter().chain(TILLS).chain([HQ, 99]) {
            let node = key(seed).node();
            prop_assert_eq!(one.is_member(&node), other.is_member(&node));
            prop_assert_eq!(one.is_member(&node), law.belongs(node), "key {}", seed);
            prop_assert_eq!(one.revoked(&node).is_some(), law.is_out(node), "key {}", seed);
            prop_assert_eq!(one.roles(&node), other.roles(&node));
        }
        prop_assert!(one.is_member(&one.hub().unwrap().1), "the hub is never out");
        prop_assert!(one.hubs_of_last_term().contains(&one.hub().unwrap().1));
    }

    #[test]
    fn nothing_that_a_succeeded_hub_signs_changes_who_is_hub(seed: u64) {
        let mut dice = Dice(seed);
        let said = years(&mut dice);
        let before = hear(said.clone());
        let (term, who) = before.hub().unwrap();
        let old: Vec<_> = Law(&said).reigns().filter(|(at, _)| *at < term).collect();
        let mut after = before.clone();
        for (at, by) in old {
            let by = HUBS.into_iter().find(|seed| key(*seed).public() == by.0).unwrap();
            let victim = HUBS.into_iter().find(|seed| key(*seed).node() == who).unwrap();
            after.add(revoke(at, by, victim)).unwrap();
        }
        prop_assert_eq!(after.hub(), Some((term, who)));
        prop_assert!(after.is_member(&who));
    }

    #[test]
    fn a_hub_is_put_out_without_its_tills_when_what_it_said_is_said_again(seed: u64) {
        let mut dice = Dice(seed);
        let mut members = hear(years(&mut dice));
        let (term, _) = members.hub().unwrap();
        let old = HUBS[dice.roll(HUBS.len())];
        let new = HUBS.into_iter().find(|seed| *seed != old).unwrap();
        // A term for the one that stays, above all that there was.
        members.add(hub(term + 1, new)).unwrap();
        let belongs = |members: &Members| TILLS.map(|till| members.is_member(&key(till).node()));
        let before = belongs(&members);
        for claim in members.said_only_by(&key(old).node()) {
            let again = match claim {
                Claim::Terminal { key, number, name, .. } => Claim::Terminal { term: term + 1, key, number, name },
                Claim::Revoked { node, cut, .. } => Claim::Revoked { term: term + 1, node, cut },
                other => other,
            };
            members.add(Statement::sign(&store(), &key(new), again)).unwrap();
        }
        members.add(revoke(term + 1, new, old)).unwrap();
        prop_assert!(!members.is_member(&key(old).node()));
        prop_assert_eq!(belongs(&members), before);
    }
}

#[test]
fn a_missed_term_is_followed_by_its_chain_of_signatures() {
    // The node was away in term 2: it hears of term 3 first, then of a till that the hub of term 2 let in.
    let mut members = hear([hub(1, 2)]);
    members.add(hub(3, 4)).unwrap();
    assert_eq!(members.hub(), Some((3, key(4).node())));
    assert_eq!(members.add(enrol(2, 3, 10)), Err(StatementError::Issuer), "nothing says that 3 was hub");
    assert!(!members.is_member(&key(10).node()));
    members.add(hub(2, 3)).unwrap();
    assert_eq!(members.hub(), Some((3, key(4).node())), "a lower term changes nothing");
    members.add(enrol(2, 3, 10)).unwrap();
    assert!(members.is_member(&key(10).node()));
}

#[test]
fn a_revoked_key_stays_out_and_its_machine_comes_back_under_a_new_one() {
    let members =
        hear([hub(1, 2), enrol(1, 2, 10), revoke(1, 2, 10), enrol(1, 2, 10), hub(2, 3), enrol(2, 3, 10)]);
    assert!(!members.is_member(&key(10).node()), "whoever says so, in whatever term");
    let members = hear([revoke(1, 2, 10), enrol(1, 2, 10), enrol(1, 2, 11), hub(1, 2)]);
    assert!(!members.is_member(&key(10).node()));
    assert!(members.is_member(&key(11).node()));
    // Only the root key brings a key back, as hub.
    let members = hear([hub(1, 2), enrol(1, 2, 10), revoke(1, 2, 10), hub(2, 10)]);
    assert!(members.is_member(&key(10).node()));
    assert_eq!(members.hub(), Some((2, key(10).node())));
}

#[test]
fn of_two_hubs_of_one_term_the_lower_key_is_hub_and_may_put_the_other_out() {
    let (low, high) = if key(2).public() < key(3).public() { (2, 3) } else { (3, 2) };
    let both = [hub(2, low), hub(2, high)];
    let members = hear(both.clone());
    assert_eq!(members.hub(), Some((2, key(low).node())));
    assert_eq!(members.hubs_of_last_term().len(), 2);
    let members = hear(both.clone().into_iter().chain([revoke(2, high, low)]));
    assert!(members.is_member(&key(low).node()), "the other way round it does not count");
    let members = hear(both.into_iter().chain([revoke(2, high, low), revoke(2, low, high)]));
    assert_eq!(members.hubs_of_last_term(), [key(low).node()]);
    assert!(!members.is_member(&key(high).node()));
}

#[test]
fn a_stolen_hub_that_is_revoked_lets_nobody_in_and_keeps_nobody_out() {
    let stolen = [
        hub(1, 2),
        enrol(1, 2, 10),
        hub(2, 3),
        enrol(2, 3, 10),
        enrol(1, 2, 66),
        revoke(1, 2, 10),
        revoke(1, 2, 3),
    ];
    let before = hear(stolen.clone());
    assert!(before.is_member(&key(66).node()) && !before.is_member(&key(10).node()));
    let after = hear(stolen.into_iter().chain([revoke(2, 3, 2)]));
    assert!(!after.is_member(&key(66).node()), "its own till");
    assert!(after.is_member(&key(10).node()), "a till of the shop");
    assert!(after.is_member(&key(3).node()), "the hub");
    assert!(after.roles(&key(10).node()).is_terminal());
}
