//! Exact bytes of every frame, since a round trip cannot see a format change; and what is refused, however it is dressed.
//!
//! A test that fails here because bytes moved is right: a frame never changes, what changes becomes another kind.

use proptest::prelude::*;
use std::net::SocketAddr;
use std::sync::Arc;
use toko_crdt::entry::ENTRY_BYTES_MAX;
use toko_crdt::frontier::{Frontier, Head};
use toko_crdt::hash::{Hash, hex};
use toko_crdt::member::STATEMENT_BYTES_MAX;
use toko_crdt::{JournalId, Lane, NodeId, Run, StoreId};
use toko_mesh::proto::frame::{
    ADDRS_MAX, BlobPart, Code, FRAME_BYTES_MAX, Fragment, FrameError, Hello, ITEM_BYTES, ITEMS_MAX,
    LINES_MAX, Lanes, Lines, PAYLOAD_BYTES_MAX, PEERS_MAX, PeerAddrs, REASON_BYTES_MAX,
};
use toko_mesh::proto::{Frame, Reader};

fn journal(node: u8, lane: Lane) -> JournalId {
    JournalId { node: NodeId([node; 32]), run: Run(0x0102_0304_0506_0708), lane }
}

fn addrs() -> Vec<SocketAddr> {
    let six: [u16; 8] = [0xfd00, 0, 0, 0, 0, 0, 0, 0x20];
    vec![([192, 168, 7, 20], 7420).into(), (six, 443).into()]
}

/// Each kind of frame, with its bytes. Runs of equal bytes are written `xx*count`.
fn goldens() -> Vec<(Frame, &'static str)> {
    let (books, floor) = (journal(0xaa, Lane::Books), journal(0xbb, Lane::Floor));
    let head = |seq, hash| Head { seq, hash: Hash([hash; 32]) };
    let lines: Frontier = [(books, head(7, 0xc7)), (floor, head(70_000, 0xc8))].into_iter().collect();
    let bytes = |byte: u8, count: usize| Arc::<[u8]>::from(vec![byte; count]);
    vec![
        (
            Frame::Hello(Hello {
                version_min: 1,
                version_max: 1,
                store: StoreId([0x51; 32]),
                incarnation: 0x1122_3344_5566_7788,
                lanes: Lanes::All,
                push: false,
                addrs: addrs(),
            }),
            "4c00000001010101(51*32)fd887766554433221101000200c0a80714fbfc1c01fd(00*14)20fbbb01",
        ),
        (Frame::Root { root: Hash([0x12; 32]), members: Hash([0x13; 32]) }, "420000000102(12*32)(13*32)"),
        (Frame::Pulse { root: Hash([0x12; 32]), members: Hash([0x13; 32]) }, "420000000115(12*32)(13*32)"),
        (
            Frame::Lines(Lines { whole: true, more: false, root: Some(Hash([0x14; 32])), lines }),
            "c00000000103010001(14*32)02(aa*32)fd08070605040302010107(c7*32)(bb*32)fd080706050403020102fc70110100(c8*32)",
        ),
        (Frame::WantLines, "020000000104"),
        (Frame::Statements(vec![bytes(0x21, 3), bytes(0x22, 300)]), "3601000001050203212121fb2c01(22*300)"),
        (Frame::WantStatements, "020000000106"),
        (Frame::Want { journal: books, from: 1, to: 251 }, "300000000107(aa*32)fd08070605040302010101fbfb00"),
        (
            Frame::Batch { journal: floor, entries: vec![bytes(0x31, 2), bytes(0x32, 1)] },
            "320000000108(bb*32)fd080706050403020102020231310132",
        ),
        (
            Frame::Fragment(Fragment {
                journal: books,
                seq: 9,
                offset: 61_440,
                total: 61_443,
                bytes: vec![0x41; 3],
            }),
            "370000000109(aa*32)fd08070605040302010109fb00f0fb03f003414141",
        ),
        (Frame::NoEntries { journal: books, from: 4 }, "2d000000010a(aa*32)fd08070605040302010104"),
        (Frame::WantBlob { hash: Hash([0x61; 32]), offset: 122_880 }, "27000000010b(61*32)fc00e00100"),
        (
            Frame::BlobPart(BlobPart { hash: Hash([0x61; 32]), offset: 5, total: 8, bytes: bytes(0x62, 3) }),
            "28000000010c(61*32)050803626262",
        ),
        (Frame::NoBlob { hash: Hash([0x61; 32]) }, "22000000010d(61*32)"),
        (Frame::Sealed { seal: Hash([0x81; 32]), equal: true }, "230000000110(81*32)01"),
        (Frame::Pruned { journal: books, from: 4 }, "2d0000000111(aa*32)fd08070605040302010104"),
        (Frame::WantSnapshot { seal: Hash([0x81; 32]) }, "220000000112(81*32)"),
        (
            Frame::Snapshot { seal: Hash([0x81; 32]), manifest: Some(Hash([0x82; 32])) },
            "430000000113(81*32)01(82*32)",
        ),
        (Frame::Snapshot { seal: Hash([0x81; 32]), manifest: None }, "230000000113(81*32)00"),
        (
            Frame::Peers(vec![PeerAddrs { node: NodeId([0x71; 32]), addrs: addrs() }]),
            "40000000010e01(71*32)0200c0a80714fbfc1c01fd(00*14)20fbbb01",
        ),
        (Frame::Peers(vec![]), "03000000010e00"),
        (Frame::Bases(vec![Hash([0x81; 32]), Hash([0x83; 32])]), "43000000011402(81*32)(83*32)"),
        (Frame::Bye { code: Code::NoMember, reason: "revoked".into() }, "0b000000010f02077265766f6b6564"),
    ]
}

