//! ESC/POS: a page, a drawer pulse and the questions to a printer, as bytes. Pure.
//!
//! Invariants: text and codes are the only caller's bytes and hold nothing below 20h; nowhere in a page do `10 04`,
//! `10 05` or `10 14` occur, because a printer obeys those even inside the data of another command. Absent on purpose:
//! pictures and other dialects (Star, displays), which are encoders of their own.
//!
//! Source: Epson ESC/POS application guide; `FS .` because Chinese firmware otherwise merges two accents into a sign.

use crate::codepage::CodePage;
use crate::codes::{Barcode, Qr, Symbology};
use crate::page::{Align, Page, Row, Size, Style};

/// What has to be known of a printer to write for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// Characters of the normal font across the paper.
    pub columns: usize,
    /// Dots across the paper.
    pub dots: usize,
    /// The characters to print with.
    pub code_page: CodePage,
    /// The number by which this printer knows that code page (`ESC t n`).
    pub code_page_number: u8,
}

/// Which connector of the printer the drawer hangs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DrawerPin {
    /// The first drawer.
    #[default]
    Pin2,
    /// The second drawer.
    Pin5,
}

/// A mark that the printer sends back when it has printed all before it. Four characters from 20h to 7Eh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessId([u8; 4]);

/// What a real-time question is about; answered even while the printer is offline or its buffer full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// Online, and the level of the drawer's sensor.
    Printer = 1,
    /// Why it is offline.
    Offline = 2,
    /// Which error.
    Error = 3,
    /// How much paper.
    Paper = 4,
}

impl Model {
    /// 80 mm paper, 48 columns, Western Europe with the euro sign: most printers on a counter.
    #[must_use]
    pub const fn paper_80mm() -> Model {
        Model { columns: 48, dots: 576, code_page: CodePage::Pc858, code_page_number: 19 }
    }

    /// 58 mm paper, 32 columns.
    #[must_use]
    pub const fn paper_58mm() -> Model {
        Model { columns: 32, dots: 384, ..Model::paper_80mm() }
    }
}

impl Default for Model {
    fn default() -> Model {
        Model::paper_80mm()
    }
}

impl ProcessId {
    /// The `n`th mark; they repeat after 81 450 625.
    #[must_use]
    pub fn nth(n: u32) -> ProcessId {
        let mut rest = n;
        let mut id = [0x20; 4];
        for place in id.iter_mut().rev() {
            *place += u8::try_from(rest % 95).unwrap_or(0);
            rest /= 95;
        }
        ProcessId(id)
    }

    /// The four characters on the wire.
    #[must_use]
    pub const fn bytes(self) -> [u8; 4] {
        self.0
    }
}

/// A page as one print job: initialised, in the model's code page, without a mark at the end.
#[must_use]
pub fn encode(page: &Page, model: &Model) -> Vec<u8> {
    let mut pen = Pen { model, bytes: Vec::new(), style: Style::PLAIN };
    pen.bytes.extend(INIT);
    pen.bytes.extend(CANCEL_KANJI);
    pen.bytes.extend([ESC, b't', model.code_page_number]);
    for row in page.spelt(|text| model.code_page.show(text)).lay_out(model.columns) {
        match row {
            Row::Text { text, style } => pen.text(&text, style),
            Row::Barcode(barcode) => pen.barcode(&barcode),
            Row::Qr(qr) => pen.qr(&qr),
            Row::Feed(0) => {}
            Row::Feed(rows) => pen.bytes.extend(std::iter::repeat_n(LF, usize::from(rows))),
            Row::Cut => pen.bytes.extend(FEED_AND_CUT),
        }
    }
    pen.bytes
}

/// The drawer's pulse, in its place among the printing: 50 ms on, 250 ms off, all five bytes.
///
/// Source: Citizen asks for at most a fifth of the time on.
#[must_use]
pub const fn drawer_pulse(pin: DrawerPin) -> [u8; 5] {
    [ESC, b'p', pin.number(), 25, 125]
}

/// The drawer's pulse at once, 100 ms, even while the printer is out of paper.
#[must_use]
pub const fn drawer_pulse_now(pin: DrawerPin) -> [u8; 5] {
    [DLE, DC4, 1, pin.number(), 1]
}

/// Asks for a real-time status byte.
#[must_use]
pub const fn ask(question: Question) -> [u8; 3] {
    [DLE, EOT, question as u8]
}

