//! Codes that a scanner reads back: barcodes and QR, checked before they reach a printer.
//!
//! Invariants: a code that exists can be printed; its data holds no control byte, because real-time commands are
//! obeyed even inside the data of a code. Most printers draw a code from its data; [`Barcode::bars`] and
//! [`Qr::matrix`] are for screens, files and printers that cannot.

mod bars;
mod pdf417;

use thiserror::Error;

use crate::bitmap::Bitmap;
pub use pdf417::{PDF417_BYTES_MAX, PDF417_COLUMNS, Pdf417};

/// A one-dimensional barcode whose digits have been checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Barcode {
    symbology: Symbology,
    data: String,
}

/// Which bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Symbology {
    /// 13 digits, the last one a check digit.
    Ean13,
    /// 8 digits, the last one a check digit.
    Ean8,
    /// 12 digits, the last one a check digit.
    UpcA,
    /// 8 digits that stand for a UPC-A with zeros inside; the first is 0 or 1, the last the check digit.
    UpcE,
    /// An even number of digits, as on cartons.
    Itf,
    /// Any printable ASCII.
    Code128,
}

/// The UPC-A of 12 digits that 8 digits of UPC-E stand for; nothing if another UPC-E is the shortest for it.
pub(crate) fn upc_e_in_full(digits: &str) -> Option<String> {
    let body: [u8; 8] = digits.as_bytes().try_into().ok()?;
    let shortest = match body[6] {
        b'0'..=b'2' => true,
        b'3' => body[3] > b'2',
        b'4' => body[4] != b'0',
        _ => body[5] != b'0',
    };
    shortest.then(|| bars::upc_e_in_full(digits))
}

/// A QR code of a short text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Qr {
    data: String,
}

/// Why a text is no code. Nothing was made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodeError {
    /// The length does not fit the symbology.
    #[error("{name} takes {takes}, not {given}")]
    Length {
        /// The symbology.
        name: &'static str,
        /// What it takes.
        takes: &'static str,
        /// How many bytes were given.
        given: usize,
    },
    /// A character that the symbology cannot show.
    #[error("{name} cannot show {character:?}")]
    Character {
        /// The symbology.
        name: &'static str,
        /// The first such character.
        character: char,
    },
    /// The last digit contradicts the others: a typing error.
    #[error("check digit is {given}, the others ask for {wanted}")]
    CheckDigit {
        /// The digit that was given.
        given: u32,
        /// The digit that would be right.
        wanted: u32,
    },
}

impl Barcode {
    /// An EAN-13 of 13 digits with its check digit.
    ///
    /// Errors: [`CodeError`] if it is not 13 digits or the check digit is wrong.
    pub fn ean13(digits: &str) -> Result<Barcode, CodeError> {
        checked(Symbology::Ean13, digits, 13, "13 digits")
    }

    /// An EAN-8 of 8 digits with its check digit.
    ///
    /// Errors: [`CodeError`] if it is not 8 digits or the check digit is wrong.
    pub fn ean8(digits: &str) -> Result<Barcode, CodeError> {
        checked(Symbology::Ean8, digits, 8, "8 digits")
    }

    /// A UPC-A of 12 digits with its check digit.
    ///
    /// Errors: [`CodeError`] if it is not 12 digits or the check digit is wrong.
    pub fn upc_a(digits: &str) -> Result<Barcode, CodeError> {
        checked(Symbology::UpcA, digits, 12, "12 digits")
    }

    /// A UPC-E of 8 digits: 0 or 1, six digits, and the check digit of the UPC-A that they stand for.
    ///
    /// Errors: [`CodeError`] if it is not 8 digits, starts otherwise or the check digit is wrong.
    pub fn upc_e(digits: &str) -> Result<Barcode, CodeError> {
        let name = Symbology::UpcE.name();
        if let Some(character) = digits.chars().find(|c| !c.is_ascii_digit()) {
            return Err(CodeError::Character { name, character });
        }
        let (8, Some(b'0' | b'1')) = (digits.len(), digits.bytes().next()) else {
            return Err(CodeError::Length { name, takes: "8 digits, the first 0 or 1", given: digits.len() });
        };
        checked(Symbology::UpcA, &bars::upc_e_in_full(digits), 12, "12 digits")?;
        Ok(Barcode { symbology: Symbology::UpcE, data: digits.to_owned() })
    }

