//! What a customer gives, what is due, and what goes back.
//!
//! Invariants: change comes from cash alone, since nobody gets notes for a card; a card leaves its approval code, its
//! terminal and at most its last four digits. Absent on purpose: talking to a payment terminal; card numbers.

use crate::money::{Money, MoneyError};
use crate::ops::{TenderKindV1, TenderV1};
use crate::text::{TextError, check_given, check_text};

/// How money is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenderKind {
    /// Notes and coins.
    Cash,
    /// A card on a payment terminal that is not ours.
    Card {
        /// What the payment terminal printed.
        approval: String,
        /// Which payment terminal.
        terminal: String,
        /// The last four digits, or nothing.
        last4: String,
    },
    /// Anything else the shop takes.
    Other {
        /// Its name in this shop.
        name: String,
        /// Its number; may be empty.
        reference: String,
    },
}

/// An amount given, or refunded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tender {
    kind: TenderKind,
    amount: Money,
    taken: Option<[u8; 16]>,
}

/// Why money cannot be taken like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TenderError {
    /// Nothing, or less.
    #[error("a tender of {0} gives nothing; an amount above zero is needed")]
    NotPositive(Money),
    /// A text of it.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Not four digits.
    #[error("the last four digits are four digits, or left out")]
    LastFour,
    /// A name that belongs to another kind.
    #[error("{0:?} is a kind of its own, not a name for another tender")]
    NameTaken(String),
}

impl Tender {
    /// Notes and coins as they were handed over, before change.
    pub fn cash(amount: Money) -> Result<Tender, TenderError> {
        Tender::of(TenderKind::Cash, amount)
    }

    /// A card, charged on a payment terminal that stands beside ours.
    pub fn card(amount: Money, approval: &str, terminal: &str, last4: &str) -> Result<Tender, TenderError> {
        check_given("the approval code", approval, 32)?;
        check_text("the payment terminal", terminal, 32)?;
        if !last4.is_empty() && (last4.len() != 4 || !last4.bytes().all(|b| b.is_ascii_digit())) {
            return Err(TenderError::LastFour);
        }
        let (approval, terminal, last4) = (approval.to_string(), terminal.to_string(), last4.to_string());
        Tender::of(TenderKind::Card { approval, terminal, last4 }, amount)
    }

    /// A voucher, an invoice, a transfer: whatever the shop takes by name.
    pub fn other(amount: Money, name: &str, reference: &str) -> Result<Tender, TenderError> {
        check_given("the tender's name", name, 32)?;
        check_text("the tender's reference", reference, 64)?;
        if ["cash", "card"].contains(&name.to_lowercase().as_str()) {
            return Err(TenderError::NameTaken(name.to_string()));
        }
        Tender::of(TenderKind::Other { name: name.to_string(), reference: reference.to_string() }, amount)
    }

    /// Names the floor mark by which it was taken before the sale.
    #[must_use]
    pub fn taken_as(self, id: [u8; 16]) -> Tender {
        Tender { taken: Some(id), ..self }
    }

    /// How.
    pub fn kind(&self) -> &TenderKind {
        &self.kind
    }

    /// How much.
    pub fn amount(&self) -> Money {
        self.amount
    }

    /// Whether it is notes and coins.
    pub fn is_cash(&self) -> bool {
        self.kind == TenderKind::Cash
    }

    /// As it is kept; `refund` makes it negative.
    pub fn stored(&self, refund: bool) -> TenderV1 {
        let kind = match self.kind.clone() {
            TenderKind::Cash => TenderKindV1::Cash,
            TenderKind::Card { approval, terminal, last4 } => {
                TenderKindV1::Card { approval, terminal, last4 }
            }
            TenderKind::Other { name, reference } => TenderKindV1::Other { name, reference },
        };
        let minor = self.amount.minor_units();
        // Amounts above zero always have a negative.
        TenderV1 {
            kind,
            amount_minor: if refund { minor.saturating_neg() } else { minor },
            taken: self.taken,
        }
    }

    fn of(kind: TenderKind, amount: Money) -> Result<Tender, TenderError> {
        if amount.is_zero() || amount.is_negative() {
            return Err(TenderError::NotPositive(amount));
        }
        Ok(Tender { kind, amount, taken: None })
    }
}

/// What settles an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Added to what is due, so that it can be paid in coins.
    pub rounding: Money,
    /// Handed back in cash.
    pub change: Money,
}

/// Why tenders do not settle an amount. Nothing was taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// Not enough.
    #[error("tenders are {missing} short of {due}")]
    Short {
        /// What is due.
        due: Money,
        /// What is missing.
        missing: Money,
    },
    /// More than is due without cash.
    #[error("{given} was given otherwise than in cash for {due}, and change comes from cash alone")]
    ChangeNotFromCash {
        /// What is due.
        due: Money,
        /// What was given by card and the like.
        given: Money,
    },
    /// The refunds are not what is owed.
    #[error("refunds of {refunded} where {owed} goes back")]
    RefundDiffers {
        /// What goes back.
        owed: Money,
        /// What the refunds add up to.
        refunded: Money,
    },
    /// Currencies, or amounts past what can be kept.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// Settles what is due by what is given.
