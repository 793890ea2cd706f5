//! A slow look at old parts of the log, once a day: what a disk spoils in silence is found while others still hold it.

use crate::node::Node;
use crate::node::shared::Shared;
use crate::store::Scrubbed;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

/// How long after the start the first look begins: a machine that is switched off every night has its turn.
const FIRST: Duration = Duration::from_secs(10 * 60);
/// And how long after each look the next.
const EVERY: Duration = Duration::from_secs(24 * 3_600);
/// The pause after each mebibyte.
const PAUSE: Duration = Duration::from_millis(500);

/// Looks until it is told to stop.
pub(super) async fn keep(shared: Arc<Shared>, stop: CancellationToken) {
    let work = async {
        sleep(FIRST).await;
        loop {
            if let Err(err) = look(&shared, PAUSE).await {
                warn!(%err, "the old parts of the log could not be gone over");
            }
            sleep(EVERY).await;
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Goes over all old segments once, and notes what is not what was written.
async fn look(shared: &Arc<Shared>, pause: Duration) -> io::Result<()> {
    let mut damaged = Vec::new();
    for segment in shared.store.reader().old_segments()? {
        let mut scrub = shared.store.reader().scrub(segment);
        loop {
            let (rest, found) = shared
                .config
                .machine
                .aside(move || {
                    let found = scrub.go_on();
                    (scrub, found)
                })
                .await
                .map_err(io::Error::other)?;
            scrub = rest;
            match found {
                Scrubbed::More => sleep(pause).await,
                Scrubbed::Whole => break,
                Scrubbed::Damaged { what } => {
                    error!(segment, what, "an old part of the log is not what was written");
                    damaged.push(what);
                    break;
                }
            }
        }
    }
    *shared.damaged.lock().unwrap_or_else(PoisonError::into_inner) = damaged;
    Ok(())
}

impl Node {
    /// Goes over the old parts of the log now, without pauses. What is found stands among the alerts.
    ///
    /// Errors: the disk does not even list its files.
    pub async fn scrub(&self) -> io::Result<()> {
        look(&self.shared, Duration::ZERO).await
    }
}
