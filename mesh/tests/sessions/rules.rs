//! One session at a time, with the peer played by hand: what it asks, what it refuses, and what it never does.

use std::sync::Arc;
use toko_crdt::clock::{Hlc, UnixMicros};
use toko_crdt::entry::Draft;
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::journal::BatchError;
use toko_crdt::sign::SecretKey;
use toko_crdt::{Body, Entry, Hash, JournalId, Lane, NodeId, Run, StoreId};
use toko_mesh::proto::frame::{Code, Fragment, Hello, Lanes, Lines, PAYLOAD_BYTES_MAX};
use toko_mesh::proto::session::{Base, Roster};
use toko_mesh::proto::{Claims, Config, Frame, Input, Outcome, Output, Session, Violation};

const STORE: StoreId = StoreId([1; 32]);
const MS: i64 = 1_000;

/// A session, the time, and what came out of it.
pub(crate) struct Desk {
    pub(crate) session: Session,
    now: i64,
}

pub(crate) fn config(claims: &Claims) -> Config {
    Config {
        store: STORE,
        peer: NodeId([9; 32]),
        headquarters: false,
        push: false,
        lanes: Lanes::All,
        incarnation: 1,
        addrs: vec![],
        jitter_micros: 0,
        claims: claims.clone(),
    }
}

pub(crate) fn hello() -> Hello {
    Hello {
        version_min: 1,
        version_max: 1,
        store: STORE,
        incarnation: 2,
        lanes: Lanes::All,
        push: true,
        addrs: vec![],
    }
}

pub(crate) fn journal(node: u8, lane: Lane) -> JournalId {
    JournalId { node: SecretKey::from_seed([node; 32]).node(), run: Run(1), lane }
}

/// A chain of entries of some bytes each.
pub(crate) fn chain(id: JournalId, node: u8, bytes: &[usize]) -> Vec<Entry> {
    let key = SecretKey::from_seed([node; 32]);
    let mut out: Vec<Entry> = Vec::new();
    for bytes in bytes {
        let (seq, prev) = out.last().map_or((1, Hash::ZERO), |last| (last.seq() + 1, last.hash()));
        let body = Body::Op(vec![7; *bytes]).encode();
        let draft = Draft { journal: id, seq, prev, at: Hlc::default(), saw: None, body };
        out.push(draft.sign(&STORE, &key));
    }
    out
}

fn encoded(entries: &[Entry]) -> Vec<Arc<[u8]>> {
    entries.iter().map(|entry| entry.encode().into()).collect()
}

pub(crate) fn head(entry: &Entry) -> Head {
    Head { seq: entry.seq(), hash: entry.hash() }
}

pub(crate) fn frontier(lines: &[(JournalId, Head)]) -> Frontier {
    lines.iter().copied().collect()
}

pub(crate) fn lines(lines: Frontier) -> Frame {
    Frame::Lines(Lines { whole: false, more: false, root: None, lines })
}

impl Desk {
    pub(crate) fn new(config: Config) -> Self {
        Self { session: Session::new(config), now: 0 }
    }

    /// A settled session of a node that holds `ours`; the peer holds something else that it has not told yet.
    pub(crate) fn settled(config: Config, ours: Frontier) -> Self {
        let mut desk = Self::new(config);
        desk.open(ours);
        desk.frame(Frame::Hello(hello()));
        desk.frame(Frame::Root { root: Hash([3; 32]), members: Hash::default() });
        assert!(desk.session.is_settled());
        desk
    }

    fn open(&mut self, ours: Frontier) -> Vec<Output> {
        self.open_on(ours, vec![])
    }

    /// As a node that went over some seals.
    pub(crate) fn open_on(&mut self, ours: Frontier, bases: Vec<Base>) -> Vec<Output> {
        let (frontier, roster) = (Arc::new(ours), Arc::new(Roster::default()));
        self.give(Input::Opened { frontier, roster, hub_alive: false, bases })
    }

