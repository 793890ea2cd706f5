//! A scanner without a beam that plays a keyboard: the keys that it presses for a code.

use super::keys::{ENTER, KEYPAD, LEFT_ALT, LEFT_CONTROL, LEFT_SHIFT, TAB, keys_of};

/// How a virtual scanner types.
#[derive(Clone, Copy, Debug)]
pub struct VirtualWedge {
    alt: bool,
    end: u16,
}

impl VirtualWedge {
    /// On a US keyboard, with Control for separators and Enter at the end.
    #[must_use]
    pub const fn us() -> VirtualWedge {
        VirtualWedge { alt: false, end: ENTER }
    }

    /// With Alt and the number pad for each byte, and Tab at the end.
    #[must_use]
    pub const fn alt() -> VirtualWedge {
        VirtualWedge { alt: true, end: TAB }
    }

    /// The keys for a code, each going down (`true`) and up again.
    #[must_use]
    pub fn keys(self, code: &[u8]) -> Vec<(u16, bool)> {
        let mut keys = Vec::new();
        for byte in code {
            match keys_of(*byte) {
                _ if self.alt => {
                    let digits = format!("0{byte:03}");
                    let pad = digits.bytes().map(|digit| KEYPAD[usize::from(digit - b'0')]);
                    hold(&mut keys, LEFT_ALT, pad.collect());
                }
                Some((key, false)) => keys.extend([(key, true), (key, false)]),
                Some((key, true)) => hold(&mut keys, LEFT_SHIFT, vec![key]),
                None => {
                    if let Some((key, _)) = keys_of(byte.wrapping_add(b'@')) {
                        hold(&mut keys, LEFT_CONTROL, vec![key]);
                    }
                }
            }
        }
        keys.extend([(self.end, true), (self.end, false)]);
        keys
    }
}

fn hold(keys: &mut Vec<(u16, bool)>, held: u16, pressed: Vec<u16>) {
    keys.push((held, true));
    keys.extend(pressed.into_iter().flat_map(|key| [(key, true), (key, false)]));
    keys.push((held, false));
}
