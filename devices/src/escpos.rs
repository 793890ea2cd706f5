//! ESC/POS: a page, a drawer pulse and the questions to a printer, as bytes. Pure.
//!
//! Invariants: text, codes and dots are the only caller's bytes; the first two hold nothing below 20h, and nowhere in a
//! page do `10 04`, `10 05` or `10 14` occur, because a printer obeys those even inside the data of another command: dots
//! that would read so lose or gain one. Absent on purpose: other dialects (Star, displays), which are encoders of their own.
//!
//! Source: Epson ESC/POS application guide; `FS .` because Chinese firmware otherwise merges two accents into a sign.

mod pen;

use crate::fonts::{BuiltIn, Faces};
use crate::ink;
use crate::model::Job;
pub use crate::model::Model;
use crate::page::{Page, Row};
use pen::Pen;

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

/// A page as one print job: initialised, in the model's code page, without a mark at the end. Scripts that neither the
/// printer nor the font inside the program has are boxes with numbers; [`encode_with`] takes fonts for them.
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
    let mut pen = Pen::new(model, faces);
    let mut seams = Vec::new();
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
        seams.push(pen.length());
    }
    Job { bytes: pen.done(), seams }
}

/// The drawer's pulse at once, 100 ms, even while the printer is out of paper.
#[must_use]
pub const fn drawer_pulse_now(pin: DrawerPin) -> [u8; 5] {
    [DLE, DC4, 1, pin.number(), 1]
}

/// Asks to be told each change of state, unasked, in four bytes (`GS a`).
pub const TELL_CHANGES: [u8; 3] = [GS, b'a', 0xff];

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
