//! Paper as dots, and as a PNG file.
//!
//! Invariant: dots outside the paper are lost, as at a printer; no picture is longer than [`HEIGHT_MAX`].

use super::bars;
use super::font::{CELL_HEIGHT, CELL_WIDTH, glyph};

/// What lies on the paper, from top to bottom, before it is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Band {
    /// A row of characters.
    Text { cells: Vec<Cell>, align: u8, spacing: usize },
    /// Dots in rows of whole bytes, the highest bit leftmost, each dot drawn `scale` times across and down.
    Dots { stride: usize, bits: Vec<u8>, align: u8, scale: (usize, usize) },
    /// A barcode of ESC/POS's number `m`, its modules `module` dots wide, with its text above or below (bits 0 and 1).
    Bars { m: u8, data: Vec<u8>, module: usize, height: usize, text: u8, align: u8 },
    /// A QR code, its modules `module` dots wide.
    Qr { data: Vec<u8>, level: u8, module: usize, align: u8 },
    /// A PDF417 code, its modules `module` dots wide and its rows `row` modules high.
    Pdf417 { data: Vec<u8>, module: usize, row: usize, align: u8 },
    /// White paper.
    Feed(usize),
}

impl Band {
    /// Rows of dots by which it moves the paper.
    pub(super) fn height(&self) -> usize {
        match self {
            Band::Text { cells, spacing, .. } => tallest(cells).max(*spacing),
            Band::Dots { stride, bits, scale: (_, down), .. } => bits.len() / (*stride).max(1) * down,
            Band::Bars { m, data, height, text, .. } => match bars::bars(*m, data) {
                Some(_) => height + [1, 2].iter().filter(|side| text & *side != 0).count() * WORDS,
                None => WORDS,
            },
            Band::Qr { data, level, module, .. } => {
                bars::qr(data, *level).map_or(WORDS, |(side, _)| side * module)
            }
            Band::Pdf417 { data, module, row, .. } => {
                bars::pdf417(data).map_or(WORDS, |dark| dark.height() * module * row)
            }
            Band::Feed(dots) => *dots,
        }
    }
}

/// Characters stand on a common foot, as tall as the tallest.
fn tallest(cells: &[Cell]) -> usize {
    cells.iter().map(|cell| usize::from(cell.look.high)).max().unwrap_or(1) * CELL_HEIGHT
}

/// One character and how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) c: char,
    pub(super) look: Look,
}

/// How characters look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) wide: u8,
    pub(super) high: u8,
    pub(super) bold: bool,
    pub(super) underline: bool,
    pub(super) inverse: bool,
}

impl Look {
    pub(super) const PLAIN: Look = Look { wide: 1, high: 1, bold: false, underline: false, inverse: false };
}

/// Longest piece of paper that is drawn, in dots: two metres and a half.
pub(super) const HEIGHT_MAX: usize = 20_000;

/// Black dots on white paper. The paper is a little wider than what can be printed on.
#[derive(Debug)]
pub(super) struct Picture {
    /// Dots that can be printed across.
    width: usize,
    rows: Vec<Vec<u8>>,
    /// Where the next band begins.
    y: usize,
}

impl Picture {
    /// Draws bands on paper so many dots wide.
    pub(super) fn draw(width: usize, bands: &[Band]) -> Picture {
        let mut picture = Picture { width, rows: Vec::new(), y: MARGIN };
        for band in bands {
            picture.band(band);
        }
        picture.reach(picture.y + MARGIN);
        picture
    }

