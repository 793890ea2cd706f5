use super::super::piece::PIECE_BYTES_MAX;
use super::*;
use proptest::prelude::*;

fn text(columns: usize, bytes: &[u8]) -> Vec<String> {
    Machine::new(columns).print(bytes).iter().map(Piece::text).collect()
}

fn said(machine: &mut Machine) -> Vec<u8> {
    let say = |effect| match effect {
        Effect::Say(bytes) => bytes,
        Effect::Piece(_) | Effect::Pulse | Effect::Opened => Vec::new(),
    };
    machine.effects().into_iter().flat_map(say).collect()
}

fn pieces(machine: &mut Machine) -> Vec<Piece> {
    let piece = |effect| match effect {
        Effect::Piece(piece) => Some(piece),
        Effect::Say(_) | Effect::Pulse | Effect::Opened => None,
    };
    machine.effects().into_iter().filter_map(piece).collect()
}

fn pulses(machine: &mut Machine) -> usize {
    machine.effects().iter().filter(|effect| **effect == Effect::Pulse).count()
}

#[test]
fn a_cut_ends_a_piece_and_a_blank_one_is_swept_off() {
    assert_eq!(text(20, b"one\n\x1dVB\x00\x1dVB\x00two\n\x1bi"), ["one\n", "two\n"]);
}

#[test]
fn text_stands_where_its_alignment_says() {
    assert_eq!(
        text(20, b"\x1ba\x01shop\n\x1ba\x02\x1d!\x1199\n\x1bi"),
        ["        shop\n                99\n"]
    );
}

#[test]
fn a_row_that_is_full_goes_on_below() {
    assert_eq!(text(16, b"0123456789abcdefgh\n\x1bi"), ["0123456789abcdef\ngh\n"]);
}

#[test]
fn two_accents_make_a_sign_until_kanji_mode_is_left() {
    assert_eq!(text(20, b"\x82\x82\n\x1c.\x82\x82\n\x1bi"), ["□□\néé\n"]);
}

#[test]
fn a_code_page_that_it_does_not_have_prints_boxes() {
    assert_eq!(text(20, b"\x1c.\x1bt\x13\xd5\x1bt\x63\xd5\n\x1bi"), ["€□\n"]);
}

#[test]
fn codes_are_named_on_paper() {
    let bytes = b"\x1dkC\x0d4006381333931\x1d(k\x06\x001P0R-7\x1d(k\x03\x001Q0\x1dk\x04A1\x00end\n\x1bi";
    assert_eq!(text(42, bytes), ["[EAN13 4006381333931]\n[QR R-7]\n[CODE39 A1]\nend\n"]);
    let bytes = b"\x1d(k\x06\x000P0R-7\x1d(k\x03\x000Q0\x1dkB\x0801234565end\n\x1bi";
    assert_eq!(text(42, bytes), ["[PDF417 R-7]\n[UPCE 01234565]\nend\n"]);
}

#[test]
fn a_piece_is_as_long_as_what_the_paper_moved() {
    let rows = |job: &[u8]| {
        let mut machine = Machine::new(42);
        machine.receive(job);
        let on_it = machine.rows();
        machine.receive(b"\x1bi");
        assert_eq!(machine.rows(), on_it, "a cut moves nothing");
        on_it
    };
    assert_eq!(rows(b"one\ntwo\n"), 60);
    assert_eq!(rows(b"\x1d!\x11BIG\n\x1bJ\x64"), 48 + 100);
    assert_eq!(rows(b"\x1dv0\x00\x01\x00\x03\x00abc"), 3);
    assert_eq!(rows(b"\x1dh\x50\x1dkB\x0801234565"), 80);
    let pdf = rows(b"\x1d(k\x03\x000C\x02\x1d(k\x06\x000P0R-7\x1d(k\x03\x000Q0");
    assert!(pdf > 0 && pdf.is_multiple_of(2 * 3), "{pdf}");
}

#[test]
fn pictures_are_skipped_however_large_and_do_not_become_text() {
    let mut bytes = b"a\n\x1dv0\x00\xff\x00\xff\x0f".to_vec();
    bytes.extend(vec![b'x'; 255 * 4095]);
    bytes.extend(b"b\n\x1bi");
    assert_eq!(text(20, &bytes), ["a\nb\n"]);
}

