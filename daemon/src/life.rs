//! From "ready" to the last stage: what the process tells systemd, which signals it heeds, and how it stops.
//!
//! Outside systemd all of this is silent: `NOTIFY_SOCKET` is not set and nothing is sent.

use sd_notify::NotifyState;
use std::future::Future;
use std::io;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Says that the process listens and its store is open.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// Says in shop words how things are: "3 terminals, HQ 4 min behind".
pub fn status(text: &str) {
    notify(&[NotifyState::Status(text)]);
}

/// Says that the process made real progress; only call it after a real commit or a probe through the store.
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// How often [`alive`] must be said, where the unit asks for it: half of `WatchdogSec=`.
#[must_use]
pub fn watchdog_every() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(err) = sd_notify::notify(states) {
        warn!(%err, "systemd was not told");
    }
}

/// The signals that end the process, heeded from the moment that this is made.
///
/// Made before anybody is answered: whoever is answered may send one at once, and the process ends in order all the same.
#[derive(Debug)]
pub struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    /// Heeds SIGTERM and SIGINT from now on; until then either ends the process on the spot.
    ///
    /// Errors: the handlers could not be set up.
    pub fn heed() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    /// Waits for one, be it one that came before, or until `stop` is cancelled from inside, and says which.
    pub async fn until_stopped(&mut self, stop: &CancellationToken) -> &'static str {
        let why = tokio::select! {
            biased;
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
            () = stop.cancelled() => "stopped from inside",
        };
        notify(&[NotifyState::Stopping]);
        why
    }
}

/// One stage of stopping: waits for `work`, but no longer than `deadline`, and leaves one log line either way.
pub async fn stage(name: &'static str, deadline: Duration, work: impl Future<Output = ()>) {
    let start = Instant::now();
    match timeout(deadline, work).await {
        Ok(()) => info!(stage = name, elapsed_ms = millis(start.elapsed()), "stopped"),
        Err(_) => warn!(stage = name, deadline_ms = millis(deadline), "not done in time, going on"),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{getpid, kill_process};

    #[tokio::test(start_paused = true)]
    async fn a_stage_that_hangs_is_left_behind_at_its_deadline() {
        let start = Instant::now();
        stage("sessions", Duration::from_secs(5), std::future::pending()).await;
        assert_eq!(start.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test]
    async fn a_signal_ends_the_wait_also_one_that_came_before_it() {
        let (stop, mut signals) = (CancellationToken::new(), Signals::heed().unwrap());
        kill_process(getpid(), rustix::process::Signal::TERM).unwrap();
        assert_eq!(signals.until_stopped(&stop).await, "SIGTERM");
        stop.cancel();
        assert_eq!(signals.until_stopped(&stop).await, "stopped from inside");
    }
}
