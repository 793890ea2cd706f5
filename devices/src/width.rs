//! How many columns of paper a text takes. Pure.
//!
//! Source: Unicode Standard Annex #11, East Asian Width; signs that are wide there take two columns of a receipt, as on
//! printers with fonts of their own, and marks on a letter take none.

use unicode_width::UnicodeWidthChar;

/// Columns of one character: none for a mark, two for a wide sign.
#[must_use]
pub fn of(c: char) -> usize {
    c.width().unwrap_or(1)
}

/// Columns of a text.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.chars().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_signs_take_two_columns_and_marks_none() {
        assert_eq!(columns("Tomatoes"), 8);
        assert_eq!(columns("番茄 400g"), 9);
        assert_eq!(columns("e\u{301}"), 1);
        assert_eq!(columns("ไม่"), 2);
        assert_eq!(columns("ﾄﾏﾄ"), 3);
    }
}
