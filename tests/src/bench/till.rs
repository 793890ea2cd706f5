//! A cashier at a terminal's API: each line timed from scan to price, each sale from the cash to the answer that it is safe.

use std::time::Duration;

use super::bare_api::BareApi;
use super::goods::{NOTE, basket, gtin};
use super::shop::Shop;
use super::store::Bare;
use super::table::{Figure, Row, percentiles, percentiles_to_p999, ratio};
use super::trouble::Trouble;
use super::turns::Turns;
use super::wire::Wire;
use super::{Bench, SALE, SCAN};
use crate::machine::{Spread, TcpEcho};

/// The slowest line of a thousand may take.
const LINE_MAX: Duration = Duration::from_millis(10);

/// Someone who rings up carts, one after another.
#[derive(Debug)]
pub struct Cashier {
    wire: Wire,
    name: String,
    /// Carts sold.
    pub sold: u64,
    first: u64,
    /// How long each line took.
    pub lines: Vec<Duration>,
    /// Bytes of a line's question and answer.
    pub line_bytes: (usize, usize),
}

impl Cashier {
    /// At terminal `at`; `shift` keeps keys and goods apart from those of others.
    pub fn at(shop: &Shop, at: usize, shift: &str) -> Result<Self, Trouble> {
        let first = (at as u64 + 1) << 32;
        let name = format!("{shift}-{at}");
        Ok(Self { wire: shop.wire(at)?, name, sold: 0, first, lines: Vec::new(), line_bytes: (0, 0) })
    }

    /// Opens a cart, scans eight items, takes the money; returns how long the sale took.
    pub fn sell(&mut self) -> Result<Duration, Trouble> {
        let (nth, name) = (self.sold, &self.name);
        let (cart, _) = self.wire.post("/v1/carts", &format!("{name}-{nth}-c"), "{}")?;
        let cart = format!("/v1/carts/{}", cart["cart"].as_str().unwrap_or_default());
        let lines = format!("{cart}/lines");
        for (place, scan) in basket(self.first + nth).enumerate() {
            let body = format!(r#"{{"code":"{}","qty":"{}"}}"#, gtin(scan.item), scan.pieces);
            let (_, took) = self.wire.post(&lines, &format!("{name}-{nth}-{place}"), &body)?;
            self.lines.push(took);
        }
        self.line_bytes = self.wire.last;
        let cash = format!(r#"{{"tenders":[{{"kind":"cash","amount":"{NOTE}"}}]}}"#);
        let (_, took) = self.wire.post(&format!("{cart}/sale"), &format!("{name}-{nth}-s"), &cash)?;
        self.sold += 1;
        Ok(took)
    }
}

/// Who else is there while a terminal is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Nobody: processor and disk are the terminal's own, as a till's are.
    Alone,
    /// Hub and other terminals follow each entry, on the same processor and the same disk, which no shop has.
    Followed,
}

/// Sales and scans through one terminal.
pub fn till(bench: &Bench, cashier: &mut Cashier, company: Company) -> Result<Vec<Row>, Trouble> {
    let (pace, alone) = (&bench.pace, company == Company::Alone);
    let mut raw = Bare::beside(&bench.fresh(&format!("beside-{company:?}"))?, &bench.goods, pace.every)?;
    let mut api = BareApi::beside(&bench.fresh(&format!("bare-api-{company:?}"))?, raw.bytes)?;
    let mut calls = Turns::every(pace.every);
    let (mut sales, mut lines, mut echoes) = (Turns::every(pace.every), Turns::default(), Turns::default());
    Turns::default().stretch(pace.warm_up, || cashier.sell())?;
    let mut echo = TcpEcho::start(cashier.line_bytes.0, cashier.line_bytes.1)?;
    for _ in 0..if alone { pace.turns } else { pace.turns.div_ceil(2) } {
        cashier.lines.clear();
        sales.stretch(pace.stretch, || cashier.sell())?;
        lines.add(std::mem::take(&mut cashier.lines));
        // The second after which views move, so that the bare machine is measured without them.
        std::thread::sleep(pace.rest);
        raw.stretch(pace.stretch / 4)?;
        calls.stretch(pace.stretch / 4, || api.round())?;
        echoes.stretch(pace.stretch / 4, || Ok(echo.round()?))?;
    }
    let who = if alone { "" } else { ", followed by 3 nodes on this disk" };
    let mut rows = raw.rows(SALE, &format!("durable sale through the API{who}, 8 lines"), &sales);
    if let (Some(ours), Some(bare)) = (sales.typical(), calls.typical()) {
        let times = ratio(Figure::Took(ours.p99), Figure::Took(bare.p99));
        let row = Row::new(
            SALE,
            "  the same; a bare HTTP server that appends and syncs".to_owned(),
            percentiles(&ours),
        );
        rows.push(row.beside(percentiles(&bare), Some(times)));
    }
    if let (Some(ours), Some(raw)) = (lines.pooled(), echoes.pooled()) {
        let times = |of: fn(&Spread) -> Duration| ratio(Figure::Took(of(&ours)), Figure::Took(of(&raw)));
        let what = format!("scan → priced line, 100 000 items, API{who}; TCP echo");
        let row = Row::new(SCAN, what, percentiles_to_p999(&ours));
        let row = row.beside(percentiles_to_p999(&raw), Some(times(|spread| spread.p50)));
        rows.push(row.to_reach("p99.9 ≤ 10 ms", ours.p999 <= LINE_MAX));
    }
    if !alone {
        // What the machine cannot give four times over is nobody's to reach.
        rows.iter_mut().for_each(|row| row.reach = None);
        rows.retain(|row| !row.what.starts_with(' '));
    }
    Ok(rows)
}
