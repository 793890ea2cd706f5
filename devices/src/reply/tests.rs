use super::*;
use proptest::prelude::*;

fn cut_as(dialect: Dialect, bytes: &[u8]) -> Vec<Reply> {
    let mut replies = Replies::of(dialect);
    bytes.iter().filter_map(|b| replies.push(*b)).collect()
}

fn cut(bytes: &[u8]) -> Vec<Reply> {
    cut_as(Dialect::EscPos, bytes)
}

#[test]
fn an_automatic_status_between_replies_does_not_confuse_them() {
    let said = cut(&[0x12, 0x18, 0x00, 0x0c, 0x0f, 0x12, 0x00, 0x37, 0x22, b'a', b'b', b'c', b'd', 0x00]);
    let wanted = [
        Reply::RealTime(0x12),
        Reply::Automatic([0x18, 0x00, 0x0c, 0x0f]),
        Reply::RealTime(0x12),
        Reply::InOrder(0x00),
        Reply::Printed(*b"abcd"),
    ];
    assert_eq!(said, wanted);
}

#[test]
fn flow_control_inside_a_status_is_heard_and_set_aside() {
    let said = cut(&[0x10, 0x00, 0x13, 0x00, 0x11, 0x00]);
    assert_eq!(said, [Reply::Xoff, Reply::Xon, Reply::Automatic([0x10, 0, 0, 0])]);
}

#[test]
fn a_status_cut_short_gives_way_to_the_next_reply() {
    assert_eq!(cut(&[0x10, 0x00, 0x16, 0x00]), [Reply::RealTime(0x16), Reply::InOrder(0)]);
}

#[test]
fn a_status_in_the_middle_of_a_mark_is_heard_and_the_mark_is_whole() {
    let said = cut(b"\x37\x22w\x14\x00\x0c\x00x\x16yz\x00");
    let wanted = [Reply::Automatic([0x14, 0, 0x0c, 0]), Reply::RealTime(0x16), Reply::Printed(*b"wxyz")];
    assert_eq!(said, wanted);
}

#[test]
fn other_blocks_keep_their_header_and_body() {
    assert_eq!(cut(b"\x5fTM-T88\0"), [Reply::Block { header: 0x5f, body: b"TM-T88".to_vec() }]);
    assert_eq!(cut(b"\x37\x23\x40\0"), [Reply::Block { header: 0x37, body: vec![0x23, 0x40] }]);
    assert_eq!(cut(b"\x37\x25\0"), [Reply::Cleared]);
}

#[test]
fn a_mark_of_the_wrong_length_is_no_mark() {
    assert!(!cut(b"\x37\x22abc\0").iter().any(|r| matches!(r, Reply::Printed(_))));
    assert!(!cut(b"\x37\x22abcde\0").iter().any(|r| matches!(r, Reply::Printed(_))));
}

#[test]
fn a_mark_whose_end_was_lost_does_not_swallow_the_next_one() {
    let wanted = [Reply::Garbled(0x37), Reply::Printed(*b"wxyz")];
    assert_eq!(cut(b"\x37\x22abcd\x37\x22wxyz\0"), wanted);
}

#[test]
fn a_block_that_never_ends_is_given_up() {
    let mut endless = vec![0x5f];
    endless.extend([b'w'; BLOCK_BYTES_MAX + 1]);
    endless.push(0x16);
    assert_eq!(cut(&endless), [Reply::Garbled(b'w'), Reply::RealTime(0x16)]);
}

#[test]
fn a_star_printer_tells_its_state_and_the_document_that_is_on_paper() {
    let asb = [0x23, 0x06, 0x20, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00];
    let bytes = [&asb[..], &[0x1b, 0x1d, 0x03, 1, 0x11, 0x13, 0x07, 0x00], &asb].concat();
    let said = cut_as(Dialect::Star, &bytes);
    let state = Reply::Star(StarStatus::new(&asb).expect("nine bytes"));
    assert_eq!(said, [state.clone(), Reply::Counted { s: 1, document: 0x1311, counter: 7 }, state]);
}

