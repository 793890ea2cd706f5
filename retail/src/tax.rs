//! Percentage taxes: included in the price or added on top, on all or on part of the net value.
//!
//! Invariants: for an included tax, net + taxes is exactly the value; the taxes of the lines add up to the totals to the last
//! minor unit under either rounding; the tax of a return is the exact negative of the same sale. Computed in whole numbers
//! (a ratio is rounded once, half away from zero). Absent on purpose: which tax applies when and to whom. The catalogue says.

use crate::currency::Currency;
use crate::money::{Money, MoneyError, parse_scaled};
use crate::text::{TextError, check_given};

/// One tax: a rate, and the part of the net value that it is on.
///
/// Shape: up to 1000 %, in steps of 0.0001 %; the part is between 0 and 1. Indonesia's PPN is 12 % on 11/12.
/// Source: PMK 131/2024 for the fraction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaxRate {
    name: String,
    rate_ppm: u32,
    base: (u16, u16),
}

/// The taxes on an item, under one code.
///
/// Shape: 1 to 4 taxes, all included in the price or all on top.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaxGroup {
    code: String,
    included: bool,
    rates: Vec<TaxRate>,
}

/// When the tax is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum TaxRounding {
    /// On each line; totals are the sums of what stands on the lines.
    #[default]
    PerLine,
    /// On the sum of all lines of one tax code; each line shows its part of that.
    PerTotal,
}

/// One tax on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineTax {
    /// Which.
    pub rate: TaxRate,
    /// Whether the price contains it.
    pub included: bool,
    /// The line without any tax.
    pub net: Money,
    /// The tax.
    pub amount: Money,
}

/// One tax over all lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaxTotal {
    /// Which.
    pub rate: TaxRate,
    /// Whether prices contain it.
    pub included: bool,
    /// The lines without any tax.
    pub net: Money,
    /// The tax.
    pub amount: Money,
}

/// The taxes of some lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taxed {
    /// For each line, its taxes; none for an untaxed line.
    pub lines: Vec<Vec<LineTax>>,
    /// By rate, in the order of first use.
    pub totals: Vec<TaxTotal>,
    /// What is added on top of the line values.
    pub on_top: Money,
}

/// Why a tax cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaxError {
    /// Its name or code.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Not a percentage from 0 to 1000 with at most four decimals.
    #[error("{0:?} is not a percentage from 0 to 1000 with at most four decimals, such as 20 or 8.875")]
    Rate(String),
    /// Not a fraction between 0 and 1.
    #[error("{0}/{1} is not a part of a base (between 0/1 and 1/1, at most 10000 below)")]
    Fraction(u16, u16),
    /// Too many or no taxes under one code.
    #[error("the tax code {code:?} has {found} taxes, 1 to {RATES_MAX} are possible")]
    Count {
        /// The code.
        code: String,
        /// How many it has.
        found: usize,
    },
}

/// Most taxes under one code.
pub const RATES_MAX: usize = 4;
const PPM: i128 = 1_000_000;

impl TaxRate {
    /// A tax of `percent` on the whole net value.
    pub fn percent(name: &str, percent: &str) -> Result<TaxRate, TaxError> {
        TaxRate::part(name, percent, 1, 1)
    }

    /// A tax of `percent` on a part of the net value.
    pub fn part(name: &str, percent: &str, numerator: u16, denominator: u16) -> Result<TaxRate, TaxError> {
        check_given("the tax's name", name, 40)?;
        let wrong = || TaxError::Rate(percent.chars().take(24).collect());
        let rate_ppm = parse_scaled(percent, 4).map_err(|_| wrong())?;
        let rate_ppm = u32::try_from(rate_ppm).ok().filter(|ppm| *ppm <= 10_000_000).ok_or_else(wrong)?;
        if denominator == 0 || denominator > 10_000 || numerator > denominator {
            return Err(TaxError::Fraction(numerator, denominator));
        }
        Ok(TaxRate { name: name.to_string(), rate_ppm, base: (numerator, denominator) })
    }

    /// What the receipt calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rate in millionths: 12 % is 120 000.
    pub fn rate_ppm(&self) -> u32 {
        self.rate_ppm
    }

    /// Numerator and denominator of the taxed part.
    pub fn base(&self) -> (u16, u16) {
        self.base
    }

    /// The rate as people write it: `20`, `8.875`.
    pub fn percent_text(&self) -> String {
        crate::money::format_scaled(i64::from(self.rate_ppm), 4, 0)
    }
}

impl TaxGroup {
    /// The taxes behind a code.
    pub fn new(code: &str, included: bool, rates: Vec<TaxRate>) -> Result<TaxGroup, TaxError> {
        check_given("the tax code", code, 16)?;
        if rates.is_empty() || rates.len() > RATES_MAX {
            return Err(TaxError::Count { code: code.to_string(), found: rates.len() });
        }
        Ok(TaxGroup { code: code.to_string(), included, rates })
    }

