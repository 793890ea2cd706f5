//! Exact bytes, since a round trip cannot see that both ends changed; and that no text becomes a command.

use proptest::prelude::*;
use toko_devices::escpos::{self, ProcessId, Question};
use toko_devices::model::{Cut, DotsBy, Draws};
use toko_devices::{
    Align, Barcode, Bitmap, Cell, CodeError, CodePage, DrawerPin, Model, Page, Pdf417, Picture, Qr, Size,
    Style,
};

/// `ESC @`, `FS .`, `ESC t 19`.
const START: &str = "1b40 1c2e 1b7413";

fn narrow() -> Model {
    Model::paper_58mm()
}

/// Bytes from hexadecimal digits and quoted ASCII, spaced as one likes.
fn bytes(golden: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (n, part) in golden.split('"').enumerate() {
        if n % 2 == 1 {
            bytes.extend(part.bytes());
            continue;
        }
        let digits: Vec<u8> = part.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        for pair in digits.chunks(2) {
            bytes.push(
                u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal"),
            );
        }
    }
    bytes
}

#[track_caller]
fn check(page: &Page, golden: &str) {
    let got = escpos::encode(page, &narrow());
    let wanted = bytes(&format!("{START} {golden}"));
    assert_eq!(got, wanted, "\n got {}\nwant {}", got.escape_ascii(), wanted.escape_ascii());
}

#[test]
fn text_and_columns() {
    let page = Page::new().line("Crème €").columns("Tin", "1.20").rule();
    check(
        &page,
        r#""Cr"8a"me "d5 0a "Tin                         1.20"0a "--------------------------------"0a"#,
    );
}

