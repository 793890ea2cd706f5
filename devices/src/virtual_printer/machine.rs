//! The inside of the printer: bytes in, paper and answers out. Pure.
//!
//! It behaves like the strictest models: Kanji mode is on until `FS .` turns it off, half a command and half a line
//! outlive the session that sent them, real-time commands are obeyed wherever they stand, also inside data, and while
//! the printer is offline the rest waits. Invariants: at most [`WAITING_BYTES_MAX`] wait and
//! [`PIECE_BYTES_MAX`](super::piece::PIECE_BYTES_MAX) stand on the paper before it is torn off, whatever is sent.

use super::Faults;
use super::piece::Piece;
use super::token::{Step, TOKEN_BYTES_MAX, Token, step};
use crate::codepage::CodePage;

/// A printer's mechanism, without its socket.
#[derive(Debug)]
pub struct Machine {
    columns: usize,
    faults: Faults,
    waiting: Vec<u8>,
    skip: u64,
    recent: Vec<u8>,
    mode: Mode,
    line: Line,
    piece: Piece,
    qr: Vec<u8>,
    automatic: bool,
    effects: Vec<Effect>,
}

/// What the machine did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Say(Vec<u8>),
    Piece(Piece),
    Pulse,
}

#[derive(Debug)]
struct Mode {
    align: u8,
    code_page: u8,
    kanji: bool,
    wide: bool,
}

/// The line that is being filled.
#[derive(Debug, Default)]
struct Line {
    text: String,
    used: usize,
    lead: Option<u8>,
}

/// Bytes that wait while the printer is offline; then it reads no more.
pub(super) const WAITING_BYTES_MAX: usize = 64 * 1024;

impl Mode {
    const AT_FIRST: Mode = Mode { align: 0, code_page: 0, kanji: true, wide: false };

    fn character_columns(&self) -> usize {
        if self.wide { 2 } else { 1 }
    }
}

impl Machine {
    /// A machine with paper, for so many characters a row.
    ///
    /// Shape: `columns` is kept within 16 to 96.
    #[must_use]
    pub fn new(columns: usize) -> Machine {
        Machine {
            columns: columns.clamp(16, 96),
            faults: Faults::default(),
            waiting: Vec::new(),
            skip: 0,
            recent: Vec::new(),
            mode: Mode::AT_FIRST,
            line: Line::default(),
            piece: Piece::default(),
            qr: Vec::new(),
            automatic: false,
            effects: Vec::new(),
        }
    }

    /// Prints bytes and answers the pieces of paper that were cut off, for reading a job without a socket.
    pub fn print(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for chunk in bytes.chunks(WAITING_BYTES_MAX / 2) {
            self.receive(chunk);
            pieces.extend(self.effects().into_iter().filter_map(|effect| match effect {
                Effect::Piece(piece) => Some(piece),
                Effect::Say(_) | Effect::Pulse => None,
            }));
        }
        pieces
    }

    /// How many bytes it can take now.
    pub(super) fn room(&self) -> usize {
        WAITING_BYTES_MAX.saturating_sub(self.waiting.len())
    }

