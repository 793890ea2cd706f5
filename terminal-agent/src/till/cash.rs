//! Money that is taken for a cart before it is a sale, and given back.

use toko_crdt::body::Idem;
use toko_crdt::ids::CartId;
use toko_retail::ops::limits::TENDERS_MAX;
use toko_retail::ops::{CurrencyV1, TenderKindV1, TenderStage, TenderTakenV1, TenderV1, What};
use toko_retail::sale::CloseSaleError;
use toko_retail::tender::{Tender, TenderError};
use toko_retail::views::TakenTender;

use super::Refusal;
use super::clerk::Clerk;
use super::seen::Answer;

impl Clerk {
    pub(super) async fn tender(&mut self, idem: Idem, cart: CartId, tender: Tender) -> Result<Answer, Refusal> {
        self.mine_still(cart)?;
        let found = self.tenders_of(cart)?.len() + 1;
        if found > TENDERS_MAX {
            return Err(CloseSaleError::TooManyTenders { found, max: TENDERS_MAX }.into());
        }
        let id = self.draw.id();
        let what = taken(cart, id, TenderStage::Taken, tender.stored(false), CurrencyV1::of(tender.amount().currency()));
        self.write(Some(idem), what, None).await?;
        self.cart_answer(cart)
    }

    pub(super) async fn give_back(&mut self, idem: Idem, cart: CartId, tender: [u8; 16]) -> Result<Answer, Refusal> {
        self.mine_still(cart)?;
        let held = self.tenders_of(cart)?.into_iter().find(|taken| taken.id == tender);
        let held = held.ok_or_else(|| Refusal::NoSuchTender(toko_crdt::hash::hex(&tender)))?;
        let currency = CurrencyV1::of(held.amount.currency());
        self.write(Some(idem), taken(cart, tender, TenderStage::GivenBack, held.tender, currency), None).await?;
        self.cart_answer(cart)
    }
}

fn taken(cart: CartId, id: [u8; 16], stage: TenderStage, tender: TenderV1, currency: CurrencyV1) -> What {
    What::TenderTaken(TenderTakenV1 { cart: cart.0, id, stage, tender, currency })
}

/// A tender of the floor as one of a sale.
pub(super) fn live(taken: &TakenTender) -> Result<Tender, TenderError> {
    let tender = match &taken.tender.kind {
        TenderKindV1::Cash => Tender::cash(taken.amount),
        TenderKindV1::Card { approval, terminal, last4 } => Tender::card(taken.amount, approval, terminal, last4),
        TenderKindV1::Other { name, reference } => Tender::other(taken.amount, name, reference),
    };
    Ok(tender?.taken_as(taken.id))
}
