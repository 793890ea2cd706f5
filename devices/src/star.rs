//! Star's two languages, StarPRNT and Star line mode: a page as bytes. Pure.
//!
//! They share all that a receipt needs but whole rows of dots: StarPRNT takes them as they are (`ESC GS S`), line mode as
//! bands of 24 (`ESC X`). Invariants: text and codes hold nothing below 20h. Star obeys `05`, `07`, `18`, `19`, `1A` and
//! `1C` as commands of one byte, but only where a command may start, so dots cannot become one; still no dots read as
//! `1B 06`, `1B 1E` or `1B 07`, the heads of its status, report and drawer commands, and the real-time pairs of ESC/POS are
//! kept out as well, for printers that listen to both. Absent on purpose: the printer's own answers, see [`crate::reply`].
//!
//! Source: Star Micronics, *StarPRNT Command Specifications* and *Line Mode Command Specifications*.

use crate::bitmap::Bitmap;
use crate::codes::{Barcode, PDF417_COLUMNS, Pdf417, Qr, Symbology};
use crate::drawn;
use crate::fonts::{BuiltIn, Faces};
use crate::ink::{self, Part};
use crate::model::{CELL_ROWS, Cut, DotsBy, Job, Language, Model};
use crate::page::{Align, Page, Row, Size, Style};

/// A page as one print job in the model's Star language (line mode where the model says ESC/POS).
#[must_use]
pub fn encode(page: &Page, model: &Model) -> Vec<u8> {
    encode_with(page, model, &BuiltIn)
}

/// A page as one print job, see [`encode`], its scripts drawn with fonts.
#[must_use]
pub fn encode_with(page: &Page, model: &Model, faces: &dyn Faces) -> Vec<u8> {
    encode_job(page, model, faces).bytes
}

/// As [`encode_with`], with the places between its commands.
pub(crate) fn encode_job(page: &Page, model: &Model, faces: &dyn Faces) -> Job {
    let mut seams = Vec::new();
    let bytes = vec![ESC, b'@', ESC, GS, b't', model.code_page_number];
    let mut pen = Pen { model, faces, bytes, style: Style::PLAIN, code_page: model.code_page_number };
    for row in ink::spelt(page, model).lay_out(model.columns) {
        match row {
            Row::Text { text, cells, style } => pen.text(&text, &cells, style),
            Row::Barcode(barcode) => pen.barcode(&barcode),
            Row::Qr(qr) => pen.qr(&qr),
            Row::Pdf417(code) => pen.pdf417(&code),
            Row::Picture(picture) => pen.picture(picture.dots()),
            Row::Feed(rows) => pen.feed(rows),
            Row::Cut => pen.cut(),
        }
        seams.push(pen.bytes.len());
    }
    Job { bytes: pen.bytes, seams }
}

/// The drawer's pulse at once: `BEL`, or `SUB` for the second drawer.
#[must_use]
pub const fn drawer_pulse_now(pin: crate::DrawerPin) -> u8 {
    match pin {
        crate::DrawerPin::Pin2 => 0x07,
        crate::DrawerPin::Pin5 => 0x1a,
    }
}

/// Asks for the echo of a document's number once all before it is on paper and the motor stands.
#[must_use]
pub const fn ask_when_printed(document: u16) -> [u8; 6] {
    let [low, high] = document.to_le_bytes();
    [ESC, GS, 0x03, 1, low, high]
}

/// Asks to be told each change of state, unasked (`ESC RS a`).
pub const TELL_CHANGES: [u8; 4] = [ESC, RS, b'a', 1];

/// Asks for the whole state at once (`ESC ACK SOH`), also while the printer is offline.
pub const ASK_STATUS: [u8; 3] = [ESC, 0x06, 0x01];

/// Brings a printer back that was interrupted: fills up half a command, forgets half a line, and cuts off what the
/// interrupted job left.
#[must_use]
pub fn resync() -> Vec<u8> {
    let mut bytes = vec![0; RESYNC_NULS];
    bytes.extend([ESC, b'@', ESC, b'd', 3]);
    bytes
}