    pub(super) fn set_faults(&mut self, faults: Faults) {
        let changed = faults != self.faults;
        self.faults = faults;
        if changed && self.automatic {
            self.say_automatic();
        }
        self.work();
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hear_real_time(*byte);
        }
        if !self.faults.swallow {
            self.waiting.extend(bytes);
            self.work();
        }
    }

    /// What it did since it was asked last.
    pub(super) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn offline(&self) -> bool {
        self.faults.paper_out || self.faults.cover_open
    }

    fn work(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let mut at = 0;
        while at < waiting.len() && !self.offline() {
            if self.skip > 0 {
                let left = waiting.len() - at;
                let n = usize::try_from(self.skip).unwrap_or(usize::MAX).min(left);
                self.skip -= n as u64;
                self.spend(n);
                at += n;
                continue;
            }
            let window = &waiting[at..waiting.len().min(at + TOKEN_BYTES_MAX)];
            match step(window) {
                Step::More => break,
                Step::Skip(head, data) => {
                    self.skip = data;
                    self.spend(head);
                    at += head;
                }
                Step::Take(n, token) => {
                    self.spend(n);
                    self.act(&token);
                    at += n;
                }
            }
        }
        self.waiting = waiting;
        self.waiting.drain(..at);
    }

    fn spend(&mut self, bytes: usize) {
        self.piece.spend(bytes as u64);
    }

    fn act(&mut self, token: &Token<'_>) {
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
            Token::Wide(on) => self.mode.wide = *on,
            Token::Feed(rows) => {
                self.flush_line();
                for _ in 0..*rows {
                    self.row(String::new());
                }
            }
            Token::Cut => self.cut(),
            Token::Barcode { m, data } => self.barcode(*m, data),
            Token::QrStore(data) => self.qr = data.to_vec(),
            Token::QrPrint => {
                let marker = format!("[QR {}]", printable(&self.qr));
                self.marker(marker);
            }
            Token::Pulse => self.effects.push(Effect::Pulse),
            Token::ProcessId(_) if self.faults.no_marks => {}
            Token::ProcessId([a, b, c, d]) => self.say(&[0x37, 0x22, *a, *b, *c, *d, 0]),
            Token::SendStatus => self.say(&[self.paper_bits() & 0x0f]),
            Token::SendId(n @ 65..=69) => {
                let name: &[u8] = if *n == 66 { b"\x5fToko\0" } else { b"\x5fvirtual-printer\0" };
                self.say(name);
            }
            Token::SendId(_) => self.say(&[0x02]),
            Token::AutomaticStatus(n) => {
                self.automatic = *n != 0;
                if self.automatic {
                    self.say_automatic();
                }
            }
            Token::Nothing => {}
        }
    }

    fn character(&mut self, byte: u8) {
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

    fn put(&mut self, c: char) {
        let columns = self.mode.character_columns();
        if self.line.used + columns > self.columns {
            self.end_line();
        }
        self.line.text.push(c);
        self.line.used += columns;
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let free = self.columns.saturating_sub(line.used);
        let lead = match self.mode.align {
            1 => free / 2,
            2 => free,
            _ => 0,
        };
        self.row(format!("{}{}", " ".repeat(lead), line.text.trim_end()).trim_end().to_owned());
    }

    fn flush_line(&mut self) {
        if !self.line.text.is_empty() {
            self.end_line();
        }
    }

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

    fn cut(&mut self) {
        self.flush_line();
        self.tear_off();
    }

    /// A blank piece is swept off the counter and not kept.
    fn tear_off(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        if !piece.is_blank() {
            self.effects.push(Effect::Piece(piece));
        }
    }

    fn barcode(&mut self, m: u8, data: &[u8]) {
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
        self.marker(format!("[{name} {text}]"));
    }

    /// A code stands on rows of its own and leaves the position at the start of the next.
    fn marker(&mut self, marker: String) {
        self.flush_line();
        self.line = Line { used: marker.chars().count(), text: marker, lead: None };
        self.end_line();
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
        } else if matches!(recent, [.., 0x10, 0x14, 1, 0 | 1, 1..=8]) {
            self.effects.push(Effect::Pulse);
        } else if recent == CLEAR {
            self.waiting.clear();
            (self.skip, self.line, self.mode) = (0, Line::default(), Mode::AT_FIRST);
            self.say(&[0x37, 0x25, 0]);
        } else {
            return;
        }
        self.recent.clear();
    }

    fn real_time_status(&self, n: u8) -> u8 {
        let faults = &self.faults;
        let bits = match n {
            1 => [(self.offline(), 0x08), (false, 0)],
            2 => [(faults.cover_open, 0x04), (faults.paper_out, 0x20)],
            4 => [(faults.paper_near_end || faults.paper_out, 0x0c), (faults.paper_out, 0x60)],
            _ => [(false, 0), (false, 0)],
        };
        bits.iter().filter(|(set, _)| *set).fold(0x12, |byte, (_, bit)| byte | bit)
    }

    fn paper_bits(&self) -> u8 {
        let near = if self.faults.paper_near_end || self.faults.paper_out { 0x03 } else { 0 };
        near | if self.faults.paper_out { 0x0c } else { 0 }
    }

    fn say_automatic(&mut self) {
        let offline = if self.offline() { 0x08 } else { 0 };
        let cover = if self.faults.cover_open { 0x20 } else { 0 };
        self.say(&[0x10 | offline | cover, 0, self.paper_bits(), 0]);
    }

    fn say(&mut self, bytes: &[u8]) {
        if self.faults.no_answers {
            return;
        }
        self.effects.push(Effect::Say(bytes.to_vec()));
    }
}

/// Data as text on a row: what cannot be shown is escaped.
fn printable(data: &[u8]) -> String {
    String::from_utf8_lossy(data)
        .chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

/// `DLE DC4 8`: forget everything that waits.
const CLEAR: [u8; 10] = [0x10, 0x14, 8, 1, 3, 0x14, 1, 6, 2, 8];

#[cfg(test)]
mod tests;
