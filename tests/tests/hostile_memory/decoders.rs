//! One frame or entry, decoded: what that takes while it lasts.
//!
//! Absent: frontiers, statements, ops and catalogues, whose lists take memory for what they announce; lengths of the input bound it.

use std::net::SocketAddr;
use std::sync::Arc;

use toko_crdt::body::Body;
use toko_crdt::clock::Hlc;
use toko_crdt::codec;
use toko_crdt::entry::{Draft, Entry};
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::hash::Hash;
use toko_crdt::ids::{JournalId, Lane, NodeId, Run, StoreId};
use toko_crdt::sign::SecretKey;
use toko_mesh::proto::Frame;
use toko_mesh::proto::frame::{ITEMS_MAX, LINES_MAX, Lines, PEERS_MAX, PeerAddrs, VERSION};

use super::{Count, allowed, say};

/// What one input may take besides four times its size: a frame's worth.
const ALLOWANCE: usize = 64 * 1024;

fn line(at: u64) -> (JournalId, Head) {
    let mut node = [0; 32];
    node[..8].copy_from_slice(&at.to_be_bytes());
    (JournalId { node: NodeId(node), run: Run(1), lane: Lane::Books }, Head { seq: 1, hash: Hash([1; 32]) })
}

fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let frame = |frame: Frame| frame.encode().split_off(4);
    let raw = |kind: u8, body: &[u8]| [&[VERSION, kind], body].concat();
    let count = |count: u16| [&[251][..], &count.to_le_bytes()].concat();
    let journal = [&[0xaa; 32][..], &[1, 1]].concat();
    let lines: Frontier = (0..LINES_MAX as u64).map(line).collect();
    let addrs: Vec<SocketAddr> = (1..9).map(|port| ([10, 0, 0, 1], port).into()).collect();
    let peers = (0..PEERS_MAX as u64).map(|at| PeerAddrs { node: line(at).0.node, addrs: addrs.clone() });
    vec![
        ("a frame of sixty thousand empty items", raw(5, &[count(60_000), vec![0; 60_000]].concat())),
        (
            "a frame of thirty thousand tiny entries",
            raw(8, &[journal.clone(), count(30_000), [1, 9].repeat(30_000)].concat()),
        ),
        (
            "a frame that claims sixty thousand entries",
            raw(8, &[journal, count(60_000), vec![1, 9]].concat()),
        ),
        (
            "a frame that claims sixty thousand lines",
            raw(3, &[vec![0, 0, 0], count(60_000), vec![1; 80]].concat()),
        ),
        ("a frame of tiny statements", frame(Frame::Statements(vec![Arc::from([9; 4]); ITEMS_MAX]))),
        ("a frame of lines", frame(Frame::Lines(Lines { whole: true, more: false, root: None, lines }))),
        ("a frame of addresses", frame(Frame::Peers(peers.collect()))),
        (
            "a frame of one large entry",
            raw(8, &[vec![0xaa; 32], vec![1, 1, 1], count(60_000), vec![7; 60_000]].concat()),
        ),
    ]
}

#[test]
fn a_frame_takes_four_times_its_size() {
    let mut count = Count::begin();
    let frames = frames();
    for (what, bytes) in &frames {
        count.again();
        let decoded = Frame::decode(bytes);
        let (peak, held) = (count.peak(), count.held());
        drop(decoded);
        say(what, bytes.len(), peak, held);
        assert!(peak <= allowed(bytes.len(), ALLOWANCE), "{what}: {} bytes took {peak}", bytes.len());
    }
}

#[test]
fn an_entry_takes_four_times_its_size() {
    let mut count = Count::begin();
    let (store, key) = (StoreId([1; 32]), SecretKey::from_seed([2; 32]));
    let entry = |body: Vec<u8>| {
        let journal = JournalId { node: key.node(), run: Run(1), lane: Lane::Books };
        Draft { journal, seq: 1, prev: Hash::ZERO, at: Hlc::default(), saw: None, body }
            .sign(&store, &key)
            .encode()
    };
    let long = |length: u32| codec::encode(1, &length)[1..].to_vec();
    let full = vec![7; (1 << 20) - 64];
    type Decode<'a> = &'a dyn Fn(&[u8]);
    let as_entry: Decode<'_> = &|bytes| drop(Entry::decode(&store, bytes));
    let as_body: Decode<'_> = &|bytes| drop(Body::decode(&store, bytes));
    let inputs: [(&str, Vec<u8>, Decode<'_>); 3] = [
        ("an entry of a megabyte", entry([&[0x40, 1][..], &full].concat()), as_entry),
        ("the smallest entry", entry(vec![0x40]), as_entry),
        ("a carried entry of a megabyte", [&[2, 1][..], &long(1 << 20), &full].concat(), as_body),
    ];
    for (what, bytes, decode) in &inputs {
        count.again();
        decode(bytes);
        let peak = count.peak();
        say(what, bytes.len(), peak, count.held());
        assert!(peak <= allowed(bytes.len(), ALLOWANCE), "{what}: {} bytes took {peak}", bytes.len());
    }
}
