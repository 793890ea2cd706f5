//! Examples and laws of money, also against exact rational arithmetic.

use proptest::prelude::*;

use super::*;

fn gbp() -> Currency {
    Currency::parse("GBP").unwrap()
}

fn price(text: &str) -> Price {
    Price::parse(text, gbp()).unwrap()
}

#[test]
fn amounts_are_read_and_written_exactly() {
    for (text, minor) in [("0", 0), ("12.5", 1250), ("-0.05", -5), ("1200", 120_000), ("0.10", 10)] {
        assert_eq!(Money::parse(text, gbp()).unwrap().minor_units(), minor, "{text}");
    }
    assert_eq!(Money::minor(-5, gbp()).to_string(), "-0.05 GBP");
    assert_eq!(Money::minor(1250, Currency::parse("JPY").unwrap()).to_string(), "1250 JPY");
    assert_eq!(Money::minor(1250, Currency::parse("KWD").unwrap()).to_string(), "1.250 KWD");
}

#[test]
fn what_is_no_amount_is_named() {
    for bad in ["", ".", "1.", ".5", "1,50", "1e3", "+1", "--1", "£1", " 1", "1 ", "٣"] {
        assert!(matches!(Money::parse(bad, gbp()), Err(MoneyError::NotANumber(_))), "{bad}");
    }
    assert!(matches!(
        Money::parse("1.005", gbp()),
        Err(MoneyError::TooManyDecimals { found: 3, max: 2, .. })
    ));
    assert_eq!(Money::parse("92233720368547758.08", gbp()), Err(MoneyError::TooLarge));
    assert_eq!(Money::parse("-92233720368547758.08", gbp()).unwrap().minor_units(), i64::MIN);
}

#[test]
fn a_line_is_quantity_times_price_rounded_half_up() {
    for (each, milli, value) in [
        ("2.55", 6_000, 1530),
        ("0.001", 1_000, 0),
        ("0.005", 1_000, 1),
        ("0.005", -1_000, -1),
        ("1.599", 37_210, 5950),
        ("0.85", 74_215_000, 6_308_275),
        ("0", 74_215_000, 0),
    ] {
        assert_eq!(price(each).times(Qty::milli(milli)).unwrap().minor_units(), value, "{each} x {milli}");
    }
}

#[test]
fn a_price_prints_at_least_the_decimals_of_its_currency() {
    for (text, shown) in [("2.5", "2.50"), ("0.001", "0.001"), ("7", "7.00"), ("1.599000", "1.599")] {
        assert_eq!(price(text).amount(), shown);
    }
    assert!(Price::parse("-1", gbp()).is_err());
    assert!(Price::parse("0.0000001", gbp()).is_err());
}

#[test]
fn two_currencies_never_add_up() {
    let yen = Money::minor(5, Currency::parse("JPY").unwrap());
    let error = Money::minor(5, gbp()).plus(yen).unwrap_err();
    assert_eq!(error.to_string(), "GBP and JPY cannot be added up");
}

#[test]
fn cash_steps_round_both_ways() {
    for (minor, step, to) in
        [(1298, 5, 1300), (1297, 5, 1295), (-1298, 5, -1300), (1250, 100, 1300), (7, 1, 7)]
    {
        assert_eq!(Money::minor(minor, gbp()).to_cash_step(step).unwrap().minor_units(), to);
    }
}

#[test]
fn the_largest_amounts_are_refused_not_wrapped() {
    let most = Money::minor(i64::MAX, gbp());
    assert_eq!(most.plus(Money::minor(1, gbp())), Err(MoneyError::TooLarge));
    assert_eq!(Money::minor(i64::MIN, gbp()).negated(), Err(MoneyError::TooLarge));
    let dear = Price::micros(i64::MAX, gbp()).unwrap();
    assert_eq!(dear.times(Qty::milli(i64::MAX)), Err(MoneyError::TooLarge));
    assert_eq!(most.share(1, 0), Err(MoneyError::TooLarge));
}

proptest! {
    #[test]
    fn what_is_written_reads_back(minor in any::<i64>(), which in 0_usize..165) {
        let currency = Currency::all().nth(which).unwrap();
        let money = Money::minor(minor, currency);
        prop_assert_eq!(Money::parse(&money.amount(), currency).unwrap(), money);
    }

    #[test]
    fn line_values_equal_exact_integer_rounding(micros in 0_i64..10_i64.pow(12), milli in -10_i64.pow(9)..10_i64.pow(9)) {
        let value = Price::micros(micros, gbp()).unwrap().times(Qty::milli(milli));
        // micros x milli / 10^9 major units = / 10^7 pence
        let exact = round_ratio(i128::from(micros), i128::from(milli), 10_i128.pow(7));
        prop_assert_eq!(value.ok().map(Money::minor_units), exact);
    }

    #[test]
    fn a_return_is_the_exact_negative_of_its_sale(micros in 0_i64..10_i64.pow(10), milli in 0_i64..10_i64.pow(8)) {
        let each = Price::micros(micros, gbp()).unwrap();
        let sold = each.times(Qty::milli(milli)).unwrap();
        prop_assert_eq!(each.times(Qty::milli(-milli)).unwrap(), sold.negated().unwrap());
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,24}|[-0-9.]{0,24}") {
        let _ = Money::parse(&text, gbp());
        let _ = Price::parse(&text, gbp());
    }
}
