//! What is long done: up to where sales and print jobs are settled, and the rows that go with them.
//!
//! Sums stay: what a day came to, what is in stock, the highest number of a series. The rows of single sales go, of what each
//! item did on a day, of what drawers did, and of print jobs. What is settled follows from an op itself (a sale's day and number, the time in a
//! job's id), never from what else is known, so it leaves no row whether it comes before the word or after.
//!
//! Absent on purpose: a clock. Whoever says the word says up to where.

use serde::{Deserialize, Serialize};
use toko_crdt::EffectId;
use toko_crdt::clock::UnixMicros;
use toko_crdt::fold::{Kv, KvError, KvRead};
use toko_crdt::ids::dated_at;

use super::closings::day_state;
use super::days::days;
use super::drawers;
use super::flags::{self, Flag};
use super::kept::Kept;
use super::sales::{self, sales_of_day};
use super::table::{
    BOOKS_SETTLED, DAY_ITEM, DAY_SALE, Key, PRINT_ASK, PRINT_EVENT, PRINT_OPEN, Parts, read, write,
};
use crate::day::Day;
use crate::ops::{BooksSettledV1, SalePlaceV1, SaleV1};

/// Sales, and likewise jobs, whose rows one op takes away.
const AT_ONCE: usize = 64;
/// Ops that are asked for at once.
const OPS_MAX: usize = 512;
/// A job's id is dated in milliseconds.
const MILLISECOND: i64 = 1_000;

/// Up to where books are settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settled {
    sales: SalePlaceV1,
    jobs_before_micros: i64,
}

impl Settled {
    pub(super) fn now(kv: &dyn KvRead) -> Result<Settled, KvError> {
        Ok(read(kv, &[BOOKS_SETTLED])?.unwrap_or_default())
    }

    /// Whether a sale is settled.
    pub(super) fn has_sale(&self, sale: &SaleV1) -> bool {
        place_of(sale) < self.sales && !toko_crdt::mutant!("late-settled-sales-stay")
    }

    /// Whether what each item did on a day is settled.
    pub(super) fn has_items_of(&self, day: u32) -> bool {
        day < self.sales.day
    }

    /// Whether what the drawer of a terminal did on a day is settled.
    pub(super) fn has_drawer_of(&self, day: u32, terminal: u16) -> bool {
        (day, terminal) < (self.sales.day, self.sales.terminal)
    }

    /// Whether a print job is settled.
    pub(super) fn has_job(&self, job: &[u8; 16]) -> bool {
        dated_at(job).0 < self.jobs_before_micros
    }

    fn joined(self, said: &BooksSettledV1) -> Settled {
        Settled {
            sales: self.sales.max(said.sales),
            jobs_before_micros: self.jobs_before_micros.max(said.jobs_before_micros),
        }
    }
}

/// The first day under which may be sold: of the days before it, sales are settled. Nothing while nothing is settled.
pub fn first_open_day(kv: &dyn KvRead) -> Result<Option<Day>, KvError> {
    let SalePlaceV1 { day, terminal, series, counter } = Settled::now(kv)?.sales;
    if day == 0 {
        return Ok(None);
    }
    let first = Day::stored(day).map_err(KvError::corrupt)?;
    let is_whole = (terminal, series, counter) == (0, 0, 0);
    Ok(if is_whole { Some(first) } else { first.next() })
}

/// The least time that a print job which is drawn now may bear; nothing while no job is settled.
pub fn first_open_job(kv: &dyn KvRead) -> Result<Option<UnixMicros>, KvError> {
    let settled = Settled::now(kv)?.jobs_before_micros;
    Ok((settled > 0).then(|| UnixMicros(settled.saturating_add(MILLISECOND))))
}

