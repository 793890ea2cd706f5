//! Codes that people read aloud, type and scan: enrolment, joining headquarters, and the recovery code.
//!
//! *Shape*: Crockford's base32 (no I, L, O, U), in groups of five, two check characters at the end. Reading is forgiving:
//! case, dashes and blanks do not matter, O is 0, I and L are 1. The check is the remainder modulo the prime 1021, shifted by
//! the kind, so every single wrong character and every swap of two neighbours is told as such without any network.

use crate::tls::FINGERPRINT_BYTES;
use std::fmt;
use thiserror::Error;
use toko_crdt::sign::SecretKey;

/// Bytes of a code's secret half: 80 bits.
pub const SECRET_BYTES: usize = 10;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const GROUP: usize = 5;
const MODULUS: u32 = 1021;
const CHECK_CHARACTERS: usize = 2;
/// The longest text that is looked at, blanks and dashes included.
const TEXT_BYTES_MAX: usize = 256;

/// What a code is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CodeKind {
    /// A terminal joins a store: `terminal-agent enrol CODE`.
    Enrol,
    /// A store joins headquarters: `hubctl join-hq CODE`.
    JoinHq,
    /// The store's root key itself, on paper in a safe.
    Recovery,
}

impl CodeKind {
    const ALL: [Self; 3] = [Self::Enrol, Self::JoinHq, Self::Recovery];

    fn shift(self) -> u32 {
        match self {
            Self::Enrol => 0,
            Self::JoinHq => 337,
            Self::Recovery => 701,
        }
    }
}

impl fmt::Display for CodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enrol => "a code for a new terminal",
            Self::JoinHq => "a code for joining headquarters",
            Self::Recovery => "a recovery code",
        })
    }
}

/// What is wrong with a typed code. Nothing was sent anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodeError {
    /// A character that no code has.
    #[error("character {position} of the code, {found:?}, is in no code")]
    Character {
        /// Which, from 1, not counting dashes and blanks.
        position: usize,
        /// What is there.
        found: char,
    },
    /// Too short or too long.
    #[error("the code has {found} characters where it should have {wanted}")]
    Length {
        /// Characters without dashes and blanks.
        found: usize,
        /// What it should be.
        wanted: usize,
    },
    /// The check characters do not fit: a typing mistake.
    #[error("the code is mistyped: compare it once more, character by character")]
    Mistyped,
    /// A sound code, for something else.
    #[error("this is {found}, not {wanted}")]
    OtherKind {
        /// What it is.
        found: CodeKind,
        /// What was asked for.
        wanted: CodeKind,
    },
}

/// A one-time code: whom to trust (a fingerprint) and how to be trusted (a secret).
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    /// For a terminal or for headquarters; never [`CodeKind::Recovery`].
    pub kind: CodeKind,
    /// First 80 bits of the hash of the key to trust: the store's root key, or HQ's key for the store.
    pub fingerprint: [u8; FINGERPRINT_BYTES],
    /// 80 random bits.
    pub secret: [u8; SECRET_BYTES],
}

impl Code {
    /// Reads what somebody typed or scanned.
    pub fn parse(kind: CodeKind, text: &str) -> Result<Self, CodeError> {
        let bytes: [u8; FINGERPRINT_BYTES + SECRET_BYTES] = read(text, kind)?;
        let (mut fingerprint, mut secret) = ([0; FINGERPRINT_BYTES], [0; SECRET_BYTES]);
        fingerprint.copy_from_slice(&bytes[..FINGERPRINT_BYTES]);
        secret.copy_from_slice(&bytes[FINGERPRINT_BYTES..]);
        Ok(Self { kind, fingerprint, secret })
    }
}

/// The code as people see it. It is a secret: show it once, log it never.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&write(&[self.fingerprint.as_slice(), &self.secret].concat(), self.kind))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The store's root key as a code: whoever holds it decides who is hub and who is headquarters. Kept offline.
#[derive(Clone, Debug)]
pub struct RecoveryCode(pub SecretKey);

impl RecoveryCode {
    /// Reads what somebody typed.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        read(text, CodeKind::Recovery).map(|seed| Self(SecretKey::from_seed(seed)))
    }
}

/// The code as people write it down.
impl fmt::Display for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&write(self.0.seed(), CodeKind::Recovery))
    }
}

fn write(bytes: &[u8], kind: CodeKind) -> String {
    let mut characters = to_base32(bytes);
    let check = (remainder(&characters) + kind.shift()) % MODULUS;
    characters.extend([five_bits(check >> 5), five_bits(check)]);
    let groups: Vec<String> = characters
        .chunks(GROUP)
        .map(|group| group.iter().map(|digit| char::from(ALPHABET[usize::from(*digit)])).collect())
        .collect();
    groups.join("-")
}

fn read<const N: usize>(text: &str, kind: CodeKind) -> Result<[u8; N], CodeError> {
    let wanted = characters_of(N);
    let digits = digits(text)?;
    if digits.len() != wanted {
        let other = CodeKind::ALL.into_iter().find(|other| *other != kind && fits(&digits, *other));
        return Err(match other {
            Some(found) => CodeError::OtherKind { found, wanted: kind },
            None => CodeError::Length { found: digits.len(), wanted },
        });
    }
    if !fits(&digits, kind) {
        let other = CodeKind::ALL.into_iter().find(|other| *other != kind && fits(&digits, *other));
        return Err(other.map_or(CodeError::Mistyped, |found| CodeError::OtherKind { found, wanted: kind }));
    }
    from_base32(&digits[..wanted - CHECK_CHARACTERS]).ok_or(CodeError::Mistyped)
}

