//! Blobs between two sessions that are played by hand: how one travels, and what comes of asking twice.

use crate::rules::{Desk, config};
use std::sync::Arc;
use toko_crdt::Hash;
use toko_crdt::frontier::Frontier;
use toko_mesh::proto::frame::{BlobPart, Code};
use toko_mesh::proto::{Claims, Frame, Input, Output};

const MS: i64 = 1_000;

#[test]
fn a_blob_travels_part_by_part_and_a_missing_one_is_said_to_be() {
    let blob: Arc<[u8]> = (0..300_000_u32).map(|i| i.to_le_bytes()[i as usize % 3]).collect();
    let hash = Hash([6; 32]);
    let mut asks = Desk::settled(config(&Claims::default()), Frontier::default());
    let mut serves = Desk::settled(config(&Claims::default()), Frontier::default());
    let mut got = Vec::new();
    let mut to_serve = asks.give(Input::FetchBlob { hash, offset: 0 });
    while !to_serve.is_empty() {
        let mut to_ask = Vec::new();
        for output in std::mem::take(&mut to_serve) {
            match output {
                Output::Send(frame) => to_ask.extend(serves.frame(frame)),
                Output::BlobPart { offset, bytes, .. } => {
                    assert_eq!(offset, got.len() as u64);
                    got.extend_from_slice(&bytes);
                }
                other => panic!("{other:?}"),
            }
        }
        for output in to_ask {
            let Output::LoadBlob { offset, bytes_max, .. } = output else { panic!("{output:?}") };
            let from = usize::try_from(offset).unwrap();
            let bytes = blob[from..blob.len().min(from + bytes_max)].into();
            let slice = Some((blob.len() as u64, bytes));
            for output in serves.give(Input::BlobLoaded { hash, offset, slice }) {
                if let Output::Send(frame) = output {
                    to_serve.extend(asks.frame(frame));
                }
            }
        }
    }
    assert_eq!(got, &blob[..]);

    asks.give(Input::FetchBlob { hash, offset: 0 });
    assert_eq!(asks.frame(Frame::NoBlob { hash }), [Output::BlobMissing { hash }]);
    asks.give(Input::FetchBlob { hash, offset: 0 });
    assert!(asks.wait(6_000 * MS).contains(&Output::BlobMissing { hash }), "it does not answer");
    let stray = BlobPart { hash, offset: 0, total: 9, bytes: vec![1; 9].into() };
    assert_eq!(asks.frame(Frame::BlobPart(stray)), [], "nobody asked");
}

#[test]
fn a_blob_that_is_wanted_twice_is_asked_for_once_and_given_up_once() {
    let [one, other, waits] = [6, 7, 8].map(|n| Hash([n; 32]));
    let mut asks = Desk::settled(config(&Claims::default()), Frontier::default());
    let mut asked = Vec::new();
    // Two at once are fetched; the third waits for one of them to end.
    for hash in [one, other, waits] {
        for _ in 0..2 {
            asked.extend(asks.give(Input::FetchBlob { hash, offset: 0 }));
        }
    }
    let want = |hash| Output::Send(Frame::WantBlob { hash, offset: 0 });
    assert_eq!(asked, [want(one), want(other)]);
    let part = BlobPart { hash: one, offset: 0, total: 9, bytes: vec![1; 4].into() };
    assert!(matches!(&asks.frame(Frame::BlobPart(part))[..], [Output::BlobPart { .. }]));
    assert_eq!(asks.give(Input::FetchBlob { hash: one, offset: 0 }), [], "some of it is here");
    let part = BlobPart { hash: one, offset: 4, total: 9, bytes: vec![1; 5].into() };
    assert!(
        matches!(&asks.frame(Frame::BlobPart(part))[..], [Output::BlobPart { .. }, next] if *next == want(waits))
    );

    // The link ends with two under way, each wanted by two.
    let over = asks.give(Input::Close { code: Code::Stopping, reason: "the shop closes".into() });
    let missing = over.iter().filter(|output| matches!(output, Output::BlobMissing { .. }));
    let given_up: Vec<&Output> = missing.collect();
    assert_eq!(given_up, [other, waits].map(|hash| Output::BlobMissing { hash }).iter().collect::<Vec<_>>());
}
