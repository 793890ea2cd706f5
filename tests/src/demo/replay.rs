//! The replay: three cashiers work through the day, each at one terminal, line by line, over HTTP.
//!
//! Invariants: the same sheet is dealt and paid alike each time; each command has a key of its own, and a repeat has the
//! same key and the same body. A terminal that was dark may have lost what it answered from memory, so the cashier tells it
//! the whole cart again, with the same keys: what it has, it answers as it did the first time; what it lacks, it takes.
//!
//! What else a cashier does between two scans stands in [`super::errand`].

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Instant;

use serde_json::{Value, json};

use super::counter::Counter;
use super::errand::Errands;
use super::floor::{Acknowledged, Floor, Kind, News};
use super::purse::{self, millionths};
use super::stage::{TILLS, text};
use super::trouble::Trouble;
use crate::day::{Invoice, Work};
use crate::sheet::{Line, Price};

/// About so many lines has the cart that is parked: two halves that take little of the time in which the hub is dead.
const PARKED_LINES: usize = 8;
/// The longest note that the terminals take.
const NOTE_CHARS_MAX: usize = 120;

/// The work of a day, dealt.
#[derive(Debug)]
pub struct Hands<'a> {
    /// For each terminal: each piece went to whom had the fewest lines so far.
    pub queues: Vec<VecDeque<&'a Work>>,
    /// The sale that is parked on one terminal and finished on another.
    pub parked: Option<&'a Invoice>,
}

/// Deals the work of a day to the terminals.
pub fn deal(work: &[Work]) -> Hands<'_> {
    let odd_size = |piece: &Work| match piece {
        Work::Sale(invoice) if invoice.lines.len() > 1 => Some(invoice.lines.len().abs_diff(PARKED_LINES)),
        _ => None,
    };
    let sizes = work.iter().enumerate().filter_map(|(at, piece)| Some((odd_size(piece)?, at)));
    let parked_at = sizes.min().map(|(_, at)| at);
    let parked = parked_at.and_then(|at| match &work[at] {
        Work::Sale(invoice) => Some(invoice),
        _ => None,
    });
    let mut hands: Vec<(usize, VecDeque<&Work>)> = TILLS.iter().map(|_| (0, VecDeque::new())).collect();
    for (_, piece) in work.iter().enumerate().filter(|(at, _)| Some(*at) != parked_at) {
        if let Some((lines, hand)) = hands.iter_mut().min_by_key(|(lines, _)| *lines) {
            *lines += piece.lines();
            hand.push_back(piece);
        }
    }
    Hands { queues: hands.into_iter().map(|(_, hand)| hand).collect(), parked }
}

/// Catalogue prices by code, to see which lines need a price of their own.
pub type Prices<'a> = HashMap<&'a str, &'a Price>;

/// A sale on its way.
#[derive(Debug)]
pub(super) struct Sale<'a> {
    pub(super) invoice: &'a Invoice,
    /// Lines before this one were rung up on another terminal.
    pub(super) from: usize,
    /// Lines that the day has counted.
    pub(super) rung: usize,
    /// The cart, once it is known; before, for one that another terminal parked.
    pub(super) cart: Option<String>,
    /// When this terminal first knew it.
    pub(super) opened: Option<Instant>,
    tenders: Option<Value>,
}

impl<'a> Sale<'a> {
    pub(super) fn new(invoice: &'a Invoice) -> Self {
        Self { invoice, from: 0, rung: 0, cart: None, opened: None, tenders: None }
    }

    /// The other terminal goes on where this one stopped.
    pub(super) fn handed_over(self) -> Self {
        Self { from: self.rung, opened: None, ..self }
    }

    /// A key for one of its commands.
    pub(super) fn key(&self, what: &str) -> String {
        format!("{} {what}", self.invoice.number)
    }
}

/// Who works at one terminal.
#[derive(Debug)]
pub struct Cashier<'a> {
    pub(super) floor: &'a Floor,
    pub(super) counter: Counter,
    pub(super) queue: VecDeque<&'a Work>,
    pub(super) prices: &'a Prices<'a>,
    pub(super) news: Sender<News>,
    pub(super) errands: Errands<'a>,
}

