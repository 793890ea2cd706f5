//! The laws of carts, against a model that shares nothing with Automerge.

use crate::dice::{Dice, config};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use toko_crdt::cart::{Actor, Cart, Took};
use toko_crdt::clock::Hlc;
use toko_crdt::ids::{CartId, LineId, NodeId, Run, StepId};
use toko_crdt::stock::Milli;

const TILLS: usize = 3;

#[derive(Clone, Debug)]
enum Act {
    Scan {
        till: usize,
        line: u8,
        qty: i8,
    },
    Remove {
        till: usize,
        line: u8,
    },
    Name {
        till: usize,
        value: u8,
    },
    Sync {
        from: usize,
        to: usize,
    },
    /// The till's process ends and starts again.
    Restart {
        till: usize,
    },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..TILLS, 0u8..4, -9i8..10).prop_map(|(till, line, qty)| Act::Scan { till, line, qty }),
        2 => (0..TILLS, 0u8..4).prop_map(|(till, line)| Act::Remove { till, line }),
        1 => (0..TILLS, 0u8..3).prop_map(|(till, value)| Act::Name { till, value }),
        3 => (0..TILLS, 0..TILLS).prop_map(|(from, to)| Act::Sync { from, to }),
        1 => (0..TILLS).prop_map(|till| Act::Restart { till }),
    ]
}

fn open(till: usize, run: u64, changes: &[Vec<u8>]) -> Cart {
    let node = NodeId([u8::try_from(till).unwrap(); 32]);
    Cart::open(CartId([1; 16]), Actor::of(&node, Run(run)), changes).unwrap()
}

fn changes(cart: &Cart) -> Vec<Vec<u8>> {
    cart.changes().map(|(_, change)| change.to_vec()).collect()
}

/// Plays a script; the carts, and what must be left of it: every step that no removal had seen.
fn play(acts: &[Act]) -> (Vec<Cart>, BTreeMap<LineId, i64>) {
    let mut carts: Vec<Cart> = (0..TILLS).map(|till| open(till, 0, &[])).collect();
    let mut steps: BTreeMap<StepId, (LineId, i64)> = BTreeMap::new();
    let mut removed: BTreeSet<StepId> = BTreeSet::new();
    for (n, act) in acts.iter().enumerate() {
        match *act {
            Act::Scan { till, line, qty } => {
                let (line, step) = (LineId([line; 16]), StepId([u8::try_from(n).unwrap(); 16]));
                let qty = if qty == 0 { 10 } else { i64::from(qty) };
                let at = Hlc { micros: u64::from(line.0[0]) / 2, tick: 0 };
                let known = carts[till].facts(&line).is_some();
                let mut scan = || match known {
                    true => carts[till].step(line, step, Milli(qty)),
                    false => carts[till].add_line(line, at, &line.0, step, Milli(qty)),
                };
                assert!(scan().unwrap().is_some());
                steps.insert(step, (line, qty));
                assert_eq!(carts[till].step(line, step, Milli(qty)), Ok(None), "a retry changes nothing");
            }
            Act::Remove { till, line } => {
                let line = LineId([line; 16]);
                let lines = carts[till].lines();
                let seen = lines.iter().filter(|seen| seen.line == line).flat_map(|seen| &seen.steps);
                removed.extend(seen.map(|(step, _)| *step));
                let _ = carts[till].remove(line);
            }
            Act::Name { till, value } => drop(carts[till].set("customer", &[value]).unwrap()),
            Act::Sync { from, to } => {
                for change in changes(&carts[from]) {
                    assert!(matches!(
                        carts[to].apply(&change).unwrap(),
                        Took::Known | Took::Visible | Took::Held
                    ));
                }
            }
            Act::Restart { till } => carts[till] = open(till, n as u64 + 1, &changes(&carts[till])),
        }
    }
    let mut left = BTreeMap::new();
    for (_, (line, qty)) in steps.iter().filter(|(step, _)| !removed.contains(step)) {
        *left.entry(*line).or_default() += qty;
    }
    (carts, left)
}

