//! A shop in memory: its members, and nodes that fold what they are given.

use std::collections::BTreeMap;

use toko_crdt::body::Body;
use toko_crdt::book::{Applied, Book};
use toko_crdt::clock::{Hlc, UnixMicros};
use toko_crdt::digest::Digests;
use toko_crdt::entry::Draft;
use toko_crdt::fold::{Effect, Fold, FoldError, Kv, KvError, MapKv};
use toko_crdt::hash::Hash;
use toko_crdt::ids::{CartId, EntryRef, JournalId, NodeId, Run, StoreId};
use toko_crdt::member::{Claim, Members, Statement};
use toko_crdt::settling::Settling;
use toko_crdt::sign::SecretKey;
use toko_crdt::{Entry, Lane};
use toko_retail::ops::{OpKind, OpV1, SalePlaceV1, What};
use toko_retail::scope::ShopScope;
use toko_retail::views::ShopFold;

/// The hub is author 0, terminals are 1 and 2.
pub(crate) const AUTHORS: u8 = 3;

pub(crate) struct Shop {
    pub(crate) store: StoreId,
    pub(crate) members: Members,
}

impl Shop {
    pub(crate) fn new() -> Shop {
        let root = SecretKey::from_seed([99; 32]);
        let store = StoreId::of(&root.public());
        let mut members = Members::new(root.public());
        let hub = Claim::Hub { term: 1, key: key(0).public() };
        members.add(Statement::sign(&store, &root, hub)).unwrap();
        for n in 1..AUTHORS {
            let number = u16::from(n);
            let claim = Claim::Terminal { term: 1, key: key(n).public(), number, name: format!("Till {n}") };
            members.add(Statement::sign(&store, &key(0), claim)).unwrap();
        }
        Shop { store, members }
    }

    pub(crate) fn node(author: u8) -> NodeId {
        key(author).node()
    }

    /// Signs an op. The book does not look at chains, so each entry stands for itself.
    pub(crate) fn sign(&self, author: u8, seq: u64, micros: u64, op: &OpV1) -> Entry {
        let lane = op.what.kind().lane();
        self.write(author, lane, seq, micros, &Body::Op(op.encode()))
    }

    /// The hub carries an entry of somebody else's.
    pub(crate) fn carry(&self, entry: &Entry, n: u64) -> Entry {
        self.write(0, entry.journal().lane, 1_000_000 + n, 1, &Body::Carried(Box::new(entry.clone())))
    }

    /// The hub settles carts.
    pub(crate) fn settle(&self, n: u64, settling: Settling) -> Entry {
        self.write(0, Lane::Floor, 2_000_000 + n, 1, &Body::Settled(settling))
    }

    /// The hub says an op of the books.
    pub(crate) fn say(&self, n: u64, op: &[u8]) -> Entry {
        self.write(0, Lane::Books, 3_000_000 + n, 1, &Body::Op(op.to_vec()))
    }

    /// Up to where an entry settles the books: the sales as their rows are ordered, and the jobs.
    pub(crate) fn settled(&self, entry: &Entry) -> Option<(Vec<u8>, i64)> {
        let Ok(Body::Op(op)) = Body::decode(&self.store, entry.body()?) else { return None };
        let What::BooksSettled(said) = OpV1::decode(&op).unwrap().what else { return None };
        let SalePlaceV1 { day, terminal, series, counter } = said.sales;
        let mut below = day.to_be_bytes().to_vec();
        below.extend(terminal.to_be_bytes());
        below.extend(series.to_be_bytes());
        below.extend(counter.to_be_bytes());
        Some((below, said.jobs_before_micros))
    }

    fn write(&self, author: u8, lane: Lane, seq: u64, micros: u64, body: &Body) -> Entry {
        let journal = JournalId { node: key(author).node(), run: Run(1), lane };
        let (prev, at) = (Hash([1; 32]), Hlc { micros, tick: 0 });
        Draft { journal, seq, prev, at, saw: None, body: body.encode() }.sign(&self.store, &key(author))
    }