#[test]
fn a_star_status_cut_short_gives_way_to_the_next() {
    let asb = [0x0f, 0x06, 0x00, 0x00, 0x00, 0x00, 0x00];
    let said = cut_as(Dialect::Star, &[&asb[..4], &asb].concat());
    assert_eq!(said, [Reply::Star(StarStatus::new(&asb).expect("seven bytes"))]);
}

#[test]
fn an_sii_printer_is_heard_among_the_others() {
    let asb = [0xc2, 0xd8, 0xd0, 0xd8, 0xd0, 0xd0, 0xd0, 0xd0];
    let said = cut(&[&[0xb0][..], &asb[..3], &asb, &[0x83, 0x12]].concat());
    let wanted =
        [Reply::Initialised, Reply::Sii(SiiStatus(asb)), Reply::InOrder(0x83), Reply::RealTime(0x12)];
    assert_eq!(said, wanted);
}

/// One whole reply as a printer sends it.
fn reply_bytes() -> impl Strategy<Value = Vec<u8>> {
    let low = || any::<u8>().prop_map(|b| b & 0b0110_1111);
    let text = prop::sample::select((0x20..0x7f).collect::<Vec<u8>>());
    let block = (
        prop::sample::select(vec![0x35, 0x3b, 0x3d, 0x5f]),
        prop::collection::vec(text.clone(), 1..BLOCK_BYTES_MAX),
    );
    prop_oneof![
        any::<u8>().prop_map(|b| vec![b & 0b0110_1100 | 0b0001_0010]),
        low().prop_map(|b| vec![b]),
        (any::<u8>(), low(), low(), low()).prop_map(|(b, c, d, e)| vec![
            b & 0b0110_1100 | 0b0001_0000,
            c,
            d,
            e
        ]),
        prop::collection::vec(text, 4).prop_map(|id| [&[0x37, 0x22][..], &id, &[0]].concat()),
        block.prop_map(|(header, body)| [&[header][..], &body, &[0]].concat()),
        prop::collection::vec(0xd0..=0xdf_u8, 7).prop_map(|rest| [&[0xc0][..], &rest].concat()),
        (0x80..=0x8f_u8).prop_map(|b| vec![b]),
        Just(b"\x37\x25\0".to_vec()),
    ]
}

/// One whole reply as a Star printer sends it.
fn star_bytes() -> impl Strategy<Value = Vec<u8>> {
    let status = (7_usize..=31, prop::collection::vec(any::<u8>(), 30)).prop_map(|(length, rest)| {
        let n = u8::try_from(length).unwrap_or(0);
        let head = 1 | (n & 7) << 1 | (n & 0x18) << 2;
        [&[head][..], &rest[..length - 1].iter().map(|b| b & 0b0110_1110).collect::<Vec<u8>>()].concat()
    });
    let counted =
        (0..=1_u8, any::<[u8; 3]>()).prop_map(|(s, [n1, n2, c])| vec![0x1b, 0x1d, 0x03, s, n1, n2, c, 0]);
    prop_oneof![status, counted]
}

fn stream(dialect: Dialect) -> BoxedStrategy<Vec<Vec<u8>>> {
    match dialect {
        Dialect::EscPos => prop::collection::vec(reply_bytes(), 1..40).boxed(),
        Dialect::Star => prop::collection::vec(star_bytes(), 1..40).boxed(),
    }
}

fn dialects() -> impl Strategy<Value = Dialect> {
    prop::sample::select(vec![Dialect::EscPos, Dialect::Star])
}