    /// The code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Whether prices contain these taxes.
    pub fn included(&self) -> bool {
        self.included
    }

    /// The taxes.
    pub fn rates(&self) -> &[TaxRate] {
        &self.rates
    }

    /// The taxes on a value, each rounded once; not yet parted from it.
    fn amounts(&self, value: Money) -> Result<Vec<Money>, MoneyError> {
        // Everything over one denominator: rate_i = parts_i / whole.
        let common = self.rates.iter().fold(1_i128, |lcm, rate| least_multiple(lcm, i128::from(rate.base.1)));
        let parts = |rate: &TaxRate| {
            i128::from(rate.rate_ppm) * i128::from(rate.base.0) * (common / i128::from(rate.base.1))
        };
        let included = self.included && !toko_crdt::mutant!("tax-included-as-on-top");
        let on_top: i128 = if included { self.rates.iter().map(parts).sum() } else { 0 };
        let whole = PPM * common + on_top;
        self.rates.iter().map(|rate| value.share(parts(rate), whole)).collect()
    }
}

/// Computes the taxes of lines, given each line's value after discounts and its tax code, if any.
///
/// Shape: `PerTotal` takes the lines of one code together, in order, and gives each line the difference that it makes to the
/// running rounded tax; so the parts add up, and a line may be a minor unit off its own rounding.
pub fn tax_lines(
    currency: Currency,
    lines: &[(Money, Option<&TaxGroup>)],
    rounding: TaxRounding,
) -> Result<Taxed, MoneyError> {
    let mut taxed =
        Taxed { lines: Vec::with_capacity(lines.len()), totals: Vec::new(), on_top: Money::zero(currency) };
    let mut running: Vec<(&TaxGroup, Money, Vec<Money>)> = Vec::new();
    for (value, group) in lines {
        let Some(group) = *group else {
            taxed.lines.push(Vec::new());
            continue;
        };
        let amounts = match rounding {
            TaxRounding::PerLine => group.amounts(*value)?,
            TaxRounding::PerTotal => next_part(&mut running, group, *value)?,
        };
        let sum = Money::sum(currency, amounts.iter().copied())?;
        let net = if group.included { value.minus(sum)? } else { *value };
        if !group.included {
            taxed.on_top = taxed.on_top.plus(sum)?;
        }
        let mut line = Vec::with_capacity(amounts.len());
        for (rate, amount) in group.rates.iter().zip(amounts) {
            let tax = LineTax { rate: rate.clone(), included: group.included, net, amount };
            add_total(&mut taxed.totals, &tax)?;
            line.push(tax);
        }
        taxed.lines.push(line);
    }
    Ok(taxed)
}

/// What one more line adds to the rounded taxes of its code so far.
fn next_part<'a>(
    running: &mut Vec<(&'a TaxGroup, Money, Vec<Money>)>,
    group: &'a TaxGroup,
    value: Money,
) -> Result<Vec<Money>, MoneyError> {
    let at = running.iter().position(|(seen, _, _)| *seen == group).unwrap_or_else(|| {
        let zero = Money::zero(value.currency());
        running.push((group, zero, vec![zero; group.rates.len()]));
        running.len() - 1
    });
    let (_, sum, before) = &mut running[at];
    *sum = sum.plus(value)?;
    let after = group.amounts(*sum)?;
    let parts = after.iter().zip(before.iter()).map(|(a, b)| a.minus(*b)).collect();
    *before = after;
    parts
}

/// Adds a line's tax to the total of its rate.
pub(crate) fn add_total(totals: &mut Vec<TaxTotal>, tax: &LineTax) -> Result<(), MoneyError> {
    let found = totals.iter_mut().find(|total| total.rate == tax.rate && total.included == tax.included);
    match found {
        Some(total) => {
            total.net = total.net.plus(tax.net)?;
            total.amount = total.amount.plus(tax.amount)?;
        }
        None => totals.push(TaxTotal {
            rate: tax.rate.clone(),
            included: tax.included,
            net: tax.net,
            amount: tax.amount,
        }),
    }
    Ok(())
}

