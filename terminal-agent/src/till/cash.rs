//! Money that is taken for a cart before it is a sale, and given back.

use toko_crdt::body::Idem;
use toko_crdt::ids::CartId;
use toko_retail::custody::{CustodyError, note_tender};
use toko_retail::ops::limits::TENDERS_MAX;
use toko_retail::ops::{TenderKindV1, TenderStage, What};
use toko_retail::sale::CloseSaleError;
use toko_retail::tender::{Tender, TenderError};
use toko_retail::views::TakenTender;

use super::Refusal;
use super::clerk::Clerk;
use super::seen::Answer;

impl Clerk {
    pub(super) async fn tender(
        &mut self,
        idem: Idem,
        cart: CartId,
        tender: Tender,
    ) -> Result<Answer, Refusal> {
        self.mine_still(cart)?;
        let found = self.tenders_of(cart)?.len() + 1;
        if found > TENDERS_MAX {
            return Err(CloseSaleError::TooManyTenders { found, max: TENDERS_MAX }.into());
        }
        let id = self.draw.id();
        let taken = note_tender(cart, id, TenderStage::Taken, &tender).map_err(unkept)?;
        self.write(Some(idem), What::TenderTaken(taken), None).await?;
        self.cart_answer(cart)
    }

    pub(super) async fn give_back(
        &mut self,
        idem: Idem,
        cart: CartId,
        tender: [u8; 16],
    ) -> Result<Answer, Refusal> {
        self.mine_still(cart)?;
        let held = self.tenders_of(cart)?.into_iter().find(|taken| taken.id == tender);
        let held = held.ok_or_else(|| Refusal::NoSuchTender(toko_crdt::hash::hex(&tender)))?;
        let back = note_tender(cart, tender, TenderStage::GivenBack, &live(&held)?).map_err(unkept)?;
        self.write(Some(idem), What::TenderTaken(back), None).await?;
        self.cart_answer(cart)
    }
}

/// A tender that was made by its own rules and cannot be kept would be our own mistake.
fn unkept(error: CustodyError) -> Refusal {
    Refusal::Unreadable(error.to_string())
}

/// A tender of the floor as one of a sale.
pub(super) fn live(taken: &TakenTender) -> Result<Tender, TenderError> {
    let tender = match &taken.tender.kind {
        TenderKindV1::Cash => Tender::cash(taken.amount),
        TenderKindV1::Card { approval, terminal, last4 } => {
            Tender::card(taken.amount, approval, terminal, last4)
        }
        TenderKindV1::Other { name, reference } => Tender::other(taken.amount, name, reference),
    };
    Ok(tender?.taken_as(taken.id))
}
