//! The bars of a barcode, module by module. Pure.
//!
//! Source: GS1 General Specifications (EAN, UPC, ITF); ISO/IEC 15417 (Code 128, set B).

use super::{Barcode, Symbology};

impl Barcode {
    /// The modules from left to right without quiet zones; a bar is `true`.
    #[must_use]
    pub fn bars(&self) -> Vec<bool> {
        let digits: Vec<usize> = self.data.bytes().map(|b| usize::from(b.wrapping_sub(b'0')) % 10).collect();
        let mut bars = Bars::default();
        match self.symbology {
            Symbology::Ean13 => ean(&mut bars, &digits[1..], FIRST_DIGIT[digits[0]]),
            Symbology::UpcA => ean(&mut bars, &digits, FIRST_DIGIT[0]),
            Symbology::Ean8 => ean(&mut bars, &digits, FIRST_DIGIT[0]),
            Symbology::UpcE => upc_e(&mut bars, &digits),
            Symbology::Itf => itf(&mut bars, &digits),
            Symbology::Code128 => code128(&mut bars, self.data.as_bytes()),
        }
        bars.0
    }
}

#[derive(Default)]
struct Bars(Vec<bool>);

impl Bars {
    /// Widths of bars and spaces in turn, a bar first.
    fn runs(&mut self, widths: impl IntoIterator<Item = usize>) {
        for (n, width) in widths.into_iter().enumerate() {
            self.0.extend(std::iter::repeat_n(n % 2 == 0, width));
        }
    }

    /// Widths of bars and spaces in turn, a space first.
    fn spaced_runs(&mut self, widths: impl IntoIterator<Item = usize>) {
        for (n, width) in widths.into_iter().enumerate() {
            self.0.extend(std::iter::repeat_n(n % 2 == 1, width));
        }
    }

    fn digit(&mut self, digit: usize, set: Set) {
        let widths = DIGIT[digit];
        match set {
            Set::A => self.spaced_runs(widths),
            Set::B => self.spaced_runs(widths.into_iter().rev()),
            Set::C => self.runs(widths),
        }
    }
}

/// How a digit of EAN is drawn: with odd or even parity left of the middle, mirrored right of it.
#[derive(Clone, Copy)]
enum Set {
    A,
    B,
    C,
}

/// Two halves between guards; `parity` has a bit for each digit of the left half that is drawn in set B.
fn ean(bars: &mut Bars, digits: &[usize], parity: u8) {
    let (left, right) = digits.split_at(digits.len() / 2);
    bars.runs([1, 1, 1]);
    for (n, digit) in left.iter().enumerate() {
        bars.digit(*digit, if parity & (0x20 >> n) == 0 { Set::A } else { Set::B });
    }
    bars.spaced_runs([1, 1, 1, 1, 1]);
    right.iter().for_each(|digit| bars.digit(*digit, Set::C));
    bars.runs([1, 1, 1]);
}

/// Six digits whose parity says the first digit and the check digit.
fn upc_e(bars: &mut Bars, digits: &[usize]) {
    let even = UPC_E_EVEN[digits[7]] ^ if digits[0] == 1 { 0x3f } else { 0 };
    bars.runs([1, 1, 1]);
    for (n, digit) in digits[1..7].iter().enumerate() {
        bars.digit(*digit, if even & (0x20 >> n) == 0 { Set::A } else { Set::B });
    }
    bars.spaced_runs([1, 1, 1, 1, 1, 1]);
}

/// The UPC-A of 12 digits that 8 digits of UPC-E stand for.
pub(super) fn upc_e_in_full(digits: &str) -> String {
    let (system, body, check) = (&digits[..1], &digits[1..7], &digits[7..]);
    let (a, b, c, last) = (&body[..2], &body[..3], &body[..4], &body[5..]);
    let full = match last {
        "0" | "1" | "2" => format!("{a}{last}0000{}", &body[2..5]),
        "3" => format!("{b}00000{}", &body[3..5]),
        "4" => format!("{c}00000{}", &body[4..5]),
        _ => format!("{}0000{last}", &body[..5]),
    };
    format!("{system}{full}{check}")
}

/// Pairs of digits, one in the bars and one in the spaces; wide is three modules.
fn itf(bars: &mut Bars, digits: &[usize]) {
    bars.runs([1, 1, 1, 1]);
    for pair in digits.chunks_exact(2) {
        let width = |digit: usize, n: usize| if WIDE[digit] & (0x10 >> n) == 0 { 1 } else { 3 };
        bars.runs((0..5).flat_map(|n| [width(pair[0], n), width(pair[1], n)]));
    }
    bars.runs([3, 1, 1]);
}

fn code128(bars: &mut Bars, text: &[u8]) {
    let mut sum = START_B;
    bars.runs(symbol(START_B));
    for (n, byte) in text.iter().enumerate() {
        let value = usize::from(byte.saturating_sub(b' '));
        sum += value * (n + 1);
        bars.runs(symbol(value));
    }
    bars.runs(symbol(sum % 103));
    bars.runs([2, 3, 3, 1, 1, 1, 2]);
}

