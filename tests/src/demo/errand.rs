//! What cashiers do between two scans: park a cart for another terminal, finish one that was parked, lose power.
//!
//! Invariants: each happens once, in the window that the script gives it, and a window that passes without it is told as a
//! broken promise. A customer with a large order waits meanwhile; a till holds several carts.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use super::floor::News;
use super::replay::{Cashier, Sale};
use super::script::{HOLD_AT, KILL_AT, KILL_BY, PARK_AT};
use super::stage::PATIENCE;
use super::trouble::Trouble;
use crate::day::{Invoice, Work};
use crate::process::LOOK_EVERY;

/// How often the other terminal looks whether a parked cart has come.
const LOOK_FOR_CART_EVERY: Duration = Duration::from_millis(20);
/// How old a cart is at least when the power is cut; a disk that takes longer has trouble of its own.
const DURABLE_AFTER: Duration = Duration::from_secs(1);
/// Lines that are in a cart at least when the power is cut.
const LINES_BEFORE_DARK: usize = 3;

/// What one cashier has to do beside the queue.
#[derive(Debug, Default)]
pub struct Errands<'a> {
    /// Which sale is parked, and to whom it is handed over.
    pub park: Option<(&'a Invoice, Sender<Handover<'a>>)>,
    /// From whom parked carts come.
    pub finish: Option<Receiver<Handover<'a>>>,
    /// Whether this terminal loses power in the middle of a cart.
    pub power_cut: bool,
    waiting: Option<Handover<'a>>,
    last_look: Option<Instant>,
    went_dark: Option<Instant>,
}

/// A cart that was parked on one terminal for another.
#[derive(Debug)]
pub struct Handover<'a> {
    sale: Sale<'a>,
    from: &'static str,
}

impl<'a> Cashier<'a> {
    /// Called before each scan.
    pub(super) fn between_scans(&mut self) -> Result<(), Trouble> {
        if self.floor.percent() >= PARK_AT && self.floor.hub_dark.load(Ordering::Relaxed) {
            self.park()?;
        }
        if self.errands.finish.is_some() {
            self.look_for_parked()?;
        }
        Ok(())
    }

    /// Called with the queue in hand: the last sale is kept for when the power goes, so that it goes in one.
    pub(super) fn before_the_last(&mut self) -> Result<(), Trouble> {
        if self.errands.power_cut && !self.queue.iter().any(|piece| matches!(piece, Work::Sale(_))) {
            self.floor.wait_for(KILL_AT)?;
        }
        Ok(())
    }

    /// Called when the queue is empty: nothing may be left undone.
    pub(super) fn before_going_home(&mut self) -> Result<(), Trouble> {
        if self.errands.park.is_some() {
            self.floor.wait_for(PARK_AT)?;
            self.park()?;
        }
        let started = Instant::now();
        while self.errands.finish.is_some() && started.elapsed() < PATIENCE {
            self.floor.check()?;
            self.look_for_parked()?;
            std::thread::sleep(LOOK_EVERY);
        }
        if self.errands.waiting.is_some() {
            self.floor.handed_over.store(true, Ordering::Relaxed);
            self.tell(News::Broken(format!("{} never saw the parked cart", self.counter.name())));
        }
        if self.errands.power_cut {
            self.tell(News::Broken(format!("{} was never in the middle of a cart", self.counter.name())));
        }
        Ok(())
    }

    /// Parks a cart half-way, while whoever is at this till waits.
    fn park(&mut self) -> Result<(), Trouble> {
        let Some((invoice, to)) = self.errands.park.take() else { return Ok(()) };
        let mut sale = Sale::new(invoice);
        while !(self.ring_up(&mut sale, invoice.lines.len() / 2, false)? && self.lay_aside(&sale)?) {
            self.is_back()?;
        }
        let lines = format!("{} of {} lines", sale.rung, invoice.lines.len());
        let from = self.counter.name();
        self.tell(News::Said(format!("{from} parks the cart of {} with {lines}", invoice.number)));
        // The other cashier waits until this end is dropped.
        let _ = to.send(Handover { sale: sale.handed_over(), from });
        Ok(())
    }