/// Hex, with runs of eight and more equal bytes cut short.
fn short_hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for run in bytes.chunk_by(|a, b| a == b) {
        match run.len() {
            0..8 => out.push_str(&hex(run)),
            count => out.push_str(&format!("({}*{count})", hex(&run[..1]))),
        }
    }
    out
}

#[test]
fn every_frame_has_the_bytes_that_it_always_had() {
    for (frame, golden) in goldens() {
        let bytes = frame.encode();
        assert_eq!(short_hex(&bytes), golden, "{}", frame.name());
        assert_eq!(Frame::decode(&bytes[4..]), Ok(Some(frame)));
    }
}

/// What was packed once is read for ever, whatever packs today.
#[test]
fn a_packed_frame_is_read_as_what_it_holds() {
    let entries = vec![vec![0x31; 2].into(), vec![0x32; 300].into()];
    let held = Frame::Batch { journal: journal(0xbb, Lane::Floor), entries };
    let lz4 = "3f0108bb01000cff03fd08070605040302010202023131fb2c01320100ff14503232323232";
    let lz4: Vec<u8> =
        (0..lz4.len()).step_by(2).map(|at| u8::from_str_radix(&lz4[at..at + 2], 16).unwrap()).collect();
    let pack = |bytes: u8, times: usize| {
        let (length, block) = ([bytes, 1, 0, 0], u32::try_from(lz4.len()).unwrap().to_le_bytes());
        let zeros = vec![0; (256 + usize::from(bytes)).div_ceil(times) - 8 - lz4.len()];
        [&[1, 22][..], &length, &block, &lz4, &zeros].concat()
    };
    let packed = pack(95, 2);
    assert_eq!(Frame::decode(&packed), Ok(Some(held.clone())));
    let refused = Err(FrameError::Malformed { kind: 22 });
    assert_eq!(Frame::decode(&packed[..packed.len() - 1]), refused, "more than twice of what came");
    assert_eq!(Frame::decode(&pack(94, 2)), refused, "another length than was said");
    let (mut longer, mut marked) = (packed.clone(), packed.clone());
    longer.extend_from_slice(&[0, 0]);
    *marked.last_mut().unwrap() = 1;
    assert_eq!(Frame::decode(&longer), Ok(Some(held.clone())), "zeros say nothing");
    assert_eq!(Frame::decode(&marked), refused, "no zeros behind it");

    let (mut reader, mut frames) = (Reader::default(), Vec::new());
    let length = u32::try_from(packed.len()).unwrap().to_le_bytes();
    let stream = [&length, packed.as_slice(), &Frame::WantLines.encode()].concat();
    for mut piece in stream.chunks(7) {
        while let Some(frame) = reader.read(&mut piece).unwrap() {
            frames.push(frame);
        }
    }
    assert_eq!(frames, [held, Frame::WantLines]);
}

