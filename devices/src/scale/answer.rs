//! What a scale says, cut into answers: Toledo 8217, NCI (Weigh-Tronix SCP-01) and CAS. Pure.
//!
//! Invariants: any bytes give answers, never a panic; at most [`ANSWER_BYTES_MAX`] bytes are kept; what is not whole, or
//! does not fit its own check, is [`Answer::Garbled`] and never a weight.
//! Source: Mettler Toledo 8217; Weigh-Tronix SCP-01 (8408-14788-01); CAS AP-1 and SW-II, "SOH STX STA SIGN … BCC ETX EOT".

use super::{Protocol, Reading, Trouble, Unit, Weight};

/// One answer of a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is ready to be asked for the weight (CAS).
    Ready,
    /// A weight that it calls stable.
    Stable(Reading),
    /// No weight, and why.
    Trouble(Trouble),
    /// Bytes that are no answer, such as those after a cable was plugged in.
    Garbled,
}

/// Cuts bytes into answers.
#[derive(Clone, Debug)]
pub struct Answers {
    protocol: Protocol,
    /// The unit of a scale that does not name it.
    unit: Unit,
    bytes: Vec<u8>,
    inside: bool,
}

impl Answers {
    /// Of a scale that weighs in `unit`.
    #[must_use]
    pub fn new(protocol: Protocol, unit: Unit) -> Answers {
        Answers { protocol, unit, bytes: Vec::new(), inside: false }
    }

    /// Takes a byte, and gives an answer if it is the last one of it.
    pub fn push(&mut self, byte: u8) -> Option<Answer> {
        // Seven bits: the eighth is the check bit where the port passes it on.
        let byte = byte & 0x7f;
        let (start, end) = match self.protocol {
            Protocol::Toledo8217 => (STX, CR),
            Protocol::Nci => (LF, ETX),
            Protocol::Cas => (SOH, EOT),
        };
        if self.protocol == Protocol::Cas && !self.inside && matches!(byte, ACK | NAK) {
            return Some(if byte == ACK { Answer::Ready } else { Answer::Trouble(Trouble::Busy) });
        }
        // The check byte of CAS may be any, also one that begins or ends an answer.
        let begins = match self.protocol {
            Protocol::Toledo8217 => true,
            Protocol::Nci => !self.inside,
            Protocol::Cas => !self.inside || self.bytes.len() < CAS_BYTES_BEFORE_CHECK,
        };
        let ends = self.protocol != Protocol::Cas || self.bytes.last() == Some(&ETX);
        if byte == start && begins {
            // A second start means that the first one was cut off.
            let torn = self.inside;
            self.inside = true;
            self.bytes.clear();
            return torn.then_some(Answer::Garbled);
        }
        if !self.inside {
            return None;
        }
        if byte == end && ends {
            self.inside = false;
            let answer = match self.protocol {
                Protocol::Toledo8217 => toledo(&self.bytes, self.unit),
                Protocol::Nci => nci(&self.bytes),
                Protocol::Cas => cas(&self.bytes),
            };
            self.bytes.clear();
            return Some(answer.unwrap_or(Answer::Garbled));
        }
        if self.bytes.len() == ANSWER_BYTES_MAX {
            self.inside = false;
            self.bytes.clear();
            return Some(Answer::Garbled);
        }
        self.bytes.push(byte);
        None
    }
}

/// `01.250`, `01.250N` for a net weight, or `?` and a status.
fn toledo(bytes: &[u8], unit: Unit) -> Option<Answer> {
    if let [b'?', status] = bytes {
        return toledo_status(*status).map(Answer::Trouble);
    }
    let (digits, net) = match bytes.strip_suffix(b"N") {
        Some(digits) => (digits, true),
        None => (bytes, false),
    };
    Some(Answer::Stable(Reading { weight: weight(digits, unit)?, net }))
}

/// Bits: 0 motion, 1 over, 2 under zero, 3 outside the zero range, 4 zero, 5 net, 6 bad command. A scale of the family that
/// has bits 5 and 6 always set says no more by them.
fn toledo_status(status: u8) -> Option<Trouble> {
    let trouble = match status {
        s if s & 0x02 != 0 => Trouble::Over,
        s if s & 0x04 != 0 => Trouble::Under,
        s if s & 0x01 != 0 => Trouble::Moving,
        s if s & 0x08 != 0 => Trouble::Zeroing,
        s if s & 0x10 != 0 => Trouble::Zero,
        s if s & 0x40 != 0 => Trouble::Refused,
        _ => return None,
    };
    Some(trouble)
}

