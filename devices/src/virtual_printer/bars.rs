//! Barcodes, QR codes and PDF417 as a printer draws them from their data, apart from the encoder that sends them. PDF417 alone is
//! drawn by our own encoder, which others read elsewhere, in its five columns whatever was asked for.
//!
//! Source: ISO/IEC 15420 (EAN, UPC), 15417 (Code 128), 16390 (ITF), 16388 (Code 39). What is not among them stands as text.

use crate::bitmap::Bitmap;
use crate::codes::Pdf417;

/// The bars of a symbol, left to right, black is true; nothing if it cannot be drawn.
///
/// Shape: `m` is the number of `GS k`, 65 and up.
pub(super) fn bars(m: u8, data: &[u8]) -> Option<Vec<bool>> {
    match m {
        65 => digits(data, 11).and_then(|digits| ean13(&[&[0][..], &digits].concat())),
        66 => upc_e(data),
        67 => digits(data, 12).and_then(|digits| ean13(&digits)),
        68 => digits(data, 7).map(|digits| ean8(&digits)),
        69 => code39(data),
        70 => itf(data),
        73 => code128(data),
        _ => None,
    }
}

/// The modules of a QR code, row by row, and its side; nothing if it does not fit.
pub(super) fn qr(data: &[u8], level: u8) -> Option<(usize, Vec<bool>)> {
    let level = match level {
        49 => qrcode::EcLevel::M,
        50 => qrcode::EcLevel::Q,
        51 => qrcode::EcLevel::H,
        _ => qrcode::EcLevel::L,
    };
    let code = qrcode::QrCode::with_error_correction_level(data, level).ok()?;
    let dark = code.to_colors().into_iter().map(|color| color == qrcode::Color::Dark).collect();
    Some((code.width(), dark))
}

/// The modules of a PDF417 code; nothing if it does not fit.
pub(super) fn pdf417(data: &[u8]) -> Option<Bitmap> {
    Some(Pdf417::new(std::str::from_utf8(data).ok()?).ok()?.matrix())
}

/// The digits without a check digit, with it appended; a check digit that was sent has to be right.
fn digits(data: &[u8], without_check: usize) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = data.iter().map(|b| b.is_ascii_digit().then(|| b - b'0')).collect();
    let mut digits = digits.filter(|digits| (without_check..=without_check + 1).contains(&digits.len()))?;
    let sum: u32 = digits[..without_check]
        .iter()
        .rev()
        .enumerate()
        .map(|(nth, digit)| u32::from(*digit) * if nth % 2 == 0 { 3 } else { 1 })
        .sum();
    let check = u8::try_from((10 - sum % 10) % 10).ok()?;
    if digits.len() == without_check {
        digits.push(check);
    }
    (digits[without_check] == check).then_some(digits)
}

/// Seven modules of a digit on the left, odd parity; the other sets are made from these.
const LEFT: [u8; 10] = [
    0b000_1101, 0b001_1001, 0b001_0011, 0b011_1101, 0b010_0011, 0b011_0001, 0b010_1111, 0b011_1011,
    0b011_0111, 0b000_1011,
];
/// Which of the six digits on the left are of even parity, by the first digit.
const EVEN: [u8; 10] =
    [0b000000, 0b001011, 0b001101, 0b001110, 0b010011, 0b011001, 0b011100, 0b010101, 0b010110, 0b011010];

fn push(bars: &mut Vec<bool>, bits: u32, count: u32) {
    bars.extend((0..count).rev().map(|nth| bits & 1 << nth != 0));
}

fn left(digit: u8) -> u32 {
    u32::from(LEFT[usize::from(digit)])
}

fn right(digit: u8) -> u32 {
    !left(digit) & 0x7f
}

/// A digit on the right, mirrored.
fn even(digit: u8) -> u32 {
    right(digit).reverse_bits() >> 25
}

