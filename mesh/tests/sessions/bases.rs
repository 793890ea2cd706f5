//! What both ends of a link held at a seal, and leave unsaid: with the peer played by hand.

use crate::rules::{Desk, config, frontier, hello, journal, lines, sent};
use std::sync::Arc;
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::{Hash, Lane};
use toko_mesh::proto::frame::{Code, Lines};
use toko_mesh::proto::session::{Base, Roster};
use toko_mesh::proto::{Claims, Frame, Input, Output};

/// Lines 1 to 3 at a seal, and the seal.
fn sealed(seal: u8) -> Base {
    let line = |node| (journal(node, Lane::Books), Head { seq: 5, hash: Hash([node; 32]) });
    Base { seal: Hash([seal; 32]), frontier: Arc::new(frontier(&[line(1), line(2), line(3)])) }
}

#[test]
fn what_both_ends_had_at_a_seal_is_not_said() {
    let (old, new) = (sealed(8), sealed(9));
    let beyond = |seq| (journal(2, Lane::Books), Head { seq, hash: Hash([7; 32]) });
    let mut ours = Frontier::clone(&old.frontier);
    ours.apply(&frontier(&[beyond(6)]));
    let mut desk = Desk::new(config(&Claims::default()));
    let out = desk.open_on(ours, vec![new.clone(), old.clone()]);
    assert!(sent(&out, &Frame::Bases(vec![new.seal, old.seal])), "{out:?}");
    let root = |of: &Frontier| Frame::Root { root: of.root(), members: Roster::default().root };
    assert!(!desk.frame(Frame::Hello(hello())).iter().any(|o| matches!(o, Output::Send(Frame::Root { .. }))));
    let out = desk.frame(Frame::Bases(vec![Hash([1; 32]), old.seal]));
    assert!(sent(&out, &root(&frontier(&[beyond(6)]))), "only what moved is hashed: {out:?}");
    let shared = |o: &Output| matches!(o, Output::PeerStandsOn(base) if Arc::ptr_eq(base, &old.frontier));
    assert!(out.iter().any(shared), "one for all links: {out:?}");
    let out = desk.frame(root(&Frontier::default()));
    let whole =
        |lines: Frontier| Frame::Lines(Lines { whole: true, more: false, root: Some(lines.root()), lines });
    assert!(sent(&out, &whole(frontier(&[beyond(6)]))), "{out:?}");
    assert_eq!(desk.session.peer_frontier(), *old.frontier, "what is not said is held");
    let mut out = desk.frame(lines(frontier(&[beyond(8)])));
    out.extend(desk.wait(1_000_000));
    assert!(sent(&out, &Frame::Want { journal: beyond(0).0, from: 7, to: 8 }), "{out:?}");
    assert_eq!(desk.session.peer_frontier().head(&beyond(0).0), Some(&beyond(8).1));
}

#[test]
fn who_went_over_no_seal_of_ours_is_told_everything() {
    let base = sealed(9);
    for theirs in [None, Some(Frame::Bases(vec![Hash([1; 32])]))] {
        let mut desk = Desk::new(config(&Claims::default()));
        desk.open_on(Frontier::clone(&base.frontier), vec![base.clone()]);
        desk.frame(Frame::Hello(hello()));
        theirs.into_iter().for_each(|frame| drop(desk.frame(frame)));
        let out = desk.frame(Frame::Root { root: Hash([3; 32]), members: Hash::default() });
        let (lines, root) = (Frontier::clone(&base.frontier), Some(base.frontier.root()));
        assert!(sent(&out, &Frame::Lines(Lines { whole: true, more: false, root, lines })), "{out:?}");
    }
}

#[test]
fn a_seal_of_which_something_is_lost_again_is_not_built_on() {
    let base = sealed(9);
    let mut less = Frontier::clone(&base.frontier);
    less.remove(&journal(3, Lane::Books));
    let mut desk = Desk::new(config(&Claims::default()));
    let out = desk.open_on(less.clone(), vec![base.clone()]);
    assert!(!out.iter().any(|o| matches!(o, Output::Send(Frame::Bases(_)))), "{out:?}");
    let mut desk = Desk::new(config(&Claims::default()));
    desk.open_on(Frontier::clone(&base.frontier), vec![base.clone()]);
    desk.frame(Frame::Hello(hello()));
    desk.frame(Frame::Bases(vec![base.seal]));
    desk.frame(Frame::Root { root: Frontier::default().root(), members: Roster::default().root });
    let out = desk.give(Input::Frontier(Arc::new(less)));
    assert!(out.iter().any(|o| matches!(o, Output::Close { code: Code::Replaced, .. })), "{out:?}");
}
