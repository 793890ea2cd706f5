//! What a scanner says, as bytes: scans cut apart, each with the name of its code where the scanner tells it. Pure.
//!
//! Invariants: a scan is handed over whole or refused by name; at most [`SCAN_BYTES_MAX`] bytes are kept; no control byte
//! but the separators of GS1 and of ISO 15434 comes through, so that a code cannot type commands. Absent on purpose: what the
//! digits mean.
//! Source: ISO/IEC 15424 (symbology identifiers); GS1 General Specifications, section on FNC1.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

/// One scan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scan {
    /// What kind of code it was, if the scanner says so.
    pub aim: Option<AimId>,
    /// What stands in the code. A GS1 separator (FNC1) is the byte 1Dh.
    pub data: Vec<u8>,
}

/// A symbology identifier, such as `]C1` for GS1-128: a letter and a modifier after a closing bracket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AimId {
    /// The kind of code, such as `E` for EAN and UPC.
    pub code: char,
    /// What the scanner made of it.
    pub modifier: char,
}

/// Why a scan was thrown away. A person scans again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Refused {
    /// It stopped half way.
    #[error("scan stopped half way")]
    Broken,
    /// Longer than any code in a shop.
    #[error("scan is longer than {SCAN_BYTES_MAX} bytes")]
    Long,
    /// A byte that no honest code has.
    #[error("scan holds the control byte {0:02x}h")]
    Control(u8),
    /// Keys that stand for no character; its layout or mode is another one.
    #[error("key {0} stands for no character; set the scanner to the US layout or to Alt mode")]
    Key(u16),
    /// The machine lost some of it.
    #[error("part of a scan was lost on this machine")]
    Lost,
}

impl Scan {
    /// Takes a scan apart: a symbology identifier in front, then the data.
    ///
    /// Errors: [`Refused`] for a control byte that is no separator.
    pub fn of(bytes: &[u8]) -> Result<Scan, Refused> {
        if let Some(byte) = bytes.iter().find(|byte| (byte.is_ascii_control()) && !SEPARATORS.contains(byte))
        {
            return Err(Refused::Control(*byte));
        }
        let (aim, data) = match bytes {
            [b']', code, modifier, data @ ..]
                if code.is_ascii_alphabetic() && modifier.is_ascii_alphanumeric() =>
            {
                let aim = AimId { code: char::from(*code), modifier: char::from(*modifier) };
                (Some(aim), data)
            }
            data => (None, data),
        };
        Ok(Scan { aim, data: data.to_vec() })
    }

    /// Whether the code keeps to GS1, so that its data begins with an application identifier.
    #[must_use]
    pub fn is_gs1(&self) -> bool {
        self.aim.is_some_and(AimId::is_gs1)
    }
}

impl AimId {
    /// GS1-128, GS1 DataBar, GS1 DataMatrix or GS1 QR.
    #[must_use]
    pub fn is_gs1(self) -> bool {
        matches!((self.code, self.modifier), ('C', '1') | ('e', _) | ('d', '2') | ('Q', '3') | ('J', '1'))
    }
}

impl fmt::Display for AimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "]{}{}", self.code, self.modifier)
    }
}

/// Cuts the bytes of a scanner on a serial line into scans. One ends with CR, LF or TAB.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    overlong: bool,
    last: Duration,
}

impl Lines {
    /// Takes a byte that came at a moment, since whatever the caller likes.
    pub fn push(&mut self, byte: u8, now: Duration) -> Option<Result<Scan, Refused>> {
        let broken = self.idle(now);
        self.last = now;
        match byte {
            b'\r' | b'\n' | b'\t' if self.overlong => {
                *self = Lines { last: now, ..Lines::default() };
                return Some(Err(Refused::Long));
            }
            // Scanners end with both, and some begin with LF.
            b'\r' | b'\n' | b'\t' if self.bytes.is_empty() => {}
            b'\r' | b'\n' | b'\t' => return Some(Scan::of(&std::mem::take(&mut self.bytes))),
            _ if self.bytes.len() == SCAN_BYTES_MAX => self.overlong = true,
            byte => self.bytes.push(byte),
        }
        broken.map(Err)
    }

