//! What comes over the network: frames, conversations, statements; and what people type to get in.

use std::collections::VecDeque;
use std::sync::Arc;

use toko_crdt::clock::UnixMicros;
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::hash::Hash;
use toko_crdt::ids::{JournalId, Lane, NodeId, Run};
use toko_crdt::member::{Claim, Members, Statement};
use toko_crdt::sign::SecretKey;
use toko_mesh::enrol::{Code, CodeKind, RecoveryCode};
use toko_mesh::find::{Ladder, Rung};
use toko_mesh::proto::frame::{
    BlobPart, FRAME_BYTES_MAX, Fragment, HEADER_BYTES, Hello, Lanes, Lines, PeerAddrs, VERSION,
};
use toko_mesh::proto::session::Roster;
use toko_mesh::proto::{self, Claims, Config, Frame, Input, Outcome, Output, Reader, Session};

use super::cut::{Cut, piece};
use super::shop::{AUTHORS, shop};

/// *Input*: in how large pieces it comes, then the stream.
pub(super) fn frames(bytes: &[u8]) {
    let mut cut = Cut(bytes);
    let size = usize::from(cut.byte()) + 1;
    let stream = cut.0;
    let read = |size: usize| {
        let (mut reader, mut frames) = (Reader::default(), Vec::new());
        for mut part in stream.chunks(size) {
            loop {
                match reader.read(&mut part) {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => return (frames, Some(error)),
                }
            }
        }
        (frames, None)
    };
    let whole = read(stream.len().max(1));
    assert_eq!(read(size), whole, "other pieces gave other frames");
    for frame in whole.0 {
        let encoded = frame.encode();
        assert!(encoded.len() <= FRAME_BYTES_MAX + 4, "a frame that is too long to be sent on");
        assert_eq!(Frame::decode(&encoded[4..]), Ok(Some(frame)), "a frame reads back");
    }
}

pub(super) fn frames_seeds() -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> =
        samples().iter().map(|frame| [&[200], frame.encode().as_slice()].concat()).collect();
    let all: Vec<u8> = samples().iter().flat_map(Frame::encode).collect();
    out.push([&[6], all.as_slice()].concat());
    out.push([&[200], packed().as_slice()].concat());
    out
}

/// A frame that holds another one, smaller than it is.
fn packed() -> Vec<u8> {
    let words = "ONE OF MANY LANTERNS, RED ".repeat(40);
    let journal = JournalId { node: NodeId([7; 32]), run: Run(1), lane: Lane::Books };
    Frame::Batch { journal, entries: vec![words.as_bytes().into()] }.encode_packed()
}

/// One frame of each kind.
fn samples() -> Vec<Frame> {
    let shop = shop();
    let (books, floor) = (shop.journal(1, Lane::Books), shop.journal(2, Lane::Floor));
    let head = |seq, hash| Head { seq, hash: Hash([hash; 32]) };
    let mut lines: Vec<_> = vec![(books, head(7, 9)), (floor, head(70_000, 8))];
    lines.sort_unstable_by_key(|(journal, _)| *journal);
    let entry = |seq| Arc::<[u8]>::from(shop.entry(1, Lane::Books, seq, vec![0x40, 1, 0]).encode());
    let addrs = vec![([192, 168, 7, 20], 7420).into(), ([0xfd00_u16, 0, 0, 0, 0, 0, 0, 0x20], 443).into()];
    let statements = shop.members.statements().map(|statement| statement.encode().into()).collect();
    let lines = lines.into_iter().collect();
    vec![
        hello(addrs.clone()),
        Frame::Root { root: Hash([1; 32]), members: Hash([2; 32]) },
        Frame::Lines(Lines { whole: true, more: false, root: Some(Hash([3; 32])), lines }),
        Frame::WantLines,
        Frame::Statements(statements),
        Frame::WantStatements,
        Frame::Want { journal: books, from: 1, to: 3 },
        Frame::Batch { journal: books, entries: vec![entry(1), entry(2)] },
        Frame::Fragment(Fragment { journal: books, seq: 1, offset: 0, total: 9, bytes: vec![4; 5] }),
        Frame::NoEntries { journal: books, from: 4 },
        Frame::WantBlob { hash: Hash([5; 32]), offset: 9 },
        Frame::BlobPart(BlobPart { hash: Hash([5; 32]), offset: 0, total: 9, bytes: vec![6; 3].into() }),
        Frame::NoBlob { hash: Hash([5; 32]) },
        Frame::Peers(vec![PeerAddrs { node: NodeId([7; 32]), addrs }]),
        Frame::Bye { code: proto::Code::NoMember, reason: "revoked".into() },
    ]
}

