//! The assortment: one name and one price per code, so that a catalogue can be made of a day's lines.
//!
//! Invariants: each code of the lines is there exactly once, by its exact letters (`85123a` is not `85123A`); codes are in
//! byte order, so that the same lines give the same catalogue.
//!
//! Absent on purpose: taxes, GTINs and the file format of a catalogue; whoever writes one for the product knows those.

use std::collections::BTreeMap;

use crate::sheet::{Line, Price};

/// One entry of a catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Case-sensitive.
    pub code: String,
    /// What the receipt says; the code itself where the sheet has no description.
    pub name: String,
    /// The first price above 0 at which it was sold, else 0.
    pub price: Price,
    /// Postage, fees, discounts, manual prices, vouchers: sold as lines, without a shelf.
    pub service: bool,
}

/// The items that these lines need.
pub fn assortment<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Vec<Item> {
    let mut found: BTreeMap<&str, (Option<&str>, Option<&Price>)> = BTreeMap::new();
    for line in lines {
        let (name, price) = found.entry(&line.code).or_default();
        // A description beside a write-off is a remark ("damaged"), not a name.
        let sold = line.quantity > 0 || !line.price.is_zero();
        if sold && name.is_none() && !line.name.is_empty() {
            *name = Some(&line.name);
        }
        if price.is_none() && !line.price.is_zero() {
            *price = Some(&line.price);
        }
    }
    let free = Price::parse("0.00").unwrap_or_else(|wrong| unreachable!("{wrong}"));
    found
        .into_iter()
        .map(|(code, (name, price))| Item {
            code: code.to_owned(),
            name: name.unwrap_or(code).to_owned(),
            price: price.unwrap_or(&free).clone(),
            service: is_service(code),
        })
        .collect()
}

/// Whether a code of this data names something without a shelf.
pub fn is_service(code: &str) -> bool {
    const SERVICES: [&str; 10] =
        ["POST", "DOT", "C2", "D", "M", "m", "S", "BANK CHARGES", "AMAZONFEE", "CRUK"];
    SERVICES.contains(&code) || code.starts_with("gift_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::{Day, Days, bundled_week};

    fn week() -> Vec<Item> {
        let days = Days::read(&bundled_week()).unwrap();
        assortment(days.each().flat_map(Day::each_line))
    }

    #[test]
    fn codes_that_differ_by_case_are_two_items() {
        let items = week();
        let named = |code: &str| items.iter().find(|item| item.code == code).unwrap();
        assert_eq!(named("85123A").price.as_str(), "2.55");
        assert_eq!(named("85123a").price.as_str(), "6.77");
        assert!(items.is_sorted_by(|a, b| a.code < b.code), "each code once, in byte order");
        assert_eq!(items.len(), 2_334);
    }

    #[test]
    fn services_are_told_from_goods() {
        let services: Vec<String> =
            week().into_iter().filter(|item| item.service).map(|item| item.code).collect();
        assert_eq!(services, ["AMAZONFEE", "BANK CHARGES", "C2", "D", "DOT", "M", "POST", "S"]);
        assert!(is_service("gift_0001_20"));
        assert!(!is_service("DCGS0003"), "a party bag is goods although its code starts with letters");
    }

    #[test]
    fn every_item_has_a_name() {
        assert!(week().iter().all(|item| !item.name.is_empty()));
    }
}