fn ean13(digits: &[u8]) -> Option<Vec<bool>> {
    let (first, rest) = digits.split_first()?;
    let pattern = EVEN[usize::from(*first)];
    let mut bars = Vec::new();
    push(&mut bars, 0b101, 3);
    for (nth, digit) in rest[..6].iter().enumerate() {
        let is_even = pattern & 0b10_0000 >> nth != 0;
        push(&mut bars, if is_even { even(*digit) } else { left(*digit) }, 7);
    }
    push(&mut bars, 0b01010, 5);
    for digit in &rest[6..] {
        push(&mut bars, right(*digit), 7);
    }
    push(&mut bars, 0b101, 3);
    Some(bars)
}

fn ean8(digits: &[u8]) -> Vec<bool> {
    let mut bars = Vec::new();
    push(&mut bars, 0b101, 3);
    digits[..4].iter().for_each(|digit| push(&mut bars, left(*digit), 7));
    push(&mut bars, 0b01010, 5);
    digits[4..].iter().for_each(|digit| push(&mut bars, right(*digit), 7));
    push(&mut bars, 0b101, 3);
    bars
}

/// Which of the six digits are of even parity, by the check digit, where the first one is 0; where it is 1, the others are.
const UPC_E_EVEN: [u8; 10] =
    [0b111000, 0b110100, 0b110010, 0b110001, 0b101100, 0b100110, 0b100011, 0b101010, 0b101001, 0b100101];

/// Six digits, with the first of eight before them and a check digit behind or without, or the UPC-A that they stand for.
fn upc_e(data: &[u8]) -> Option<Vec<bool>> {
    let given: Option<Vec<u8>> = data.iter().map(|b| b.is_ascii_digit().then(|| b - b'0')).collect();
    let (system, six, check) = match given?.as_slice() {
        six @ [_, _, _, _, _, _] => (0, <[u8; 6]>::try_from(six).ok()?, None),
        [system, six @ .., check] if six.len() == 6 => {
            (*system, <[u8; 6]>::try_from(six).ok()?, Some(*check))
        }
        [system, six @ ..] if six.len() == 6 => (*system, <[u8; 6]>::try_from(six).ok()?, None),
        [system, ten @ .., check] if ten.len() == 10 => (*system, six_of(ten)?, Some(*check)),
        [system, ten @ ..] if ten.len() == 10 => (*system, six_of(ten)?, None),
        _ => return None,
    };
    let text = |digits: &[u8]| digits.iter().map(|digit| b'0' + digit).collect::<Vec<u8>>();
    let whole = [&[system][..], &ten_of(six), check.as_slice()].concat();
    let check = *digits(&text(&whole), 11)?.last()?;
    let even_ones = match system {
        0 => UPC_E_EVEN[usize::from(check)],
        1 => !UPC_E_EVEN[usize::from(check)],
        _ => return None,
    };
    let mut bars = Vec::new();
    push(&mut bars, 0b101, 3);
    for (nth, digit) in six.iter().enumerate() {
        let is_even = even_ones & 0b10_0000 >> nth != 0;
        push(&mut bars, if is_even { even(*digit) } else { left(*digit) }, 7);
    }
    push(&mut bars, 0b010101, 6);
    Some(bars)
}

/// The ten digits, without the first and the check digit, for which six stand.
fn ten_of([a, b, c, d, e, f]: [u8; 6]) -> [u8; 10] {
    match f {
        0..=2 => [a, b, f, 0, 0, 0, 0, c, d, e],
        3 => [a, b, c, 0, 0, 0, 0, 0, d, e],
        4 => [a, b, c, d, 0, 0, 0, 0, 0, e],
        _ => [a, b, c, d, e, 0, 0, 0, 0, f],
    }
}

/// The six digits that stand for ten; nothing if none do.
fn six_of(ten: &[u8]) -> Option<[u8; 6]> {
    let [a, b, c, d, e, _, _, h, i, j] = *ten else { return None };
    let short = [[a, b, h, i, j, c], [a, b, c, i, j, 3], [a, b, c, d, j, 4], [a, b, c, d, e, j]];
    short.into_iter().find(|six| ten_of(*six) == *ten)
}