/// A list of lines or statements stands in memory as much more than it travels as.
#[test]
fn only_what_holds_bytes_is_packed() {
    let statements = Frame::Statements(vec![vec![0x22; 3_000].into()]);
    assert_eq!(statements.encode_packed(), statements.encode());
    let batch = Frame::Batch { journal: journal(0xbb, Lane::Floor), entries: vec![vec![0x22; 3_000].into()] };
    let mut packed = batch.encode_packed();
    assert!(packed.len() < batch.encode().len());
    assert_eq!(packed[5], 22);
    // The kind of what is held is the second of the literals that the block begins with.
    let kind = packed.iter().skip(14).position(|byte| *byte == 8).unwrap() + 14;
    packed[kind] = 5;
    assert_eq!(Frame::decode(&packed[4..]), Err(FrameError::Malformed { kind: 22 }));
}

#[test]
fn a_stream_is_read_alike_in_whatever_pieces_it_comes() {
    let stream: Vec<u8> = goldens().iter().flat_map(|(frame, _)| frame.encode()).collect();
    for size in [1, 2, 3, 7, 64, 1_000, stream.len()] {
        let (mut reader, mut frames) = (Reader::default(), Vec::new());
        for mut piece in stream.chunks(size) {
            while let Some(frame) = reader.read(&mut piece).unwrap() {
                frames.push(frame);
            }
        }
        assert!(!reader.is_inside());
        assert!(frames.iter().eq(goldens().iter().map(|(frame, _)| frame)), "pieces of {size}");
    }
}

#[test]
fn the_largest_frames_fit_and_read_back() {
    let payload = PAYLOAD_BYTES_MAX - ITEM_BYTES;
    let line = |run| {
        let journal = JournalId { run: Run(u64::MAX - run), ..journal(0xff, Lane::Floor) };
        (journal, Head { seq: u64::MAX - 1, hash: Hash([0xff; 32]) })
    };
    let small = (PAYLOAD_BYTES_MAX / ITEMS_MAX) - ITEM_BYTES;
    let six: SocketAddr = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap();
    let one = |bytes: usize| vec![Arc::<[u8]>::from(vec![0xff; bytes])];
    let id = journal(0xff, Lane::Floor);
    let total = u32::try_from(ENTRY_BYTES_MAX).unwrap();
    let offset = total - u32::try_from(PAYLOAD_BYTES_MAX).unwrap();
    let frames = [
        Frame::Lines(Lines {
            whole: true,
            more: true,
            root: Some(Hash([0xff; 32])),
            lines: (0..LINES_MAX as u64).map(line).collect(),
        }),
        Frame::Batch { journal: id, entries: one(payload) },
        Frame::Batch { journal: id, entries: vec![vec![0xff; small].into(); ITEMS_MAX] },
        Frame::Statements(one(STATEMENT_BYTES_MAX)),
        Frame::Fragment(Fragment {
            journal: id,
            seq: u64::MAX,
            offset,
            total,
            bytes: vec![0xff; PAYLOAD_BYTES_MAX],
        }),
        Frame::BlobPart(BlobPart {
            hash: Hash([0xff; 32]),
            offset: u64::MAX - PAYLOAD_BYTES_MAX as u64,
            total: u64::MAX,
            bytes: vec![0xff; PAYLOAD_BYTES_MAX].into(),
        }),
        Frame::Peers(vec![PeerAddrs { node: NodeId([0xff; 32]), addrs: vec![six; ADDRS_MAX] }; PEERS_MAX]),
        Frame::Bye { code: Code::TooMuch, reason: "x".repeat(REASON_BYTES_MAX) },
    ];
    for frame in frames {
        let bytes = frame.encode();
        assert!(bytes.len() <= 4 + FRAME_BYTES_MAX, "{} has {} bytes", frame.name(), bytes.len());
        assert_eq!(Frame::decode(&bytes[4..]), Ok(Some(frame)));
    }
}

