//! The book, case by case: carried effects, poison, scope, lanes, forks.

use crate::replica::Replica;
use crate::world::World;
use toko_crdt::Entry;
use toko_crdt::body::{Admission, Body, CARRIED_DEPTH_MAX, CartChange, Continued};
use toko_crdt::book::{Applied, Code, rows};
use toko_crdt::cart::{Actor, Cart};
use toko_crdt::clock::Hlc;
use toko_crdt::digest::Digests;
use toko_crdt::entry::Draft;
use toko_crdt::fold::MapKv;
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::hash::Hash;
use toko_crdt::ids::*;
use toko_crdt::journal::ForkProof;
use toko_crdt::member::{Claim, Statement};
use toko_crdt::seal::Seal;
use toko_crdt::sign::SecretKey;
use toko_crdt::stock;

pub(crate) const HUB: u8 = 1;
const HQ: u8 = 2;
pub(crate) const TILL: u8 = 3;
pub(crate) const TILL_TOO: u8 = 4;

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

/// A replica that knows everybody.
pub(crate) fn shop() -> (World, Replica) {
    let world = World::new();
    let mut replica = Replica::new(&world);
    world.statements.iter().for_each(|statement| replica.hear(statement.clone()));
    (world, replica)
}

/// An entry out of nowhere: the book does not look at chains.
pub(crate) fn write(world: &World, node: u8, lane: Lane, seq: u64, body: &Body) -> Entry {
    let journal = JournalId { node: key(node).node(), run: Run(1), lane };
    let prev = if seq == 1 { Hash::ZERO } else { Hash([1; 32]) };
    let draft =
        Draft { journal, seq, prev, at: Hlc { micros: seq, tick: 0 }, saw: None, body: body.encode() };
    draft.sign(&world.store, &key(node))
}

fn sells(sku: u8, qty: i32) -> Body {
    Body::Op([&[b'S', sku][..], &qty.to_be_bytes()].concat())
}

fn carry(world: &World, node: u8, seq: u64, entry: &Entry) -> Entry {
    write(world, node, entry.journal().lane, seq, &Body::Carried(Box::new(entry.clone())))
}

fn admits(effect: Hash) -> Body {
    Body::Admitted(Admission { effect: effect.into(), why: "the owner rang".into() })
}

fn sold(kv: &MapKv, sku: u8) -> i64 {
    stock::read(kv, &[0x11, sku]).unwrap().0
}

/// Every order of a few things.
pub(crate) fn orders<T: Clone>(things: &[T]) -> Vec<Vec<T>> {
    let Some((first, rest)) = things.split_first() else { return vec![Vec::new()] };
    let mut out = Vec::new();
    for order in orders(rest) {
        for at in 0..=order.len() {
            let mut longer = order.clone();
            longer.insert(at, first.clone());
            out.push(longer);
        }
    }
    out
}

#[test]
fn an_effect_counts_once_although_several_carry_it_and_it_is_there_itself() {
    let (world, _) = shop();
    let sale = write(&world, TILL, Lane::Books, 2, &sells(1, 5));
    let carried = carry(&world, HUB, 2, &sale);
    let deeper = carry(&world, TILL_TOO, 2, &carried);
    let other = carry(&world, TILL_TOO, 3, &sale);
    for order in orders(&[sale.clone(), carried, deeper, other]) {
        let (_, mut replica) = shop();
        let folded = order.iter().filter(|entry| replica.receive(entry) == Applied::Folded).count();
        assert_eq!((folded, sold(&replica.kv, 1)), (1, 5));
        assert_eq!(replica.receive(&sale), Applied::Already);
        assert_eq!(rows::parked_all(&replica.kv).unwrap(), []);
        let place = rows::place_of(&replica.kv, sale.hash().into()).unwrap();
        assert_eq!(place, Some(order[0].place()), "where it came from first");
        for entry in order {
            assert!(rows::place_of(&replica.kv, entry.hash().into()).unwrap().is_some());
        }
    }
}

