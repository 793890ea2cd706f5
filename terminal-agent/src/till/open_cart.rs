//! A cart that is open in memory: its document, and its lines as they are priced.
//!
//! The document is the truth; prices and sums are kept beside it, so that a scan costs the same however long the cart is.

use std::collections::BTreeMap;
use toko_crdt::cart::{Actor, Cart, CartError, CartLine, Took};
use toko_crdt::clock::Hlc;
use toko_crdt::ids::{CartId, LineId, StepId};
use toko_crdt::stock::Milli;
use toko_crdt::{Hash, NodeId};
use toko_retail::currency::Currency;
use toko_retail::line::PricedLine;
use toko_retail::money::{Money, MoneyError};
use toko_retail::ops::limits::LINES_MAX;
use toko_retail::qty::Qty;
use toko_retail::tax::TaxRounding;
use toko_retail::totals::{Totals, totals};
use toko_retail::views::{CartState, Custody, TakenTender};

use super::Refusal;
use super::seen::{CartSeen, LineSeen, RemovedSeen};

/// A cart in memory.
#[derive(Debug)]
pub(super) struct OpenCart {
    /// Who holds it, and what people call it.
    pub(super) custody: Custody,
    doc: Cart,
    lines: BTreeMap<LineId, PricedLine>,
    order: Vec<LineId>,
    subtotal: Money,
}

impl OpenCart {
    /// Opens a cart with the changes that are held of it.
    ///
    /// Errors: the document, or facts that no terminal writes.
    pub(super) fn open<C: AsRef<[u8]>>(
        custody: Custody,
        actor: Actor,
        changes: impl IntoIterator<Item = C>,
    ) -> Result<Self, Refusal> {
        let doc = Cart::open(custody.cart, actor, changes)?;
        let subtotal = Money::zero(custody.total.currency());
        let mut open = Self { custody, doc, lines: BTreeMap::new(), order: Vec::new(), subtotal };
        open.refresh()?;
        Ok(open)
    }

    /// Which.
    pub(super) fn id(&self) -> CartId {
        self.custody.cart
    }

    /// Its currency.
    pub(super) fn currency(&self) -> Currency {
        self.custody.total.currency()
    }

    /// How many lines it has.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Its lines, in the order in which they were added.
    pub(super) fn priced(&self) -> Vec<PricedLine> {
        self.order.iter().filter_map(|line| self.lines.get(line)).cloned().collect()
    }

    /// The heads that a sale of it covers.
    pub(super) fn heads(&self) -> Vec<Hash> {
        self.doc.heads()
    }

    /// What its lines come to, taxes and all.
    pub(super) fn totals(&self) -> Result<Totals, MoneyError> {
        totals(self.currency(), &self.priced(), TaxRounding::PerLine)
    }

    /// The same cart for another actor, when this process writes under another run.
    pub(super) fn under(self, actor: Actor) -> Result<Self, Refusal> {
        let changes: Vec<Vec<u8>> = self.doc.changes().map(|(_, bytes)| bytes.to_vec()).collect();
        Self::open(self.custody, actor, changes)
    }

    /// Adds a priced line. The change to write; `None` if the step was added before.
    ///
    /// Errors: a full cart, a line that is there already; nothing has changed.
    pub(super) fn add(
        &mut self,
        line: &PricedLine,
        id: LineId,
        step: StepId,
        at: Hlc,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        if self.order.len() >= LINES_MAX {
            return Err(CartError::Full { what: "lines", max: LINES_MAX }.into());
        }
        let value = self.subtotal.plus(line.value()?)?;
        let qty = Milli(line.qty.milli_units());
        let Some(change) = self.doc.add_line(id, at, &line.facts(), step, qty)? else { return Ok(None) };
        self.lines.insert(id, PricedLine { line: Some(id), ..line.clone() });
        self.order.push(id);
        self.subtotal = value;
        Ok(Some(change))
    }

    /// Changes a line's quantity to `qty`. The change to write; `None` if it has that quantity.
    ///
    /// Errors: no such line, a quantity that the item is not sold by; nothing has changed.
    pub(super) fn change(&mut self, id: LineId, step: StepId, qty: Qty) -> Result<Option<Vec<u8>>, Refusal> {
        let line = self.lines.get(&id).filter(|_| self.order.contains(&id));
        let line = line.ok_or_else(|| Refusal::NoSuchLine(id.to_string()))?;
        let changed = PricedLine { qty, ..line.clone() };
        changed.check()?;
        let subtotal = self.subtotal.minus(line.value()?)?.plus(changed.value()?)?;
        let by = qty.milli_units().checked_sub(line.qty.milli_units());
        let by = by.ok_or(CartError::Quantity { qty: Milli(qty.milli_units()) })?;
        if by == 0 {
            return Ok(None);
        }
        let Some(change) = self.doc.step(id, step, Milli(by))? else { return Ok(None) };
        self.lines.insert(id, changed);
        self.subtotal = subtotal;
        Ok(Some(change))
    }

