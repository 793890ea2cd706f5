//! What the scanner of this terminal read, numbered, for whoever asks for what came after a number.
//!
//! Invariants: a scan belongs to this terminal alone; its digits, AIM identifier and GS1 separators are as the scanner sent
//! them; the last few are kept, and whoever comes later is told how many it missed. Numbers begin anew with the process.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toko_devices::Roots;
use toko_devices::scanner::{Scan, Scanned, Scanner, ScannerAddress, ScannerConfig};

use crate::api::ApiError;
use axum::http::StatusCode;

/// Scans that are kept.
const KEPT_MAX: usize = 64;
/// Who may wait for a scan at one time: the till screen, and somebody who looks over its shoulder. More are refused.
const WAITING_MAX: usize = 4;
/// Scans on their way from the scanner; it waits when they are not taken.
const INBOX_MAX: usize = 16;

/// The scans of this terminal. Clones are handles of the same.
#[derive(Debug, Clone)]
pub struct Scans {
    kept: Arc<Mutex<Kept>>,
    news: Arc<Notify>,
    waiting: Arc<Semaphore>,
    address: Option<ScannerAddress>,
}

/// The last scans: the number of the newest, and those that are kept.
#[derive(Debug, Default)]
struct Kept {
    last: u64,
    scans: VecDeque<Scanned>,
}

impl Scans {
    /// A terminal with a scanner at this address, or without one.
    #[must_use]
    pub fn new(address: Option<ScannerAddress>) -> Self {
        let waiting = Arc::new(Semaphore::new(WAITING_MAX));
        Self { kept: Arc::default(), news: Arc::default(), waiting, address }
    }

    /// Listens to the scanner until `stop`.
    pub(crate) async fn listen(self, terminal: String, stop: CancellationToken) {
        let Some(address) = self.address.clone() else { return stop.cancelled().await };
        let (tell, mut scans) = mpsc::channel(INBOX_MAX);
        let scanner = Scanner::spawn(ScannerConfig { address, roots: Roots::default(), terminal }, tell);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                scan = scans.recv() => match scan {
                    Some(scan) => self.keep(scan),
                    None => break,
                },
            }
        }
        scanner.stop().await;
    }

    fn keep(&self, scan: Scanned) {
        let mut kept = self.kept();
        kept.last += 1;
        kept.scans.push_back(scan);
        if kept.scans.len() > KEPT_MAX {
            kept.scans.pop_front();
        }
        drop(kept);
        self.news.notify_waiters();
    }

    /// What was scanned after a number; waits for it, up to `patience`. Without a number nothing of before is told.
    ///
    /// Errors: there is no scanner, or too many wait.
    pub(crate) async fn after(&self, after: Option<u64>, patience: Duration) -> Result<Value, ApiError> {
        if self.address.is_none() {
            let log = "no scanner is set up at this terminal; see scanner.address";
            return Err(ApiError::new(StatusCode::NOT_FOUND, "no-scanner", "Type the code.", log));
        }
        let Ok(_place) = self.waiting.try_acquire() else {
            let log = format!("{WAITING_MAX} programs wait for scans already");
            return Err(ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too-many-wait",
                "Wait a moment.",
                log,
            ));
        };
        if let Some(after) = after {
            // A number that this process has not given out is answered at once: whoever has it begins anew.
            let news = async {
                loop {
                    // Before the look, so that what comes between look and wait is heard.
                    let news = self.news.notified();
                    if self.kept().last != after {
                        return;
                    }
                    news.await;
                }
            };
            drop(timeout(patience, news).await);
        }
        Ok(self.kept().after(after))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn after(&self, after: Option<u64>) -> Value {
        let first_kept = self.last - self.scans.len() as u64;
        let from = match after {
            None => self.last,
            // Of a process before this one: all that this one has.
            Some(after) if after > self.last => 0,
            Some(after) => after,
        };
        let missed = first_kept.saturating_sub(from);
        let numbered = (first_kept + 1..).zip(&self.scans).filter(|(number, _)| *number > from);
        json!({
            "last": self.last,
            "missed": missed,
            "scans": numbered.map(|(number, scan)| shown(number, scan)).collect::<Vec<_>>(),
        })
    }
}

fn shown(number: u64, scanned: &Scanned) -> Value {
    match &scanned.scan {
        Ok(scan) => json!({
            "number": number, "data": text(scan), "aim": scan.aim.map(|aim| aim.to_string()), "gs1": scan.is_gs1(),
            "problem": null,
        }),
        Err(why) => {
            json!({ "number": number, "data": null, "aim": null, "gs1": false, "problem": why.to_string() })
        }
    }
}

/// The data as text: UTF-8, or else each byte as the character of its number.
fn text(scan: &Scan) -> String {
    match std::str::from_utf8(&scan.data) {
        Ok(text) => text.to_owned(),
        Err(_) => scan.data.iter().map(|byte| char::from(*byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scans_of(kept: &Kept, after: Option<u64>) -> (u64, Vec<u64>) {
        let shown = kept.after(after);
        let numbers = shown["scans"].as_array().unwrap().iter();
        (shown["missed"].as_u64().unwrap(), numbers.map(|scan| scan["number"].as_u64().unwrap()).collect())
    }

    #[test]
    fn a_few_are_kept_and_whoever_comes_late_is_told_how_many_it_missed() {
        let scans = Scans::new(None);
        for n in 0..100 {
            let scan = Scan::of(format!("]C101{n}\u{1d}10A").as_bytes());
            scans.keep(Scanned { terminal: "Till 1".into(), scan });
        }
        let kept = scans.kept();
        assert_eq!(scans_of(&kept, None), (0, vec![]), "nothing of before is rung up");
        assert_eq!(scans_of(&kept, Some(98)), (0, vec![99, 100]));
        assert_eq!(scans_of(&kept, Some(100)), (0, vec![]));
        let (missed, numbers) = scans_of(&kept, Some(10));
        assert_eq!((missed, numbers.len(), numbers[0]), (26, KEPT_MAX, 37));
        assert_eq!(scans_of(&kept, Some(1_000)).1.len(), KEPT_MAX, "the number of a process before this one");
        let last = kept.after(Some(99));
        assert_eq!(last["scans"][0]["data"], "0199\u{1d}10A");
        assert_eq!((&last["scans"][0]["aim"], &last["scans"][0]["gs1"]), (&json!("]C1"), &json!(true)));
    }
}