///
/// Shape: `due` is zero or more. `cash_step_minor` is the smallest coin (0 or 1 for none): what is left for cash is rounded
/// to it, and only that; by card the exact amount is paid.
pub fn settle(due: Money, tenders: &[Tender], cash_step_minor: i64) -> Result<Settled, SettleError> {
    let currency = due.currency();
    let paid = Money::sum(currency, tenders.iter().map(Tender::amount))?;
    let otherwise = Money::sum(currency, tenders.iter().filter(|t| !t.is_cash()).map(Tender::amount))?;
    if otherwise.minor_units() > due.minor_units() && !toko_crdt::mutant!("change-from-a-card") {
        return Err(SettleError::ChangeNotFromCash { due, given: otherwise });
    }
    let rounding = cash_rounding(due, otherwise, tenders, cash_step_minor)?;
    let payable = due.plus(rounding)?;
    let change = paid.minus(payable)?;
    if change.is_negative() && !toko_crdt::mutant!("sell-unpaid") {
        return Err(SettleError::Short { due: payable, missing: change.negated()? });
    }
    Ok(Settled { rounding, change })
}

/// Settles what goes back by refunds, exactly; gives the rounding to coins.
///
/// Shape: `owed` is zero or more; the rounding has its sign.
pub fn settle_refund(owed: Money, refunds: &[Tender], cash_step_minor: i64) -> Result<Money, SettleError> {
    let currency = owed.currency();
    let refunded = Money::sum(currency, refunds.iter().map(Tender::amount))?;
    let otherwise = Money::sum(currency, refunds.iter().filter(|t| !t.is_cash()).map(Tender::amount))?;
    let rounding = cash_rounding(owed, otherwise, refunds, cash_step_minor)?;
    let payable = owed.plus(rounding)?;
    if refunded == payable {
        Ok(rounding)
    } else {
        Err(SettleError::RefundDiffers { owed: payable, refunded })
    }
}

fn cash_rounding(due: Money, otherwise: Money, tenders: &[Tender], step: i64) -> Result<Money, MoneyError> {
    if !tenders.iter().any(Tender::is_cash) {
        return Ok(Money::zero(due.currency()));
    }
    let in_cash = due.minus(otherwise)?;
    in_cash.to_cash_step(step)?.minus(in_cash)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::currency::Currency;

    fn pence(minor: i64) -> Money {
        Money::minor(minor, Currency::parse("GBP").unwrap())
    }

    fn cash(minor: i64) -> Tender {
        Tender::cash(pence(minor)).unwrap()
    }

    fn card(minor: i64) -> Tender {
        Tender::card(pence(minor), "A1B2C3", "T-7", "4242").unwrap()
    }

    #[test]
    fn change_comes_from_cash_alone() {
        assert_eq!(settle(pence(1_999), &[cash(2_000)], 0).unwrap().change, pence(1));
        assert_eq!(settle(pence(1_999), &[card(1_500), cash(1_000)], 0).unwrap().change, pence(501));
        let refused = settle(pence(1_999), &[card(2_000)], 0).unwrap_err();
        assert!(refused.to_string().ends_with("change comes from cash alone"), "{refused}");
        assert!(settle(pence(1_999), &[card(2_000), cash(500)], 0).is_err());
        assert_eq!(settle(pence(0), &[], 0).unwrap().change, pence(0));
    }

    #[test]
    fn what_is_missing_is_named() {
        let short = settle(pence(1_999), &[cash(1_000), card(500)], 0).unwrap_err();
        assert_eq!(short.to_string(), "tenders are 4.99 GBP short of 19.99 GBP");
    }

    #[test]
    fn only_the_part_in_cash_is_rounded_to_coins() {
        let settled = settle(pence(1_998), &[cash(2_000)], 5).unwrap();
        assert_eq!((settled.rounding, settled.change), (pence(2), pence(0)));
        assert_eq!(settle(pence(1_998), &[card(1_998)], 5).unwrap().rounding, pence(0));
        let mixed = settle(pence(1_998), &[card(998), cash(1_000)], 5).unwrap();
        assert_eq!((mixed.rounding, mixed.change), (pence(0), pence(0)));
        assert_eq!(settle(pence(1_997), &[cash(1_995)], 5).unwrap().rounding, pence(-2));
    }

    #[test]
    fn a_refund_is_exact() {
        assert_eq!(settle_refund(pence(1_998), &[cash(2_000)], 5).unwrap(), pence(2));
        assert!(settle_refund(pence(1_998), &[cash(2_000)], 0).is_err());
        assert!(settle_refund(pence(1_998), &[], 0).is_err());
    }

    #[test]
    fn a_card_leaves_no_number() {
        assert_eq!(Tender::card(pence(1), "A1", "T", "42424"), Err(TenderError::LastFour));
        assert!(matches!(Tender::card(pence(1), "4111111111111111", "T", ""), Err(TenderError::Text(_))));
        assert!(matches!(
            Tender::other(pence(1), "voucher", "4111 1111 1111 1111"),
            Err(TenderError::Text(_))
        ));
        assert!(Tender::cash(pence(0)).is_err());
        assert!(Tender::other(pence(1), "Cash", "").is_err());
    }

    proptest! {
        #[test]
        fn money_is_conserved(due in 0_i64..1_000_000, by_cash in 1_i64..1_000_000, by_card in 1_i64..1_000_000, step in 0_i64..100) {
            let tenders = [cash(by_cash), card(by_card)];
            if let Ok(settled) = settle(pence(due), &tenders, step) {
                let given = by_cash + by_card;
                prop_assert_eq!(given - settled.change.minor_units(), due + settled.rounding.minor_units());
                prop_assert!(settled.change.minor_units() <= by_cash);
            }
        }
    }
}