#[test]
fn status_is_told_at_once_even_inside_a_picture() {
    let mut machine = Machine::new(42);
    machine.receive(b"\x1dv0\x00\x09\x00\x01\x00abc\x10\x04\x01");
    assert_eq!(said(&mut machine), [0x12]);
}

#[test]
fn without_paper_the_text_waits_and_status_is_still_told() {
    let mut machine = Machine::new(42);
    machine.set_faults(Faults { paper_out: true, ..Faults::default() });
    machine.receive(b"late\n\x1bi\x1d(H\x06\x0000wxyz\x10\x04\x01\x10\x04\x02\x10\x04\x04");
    assert_eq!(machine.effects(), [0x1a, 0x32, 0x7e].map(|b| Effect::Say(vec![b])));
    machine.set_faults(Faults::default());
    let effects = machine.effects();
    assert!(matches!(&effects[0], Effect::Piece(piece) if piece.text() == "late\n"));
    assert_eq!(effects[1], Effect::Say(b"\x37\x22wxyz\x00".to_vec()));
}

#[test]
fn a_swallowing_printer_says_that_all_is_well_and_prints_nothing() {
    let mut machine = Machine::new(42);
    machine.set_faults(Faults { swallow: true, ..Faults::default() });
    machine.receive(b"lost\n\x1bi\x1dr\x01\x10\x04\x01");
    assert_eq!(machine.effects(), [Effect::Say(vec![0x12])]);
}

#[test]
fn only_a_whole_pulse_opens_the_drawer() {
    let mut machine = Machine::new(42);
    machine.receive(b"\x1bp\x00\x19");
    assert_eq!(pulses(&mut machine), 0);
    machine.receive(b"\xfa\x10\x14\x01\x00\x01");
    assert_eq!(pulses(&mut machine), 2);
}

#[test]
fn a_change_is_told_unasked_once_that_was_asked_for() {
    let mut machine = Machine::new(42);
    machine.receive(b"\x1da\xff");
    machine.set_faults(Faults { cover_open: true, ..Faults::default() });
    assert_eq!(said(&mut machine), [0x10, 0, 0, 0, 0x38, 0, 0, 0]);
}

#[test]
fn half_a_command_outlives_its_session_until_nuls_fill_it_up() {
    let mut machine = Machine::new(42);
    machine.receive(b"left over\nhalf\x1d(k\xf0\x011P0half a code");
    machine.receive(&crate::escpos::resync());
    let pieces = machine.print(b"next\n\x1bi");
    assert_eq!(pieces.iter().map(Piece::text).collect::<Vec<_>>(), ["left over\n", "next\n"]);
}

#[test]
fn a_roll_that_ends_leaves_the_rest_waiting_for_a_new_one() {
    let mut machine = Machine::new(42);
    machine.set_faults(Faults { roll_rows: Some(2), ..Faults::default() });
    machine.receive(b"one\ntwo\nthree\n\x1bi");
    machine.receive(b"\x10\x04\x02");
    assert_eq!(machine.effects(), [Effect::Say(vec![0x32])]);
    machine.set_faults(Faults::default());
    assert!(matches!(&machine.effects()[..], [Effect::Piece(piece)] if piece.text() == "one\ntwo\nthree\n"));
}

#[test]
fn a_clear_forgets_what_waits() {
    let mut machine = Machine::new(42);
    machine.set_faults(Faults { cover_open: true, ..Faults::default() });
    machine.receive(b"gone\n\x1bi");
    machine.receive(&CLEAR);
    assert_eq!(said(&mut machine), [0x37, 0x25, 0]);
    machine.set_faults(Faults::default());
    assert_eq!(machine.effects(), []);
}

#[test]
fn endless_text_is_torn_off() {
    let mut machine = Machine::new(16);
    let pieces = machine.print(&vec![b'x'; 2 * PIECE_BYTES_MAX]);
    assert!(!pieces.is_empty() && pieces.iter().all(|piece| piece.text().len() <= PIECE_BYTES_MAX + 17));
}

