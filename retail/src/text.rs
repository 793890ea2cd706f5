//! Short texts that a person types: names, memos, reasons, references.
//!
//! Invariants: whatever passes is one line without control characters, not longer than its field allows, and holds nothing
//! that looks like a card number. Absent on purpose: changing a text. It passes as it is or is refused.

use crate::card::has_card_number;
use crate::code::Gtin;

/// Why a text was refused. `field` is the word the person sees.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// Nothing but spaces.
    #[error("{field} is empty")]
    Empty {
        /// Which text.
        field: &'static str,
    },
    /// More characters than the field holds.
    #[error("{field} has {found} characters, {max} at most")]
    TooLong {
        /// Which text.
        field: &'static str,
        /// Characters found.
        found: usize,
        /// Characters allowed.
        max: usize,
    },
    /// A control character or a mark that turns the direction of what follows.
    #[error("{field} has a control character (U+{code:04X}) at place {at}")]
    Control {
        /// Which text.
        field: &'static str,
        /// The character.
        code: u32,
        /// Its place, counted from 1.
        at: usize,
    },
    /// Looks like the number of a payment card.
    #[error("{field} looks like a card number; leave it out, the last four digits are kept with the tender")]
    CardNumber {
        /// Which text.
        field: &'static str,
    },
}

/// Checks a text that may be empty.
pub fn check_text(field: &'static str, text: &str, max: usize) -> Result<(), TextError> {
    check_name(field, text, max)?;
    if has_card_number(text) { Err(TextError::CardNumber { field }) } else { Ok(()) }
}

/// Checks a text that may be empty and comes from a catalogue: like [`check_text`], but article numbers may stand in it.
pub fn check_name(field: &'static str, text: &str, max: usize) -> Result<(), TextError> {
    let found = text.chars().count();
    if found > max {
        return Err(TextError::TooLong { field, found, max });
    }
    match text.chars().enumerate().find(|(_, c)| unprintable(*c)) {
        Some((at, c)) => Err(TextError::Control { field, code: u32::from(c), at: at + 1 }),
        None => Ok(()),
    }
}

/// Like [`check_text`], and something must be there.
pub fn check_given(field: &'static str, text: &str, max: usize) -> Result<(), TextError> {
    if text.trim().is_empty() {
        return Err(TextError::Empty { field });
    }
    check_text(field, text, max)
}

/// Checks a code that was scanned or typed: something must be there, and it must not be the number of a card. An article
/// number with its own check digit is none, even where it would pass for one.
pub fn check_code(field: &'static str, text: &str, max: usize) -> Result<(), TextError> {
    if text.trim().is_empty() {
        return Err(TextError::Empty { field });
    }
    check_name(field, text, max)?;
    if has_card_number(text) && Gtin::parse(text).is_err() {
        Err(TextError::CardNumber { field })
    } else {
        Ok(())
    }
}

/// Controls, line separators, and the marks that reorder a line of text on a screen or a receipt.
fn unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_in_any_script_pass() {
        for text in ["", "broken on the way", "kopi susu", "牛乳", "حليب", "O'Neill & Co."] {
            assert_eq!(check_text("the note", text, 40), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let said = |r: Result<(), TextError>| r.unwrap_err().to_string();
        assert_eq!(
            said(check_text("the note", "a\nb", 40)),
            "the note has a control character (U+000A) at place 2"
        );
        assert_eq!(said(check_text("the note", "abc", 2)), "the note has 3 characters, 2 at most");
        assert_eq!(said(check_given("the note", "  ", 9)), "the note is empty");
        assert!(said(check_text("the note", "a\u{202e}b", 40)).contains("U+202E"));
        assert!(said(check_text("the note", "paid 4111 1111 1111 1111", 40)).contains("card number"));
        assert_eq!(check_name("the name", "tin 4111111111111111", 40), Ok(()));
    }

    #[test]
    fn an_article_number_is_no_card_number_but_a_scanned_card_is() {
        // Passes both the check of a GTIN and that of a card.
        assert!(has_card_number("5000000000005"));
        assert_eq!(check_code("the code", "5000000000005", 40), Ok(()));
        assert_eq!(check_code("the code", "BANK CHARGES", 40), Ok(()));
        let scanned = check_code("the code", "4111111111111111", 40);
        assert_eq!(scanned, Err(TextError::CardNumber { field: "the code" }));
    }
}