/// `01.250KG` CR LF, then the status, with or without an `S` before it; or the status alone.
fn nci(bytes: &[u8]) -> Option<Answer> {
    let mut lines = bytes.split(|byte| *byte == CR).map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let (first, second, third) = (lines.next()?, lines.next(), lines.next());
    if third.is_some() {
        return None;
    }
    if first == b"?" {
        return Some(Answer::Trouble(Trouble::Refused));
    }
    let (shown, status) = match second {
        Some(status) => (Some(first), status),
        None => (None, first),
    };
    let (trouble, net) = nci_status(status.strip_prefix(b"S").unwrap_or(status))?;
    match (trouble, shown) {
        (Some(trouble), _) => Some(Answer::Trouble(trouble)),
        // At rest, and yet no weight: what is on the display is words.
        (None, None) => Some(Answer::Trouble(Trouble::Zero)),
        (None, Some(shown)) => {
            let letters = shown.iter().position(u8::is_ascii_alphabetic)?;
            let (digits, unit) = shown.split_at(letters);
            Some(Answer::Stable(Reading { weight: weight(digits, Unit::named(unit)?)?, net }))
        }
    }
}

/// Two or three bytes of bits. None if they are none; then what is wrong, if anything, and whether the weight is net.
fn nci_status(bytes: &[u8]) -> Option<(Option<Trouble>, bool)> {
    let (one, two, three) = match *bytes {
        [one, two] => (one, two, 0x30),
        [one, two, three] if two & 0x40 != 0 => (one, two, three),
        _ => return None,
    };
    let fixed = |byte: u8| byte & 0x30 == 0x30;
    if !(fixed(one) && fixed(two) && fixed(three)) || one & 0x40 != 0 {
        return None;
    }
    let trouble = if one & 0x0c != 0 || two & 0x0c != 0 || three & 0x08 != 0 {
        Some(Trouble::Fault)
    } else if two & 0x02 != 0 {
        Some(Trouble::Over)
    } else if two & 0x01 != 0 {
        Some(Trouble::Under)
    } else if one & 0x01 != 0 {
        Some(Trouble::Moving)
    } else {
        None
    };
    Some((trouble, three & 0x04 != 0))
}

/// STX, `S` or `U`, the sign, the weight, the unit, the check byte, ETX.
fn cas(bytes: &[u8]) -> Option<Answer> {
    let [STX, inside @ .., check, ETX] = bytes else { return None };
    if inside.iter().fold(0, |sum, byte| sum ^ byte) != *check {
        return None;
    }
    let [state, sign, rest @ ..] = inside else { return None };
    let (digits, unit) = rest.split_at_checked(rest.len().checked_sub(2)?)?;
    match (state, sign) {
        (_, b'F') => Some(Answer::Trouble(Trouble::Over)),
        (_, b'-') => Some(Answer::Trouble(Trouble::Under)),
        (b'U', b' ') => Some(Answer::Trouble(Trouble::Moving)),
        (b'S', b' ') => {
            Some(Answer::Stable(Reading { weight: weight(digits, Unit::named(unit)?)?, net: false }))
        }
        _ => None,
    }
}

/// The digits as the scale shows them: at most one point, at least one digit, spaces only in front.
pub(super) fn weight(digits: &[u8], unit: Unit) -> Option<Weight> {
    let digits = digits.trim_ascii_start();
    let point = digits.iter().position(|byte| *byte == b'.');
    let decimals = point.map_or(0, |at| digits.len() - at - 1);
    let mut value: u32 = 0;
    let mut any = false;
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                value = value.checked_mul(10)?.checked_add(u32::from(byte - b'0'))?;
                any = true;
            }
            b'.' if Some(at) == point => {}
            _ => return None,
        }
    }
    any.then_some(())?;
    Some(Weight { digits: value, decimals: u8::try_from(decimals).ok()?, unit })
}