#[test]
fn carried_deeper_than_the_limit_is_parked_under_the_carrier() {
    let (world, mut replica) = shop();
    let sale = write(&world, TILL, Lane::Books, 2, &sells(1, 5));
    let mut entry = sale.clone();
    for _ in 0..=CARRIED_DEPTH_MAX {
        entry = carry(&world, HUB, 2, &entry);
    }
    assert_eq!(replica.receive(&entry), Applied::Parked(Code::BadCarried));
    assert_eq!(rows::parked_all(&replica.kv).unwrap()[0].effect, entry.hash().into());
    assert_eq!(sold(&replica.kv, 1), 0);
    let Ok(Body::Carried(less)) = Body::decode(&world.store, entry.body().unwrap()) else {
        panic!("carried")
    };
    assert_eq!(replica.receive(&less), Applied::Folded);
    assert_eq!(replica.receive(&sale), Applied::Already);
}

#[test]
fn a_carried_entry_that_its_author_did_not_sign_or_of_the_other_lane_is_parked() {
    let (world, mut replica) = shop();
    let journal = JournalId { node: key(TILL).node(), run: Run(1), lane: Lane::Books };
    let (at, body) = (Hlc::default(), sells(1, 5).encode());
    let forged =
        Draft { journal, seq: 1, prev: Hash::ZERO, at, saw: None, body }.sign(&world.store, &key(HUB));
    assert_eq!(replica.receive(&carry(&world, HUB, 2, &forged)), Applied::Parked(Code::BadCarried));
    let sale = write(&world, TILL, Lane::Books, 2, &sells(1, 5));
    let astray = write(&world, HUB, Lane::Floor, 2, &Body::Carried(Box::new(sale.clone())));
    assert_eq!(replica.receive(&astray), Applied::Parked(Code::BadCarried));
    let bare = carry(&world, HUB, 3, &sale.pruned());
    assert_eq!(replica.receive(&bare), Applied::Parked(Code::BadCarried));
    assert_eq!(replica.receive(&sale), Applied::Folded, "the sale itself is not touched by any of these");
}

#[test]
fn a_carrier_that_waited_for_a_statement_is_not_parked_for_ever() {
    let (world, mut knows) = shop();
    let mut replica = Replica::new(&world);
    let sale = write(&world, TILL, Lane::Books, 2, &sells(1, 5));
    let carrier = carry(&world, HUB, 2, &sale);
    assert_eq!(replica.receive(&carrier), Applied::Parked(Code::UnknownAuthor));
    world.statements.iter().for_each(|statement| replica.hear(statement.clone()));
    replica.heal();
    assert_eq!(sold(&replica.kv, 1), 5);
    assert_eq!(rows::parked_all(&replica.kv).unwrap(), []);
    knows.receive(&carrier);
    assert_eq!(replica.shared_rows(), knows.shared_rows());
}

#[test]
fn a_fold_that_panics_leaves_nothing_behind_and_is_not_tried_again() {
    let (world, mut replica) = shop();
    let poison = write(&world, TILL, Lane::Books, 2, &Body::Op(vec![b'P', 1, 0, 0, 0, 0]));
    assert_eq!(replica.receive(&poison), Applied::Parked(Code::Panicked));
    assert_eq!(replica.shared_rows().len(), 0);
    assert_eq!(replica.digests, Digests::default());
    assert_eq!(replica.receive(&poison), Applied::Parked(Code::Panicked));
    assert_eq!(replica.receive(&write(&world, TILL, Lane::Books, 3, &sells(1, 5))), Applied::Folded);
}

#[test]
fn a_fold_that_writes_beside_its_lane_is_parked() {
    let (world, mut replica) = shop();
    for lane in Lane::ALL {
        let entry = write(&world, TILL, lane, 2, &Body::Op(vec![b'X']));
        assert_eq!(replica.receive(&entry), Applied::Parked(Code::Panicked));
    }
    assert_eq!(replica.shared_rows().len(), 0);
}

