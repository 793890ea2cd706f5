//! A scanner that plays a keyboard: keys pressed and let go, turned back into the bytes of the code. Pure.
//!
//! The keyboard is read as the scanner means it, whatever layout the machine is set to: US, with Control for separators, or
//! Alt and three or four digits on the number pad, by which scanners type any byte on any layout. A scan ends with Enter or
//! Tab. Invariant: a key that stands for no character refuses the scan, so that it is never silently shortened.
//! Source: Linux `input-event-codes.h`; USB HID usage tables, keyboard page.

use std::time::Duration;

use super::scan::{GAP, Refused, SCAN_BYTES_MAX, Scan};

/// Turns keys into scans.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    bytes: Vec<u8>,
    shift: Held,
    control: Held,
    alt: Held,
    /// The digits typed since Alt went down.
    code: Option<u32>,
    capitals: bool,
    refused: Option<Refused>,
    last: Duration,
}

/// The left and the right one of a pair of keys.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    left: bool,
    right: bool,
}

impl Held {
    fn any(self) -> bool {
        self.left || self.right
    }
}

impl Keys {
    /// Takes a key by its number in Linux, going down (`true`) or up, at a moment since whatever the caller likes. A key that
    /// repeats because it is held is not to be told.
    pub fn push(&mut self, key: u16, down: bool, now: Duration) -> Option<Result<Scan, Refused>> {
        let broken = self.idle(now);
        self.last = now;
        let ended = match (key, down) {
            (LEFT_SHIFT, down) => set(&mut self.shift.left, down),
            (RIGHT_SHIFT, down) => set(&mut self.shift.right, down),
            (LEFT_CONTROL, down) => set(&mut self.control.left, down),
            (RIGHT_CONTROL, down) => set(&mut self.control.right, down),
            (LEFT_ALT | RIGHT_ALT, down) => self.alt(key, down),
            (CAPS_LOCK, true) => {
                self.capitals = !self.capitals;
                None
            }
            (NUM_LOCK | SCROLL_LOCK | LEFT_META | RIGHT_META, _) | (_, false) => None,
            (ENTER | KEYPAD_ENTER | TAB, true) => self.end(),
            (key, true) => {
                self.key(key);
                None
            }
        };
        ended.or(broken.map(Err))
    }

    /// What has come by now and will not be ended any more.
    pub fn idle(&mut self, now: Duration) -> Option<Refused> {
        let begun = !self.bytes.is_empty() || self.refused.is_some() || self.code.is_some();
        (begun && now.saturating_sub(self.last) > GAP).then(|| self.forget(Refused::Broken))
    }

    /// The machine lost events: nobody knows which keys are down, or what was typed.
    pub fn lost(&mut self) -> Option<Refused> {
        let begun = !self.bytes.is_empty();
        let capitals = self.capitals;
        *self = Keys { last: self.last, capitals, ..Keys::default() };
        begun.then_some(Refused::Lost)
    }

    fn forget(&mut self, why: Refused) -> Refused {
        self.bytes.clear();
        self.code = None;
        self.refused.take().unwrap_or(why)
    }

    fn end(&mut self) -> Option<Result<Scan, Refused>> {
        self.code = None;
        let bytes = std::mem::take(&mut self.bytes);
        match self.refused.take() {
            Some(why) => Some(Err(why)),
            None if bytes.is_empty() => None,
            None => Some(Scan::of(&bytes)),
        }
    }

    fn alt(&mut self, key: u16, down: bool) -> Option<Result<Scan, Refused>> {
        set(if key == LEFT_ALT { &mut self.alt.left } else { &mut self.alt.right }, down);
        if !self.alt.any()
            && let Some(code) = self.code.take()
        {
            match u8::try_from(code) {
                Ok(byte) => self.put(byte),
                Err(_) => self.refuse(Refused::Key(key)),
            }
        }
        None
    }

    fn key(&mut self, key: u16) {
        if self.alt.any() {
            match keypad_digit(key) {
                Some(digit) => {
                    let code = self.code.unwrap_or(0).saturating_mul(10).saturating_add(u32::from(digit));
                    self.code = Some(code);
                }
                None => self.refuse(Refused::Key(key)),
            }
            return;
        }
        if let Some(digit) = keypad_digit(key) {
            return self.put(b'0' + digit);
        }
        let Some((plain, shifted)) = us(key) else { return self.refuse(Refused::Key(key)) };
        if self.control.any() {
            // Control and a sign of the column from @ to _: how a keyboard types the separators.
            return match plain.to_ascii_uppercase() {
                sign @ b'@'..=b'_' => self.put(sign - b'@'),
                _ => self.refuse(Refused::Key(key)),
            };
        }
        let capital = self.shift.any() ^ (self.capitals && plain.is_ascii_lowercase());
        self.put(if capital { shifted } else { plain });
    }

    fn put(&mut self, byte: u8) {
        if self.bytes.len() == SCAN_BYTES_MAX {
            return self.refuse(Refused::Long);
        }
        self.bytes.push(byte);
    }

    fn refuse(&mut self, why: Refused) {
        self.refused.get_or_insert(why);
    }
}

fn set(held: &mut bool, down: bool) -> Option<Result<Scan, Refused>> {
    *held = down;
    None
}

fn keypad_digit(key: u16) -> Option<u8> {
    let at = KEYPAD.iter().position(|digit| *digit == key)?;
    u8::try_from(at).ok()
}

/// What a key types on a US keyboard, without and with Shift.
fn us(key: u16) -> Option<(u8, u8)> {
    ROWS.iter().find_map(|(first, plain, shifted)| {
        let at = usize::from(key.checked_sub(*first)?);
        Some((*plain.as_bytes().get(at)?, *shifted.as_bytes().get(at)?))
    })
}

