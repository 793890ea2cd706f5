//! Dots on paper: a picture of one bit a dot, black where it is set. Pure.
//!
//! Invariant: a row is a whole number of bytes and what lies right of the width is white, so rows go to a printer as they
//! are. Absent on purpose: grey. A thermal head knows none; [`crate::picture`] makes dots of it.

/// A picture of one bit a dot.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Bitmap {
    width: usize,
    height: usize,
    bytes: Vec<u8>,
}

impl Bitmap {
    /// A white picture.
    ///
    /// Shape: neither side is more than [`SIDE_DOTS_MAX`]; a longer one is cut there.
    #[must_use]
    pub fn new(width: usize, height: usize) -> Bitmap {
        let (width, height) = (width.min(SIDE_DOTS_MAX), height.min(SIDE_DOTS_MAX));
        Bitmap { width, height, bytes: vec![0; width.div_ceil(8) * height] }
    }

    /// A picture of one row for each text; every character that is not a space is a dot.
    #[cfg(test)]
    pub(crate) fn of(rows: &[&str]) -> Bitmap {
        let mut bitmap = Bitmap::new(rows.iter().map(|row| row.len()).max().unwrap_or(0), rows.len());
        for (y, row) in rows.iter().enumerate() {
            row.bytes().enumerate().filter(|(_, c)| *c != b' ').for_each(|(x, _)| bitmap.set(x, y));
        }
        bitmap
    }

    /// Dots across.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Dots down.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Bytes of one row.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.width.div_ceil(8)
    }

    /// Whether a dot is black; outside the picture none is.
    #[must_use]
    pub fn get(&self, x: usize, y: usize) -> bool {
        x < self.width && y < self.height && self.bytes[y * self.stride() + x / 8] & (0x80 >> (x % 8)) != 0
    }

    /// Makes a dot black; outside the picture nothing happens.
    pub fn set(&mut self, x: usize, y: usize) {
        if x < self.width && y < self.height {
            let at = y * self.stride() + x / 8;
            self.bytes[at] |= 0x80 >> (x % 8);
        }
    }

    /// Makes a rectangle black.
    pub fn fill(&mut self, x: usize, y: usize, width: usize, height: usize) {
        for y in y..(y + height).min(self.height) {
            for x in x..(x + width).min(self.width) {
                self.set(x, y);
            }
        }
    }

    /// Adds the black dots of another picture, its corner at a place; what does not fit is cut off.
    pub fn stamp(&mut self, other: &Bitmap, x: usize, y: usize) {
        for (from, to) in (0..other.height).zip(y..self.height) {
            for (left, right) in (0..other.width).zip(x..self.width) {
                if other.get(left, from) {
                    self.set(right, to);
                }
            }
        }
    }

    /// The rows from one to before another, as bytes, eight dots each, the leftmost in the highest bit.
    #[must_use]
    pub fn rows(&self, from: usize, to: usize) -> &[u8] {
        let to = to.min(self.height);
        &self.bytes[from.min(to) * self.stride()..to * self.stride()]
    }

    /// Each dot as a rectangle of so many dots.
    #[must_use]
    pub fn scaled(&self, across: usize, down: usize) -> Bitmap {
        let mut scaled = Bitmap::new(self.width * across, self.height * down);
        for y in 0..self.height {
            for x in 0..self.width {
                if self.get(x, y) {
                    scaled.fill(x * across, y * down, across, down);
                }
            }
        }
        scaled
    }

    /// Twice as large with smooth slopes, as printers' own smoothing draws large letters.
    ///
    /// Source: the rule of EPX (E. Johnston, 1992): a corner takes the colour that its two neighbours agree on.
    #[must_use]
    pub fn doubled(&self) -> Bitmap {
        let mut doubled = Bitmap::new(self.width * 2, self.height * 2);
        for y in 0..self.height {
            for x in 0..self.width {
                let here = self.get(x, y);
                let up = y > 0 && self.get(x, y - 1);
                let left = x > 0 && self.get(x - 1, y);
                let (down, right) = (self.get(x, y + 1), self.get(x + 1, y));
                let corner = |one: bool, two: bool, other: bool, opposite: bool| {
                    if one == two && one != other && two != opposite { one } else { here }
                };
                let corners = [
                    (0, 0, corner(up, left, right, down)),
                    (1, 0, corner(up, right, left, down)),
                    (0, 1, corner(down, left, right, up)),
                    (1, 1, corner(down, right, left, up)),
                ];
                for (dx, dy, _) in corners.into_iter().filter(|(_, _, black)| *black) {
                    doubled.set(2 * x + dx, 2 * y + dy);
                }
            }
        }
        doubled
    }

    /// Every dot a dot wider to the right: emphasised printing.
    #[must_use]
    pub fn bolder(&self) -> Bitmap {
        let mut bolder = self.clone();
        for y in 0..self.height {
            (1..self.width).filter(|x| self.get(x - 1, y)).for_each(|x| bolder.set(x, y));
        }
        bolder
    }

    /// The bytes of each column of a band of 24 rows, top dot first: what `ESC *` and `ESC X` take.
    #[must_use]
    pub fn columns_of_24(&self, top: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.width * 3);
        for x in 0..self.width {
            for byte in 0..3 {
                let bits = (0..8).filter(|bit| self.get(x, top + byte * 8 + bit));
                bytes.push(bits.fold(0, |byte, bit| byte | 0x80 >> bit));
            }
        }
        bytes
    }

    /// Whether no dot is black.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.bytes.iter().all(|byte| *byte == 0)
    }
}

impl std::fmt::Debug for Bitmap {
    /// Its size; its dots would fill a screen.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bitmap({} x {})", self.width, self.height)
    }
}

/// Longest side: a receipt of two and a half metres.
pub const SIDE_DOTS_MAX: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_stand_where_they_were_set_and_nowhere_else() {
        let mut bitmap = Bitmap::new(10, 2);
        bitmap.set(0, 0);
        bitmap.set(9, 1);
        bitmap.set(10, 1);
        assert_eq!(bitmap.rows(0, 9), [0x80, 0, 0, 0x40]);
        assert!(bitmap.get(9, 1) && !bitmap.get(8, 1) && !bitmap.get(10, 1) && !bitmap.get(0, 2));
    }

    #[test]
    fn a_band_of_columns_has_its_top_dot_first() {
        let mut bitmap = Bitmap::new(2, 30);
        bitmap.set(0, 0);
        bitmap.set(1, 23);
        bitmap.set(1, 24);
        assert_eq!(bitmap.columns_of_24(0), [0x80, 0, 0, 0, 0, 1]);
        assert_eq!(bitmap.columns_of_24(24), [0, 0, 0, 0x80, 0, 0]);
    }

    #[test]
    fn what_is_doubled_has_smooth_slopes() {
        let slope = Bitmap::of(&["#  ", " # ", "  #"]);
        let smooth = Bitmap::of(&["##    ", "##    ", "  ##  ", "  ##  ", "    ##", "    ##"]);
        let doubled = slope.doubled();
        assert_ne!(doubled, smooth, "plain doubling leaves stairs");
        assert!(doubled.get(2, 1) && doubled.get(1, 2), "the stairs are filled");
        assert_eq!(slope.scaled(2, 2), smooth);
    }

    #[test]
    fn a_stamp_is_cut_off_at_the_edge() {
        let mut paper = Bitmap::new(3, 3);
        paper.stamp(&Bitmap::of(&["##", "##"]), 2, 2);
        assert_eq!(paper, Bitmap::of(&["   ", "   ", "  #"]));
    }
}