const SOH: u8 = 0x01;
const STX: u8 = 0x02;
const ETX: u8 = 0x03;
const EOT: u8 = 0x04;
const ACK: u8 = 0x06;
const LF: u8 = 0x0a;
const CR: u8 = 0x0d;
const NAK: u8 = 0x15;
/// STX, state, sign, at least five digits, unit.
const CAS_BYTES_BEFORE_CHECK: usize = 10;
/// Longer than the longest answer of the three.
pub const ANSWER_BYTES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(protocol: Protocol, bytes: &[u8]) -> Vec<Answer> {
        let mut answers = Answers::new(protocol, Unit::Kilogram);
        bytes.iter().filter_map(|byte| answers.push(*byte)).collect()
    }

    fn stable(digits: u32, decimals: u8, unit: Unit, net: bool) -> Answer {
        Answer::Stable(Reading { weight: Weight { digits, decimals, unit }, net })
    }

    #[test]
    fn each_scale_is_understood_in_its_own_tongue() {
        let toledo = said(Protocol::Toledo8217, b"\x0201.250\r\x0200.500N\r\x02 2.005\r");
        let kg = Unit::Kilogram;
        assert_eq!(
            toledo,
            [stable(1250, 3, kg, false), stable(500, 3, kg, true), stable(2005, 3, kg, false)]
        );
        let nci =
            said(Protocol::Nci, b"\n01.250KG\r\nS00\r\x03\n 0.45lb\r\n0\x700\r\x03\n12.5oz\r\n0p4\r\x03");
        assert_eq!(
            nci,
            [
                stable(1250, 3, kg, false),
                stable(45, 2, Unit::Pound, false),
                stable(125, 1, Unit::Ounce, true)
            ]
        );
        let frame = |inside: &[u8]| {
            let check = inside.iter().fold(0, |sum, byte| sum ^ byte);
            [b"\x01\x02", inside, &[check], b"\x03\x04"].concat()
        };
        let cas = said(Protocol::Cas, &[b"\x06".to_vec(), frame(b"S 01.250kg")].concat());
        assert_eq!(cas, [Answer::Ready, stable(1250, 3, kg, false)]);
    }

    #[test]
    fn each_weight_of_a_cas_scale_is_read_whatever_its_check_byte_is() {
        for digits in 0..100_000_u32 {
            let inside = format!("S {:02}.{:03}kg", digits / 1_000, digits % 1_000);
            let check = inside.bytes().fold(0, |sum, byte| sum ^ byte);
            let frame = [b"\x01\x02", inside.as_bytes(), &[check], b"\x03\x04"].concat();
            assert_eq!(said(Protocol::Cas, &frame), [stable(digits, 3, Unit::Kilogram, false)], "{inside}");
        }
    }

    #[test]
    fn what_is_no_weight_says_why() {
        let toledo = said(Protocol::Toledo8217, b"\x02?\x61\r\x02?\x22\r\x02?\x24\r\x02?\x08\r\x02?\x40\r");
        use Trouble::{Fault, Moving, Over, Refused, Under, Zeroing};
        assert_eq!(toledo, [Moving, Over, Under, Zeroing, Refused].map(Answer::Trouble));
        let nci = said(Protocol::Nci, b"\n01.250KG\r\nS10\r\x03\nS02\r\x03\n01\r\x03\nS40\r\x03\n?\r\x03");
        assert_eq!(nci, [Moving, Over, Under, Fault, Refused].map(Answer::Trouble));
        // A relative whose bits say the opposite (1 at rest, 1 in order) is refused, not misread.
        assert_eq!(said(Protocol::Nci, b"\n01.250KG\r\nS=0\r\x03"), [Answer::Trouble(Fault)]);
    }

    #[test]
    fn half_an_answer_and_a_changed_one_are_no_weight() {
        assert_eq!(said(Protocol::Toledo8217, b"01.250\r"), []);
        assert_eq!(
            said(Protocol::Toledo8217, b"\x0201.2\x0201.250\r"),
            [Answer::Garbled, stable(1250, 3, Unit::Kilogram, false)]
        );
        for bad in [
            &b"\x0201.2.0\r"[..],
            b"\x02-1.250\r",
            b"\x02\r",
            b"\x02.\r",
            b"\x0201\x00250\r",
            b"\x0299999999999\r",
        ] {
            assert_eq!(said(Protocol::Toledo8217, bad), [Answer::Garbled], "{bad:?}");
        }
        // A digit that the check byte does not know of.
        assert_eq!(said(Protocol::Cas, b"\x01\x02S 09.250kg\x7d\x03\x04"), [Answer::Garbled]);
        assert_eq!(said(Protocol::Nci, b"\n01.250st\r\nS00\r\x03"), [Answer::Garbled]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_give_answers(bytes in proptest::collection::vec(0_u8..=255, 0..200)) {
            for protocol in Protocol::ALL {
                assert!(said(protocol, &bytes).len() <= bytes.len());
            }
        }
    }
}
