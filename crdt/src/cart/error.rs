//! Why a cart did not change, and the limits that say so.

use crate::codec::CodecError;
use crate::hash::Hash;
use crate::ids::LineId;
use crate::stock::Milli;
use thiserror::Error;

/// Why a cart did not change. Lines, registers and changes are as they were.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CartError {
    /// A limit is reached.
    #[error("the cart holds {max} {what}, which is all it takes")]
    Full {
        /// Lines, steps, changes or registers.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// Bytes that are too many.
    #[error("{bytes} bytes of {what} where at most {bytes_max} are allowed")]
    TooLong {
        /// Facts or value.
        what: &'static str,
        /// What came.
        bytes: usize,
        /// What is allowed.
        bytes_max: usize,
    },
    /// A step of zero, or beyond [`super::STEP_MILLI_MAX`], or one that takes the line's quantity out of range.
    #[error("a step of {qty} thousandths is zero or too large", qty = qty.0)]
    Quantity {
        /// The step.
        qty: Milli,
    },
    /// The name of a register is empty, too long or not plain.
    #[error("a register cannot be called {name:?}")]
    Name {
        /// The name.
        name: String,
    },
    /// No such line was ever added.
    #[error("line {line} is not in the cart")]
    UnknownLine {
        /// The line.
        line: LineId,
    },
    /// The line was added before, with another step.
    #[error("line {line} is in the cart already")]
    KnownLine {
        /// The line.
        line: LineId,
    },
    /// A change that is named is not visible here.
    #[error("change {head} has not arrived")]
    UnknownHead {
        /// The change.
        head: Hash,
    },
    /// Changes of this very run are missing or stand aside: to write now would reuse a number. Open the cart with all of
    /// them, or under a new run.
    #[error("this run's own changes to the cart are not all here")]
    Behind,
    /// The bytes are no raw change.
    #[error("not a cart change")]
    Change(#[source] CodecError),
    /// Automerge failed. The document is made anew from the changes at the next call.
    #[error("the cart's document failed")]
    Document,
}

pub(super) fn check_len(what: &'static str, bytes: &[u8], bytes_max: usize) -> Result<(), CartError> {
    let bytes = bytes.len();
    if bytes > bytes_max { Err(CartError::TooLong { what, bytes, bytes_max }) } else { Ok(()) }
}

pub(super) fn check_room(what: &'static str, have: usize, max: usize) -> Result<(), CartError> {
    if have >= max { Err(CartError::Full { what, max }) } else { Ok(()) }
}
