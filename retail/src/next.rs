//! The version after this one, rehearsed: what a later build may do to our bytes, so that two real builds can be tried
//! against each other before there is a second release.
//!
//! It knows one more variant of an op (goods that moved, with a delivery note), one more version byte of ops (a closed day,
//! with the build that closed it), and one more field behind the facts of a cart's line. It writes them wherever this build
//! writes the older form, and reads both. Only the feature `next` compiles it, and not in a release.

#[cfg(not(debug_assertions))]
compile_error!("the feature `next` rehearses a version that does not exist; no release is built with it");

use serde::{Deserialize, Serialize};
use toko_crdt::codec::{self, CodecError};

use crate::ops::{Idem, OP_BYTES_MAX, OP_VERSION, OpKind, OpV1, StockMovedV1, What};

/// The version byte of [`OpV2`].
const OP_VERSION_NEXT: u8 = 2;
/// The number behind the last variant of [`What`].
#[expect(clippy::cast_possible_truncation, reason = "an op has not so many kinds")]
const MOVED: u8 = OpKind::ALL.len() as u8;

/// The shape of an [`OpV1`] whose `what` is a variant that it does not have.
#[derive(Serialize, Deserialize)]
struct MovedV2 {
    idem: Option<Idem>,
    variant: u8,
    moved: StockMovedV1,
    delivery: String,
}

#[derive(Serialize, Deserialize)]
struct OpV2 {
    idem: Option<Idem>,
    what: What,
    build: String,
}

/// The newer form of an op, where it has one.
pub(crate) fn encode(op: &OpV1) -> Option<Vec<u8>> {
    match &op.what {
        What::StockMoved(moved) => {
            let moved =
                MovedV2 { idem: op.idem, variant: MOVED, moved: moved.clone(), delivery: "D-1".into() };
            Some(codec::encode(OP_VERSION, &moved))
        }
        What::DayClosed(_) => {
            let op = OpV2 { idem: op.idem, what: op.what.clone(), build: "next".into() };
            Some(codec::encode(OP_VERSION_NEXT, &op))
        }
        _ => None,
    }
}

/// An op in its newer form, as this version's fold takes it.
pub(crate) fn decode(bytes: &[u8]) -> Option<Result<OpV1, CodecError>> {
    match (bytes.first(), peek(bytes)?) {
        (Some(&OP_VERSION_NEXT), _) => {
            let op = codec::decode::<OpV2>("op", OP_VERSION_NEXT, bytes, OP_BYTES_MAX);
            Some(op.map(|op| OpV1 { idem: op.idem, what: op.what }))
        }
        (_, OpKind::StockMoved) if is_moved(bytes) => {
            let op = codec::decode::<MovedV2>("op", OP_VERSION, bytes, OP_BYTES_MAX);
            Some(op.map(|op| OpV1 { idem: op.idem, what: What::StockMoved(op.moved) }))
        }
        _ => None,
    }
}

/// The kind of an op in its newer form.
pub(crate) fn peek(bytes: &[u8]) -> Option<OpKind> {
    match bytes.split_first()? {
        (&OP_VERSION_NEXT, rest) => OpKind::peek(&[&[OP_VERSION], rest].concat()),
        _ if is_moved(bytes) => Some(OpKind::StockMoved),
        _ => None,
    }
}

fn is_moved(bytes: &[u8]) -> bool {
    matches!(bytes, [OP_VERSION, 0, MOVED, ..])
        || (bytes.starts_with(&[OP_VERSION, 1]) && bytes.get(34) == Some(&MOVED))
}

/// What stands behind the facts of a line.
pub(crate) fn facts() -> Vec<u8> {
    codec::encode(1, &"serial number 17")
}