/// What a hub says, op by op, so that what was done before a time is settled.
///
/// Shape: whole days, as far as they are over: before the day of that time in UTC, with no sale at or after it, and before
/// the day that is open. Of a long backlog the beginning.
pub(super) fn due(kv: &dyn KvRead, before: UnixMicros) -> Result<Vec<BooksSettledV1>, KvError> {
    let Settled { sales, jobs_before_micros } = Settled::now(kv)?;
    let mut words = Words { said: BooksSettledV1 { sales, jobs_before_micros }, due: Vec::new() };
    for day in days_over(kv, before)? {
        if words.due.len() >= OPS_MAX {
            return Ok(words.due);
        }
        words.settle_day(kv, day)?;
    }
    words.settle_jobs(kv, before)?;
    Ok(words.due)
}

/// Words in the making: each says what those before it said, and more.
struct Words {
    said: BooksSettledV1,
    due: Vec<BooksSettledV1>,
}

impl Words {
    fn say(&mut self, said: BooksSettledV1) {
        if said != self.said {
            self.said = said;
            self.due.push(said);
        }
    }

    fn settle_day(&mut self, kv: &dyn KvRead, day: Day) -> Result<(), KvError> {
        let mut last = None;
        loop {
            let page = sales_of_day(kv, day, last.as_ref(), AT_ONCE)?;
            let Some(end) = page.last().filter(|_| page.len() == AT_ONCE).cloned() else { break };
            let place = SalePlaceV1 {
                day: day.number(),
                terminal: end.number.terminal,
                series: end.number.series,
                counter: end.number.counter,
            };
            self.say(BooksSettledV1 { sales: self.said.sales.max(place), ..self.said });
            last = Some(end);
        }
        let Some(next) = day.next() else { return Ok(()) };
        let whole = SalePlaceV1 { day: next.number(), ..SalePlaceV1::default() };
        self.say(BooksSettledV1 { sales: self.said.sales.max(whole), ..self.said });
        Ok(())
    }

    fn settle_jobs(&mut self, kv: &dyn KvRead, before: UnixMicros) -> Result<(), KvError> {
        let mut times = Vec::new();
        for table in [PRINT_ASK, PRINT_EVENT] {
            times.extend(jobs_before(kv, table, before)?.iter().map(|job| dated_at(job).0));
        }
        times.sort_unstable();
        let ends = times.chunks(AT_ONCE).filter_map(|chunk| chunk.last());
        for end in ends.take(OPS_MAX.saturating_sub(self.due.len())) {
            let jobs_before_micros = end.saturating_add(MILLISECOND);
            self.say(BooksSettledV1 { jobs_before_micros, ..self.said });
        }
        Ok(())
    }
}

/// Days that are not settled and that nobody sells under any more, in order.
fn days_over(kv: &dyn KvRead, before: UnixMicros) -> Result<Vec<Day>, KvError> {
    let Some(limit) = Day::at_utc(before) else { return Ok(Vec::new()) };
    let all = days(kv)?;
    let mut open = None;
    for day in all.iter().rev() {
        let state = day_state(kv, *day)?;
        if !state.opened.is_empty() && state.closings.is_empty() {
            open = Some(*day);
            break;
        }
    }
    let limit =
        open.filter(|_| !toko_crdt::mutant!("settle-the-open-day")).map_or(limit, |open| limit.min(open));
    let first = Settled::now(kv)?.sales.day;
    let mut over = Vec::new();
    for day in all.into_iter().filter(|day| day.number() >= first && *day < limit) {
        let sold_lately = sales_of_day(kv, day, None, usize::MAX)?.iter().any(|sale| sale.at >= before);
        if sold_lately {
            break;
        }
        over.push(day);
    }
    Ok(over)
}

/// The jobs in a table that were drawn before a time, each once.
fn jobs_before(kv: &dyn KvRead, table: u8, before: UnixMicros) -> Result<Vec<[u8; 16]>, KvError> {
    let mut jobs: Vec<[u8; 16]> = Vec::new();
    let mut fault = Ok(());
    kv.scan(&[table], &mut |key, _| match Parts::of(key).take::<16>() {
        Ok(job) if dated_at(&job) < before => {
            if jobs.last() != Some(&job) {
                jobs.push(job);
            }
            true
        }
        Ok(_) => false,
        Err(error) => {
            fault = Err(error);
            false
        }
    })?;
    fault.map(|()| jobs)
}