#[test]
fn what_an_author_may_not_write_is_parked_and_shown() {
    let (world, mut replica) = shop();
    let hub_only = Body::Op(vec![b'H', 1, 0, 0, 0, 1]);
    let watermark = Body::Watermark(Frontier::default());
    let claim = Claim::Terminal { term: 1, key: key(50).public(), number: 9, name: "Nine".into() };
    let enrols = Body::Member(Statement::sign(&world.store, &key(HUB), claim.clone()));
    let elsewhere = Body::Member(Statement::sign(&StoreId([9; 32]), &key(HUB), claim));
    for (n, (node, lane, body, expected)) in [
        (TILL, Lane::Books, &hub_only, Applied::Parked(Code::OutOfScope)),
        (HUB, Lane::Books, &hub_only, Applied::Folded),
        (99, Lane::Books, &hub_only, Applied::Parked(Code::UnknownAuthor)),
        (99, Lane::Books, &Body::first(), Applied::Parked(Code::UnknownAuthor)),
        (TILL, Lane::Books, &watermark, Applied::Parked(Code::OutOfScope)),
        (HQ, Lane::Books, &watermark, Applied::Folded),
        (HQ, Lane::Floor, &watermark, Applied::Parked(Code::WrongLane)),
        (TILL, Lane::Books, &enrols, Applied::Parked(Code::OutOfScope)),
        (HUB, Lane::Floor, &enrols, Applied::Parked(Code::WrongLane)),
        (HUB, Lane::Books, &enrols, Applied::Folded),
        (HUB, Lane::Books, &elsewhere, Applied::Parked(Code::BadProof)),
        (HUB, Lane::Books, &Body::Unknown(vec![0x7e, 1]), Applied::Parked(Code::Newer)),
    ]
    .into_iter()
    .enumerate()
    {
        let entry = write(&world, node, lane, n as u64 + 1, body);
        assert_eq!(replica.receive(&entry), expected, "case {n}");
        let parked = rows::parked(&replica.kv, entry.hash().into()).unwrap();
        assert_eq!(parked.map(|parked| Applied::Parked(parked.code)).unwrap_or(Applied::Folded), expected);
    }
}

#[test]
fn what_a_hub_lets_in_counts_once_whichever_comes_first() {
    let (world, _) = shop();
    for lane in Lane::ALL {
        let price = write(&world, TILL, lane, 2, &Body::Op(vec![b'H', 1, 0, 0, 0, 5]));
        let word = write(&world, HUB, lane, 2, &admits(price.hash()));
        let again = write(&world, HUB, lane, 3, &admits(price.hash()));
        let carried = carry(&world, TILL_TOO, 2, &price);
        let mut seen = Vec::new();
        for order in orders(&[price.clone(), word.clone(), again.clone(), carried.clone()]) {
            let (_, mut replica) = shop();
            for entry in order {
                replica.receive(&entry);
            }
            replica.heal();
            let table = if lane == Lane::Books { 0x11 } else { 0x51 };
            assert_eq!(stock::read(&replica.kv, &[table, 1]).unwrap().0, 5);
            assert_eq!(rows::parked_all(&replica.kv).unwrap(), []);
            assert_eq!(rows::admissions(&replica.kv, lane, price.hash().into()).unwrap().len(), 2);
            assert_eq!(replica.digests, Digests::recompute(&replica.kv).unwrap());
            seen.push(replica.shared_rows());
        }
        assert!(seen.iter().all(|rows| *rows == seen[0]));
    }
}

