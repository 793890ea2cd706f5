//! How the machine writes: characters into lines, lines and codes onto the paper.

use super::{Look, Machine};
use crate::codepage::CodePage;
use crate::virtual_printer::font::CELL_HEIGHT;
use crate::virtual_printer::picture::{Band, Cell};

/// What stays set until it is changed.
#[derive(Debug)]
pub(super) struct Mode {
    pub(super) align: u8,
    pub(super) code_page: u8,
    pub(super) kanji: bool,
    pub(super) look: Look,
    pub(super) spacing: usize,
    pub(super) bar_height: usize,
    pub(super) bar_module: usize,
    pub(super) bar_text: u8,
    pub(super) qr_module: usize,
    pub(super) qr_level: u8,
    pub(super) pdf_module: usize,
    pub(super) pdf_row: usize,
    /// `DLE DC4` 1 is passed over.
    pub(super) guard: bool,
}

impl Mode {
    pub(super) const AT_FIRST: Mode = Mode {
        align: 0,
        code_page: 0,
        kanji: true,
        look: Look::PLAIN,
        spacing: 30,
        bar_height: 162,
        bar_module: 3,
        bar_text: 0,
        qr_module: 3,
        qr_level: 48,
        pdf_module: 3,
        pdf_row: 3,
        guard: false,
    };
}

/// The line that is being filled.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) cells: Vec<Cell>,
    pub(super) used: usize,
    pub(super) lead: Option<u8>,
    /// Dots already drawn in it, in height.
    pub(super) drawn: usize,
}

impl Machine {
    pub(super) fn character(&mut self, byte: u8) {
        if self.mode.kanji && byte >= 0x80 {
            // Two bytes make one sign, two columns wide.
            if self.line.lead.take().is_some() {
                self.put('□');
                self.put('□');
            } else {
                self.line.lead = Some(byte);
            }
            return;
        }
        self.line.lead = None;
        let page = match self.mode.code_page {
            0 => Some(CodePage::Pc437),
            16 => Some(CodePage::Wpc1252),
            19 => Some(CodePage::Pc858),
            _ => None,
        };
        let ascii = (0x20..=0x7e).contains(&byte).then_some(char::from(byte));
        self.put(ascii.or_else(|| page?.character(byte)).unwrap_or('□'));
    }

    pub(super) fn put(&mut self, c: char) {
        let columns = usize::from(self.mode.look.wide);
        if self.line.used + columns > self.columns {
            self.end_line();
        }
        self.line.cells.push(Cell { c, look: self.mode.look });
        self.line.used += columns;
    }

    pub(super) fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let free = self.columns.saturating_sub(line.used);
        let lead = match self.mode.align {
            1 => free / 2,
            2 => free,
            _ => 0,
        };
        let text: String = line.cells.iter().map(|cell| cell.c).collect();
        let row = format!("{}{}", " ".repeat(lead), text.trim_end()).trim_end().to_owned();
        self.piece.draw(if line.cells.is_empty() {
            Band::Feed(self.mode.spacing.saturating_sub(line.drawn))
        } else {
            Band::Text { cells: line.cells, align: self.mode.align, spacing: self.mode.spacing }
        });
        self.row(row);
    }

    pub(super) fn flush_line(&mut self) {
        if !self.line.cells.is_empty() {
            self.end_line();
        }
    }

    pub(super) fn feed_dots(&mut self, dots: usize) {
        self.flush_line();
        self.piece.draw(Band::Feed(dots));
        if self.piece.is_full() {
            self.tear_off();
        }
    }

    /// A row of paper has gone through.
    fn row(&mut self, row: String) {
        if let Some(rows) = &mut self.faults.roll_rows {
            *rows = rows.saturating_sub(1);
            self.faults.paper_out |= *rows == 0;
        }
        self.piece.add(row);
        if self.piece.is_full() {
            self.tear_off();
        }
    }

    pub(super) fn barcode(&mut self, m: u8, data: &[u8]) {
        let name = match m {
            65 => "UPCA",
            66 => "UPCE",
            67 => "EAN13",
            68 => "EAN8",
            69 => "CODE39",
            70 => "ITF",
            71 => "CODABAR",
            72 => "CODE93",
            73 => "CODE128",
            _ => "BARCODE",
        };
        let text = match data {
            [b'{', b'A'..=b'C', rest @ ..] if m == 73 => printable(rest).replace("{{", "{"),
            _ => printable(data),
        };
        let Mode { bar_height, bar_module, bar_text, align, .. } = self.mode;
        let band = Band::Bars {
            m,
            data: data.to_vec(),
            module: bar_module,
            height: bar_height,
            text: bar_text,
            align,
        };
        self.marker(&format!("[{name} {text}]"), band);
    }

    pub(super) fn qr_code(&mut self) {
        let Mode { qr_module, qr_level, align, .. } = self.mode;
        let band = Band::Qr { data: self.qr.clone(), level: qr_level, module: qr_module, align };
        let marker = format!("[QR {}]", printable(&self.qr));
        self.marker(&marker, band);
    }

    pub(super) fn pdf417(&mut self) {
        let Mode { pdf_module, pdf_row, align, .. } = self.mode;
        let band = Band::Pdf417 { data: self.pdf.clone(), module: pdf_module, row: pdf_row, align };
        let marker = format!("[PDF417 {}]", printable(&self.pdf));
        self.marker(&marker, band);
    }

    /// A code stands on rows of its own and leaves the position at the start of the next. As text it is named.
    fn marker(&mut self, marker: &str, band: Band) {
        self.flush_line();
        let free = self.columns.saturating_sub(marker.chars().count());
        let lead = match self.mode.align {
            1 => free / 2,
            2 => free,
            _ => 0,
        };
        self.piece.draw(band);
        self.row(format!("{}{marker}", " ".repeat(lead)));
    }

    /// A picture, in the line that is being filled or on rows of its own. As text it is nothing.
    pub(super) fn picture(&mut self, band: Band, in_line: Option<usize>) {
        self.piece.draw(band);
        self.line.drawn = in_line.unwrap_or(0).min(CELL_HEIGHT);
        if self.piece.is_full() {
            self.tear_off();
        }
    }
}

/// Data as text on a row: what cannot be shown is escaped.
pub(super) fn printable(data: &[u8]) -> String {
    String::from_utf8_lossy(data)
        .chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}
