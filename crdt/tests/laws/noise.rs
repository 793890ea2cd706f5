//! Bytes of strangers: whatever comes, nothing panics, nothing grows, and what is read is what was written.

use crate::dice::config;
use proptest::prelude::*;
use toko_crdt::Entry;
use toko_crdt::body::{Body, CartChange, Continued};
use toko_crdt::cart::{Actor, Cart, Took, change_hash, change_head};
use toko_crdt::clock::Hlc;
use toko_crdt::digest::Digests;
use toko_crdt::entry::{Draft, Saw};
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::hash::Hash;
use toko_crdt::ids::*;
use toko_crdt::journal::ForkProof;
use toko_crdt::member::{Claim, Statement};
use toko_crdt::seal::Seal;
use toko_crdt::sign::SecretKey;
use toko_crdt::stock::Milli;

const STORE: StoreId = StoreId([1; 32]);
const CART: CartId = CartId([1; 16]);

fn key() -> SecretKey {
    SecretKey::from_seed([2; 32])
}

fn frontier() -> Frontier {
    let journal = |n| JournalId { node: NodeId([n; 32]), run: Run(300), lane: Lane::Floor };
    (1..4).map(|n| (journal(n), Head { seq: 1_000, hash: Hash([n; 32]) })).collect()
}

fn entry(seq: u64, body: &Body) -> Entry {
    let journal = JournalId { node: key().node(), run: Run(5), lane: Lane::Books };
    let prev = if seq == 1 { Hash::ZERO } else { Hash([9; 32]) };
    let saw = Some(Saw::Entries(vec![Hash([3; 32]); 2]));
    let at = Hlc { micros: 1_000_000, tick: 3 };
    Draft { journal, seq, prev, at, saw, body: body.encode() }.sign(&STORE, &key())
}

/// Changes of every kind: a line, a step, a removal, a register.
fn changes() -> Vec<Vec<u8>> {
    let mut cart = Cart::open(CART, Actor::of(&key().node(), Run(5)), [[0u8; 0]; 0]).unwrap();
    let line = LineId([4; 16]);
    let at = Hlc { micros: 7, tick: 0 };
    vec![
        cart.add_line(line, at, b"tin", StepId([1; 16]), Milli(1_000)).unwrap().unwrap(),
        cart.step(line, StepId([2; 16]), Milli(-300)).unwrap().unwrap(),
        cart.set("customer", b"7").unwrap().unwrap(),
        cart.remove(line).unwrap().unwrap(),
        cart.set("customer", b"8").unwrap().unwrap(),
    ]
}

fn bodies() -> Vec<Body> {
    let head = Head { seq: 4, hash: Hash([4; 32]) };
    let claim = Claim::Revoked { term: 1, node: NodeId([5; 32]), cut: frontier() };
    let fork = ForkProof::new(entry(1, &Body::first()), entry(1, &Body::Op(vec![1]))).unwrap();
    let seal = Seal::whole(1, frontier(), Digests::default());
    let change = CartChange { cart: CART, change: changes().remove(0), idem: None };
    vec![
        Body::Continues(Some(Continued { run: Run(3), head })),
        Body::Carried(Box::new(entry(2, &Body::Op(vec![2; 40])))),
        Body::Fork(Box::new(fork)),
        Body::Member(Statement::sign(&STORE, &key(), claim)),
        Body::Watermark(frontier()),
        Body::Seal(seal.countersign(Hash([6; 32]), Digests::default())),
        Body::Seal(seal),
        Body::Cart(change),
        Body::Op(vec![1, 2, 3]),
    ]
}

/// A change with its checksum made right again, so that what lies behind it is reached.
fn reseal(mut change: Vec<u8>) -> Vec<u8> {
    if change.len() > 8 {
        let sum = ring::digest::digest(&ring::digest::SHA256, &change[8..]);
        change[4..8].copy_from_slice(&sum.as_ref()[..4]);
    }
    change
}

/// Flips, cuts and inserts.
fn spoil(bytes: &mut Vec<u8>, edits: &[(usize, u8, u8)]) {
    for (at, how, byte) in edits {
        let at = at % bytes.len().max(1);
        match how % 4 {
            0 => bytes.insert(at, *byte),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|old| *old ^= byte),
        }
    }
}

fn edits() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 1..4)
}

/// Reads as everything; what reads must write the same bytes again.
fn read_all(bytes: &[u8]) {
    if let Ok(entry) = Entry::decode(&STORE, bytes) {
        assert_eq!(entry.encode(), bytes);
    }
    if let Ok(statement) = Statement::decode(bytes) {
        assert_eq!(statement.encode(), bytes);
    }
    if let Ok(frontier) = Frontier::decode(bytes) {
        assert_eq!(frontier.encode(), bytes);
    }
    let _ = Body::decode(&STORE, bytes);
    let _ = change_hash(bytes);
}