#[test]
fn nobodys_word_lets_in_what_rests_on_signatures_roles_or_bytes() {
    let (world, mut replica) = shop();
    let claim = Claim::Terminal { term: 1, key: key(50).public(), number: 9, name: "Nine".into() };
    let enrols = Body::Member(Statement::sign(&world.store, &key(HUB), claim));
    let seal = Seal::whole(1, Frontier::default(), Digests::default());
    let price = Body::Op(vec![b'H', 1, 0, 0, 0, 1]);
    for (n, (node, body, code)) in [
        (TILL, Body::Watermark(Frontier::default()), Code::OutOfScope),
        (TILL, Body::Seal(seal), Code::OutOfScope),
        (TILL, enrols, Code::OutOfScope),
        (TILL, admits(Hash([1; 32])), Code::OutOfScope),
        (TILL, Body::Op(vec![b'U']), Code::Unreadable),
        (TILL, Body::Unknown(vec![0x7e, 1]), Code::Newer),
        (99, price.clone(), Code::UnknownAuthor),
    ]
    .into_iter()
    .enumerate()
    {
        let (n, lane) = (n as u64 * 2 + 2, Lane::Books);
        let entry = write(&world, node, lane, n, &body);
        let word = write(&world, HUB, lane, n, &admits(entry.hash()));
        assert_eq!(replica.receive(&word), Applied::Folded);
        assert_eq!(replica.receive(&entry), Applied::Parked(code), "case {n}");
        replica.heal();
        assert_eq!(rows::parked(&replica.kv, entry.hash().into()).unwrap().unwrap().code, code);
    }
    // Nor does another's word, or one that stands in the other lane.
    let till = write(&world, TILL, Lane::Books, 40, &price);
    let nobody = write(&world, TILL_TOO, Lane::Books, 40, &admits(till.hash()));
    let astray = write(&world, HUB, Lane::Floor, 40, &admits(till.hash()));
    assert_eq!(replica.receive(&nobody), Applied::Parked(Code::OutOfScope));
    assert_eq!(replica.receive(&astray), Applied::Folded);
    assert_eq!(replica.receive(&till), Applied::Parked(Code::OutOfScope));
    assert_eq!(sold(&replica.kv, 1), 0);
}

#[test]
fn a_cart_change_belongs_to_the_run_that_wrote_its_entry() {
    let (world, mut replica) = shop();
    let cart = CartId([1; 16]);
    let mut open = Cart::open(cart, Actor::of(&key(TILL).node(), Run(1)), [[0u8; 0]; 0]).unwrap();
    let change = open.set("customer", b"7").unwrap().unwrap();
    let body = Body::Cart(CartChange { cart, change: change.clone(), idem: None });
    let theirs = write(&world, TILL_TOO, Lane::Floor, 2, &body);
    assert_eq!(replica.receive(&theirs), Applied::Parked(Code::Unreadable));
    let books = write(&world, TILL, Lane::Books, 2, &body);
    assert_eq!(replica.receive(&books), Applied::Parked(Code::WrongLane));
    let ours = write(&world, TILL, Lane::Floor, 2, &body);
    assert_eq!(replica.receive(&ours), Applied::Folded);
    assert_eq!(rows::cart_changes(&replica.kv, &cart).unwrap(), [change]);
}

#[test]
fn the_lowest_fork_closes_a_journal_whichever_proof_comes_first() {
    let (world, _) = shop();
    let fork = |seq| {
        let [one, other] = [1, 2].map(|qty| write(&world, TILL, Lane::Books, seq, &sells(1, qty)));
        Body::Fork(Box::new(ForkProof::new(one, other).unwrap()))
    };
    let proofs = [4, 3, 9].map(|seq| write(&world, HUB, Lane::Books, seq, &fork(seq)));
    let journal = JournalId { node: key(TILL).node(), run: Run(1), lane: Lane::Books };
    let mut seen = Vec::new();
    for order in orders(&proofs) {
        let (_, mut replica) = shop();
        order.iter().for_each(|entry| assert_eq!(replica.receive(entry), Applied::Folded));
        assert_eq!(rows::closed(&replica.kv, &journal).unwrap().unwrap().at, 2);
        assert_eq!(rows::closed_all(&replica.kv).unwrap().len(), 1);
        seen.push(replica.shared_rows());
    }
    assert!(seen.iter().all(|rows| *rows == seen[0]));
    let (_, mut replica) = shop();
    let astray = write(&world, HUB, Lane::Floor, 3, &fork(3));
    assert_eq!(replica.receive(&astray), Applied::Parked(Code::WrongLane));
}

