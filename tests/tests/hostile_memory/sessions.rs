//! A member that floods: what a conversation holds after thousands of frames that are each allowed.

use std::sync::Arc;

use toko_crdt::clock::{Hlc, UnixMicros};
use toko_crdt::entry::Draft;
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::hash::Hash;
use toko_crdt::ids::{JournalId, Lane, NodeId, Run, StoreId};
use toko_crdt::member::{Claim, Statement};
use toko_crdt::sign::SecretKey;
use toko_mesh::proto::frame::{Fragment, Hello, Lanes, Lines, PeerAddrs, VERSION};
use toko_mesh::proto::session::Roster;
use toko_mesh::proto::{Claims, Config, Frame, Input, Outcome, Output, Session};

use super::{Count, allowed, say};

/// What one conversation may hold besides four times what came: its window, one entry that is put together, what it remembers.
const ALLOWANCE: usize = 1 << 20;

fn store() -> StoreId {
    StoreId([1; 32])
}

fn journal(at: u64) -> JournalId {
    let mut node = [0; 32];
    node[..8].copy_from_slice(&at.to_be_bytes());
    JournalId { node: NodeId(node), run: Run(at), lane: Lane::Books }
}

fn entry(run: u64) -> Vec<u8> {
    let key = SecretKey::from_seed([2; 32]);
    let journal = JournalId { node: key.node(), run: Run(run), lane: Lane::Books };
    let body = vec![0x40; 200];
    let draft = Draft { journal, seq: 1, prev: Hash::ZERO, at: Hlc::default(), saw: None, body };
    draft.sign(&store(), &key).encode()
}

/// A session that has greeted. It holds eight journals.
fn settled() -> Session {
    let mut session = Session::new(Config {
        store: store(),
        peer: NodeId([9; 32]),
        headquarters: false,
        push: true,
        lanes: Lanes::All,
        incarnation: 1,
        addrs: Vec::new(),
        jitter_micros: 0,
        claims: Claims::default(),
    });
    let ours: Frontier = (0..8).map(|at| (journal(at), Head { seq: 50, hash: Hash([1; 32]) })).collect();
    let opened = Input::Opened {
        frontier: Arc::new(ours),
        roster: Arc::new(Roster::default()),
        hub_alive: true,
        bases: vec![],
    };
    session.handle(UnixMicros(0), opened).unwrap();
    let (version_min, version_max) = (VERSION, VERSION);
    let hello = Hello {
        version_min,
        version_max,
        store: store(),
        incarnation: 7,
        lanes: Lanes::All,
        push: true,
        addrs: vec![],
    };
    session.handle(UnixMicros(1), Input::Frame(Frame::Hello(hello))).unwrap();
    let root = Frame::Root { root: Hash([3; 32]), members: Hash([4; 32]) };
    session.handle(UnixMicros(2), Input::Frame(root)).unwrap();
    while session.poll().is_some() {}
    assert!(session.is_settled());
    session
}

/// Feeds encoded frames, a tick after each hundred. What the session wants done is dropped, or answered by `outcome`.
///
/// Returns how many bytes were taken before the session had enough.
fn flood(session: &mut Session, frames: &[Vec<u8>], outcome: Option<Outcome>) -> usize {
    let mut taken = 0;
    for (bytes, at) in frames.iter().zip(3_i64..) {
        let now = UnixMicros(at * 10_000);
        let Ok(Some(frame)) = Frame::decode(&bytes[4..]) else { panic!("a frame of ours") };
        taken += bytes.len();
        let mut inputs = vec![Input::Frame(frame)];
        if at % 100 == 0 {
            inputs.push(Input::Tick);
        }
        while let Some(input) = inputs.pop() {
            if session.handle(now, input).is_err() {
                return taken;
            }
            while let Some(output) = session.poll() {
                if let (Output::Ingest { ticket, .. }, Some(outcome)) = (output, outcome) {
                    inputs.push(Input::Ingested { ticket, outcome });
                }
            }
        }
    }
    taken
}

