//! Settled carts: whatever comes first, they leave no rows, and every other cart keeps all of its own.

use crate::book::{HUB, TILL, TILL_TOO, key, orders, shop, write};
use crate::dice::{Dice, config};
use crate::replica::Replica;
use crate::world::World;
use proptest::prelude::*;
use std::collections::BTreeMap;
use toko_crdt::Entry;
use toko_crdt::body::{Body, CartChange, Idem};
use toko_crdt::book::{Applied, CARTS_AT_ONCE, Code, rows, settled};
use toko_crdt::cart::{Actor, Cart};
use toko_crdt::clock::UnixMicros;
use toko_crdt::digest::Digests;
use toko_crdt::ids::*;
use toko_crdt::settling::{KEEP_MAX, Settling};

/// Carts that the cases are about, two in each hour.
const CARTS: u8 = 8;
const HOUR: i64 = 3_600_000_000;

fn hour(hour: i64) -> UnixMicros {
    UnixMicros(hour * HOUR)
}

/// A cart of the cases: its hour follows from its number.
pub(crate) fn cart(n: u8) -> CartId {
    CartId::made(hour(i64::from(n / 2)), [n; 16])
}

fn settles(before: i64, keep: &[u8]) -> Body {
    Body::Settled(Settling::new(hour(before), keep.iter().map(|n| cart(*n))).unwrap())
}

fn closes(n: u8) -> Body {
    Body::Op(vec![b'C', n, b'd'])
}

fn holds(n: u8) -> Body {
    Body::Op(vec![b'C', n, b'o'])
}

/// Changes of one cart, by a till.
struct Changes(BTreeMap<u8, Cart>);

impl Changes {
    fn next(&mut self, n: u8, said: u8, idem: Option<u8>) -> Body {
        let actor = Actor::of(&key(TILL).node(), Run(1));
        let open = self.0.entry(n).or_insert_with(|| Cart::open(cart(n), actor, [[0u8; 0]; 0]).unwrap());
        let change = open.set("customer", &[said]).unwrap().unwrap();
        let idem = idem.map(|idem| Idem { key: [idem; 16], request: [said; 16] });
        Body::Cart(CartChange { cart: cart(n), change, idem })
    }
}

#[derive(Clone, Debug)]
enum Event {
    Changes { cart: u8, idem: Option<u8> },
    Says { cart: u8, done: bool },
    Settles { before: u8, keep: Vec<u8>, astray: bool },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..CARTS, prop::option::of(0u8..2)).prop_map(|(cart, idem)| Event::Changes { cart, idem }),
        3 => (0..CARTS, any::<bool>()).prop_map(|(cart, done)| Event::Says { cart, done }),
        3 => (0u8..6, prop::collection::vec(0..CARTS, 0..5), prop::bool::weighted(0.1))
            .prop_map(|(before, keep, astray)| Event::Settles { before, keep, astray }),
    ]
}

/// Entries, with the cart that each is about.
fn written(world: &World, events: &[Event]) -> Vec<(Option<u8>, Entry)> {
    let mut changes = Changes(BTreeMap::new());
    let mut out = Vec::new();
    for (seq, event) in (2_u64..).zip(events) {
        let said = u8::try_from(seq).unwrap();
        out.push(match event {
            Event::Changes { cart, idem } => {
                let body = changes.next(*cart, said, *idem);
                (Some(*cart), write(world, TILL, Lane::Floor, seq, &body))
            }
            Event::Says { cart, done } => {
                let body = if *done { closes(*cart) } else { holds(*cart) };
                (Some(*cart), write(world, TILL_TOO, Lane::Floor, seq, &body))
            }
            Event::Settles { before, keep, astray } => {
                let node = if *astray { TILL } else { HUB };
                (None, write(world, node, Lane::Floor, seq, &settles(i64::from(*before), keep)))
            }
        });
    }
    out
}

fn receive<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Replica {
    let (_, mut replica) = shop();
    for entry in entries {
        replica.receive(entry);
    }
    replica
}

