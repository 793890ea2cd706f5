//! Receipt numbers, and the tag that tells two receipts apart even when a clone printed one number twice.

use std::fmt;

use toko_crdt::EffectId;

/// A receipt number: gap-free per terminal and series, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptNumber {
    /// The terminal.
    pub terminal: u16,
    /// The series; a clone or restore opens a new one.
    pub series: u32,
    /// From 1.
    pub counter: u64,
}

/// Why there is no next number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("series {series} of terminal {terminal} is used up; open series {}", u64::from(*series) + 1)]
pub struct NumberError {
    /// The terminal.
    pub terminal: u16,
    /// The series.
    pub series: u32,
}

impl ReceiptNumber {
    /// The number behind the highest one seen (0 before the first).
    pub fn next(terminal: u16, series: u32, highest: u64) -> Result<ReceiptNumber, NumberError> {
        match highest.checked_add(1) {
            Some(counter) => Ok(ReceiptNumber { terminal, series, counter }),
            None => Err(NumberError { terminal, series }),
        }
    }

    /// Reads `3-1-000042`.
    pub fn parse(text: &str) -> Option<ReceiptNumber> {
        let number =
            |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u64>().ok())?;
        let mut parts = text.split('-').map(number);
        let number = ReceiptNumber {
            terminal: u16::try_from(parts.next()??).ok()?,
            series: u32::try_from(parts.next()??).ok()?,
            counter: parts.next()??,
        };
        parts.next().is_none().then_some(number)
    }
}

impl fmt::Display for ReceiptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:06}", self.terminal, self.series, self.counter)
    }
}

/// Six letters and digits of a sale's entry, printed beside its number.
///
/// Shape: Crockford's base 32, without I, L, O and U, so that it can be read out over a telephone.
pub fn receipt_tag(sale: EffectId) -> String {
    let head = sale.0.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    (0..6_u32)
        .map(|place| char::from(TAG_DIGITS[usize::try_from(head >> (59 - 5 * place) & 31).unwrap_or(0)]))
        .collect()
}

const TAG_DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_without_gaps_and_read_back() {
        let first = ReceiptNumber::next(3, 1, 0).unwrap();
        assert_eq!(first.to_string(), "3-1-000001");
        assert_eq!(ReceiptNumber::next(3, 1, first.counter).unwrap().counter, 2);
        assert_eq!(ReceiptNumber::parse("3-1-000001"), Some(first));
        for bad in ["", "3-1", "3-1-1-1", "a-1-1", "65536-1-1", "+3-1-1", "3--1"] {
            assert_eq!(ReceiptNumber::parse(bad), None, "{bad}");
        }
        let used_up = ReceiptNumber::next(3, 1, u64::MAX).unwrap_err();
        assert_eq!(used_up.to_string(), "series 1 of terminal 3 is used up; open series 2");
    }

    #[test]
    fn the_tag_is_the_front_of_the_hash() {
        assert_eq!(receipt_tag(EffectId([0; 32])), "000000");
        assert_eq!(receipt_tag(EffectId([0xff; 32])), "ZZZZZZ");
        let mut id = [0; 32];
        id[..4].copy_from_slice(&[0b0000_1000, 0b1000_0110, 0b0100_0010, 0b1001_1000]);
        assert_eq!(receipt_tag(EffectId(id)), "123456");
    }
}
