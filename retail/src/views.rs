//! What people see: every op folded into rows, and typed readers over them.
//!
//! The law: the fold is a total function of the *set* of effects. Sums add, sets grow, registers keep the highest by
//! (revision, clock, hash), and a row that depends on two ops is settled by whichever comes last. It reads no clock, no
//! role, no order of arrival; it never refuses and never repairs. What looks wrong is a [`flags::Flag`].
//!
//! Tables by first key byte. Numbers in keys are big-endian, so that rows sort. Values are postcard of plain fields.
//!
//! | key | value | lane |
//! | --- | --- | --- |
//! | `10` sale | summary, place of its entry, quantity of each line | books |
//! | `11` terminal, series, counter, sale | nothing: who printed that number | books |
//! | `12` terminal, series | highest counter | books |
//! | `13` day, terminal, series, counter, sale | nothing: the sales of a day | books |
//! | `14` day | counts of sales, returns, voids, lines, write-offs | books |
//! | `15` day, currency | value of sales, returns, voids; rounding | books |
//! | `16` day, currency, tender | count and amount | books |
//! | `17` day, currency, tax | net and amount | books |
//! | `18` day, sku | quantities sold, returned, moved; value | books |
//! | `19` sku | stock, by what moved it | books |
//! | `1a` node, key, effect | hash of the request that used an idempotency key (`53` for the floor) | books |
//! | `1b` job, effect | a print that was asked for | books |
//! | `1c` job, attempt, kind, effect | an attempt that started, or its outcome | books |
//! | `1d` job | nothing: asked, and neither printed nor given up | books |
//! | `1e` shift | its opening | books |
//! | `1f` shift, effect | a closing | books |
//! | `20` shift, currency | cash in and out | books |
//! | `21` sale, line, return | quantity that came back with it | books |
//! | `22` cart, sale | nothing: the sales of a cart | books |
//! | `23` kind, blob, effect | a bundle that was published | books |
//! | `24` kind | the bundle that counts | books |
//! | `25` day, effect | a day's opening or closing | books |
//! | `26` code, subject | nothing: a flag | books |
//! | `27` terminal, shift | nothing: open, that is, without a closing | books |
//! | `28` | up to where sales and print jobs are settled | books |
//! | `29` day, terminal, opening, kind, effect | a drawer's opening that was asked for, its outcome, or one that nobody asked for | books |
//! | `2a` day, terminal, opening | nothing: asked for, and not answered | books |
//! | `2b` day | how often drawers were opened | books |
//! | `2c` drawer | how it was last | books |
//! | `50` cart | who holds it | floor |
//! | `51` cart, tender, stage, effect | money taken before the sale | floor |
//! | `52` cart, effect | the cart is done | floor |
//! | `54` cart | nothing: not done | floor |
//! | `55` cart, node, key, effect | nothing: leads to `53` | floor |
//! | `90` key | a row of what is settled, where such rows are kept | local |
//!
//! Rows that a floor op writes begin at `50`, rows that a books op writes below `40`; neither reads the other's.
//!
//! The rows of a cart go when it is settled ([`toko_crdt::settling`]), those of a sale or a print job when the books are
//! ([`settled`]), and what comes of it later leaves none. Headquarters keeps them for ever ([`KeepingFold`], [`AllTime`]).
//!
//! Absent on purpose: expiry. Rows go when the entry of a hub says so, never by a clock.

use std::collections::BTreeMap;

use toko_crdt::clock::UnixMicros;
use toko_crdt::fold::{Effect, Fold, FoldError, Kv, KvError, KvRead};
use toko_crdt::settling::Settling;
use toko_crdt::{CartId, EffectId, book};

use crate::ops::{OpError, OpV1, PrintAskV1, SaleV1, What};
use kept::Kept;
use settled::Settled;

pub mod bundles;
pub mod carts;
pub mod closings;
pub mod days;
pub mod drawers;
mod fate;
pub mod flags;
pub mod idem;
mod kept;
pub mod prints;
pub mod sales;
pub mod settled;
pub mod shifts;
pub mod stock;
mod table;

pub use bundles::{ActiveBundle, PublishedBundle, bundle_active, bundles_published};
pub use carts::{CartState, Custody, TakenTender, cart, cart_tenders, carts_open};
pub use closings::{DayClosing, DayState, day_state};
pub use days::{DayItem, DayMoney, DayTax, DayTender, DayTotals, day_item, day_items, day_totals, days};
pub use drawers::{
    DrawerAsk, DrawerCounts, DrawerOpening, DrawerState, drawer_counts, drawer_openings, drawer_state,
    drawers_asked,
};
pub use fate::PrintFate;
pub use flags::{Flag, flags};
pub use idem::{IdemUse, idem_uses};
pub use kept::AllTime;
pub use prints::{PrintAttempt, PrintJob, job, jobs_open};
pub use sales::{
    SaleSummary, returned_of, sale, sales_by_number, sales_of_cart, sales_of_day, series_high, series_last,
};
pub use settled::{first_open_day, first_open_job};
pub use shifts::{Shift, ShiftClosing, shift, shifts_open};
pub use stock::{StockRow, stock, stock_all, stock_row};