/// The keys that type `byte` on a US keyboard: what a scanner presses. `None` where only Alt can.
pub(super) fn keys_of(byte: u8) -> Option<(u16, bool)> {
    ROWS.iter().find_map(|(first, plain, shifted)| {
        let at = |row: &str| row.bytes().position(|b| b == byte).and_then(|at| u16::try_from(at).ok());
        at(plain).map(|at| (first + at, false)).or_else(|| at(shifted).map(|at| (first + at, true)))
    })
}

/// Keys in a row: the number of the first one, what they type, what they type with Shift.
const ROWS: [(u16, &str, &str); 10] = [
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", "ASDFGHJKL:\"~"),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (55, "*", "*"),
    (57, " ", " "),
    (74, "-", "-"),
    (78, "+", "+"),
    (83, ".", "."),
    (98, "/", "/"),
];
/// The number pad's digits, from 0.
pub(super) const KEYPAD: [u16; 10] = [82, 79, 80, 81, 75, 76, 77, 71, 72, 73];
pub(super) const LEFT_SHIFT: u16 = 42;
pub(super) const LEFT_CONTROL: u16 = 29;
pub(super) const LEFT_ALT: u16 = 56;
pub(super) const ENTER: u16 = 28;
pub(super) const TAB: u16 = 15;
const RIGHT_SHIFT: u16 = 54;
const RIGHT_CONTROL: u16 = 97;
const RIGHT_ALT: u16 = 100;
const KEYPAD_ENTER: u16 = 96;
const CAPS_LOCK: u16 = 58;
const NUM_LOCK: u16 = 69;
const SCROLL_LOCK: u16 = 70;
const LEFT_META: u16 = 125;
const RIGHT_META: u16 = 126;

#[cfg(test)]
mod tests {
    use super::super::VirtualWedge;
    use super::*;

    fn typed(keys: &[(u16, bool)]) -> Vec<Result<Scan, Refused>> {
        let mut typed = Keys::default();
        keys.iter().filter_map(|(key, down)| typed.push(*key, *down, Duration::ZERO)).collect()
    }

    #[test]
    fn each_printable_character_comes_back_on_both_ways() {
        let all: Vec<u8> = (0x20..0x7f).collect();
        for wedge in [VirtualWedge::us(), VirtualWedge::alt()] {
            assert_eq!(typed(&wedge.keys(&all)), [Scan::of(&all)]);
        }
    }

    #[test]
    fn a_gs1_separator_comes_back_on_both_ways() {
        let code = b"]C101040123456789011\x1d21A";
        for wedge in [VirtualWedge::us(), VirtualWedge::alt()] {
            let scans = typed(&wedge.keys(code));
            assert_eq!(scans, [Scan::of(code)]);
            assert!(scans[0].as_ref().unwrap().is_gs1());
        }
    }

    #[test]
    fn capitals_locked_by_the_cashier_change_digits_and_letters_as_the_scanner_means_them() {
        // The scanner presses Shift for a capital; with the lock on, that would be a small one.
        let mut keys = Keys::default();
        let locked = [(CAPS_LOCK, true), (CAPS_LOCK, false)];
        let scans: Vec<_> = locked
            .into_iter()
            .chain(VirtualWedge::us().keys(b"aB-1"))
            .filter_map(|(key, down)| keys.push(key, down, Duration::ZERO))
            .collect();
        assert_eq!(scans, [Scan::of(b"Ab-1")]);
        let mut keys = Keys::default();
        let scans: Vec<_> = locked
            .into_iter()
            .chain(VirtualWedge::alt().keys(b"aB-1"))
            .filter_map(|(key, down)| keys.push(key, down, Duration::ZERO))
            .collect();
        assert_eq!(scans, [Scan::of(b"aB-1")], "Alt mode does not mind");
    }

    #[test]
    fn a_key_that_is_no_character_refuses_the_scan_and_only_that_one() {
        const F5: u16 = 63;
        let two = |bytes: &[u8]| VirtualWedge::us().keys(bytes);
        let keys = [two(b"12")[..4].to_vec(), vec![(F5, true), (F5, false)], two(b"3"), two(b"45")].concat();
        assert_eq!(typed(&keys), [Err(Refused::Key(F5)), Scan::of(b"45")]);
    }

    #[test]
    fn half_a_scan_and_a_lost_one_are_refused() {
        let mut keys = Keys::default();
        let half = VirtualWedge::us().keys(b"400");
        for (key, down) in &half[..6] {
            assert_eq!(keys.push(*key, *down, Duration::ZERO), None);
        }
        assert_eq!(keys.idle(GAP * 2), Some(Refused::Broken));
        for (key, down) in &half[..6] {
            assert_eq!(keys.push(*key, *down, GAP * 3), None);
        }
        assert_eq!(keys.lost(), Some(Refused::Lost));
        assert_eq!(keys.push(ENTER, true, GAP * 3), None);
    }

    proptest::proptest! {
        #[test]
        fn any_keys_are_scans_without_commands(keys in proptest::collection::vec((0_u16..130, proptest::bool::ANY), 0..300)) {
            for scan in typed(&keys).into_iter().flatten() {
                assert!(scan.data.iter().all(|byte| !byte.is_ascii_control() || [0x04, 0x1d, 0x1e, 0x1f].contains(byte)));
            }
        }

        #[test]
        fn what_a_wedge_types_is_what_was_scanned(bytes in proptest::collection::vec(0x20_u8..0x7f, 1..60)) {
            assert_eq!(typed(&VirtualWedge::us().keys(&bytes)), [Scan::of(&bytes)]);
            assert_eq!(typed(&VirtualWedge::alt().keys(&bytes)), [Scan::of(&bytes)]);
        }
    }
}
