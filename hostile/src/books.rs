//! Entries: whatever a member signs is folded or parked, alike in every order, and harms nobody.

use std::collections::BTreeMap;

use toko_crdt::body::Body;
use toko_crdt::book::{Applied, Book, Code, rows};
use toko_crdt::digest::Digests;
use toko_crdt::entry::Entry;
use toko_crdt::fold::MapKv;
use toko_crdt::ids::Lane;
use toko_retail::ops::{OpV1, What};
use toko_retail::scope::ShopScope;
use toko_retail::views::ShopFold;

use super::cut::{Cut, piece};
use super::shop::{Shop, shop};

#[path = "../../retail/tests/golden/samples.rs"]
mod samples;

/// How many entries one input makes at most.
const ENTRIES_MAX: u64 = 12;

/// *Input*: for each entry its author, what its bytes are, and the bytes.
pub(super) fn entries(bytes: &[u8]) {
    let shop = shop();
    if let Ok(entry) = Entry::decode(&shop.store, bytes) {
        assert_eq!(entry.encode(), bytes, "one entry has one form");
    }
    let (mut cut, mut entries) = (Cut(bytes), Vec::new());
    for seq in 1..=ENTRIES_MAX {
        if cut.is_empty() {
            break;
        }
        entries.push(read_entry(shop, &mut cut, seq, entries.last()));
    }
    for entry in &entries {
        let encoded = entry.encode();
        assert_eq!(Entry::decode(&shop.store, &encoded).as_ref(), Ok(entry), "what we wrote we can read");
        let body = entry.body().unwrap_or_default();
        if let Ok(body) = Body::decode(&shop.store, body) {
            assert_eq!(Body::decode(&shop.store, &body.encode()), Ok(body), "a body reads back");
        }
    }
    let mut there = Node::default();
    let mut here = Node::default();
    entries.iter().for_each(|entry| here.receive(shop, entry));
    entries.iter().rev().for_each(|entry| there.receive(shop, entry));
    assert_eq!(here.shared(), there.shared(), "another order gave other rows");
    assert_eq!(here.digests, there.digests, "another order gave another digest");
    let before = here.digests;
    entries.iter().for_each(|entry| here.receive(shop, entry));
    assert_eq!(here.digests, before, "what came twice counted twice");
    assert_eq!(Digests::recompute(&here.kv).ok(), Some(here.digests), "the digest is of these rows");
}

fn read_entry(shop: &Shop, cut: &mut Cut<'_>, seq: u64, before: Option<&Entry>) -> Entry {
    let (author, how) = (cut.byte(), cut.byte());
    let lane = if how & 0x80 == 0 { Lane::Books } else { Lane::Floor };
    let bytes = cut.piece();
    let body = match (how & 3, before) {
        (1, _) => [&[0x40, 1], bytes].concat(),
        (2, Some(inner)) => Body::Carried(Box::new(inner.clone())).encode(),
        (3, _) => [&[bytes.first().copied().unwrap_or(0), 1], bytes.get(1..).unwrap_or_default()].concat(),
        _ => bytes.to_vec(),
    };
    shop.entry(author, lane, seq, body)
}

#[derive(Default)]
struct Node {
    kv: MapKv,
    digests: Digests,
}

impl Node {
    fn receive(&mut self, shop: &Shop, entry: &Entry) {
        let book = Book { store: shop.store, fold: &ShopFold, scope: &ShopScope };
        let applied = book.apply(&mut self.kv, &mut self.digests, &shop.members, entry);
        match applied.expect("views in memory do not fail") {
            Applied::Parked(Code::Panicked) => panic!("folding panicked"),
            Applied::Folded | Applied::Already | Applied::Parked(_) => {}
        }
        assert!(rows::statements(&self.kv).is_ok(), "what was kept reads back");
    }

    fn shared(&self) -> BTreeMap<&[u8], &[u8]> {
        let shared = self.kv.rows.iter().filter(|(key, _)| key.first().is_some_and(|first| *first < 0x80));
        shared.map(|(key, value)| (key.as_slice(), value.as_slice())).collect()
    }
}

pub(super) fn entries_seeds() -> Vec<Vec<u8>> {
    let op = |author: u8, what: What| {
        let lane = if what.kind().lane() == Lane::Floor { 0x80 } else { 0 };
        let bytes = OpV1::new(what).encode();
        [&[author, lane | 1][..], &piece(&bytes[1..])].concat()
    };
    let mut out: Vec<Vec<u8>> =
        samples::samples().into_iter().flat_map(|what| [op(0, what.clone()), op(1, what)]).collect();
    let all: Vec<Vec<u8>> = samples::samples().into_iter().map(|what| op(1, what)).collect();
    out.extend(all.chunks(6).map(<[Vec<u8>]>::concat));
    let shop = shop();
    let statement = shop.members.statements().next().cloned().map(Body::Member);
    let bodies = [Body::first(), Body::Watermark(toko_crdt::frontier::Frontier::default())];
    for body in bodies.into_iter().chain(statement) {
        out.push([&[0, 0][..], &piece(&body.encode())].concat());
    }
    // An entry, the same carried, and carried again.
    let first = op(1, samples::samples().swap_remove(1));
    out.push([first.as_slice(), &[0, 2, 0, 0, 1, 2, 0, 0]].concat());
    let forked =
        [shop.entry(1, Lane::Books, 5, vec![0x40, 1, 0]), shop.entry(1, Lane::Books, 5, vec![0x40, 1, 1])];
    let [one, other] = forked;
    out.extend(
        toko_crdt::journal::ForkProof::new(one, other)
            .map(|proof| [&[0, 0][..], &piece(&Body::Fork(Box::new(proof)).encode())].concat()),
    );
    out
}
