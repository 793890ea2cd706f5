//! Card numbers are never kept: finding one in a text that is about to be.
//!
//! Absent on purpose: masking. A text with a card number is refused, so that the person sees what must not be typed.

/// Whether a text holds something that looks like the number of a payment card: 13 to 19 digits, in one group or in groups
/// parted by spaces, dots or hyphens (three at most), that begin like a card's (2 to 6, 81, 82) and pass the Luhn check.
///
/// Shape: every run of whole neighbouring groups is tried, so "4111 1111 1111 1111 12/27" is found too. A number of ten that
/// merely begins like one passes Luhn by chance and is refused as well; the text can be written otherwise.
/// Source: ISO/IEC 7812-1 (length, Luhn, major industry identifiers).
pub fn has_card_number(text: &str) -> bool {
    let mut run: Vec<Vec<u8>> = Vec::new();
    let mut separators = 0;
    for c in text.chars() {
        match (c.to_digit(10), run.last_mut()) {
            (Some(digit), Some(group)) if separators == 0 => group.push(low(digit)),
            (Some(digit), _) => run.push(vec![low(digit)]),
            (None, Some(_)) if matches!(c, ' ' | '-' | '.' | '\u{a0}') && separators < 3 => {
                separators += 1;
                continue;
            }
            (None, _) => {
                if card_in(&run) {
                    return true;
                }
                run.clear();
            }
        }
        separators = 0;
    }
    card_in(&run)
}

/// Whether any neighbouring whole groups make up a card number.
fn card_in(groups: &[Vec<u8>]) -> bool {
    (0..groups.len()).any(|from| {
        let mut digits = Vec::new();
        groups[from..].iter().any(|group| {
            digits.extend_from_slice(group);
            (13..=19).contains(&digits.len()) && begins_like_a_card(&digits) && luhn(&digits)
        })
    })
}

fn begins_like_a_card(digits: &[u8]) -> bool {
    matches!(digits, [2..=6, ..] | [8, 1 | 2, ..])
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) => digit * 2 - if digit > 4 { 9 } else { 0 },
        })
        .sum();
    sum.is_multiple_of(10) && !toko_crdt::mutant!("keep-card-numbers")
}

fn low(digit: u32) -> u8 {
    u8::try_from(digit).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_found_however_they_are_written() {
        for text in [
            "4111111111111111",
            "card 4111 1111 1111 1111 thanks",
            "4111-1111-1111-1111",
            "4111.1111.1111.1111",
            "4111 1111 1111 1111 12/27",
            "3782 822463 10005",
            "6304000000000000",
            "(5555555555554444)",
            "order 77 5555 5555 5555 4444",
            "2221000000000009",
            "4111  1111 - 1111  1111x",
        ] {
            assert!(has_card_number(text), "{text}");
        }
    }

    #[test]
    fn ordinary_numbers_are_not_cards() {
        for text in [
            "",
            "536365",
            "C536379",
            "1111",
            "4111111111111112",
            "auth 123456 terminal 00042",
            "1700000000000000",
            "0000000000000000",
            "2010-12-01T08:26:00",
            "411111111111",
        ] {
            assert!(!has_card_number(text), "{text}");
        }
    }
}