/// Characters of a code over so many bytes, check characters included.
fn characters_of(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5) + CHECK_CHARACTERS
}

fn fits(digits: &[u8], kind: CodeKind) -> bool {
    let bytes = match kind {
        CodeKind::Enrol | CodeKind::JoinHq => FINGERPRINT_BYTES + SECRET_BYTES,
        CodeKind::Recovery => 32,
    };
    let Some((data, [high, low])) = digits.split_last_chunk::<CHECK_CHARACTERS>() else { return false };
    let check = u32::from(*high) << 5 | u32::from(*low);
    let expected = (remainder(data) + kind.shift()) % MODULUS;
    let check = if toko_crdt::mutant!("take-mistyped-codes") { expected } else { check };
    digits.len() == characters_of(bytes) && check == expected
}

fn digits(text: &str) -> Result<Vec<u8>, CodeError> {
    let mut digits = Vec::new();
    for (at, found) in text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_')).enumerate() {
        let upper = match found.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        let digit = ALPHABET.iter().position(|letter| char::from(*letter) == upper);
        let digit = digit.and_then(|digit| u8::try_from(digit).ok());
        digits.push(digit.ok_or(CodeError::Character { position: at + 1, found })?);
        if digits.len() > TEXT_BYTES_MAX {
            break;
        }
    }
    Ok(digits)
}

fn remainder(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |rest, digit| (rest * 32 + u32::from(*digit)) % MODULUS)
}

fn five_bits(value: u32) -> u8 {
    u8::try_from(value & 31).unwrap_or(0)
}

/// Big-endian; the last character is padded with zero bits.
fn to_base32(bytes: &[u8]) -> Vec<u8> {
    let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1);
    let characters = (bytes.len() * 8).div_ceil(5);
    (0..characters)
        .map(|at| (0..5).fold(0, |digit, step| digit << 1 | u8::from(bit(at * 5 + step))))
        .collect()
}

/// `None` where padding bits are not zero.
fn from_base32<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let bit = |at: usize| digits.get(at / 5).is_some_and(|digit| digit >> (4 - at % 5) & 1 == 1);
    if (N * 8..digits.len() * 5).any(bit) {
        return None;
    }
    let mut out = [0; N];
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = (0..8).fold(0, |byte, step| byte << 1 | u8::from(bit(at * 8 + step)));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> Code {
        Code { kind: CodeKind::Enrol, fingerprint: *b"abcdefghij", secret: *b"0123456789" }
    }

    #[test]
    fn a_code_has_one_form_for_ever() {
        assert_eq!(code().to_string(), "C5H66-S35CS-KPGTB-A60RK-4CSM6-MV3EE-1SW4");
        assert_eq!(code().to_string().len(), 34 + 6);
        assert_eq!(RecoveryCode(SecretKey::from_seed([0; 32])).to_string().len(), 54 + 10);
    }

    #[test]
    fn reading_forgives_case_blanks_dashes_and_look_alikes() {
        let text = code().to_string();
        let sloppy = text.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        assert_eq!(Code::parse(CodeKind::Enrol, &sloppy), Ok(code()));
        assert_eq!(Code::parse(CodeKind::Enrol, &text.replace('1', "I")), Ok(code()));
    }

    #[test]
    fn every_wrong_character_and_every_swap_of_neighbours_is_told() {
        let text = code().to_string().replace('-', "");
        for at in 0..text.len() {
            for letter in ALPHABET {
                let mut bad = text.clone().into_bytes();
                if bad[at] == *letter {
                    continue;
                }
                bad[at] = *letter;
                let bad = String::from_utf8(bad).unwrap();
                assert!(Code::parse(CodeKind::Enrol, &bad).is_err(), "{bad}");
            }
            let mut swapped = text.clone().into_bytes();
            if at + 1 < swapped.len() && swapped[at] != swapped[at + 1] {
                swapped.swap(at, at + 1);
                let swapped = String::from_utf8(swapped).unwrap();
                assert!(Code::parse(CodeKind::Enrol, &swapped).is_err(), "{swapped}");
            }
        }
    }

    #[test]
    fn a_code_for_something_else_says_what_it_is() {
        let hq = Code { kind: CodeKind::JoinHq, ..code() }.to_string();
        let wrong = CodeError::OtherKind { found: CodeKind::JoinHq, wanted: CodeKind::Enrol };
        assert_eq!(Code::parse(CodeKind::Enrol, &hq), Err(wrong));
        let recovery = RecoveryCode(SecretKey::from_seed([9; 32])).to_string();
        let wrong = CodeError::OtherKind { found: CodeKind::Recovery, wanted: CodeKind::Enrol };
        assert_eq!(Code::parse(CodeKind::Enrol, &recovery), Err(wrong));
    }

    #[test]
    fn what_is_no_code_is_told_by_place() {
        let error = Code::parse(CodeKind::Enrol, "AB-C!").unwrap_err();
        assert_eq!(error, CodeError::Character { position: 4, found: '!' });
        assert_eq!(Code::parse(CodeKind::Enrol, ""), Err(CodeError::Length { found: 0, wanted: 34 }));
        assert!(Code::parse(CodeKind::Enrol, &"A".repeat(100_000)).is_err());
    }

    #[test]
    fn the_recovery_code_brings_the_root_key_back() {
        let code = RecoveryCode(SecretKey::from_seed([0xa5; 32]));
        let again = RecoveryCode::parse(&code.to_string()).unwrap();
        assert_eq!(again.0.public(), code.0.public());
        assert!(!format!("{code:?}").contains("a5"));
    }
}
