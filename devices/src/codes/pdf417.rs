//! PDF417: a stack of bars that a flat-bed scanner reads, as on boarding passes and fiscal receipts. Pure.
//!
//! Source: ISO/IEC 15438. The patterns are `data/pdf417.bin`, see `data/NOTICE.md`. Absent on purpose: text and number
//! compaction, which make a symbol smaller; bytes need no modes and hold any script.

use crate::bitmap::Bitmap;
use crate::codes::CodeError;

/// A PDF417 code of a short text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pdf417 {
    data: String,
}

/// Longest PDF417 text; its length on the wire then never reads as a real-time command.
pub const PDF417_BYTES_MAX: usize = 300;

/// Data columns that [`Pdf417::matrix`] has, and that printers are asked for: with its frame 205 modules, which fits on
/// 58 mm paper with the smallest module.
pub const PDF417_COLUMNS: u8 = 5;

impl Pdf417 {
    /// A code that scanners read back as `text`.
    ///
    /// Errors: [`CodeError`] if it is empty, longer than [`PDF417_BYTES_MAX`] or holds control characters.
    pub fn new(text: &str) -> Result<Pdf417, CodeError> {
        if text.is_empty() || text.len() > PDF417_BYTES_MAX {
            return Err(CodeError::Length { name: "PDF417", takes: "1 to 300 bytes", given: text.len() });
        }
        match text.chars().find(|c| c.is_control()) {
            Some(character) => Err(CodeError::Character { name: "PDF417", character }),
            None => Ok(Pdf417 { data: text.to_owned() }),
        }
    }

    /// What a scanner reads back.
    #[must_use]
    pub fn data(&self) -> &str {
        &self.data
    }

    /// Width of the code in modules with its quiet zone of 2 at each side.
    #[must_use]
    pub fn modules(&self) -> usize {
        17 * usize::from(PDF417_COLUMNS) + 69 + 4
    }

    /// The code in modules, without its quiet zone; a row is one module high and to be drawn three high.
    #[must_use]
    pub fn matrix(&self) -> Bitmap {
        let columns = usize::from(PDF417_COLUMNS);
        let (words, level) = codewords(self.data.as_bytes(), columns);
        let rows = words.len() / columns;
        let mut matrix = Bitmap::new(17 * columns + 69, rows);
        for (row, words) in words.chunks_exact(columns).enumerate() {
            let (left, right) = indicators(row, rows, columns, level);
            let mut x = 0;
            let mut put = |pattern: u32, bits: usize| {
                (0..bits).filter(|n| pattern >> (bits - 1 - n) & 1 == 1).for_each(|n| matrix.set(x + n, row));
                x += bits;
            };
            put(START, 17);
            for word in std::iter::once(left).chain(words.iter().copied()).chain(std::iter::once(right)) {
                put(pattern(row % 3, word), 17);
            }
            put(STOP, 18);
        }
        matrix
    }
}

/// Length, data, padding and error correction, filling whole rows; and the level of correction.
fn codewords(bytes: &[u8], columns: usize) -> (Vec<u16>, usize) {
    let mut words = vec![0];
    // 901: bytes; 924: bytes in a multiple of six.
    words.push(if bytes.len().is_multiple_of(6) { 924 } else { 901 });
    let mut sixes = bytes.chunks_exact(6);
    for six in &mut sixes {
        let mut number = six.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let mut five = [0; 5];
        for word in five.iter_mut().rev() {
            *word = u16::try_from(number % 900).unwrap_or(0);
            number /= 900;
        }
        words.extend(five);
    }
    words.extend(sixes.remainder().iter().map(|byte| u16::from(*byte)));
    let level = correction_level(words.len());
    let correction = 2_usize << level;
    let rows = (words.len() + correction).div_ceil(columns).max(ROWS_MIN);
    words.resize(rows * columns - correction, PAD);
    words[0] = u16::try_from(words.len()).unwrap_or(0);
    let check = correct(&words, correction);
    words.extend(check);
    (words, level)
}

