//! A shop that writes journals: sales, carts, forks, carriers, and what nobody can read.

use std::collections::BTreeMap;
use toko_crdt::body::{Admission, Body, CartChange, Continued, Idem};
use toko_crdt::cart::{Actor, Cart};
use toko_crdt::clock::{Clock, UnixMicros};
use toko_crdt::digest::Digests;
use toko_crdt::entry::{Draft, Entry};
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::hash::Hash;
use toko_crdt::ids::*;
use toko_crdt::journal::ForkProof;
use toko_crdt::member::{Claim, Statement};
use toko_crdt::seal::Seal;
use toko_crdt::sign::SecretKey;
use toko_crdt::stock::Milli;

/// Node 0 is the hub, 1 headquarters, the others are terminals.
pub(crate) const NODES: usize = 5;
pub(crate) const CART: CartId = CartId([7; 16]);

/// What an entry says, chosen by proptest.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Register {
        key: u8,
        rev: u8,
        value: u8,
    },
    Stock {
        sku: u8,
        qty: i32,
    },
    /// Read by the second version of the fold only.
    Newer {
        sku: u8,
        qty: i32,
    },
    Unreadable,
    Panics {
        sku: u8,
    },
    /// Writes a row of the other lane, which is a bug of the fold.
    Strays,
    HubOnly {
        sku: u8,
    },
    Watermark {
        seq: u8,
    },
    Seal {
        version: u8,
    },
    Enrols {
        number: u8,
    },
    /// A body of a family that nobody knows yet.
    Unknown {
        byte: u8,
    },
    /// A body that does not decode.
    Garbage {
        byte: u8,
    },
}

/// What happens in the shop.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Writes {
        node: usize,
        floor: bool,
        what: What,
    },
    NewRun {
        node: usize,
    },
    Scans {
        node: usize,
        line: u8,
        qty: i16,
    },
    Removes {
        node: usize,
        line: u8,
    },
    Sees {
        node: usize,
        other: usize,
    },
    /// The journal goes on in two ways; others prove it and carry what lies above.
    Forks {
        node: usize,
        floor: bool,
        ways: [Vec<What>; 2],
        carriers: Vec<usize>,
    },
    /// The hub lets something in; now and then somebody else tries to.
    Admits {
        node: usize,
        pick: usize,
        astray: bool,
    },
    /// A node carries an entry that stands in its own journal too, wrapped so many times.
    Carries {
        node: usize,
        pick: usize,
        wraps: usize,
    },
}

/// A journal: what all share, then, of a forked one, two ways on.
#[derive(Clone, Default, Debug)]
pub(crate) struct Stream {
    pub(crate) common: Vec<Entry>,
    pub(crate) ways: [Vec<Entry>; 2],
}

struct Writer {
    key: SecretKey,
    run: Run,
    clock: Clock,
    cart: Cart,
    previous: Option<Run>,
}

/// All that was ever written.
pub(crate) struct World {
    pub(crate) store: StoreId,
    pub(crate) root: SecretKey,
    /// Statements that travel by themselves.
    pub(crate) statements: Vec<Statement>,
    pub(crate) streams: BTreeMap<JournalId, Stream>,
    writers: Vec<Writer>,
    count: u64,
}

fn no_changes() -> [Vec<u8>; 0] {
    []
}

impl World {
    pub(crate) fn new() -> Self {
        let root = SecretKey::from_seed([200; 32]);
        let store = StoreId::of(&root.public());
        let keys: Vec<SecretKey> =
            (0..NODES).map(|n| SecretKey::from_seed([u8::try_from(n).unwrap() + 1; 32])).collect();
        let mut statements = vec![
            Statement::sign(&store, &root, Claim::Hub { term: 1, key: keys[0].public() }),
            Statement::sign(&store, &root, Claim::Headquarters { key: keys[1].public() }),
        ];
        for (n, key) in keys.iter().enumerate().skip(2) {
            let number = u16::try_from(n).unwrap();
            let claim = Claim::Terminal { term: 1, key: key.public(), number, name: format!("Till {n}") };
            statements.push(Statement::sign(&store, &keys[0], claim));
        }
        let claim = Claim::Revoked { term: 1, node: keys[4].node(), cut: Frontier::default() };
        statements.push(Statement::sign(&store, &keys[0], claim));
        let writers = keys.into_iter().map(|key| {
            let run = Run(1);
            let cart = Cart::open(CART, Actor::of(&key.node(), run), no_changes()).unwrap();
            Writer { key, run, clock: Clock::default(), cart, previous: None }
        });
        let writers = writers.collect();
        Self { store, root, statements, streams: BTreeMap::new(), writers, count: 0 }
    }