    pub(crate) fn give(&mut self, input: Input) -> Vec<Output> {
        let verdict = self.session.handle(UnixMicros(self.now), input);
        assert_eq!(verdict, Ok(()));
        self.drain()
    }

    pub(crate) fn frame(&mut self, frame: Frame) -> Vec<Output> {
        self.give(Input::Frame(frame))
    }

    fn refuses(&mut self, frame: Frame) -> Violation {
        let violation = self.session.handle(UnixMicros(self.now), Input::Frame(frame)).unwrap_err();
        let out = self.drain();
        let [.., Output::Send(Frame::Bye { code, .. }), Output::Close { code: closed, by_peer: false, .. }] =
            out.as_slice()
        else {
            panic!("a violation says goodbye and closes: {out:?}")
        };
        assert_eq!((*code, *closed), (violation.code(), violation.code()));
        assert!(self.session.is_over());
        violation
    }

    /// Lets time go by with a tick each second.
    pub(crate) fn wait(&mut self, micros: i64) -> Vec<Output> {
        let mut out = Vec::new();
        let end = self.now + micros;
        while self.now + 1_000 * MS <= end {
            self.now += 1_000 * MS;
            out.extend(self.give(Input::Tick));
        }
        self.now = end;
        out.extend(self.give(Input::Wake));
        out
    }

    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.session.poll()).collect()
    }
}

fn wants(out: &[Output]) -> Vec<(JournalId, u64, u64)> {
    let wants = out.iter().filter_map(|output| match output {
        Output::Send(Frame::Want { journal, from, to }) => Some((*journal, *from, *to)),
        _ => None,
    });
    wants.collect()
}

fn ticket(out: &[Output]) -> u64 {
    let ticket = out.iter().find_map(|output| match output {
        Output::Ingest { ticket, .. } => Some(*ticket),
        _ => None,
    });
    ticket.expect("a batch goes to the store")
}

pub(crate) fn sent(out: &[Output], frame: &Frame) -> bool {
    out.contains(&Output::Send(frame.clone()))
}

#[test]
fn a_peer_of_another_store_or_of_no_common_version_is_turned_away() {
    let mut desk = Desk::new(config(&Claims::default()));
    desk.open(Frontier::default());
    let theirs = StoreId([5; 32]);
    let stranger = Hello { store: theirs, ..hello() };
    assert_eq!(desk.refuses(Frame::Hello(stranger)), Violation::OtherStore { theirs });

    let mut desk = Desk::new(config(&Claims::default()));
    desk.open(Frontier::default());
    let newer = Hello { version_min: 3, version_max: 4, ..hello() };
    assert_eq!(desk.refuses(Frame::Hello(newer)), Violation::Version { min: 3, max: 4 });
}

/// F41: an older build does not know the frames that hold others.
#[test]
fn frames_are_packed_for_those_who_read_that() {
    let id = journal(7, Lane::Books);
    let entries = chain(id, 7, &[4_000]);
    let batch = Frame::Batch { journal: id, entries: vec![entries[0].encode().into()] };
    for (version_max, packs) in [(1, false), (2, true), (3, true)] {
        let mut desk = Desk::new(config(&Claims::default()));
        desk.open(Frontier::default());
        assert_eq!(desk.session.encode(&batch), batch.encode(), "nobody greeted yet");
        desk.frame(Frame::Hello(Hello { version_max, ..hello() }));
        let (sent, whole) = (desk.session.encode(&batch), batch.encode());
        assert_eq!((sent.len() < whole.len(), sent == whole), (packs, !packs), "up to version {version_max}");
        assert_eq!(Frame::decode(&sent[4..]), Ok(Some(batch.clone())));
    }
}

