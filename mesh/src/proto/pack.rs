//! Frames that travel smaller than they are: LZ4, each by itself, without a memory of the ones before.
//!
//! A packed frame holds another one. Its body is `bytes of the frame u32 LE | bytes of the block u32 LE | block | zeros`. So many
//! zeros follow that nothing unpacks to more than [`TIMES_MAX`] times what came, whoever sends it.
//!
//! Only who said that it reads packed frames is sent any ([`UNPACKS_FROM`]). Names, codes and prices shrink, hashes and signatures
//! do not: a sale by itself to three quarters, a frame full of sales to three fifths.

use lz4_flex::block::{compress, decompress_into};

/// The protocol version from which a build reads packed frames.
pub(super) const UNPACKS_FROM: u8 = 2;
/// A frame never unpacks to more than so many times the bytes that came. The packed one is let go of before what it holds is read,
/// and so a reader holds no more than twice this for each byte at any moment.
pub(super) const TIMES_MAX: usize = 2;
/// Frames that are shorter travel as they are.
const BYTES_MIN: usize = 512;
const NUMBERS: usize = 8;

/// The body of a packed frame that holds `frame`, which begins behind its length field. `None` where it would be hardly smaller.
pub(super) fn pack(frame: &[u8]) -> Option<Vec<u8>> {
    if frame.len() < BYTES_MIN {
        return None;
    }
    let block = compress(frame);
    let bytes = (NUMBERS + block.len()).max(frame.len().div_ceil(TIMES_MAX));
    if bytes > frame.len() - frame.len() / 8 {
        return None;
    }
    let mut body = Vec::with_capacity(bytes);
    for number in [frame.len(), block.len()] {
        body.extend_from_slice(&u32::try_from(number).ok()?.to_le_bytes());
    }
    body.extend_from_slice(&block);
    body.resize(bytes, 0);
    Some(body)
}

/// The frame that a body holds, as it stands behind its length field. `None` for what nobody packed so.
pub(super) fn unpack(body: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let (bytes, rest) = number(body)?;
    let (block, rest) = number(rest)?;
    let is_bounded = bytes <= bytes_max.min(body.len().saturating_mul(TIMES_MAX));
    if !is_bounded && !toko_crdt::mutant!("believe-a-packed-length") {
        return None;
    }
    let (block, zeros) = rest.split_at_checked(block)?;
    if zeros.iter().any(|byte| *byte != 0) {
        return None;
    }
    let mut frame = vec![0; bytes];
    (decompress_into(block, &mut frame).ok()? == bytes).then_some(frame)
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BYTES: usize = 64 * 1024;

    proptest! {
        #[test]
        fn what_is_packed_is_smaller_bounded_and_comes_back(
            words in prop::collection::vec("[a-z]{1,9} ", 1..400),
            noise in prop::collection::vec(any::<u8>(), 0..2_000),
        ) {
            let frame = [words.concat().as_bytes(), &noise].concat();
            if let Some(body) = pack(&frame) {
                prop_assert!(body.len() < frame.len() && frame.len() <= body.len() * TIMES_MAX);
                prop_assert_eq!(unpack(&body, BYTES), Some(frame));
            }
        }

        #[test]
        fn any_bytes_unpack_to_a_bounded_frame_or_to_none(body in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Some(frame) = unpack(&body, BYTES) {
                prop_assert!(frame.len() <= body.len() * TIMES_MAX);
            }
        }
    }

    #[test]
    fn what_shrinks_without_end_is_filled_up_and_a_bomb_is_refused() {
        let frame = vec![b'x'; 60_000];
        let body = pack(&frame).unwrap();
        assert_eq!((body.len(), unpack(&body, BYTES)), (30_000, Some(frame)));
        // The same block without the zeros behind it.
        let block = usize::try_from(u32::from_le_bytes([body[4], body[5], body[6], body[7]])).unwrap();
        assert_eq!(unpack(&body[..NUMBERS + block], BYTES), None);
        assert_eq!(unpack(&body, 59_999), None, "larger than a frame");
        let mut other = body.clone();
        other[29_999] = 1;
        assert_eq!(unpack(&other, BYTES), None, "zeros only");
        other.truncate(NUMBERS - 1);
        assert_eq!(unpack(&other, BYTES), None);
    }

    #[test]
    fn what_is_short_or_does_not_shrink_travels_as_it_is() {
        assert_eq!(pack(&[b'x'; BYTES_MIN - 1]), None);
        let noise: Vec<u8> =
            (0..80_u32).flat_map(|n| toko_crdt::Hash::of("noise", &[&n.to_le_bytes()]).0).collect();
        assert_eq!(pack(&noise), None);
    }
}
