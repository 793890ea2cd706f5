//! Goods that move without a sale: gone, come, counted, broken.

use toko_crdt::body::Idem;
use toko_crdt::entry::Saw;
use toko_retail::movement::{MoveDraft, Moved, move_stock};
use toko_retail::ops::{MoveReason, MovedLineV1, StockMovedV1, What};
use toko_retail::qty::Qty;
use toko_retail::views;

use super::Refusal;
use super::ask::Command;
use super::clerk::Clerk;
use super::seen::{Answer, MovedSeen};

impl Clerk {
    pub(super) async fn move_stock(&mut self, idem: Idem, command: Command) -> Result<Answer, Refusal> {
        let Command::MoveStock { reason, lines, note, by, counterpart, external } = command else {
            return Err(Refusal::Unreadable("not a movement".to_owned()));
        };
        let mut moved = Vec::with_capacity(lines.len());
        for (at, (code, qty, name)) in lines.into_iter().enumerate() {
            let wrong = |why: String| Refusal::Quantity { line: at, why };
            let (sku, name, decimals) = self.goods(code, name);
            qty.fits(decimals).map_err(|error| wrong(error.to_string()))?;
            let line = match reason {
                MoveReason::Count if qty.milli_units() >= 0 => {
                    let seen = self.ledger.read(|kv| views::stock(kv, &sku))?;
                    Moved::counted(&sku, &name, qty, seen)
                }
                MoveReason::Count => return Err(wrong(format!("{qty} cannot have been counted"))),
                _ if qty.milli_units() <= 0 => {
                    return Err(wrong(format!("the quantity is {qty}, it must be above zero")));
                }
                MoveReason::Receipt => Ok(Moved::of(&sku, &name, qty)),
                _ => qty.negated().map(|out| Moved::of(&sku, &name, out)),
            };
            moved.push(line.map_err(|error| wrong(error.to_string()))?);
        }
        // What the counter had seen decides what a count means.
        let saw = (reason == MoveReason::Count).then(|| Saw::Frontier(self.ledger.root()));
        let trial = self.day_now()?.unwrap_or(self.look().day);
        let mut draft =
            MoveDraft { by, lines: moved, counterpart, note, external, ..MoveDraft::new(reason, trial) };
        move_stock(&draft)?;
        draft.day = self.day_for_business().await?;
        let op = move_stock(&draft)?;
        let seen = op.clone();
        let written = self.write(Some(idem), What::StockMoved(op), saw).await?;
        Ok(Answer::Moved(Box::new(moved_seen(written.id, draft.day, &seen))))
    }

    /// Sku, name and decimals of what a code calls; the code itself where the catalogue does not have it.
    fn goods(&self, code: String, name: Option<String>) -> (String, String, u8) {
        let stocked = self.shelf.now();
        match stocked.as_ref().and_then(|stocked| stocked.lookup(&code)) {
            Some(item) => (item.sku.to_owned(), item.name.to_owned(), item.decimals),
            None => (code, name.unwrap_or_default(), 3),
        }
    }
}

/// A movement as somebody sees it.
pub(super) fn moved_seen(
    id: toko_crdt::EffectId,
    day: toko_retail::day::Day,
    moved: &StockMovedV1,
) -> MovedSeen {
    let line = |line: &MovedLineV1| {
        (line.sku.clone(), Qty::milli(line.qty_milli), line.counted_milli.map(Qty::milli))
    };
    MovedSeen { id, reason: moved.reason, day, lines: moved.lines.iter().map(line).collect() }
}