#[test]
fn styles_are_written_where_they_change() {
    let head = Style::PLAIN.centre().bold().size(Size::Big);
    let page = Page::new()
        .text("A", head)
        .text("B", head)
        .text("C", Style::PLAIN.right().size(Size::Tall))
        .line("D");
    check(&page, r#"1b6101 1d2111 1b4501 "A"0a "B"0a 1b6102 1d2101 1b4500 "C"0a 1b6100 1d2100 "D"0a"#);
}

#[test]
fn feed_and_cut() {
    check(&Page::new().feed(2).feed(0).cut(), "0a0a 1d564200");
}

#[test]
fn barcodes_are_counted_and_set_up_each_time() -> Result<(), CodeError> {
    let setup = "1d4802 1d6600 1d7703 1d6850";
    let page = Page::new()
        .barcode(Barcode::ean13("4006381333931")?)
        .barcode(Barcode::ean8("96385074")?)
        .barcode(Barcode::upc_a("036000291452")?)
        .barcode(Barcode::code128("R{7")?);
    check(
        &page,
        &format!(
            r#"1b6101 {setup} 1d6b43 0d "4006381333931" {setup} 1d6b44 08 "96385074"
               {setup} 1d6b41 0c "036000291452" {setup} 1d6b49 06 "{{BR{{{{7""#
        ),
    );
    Ok(())
}

#[test]
fn a_barcode_wider_than_the_paper_is_printed_as_text() -> Result<(), CodeError> {
    let long = "RECEIPT-0000000000000000000001";
    check(&Page::new().barcode(Barcode::code128(long)?), &format!(r#"1b6101 "{long}"0a"#));
    Ok(())
}

#[test]
fn a_qr_code_is_model_2_correction_m() -> Result<(), CodeError> {
    check(
        &Page::new().qr(Qr::new("https://a.example/r/7")?),
        r#"1b6101 1d286b 0400 3141 3200  1d286b 0300 3143 06  1d286b 0300 3145 31
           1d286b 1800 3150 30 "https://a.example/r/7"  1d286b 0300 3151 30"#,
    );
    Ok(())
}

#[test]
fn barcodes_of_cartons_and_small_tins() -> Result<(), CodeError> {
    let setup = "1d4802 1d6600 1d7703 1d6850";
    let page = Page::new().barcode(Barcode::itf("1234567890")?).barcode(Barcode::upc_e("01234565")?);
    check(&page, &format!(r#"1b6101 {setup} 1d6b46 0a "1234567890" {setup} 1d6b42 08 "01234565""#));
    Ok(())
}

#[test]
fn a_pdf417_has_five_columns_and_the_printers_own_rows() -> Result<(), CodeError> {
    check(
        &Page::new().pdf417(Pdf417::new("R-7")?),
        r#"1b6101 1d286b 0300 304105 1d286b 0300 304200 1d286b 0300 304302 1d286b 0300 304403
           1d286b 0400 30453101 1d286b 0300 304600 1d286b 0600 305030 "R-7" 1d286b 0300 305130"#,
    );
    Ok(())
}

/// Dots as text: each character that is not a space is black.
fn dots(rows: &[&str]) -> Bitmap {
    let mut dots = Bitmap::new(rows[0].len(), rows.len());
    for (y, row) in rows.iter().enumerate() {
        row.bytes().enumerate().filter(|(_, c)| *c != b' ').for_each(|(x, _)| dots.set(x, y));
    }
    dots
}

#[test]
fn while_dots_come_no_drawer_opens() {
    let page = Page::new().picture(Picture::from_dots(&dots(&["#  #  # #", "####    #"]))).line("x");
    check(&page, r#"1b6101 1d2844 0300 140100 1d763000 0200 0200 9280 f080 1d2844 0300 140101 1b6100 "x"0a"#);
}

#[test]
fn a_tall_picture_comes_in_slices_that_no_buffer_overflows_on() {
    let mut tall = Bitmap::new(8, 600);
    tall.fill(0, 0, 8, 600);
    let bytes = escpos::encode(&Page::new().picture(Picture::from_dots(&tall)), &narrow());
    let heads: Vec<&[u8]> =
        bytes.windows(8).filter(|bytes| bytes.starts_with(b"\x1dv0")).map(|bytes| &bytes[4..]).collect();
    assert_eq!(heads, [[1, 0, 0, 1], [1, 0, 0, 1], [1, 0, 88, 0]]);
}

#[test]
fn dots_that_read_as_a_command_lose_or_gain_one() {
    let hostile = [
        0x10, 0x04, 0x01, 0x10, 0x05, 0x02, 0x10, 0x14, 0x01, 0x00, 0x01, 0x1d, 0x28, 0x44, 0x10, 0x10, 0x04,
    ];
    let mut picture = Bitmap::new(8 * hostile.len(), 1);
    for (at, byte) in hostile.iter().enumerate() {
        (0..8).filter(|bit| byte & (0x80 >> bit) != 0).for_each(|bit| picture.set(8 * at + bit, 0));
    }
    check(
        &Page::new().picture(Picture::from_dots(&picture)),
        "1b6101 1d2844 0300 140100 1d763000 1100 0100
         1006 01 1007 02 1016 010001 1d2a44 101006 1d2844 0300 140101",
    );
}

#[test]
fn a_sign_that_no_page_has_is_drawn_in_its_column() {
    let job = escpos::encode(&Page::new().columns("Żur", "4.20"), &narrow());
    let (head, rest) = job.split_at(job.len() - 40 - 36);
    assert_eq!(head, bytes(&format!("{START} 1d2844 0300 140100 1b2a21 0c00")));
    assert_eq!(rest[36..], bytes(r#"1d2844 0300 140101 "ur                         4.20"0a"#)[..]);
}

#[test]
fn big_text_that_must_be_drawn_is_drawn_whole() {
    let page = Page::new().text("Ż", Style::PLAIN.centre().size(Size::Big));
    let job = escpos::encode(&page, &narrow());
    // 32 columns of 12 dots are 48 bytes; two rows of 24 dots and the gap to the next line are 54.
    assert!(job.starts_with(&bytes(&format!("{START} 1d2844 0300 140100 1d763000 3000 3600"))));
}

#[test]
fn a_printer_is_fed_and_cut_as_its_model_is() {
    let cut = |cut| escpos::encode(&Page::new().cut(), &Model { cut, ..narrow() });
    assert_eq!(cut(Cut::Feeding), bytes(&format!("{START} 1d564200")));
    assert_eq!(cut(Cut::After(3)), bytes(&format!("{START} 0a0a0a 1d5601")));
    assert_eq!(cut(Cut::Tear(2)), bytes(&format!("{START} 0a0a")));
}

#[test]
fn a_printer_without_codes_gets_them_as_dots_and_one_without_dots_as_text() -> Result<(), CodeError> {
    let draws = Draws { barcodes: false, qr: false, pdf417: false };
    let page =
        Page::new().barcode(Barcode::ean8("96385074")?).qr(Qr::new("R-7")?).pdf417(Pdf417::new("R-8")?);
    let drawn = escpos::encode(&page, &Model { draws, ..narrow() });
    assert_eq!(drawn.windows(3).filter(|bytes| bytes == b"\x1dv0").count(), 3);
    let spelt = escpos::encode(&page, &Model { draws, dots_by: DotsBy::Nothing, ..narrow() });
    assert_eq!(spelt, bytes(&format!(r#"{START} 1b6101 "96385074"0a "R-7"0a "R-8"0a"#)));
    Ok(())
}

#[test]
fn a_possible_duplicate_says_so_first() {
    check(
        &Page::new().line("x").marked_possible_duplicate(),
        r#"1b6101 1d2101 1b4501 "POSSIBLE DUPLICATE"0a 1b6100 1d2100 1b4500 "x"0a"#,
    );
}

#[test]
fn another_code_page_is_selected_by_the_models_number() {
    let model = Model { code_page: CodePage::Wpc1252, code_page_number: 16, ..narrow() };
    assert_eq!(escpos::encode(&Page::new().line("€"), &model), bytes("1b40 1c2e 1b7410 80 0a"));
}

#[test]
fn a_drawer_pulse_has_all_five_bytes() {
    assert_eq!(escpos::drawer_pulse_now(DrawerPin::Pin2), [0x10, 0x14, 1, 0, 1]);
    assert_eq!(escpos::drawer_pulse_now(DrawerPin::Pin5), [0x10, 0x14, 1, 1, 1]);
}

#[test]
fn questions_and_marks() {
    assert_eq!(escpos::ask(Question::Paper).to_vec(), bytes("100404"));
    assert_eq!(escpos::ask_when_processed().to_vec(), bytes("1d7201"));
    assert_eq!(escpos::ask_when_printed(ProcessId::nth(0)).to_vec(), bytes(r#"1d2848 0600 3030 "    ""#));
    assert_eq!(&ProcessId::nth(95 * 95 + 96).bytes(), b" !!!");
    assert_eq!(&ProcessId::nth(81_450_624).bytes(), b"~~~~");
}

#[test]
fn a_resync_fills_up_half_a_command_and_cuts_off_what_is_left() {
    let resync = escpos::resync();
    assert_eq!(resync[..8_192], [0; 8_192]);
    assert_eq!(resync[8_192..], bytes("1b40 1d564200"));
}

/// What a caller may write, hostile bytes more often than chance would have it.
fn text() -> impl Strategy<Value = String> {
    let hostile = prop::sample::select(vec![
        "\u{10}\u{4}\u{1}",
        "\u{10}\u{5}\u{2}",
        "\u{10}\u{14}\u{1}\u{0}\u{1}",
        "\u{1b}p\u{0}\u{19}\u{fa}",
        "\u{1d}V\u{0}",
        "\n",
        "€",
        "\u{85}",
    ]);
    prop::collection::vec(prop_oneof![hostile.prop_map(str::to_owned), any::<String>()], 0..6)
        .prop_map(|parts| parts.concat())
}

/// A block of a page, given as what has to be counted in the bytes afterwards.
#[derive(Clone, Debug)]
enum Part {
    Text(String, Style),
    Columns(String, String),
    Cells(String, String),
    Code(String),
    Itf(String),
    Qr(String),
    Pdf417(String),
    Picture(usize, Vec<u8>),
    Job(String),
    Rule,
    Feed(u8),
    Cut,
}

/// Bytes that make commands more often than chance would have it.
fn hostile_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        prop::sample::select(vec![0x10, 0x04, 0x05, 0x14, 0x1d, 0x28, 0x44, 0x1b, 0x40, 0x01]),
        any::<u8>()
    ]
}

/// A picture so many bytes across.
fn picture(across: usize, bytes: &[u8]) -> Picture {
    let mut dots = Bitmap::new(8 * across, bytes.len().div_ceil(across));
    for (at, byte) in bytes.iter().enumerate() {
        let (x, y) = (at % across * 8, at / across);
        (0..8).filter(|bit| byte & (0x80 >> bit) != 0).for_each(|bit| dots.set(x + bit, y));
    }
    Picture::from_dots(&dots)
}

fn part() -> impl Strategy<Value = Part> {
    let style = (0..3_u8, 0..4_u8, any::<bool>()).prop_map(|(align, size, bold)| Style {
        align: [Align::Left, Align::Centre, Align::Right][usize::from(align)],
        size: [Size::Normal, Size::Tall, Size::Wide, Size::Big][usize::from(size)],
        bold,
    });
    prop_oneof![
        (text(), style).prop_map(|(text, style)| Part::Text(text, style)),
        (text(), text()).prop_map(|(left, right)| Part::Columns(left, right)),
        (text(), text()).prop_map(|(left, right)| Part::Cells(left, right)),
        "[ -~]{1,40}".prop_map(Part::Code),
        "([0-9][0-9]){1,15}".prop_map(Part::Itf),
        prop_oneof![text(), "[ -~]{1,300}"].prop_map(Part::Pdf417),
        (1..90_usize, prop::collection::vec(hostile_byte(), 0..900))
            .prop_map(|(across, dots)| Part::Picture(across, dots)),
        prop_oneof![text(), "[ -~]{1,504}"].prop_map(Part::Qr),
        text().prop_map(Part::Job),
        Just(Part::Rule),
        any::<u8>().prop_map(Part::Feed),
        Just(Part::Cut),
    ]
}

fn page(parts: &[Part]) -> Page {
    parts.iter().fold(Page::new(), |page, part| match part {
        Part::Text(text, style) => page.text(text, *style),
        Part::Columns(left, right) => page.columns(left, right),
        Part::Cells(left, right) => {
            page.cells([Cell::new(left, 0), Cell::new(right, 6).right()], Style::PLAIN)
        }
        Part::Itf(digits) => page.barcode(Barcode::itf(digits).expect("an even number of digits")),
        Part::Pdf417(text) => match Pdf417::new(text) {
            Ok(code) => page.pdf417(code),
            Err(_) => page,
        },
        Part::Picture(across, bytes) => page.picture(picture(*across, bytes)),
        Part::Code(text) => page.barcode(Barcode::code128(text).expect("printable ASCII")),
        // What is refused cannot do harm.
        Part::Qr(text) => match Qr::new(text) {
            Ok(qr) => page.qr(qr),
            Err(_) => page,
        },
        Part::Job(id) => page.job(id),
        Part::Rule => page.rule(),
        Part::Feed(rows) => page.feed(*rows),
        Part::Cut => page.cut(),
    })
}

/// Splits our own bytes into commands and everything else; whatever is neither fails.
fn commands(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut commands = Vec::new();
    while let [first, rest @ ..] = bytes {
        let length = match (first, rest) {
            (0x0a | 0x20..=0x7e | 0x80..=0xff, _) => {
                bytes = rest;
                continue;
            }
            (0x1b, [b'@', ..]) | (0x1c, [b'.', ..]) => 2,
            (0x1b, [b't' | b'a' | b'E', ..]) | (0x1d, [b'!' | b'H' | b'f' | b'w' | b'h', ..]) => 3,
            (0x1b, [b'3', 24, ..]) => 3,
            (0x1b, [b'2', ..]) => 2,
            (0x1b, [b'*', 33, low, high, ..]) => 5 + 3 * usize::from(u16::from_le_bytes([*low, *high])),
            (0x1d, [b'v', b'0', 0, xl, xh, yl, yh, ..]) => {
                let [across, down] = [[*xl, *xh], [*yl, *yh]].map(|two| usize::from(u16::from_le_bytes(two)));
                assert!(down <= 256, "a slice of {down} rows");
                8 + across * down
            }
            (0x1d, [b'(', b'D', 3, 0, 20, 1, 0 | 1, ..]) => 8,
            (0x1d, [b'V', 66, 0, ..]) => 4,
            (0x1d, [b'k', 70 | 73, n, ..]) => 4 + usize::from(*n),
            (0x1d, [b'(', b'k', low, high, ..]) => 5 + usize::from(u16::from_le_bytes([*low, *high])),
            _ => panic!("stray control byte: {}", bytes.escape_ascii()),
        };
        commands.push(bytes[..length].to_vec());
        bytes = &bytes[length..];
    }
    commands
}

proptest! {
    #[test]
    fn nothing_that_a_caller_writes_becomes_a_command(
        parts in prop::collection::vec(part(), 0..12), narrow in any::<bool>(), page_at in 0_usize..3,
        dots_at in 0_usize..4, draws in any::<bool>(), guard in any::<bool>()
    ) {
        let dots_by = [DotsBy::Nothing, DotsBy::Bands, DotsBy::Rows, DotsBy::BandsAndRows][dots_at];
        let draws = Draws { barcodes: draws, qr: draws, pdf417: draws };
        let code_page = [CodePage::Pc437, CodePage::Pc858, CodePage::Wpc1252][page_at];
        let code_page_number = [0, 19, 16][page_at];
        let paper = if narrow { Model::paper_58mm() } else { Model::paper_80mm() };
        let bytes = escpos::encode(&page(&parts), &Model { code_page, code_page_number, dots_by, draws, guard, ..paper });

        // Real-time commands are obeyed wherever they stand, also inside other commands.
        for pair in bytes.windows(2) {
            prop_assert!(!matches!(pair, [0x10, 0x04 | 0x05 | 0x14]), "{}", bytes.escape_ascii());
        }
        let commands = commands(&bytes);
        let count = |start: &[u8]| commands.iter().filter(|command| command.starts_with(start)).count();
        let parts_of = |wanted: fn(&Part) -> bool| parts.iter().filter(|part| wanted(part)).count();
        prop_assert_eq!(count(b"\x1b@"), 1);
        prop_assert_eq!(count(b"\x1bt"), 1);
        prop_assert_eq!(count(b"\x1dV"), parts_of(|part| matches!(part, Part::Cut)));
        prop_assert!(count(b"\x1dk") <= parts_of(|part| matches!(part, Part::Code(_) | Part::Itf(_))));
        prop_assert!(count(b"\x1d(k") <= 8 * parts_of(|part| matches!(part, Part::Qr(_) | Part::Pdf417(_))));
        // Each run of dots is guarded, and nothing but our own guards reads as one.
        let dots = count(b"\x1dv0") + count(b"\x1b*");
        prop_assert_eq!(count(b"\x1d(D"), if guard { 2 * dots } else { 0 });
        prop_assert_eq!(count(b"\x1d(D"), bytes.windows(3).filter(|three| three == b"\x1d(D").count());
    }
}
