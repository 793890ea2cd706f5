//! Writes the rows of a page, and a style only where it changes.

use super::{CANCEL_KANJI, ESC, FEED_AND_CUT, GS, INIT, LF};
use crate::bitmap::Bitmap;
use crate::codes::{Barcode, PDF417_COLUMNS, Pdf417, Qr, Symbology};
use crate::drawn;
use crate::fonts::Faces;
use crate::ink::{self, Part};
use crate::model::{CELL_ROWS, Cut, DotsBy, Model};
use crate::page::{Align, Page, Row, Size, Style};

pub(super) struct Pen<'a> {
    model: &'a Model,
    faces: &'a dyn Faces,
    bytes: Vec<u8>,
    style: Style,
    code_page: u8,
}

impl<'a> Pen<'a> {
    pub(super) fn new(model: &'a Model, faces: &'a dyn Faces) -> Pen<'a> {
        let mut bytes = INIT.to_vec();
        if model.cancel_kanji {
            bytes.extend(CANCEL_KANJI);
        }
        bytes.extend([ESC, b't', model.code_page_number]);
        Pen { model, faces, bytes, style: Style::PLAIN, code_page: model.code_page_number }
    }

    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn text(&mut self, text: &str, cells: &[usize], style: Style) {
        let parts = ink::parts(text, cells, style.bold, self.model, self.code_page, self.faces);
        let draws = parts.iter().any(|part| matches!(part, Part::Dots(_)));
        // A band in a line of text is 24 dots high, so that a line that is higher, or a printer without bands, takes rows.
        let inline = match self.model.dots_by {
            DotsBy::Bands => true,
            DotsBy::BandsAndRows => matches!(style.size, Size::Normal | Size::Wide),
            DotsBy::Rows | DotsBy::Nothing => false,
        };
        if draws && !inline {
            return self.drawn_text(text, cells, style);
        }
        self.set(style);
        for part in parts {
            match part {
                Part::Page(number) => {
                    self.bytes.extend([ESC, b't', number]);
                    self.code_page = number;
                }
                Part::Text(bytes) => self.bytes.extend(bytes),
                Part::Dots(dots) => {
                    self.band(&if style.size.columns() == 2 { dots.scaled(2, 1) } else { dots }, 0);
                }
            }
        }
        self.bytes.push(LF);
    }

    fn drawn_text(&mut self, text: &str, cells: &[usize], style: Style) {
        let row = ink::drawn(text, cells, style, self.model.columns, self.faces);
        let mut line = Bitmap::new(row.width(), row.height() + LINE_GAP_DOTS);
        line.stamp(&row, 0, 0);
        self.set(Style::PLAIN);
        self.rows(&line);
    }

    /// A picture in the middle; nothing on a printer that cannot print dots.
    pub(super) fn picture(&mut self, dots: &Bitmap) {
        match self.model.dots_by {
            DotsBy::Nothing => {}
            DotsBy::Bands => self.bands(dots),
            DotsBy::BandsAndRows | DotsBy::Rows => {
                self.set(Style::PLAIN.centre());
                let mut cut = Bitmap::new(dots.width().min(self.model.dots), dots.height());
                cut.stamp(dots, 0, 0);
                self.rows(&cut);
            }
        }
    }

    pub(super) fn feed(&mut self, rows: u8) {
        self.bytes.extend(std::iter::repeat_n(LF, usize::from(rows)));
    }

    pub(super) fn cut(&mut self) {
        match self.model.cut {
            Cut::Feeding => self.bytes.extend(FEED_AND_CUT),
            Cut::After(rows) => {
                self.feed(rows);
                self.bytes.extend(CUT_HERE);
            }
            Cut::Tear(rows) => self.feed(rows),
        }
    }

    fn set(&mut self, style: Style) {
        if style.align != self.style.align {
            let n = match style.align {
                Align::Left => 0,
                Align::Centre => 1,
                Align::Right => 2,
            };
            self.bytes.extend([ESC, b'a', n]);
        }
        if style.size != self.style.size {
            let n = match style.size {
                Size::Normal => 0x00,
                Size::Tall => 0x01,
                Size::Wide => 0x10,
                Size::Big => 0x11,
            };
            self.bytes.extend([GS, b'!', n]);
        }
        if style.bold != self.style.bold {
            self.bytes.extend([ESC, b'E', u8::from(style.bold)]);
        }
        self.style = style;
    }

    /// A barcode with its text below; only the text where the bars do not fit, since a printer would print nothing.
    pub(super) fn barcode(&mut self, barcode: &Barcode) {
        let (m, data) = match barcode.symbology() {
            Symbology::UpcA => (65, barcode.data().to_owned()),
            Symbology::UpcE => (66, barcode.data().to_owned()),
            Symbology::Ean13 => (67, barcode.data().to_owned()),
            Symbology::Ean8 => (68, barcode.data().to_owned()),
            Symbology::Itf => (70, barcode.data().to_owned()),
            // Set B; a brace is written twice. Set C would hold binary values, among them 10 04.
            Symbology::Code128 => (73, format!("{{B{}", barcode.data().replace('{', "{{"))),
        };
        let width = if barcode.modules() * 3 <= self.model.dots { 3 } else { 2 };
        let fits = barcode.modules() * 2 <= self.model.dots;
        match u8::try_from(data.len()) {
            Ok(_) if fits && !self.model.draws.barcodes && self.prints_dots() => {
                self.picture(&drawn::barcode(barcode, width.into()));
            }
            Ok(length) if fits && self.model.draws.barcodes => {
                self.set(Style::PLAIN.centre());
                // Some firmware forgets these after each barcode.
                self.bytes.extend([GS, b'H', 2, GS, b'f', 0, GS, b'w', width, GS, b'h', 80]);
                self.bytes.extend([GS, b'k', m, length]);
                self.bytes.extend(data.bytes());
            }
            _ => self.long_text(barcode.data()),
        }
    }

    pub(super) fn qr(&mut self, qr: &Qr) {
        let size = u8::try_from(self.model.dots / qr.modules()).unwrap_or(QR_DOTS_MAX).min(QR_DOTS_MAX);
        if size < QR_DOTS_MIN {
            return self.long_text(qr.data());
        }
        if !self.model.draws.qr {
            return match self.prints_dots() {
                true => self.picture(&drawn::qr(qr, size.into())),
                false => self.long_text(qr.data()),
            };
        }
        self.set(Style::PLAIN.centre());
        self.symbol(&[0x31, 0x41, 0x32, 0], &[]);
        self.symbol(&[0x31, 0x43, size], &[]);
        self.symbol(&[0x31, 0x45, 0x31], &[]);
        self.symbol(&[0x31, 0x50, 0x30], qr.data().as_bytes());
        self.symbol(&[0x31, 0x51, 0x30], &[]);
    }

    pub(super) fn pdf417(&mut self, code: &Pdf417) {
        let size =
            u8::try_from(self.model.dots / code.modules()).unwrap_or(PDF417_DOTS_MAX).min(PDF417_DOTS_MAX);
        let drawn = !self.model.draws.pdf417 && self.prints_dots();
        match size {
            0 => self.long_text(code.data()),
            _ if drawn => self.picture(&drawn::pdf417(code, size.into())),
            _ if !self.model.draws.pdf417 => self.long_text(code.data()),
            _ => {
                self.set(Style::PLAIN.centre());
                self.symbol(&[0x30, 0x41, PDF417_COLUMNS], &[]);
                self.symbol(&[0x30, 0x42, 0], &[]);
                self.symbol(&[0x30, 0x43, size.max(2)], &[]);
                self.symbol(&[0x30, 0x44, 3], &[]);
                self.symbol(&[0x30, 0x45, 0x31, 1], &[]);
                self.symbol(&[0x30, 0x46, 0], &[]);
                self.symbol(&[0x30, 0x50, 0x30], code.data().as_bytes());
                self.symbol(&[0x30, 0x51, 0x30], &[]);
            }
        }
    }

    /// `GS ( k` with its length. Neither head nor data is longer than a code's longest text.
    fn symbol(&mut self, head: &[u8], data: &[u8]) {
        let length = u16::try_from(head.len() + data.len()).unwrap_or(0);
        self.bytes.extend([GS, b'(', b'k']);
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(head);
        self.bytes.extend(data);
    }

    fn prints_dots(&self) -> bool {
        self.model.dots_by != DotsBy::Nothing
    }

    fn long_text(&mut self, text: &str) {
        let page = ink::spelt(&Page::new().text(text, Style::PLAIN.centre()), self.model);
        for row in page.lay_out(self.model.columns) {
            if let Row::Text { text, cells, style } = row {
                self.text(&text, &cells, style);
            }
        }
    }

    /// Rows of dots, so many at a time that the buffer of no printer overflows.
    fn rows(&mut self, dots: &Bitmap) {
        for from in (0..dots.height()).step_by(SLICE_ROWS_MAX) {
            let to = dots.height().min(from + SLICE_ROWS_MAX);
            let (Ok(across), Ok(down)) = (u16::try_from(dots.stride()), u16::try_from(to - from)) else {
                return;
            };
            let [xl, xh] = across.to_le_bytes();
            let [yl, yh] = down.to_le_bytes();
            self.guarded(&[GS, b'v', b'0', 0, xl, xh, yl, yh], dots.rows(from, to));
        }
    }

    /// Bands one below the other without a gap, for printers that have nothing else.
    fn bands(&mut self, dots: &Bitmap) {
        self.set(Style::PLAIN.centre());
        self.bytes.extend([ESC, b'3', 24]);
        for top in (0..dots.height()).step_by(CELL_ROWS) {
            self.band(dots, top);
            self.bytes.push(LF);
        }
        self.bytes.extend([ESC, b'2']);
    }

    /// Columns of 24 dots in a line of text.
    fn band(&mut self, dots: &Bitmap, top: usize) {
        let mut cut = Bitmap::new(dots.width().min(self.model.dots), dots.height());
        cut.stamp(dots, 0, 0);
        let Ok(across) = u16::try_from(cut.width()) else { return };
        let [low, high] = across.to_le_bytes();
        self.guarded(&[ESC, b'*', 33, low, high], &cut.columns_of_24(top));
    }

    /// A command whose data is dots. While they come, a printer that can be told so opens no drawer.
    fn guarded(&mut self, command: &[u8], dots: &[u8]) {
        if self.model.guard {
            self.bytes.extend(guard(false));
        }
        self.bytes.extend(command);
        let mut dots = dots.to_vec();
        defuse(&mut dots);
        self.bytes.extend(dots);
        if self.model.guard {
            self.bytes.extend(guard(true));
        }
    }
}

/// Flips one dot wherever two bytes would read as a real-time command, or the head of one that guards against them.
pub(super) fn defuse(dots: &mut [u8]) {
    for at in 1..dots.len() {
        let (before, byte) = (dots[at - 1], dots[at]);
        let real_time = before == 0x10 && matches!(byte, 0x04 | 0x05 | 0x14);
        let guard = before == GS && byte == b'(';
        if (real_time || guard) && !crate::mutant!("let-dots-be-commands") {
            dots[at] ^= 0x02;
        }
    }
}

/// Whether `DLE DC4 1`, the drawer's pulse in real time, is obeyed.
const fn guard(obeyed: bool) -> [u8; 8] {
    [GS, b'(', b'D', 3, 0, 20, 1, obeyed as u8]
}

/// Function A, partly, where it stands.
const CUT_HERE: [u8; 3] = [GS, b'V', 1];
/// More overflow some buffers, and the rest comes out as text.
const SLICE_ROWS_MAX: usize = 256;
const QR_DOTS_MIN: u8 = 3;
const QR_DOTS_MAX: u8 = 6;
const PDF417_DOTS_MAX: u8 = 3;
/// Between two lines of drawn text, as between two of printed text.
const LINE_GAP_DOTS: usize = 6;