    /// Removes a line. The change to write; `None` if it is gone already.
    ///
    /// Errors: a line that was never there.
    pub(super) fn remove(&mut self, id: LineId) -> Result<Option<Vec<u8>>, Refusal> {
        let change = self.doc.remove(id).map_err(|error| match error {
            CartError::UnknownLine { .. } => Refusal::NoSuchLine(id.to_string()),
            other => other.into(),
        })?;
        if change.is_some() {
            self.refresh()?;
        }
        Ok(change)
    }

    /// Takes in changes that came from elsewhere. Whether any was new.
    pub(super) fn absorb<C: AsRef<[u8]>>(
        &mut self,
        changes: impl IntoIterator<Item = C>,
    ) -> Result<bool, Refusal> {
        let mut fresh = false;
        for change in changes {
            fresh |= self.doc.apply(change.as_ref())? == Took::Visible;
        }
        if fresh {
            self.refresh()?;
        }
        Ok(fresh)
    }

    /// Takes over what the document shows.
    fn refresh(&mut self) -> Result<(), Refusal> {
        let shown = self.doc.lines();
        self.order.clear();
        self.subtotal = Money::zero(self.currency());
        for CartLine { line, facts, qty, .. } in shown {
            let qty = Qty::milli(qty.0);
            let priced = match self.lines.remove(&line) {
                Some(known) => PricedLine { qty, ..known },
                None => PricedLine::from_facts(line, qty, &facts).map_err(|error| {
                    Refusal::Unreadable(format!(
                        "line {} of cart {}: {error}",
                        line.short(),
                        self.custody.cart.short()
                    ))
                })?,
            };
            // Steps of two terminals may leave nothing or less of a line; it is then not for sale, and shown no more.
            let sells = qty.milli_units() > 0;
            if sells {
                self.subtotal = self.subtotal.plus(priced.value()?)?;
                self.order.push(line);
            }
            self.lines.insert(line, priced);
        }
        Ok(())
    }

    /// The cart as somebody sees it.
    pub(super) fn seen(&self, tenders: &[TakenTender]) -> Result<CartSeen, Refusal> {
        let sums = self.totals()?;
        let taxes = sums.taxed.totals.iter().map(|tax| tax.amount);
        Ok(CartSeen {
            cart: self.custody.cart,
            name: self.custody.name.clone(),
            state: self.custody.state.clone(),
            turn: self.custody.turn,
            holder: self.custody.holder,
            currency: self.currency(),
            lines: self.priced(),
            subtotal: sums.subtotal,
            tax: Money::sum(self.currency(), taxes)?,
            total: sums.total,
            tenders: tenders.iter().map(|taken| (taken.id, taken.tender.clone())).collect(),
        })
    }

    /// A line as somebody sees it; with nothing of it where it was removed.
    pub(super) fn line_seen(&self, id: LineId) -> Result<LineSeen, Refusal> {
        let line = match self.lines.get(&id) {
            Some(line) if self.order.contains(&id) => line.clone(),
            Some(line) => PricedLine { qty: Qty::ZERO, ..line.clone() },
            None => {
                let facts = self.doc.facts(&id).ok_or_else(|| Refusal::NoSuchLine(id.to_string()))?;
                PricedLine::from_facts(id, Qty::ZERO, facts)
                    .map_err(|error| Refusal::Unreadable(error.to_string()))?
            }
        };
        Ok(LineSeen { line, cart: self.id(), lines: self.len(), subtotal: self.subtotal })
    }

    /// A removed line as somebody sees it.
    pub(super) fn removed_seen(&self, line: LineId) -> RemovedSeen {
        RemovedSeen { line, cart: self.id(), lines: self.len(), subtotal: self.subtotal }
    }

    /// Whether `me` may change it now.
    ///
    /// Errors: it is parked, done, or held by somebody else; `name` says what to call them.
    pub(super) fn must_be_mine(&self, me: NodeId, name: impl Fn(&NodeId) -> String) -> Result<(), Refusal> {
        match &self.custody.state {
            CartState::Closed(sales) if sales.is_empty() => Err(Refusal::CartDone("given up")),
            CartState::Closed(_) => Err(Refusal::CartDone("sold")),
            CartState::Parked => Err(Refusal::CartParked),
            CartState::Open if self.custody.holder != me && !toko_crdt::mutant!("sell-anothers-cart") => {
                Err(Refusal::CartElsewhere { holder: name(&self.custody.holder) })
            }
            CartState::Open => Ok(()),
        }
    }
}