impl<'a> Cashier<'a> {
    /// Works through the queue, and says why if that is not possible.
    pub fn work(mut self) {
        if let Err(trouble) = self.work_off() {
            self.tell(News::Failed(trouble));
        }
    }

    fn work_off(&mut self) -> Result<(), Trouble> {
        while let Some(piece) = self.queue.pop_front() {
            self.before_the_last()?;
            self.between_scans()?;
            match piece {
                Work::Sale(invoice) => self.sell(invoice)?,
                Work::Return(invoice) => self.take_back(invoice)?,
                Work::WriteOff(line) => self.write_off(line)?,
            }
        }
        self.before_going_home()
    }

    fn sell(&mut self, invoice: &'a Invoice) -> Result<(), Trouble> {
        let mut sale = Sale::new(invoice);
        while !(self.ring_up(&mut sale, invoice.lines.len(), true)? && self.close(&mut sale)?) {
            self.is_back()?;
        }
        Ok(())
    }

    /// Brings lines into the cart up to `until`, after opening or taking it. False if the terminal was dark meanwhile.
    pub(super) fn ring_up(
        &mut self,
        sale: &mut Sale<'a>,
        until: usize,
        between: bool,
    ) -> Result<bool, Trouble> {
        if !self.begin(sale)? {
            return Ok(false);
        }
        let Some(cart) = sale.cart.clone() else { return Ok(false) };
        for (at, line) in sale.invoice.lines.iter().enumerate().take(until).skip(sale.from) {
            let first_time = at >= sale.rung;
            if first_time {
                if between {
                    self.between_scans()?;
                    if self.in_the_middle(sale)? {
                        return Ok(false);
                    }
                }
                self.floor.turn(1)?;
            }
            let body = self.scan(line);
            let key = sale.key(&format!("line {}", line.line));
            let Some(answer) =
                self.counter.tell_once(&format!("/v1/carts/{cart}/lines"), &key, Some(&body))?
            else {
                return Ok(false);
            };
            text(self.counter.name(), &answer, "/line/line")?;
            if first_time {
                sale.rung = at + 1;
                self.done(1);
            }
        }
        Ok(true)
    }

    fn begin(&mut self, sale: &mut Sale<'a>) -> Result<bool, Trouble> {
        let (path, body) = match &sale.cart {
            Some(cart) if sale.from > 0 => (format!("/v1/carts/{cart}/take"), None),
            _ => ("/v1/carts".to_owned(), Some(json!({ "name": sale.invoice.number }))),
        };
        let Some(answer) = self.counter.tell_once(&path, &sale.key("cart"), body.as_ref())? else {
            return Ok(false);
        };
        let cart = text(self.counter.name(), &answer, "/cart")?.to_owned();
        match &sale.cart {
            Some(known) if *known != cart => {
                let words = format!("{}: the cart of {} was gone", self.counter.name(), sale.invoice.number);
                self.tell(News::Broken(words));
            }
            _ => {}
        }
        sale.cart = Some(cart);
        sale.opened.get_or_insert_with(Instant::now);
        Ok(true)
    }

    fn scan(&self, line: &Line) -> Value {
        let mut body = json!({ "code": line.code, "qty": line.quantity.to_string() });
        let listed = self.prices.get(line.code.as_str()).map(|price| millionths(price));
        if listed != Some(millionths(&line.price)) {
            body["unit_price"] = line.price.as_str().into();
            body["price_reason"] = "as invoiced".into();
        }
        body
    }