#[test]
fn a_length_is_checked_before_anything_is_read_or_kept() {
    for bytes in [0_u32, 1, 65_537, 0x7fff_ffff, u32::MAX] {
        let mut reader = Reader::default();
        let length = bytes.to_le_bytes();
        let error = reader.read(&mut length.as_slice()).unwrap_err();
        assert_eq!(error, FrameError::Length { bytes: usize::try_from(bytes).unwrap() });
    }
    assert!(matches!(Frame::decode(&[1]), Err(FrameError::Length { .. })));
    assert!(matches!(Frame::decode(&vec![1; FRAME_BYTES_MAX + 1]), Err(FrameError::Length { .. })));
}

#[test]
fn a_kind_from_a_newer_build_is_skipped_and_counted() {
    let mut newer = Frame::WantLines.encode();
    newer[5] = 200;
    let stream = [newer.clone(), newer, Frame::WantStatements.encode()].concat();
    let mut reader = Reader::default();
    assert_eq!(reader.read(&mut stream.as_slice()), Ok(Some(Frame::WantStatements)));
    assert_eq!(reader.skipped(), 2);
}

#[test]
fn another_version_and_bytes_left_over_are_refused() {
    for (frame, _) in goldens() {
        let bytes = frame.encode();
        let mut other = bytes[4..].to_vec();
        other[0] = 2;
        assert_eq!(Frame::decode(&other), Err(FrameError::Version { found: 2 }), "{}", frame.name());
        let more = [&bytes[4..], &[0]].concat();
        assert_eq!(
            Frame::decode(&more),
            Err(FrameError::Trailing { kind: bytes[5], left: 1 }),
            "{}",
            frame.name()
        );
        for end in 6..bytes.len() {
            assert!(Frame::decode(&bytes[4..end]).is_err(), "{} cut short at {end}", frame.name());
        }
    }
}

/// bincode's marks for numbers of 2, 4 and 8 bytes in front of a length.
fn long(length: u64) -> Vec<u8> {
    [&[253_u8][..], &length.to_le_bytes()].concat()
}

#[test]
fn lengths_that_ask_for_terabytes_ask_in_vain() {
    let id = [&[0xaa; 32][..], &[7, 1]].concat();
    for length in [1 << 20, 1 << 31, 1 << 40, 1 << 60, u64::MAX] {
        let bombs = [
            (1, [&[1, 1][..], &[0x51; 32], &[7, 1, 1], &long(length)].concat()),
            (3, [&[1, 0, 0][..], &long(length)].concat()),
            (5, long(length)),
            (5, [&[1][..], &long(length)].concat()),
            (8, [&id[..], &long(length)].concat()),
            (8, [&id[..], &[2], &long(length)].concat()),
            (9, [&id[..], &[1, 0, 9], &long(length)].concat()),
            (12, [&[0x61; 32][..], &[0, 9], &long(length)].concat()),
            (14, long(length)),
            (14, [&[1][..], &[0x71; 32], &long(length)].concat()),
            (15, [&[1][..], &long(length)].concat()),
        ];
        for (kind, body) in bombs {
            let frame = [&[1, kind][..], &body].concat();
            assert!(Frame::decode(&frame).is_err(), "kind {kind} with a length of {length}");
        }
    }
}

