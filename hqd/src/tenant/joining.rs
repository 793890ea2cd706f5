//! How a store joins: its hub comes with the code that was given out, and the books are made and opened.

use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use toko_crdt::NodeId;
use toko_mesh::endpoint::Arrival;
use toko_mesh::enrol::{Joining, take_in};
use toko_mesh::tls::Gate as _;
use tracing::{error, info, warn};

use super::Tenant;
use crate::books::Books;
use crate::serve::with_causes;

/// How long a newcomer may take to read our last word.
const LAST_WORD: Duration = Duration::from_secs(2);
/// Newcomers that are talked to at once.
const TALKS_MAX: usize = 4;
/// How often a store without books looks whether its code is still good.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Tenant {
    /// Lets a hub in that comes with a code; ends when books are open. Where the store is known already and the code is no
    /// longer good, the books are opened as they are.
    pub(super) async fn wait_for_hub(self: &Arc<Self>) {
        let door = self.door.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut door) = door else {
            // The books are being closed; whoever does that opens the door, and then says so.
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = self.closed.notified() => {}
            }
            return;
        };
        let mut talks: JoinSet<bool> = JoinSet::new();
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                Some(joined) = talks.join_next() => if matches!(joined, Ok(true)) { return },
                Some(arrival) = door.next(), if talks.len() < TALKS_MAX => {
                    let tenant = Arc::clone(self);
                    talks.spawn(async move { tenant.meet(&arrival).await });
                }
                _ = look.tick() => {
                    if talks.is_empty() && !self.desk.is_open() && self.reopen().await {
                        return;
                    }
                }
            }
        }
    }

    /// One newcomer. Whether it joined.
    async fn meet(&self, arrival: &Arrival) -> bool {
        let from = arrival.connection.remote_address();
        let taken = take_in(arrival, &self.desk, |joining| self.join(joining)).await;
        // Our last word has arrived, but a connection that goes now takes it along unread: the hub hangs up.
        let _ = tokio::time::timeout(LAST_WORD, arrival.connection.closed()).await;
        match taken {
            Ok(joining) => {
                let hub = NodeId::of(&joining.hub);
                info!(store = %self.name, %from, hub = %hub.short(), "the store joined");
                true
            }
            Err(err) => {
                warn!(store = %self.name, %from, %err, "a newcomer was not let in");
                false
            }
        }
    }

    /// Notes, durably, which store this is, and opens its books.
    async fn join(&self, joining: Joining) -> Result<(), String> {
        let _one_at_a_time = self.joining.lock().await;
        if self.books().is_some() {
            return Err("another hub has just joined with this store's code".into());
        }
        let other = self.root().is_some_and(|known| known != joining.root);
        if other && !toko_crdt::mutant!("another-store-under-one-name") {
            return Err(format!("{} joined before with another root key: that is another store", self.name));
        }
        if !self.common.claim(joining.root, self.node) && !toko_crdt::mutant!("one-store-under-two-names") {
            return Err("the store joined under another name before".into());
        }
        let site = self.site();
        Books::make(&site, &self.key, &joining).await.map_err(|problem| with_causes(&problem))?;
        self.folder().joined(joining.root).map_err(|problem| problem.to_string())?;
        self.set_books(Books::open(&site).await.map_err(|problem| with_causes(&problem))?);
        Ok(())
    }

    /// Opens the books of a store whose root key is known. Whether they are open.
    async fn reopen(&self) -> bool {
        let _one_at_a_time = self.joining.lock().await;
        if self.root().is_none() {
            return false;
        }
        match Books::open(&self.site()).await {
            Ok(books) => {
                self.set_books(books);
                true
            }
            Err(err) => {
                error!(store = %self.name, err = %with_causes(&err), "the books do not open; trying again");
                false
            }
        }
    }
}