    /// What has come by now and will not be ended any more.
    pub fn idle(&mut self, now: Duration) -> Option<Refused> {
        let begun = self.overlong || !self.bytes.is_empty();
        (begun && now.saturating_sub(self.last) > GAP).then(|| {
            *self = Lines { last: now, ..Lines::default() };
            Refused::Broken
        })
    }
}

/// The separator of GS1, and what ISO 15434 puts around it.
const SEPARATORS: [u8; 4] = [0x04, 0x1d, 0x1e, 0x1f];
/// Longer than the largest code that a shop meets: a QR of 2 KiB.
pub const SCAN_BYTES_MAX: usize = 2_048;
/// The longest pause inside one scan: a slow radio scanner takes 50 ms for a character.
pub const GAP: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    fn scans(bytes: &[u8]) -> Vec<Result<Scan, Refused>> {
        let mut lines = Lines::default();
        bytes.iter().filter_map(|byte| lines.push(*byte, Duration::ZERO)).collect()
    }

    fn scan(aim: Option<(char, char)>, data: &[u8]) -> Result<Scan, Refused> {
        Ok(Scan { aim: aim.map(|(code, modifier)| AimId { code, modifier }), data: data.to_vec() })
    }

    #[test]
    fn the_kind_of_code_and_its_separators_are_kept() {
        let said = b"]E04006381333931\r\n]C1010401234567890110A1\x1d3103001250\r]d2019501\x1d21X\t]Q3x\n]e0y\rplain\r";
        let wanted = [
            scan(Some(('E', '0')), b"4006381333931"),
            scan(Some(('C', '1')), b"010401234567890110A1\x1d3103001250"),
            scan(Some(('d', '2')), b"019501\x1d21X"),
            scan(Some(('Q', '3')), b"x"),
            scan(Some(('e', '0')), b"y"),
            scan(None, b"plain"),
        ];
        assert_eq!(scans(said), wanted);
        let gs1: Vec<bool> = scans(said).into_iter().map(|scan| scan.unwrap().is_gs1()).collect();
        assert_eq!(gs1, [false, true, true, true, true, false]);
        assert_eq!(scans(b"]E04006381333931\r")[0].as_ref().unwrap().aim.unwrap().to_string(), "]E0");
    }

    #[test]
    fn a_code_cannot_type_commands() {
        assert_eq!(scans(b"\x1b[A\r"), [Err(Refused::Control(0x1b))]);
        assert_eq!(scans(b"12\x0034\r56\r"), [Err(Refused::Control(0)), scan(None, b"56")]);
    }

    #[test]
    fn half_a_scan_is_never_glued_onto_the_next() {
        let mut lines = Lines::default();
        for byte in b"40063" {
            assert_eq!(lines.push(*byte, Duration::ZERO), None);
        }
        let later = GAP + Duration::from_millis(1);
        assert_eq!(lines.idle(GAP), None);
        assert_eq!(lines.push(b'9', later), Some(Err(Refused::Broken)));
        assert_eq!(lines.push(b'\r', later), Some(scan(None, b"9")));
    }

    #[test]
    fn a_scan_without_end_is_refused_once_and_kept_small() {
        let said = [vec![b'7'; SCAN_BYTES_MAX * 4], b"\r12\r".to_vec()].concat();
        assert_eq!(scans(&said), [Err(Refused::Long), scan(None, b"12")]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_scans_without_commands(bytes in proptest::collection::vec(0_u8..=255, 0..300)) {
            for scan in scans(&bytes).into_iter().flatten() {
                assert!(scan.data.iter().all(|byte| !byte.is_ascii_control() || SEPARATORS.contains(byte)));
            }
        }
    }
}
