//! The work: the sales of one real day, as the bytes that a sale is in Toko. Every peer carries exactly these bytes.
//!
//! Invariants: each sale is closed by the shop's own rules (it adds up, it is paid); the same file and day give the same
//! bytes. Returns and write-offs of the day are left out: to the peers they would be bytes like any other.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toko_crdt::clock::UnixMicros;
use toko_retail::catalogue::Catalogue;
use toko_retail::currency::Currency;
use toko_retail::day::Day;
use toko_retail::line::PricedLine;
use toko_retail::money::{Money, Price};
use toko_retail::ops::{OpV1, What};
use toko_retail::qty::Qty;
use toko_retail::sale::{Occasion, ReceiptNumber, SaleDraft, close_sale};
use toko_retail::tender::Tender;
use toko_tests::assortment::{Item, assortment};
use toko_tests::day::{Days, Invoice, Work as Deed, bundled_week};
use toko_tests::sheet::Date;

use crate::trouble::Trouble;

/// Terminals of the shop.
pub(crate) const TILLS: usize = 24;
/// Sales of a busy day of eight hours.
const BUSY_DAY: usize = 5_000;
/// What every customer pays with: more than the largest invoice.
const NOTE: &str = "99999.99";

/// What every column is given.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    /// The date.
    pub(crate) date: String,
    /// Terminals.
    pub(crate) tills: usize,
    /// The day's sales, in hexadecimal.
    pub(crate) day: Vec<String>,
    /// The sales of an hour of a busy day, drawn from the same invoices.
    pub(crate) hour: Vec<String>,
    /// How far apart the day's sales begin at least.
    pub(crate) pause_ms: u64,
    /// How long a partition lasts at least.
    pub(crate) dark_ms: u64,
}

impl Work {
    /// Makes it from the bundled week, or from another file of the same columns.
    pub(crate) fn make(input: Option<&Path>, date: &str, quick: bool) -> Result<Self, Trouble> {
        let bundled = bundled_week();
        let days = Days::read(input.unwrap_or(&bundled)).map_err(Trouble::of("reading the day"))?;
        let date = Date::parse(date).map_err(Trouble::of("reading the date"))?;
        let day = days.select(Some(&date)).map_err(Trouble::of("choosing the day"))?;
        let maker = Maker::new(&assortment(day.each_line()), date.as_str())?;
        let invoices: Vec<&Invoice> = day
            .work
            .iter()
            .filter_map(|work| if let Deed::Sale(invoice) = work { Some(invoice) } else { None })
            .collect();
        let hour = if quick { 48 } else { BUSY_DAY / 8 };
        let of_day = if quick { 48 } else { invoices.len() };
        let sale = |nth: usize| maker.sale(nth, invoices[nth % invoices.len()]);
        Ok(Self {
            date: date.as_str().to_owned(),
            tills: TILLS,
            day: (0..of_day).map(sale).collect::<Result<_, _>>()?,
            hour: (of_day..of_day + hour).map(sale).collect::<Result<_, _>>()?,
            pause_ms: 20,
            dark_ms: 4_000,
        })
    }

    /// Reads what another process made.
    pub(crate) fn read(path: &Path) -> Result<Self, Trouble> {
        serde_json::from_slice(&fs::read(path)?).map_err(Trouble::of("reading the work"))
    }

    /// For other processes.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Trouble> {
        let bytes = serde_json::to_vec(self).map_err(Trouble::of("writing the work"))?;
        Ok(fs::write(path, bytes)?)
    }

    /// Bytes of the day's sales.
    pub(crate) fn day_bytes(&self) -> usize {
        self.day.iter().map(|sale| sale.len() / 2).sum()
    }

    /// Bytes of the hour's sales.
    pub(crate) fn hour_bytes(&self) -> usize {
        self.hour.iter().map(|sale| sale.len() / 2).sum()
    }
}

/// A sale's bytes.
pub(crate) fn bytes(sale: &str) -> Vec<u8> {
    let digit = |letter: u8| u8::try_from(char::from(letter).to_digit(16).unwrap_or(0)).unwrap_or(0);
    sale.as_bytes()
        .chunks(2)
        .map(|two| two.iter().fold(0, |byte, letter| byte << 4 | digit(*letter)))
        .collect()
}

struct Maker {
    currency: Currency,
    catalogue: Catalogue,
    day: Day,
}

impl Maker {
    fn new(items: &[Item], date: &str) -> Result<Self, Trouble> {
        let failed = "making the catalogue";
        let currency = Currency::parse("GBP").map_err(Trouble::of(failed))?;
        let mut sheet = csv::Writer::from_writer(Vec::new());
        let mut write = |record: [&str; 4]| sheet.write_record(record).map_err(Trouble::of(failed));
        write(["sku", "name", "price", "service"])?;
        for item in items {
            write([&item.code, &item.name, item.price.as_str(), if item.service { "yes" } else { "no" }])?;
        }
        let sheet = sheet.into_inner().map_err(Trouble::of(failed))?;
        let catalogue = Catalogue::import(&sheet[..], currency, &[]).map_err(Trouble::of(failed))?;
        Ok(Self { currency, catalogue, day: Day::parse(date).map_err(Trouble::of(failed))? })
    }

    fn sale(&self, nth: usize, invoice: &Invoice) -> Result<String, Trouble> {
        let failed = || format!("closing the sale of invoice {}", invoice.number);
        let terminal = u16::try_from(nth % TILLS + 1).unwrap_or(1);
        let number = ReceiptNumber::next(terminal, 1, (nth / TILLS) as u64).map_err(Trouble::of(failed()))?;
        let at = UnixMicros(1_291_192_000_000_000 + i64::try_from(nth).unwrap_or(0) * 20_000_000);
        let mut draft = SaleDraft::new(Occasion::new(self.day, at, number), self.currency);
        let note = Money::parse(NOTE, self.currency).map_err(Trouble::of(failed()))?;
        draft.tenders = vec![Tender::cash(note).map_err(Trouble::of(failed()))?];
        for line in &invoice.lines {
            let item = self.catalogue.lookup(&line.code);
            let item = item.ok_or_else(|| Trouble::new(failed(), format!("{} is unknown", line.code)))?;
            let qty = Qty::pieces(line.quantity).map_err(Trouble::of(failed()))?;
            let price = Price::parse(line.price.as_str(), self.currency).map_err(Trouble::of(failed()))?;
            draft
                .lines
                .push(PricedLine::of_item(&line.code, &item, qty, None).at_price(price, "as in the sheet"));
        }
        let sale = close_sale(&draft).map_err(Trouble::of(failed()))?;
        Ok(OpV1::new(What::Sale(Box::new(sale))).encode().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
