//! Carts: opened, filled, parked, taken over, given up.

use toko_crdt::body::Idem;
use toko_crdt::book::{rows, settled::settled_before};
use toko_crdt::clock::UnixMicros;
use toko_crdt::ids::{CartId, LineId, StepId};
use toko_crdt::{Hash, NodeId};
use toko_retail::custody;
use toko_retail::line::PricedLine;
use toko_retail::money::Money;
use toko_retail::ops::{CurrencyV1, CustodyState, CustodyV1, TenderStage, What};
use toko_retail::qty::Qty;
use toko_retail::views::{self, CartState, Custody, TakenTender};

use super::Refusal;
use super::ask::NewLine;
use super::clerk::Clerk;
use super::open_cart::OpenCart;
use super::seen::{Answer, CartSeen};
use crate::draw::short;

/// An id's time is cut to whole ones.
const MILLISECOND: i64 = 1_000;

impl Clerk {
    pub(super) async fn open_cart(&mut self, idem: Idem, name: String) -> Result<Answer, Refusal> {
        let currency = self.shelf.currency();
        let at = self.look().at;
        // Never in a time that is settled already, whatever this clock says.
        let settled = self.ledger.read(|kv| settled_before(kv))?;
        let settled = settled.filter(|_| !toko_crdt::mutant!("open-a-settled-cart"));
        let made = settled.map_or(at, |settled| at.max(UnixMicros(settled.0.saturating_add(MILLISECOND))));
        let custody = Custody {
            cart: CartId::made(made, self.draw.id()),
            turn: 1,
            state: CartState::Open,
            holder: self.me(),
            name,
            lines: 0,
            total: Money::zero(currency),
            at,
        };
        let cart = OpenCart::open(custody, self.actor_now(), [[0_u8; 0]; 0])?;
        let seen = cart.seen(&[])?;
        let what = custody_op(&cart, self.me(), CustodyState::Open)?;
        self.carts.insert(cart.id(), cart);
        self.post_op(Some(idem), what).await;
        Ok(Answer::Cart(Box::new(seen)))
    }

    pub(super) async fn add_line(
        &mut self,
        idem: Idem,
        cart: CartId,
        new: NewLine,
    ) -> Result<Answer, Refusal> {
        self.mine(cart)?;
        let line = self.price(&new)?;
        self.writing_to(cart).await?;
        let (id, step) = ids_of(cart, &idem);
        let at = self.tick();
        let open = self.open_mut(cart)?;
        let change = open.add(&line, id, step, at)?;
        let seen = open.line_seen(id)?;
        if let Some(change) = change {
            self.post_change(idem, cart, change).await;
        }
        Ok(Answer::Line(Box::new(seen)))
    }

    pub(super) async fn change_line(
        &mut self,
        idem: Idem,
        cart: CartId,
        line: LineId,
        qty: Qty,
    ) -> Result<Answer, Refusal> {
        self.mine(cart)?;
        self.writing_to(cart).await?;
        let (_, step) = ids_of(cart, &idem);
        let open = self.open_mut(cart)?;
        let change = open.change(line, step, qty)?;
        let seen = open.line_seen(line)?;
        if let Some(change) = change {
            self.post_change(idem, cart, change).await;
        }
        Ok(Answer::Line(Box::new(seen)))
    }

    pub(super) async fn remove_line(
        &mut self,
        idem: Idem,
        cart: CartId,
        line: LineId,
    ) -> Result<Answer, Refusal> {
        self.mine(cart)?;
        self.writing_to(cart).await?;
        let open = self.open_mut(cart)?;
        let change = open.remove(line)?;
        let seen = open.removed_seen(line);
        if let Some(change) = change {
            self.post_change(idem, cart, change).await;
        }
        Ok(Answer::Removed(Box::new(seen)))
    }