/// What the fold makes of the ops of this build. Changes whenever a row would be another one, also by the book around it.
pub const FOLD_VERSION: u32 = (book::VERSION << 16) | ROWS_VERSION;

/// Of the shop's own rows.
const ROWS_VERSION: u32 = if cfg!(feature = "next") { 5 } else { 4 };

/// Older versions that made the same rows of all that they could read: what an upgrade from them changes is what they parked.
///
/// 3 knew no drawers.
const SAME_ROWS: &[u32] = if cfg!(feature = "next") {
    &[(book::VERSION << 16) | 3, (book::VERSION << 16) | 4]
} else {
    &[(book::VERSION << 16) | 3]
};

/// The fold of a shop.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShopFold;

/// The same fold where nothing is ever forgotten: what is settled leaves the views, and its rows are kept in local tables.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeepingFold;

impl Fold for ShopFold {
    fn version(&self) -> u32 {
        FOLD_VERSION
    }

    fn bring_up(&self, from: u32, _kv: &mut dyn Kv) -> Result<bool, KvError> {
        Ok(SAME_ROWS.contains(&from))
    }

    fn fold(&self, kv: &mut dyn Kv, effect: &Effect<'_>) -> Result<(), FoldError> {
        fold(kv, effect, false)
    }

    fn settle(&self, kv: &mut dyn Kv, settling: &Settling) -> Result<(), KvError> {
        carts::settle(kv, settling)?;
        idem::settle(kv, settling)
    }

    fn books_due(&self, kv: &dyn KvRead, before: UnixMicros) -> Result<Vec<Vec<u8>>, KvError> {
        let due = settled::due(kv, before)?;
        Ok(due.into_iter().map(|said| OpV1::new(What::BooksSettled(said)).encode()).collect())
    }

    fn leads_to(&self, kv: &dyn KvRead, effect: EffectId) -> Result<bool, KvError> {
        sales::stands(kv, effect)
    }

    fn carts(&self, kv: &dyn KvRead, before: UnixMicros) -> Result<BTreeMap<CartId, bool>, KvError> {
        carts::made_before(kv, before)
    }
}

impl Fold for KeepingFold {
    fn version(&self) -> u32 {
        FOLD_VERSION
    }

    fn bring_up(&self, from: u32, kv: &mut dyn Kv) -> Result<bool, KvError> {
        ShopFold.bring_up(from, kv)
    }

    fn fold(&self, kv: &mut dyn Kv, effect: &Effect<'_>) -> Result<(), FoldError> {
        fold(kv, effect, true)
    }

    fn settle(&self, kv: &mut dyn Kv, settling: &Settling) -> Result<(), KvError> {
        ShopFold.settle(kv, settling)
    }

    fn leads_to(&self, kv: &dyn KvRead, effect: EffectId) -> Result<bool, KvError> {
        ShopFold.leads_to(kv, effect)
    }
}

fn fold(kv: &mut dyn Kv, effect: &Effect<'_>, keeps: bool) -> Result<(), FoldError> {
    let op = OpV1::decode(effect.op).map_err(|error| match error {
        OpError::Newer(version) => FoldError::Newer { version },
        other => FoldError::Unreadable { why: other.to_string() },
    })?;
    if op.what.kind().lane() != effect.entry.journal().lane {
        return Err(FoldError::Unreadable { why: format!("{:?} in the other lane", op.what.kind()) });
    }
    let cart = cart_of(&op.what);
    if let Some(cart) = &cart
        && book::settled::is_settled(kv, cart)?
    {
        return Ok(());
    }
    let books = Books { settled: Settled::now(kv)?, keeps };
    if let Some(used) = &op.idem {
        let is_settled = match &op.what {
            What::Sale(sale) => books.settled.has_sale(sale),
            What::DrawerAsked(asked) => books.settled.has_drawer_of(asked.day, asked.terminal),
            _ => false,
        };
        books.rows(kv, is_settled, |kv| idem::fold(kv, effect, cart.as_ref(), used))?;
    }
    books.fold(kv, effect, &op)
}