#[test]
fn counts_and_places_are_checked_after_decoding() {
    let id = journal(1, Lane::Books);
    let v1 = |kind: u8, body: &[u8]| Frame::decode(&[&[1, kind], body].concat());
    let want = |from: u8, to: u8| v1(7, &[&[0xaa; 32][..], &[7, 1, from, to]].concat());
    assert!(want(1, 1).is_ok());
    assert!(want(0, 1).is_err() && want(3, 2).is_err(), "numbers start at 1 and do not go back");
    assert!(v1(7, &[&[0xaa; 32][..], &[7, 9, 1, 1]].concat()).is_err(), "an unknown lane is no journal");
    assert!(v1(8, &[&[0xaa; 32][..], &[7, 1, 0]].concat()).is_err(), "a batch of nothing");
    assert!(v1(8, &[&[0xaa; 32][..], &[7, 1, 1, 0]].concat()).is_err(), "an entry of nothing");
    let line = |run: u8, seq: u8| [&[0xaa; 32][..], &[run, 1, seq], &[0xc7; 32]].concat();
    let lines = |a: &[u8], b: &[u8]| v1(3, &[&[0, 0, 0, 2][..], a, b].concat());
    assert!(lines(&line(1, 1), &line(2, 1)).is_ok());
    assert!(lines(&line(2, 1), &line(1, 1)).is_err(), "out of order");
    assert!(lines(&line(1, 1), &line(1, 1)).is_err(), "twice");
    assert!(lines(&line(1, 0), &line(2, 1)).is_err(), "a head without a number");
    let piece = |offset: u32, total: u32, bytes: usize| {
        let piece = Fragment { journal: id, seq: 1, offset, total, bytes: vec![1; bytes] };
        Frame::decode(&Frame::Fragment(piece).encode()[4..])
    };
    let entry_max = u32::try_from(ENTRY_BYTES_MAX).unwrap();
    assert!(piece(0, entry_max, 10).is_ok());
    assert!(piece(0, entry_max + 1, 10).is_err(), "larger than an entry may be");
    assert!(piece(8, 10, 3).is_err() && piece(u32::MAX, 10, 3).is_err(), "past its end");
    assert!(piece(0, 10, 0).is_err(), "a piece of nothing");
    let many = |count: usize| {
        v1(5, &[&[251][..], &u16::try_from(count).unwrap().to_le_bytes(), &[1, 9].repeat(count)].concat())
    };
    assert!(many(ITEMS_MAX).is_ok() && many(ITEMS_MAX + 1).is_err());
}

#[test]
fn words_of_a_peer_are_short_and_without_control_characters() {
    let reason = format!("a\u{1b}[2J\r\nb{}", "é".repeat(400));
    let bytes = Frame::Bye { code: Code::Stopping, reason }.encode();
    let Ok(Some(Frame::Bye { reason, .. })) = Frame::decode(&bytes[4..]) else {
        panic!("a goodbye reads back")
    };
    assert!(reason.starts_with("a[2Jbéé") && reason.len() <= REASON_BYTES_MAX, "{reason}");
    let raw = [&[1, 15, 251, 0xff, 0xee, 3][..], b"a\x1bb"].concat();
    let expected = Frame::Bye { code: Code::Other, reason: "ab".into() };
    assert_eq!(Frame::decode(&raw), Ok(Some(expected)), "a code from a newer build is some code");
}

proptest! {
    #[test]
    fn any_bytes_are_a_frame_or_an_error_and_never_a_panic(
        kind in 0_u8..18,
        body in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let bytes = [&[1, kind][..], &body].concat();
        if let Ok(Some(frame)) = Frame::decode(&bytes) {
            let again = frame.encode();
            prop_assert_eq!(Frame::decode(&again[4..]), Ok(Some(frame)), "what we take we can pass on");
        }
    }

    #[test]
    fn a_frame_with_some_bytes_changed_is_a_frame_or_an_error(
        which in 0_usize..15,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = goldens()[which].0.encode()[4..].to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = Frame::decode(&bytes);
    }

    #[test]
    fn any_stream_ends_in_frames_or_an_error(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90), 0..20)) {
        let mut reader = Reader::default();
        'stream: for piece in &pieces {
            let mut piece = piece.as_slice();
            loop {
                match reader.read(&mut piece) {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => break 'stream,
                }
            }
            prop_assert!(piece.is_empty());
        }
    }
}
