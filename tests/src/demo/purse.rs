//! What a customer pays with: chosen by the invoice number, so that the same sheet pays alike each time.
//!
//! Invariants: whole pennies, no floats; cash may be more than is due, a card never is.

use serde_json::{Value, json};

use crate::oracle::pounds;
use crate::sheet::{Line, Price};

/// The note or coin to which a customer with too much cash rounds up, in pennies.
const NOTE: i64 = 500;
/// The terminal that authorised every card of the demo.
const CARD_TERMINAL: &str = "PED-1";

/// A price in millionths, so that `2.5` and `2.50` are one price.
pub fn millionths(price: &Price) -> i128 {
    let text = price.as_str();
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    // At most 12 and 6 digits, which `Price` sees to.
    let number = format!("{whole}{part:0<6}").parse::<i128>().unwrap_or_default();
    sign * number
}

/// Pieces × price in pennies, half a penny away from 0.
pub fn worth(line: &Line) -> i64 {
    let value = i128::from(line.quantity) * millionths(&line.price);
    let rounded = (value.abs() + 5_000) / 10_000;
    i64::try_from(rounded * value.signum()).unwrap_or(i64::MAX)
}

/// `12.34` as pennies.
pub fn pennies(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, part) = digits.split_once('.')?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(part) || part.len() != 2 {
        return None;
    }
    Some(sign * format!("{whole}{part}").parse::<i64>().ok()?)
}

/// The tenders of a sale that comes to `due`: none for what is free, else cash, cash with change, or a card.
pub fn pay(invoice: &str, due: i64) -> Value {
    let number = number_of(invoice);
    match number % 3 {
        _ if due == 0 => json!([]),
        0 => json!([{ "kind": "cash", "amount": pounds(due) }]),
        1 => json!([{ "kind": "cash", "amount": pounds((due / NOTE + 1) * NOTE) }]),
        _ => json!([card(number, due)]),
    }
}

/// The tenders of a return worth `back`, which is above 0 or nothing.
pub fn give_back(invoice: &str, back: i64) -> Value {
    let number = number_of(invoice);
    match number % 2 {
        _ if back == 0 => json!([]),
        0 => json!([{ "kind": "cash", "amount": pounds(back) }]),
        _ => json!([card(number, back)]),
    }
}

fn card(number: u64, amount: i64) -> Value {
    json!({
        "kind": "card",
        "amount": pounds(amount),
        "approval_code": format!("A{:06}", number % 1_000_000),
        "terminal_id": CARD_TERMINAL,
        "last_four": format!("{:04}", number % 10_000),
    })
}

fn number_of(invoice: &str) -> u64 {
    let digits: String = invoice.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_the_same_however_it_is_written() {
        let price = |text| millionths(&Price::parse(text).unwrap());
        assert_eq!(price("2.5"), price("2.50"));
        assert_eq!(price("0.001"), 1_000);
        assert_eq!(price("-7"), -7_000_000);
    }

    #[test]
    fn money_reads_back() {
        for amount in [0, 5, -5, 5_863_556] {
            assert_eq!(pennies(&pounds(amount)), Some(amount));
        }
        assert_eq!(
            (pennies("1"), pennies("1.5"), pennies("x.yz"), pennies("1.-2")),
            (None, None, None, None)
        );
    }

    #[test]
    fn cash_with_change_is_more_than_is_due_and_a_card_is_exact() {
        assert_eq!(pay("536367", 1_530), json!([{ "kind": "cash", "amount": "15.30" }]));
        assert_eq!(pay("536365", 1_500), json!([{ "kind": "cash", "amount": "20.00" }]));
        assert_eq!(pay("536366", 1_530)[0]["kind"], "card");
        assert_eq!(pay("536365", 0), json!([]));
        assert_eq!(give_back("C536379", 2_750)[0]["amount"], "27.50");
    }
}