proptest! {
    #![proptest_config(config(192))]

    #[test]
    fn any_order_leaves_the_same_rows_and_none_of_a_settled_cart(
        events in prop::collection::vec(event(), 1..40),
        seed in any::<u64>(),
    ) {
        let (world, _) = shop();
        let entries = written(&world, &events);
        let said: Vec<Settling> = events.iter().filter_map(|event| match event {
            Event::Settles { before, keep, astray: false } => {
                Settling::new(hour(i64::from(*before)), keep.iter().map(|n| cart(*n)))
            }
            _ => None,
        }).collect();
        let is_settled = |n: u8| said.iter().any(|settling| settling.settles(&cart(n)));
        // What should be left: as if nobody had ever touched the settled carts.
        let left = entries.iter().filter(|(about, _)| about.is_none_or(|n| !is_settled(n)));
        let expected = receive(left.map(|(_, entry)| entry));

        let mut dice = Dice(seed);
        for _ in 0..3 {
            let mut order: Vec<&Entry> = entries.iter().map(|(_, entry)| entry).collect();
            for last in (1..order.len()).rev() {
                order.swap(last, dice.roll(last + 1));
            }
            let again = dice.roll(order.len());
            order.push(order[again]);
            let replica = receive(order);
            prop_assert_eq!(replica.shared_rows(), expected.shared_rows());
            prop_assert_eq!(replica.digests, Digests::recompute(&replica.kv).unwrap());
            prop_assert_eq!(replica.digests, expected.digests);
            for n in 0..CARTS {
                prop_assert_eq!(settled::is_settled(&replica.kv, &cart(n)).unwrap(), is_settled(n));
            }
            for parked in rows::parked_all(&replica.kv).unwrap() {
                prop_assert_eq!(parked.code, Code::OutOfScope);
            }
        }
    }

    /// The hub never settles what somebody may still finish, whatever it knows so far.
    #[test]
    fn what_is_due_leaves_what_is_open_and_nothing_else(
        events in prop::collection::vec(event(), 1..40),
        before in 0_i64..6,
    ) {
        let (world, _) = shop();
        let entries = written(&world, &events);
        let mut replica = receive(entries.iter().map(|(_, entry)| entry));
        let tables = [0x40, 0x52];
        let on_the_floor = |replica: &Replica| -> Vec<CartId> {
            let all = tables.map(|table| settled::carts_before(&replica.kv, table, hour(99)).unwrap());
            let mut all = all.concat();
            all.sort_unstable();
            all.dedup();
            all
        };
        let is_done = |replica: &Replica, cart: &CartId| {
            let rows = replica.kv.rows.range([&[0x52], cart.0.as_slice()].concat()..);
            rows.take_while(|(key, _)| key[1..].starts_with(&cart.0)).any(|(_, said)| said == b"d")
        };
        let stays: Vec<CartId> = on_the_floor(&replica)
            .into_iter()
            .filter(|cart| cart.made_at() >= hour(before) || !is_done(&replica, cart))
            .collect();
        for (seq, settling) in (100..).zip(replica.due(hour(before))) {
            let entry = write(&world, HUB, Lane::Floor, seq, &Body::Settled(settling));
            prop_assert_eq!(replica.receive(&entry), Applied::Folded);
        }
        prop_assert_eq!(on_the_floor(&replica), stays);
        prop_assert_eq!(replica.due(hour(before)), vec![]);
    }
}

#[test]
fn only_a_hub_settles_and_only_on_the_floor() {
    let (world, mut replica) = shop();
    assert_eq!(replica.receive(&write(&world, TILL, Lane::Floor, 2, &closes(1))), Applied::Folded);
    let body = settles(9, &[]);
    for (node, lane, code) in [
        (TILL, Lane::Floor, Code::OutOfScope),
        (2, Lane::Floor, Code::OutOfScope),
        (99, Lane::Floor, Code::UnknownAuthor),
        (HUB, Lane::Books, Code::WrongLane),
    ] {
        assert_eq!(replica.receive(&write(&world, node, lane, 3, &body)), Applied::Parked(code));
        assert!(!settled::is_settled(&replica.kv, &cart(1)).unwrap());
    }
    assert_eq!(replica.receive(&write(&world, HUB, Lane::Floor, 3, &body)), Applied::Folded);
    assert!(settled::is_settled(&replica.kv, &cart(1)).unwrap());
}

