//! ESC/POS commands and their lengths, written from the command reference and not from our encoder. Pure.
//!
//! Invariant: whatever the bytes, a step asks for more, names a whole command, or skips; it never asks for more than
//! [`TOKEN_BYTES_MAX`]. Longer data is dots or is skipped as it comes. Absent on purpose: page mode, macros
//! and fonts loaded into the printer; their commands are skipped where their length is fixed.

/// What stands at the head of the waiting bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// The command is not whole yet.
    More,
    /// A whole command of so many bytes.
    Take(usize, Token<'a>),
    /// A command without effect: its head, and so many bytes of data that follow.
    Skip(usize, u64),
    /// A picture: its head, and so many bytes of dots that follow.
    Dots(usize, u64, Dots),
}

/// How the bytes of a picture lie on the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dots {
    /// `GS v 0`: rows of so many bytes, bit 0 of `m` doubles across and bit 1 down.
    Raster { m: u8, stride: usize },
    /// `ESC *`: columns, of 8 dots or (from `m` 32 on) of 24.
    Columns { m: u8 },
    /// `GS ( L` and `GS 8 L`: a function and its own head come first.
    Graphics,
}

/// A command that this printer acts on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Character(u8),
    LineFeed,
    Tab,
    Initialise,
    Align(u8),
    CodePage(u8),
    Kanji(bool),
    /// `ESC !`: bold, high, wide and underlined in one byte.
    PrintMode(u8),
    /// `GS !`: times across in the high half, times down in the low one.
    Size(u8),
    Bold(bool),
    Underline(bool),
    Inverse(bool),
    /// Dots from row to row; `None` is what the printer begins with.
    Spacing(Option<u8>),
    Feed(u8),
    FeedDots(u8),
    Cut,
    Barcode {
        m: u8,
        data: &'a [u8],
    },
    BarHeight(u8),
    BarModule(u8),
    BarText(u8),
    QrModule(u8),
    QrLevel(u8),
    QrStore(&'a [u8]),
    QrPrint,
    /// Dots across a module of PDF417.
    PdfModule(u8),
    /// How many times as high as wide its rows are.
    PdfRow(u8),
    PdfStore(&'a [u8]),
    PdfPrint,
    /// Which connector, 0 or 1.
    Pulse(u8),
    /// `ESC =`: whether the printer hears what comes; a display on its cable may be meant.
    Ear(bool),
    ProcessId([u8; 4]),
    /// `GS r`: 1 asks for the paper, 2 for the drawer.
    SendStatus(u8),
    SendId(u8),
    AutomaticStatus(u8),
    /// `GS ( D`: whether `DLE DC4` 1 is obeyed.
    PulseGuard(bool),
    Nothing,
}

/// The longest command that is acted on: a QR code's data.
pub(super) const TOKEN_BYTES_MAX: usize = 7_200;

/// Five numbers below 65 536, each with its semicolon.
const COUNTER_BYTES_MAX: usize = 30;

/// Reads one step.
pub(super) fn step(bytes: &[u8]) -> Step<'_> {
    match bytes {
        [] => Step::More,
        [0x0a, ..] => Step::Take(1, Token::LineFeed),
        [0x09, ..] => Step::Take(1, Token::Tab),
        [0x1b, rest @ ..] => escape(rest),
        [0x1d, rest @ ..] => group(rest),
        [0x1c, rest @ ..] => file(rest),
        [0x10, rest @ ..] => real_time(rest),
        [0x00..=0x1f | 0x7f, ..] => Step::Take(1, Token::Nothing),
        [c, ..] => Step::Take(1, Token::Character(*c)),
    }
}

/// A command of two bytes and `n` arguments.
fn fixed<'a>(rest: &'a [u8], n: usize, act: impl FnOnce(&'a [u8]) -> Token<'a>) -> Step<'a> {
    match rest.get(1..=n) {
        Some(arguments) => Step::Take(2 + n, act(arguments)),
        None => Step::More,
    }
}

fn ignored(rest: &[u8], n: usize) -> Step<'_> {
    fixed(rest, n, |_| Token::Nothing)
}

