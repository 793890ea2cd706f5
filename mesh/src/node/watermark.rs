//! What headquarters tells a store that it holds: lines that moved on, in an entry of its own, now and then.

use crate::identity::Role;
use crate::node::shared::Shared;
use crate::store::{Append, Wait};
use tokio::time::Instant;
use toko_crdt::book::rows;
use toko_crdt::frontier::Frontier;
use toko_crdt::{Body, Lane};
use tracing::warn;

/// Lines in one entry.
const LINES_AT_ONCE: usize = 8_192;

/// What has been told. *Shape*: `told` is empty while an entry is under way, and before the first one.
#[derive(Debug, Default)]
pub(super) struct Watermark {
    told: Option<Frontier>,
    last: Option<Instant>,
}

impl Watermark {
    /// Writes down what is new, if this is headquarters and it is time. Gives what was told then; see
    /// [`Watermark::was_told`].
    pub(super) fn tell(
        &mut self,
        shared: &Shared,
    ) -> Option<impl Future<Output = Option<Frontier>> + Send + 'static> {
        let due = self.last.is_none_or(|last| last.elapsed() >= shared.config.watermark_every);
        if shared.role != Role::Headquarters || !due || !shared.members.admits(&shared.node) {
            return None;
        }
        self.last = Some(Instant::now());
        let mut told = self.told.take().or_else(|| shared.store.reader().read(rows::watermark_union).ok())?;
        // Our own journal grows by telling; that is not worth telling.
        let frontier = shared.store.reader().frontier().of_lanes(&[Lane::Books]);
        let others = frontier.lines().filter(|(journal, _)| journal.node != shared.node);
        let news = others.map(|(journal, head)| (*journal, *head)).collect::<Frontier>().delta(&told);
        // What does not fit into one entry goes into the next.
        let news: Frontier =
            news.lines().take(LINES_AT_ONCE).map(|(journal, head)| (*journal, *head)).collect();
        if news.is_empty() {
            self.told = Some(told);
            return None;
        }
        let store = shared.store.clone();
        Some(async move {
            told.apply(&news);
            let body = Body::Watermark(news);
            let append = Append { lane: Lane::Books, body, saw: None, wait: Wait::Synced };
            match store.append(append).await {
                Ok(_) => Some(told),
                Err(err) => {
                    warn!(%err, "the watermark was not saved");
                    None
                }
            }
        })
    }

    /// What was told; `None` when it was not saved, and is found out anew.
    pub(super) fn was_told(&mut self, told: Option<Frontier>) {
        self.told = told;
    }
}