fn hello(addrs: Vec<std::net::SocketAddr>) -> Frame {
    let store = shop().store;
    let (version_min, version_max, incarnation) = (VERSION, VERSION, 7);
    Frame::Hello(Hello { version_min, version_max, store, incarnation, lanes: Lanes::All, push: true, addrs })
}

/// *Input*: kind of frame or of event and its bytes, again and again. The peer is a till, this node another one.
pub(super) fn session(bytes: &[u8]) {
    let shop = shop();
    let mut talk = Talk {
        session: Session::new(Config {
            store: shop.store,
            peer: shop.key(1).node(),
            headquarters: false,
            push: true,
            lanes: Lanes::All,
            incarnation: 1,
            addrs: Vec::new(),
            jitter_micros: 0,
            claims: Claims::default(),
        }),
        tickets: VecDeque::new(),
        now: 0,
    };
    let ours: Frontier = (0..AUTHORS)
        .map(|at| (shop.journal(at, Lane::Books), Head { seq: 3, hash: Hash([at; 32]) }))
        .collect();
    let (frontier, roster) = (Arc::new(ours), Arc::new(Roster::of(&shop.members)));
    talk.feed(Input::Opened { frontier, roster, hub_alive: true, bases: vec![] });
    let mut cut = Cut(bytes);
    if cut.byte() & 1 == 0 {
        talk.feed(Input::Frame(hello(Vec::new())));
        talk.feed(Input::Frame(Frame::Root { root: Hash([1; 32]), members: Hash([2; 32]) }));
    }
    while !cut.is_empty() && !talk.session.is_over() {
        let input = talk.read(&mut cut);
        talk.feed(input);
    }
}

/// A conversation with hostile bytes.
struct Talk {
    session: Session,
    tickets: VecDeque<u64>,
    now: i64,
}

/// What one input may make a session send: all of its frontier, its statements and one load, and not a flood.
const SENT_BYTES_MAX: usize = 1 << 20;

impl Talk {
    fn read(&mut self, cut: &mut Cut<'_>) -> Input {
        let kind = cut.byte();
        let journal = shop().journal(kind >> 4, Lane::Books);
        match kind {
            0xf0 => {
                self.now += 1_000_000;
                Input::Tick
            }
            0xf1 => {
                self.now += i64::from(cut.byte()) * 10_000;
                Input::Wake
            }
            0xf2 => {
                let (ticket, how) = (self.tickets.pop_front().unwrap_or(u64::MAX), cut.byte());
                Input::Ingested { ticket, outcome: outcome(how) }
            }
            0xf3 => {
                let entries = vec![Arc::from(cut.piece())];
                Input::Loaded { journal: shop().journal(cut.byte(), Lane::Books), from: 1, entries }
            }
            0xf4 => {
                let slice = Some((u64::from(cut.byte()), Arc::from(cut.piece())));
                Input::BlobLoaded { hash: Hash([5; 32]), offset: 0, slice }
            }
            0xf5 => {
                let delta =
                    [(journal, Head { seq: cut.number(), hash: Hash([kind; 32]) })].into_iter().collect();
                Input::News { delta: Arc::new(delta), fresh: Vec::new().into() }
            }
            0xf6 => Input::Hub { alive: cut.byte() & 1 == 0 },
            0xf7 => Input::FetchBlob { hash: Hash([cut.byte(); 32]), offset: 0 },
            kind => {
                let bytes = [&[VERSION, kind], cut.piece()].concat();
                match Frame::decode(&bytes) {
                    Ok(Some(frame)) => Input::Frame(frame),
                    Ok(None) => Input::Wake,
                    Err(error) => Input::Broken(error),
                }
            }
        }
    }

