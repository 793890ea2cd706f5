//! What a printer says, cut into replies. Pure.
//!
//! Nothing frames these bytes: replies are told apart by bits that are fixed in each class, and an automatic status may
//! stand between any two. Invariants: any bytes give replies, never a panic; at most [`BLOCK_BYTES_MAX`] bytes are kept.
//! Absent on purpose: which question a real-time byte answers. That is the order of asking, which the driver knows.
//!
//! Source: Epson TM-T88III application guide, appendix G; block headers as in DEVICES, "Response classes".

/// One thing that a printer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The answer to `DLE EOT n`: `0xx1xx10`.
    RealTime(u8),
    /// The answer to `GS r` or a one-byte `GS I`: `0xx0xxxx`.
    InOrder(u8),
    /// Four bytes of automatic status, `0xx1xx00` and three of `0xx0xxxx`.
    Automatic([u8; 4]),
    /// Everything before this mark is on paper: `37 22 d1 d2 d3 d4 00`.
    Printed([u8; 4]),
    /// Any other block, without header and NUL.
    Block {
        /// The byte that opened it.
        header: u8,
        /// What it said.
        body: Vec<u8>,
    },
    /// The printer can take data again.
    Xon,
    /// The printer's buffer is nearly full.
    Xoff,
    /// A byte of no class, or a block that never ended.
    Garbled(u8),
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
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Automatic {
        bytes: [u8; 4],
        have: usize,
    },
    Block {
        header: u8,
        body: Vec<u8>,
    },
}

/// Longest block that is waited for.
pub const BLOCK_BYTES_MAX: usize = 80;

impl Replies {
    /// A parser that has heard nothing.
    #[must_use]
    pub fn new() -> Replies {
        Replies::default()
    }

    /// Takes one byte; answers the reply that it completes.
    pub fn push(&mut self, byte: u8) -> Option<Reply> {
        // Flow control may come between any two bytes.
        match byte {
            0x11 => return Some(Reply::Xon),
            0x13 => return Some(Reply::Xoff),
            _ => {}
        }
        match std::mem::take(&mut self.state) {
            State::Idle => self.first(byte),
            State::Automatic { mut bytes, have } => {
                if !is_in_order(byte) {
                    // The rest was lost. What came instead starts anew.
                    return self.first(byte);
                }
                bytes[have] = byte;
                if have == 3 {
                    return Some(Reply::Automatic(bytes));
                }
                self.state = State::Automatic { bytes, have: have + 1 };
                None
            }
            State::Block { header, body } if byte == 0 => Some(block(header, body)),
            State::Block { header, body } if body.len() == reply_bytes_max() || byte >= 0x80 => {
                drop(body);
                Some(Reply::Garbled(header))
            }
            State::Block { header, mut body } => {
                body.push(byte);
                self.state = State::Block { header, body };
                None
            }
        }
    }

    fn first(&mut self, byte: u8) -> Option<Reply> {
        match byte {
            b if b & 0b1001_0011 == 0b0001_0010 => Some(Reply::RealTime(b)),
            b if b & 0b1001_0011 == 0b0001_0000 => {
                self.state = State::Automatic { bytes: [b, 0, 0, 0], have: 1 };
                None
            }
            b if is_in_order(b) => Some(Reply::InOrder(b)),
            0x35 | 0x37 | 0x3b | 0x3d | 0x5f => {
                self.state = State::Block { header: byte, body: Vec::new() };
                None
            }
            b => Some(Reply::Garbled(b)),
        }
    }
}

fn reply_bytes_max() -> usize {
    if crate::mutant!("hear-replies-without-end") { usize::MAX } else { BLOCK_BYTES_MAX }
}

fn is_in_order(byte: u8) -> bool {
    byte & 0b1001_0000 == 0
}

fn block(header: u8, body: Vec<u8>) -> Reply {
    match (header, body.as_slice()) {
        (0x37, [0x22, a, b, c, d]) => Reply::Printed([*a, *b, *c, *d]),
        _ => Reply::Block { header, body },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(bytes: &[u8]) -> Vec<Reply> {
        let mut replies = Replies::new();
        bytes.iter().filter_map(|b| replies.push(*b)).collect()
    }

    #[test]
    fn an_automatic_status_between_replies_does_not_confuse_them() {
        let said = cut(&[0x12, 0x18, 0x00, 0x0c, 0x0f, 0x12, 0x00, 0x37, 0x22, b'a', b'b', b'c', b'd', 0x00]);
        let wanted = [
            Reply::RealTime(0x12),
            Reply::Automatic([0x18, 0x00, 0x0c, 0x0f]),
            Reply::RealTime(0x12),
            Reply::InOrder(0x00),
            Reply::Printed(*b"abcd"),
        ];
        assert_eq!(said, wanted);
    }

    #[test]
    fn flow_control_inside_a_status_is_heard_and_set_aside() {
        let said = cut(&[0x10, 0x00, 0x13, 0x00, 0x11, 0x00]);
        assert_eq!(said, [Reply::Xoff, Reply::Xon, Reply::Automatic([0x10, 0, 0, 0])]);
    }

    #[test]
    fn a_status_cut_short_gives_way_to_the_next_reply() {
        assert_eq!(cut(&[0x10, 0x00, 0x16, 0x00]), [Reply::RealTime(0x16), Reply::InOrder(0)]);
    }

    #[test]
    fn other_blocks_keep_their_header_and_body() {
        assert_eq!(cut(b"\x5fTM-T88\0"), [Reply::Block { header: 0x5f, body: b"TM-T88".to_vec() }]);
        assert_eq!(cut(b"\x37\x25\0"), [Reply::Block { header: 0x37, body: vec![0x25] }]);
    }

    #[test]
    fn a_mark_of_the_wrong_length_is_no_mark() {
        assert!(!cut(b"\x37\x22abc\0").iter().any(|r| matches!(r, Reply::Printed(_))));
        assert!(!cut(b"\x37\x22abcde\0").iter().any(|r| matches!(r, Reply::Printed(_))));
    }

    #[test]
    fn a_block_that_never_ends_is_given_up() {
        let mut endless = vec![0x5f];
        endless.extend([b'x'; BLOCK_BYTES_MAX + 1]);
        endless.push(0x16);
        assert_eq!(cut(&endless), [Reply::Garbled(0x5f), Reply::RealTime(0x16)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_within_bounds(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut replies = Replies::new();
            for byte in bytes {
                let _ = replies.push(byte);
                if let State::Block { body, .. } = &replies.state {
                    prop_assert!(body.len() <= BLOCK_BYTES_MAX);
                }
            }
        }

        #[test]
        fn after_any_noise_a_nul_or_two_and_the_parser_hears_again(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut replies = Replies::new();
            for byte in noise.iter().chain(&[0, 0, 0, 0]) {
                let _ = replies.push(*byte);
            }
            let said: Vec<Reply> = b"\x37\x22wxyz\0".iter().filter_map(|b| replies.push(*b)).collect();
            prop_assert_eq!(said, [Reply::Printed(*b"wxyz")]);
        }
    }
}
