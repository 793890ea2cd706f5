//! What is sold while measuring: 100 000 items, and sales of eight lines drawn from all of them.
//!
//! Invariants: the same in every run; every item has a GTIN-13, by which it is scanned; no cart comes to more than the
//! [`NOTE`] that pays it.

use toko_crdt::clock::{Hlc, UnixMicros};
use toko_crdt::entry::Draft;
use toko_crdt::sign::SecretKey;
use toko_crdt::{Body, Hash, JournalId, Lane, Run, StoreId};
use toko_mesh::log::Log;
use toko_retail::catalogue::Catalogue;
use toko_retail::currency::Currency;
use toko_retail::day::Day;
use toko_retail::line::PricedLine;
use toko_retail::money::Money;
use toko_retail::ops::{OpV1, What};
use toko_retail::qty::Qty;
use toko_retail::sale::{Occasion, ReceiptNumber, SaleDraft, close_sale};
use toko_retail::tender::Tender;

use super::trouble::Trouble;

/// Items of the catalogue.
pub const ITEMS: u64 = 100_000;
/// Lines of every cart and sale.
pub const LINES: u64 = 8;
/// What the shop is priced in.
pub const CURRENCY: &str = "GBP";
/// What every customer pays with.
pub const NOTE: &str = "500.00";

const KINDS: [&str; 8] =
    ["LANTERN", "MUG", "T-LIGHT HOLDER", "BUNTING", "CAKE STAND", "RIBBON", "CLOCK", "TRAY"];
const LOOKS: [&str; 6] = ["WHITE METAL", "RED RETROSPOT", "VINTAGE", "PINK POLKADOT", "REGENCY", "WOODEN"];

/// The assortment.
#[derive(Debug)]
pub struct Goods {
    /// As a shop imports it.
    pub csv: String,
    /// As a till keeps it.
    pub catalogue: Catalogue,
    currency: Currency,
    bundle: Hash,
}

impl Goods {
    /// Makes it.
    pub fn make() -> Result<Self, Trouble> {
        let currency = Currency::parse(CURRENCY).map_err(Trouble::product("the currency"))?;
        let mut csv = String::from("sku,name,price,codes\n");
        for item in 0..ITEMS {
            let (kind, look) = (pick(item, 1) % KINDS.len() as u64, pick(item, 2) % LOOKS.len() as u64);
            let minor = 55 + pick(item, 3) % 945;
            let name = format!("{} {} {}", word(&LOOKS, look), word(&KINDS, kind), item % 100);
            csv.push_str(&format!("B{item:06},{name},{}.{:02},{}\n", minor / 100, minor % 100, gtin(item)));
        }
        let catalogue = Catalogue::import(csv.as_bytes(), currency, &[]);
        let catalogue = catalogue.map_err(Trouble::product("importing the catalogue"))?;
        // Finding it out takes as long as encoding all items.
        let bundle = catalogue.bundle();
        Ok(Self { csv, catalogue, currency, bundle })
    }

    /// The op of a terminal's sale number `nth`, counted from 0.
    pub fn sale(&self, nth: u64) -> Result<OpV1, Trouble> {
        let failed = "closing a sale";
        let day = Day::parse("2010-12-01").map_err(Trouble::product(failed))?;
        let number = ReceiptNumber::next(1, 1, nth).map_err(Trouble::product(failed))?;
        let at = UnixMicros(1_291_192_000_000_000 + i64::try_from(nth).unwrap_or(0) * 20_000_000);
        let note = Money::parse(NOTE, self.currency).map_err(Trouble::product(failed))?;
        let mut draft = SaleDraft::new(Occasion::new(day, at, number), self.currency);
        draft.tenders = vec![Tender::cash(note).map_err(Trouble::product(failed))?];
        for scan in basket(nth) {
            let code = gtin(scan.item);
            let found = self.catalogue.lookup(&code);
            let item = found.ok_or_else(|| Trouble::product(failed)(format!("{code} is unknown")))?;
            let qty = Qty::pieces(scan.pieces).map_err(Trouble::product(failed))?;
            draft.lines.push(PricedLine::of_item(&code, &item, qty, Some(self.bundle)));
        }
        let sale = close_sale(&draft).map_err(Trouble::product(failed))?;
        Ok(OpV1::new(What::Sale(Box::new(sale))))
    }

    /// How many bytes the log writes for such a sale.
    pub fn record_bytes(&self) -> Result<usize, Trouble> {
        let key = SecretKey::from_seed([7; 32]);
        let journal = JournalId { node: key.node(), run: Run(1), lane: Lane::Books };
        let at = Hlc { micros: 1_291_192_000_000_000, tick: 0 };
        let body = Body::Op(self.sale(0)?.encode()).encode();
        let draft = Draft { journal, seq: 1_000, prev: Hash([9; 32]), at, saw: None, body };
        let entry = draft.sign(&StoreId::of(&key.public()), &key);
        Ok(usize::try_from(Log::record_bytes(&entry.encode())).unwrap_or(usize::MAX))
    }
}

/// A scan: which item, how many.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    /// The item's place in the assortment.
    pub item: u64,
    /// 1 to 3.
    pub pieces: i64,
}

/// The scans of cart number `nth`.
pub fn basket(nth: u64) -> impl Iterator<Item = Scan> {
    (0..LINES).map(move |line| Scan {
        item: pick(nth * LINES + line, 4) % ITEMS,
        pieces: 1 + i64::from(pick(nth * LINES + line, 5).is_multiple_of(3)) * 2,
    })
}

/// The GTIN-13 of an item.
pub fn gtin(item: u64) -> String {
    let digits = format!("{:012}", 500_000_000_000 + item);
    let sum: u32 = digits
        .bytes()
        .zip([1, 3].into_iter().cycle())
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

/// A number that looks drawn and is the same in every run (SplitMix64).
pub fn pick(nth: u64, salt: u64) -> u64 {
    let mut z = nth.wrapping_add(salt << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn word(words: &[&'static str], at: u64) -> &'static str {
    usize::try_from(at).ok().and_then(|at| words.get(at)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_found_by_its_gtin_and_every_sale_can_be_closed() {
        let goods = Goods::make().unwrap();
        assert_eq!(goods.catalogue.len() as u64, ITEMS);
        assert_eq!(gtin(0), "5000000000005");
        for nth in 0..200 {
            let What::Sale(sale) = goods.sale(nth).unwrap().what else { panic!("a sale") };
            assert_eq!(sale.lines.len() as u64, LINES);
        }
        assert!((500..4_000).contains(&goods.record_bytes().unwrap()));
    }
}