/// F41: the whole matrix of what a peer may speak, against the versions of this build. Both sides decide alike, so that a
/// pair either talks or parts at the greeting.
#[test]
fn versions_are_agreed_on_at_the_greeting_and_every_pair_that_has_one_in_common_talks() {
    for min in 0..=4 {
        for max in min..=4 {
            let mut desk = Desk::new(config(&Claims::default()));
            let opened = desk.open(Frontier::default());
            let greeted = |out: &Output| match out {
                Output::Send(Frame::Hello(hello)) => Some((hello.version_min, hello.version_max)),
                _ => None,
            };
            let (ours_min, ours_max) = opened.iter().find_map(greeted).unwrap();
            let theirs = Frame::Hello(Hello { version_min: min, version_max: max, ..hello() });
            if min <= ours_max && max >= ours_min {
                desk.frame(theirs);
                desk.frame(Frame::Root { root: Hash([3; 32]), members: Hash::default() });
                assert!(desk.session.is_settled(), "{min} to {max}");
            } else {
                assert_eq!(desk.refuses(theirs), Violation::Version { min, max });
            }
        }
    }
}

#[test]
fn nothing_is_taken_before_the_greeting_and_no_second_one() {
    let id = journal(1, Lane::Books);
    for frame in [
        Frame::Want { journal: id, from: 1, to: 1 },
        Frame::Batch { journal: id, entries: encoded(&chain(id, 1, &[5])) },
        Frame::Statements(vec![]),
        lines(Frontier::default()),
        Frame::Root { root: Hash::ZERO, members: Hash::ZERO },
    ] {
        let mut desk = Desk::new(config(&Claims::default()));
        desk.open(Frontier::default());
        let expected = Violation::OutOfState { frame: frame.name() };
        assert_eq!(desk.refuses(frame), expected);
    }
    let mut desk = Desk::settled(config(&Claims::default()), Frontier::default());
    assert_eq!(desk.refuses(Frame::Hello(hello())), Violation::OutOfState { frame: "hello" });
    assert_eq!(desk.wait(60_000 * MS), [], "after the end there is silence");
}

#[test]
fn whoever_does_not_greet_is_left() {
    let mut desk = Desk::new(config(&Claims::default()));
    desk.open(Frontier::default());
    let out = desk.wait(10_000 * MS);
    assert!(matches!(out.last(), Some(Output::Close { code: Code::OutOfState, .. })), "{out:?}");
}

#[test]
fn headquarters_is_refused_the_floor_whatever_it_asks_for() {
    let (books, floor) = (journal(1, Lane::Books), journal(1, Lane::Floor));
    let ours = || {
        let held = [books, floor].map(|id| (id, head(&chain(id, 1, &[5])[0])));
        frontier(&held)
    };
    let hq = || Desk::settled(Config { headquarters: true, ..config(&Claims::default()) }, ours());
    assert_eq!(hq().refuses(Frame::Want { journal: floor, from: 1, to: 1 }), Violation::Lane);
    let entries = encoded(&chain(floor, 1, &[5]));
    assert_eq!(hq().refuses(Frame::Batch { journal: floor, entries }), Violation::Lane);
    assert_eq!(hq().refuses(lines(frontier(&[(floor, Head { seq: 9, hash: Hash::ZERO })]))), Violation::Lane);
    let out = hq().frame(Frame::WantLines);
    let whole = Lines { whole: true, more: false, root: None, lines: ours().of_lanes(&[Lane::Books]) };
    let root = Some(whole.lines.root());
    assert!(sent(&out, &Frame::Lines(Lines { root, ..whole })), "{out:?}");
}

#[test]
fn a_lack_is_asked_for_once_and_of_another_peer_when_the_first_is_late() {
    let (claims, id) = (Claims::default(), journal(1, Lane::Books));
    let told = || lines(frontier(&[(id, Head { seq: 3, hash: Hash([3; 32]) })]));
    let mut one = Desk::settled(config(&claims), Frontier::default());
    let mut other = Desk::settled(config(&claims), Frontier::default());
    one.frame(told());
    other.frame(told());
    assert_eq!(wants(&one.wait(20 * MS)), [(id, 1, 3)]);
    assert_eq!(wants(&other.wait(900 * MS)), [], "the first one is at it");
    assert_eq!(wants(&one.wait(2_500 * MS)), [], "not again at once of the one that is late");
    assert_eq!(one.session.counters().wants_late, 1);
    assert_eq!(wants(&other.wait(3_000 * MS)), [(id, 1, 3)]);
}

