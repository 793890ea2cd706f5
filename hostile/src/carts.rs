//! Changes of a cart: Automerge sees only what is small, uncompressed and counted, and every order gives the same cart.

use ring::digest;
use toko_crdt::cart::{Actor, Cart, Took, change_head};
use toko_crdt::clock::Hlc;
use toko_crdt::ids::{CartId, LineId, Run, StepId};
use toko_crdt::stock::Milli;

use super::cut::{Cut, piece};
use super::shop::shop;

/// How many changes one input makes at most.
const CHANGES_MAX: usize = 12;

/// *Input*: for each change whether its checksum and length are made good, and its bytes.
pub(super) fn carts(bytes: &[u8]) {
    let (mut cut, mut changes) = (Cut(bytes), Vec::new());
    while !cut.is_empty() && changes.len() < CHANGES_MAX {
        let raw = cut.byte() & 1 == 1;
        let content = cut.piece();
        changes.push(if raw { content.to_vec() } else { sealed(content) });
    }
    let actor = Actor::of(&shop().key(1).node(), Run(1_000));
    // The book lets no change in that names another writer than its entry's, so nobody writes as this run.
    changes.retain(|change| !change_head(change).is_ok_and(|head| head.actor == actor));
    let open = |changes: &[Vec<u8>]| Cart::open(CartId([2; 16]), actor, changes).expect("a few changes open");
    let here = open(&changes);
    changes.reverse();
    let there = open(&changes);
    assert_eq!(
        (here.lines(), here.heads()),
        (there.lines(), there.heads()),
        "another order gave another cart"
    );
    let mut late = open(&[]);
    for change in &changes {
        match late.apply(change) {
            Ok(Took::Known | Took::Visible | Took::Held | Took::Refused) => {
                assert!(change_head(change).is_ok(), "what is no raw change was taken");
            }
            Err(error) => assert!(change_head(change).is_err(), "a raw change was not taken: {error}"),
        }
    }
    assert_eq!(here.lines(), late.lines(), "one by one gave another cart");
    assert_eq!(here.headers().collect::<Vec<_>>(), late.headers().collect::<Vec<_>>());
    // Whatever came, this till can go on with the cart. Its ids are drawn, so nobody has written them before.
    let drawn = digest::digest(&digest::SHA256, bytes);
    let [line, step] = [0, 16].map(|at| {
        let mut id = [0; 16];
        id.copy_from_slice(&drawn.as_ref()[at..at + 16]);
        id
    });
    let (line, step) = (LineId(line), StepId(step));
    let added = late.add_line(line, Hlc { micros: 9, tick: 0 }, b"a tin", step, Milli(1_000));
    let change = added.expect("a line is added").expect("the line is new");
    assert!(late.lines().iter().any(|known| known.line == line));
    changes.push(change);
    assert_eq!(open(&changes).lines(), late.lines(), "what this till wrote is read by others");
}

/// A change as Automerge writes it: magic, checksum, kind, length, content.
fn sealed(content: &[u8]) -> Vec<u8> {
    let mut chunk = vec![1];
    let mut length = content.len();
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or(0);
        length >>= 7;
        chunk.push(if length == 0 { low } else { low | 0x80 });
        if length == 0 {
            break;
        }
    }
    chunk.extend_from_slice(content);
    let checksum = digest::digest(&digest::SHA256, &chunk);
    [&[0x85, 0x6f, 0x4a, 0x83], &checksum.as_ref()[..4], &chunk].concat()
}

/// The content of an honest change.
fn content(change: &[u8]) -> &[u8] {
    let long = change[9..].iter().take_while(|byte| **byte & 0x80 != 0).count();
    &change[10 + long..]
}

pub(super) fn carts_seeds() -> Vec<Vec<u8>> {
    let open = |run| {
        let none: [Vec<u8>; 0] = [];
        Cart::open(CartId([2; 16]), Actor::of(&shop().key(1).node(), Run(run)), none)
            .expect("an empty cart opens")
    };
    let (mut one, mut other) = (open(1), open(2));
    let at = Hlc { micros: 5, tick: 1 };
    let (line, step) = (LineId([3; 16]), StepId([4; 16]));
    let mut made = Vec::new();
    made.extend(one.add_line(line, at, b"a tin", step, Milli(1_000)));
    made.extend(one.step(line, StepId([5; 16]), Milli(-500)));
    for change in made.iter().flatten() {
        other.apply(change).expect("an honest change");
    }
    made.extend(other.step(line, StepId([6; 16]), Milli(2_500)));
    made.extend(one.set("note", b"the lady with the dog"));
    made.extend(other.set("note", b"gone"));
    made.extend(other.remove(line));
    made.extend(one.remove(line));
    let made: Vec<Vec<u8>> = made.into_iter().flatten().collect();
    let as_input = |change: &Vec<u8>| [&[0][..], &piece(content(change))].concat();
    let mut out: Vec<Vec<u8>> = made.iter().map(as_input).collect();
    out.push(made.iter().map(as_input).collect::<Vec<_>>().concat());
    out.push(made.iter().take(3).flat_map(|change| [&[1][..], &piece(change)].concat()).collect());
    out
}
