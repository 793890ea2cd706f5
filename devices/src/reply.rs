//! What a printer says, cut into replies. Pure.
//!
//! Nothing frames these bytes: replies are told apart by bits that are fixed in each class, flow control may stand between
//! any two bytes and an automatic status between any two replies. Invariants: any bytes give replies, never a panic; at most
//! [`BLOCK_BYTES_MAX`] bytes are kept; after any noise the parser is in step again within [`RESYNC_BYTES_MAX`] bytes.
//! Absent on purpose: which question a real-time byte answers. That is the order of asking, which the driver knows.
//!
//! Source: Epson TM-T88III application guide, appendix G; block headers as in DEVICES, "Response classes"; Star line thermal
//! printers' StarPRNT command specification, `ESC GS ETX` and appendix 2 (automatic status).

use crate::status::{SiiStatus, StarStatus};

/// One thing that a printer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The answer to `DLE EOT n`: `0xx1xx10`.
    RealTime(u8),
    /// The answer to `GS r` or a one-byte `GS I`: `0xx0xxxx`; from an SII printer `1000xxxx`.
    InOrder(u8),
    /// Four bytes of automatic status, `0xx1xx00` and three of `0xx0xxxx`.
    Automatic([u8; 4]),
    /// Everything before this mark is on paper: `37 22 d1 d2 d3 d4 00`.
    Printed([u8; 4]),
    /// The buffer was cleared as asked (`DLE DC4 8`): `37 25 00`.
    Cleared,
    /// Any other block, without header and NUL.
    Block {
        /// The byte that opened it.
        header: u8,
        /// What it said.
        body: Vec<u8>,
    },
    /// The whole state of a Star printer, sent on each change and when asked (`ESC ACK SOH`).
    Star(StarStatus),
    /// A Star printer's print-end counter: `1B 1D 03 s n1 n2 counter 00`.
    Counted {
        /// 1 if the printer waited until its motor stood still, 0 if it only told the counter.
        s: u8,
        /// The number that we gave the document.
        document: u16,
        /// How often the printer has finished so.
        counter: u8,
    },
    /// The whole state of an SII printer.
    Sii(SiiStatus),
    /// An SII printer has initialised itself, after `ESC @` or being switched on: `1011xxxx`.
    Initialised,
    /// The printer can take data again.
    Xon,
    /// The printer's buffer is nearly full.
    Xoff,
    /// A byte of no class, or a block that never ended.
    Garbled(u8),
}

/// Whose bytes they are. ESC/POS and Star share values, so it has to be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Epson's, and what speaks like it. SII's own bytes start at 80h, where the others have none, and are heard as well.
    #[default]
    EscPos,
    /// StarPRNT and Star line mode.
    Star,
}

/// Cuts bytes into replies, one byte at a time.
///
/// ```
/// use toko_devices::{Replies, Reply};
///
/// let mut replies = Replies::new();
/// let said: Vec<Reply> = [0x16, 0x37, 0x22, b'0', b'0', b'4', b'2', 0].iter().filter_map(|b| replies.push(*b)).collect();
/// assert_eq!(said, [Reply::RealTime(0x16), Reply::Printed(*b"0042")]);
/// ```
#[derive(Debug, Default)]
pub struct Replies {
    dialect: Dialect,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    /// A status of four bytes, which may have come in the middle of a block.
    Automatic {
        bytes: [u8; 4],
        have: usize,
        within: Option<Block>,
    },
    Block(Block),
    Sii {
        bytes: [u8; 8],
        have: usize,
    },
    Star {
        bytes: [u8; StarStatus::BYTES_MAX],
        have: usize,
        length: usize,
    },
    Counted {
        bytes: [u8; COUNTED_BYTES],
        have: usize,
    },
}

#[derive(Debug)]
struct Block {
    header: u8,
    body: Vec<u8>,
}

