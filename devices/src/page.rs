//! A receipt as a page: what stands on it, before any printer's bytes.
//!
//! Invariants: a page holds no control character, so nothing a caller writes can become a command or a line of its own,
//! and no invisible one that would turn the reading order around; accents are part of their letters (NFC); layout is
//! pure and depends on the width only. Absent on purpose: what a receipt means (`retail` knows, a binary
//! joins the two), and the drawer, which is a device of its own and no part of a page.

pub(crate) mod layout;

use crate::codes::{Barcode, Pdf417, Qr};
use crate::picture::Picture;
use unicode_normalization::UnicodeNormalization;

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Style {
    /// Where the text stands between the margins.
    pub align: Align,
    /// How big it is.
    pub size: Size,
    /// Whether it is emphasised.
    pub bold: bool,
}

/// Where text or a code stands between the margins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Align {
    /// At the left margin.
    #[default]
    Left,
    /// In the middle.
    Centre,
    /// At the right margin.
    Right,
}

/// How big text is. `Wide` and `Big` take two columns a character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Size {
    /// The printer's own font.
    #[default]
    Normal,
    /// Twice as high.
    Tall,
    /// Twice as wide.
    Wide,
    /// Twice as high and as wide.
    Big,
}

impl Style {
    /// Plain text at the left margin.
    pub const PLAIN: Style = Style { align: Align::Left, size: Size::Normal, bold: false };

    /// The same in the middle of the page.
    #[must_use]
    pub const fn centre(self) -> Style {
        Style { align: Align::Centre, ..self }
    }

    /// The same at the right margin.
    #[must_use]
    pub const fn right(self) -> Style {
        Style { align: Align::Right, ..self }
    }

    /// The same in bold.
    #[must_use]
    pub const fn bold(self) -> Style {
        Style { bold: true, ..self }
    }

    /// The same in another size.
    #[must_use]
    pub const fn size(self, size: Size) -> Style {
        Style { size, ..self }
    }
}

impl Size {
    /// Columns of paper that one character takes.
    #[must_use]
    pub const fn columns(self) -> usize {
        match self {
            Size::Normal | Size::Tall => 1,
            Size::Wide | Size::Big => 2,
        }
    }
}

/// A page to print, top to bottom.
///
/// ```
/// use toko_devices::{Page, Style};
///
/// let page = Page::new().text("CORNER SHOP", Style::PLAIN.centre()).columns("Tomatoes 400 g", "1.20").rule().cut();
/// assert_eq!(page.plain(20), "    CORNER SHOP\nTomatoes 400 g  1.20\n--------------------\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    blocks: Vec<Block>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Block {
    Text { text: String, style: Style },
    Columns { left: String, right: String, style: Style },
    Cells { cells: Vec<Cell>, style: Style },
    Rule,
    Code(Row),
    Feed(u8),
    Cut,
}

/// One cell of a table's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    text: String,
    columns: u8,
    align: Align,
}

impl Cell {
    /// Text in so many columns, in which it wraps; in what the others leave, shared evenly, where that is 0.
    #[must_use]
    pub fn new(text: &str, columns: u8) -> Cell {
        Cell { text: clean(text), columns, align: Align::Left }
    }

    /// The same at the right edge of its columns.
    #[must_use]
    pub fn right(self) -> Cell {
        Cell { align: Align::Right, ..self }
    }

    /// The same in the middle of its columns.
    #[must_use]
    pub fn centre(self) -> Cell {
        Cell { align: Align::Centre, ..self }
    }
}

/// One row of a page that has been laid out for a width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// Text that fits on one row.
    Text {
        /// The characters, without padding for `style.align`.
        text: String,
        /// Byte offsets in `text` where a cell after the first starts. Each cell is read for itself, so that a name
        /// that runs from right to left leaves the amount at the right.
        cells: Vec<usize>,
        /// How it looks.
        style: Style,
    },
    /// A barcode, in the middle.
    Barcode(Barcode),
    /// A QR code, in the middle.
    Qr(Qr),
    /// A PDF417 code, in the middle.
    Pdf417(Pdf417),
    /// A picture, in the middle.
    Picture(Picture),
    /// Empty rows.
    Feed(u8),
    /// Feed to the cutter and cut.
    Cut,
}

