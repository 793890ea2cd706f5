//! Letters as dots, for what a printer has no code page for, and for pictures of a receipt.
//!
//! Letters of Latin, Greek, Cyrillic and Hebrew come from a font inside the program (`cells`), which needs nothing from the
//! machine. Other scripts are shaped from fonts that somebody hands in ([`Faces`]): [`SystemFonts`] finds them on the
//! machine. A character that no font has is a box with its number: what is missing can be read, and is never a `?`.
//!
//! Invariant: a run of text is as wide as its columns, whatever its letters are, so that columns hold. Everything but
//! [`SystemFonts`] is pure.

pub(crate) mod cells;
mod shape;
mod system;

use std::sync::Arc;

use crate::bitmap::Bitmap;
use crate::codepage::invisible;
use crate::model::{CELL_DOTS, CELL_ROWS};
use crate::width;
pub use shape::Face;
pub use system::SystemFonts;

/// Where fonts for other scripts come from.
pub trait Faces {
    /// A font that has the character.
    fn face(&self, c: char) -> Option<Arc<Face>>;
}

/// No fonts but the one inside the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BuiltIn;

impl Faces for BuiltIn {
    fn face(&self, _: char) -> Option<Arc<Face>> {
        None
    }
}

/// A run of text of one direction as dots: 24 high and 12 wide for each of its columns.
pub(crate) fn draw(text: &str, leftward: bool, bold: bool, faces: &dyn Faces) -> Bitmap {
    let mut drawn = Bitmap::new(width::columns(text) * CELL_DOTS, CELL_ROWS);
    let mut used = 0;
    for span in spans(text, faces) {
        let dots = span.columns * CELL_DOTS;
        let at = if leftward { drawn.width().saturating_sub(used + dots) } else { used };
        match &span.face {
            Some(face) => {
                let run = face.draw(&span.text, leftward, span.columns);
                drawn.stamp(&if bold { run.bolder() } else { run }, at, 0);
            }
            None => drawn.stamp(&cell(&span.text, span.columns, bold), at, 0),
        }
        used += dots;
    }
    drawn
}

/// A piece of a run that one font draws: a whole word of a shaped font, one letter of cells.
struct Span {
    text: String,
    columns: usize,
    face: Option<Arc<Face>>,
}

fn spans(text: &str, faces: &dyn Faces) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for c in text.chars() {
        let columns = width::of(c);
        match spans.last_mut() {
            // A mark belongs to the letter before it, and is drawn where that letter's font has it.
            Some(last) if columns == 0 => {
                if last.face.is_none() && !invisible(c) {
                    last.face = base_face(&last.text, c, faces);
                }
                last.text.push(c);
            }
            Some(last) if !cells::has(c) && last.face.as_ref().is_some_and(|face| face.has(c)) => {
                last.text.push(c);
                last.columns += columns;
            }
            _ => {
                let face = if cells::has(c) { None } else { faces.face(c) };
                spans.push(Span { text: c.to_string(), columns, face });
            }
        }
    }
    spans
}

/// A font that has a letter and the mark on it.
fn base_face(letter: &str, mark: char, faces: &dyn Faces) -> Option<Arc<Face>> {
    faces.face(mark).filter(|face| letter.chars().all(|c| face.has(c)))
}

fn cell(text: &str, columns: usize, bold: bool) -> Bitmap {
    let c = text.chars().next().unwrap_or(' ');
    cells::glyph(c, bold).unwrap_or_else(|| cells::missing(c, columns.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_as_wide_as_its_columns_whatever_it_holds() {
        for text in ["Tin", "中文", "e\u{301}x", "ไม่", "a\u{10ffff}b", ""] {
            let drawn = draw(text, false, false, &BuiltIn);
            assert_eq!((drawn.width(), drawn.height()), (12 * width::columns(text), 24), "{text}");
        }
    }

    #[test]
    fn what_runs_leftward_is_drawn_from_the_right() {
        let (alef, bet) = (draw("א", true, false, &BuiltIn), draw("ב", true, false, &BuiltIn));
        let mut both = Bitmap::new(24, 24);
        both.stamp(&bet, 0, 0);
        both.stamp(&alef, 12, 0);
        assert_eq!(draw("אב", true, false, &BuiltIn), both);
    }

    #[test]
    fn a_missing_sign_is_a_box_with_its_number() {
        let missing = draw("中", false, false, &BuiltIn);
        assert!(!missing.is_blank());
        assert_ne!(missing, draw("丁", false, false, &BuiltIn), "another sign is another number");
    }
}