/// Offers bytes to a cart that holds the honest changes, or none; whatever became of them, the cart goes on.
fn offer(bytes: &[u8]) {
    for held in [changes(), Vec::new()] {
        let mut cart = Cart::open(CART, Actor::of(&NodeId([8; 32]), Run(1)), &held).unwrap();
        let before = (cart.lines(), cart.heads());
        let took = cart.apply(bytes);
        if took != Ok(Took::Visible) {
            assert_eq!((cart.lines(), cart.heads()), before);
        }
        let line = LineId([77; 16]);
        cart.add_line(line, Hlc::default(), b"x", StepId([77; 16]), Milli(1)).unwrap().unwrap();
        assert!(cart.lines().iter().any(|found| found.line == line));
        let again: Vec<Vec<u8>> = cart.changes().map(|(_, change)| change.to_vec()).collect();
        assert_eq!(
            Cart::open(CART, Actor::of(&NodeId([9; 32]), Run(1)), again).unwrap().lines(),
            cart.lines()
        );
    }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn arbitrary_bytes_harm_nothing(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_all(&bytes);
        for version in [0u8, 1] {
            read_all(&[&[version][..], &bytes].concat());
        }
        for family in [1u8, 2, 3, 4, 5, 6, 0x20] {
            let _ = Body::decode(&STORE, &[&[family, 1][..], &bytes].concat());
        }
        let body = [&[0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1, u8::try_from(bytes.len() % 128).unwrap()][..], &bytes];
        offer(&reseal(body.concat()));
    }

    #[test]
    fn spoilt_entries_bodies_statements_and_frontiers_harm_nothing(pick in any::<usize>(), edits in edits()) {
        let bodies = bodies();
        let body = &bodies[pick % bodies.len()];
        let claim = Claim::Terminal { term: 300, key: key().public(), number: 3, name: "Till 3".into() };
        let samples = [
            body.encode(),
            entry(2, body).encode(),
            entry(1, body).pruned().encode(),
            Statement::sign(&STORE, &key(), claim).encode(),
            frontier().encode(),
        ];
        for mut bytes in samples {
            prop_assert!(Body::decode(&STORE, &body.encode()).as_ref() == Ok(body));
            read_all(&bytes);
            spoil(&mut bytes, &edits);
            read_all(&bytes);
        }
    }

    #[test]
    fn spoilt_changes_with_a_right_checksum_harm_no_cart(pick in 0usize..5, edits in edits(), resize in any::<bool>()) {
        let mut bytes = changes().remove(pick);
        spoil(&mut bytes, &edits);
        if resize && bytes.len() > 12 {
            let [low, high] = [(bytes.len() - 11) & 0x7f, (bytes.len() - 11) >> 7];
            bytes[9] = u8::try_from(low | 0x80).unwrap();
            bytes[10] = u8::try_from(high).unwrap();
        }
        offer(&reseal(bytes));
    }
}

#[test]
fn every_flipped_bit_of_a_change_is_refused_before_automerge_sees_it() {
    for change in changes() {
        assert_eq!(change_head(&change).unwrap().hash, change_hash(&change).unwrap());
        for bit in 0..change.len() * 8 {
            let mut bad = change.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(change_hash(&bad).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn every_flipped_bit_behind_a_right_checksum_leaves_the_cart_whole() {
    let bits = |change: &Vec<u8>| (80..change.len() * 8).collect::<Vec<usize>>();
    for change in changes() {
        for bits in bits(&change).chunks(100) {
            let mut cart = Cart::open(CART, Actor::of(&NodeId([8; 32]), Run(1)), changes()).unwrap();
            for bit in bits {
                let mut bad = change.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                let _ = cart.apply(&reseal(bad));
            }
            cart.set("after", b"x").unwrap().unwrap();
        }
    }
}

#[test]
fn documents_compressed_changes_and_bombs_are_refused() {
    let change = changes().remove(0);
    for kind in [0, 2, 3, 4, 0xff] {
        let mut other = change.clone();
        other[8] = kind;
        assert!(change_hash(&reseal(other)).is_err(), "chunk type {kind}");
    }
    assert!(change_hash(&[change.clone(), change.clone()].concat()).is_err(), "two changes");
    assert!(change_hash(&vec![0; 1 << 20]).is_err(), "a megabyte");
    // A run-length column that claims 2^35 operations in a few bytes: the last byte but some of the action column.
    let claims: Vec<usize> = (0..change.len().saturating_sub(1)).collect();
    for at in claims {
        let mut bomb = change.clone();
        bomb.splice(at..=at, [0x80, 0x80, 0x80, 0x80, 0x80, 0x01]);
        let len = bomb.len() - 11;
        bomb[9] = u8::try_from(len & 0x7f | 0x80).unwrap();
        bomb[10] = u8::try_from(len >> 7).unwrap();
        let mut cart = Cart::open(CART, Actor::of(&NodeId([8; 32]), Run(1)), [[0u8; 0]; 0]).unwrap();
        let _ = cart.apply(&reseal(bomb));
        assert!(cart.lines().len() <= 1);
    }
}