/// What the row that names a print job starts with, see [`Page::job`].
pub const JOB_PREFIX: &str = "Job ";

/// What the first row of a reprint says when nobody knows whether an earlier copy came out.
pub const POSSIBLE_DUPLICATE: &str = "POSSIBLE DUPLICATE";

/// What stands above a page of another printer, before that one's name.
pub const BACKUP_FROM: &str = "BACKUP FROM";

/// Longer text than this in one block is cut short: no name is worth a roll of paper.
pub const TEXT_CHARS_MAX: usize = 1_000;

/// Most cells in one row of a table.
pub const CELLS_MAX: usize = 8;

/// Longest job id on paper.
pub const JOB_CHARS_MAX: usize = 64;

impl Page {
    /// An empty page.
    #[must_use]
    pub fn new() -> Page {
        Page::default()
    }

    /// Adds a plain line, wrapped where it is too long.
    #[must_use]
    pub fn line(self, text: &str) -> Page {
        self.text(text, Style::PLAIN)
    }

    /// Adds text, wrapped at words where it is too long. Control characters, line ends among them, become spaces.
    #[must_use]
    pub fn text(self, text: &str, style: Style) -> Page {
        self.with(Block::Text { text: clean(text), style })
    }

    /// Adds a name at the left and an amount at the right. A long name wraps and leaves the amount whole on its last row.
    #[must_use]
    pub fn columns(self, left: &str, right: &str) -> Page {
        self.columns_styled(left, right, Style::PLAIN)
    }

    /// Adds a name and an amount in a style (its alignment has no effect).
    #[must_use]
    pub fn columns_styled(self, left: &str, right: &str, style: Style) -> Page {
        let style = Style { align: Align::Left, ..style };
        self.with(Block::Columns { left: clean(left), right: clean(right), style })
    }

    /// Adds a row of a table: cells from left to right with a space between, each wrapped in its own columns.
    ///
    /// Shape: at most [`CELLS_MAX`]; more are left out. Where the paper is too narrow for them, each has its own row.
    #[must_use]
    pub fn cells(self, cells: impl IntoIterator<Item = Cell>, style: Style) -> Page {
        let style = Style { align: Align::Left, ..style };
        self.with(Block::Cells { cells: cells.into_iter().take(CELLS_MAX).collect(), style })
    }

    /// Adds a line across the page.
    #[must_use]
    pub fn rule(self) -> Page {
        self.with(Block::Rule)
    }

    /// Adds a barcode in the middle.
    #[must_use]
    pub fn barcode(self, barcode: Barcode) -> Page {
        self.with(Block::Code(Row::Barcode(barcode)))
    }

    /// Adds a QR code in the middle.
    #[must_use]
    pub fn qr(self, qr: Qr) -> Page {
        self.with(Block::Code(Row::Qr(qr)))
    }

    /// Adds a PDF417 code in the middle.
    #[must_use]
    pub fn pdf417(self, code: Pdf417) -> Page {
        self.with(Block::Code(Row::Pdf417(code)))
    }

    /// Adds a picture in the middle.
    #[must_use]
    pub fn picture(self, picture: Picture) -> Page {
        self.with(Block::Code(Row::Picture(picture)))
    }

    /// Adds empty rows.
    #[must_use]
    pub fn feed(self, rows: u8) -> Page {
        self.with(Block::Feed(rows))
    }

    /// Feeds to the cutter and cuts.
    #[must_use]
    pub fn cut(self) -> Page {
        self.with(Block::Cut)
    }

    /// Adds the row that names the print job, so that copies on paper can be counted; see [`job_on_paper`].
    ///
    /// Shape: letters, digits and `-` of `id`, at most [`JOB_CHARS_MAX`]; the rest is left out. Put it last.
    #[must_use]
    pub fn job(self, id: &str) -> Page {
        let id: String = id.chars().filter(|c| job_char(*c)).take(JOB_CHARS_MAX).collect();
        self.line(&format!("{JOB_PREFIX}{id}"))
    }

    /// The same page under a banner that says that an earlier copy may exist.
    #[must_use]
    pub fn marked_possible_duplicate(self) -> Page {
        self.under(POSSIBLE_DUPLICATE)
    }

