//! The drawer: opens for cash by itself, and without a sale when somebody says why.
//!
//! An ask is an entry like everything else, and counts now or never: whoever owns the drawer opens it within seconds, or not
//! at all. So it is written after the sale that it is for, nobody waits for it, and what could not be written is not tried again.

use tokio::time::Instant;
use toko_crdt::body::{Body, Idem};
use toko_mesh::store::Wait;
use toko_retail::drawer::opening::{self, Ask};
use toko_retail::ops::{DrawerReason, OpV1, TenderKindV1, What};
use toko_retail::views;
use tracing::warn;

use super::Refusal;
use super::clerk::Clerk;
use super::seen::{Answer, SaleSeen};
use crate::own_drawer::Opener;

/// The cash drawer of a till.
#[derive(Debug, Clone)]
pub struct CashDrawer {
    /// What the books call it.
    pub name: String,
    /// Whether it opens by itself for cash.
    pub opens_with_cash: bool,
    /// Who opens it, where it hangs on the terminal's own printer; else the hub does, when it hears of the ask.
    pub opener: Option<Opener>,
}

impl Clerk {
    /// Opens the drawer of this terminal because somebody says so.
    pub(super) async fn open_drawer(
        &mut self,
        idem: Idem,
        reason: DrawerReason,
        by: String,
        note: String,
    ) -> Result<Answer, Refusal> {
        let CashDrawer { name: drawer, opener, .. } = self.drawer.clone().ok_or(Refusal::NoDrawer)?;
        let began = Instant::now();
        let day = match self.day_now()? {
            Some(day) => day,
            // No day is opened for it; never in one that is settled already.
            None => {
                let today = self.look().day;
                self.ledger.read(|kv| views::first_open_day(kv))?.map_or(today, |first| today.max(first))
            }
        };
        let terminal = self.terminal;
        let ask = Ask { day, terminal, drawer: &drawer, reason, sale: None, by: Some(&by), note: &note };
        let asked = opening::ask(&ask)?;
        let written = self.write(Some(idem), What::DrawerAsked(asked), None).await?;
        if let Some(opener) = opener {
            self.asking.spawn(async move { opener.open(written.id, began).await });
        }
        Ok(Answer::Drawer { id: written.id, drawer, reason })
    }

    /// Opens it for the cash of a sale, return or void, which is durable already.
    pub(super) async fn open_drawer_for(&mut self, seen: &SaleSeen) {
        let sale = &seen.sale;
        let moves_cash = sale.tenders.iter().any(|tender| tender.kind == TenderKindV1::Cash);
        let Some(drawer) = self.drawer.clone() else { return };
        if !drawer.opens_with_cash || !(moves_cash || sale.change_minor != 0) {
            return;
        }
        let day = toko_retail::day::Day::stored(sale.day);
        let Ok(day) = day else { return };
        let ask = Ask {
            day,
            terminal: self.terminal,
            drawer: &drawer.name,
            reason: DrawerReason::Sale,
            sale: Some(seen.id),
            by: sale.cashier.as_deref(),
            note: "",
        };
        match opening::ask(&ask) {
            Ok(asked) => self.post_now(What::DrawerAsked(asked), drawer.opener).await,
            Err(err) => warn!(%err, "the drawer is not asked to open"),
        }
    }

    /// Writes an op for which nobody waits, and which is of no use later.
    async fn post_now(&mut self, what: What, opener: Option<Opener>) {
        let (ledger, began) = (self.ledger.clone(), Instant::now());
        let mut writing = Box::pin(async move {
            let body = Body::Op(OpV1::new(what.clone()).encode());
            match (ledger.append(what.kind().lane(), body, None, Wait::Synced).await, opener) {
                (Ok(written), Some(opener)) => opener.open(written.id, began).await,
                (Ok(_), None) => {}
                (Err(err), _) => warn!(%err, "the drawer was not asked to open"),
            }
        });
        // The first poll puts it into the store's inbox, behind the sale.
        tokio::select! {
            biased;
            () = &mut writing => {}
            () = std::future::ready(()) => {
                self.asking.spawn(writing);
            }
        }
    }
}