    pub(crate) fn kind_of(&self, entry: &Entry) -> Option<OpKind> {
        match Body::decode(&self.store, entry.body()?) {
            Ok(Body::Op(op)) => OpKind::peek(&op),
            _ => None,
        }
    }

    /// The cart that an entry of the floor is about.
    pub(crate) fn cart_of(&self, entry: &Entry) -> Option<CartId> {
        let Ok(Body::Op(op)) = Body::decode(&self.store, entry.body()?) else { return None };
        match OpV1::decode(&op).unwrap().what {
            What::Custody(custody) => Some(CartId(custody.cart)),
            What::TenderTaken(taken) => Some(CartId(taken.cart)),
            What::CartClosed(closed) => Some(CartId(closed.cart)),
            _ => None,
        }
    }

    /// Another order, by a number.
    pub(crate) fn shuffle(entries: &[Entry], seed: u64) -> Vec<Entry> {
        let mut order: Vec<_> = entries.to_vec();
        let mut state = seed | 1;
        for last in (1..order.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            order.swap(last, usize::try_from((state >> 33) % (last as u64 + 1)).unwrap());
        }
        order
    }
}

/// What one node made of what it was given.
pub(crate) struct Node {
    pub(crate) kv: MapKv,
    pub(crate) digests: Digests,
    pub(crate) folded: usize,
}

impl Node {
    pub(crate) fn new() -> Node {
        Node { kv: MapKv::default(), digests: Digests::default(), folded: 0 }
    }

    pub(crate) fn receive(&mut self, shop: &Shop, entry: &Entry) -> Applied {
        self.receive_as(shop, &ShopFold, entry)
    }

    pub(crate) fn receive_as(&mut self, shop: &Shop, fold: &dyn Fold, entry: &Entry) -> Applied {
        let book = Book { store: shop.store, fold, scope: &ShopScope };
        let applied = book.apply(&mut self.kv, &mut self.digests, &shop.members, entry).unwrap();
        self.folded += usize::from(applied == Applied::Folded);
        applied
    }

    /// Reads again what was parked, as after an upgrade.
    pub(crate) fn heal(&mut self, shop: &Shop, entries: &[Entry]) {
        let places: BTreeMap<EntryRef, &Entry> = entries.iter().map(|entry| (entry.place(), entry)).collect();
        let book = Book { store: shop.store, fold: &ShopFold, scope: &ShopScope };
        for (_, place) in book.healable(&self.kv).unwrap() {
            assert_eq!(self.receive(shop, places[&place]), Applied::Folded);
        }
    }

    /// What a hub would settle.
    pub(crate) fn due(&self, shop: &Shop, before: UnixMicros) -> Vec<Settling> {
        let book = Book { store: shop.store, fold: &ShopFold, scope: &ShopScope };
        book.settlings_due(&self.kv, before).unwrap()
    }

    /// All rows that nodes compare.
    pub(crate) fn shared_rows(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let shared = self.kv.rows.iter().filter(|(key, _)| key[0] < 0x80);
        shared.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    pub(crate) fn recomputed(&self) -> Digests {
        Digests::recompute(&self.kv).unwrap()
    }
}

/// A build that does not know some kinds of ops yet.
pub(crate) struct OldFold {
    /// A bit for each kind that it cannot read.
    pub(crate) unread: u32,
}

impl Fold for OldFold {
    fn version(&self) -> u32 {
        0
    }

    fn fold(&self, kv: &mut dyn Kv, effect: &Effect<'_>) -> Result<(), FoldError> {
        let kind = OpKind::peek(effect.op).unwrap();
        let number = OpKind::ALL.iter().position(|known| *known == kind).unwrap();
        if self.unread >> number & 1 == 1 {
            return Err(FoldError::Newer { version: 2 });
        }
        ShopFold.fold(kv, effect)
    }

    fn settle(&self, kv: &mut dyn Kv, settling: &Settling) -> Result<(), KvError> {
        ShopFold.settle(kv, settling)
    }
}

fn key(author: u8) -> SecretKey {
    SecretKey::from_seed([author + 1; 32])
}