#[test]
fn a_session_that_ends_gives_its_claims_back() {
    let (claims, id) = (Claims::default(), journal(1, Lane::Books));
    let told = || lines(frontier(&[(id, Head { seq: 3, hash: Hash([3; 32]) })]));
    let mut one = Desk::settled(config(&claims), Frontier::default());
    one.frame(told());
    assert_eq!(wants(&one.wait(20 * MS)), [(id, 1, 3)]);
    drop(one);
    let mut other = Desk::settled(config(&claims), Frontier::default());
    other.frame(told());
    assert_eq!(wants(&other.wait(20 * MS)), [(id, 1, 3)]);
}

#[test]
fn patience_is_a_second_while_the_hub_lives_and_short_otherwise() {
    let id = journal(1, Lane::Books);
    let told = || lines(frontier(&[(id, Head { seq: 1, hash: Hash([3; 32]) })]));
    let mut desk = Desk::settled(config(&Claims::default()), Frontier::default());
    desk.give(Input::Hub { alive: true });
    let out = desk.frame(told());
    assert!(out.contains(&Output::WakeAt(UnixMicros(1_000 * MS))), "{out:?}");
    assert_eq!(wants(&desk.wait(900 * MS)), []);
    desk.now += 1;
    assert_eq!(wants(&desk.give(Input::Hub { alive: false })), [(id, 1, 1)], "the hub died: now");

    let mut hub_link =
        Desk::settled(Config { push: true, ..config(&Claims::default()) }, Frontier::default());
    hub_link.give(Input::Hub { alive: true });
    hub_link.frame(told());
    assert_eq!(wants(&hub_link.wait(20 * MS)), [(id, 1, 1)], "here a push would have come before");
}

#[test]
fn what_came_is_acknowledged_when_it_is_durable_and_not_before() {
    let id = journal(1, Lane::Books);
    let entries = chain(id, 1, &[5, 5, 5]);
    let mut desk = Desk::settled(config(&Claims::default()), Frontier::default());
    let out = desk.frame(Frame::Batch { journal: id, entries: encoded(&entries) });
    assert!(!out.iter().any(|output| matches!(output, Output::Send(_))), "{out:?}");
    let ticket = ticket(&out);
    let out = desk.give(Input::Ingested { ticket, outcome: Outcome::Held(head(&entries[2])) });
    let ack = lines(frontier(&[(id, head(&entries[2]))]));
    assert!(sent(&out, &ack), "{out:?}");
    let out = desk.frame(Frame::Batch { journal: id, entries: encoded(&entries) });
    assert_eq!(out, [Output::Send(ack)], "what is here already is acknowledged, not saved again");
}

#[test]
fn a_bad_batch_frees_the_journal_for_others_and_too_many_end_the_session() {
    let (claims, id) = (Claims::default(), journal(1, Lane::Books));
    let told = || lines(frontier(&[(id, Head { seq: 3, hash: Hash([3; 32]) })]));
    let bad = Frame::Batch { journal: id, entries: encoded(&chain(id, 2, &[5, 5, 5])) };
    let mut liar = Desk::settled(config(&claims), Frontier::default());
    let mut honest = Desk::settled(config(&claims), Frontier::default());
    liar.frame(told());
    liar.wait(20 * MS);
    let ticket = ticket(&liar.frame(bad));
    let outcome = Outcome::Bad(BatchError::Signature { seq: 3 });
    assert_eq!(wants(&liar.give(Input::Ingested { ticket, outcome })), []);
    honest.frame(told());
    assert_eq!(wants(&honest.wait(20 * MS)), [(id, 1, 3)], "another one is asked at once");

    let rubbish = || Frame::Batch { journal: id, entries: vec![vec![0xff; 9].into()] };
    let mut liar = Desk::settled(config(&claims), Frontier::default());
    for _ in 0..7 {
        liar.frame(rubbish());
    }
    assert_eq!(liar.refuses(rubbish()), Violation::BadBatches { count: 8 });
}