proptest! {
    #[test]
    fn any_bytes_are_cut_within_bounds(dialect in dialects(), bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut replies = Replies::of(dialect);
        for byte in bytes {
            let _ = replies.push(byte);
            if let State::Block(block) | State::Automatic { within: Some(block), .. } = &replies.state {
                prop_assert!(block.body.len() <= BLOCK_BYTES_MAX);
            }
        }
    }

    #[test]
    fn each_reply_is_heard_once_and_whole((dialect, said) in dialects().prop_flat_map(|d| (Just(d), stream(d)))) {
        let heard = cut_as(dialect, &said.concat());
        let alone: Vec<Reply> = said.iter().flat_map(|reply| cut_as(dialect, reply)).collect();
        prop_assert_eq!(heard.len(), said.len());
        prop_assert!(!heard.iter().any(|reply| matches!(reply, Reply::Garbled(_))));
        prop_assert_eq!(heard, alone);
    }

    #[test]
    fn flow_control_at_any_place_changes_nothing_else(
        said in stream(Dialect::EscPos), at in any::<prop::sample::Index>(), xoff in any::<bool>()
    ) {
        let plain = said.concat();
        let mut mixed = plain.clone();
        mixed.insert(at.index(plain.len() + 1), if xoff { XOFF } else { XON });
        let mut heard = cut(&mixed);
        let before = heard.len();
        heard.retain(|reply| !matches!(reply, Reply::Xon | Reply::Xoff));
        prop_assert_eq!(before, heard.len() + 1);
        prop_assert_eq!(heard, cut(&plain));
    }

    #[test]
    fn an_automatic_status_at_every_place_that_the_bits_allow_changes_nothing_else(
        said in stream(Dialect::EscPos), b in any::<u8>(), rest in any::<[u8; 3]>()
    ) {
        // With cover closed and nobody at the button its first byte cannot be text, and it may come inside a block.
        let asb = [b & 0b0000_1100 | 0b0001_0000, rest[0] & 0x6f, rest[1] & 0x6f, rest[2] & 0x6f];
        let plain = cut(&said.concat());
        for (nth, reply) in said.iter().enumerate() {
            let inside = if matches!(reply[0], 0x35 | 0x37 | 0x3b | 0x3d | 0x5f) { reply.len() - 1 } else { 0 };
            for at in 0..=inside {
                let (before, after) = reply.split_at(at);
                let mixed = [&said[..nth].concat()[..], before, &asb, after, &said[nth + 1..].concat()].concat();
                let mut heard = cut(&mixed);
                let found = heard.iter().position(|reply| *reply == Reply::Automatic(asb));
                prop_assert!(found.is_some());
                heard.remove(found.unwrap_or(0));
                prop_assert_eq!(&heard, &plain);
            }
        }
    }

    #[test]
    fn after_any_noise_the_parser_is_in_step_again_within_the_stated_bytes(
        dialect in dialects(), noise in prop::collection::vec(any::<u8>(), 0..200),
        escpos in prop::collection::vec(reply_bytes(), 200), star in prop::collection::vec(star_bytes(), 60),
    ) {
        let said = match dialect { Dialect::EscPos => escpos, Dialect::Star => star };
        let mut replies = Replies::of(dialect);
        for byte in &noise {
            let _ = replies.push(*byte);
        }
        let mut passed = 0;
        for reply in said {
            let heard: Vec<Reply> = reply.iter().filter_map(|byte| replies.push(*byte)).collect();
            if passed >= RESYNC_BYTES_MAX {
                prop_assert_eq!(heard, cut_as(dialect, &reply));
            }
            passed += reply.len();
        }
    }

    #[test]
    fn after_any_noise_a_nul_or_four_and_the_next_mark_is_heard(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut replies = Replies::new();
        for byte in noise.iter().chain(&[0, 0, 0, 0]) {
            let _ = replies.push(*byte);
        }
        let said: Vec<Reply> = b"\x37\x22wxyz\0".iter().filter_map(|b| replies.push(*b)).collect();
        prop_assert_eq!(said, [Reply::Printed(*b"wxyz")]);
    }
}