proptest! {
    #[test]
    fn any_bytes_are_printed_within_bounds(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20), offline in any::<bool>()
    ) {
        let mut machine = Machine::new(42);
        machine.set_faults(Faults { paper_out: offline, ..Faults::default() });
        for chunk in chunks {
            machine.receive(&chunk);
            let effects = machine.effects();
            prop_assert!(effects.len() <= 2 * chunk.len() + 8);
            prop_assert!(offline || machine.waiting.len() < TOKEN_BYTES_MAX);
        }
    }
}

#[test]
fn a_jammed_cutter_holds_the_cut_until_the_host_says_to_go_on() {
    let mut machine = Machine::new(42);
    machine.set_faults(Faults { cutter_jammed: true, ..Faults::default() });
    machine.receive(b"one\n\x1bitwo\n\x1bi");
    machine.receive(b"\x10\x04\x01\x10\x04\x02\x10\x04\x03");
    assert_eq!(said(&mut machine), [0x1a, 0x52, 0x1a]);
    machine.receive(b"\x10\x05\x01");
    assert_eq!(machine.effects(), [], "it is still jammed");
    machine.set_faults(Faults::default());
    assert_eq!(machine.effects(), [], "a jam that is cleared waits for a word");
    machine.receive(b"\x10\x05\x01");
    let texts: Vec<String> = pieces(&mut machine).iter().map(Piece::text).collect();
    assert_eq!(texts, ["one\n", "two\n"]);
}

#[test]
fn after_a_jam_the_host_may_have_the_rest_forgotten() {
    let mut machine = Machine::new(42);
    machine.set_faults(Faults { cutter_jammed: true, ..Faults::default() });
    machine.receive(b"one\n\x1bitwo\n\x1bi");
    machine.set_faults(Faults::default());
    machine.receive(b"\x10\x05\x02");
    machine.receive(b"next\n\x1bi");
    let texts: Vec<String> = pieces(&mut machine).iter().map(Piece::text).collect();
    assert_eq!(texts, ["one\nnext\n"], "what was printed hangs from the printer uncut");
}

#[test]
fn a_head_that_is_too_hot_goes_on_by_itself() {
    let mut machine = Machine::new(42);
    machine.receive(b"\x1da\x04");
    assert_eq!(said(&mut machine), [0x10, 0, 0, 0]);
    machine.set_faults(Faults { overheated: true, ..Faults::default() });
    machine.receive(b"late\n\x1bi\x10\x04\x03");
    assert_eq!(said(&mut machine), [0x18, 0x40, 0, 0, 0x52]);
    machine.set_faults(Faults::default());
    assert_eq!(pieces(&mut machine).len(), 1);
}

#[test]
fn a_broken_printer_prints_again_once_it_is_mended_and_switched_off_and_on() {
    let mut machine = Machine::new(42);
    machine.set_faults(Faults { broken: true, ..Faults::default() });
    machine.receive(b"lost\n\x1bi");
    machine.set_faults(Faults::default());
    machine.receive(b"\x10\x04\x03");
    assert_eq!(said(&mut machine), [0x32]);
    machine.power_cycle();
    machine.receive(b"next\n\x1bi");
    let texts: Vec<String> = pieces(&mut machine).iter().map(Piece::text).collect();
    assert_eq!(texts, ["next\n"]);
}

#[test]
fn without_power_the_buffer_is_lost_and_the_paper_stays() {
    let mut machine = Machine::new(42);
    machine.receive(b"on paper\nhalf a line");
    machine.power_cycle();
    machine.receive(b"next\n\x1bi");
    let texts: Vec<String> = pieces(&mut machine).iter().map(Piece::text).collect();
    assert_eq!(texts, ["on paper\nnext\n"]);
}

#[test]
fn the_drawers_switch_tells_a_level_that_depends_on_the_drawer() {
    for (sensor, closed, open) in [(Sensor::HighClosed, 0x16, 0x12), (Sensor::HighOpen, 0x12, 0x16)] {
        let mut machine = Machine::new(42);
        machine.fit_drawer(sensor);
        machine.receive(b"\x10\x04\x01\x1bp\x00\x19\xfa\x10\x04\x01");
        // Real time is ahead of what waits.
        assert_eq!(said(&mut machine), [closed, closed]);
        machine.receive(b"\x10\x04\x01\x1dr\x02");
        assert_eq!(said(&mut machine), [open, u8::from(open == 0x16)]);
        machine.move_drawer(false);
        machine.receive(b"\x10\x04\x01");
        assert_eq!(said(&mut machine), [closed]);
    }
}