struct Pen<'a> {
    model: &'a Model,
    faces: &'a dyn Faces,
    bytes: Vec<u8>,
    style: Style,
    code_page: u8,
}

impl Pen<'_> {
    fn text(&mut self, text: &str, cells: &[usize], style: Style) {
        let parts = ink::parts(text, cells, style.bold, self.model, self.code_page, self.faces);
        let draws = parts.iter().any(|part| matches!(part, Part::Dots(_)));
        if draws && matches!(style.size, Size::Tall | Size::Big) {
            let row = ink::drawn(text, cells, style, self.model.columns, self.faces);
            self.set(Style::PLAIN);
            return self.dots(&row);
        }
        self.set(style);
        for part in parts {
            match part {
                Part::Page(number) => {
                    self.bytes.extend([ESC, GS, b't', number]);
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

    fn set(&mut self, style: Style) {
        if style.align != self.style.align {
            let n = match style.align {
                Align::Left => 0,
                Align::Centre => 1,
                Align::Right => 2,
            };
            self.bytes.extend([ESC, GS, b'a', n]);
        }
        if style.size != self.style.size {
            let (down, across) = match style.size {
                Size::Normal => (0, 0),
                Size::Tall => (1, 0),
                Size::Wide => (0, 1),
                Size::Big => (1, 1),
            };
            self.bytes.extend([ESC, b'i', down, across]);
        }
        if style.bold != self.style.bold {
            self.bytes.extend([ESC, if style.bold { b'E' } else { b'F' }]);
        }
        self.style = style;
    }

    fn picture(&mut self, dots: &Bitmap) {
        if self.model.dots_by != DotsBy::Nothing {
            self.set(Style::PLAIN.centre());
            self.dots(dots);
        }
    }

    fn feed(&mut self, rows: u8) {
        self.bytes.extend(std::iter::repeat_n(LF, usize::from(rows)));
    }

    fn cut(&mut self) {
        match self.model.cut {
            // `ESC d 3` feeds to the cutter by itself.
            Cut::Feeding | Cut::After(_) => self.bytes.extend([ESC, b'd', 3]),
            Cut::Tear(rows) => self.feed(rows),
        }
    }

    fn barcode(&mut self, barcode: &Barcode) {
        let n = match barcode.symbology() {
            Symbology::UpcE => b'0',
            Symbology::UpcA => b'1',
            Symbology::Ean8 => b'2',
            Symbology::Ean13 => b'3',
            Symbology::Itf => b'5',
            Symbology::Code128 => b'6',
        };
        // The data ends with RS, and the module is of 2 or 3 dots (modes 1 and 2).
        let (dots, mode) = if barcode.modules() * 3 <= self.model.dots { (3, b'2') } else { (2, b'1') };
        if barcode.modules() * dots > self.model.dots {
            return self.long_text(barcode.data());
        }
        if !self.model.draws.barcodes {
            return self.picture(&drawn::barcode(barcode, dots));
        }
        self.set(Style::PLAIN.centre());
        self.bytes.extend([ESC, b'b', n, b'2', mode, 80]);
        self.bytes.extend(barcode.data().bytes());
        self.bytes.push(RS);
    }

    fn qr(&mut self, qr: &Qr) {
        let size = u8::try_from(self.model.dots / qr.modules()).unwrap_or(QR_DOTS_MAX).min(QR_DOTS_MAX);
        let Ok(length) = u16::try_from(qr.data().len()) else { return self.long_text(qr.data()) };
        if size < QR_DOTS_MIN {
            return self.long_text(qr.data());
        }
        if !self.model.draws.qr {
            return self.picture(&drawn::qr(qr, size.into()));
        }
        let [low, high] = length.to_le_bytes();
        self.set(Style::PLAIN.centre());
        self.bytes.extend([ESC, GS, b'y', b'S', b'0', 2, ESC, GS, b'y', b'S', b'1', 1]);
        self.bytes.extend([ESC, GS, b'y', b'S', b'2', size]);
        self.bytes.extend([ESC, GS, b'y', b'D', b'1', 0, low, high]);
        self.bytes.extend(qr.data().bytes());
        self.bytes.extend([ESC, GS, b'y', b'P', LF]);
    }

    fn pdf417(&mut self, code: &Pdf417) {
        let size = u8::try_from(self.model.dots / code.modules()).unwrap_or(3).min(3);
        let Ok(length) = u16::try_from(code.data().len()) else { return self.long_text(code.data()) };
        if size == 0 {
            return self.long_text(code.data());
        }
        if !self.model.draws.pdf417 {
            return self.picture(&drawn::pdf417(code, size.into()));
        }
        let [low, high] = length.to_le_bytes();
        self.set(Style::PLAIN.centre());
        self.bytes.extend([ESC, GS, b'x', b'S', b'0', 1, 0, PDF417_COLUMNS, ESC, GS, b'x', b'S', b'1', 2]);
        self.bytes.extend([ESC, GS, b'x', b'S', b'2', size, ESC, GS, b'x', b'S', b'3', 3]);
        self.bytes.extend([ESC, GS, b'x', b'D', low, high]);
        self.bytes.extend(code.data().bytes());
        self.bytes.extend([ESC, GS, b'x', b'P', LF]);
    }

    fn long_text(&mut self, text: &str) {
        let page = ink::spelt(&Page::new().text(text, Style::PLAIN.centre()), self.model);
        for row in page.lay_out(self.model.columns) {
            if let Row::Text { text, cells, style } = row {
                self.text(&text, &cells, style);
            }
        }
    }

    /// Dots on rows of their own.
    fn dots(&mut self, dots: &Bitmap) {
        let mut cut = Bitmap::new(dots.width().min(self.model.dots), dots.height());
        cut.stamp(dots, 0, 0);
        if self.model.language == Language::StarPrnt {
            for from in (0..cut.height()).step_by(SLICE_ROWS_MAX) {
                let to = cut.height().min(from + SLICE_ROWS_MAX);
                let (Ok(across), Ok(down)) = (u16::try_from(cut.stride()), u16::try_from(to - from)) else {
                    return;
                };
                let ([xl, xh], [yl, yh]) = (across.to_le_bytes(), down.to_le_bytes());
                self.bytes.extend([ESC, GS, b'S', 1, xl, xh, yl, yh, 0]);
                self.harmless(cut.rows(from, to).to_vec());
            }
            return;
        }
        // Lines of 3 mm, which are 24 dots without a gap; then of 4 mm, as at first.
        self.bytes.extend([ESC, b'0']);
        for top in (0..cut.height()).step_by(CELL_ROWS) {
            self.band(&cut, top);
            self.bytes.push(LF);
        }
        self.bytes.extend([ESC, b'z', 1]);
    }

    /// Columns of 24 dots in a line of text.
    fn band(&mut self, dots: &Bitmap, top: usize) {
        let Ok(across) = u16::try_from(dots.width().min(self.model.dots)) else { return };
        let [low, high] = across.to_le_bytes();
        self.bytes.extend([ESC, b'X', low, high]);
        let mut columns = dots.columns_of_24(top);
        columns.truncate(usize::from(across) * 3);
        self.harmless(columns);
    }

    /// Dots, one of them flipped wherever two bytes would read as the head of a command that acts at once.
    fn harmless(&mut self, mut dots: Vec<u8>) {
        for at in 1..dots.len() {
            let acts =
                matches!((dots[at - 1], dots[at]), (ESC, 0x06 | 0x07 | 0x1e) | (0x10, 0x04 | 0x05 | 0x14));
            if acts {
                dots[at] ^= 0x80;
            }
        }
        self.bytes.extend(dots);
    }
}

const ESC: u8 = 0x1b;
const GS: u8 = 0x1d;
const RS: u8 = 0x1e;
const LF: u8 = 0x0a;
const SLICE_ROWS_MAX: usize = 256;
/// More than the longest command we send.
const RESYNC_NULS: usize = 8_192;
const QR_DOTS_MIN: u8 = 3;
const QR_DOTS_MAX: u8 = 6;
