//! Streams and sessions between nodes, and the heap of what happens next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use toko_crdt::clock::UnixMicros;
use toko_crdt::frontier::{Frontier, Head, Lack};
use toko_crdt::hash::hex;
use toko_crdt::{Entry, Hash, JournalId, Lane, NodeId, Run};

use toko_mesh::proto::frame::Lanes;
use toko_mesh::proto::session::{Base, Fresh, Roster};
use toko_mesh::proto::{Code, Config, Input, Outcome, Output, Reader, Session};
use toko_mesh::sim_disk::Dice;

use super::super::plan::{Fault, Kind};
use super::node::Node;
use super::{MS, SECOND, lanes};

const HUB: usize = 0;
/// Whoever is silent for so long is gone, and the link with it.
const SILENCE: i64 = 2 * SECOND;
/// The longest piece of a stream that travels at once.
const PIECE_BYTES: u64 = 1_400;

pub(super) struct Links {
    pub(super) now: i64,
    pub(super) nodes: Vec<Node>,
    pub(super) trace: u64,
    pub(super) violations: Vec<String>,
    dice: Dice,
    events: BinaryHeap<Reverse<(i64, u64, Event)>>,
    made: u64,
    links: BTreeMap<u64, [End; 2]>,
    links_made: u64,
    /// What the hub held now and then, as if it had sealed it.
    seals: Vec<Base>,
    cut: BTreeSet<(usize, usize)>,
    /// How much longer pieces take at a box, and how many of a hundred wait for their repetition.
    slow: BTreeMap<usize, (i64, u64)>,
    aimed: BTreeSet<usize>,
    hit: Vec<usize>,
    sent: u64,
    bytes: u64,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive { link: u64, at: usize, piece: Vec<u8> },
    Tick { node: usize },
    Wake { link: u64, at: usize },
    Ingested { link: u64, at: usize, ticket: u64 },
    Loaded { link: u64, at: usize },
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

impl Links {
    pub(super) fn new(seed: u64, nodes: Vec<Node>) -> Self {
        let mut links = Self {
            now: 0,
            nodes,
            trace: seed,
            violations: Vec::new(),
            dice: Dice::new(seed ^ 0x11_4e5),
            events: BinaryHeap::new(),
            made: 0,
            links: BTreeMap::new(),
            links_made: 0,
            seals: Vec::new(),
            cut: BTreeSet::new(),
            slow: BTreeMap::new(),
            aimed: BTreeSet::new(),
            hit: Vec::new(),
            sent: 0,
            bytes: 0,
        };
        for node in 0..links.nodes.len() {
            let first = links.between(0, SECOND);
            links.at(first, Event::Tick { node });
        }
        links
    }

    /// Everybody dials everybody; headquarters talks to the hub only.
    pub(super) fn connect_all(&mut self) {
        for one in 0..self.nodes.len() {
            for other in one + 1..self.nodes.len() {
                self.connect((one, other), 0);
            }
        }
    }

    pub(super) fn is_up(&self, node: usize) -> bool {
        self.nodes[node].is_up()
    }

    /// Pieces and bytes so far.
    pub(super) fn traffic(&self) -> (u64, u64) {
        (self.sent, self.bytes)
    }

    /// All links of a node break; nobody hears of it.
    pub(super) fn kill(&mut self, node: usize) {
        let links = self.links.iter().filter(|(_, ends)| ends.iter().any(|end| end.node == node));
        for link in links.map(|(link, _)| *link).collect::<Vec<_>>() {
            self.break_link(link);
        }
    }

    /// A node is back and dials.
    pub(super) fn revive(&mut self, node: usize) {
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.connect((node.min(other), node.max(other)), 0);
        }
    }

