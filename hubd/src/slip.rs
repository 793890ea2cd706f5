//! Slips: paper that is no receipt and stands in no book, such as the code that lets a new terminal in.
//!
//! Invariants: a slip is printed once or not at all; nobody tries again, since whoever asked stands beside the printer. What
//! it says is kept nowhere.

use crate::paper::SharedState;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use toko_devices::{Outcome, Page, Qr, Size, Style};

/// Slips that may wait; more are refused.
const WAITING_MAX: usize = 4;
/// How long whoever asked waits to hear what became of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// One on its way.
#[derive(Debug)]
pub(crate) struct Slip {
    pub(crate) page: Page,
    pub(crate) done: oneshot::Sender<Outcome>,
}

/// Where slips go in.
#[derive(Clone, Debug)]
pub(crate) struct Slot(mpsc::Sender<Slip>);

/// A way for slips to the owner of the printer.
pub(crate) fn slot() -> (Slot, mpsc::Receiver<Slip>) {
    let (slot, slips) = mpsc::channel(WAITING_MAX);
    (Slot(slot), slips)
}

impl Slot {
    /// Prints, and says in words what became of it.
    pub(crate) async fn print(&self, page: Page, printer: &SharedState) -> String {
        let (done, outcome) = oneshot::channel();
        if self.0.try_send(Slip { page, done }).is_err() {
            return "not printed: too many slips wait for the printer".into();
        }
        match timeout(PATIENCE, outcome).await {
            Ok(Ok(Outcome::Printed { level })) => format!("printed, {level}"),
            Ok(Ok(Outcome::NotPrinted { why })) => format!("not printed: {why}"),
            Ok(Ok(Outcome::InDoubt { why })) => format!("perhaps printed: {why}"),
            Ok(Err(_)) => "not printed: the hub stops".into(),
            Err(_) => {
                let words = printer.lock().unwrap_or_else(PoisonError::into_inner).words.clone();
                format!(
                    "not yet printed; the printer: {}",
                    if words.is_empty() { "says nothing" } else { &words }
                )
            }
        }
    }
}

/// The code that lets a terminal in, for its own scanner and for whoever types it.
pub(crate) fn enrolment(shop: &str, name: &str, code: &str) -> Page {
    let centred = Style::PLAIN.centre();
    let mut page = Page::new()
        .text(shop, centred)
        .text(name, centred.bold().size(Size::Big))
        .line("")
        .text("Enrols one terminal. 15 minutes, 5 tries.", centred);
    if let Ok(qr) = Qr::new(code) {
        page = page.qr(qr);
    }
    page.text(code, centred.bold()).line("").line("terminal-agent enrol CODE").feed(1).cut()
}