fn escape(rest: &[u8]) -> Step<'_> {
    let Some(command) = rest.first() else { return Step::More };
    match command {
        b'@' => fixed(rest, 0, |_| Token::Initialise),
        b'a' => fixed(rest, 1, |a| Token::Align(a[0])),
        b't' => fixed(rest, 1, |a| Token::CodePage(a[0])),
        b'!' => fixed(rest, 1, |a| Token::PrintMode(a[0])),
        b'E' | b'G' => fixed(rest, 1, |a| Token::Bold(a[0] & 1 != 0)),
        b'-' => fixed(rest, 1, |a| Token::Underline(a[0] % 48 != 0)),
        b'2' => fixed(rest, 0, |_| Token::Spacing(None)),
        b'3' => fixed(rest, 1, |a| Token::Spacing(Some(a[0]))),
        b'd' => fixed(rest, 1, |a| Token::Feed(a[0])),
        b'J' => fixed(rest, 1, |a| Token::FeedDots(a[0])),
        b'i' | b'm' => fixed(rest, 0, |_| Token::Cut),
        b'=' => fixed(rest, 1, |a| Token::Ear(a[0] & 1 != 0)),
        b'p' => fixed(rest, 3, |a| Token::Pulse(a[0] & 1)),
        b'*' => match rest {
            [_, m, low, high, ..] => {
                let rows = if *m >= 32 { 3 } else { 1 };
                Step::Dots(5, rows * pair(*low, *high), Dots::Columns { m: *m })
            }
            _ => Step::More,
        },
        b'D' => match rest.iter().take(34).position(|b| *b == 0) {
            Some(nul) => Step::Take(2 + nul, Token::Nothing),
            None if rest.len() >= 34 => Step::Take(2, Token::Nothing),
            None => Step::More,
        },
        b'(' => skipped(rest),
        b'L' | b'S' | b'v' | 0x0c => ignored(rest, 0),
        b'$' | b'\\' | b'c' | b'f' => ignored(rest, 2),
        b'W' => ignored(rest, 8),
        b' ' | b'%' | b'?' | b'C' | b'F' | b'K' | b'M' | b'R' | b'T' | b'U' | b'V' | b'e' | b'r' | b'u'
        | b'{' => ignored(rest, 1),
        _ => ignored(rest, 0),
    }
}

fn group(rest: &[u8]) -> Step<'_> {
    let Some(command) = rest.first() else { return Step::More };
    match command {
        b'!' => fixed(rest, 1, |a| Token::Size(a[0])),
        b'B' => fixed(rest, 1, |a| Token::Inverse(a[0] & 1 != 0)),
        b'h' => fixed(rest, 1, |a| Token::BarHeight(a[0])),
        b'w' => fixed(rest, 1, |a| Token::BarModule(a[0])),
        b'H' => fixed(rest, 1, |a| Token::BarText(a[0] % 48)),
        b'V' => match rest {
            [_, 65 | 66 | 97 | 98 | 103 | 104, ..] => fixed(rest, 2, |_| Token::Cut),
            _ => fixed(rest, 1, |_| Token::Cut),
        },
        b'k' => barcode(rest),
        b'(' => counted(rest),
        b'r' => fixed(rest, 1, |a| Token::SendStatus(a[0] % 48)),
        b'I' => fixed(rest, 1, |a| Token::SendId(a[0])),
        b'a' => fixed(rest, 1, |a| Token::AutomaticStatus(a[0])),
        b'v' => match rest {
            [_, _, m, xl, xh, yl, yh, ..] => {
                let stride = u16::from_le_bytes([*xl, *xh]).into();
                Step::Dots(8, pair(*xl, *xh) * pair(*yl, *yh), Dots::Raster { m: *m, stride })
            }
            _ => Step::More,
        },
        b'*' => match rest {
            [_, x, y, ..] => Step::Skip(4, u64::from(*x) * u64::from(*y) * 8),
            _ => Step::More,
        },
        b'8' => match rest {
            [_, b'L', a, b, c, d, ..] => {
                Step::Dots(7, u64::from(u32::from_le_bytes([*a, *b, *c, *d])), Dots::Graphics)
            }
            [_, _, a, b, c, d, ..] => Step::Skip(7, u64::from(u32::from_le_bytes([*a, *b, *c, *d]))),
            _ => Step::More,
        },
        b'C' => counter(rest),
        // A BMP file, which says its length in its head.
        b'D' => match rest {
            [_, _, _, _, _, _, _, _, b'B', b'M', a, b, c, d, ..] => {
                Step::Skip(9, u32::from_le_bytes([*a, *b, *c, *d]).into())
            }
            [_, _, _, _, _, _, _, _, _, _, _, _, _, _, ..] => Step::Take(9, Token::Nothing),
            _ => Step::More,
        },
        b'Q' => match rest {
            [_, _, _, xl, xh, yl, yh, ..] => Step::Skip(8, pair(*xl, *xh) * pair(*yl, *yh)),
            _ => Step::More,
        },
        b'c' | b':' => ignored(rest, 0),
        b'$' | b'L' | b'P' | b'W' | b'\\' => ignored(rest, 2),
        b'^' | b'z' => ignored(rest, 3),
        b'g' => ignored(rest, 4),
        b'/' | b'E' | b'T' | b'b' | b'f' | b'j' => ignored(rest, 1),
        _ => ignored(rest, 0),
    }
}

