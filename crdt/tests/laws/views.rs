//! Equal sets of entries give equal views and equal digests.

use crate::dice::{Dice, config};
use crate::replica::Replica;
use crate::world::{CART, Event, NODES, What, World};
use proptest::prelude::*;
use toko_crdt::Entry;
use toko_crdt::book::{Code, rows};
use toko_crdt::cart::{Actor, Cart, CartLine};
use toko_crdt::digest::Digests;
use toko_crdt::hash::Hash;
use toko_crdt::ids::{EffectId, NodeId, Run};

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        4 => (0u8..3, 0u8..4, any::<u8>()).prop_map(|(key, rev, value)| What::Register { key, rev, value }),
        4 => (0u8..3, -50i32..50).prop_map(|(sku, qty)| What::Stock { sku, qty }),
        2 => (0u8..3, -50i32..50).prop_map(|(sku, qty)| What::Newer { sku, qty }),
        1 => Just(What::Unreadable),
        1 => (0u8..3).prop_map(|sku| What::Panics { sku }),
        1 => Just(What::Strays),
        2 => (0u8..3).prop_map(|sku| What::HubOnly { sku }),
        1 => (0u8..9).prop_map(|seq| What::Watermark { seq }),
        1 => (0u8..3).prop_map(|version| What::Seal { version }),
        1 => (0u8..3).prop_map(|number| What::Enrols { number }),
        1 => (0u8..3).prop_map(|byte| What::Unknown { byte }),
        1 => (0u8..3).prop_map(|byte| What::Garbage { byte }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let ways = [prop::collection::vec(what(), 1..3), prop::collection::vec(what(), 1..3)];
    let carriers = prop::collection::vec(0..NODES, 1..3);
    prop_oneof![
        8 => (0..NODES, any::<bool>(), what()).prop_map(|(node, floor, what)| Event::Writes { node, floor, what }),
        1 => (0..NODES).prop_map(|node| Event::NewRun { node }),
        4 => (0..NODES, 0u8..3, any::<i16>()).prop_map(|(node, line, qty)| Event::Scans { node, line, qty }),
        1 => (0..NODES, 0u8..3).prop_map(|(node, line)| Event::Removes { node, line }),
        2 => (0..NODES, 0..NODES).prop_map(|(node, other)| Event::Sees { node, other }),
        1 => (0..NODES, any::<bool>(), ways, carriers)
            .prop_map(|(node, floor, ways, carriers)| Event::Forks { node, floor, ways, carriers }),
        2 => (prop_oneof![3 => Just(0), 1 => 0..NODES], any::<usize>(), prop::bool::weighted(0.2))
            .prop_map(|(node, pick, astray)| Event::Admits { node, pick, astray }),
        2 => (0..NODES, any::<usize>(), 0usize..5)
            .prop_map(|(node, pick, wraps)| Event::Carries { node, pick, wraps }),
    ]
}

/// Hands everything to a new replica in an order of its own: journals interleave, entries come again, statements and the
/// upgrade come at any time, and of a forked journal it meets one way only, directly.
fn replicate(world: &World, seed: u64) -> Replica {
    let mut dice = Dice(seed);
    let mut replica = Replica::new(world);
    let mut journals: Vec<Vec<&Entry>> = Vec::new();
    for stream in world.streams.values() {
        let way = &stream.ways[dice.roll(2)];
        let above = dice.roll(way.len() + 1);
        journals.push(stream.common.iter().chain(&way[..above]).collect());
    }
    let mut next = vec![0; journals.len()];
    let mut statements = world.statements.clone();
    let mut upgraded = false;
    loop {
        let open: Vec<usize> = (0..journals.len()).filter(|n| next[*n] < journals[*n].len()).collect();
        if open.is_empty() && statements.is_empty() && upgraded {
            break;
        }
        match dice.roll(12) {
            0 if !statements.is_empty() => {
                // One whose issuer is unknown is offered again later.
                let statement = statements.remove(dice.roll(statements.len()));
                if replica.members.add(statement.clone()).is_err() {
                    statements.push(statement);
                }
                if dice.roll(2) == 0 {
                    replica.heal();
                }
            }
            1 if dice.roll(4) == 0 => {
                upgraded = true;
                replica.upgrade();
            }
            2 if !journals.is_empty() => {
                let journal = dice.roll(journals.len());
                if next[journal] > 0 {
                    replica.receive(journals[journal][dice.roll(next[journal])]);
                }
            }
            _ if !open.is_empty() => {
                let journal = open[dice.roll(open.len())];
                replica.receive(journals[journal][next[journal]]);
                next[journal] += 1;
            }
            _ => {}
        }
    }
    // Whoever heard of a statement through a journal may by now take in what it refused before.
    for statement in rows::statements(&replica.kv).unwrap() {
        replica.hear(statement);
    }
    replica.heal();
    replica
}

fn parked(replica: &Replica) -> Vec<(EffectId, Code)> {
    rows::parked_all(&replica.kv).unwrap().iter().map(|parked| (parked.effect, parked.code)).collect()
}

fn cart(replica: &Replica) -> (Vec<CartLine>, Vec<Hash>, usize) {
    let changes = rows::cart_changes(&replica.kv, &CART).unwrap();
    let cart = Cart::open(CART, Actor::of(&NodeId([99; 32]), Run(1)), changes).unwrap();
    (cart.lines(), cart.heads(), cart.unseen())
}

proptest! {
    #![proptest_config(config(192))]

    #[test]
    fn any_order_any_duplication_any_late_part_gives_equal_views_and_digests(
        events in prop::collection::vec(event(), 1..40),
        seeds in any::<[u64; 3]>(),
    ) {
        let mut world = World::new();
        world.play(&events);
        let replicas = seeds.map(|seed| replicate(&world, seed));
        let [first, ..] = &replicas;
        for replica in &replicas {
            prop_assert_eq!(replica.digests, Digests::recompute(&replica.kv).unwrap());
            prop_assert_eq!(replica.digests, Digests::of(&replica.kv).unwrap());
            prop_assert_eq!(replica.shared_rows(), first.shared_rows());
            prop_assert_eq!(replica.digests, first.digests);
            prop_assert_eq!(parked(replica), parked(first));
            prop_assert_eq!(cart(replica), cart(first));
        }
    }
}
