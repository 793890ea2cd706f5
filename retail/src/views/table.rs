//! Keys and values of the rows, in one place.

use serde::{Serialize, de::DeserializeOwned};
use toko_crdt::clock::Hlc;
use toko_crdt::codec;
use toko_crdt::fold::{Effect, Kv, KvError, KvRead};

use crate::currency::Currency;
use crate::money::Money;
use crate::ops::CurrencyV1;
use crate::qty::Qty;

pub(super) const SALE: u8 = 0x10;
pub(super) const NUMBER: u8 = 0x11;
pub(super) const SERIES: u8 = 0x12;
pub(super) const DAY_SALE: u8 = 0x13;
pub(super) const DAY_COUNTS: u8 = 0x14;
pub(super) const DAY_MONEY: u8 = 0x15;
pub(super) const DAY_TENDER: u8 = 0x16;
pub(super) const DAY_TAX: u8 = 0x17;
pub(super) const DAY_ITEM: u8 = 0x18;
pub(super) const STOCK: u8 = 0x19;
pub(super) const IDEM_BOOKS: u8 = 0x1a;
pub(super) const PRINT_ASK: u8 = 0x1b;
pub(super) const PRINT_EVENT: u8 = 0x1c;
pub(super) const PRINT_OPEN: u8 = 0x1d;
pub(super) const SHIFT: u8 = 0x1e;
pub(super) const SHIFT_CLOSED: u8 = 0x1f;
pub(super) const SHIFT_CASH: u8 = 0x20;
pub(super) const RETURNED: u8 = 0x21;
pub(super) const CART_SALE: u8 = 0x22;
pub(super) const BUNDLE: u8 = 0x23;
pub(super) const BUNDLE_ACTIVE: u8 = 0x24;
pub(super) const DAY_EVENT: u8 = 0x25;
pub(super) const FLAG: u8 = 0x26;
pub(super) const SHIFT_OPEN: u8 = 0x27;
pub(super) const BOOKS_SETTLED: u8 = 0x28;
pub(super) const DRAWER: u8 = 0x29;
pub(super) const DRAWER_OPEN: u8 = 0x2a;
pub(super) const DAY_DRAWERS: u8 = 0x2b;
pub(super) const DRAWER_LAST: u8 = 0x2c;
pub(super) const CUSTODY: u8 = 0x50;
pub(super) const TENDER: u8 = 0x51;
pub(super) const CART_CLOSED: u8 = 0x52;
pub(super) const IDEM_FLOOR: u8 = 0x53;
pub(super) const CART_OPEN: u8 = 0x54;
pub(super) const IDEM_OF_CART: u8 = 0x55;

/// A key in the making: table, then fixed-width parts, then at most one text at the end.
pub(super) struct Key(Vec<u8>);

impl Key {
    pub(super) fn of(table: u8) -> Key {
        Key(vec![table])
    }

    pub(super) fn byte(mut self, byte: u8) -> Key {
        self.0.push(byte);
        self
    }

    pub(super) fn u16(self, number: u16) -> Key {
        self.bytes(&number.to_be_bytes())
    }

    pub(super) fn u32(self, number: u32) -> Key {
        self.bytes(&number.to_be_bytes())
    }

