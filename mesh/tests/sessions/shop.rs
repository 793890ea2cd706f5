//! A shop in one process: nodes with sessions between them, over streams that delay, stall and break at any byte, under a
//! clock of our own. Everything comes from one seed, so that a failure can be run again.

use crate::store::TestStore;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use toko_crdt::clock::UnixMicros;
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::hash::Hash;
use toko_crdt::member::{Claim, Members, Statement};
use toko_crdt::sign::SecretKey;
use toko_crdt::{Entry, Lane};
use toko_mesh::proto::frame::{Frame, Lanes};
use toko_mesh::proto::session::{Base, Fresh, Roster};
use toko_mesh::proto::{Claims, Config, Input, Output, Reader, Session};

pub(crate) const HUB: usize = 0;
pub(crate) const MS: i64 = 1_000;
pub(crate) const SECOND: i64 = 1_000 * MS;

/// Numbers from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    pub(crate) fn pick(&mut self, of: usize) -> usize {
        usize::try_from(self.roll(of as u64)).unwrap()
    }

    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.roll(u64::try_from(high - low + 1).unwrap())).unwrap()
    }
}

/// How the network behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// One way, each piece. *Units*: microseconds.
    pub(crate) delay: (i64, i64),
    /// One piece of so many is lost and sent again 200 ms later; 0 for none.
    pub(crate) stall_one_in: u64,
}

pub(crate) const CALM: Weather = Weather { delay: (200, 900), stall_one_in: 0 };
pub(crate) const ROUGH: Weather = Weather { delay: (500, 30_000), stall_one_in: 12 };

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive { link: u64, at: usize, piece: Vec<u8> },
    Tick { node: usize },
    Wake { link: u64, at: usize },
    Ingested { link: u64, at: usize, ticket: u64 },
    Loaded { link: u64, at: usize, from: u64 },
    Open { pair: (usize, usize) },
}

/// One end of a link.
struct End {
    node: usize,
    session: Session,
    reader: Reader,
    /// When the last piece on its way to this end arrives: a stream keeps its order.
    busy_until: i64,
    ingests: BTreeMap<u64, Vec<Entry>>,
    load: Option<Output>,
}

pub(crate) struct Node {
    pub(crate) store: TestStore,
    pub(crate) hub_alive: bool,
    pub(crate) headquarters: bool,
    pub(crate) lanes: Lanes,
    claims: Claims,
    alive: bool,
    /// What each peer has acknowledged.
    pub(crate) held_by: BTreeMap<usize, Frontier>,
}

/// What went over one pair of nodes, by direction.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Traffic {
    pub(crate) bytes: usize,
    pub(crate) entry_bytes: usize,
}

pub(crate) struct Shop {
    pub(crate) seed: u64,
    pub(crate) now: i64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) weather: Weather,
    pub(crate) traffic: BTreeMap<(usize, usize), Traffic>,
    pub(crate) trace: Hash,
    dice: Dice,
    events: BinaryHeap<Reverse<(i64, u64, Event)>>,
    events_made: u64,
    links: BTreeMap<u64, [End; 2]>,
    links_made: u64,
    /// What the hub held now and then, as if it had sealed it.
    seals: Vec<Base>,
    /// Pairs that may not talk.
    pub(crate) cut: Vec<(usize, usize)>,
}

fn key(number: usize) -> SecretKey {
    SecretKey::from_seed([u8::try_from(number).unwrap() + 10; 32])
}

