//! What looks wrong, shown and never refused: the fold does not judge, a person does.

use toko_crdt::fold::{Kv, KvError, KvRead};
use toko_crdt::{CartId, EffectId};

use super::table::{FLAG, Key, Parts, mark_if, rows_below};
use crate::sale::ReceiptNumber;

/// Something a person should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Flag {
    /// Two terminals finished one cart; both sales stand.
    CartSoldTwice(CartId),
    /// More came back of a line than was sold.
    OverReturned {
        /// The original sale.
        sale: EffectId,
        /// Its line, counted from 0.
        line: u16,
    },
    /// Two receipts carry one number (their tags differ).
    NumberTwice(ReceiptNumber),
}

const CART_SOLD_TWICE: u8 = 1;
const OVER_RETURNED: u8 = 2;
const NUMBER_TWICE: u8 = 3;

/// Every flag.
pub fn flags(kv: &dyn KvRead) -> Result<Vec<Flag>, KvError> {
    rows_below(kv, &[FLAG])?.iter().map(|(key, _)| read_flag(key)).collect()
}

pub(super) fn set(kv: &mut dyn Kv, flag: Flag, raised: bool) -> Result<(), KvError> {
    mark_if(kv, &key(flag), raised)
}

pub(super) fn key(flag: Flag) -> Vec<u8> {
    let key = match flag {
        Flag::CartSoldTwice(cart) => Key::of(FLAG).byte(CART_SOLD_TWICE).bytes(&cart.0),
        Flag::OverReturned { sale, line } => Key::of(FLAG).byte(OVER_RETURNED).bytes(&sale.0).u16(line),
        Flag::NumberTwice(number) => {
            Key::of(FLAG).byte(NUMBER_TWICE).u16(number.terminal).u32(number.series).u64(number.counter)
        }
    };
    key.done()
}

fn read_flag(key: &[u8]) -> Result<Flag, KvError> {
    let mut parts = Parts::of(key);
    let [code] = parts.take()?;
    match code {
        CART_SOLD_TWICE => Ok(Flag::CartSoldTwice(CartId(parts.take()?))),
        OVER_RETURNED => Ok(Flag::OverReturned { sale: EffectId(parts.take()?), line: parts.u16()? }),
        NUMBER_TWICE => Ok(Flag::NumberTwice(ReceiptNumber {
            terminal: parts.u16()?,
            series: parts.u32()?,
            counter: parts.u64()?,
        })),
        _ => Err(KvError::corrupt("a flag's code")),
    }
}
