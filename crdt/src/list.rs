//! Lists as they are stored and sent: how many there are is judged before room is made for them.
//!
//! The form is postcard's own; only the reading differs. Room grows with what was read, never past what was claimed, so a
//! list that claims too much costs nothing, and one that holds what it claims has no slack.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// What a list has room for at first.
const FIRST: usize = 4;

/// For `#[serde(deserialize_with)]`: a list of at most `MAX`.
///
/// Errors: a list that claims or holds more; nothing was made for what it claimed.
pub fn at_most<'de, const MAX: usize, T, D>(from: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    from.deserialize_seq(AtMost::<MAX, T>(PhantomData))
}

struct AtMost<const MAX: usize, T>(PhantomData<T>);

impl<'de, const MAX: usize, T: Deserialize<'de>> Visitor<'de> for AtMost<MAX, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let claimed = list.size_hint().unwrap_or(MAX);
        let too_many = || A::Error::invalid_length(claimed.max(MAX), &self);
        if claimed > MAX {
            return Err(too_many());
        }
        let mut out = Vec::new();
        while let Some(next) = list.next_element()? {
            if out.len() == out.capacity() {
                let left = claimed.saturating_sub(out.len());
                if left == 0 {
                    return Err(too_many());
                }
                out.reserve_exact(out.len().max(FIRST).min(left));
            }
            out.push(next);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use serde::Serialize;

    #[derive(Debug, PartialEq, Serialize)]
    #[serde(transparent)]
    struct Three(Vec<u32>);

    impl<'de> Deserialize<'de> for Three {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            at_most::<3, _, _>(from).map(Three)
        }
    }

    fn read(bytes: &[u8]) -> Option<Three> {
        codec::decode("three", 1, bytes, 1_000).ok()
    }

    #[test]
    fn a_list_has_the_form_that_it_always_had_and_no_more_than_it_may() {
        for some in 0..=3 {
            let list: Vec<u32> = (0..some).map(|at| at * 300).collect();
            let bytes = codec::encode(1, &list);
            let Three(back) = read(&bytes).unwrap();
            assert!(back.capacity() == back.len() && back == list);
        }
        assert_eq!(read(&codec::encode(1, &[1_u32, 2, 3, 4])), None);
    }

    #[test]
    fn a_list_that_claims_more_than_it_holds_is_none() {
        assert_eq!(read(&[1, 3, 1, 2]), None);
        assert_eq!(read(&[1, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3, 4, 5]), None);
    }
}
