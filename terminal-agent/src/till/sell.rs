//! A cart becomes a sale: one command, one entry, one moment before which nothing happened and after which all did.

use toko_crdt::EffectId;
use toko_crdt::body::Idem;
use toko_crdt::ids::{CartId, dated};
use toko_retail::ops::{CartRefV1, PrintAskV1, SaleV1, What};
use toko_retail::sale::{Occasion, ReceiptNumber, SaleDraft, close_sale};
use toko_retail::tender::Tender;
use toko_retail::views;
use toko_retail::{custody, paper};

use crate::config::Prints;

use super::ask::About;
use super::clerk::Clerk;
use super::seen::{Answer, SaleSeen};
use super::{Refusal, cash};

impl Clerk {
    pub(super) async fn sell(
        &mut self,
        idem: Idem,
        cart: CartId,
        tenders: Vec<Tender>,
        about: About,
    ) -> Result<Answer, Refusal> {
        self.mine_still(cart)?;
        let mut given = Vec::new();
        for taken in self.tenders_of(cart)? {
            given.push(cash::live(&taken)?);
        }
        given.extend(tenders);
        // Whatever can be refused is refused before a business day is opened for it.
        let occasion = self.trial(&about)?;
        let open = self.open_mut(cart)?;
        let heads = open.heads().iter().map(|head| head.0).collect();
        let mut draft = SaleDraft {
            cart: Some(CartRefV1 { cart: cart.0, turn: open.custody.turn, heads }),
            lines: open.priced(),
            tenders: given,
            cash_step_minor: open.currency().cash_step_minor(),
            ..SaleDraft::new(occasion, open.currency())
        };
        close_sale(&draft)?;
        draft.occasion = self.occasion(&about).await?;
        let sale = close_sale(&draft)?;
        let seen = self.commit(idem, sale).await?;
        self.carts.remove(&cart);
        // Tidies the list of open carts; the books say already that it is sold.
        self.post_op(None, What::CartClosed(custody::close(cart, Some(seen.id)))).await;
        Ok(Answer::Sale(Box::new(seen)))
    }

    /// Writes a sale, return or void: the commit point.
    pub(super) async fn commit(&mut self, idem: Idem, sale: SaleV1) -> Result<SaleSeen, Refusal> {
        let (series, counter) = (sale.series, sale.counter);
        let written = self.write(Some(idem), What::Sale(Box::new(sale.clone())), None).await?;
        self.counter = (series, counter);
        let seen = SaleSeen { id: written.id, sale };
        self.open_drawer_for(&seen).await;
        Ok(seen)
    }

    /// When, where and by whom, as it would be now, without opening a day: for a first look at whether it can be closed.
    pub(super) fn trial(&mut self, about: &About) -> Result<Occasion, Refusal> {
        let day = self.day_now()?.unwrap_or(self.look().day);
        self.occasion_on(day, about)
    }

    /// When, where and by whom; opens today's business day where none is open.
    pub(super) async fn occasion(&mut self, about: &About) -> Result<Occasion, Refusal> {
        let day = self.day_for_business().await?;
        self.occasion_on(day, about)
    }

    fn occasion_on(&mut self, day: toko_retail::day::Day, about: &About) -> Result<Occasion, Refusal> {
        let now = self.look();
        let number = self.next_number()?;
        let print = if about.receipt { Some(self.ask_for_paper(None)?) } else { None };
        Ok(Occasion {
            utc_offset_minutes: now.offset_minutes,
            time_verified: now.verified,
            cashier: about.cashier.clone(),
            customer: about.customer.clone().map(String::into_bytes),
            memo: about.memo.clone(),
            external: about.external.clone(),
            print,
            ..Occasion::new(day, now.at, number)
        })
    }

    /// The number behind the highest one that this terminal used in its series.
    fn next_number(&mut self) -> Result<ReceiptNumber, Refusal> {
        let (terminal, series) = (self.terminal, self.series()?);
        let high = self.ledger.read(|kv| views::series_high(kv, terminal, series))?;
        let high = if toko_crdt::mutant!("number-from-one-again") { 0 } else { high };
        let used = if self.counter.0 == series { self.counter.1 } else { 0 };
        Ok(ReceiptNumber::next(terminal, series, high.max(used))?)
    }

    fn ask_for_paper(&mut self, printer: Option<&str>) -> Result<PrintAskV1, Refusal> {
        // Never dated in a time that is settled already, whatever this clock says: such a job would be nobody's.
        let at = self.look().at;
        let first = self.ledger.read(|kv| views::first_open_job(kv))?;
        let job = dated(first.map_or(at, |first| at.max(first)), self.draw.id());
        let here = match &self.own_printer {
            Some((Prints::Always, _)) => true,
            Some((Prints::HubDark, _)) => !self.ledger.hub_alive(),
            None => false,
        };
        let usual = if here { paper::OWN_PRINTER } else { &self.receipt.printer };
        let printer = match printer {
            Some(paper::OWN_PRINTER) if self.own_printer.is_none() => return Err(Refusal::NoOwnPrinter),
            named => named.unwrap_or(usual),
        };
        let ask = paper::ask(job, printer, self.receipt.wanted_for_s(), 1)?;
        if let Some((_, asked)) = self.own_printer.as_ref().filter(|_| printer == paper::OWN_PRINTER) {
            asked.note(job);
        }
        Ok(ask)
    }

    pub(super) async fn print_copy(
        &mut self,
        idem: Idem,
        sale: EffectId,
        printer: Option<String>,
    ) -> Result<Answer, Refusal> {
        self.known_sale(sale)?;
        let ask = self.ask_for_paper(printer.as_deref())?;
        let job = ask.job;
        self.write(Some(idem), What::PrintAsked(paper::ask_again(sale, ask)), None).await?;
        Ok(Answer::Print { sale, job })
    }

    /// Checks that a sale is known here.
    pub(super) fn known_sale(&self, sale: EffectId) -> Result<(), Refusal> {
        match self.ledger.read(|kv| views::sale(kv, sale))? {
            Some(_) => Ok(()),
            None => Err(Refusal::NoSuchSale(sale.to_string())),
        }
    }
}