    fn feed(&mut self, input: Input) {
        let was_over = self.session.is_over();
        let taken = self.session.handle(UnixMicros(self.now), input);
        assert!(
            taken.is_ok() || (self.session.is_over() && !was_over),
            "a rule was broken and the talk goes on"
        );
        let (mut sent, mut closed) = (0, false);
        while let Some(output) = self.session.poll() {
            assert!(!closed, "something came after the end");
            match output {
                Output::Send(frame) => sent += frame.encode().len(),
                Output::Ingest { ticket, journal, entries } => {
                    assert!(entries.iter().all(|entry| *entry.journal() == journal) && !entries.is_empty());
                    self.tickets.push_back(ticket);
                }
                Output::Close { .. } => closed = true,
                _ => {}
            }
        }
        assert!(sent <= SENT_BYTES_MAX, "{sent} bytes went out for one input");
    }
}

fn outcome(how: u8) -> Outcome {
    match how {
        0 => Outcome::Gap,
        1 => Outcome::UnknownAuthor,
        2 => Outcome::Closed,
        3 => Outcome::Refused,
        4..8 => Outcome::Diverges { seq: u64::from(how) },
        8..12 => Outcome::Fork { seq: u64::from(how) },
        _ => Outcome::Held(Head { seq: u64::from(how), hash: Hash([how; 32]) }),
    }
}

pub(super) fn session_seeds() -> Vec<Vec<u8>> {
    let event = |frame: &Frame| {
        let bytes = frame.encode();
        [&bytes[HEADER_BYTES - 1..HEADER_BYTES], &piece(&bytes[HEADER_BYTES..])].concat()
    };
    let mut out: Vec<Vec<u8>> = samples().iter().map(|frame| [&[0][..], &event(frame)].concat()).collect();
    let all: Vec<u8> = samples().iter().skip(2).take(12).flat_map(event).collect();
    out.push([&[0][..], &all].concat());
    out.push([&[1][..], &samples().iter().take(2).flat_map(event).collect::<Vec<_>>()].concat());
    let events =
        [0xf0, 0xf1, 9, 0xf2, 9, 0xf3, 2, 0, 1, 2, 1, 0xf4, 9, 1, 0, 5, 0xf6, 1, 0xf7, 5, 0xf0, 0xf0];
    out.push([&[0][..], &event(&samples()[2]), &events, &event(&samples()[7]), &[0xf2, 20, 0xf0]].concat());
    out
}

/// *Input*: raw bytes of a statement, or claims for known keys to sign.
pub(super) fn statements(bytes: &[u8]) {
    let shop = shop();
    if let Ok(statement) = Statement::decode(bytes) {
        assert_eq!(statement.encode(), bytes, "one statement has one form");
        let mut members = shop.members.clone();
        let added = members.add(statement.clone());
        assert!(added != Ok(true) || statement.verify(), "a statement that nobody signed was taken in");
    }
    let (mut cut, mut statements) = (Cut(bytes), Vec::new());
    while !cut.is_empty() && statements.len() < 16 {
        let issuer = cut.byte();
        let issuer = if issuer & 0x10 == 0 { shop.key(issuer) } else { &shop.root };
        statements.extend(claim(&mut cut).map(|claim| Statement::sign(&shop.store, issuer, claim)));
    }
    for statement in &statements {
        let read = Statement::decode(&statement.encode());
        assert!(read.as_ref().map_or(true, |read| read == statement), "a statement reads back");
    }
    let here = gathered(statements.iter());
    let there = gathered(statements.iter().rev());
    assert_eq!(here.root_hash(), there.root_hash(), "another order gave another set");
    assert_eq!((here.hub(), here.headquarters()), (there.hub(), there.headquarters()));
    for node in here.nodes() {
        assert_eq!(here.roles(&node), there.roles(&node));
        assert_eq!(
            (here.is_member(&node), here.revoked(&node)),
            (there.is_member(&node), there.revoked(&node))
        );
    }
}

