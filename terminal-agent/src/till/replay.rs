//! The first answer again: what a key did is known from the views, also after a crash.

use toko_crdt::EffectId;
use toko_crdt::body::Idem;
use toko_crdt::book::rows;
use toko_crdt::ids::CartId;
use toko_retail::day::Day;
use toko_retail::ops::What;
use toko_retail::views;

use super::Refusal;
use super::ask::Command;
use super::clerk::Clerk;
use super::floor::ids_of;
use super::goods::moved_seen;
use super::open_cart::OpenCart;
use super::seen::{Answer, SaleSeen};

impl Clerk {
    /// What a key was used for, if it was.
    ///
    /// Errors: it was used for another request.
    pub(super) fn used(&self, idem: &Idem) -> Result<Option<EffectId>, Refusal> {
        let me = self.me();
        let (uses, line) = self.ledger.read(|kv| {
            Ok((views::idem_uses(kv, me, idem.key)?, rows::cart_idem_used(kv, &me, &idem.key)?))
        })?;
        let mut all = uses.into_iter().map(|used| (used.request, used.effect)).chain(line).peekable();
        if all.peek().is_none() {
            return Ok(None);
        }
        match all.find(|(request, _)| *request == idem.request || toko_crdt::mutant!("answer-a-reused-key")) {
            Some((_, effect)) => Ok(Some(effect)),
            None => Err(Refusal::KeyReused),
        }
    }

    /// The answer to a command that was done before, as `effect`.
    pub(super) fn replay(
        &mut self,
        idem: &Idem,
        command: &Command,
        effect: EffectId,
    ) -> Result<Answer, Refusal> {
        match command {
            Command::AddLine { cart, .. } => {
                let (line, _) = ids_of(*cart, idem);
                self.with_cart(*cart, |open| Ok(Answer::Line(Box::new(open.line_seen(line)?))))
            }
            Command::ChangeLine { cart, line, .. } => {
                self.with_cart(*cart, |open| Ok(Answer::Line(Box::new(open.line_seen(*line)?))))
            }
            Command::RemoveLine { cart, line } => {
                self.with_cart(*cart, |open| Ok(Answer::Removed(Box::new(open.removed_seen(*line)))))
            }
            _ => self.replay_op(effect),
        }
    }

    fn replay_op(&mut self, effect: EffectId) -> Result<Answer, Refusal> {
        let day = |number| Day::stored(number).map_err(|error| Refusal::Unreadable(error.to_string()));
        match self.ledger.op(effect)?.what {
            What::Sale(sale) => Ok(Answer::Sale(Box::new(SaleSeen { id: effect, sale: *sale }))),
            What::StockMoved(moved) => {
                Ok(Answer::Moved(Box::new(moved_seen(effect, day(moved.day)?, &moved))))
            }
            What::DayOpened(opened) => Ok(Answer::Day(self.day_as(day(opened.day)?, false))),
            What::DayClosed(closed) => Ok(Answer::Day(self.day_as(day(closed.day)?, true))),
            What::PrintAsked(asked) => Ok(Answer::Print { sale: EffectId(asked.sale), job: asked.ask.job }),
            What::DrawerAsked(asked) => {
                Ok(Answer::Drawer { id: effect, drawer: asked.drawer, reason: asked.reason })
            }
            What::Custody(custody) => self.cart_answer(CartId(custody.cart)),
            What::TenderTaken(taken) => self.cart_answer(CartId(taken.cart)),
            What::CartClosed(closed) => self.cart_answer(CartId(closed.cart)),
            _ => Err(Refusal::Unreadable(format!("entry {} answers no command", effect.short()))),
        }
    }

    fn with_cart(
        &mut self,
        cart: CartId,
        look: impl FnOnce(&OpenCart) -> Result<Answer, Refusal>,
    ) -> Result<Answer, Refusal> {
        match self.carts.get(&cart) {
            Some(open) => look(open),
            None => look(&self.load(cart)?),
        }
    }
}
