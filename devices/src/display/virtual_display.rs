//! A display without glass: obeys the bytes of either command set and shows its two rows as text. Apart from our encoder but
//! for the tables of characters.

use super::{Dialect, Glass};

/// What the glass shows, and what the device was told.
#[derive(Clone, Debug)]
pub struct VirtualDisplay {
    glass: Glass,
    rows: [Vec<u8>; 2],
    cursor: (usize, usize),
    told: Vec<u8>,
    /// Who behind the printer's cable hears what comes: bit 0 the printer, bit 1 the display.
    ears: u8,
    unknown: u64,
    drawings: u64,
}

impl VirtualDisplay {
    /// An empty one.
    #[must_use]
    pub fn new(glass: Glass) -> VirtualDisplay {
        let row = vec![b' '; usize::from(glass.columns).max(1)];
        let ears = if glass.dialect == Dialect::BehindPrinter { 1 } else { 2 };
        VirtualDisplay {
            glass,
            rows: [row.clone(), row],
            cursor: (0, 0),
            told: Vec::new(),
            ears,
            unknown: 0,
            drawings: 0,
        }
    }

    /// Obeys bytes.
    pub fn receive(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.told.push(*byte);
            if self.obey() {
                self.told.clear();
            }
        }
    }

    /// Both rows, as the customer sees them.
    #[must_use]
    pub fn rows(&self) -> [String; 2] {
        let page = self.glass.code_page;
        self.rows.each_ref().map(|row| row.iter().map(|byte| page.character(*byte).unwrap_or(' ')).collect())
    }

    /// Commands that it does not know.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// How often it was initialised.
    #[must_use]
    pub fn drawings(&self) -> u64 {
        self.drawings
    }

    /// Whether a printer on the same cable would hear what comes next.
    #[must_use]
    pub fn printer_listens(&self) -> bool {
        self.glass.dialect != Dialect::BehindPrinter || self.ears & 1 != 0
    }

    /// Whether what was told is done with: carried out, passed over or not for this device.
    fn obey(&mut self) -> bool {
        let hears = self.ears & 2 != 0;
        match *self.told.as_slice() {
            [0x1b] => false,
            [0x1b, b'='] => false,
            [0x1b, b'=', ears] => {
                self.ears = ears;
                true
            }
            _ if !hears => true,
            [0x1b, b'@'] => {
                self.clear();
                self.drawings += 1;
                true
            }
            [0x1b, b't'] | [0x1b, b'Q'] => false,
            [0x1b, b't', _] => true,
            [0x1b, b'Q', b'A' | b'B'] => false,
            [0x1b, b'Q', row @ (b'A' | b'B'), .., last] => {
                if last == 0x0d {
                    let text = self.told[3..self.told.len() - 1].to_vec();
                    self.write_row(usize::from(row == b'B'), &text);
                    return true;
                }
                // Longer than a row is nothing that the manual knows.
                self.told.len() > 64
            }
            [0x1f] | [0x1f, b'C' | b'X' | b'r'] | [0x1f, b'$'] | [0x1f, b'$', _] => false,
            [0x1f, b'C' | b'X' | b'r', _] | [0x1f, 1..=3] => true,
            [0x1f, b'$', column, row] => {
                let columns = usize::from(self.glass.columns);
                let (column, row) = (usize::from(column), usize::from(row));
                if (1..=columns).contains(&column) && (1..=2).contains(&row) {
                    self.cursor = (row - 1, column - 1);
                } else {
                    self.unknown += 1;
                }
                true
            }
            [0x0c] => {
                self.clear();
                true
            }
            [byte] if byte >= 0x20 => {
                self.put(byte);
                true
            }
            _ => {
                self.unknown += 1;
                true
            }
        }
    }

    fn clear(&mut self) {
        self.rows.iter_mut().for_each(|row| row.fill(b' '));
        self.cursor = (0, 0);
    }

    fn write_row(&mut self, row: usize, text: &[u8]) {
        let columns = usize::from(self.glass.columns);
        self.rows[row] = text.iter().copied().chain(std::iter::repeat(b' ')).take(columns).collect();
    }

    /// Overwrite mode: on to the next place, from the last one back to the first.
    fn put(&mut self, byte: u8) {
        let (row, column) = self.cursor;
        self.rows[row][column] = byte;
        self.cursor = match column + 1 {
            next if next < self.rows[row].len() => (row, next),
            _ => (1 - row, 0),
        };
    }
}