#[test]
fn a_drawer_opened_with_its_key_is_told_unasked() {
    let mut machine = Machine::new(42);
    machine.fit_drawer(Sensor::HighOpen);
    machine.receive(b"\x1da\x01");
    assert_eq!(said(&mut machine), [0x10, 0, 0, 0]);
    machine.move_drawer(true);
    assert_eq!(machine.effects(), [Effect::Opened, Effect::Say(vec![0x14, 0, 0, 0])]);
    machine.set_faults(Faults { paper_near_end: true, ..Faults::default() });
    assert_eq!(machine.effects(), [], "nobody asked for the paper");
}

#[test]
fn a_guarded_printer_passes_over_pulses_inside_its_data() {
    let mut machine = Machine::new(42);
    machine.receive(b"\x1d(D\x03\x00\x14\x01\x00");
    machine.receive(b"\x10\x14\x01\x00\x01");
    assert_eq!(pulses(&mut machine), 0);
    machine.receive(b"\x1bp\x00\x19\xfa");
    assert_eq!(pulses(&mut machine), 1, "in its place among the printing a pulse is a pulse");
}

#[test]
fn a_job_that_comes_in_two_reads_prints_the_same_wherever_it_was_cut() {
    let mut job = b"\x1b@\x1c.\x1bt\x13\x1ba\x01\x1b!\x38SHOP\n\x1b!\x00\x1d!\x11Big\x1d!\x00\x1bE\x01b\x1b-\x01u\x1dB\x01i\n".to_vec();
    job.extend(b"\x1dH\x02\x1dh\x50\x1dw\x02\x1dkC\x0d4006381333931\x1dk\x04A1\x00\x1bp\x00\x19\xfa\x1dr\x01\x1dI\x42");
    job.extend(b"\x1d(k\x04\x001A2\x00\x1d(k\x06\x001P0R-7\x1d(k\x03\x001Q0\x1d(H\x06\x0000wxyz\x1d(D\x03\x00\x14\x01\x00");
    job.extend(b"\x1dv0\x00\x02\x00\x02\x00\xff\xff\x80\x01\x1b*\x21\x02\x00\xff\xff\xff\xff\xff\xff\n\x1bd\x02\x1bJ\x10end\n\x1dVB\x00");
    job.extend(b"\x1d(L\x0c\x000p0\x01\x011\x08\x00\x01\x00\xff\xff\x1d(L\x02\x0002last\n\x1dV\x00");
    let print = |parts: &[&[u8]]| {
        let mut machine = Machine::new(42);
        parts.iter().for_each(|part| machine.receive(part));
        machine.effects()
    };
    let whole = print(&[&job]);
    assert!(whole.len() > 5, "{whole:?}");
    for at in 0..job.len() {
        let (before, after) = job.split_at(at);
        assert_eq!(print(&[before, after]), whole, "cut behind {at} bytes");
    }
}

#[test]
fn what_was_printed_can_be_looked_at() {
    let mut bytes =
        b"\x1ba\x01\x1b!\x38CORNER SHOP\n\x1b!\x00\x1dH\x02\x1dh\x50\x1dkC\x0c400638133393".to_vec();
    bytes.extend(b"\x1dv0\x00\x02\x00\x02\x00\xff\xff\x80\x01\x1b*\x21\x02\x00\xff\xff\xff\xff\xff\xff\n");
    bytes.extend(b"\x1d(L\x0c\x000p0\x01\x011\x08\x00\x01\x00\xff\xff\x1d(L\x02\x0002\x1bi");
    let pieces = Machine::new(32).print(&bytes);
    let png = pieces[0].png().unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut dots = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut dots).unwrap();
    assert_eq!(info.width, 384 + 48);
    let black = |byte: &u8| byte.count_zeros();
    assert!(dots.iter().map(black).sum::<u32>() > 5_000, "letters and bars");
    assert_eq!(pieces[0].text(), "     CORNER SHOP\n      [EAN13 400638133393]\n");
}