    pub(crate) fn play(&mut self, events: &[Event]) {
        for event in events {
            self.count += 1;
            self.happen(event);
        }
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Writes { node, floor, what } => {
                // Mostly by whom it is for.
                let node = match what {
                    _ if self.count.is_multiple_of(4) => *node,
                    What::Watermark { .. } => 1,
                    What::Seal { .. } | What::Enrols { .. } | What::HubOnly { .. } => 0,
                    _ => *node,
                };
                let body = self.body(node, what);
                self.append(node, lane(*floor), body);
            }
            Event::NewRun { node } => self.new_run(*node),
            Event::Scans { node, line, qty } => {
                let (count, writer) = (self.count, &mut self.writers[*node]);
                let mut step = [0; 16];
                step[..8].copy_from_slice(&count.to_be_bytes());
                let (line, step) = (LineId([*line; 16]), StepId(step));
                let qty = Milli(if *qty == 0 { 1 } else { i64::from(*qty) });
                let change = if writer.cart.facts(&line).is_some() {
                    writer.cart.step(line, step, qty)
                } else {
                    let at = writer.clock.now(wall(count));
                    writer.cart.add_line(line, at, &line.0[..3], step, qty)
                };
                self.write_change(*node, change.unwrap());
            }
            Event::Removes { node, line } => {
                if let Ok(change) = self.writers[*node].cart.remove(LineId([*line; 16])) {
                    self.write_change(*node, change);
                }
            }
            Event::Sees { node, other } => {
                let changes: Vec<Vec<u8>> =
                    self.writers[*other].cart.changes().map(|(_, change)| change.to_vec()).collect();
                for change in changes {
                    self.writers[*node].cart.apply(&change).unwrap();
                }
            }
            Event::Forks { node, floor, ways, carriers } => self.fork(*node, lane(*floor), ways, carriers),
            Event::Admits { node, pick, astray } => {
                let all = self
                    .streams
                    .values()
                    .flat_map(|stream| stream.common.iter().chain(stream.ways.iter().flatten()));
                let op = |entry: &&Entry| {
                    entry.body().is_some_and(|body| Body::op_of(body).is_some_and(|op| op[0] == b'H'))
                };
                let all: Vec<&Entry> =
                    if self.count.is_multiple_of(4) { all.collect() } else { all.filter(op).collect() };
                if let Some(entry) = all.get(pick % all.len().max(1)) {
                    let (effect, own) = (entry.hash().into(), entry.journal().lane);
                    let other = if own == Lane::Books { Lane::Floor } else { Lane::Books };
                    self.append(
                        *node,
                        if *astray { other } else { own },
                        Body::Admitted(Admission { effect, why: self.count.to_string() }),
                    );
                }
            }
            Event::Carries { node, pick, wraps } => {
                let all: Vec<&Entry> = self.streams.values().flat_map(|stream| &stream.common).collect();
                if let Some(entry) = all.get(pick % all.len().max(1)).map(|entry| (*entry).clone()) {
                    let lane = entry.journal().lane;
                    let mut body = Body::Carried(Box::new(entry));
                    for _ in 0..*wraps {
                        let wrapped = self.append(*node, lane, body);
                        body = Body::Carried(Box::new(wrapped));
                    }
                    self.append(*node, lane, body);
                }
            }
        }
    }

    fn write_change(&mut self, node: usize, change: Option<Vec<u8>>) {
        if let Some(change) = change {
            let key = [u8::try_from(self.count % 3).unwrap(); 16];
            let request = [u8::try_from(self.count % 251).unwrap(); 16];
            let idem = self.count.is_multiple_of(2).then_some(Idem { key, request });
            self.append(node, Lane::Floor, Body::Cart(CartChange { cart: CART, change, idem }));
        }
    }

    fn new_run(&mut self, node: usize) {
        let writer = &mut self.writers[node];
        let changes: Vec<Vec<u8>> = writer.cart.changes().map(|(_, change)| change.to_vec()).collect();
        writer.previous = Some(writer.run);
        writer.run = Run(writer.run.0 + 1);
        writer.cart = Cart::open(CART, Actor::of(&writer.key.node(), writer.run), changes).unwrap();
    }

    fn journal(&self, node: usize, lane: Lane) -> JournalId {
        let writer = &self.writers[node];
        JournalId { node: writer.key.node(), run: writer.run, lane }
    }

    fn sign(&mut self, node: usize, journal: JournalId, before: Option<Head>, body: Vec<u8>) -> Entry {
        let (seq, prev) = before.map_or((1, Hash::ZERO), |head| (head.seq + 1, head.hash));
        let writer = &mut self.writers[node];
        let at = writer.clock.now(wall(self.count / 3));
        Draft { journal, seq, prev, at, saw: None, body }.sign(&self.store, &writer.key)
    }

    fn append(&mut self, node: usize, lane: Lane, body: Body) -> Entry {
        self.append_bytes(node, lane, body.encode())
    }

    fn append_bytes(&mut self, node: usize, lane: Lane, body: Vec<u8>) -> Entry {
        let journal = self.journal(node, lane);
        if !self.streams.contains_key(&journal) {
            let previous = self.writers[node].previous.map(|run| JournalId { run, ..journal });
            let head = previous.and_then(|id| head(self.streams.get(&id)?.common.last()));
            let before = previous.zip(head).map(|(id, head)| Continued { run: id.run, head });
            let first = self.sign(node, journal, None, Body::Continues(before).encode());
            self.streams.entry(journal).or_default().common.push(first);
        }
        let before = self.streams.get(&journal).and_then(|stream| head(stream.common.last()));
        let entry = self.sign(node, journal, before, body);
        self.streams.entry(journal).or_default().common.push(entry.clone());
        entry
    }

    fn fork(&mut self, node: usize, lane: Lane, ways: &[Vec<What>; 2], carriers: &[usize]) {
        let journal = self.journal(node, lane);
        let before = self.streams.get(&journal).and_then(|stream| head(stream.common.last()));
        let mut written: [Vec<Entry>; 2] = [Vec::new(), Vec::new()];
        for ((n, way), entries) in (0..).zip(ways).zip(&mut written) {
            let mut last = before;
            if last.is_none() {
                // Copied before its first entry: two beginnings of one run.
                let end = Head { seq: n + 1, hash: Hash([1; 32]) };
                let first = Body::Continues(Some(Continued { run: Run(77), head: end }));
                let entry = self.sign(node, journal, None, first.encode());
                last = head(Some(&entry));
                entries.push(entry);
            }
            for what in way {
                let body = self.body(node, what);
                let entry = self.sign(node, journal, last, body.encode());
                last = head(Some(&entry));
                entries.push(entry);
            }
        }
        let [one, other] = &written;
        let (Some(first), Some(second)) = (one.first(), other.first()) else { return };
        if let Some(proof) = ForkProof::new(first.clone(), second.clone()) {
            let carried: Vec<Entry> = written.iter().flatten().cloned().collect();
            self.streams.entry(journal).or_default().ways = written;
            self.new_run(node);
            let proves = carriers.first().copied().unwrap_or(0);
            self.append(proves, lane, Body::Fork(Box::new(proof)));
            for (n, entry) in carried.into_iter().enumerate() {
                let carrier = carriers.get(n % carriers.len().max(1)).copied().unwrap_or(2);
                self.append(carrier, lane, Body::Carried(Box::new(entry)));
            }
        }
    }

    fn body(&self, node: usize, what: &What) -> Body {
        let op = |kind: u8, sku: u8, qty: i32| Body::Op([&[kind, sku][..], &qty.to_be_bytes()].concat());
        match *what {
            What::Register { key, rev, value } => Body::Op(vec![b'R', key, rev, value]),
            What::Stock { sku, qty } => op(b'S', sku, qty),
            What::Newer { sku, qty } => op(b'N', sku, qty),
            What::Unreadable => Body::Op(vec![b'U']),
            What::Panics { sku } => op(b'P', sku, 1),
            What::Strays => Body::Op(vec![b'X']),
            What::HubOnly { sku } => op(b'H', sku, 1),
            What::Watermark { seq } => Body::Watermark(frontier(self.journal(2, Lane::Books), seq)),
            What::Seal { version } => {
                let lines = frontier(self.journal(0, Lane::Books), version);
                let seal = Seal::whole(version.into(), lines, Digests::default());
                Body::Seal(if version == 0 {
                    seal
                } else {
                    seal.over(Hash([version; 32]), &Frontier::default())
                })
            }
            What::Enrols { number } => {
                let key = SecretKey::from_seed([number | 0x80; 32]).public();
                let claim = Claim::Terminal { term: 1, key, number: 90, name: "New".into() };
                Body::Member(Statement::sign(&self.store, &self.writers[node].key, claim))
            }
            What::Unknown { byte } => Body::Unknown(vec![0x7e, 1, byte]),
            What::Garbage { byte } => Body::Unknown(vec![0x04, 1, byte]),
        }
    }
}

fn frontier(journal: JournalId, seq: u8) -> Frontier {
    [(journal, Head { seq: u64::from(seq) + 1, hash: Hash([seq / 2; 32]) })].into_iter().collect()
}

fn head(entry: Option<&Entry>) -> Option<Head> {
    entry.map(|entry| Head { seq: entry.seq(), hash: entry.hash() })
}

fn lane(floor: bool) -> Lane {
    if floor { Lane::Floor } else { Lane::Books }
}

fn wall(count: u64) -> UnixMicros {
    UnixMicros(i64::try_from(count).unwrap())
}