    /// What goes on now decides what streams do.
    pub(super) fn set_weather(&mut self, going_on: &[Fault]) {
        self.cut.clear();
        self.slow.clear();
        for Fault { kind, host, other, much, .. } in going_on {
            match kind {
                Kind::Partition | Kind::OneWay | Kind::Clone | Kind::Fork => {
                    self.cut
                        .extend((0..self.nodes.len()).map(|other| ((*host).min(other), (*host).max(other))));
                }
                Kind::Partial => drop(self.cut.insert(((*host).min(*other), (*host).max(*other)))),
                Kind::Loss => drop(self.slow.insert(*host, (0, 2 + much % 28))),
                Kind::Delay | Kind::Reorder => {
                    let delay = i64::try_from(much % 400).unwrap_or(0);
                    self.slow.insert(*host, (delay * MS, 0));
                }
                _ => {}
            }
        }
        let broken = self.links.iter().filter(|(_, ends)| self.cut.contains(&(ends[0].node, ends[1].node)));
        for link in broken.map(|(link, _)| *link).collect::<Vec<_>>() {
            self.break_link(link);
        }
    }

    /// Lets time go by, until then or until somebody is [hit](Self::hit).
    pub(super) fn run_until(&mut self, end: i64) {
        while self.hit.is_empty() && self.events.peek().is_some_and(|next| next.0.0 <= end) {
            let Some(Reverse((at, _, event))) = self.events.pop() else { break };
            self.now = at;
            self.happen(event);
        }
        if self.hit.is_empty() {
            self.now = self.now.max(end);
        }
    }

    /// Whether all run, hold the same and show the same as the hub.
    pub(super) fn agree(&self) -> bool {
        let of = |node: &Node, lanes: &[Lane]| node.frontier().of_lanes(lanes).root();
        let hub = &self.nodes[HUB];
        let Some(known) = hub.digests() else { return false };
        self.nodes.iter().skip(1).all(|other| {
            let (shared, Some(digests)) = (lanes(other), other.digests()) else { return false };
            let floor = shared.len() == 1 || known.floor == digests.floor;
            of(hub, shared) == of(other, shared) && known.books == digests.books && floor
        })
    }

    /// Who does not agree with the hub, in words.
    pub(super) fn disagreement(&self) -> String {
        let hub = &self.nodes[HUB];
        let (known, shown) = (hub.frontier(), hub.digests());
        let mut words = Vec::new();
        for (nth, node) in self.nodes.iter().enumerate().skip(1) {
            let (lanes, there) = (lanes(node), node.frontier());
            let lines = |lacks: Vec<Lack>| {
                let line = |lack: Lack| {
                    let Lack { journal, from, to } = lack;
                    let closed = [hub, node].map(|node| node.has_closed(&journal));
                    format!("{:x}/{:?} {from} to {to} closed {closed:?}", journal.run.0, journal.lane)
                };
                lacks.into_iter().map(line).collect::<Vec<_>>().join(", ")
            };
            let lacks = lines(there.lacks(&known.of_lanes(lanes)));
            let more = lines(known.of_lanes(lanes).lacks(&there.of_lanes(lanes)));
            let other_heads = known.of_lanes(lanes).root() != there.of_lanes(lanes).root();
            let digests = node.digests().zip(shown).is_none_or(|(one, other)| one.books != other.books);
            if other_heads || digests {
                let (ours, theirs) = (hub.rows(), node.rows());
                let differ =
                    ours.keys().chain(theirs.keys()).filter(|key| ours.get(*key) != theirs.get(*key));
                let row = |key: &Vec<u8>| {
                    let value = |rows: &BTreeMap<Vec<u8>, Vec<u8>>| rows.get(key).map(|value| hex(value));
                    format!("{}: {:?} at the hub, {:?} there", hex(key), value(&ours), value(&theirs))
                };
                let differ: Vec<String> = differ.take(3).map(row).collect();
                words.push(format!(
                    "{nth} lacks [{lacks}], has [{more}], digests differ: {digests} {differ:?}"
                ));
            }
        }
        words.join("; ")
    }