#[test]
fn a_fork_proof_of_entries_that_the_author_never_signed_closes_nothing() {
    let (world, mut replica) = shop();
    let journal = JournalId { node: key(TILL).node(), run: Run(1), lane: Lane::Books };
    let forge = |qty| {
        let (at, body) = (Hlc { micros: 3, tick: 0 }, sells(1, qty).encode());
        let draft = Draft { journal, seq: 3, prev: Hash([1; 32]), at, saw: None, body };
        draft.sign(&world.store, &key(TILL_TOO))
    };
    let honest = write(&world, TILL, Lane::Books, 3, &sells(1, 7));
    for (seq, other) in [(1, forge(2)), (2, honest)] {
        let proof = ForkProof::new(forge(1), other).unwrap();
        let entry = write(&world, HUB, Lane::Books, seq, &Body::Fork(Box::new(proof)));
        assert_eq!(replica.receive(&entry), Applied::Parked(Code::BadProof));
    }
    assert_eq!(rows::closed(&replica.kv, &journal).unwrap(), None);
}

#[test]
fn both_ways_of_a_fork_leave_their_rows_in_every_order() {
    let (world, _) = shop();
    let head = |seq| Head { seq, hash: Hash([7; 32]) };
    let begins = |seq| Body::Continues(Some(Continued { run: Run(5), head: head(seq) }));
    let seals = |fold_version| Body::Seal(Seal::whole(fold_version, Frontier::default(), Digests::default()));
    let mut entries = vec![];
    for (seq, bodies) in [(1, [begins(1), begins(2)]), (2, [seals(1), seals(2)])] {
        let ways = bodies.map(|body| write(&world, HUB, Lane::Books, seq, &body));
        entries.extend(ways.map(|way| carry(&world, TILL, seq + 10, &way)));
    }
    let mut seen = Vec::new();
    for order in orders(&entries) {
        let (_, mut replica) = shop();
        order.iter().for_each(|entry| assert_eq!(replica.receive(entry), Applied::Folded));
        assert_eq!(rows::continuations(&replica.kv, &key(HUB).node(), Lane::Books).unwrap().len(), 2);
        let mut versions: Vec<u32> =
            rows::seals(&replica.kv).unwrap().iter().map(|(_, seal)| seal.fold_version).collect();
        versions.sort_unstable();
        assert_eq!(versions, [1, 2]);
        seen.push(replica.shared_rows());
    }
    assert!(seen.iter().all(|rows| *rows == seen[0]));
}

#[test]
fn watermarks_join_and_only_rise() {
    let (world, _) = shop();
    let journal = |n: u8| JournalId { node: NodeId([n; 32]), run: Run(1), lane: Lane::Books };
    let marks = [[(1, 5), (2, 1)], [(1, 3), (2, 9)], [(2, 4), (3, 1)]];
    let entries: Vec<Entry> = (2..)
        .zip(marks)
        .map(|(seq, lines)| {
            let lines = lines.map(|(n, seq)| (journal(n), Head { seq, hash: Hash([n; 32]) }));
            write(&world, HQ, Lane::Books, seq, &Body::Watermark(lines.into_iter().collect()))
        })
        .collect();
    for order in orders(&entries) {
        let (_, mut replica) = shop();
        order.iter().for_each(|entry| assert_eq!(replica.receive(entry), Applied::Folded));
        let union = rows::watermark_union(&replica.kv).unwrap();
        let heights: Vec<u64> = union.lines().map(|(_, head)| head.seq).collect();
        assert_eq!(heights, [5, 9, 1]);
    }
}

#[test]
fn a_pruned_entry_is_shown_as_such_and_folds_when_it_comes_whole() {
    let (world, mut replica) = shop();
    let sale = write(&world, TILL, Lane::Books, 2, &sells(1, 5));
    assert_eq!(replica.receive(&sale.pruned()), Applied::Parked(Code::Pruned));
    assert_eq!(replica.receive(&carry(&world, HUB, 2, &sale)), Applied::Folded);
    assert_eq!(replica.receive(&sale.pruned()), Applied::Already);
    assert_eq!((sold(&replica.kv, 1), rows::parked_all(&replica.kv).unwrap().len()), (5, 0));
}
