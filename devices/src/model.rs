//! What has to be known of a printer to write for it. Pure.

use crate::codepage::CodePage;
use crate::fonts::Faces;
use crate::page::Page;
use crate::{escpos, star};

/// A printer's paper, characters and abilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// What it understands.
    pub language: Language,
    /// Characters of the normal font across the paper.
    pub columns: usize,
    /// Dots across the paper.
    pub dots: usize,
    /// The characters to print with first.
    pub code_page: CodePage,
    /// The number by which this printer knows that code page (`ESC t n`).
    pub code_page_number: u8,
    /// More code pages and their numbers, which are changed to where they make a text shorter.
    pub pages: &'static [(u8, CodePage)],
    /// Numbers of code pages that a person found to hold other letters. Of those only what is ASCII is printed.
    pub wrong: PageSet,
    /// Whether it prints dots, and how. What has no code page is drawn with them.
    pub dots_by: DotsBy,
    /// Which codes it draws by itself; the others are drawn for it.
    pub draws: Draws,
    /// What it does at the end of a piece of paper.
    pub cut: Cut,
    /// Whether to cancel the mode of Chinese firmware, in which two accents become one sign.
    pub cancel_kanji: bool,
    /// Whether it can be told to obey no drawer pulse while it takes dots.
    pub guard: bool,
}

/// Numbers of code pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PageSet([u64; 4]);

impl PageSet {
    /// None of them.
    pub const EMPTY: PageSet = PageSet([0; 4]);

    /// These.
    #[must_use]
    pub fn of(numbers: &[u8]) -> PageSet {
        let mut set = PageSet::EMPTY;
        for number in numbers {
            set.0[usize::from(number / 64)] |= 1 << (number % 64);
        }
        set
    }

    /// Whether it is among them.
    #[must_use]
    pub fn contains(&self, number: u8) -> bool {
        self.0[usize::from(number / 64)] >> (number % 64) & 1 == 1
    }
}

/// A page as bytes, and where a command may stand between its own.
#[derive(Debug, Default)]
pub(crate) struct Job {
    pub(crate) bytes: Vec<u8>,
    /// Rising; so many bytes before each place.
    pub(crate) seams: Vec<usize>,
}

/// What a printer understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// Epson's, and that of most others.
    #[default]
    EscPos,
    /// Star's newer one.
    StarPrnt,
    /// Star's older one.
    StarLine,
}

/// How a printer takes dots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DotsBy {
    /// Not at all: what it lacks is spelt.
    Nothing,
    /// In bands of 24 that stand in a line of text (`ESC *`, Star `ESC X`) and as whole rows.
    #[default]
    BandsAndRows,
    /// As whole rows only (`GS v 0`).
    Rows,
    /// In bands only, as impact printers and some old ones.
    Bands,
}

/// Which codes a printer draws by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Draws {
    /// Bars.
    pub barcodes: bool,
    /// QR.
    pub qr: bool,
    /// PDF417.
    pub pdf417: bool,
}

/// What a printer does at the end of a piece of paper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cut {
    /// It feeds to its cutter and cuts.
    #[default]
    Feeding,
    /// It cuts where it stands, so it is fed so many rows first.
    After(u8),
    /// It has no cutter: it is fed so many rows to the edge to tear at.
    Tear(u8),
}

impl Job {
    /// Another one behind it.
    pub(crate) fn append(&mut self, job: Job) {
        let length = self.bytes.len();
        self.bytes.extend(job.bytes);
        self.seams.extend(job.seams.iter().map(|seam| length + seam));
    }
}

impl Draws {
    /// All of them.
    pub const ALL: Draws = Draws { barcodes: true, qr: true, pdf417: true };
}

impl Cut {
    /// With so many rows more of feed.
    #[must_use]
    pub fn and_rows(self, more: u8) -> Cut {
        match (self, more) {
            (cut, 0) => cut,
            (Cut::Feeding, more) => Cut::After(more),
            (Cut::After(rows), more) => Cut::After(rows.saturating_add(more)),
            (Cut::Tear(rows), more) => Cut::Tear(rows.saturating_add(more)),
        }
    }
}

impl Model {
    /// The byte of a character in one of its code pages; nothing if that page does not have it, or is not what it is called.
    pub(crate) fn byte(&self, number: u8, page: CodePage, c: char) -> Option<u8> {
        page.byte(c).filter(|byte| byte.is_ascii() || !self.wrong.contains(number))
    }

    /// As a person with a test strip in hand found it: pages with other letters than they should have, and rows that the cutter
    /// cut off.
    #[must_use]
    pub fn corrected(self, wrong_pages: &[u8], more_feed: u8) -> Model {
        Model { wrong: PageSet::of(wrong_pages), cut: self.cut.and_rows(more_feed), ..self }
    }

    /// 80 mm paper, 48 columns, Western Europe with the euro sign: most printers on a counter.
    #[must_use]
    pub const fn paper_80mm() -> Model {
        Model {
            language: Language::EscPos,
            columns: 48,
            dots: 576,
            code_page: CodePage::Pc858,
            code_page_number: 19,
            pages: &[],
            wrong: PageSet::EMPTY,
            dots_by: DotsBy::BandsAndRows,
            draws: Draws::ALL,
            cut: Cut::Feeding,
            cancel_kanji: true,
            guard: true,
        }
    }

    /// 58 mm paper, 32 columns.
    #[must_use]
    pub const fn paper_58mm() -> Model {
        Model { columns: 32, dots: 384, ..Model::paper_80mm() }
    }

    /// A page as one print job in the printer's language.
    #[must_use]
    pub fn encode(&self, page: &Page, faces: &dyn Faces) -> Vec<u8> {
        self.job(page, faces).bytes
    }

    pub(crate) fn job(&self, page: &Page, faces: &dyn Faces) -> Job {
        match self.language {
            Language::EscPos => escpos::encode_job(page, self, faces),
            Language::StarPrnt | Language::StarLine => star::encode_job(page, self, faces),
        }
    }

    /// Dots across that a row of text takes.
    #[must_use]
    pub(crate) fn text_dots(&self) -> usize {
        self.columns * CELL_DOTS
    }
}

impl Default for Model {
    fn default() -> Model {
        Model::paper_80mm()
    }
}

/// Dots across of a character of font A.
pub const CELL_DOTS: usize = 12;

/// Dots down of a character of font A.
pub const CELL_ROWS: usize = 24;