impl Shop {
    /// A hub, terminals, and headquarters as the last node if asked for. The hub knows all members; each other node knows
    /// whose term it is and itself, and hears of the rest.
    pub(crate) fn seeded(seed: u64, terminals: usize, headquarters: bool) -> Self {
        let root = SecretKey::from_seed([1; 32]);
        let store = *Members::new(root.public()).store();
        let count = 1 + terminals + usize::from(headquarters);
        let hub = key(HUB);
        let first = Statement::sign(&store, &root, Claim::Hub { term: 1, key: hub.public() });
        let own: Vec<Statement> = (0..count)
            .map(|number| match number {
                HUB => first.clone(),
                last if headquarters && last == count - 1 => {
                    Statement::sign(&store, &root, Claim::Headquarters { key: key(last).public() })
                }
                till => {
                    let number = u16::try_from(till).unwrap();
                    let (key, name) = (key(till).public(), format!("Till {till}"));
                    Statement::sign(&store, &hub, Claim::Terminal { term: 1, key, number, name })
                }
            })
            .collect();
        let nodes = (0..count).map(|number| {
            let mut members = Members::new(root.public());
            let knows = |other: &usize| number == HUB || *other == HUB || *other == number;
            for other in (0..count).filter(knows) {
                members.add(own[other].clone()).unwrap();
            }
            let is_hq = headquarters && number == count - 1;
            Node {
                store: TestStore::new(key(number), members),
                hub_alive: number == HUB,
                headquarters: is_hq,
                lanes: if is_hq { Lanes::Books } else { Lanes::All },
                claims: Claims::default(),
                alive: true,
                held_by: BTreeMap::new(),
            }
        });
        let mut shop = Self {
            seed,
            now: 0,
            nodes: nodes.collect(),
            weather: CALM,
            traffic: BTreeMap::new(),
            trace: Hash::ZERO,
            dice: Dice(seed),
            events: BinaryHeap::new(),
            events_made: 0,
            links: BTreeMap::new(),
            links_made: 0,
            seals: Vec::new(),
            cut: Vec::new(),
        };
        for node in 0..count {
            let first = shop.dice.between(0, SECOND);
            shop.at(first, Event::Tick { node });
        }
        shop
    }

    /// Everybody dials everybody; headquarters talks to the hub only.
    pub(crate) fn connect_all(&mut self) {
        for one in 0..self.nodes.len() {
            for other in one + 1..self.nodes.len() {
                self.connect(one, other);
            }
        }
    }

    pub(crate) fn connect(&mut self, one: usize, other: usize) {
        let with_hq = self.nodes[other].headquarters;
        if one == HUB || !with_hq {
            self.at(self.now, Event::Open { pair: (one, other) });
        }
    }

    pub(crate) fn kill(&mut self, node: usize) {
        self.nodes[node].alive = false;
        let of_node = |ends: &[End; 2]| ends.iter().any(|end| end.node == node);
        let links: Vec<u64> = self.links.iter().filter(|(_, e)| of_node(e)).map(|(link, _)| *link).collect();
        links.into_iter().for_each(|link| self.break_link(link, false));
    }

    pub(crate) fn revive(&mut self, node: usize) {
        self.nodes[node].alive = true;
        for other in 0..self.nodes.len() {
            if other != node {
                self.connect(node.min(other), node.max(other));
            }
        }
    }

    /// Writes an op on a node.
    pub(crate) fn sell(&mut self, node: usize, lane: Lane, bytes: usize) {
        let op = (0..bytes.max(8)).map(|_| u8::try_from(self.dice.roll(256)).unwrap()).collect();
        let new = self.nodes[node].store.append(lane, op);
        self.spread(node, &new);
    }

    /// Breaks one link, whichever the dice say, at any byte; it is dialled again after a while.
    pub(crate) fn break_some_link(&mut self) {
        if self.links.is_empty() {
            return;
        }
        let nth = self.dice.pick(self.links.len());
        let link = *self.links.keys().nth(nth).unwrap();
        self.break_link(link, true);
    }

    /// Breaks all links between two nodes and dials again at once.
    pub(crate) fn reconnect(&mut self, pair: (usize, usize)) {
        self.sever(pair);
        self.at(self.now, Event::Open { pair });
    }

    pub(crate) fn cut_off(&mut self, pair: (usize, usize)) {
        self.cut.push(pair);
        self.sever(pair);
    }

    pub(crate) fn heal(&mut self) {
        for (one, other) in std::mem::take(&mut self.cut) {
            self.connect(one, other);
        }
    }

    fn sever(&mut self, pair: (usize, usize)) {
        let is_pair = |ends: &[End; 2]| (ends[0].node, ends[1].node) == pair;
        let links: Vec<u64> = self.links.iter().filter(|(_, e)| is_pair(e)).map(|(link, _)| *link).collect();
        links.into_iter().for_each(|link| self.break_link(link, false));
    }

    fn break_link(&mut self, link: u64, redial: bool) {
        let Some(ends) = self.links.remove(&link) else { return };
        if redial {
            let pair = (ends[0].node, ends[1].node);
            let after = self.dice.between(50 * MS, 1_500 * MS);
            self.at(self.now + after, Event::Open { pair });
        }
    }