/// Widths of three bars and three spaces of the values 0 to 105, and of the stop without its last bar.
const CODE128: &[u8; 107 * 6] = b"\
    212222222122222221121223121322131222122213122312132212221213221312231212112232122132122231113222123122123221\
    223211221132221231213212223112312131311222321122321221312212322112322211212123212321232121111323131123131321\
    112313132113132311211313231113231311112133112331132131113123113321133121313121211331231131213113213311213131\
    311123311321331121312113312311332111314111221411431111111224111422121124121421141122141221112214112412122114\
    122411142112142211241211221114413111241112134111111242121142121241114212124112124211411212421112421211212141\
    214121412121111143111341131141114113114311411113411311113141114131311141411131211412211214211232233111";

/// `{A`, `{B`, `{C` choose a set, `{1` to `{4` are FNC1 to FNC4, `{{` is a brace.
fn code128(data: &[u8]) -> Option<Vec<bool>> {
    let mut values: Vec<u8> = Vec::new();
    let mut set = 0;
    let mut rest = data;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'{' {
            let (command, after) = after.split_first()?;
            rest = after;
            match command {
                b'A'..=b'C' => {
                    set = *command;
                    values.push(if values.is_empty() { set - b'A' + 103 } else { 101 - (set - b'A') });
                    continue;
                }
                b'1' => values.push(102),
                b'2' => values.push(97),
                b'3' => values.push(96),
                b'{' => values.push(b'{' - 32),
                _ => return None,
            }
            continue;
        }
        values.push(match (set, byte) {
            (b'A', 0..=31) => byte + 64,
            (b'A', 32..=95) | (b'B', 32..=127) => byte - 32,
            (b'C', 0..=99) => *byte,
            _ => return None,
        });
    }
    let start = u32::from(*values.first()?);
    let sum: u32 = (1..).zip(&values[1..]).map(|(nth, value)| nth * u32::from(*value)).sum();
    values.push(u8::try_from((start + sum) % 103).ok()?);
    values.push(106);
    let mut bars = Vec::new();
    for value in values {
        for (nth, width) in CODE128.chunks_exact(6).nth(value.into())?.iter().enumerate() {
            bars.extend(std::iter::repeat_n(nth % 2 == 0, usize::from(width - b'0')));
        }
    }
    bars.extend([true, true]);
    Some(bars)
}

/// Which two of five are wide, the first in the highest bit.
const ITF: [u8; 10] =
    [0b00110, 0b10001, 0b01001, 0b11000, 0b00101, 0b10100, 0b01100, 0b00011, 0b10010, 0b01010];

fn itf(data: &[u8]) -> Option<Vec<bool>> {
    if !data.len().is_multiple_of(2) || data.is_empty() || !data.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut bars = vec![true, false, true, false];
    for pair in data.chunks_exact(2) {
        let (black, white) = (ITF[usize::from(pair[0] - b'0')], ITF[usize::from(pair[1] - b'0')]);
        for nth in 0..5 {
            for (pattern, is_black) in [(black, true), (white, false)] {
                let wide = pattern & 0b1_0000 >> nth != 0;
                bars.extend(std::iter::repeat_n(is_black, if wide { 3 } else { 1 }));
            }
        }
    }
    bars.extend([true, true, true, false, true]);
    Some(bars)
}

const CODE39: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-. $/+%*";
/// Which of nine bars and spaces are wide, the first in the highest bit.
const CODE39_WIDE: [u16; 44] = [
    0x034, 0x121, 0x061, 0x160, 0x031, 0x130, 0x070, 0x025, 0x124, 0x064, 0x109, 0x049, 0x148, 0x019, 0x118,
    0x058, 0x00d, 0x10c, 0x04c, 0x01c, 0x103, 0x043, 0x142, 0x013, 0x112, 0x052, 0x007, 0x106, 0x046, 0x016,
    0x181, 0x0c1, 0x1c0, 0x091, 0x190, 0x0d0, 0x085, 0x184, 0x0c4, 0x0a8, 0x0a2, 0x08a, 0x02a, 0x094,
];

