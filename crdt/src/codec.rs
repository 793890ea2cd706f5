//! The one door to postcard: what is kept or signed is encoded and decoded here.
//!
//! Types that pass are separate `…V1` structs of plain fields. Their format is postcard's documented one
//! (<https://postcard.jamesmunns.com/wire-format>); golden bytes in `tests/golden.rs` hold it still. Lengths are checked
//! before anything is read, and what is left over is an error, so that one value has one encoding that we accept.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

/// Why some bytes are not what they should be. Nothing was taken from them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// More bytes than this kind of thing may have.
    #[error("{bytes} bytes where at most {bytes_max} are allowed")]
    TooLong {
        /// What came.
        bytes: usize,
        /// What is allowed.
        bytes_max: usize,
    },
    /// A version that this build does not know; a newer one may.
    #[error("version {found} of {what}, this build knows up to {known}")]
    Version {
        /// Kind of thing.
        what: &'static str,
        /// The version byte that was there.
        found: u8,
        /// The newest version known.
        known: u8,
    },
    /// Not the shape that it claims to be.
    #[error("{what} does not decode")]
    Malformed {
        /// Kind of thing.
        what: &'static str,
    },
    /// Bytes after the end.
    #[error("{left} bytes left over after {what}")]
    Trailing {
        /// Kind of thing.
        what: &'static str,
        /// How many.
        left: usize,
    },
}

/// Encodes a `…V1` value behind its version byte.
#[must_use]
pub fn encode<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    let mut out = vec![version];
    append(&mut out, value);
    out
}

/// Encodes a value behind what is already in `out`.
pub fn append<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    let start = std::mem::take(out);
    *out = postcard::to_extend(value, start).expect("plain fields always encode into memory");
}

/// Decodes a `…V1` value behind its version byte: `known` is the one version that `T` is of.
///
/// Errors: too long, another version, malformed, or bytes left over.
pub fn decode<T: DeserializeOwned>(
    what: &'static str,
    known: u8,
    bytes: &[u8],
    bytes_max: usize,
) -> Result<T, CodecError> {
    decode_borrowed(what, known, bytes, bytes_max)
}

/// Likewise, for values that keep pointing into the bytes.
pub fn decode_borrowed<'a, T: Deserialize<'a>>(
    what: &'static str,
    known: u8,
    bytes: &'a [u8],
    bytes_max: usize,
) -> Result<T, CodecError> {
    check_len(bytes, bytes_max)?;
    match bytes.split_first() {
        Some((version, rest)) if *version == known => decode_plain(what, rest),
        Some((version, _)) => Err(CodecError::Version { what, found: *version, known }),
        None => Err(CodecError::Malformed { what }),
    }
}

/// Decodes the beginning of a value to which later builds add fields behind: what stands there is theirs and is not looked at.
/// Only for what is kept whole and never written again from what was read.
///
/// Errors: too long, another version, or malformed.
pub fn decode_beginning<T: DeserializeOwned>(
    what: &'static str,
    known: u8,
    bytes: &[u8],
    bytes_max: usize,
) -> Result<T, CodecError> {
    check_len(bytes, bytes_max)?;
    match bytes.split_first() {
        Some((version, rest)) if *version == known => {
            let (value, _) = postcard::take_from_bytes(rest).map_err(|_| CodecError::Malformed { what })?;
            Ok(value)
        }
        Some((version, _)) => Err(CodecError::Version { what, found: *version, known }),
        None => Err(CodecError::Malformed { what }),
    }
}

/// Decodes a value that has its version elsewhere.
///
/// Errors: malformed, or bytes left over.
pub fn decode_plain<'a, T: Deserialize<'a>>(what: &'static str, bytes: &'a [u8]) -> Result<T, CodecError> {
    match postcard::take_from_bytes::<T>(bytes) {
        Ok((value, rest)) if rest.is_empty() || crate::mutant!("accept-trailing-bytes") => Ok(value),
        Ok((_, rest)) => Err(CodecError::Trailing { what, left: rest.len() }),
        Err(_) => Err(CodecError::Malformed { what }),
    }
}

/// Bytes as bytes, for `#[serde(with)]`: the same form as a list of bytes, without a call and without a copy for each.
pub(crate) mod raw {
    use serde::de::{Deserializer, Visitor};
    use serde::ser::Serializer;
    use std::borrow::Cow;
    use std::fmt;

    #[expect(clippy::ptr_arg, reason = "serde hands over the field as it is declared")]
    pub(crate) fn serialize<S: Serializer>(bytes: &Cow<'_, [u8]>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Cow<'de, [u8]>, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Cow<'de, [u8]>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(bytes))
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(Cow::Owned(bytes.to_vec()))
            }
        }
        from.deserialize_bytes(Bytes)
    }
}

/// Refuses more than `bytes_max` bytes.
pub fn check_len(bytes: &[u8], bytes_max: usize) -> Result<(), CodecError> {
    if bytes.len() > bytes_max && !crate::mutant!("skip-length-check") {
        Err(CodecError::TooLong { bytes: bytes.len(), bytes_max })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_than_its_cap_is_refused_before_it_is_read() {
        let bytes = encode(1, &vec![7_u8; 9]);
        let too_long = CodecError::TooLong { bytes: 11, bytes_max: 10 };
        assert_eq!(decode::<Vec<u8>>("nine bytes", 1, &bytes, 10), Err(too_long.clone()));
        assert_eq!(decode::<Vec<u8>>("nine bytes", 1, &bytes, 11).unwrap(), [7; 9]);
        // The cap comes first: of nonsense as well, nothing but its length is looked at.
        assert_eq!(decode::<Vec<u8>>("nonsense", 1, &[0xff; 11], 10), Err(too_long));
    }
}