    /// Another box, from now on.
    pub(super) fn add(&mut self, node: Node) -> usize {
        let nth = self.nodes.len();
        self.nodes.push(node);
        let first = self.between(0, SECOND);
        self.at(self.now + first, Event::Tick { node: nth });
        nth
    }

    /// The power of this box is to go as soon as another has something new that it wrote.
    pub(super) fn aim(&mut self, node: usize) {
        self.aimed.insert(node);
    }

    /// Nobody aims at this box any more.
    pub(super) fn spare(&mut self, node: usize) {
        self.aimed.remove(&node);
    }

    /// Boxes that were aimed at and of which another has something now.
    pub(super) fn hit(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.hit)
    }

    /// New entries of a node's store: all its sessions hear of them.
    pub(super) fn spread(&mut self, node: usize) {
        let frontier = self.nodes[node].frontier();
        let told = std::mem::replace(&mut self.nodes[node].told, frontier.clone());
        let delta: Frontier = frontier
            .lines()
            .filter(|(journal, head)| told.head(journal) != Some(*head))
            .map(|(journal, head)| (*journal, *head))
            .collect();
        let back = |(journal, head): (&JournalId, &Head)| {
            frontier.head(journal).is_none_or(|now| now.seq < head.seq)
        };
        if told.lines().any(back) {
            // A fork closed a journal below its end: that is no news, but another state.
            return self.give_all(node, &Input::Frontier(Arc::new(frontier)));
        }
        if delta.lines().next().is_none() {
            return;
        }
        // Sometimes the entries are not at hand, and have to be loaded.
        let mut fresh = Vec::new();
        if self.dice.below(4) != 0 {
            for (journal, head) in delta.lines() {
                let from = told.head(journal).map_or(1, |head| head.seq + 1);
                let bytes = self.nodes[node].load(*journal, from, head.seq, 64 << 10);
                fresh.extend((from..).zip(bytes).map(|(seq, bytes)| Fresh { journal: *journal, seq, bytes }));
            }
        }
        self.give_all(node, &Input::News { delta: Arc::new(delta), fresh: fresh.into() });
    }

    fn at(&mut self, at: i64, event: Event) {
        self.made += 1;
        self.events.push(Reverse((at.max(self.now), self.made, event)));
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.dice.below(u64::try_from(high - low + 1).unwrap_or(1))).unwrap_or(0)
    }

    fn connect(&mut self, pair: (usize, usize), after: i64) {
        let office = self.nodes[pair.0].headquarters || self.nodes[pair.1].headquarters;
        if pair.0 == HUB || !office {
            self.at(self.now + after, Event::Open { pair });
        }
    }

    fn break_link(&mut self, link: u64) {
        let Some(ends) = self.links.remove(&link) else { return };
        let after = self.between(50 * MS, 900 * MS);
        self.connect((ends[0].node, ends[1].node), after);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Open { pair } => self.open(pair),
            Event::Tick { node } => self.tick(node),
            Event::Wake { link, at } => self.give(link, at, Input::Wake),
            Event::Arrive { link, at, piece } => self.arrive(link, at, &piece),
            Event::Loaded { link, at } => {
                let Some(ends) = self.links.get_mut(&link) else { return };
                let node = ends[at].node;
                if let Some(Output::Load { journal, from, to, bytes_max }) = ends[at].load.take() {
                    let entries = self.nodes[node].load(journal, from, to, bytes_max);
                    self.give(link, at, Input::Loaded { journal, from, entries });
                }
            }
            Event::Ingested { link, at, ticket } => {
                let Some(ends) = self.links.get_mut(&link) else { return };
                let node = ends[at].node;
                let Some(batch) = ends[at].ingests.remove(&ticket) else { return };
                let author = batch.first().map(|first| (*first.author(), first.journal().run));
                let outcome = self.nodes[node].ingest(self.now, batch);
                self.take_aim(node, author, &outcome);
                self.spread(node);
                self.give(link, at, Input::Ingested { ticket, outcome });
            }
        }
    }

    /// Whether whoever wrote what `node` has just taken in is aimed at.
    fn take_aim(&mut self, node: usize, author: Option<(NodeId, Run)>, outcome: &Outcome) {
        let (Some((author, run)), Outcome::Held(_)) = (author, outcome) else { return };
        let wrote = |nth: &usize| {
            let there = &self.nodes[*nth];
            *nth != node && there.id() == author && there.wrote(run)
        };
        if let Some(nth) = self.aimed.iter().copied().find(wrote) {
            self.aimed.remove(&nth);
            self.hit.push(nth);
        }
    }

    fn open(&mut self, pair: (usize, usize)) {
        let open = self.links.values().any(|ends| (ends[0].node, ends[1].node) == pair);
        if open || !self.is_up(pair.0) || !self.is_up(pair.1) {
            return;
        }
        if self.cut.contains(&pair) {
            let after = self.between(200 * MS, 900 * MS);
            return self.connect(pair, after);
        }
        self.links_made += 1;
        let link = self.links_made;
        if link.is_multiple_of(4) && self.is_up(HUB) {
            let seal = Hash::of("sim/seal", &[&link.to_be_bytes()]);
            self.seals.push(Base { seal, frontier: Arc::new(self.nodes[HUB].told.clone()) });
        }
        let ends = [self.end(pair.0, pair.1), self.end(pair.1, pair.0)];
        self.links.insert(link, ends);
        for (at, node) in [(0, pair.0), (1, pair.1)] {
            let node = &self.nodes[node];
            let (frontier, roster) = (node.told.clone(), Roster::of(&node.members()));
            let hub_alive = node.hub_alive;
            let bases = bases_of(&self.seals, node.lanes(), &frontier);
            let frontier = Arc::new(frontier);
            let opened = Input::Opened { frontier, roster: Arc::new(roster), hub_alive, bases };
            self.give(link, at, opened);
        }
    }

    fn end(&mut self, node: usize, peer: usize) -> End {
        let jitter = self.dice.below(20_000);
        let (here, there) = (&self.nodes[node], &self.nodes[peer]);
        let session = Session::new(Config {
            store: here.store_id(),
            peer: there.id(),
            headquarters: there.headquarters,
            push: node == HUB || peer == HUB,
            lanes: here.lanes(),
            incarnation: node as u64,
            addrs: Vec::new(),
            jitter_micros: u32::try_from(jitter).unwrap_or(0),
            claims: here.claims.clone(),
        });
        let (reader, ingests) = (Reader::default(), BTreeMap::new());
        End { node, session, reader, busy_until: self.now, ingests, load: None }
    }

    fn tick(&mut self, node: usize) {
        self.at(self.now + SECOND, Event::Tick { node });
        if !self.is_up(node) {
            return;
        }
        self.nodes[node].beat();
        self.spread(node);
        let mut alive = node == HUB;
        let mut silent = Vec::new();
        for (link, ends) in &self.links {
            let Some(at) = ends.iter().position(|end| end.node == node) else { continue };
            let fresh = ends[at].session.heard_at().0 > self.now - SILENCE;
            alive |= ends[1 - at].node == HUB && ends[at].session.is_settled() && fresh;
            if ends[at].session.is_settled() && !fresh {
                silent.push(*link);
            }
        }
        silent.into_iter().for_each(|link| self.break_link(link));
        if std::mem::replace(&mut self.nodes[node].hub_alive, alive) != alive {
            self.give_all(node, &Input::Hub { alive });
        }
        self.give_all(node, &Input::Tick);
    }

    fn arrive(&mut self, link: u64, at: usize, mut piece: &[u8]) {
        let stamp = [self.now.to_be_bytes(), link.to_be_bytes(), (at as u64).to_be_bytes()].concat();
        let hash = Hash::of("toko/sim/bare-trace/1", &[&self.trace.to_be_bytes(), &stamp, piece]);
        self.trace = hash.0.iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte));
        loop {
            let Some(ends) = self.links.get_mut(&link) else { return };
            match ends[at].reader.read(&mut piece) {
                Ok(Some(frame)) => self.give(link, at, Input::Frame(frame)),
                Ok(None) => return,
                Err(error) => {
                    return self.violations.push(format!("a frame of ours did not decode: {error}"));
                }
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

    fn give(&mut self, link: u64, at: usize, input: Input) {
        let Some(ends) = self.links.get_mut(&link) else { return };
        if let Err(violation) = ends[at].session.handle(UnixMicros(self.now), input) {
            self.violations.push(format!("link {link} end {at}: {violation}"));
        }
        let (node, peer) = (ends[at].node, ends[1 - at].node);
        while let Some(output) = self.links.get_mut(&link).and_then(|ends| ends[at].session.poll()) {
            match output {
                Output::Send(frame) => {
                    let bytes = self.links.get(&link).map(|ends| ends[at].session.encode(&frame));
                    self.send(link, (node, peer), at, &bytes.unwrap_or_default());
                }
                Output::WakeAt(when) => self.at(when.0, Event::Wake { link, at }),
                Output::Ingest { ticket, entries, .. } => {
                    // Batches may overtake each other on the way to the store.
                    let when = self.now + self.between(100, 4_000);
                    if let Some(ends) = self.links.get_mut(&link) {
                        ends[at].ingests.insert(ticket, entries);
                    }
                    self.at(when, Event::Ingested { link, at, ticket });
                }
                Output::Load { .. } => {
                    let when = self.now + self.between(50, 2_000);
                    if let Some(ends) = self.links.get_mut(&link) {
                        ends[at].load = Some(output);
                    }
                    self.at(when, Event::Loaded { link, at });
                }
                Output::Statements(statements) => {
                    let news = self.nodes[node].statements(statements);
                    if news {
                        let roster = Arc::new(Roster::of(&self.nodes[node].members()));
                        self.give_all(node, &Input::Roster(roster));
                    }
                }
                Output::PeerStandsOn(base) if !self.nodes[peer].stands_on(&base) => {
                    self.violations.push(format!("I1: {peer} went over a seal that it does not hold"));
                }
                // What stands above a fork goes on as carried, in another journal.
                Output::PeerHolds(lines) if !self.nodes[peer].stands_on(&lines) => {
                    self.violations.push(format!("I1: {peer} acknowledged what it does not hold"));
                }
                // A fork closed a journal below what both stood on: they begin anew.
                Output::Close { code: Code::Replaced, .. } => return self.break_link(link),
                Output::Close { code, reason, .. } => {
                    self.violations.push(format!("link {link} was closed: {code:?} {reason}"));
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, link: u64, way: (usize, usize), at: usize, bytes: &[u8]) {
        let of = |node: usize| self.slow.get(&node).copied().unwrap_or_default();
        let ((one, lost), (other, more)) = (of(way.0), of(way.1));
        let (extra, lost) = (one.max(other), lost.max(more));
        let to = 1 - at;
        let mut rest = bytes;
        while !rest.is_empty() {
            let length = usize::try_from(1 + self.dice.below(PIECE_BYTES)).unwrap_or(1);
            let (piece, later) = rest.split_at(length.min(rest.len()));
            rest = later;
            // What is lost on the way is sent again by whoever carries the stream.
            let again = if lost > 0 && self.dice.below(100) < lost { 200 * MS } else { 0 };
            let delay = self.between(200, 900) + self.between(0, extra) + again;
            (self.sent, self.bytes) = (self.sent + 1, self.bytes + piece.len() as u64);
            let Some(ends) = self.links.get_mut(&link) else { return };
            let when = (self.now + delay).max(ends[to].busy_until);
            ends[to].busy_until = when;
            self.at(when, Event::Arrive { link, at: to, piece: piece.to_vec() });
        }
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