    /// The same page under a banner that says which printer it was meant for.
    #[must_use]
    pub fn marked_backup_from(self, printer: &str) -> Page {
        self.under(&format!("{BACKUP_FROM} {}", clean(printer)))
    }

    fn under(self, banner: &str) -> Page {
        let style = Style::PLAIN.centre().bold().size(Size::Tall);
        let banner = Block::Text { text: banner.to_owned(), style };
        let mut blocks = Vec::with_capacity(self.blocks.len() + 1);
        blocks.push(banner);
        blocks.extend(self.blocks);
        Page { blocks }
    }

    /// The same page so many times, one below the other: each ends as this one does, with its cut.
    #[must_use]
    pub fn times(self, copies: u8) -> Page {
        let blocks = (0..copies.max(1)).flat_map(|_| self.blocks.clone()).collect();
        Page { blocks }
    }

    /// The page with each text passed through `show`, before layout: a spelling may be longer than the sign.
    #[must_use]
    pub fn spelt(&self, show: impl Fn(&str) -> String) -> Page {
        let blocks = self.blocks.iter().map(|block| match block {
            Block::Text { text, style } => Block::Text { text: clean(&show(text)), style: *style },
            Block::Columns { left, right, style } => {
                Block::Columns { left: clean(&show(left)), right: clean(&show(right)), style: *style }
            }
            Block::Cells { cells, style } => {
                let spelt = |cell: &Cell| Cell { text: clean(&show(&cell.text)), ..cell.clone() };
                Block::Cells { cells: cells.iter().map(spelt).collect(), style: *style }
            }
            other => other.clone(),
        });
        Page { blocks: blocks.collect() }
    }

    fn with(mut self, block: Block) -> Page {
        self.blocks.push(block);
        self
    }
}

/// The job that a piece of paper names: its last row of the shape `Job <id>`, or of that word alone with the id below it,
/// broken where the paper was too narrow for both.
///
/// The last one counts, because rows above it are a caller's text and may look alike.
#[must_use]
pub fn job_on_paper<'a>(rows: impl DoubleEndedIterator<Item = &'a str>) -> Option<String> {
    let is_id = |id: &str| !id.is_empty() && id.len() <= JOB_CHARS_MAX && id.chars().all(job_char);
    // Rows that may be parts of an id, the lowest first.
    let mut below: Vec<&str> = Vec::new();
    for row in rows.rev().map(str::trim) {
        match row.strip_prefix(JOB_PREFIX) {
            Some(id) if is_id(id) => return Some(id.to_owned()),
            _ if row == JOB_PREFIX.trim_end() && !below.is_empty() => {
                let id = joined(&below);
                if is_id(&id) {
                    return Some(id);
                }
                below.clear();
            }
            _ if is_id(row) => below.push(row),
            _ => below.clear(),
        }
    }
    None
}

/// A word that was broken into rows: each but the last is as wide as the paper.
fn joined(below: &[&str]) -> String {
    let mut parts = below.iter().rev();
    let wide = below.last().map_or(0, |first| first.len());
    let whole = parts.clone().take_while(|part| part.len() == wide).count();
    let rest = parts.clone().nth(whole).filter(|part| part.len() < wide);
    parts.by_ref().take(whole).chain(rest).copied().collect()
}

/// Whether a piece of paper says that it may be a second copy: its first row that is not empty is the banner.
#[must_use]
pub fn marked_on_paper<'a>(mut rows: impl Iterator<Item = &'a str>) -> bool {
    rows.find(|row| !row.trim().is_empty()).is_some_and(|row| row.trim() == POSSIBLE_DUPLICATE)
}

fn job_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

fn clean(text: &str) -> String {
    let separator = |c: char| {
        c.is_control() && !crate::mutant!("print-control-characters") || matches!(c, '\u{2028}' | '\u{2029}')
    };
    let composed = text.nfc().filter(|c| !turns(*c)).map(|c| if separator(c) { ' ' } else { c });
    let mut clean: String = composed.take(TEXT_CHARS_MAX + 1).collect();
    if let Some((end, _)) = clean.char_indices().nth(TEXT_CHARS_MAX) {
        clean.truncate(end);
        clean.push_str("...");
    }
    clean
}

/// Whether a character is invisible and only turns the reading order, breaks lines or fills files.
fn turns(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests;