fn file(rest: &[u8]) -> Step<'_> {
    let Some(command) = rest.first() else { return Step::More };
    match command {
        b'&' => fixed(rest, 0, |_| Token::Kanji(true)),
        b'.' => fixed(rest, 0, |_| Token::Kanji(false)),
        b'(' => skipped(rest),
        // Checks, the printer's own memory and the logos in it. Of several logos the first one tells its length here.
        b'a' => match rest {
            [_, b'0', ..] => ignored(rest, 2),
            _ => ignored(rest, 1),
        },
        b'g' => match rest {
            [_, b'1', _, _, _, _, _, low, high, ..] => Step::Skip(10, pair(*low, *high)),
            [_, b'1', ..] | [_] => Step::More,
            _ => ignored(rest, 8),
        },
        b'q' => match rest {
            [_, _, xl, xh, yl, yh, ..] => Step::Skip(7, pair(*xl, *xh) * pair(*yl, *yh) * 8),
            _ => Step::More,
        },
        b'S' | b'p' | b'?' => ignored(rest, 2),
        b'2' => ignored(rest, 74),
        b'!' | b'-' | b'C' | b'W' => ignored(rest, 1),
        _ => ignored(rest, 0),
    }
}

/// Real-time commands were obeyed on arrival; in their place among the printing they do nothing.
fn real_time(rest: &[u8]) -> Step<'_> {
    match rest {
        [] | [0x14] => Step::More,
        [0x04 | 0x05, ..] => ignored(rest, 1),
        [0x14, 1 | 2, ..] => ignored(rest, 3),
        [0x14, 8, ..] => ignored(rest, 8),
        _ => Step::Take(1, Token::Nothing),
    }
}

/// `( x pL pH` and so many bytes that do nothing here.
fn skipped(rest: &[u8]) -> Step<'_> {
    match rest {
        [_, _, low, high, ..] => Step::Skip(5, pair(*low, *high)),
        _ => Step::More,
    }
}

/// The counter that old printers have: its arguments are bytes, or five numbers as text, each with a semicolon behind it.
fn counter(rest: &[u8]) -> Step<'_> {
    match rest {
        [_] => Step::More,
        [_, b'0' | b'2', ..] => ignored(rest, 3),
        [_, b'1', ..] => ignored(rest, 7),
        [_, b';', numbers @ ..] => {
            let numbers = &numbers[..numbers.len().min(COUNTER_BYTES_MAX)];
            let ends = numbers.iter().enumerate().filter(|(_, b)| **b == b';').nth(4);
            match ends {
                Some((last, _)) => Step::Take(3 + last + 1, Token::Nothing),
                None if numbers.len() < COUNTER_BYTES_MAX => Step::More,
                None => Step::Take(3, Token::Nothing),
            }
        }
        _ => ignored(rest, 0),
    }
}

fn barcode(rest: &[u8]) -> Step<'_> {
    match rest {
        // Format A: until NUL.
        [_, m @ 0..=6, data @ ..] => match data.iter().take(256).position(|b| *b == 0) {
            Some(nul) => Step::Take(3 + nul + 1, Token::Barcode { m: m + 65, data: &data[..nul] }),
            None if data.len() >= 256 => Step::Take(3, Token::Nothing),
            None => Step::More,
        },
        // Format B: counted.
        [_, 65..=79] => Step::More,
        [_, m @ 65..=79, n, data @ ..] => match data.get(..usize::from(*n)) {
            Some(data) => Step::Take(4 + data.len(), Token::Barcode { m: *m, data }),
            None => Step::More,
        },
        [_, _, ..] => Step::Take(3, Token::Nothing),
        _ => Step::More,
    }
}

