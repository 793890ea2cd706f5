//! The oracle's own ledger: what cashiers did and were answered, and what that must come to.
//!
//! Invariants: nothing of the product's folds is used here; values come from the text of the sheet ([`mod@super::goods`]), sums
//! from integers of our own. What was asked for and not yet answered is *pending*: it may have happened or not.
//!
//! Absent on purpose: any knowledge of nodes. Whoever compares ([`super::judge`]) has that.

use std::collections::{BTreeMap, BTreeSet};

use toko_crdt::EffectId;
use toko_crdt::ids::{CartId, EntryRef};

use super::goods::Piece;
use super::receipts::Wanted;

/// What a sale, a return or a movement did, as the cashier knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// What it was.
    pub what: What,
    /// Pieces by code, as the shelf sees them: a sale takes, a return brings.
    pub shelf: BTreeMap<String, i64>,
    /// Pennies into the drawer, or out of it.
    pub cash: i64,
    /// Pennies on cards.
    pub card: i64,
    /// At which terminal.
    pub till: usize,
}

/// What kind of effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Goods for money.
    Sale {
        /// What stood on the receipt.
        lines: Vec<Piece>,
        /// Its number.
        number: Number,
        /// Its business day.
        day: u32,
    },
    /// Goods back.
    Return {
        /// Its number.
        number: Number,
        /// Its business day.
        day: u32,
    },
    /// Goods came or went without a customer.
    Moved,
}

impl What {
    /// The number on the receipt, and its business day.
    #[must_use]
    pub fn receipt(&self) -> Option<(Number, u32)> {
        match self {
            Self::Sale { number, day, .. } | Self::Return { number, day } => Some((*number, *day)),
            Self::Moved => None,
        }
    }
}

/// A receipt's number: terminal, series, counter.
pub type Number = (u16, u32, u64);

/// Everything that happened.
#[derive(Debug, Default)]
pub struct Ledger {
    effects: BTreeMap<EffectId, Effect>,
    /// By key: what may have happened.
    pending: BTreeSet<String>,
    /// Carts of which somebody asked for a sale that was not answered yet.
    selling: BTreeMap<CartId, usize>,
    /// What was wrong already when it was told.
    wrong: Vec<String>,
    /// Days that somebody closed.
    closed: BTreeSet<u32>,
    /// What one disk alone had that then went back to an earlier state: it may be gone.
    doubtful: BTreeSet<EffectId>,
    /// What a box acknowledged before its disk went back.
    not_there: BTreeSet<EffectId>,
    /// Boxes that share their terminal's number with another, or with their own past.
    copied: BTreeSet<usize>,
    /// Which was copied into which.
    pairs: Vec<(usize, usize)>,
    /// Where entries of effects were seen: their own, or one that carries them.
    places: BTreeMap<EffectId, BTreeSet<EntryRef>>,
    /// Every effect that a key was answered with.
    keys: BTreeMap<String, EffectId>,
    /// Receipts that somebody wants on paper.
    wanted: Wanted,
    /// Customers served, for the report.
    pub tally: Tally,
}

/// What cashiers did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Carts that were sold.
    pub sales: u64,
    /// Lines on them.
    pub lines: u64,
    /// Returns.
    pub returns: u64,
    /// Carts that were parked.
    pub parked: u64,
    /// Parked carts that somebody took.
    pub taken: u64,
    /// Of which another terminal than the one that parked them.
    pub taken_over: u64,
    /// Carts that were given up.
    pub voided: u64,
    /// Movements of goods.
    pub moved: u64,
    /// Commands that were repeated because no answer came, or because nothing could be saved just then.
    pub repeated: u64,
    /// Days that were closed.
    pub closed: u64,
}

impl Ledger {
    /// Somebody asks for something that counts.
    pub fn asked(&mut self, key: &str, cart: Option<CartId>) {
        if self.pending.insert(key.to_owned())
            && let Some(cart) = cart
        {
            *self.selling.entry(cart).or_default() += 1;
        }
    }

    /// It was refused for good: nothing of it may be found anywhere.
    pub fn refused(&mut self, key: &str, cart: Option<CartId>) {
        self.settled(key, cart);
    }

    /// It was answered.
    pub fn done(&mut self, key: &str, cart: Option<CartId>, id: EffectId, effect: Effect) {
        self.settled(key, cart);
        match self.keys.insert(key.to_owned(), id) {
            Some(before) if before != id => {
                self.note(format!(
                    "I2: the key {key} was answered {} and then {}",
                    before.short(),
                    id.short()
                ));
            }
            _ => {}
        }
        match self.effects.insert(id, effect.clone()) {
            Some(before) if before != effect => {
                self.note(format!("I2: {} was answered as two different effects", id.short()));
            }
            _ => {}
        }
    }

    /// A receipt was asked for with a sale.
    pub fn wants(&mut self, job: [u8; 16], id: EffectId) {
        if self.wanted.insert(job, id).is_some_and(|before| before != id) {
            self.note(format!("I2: one print job is for two sales, {} among them", id.short()));
        }
    }

    /// What is to be on paper.
    #[must_use]
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// An effect stands there.
    pub fn stands(&mut self, id: EffectId, at: EntryRef) {
        self.places.entry(id).or_default().insert(at);
    }

