//! Exact bytes of Star's two languages, and that no text becomes a command.

use proptest::prelude::*;
use toko_devices::model::{Cut, Language};
use toko_devices::{
    Barcode, Bitmap, CodeError, CodePage, DrawerPin, Model, Page, Pdf417, Picture, Qr, Size, Style, star,
};

fn model(language: Language) -> Model {
    Model {
        language,
        columns: 32,
        dots: 384,
        code_page: CodePage::Pc858,
        code_page_number: 4,
        pages: &[(4, CodePage::Pc858), (10, CodePage::Pc866)],
        cut: Cut::After(3),
        ..Model::paper_80mm()
    }
}

#[track_caller]
fn check(page: &Page, language: Language, wanted: &[&[u8]]) {
    let got = star::encode(page, &model(language));
    let wanted = [b"\x1b@\x1b\x1dt\x04", wanted.concat().as_slice()].concat();
    assert_eq!(got, wanted, "\n got {}\nwant {}", got.escape_ascii(), wanted.escape_ascii());
}

#[test]
fn text_styles_pages_and_the_cut() {
    let page =
        Page::new().text("A", Style::PLAIN.centre().bold().size(Size::Big)).line("2 € Чай").feed(1).cut();
    check(
        &page,
        Language::StarLine,
        &[
            b"\x1b\x1da\x01\x1bi\x01\x01\x1bEA\n\x1b\x1da\x00\x1bi\x00\x00\x1bF2 \xd5 ",
            b"\x1b\x1dt\x0a\x97\xa0\xa9\n\n\x1bd\x03",
        ],
    );
}

#[test]
fn codes_are_drawn_by_the_printer() -> Result<(), CodeError> {
    let page =
        Page::new().barcode(Barcode::ean8("96385074")?).qr(Qr::new("R-7")?).pdf417(Pdf417::new("R-8")?);
    check(
        &page,
        Language::StarPrnt,
        &[
            b"\x1b\x1da\x01\x1bb222\x5096385074\x1e",
            b"\x1b\x1dyS0\x02\x1b\x1dyS1\x01\x1b\x1dyS2\x06\x1b\x1dyD1\x00\x03\x00R-7\x1b\x1dyP\n",
            b"\x1b\x1dxS0\x01\x00\x05\x1b\x1dxS1\x02\x1b\x1dxS2\x02\x1b\x1dxS3\x03\x1b\x1dxD\x03\x00R-8\x1b\x1dxP\n",
        ],
    );
    Ok(())
}

#[test]
fn dots_come_as_rows_in_the_newer_language_and_as_bands_in_the_older() {
    let mut dots = Bitmap::new(2, 25);
    dots.set(0, 0);
    dots.set(1, 24);
    let page = Page::new().picture(Picture::from_dots(&dots));
    let rows = [&[0x80][..], &[0; 23], &[0x40]].concat();
    check(&page, Language::StarPrnt, &[b"\x1b\x1da\x01\x1b\x1dS\x01\x01\x00\x19\x00\x00", &rows]);
    check(
        &page,
        Language::StarLine,
        &[
            b"\x1b\x1da\x01\x1b0",
            b"\x1bX\x02\x00\x80\0\0\0\0\0\n",
            b"\x1bX\x02\x00\0\0\0\x80\0\0\n",
            b"\x1bz\x01",
        ],
    );
}

#[test]
fn a_drawer_and_the_end_of_a_document() {
    assert_eq!(
        (star::drawer_pulse_now(DrawerPin::Pin2), star::drawer_pulse_now(DrawerPin::Pin5)),
        (0x07, 0x1a)
    );
    assert_eq!(star::ask_when_printed(0x0102), [0x1b, 0x1d, 3, 1, 2, 1]);
}

proptest! {
    #[test]
    fn nothing_that_a_caller_writes_becomes_a_command(
        text in any::<String>(), dots in prop::collection::vec(prop::sample::select(vec![0x1b, 0x06, 0x07, 0x1e, 0x10, 0x04, 0x05, 0x14]), 0..400), line in any::<bool>()
    ) {
        let mut picture = Bitmap::new(8, dots.len());
        for (y, byte) in dots.iter().enumerate() {
            (0..8).filter(|bit| byte & (0x80 >> bit) != 0).for_each(|bit| picture.set(bit, y));
        }
        let page = Page::new().line(&text).picture(Picture::from_dots(&picture)).columns(&text, &text);
        let language = if line { Language::StarLine } else { Language::StarPrnt };
        let bytes = star::encode(&page, &model(language));
        for pair in bytes.windows(2) {
            prop_assert!(!matches!(pair, [0x1b, 0x06 | 0x07 | 0x1e] | [0x10, 0x04 | 0x05 | 0x14]), "{}", bytes.escape_ascii());
        }
    }
}