#[test]
fn an_unknown_author_is_asked_about_and_then_its_entries_again() {
    let id = journal(1, Lane::Books);
    let entries = chain(id, 1, &[5]);
    let mut desk = Desk::settled(config(&Claims::default()), Frontier::default());
    desk.frame(lines(frontier(&[(id, head(&entries[0]))])));
    desk.wait(20 * MS);
    let ticket = ticket(&desk.frame(Frame::Batch { journal: id, entries: encoded(&entries) }));
    let out = desk.give(Input::Ingested { ticket, outcome: Outcome::UnknownAuthor });
    assert!(sent(&out, &Frame::WantStatements), "{out:?}");
    let out = desk.give(Input::Roster(Arc::new(Roster { root: Hash([8; 32]), statements: vec![] })));
    assert_eq!(wants(&out), [(id, 1, 1)], "statements came: at once again");
}

#[test]
fn a_place_where_entries_differ_is_asked_for_once() {
    let id = journal(1, Lane::Books);
    let (ours, theirs) = (chain(id, 1, &[5, 5]), chain(id, 1, &[5, 6, 7]));
    let mut desk = Desk::settled(config(&Claims::default()), frontier(&[(id, head(&ours[1]))]));
    let told = || lines(frontier(&[(id, head(&theirs[1]))]));
    assert_eq!(wants(&desk.frame(told())), [(id, 2, 2)], "equal numbers, different heads");
    assert_eq!(wants(&desk.frame(told())), []);

    let mut desk = Desk::settled(config(&Claims::default()), frontier(&[(id, head(&ours[1]))]));
    desk.frame(lines(frontier(&[(id, head(&theirs[2]))])));
    assert_eq!(wants(&desk.wait(20 * MS)), [(id, 3, 3)]);
    let ticket_of = |out: Vec<Output>| ticket(&out);
    let ticket = ticket_of(desk.frame(Frame::Batch { journal: id, entries: encoded(&theirs[2..]) }));
    let out = desk.give(Input::Ingested { ticket, outcome: Outcome::Diverges { seq: 2 } });
    assert_eq!(wants(&out), [(id, 2, 2)]);
    let ticket = ticket_of(desk.frame(Frame::Batch { journal: id, entries: encoded(&theirs[1..2]) }));
    desk.give(Input::Ingested { ticket, outcome: Outcome::Closed });
    assert_eq!(wants(&desk.wait(60_000 * MS)), [], "a closed journal is not asked for");
}

#[test]
fn what_is_on_its_way_without_an_acknowledgement_stays_within_the_window() {
    let id = journal(1, Lane::Books);
    let entries = chain(id, 1, &[3_000; 400]);
    let mut desk = Desk::settled(config(&Claims::default()), frontier(&[(id, head(&entries[399]))]));
    let (mut bytes, mut last) = (0, 0);
    let mut out = desk.frame(Frame::Want { journal: id, from: 1, to: 400 });
    while let Some(Output::Load { from, to, bytes_max, .. }) =
        out.iter().find(|output| matches!(output, Output::Load { .. })).cloned()
    {
        let count = (bytes_max / entries[0].encode().len()).max(1);
        let range = usize::try_from(from).unwrap() - 1..usize::try_from(to).unwrap();
        let some: Vec<Entry> = entries[range].iter().take(count).cloned().collect();
        out = desk.give(Input::Loaded { journal: id, from, entries: encoded(&some) });
        for output in &out {
            if let Output::Send(Frame::Batch { entries, .. }) = output {
                bytes += entries.iter().map(|entry| entry.len()).sum::<usize>();
                last += entries.len();
                assert!(entries.iter().map(|entry| entry.len()).sum::<usize>() <= PAYLOAD_BYTES_MAX);
            }
        }
    }
    assert!((400_000..=512 * 1024).contains(&bytes), "{bytes}");
    let out = desk.frame(lines(frontier(&[(id, head(&entries[last - 1]))])));
    let goes_on =
        |o: &Output| matches!(o, Output::Load { from, .. } if usize::try_from(*from).unwrap() == last + 1);
    assert!(out.iter().any(goes_on), "{out:?}");
}

