//! Stock: a ledger of movements, whose sum is what is there. Exact, because each effect folds once.
//!
//! A PN-counter in effect (Shapiro et al., INRIA RR-7506), without its per-replica table: journals already see to it that
//! a movement counts once. The cost of a movement does not depend on history. Stock below zero is shown, never refused.

use crate::fold::{Kv, KvError, KvRead};

/// Thousandths of the sales unit, signed: 1.250 kg is `Milli(1_250)`, three pieces are `Milli(3_000)`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Milli(pub i64);

/// Adds a movement to the counter at `key`; a sum of zero that was written once stays written.
///
/// Errors: of the views, or a sum beyond 63 bits, which no shop reaches and which is then corrupt.
pub fn add(kv: &mut dyn Kv, key: &[u8], movement: Milli) -> Result<Milli, KvError> {
    let before = read(kv, key)?;
    let after = before
        .0
        .checked_add(movement.0)
        .map(Milli)
        .ok_or_else(|| KvError::corrupt("a stock sum overflows"))?;
    kv.put(key, &after.0.to_be_bytes())?;
    Ok(after)
}

/// The sum at `key`; zero where nothing ever moved.
pub fn read(kv: &dyn KvRead, key: &[u8]) -> Result<Milli, KvError> {
    match kv.get(key)? {
        None => Ok(Milli(0)),
        Some(value) => match value.as_slice().try_into() {
            Ok(bytes) => Ok(Milli(i64::from_be_bytes(bytes))),
            Err(_) => Err(KvError::corrupt("a stock sum has another length")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::MapKv;

    #[test]
    fn movements_add_up_below_zero_too() {
        let mut kv = MapKv::default();
        for movement in [5_000, -7_250, 1_000] {
            add(&mut kv, b"tin", Milli(movement)).unwrap();
        }
        assert_eq!(read(&kv, b"tin").unwrap(), Milli(-1_250));
        assert_eq!(read(&kv, b"jar").unwrap(), Milli(0));
    }
}