    /// Turns the cart into a sale. False if the terminal was dark meanwhile.
    pub(super) fn close(&mut self, sale: &mut Sale<'a>) -> Result<bool, Trouble> {
        if self.in_the_middle(sale)? {
            return Ok(false);
        }
        let Some(cart) = sale.cart.clone() else { return Ok(false) };
        let name = self.counter.name();
        if sale.tenders.is_none() {
            let shown = self.counter.ask(&format!("/v1/carts/{cart}"))?;
            let due = text(name, &shown, "/due")?;
            let due = purse::pennies(due).ok_or_else(|| Trouble::Odd {
                who: name.into(),
                what: "what is due, in pounds and pence".into(),
                said: due.into(),
            })?;
            sale.tenders = Some(purse::pay(&sale.invoice.number, due));
        }
        let mut body = json!({
            "tenders": sale.tenders,
            "external": sale.invoice.number,
            "cashier": format!("cashier at {name}"),
            "receipt": true,
        });
        if let Some(line) = sale.invoice.lines.first().filter(|line| !line.customer.is_empty()) {
            body["customer"] = line.customer.as_str().into();
        }
        let path = format!("/v1/carts/{cart}/sale");
        match self.counter.tell_once(&path, &sale.key("sale"), Some(&body))? {
            Some(answer) => {
                self.acknowledge(Kind::Sale, &sale.invoice.number, &answer, "/sale")?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn take_back(&mut self, invoice: &Invoice) -> Result<(), Trouble> {
        let lines = u64::try_from(invoice.lines.len()).unwrap_or(u64::MAX);
        self.floor.turn(lines)?;
        let back: i64 = invoice.lines.iter().map(purse::worth).sum();
        let scans = invoice.lines.iter().map(|line| {
            let (qty, price) = (line.quantity.unsigned_abs().to_string(), line.price.as_str());
            json!({ "code": line.code, "qty": qty, "unit_price": price })
        });
        let body = json!({
            "lines": scans.collect::<Vec<_>>(),
            "tenders": purse::give_back(&invoice.number, -back),
            "external": invoice.number,
            "cashier": format!("cashier at {}", self.counter.name()),
            "receipt": true,
        });
        let answer = self.counter.tell("/v1/returns", &format!("{} return", invoice.number), Some(&body))?;
        self.done(lines);
        self.acknowledge(Kind::Return, &invoice.number, &answer, "/sale")
    }

    fn write_off(&mut self, line: &Line) -> Result<(), Trouble> {
        self.floor.turn(1)?;
        let note: String = line.name.chars().take(NOTE_CHARS_MAX).collect();
        let body = json!({
            "reason": "write_off",
            "lines": [{ "code": line.code, "qty": line.quantity.unsigned_abs().to_string() }],
            "note": note,
            "external": line.invoice,
        });
        let key = format!("{} write-off {}", line.invoice, line.line);
        let answer = self.counter.tell("/v1/stock-movements", &key, Some(&body))?;
        self.done(1);
        self.acknowledge(Kind::WriteOff, &line.invoice, &answer, "/movement")
    }

    fn acknowledge(
        &mut self,
        kind: Kind,
        invoice: &str,
        answer: &Value,
        pointer: &str,
    ) -> Result<(), Trouble> {
        let till = self.counter.name();
        let now = Ordering::Relaxed;
        self.tell(News::Acknowledged(Acknowledged {
            id: text(till, answer, pointer)?.to_owned(),
            kind,
            invoice: invoice.to_owned(),
            job: answer["job"].as_str().map(str::to_owned),
            till,
            hub_dark: self.floor.hub_dark.load(now),
            hq_dark: self.floor.hq_dark.load(now),
            cut: till == super::script::CUT && self.floor.cut.load(now),
        }));
        Ok(())
    }

    fn done(&self, lines: u64) {
        self.floor.add(lines);
        self.tell(News::Lines(lines));
    }

    pub(super) fn tell(&self, news: News) {
        // Nobody listens only when the day is over for everybody.
        let _ = self.news.send(news);
    }

    /// Waits until the terminal answers again.
    pub(super) fn is_back(&self) -> Result<(), Trouble> {
        self.counter.ask("/v1/status").map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::{Days, bundled_week};

    #[test]
    fn each_piece_of_work_is_dealt_once_and_nobody_has_much_more_than_the_others() {
        let days = Days::read(&bundled_week()).unwrap();
        for day in days.each() {
            let Hands { queues, parked } = deal(&day.work);
            let parked = parked.unwrap().lines.len();
            assert!((2..20).contains(&parked), "{parked}");
            assert_eq!(queues.iter().map(VecDeque::len).sum::<usize>(), day.work.len() - 1);
            let lines: Vec<usize> =
                queues.iter().map(|queue| queue.iter().map(|piece| piece.lines()).sum()).collect();
            assert_eq!(lines.iter().sum::<usize>(), day.lines() - parked);
            let largest = day.work.iter().map(Work::lines).max().unwrap();
            assert!(lines.iter().max().unwrap() - lines.iter().min().unwrap() <= largest, "{lines:?}");
        }
    }
}
