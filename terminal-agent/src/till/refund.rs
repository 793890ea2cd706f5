//! Goods that come back, with or without their receipt, and sales that should not have been.

use toko_crdt::EffectId;
use toko_crdt::body::Idem;
use toko_retail::ops::SaleV1;
use toko_retail::qty::Qty;
use toko_retail::sale::{Original, ReturnDraft, ReturnLine, close_return, void_sale};
use toko_retail::tax::TaxRounding;
use toko_retail::tender::Tender;
use toko_retail::views;

use super::Refusal;
use super::ask::{About, BackLine};
use super::clerk::Clerk;
use super::seen::Answer;

/// What stands as the reason where nobody gave one.
const NO_REASON: &str = "no reason given";

/// A sale with its id, and what came back of it before, by line.
type Known = (EffectId, SaleV1, Vec<(u16, Qty)>);

impl Clerk {
    pub(super) async fn take_back(
        &mut self,
        idem: Idem,
        original: Option<EffectId>,
        lines: Vec<BackLine>,
        refunds: Vec<Tender>,
        reason: String,
        about: About,
    ) -> Result<Answer, Refusal> {
        let known = original.map(|id| self.original(id)).transpose()?;
        let original = known.as_ref().map(|(id, sale, returned)| Original { id: *id, sale, returned });
        let currency = match &original {
            Some(original) => original.sale.currency().map_err(toko_retail::sale::CloseReturnError::from)?,
            None => self.shelf.currency(),
        };
        let lines = lines.iter().map(|line| self.back_line(line)).collect::<Result<Vec<_>, _>>()?;
        let mut draft = ReturnDraft {
            occasion: self.trial(&about)?,
            currency,
            reason: if reason.trim().is_empty() { NO_REASON.to_owned() } else { reason },
            original,
            lines,
            refunds,
            tax_rounding: TaxRounding::PerLine,
            cash_step_minor: currency.cash_step_minor(),
        };
        close_return(&draft)?;
        draft.occasion = self.occasion(&about).await?;
        let sale = close_return(&draft)?;
        Ok(Answer::Sale(Box::new(self.commit(idem, sale).await?)))
    }

    pub(super) async fn void_sale(
        &mut self,
        idem: Idem,
        id: EffectId,
        reason: String,
        about: About,
    ) -> Result<Answer, Refusal> {
        let (id, sale, returned) = self.original(id)?;
        let original = Original { id, sale: &sale, returned: &returned };
        void_sale(&self.trial(&about)?, &original, &reason)?;
        let occasion = self.occasion(&about).await?;
        let void = void_sale(&occasion, &original, &reason)?;
        Ok(Answer::Sale(Box::new(self.commit(idem, void).await?)))
    }

    /// A sale, and what came back of it before, as far as this terminal knows.
    fn original(&self, id: EffectId) -> Result<Known, Refusal> {
        self.known_sale(id)?;
        let returned = self.ledger.read(|kv| views::returned_of(kv, id))?;
        Ok((id, self.ledger.sale(id)?, returned))
    }

    fn back_line(&self, line: &BackLine) -> Result<ReturnLine, Refusal> {
        match line {
            BackLine::Of { line, qty } => Ok(ReturnLine::Of { line: *line, qty: *qty }),
            BackLine::Loose(new) => Ok(ReturnLine::Loose(Box::new(self.price(new)?))),
        }
    }
}