/// Longest block that is waited for.
pub const BLOCK_BYTES_MAX: usize = 80;

/// After noise, whatever it was, replies are read right again from the first one that begins so many bytes on: the noise may
/// have opened a block that takes in as many bytes as a block may have, and its end may stand inside of another.
pub const RESYNC_BYTES_MAX: usize = 2 * (BLOCK_BYTES_MAX + 2);

const COUNTED_BYTES: usize = 8;
const XON: u8 = 0x11;
const XOFF: u8 = 0x13;

impl Replies {
    /// A parser of ESC/POS that has heard nothing.
    #[must_use]
    pub fn new() -> Replies {
        Replies::default()
    }

    /// A parser of one dialect that has heard nothing.
    #[must_use]
    pub fn of(dialect: Dialect) -> Replies {
        Replies { dialect, state: State::Idle }
    }

    /// Takes one byte; answers the reply that it completes.
    pub fn push(&mut self, byte: u8) -> Option<Reply> {
        let state = std::mem::take(&mut self.state);
        match (state, byte) {
            // Its numbers may be any byte, so in here nothing is flow control.
            (State::Counted { bytes, have }, _) => self.counted(bytes, have, byte),
            // Everywhere else it may come between any two bytes.
            (state, XON | XOFF) => {
                self.state = state;
                Some(if byte == XON { Reply::Xon } else { Reply::Xoff })
            }
            (State::Idle, _) => self.first(byte),
            (State::Automatic { bytes, have, within }, _) => self.automatic(bytes, have, within, byte),
            (State::Block(block), _) => self.block(block, byte),
            (State::Sii { bytes, have }, _) => self.sii(bytes, have, byte),
            (State::Star { bytes, have, length }, _) => self.star(bytes, have, length, byte),
        }
    }

    fn first(&mut self, byte: u8) -> Option<Reply> {
        match (self.dialect, byte) {
            (Dialect::Star, 0x1b) => {
                let mut bytes = [0; COUNTED_BYTES];
                bytes[0] = byte;
                self.state = State::Counted { bytes, have: 1 };
                None
            }
            (Dialect::Star, head) => {
                let Some(length) = StarStatus::length(head) else { return Some(Reply::Garbled(head)) };
                let mut bytes = [0; StarStatus::BYTES_MAX];
                bytes[0] = head;
                self.state = State::Star { bytes, have: 1, length };
                None
            }
            (Dialect::EscPos, byte) => self.first_of_escpos(byte),
        }
    }

    fn first_of_escpos(&mut self, byte: u8) -> Option<Reply> {
        match byte {
            b if is_real_time(b) => Some(Reply::RealTime(b)),
            b if is_automatic(b) => {
                self.state = State::Automatic { bytes: [b, 0, 0, 0], have: 1, within: None };
                None
            }
            b if is_in_order(b) => Some(Reply::InOrder(b)),
            0x35 | 0x37 | 0x3b | 0x3d | 0x5f => {
                self.state = State::Block(Block { header: byte, body: Vec::new() });
                None
            }
            0x80..=0x8f => Some(Reply::InOrder(byte)),
            0xb0..=0xbf => Some(Reply::Initialised),
            0xc0..=0xcf => {
                self.state = State::Sii { bytes: [byte, 0, 0, 0, 0, 0, 0, 0], have: 1 };
                None
            }
            b => Some(Reply::Garbled(b)),
        }
    }

    fn automatic(
        &mut self,
        mut bytes: [u8; 4],
        have: usize,
        within: Option<Block>,
        byte: u8,
    ) -> Option<Reply> {
        if !is_in_order(byte) {
            // The rest was lost. What came instead goes on with the block, or starts anew.
            return match within {
                Some(block) => self.block(block, byte),
                None => self.first(byte),
            };
        }
        bytes[have] = byte;
        if have < 3 {
            self.state = State::Automatic { bytes, have: have + 1, within };
            return None;
        }
        self.state = within.map_or(State::Idle, State::Block);
        Some(Reply::Automatic(bytes))
    }

