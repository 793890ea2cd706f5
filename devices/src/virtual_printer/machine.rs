//! The inside of the printer: bytes in, paper and answers out. Pure.
//!
//! It behaves like the strictest models: Kanji mode is on until `FS .` turns it off, half a command and half a line
//! outlive the session that sent them, real-time commands are obeyed wherever they stand, also inside data, and while
//! the printer is offline the rest waits. Invariants: at most [`WAITING_BYTES_MAX`] wait and what
//! [`Piece::is_full`] allows stands on the paper before it is torn off, whatever is sent.

use super::Faults;
use super::drawer::{Drawer, Sensor};
use super::picture::Look;
use super::piece::Piece;
use super::token::{Dots, Step, TOKEN_BYTES_MAX, Token, step};

mod answers;
mod dots;
mod pen;

use dots::Collecting;
use pen::{Line, Mode};

/// A printer's mechanism, without its socket.
#[derive(Debug)]
pub struct Machine {
    columns: usize,
    faults: Faults,
    trouble: Trouble,
    drawer: Drawer,
    waiting: Vec<u8>,
    skip: u64,
    /// Whether it was told to pass over all but real-time commands, which a display on its cable hears instead.
    deaf: bool,
    collecting: Option<Collecting>,
    recent: Vec<u8>,
    mode: Mode,
    line: Line,
    piece: Piece,
    qr: Vec<u8>,
    pdf: Vec<u8>,
    graphics: Option<super::picture::Band>,
    /// Which changes are told unasked (`GS a`), and the state that was told last.
    automatic: u8,
    told: [u8; 4],
    effects: Vec<Effect>,
    /// Rows of dots on all pieces that were torn off.
    rows_before: u64,
}

/// Errors that stay until they are dealt with, whatever the faults say meanwhile.
#[derive(Clone, Copy, Debug, Default)]
struct Trouble {
    /// The cutter is jammed: until the jam is cleared and the host or a closed cover says to go on.
    cutter: bool,
    /// It is broken: until it is mended and switched off and on.
    broken: bool,
}

/// What the machine did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Say(Vec<u8>),
    Piece(Piece),
    Pulse,
    Opened,
}

/// Bytes that wait while the printer is offline; then it reads no more.
pub(super) const WAITING_BYTES_MAX: usize = 64 * 1024;

impl Machine {
    /// A machine with paper, for so many characters a row.
    ///
    /// Shape: `columns` is kept within 16 to 96.
    #[must_use]
    pub fn new(columns: usize) -> Machine {
        let columns = columns.clamp(16, 96);
        Machine {
            columns,
            faults: Faults::default(),
            trouble: Trouble::default(),
            drawer: Drawer::default(),
            waiting: Vec::new(),
            skip: 0,
            deaf: false,
            collecting: None,
            recent: Vec::new(),
            mode: Mode::AT_FIRST,
            line: Line::default(),
            piece: Piece::new(columns * super::font::CELL_WIDTH),
            qr: Vec::new(),
            pdf: Vec::new(),
            graphics: None,
            automatic: 0,
            told: [0; 4],
            effects: Vec::new(),
            rows_before: 0,
        }
    }

    /// Prints bytes and answers the pieces of paper that were cut off, for reading a job without a socket.
    pub fn print(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for chunk in bytes.chunks(WAITING_BYTES_MAX / 2) {
            self.receive(chunk);
            pieces.extend(self.effects().into_iter().filter_map(|effect| match effect {
                Effect::Piece(piece) => Some(piece),
                Effect::Say(_) | Effect::Pulse | Effect::Opened => None,
            }));
        }
        pieces
    }

    /// How many bytes it can take now.
    pub(super) fn room(&self) -> usize {
        WAITING_BYTES_MAX.saturating_sub(self.waiting.len())
    }

    /// Rows of dots by which it has moved the paper, ever.
    pub(super) fn rows(&self) -> u64 {
        self.rows_before + self.piece.height() as u64
    }

    pub(super) fn fit_drawer(&mut self, sensor: Sensor) {
        self.drawer.sensor = sensor;
    }

    /// Opens the drawer with a key, or shuts it.
    pub(super) fn move_drawer(&mut self, open: bool) {
        if open && !self.drawer.open {
            self.effects.push(Effect::Opened);
        }
        self.drawer.open = open;
        self.tell_changes();
    }

