//! JSON of a request, read within bounds: what it takes in memory is counted while it is read.
//!
//! Invariants: a request that any shop makes is read; one that would take more than [`ROOM_BYTES_MAX`], or some forty times
//! its own size, is refused before it does. An empty object costs two bytes to send and a block of eleven fields to hold.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// What the values of one request may take. *Source*: 4 000 lines that come back, each with all its fields.
const ROOM_BYTES_MAX: usize = 4 << 20;
/// What each byte of a request may take; a line with a code and a quantity, as short as they can be, takes 32.
const ROOM_PER_BYTE: usize = 40;
/// What any request may take.
const ROOM_BYTES_MIN: usize = 16 << 10;
/// What a value of a list takes while the list doubles its room.
const VALUE_BYTES: usize = 3 * size_of::<Value>();
/// Fields of a block of the tree that an object is, and how many a block has at least where there are several.
const FIELDS_MAX: usize = 11;
const FIELDS_MIN: usize = 5;
/// What such a block takes.
const BLOCK_BYTES: usize = FIELDS_MAX * (size_of::<Value>() + size_of::<String>()) + 16;

/// Why there is no value.
#[derive(Debug)]
pub(super) enum Problem {
    /// It is not JSON.
    Json(serde_json::Error),
    /// It takes more than it may.
    TooMuch,
}

/// Reads the whole of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Value, Problem> {
    let room = (bytes.len() * ROOM_PER_BYTE).clamp(ROOM_BYTES_MIN, ROOM_BYTES_MAX);
    let mut left = Some(room);
    let mut from = serde_json::Deserializer::from_slice(bytes);
    let value = Within(&mut left).deserialize(&mut from).and_then(|value| from.end().map(|()| value));
    match (value, left) {
        (Ok(value), _) => Ok(value),
        (Err(_), None) => Err(Problem::TooMuch),
        (Err(problem), Some(_)) => Err(Problem::Json(problem)),
    }
}

/// Reads a value into what is left of the room; `None` once there was too little.
struct Within<'a>(&'a mut Option<usize>);

impl Within<'_> {
    fn take<E: Error>(&mut self, bytes: usize) -> Result<(), E> {
        *self.0 = self.0.and_then(|left| left.checked_sub(bytes));
        if self.0.is_some() { Ok(()) } else { Err(E::custom("too much")) }
    }
}

impl<'de> DeserializeSeed<'de> for Within<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Within<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<Value, E> {
        self.take(text.len())?;
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(value) = list.next_element_seed(Within(&mut *self.0))? {
            self.take(VALUE_BYTES)?;
            out.push(value);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if out.is_empty() || out.len() >= FIELDS_MAX && out.len().is_multiple_of(FIELDS_MIN) {
                self.take(BLOCK_BYTES)?;
            }
            self.take(name.len())?;
            let value = fields.next_value_seed(Within(&mut *self.0))?;
            out.insert(name, value);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_json_reads_as_it_always_did() {
        for text in [
            "null",
            " {} ",
            r#"{"a":[1,-2,2.5,1e300,true,null,"x\u00e9"],"b":{"c":""}}"#,
            r#"{"a":1,"a":2}"#,
            "18446744073709551616",
        ] {
            let wanted: Value = serde_json::from_str(text).unwrap();
            assert_eq!(read(text.as_bytes()).unwrap(), wanted, "{text}");
        }
        for text in ["", "{", "[1,]", "{}x", "nul", "\"\u{1}\"", "1e999"] {
            let wanted = serde_json::from_str::<Value>(text).unwrap_err().to_string();
            assert!(
                matches!(read(text.as_bytes()), Err(Problem::Json(why)) if why.to_string() == wanted),
                "{text}"
            );
        }
        let deep = "[".repeat(100_000);
        assert!(matches!(read(deep.as_bytes()), Err(Problem::Json(_))));
    }

    #[test]
    fn the_largest_movement_fits_and_a_megabyte_of_objects_does_not() {
        let lines = |line: &str, count: usize| format!(r#"{{"lines":[{}]}}"#, vec![line; count].join(","));
        assert!(read(lines(r#"{"code":"1","qty":"1"}"#, 4_000).as_bytes()).is_ok());
        assert!(
            read(
                lines(r#"{"code":"5012345678900","qty":"-12.500","name":"AN ITEM","memo":""}"#, 4_000)
                    .as_bytes()
            )
            .is_ok()
        );
        for bomb in [r#"{"":0}"#, "[0]", "0", r#""""#, "{}"] {
            let text = lines(bomb, (1 << 20) / (bomb.len() + 1) - 20);
            assert!(matches!(read(text.as_bytes()), Err(Problem::TooMuch)), "{bomb}");
        }
    }
}