/// Offers statements until none is new, as links do.
fn gathered<'a>(statements: impl Iterator<Item = &'a Statement> + Clone) -> Members {
    let mut members = shop().members.clone();
    while statements.clone().filter(|statement| members.add((*statement).clone()) == Ok(true)).count() > 0 {}
    members
}

fn claim(cut: &mut Cut<'_>) -> Option<Claim> {
    let (kind, key, term) = (cut.byte(), cut.byte(), u64::from(cut.byte()));
    let key =
        if key & 0x80 == 0 { shop().key(key).public() } else { SecretKey::from_seed([key; 32]).public() };
    Some(match kind & 3 {
        0 => Claim::Hub { term, key },
        1 => Claim::Headquarters { key },
        2 => Claim::Terminal { term, key, number: u16::from(cut.byte()), name: cut.text() },
        _ => {
            let bytes = cut.piece();
            let cut = if bytes.is_empty() { Frontier::default() } else { Frontier::decode(bytes).ok()? };
            Claim::Revoked { term, node: NodeId::of(&key), cut }
        }
    })
}

pub(super) fn statements_seeds() -> Vec<Vec<u8>> {
    let shop = shop();
    let mut out: Vec<Vec<u8>> = shop.members.statements().map(Statement::encode).collect();
    let frontier: Frontier =
        [(shop.journal(1, Lane::Books), Head { seq: 4, hash: Hash([4; 32]) })].into_iter().collect();
    out.push([&[0x10, 0, 0x85, 2, 0x10, 1, 0x86, 0, 0, 2, 0x87, 1, 9][..], &piece(b"Till 9")].concat());
    out.push([&[0, 3, 1, 1][..], &piece(&frontier.encode()), &[0, 3, 2, 1, 0, 0]].concat());
    out
}

/// *Input*: what somebody typed.
pub(super) fn codes(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for kind in [CodeKind::Enrol, CodeKind::JoinHq] {
        if let Ok(code) = Code::parse(kind, &text) {
            assert_eq!(Code::parse(kind, &code.to_string()), Ok(code), "a code reads back");
        }
    }
    if let Ok(code) = RecoveryCode::parse(&text) {
        let again = RecoveryCode::parse(&code.to_string()).map(|again| again.0.public());
        assert_eq!(again, Ok(code.0.public()), "a recovery code reads back");
    }
}

pub(super) fn codes_seeds() -> Vec<Vec<u8>> {
    let code = |kind| Code { kind, fingerprint: *b"abcdefghij", secret: *b"0123456789" }.to_string();
    let recovery = RecoveryCode(SecretKey::from_seed([7; 32])).to_string();
    let texts = [code(CodeKind::Enrol), code(CodeKind::JoinHq), recovery, "c5h66 s35cs_kpgtb".into()];
    texts.into_iter().map(String::into_bytes).collect()
}

/// *Input*: the file.
pub(super) fn addresses(bytes: &[u8]) {
    let mut ladder = Ladder::default();
    if ladder.load(bytes).is_err() {
        return;
    }
    let kept = ladder.encode();
    let mut again = Ladder::default();
    assert!(again.load(&kept).is_ok(), "what we kept we can read");
    assert_eq!(again.encode(), kept, "addresses read back");
}

pub(super) fn addresses_seeds() -> Vec<Vec<u8>> {
    let mut ladder = Ladder::default();
    let empty = ladder.encode();
    for at in 1..9 {
        ladder.hint(NodeId([at % 3; 32]), ([192, 168, 7, at], 7420).into(), Rung::Cached);
        ladder.hint(
            NodeId([at; 32]),
            ([0xfd00_u16, 0, 0, 0, 0, 0, 0, u16::from(at)], 443).into(),
            Rung::Mdns,
        );
    }
    vec![empty, ladder.encode()]
}
