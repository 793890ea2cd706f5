//! One piece of paper, and what can be read off it.

use super::picture::{Band, Picture};
use crate::page;

/// One piece of paper, from cut to cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    rows: Vec<String>,
    bands: Vec<Band>,
    width: usize,
    text_bytes: usize,
    dots_bytes: usize,
    bytes: u64,
    height: usize,
}

/// Bytes of text on one piece of paper; then it is torn off without a cut.
pub(super) const PIECE_BYTES_MAX: usize = 256 * 1024;
/// Bytes of pictures on one piece of paper; then it is torn off as well.
pub(super) const DOTS_BYTES_MAX: usize = 2 * 1024 * 1024;

impl Piece {
    /// A blank piece, so many dots wide.
    pub(super) fn new(width: usize) -> Piece {
        Piece { width, ..Piece::default() }
    }

    /// What stands on it, row by row, without empty rows at the end.
    #[must_use]
    pub fn text(&self) -> String {
        let end = self.rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
        self.rows[..end].iter().flat_map(|row| [row.as_str(), "\n"]).collect()
    }

    /// What it looks like: a PNG file, a bit a dot.
    ///
    /// Errors: never in practice; what the encoder says.
    pub fn png(&self) -> Result<Vec<u8>, std::io::Error> {
        Picture::draw(self.width, &self.bands).png().map_err(std::io::Error::other)
    }

    /// The print job it names, see [`page::job_on_paper`].
    #[must_use]
    pub fn job(&self) -> Option<String> {
        page::job_on_paper(self.rows.iter().map(String::as_str))
    }

    /// Whether it says that it may be a second copy.
    #[must_use]
    pub fn marked(&self) -> bool {
        page::marked_on_paper(self.rows.iter().map(String::as_str))
    }

    /// Bytes that the printer worked through for it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn add(&mut self, row: String) {
        self.text_bytes += row.len() + 1;
        self.rows.push(row);
    }

    pub(super) fn draw(&mut self, band: Band) {
        self.dots_bytes += match &band {
            Band::Text { cells, .. } => cells.len(),
            Band::Dots { bits, .. } => bits.len(),
            Band::Bars { data, .. } | Band::Qr { data, .. } | Band::Pdf417 { data, .. } => data.len(),
            Band::Feed(_) => 1,
        };
        self.height += band.height();
        self.bands.push(band);
    }

    /// How long it is, in rows of dots.
    pub(super) fn height(&self) -> usize {
        self.height
    }

    pub(super) fn spend(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    pub(super) fn is_full(&self) -> bool {
        self.text_bytes > PIECE_BYTES_MAX || self.dots_bytes > DOTS_BYTES_MAX
    }

    /// Nothing to read and nothing to see: it is swept off the counter.
    pub(super) fn is_blank(&self) -> bool {
        let seen =
            |band: &Band| matches!(band, Band::Dots { bits, .. } if bits.iter().any(|byte| *byte != 0));
        self.rows.iter().all(String::is_empty) && !self.bands.iter().any(seen)
    }
}
