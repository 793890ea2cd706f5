//! Reading a request's JSON by hand, so that whatever is wrong is named with its place: `lines[3].qty`.
//!
//! Unknown fields are refused. Money and quantities are strings: a JSON number would pass through somebody's floats.

use axum::http::StatusCode;
use serde_json::{Map, Value};
use toko_retail::currency::Currency;
use toko_retail::day::Day;
use toko_retail::money::{Money, Price};
use toko_retail::ops::limits::{CODE_CHARS_MAX, TEXT_CHARS_MAX, WORD_CHARS_MAX};
use toko_retail::qty::Qty;
use toko_retail::text;

use super::error::ApiError;
use super::json::{self, Problem};

/// What the person can do about a program that sends nonsense.
pub(super) const PROGRAM: &str = "The program that asked is wrong. Call for help.";

/// An object of the request that is being read.
#[derive(Debug)]
pub(super) struct Object {
    path: String,
    fields: Map<String, Value>,
}

impl Object {
    /// The request's body: an object, or nothing at all, which counts as an empty one.
    ///
    /// Errors: no JSON, or something else than an object.
    pub(super) fn body(bytes: &[u8]) -> Result<Self, ApiError> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self { path: String::new(), fields: Map::new() });
        }
        let value = json::read(bytes).map_err(|problem| match problem {
            Problem::Json(problem) => {
                ApiError::field("bad-json", PROGRAM, "", format!("the body is not JSON: {problem}"))
            }
            Problem::TooMuch => too_large("the body has too many values"),
        })?;
        Self::of(String::new(), value)
    }

    fn of(path: String, value: Value) -> Result<Self, ApiError> {
        match value {
            Value::Object(fields) => Ok(Self { path, fields }),
            other => Err(wrong_type(&path, "an object", &other)),
        }
    }

    /// The whole object in one form, whatever spaces and order it came in.
    #[must_use]
    pub(super) fn canonical(&mut self) -> String {
        let whole = Value::Object(std::mem::take(&mut self.fields));
        let text = whole.to_string();
        if let Value::Object(fields) = whole {
            self.fields = fields;
        }
        text
    }

    /// The place of a field of this object.
    #[must_use]
    pub(super) fn place(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    fn needed<T>(&self, name: &str, found: Option<T>) -> Result<T, ApiError> {
        found.ok_or_else(|| {
            let place = self.place(name);
            ApiError::field("missing-field", PROGRAM, &place, format!("{place} is missing"))
        })
    }

    /// A string, as it is.
    pub(super) fn plain(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(&self.place(name), "a string", &other)),
        }
    }

    /// A string that must be there.
    pub(super) fn plain_needed(&mut self, name: &str) -> Result<String, ApiError> {
        let found = self.plain(name)?;
        self.needed(name, found)
    }

    /// A person's text: one line, no card number; empty when absent.
    pub(super) fn text(&mut self, name: &'static str) -> Result<String, ApiError> {
        self.text_of(name, TEXT_CHARS_MAX)
    }

    /// An opaque id or a number of another system; empty when absent.
    pub(super) fn word(&mut self, name: &'static str) -> Result<String, ApiError> {
        self.text_of(name, WORD_CHARS_MAX)
    }

    fn text_of(&mut self, name: &'static str, max: usize) -> Result<String, ApiError> {
        let text = self.plain(name)?.unwrap_or_default();
        text::check_text(name, &text, max).map_err(|problem| {
            ApiError::field("bad-text", "Write the text differently.", &self.place(name), problem.to_string())
        })?;
        Ok(text)
    }

    /// An opaque id, if it is given.
    pub(super) fn word_given(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        Ok(Some(self.word(name)?).filter(|word| !word.is_empty()))
    }

    /// An item's name from the caller, if it is given.
    pub(super) fn name(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        Ok(Some(self.text(name)?).filter(|text| !text.trim().is_empty()))
    }

    /// A code as it was scanned, if it is given.
    pub(super) fn code(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        let Some(code) = self.plain(name)? else { return Ok(None) };
        check_code(&code, &self.place(name))?;
        Ok(Some(code))
    }

    /// A code that must be there.
    pub(super) fn code_needed(&mut self, name: &str) -> Result<String, ApiError> {
        let found = self.code(name)?;
        self.needed(name, found)
    }

    /// A quantity that must be there, as a decimal string.
    pub(super) fn qty(&mut self, name: &str) -> Result<Qty, ApiError> {
        let text = self.plain_needed(name)?;
        Qty::parse(&text).map_err(|problem| {
            ApiError::field("bad-quantity", "Check the quantity.", &self.place(name), problem.to_string())
        })
    }

    /// The price of one unit, if it is given, as a decimal string.
    pub(super) fn price(&mut self, name: &str, currency: Currency) -> Result<Option<Price>, ApiError> {
        let Some(text) = self.plain(name)? else { return Ok(None) };
        Price::parse(&text, currency).map(Some).map_err(|problem| {
            ApiError::field("bad-price", "Check the price.", &self.place(name), problem.to_string())
        })
    }

    /// An amount that must be there, as a decimal string, above zero.
    pub(super) fn amount(&mut self, name: &str, currency: Currency) -> Result<Money, ApiError> {
        let text = self.plain_needed(name)?;
        let place = self.place(name);
        let wrong = |log: String| ApiError::field("bad-amount", "Check the amount.", &place, log);
        let money = Money::parse(&text, currency).map_err(|problem| wrong(problem.to_string()))?;
        if money.is_negative() || money.is_zero() {
            return Err(wrong(format!("{money} is not above zero")));
        }
        Ok(money)
    }

    /// A day of the calendar, if it is given.
    pub(super) fn day(&mut self, name: &str) -> Result<Option<Day>, ApiError> {
        let Some(text) = self.plain(name)? else { return Ok(None) };
        parse_day(&text, &self.place(name)).map(Some)
    }

    /// A day that must be there.
    pub(super) fn day_needed(&mut self, name: &str) -> Result<Day, ApiError> {
        let found = self.day(name)?;
        self.needed(name, found)
    }

    /// Yes or no; no when absent.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, ApiError> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(wrong_type(&self.place(name), "true or false", &other)),
        }
    }

    /// A small number that counts, if it is given.
    pub(super) fn index(&mut self, name: &str) -> Result<Option<u16>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let small = value.as_u64().and_then(|number| u16::try_from(number).ok());
        small.map(Some).ok_or_else(|| wrong_type(&self.place(name), "a whole number from 0 to 65535", &value))
    }

    /// 32 bytes in hex, if they are given.
    pub(super) fn hash(&mut self, name: &str) -> Result<Option<[u8; 32]>, ApiError> {
        let Some(text) = self.plain(name)? else { return Ok(None) };
        parse_hash(&text, &self.place(name)).map(Some)
    }

    /// A list of objects; empty when absent.
    ///
    /// Errors: more than `max`.
    pub(super) fn objects(&mut self, name: &str, max: usize) -> Result<Vec<Self>, ApiError> {
        let place = self.place(name);
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) if values.len() > max => {
                let found = values.len();
                Err(ApiError::field(
                    "too-many",
                    "Make it two.",
                    &place,
                    format!("{found} {name}, {max} at most"),
                ))
            }
            Some(Value::Array(values)) => {
                let each = values.into_iter().enumerate();
                each.map(|(at, value)| Self::of(format!("{place}[{at}]"), value)).collect()
            }
            Some(other) => Err(wrong_type(&place, "a list", &other)),
        }
    }

    /// The end of the object.
    ///
    /// Errors: a field that nobody asked for.
    pub(super) fn done(self) -> Result<(), ApiError> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(name) => {
                let place = self.place(name);
                let log = format!("{place} is no field that is known here");
                Err(ApiError::field("unknown-field", PROGRAM, &place, log))
            }
        }
    }
}