    /// An ITF (interleaved 2 of 5) of an even number of digits; a check digit is the caller's.
    ///
    /// Errors: [`CodeError`] if it is empty, odd, longer than [`ITF_DIGITS_MAX`] or holds anything else.
    pub fn itf(digits: &str) -> Result<Barcode, CodeError> {
        let name = Symbology::Itf.name();
        if let Some(character) = digits.chars().find(|c| !c.is_ascii_digit()) {
            return Err(CodeError::Character { name, character });
        }
        if digits.is_empty() || !digits.len().is_multiple_of(2) || digits.len() > ITF_DIGITS_MAX {
            return Err(CodeError::Length {
                name,
                takes: "2 to 30 digits, an even number",
                given: digits.len(),
            });
        }
        Ok(Barcode { symbology: Symbology::Itf, data: digits.to_owned() })
    }

    /// A Code 128 of printable ASCII, as receipt numbers are.
    ///
    /// Errors: [`CodeError`] if it is empty, longer than [`CODE128_CHARS_MAX`] or holds anything else.
    pub fn code128(text: &str) -> Result<Barcode, CodeError> {
        let name = Symbology::Code128.name();
        if text.is_empty() || text.len() > CODE128_CHARS_MAX {
            return Err(CodeError::Length { name, takes: "1 to 40 characters", given: text.len() });
        }
        match text.chars().find(|c| !matches!(c, ' '..='~')) {
            Some(character) => Err(CodeError::Character { name, character }),
            None => Ok(Barcode { symbology: Symbology::Code128, data: text.to_owned() }),
        }
    }

    /// Which bars.
    #[must_use]
    pub fn symbology(&self) -> Symbology {
        self.symbology
    }

    /// What a scanner reads back.
    #[must_use]
    pub fn data(&self) -> &str {
        &self.data
    }

    /// The symbology's name as previews show it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.symbology.name()
    }

    /// Width of the bars in modules, without the quiet zones.
    #[must_use]
    pub fn modules(&self) -> usize {
        match self.symbology {
            Symbology::Ean13 | Symbology::UpcA => 95,
            Symbology::Ean8 => 67,
            Symbology::UpcE => 51,
            // Start 4, 18 a pair with wide bars of 3, stop 5 or 6 as printers draw it.
            Symbology::Itf => 9 * self.data.len() + 9,
            // Start, data and check characters of 11 modules, a stop of 13.
            Symbology::Code128 => 11 * (self.data.len() + 2) + 13,
        }
    }
}

impl Symbology {
    /// The name as previews show it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Symbology::Ean13 => "EAN13",
            Symbology::Ean8 => "EAN8",
            Symbology::UpcA => "UPCA",
            Symbology::UpcE => "UPCE",
            Symbology::Itf => "ITF",
            Symbology::Code128 => "CODE128",
        }
    }
}

impl Qr {
    /// A QR code of a text, in UTF-8.
    ///
    /// Errors: [`CodeError`] if it is empty, longer than [`QR_BYTES_MAX`] or holds control characters.
    pub fn new(text: &str) -> Result<Qr, CodeError> {
        if text.is_empty() || text.len() > QR_BYTES_MAX {
            return Err(CodeError::Length { name: "QR", takes: "1 to 504 bytes", given: text.len() });
        }
        match text.chars().find(|c| c.is_control()) {
            Some(character) => Err(CodeError::Character { name: "QR", character }),
            None => Ok(Qr { data: text.to_owned() }),
        }
    }

    /// What a scanner reads back.
    #[must_use]
    pub fn data(&self) -> &str {
        &self.data
    }

    /// Width of the code in modules with its quiet zone of 4 at each side, at error correction M.
    ///
    /// Source: ISO/IEC 18004, table of capacities, byte mode.
    #[must_use]
    pub fn modules(&self) -> usize {
        let smaller = QR_BYTES_AT_M.iter().filter(|room| **room < self.data.len()).count();
        17 + 4 * (smaller + 1) + 8
    }