/// Notes how far books are settled, and takes the rows away that go with it. `keeps` says whether they are kept elsewhere.
pub(super) fn fold(kv: &mut dyn Kv, said: &BooksSettledV1, keeps: bool) -> Result<(), KvError> {
    let before = Settled::now(kv)?;
    let now = before.joined(said);
    if now == before {
        return Ok(());
    }
    write(kv, &[BOOKS_SETTLED], &now)?;
    let mut sweep = Sweep { kv, keeps };
    for sale in sales_below(sweep.kv, &now.sales)? {
        sales::settle(&mut sweep, sale)?;
    }
    let end = Key::of(DAY_ITEM).u32(now.sales.day).done();
    sweep.take_below(DAY_ITEM, &end)?;
    let [day, terminal] = [&now.sales.day.to_be_bytes()[..], &now.sales.terminal.to_be_bytes()];
    drawers::settle_below(&mut sweep, &[day, terminal].concat())?;
    for table in [PRINT_ASK, PRINT_EVENT, PRINT_OPEN] {
        let end = Key::of(table).bytes(&first_id_at(now.jobs_before_micros)).done();
        sweep.take_below(table, &end)?;
    }
    Ok(())
}

/// Takes rows out of views, and puts them where they are kept, if they are.
pub(super) struct Sweep<'a> {
    pub(super) kv: &'a mut dyn Kv,
    keeps: bool,
}

impl Sweep<'_> {
    pub(super) fn take(&mut self, key: &[u8]) -> Result<(), KvError> {
        let Some(value) = self.kv.get(key)? else { return Ok(()) };
        if self.keeps && !toko_crdt::mutant!("headquarters-forgets-what-is-settled") {
            Kept(self.kv).put(key, &value)?;
        }
        self.kv.delete(key)
    }

    /// Looks at a flag again, some of whose causes are gone.
    pub(super) fn judge(&mut self, flag: Flag, raised: bool) -> Result<(), KvError> {
        if raised { flags::set(self.kv, flag, true) } else { self.take(&flags::key(flag)) }
    }

    /// Takes every row of a table that stands before `end`.
    pub(super) fn take_below(&mut self, table: u8, end: &[u8]) -> Result<(), KvError> {
        let mut keys = Vec::new();
        self.kv.scan(&[table], &mut |key, _| {
            let goes = key < end;
            if goes {
                keys.push(key.to_vec());
            }
            goes
        })?;
        keys.iter().try_for_each(|key| self.take(key))
    }
}

/// The sales that stand before a place.
fn sales_below(kv: &dyn KvRead, place: &SalePlaceV1) -> Result<Vec<EffectId>, KvError> {
    let SalePlaceV1 { day, terminal, series, counter } = *place;
    let end = Key::of(DAY_SALE).u32(day).u16(terminal).u32(series).u64(counter).done();
    let mut found = Vec::new();
    kv.scan(&[DAY_SALE], &mut |key, _| {
        let goes = key < end.as_slice();
        if goes {
            found.extend(key.last_chunk::<32>().map(|id| EffectId(*id)));
        }
        goes
    })?;
    Ok(found)
}

fn place_of(sale: &SaleV1) -> SalePlaceV1 {
    let SaleV1 { day, terminal, series, counter, .. } = *sale;
    SalePlaceV1 { day, terminal, series, counter }
}

/// The least id that bears this time or a later one, in whole milliseconds.
fn first_id_at(micros: i64) -> [u8; 16] {
    let up = micros.saturating_add(MILLISECOND - 1);
    toko_crdt::ids::dated(UnixMicros(up), [0; 16])
}
