//! The printer's own font: 12 × 24 dots a character, as font A of most receipt printers.
//!
//! Source: Spleen 12x24, BSD 2-Clause; licence and layout of the file in `data/spleen-12x24`.

/// Dots across a character.
pub(super) const CELL_WIDTH: usize = 12;
/// Dots down a character.
pub(super) const CELL_HEIGHT: usize = 24;

const GLYPHS: &[u8] = include_bytes!("../../data/spleen-12x24/glyphs.bin");
const ENTRY_BYTES: usize = 2 + CELL_HEIGHT / 2 * 3;

/// The rows of a character, from the top, each in its lowest 12 bits with the leftmost dot highest; a box for what it lacks.
pub(super) fn glyph(c: char) -> [u16; CELL_HEIGHT] {
    let entry = find(c).or_else(|| find('□')).unwrap_or_default();
    let mut rows = [0; CELL_HEIGHT];
    for (pair, bytes) in rows.chunks_exact_mut(2).zip(entry.chunks_exact(3)) {
        let both = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
        pair[0] = u16::try_from(both >> 12).unwrap_or(0);
        pair[1] = u16::try_from(both & 0xfff).unwrap_or(0);
    }
    rows
}

fn find(c: char) -> Option<&'static [u8]> {
    let code = u16::try_from(u32::from(c)).ok()?;
    let (mut low, mut high) = (0, GLYPHS.len() / ENTRY_BYTES);
    while low < high {
        let middle = low + (high - low) / 2;
        let entry = &GLYPHS[middle * ENTRY_BYTES..(middle + 1) * ENTRY_BYTES];
        match u16::from_le_bytes([entry[0], entry[1]]).cmp(&code) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => return Some(&entry[2..]),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_drawn_and_what_is_lacking_is_a_box() {
        assert_ne!(glyph('A'), glyph('B'));
        assert!(glyph('€').iter().any(|row| *row != 0) && glyph('é').iter().any(|row| *row != 0));
        assert_eq!(glyph(' '), [0; CELL_HEIGHT]);
        assert_eq!(glyph('卡'), glyph('□'));
    }
}