    /// The code in modules, without its quiet zone.
    #[must_use]
    pub fn matrix(&self) -> Bitmap {
        // Up to version 17 there is room for every text that [`Qr::new`] lets pass.
        let Ok(code) = qrcode::QrCode::with_error_correction_level(self.data.as_bytes(), qrcode::EcLevel::M)
        else {
            return Bitmap::new(0, 0);
        };
        let side = code.width();
        let mut matrix = Bitmap::new(side, side);
        let dark =
            code.into_colors().into_iter().enumerate().filter(|(_, color)| *color == qrcode::Color::Dark);
        dark.for_each(|(at, _)| matrix.set(at % side, at / side));
        matrix
    }
}

/// Longest ITF.
pub const ITF_DIGITS_MAX: usize = 30;

/// Longest Code 128 text; whether it fits on the paper is for the encoder to see.
pub const CODE128_CHARS_MAX: usize = 40;

/// Longest QR text. Its length on the wire then never reads as a real-time command (`10 04`, `10 05`, `10 14`).
pub const QR_BYTES_MAX: usize = 504;

/// Bytes that versions 1 to 17 hold at error correction M.
const QR_BYTES_AT_M: [usize; 17] =
    [14, 26, 42, 62, 84, 106, 122, 152, 180, 213, 251, 287, 331, 362, 412, 450, 504];

fn checked(
    symbology: Symbology,
    digits: &str,
    length: usize,
    takes: &'static str,
) -> Result<Barcode, CodeError> {
    let name = symbology.name();
    if let Some(character) = digits.chars().find(|c| !c.is_ascii_digit()) {
        return Err(CodeError::Character { name, character });
    }
    if digits.len() != length {
        return Err(CodeError::Length { name, takes, given: digits.len() });
    }
    let values: Vec<u32> = digits.bytes().map(|b| u32::from(b - b'0')).collect();
    let (given, body) = (values[length - 1], &values[..length - 1]);
    // From the right, weights 3, 1, 3, 1 …
    let sum: u32 = body.iter().rev().zip([3, 1].iter().cycle()).map(|(digit, weight)| digit * weight).sum();
    let wanted = (10 - sum % 10) % 10;
    if given != wanted {
        return Err(CodeError::CheckDigit { given, wanted });
    }
    Ok(Barcode { symbology, data: digits.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_of_printed_goods_are_accepted() {
        assert!(Barcode::ean13("4006381333931").is_ok());
        assert!(Barcode::ean8("96385074").is_ok());
        assert!(Barcode::upc_a("036000291452").is_ok());
    }

    #[test]
    fn a_mistyped_digit_names_the_right_one() {
        assert_eq!(Barcode::ean13("4006381333932"), Err(CodeError::CheckDigit { given: 2, wanted: 1 }));
    }

    #[test]
    fn what_a_symbology_cannot_show_is_refused_by_name() {
        let said = |e: Result<Barcode, CodeError>| e.err().map(|e| e.to_string());
        assert_eq!(said(Barcode::ean8("123")).as_deref(), Some("EAN8 takes 8 digits, not 3"));
        assert_eq!(said(Barcode::upc_a("03600029145x")).as_deref(), Some("UPCA cannot show 'x'"));
        assert_eq!(said(Barcode::code128("a\u{10}\u{4}")).as_deref(), Some("CODE128 cannot show '\\u{10}'"));
        assert!(Barcode::code128("").is_err() && Barcode::code128(&"x".repeat(41)).is_err());
        assert!(Qr::new("").is_err() && Qr::new(&"x".repeat(505)).is_err() && Qr::new("a\nb").is_err());
    }

    #[test]
    fn a_qr_grows_by_the_versions_of_the_standard() -> Result<(), CodeError> {
        assert_eq!(Qr::new("x")?.modules(), 21 + 8);
        assert_eq!(Qr::new(&"x".repeat(14))?.modules(), 21 + 8);
        assert_eq!(Qr::new(&"x".repeat(15))?.modules(), 25 + 8);
        assert_eq!(Qr::new(&"x".repeat(504))?.modules(), 85 + 8);
        Ok(())
    }
}
