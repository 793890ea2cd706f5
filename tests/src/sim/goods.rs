//! What the simulated shop sells: the real week that the tests ship, its items and its invoices.
//!
//! Money here is the text of the sheet and pennies of our own; nothing of the product computes with it.

use std::collections::BTreeMap;
use std::fmt::Write;

use toko_mesh::sim_disk::Dice;

use crate::assortment::{Item, assortment};
use crate::day::{Days, DaysError, Work, bundled_week};
use crate::oracle::{decimal, pennies};

/// The longest basket that a simulated customer brings; a shop of the real week had some of 600 lines.
const BASKET_MAX: usize = 14;
/// What is left out of baskets: whoever takes pieces by the thousand is not at a till.
const PIECES_MAX: i64 = 1_000;

/// Items and baskets.
#[derive(Debug)]
pub struct Goods {
    /// The items as a file to import.
    pub csv: String,
    items: BTreeMap<String, Item>,
    baskets: Vec<Vec<Piece>>,
}

/// A line as a customer brings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The code; case counts.
    pub code: String,
    /// How many.
    pub pieces: i64,
    /// The price on that invoice, where it is not the item's.
    pub own_price: Option<String>,
    /// What it comes to.
    pub pennies: i64,
    /// Whether a shelf knows of it.
    pub shelf: bool,
}

impl Goods {
    /// The bundled week.
    pub fn load() -> Result<Self, DaysError> {
        let days = Days::read(&bundled_week())?;
        let lines = days.each().flat_map(|day| day.each_line());
        let items: BTreeMap<String, Item> =
            assortment(lines).into_iter().map(|item| (item.code.clone(), item)).collect();
        let mut csv = "sku,name,price,service\n".to_owned();
        for item in items.values() {
            let service = if item.service { "yes" } else { "no" };
            let name = item.name.replace('"', "\"\"");
            // Writing to a string cannot fail.
            let _ = writeln!(csv, "{},\"{name}\",{},{service}", item.code, item.price.as_str());
        }
        let mut goods = Self { csv, items, baskets: Vec::new() };
        for day in days.each() {
            for work in &day.work {
                if let Work::Sale(invoice) = work {
                    let lines = invoice.lines.iter().take(BASKET_MAX);
                    let basket: Option<Vec<Piece>> = lines
                        .map(|line| goods.piece(&line.code, line.quantity, line.price.as_str()))
                        .collect();
                    goods.baskets.extend(basket.filter(|basket| !basket.is_empty()));
                }
            }
        }
        Ok(goods)
    }

    fn piece(&self, code: &str, pieces: i64, price: &str) -> Option<Piece> {
        let item = self.items.get(code)?;
        let (digits, places) = decimal(price)?;
        let pennies = pennies(pieces, digits, places)?;
        let (price, usual) = (plain(price), plain(item.price.as_str()));
        let own_price = (price != usual).then(|| price.to_owned());
        let sane = (1..=PIECES_MAX).contains(&pieces) && digits >= 0;
        sane.then(|| Piece { code: code.to_owned(), pieces, own_price, pennies, shelf: !item.service })
    }

    /// Somebody's basket.
    #[must_use]
    pub fn basket(&self, dice: &mut Dice) -> Vec<Piece> {
        let nth = dice.below(self.baskets.len() as u64);
        usize::try_from(nth).ok().and_then(|nth| self.baskets.get(nth)).cloned().unwrap_or_default()
    }

    /// A piece like this one, of another quantity.
    #[must_use]
    pub fn other_quantity(&self, piece: &Piece, pieces: i64) -> Piece {
        let price = piece.own_price.clone().unwrap_or_else(|| {
            self.items.get(&piece.code).map(|item| item.price.as_str().to_owned()).unwrap_or_default()
        });
        self.piece(&piece.code, pieces, &price).unwrap_or_else(|| piece.clone())
    }

    /// The same pieces at the item's own price.
    #[must_use]
    pub fn usual(&self, piece: &Piece) -> Piece {
        let price = self.items.get(&piece.code).map(|item| item.price.as_str()).unwrap_or_default();
        self.priced(&piece.code, piece.pieces, price)
    }

    /// A line of somebody's receipt, with its value by our own reckoning; nothing where this shop does not sell such a thing.
    #[must_use]
    pub fn priced(&self, code: &str, pieces: i64, price: &str) -> Piece {
        let nothing =
            Piece { code: code.to_owned(), pieces, own_price: None, pennies: i64::MIN, shelf: true };
        self.piece(code, pieces, price).unwrap_or(nothing)
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is nothing to sell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// A price without zeros that say nothing: `2.50` is `2.5`, `3.00` is `3`.
fn plain(price: &str) -> &str {
    match price.contains('.') {
        true => price.trim_end_matches('0').trim_end_matches('.'),
        false => price,
    }
}
