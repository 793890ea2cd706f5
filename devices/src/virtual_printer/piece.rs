//! One piece of paper, and what can be read off it.

use crate::page;

/// One piece of paper, from cut to cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    rows: Vec<String>,
    text_bytes: usize,
    bytes: u64,
}

/// Bytes of text on one piece of paper; then it is torn off without a cut.
pub(super) const PIECE_BYTES_MAX: usize = 256 * 1024;

impl Piece {
    /// What stands on it, row by row, without empty rows at the end.
    #[must_use]
    pub fn text(&self) -> String {
        let end = self.rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
        self.rows[..end].iter().flat_map(|row| [row.as_str(), "\n"]).collect()
    }

    /// The print job it names, see [`page::job_on_paper`].
    #[must_use]
    pub fn job(&self) -> Option<&str> {
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

    pub(super) fn spend(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    pub(super) fn is_full(&self) -> bool {
        self.text_bytes > PIECE_BYTES_MAX
    }

    pub(super) fn is_blank(&self) -> bool {
        self.rows.iter().all(String::is_empty)
    }
}