/// More than one request may be.
pub(super) fn too_large(log: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "Make it two.", log)
}

/// Checks a code as it was scanned: something is there, short, printable.
pub(super) fn check_code(code: &str, place: &str) -> Result<(), ApiError> {
    let wrong = |log: String| Err(ApiError::field("bad-code", "Scan it again.", place, log));
    if code.trim().is_empty() {
        return wrong("the code is empty".to_owned());
    }
    match text::check_name("the code", code, CODE_CHARS_MAX) {
        Ok(()) => Ok(()),
        Err(problem) => wrong(problem.to_string()),
    }
}

/// Reads `2010-12-01`.
pub(super) fn parse_day(text: &str, place: &str) -> Result<Day, ApiError> {
    Day::parse(text)
        .map_err(|problem| ApiError::field("bad-day", "Check the date.", place, problem.to_string()))
}

/// Reads 32 bytes in hex.
pub(super) fn parse_hash(text: &str, place: &str) -> Result<[u8; 32], ApiError> {
    toko_crdt::hash::unhex(text).ok_or_else(|| bad_id(place, 64))
}

/// Reads 16 bytes in hex.
pub(super) fn parse_id(text: &str, place: &str) -> Result<[u8; 16], ApiError> {
    toko_crdt::hash::unhex(text).ok_or_else(|| bad_id(place, 32))
}