fn symbol(value: usize) -> [usize; 6] {
    let digits = CODE_128.get(value).copied().unwrap_or(111_111);
    [100_000, 10_000, 1_000, 100, 10, 1].map(|place| digits / place % 10)
}

const START_B: usize = 104;

/// Widths of the four runs of each digit in set A, a space first.
const DIGIT: [[usize; 4]; 10] = [
    [3, 2, 1, 1],
    [2, 2, 2, 1],
    [2, 1, 2, 2],
    [1, 4, 1, 1],
    [1, 1, 3, 2],
    [1, 2, 3, 1],
    [1, 1, 1, 4],
    [1, 3, 1, 2],
    [1, 2, 1, 3],
    [3, 1, 1, 2],
];

/// Which digits of the left half are in set B, by the first digit of an EAN-13.
const FIRST_DIGIT: [u8; 10] = [0x00, 0x0b, 0x0d, 0x0e, 0x13, 0x19, 0x1c, 0x15, 0x16, 0x1a];

/// Which digits of a UPC-E that starts with 0 are in set B, by its check digit.
const UPC_E_EVEN: [u8; 10] = [0x38, 0x34, 0x32, 0x31, 0x2c, 0x26, 0x23, 0x2a, 0x29, 0x25];

/// Which of the five elements of a digit of ITF are wide.
const WIDE: [u8; 10] = [0x06, 0x11, 0x09, 0x18, 0x05, 0x14, 0x0c, 0x03, 0x12, 0x0a];

/// Widths of the six runs of each symbol, a bar first.
#[rustfmt::skip]
const CODE_128: [usize; 106] = [
    212222, 222122, 222221, 121223, 121322, 131222, 122213, 122312, 132212, 221213, 221312, 231212, 112232, 122132,
    122231, 113222, 123122, 123221, 223211, 221132, 221231, 213212, 223112, 312131, 311222, 321122, 321221, 312212,
    322112, 322211, 212123, 212321, 232121, 111323, 131123, 131321, 112313, 132113, 132311, 211313, 231113, 231311,
    112133, 112331, 132131, 113123, 113321, 133121, 313121, 211331, 231131, 213113, 213311, 213131, 311123, 311321,
    331121, 312113, 312311, 332111, 314111, 221411, 431111, 111224, 111422, 121124, 121421, 141122, 141221, 112214,
    112412, 122114, 122411, 142112, 142211, 241211, 221114, 413111, 241112, 134111, 111242, 121142, 121241, 114212,
    124112, 124211, 411212, 421112, 421211, 212141, 214121, 412121, 111143, 111341, 131141, 114113, 114311, 411113,
    411311, 113141, 114131, 311141, 411131, 211412, 211214, 211232,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CodeError;

    fn drawn(barcode: &Barcode) -> String {
        barcode.bars().iter().map(|bar| if *bar { '1' } else { '0' }).collect()
    }

    #[test]
    fn each_code_is_as_wide_as_it_says() -> Result<(), CodeError> {
        for code in [
            Barcode::ean13("4006381333931")?,
            Barcode::ean8("96385074")?,
            Barcode::upc_a("036000291452")?,
            Barcode::upc_e("01234565")?,
            Barcode::itf("00012345600012")?,
            Barcode::code128("R{7")?,
        ] {
            assert_eq!(code.bars().len(), code.modules(), "{}", code.name());
        }
        Ok(())
    }

    #[test]
    fn an_ean_8_is_drawn_as_the_standard_shows_it() -> Result<(), CodeError> {
        let left = "0001011 0101111 0111101 0110111".replace(' ', "");
        let right = "1001110 1110010 1000100 1011100".replace(' ', "");
        assert_eq!(drawn(&Barcode::ean8("96385074")?), format!("101{left}01010{right}101"));
        Ok(())
    }

    #[test]
    fn a_upc_e_stands_for_its_upc_a() {
        assert_eq!(upc_e_in_full("01234505"), "012000003455");
        assert_eq!(upc_e_in_full("01234531"), "012300000451");
        assert_eq!(upc_e_in_full("01234541"), "012340000051");
        assert_eq!(upc_e_in_full("01234565"), "012345000065");
        assert!(Barcode::upc_e("01234565").is_ok() && Barcode::upc_e("01234566").is_err());
        assert!(Barcode::upc_e("21234565").is_err() && Barcode::upc_e("1234565").is_err());
    }

    #[test]
    fn an_itf_has_an_even_number_of_digits() {
        assert!(Barcode::itf("1234").is_ok());
        for wrong in ["", "123", "12a4", &"12".repeat(16)] {
            assert!(Barcode::itf(wrong).is_err(), "{wrong}");
        }
    }
}