    /// The picture as a PNG file, one bit a dot.
    ///
    /// Errors: never in practice; what the encoder says.
    pub(super) fn png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let mut file = Vec::new();
        let side = |n: usize| u32::try_from(n).unwrap_or(1).max(1);
        let mut encoder = png::Encoder::new(&mut file, side(self.width + 2 * MARGIN), side(self.rows.len()));
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let white: Vec<u8> = self.rows.iter().flatten().map(|byte| !byte).collect();
        encoder.write_header()?.write_image_data(&white)?;
        Ok(file)
    }

    fn band(&mut self, band: &Band) {
        match band {
            Band::Text { cells, align, spacing } => self.text(cells, *align, *spacing),
            Band::Dots { stride, bits, align, scale: (across, down) } => {
                let height = bits.len() / (*stride).max(1);
                let left = self.left(stride * 8 * across, *align);
                for (dy, row) in bits.chunks_exact((*stride).max(1)).enumerate() {
                    for dx in (0..stride * 8).filter(|dx| row[dx / 8] & 0x80 >> (dx % 8) != 0) {
                        self.fill(left + dx * across, self.y + dy * down, *across, *down);
                    }
                }
                self.advance(height * down);
            }
            Band::Bars { m, data, module, height, text, align } => {
                let Some(bars) = bars::bars(*m, data) else { return self.words(data, *align) };
                if text & 1 != 0 {
                    self.words(data, *align);
                }
                let left = self.left(bars.len() * module, *align);
                for (nth, _) in bars.iter().enumerate().filter(|(_, black)| **black) {
                    self.fill(left + nth * module, self.y, *module, *height);
                }
                self.advance(*height);
                if text & 2 != 0 {
                    self.words(data, *align);
                }
            }
            Band::Qr { data, level, module, align } => {
                let Some((side, dark)) = bars::qr(data, *level) else { return self.words(data, *align) };
                let left = self.left(side * module, *align);
                for (nth, _) in dark.iter().enumerate().filter(|(_, dark)| **dark) {
                    self.fill(left + nth % side * module, self.y + nth / side * module, *module, *module);
                }
                self.advance(side * module);
            }
            Band::Pdf417 { data, module, row, align } => {
                let Some(dark) = bars::pdf417(data) else { return self.words(data, *align) };
                let left = self.left(dark.width() * module, *align);
                let places = (0..dark.height()).flat_map(|y| (0..dark.width()).map(move |x| (x, y)));
                for (x, y) in places.filter(|(x, y)| dark.get(*x, *y)) {
                    self.fill(left + x * module, self.y + y * module * row, *module, module * row);
                }
                self.advance(dark.height() * module * row);
            }
            Band::Feed(dots) => self.advance(*dots),
        }
    }

    fn text(&mut self, cells: &[Cell], align: u8, spacing: usize) {
        let tallest = tallest(cells);
        let width: usize = cells.iter().map(|cell| usize::from(cell.look.wide) * CELL_WIDTH).sum();
        let mut x = self.left(width, align);
        for Cell { c, look } in cells {
            let (wide, high) = (usize::from(look.wide), usize::from(look.high));
            let top = self.y + tallest - high * CELL_HEIGHT;
            for (row, bits) in glyph(*c).into_iter().enumerate() {
                let bold = if look.bold { bits | bits >> 1 } else { bits };
                let lined = if look.underline && row >= CELL_HEIGHT - 2 { 0xfff } else { bold };
                let bits = if look.inverse { !lined } else { lined };
                for column in (0..CELL_WIDTH).filter(|column| bits & 0x800 >> column != 0) {
                    self.fill(x + column * wide, top + row * high, wide, high);
                }
            }
            x += wide * CELL_WIDTH;
        }
        self.advance(tallest.max(spacing));
    }

    fn words(&mut self, data: &[u8], align: u8) {
        let cells: Vec<Cell> = data.iter().map(|b| Cell { c: char::from(*b), look: Look::PLAIN }).collect();
        self.text(&cells, align, WORDS);
    }

    fn left(&self, width: usize, align: u8) -> usize {
        let free = self.width.saturating_sub(width);
        match align {
            1 => MARGIN + free / 2,
            2 => MARGIN + free,
            _ => MARGIN,
        }
    }

    fn advance(&mut self, dots: usize) {
        self.y = (self.y + dots).min(HEIGHT_MAX);
        self.reach(self.y);
    }

    fn reach(&mut self, height: usize) {
        let height = height.min(HEIGHT_MAX);
        if self.rows.len() < height {
            self.rows.resize(height, vec![0; (self.width + 2 * MARGIN).div_ceil(8)]);
        }
    }

    fn fill(&mut self, left: usize, top: usize, across: usize, down: usize) {
        self.reach(top + down);
        for row in self.rows.iter_mut().skip(top).take(down) {
            for x in left..(left + across).min(MARGIN + self.width) {
                row[x / 8] |= 0x80 >> (x % 8);
            }
        }
    }
}

/// Rows of dots that a line of plain words takes.
const WORDS: usize = CELL_HEIGHT + 6;
/// White around what is printed, 3 mm of it.
const MARGIN: usize = 24;