    fn lay_aside(&mut self, sale: &Sale<'a>) -> Result<bool, Trouble> {
        let Some(cart) = &sale.cart else { return Ok(false) };
        let parked = self.counter.tell_once(&format!("/v1/carts/{cart}/park"), &sale.key("park"), None)?;
        Ok(parked.is_some())
    }

    fn look_for_parked(&mut self) -> Result<(), Trouble> {
        if self.errands.waiting.is_none() {
            match self.errands.finish.as_ref().map(Receiver::try_recv) {
                Some(Ok(handover)) => self.errands.waiting = Some(handover),
                Some(Err(TryRecvError::Disconnected)) => self.errands.finish = None,
                _ => {}
            }
        }
        if self.errands.last_look.is_some_and(|last| last.elapsed() < LOOK_FOR_CART_EVERY) {
            return Ok(());
        }
        self.errands.last_look = Some(Instant::now());
        let Some(handover) = self.errands.waiting.take() else { return Ok(()) };
        if self.has_come(&handover.sale)? {
            return self.finish(handover);
        }
        self.errands.waiting = Some(handover);
        Ok(())
    }

    /// Whether the whole cart is here, as it was parked.
    fn has_come(&self, sale: &Sale<'a>) -> Result<bool, Trouble> {
        let Some(cart) = &sale.cart else { return Ok(false) };
        let answer = self.counter.look(&format!("/v1/carts/{cart}"))?;
        if answer.status == 404 {
            return Ok(false);
        }
        let cart = answer.granted()?;
        let lines = cart["lines"].as_array().map_or(0, Vec::len);
        Ok(cart["state"] == "parked" && lines == sale.from)
    }

    fn finish(&mut self, Handover { mut sale, from }: Handover<'a>) -> Result<(), Trouble> {
        let all = sale.invoice.lines.len();
        while !(self.ring_up(&mut sale, all, false)? && self.close(&mut sale)?) {
            self.is_back()?;
        }
        self.floor.handed_over.store(true, Ordering::Relaxed);
        let (here, number) = (self.counter.name(), &sale.invoice.number);
        if self.floor.hub_dark.load(Ordering::Relaxed) {
            self.tell(News::Said(format!("{here} finishes the cart of {number} that {from} parked")));
        } else {
            self.tell(News::Broken(format!("the cart of {number} was finished while the hub was alive")));
        }
        Ok(())
    }

    /// Called inside a sale: the power goes when the time has come and the cart is neither new nor done. True if it just
    /// went.
    pub(super) fn in_the_middle(&mut self, sale: &Sale<'a>) -> Result<bool, Trouble> {
        if let Some(dark) = self.errands.went_dark.take() {
            let (here, dark_ms) = (self.counter.name(), dark.elapsed().as_millis());
            self.tell(News::Said(format!("{here} goes on with it, {dark_ms} ms after")));
        }
        let all = sale.invoice.lines.len();
        let percent = self.floor.percent();
        let is_own = sale.from == 0;
        // A day of small carts has no better one.
        let is_some = percent >= KILL_BY && sale.rung > 0;
        let is_good = percent >= HOLD_AT && (LINES_BEFORE_DARK..all).contains(&sale.rung);
        if !(self.errands.power_cut && is_own && (is_good || is_some)) {
            return Ok(false);
        }
        self.errands.power_cut = false;
        // A cart answers from memory and is durable with the next group: one that was opened just now may rightly be gone.
        // So the customer looks for a purse until the time has come.
        self.floor.wait_for(KILL_AT)?;
        while sale.opened.is_some_and(|opened| opened.elapsed() < DURABLE_AFTER) {
            self.floor.check()?;
            std::thread::sleep(LOOK_EVERY);
        }
        let (gone, is_gone) = channel();
        let cart = format!("the cart of {}, {} of {all} lines", sale.invoice.number, sale.rung);
        self.tell(News::InTheMiddle { till: self.counter.name(), cart, gone });
        self.errands.went_dark = Some(Instant::now());
        // Hung up means that the script has ended.
        is_gone.recv().map_err(|_| Trouble::Interrupted)?;
        Ok(true)
    }
}