fn code39(data: &[u8]) -> Option<Vec<bool>> {
    let framed =
        [b"*", data.strip_prefix(b"*").and_then(|d| d.strip_suffix(b"*")).unwrap_or(data), b"*"].concat();
    let mut bars = Vec::new();
    for byte in framed {
        let wide = CODE39_WIDE[CODE39.iter().position(|known| *known == byte)?];
        for nth in 0..9 {
            let width = if wide & 0x100 >> nth != 0 { 3 } else { 1 };
            bars.extend(std::iter::repeat_n(nth % 2 == 0, width));
        }
        bars.push(false);
    }
    Some(bars)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(m: u8, data: &[u8]) -> Option<String> {
        bars(m, data).map(|bars| bars.iter().map(|black| if *black { '1' } else { '0' }).collect())
    }

    #[test]
    fn an_ean_has_its_parity_and_its_check_digit() {
        let whole = shown(67, b"4006381333931");
        let wanted =
            "10100011010100111010111101111010001001011001101010100001010000101000010111010010000101100110101";
        assert_eq!(whole.as_deref(), Some(wanted));
        assert_eq!(shown(67, b"400638133393"), whole);
        assert_eq!(shown(67, b"4006381333932"), None, "a wrong check digit prints nothing");
        assert_eq!(shown(65, b"036000291452"), shown(67, b"0036000291452"));
        assert_eq!(shown(68, b"96385074").map(|bars| bars.len()), Some(67));
    }

    #[test]
    fn a_upc_e_is_drawn_from_each_of_its_forms_as_our_own_pictures_have_it() {
        for (short, long) in [
            ("01234565", "012345000065"),
            ("04252614", "042100005264"),
            ("01234531", "012300000451"),
            ("01234543", "012340000053"),
            ("11234562", "112345000062"),
        ] {
            let ours = crate::codes::Barcode::upc_e(short).unwrap();
            assert_eq!(bars(66, short.as_bytes()), Some(ours.bars()), "{short}");
            let drawn = shown(66, short.as_bytes());
            let forms = [&short[..7], long, &long[..11]];
            assert_eq!(
                forms.map(|form| shown(66, form.as_bytes())),
                [drawn.clone(), drawn.clone(), drawn.clone()]
            );
            if short.starts_with('0') {
                assert_eq!(shown(66, &short.as_bytes()[1..7]), drawn);
            }
        }
        assert_eq!(shown(66, b"01234566"), None, "a wrong check digit");
        assert_eq!(shown(66, b"21234565"), None, "no such first digit");
        assert_eq!(shown(66, b"036000291452"), None, "no six digits stand for it");
    }

    #[test]
    fn a_pdf417_has_its_start_and_its_stop_or_stands_as_text() {
        let dark = pdf417(b"R-7").expect("a symbol");
        assert!(dark.get(0, 0) && dark.get(dark.width() - 1, 0) && !dark.get(8, 0));
        assert_eq!(pdf417(b"\xff"), None);
        assert_eq!(pdf417(b""), None);
    }

    #[test]
    fn the_widths_of_every_code128_value_add_up() {
        let sum = |value: &[u8]| value.iter().map(|width| u32::from(width - b'0')).sum::<u32>();
        assert!(CODE128.chunks_exact(6).all(|value| sum(value) == 11));
        assert_eq!(shown(73, b"{BA1").map(|bars| bars.len()), Some(4 * 11 + 13));
        assert_eq!(shown(73, b"A1"), None, "no set was chosen");
    }

    #[test]
    fn every_code39_sign_has_three_wide_parts() {
        assert!(CODE39_WIDE.iter().all(|wide| wide.count_ones() == 3));
        assert!(ITF.iter().all(|wide| wide.count_ones() == 2));
    }
}
