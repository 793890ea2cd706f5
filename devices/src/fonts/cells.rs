//! The font inside the program: letters of 12 by 24 dots, as large as a receipt printer's font A. Pure.
//!
//! Source: `data/cells-12x24.png` and `.txt`, see `data/NOTICE.md`; the digits in the boxes are ours.

use std::sync::OnceLock;

use crate::bitmap::Bitmap;
use crate::model::{CELL_DOTS, CELL_ROWS};
use crate::picture::unpacked;

struct Sheet {
    chars: Vec<char>,
    dots: Bitmap,
}

fn sheet() -> &'static Sheet {
    static SHEET: OnceLock<Sheet> = OnceLock::new();
    SHEET.get_or_init(|| {
        let chars: Vec<char> = include_str!("../../data/cells-12x24.txt").chars().collect();
        let dots = unpacked(include_bytes!("../../data/cells-12x24.png"));
        let rows = chars.len().div_ceil(ACROSS) * CELL_ROWS;
        assert_eq!((dots.width(), dots.height()), (ACROSS * CELL_DOTS, rows), "the sheet holds every letter");
        Sheet { chars, dots }
    })
}

/// Whether the font has a letter.
pub(crate) fn has(c: char) -> bool {
    c == ' ' || sheet().chars.binary_search(&c).is_ok()
}

/// A letter; nothing where the font lacks it.
pub(crate) fn glyph(c: char, bold: bool) -> Option<Bitmap> {
    let mut glyph = Bitmap::new(CELL_DOTS, CELL_ROWS);
    if c == ' ' {
        return Some(glyph);
    }
    let sheet = sheet();
    let at = sheet.chars.binary_search(&c).ok()?;
    let (left, top) = (at % ACROSS * CELL_DOTS, at / ACROSS * CELL_ROWS);
    for y in 0..CELL_ROWS {
        (0..CELL_DOTS).filter(|x| sheet.dots.get(left + x, top + y)).for_each(|x| glyph.set(x, y));
    }
    Some(if bold { glyph.bolder() } else { glyph })
}

/// What stands for a sign that no font has: a box with its number in hexadecimal.
pub(crate) fn missing(c: char, columns: usize) -> Bitmap {
    let mut cell = Bitmap::new(columns * CELL_DOTS, CELL_ROWS);
    let (width, height) = (cell.width() - 1, CELL_ROWS - 1);
    cell.fill(0, 0, width, 1);
    cell.fill(0, height - 1, width, 1);
    cell.fill(0, 0, 1, height);
    cell.fill(width - 1, 0, 1, height);
    let number = format!("{:04X}", u32::from(c));
    let each = number.len().div_ceil(2);
    // Three dots a digit where it must be, six where there is room; ten high.
    let across = ((width - 3) / each).saturating_sub(1) / DIGIT_DOTS;
    let across = across.clamp(1, 2);
    let left = width.saturating_sub(each * (DIGIT_DOTS * across + 1)).div_ceil(2);
    for (n, digit) in number.bytes().enumerate() {
        let (x, y) = (left + n % each * (DIGIT_DOTS * across + 1), if n < each { 2 } else { 12 });
        cell.stamp(&small_digit(digit).scaled(across, 2), x, y.min(height));
    }
    cell
}

fn small_digit(digit: u8) -> Bitmap {
    let value = char::from(digit).to_digit(16).unwrap_or(0) as usize;
    let mut dots = Bitmap::new(DIGIT_DOTS, 5);
    for (y, row) in DIGITS.get(value).copied().unwrap_or_default().into_iter().enumerate() {
        (0..DIGIT_DOTS).filter(|x| row & (4 >> x) != 0).for_each(|x| dots.set(x, y));
    }
    dots
}

/// Letters in a row of the sheet.
const ACROSS: usize = 64;
const DIGIT_DOTS: usize = 3;

/// Rows of three dots.
const DIGITS: [[u8; 5]; 16] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 3, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 1, 2, 2],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
    [2, 5, 7, 5, 5],
    [6, 5, 6, 5, 6],
    [3, 4, 4, 4, 3],
    [6, 5, 5, 5, 6],
    [7, 4, 6, 4, 7],
    [7, 4, 6, 4, 4],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letters_of_the_file_are_in_order_and_none_is_blank() {
        let chars = &sheet().chars;
        assert!(chars.is_sorted() && chars.len() > 1_000, "{}", chars.len());
        let blank = chars.iter().filter(|c| glyph(**c, false).is_none_or(|glyph| glyph.is_blank()));
        assert_eq!(blank.collect::<String>(), "");
    }

    #[test]
    fn what_the_code_pages_of_europe_hold_can_be_drawn() {
        use crate::CodePage;
        for page in [
            CodePage::Pc437,
            CodePage::Pc858,
            CodePage::Wpc1252,
            CodePage::Pc852,
            CodePage::Pc866,
            CodePage::Wpc1253,
        ] {
            let lacking: String = (0x80..=0xff_u8)
                .filter_map(|byte| page.character(byte))
                .filter(|c| !has(*c) && !c.is_whitespace() && *c != '\u{ad}')
                .collect();
            assert_eq!(lacking, "", "{}", page.name());
        }
    }
}