#[test]
fn whoever_asks_for_too_much_at_once_is_left() {
    let ids: Vec<JournalId> =
        (0..70).map(|run| JournalId { run: Run(run), ..journal(1, Lane::Books) }).collect();
    let held: Vec<_> = ids.iter().map(|id| (*id, Head { seq: 5, hash: Hash([5; 32]) })).collect();
    let mut desk = Desk::settled(config(&Claims::default()), frontier(&held));
    for id in &ids[..64] {
        desk.frame(Frame::Want { journal: *id, from: 1, to: 5 });
    }
    let violation = desk.refuses(Frame::Want { journal: ids[64], from: 1, to: 5 });
    assert!(matches!(violation, Violation::TooMuch { .. }));

    let id = journal(1, Lane::Books);
    let mut desk = Desk::settled(config(&Claims::default()), Frontier::default());
    let big = encoded(&chain(id, 1, &[50_000]));
    let flood = || Frame::Batch { journal: id, entries: big.clone() };
    for _ in 0..83 {
        desk.frame(flood());
    }
    assert!(
        matches!(desk.refuses(flood()), Violation::TooMuch { .. }),
        "about 4 MiB at the store are enough"
    );
}

#[test]
fn pieces_of_an_entry_come_in_order_or_the_session_ends() {
    let id = journal(1, Lane::Books);
    let whole = chain(id, 1, &[150_000])[0].encode();
    let piece = |from: usize, to: usize| {
        let small = |bytes: usize| u32::try_from(bytes).unwrap();
        let (offset, total) = (small(from), small(whole.len()));
        Frame::Fragment(Fragment { journal: id, seq: 1, offset, total, bytes: whole[from..to].to_vec() })
    };
    let (third, two) = (50_000, 100_000);
    let mut desk = Desk::settled(config(&Claims::default()), Frontier::default());
    desk.frame(piece(0, third));
    desk.frame(piece(0, third));
    desk.frame(piece(third, two));
    let out = desk.frame(piece(two, whole.len()));
    assert_eq!(ticket(&out), 1, "a first piece starts over");
    desk.frame(piece(0, third));
    assert_eq!(desk.refuses(piece(two, whole.len())), Violation::OutOfState { frame: "fragment" });
}

#[test]
fn a_root_that_does_not_fit_is_answered_by_asking_for_all_lines() {
    let id = journal(1, Lane::Books);
    let told = frontier(&[(id, Head { seq: 1, hash: Hash([3; 32]) })]);
    let mut desk = Desk::settled(config(&Claims::default()), Frontier::default());
    let whole = Lines { whole: true, more: false, root: Some(told.root()), lines: told.clone() };
    let out = desk.frame(Frame::Lines(whole.clone()));
    assert!(out.contains(&Output::PeerHolds(told.clone())) && !sent(&out, &Frame::WantLines), "{out:?}");
    let root = |root: Hash| Frame::Root { root, members: Hash::default() };
    assert_eq!(desk.frame(root(told.root())), []);
    let out = desk.frame(root(Hash([4; 32])));
    assert!(sent(&out, &Frame::WantLines), "{out:?}");
    assert_eq!(desk.frame(root(Hash([4; 32]))), [], "asked already");
    assert!(!sent(&desk.frame(Frame::Lines(whole)), &Frame::WantLines));
    assert_eq!(desk.session.peer_frontier(), told);
}

#[test]
fn a_journal_that_ends_before_what_was_told_is_told_anew() {
    let id = journal(1, Lane::Books);
    let at = |seq| frontier(&[(id, Head { seq, hash: Hash([3; 32]) })]);
    let mut desk = Desk::settled(config(&Claims::default()), at(5));
    let out = desk.give(Input::Frontier(Arc::new(at(3))));
    let shorter = Lines { whole: true, more: false, root: Some(at(3).root()), lines: at(3) };
    assert!(sent(&out, &Frame::Lines(shorter)), "{out:?}");
}