    pub(super) fn set_faults(&mut self, faults: Faults) {
        let before = std::mem::replace(&mut self.faults, faults);
        if before.cover_open && !faults.cover_open && !faults.cutter_jammed {
            self.trouble.cutter = false;
        }
        self.trouble.broken |= faults.broken;
        self.tell_changes();
        self.work();
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if !self.faults.swallow {
                self.waiting.push(*byte);
            }
            self.hear_real_time(*byte);
        }
        self.work();
    }

    /// Switched off and on: all that waited is lost, half a line and half a command too. What is on the paper stays on it.
    pub(super) fn power_cycle(&mut self) {
        self.forget();
        self.recent.clear();
        (self.automatic, self.graphics) = (0, None);
        self.qr.clear();
        self.pdf.clear();
        self.trouble = Trouble { broken: self.faults.broken, cutter: false };
        self.mode = Mode::AT_FIRST;
    }

    /// What it did since it was asked last.
    pub(super) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn offline(&self) -> bool {
        let Faults { paper_out, cover_open, overheated, .. } = self.faults;
        paper_out || cover_open || overheated || self.trouble.cutter || self.trouble.broken
    }

    /// Clears the receive buffer and the line that is being filled.
    fn forget(&mut self) {
        self.waiting.clear();
        (self.skip, self.collecting, self.line) = (0, None, Line::default());
        self.deaf = false;
    }

    fn work(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let mut at = 0;
        while at < waiting.len() && !self.offline() {
            let rest = &waiting[at..];
            if self.skip > 0 {
                let n = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rest.len());
                self.skip -= n as u64;
                at += n;
                self.piece.spend(n as u64);
                continue;
            }
            if let Some(collecting) = self.collecting.take() {
                let n = self.collect(collecting, rest);
                at += n;
                self.piece.spend(n as u64);
                continue;
            }
            if self.deaf {
                match heard_again(rest) {
                    Some(n) => (self.deaf, at) = (false, at + n),
                    // What may become the command stays.
                    None => {
                        at = waiting.len()
                            - rest.iter().rev().take(2).position(|b| *b == 0x1b).map_or(0, |n| n + 1)
                    }
                }
                if self.deaf {
                    break;
                }
                continue;
            }
            let n = match step(&rest[..rest.len().min(TOKEN_BYTES_MAX)]) {
                Step::More => break,
                Step::Skip(head, data) => {
                    self.skip = data;
                    head
                }
                Step::Dots(head, data, dots) => {
                    self.expect_dots(data, dots);
                    head
                }
                // The cut waits in front until the jam is cleared.
                Step::Take(_, Token::Cut) if self.faults.cutter_jammed => {
                    self.trouble.cutter = true;
                    break;
                }
                Step::Take(n, token) => {
                    self.act(&token);
                    n
                }
            };
            self.piece.spend(n as u64);
            at += n;
        }
        self.waiting = waiting;
        self.waiting.drain(..at);
        self.tell_changes();
    }

    fn expect_dots(&mut self, data: u64, dots: Dots) {
        match Collecting::new(data, dots) {
            Some(collecting) => self.collecting = Some(collecting),
            None => self.skip = data,
        }
    }

    fn act(&mut self, token: &Token<'_>) {
        let look = &mut self.mode.look;
        match token {
            Token::Character(byte) => self.character(*byte),
            Token::LineFeed => self.end_line(),
            Token::Tab => {
                for _ in 0..8 - self.line.used % 8 {
                    self.put(' ');
                }
            }
            Token::Initialise => {
                self.mode = Mode::AT_FIRST;
                self.line = Line::default();
            }
            Token::Align(n) => self.mode.align = *n & 3,
            Token::CodePage(n) => self.mode.code_page = *n,
            Token::Kanji(on) => self.mode.kanji = *on,
            Token::PrintMode(n) => {
                let twice = |bit: u8| if n & bit != 0 { 2 } else { 1 };
                (look.wide, look.high) = (twice(0x20), twice(0x10));
                (look.bold, look.underline) = (n & 0x08 != 0, n & 0x80 != 0);
            }
            Token::Size(n) => (look.wide, look.high) = ((n >> 4 & 7) + 1, (n & 7) + 1),
            Token::Bold(on) => look.bold = *on,
            Token::Underline(on) => look.underline = *on,
            Token::Inverse(on) => look.inverse = *on,
            Token::Spacing(dots) => self.mode.spacing = dots.map_or(Mode::AT_FIRST.spacing, usize::from),
            Token::Feed(rows) => {
                self.flush_line();
                for _ in 0..*rows {
                    self.end_line();
                }
            }
            Token::FeedDots(dots) => self.feed_dots(usize::from(*dots)),
            Token::Cut => self.cut(),
            Token::Barcode { m, data } => self.barcode(*m, data),
            Token::BarHeight(n) => self.mode.bar_height = usize::from(*n).max(1),
            Token::BarModule(n) => self.mode.bar_module = usize::from(*n).clamp(1, 6),
            Token::BarText(n) => self.mode.bar_text = *n & 3,
            Token::QrModule(n) => self.mode.qr_module = usize::from(*n).clamp(1, 16),
            Token::QrLevel(n) => self.mode.qr_level = *n,
            Token::QrStore(data) => self.qr = data.to_vec(),
            Token::QrPrint => self.qr_code(),
            Token::PdfModule(n) => self.mode.pdf_module = usize::from(*n).clamp(2, 8),
            Token::PdfRow(n) => self.mode.pdf_row = usize::from(*n).clamp(2, 8),
            Token::PdfStore(data) => self.pdf = data.to_vec(),
            Token::PdfPrint => self.pdf417(),
            Token::Pulse(_) => self.pulse(),
            Token::PulseGuard(on) => self.mode.guard = *on,
            Token::ProcessId(_) | Token::SendStatus(_) | Token::SendId(_) | Token::AutomaticStatus(_) => {
                self.answer(token);
            }
            Token::Ear(hears) => self.deaf = !hears,
            Token::Nothing => {}
        }
    }

    fn cut(&mut self) {
        self.flush_line();
        self.tear_off();
    }

    /// A blank piece is swept off the counter and not kept.
    fn tear_off(&mut self) {
        let blank = Piece::new(self.columns * super::font::CELL_WIDTH);
        let piece = std::mem::replace(&mut self.piece, blank);
        self.rows_before += piece.height() as u64;
        if !piece.is_blank() {
            self.effects.push(Effect::Piece(piece));
        }
    }

    fn pulse(&mut self) {
        self.effects.push(Effect::Pulse);
        if !self.faults.drawer_stuck {
            self.move_drawer(true);
        }
    }

    fn hear_real_time(&mut self, byte: u8) {
        if self.recent.len() == CLEAR.len() {
            self.recent.remove(0);
        }
        self.recent.push(byte);
        let recent = self.recent.as_slice();
        if let [.., 0x10, 0x04, n @ 1..=4] = recent {
            let answer = self.real_time_status(*n);
            self.say(&[answer]);
        } else if let [.., 0x10, 0x05, n @ 1..=2] = recent {
            self.recover(*n);
        } else if matches!(recent, [.., 0x10, 0x14, 1, 0 | 1, 1..=8]) {
            if !self.mode.guard {
                self.pulse();
            }
        } else if recent == CLEAR {
            self.forget();
            self.mode = Mode::AT_FIRST;
            self.say(&[0x37, 0x25, 0]);
        } else {
            return;
        }
        self.recent.clear();
    }

    /// `DLE ENQ`: 1 goes on from where it stopped, 2 forgets what waits; both only from an error that can be recovered from.
    fn recover(&mut self, n: u8) {
        if self.trouble.cutter {
            self.trouble.cutter = self.faults.cutter_jammed;
            if n == 2 {
                self.forget();
            }
        }
    }
}

/// How many bytes until a printer that was told not to hear is told to.
fn heard_again(bytes: &[u8]) -> Option<usize> {
    let found = bytes.windows(3).position(|three| matches!(three, [0x1b, b'=', ears] if ears & 1 != 0));
    found.map(|at| at + 3)
}

/// `DLE DC4 8`: forget everything that waits.
const CLEAR: [u8; 10] = [0x10, 0x14, 8, 1, 3, 0x14, 1, 6, 2, 8];

#[cfg(test)]
mod tests;
