//! Whole states as printers send them unasked: which bit of which byte means what.
//!
//! Source: Epson `GS a`; Star automatic status, StarPRNT command specification, appendix 2; SII's eight bytes and the masks
//! of the Star errors as receiptio (Apache-2.0) reads them.

use super::{Paper, PrinterError, PrinterStatus};

/// A Star printer's automatic status: a head that tells its length, a version, and the state.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StarStatus {
    bytes: [u8; StarStatus::BYTES_MAX],
    length: usize,
}

/// An SII printer's automatic status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SiiStatus(pub [u8; 8]);

impl StarStatus {
    /// The longest that its head can announce.
    pub const BYTES_MAX: usize = 31;
    /// The shortest that holds paper and cover.
    pub const BYTES_MIN: usize = 7;

    /// How long a status is by its head, `0nn0nnn1`; nothing if that is no head.
    #[must_use]
    pub fn length(head: u8) -> Option<usize> {
        let length = usize::from(head >> 2 & 0x18 | head >> 1 & 0x07);
        (head & 0b1001_0001 == 1 && length >= StarStatus::BYTES_MIN).then_some(length)
    }

    /// The status of these bytes; nothing if the head tells another length.
    #[must_use]
    pub fn new(told: &[u8]) -> Option<StarStatus> {
        let length = StarStatus::length(*told.first()?)?;
        let mut bytes = [0; StarStatus::BYTES_MAX];
        bytes.get_mut(..told.len())?.copy_from_slice(told);
        (length == told.len()).then_some(StarStatus { bytes, length })
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl std::fmt::Debug for StarStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StarStatus({:02x?})", self.bytes())
    }
}

impl From<[u8; 4]> for PrinterStatus {
    /// Epson's automatic status.
    fn from([first, second, third, _]: [u8; 4]) -> PrinterStatus {
        let error = [
            (second & 0x20 != 0, PrinterError::Lasting),
            (second & 0x08 != 0, PrinterError::Cutter),
            (second & 0x04 != 0, PrinterError::Mechanical),
            (second & 0x40 != 0, PrinterError::Passing),
        ];
        PrinterStatus {
            online: first & 0x08 == 0,
            cover_open: first & 0x20 != 0,
            paper: paper(third & 0x0c != 0, third & 0x03 != 0),
            error: named(&error),
            drawer_level: first & 0x04 != 0,
        }
    }
}

impl From<StarStatus> for PrinterStatus {
    fn from(status: StarStatus) -> PrinterStatus {
        let [_, _, state, errors, more, paper_end, ..] = status.bytes;
        let error = [
            (errors & 0x20 != 0, PrinterError::Lasting),
            (errors & 0x08 != 0, PrinterError::Cutter),
            (errors & 0x04 != 0 || more & 0x0a != 0, PrinterError::Mechanical),
            (errors & 0x40 != 0, PrinterError::Passing),
        ];
        PrinterStatus {
            online: state & 0x08 == 0,
            cover_open: state & 0x20 != 0,
            paper: paper(paper_end & 0x08 != 0, paper_end & 0x06 != 0),
            error: named(&error),
            drawer_level: state & 0x04 != 0,
        }
    }
}

impl From<SiiStatus> for PrinterStatus {
    fn from(SiiStatus(bytes): SiiStatus) -> PrinterStatus {
        let (cover_open, empty) = (bytes[1] & 0x08 != 0, bytes[1] & 0x01 != 0);
        let error = (bytes[0] & 0x0b != 0 && !cover_open && !empty).then_some(PrinterError::Unnamed);
        PrinterStatus {
            online: error.is_none() && !cover_open && !empty,
            cover_open,
            paper: paper(empty, false),
            error,
            drawer_level: bytes[3] & 0x08 != 0,
        }
    }
}

fn paper(out: bool, near_end: bool) -> Paper {
    match (out, near_end) {
        (true, _) => Paper::Out,
        (_, true) => Paper::NearEnd,
        _ => Paper::Enough,
    }
}

fn named(errors: &[(bool, PrinterError)]) -> Option<PrinterError> {
    errors.iter().find(|(set, _)| *set).map(|(_, error)| *error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epson_says_all_of_it_in_four_bytes() {
        assert_eq!(PrinterStatus::from([0x10, 0, 0, 0]), PrinterStatus::default());
        let worst = PrinterStatus::from([0x3c, 0x08, 0x0f, 0x0f]);
        let wanted = PrinterStatus {
            online: false,
            cover_open: true,
            paper: Paper::Out,
            error: Some(PrinterError::Cutter),
            drawer_level: true,
        };
        assert_eq!(worst, wanted);
        assert_eq!(
            PrinterStatus::from([0x18, 0x40, 0x03, 0]).to_string(),
            "offline, paper near its end, error that passes by itself"
        );
    }

    #[test]
    fn a_star_says_it_in_other_places() {
        let star = |state, errors, paper| {
            let told = [0x23, 0x06, state, errors, 0, paper, 0, 0, 0];
            PrinterStatus::from(StarStatus::new(&told).expect("nine bytes"))
        };
        assert_eq!(star(0, 0, 0), PrinterStatus::default());
        assert_eq!(star(0x28, 0, 0).what_to_do(), Some("Close the printer's cover."));
        assert_eq!(star(0x08, 0, 0x08).paper, Paper::Out);
        assert_eq!(star(0, 0, 0x04).paper, Paper::NearEnd);
        assert_eq!(star(0x08, 0x08, 0).error, Some(PrinterError::Cutter));
        assert!(star(0x04, 0, 0).drawer_level);
    }

    #[test]
    fn an_sii_has_eight_bytes() {
        let sii = |first, second, fourth| {
            PrinterStatus::from(SiiStatus([first, second, 0xd0, fourth, 0xd0, 0xd0, 0xd0, 0xd0]))
        };
        assert_eq!(sii(0xc0, 0xd0, 0xd0), PrinterStatus::default());
        assert!(sii(0xc2, 0xd8, 0xd0).cover_open);
        assert_eq!(sii(0xc2, 0xd1, 0xd0).paper, Paper::Out);
        assert_eq!(sii(0xc1, 0xd0, 0xd8).error, Some(PrinterError::Unnamed));
    }

    #[test]
    fn a_star_head_and_its_length_belong_together() {
        assert_eq!(StarStatus::length(0x0f), Some(7));
        assert_eq!(StarStatus::length(0x23), Some(9));
        assert_eq!(StarStatus::length(0x2f), Some(15));
        assert_eq!(StarStatus::length(0x05), None, "too short to hold paper");
        assert_eq!(StarStatus::new(&[0x23, 0, 0]), None);
    }
}