#[test]
fn a_cart_that_is_kept_goes_on_and_goes_with_the_next_settling_once_it_is_done() {
    let (world, mut replica) = shop();
    let mut changes = Changes(BTreeMap::new());
    let mut seq = 1;
    let mut says = |replica: &mut Replica, node: u8, body: &Body| {
        seq += 1;
        assert_eq!(replica.receive(&write(&world, node, Lane::Floor, seq, body)), Applied::Folded);
    };
    says(&mut replica, TILL, &holds(0));
    says(&mut replica, TILL, &changes.next(0, 1, Some(7)));
    says(&mut replica, TILL, &closes(1));
    let due = replica.due(hour(4));
    assert_eq!(due, [Settling::new(hour(4), [cart(0)]).unwrap()]);
    says(&mut replica, HUB, &Body::Settled(due[0].clone()));
    // It goes on as if nothing had been said.
    says(&mut replica, TILL, &changes.next(0, 2, Some(8)));
    assert_eq!(rows::cart_changes(&replica.kv, &cart(0)).unwrap().len(), 2);
    assert!(rows::cart_idem_used(&replica.kv, &key(TILL).node(), &[8; 16]).unwrap().is_some());
    assert_eq!(replica.due(hour(5)), [], "nothing is done");
    says(&mut replica, TILL_TOO, &closes(0));
    let due = replica.due(hour(5));
    assert_eq!(due, [Settling::new(hour(5), []).unwrap()]);
    says(&mut replica, HUB, &Body::Settled(due[0].clone()));
    assert_eq!(replica.shared_rows().len(), 1, "the settling alone: {:?}", replica.shared_rows());
    assert_eq!(settled::settlings(&replica.kv).unwrap(), due);
    assert_eq!(rows::cart_idem_used(&replica.kv, &key(TILL).node(), &[7; 16]).unwrap(), None);
    says(&mut replica, TILL, &changes.next(0, 3, Some(9)));
    assert_eq!(replica.shared_rows().len(), 1, "what comes late leaves nothing");
}

#[test]
fn of_words_that_take_each_other_in_one_stands_whatever_came_first() {
    let (world, _) = shop();
    let words = [settles(3, &[0, 1]), settles(4, &[0, 6]), settles(4, &[0]), settles(2, &[2])];
    let entries: Vec<Entry> =
        (2..).zip(&words).map(|(seq, body)| write(&world, HUB, Lane::Floor, seq, body)).collect();
    for order in orders(&entries) {
        let replica = receive(&order);
        assert_eq!(
            settled::settlings(&replica.kv).unwrap(),
            [Settling::new(hour(2), [cart(2)]).unwrap(), Settling::new(hour(4), [cart(0)]).unwrap()]
        );
    }
}

#[test]
fn many_carts_go_a_few_at_a_time_and_too_many_open_ones_hold_the_rest_back() {
    let (world, mut replica) = shop();
    let made = |n: usize| CartId::made(UnixMicros(n as i64 * 1_000), [9; 16]);
    let closed = |cart: CartId, said: u8| Body::Op([b"L".as_slice(), &cart.0, &[said]].concat());
    let count = CARTS_AT_ONCE * 2 + 20;
    for n in 0..count {
        let body = closed(made(n), b'd');
        replica.receive(&write(&world, TILL, Lane::Floor, n as u64 + 2, &body));
    }
    let left = |replica: &Replica| settled::carts_before(&replica.kv, 0x52, hour(9)).unwrap().len();
    let due = replica.due(hour(1));
    let mut before = left(&replica);
    assert_eq!((due.len(), before), (3, count));
    for (seq, settling) in (2..).zip(due) {
        replica.receive(&write(&world, HUB, Lane::Floor, seq, &Body::Settled(settling)));
        assert!(before - left(&replica) <= CARTS_AT_ONCE);
        before = left(&replica);
    }
    assert_eq!(before, 0);
    // Of these every second one is open, more than one entry can keep.
    for n in 0..KEEP_MAX * 2 + 100 {
        let body = closed(made(5_000_000 + n), if n % 2 == 0 { b'o' } else { b'd' });
        replica.receive(&write(&world, TILL, Lane::Floor, 100_000 + n as u64, &body));
    }
    for (seq, settling) in (50..).zip(replica.due(hour(9))) {
        assert!(settling.keep().len() <= KEEP_MAX);
        replica.receive(&write(&world, HUB, Lane::Floor, seq, &Body::Settled(settling)));
    }
    assert_eq!(left(&replica), KEEP_MAX + 100, "the oldest that fit, and all that is newer than they are");
}