#[test]
fn a_frontier_of_many_lines_is_told_in_several_frames() {
    let many: Frontier = (0..2_000)
        .map(|run| {
            (JournalId { run: Run(run), ..journal(1, Lane::Books) }, Head { seq: 1, hash: Hash([9; 32]) })
        })
        .collect();
    let mut one = Desk::new(config(&Claims::default()));
    one.open(many.clone());
    one.frame(Frame::Hello(hello()));
    let told = one.frame(Frame::Root { root: Hash([3; 32]), members: Hash::default() });
    let frames: Vec<Frame> =
        told.into_iter().filter_map(|o| if let Output::Send(f) = o { Some(f) } else { None }).collect();
    assert_eq!(frames.len(), 4);
    let mut other = Desk::settled(config(&Claims::default()), Frontier::default());
    for frame in frames {
        let bytes = frame.encode();
        let again = Frame::decode(&bytes[4..]).unwrap().unwrap();
        assert!(!sent(&other.frame(again), &Frame::WantLines));
    }
    assert_eq!(other.session.peer_frontier(), many);
}

#[test]
fn news_is_pushed_on_a_hub_link_and_announced_where_no_hub_lives() {
    let id = journal(1, Lane::Books);
    let entries = chain(id, 1, &[5, 5]);
    let fresh: Arc<[_]> = entries
        .iter()
        .map(|entry| toko_mesh::proto::session::Fresh {
            journal: id,
            seq: entry.seq(),
            bytes: entry.encode().into(),
        })
        .collect();
    let news = || Input::News { delta: Arc::new(frontier(&[(id, head(&entries[1]))])), fresh: fresh.clone() };
    let batch = Frame::Batch { journal: id, entries: encoded(&entries) };

    let mut hub_link =
        Desk::settled(Config { push: true, ..config(&Claims::default()) }, Frontier::default());
    hub_link.give(Input::Hub { alive: true });
    assert_eq!(hub_link.give(news()), [Output::Send(batch)]);
    assert_eq!(hub_link.give(news()), [], "nothing is sent twice");

    let mut link = Desk::settled(config(&Claims::default()), Frontier::default());
    assert_eq!(link.give(news()), [Output::Send(lines(frontier(&[(id, head(&entries[1]))])))]);
    let mut link = Desk::settled(config(&Claims::default()), Frontier::default());
    link.give(Input::Hub { alive: true });
    assert_eq!(link.give(news()), [], "the hub carries it; the tick tells");
    let told = link.wait(1_000 * MS);
    assert!(matches!(&told[0], Output::Send(Frame::Lines(Lines { root: Some(_), .. }))), "{told:?}");
}

#[test]
fn what_comes_while_the_store_is_busy_goes_there_as_one_batch() {
    let id = journal(1, Lane::Books);
    let entries = chain(id, 1, &[5; 9]);
    let mut desk = Desk::settled(config(&Claims::default()), Frontier::default());
    let batch =
        |range: std::ops::Range<usize>| Frame::Batch { journal: id, entries: encoded(&entries[range]) };
    let first = ticket(&desk.frame(batch(0..3)));
    assert_eq!(desk.frame(batch(3..5)), []);
    assert_eq!(desk.frame(batch(5..9)), []);
    let out = desk.give(Input::Ingested { ticket: first, outcome: Outcome::Held(head(&entries[2])) });
    let rest = Output::Ingest { ticket: first + 1, journal: id, entries: entries[3..].to_vec() };
    assert!(out.contains(&rest), "{out:?}");
    assert_eq!(
        desk.frame(Frame::NoEntries { journal: id, from: 10 }),
        [],
        "what is on its way is not asked for"
    );
    let out = desk.give(Input::Ingested { ticket: first + 1, outcome: Outcome::Refused });
    assert_eq!(wants(&out), []);
    desk.frame(lines(frontier(&[(id, head(&entries[8]))])));
    assert_eq!(wants(&desk.wait(2_000 * MS)), [(id, 4, 9)], "from what is durable on, after a while");
}
