//! Changes to bytes by a seed: the same seed gives the same bytes on every machine.

/// A stream of numbers from a seed (SplitMix64, Steele, Lea and Flood, OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 where there is none.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % (end.max(1) as u64)).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.roll().to_le_bytes()[0]
    }
}

/// Bytes that decoders find interesting: ends of ranges, lengths that lie, beginnings of numbers in many bytes.
const TELLING: [u8; 12] = [0, 1, 0x7f, 0x80, 0xff, 0xfe, 0xfb, 0xfc, 0xfd, b'"', b'\\', b'\n'];

/// Some bytes, changed in one to six places, perhaps with a part of `other` inside; at most `bytes_max` of them.
#[must_use]
pub fn mutated(bytes: &[u8], other: &[u8], dice: &mut Dice, bytes_max: usize) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..=dice.below(6) {
        change(&mut out, other, dice);
    }
    out.truncate(bytes_max);
    out
}

fn change(out: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let at = dice.below(out.len());
    let (from, to) = stretch(out.len(), dice);
    match dice.below(9) {
        0 if !out.is_empty() => out[at] ^= 1 << dice.below(8),
        1 if !out.is_empty() => out[at] = dice.byte(),
        2 if !out.is_empty() => out[at] = TELLING[dice.below(TELLING.len())],
        3 => out.insert(at, TELLING[dice.below(TELLING.len())]),
        4 => drop(out.drain(from..to)),
        5 => {
            let again = out[from..to].to_vec();
            out.splice(at..at, again);
        }
        6 => {
            let (from, to) = stretch(other.len(), dice);
            out.splice(at..at, other[from..to].iter().copied());
        }
        7 => out.truncate(at),
        _ => out[from..to].iter_mut().for_each(|byte| *byte = byte.wrapping_add(1)),
    }
}

fn stretch(bytes: usize, dice: &mut Dice) -> (usize, usize) {
    let from = dice.below(bytes);
    (from, (from + 1 + dice.below(64)).min(bytes))
}