/// Asks for the echo of a mark once everything before it is on paper.
#[must_use]
pub fn ask_when_printed(id: ProcessId) -> [u8; 11] {
    let [a, b, c, d] = id.bytes();
    [GS, b'(', b'H', 6, 0, 0x30, 0x30, a, b, c, d]
}

/// Asks for the paper sensor in its place among the printing: the answer says that all before it was processed.
#[must_use]
pub const fn ask_when_processed() -> [u8; 3] {
    [GS, b'r', 1]
}

/// Brings a printer back that was interrupted: fills up half a command, forgets half a line, and cuts off what the
/// interrupted job left, so that none of it stands on the next piece of paper.
#[must_use]
pub fn resync() -> Vec<u8> {
    let mut bytes = vec![0; RESYNC_NULS];
    bytes.extend(INIT);
    bytes.extend(FEED_AND_CUT);
    bytes
}

impl DrawerPin {
    const fn number(self) -> u8 {
        match self {
            DrawerPin::Pin2 => 0,
            DrawerPin::Pin5 => 1,
        }
    }
}

/// Writes rows, and a style only where it changes.
struct Pen<'a> {
    model: &'a Model,
    bytes: Vec<u8>,
    style: Style,
}

impl Pen<'_> {
    fn text(&mut self, text: &str, style: Style) {
        self.set(style);
        self.bytes.extend(self.model.code_page.bytes(text));
        self.bytes.push(LF);
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
    fn barcode(&mut self, barcode: &Barcode) {
        let (m, data) = match barcode.symbology() {
            Symbology::UpcA => (65, barcode.data().to_owned()),
            Symbology::Ean13 => (67, barcode.data().to_owned()),
            Symbology::Ean8 => (68, barcode.data().to_owned()),
            // Set B; a brace is written twice. Set C would hold binary values, among them 10 04.
            Symbology::Code128 => (73, format!("{{B{}", barcode.data().replace('{', "{{"))),
        };
        let width = if barcode.modules() * 3 <= self.model.dots { 3 } else { 2 };
        let fits = barcode.modules() * 2 <= self.model.dots;
        match u8::try_from(data.len()) {
            Ok(length) if fits => {
                self.set(Style::PLAIN.centre());
                // Some firmware forgets these after each barcode.
                self.bytes.extend([GS, b'H', 2, GS, b'f', 0, GS, b'w', width, GS, b'h', 80]);
                self.bytes.extend([GS, b'k', m, length]);
                self.bytes.extend(data.bytes());
            }
            _ => self.long_text(barcode.data()),
        }
    }

    fn qr(&mut self, qr: &Qr) {
        let Ok(length) = u16::try_from(qr.data().len() + 3) else { return self.long_text(qr.data()) };
        let size = u8::try_from(self.model.dots / qr.modules()).unwrap_or(QR_DOTS_MAX).min(QR_DOTS_MAX);
        if size < QR_DOTS_MIN {
            return self.long_text(qr.data());
        }
        self.set(Style::PLAIN.centre());
        let symbol = [GS, b'(', b'k'];
        for part in [&[4, 0, 0x31, 0x41, 0x32, 0][..], &[3, 0, 0x31, 0x43, size], &[3, 0, 0x31, 0x45, 0x31]] {
            self.bytes.extend(symbol);
            self.bytes.extend(part);
        }
        self.bytes.extend(symbol);
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend([0x31, 0x50, 0x30]);
        self.bytes.extend(qr.data().bytes());
        self.bytes.extend(symbol);
        self.bytes.extend([3, 0, 0x31, 0x51, 0x30]);
    }

    fn long_text(&mut self, text: &str) {
        let page = Page::new().text(&self.model.code_page.show(text), Style::PLAIN.centre());
        for row in page.lay_out(self.model.columns) {
            if let Row::Text { text, style } = row {
                self.text(&text, style);
            }
        }
    }
}

const ESC: u8 = 0x1b;
const GS: u8 = 0x1d;
const DLE: u8 = 0x10;
const EOT: u8 = 0x04;
const DC4: u8 = 0x14;
const LF: u8 = 0x0a;
const INIT: [u8; 2] = [ESC, b'@'];
const CANCEL_KANJI: [u8; 2] = [0x1c, b'.'];
/// Function B: `GS V 0` would cut through the last lines, which stand between head and cutter.
const FEED_AND_CUT: [u8; 4] = [GS, b'V', 66, 0];
/// More than the longest command we send; receiptio flushes with as many.
const RESYNC_NULS: usize = 8_192;
const QR_DOTS_MIN: u8 = 3;
const QR_DOTS_MAX: u8 = 6;