proptest! {
    #![proptest_config(config(192))]

    #[test]
    fn carts_add_up_and_forget_only_what_a_removal_saw(acts in prop::collection::vec(act(), 1..50), seed in any::<u64>()) {
        let (mut carts, left) = play(&acts);
        let mut dice = Dice(seed);
        let mut all: Vec<Vec<u8>> = carts.iter().flat_map(changes).collect();
        for cart in &mut carts {
            // Everything that is missing, in any order, some of it twice; the last third only after a look.
            for n in (1..all.len()).rev() {
                all.swap(n, dice.roll(n + 1));
            }
            for change in all.iter().chain(&all[..all.len() / 3]) {
                let took = cart.apply(change).unwrap();
                prop_assert_ne!(took, Took::Refused);
            }
        }
        let opened = open(9, 0, &all);
        carts.push(opened);
        for cart in &carts {
            let lines: BTreeMap<LineId, i64> =
                cart.lines().iter().map(|line| (line.line, line.qty.0)).collect();
            prop_assert_eq!(&lines, &left);
            prop_assert_eq!(cart.unseen(), 0);
            prop_assert_eq!(cart.lines(), carts[0].lines());
            prop_assert_eq!(cart.heads(), carts[0].heads());
            prop_assert_eq!(cart.header("customer"), carts[0].header("customer"));
            let heads = cart.heads();
            prop_assert_eq!(cart.lines_at(&heads).unwrap(), cart.lines());
        }
    }

    #[test]
    fn part_of_a_cart_looks_the_same_wherever_it_is_held(
        acts in prop::collection::vec(act(), 1..40),
        seed in any::<u64>(),
    ) {
        let mut dice = Dice(seed);
        let (carts, _) = play(&acts);
        let mut some: Vec<Vec<u8>> = carts.iter().flat_map(changes).filter(|_| dice.roll(3) > 0).collect();
        let at_once = open(8, 0, &some);
        for n in (1..some.len()).rev() {
            some.swap(n, dice.roll(n + 1));
        }
        let mut one_by_one = open(9, 0, &[]);
        for change in &some {
            one_by_one.apply(change).unwrap();
        }
        prop_assert_eq!(at_once.lines(), one_by_one.lines());
        prop_assert_eq!(at_once.heads(), one_by_one.heads());
        prop_assert_eq!(at_once.unseen(), one_by_one.unseen());
    }

    #[test]
    fn carts_of_a_machine_that_was_copied_while_it_ran_agree_too(
        before in prop::collection::vec(act(), 0..8),
        after in prop::collection::vec((any::<bool>(), 0u8..4, 1i8..9), 1..12),
        seeds in any::<[u64; 3]>(),
    ) {
        let (carts, _) = play(&before);
        // Two machines under one actor; a third one sees now this one, now that one.
        let shared = changes(&carts[0]);
        let mut copies = [open(7, 0, &shared), open(7, 0, &shared)];
        let mut third = open(6, 0, &shared);
        for (n, (which, line, qty)) in after.into_iter().enumerate() {
            let copy = &mut copies[usize::from(which)];
            let (line, step) = (LineId([line + 50; 16]), StepId([200 + u8::try_from(n).unwrap(); 16]));
            let at = Hlc { micros: 5, tick: 0 };
            let change = match copy.facts(&line).is_some() {
                true => copy.step(line, step, Milli(qty.into())).unwrap(),
                false => copy.add_line(line, at, &line.0, step, Milli(qty.into())).unwrap(),
            };
            if qty % 2 == 0 {
                third.apply(&change.unwrap()).unwrap();
                let _ = third.remove(line);
            }
        }
        let mut all: Vec<Vec<u8>> = copies.iter().chain([&third]).flat_map(changes).collect();
        let seen: Vec<_> = seeds.iter().map(|seed| {
            let mut dice = Dice(*seed);
            for n in (1..all.len()).rev() {
                all.swap(n, dice.roll(n + 1));
            }
            let (at_once, mut rest) = (open(9, 0, &all[..all.len() / 2]), all[all.len() / 2..].to_vec());
            let mut cart = at_once;
            rest.push(all[0].clone());
            for change in &rest {
                cart.apply(change).unwrap();
            }
            (cart.lines(), cart.heads(), cart.unseen())
        }).collect();
        prop_assert_eq!(&seen[0], &seen[1]);
        prop_assert_eq!(&seen[0], &seen[2]);
    }
}