/// The level that the standard recommends for so many codewords.
fn correction_level(words: usize) -> usize {
    match words {
        0..=40 => 2,
        41..=160 => 3,
        _ => 4,
    }
}

/// The remainder of the data by the generator, over the field of 929 elements with the primitive element 3.
fn correct(words: &[u16], count: usize) -> Vec<u16> {
    const FIELD: u64 = 929;
    let mut generator = vec![1_u64];
    let mut root = 1;
    for _ in 0..count {
        root = root * 3 % FIELD;
        let mut next = vec![0; generator.len() + 1];
        for (n, factor) in generator.iter().enumerate() {
            next[n] = (next[n] + factor) % FIELD;
            next[n + 1] = (next[n + 1] + factor * (FIELD - root)) % FIELD;
        }
        generator = next;
    }
    let mut rest = vec![0_u64; count];
    for word in words {
        let factor = (u64::from(*word) + rest[0]) % FIELD;
        rest.rotate_left(1);
        rest[count - 1] = 0;
        for (n, place) in rest.iter_mut().enumerate() {
            *place = (*place + FIELD - factor * generator[n + 1] % FIELD) % FIELD;
        }
    }
    rest.into_iter().map(|word| u16::try_from((FIELD - word) % FIELD).unwrap_or(0)).collect()
}

/// What stands left and right of a row's data: the row, and in turn the numbers of rows, columns and the level.
fn indicators(row: usize, rows: usize, columns: usize, level: usize) -> (u16, u16) {
    let (height, shape, width) = ((rows - 1) / 3, level * 3 + (rows - 1) % 3, columns - 1);
    let (left, right) = match row % 3 {
        0 => (height, width),
        1 => (shape, height),
        _ => (width, shape),
    };
    let word = |value: usize| u16::try_from(30 * (row / 3) + value).unwrap_or(0);
    (word(left), word(right))
}

fn pattern(cluster: usize, word: u16) -> u32 {
    let at = 2 * (cluster * 929 + usize::from(word));
    match PATTERNS.get(at..at + 2) {
        // The first module is always a bar and not in the file.
        Some(two) => 0x1_0000 | u32::from(two[0]) << 8 | u32::from(two[1]),
        None => 0,
    }
}

static PATTERNS: &[u8; 3 * 929 * 2] = include_bytes!("../../data/pdf417.bin");
const START: u32 = 0b1_1111_1110_1010_1000;
const STOP: u32 = 0b11_1111_1010_0010_1001;
const PAD: u16 = 900;
const ROWS_MIN: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pattern_is_four_bars_and_four_spaces_of_17_modules() {
        for cluster in 0..3 {
            for word in 0..929 {
                let pattern = pattern(cluster, word);
                let changes = (0..16).filter(|n| (pattern >> n ^ pattern >> (n + 1)) & 1 == 1).count();
                assert_eq!(
                    (pattern >> 16, changes, pattern & 1),
                    (1, 7, 0),
                    "cluster {cluster}, word {word}"
                );
            }
        }
    }

    #[test]
    fn error_correction_is_the_standards_polynomial() {
        // ISO/IEC 15438, annex Q: level 1 of this message.
        assert_eq!(correct(&[5, 453, 178, 121, 239], 4), [452, 327, 657, 619]);
    }

    #[test]
    fn words_fill_whole_rows_and_say_how_many_are_data() {
        for bytes in 1..=PDF417_BYTES_MAX {
            let (words, level) = codewords(&vec![b'x'; bytes], 5);
            assert_eq!(words.len() % 5, 0, "{bytes} bytes");
            assert!((3..=90).contains(&(words.len() / 5)), "{bytes} bytes");
            assert_eq!(usize::from(words[0]), words.len() - (2 << level), "{bytes} bytes");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(
            Pdf417::new("").is_err()
                && Pdf417::new(&"x".repeat(301)).is_err()
                && Pdf417::new("a\nb").is_err()
        );
    }
}