    pub(super) fn u64(self, number: u64) -> Key {
        self.bytes(&number.to_be_bytes())
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Key {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn currency(self, currency: CurrencyV1) -> Key {
        self.bytes(&currency.code).byte(currency.exponent)
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a key from its front, behind the table byte.
pub(super) struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    pub(super) fn of(key: &'a [u8]) -> Parts<'a> {
        Parts(key.get(1..).unwrap_or_default())
    }

    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], KvError> {
        let (head, rest) =
            self.0.split_first_chunk::<N>().ok_or_else(|| KvError::corrupt("a key is too short"))?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn u16(&mut self) -> Result<u16, KvError> {
        self.take().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, KvError> {
        self.take().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, KvError> {
        self.take().map(u64::from_be_bytes)
    }

    pub(super) fn currency(&mut self) -> Result<Currency, KvError> {
        let code = self.take()?;
        let [exponent] = self.take()?;
        currency(CurrencyV1 { code, exponent })
    }

    pub(super) fn text(self) -> Result<String, KvError> {
        String::from_utf8(self.0.to_vec()).map_err(|_| KvError::corrupt("a key's text"))
    }
}

pub(super) fn value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, KvError> {
    codec::decode_plain("row", bytes).map_err(KvError::corrupt)
}

pub(super) fn read<T: DeserializeOwned>(kv: &dyn KvRead, key: &[u8]) -> Result<Option<T>, KvError> {
    kv.get(key)?.map(|bytes| value(&bytes)).transpose()
}

pub(super) fn write<T: Serialize>(kv: &mut dyn Kv, key: &[u8], row: &T) -> Result<(), KvError> {
    let mut bytes = Vec::new();
    codec::append(&mut bytes, row);
    kv.put(key, &bytes)
}

/// Reads a row (or its default), changes it, writes it back.
pub(super) fn update<T>(kv: &mut dyn Kv, key: &[u8], change: impl FnOnce(&mut T)) -> Result<(), KvError>
where
    T: Serialize + DeserializeOwned + Default,
{
    let mut row = read(kv, key)?.unwrap_or_default();
    change(&mut row);
    write(kv, key, &row)
}

/// A row that says all it has to say by being there.
pub(super) fn mark(kv: &mut dyn Kv, key: &[u8]) -> Result<(), KvError> {
    kv.put(key, &[])
}

/// Puts or removes a mark.
pub(super) fn mark_if(kv: &mut dyn Kv, key: &[u8], there: bool) -> Result<(), KvError> {
    match (there, kv.get(key)?.is_some()) {
        (true, false) => mark(kv, key),
        (false, true) => kv.delete(key),
        _ => Ok(()),
    }
}

/// Whether any row begins like this.
pub(super) fn any_below(kv: &dyn KvRead, prefix: &[u8]) -> Result<bool, KvError> {
    Ok(!rows_up_to(kv, prefix, prefix, 1)?.is_empty())
}

/// A key and its value.
pub(super) type Row = (Vec<u8>, Vec<u8>);

/// All rows that begin like this.
pub(super) fn rows_below(kv: &dyn KvRead, prefix: &[u8]) -> Result<Vec<Row>, KvError> {
    rows_up_to(kv, prefix, prefix, usize::MAX)
}

/// At most `limit` rows that begin like `prefix`, not below `from`.
pub(super) fn rows_up_to(
    kv: &dyn KvRead,
    prefix: &[u8],
    from: &[u8],
    limit: usize,
) -> Result<Vec<Row>, KvError> {
    let mut rows = Vec::new();
    if limit == 0 {
        return Ok(rows);
    }
    kv.scan_from(prefix, from, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        rows.len() < limit
    })?;
    Ok(rows)
}

/// A sum of stored numbers: 128 bits, wrapping, so that no set of ops can stop a node and the order never shows.
pub(super) fn add(sum: &mut i128, number: i64) {
    *sum = sum.wrapping_add(i128::from(number));
}

/// A sum as a quantity; one that no shop reaches shows as the largest there is.
pub(super) fn qty(sum: i128) -> Qty {
    Qty::milli(clamped(sum))
}

/// A sum as money; likewise.
pub(super) fn money(sum: i128, currency: Currency) -> Money {
    Money::minor(clamped(sum), currency)
}

fn clamped(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}

pub(super) fn currency(stored: CurrencyV1) -> Result<Currency, KvError> {
    Currency::stored(stored.code, stored.exponent).map_err(KvError::corrupt)
}

/// What orders the writes of a register: revision, clock, hash.
pub(super) type Rank = (u64, u64, u16, [u8; 32]);

pub(super) fn rank(effect: &Effect<'_>, revision: u64) -> Rank {
    let Hlc { micros, tick } = effect.entry.at();
    (revision, micros, tick, effect.id.0)
}
