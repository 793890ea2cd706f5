//! Scripts that are shaped with the machine's fonts. Where a machine has none, a test says so and looks at nothing; with CI set, where
//! nobody reads that, it fails.

use toko_devices::fonts::{BuiltIn, Faces};
use toko_devices::{Bitmap, Model, Page, SystemFonts, drawn};

/// The fonts of this machine, if one of them has a character.
fn fonts_with(c: char) -> Option<SystemFonts> {
    let fonts = SystemFonts::default();
    let found = fonts.face(c).is_some();
    if !found {
        let words = format!("no font here has {c} (Debian: fonts-noto-core, fonts-noto-cjk)");
        assert!(std::env::var_os("CI").is_none(), "{words}");
        eprintln!("skipped: {words}; nothing was looked at");
    }
    found.then_some(fonts)
}

/// The first row of text of a page, without its margins.
fn row(text: &str, faces: &dyn Faces) -> Bitmap {
    let paper = drawn::paper(&Page::new().line(text), &Model::paper_58mm(), faces);
    let mut row = Bitmap::new(384, 24);
    for (x, y) in (0..384).flat_map(|x| (0..24).map(move |y| (x, y))) {
        if paper.get(36 + x, 36 + y) {
            row.set(x, y);
        }
    }
    row
}

/// A row of dots, then another from a column on.
fn beside(first: &Bitmap, columns: usize, second: &Bitmap) -> Bitmap {
    let mut both = first.clone();
    both.stamp(second, columns * 12, 0);
    both
}

#[test]
fn arabic_letters_join() {
    let Some(fonts) = fonts_with('ش') else { return };
    let alone = row("ش", &fonts);
    assert_ne!(row("شش", &fonts), beside(&alone, 1, &alone), "two letters are more than twice one");
    assert!(!alone.is_blank());
}

#[test]
fn a_mark_stands_on_its_letter_and_takes_no_column() {
    let Some(fonts) = fonts_with('ก') else { return };
    let (bare, marked) = (row("กx", &fonts), row("ก\u{e48}x", &fonts));
    assert_ne!(bare, marked, "the mark is drawn");
    let right = |row: &Bitmap| {
        (12..384).flat_map(|x| (0..24).map(move |y| (x, y))).filter(|(x, y)| row.get(*x, *y)).count()
    };
    assert_eq!(right(&bare), right(&marked), "and what follows stays where it was");
}

#[test]
fn a_wide_sign_fills_its_two_columns_and_no_more() {
    let Some(fonts) = fonts_with('番') else { return };
    let dots = row("番", &fonts);
    let black = |from: usize, to: usize| (from..to).any(|x| (0..24).any(|y| dots.get(x, y)));
    assert!(black(0, 12) && black(12, 24) && !black(24, 384));
    assert_ne!(dots, row("番", &BuiltIn), "a font has it, so it is no box");
}