    pub(crate) fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    /// Lets time go by.
    pub(crate) fn run_for(&mut self, micros: i64) {
        let end = self.now + micros;
        while let Some(Reverse((at, _, _))) = self.events.peek() {
            if *at > end {
                break;
            }
            let Some(Reverse((at, _, event))) = self.events.pop() else { break };
            self.now = at;
            self.happen(event);
        }
        self.now = end;
    }

    /// Lets time go by until `done`, at most `micros`; gives how long it took.
    pub(crate) fn run_until(&mut self, micros: i64, done: impl Fn(&Self) -> bool) -> i64 {
        let start = self.now;
        while !done(self) {
            assert!(self.now - start < micros, "SEED={} not done after {micros} µs", self.seed);
            self.run_for(MS);
        }
        self.now - start
    }

    pub(crate) fn assert_converged(&self, nodes: &[usize]) {
        let seed = self.seed;
        for pair in nodes.windows(2) {
            let (one, other) = (&self.nodes[pair[0]], &self.nodes[pair[1]]);
            if one.headquarters || other.headquarters {
                let books = |node: &Node| node.store.frontier.of_lanes(&[Lane::Books]);
                assert_eq!(books(one), books(other), "SEED={seed} books of {pair:?}");
                assert_eq!(one.store.digests().books, other.store.digests().books, "SEED={seed} {pair:?}");
            } else {
                assert_eq!(one.store.frontier, other.store.frontier, "SEED={seed} frontiers of {pair:?}");
                assert_eq!(one.store.digests(), other.store.digests(), "SEED={seed} views of {pair:?}");
            }
        }
    }

    pub(crate) fn agree(&self, nodes: &[usize]) -> bool {
        nodes.windows(2).all(|pair| {
            let (one, other) = (&self.nodes[pair[0]], &self.nodes[pair[1]]);
            let lanes = if one.headquarters || other.headquarters { Lanes::Books } else { Lanes::All };
            let of = |node: &Node| node.store.frontier.of_lanes(lanes.list());
            of(one) == of(other)
        })
    }

    pub(crate) fn bytes(&self) -> Traffic {
        self.traffic.values().fold(Traffic::default(), |sum, one| Traffic {
            bytes: sum.bytes + one.bytes,
            entry_bytes: sum.entry_bytes + one.entry_bytes,
        })
    }

