//! Exact bytes, since a round trip cannot see that both ends changed; and that no text becomes a command.

use proptest::prelude::*;
use toko_devices::escpos::{self, ProcessId, Question};
use toko_devices::{Align, Barcode, CodeError, CodePage, DrawerPin, Model, Page, Qr, Size, Style};

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
    assert_eq!(escpos::drawer_pulse(DrawerPin::Pin2), [0x1b, 0x70, 0, 25, 125]);
    assert_eq!(escpos::drawer_pulse(DrawerPin::Pin5), [0x1b, 0x70, 1, 25, 125]);
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
    Code(String),
    Qr(String),
    Job(String),
    Rule,
    Feed(u8),
    Cut,
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
        "[ -~]{1,40}".prop_map(Part::Code),
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
            (0x1d, [b'V', 66, 0, ..]) => 4,
            (0x1d, [b'k', 73, n, ..]) => 4 + usize::from(*n),
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
        parts in prop::collection::vec(part(), 0..12), narrow in any::<bool>(), page_at in 0_usize..3
    ) {
        let code_page = [CodePage::Pc437, CodePage::Pc858, CodePage::Wpc1252][page_at];
        let code_page_number = [0, 19, 16][page_at];
        let paper = if narrow { Model::paper_58mm() } else { Model::paper_80mm() };
        let bytes = escpos::encode(&page(&parts), &Model { code_page, code_page_number, ..paper });

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
        prop_assert!(count(b"\x1dk") <= parts_of(|part| matches!(part, Part::Code(_))));
        prop_assert!(count(b"\x1d(k") <= 5 * parts_of(|part| matches!(part, Part::Qr(_))));
    }
}