/// `GS ( x pL pH` and so many bytes.
fn counted(rest: &[u8]) -> Step<'_> {
    let [_, family, low, high, data @ ..] = rest else { return Step::More };
    let length = pair(*low, *high);
    let whole = usize::try_from(length).unwrap_or(usize::MAX);
    if *family == b'L' {
        return Step::Dots(5, length, Dots::Graphics);
    }
    if whole > TOKEN_BYTES_MAX - 5 || !matches!(family, b'k' | b'H' | b'D') {
        return Step::Skip(5, length);
    }
    let Some(data) = data.get(..whole) else { return Step::More };
    let token = match (family, data) {
        (b'H', [0x30, 0x30, a, b, c, d]) => Token::ProcessId([*a, *b, *c, *d]),
        // Pairs of a function and a switch; only the pulse has one here.
        (b'D', [0x14, switches @ ..]) => match switches.chunks_exact(2).find(|pair| pair[0] == 1) {
            Some(pair) => Token::PulseGuard(pair[1] % 48 == 0),
            None => Token::Nothing,
        },
        (b'k', [0x30, 0x43, n]) => Token::PdfModule(*n),
        (b'k', [0x30, 0x44, n]) => Token::PdfRow(*n),
        (b'k', [0x30, 0x50, 0x30, text @ ..]) => Token::PdfStore(text),
        (b'k', [0x30, 0x51, ..]) => Token::PdfPrint,
        (b'k', [0x31, 0x43, n]) => Token::QrModule(*n),
        (b'k', [0x31, 0x45, n]) => Token::QrLevel(*n),
        (b'k', [0x31, 0x50, 0x30, text @ ..]) => Token::QrStore(text),
        (b'k', [0x31, 0x51, ..]) => Token::QrPrint,
        _ => Token::Nothing,
    };
    Step::Take(5 + whole, token)
}

fn pair(low: u8, high: u8) -> u64 {
    u64::from(u16::from_le_bytes([low, high]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn commands_are_taken_with_all_their_arguments() {
        assert_eq!(step(b"\x1bp\x00\x19\xfaTin"), Step::Take(5, Token::Pulse(0)));
        assert_eq!(step(b"\x1dVB\x00"), Step::Take(4, Token::Cut));
        assert_eq!(step(b"\x1b=\x02x"), Step::Take(3, Token::Ear(false)));
        assert_eq!(step(b"\x1b=\x03x"), Step::Take(3, Token::Ear(true)));
        assert_eq!(step(b"\x1dV\x00x"), Step::Take(3, Token::Cut));
        assert_eq!(step(b"\x1dk\x04123\x00x"), Step::Take(7, Token::Barcode { m: 69, data: b"123" }));
        assert_eq!(step(b"\x1dkI\x03{B1"), Step::Take(7, Token::Barcode { m: 73, data: b"{B1" }));
        assert_eq!(step(b"\x1d(H\x06\x0000wxyz"), Step::Take(11, Token::ProcessId(*b"wxyz")));
        let raster = Dots::Raster { m: 0, stride: 2 };
        assert_eq!(step(b"\x1dv0\x00\x02\x00\x03\x00"), Step::Dots(8, 6, raster));
        assert_eq!(step(b"\x1b*\x21\x03\x00"), Step::Dots(5, 9, Dots::Columns { m: 33 }));
        assert_eq!(step(b"\x1d(D\x03\x00\x14\x01\x00"), Step::Take(8, Token::PulseGuard(true)));
        assert_eq!(step(b"\x10\x14\x01\x00\x01"), Step::Take(5, Token::Nothing));
        assert_eq!(step(b"\x1d(k\x06\x000P0abcTin"), Step::Take(11, Token::PdfStore(b"abc")));
        assert_eq!(step(b"\x1d(k\x03\x000Q0"), Step::Take(8, Token::PdfPrint));
    }

    proptest! {
        #[test]
        fn no_bytes_stall_or_overrun_the_reader(bytes in prop::collection::vec(any::<u8>(), 1..300)) {
            match step(&bytes) {
                Step::More => prop_assert!(bytes.len() < TOKEN_BYTES_MAX),
                Step::Take(n, _) => prop_assert!((1..=bytes.len()).contains(&n)),
                Step::Skip(head, _) | Step::Dots(head, _, _) => prop_assert!((1..=bytes.len()).contains(&head)),
            }
        }

        #[test]
        fn a_full_window_never_asks_for_more(head in prop::collection::vec(any::<u8>(), 1..8), fill in any::<u8>()) {
            let mut bytes = head;
            bytes.resize(TOKEN_BYTES_MAX, fill);
            prop_assert_ne!(step(&bytes), Step::More);
        }
    }
}