    pub(super) async fn park(&mut self, idem: Idem, cart: CartId, note: String) -> Result<Answer, Refusal> {
        self.mine_still(cart)?;
        let me = self.me();
        let open = self.open_mut(cart)?;
        let mut custody =
            Custody { turn: open.custody.turn + 1, state: CartState::Parked, ..open.custody.clone() };
        if !note.is_empty() {
            custody.name = note;
        }
        let before = std::mem::replace(&mut open.custody, custody);
        let what = custody_op(open, me, CustodyState::Parked);
        let written = match what {
            Ok(what) => self.write(Some(idem), what, None).await,
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = written {
            self.open_mut(cart)?.custody = before;
            return Err(refusal);
        }
        let seen = self.look_at(cart)?;
        self.carts.remove(&cart);
        Ok(Answer::Cart(Box::new(seen)))
    }

    pub(super) async fn take(&mut self, idem: Idem, cart: CartId) -> Result<Answer, Refusal> {
        let me = self.me();
        let mut open = self.load(cart)?;
        match &open.custody.state {
            CartState::Parked => {}
            CartState::Open if open.custody.holder == me => return self.cart_answer(cart),
            CartState::Open if toko_crdt::mutant!("take-a-cart-in-use") => {}
            CartState::Open => {
                return Err(Refusal::CartInUse { holder: self.name_of(&open.custody.holder) });
            }
            CartState::Closed(_) => open.must_be_mine(me, |node| self.name_of(node))?,
        }
        open.custody.turn += 1;
        open.custody.state = CartState::Open;
        open.custody.holder = me;
        self.write(Some(idem), custody_op(&open, me, CustodyState::Open)?, None).await?;
        let open = open.under(self.actor_now())?;
        self.carts.insert(cart, open);
        self.cart_answer(cart)
    }

    pub(super) async fn void_cart(&mut self, idem: Idem, cart: CartId) -> Result<Answer, Refusal> {
        self.mine_still(cart)?;
        let held = self.tenders_of(cart)?;
        let currency = self.open_mut(cart)?.currency();
        let taken = Money::sum(currency, held.iter().map(|taken| taken.amount))?;
        if !taken.is_zero() && !toko_crdt::mutant!("give-up-a-paid-cart") {
            return Err(Refusal::MoneyTaken { taken });
        }
        self.write(Some(idem), What::CartClosed(custody::close(cart, None)), None).await?;
        self.carts.remove(&cart);
        self.cart_answer(cart)
    }

    /// A line with its price: the catalogue's, or the one that was given.
    pub(super) fn price(&self, new: &NewLine) -> Result<PricedLine, Refusal> {
        let stocked = self.shelf.now();
        let item = stocked.as_ref().and_then(|stocked| Some((stocked.lookup(&new.code)?, stocked.bundle)));
        let line = match (item, new.unit_price) {
            (Some((item, bundle)), None) => PricedLine::of_item(&new.code, &item, new.qty, Some(bundle)),
            (Some((item, bundle)), Some(price)) => {
                PricedLine::of_item(&new.code, &item, new.qty, Some(bundle))
                    .at_price(price, &new.price_reason)
            }
            (None, Some(price)) => {
                let name =
                    new.name.as_deref().ok_or_else(|| Refusal::NameNeeded { code: new.code.clone() })?;
                PricedLine::unknown(&new.code, name, new.qty, price, &new.price_reason)
            }
            (None, None) => return Err(Refusal::NoSuchItem { code: new.code.clone() }),
        };
        let name = new.name.clone().filter(|_| new.unit_price.is_some()).unwrap_or_else(|| line.name.clone());
        let line = PricedLine { memo: new.memo.clone(), name, ..line };
        line.check()?;
        Ok(line)
    }

    /// A cart as it is now, whoever holds it.
    pub(super) fn look_at(&mut self, cart: CartId) -> Result<CartSeen, Refusal> {
        let tenders = self.tenders_of(cart)?;
        match self.carts.get(&cart) {
            Some(open) => open.seen(&tenders),
            None => self.load(cart)?.seen(&tenders),
        }
    }

    pub(super) fn cart_answer(&mut self, cart: CartId) -> Result<Answer, Refusal> {
        Ok(Answer::Cart(Box::new(self.look_at(cart)?)))
    }

    /// Carts that are not done: open ones of this terminal, parked ones of any.
    pub(super) fn list(&mut self) -> Result<Vec<Custody>, Refusal> {
        let me = self.me();
        let mut listed = self.ledger.read(|kv| views::carts_open(kv))?;
        listed.retain(|custody| {
            custody.state == CartState::Parked
                || (custody.holder == me && !self.carts.contains_key(&custody.cart))
        });
        for open in self.carts.values() {
            let (lines, total) = (u32::try_from(open.len()).unwrap_or(u32::MAX), open.totals()?.total);
            listed.retain(|custody| custody.cart != open.id());
            listed.push(Custody { lines, total, ..open.custody.clone() });
        }
        listed.sort_by_key(|custody| (custody.at, custody.cart));
        Ok(listed)
    }

    /// Money taken for a cart that is still held.
    pub(super) fn tenders_of(&self, cart: CartId) -> Result<Vec<TakenTender>, Refusal> {
        let mut taken = self.ledger.read(|kv| views::cart_tenders(kv, cart))?;
        let count_all = toko_crdt::mutant!("count-money-given-back");
        taken.retain(|taken| taken.stage == TenderStage::Taken || count_all);
        Ok(taken)
    }

    /// Reads a cart from the views.
    pub(super) fn load(&self, cart: CartId) -> Result<OpenCart, Refusal> {
        let (custody, changes) =
            self.ledger.read(|kv| Ok((views::cart(kv, cart)?, rows::cart_changes(kv, &cart)?)))?;
        let custody = custody.ok_or_else(|| Refusal::NoSuchCart(cart.to_string()))?;
        OpenCart::open(custody, self.actor_now(), changes)
    }

    /// Has the cart in memory, if this terminal may change it.
    pub(super) fn mine(&mut self, cart: CartId) -> Result<(), Refusal> {
        if let Some(open) = self.carts.get(&cart) {
            return open.must_be_mine(self.me(), |node| self.name_of(node));
        }
        let open = self.load(cart)?;
        open.must_be_mine(self.me(), |node| self.name_of(node))?;
        self.carts.insert(cart, open);
        Ok(())
    }

    /// The same, asking the views whether somebody took it meanwhile, and taking in what arrived of it.
    pub(super) fn mine_still(&mut self, cart: CartId) -> Result<(), Refusal> {
        self.mine(cart)?;
        let (custody, changes) =
            self.ledger.read(|kv| Ok((views::cart(kv, cart)?, rows::cart_changes(kv, &cart)?)))?;
        let (me, open) = (self.me(), self.open_mut(cart)?);
        open.absorb(changes)?;
        if let Some(custody) = custody.filter(|custody| custody.turn >= open.custody.turn) {
            open.custody = custody;
        }
        let judged = self.open_mut(cart)?.custody.clone();
        if judged.holder != me || judged.state != CartState::Open {
            let gone = self.carts.remove(&cart).ok_or_else(|| Refusal::NoSuchCart(cart.to_string()))?;
            gone.must_be_mine(me, |node| self.name_of(node))?;
        }
        Ok(())
    }

    /// The cart in memory.
    pub(super) fn open_mut(&mut self, cart: CartId) -> Result<&mut OpenCart, Refusal> {
        self.carts.get_mut(&cart).ok_or_else(|| Refusal::NoSuchCart(cart.to_string()))
    }

    /// Sees to it that this process has a run, and the cart its actor: the first cart of a run says who goes on with it.
    async fn writing_to(&mut self, cart: CartId) -> Result<(), Refusal> {
        if !self.is_fresh() || toko_crdt::mutant!("write-before-the-run-is-known") {
            return Ok(());
        }
        // The opening of this cart may be on its way, and name the run when it has arrived.
        self.arrived().await;
        if self.is_fresh() {
            let me = self.me();
            let open = self.open_mut(cart)?;
            open.custody.turn += 1;
            let what = custody_op(open, me, CustodyState::Open)?;
            self.post_first(what).await?;
        }
        Ok(())
    }
}

/// The line and step that follow from a command's key, so that a repeat after a crash adds nothing twice.
pub(super) fn ids_of(cart: CartId, idem: &Idem) -> (LineId, StepId) {
    let line = Hash::of("toko/terminal/line/1", &[&cart.0, &idem.key]);
    let step = Hash::of("toko/terminal/step/1", &[&cart.0, &idem.key]);
    (LineId(short(&line.0)), StepId(short(&step.0)))
}

fn custody_op(cart: &OpenCart, holder: NodeId, state: CustodyState) -> Result<What, Refusal> {
    let total = cart.totals()?.total;
    Ok(What::Custody(CustodyV1 {
        cart: cart.id().0,
        turn: cart.custody.turn,
        state,
        holder: holder.0,
        name: cart.custody.name.clone(),
        lines: u32::try_from(cart.len()).unwrap_or(u32::MAX),
        total_minor: total.minor_units(),
        currency: CurrencyV1::of(total.currency()),
    }))
}