    /// A block is text. Statuses that cannot be text are statuses, also in its middle; those whose first byte could be text
    /// (cover open, feed button) make it longer than it should be, and a mark of the wrong length is no mark.
    fn block(&mut self, mut block: Block, byte: u8) -> Option<Reply> {
        if byte == 0 {
            return Some(block.reply());
        }
        if byte < 0x20 && is_real_time(byte) {
            self.state = State::Block(block);
            return Some(Reply::RealTime(byte));
        }
        if byte < 0x20 && is_automatic(byte) {
            self.state = State::Automatic { bytes: [byte, 0, 0, 0], have: 1, within: Some(block) };
            return None;
        }
        if byte >= 0x80 {
            return Some(Reply::Garbled(block.header));
        }
        if block.body.len() >= block.bytes_max() {
            // Its end was lost; this byte may be the first of what follows.
            return self.first(byte).or(Some(Reply::Garbled(block.header)));
        }
        block.body.push(byte);
        self.state = State::Block(block);
        None
    }

    fn sii(&mut self, mut bytes: [u8; 8], have: usize, byte: u8) -> Option<Reply> {
        if byte & 0xf0 != 0xd0 {
            return self.first(byte);
        }
        bytes[have] = byte;
        if have < 7 {
            self.state = State::Sii { bytes, have: have + 1 };
            return None;
        }
        Some(Reply::Sii(SiiStatus(bytes)))
    }

    /// Only the head of a status has its lowest bit set, so a head always begins a new one.
    fn star(
        &mut self,
        mut bytes: [u8; StarStatus::BYTES_MAX],
        have: usize,
        length: usize,
        byte: u8,
    ) -> Option<Reply> {
        if byte & 0b1001_0001 != 0 {
            return self.first(byte);
        }
        bytes[have] = byte;
        if have + 1 < length {
            self.state = State::Star { bytes, have: have + 1, length };
            return None;
        }
        StarStatus::new(&bytes[..length]).map(Reply::Star)
    }

    fn counted(&mut self, mut bytes: [u8; COUNTED_BYTES], have: usize, byte: u8) -> Option<Reply> {
        let fits = match have {
            1 => byte == 0x1d,
            2 => byte == 0x03,
            3 => byte <= 1,
            7 => byte == 0,
            _ => true,
        };
        if !fits {
            return self.first(byte);
        }
        bytes[have] = byte;
        if have + 1 < COUNTED_BYTES {
            self.state = State::Counted { bytes, have: have + 1 };
            return None;
        }
        let [_, _, _, s, n1, n2, counter, _] = bytes;
        Some(Reply::Counted { s, document: u16::from_le_bytes([n1, n2]), counter })
    }
}

impl Block {
    /// How long it can be, as far as its first bytes tell.
    fn bytes_max(&self) -> usize {
        match (self.header, self.body.first()) {
            _ if crate::mutant!("hear-replies-without-end") => usize::MAX,
            (0x37, Some(0x22)) => 5,
            (0x37, Some(0x25)) => 1,
            _ => BLOCK_BYTES_MAX,
        }
    }

    fn reply(self) -> Reply {
        match (self.header, self.body.as_slice()) {
            (0x37, [0x22, a, b, c, d]) => Reply::Printed([*a, *b, *c, *d]),
            (0x37, [0x25]) => Reply::Cleared,
            _ => Reply::Block { header: self.header, body: self.body },
        }
    }
}

fn is_real_time(byte: u8) -> bool {
    byte & 0b1001_0011 == 0b0001_0010
}

fn is_automatic(byte: u8) -> bool {
    byte & 0b1001_0011 == 0b0001_0000
}

fn is_in_order(byte: u8) -> bool {
    byte & 0b1001_0000 == 0
}

#[cfg(test)]
mod tests;
