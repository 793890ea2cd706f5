//! Slips: paper that is no receipt and stands in no book, such as the code that lets a new terminal in.
//!
//! Invariants: a slip is printed once or not at all; nobody tries again, since whoever asked stands beside the printer. What
//! it says is kept nowhere.

use crate::printers::Station;
use std::time::Duration;
use tokio::time::timeout;
use toko_devices::{Outcome, Page, Qr, Size, Style};

/// How long whoever asked waits to hear what became of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Prints, and says in words what became of it.
pub(crate) async fn print(station: &Station, page: Page) -> String {
    match timeout(PATIENCE, station.printer.print(page)).await {
        Ok(Outcome::Printed { level }) => format!("printed, {level}"),
        Ok(Outcome::Sent { level }) => format!("sent to a printer that confirms nothing, {level}"),
        Ok(Outcome::NotPrinted { why }) => format!("not printed: {why}"),
        Ok(Outcome::InDoubt { why }) => format!("perhaps printed: {why}"),
        Err(_) => {
            let words = station.trouble().unwrap_or_else(|| station.state().words);
            format!(
                "not yet printed; the printer: {}",
                if words.is_empty() { "says nothing" } else { &words }
            )
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