fn bad_id(place: &str, digits: usize) -> ApiError {
    ApiError::field("bad-id", PROGRAM, place, format!("{place} is not {digits} hex digits"))
}

fn wrong_type(place: &str, want: &str, got: &Value) -> ApiError {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    let whole = if place.is_empty() { "the body" } else { place };
    ApiError::field("wrong-type", PROGRAM, place, format!("{whole} must be {want}, not {got}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Object {
        Object::body(value.to_string().as_bytes()).unwrap()
    }

    fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>) -> (&'static str, String) {
        let error = result.unwrap_err();
        (error.code, error.field.unwrap_or_default())
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let gbp = Currency::parse("GBP").unwrap();
        let mut body = object(json!({ "lines": [{ "qty": "1" }, { "qty": 1.5 }], "amount": "1,5", "x": 1 }));
        let mut lines = body.objects("lines", 9).unwrap();
        assert_eq!(lines[0].qty("qty").unwrap(), Qty::ONE);
        assert_eq!(refused(lines[0].code_needed("code")), ("missing-field", "lines[0].code".into()));
        assert_eq!(refused(lines[1].qty("qty")), ("wrong-type", "lines[1].qty".into()));
        assert_eq!(refused(body.amount("amount", gbp)), ("bad-amount", "amount".into()));
        assert_eq!(refused(body.done()), ("unknown-field", "x".into()));
    }

    #[test]
    fn nothing_at_all_is_an_empty_object_and_a_list_is_none() {
        assert!(Object::body(b" \n").unwrap().done().is_ok());
        assert_eq!(refused(Object::body(b"[]")).0, "wrong-type");
        assert_eq!(refused(Object::body(b"{")).0, "bad-json");
    }

    #[test]
    fn card_numbers_and_control_characters_are_refused_in_texts() {
        let mut body =
            object(json!({ "memo": "paid 4111 1111 1111 1111", "note": "a\nb", "code": "\u{1b}" }));
        assert_eq!(refused(body.text("memo")), ("bad-text", "memo".into()));
        assert_eq!(refused(body.text("note")), ("bad-text", "note".into()));
        assert_eq!(refused(body.code("code")), ("bad-code", "code".into()));
    }

    #[test]
    fn an_amount_must_be_above_zero() {
        let gbp = Currency::parse("GBP").unwrap();
        for amount in ["0", "-1.00", "1.001", "", "1e3", "99999999999999999999"] {
            let mut body = object(json!({ "amount": amount }));
            assert_eq!(refused(body.amount("amount", gbp)), ("bad-amount", "amount".into()), "{amount}");
        }
    }
}