    fn at(&mut self, at: i64, event: Event) {
        self.events_made += 1;
        self.events.push(Reverse((at.max(self.now), self.events_made, event)));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Open { pair } => self.open(pair),
            Event::Tick { node } => self.tick(node),
            Event::Wake { link, at } => self.give(link, at, Input::Wake),
            Event::Arrive { link, at, piece } => self.arrive(link, at, &piece),
            Event::Loaded { link, at, from: _ } => {
                let Some(ends) = self.links.get_mut(&link) else { return };
                let node = ends[at].node;
                if let Some(Output::Load { journal, from, to, bytes_max }) = ends[at].load.take() {
                    let entries = self.nodes[node].store.load(&journal, from, to, bytes_max);
                    self.give(link, at, Input::Loaded { journal, from, entries });
                }
            }
            Event::Ingested { link, at, ticket } => {
                let Some(ends) = self.links.get_mut(&link) else { return };
                let (node, batch) = (ends[at].node, ends[at].ingests.remove(&ticket).unwrap());
                let (outcome, new) = self.nodes[node].store.ingest(&batch);
                self.spread(node, &new);
                self.give(link, at, Input::Ingested { ticket, outcome });
            }
        }
    }

    fn open(&mut self, pair: (usize, usize)) {
        let (one, other) = pair;
        let open = self.links.values().any(|ends| (ends[0].node, ends[1].node) == pair);
        if open || self.cut.contains(&pair) || !self.nodes[one].alive || !self.nodes[other].alive {
            return;
        }
        self.links_made += 1;
        let link = self.links_made;
        if link.is_multiple_of(4) {
            let (seal, frontier) =
                (Hash::of("seal", &[&link.to_be_bytes()]), self.nodes[HUB].store.frontier.clone());
            self.seals.push(Base { seal, frontier: Arc::new(frontier) });
        }
        let ends = [self.end(one, other), self.end(other, one)];
        self.links.insert(link, ends);
        for at in [0, 1] {
            let node = &self.nodes[if at == 0 { one } else { other }];
            let (frontier, roster) = (node.store.frontier.clone(), Roster::of(&node.store.members));
            let hub_alive = node.hub_alive;
            let bases = bases_of(&self.seals, node.lanes, &frontier);
            let frontier = Arc::new(frontier);
            let opened = Input::Opened { frontier, roster: Arc::new(roster), hub_alive, bases };
            self.give(link, at, opened);
        }
    }

    fn end(&mut self, node: usize, peer: usize) -> End {
        let headquarters = self.nodes[peer].headquarters;
        let session = Session::new(Config {
            store: *self.nodes[node].store.members.store(),
            peer: self.nodes[peer].store.node(),
            headquarters,
            push: node == HUB || peer == HUB,
            lanes: self.nodes[node].lanes,
            incarnation: node as u64,
            addrs: vec![([10, 0, 0, u8::try_from(node).unwrap()], 7420).into()],
            jitter_micros: u32::try_from(self.dice.between(0, 20_000)).unwrap(),
            claims: self.nodes[node].claims.clone(),
        });
        let (reader, ingests) = (Reader::default(), BTreeMap::new());
        End { node, session, reader, busy_until: self.now, ingests, load: None }
    }

    fn tick(&mut self, node: usize) {
        self.at(self.now + SECOND, Event::Tick { node });
        if !self.nodes[node].alive {
            return;
        }
        let heard = |ends: &[End; 2]| {
            let at = ends.iter().position(|end| end.node == node)?;
            let fresh = ends[at].session.heard_at().0 > self.now - 2 * SECOND;
            (ends[1 - at].node == HUB && ends[at].session.is_settled()).then_some(fresh)
        };
        let alive = node == HUB || self.links.values().filter_map(heard).any(|fresh| fresh);
        if std::mem::replace(&mut self.nodes[node].hub_alive, alive) != alive {
            self.give_all(node, &Input::Hub { alive });
        }
        self.give_all(node, &Input::Tick);
    }

    fn arrive(&mut self, link: u64, at: usize, mut piece: &[u8]) {
        let stamp = [self.now.to_be_bytes(), link.to_be_bytes(), (at as u64).to_be_bytes()].concat();
        self.trace = Hash::of("trace", &[&self.trace.0, &stamp, piece]);
        loop {
            let Some(ends) = self.links.get_mut(&link) else { return };
            match ends[at].reader.read(&mut piece) {
                Ok(Some(frame)) => self.give(link, at, Input::Frame(frame)),
                Ok(None) => return,
                Err(error) => panic!("SEED={} a frame of ours did not decode: {error}", self.seed),
            }
        }
    }

    fn give_all(&mut self, node: usize, input: &Input) {
        let ends = self
            .links
            .iter()
            .filter_map(|(link, ends)| ends.iter().position(|end| end.node == node).map(|at| (*link, at)));
        for (link, at) in ends.collect::<Vec<_>>() {
            self.give(link, at, input.clone());
        }
    }

    /// New entries of a node's store: all its sessions hear of them.
    fn spread(&mut self, node: usize, new: &[Entry]) {
        if new.is_empty() {
            return;
        }
        let heads = new.iter().map(|e| (*e.journal(), Head { seq: e.seq(), hash: e.hash() }));
        let fresh = new.iter().map(|entry| Fresh {
            journal: *entry.journal(),
            seq: entry.seq(),
            bytes: entry.encode().into(),
        });
        // Sometimes the entries are not at hand, and have to be loaded.
        let fresh = if self.dice.roll(4) == 0 { Arc::default() } else { fresh.collect() };
        self.give_all(node, &Input::News { delta: Arc::new(heads.collect()), fresh });
    }

    fn give(&mut self, link: u64, at: usize, input: Input) {
        let now = UnixMicros(self.now);
        let seed = self.seed;
        let Some(ends) = self.links.get_mut(&link) else { return };
        let verdict = ends[at].session.handle(now, input);
        assert_eq!(verdict, Ok(()), "SEED={seed} link {link} end {at}");
        let (node, peer) = (ends[at].node, ends[1 - at].node);
        while let Some(output) = self.links.get_mut(&link).and_then(|ends| ends[at].session.poll()) {
            match output {
                Output::Send(frame) => self.send(link, (node, peer), at, &frame),
                Output::WakeAt(when) => self.at(when.0, Event::Wake { link, at }),
                Output::Ingest { ticket, entries, .. } => {
                    // Batches may overtake each other on the way to the store.
                    let when = self.now + self.dice.between(100, 4_000);
                    self.links.get_mut(&link).unwrap()[at].ingests.insert(ticket, entries);
                    self.at(when, Event::Ingested { link, at, ticket });
                }
                Output::Load { from, .. } => {
                    let when = self.now + self.dice.between(50, 2_000);
                    let slot = &mut self.links.get_mut(&link).unwrap()[at].load;
                    assert!(slot.is_none(), "SEED={seed} one load at a time");
                    *slot = Some(output);
                    self.at(when, Event::Loaded { link, at, from });
                }
                Output::Statements(statements) if self.nodes[node].store.add(&statements) => {
                    let roster = Arc::new(Roster::of(&self.nodes[node].store.members));
                    self.give_all(node, &Input::Roster(roster));
                }
                Output::PeerStandsOn(base) => {
                    let held = self.nodes[peer].store.frontier.covers(&base);
                    assert!(held, "SEED={seed} {peer} went over a seal that it does not hold");
                    self.nodes[node].held_by.entry(peer).or_default().apply(&base);
                }
                Output::PeerHolds(lines) => {
                    let held = self.nodes[peer].store.frontier.covers(&lines);
                    assert!(held, "SEED={seed} {peer} acknowledged what it does not hold");
                    self.nodes[node].held_by.entry(peer).or_default().apply(&lines);
                }
                Output::Close { code, reason, .. } => panic!("SEED={seed} closed: {code:?} {reason}"),
                _ => {}
            }
        }
    }

    fn send(&mut self, link: u64, way: (usize, usize), at: usize, frame: &Frame) {
        if self.nodes[way.0].headquarters || self.nodes[way.1].headquarters {
            assert!(!names_floor(frame), "SEED={} the floor lane on the way {way:?}: {frame:?}", self.seed);
        }
        let bytes = frame.encode();
        let traffic = self.traffic.entry(way).or_default();
        traffic.bytes += bytes.len();
        traffic.entry_bytes += match frame {
            Frame::Batch { entries, .. } => entries.iter().map(|entry| entry.len()).sum(),
            Frame::Fragment(piece) => piece.bytes.len(),
            _ => 0,
        };
        let to = 1 - at;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let length = 1 + self.dice.pick(1_400);
            let (piece, later) = rest.split_at(length.min(rest.len()));
            rest = later;
            let (low, high) = self.weather.delay;
            let stall = self.weather.stall_one_in > 0 && self.dice.roll(self.weather.stall_one_in) == 0;
            let delay = self.dice.between(low, high) + if stall { 200 * MS } else { 0 };
            let Some(ends) = self.links.get_mut(&link) else { return };
            let when = (self.now + delay).max(ends[to].busy_until);
            ends[to].busy_until = when;
            self.at(when, Event::Arrive { link, at: to, piece: piece.to_vec() });
        }
    }
}

fn names_floor(frame: &Frame) -> bool {
    match frame {
        Frame::Lines(lines) => lines.lines.lines().any(|(journal, _)| journal.lane == Lane::Floor),
        Frame::Want { journal, .. } | Frame::Batch { journal, .. } | Frame::NoEntries { journal, .. } => {
            journal.lane == Lane::Floor
        }
        Frame::Fragment(piece) => piece.journal.lane == Lane::Floor,
        _ => false,
    }
}

/// The seals that a node has gone over: as far as it holds what they cover of its lanes.
fn bases_of(seals: &[Base], lanes: Lanes, held: &Frontier) -> Vec<Base> {
    let of_lanes = |base: &Base| match lanes {
        Lanes::All => base.clone(),
        Lanes::Books => Base { seal: base.seal, frontier: Arc::new(base.frontier.of_lanes(&[Lane::Books])) },
    };
    seals.iter().rev().map(of_lanes).filter(|base| held.covers(&base.frontier)).take(2).collect()
}
