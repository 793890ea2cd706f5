//! Following the store: the catalogue that counts, what systemd is told, and the dog that must be fed.

use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use toko_daemon::life;
use toko_retail::catalogue::Catalogue;
use toko_retail::ops::BundleKind;
use toko_retail::views::{self, ActiveBundle};
use tracing::{error, info, warn};

use crate::ledger::Ledger;
use crate::shelf::{Shelf, Stocked};
use crate::till::{Refusal, Till};

/// How long to wait before asking again for a blob that nobody had.
const BLOB_AGAIN: Duration = Duration::from_secs(2);
/// How often systemd is told how things are.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// How often the store is probed where the unit has no watchdog.
const PROBE_EVERY: Duration = Duration::from_secs(10);

/// What came of a look at the catalogue that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stocking {
    /// It is on the shelf.
    Done,
    /// Its blob is not here, and nobody who was asked has it.
    Missing,
    /// Its blob cannot be read by this build; asking again would not help.
    Unreadable,
}

/// Puts the catalogue that counts on the shelf, if it is not there yet, asking others for it where it is not here.
///
/// Errors: the views could not be read.
pub async fn stock(ledger: &Ledger, shelf: &Shelf) -> Result<Stocking, Refusal> {
    match wanted(ledger, shelf)? {
        None => Ok(Stocking::Done),
        Some(wanted) => match ledger.blob(wanted.blob).await {
            None => Ok(Stocking::Missing),
            Some(bytes) => Ok(take_in(ledger, shelf, wanted, bytes).await),
        },
    }
}

/// The catalogue that counts, if it is not on the shelf.
fn wanted(ledger: &Ledger, shelf: &Shelf) -> Result<Option<ActiveBundle>, Refusal> {
    let active = ledger.read(|kv| views::bundle_active(kv, BundleKind::Catalogue))?;
    let now = shelf.now();
    Ok(active.filter(|active| now.is_none_or(|now| now.bundle != active.blob)))
}

async fn take_in(ledger: &Ledger, shelf: &Shelf, active: ActiveBundle, bytes: Vec<u8>) -> Stocking {
    let bundle = active.blob.short();
    let read = ledger.machine().aside(move || Catalogue::decode(&bytes)).await;
    let catalogue = match read {
        Ok(Ok(catalogue)) => catalogue,
        Ok(Err(err)) => {
            error!(bundle, %err, "the catalogue cannot be read; the one before stays");
            return Stocking::Unreadable;
        }
        Err(err) => {
            error!(bundle, %err, "reading the catalogue failed; the one before stays");
            return Stocking::Unreadable;
        }
    };
    info!(bundle, items = catalogue.len(), rev = active.rev, "catalogue in use");
    shelf.swap(Stocked { bundle: active.blob, rev: active.rev, catalogue });
    Stocking::Done
}

/// Keeps the shelf stocked until `stop`.
pub async fn keep_stocked(ledger: Ledger, shelf: Shelf, stop: CancellationToken) {
    let mut changed = ledger.changed();
    loop {
        let wait = match stock(&ledger, &shelf).await {
            Ok(Stocking::Missing) => Some(BLOB_AGAIN),
            Ok(_) => None,
            Err(err) => {
                warn!(%err, "the catalogue that counts could not be looked up");
                Some(BLOB_AGAIN)
            }
        };
        let again = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = again => {}
            more = changed.changed(), if wait.is_none() => if more.is_err() {
                return;
            },
        }
    }
}

/// Tells systemd in shop words how things are, until `stop`.
pub async fn tell(ledger: Ledger, shelf: Shelf, till: Till, stop: CancellationToken) {
    let mut tick = interval(STATUS_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let words = words(&ledger, &shelf, &till).await;
        if words != told {
            life::status(&words);
            told = words;
        }
    }
}

async fn words(ledger: &Ledger, shelf: &Shelf, till: &Till) -> String {
    let hub = if ledger.hub_alive() { "hub linked" } else { "hub away" };
    let goods = shelf.now().map_or("no catalogue".to_owned(), |now| format!("{} items", now.catalogue.len()));
    let safe = match till.health().await {
        Ok(health) if health.unsaved.is_some() => ", CARTS NOT SAVED",
        Ok(_) => "",
        Err(_) => ", stopping",
    };
    format!("selling: {goods}, {hub}{safe}")
}

/// Feeds the dog after each probe that went through the store's thread, until `stop` or until the store is broken.
pub async fn feed(ledger: Ledger, stop: CancellationToken) {
    let mut tick = interval(life::watchdog_every().unwrap_or(PROBE_EVERY));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        match ledger.probe().await {
            Ok(()) => life::alive(),
            Err(err) => {
                // A broken store saves nothing until the process starts again.
                error!(%err, "the store does not answer; the terminal stops, so that it can start again");
                return;
            }
        }
    }
}
