//! SHA-256 with a domain in front, so that a hash of one kind of thing is never a hash of another.

use ring::digest;
use std::fmt;

/// A SHA-256 digest. *Shape*: 32 bytes; [`Hash::ZERO`] stands for "nothing before".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What stands where there is nothing before: the `prev` of a journal's first entry.
    pub const ZERO: Self = Self([0; 32]);

    /// Hashes `parts`, one after the other, below `domain`.
    ///
    /// Source: each domain ends in a zero byte, so no domain is a prefix of another one with its data.
    #[must_use]
    pub fn of(domain: &str, parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(domain.as_bytes());
        context.update(&[0]);
        for part in parts {
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        Self(out)
    }

    /// Plain SHA-256, where somebody else's format asks for it.
    pub(crate) fn sha256(bytes: &[u8]) -> Self {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(out)
    }

    /// The first eight hex digits: enough for a log line, never for identity.
    #[must_use]
    pub fn short(&self) -> String {
        hex(&self.0[..4])
    }
}

/// Lower-case hex of some bytes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    text
}

/// Reads lower- or upper-case hex of exactly `N` bytes; `None` when it is anything else.
#[must_use]
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != N * 2 {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(out)
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_separate_equal_data() {
        assert_ne!(Hash::of("a", &[b"b"]), Hash::of("ab", &[b""]));
        assert_eq!(Hash::of("a", &[b"b", b"c"]), Hash::of("a", &[b"bc"]));
    }

    #[test]
    fn hex_reads_back_and_refuses_what_is_not_hex() {
        let hash = Hash::of("x", &[]);
        assert_eq!(unhex::<32>(&hash.to_string()), Some(hash.0));
        assert_eq!(unhex::<2>("12g4"), None);
        assert_eq!(unhex::<2>("123"), None);
    }
}