fn least_multiple(a: i128, b: i128) -> i128 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gbp() -> Currency {
        Currency::parse("GBP").unwrap()
    }

    fn pence(minor: i64) -> Money {
        Money::minor(minor, gbp())
    }

    fn group(included: bool, rates: &[(&str, &str, u16, u16)]) -> TaxGroup {
        let rates =
            rates.iter().map(|(name, rate, n, d)| TaxRate::part(name, rate, *n, *d).unwrap()).collect();
        TaxGroup::new("A", included, rates).unwrap()
    }

    fn one(value: i64, group: &TaxGroup) -> (i64, Vec<i64>) {
        let taxed = tax_lines(gbp(), &[(pence(value), Some(group))], TaxRounding::PerLine).unwrap();
        let line = &taxed.lines[0];
        (line[0].net.minor_units(), line.iter().map(|tax| tax.amount.minor_units()).collect())
    }

    #[test]
    fn vat_is_found_in_a_price_or_put_on_top() {
        assert_eq!(one(1_200, &group(true, &[("VAT", "20", 1, 1)])), (1_000, vec![200]));
        assert_eq!(one(1_000, &group(false, &[("VAT", "20", 1, 1)])), (1_000, vec![200]));
        assert_eq!(one(99, &group(true, &[("VAT", "20", 1, 1)])), (82, vec![17]), "16.5 rounds up");
        assert_eq!(one(-99, &group(true, &[("VAT", "20", 1, 1)])), (-82, vec![-17]));
        assert_eq!(one(1_999, &group(false, &[("Sales tax", "8.875", 1, 1)])), (1_999, vec![177]));
    }

    #[test]
    fn ppn_is_twelve_percent_on_eleven_twelfths() {
        let ppn = [("PPN", "12", 11, 12)];
        assert_eq!(one(100_000, &group(false, &ppn)), (100_000, vec![11_000]));
        assert_eq!(one(111_000, &group(true, &ppn)), (100_000, vec![11_000]));
    }

    #[test]
    fn two_included_taxes_share_one_net_value() {
        let both = group(true, &[("GST", "5", 1, 1), ("PST", "7", 1, 1)]);
        assert_eq!(one(11_200, &both), (10_000, vec![500, 700]));
    }

    #[test]
    fn rounding_per_line_and_per_total_differ_and_both_add_up() {
        let vat = group(false, &[("VAT", "20", 1, 1)]);
        let lines =
            [(pence(2), Some(&vat)), (pence(2), Some(&vat)), (pence(3), Some(&vat)), (pence(500), None)];
        let per_line = tax_lines(gbp(), &lines, TaxRounding::PerLine).unwrap();
        assert_eq!(per_line.on_top, pence(1), "0.4 + 0.4 + 0.6 rounded one by one");
        let per_total = tax_lines(gbp(), &lines[..2], TaxRounding::PerTotal).unwrap();
        assert_eq!(per_total.on_top, pence(1), "0.8 rounded once");
        let amounts: Vec<i64> = per_total.lines.iter().map(|line| line[0].amount.minor_units()).collect();
        assert_eq!(amounts, [0, 1]);
        assert!(per_line.lines[3].is_empty());
    }

    #[test]
    fn what_is_no_tax_is_named() {
        let said = |r: Result<TaxRate, TaxError>| r.unwrap_err().to_string();
        assert!(said(TaxRate::percent("VAT", "20%")).contains("\"20%\" is not a percentage"));
        assert!(said(TaxRate::percent("VAT", "1000.0001")).contains("1000"));
        assert!(said(TaxRate::percent("", "20")).contains("name is empty"));
        assert!(said(TaxRate::part("VAT", "20", 13, 12)).starts_with("13/12"));
        assert!(TaxGroup::new("A", true, Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn lines_add_up_to_totals_under_either_rounding(
            values in prop::collection::vec((-1_000_000_i64..1_000_000, 0_usize..4), 0..40),
            per_total: bool,
        ) {
            let groups = [
                group(true, &[("VAT", "20", 1, 1)]),
                group(false, &[("Sales tax", "8.875", 1, 1)]),
                group(true, &[("PPN", "12", 11, 12), ("PB1", "10", 1, 1)]),
            ];
            let lines: Vec<_> = values.iter().map(|(value, which)| (pence(*value), groups.get(*which))).collect();
            let rounding = if per_total { TaxRounding::PerTotal } else { TaxRounding::PerLine };
            let taxed = tax_lines(gbp(), &lines, rounding).unwrap();
            for total in &taxed.totals {
                let of_rate = taxed.lines.iter().flatten().filter(|tax| tax.rate == total.rate);
                let sum: i64 = of_rate.map(|tax| tax.amount.minor_units()).sum();
                prop_assert_eq!(sum, total.amount.minor_units());
            }
            for ((value, group), line) in lines.iter().zip(&taxed.lines) {
                if let (Some(group), Some(first)) = (group, line.first()) {
                    let taxes = Money::sum(gbp(), line.iter().map(|tax| tax.amount)).unwrap();
                    let whole = if group.included() { first.net.plus(taxes).unwrap() } else { first.net };
                    prop_assert_eq!(whole, *value);
                }
            }
            let negated: Vec<_> = lines.iter().map(|(value, group)| (value.negated().unwrap(), *group)).collect();
            let back = tax_lines(gbp(), &negated, rounding).unwrap();
            prop_assert_eq!(back.on_top, taxed.on_top.negated().unwrap());
        }
    }
}