    /// Where it was seen so far.
    pub fn places(&self, id: &EffectId) -> impl Iterator<Item = EntryRef> + use<'_> {
        self.places.get(id).into_iter().flatten().copied()
    }

    /// A day was closed.
    pub fn closed(&mut self, day: u32) {
        self.closed.insert(day);
        self.tally.closed += 1;
    }

    /// The days that were closed.
    #[must_use]
    pub fn closed_days(&self) -> &BTreeSet<u32> {
        &self.closed
    }

    /// Something is wrong that needs no comparing.
    pub fn note(&mut self, wrong: String) {
        self.wrong.push(wrong);
    }

    /// What was noted as wrong so far.
    #[must_use]
    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }

    /// A terminal's disk was copied: these boxes are one terminal, and their receipts may bear one number.
    pub fn copied(&mut self, one: usize, other: usize) {
        self.copied.extend([one, other]);
        self.pairs.push((one, other));
    }

    /// Boxes with one terminal's key.
    #[must_use]
    pub fn pairs(&self) -> &[(usize, usize)] {
        &self.pairs
    }

    /// Boxes whose terminal may print a number twice: it was copied, or its disk went back.
    #[must_use]
    pub fn is_copied(&self, till: usize) -> bool {
        self.copied.contains(&till)
    }

    /// The disk that acknowledged this went back. It is not there for now; `elsewhere`: another node has it.
    pub fn went_back(&mut self, id: EffectId, elsewhere: bool) {
        if let Some(effect) = self.effects.get(&id) {
            self.copied.insert(effect.till);
        }
        self.not_there.insert(id);
        if !elsewhere {
            self.doubt(id);
        }
    }

    /// Whether the box that acknowledged this went back since, and must hear of it from others.
    #[must_use]
    pub fn is_not_there(&self, id: &EffectId) -> bool {
        self.not_there.contains(id)
    }

    /// Days that nobody knows to be closed any more.
    pub fn reopen_days(&mut self, is_closed: impl Fn(u32) -> bool) {
        self.closed.retain(|day| is_closed(*day));
    }

    /// One disk alone had this, and went back to an earlier state: nobody can demand it any more. If it comes to light it
    /// counts, once.
    pub fn doubt(&mut self, id: EffectId) {
        self.doubtful.insert(id);
    }

    /// Whether it may be gone.
    #[must_use]
    pub fn is_doubtful(&self, id: &EffectId) -> bool {
        self.doubtful.contains(id)
    }

    /// Everything that was answered.
    #[must_use]
    pub fn effects(&self) -> &BTreeMap<EffectId, Effect> {
        &self.effects
    }

    /// Whether somebody waits for an answer about this cart.
    #[must_use]
    pub fn is_selling(&self, cart: Option<CartId>) -> bool {
        cart.is_some_and(|cart| self.selling.contains_key(&cart))
    }

    /// Whether anybody waits for any answer.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    fn settled(&mut self, key: &str, cart: Option<CartId>) {
        if !self.pending.remove(key) {
            return;
        }
        let Some(cart) = cart else { return };
        if let Some(count) = self.selling.get_mut(&cart) {
            *count -= 1;
            if *count == 0 {
                self.selling.remove(&cart);
            }
        }
    }
}

/// What a shelf and a drawer must come to after these effects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Pieces by code, nothing where it is none.
    pub shelf: BTreeMap<String, i64>,
    /// Pennies.
    pub cash: i64,
    /// Pennies.
    pub card: i64,
    /// Sales.
    pub sales: u64,
    /// Returns.
    pub returns: u64,
}

impl Sums {
    /// Of these effects.
    pub fn of<'a>(effects: impl IntoIterator<Item = &'a Effect>) -> Self {
        let mut sums = Self::default();
        for effect in effects {
            for (code, pieces) in &effect.shelf {
                *sums.shelf.entry(code.clone()).or_default() += pieces;
            }
            sums.cash += effect.cash;
            sums.card += effect.card;
            match effect.what {
                What::Sale { .. } => sums.sales += 1,
                What::Return { .. } => sums.returns += 1,
                What::Moved => {}
            }
        }
        sums.shelf.retain(|_, pieces| *pieces != 0);
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale(counter: u64, pieces: i64) -> Effect {
        let shelf = BTreeMap::from([("TIN".to_owned(), -pieces)]);
        Effect {
            what: What::Sale { lines: Vec::new(), number: (1, 1, counter), day: 20261123 },
            shelf,
            cash: 100,
            card: 0,
            till: 1,
        }
    }

    #[test]
    fn a_key_that_is_answered_twice_with_different_sales_is_wrong() {
        let mut ledger = Ledger::default();
        ledger.asked("k", None);
        assert!(!ledger.is_settled());
        ledger.done("k", None, EffectId([1; 32]), sale(1, 2));
        ledger.done("k", None, EffectId([1; 32]), sale(1, 2));
        assert!(ledger.is_settled() && ledger.wrong().is_empty());
        ledger.done("k", None, EffectId([2; 32]), sale(2, 2));
        assert_eq!(ledger.wrong().len(), 1);
    }

    #[test]
    fn sums_forget_what_came_and_went() {
        let back = Effect { what: What::Moved, shelf: BTreeMap::from([("TIN".to_owned(), 2)]), ..sale(1, 0) };
        let sums = Sums::of([&sale(1, 2), &back]);
        assert_eq!((sums.shelf.len(), sums.cash, sums.sales), (0, 200, 1));
    }
}