/// The cart that an op of the floor is about.
fn cart_of(what: &What) -> Option<CartId> {
    match what {
        What::Custody(custody) => Some(CartId(custody.cart)),
        What::TenderTaken(taken) => Some(CartId(taken.cart)),
        What::CartClosed(closed) => Some(CartId(closed.cart)),
        _ => None,
    }
}

/// Where the rows of an op go.
struct Books {
    settled: Settled,
    keeps: bool,
}

impl Books {
    /// Folds rows that what is settled has none of, unless they are kept elsewhere.
    fn rows(
        &self,
        kv: &mut dyn Kv,
        is_settled: bool,
        fold: impl FnOnce(&mut dyn Kv) -> Result<(), KvError>,
    ) -> Result<(), KvError> {
        match (is_settled, self.keeps) {
            (false, _) => fold(kv),
            (true, true) => fold(&mut Kept(kv)),
            (true, false) => Ok(()),
        }
    }

    fn fold(&self, kv: &mut dyn Kv, effect: &Effect<'_>, op: &OpV1) -> Result<(), FoldError> {
        match &op.what {
            What::Sale(sale) => self.sale(kv, effect, sale, op.idem.map(|used| used.key))?,
            What::StockMoved(moved) => {
                days::fold_moved(kv, moved)?;
                let is_settled = self.settled.has_items_of(moved.day);
                self.rows(kv, is_settled, |kv| days::fold_moved_items(kv, moved))?;
                stock::fold_moved(kv, moved)?;
            }
            What::DayOpened(opened) => closings::fold_opened(kv, effect, opened)?,
            What::DayClosed(closed) => closings::fold_closed(kv, effect, closed)?,
            What::ShiftOpened(opened) => shifts::fold_opened(kv, effect, opened)?,
            What::ShiftClosed(closed) => shifts::fold_closed(kv, effect, closed)?,
            What::CashMoved(moved) => shifts::fold_cash(kv, moved)?,
            What::BundlePublished(published) => bundles::fold_published(kv, effect, published)?,
            What::BundleActivated(activated) => bundles::fold_activated(kv, effect, activated)?,
            What::PrintAsked(asked) => {
                self.print(kv, effect, EffectId(asked.sale), &asked.ask, true)?;
            }
            What::PrintStarted(started) => {
                let is_settled = self.settled.has_job(&started.job);
                self.rows(kv, is_settled, |kv| prints::fold_started(kv, effect, started))?;
            }
            What::PrintOutcome(outcome) => {
                let is_settled = self.settled.has_job(&outcome.job);
                self.rows(kv, is_settled, |kv| prints::fold_outcome(kv, effect, outcome))?;
            }
            What::BooksSettled(said) => settled::fold(kv, said, self.keeps)?,
            What::DrawerAsked(asked) => {
                drawers::count_asked(kv, asked)?;
                let is_settled = self.settled.has_drawer_of(asked.day, asked.terminal);
                self.rows(kv, is_settled, |kv| {
                    drawers::fold_asked(kv, effect, asked, op.idem.map(|used| used.key))
                })?;
            }
            What::DrawerSeen(seen) => {
                drawers::count_seen(kv, effect, seen)?;
                let is_settled = self.settled.has_drawer_of(seen.day, seen.terminal);
                self.rows(kv, is_settled, |kv| drawers::fold_seen(kv, effect, seen))?;
            }
            What::Custody(custody) => carts::fold_custody(kv, effect, custody)?,
            What::TenderTaken(taken) => carts::fold_taken(kv, effect, taken)?,
            What::CartClosed(closed) => carts::fold_closed(kv, effect, closed)?,
        }
        Ok(())
    }

    fn sale(
        &self,
        kv: &mut dyn Kv,
        effect: &Effect<'_>,
        sale: &SaleV1,
        idem: Option<[u8; 16]>,
    ) -> Result<(), KvError> {
        sales::fold_number(kv, sale)?;
        days::fold_sale(kv, sale)?;
        stock::fold_sale(kv, sale)?;
        shifts::fold_sale(kv, sale)?;
        self.rows(kv, self.settled.has_sale(sale), |kv| sales::fold(kv, effect, sale, idem))?;
        let is_settled = self.settled.has_items_of(sale.day);
        self.rows(kv, is_settled, |kv| days::fold_sale_items(kv, sale))?;
        match &sale.print {
            Some(ask) => self.print(kv, effect, effect.id, ask, false),
            None => Ok(()),
        }
    }

    fn print(
        &self,
        kv: &mut dyn Kv,
        effect: &Effect<'_>,
        sale: EffectId,
        ask: &PrintAskV1,
        is_copy: bool,
    ) -> Result<(), KvError> {
        let is_settled = self.settled.has_job(&ask.job);
        self.rows(kv, is_settled, |kv| prints::fold_asked(kv, effect, sale, ask, is_copy))
    }
}
