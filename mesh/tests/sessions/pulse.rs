//! The tick between two that know the pulse: roots, and lines only where the roots stay different.

use super::rules::{Desk, chain, config, frontier, head, journal, lines, sent};
use std::sync::Arc;
use toko_crdt::frontier::Frontier;
use toko_crdt::{Entry, Hash, Lane};
use toko_mesh::proto::frame::Lines;
use toko_mesh::proto::session::Fresh;
use toko_mesh::proto::{Claims, Config, Frame, Input, Outcome, Output};

const SECOND: i64 = 1_000_000;

fn pulse(root: Hash) -> Frame {
    Frame::Pulse { root, members: Hash::default() }
}

/// A session on a hub link whose peer has said a pulse, and holds nothing.
fn met() -> Desk {
    let mut desk = Desk::settled(Config { push: true, ..config(&Claims::default()) }, Frontier::default());
    desk.give(Input::Hub { alive: true });
    assert!(sent(&desk.wait(SECOND), &pulse(Frontier::default().root())), "said once, to whoever knows it");
    desk.frame(pulse(Frontier::default().root()));
    desk
}

fn news(entries: &[Entry]) -> Input {
    let heads: Vec<_> = entries.iter().map(|entry| (*entry.journal(), head(entry))).collect();
    Input::News { delta: Arc::new(frontier(&heads)), fresh: Arc::new([]) }
}

fn tells(out: &[Output]) -> bool {
    out.iter().any(|output| matches!(output, Output::Send(Frame::Lines(_) | Frame::Root { .. })))
}

#[test]
fn whoever_knows_no_pulse_is_told_as_ever() {
    let mut desk = Desk::settled(config(&Claims::default()), Frontier::default());
    desk.give(Input::Hub { alive: true });
    let root = Frame::Root { root: Frontier::default().root(), members: Hash::default() };
    assert!(sent(&desk.wait(SECOND), &root));
    let out = desk.wait(SECOND);
    assert_eq!(out, [Output::Send(root)], "the pulse that nobody answered is not said again");
}

#[test]
fn a_pulse_is_answered_at_once_and_the_tick_after_it_left_out() {
    let mut desk = met();
    let ours = pulse(Frontier::default().root());
    assert_eq!(desk.frame(ours.clone()), [], "we said ours a moment ago");
    desk.wait(SECOND * 8 / 10);
    assert_eq!(desk.frame(ours.clone()), [Output::Send(ours.clone())]);
    desk.wait(SECOND * 3 / 10);
    assert_eq!(desk.give(Input::Tick), [], "the answer was our word for this second");
    assert_eq!(desk.wait(SECOND), [Output::Send(ours)], "whoever hears nothing says it by itself");
}

#[test]
fn where_both_hold_the_same_no_line_is_told_and_both_know_it() {
    let mut desk = met();
    let entries = chain(journal(1, Lane::Books), 1, &[5, 5]);
    let ours = frontier(&[(journal(1, Lane::Books), head(&entries[1]))]);
    desk.give(news(&entries[1..]));
    assert_eq!(desk.wait(SECOND), [Output::Send(pulse(ours.root()))]);
    assert_eq!(desk.frame(pulse(ours.root())), [Output::PeerHolds(ours.clone())]);
    assert_eq!(desk.session.peer_frontier(), ours);
    assert_eq!(desk.frame(pulse(ours.root())), [], "and once is enough");
}

#[test]
fn lines_are_told_when_roots_differ_twice_and_all_of_them_with_the_root_each_fourth_time() {
    let mut desk = met();
    let id = journal(1, Lane::Books);
    let entry = &chain(id, 1, &[5])[0];
    let ours = frontier(&[(id, head(entry))]);
    desk.give(Input::Ingested { ticket: 99, outcome: Outcome::Refused });
    desk.give(Input::Hub { alive: true });
    desk.give(news(std::slice::from_ref(entry)));
    let other = pulse(Hash([7; 32]));
    assert!(!tells(&desk.frame(other.clone())), "it may be on its way");
    assert_eq!(desk.frame(other.clone()), [Output::Send(lines(ours.clone()))]);
    assert!(!tells(&desk.frame(other.clone())), "it was told");
    let root = Frame::Root { root: ours.root(), members: Hash::default() };
    assert_eq!(desk.frame(other), [Output::Send(root)], "what was misunderstood comes to light");
}

#[test]
fn an_author_hears_at_once_that_its_entry_is_safe_and_whoever_carries_it_by_and_by() {
    let comes = |desk: &mut Desk, entry: &Entry| {
        let id = *entry.journal();
        let out = desk.frame(Frame::Batch { journal: id, entries: vec![entry.encode().into()] });
        let ticket = out.iter().find_map(|output| match output {
            Output::Ingest { ticket, .. } => Some(*ticket),
            _ => None,
        });
        desk.give(Input::Ingested { ticket: ticket.unwrap(), outcome: Outcome::Held(head(entry)) })
    };
    let author = journal(3, Lane::Books);
    let mut of_author = Desk::settled(
        Config { peer: author.node, push: true, ..config(&Claims::default()) },
        Frontier::default(),
    );
    of_author.frame(pulse(Hash([7; 32])));
    let own = &chain(author, 3, &[5])[0];
    assert_eq!(comes(&mut of_author, own), [Output::Send(lines(frontier(&[(author, head(own))])))]);

    let mut carrier = met();
    let carried = chain(journal(1, Lane::Books), 1, &[5, 40_000]);
    assert!(!tells(&comes(&mut carrier, &carried[0])));
    let told = Lines {
        whole: false,
        more: false,
        root: None,
        lines: frontier(&[(*carried[1].journal(), head(&carried[1]))]),
    };
    assert!(sent(&comes(&mut carrier, &carried[1]), &Frame::Lines(told)), "before its window is full");
}

#[test]
fn what_a_hub_got_is_passed_on_before_it_is_durable_there_and_once() {
    let mut desk = met();
    let entries = chain(journal(1, Lane::Books), 1, &[5, 5]);
    let id = *entries[0].journal();
    let fresh = |entry: &Entry| Fresh { journal: id, seq: entry.seq(), bytes: entry.encode().into() };
    let batch = |entry: &Entry| Frame::Batch { journal: id, entries: vec![entry.encode().into()] };
    let came = |entry: &Entry| Input::Came(Arc::new([fresh(entry)]));
    assert_eq!(desk.give(came(&entries[1])), [], "not what the peer lacks next");
    assert_eq!(desk.give(came(&entries[0])), [Output::Send(batch(&entries[0]))]);
    assert_eq!(desk.give(came(&entries[0])), []);
    assert_eq!(desk.give(news(&entries[..1])), [], "nor again when it is durable");
    assert_eq!(desk.give(came(&entries[1])), [Output::Send(batch(&entries[1]))]);

    let mut no_hub_link = Desk::settled(config(&Claims::default()), Frontier::default());
    assert_eq!(no_hub_link.give(came(&entries[0])), []);
}