fn floods() -> Vec<(&'static str, Vec<Frame>, Option<Outcome>)> {
    let many = 20_000_u64;
    let head = Head { seq: 9, hash: Hash([5; 32]) };
    let lines = |whole, from: u64| {
        let lines = (from..from + 500).map(|at| (journal(at), head)).collect();
        Frame::Lines(Lines { whole, more: true, root: None, lines })
    };
    let batch = |at: u64| {
        let bytes = entry(at);
        let journal = JournalId {
            run: Run(at),
            ..JournalId { node: SecretKey::from_seed([2; 32]).node(), ..journal(0) }
        };
        Frame::Batch { journal, entries: vec![bytes.into()] }
    };
    let statement = |at: u16| {
        let key = SecretKey::from_seed([6; 32]);
        let claim = Claim::Terminal { term: 1, key: key.public(), number: at + 1, name: "x".into() };
        Frame::Statements(vec![Statement::sign(&store(), &key, claim).encode().into()])
    };
    let piece = |at: u64| {
        let (journal, bytes) = (journal(at), vec![7; 60_000]);
        Frame::Fragment(Fragment { journal, seq: 1, offset: 0, total: 1 << 20, bytes })
    };
    let peers = |at: u64| {
        let addrs = (1..9).map(|port| ([10, 0, 0, 1], port).into()).collect();
        Frame::Peers(vec![PeerAddrs { node: journal(at).node, addrs }])
    };
    vec![
        ("lines of journals that nobody has", (0..32).map(|at| lines(false, at * 500)).collect(), None),
        ("the same, from the beginning each time", (0..200).map(|at| lines(true, at * 500)).collect(), None),
        (
            "that there are no entries",
            (0..many).map(|at| Frame::NoEntries { journal: journal(at), from: 1 }).collect(),
            None,
        ),
        (
            "wants of what is not here",
            (0..many).map(|at| Frame::Want { journal: journal(at), from: 99, to: 99 }).collect(),
            None,
        ),
        ("batches that nobody answers", (0..many / 4).map(batch).collect(), None),
        ("batches by an unknown author", (0..many / 4).map(batch).collect(), Some(Outcome::UnknownAuthor)),
        (
            "batches that lead elsewhere",
            (0..many / 4).map(batch).collect(),
            Some(Outcome::Diverges { seq: 1 }),
        ),
        ("batches of closed journals", (0..many / 4).map(batch).collect(), Some(Outcome::Closed)),
        ("batches that get in", (0..many / 4).map(batch).collect(), Some(Outcome::Held(head))),
        ("statements by nobody", (0..4_000).map(statement).collect(), None),
        ("beginnings of large entries", (0..200).map(piece).collect(), None),
        ("addresses", (0..many).map(peers).collect(), None),
        ("wants of frontiers", vec![Frame::WantLines; 100], None),
        ("wants of statements", vec![Frame::WantStatements; 1_000], None),
        (
            "wants of blobs",
            (0..100).map(|at| Frame::WantBlob { hash: Hash([at; 32]), offset: 0 }).collect(),
            None,
        ),
    ]
}

#[test]
fn a_member_that_floods_makes_a_conversation_hold_four_times_what_it_sent_at_most() {
    let mut count = Count::begin();
    let encoded = |frames: Vec<Frame>| frames.iter().map(Frame::encode).collect::<Vec<_>>();
    let floods: Vec<_> =
        floods().into_iter().map(|(what, frames, outcome)| (what, encoded(frames), outcome)).collect();
    for (what, frames, outcome) in &floods {
        let mut session = settled();
        count.again();
        let sent = flood(&mut session, frames, *outcome);
        let (peak, held) = (count.peak(), count.held());
        say(what, sent, peak, held);
        assert!(peak <= allowed(sent, ALLOWANCE), "{what}: {sent} bytes took {peak}");
        assert!(held <= 8 << 20, "{what}: {held} bytes are held for one peer");
    }
}
