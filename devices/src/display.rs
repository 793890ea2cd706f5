//! Line displays for the customer: two rows of twenty characters, in three dialects.
//!
//! A display confirms nothing and is never waited for: the latest text wins, and texts that came while it was busy or away are
//! never shown late. Each drawing is whole, so a display that was unplugged shows the right thing again once it is back.
//! Invariant: what a caller writes becomes characters and never a command. Absent on purpose: scrolling and blinking.
//!
//! A display behind a printer shares the printer's cable, which takes one host at a time: what it shows goes over the link of the
//! printer's owner, between jobs.
//!
//! [`encode`] gives the bytes (pure), [`LineDisplay`] is the edge, [`VirtualDisplay`] a display without glass.
//! Source: Epson ESC/POS for customer displays (DM-D); CD5220 command set.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::cable::{self, Address, Cable, Roots};
use crate::codepage::CodePage;
use crate::owner::OwnedPrinter;

mod virtual_display;

pub use virtual_display::VirtualDisplay;

/// What a display obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Epson's own, and most displays set to ESC/POS.
    Epson,
    /// CD5220, and most displays as they come.
    Cd5220,
    /// Epson's, on a display that hangs behind a printer on one cable. The printer is given its ear back after each drawing,
    /// or it would print nothing more.
    BehindPrinter,
}

/// What the customer sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// The upper row. What is longer than the row is cut off.
    pub upper: String,
    /// The lower row.
    pub lower: String,
}

/// How a display is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glass {
    /// What it obeys.
    pub dialect: Dialect,
    /// Characters in a row.
    pub columns: u8,
    /// The characters that it has.
    pub code_page: CodePage,
    /// The number by which it knows them (`ESC t n`).
    pub code_page_number: u8,
}

impl Glass {
    /// Two rows of twenty, Western Europe with the euro sign.
    #[must_use]
    pub const fn rows_of_20(dialect: Dialect) -> Glass {
        Glass { dialect, columns: 20, code_page: CodePage::Pc858, code_page_number: 19 }
    }

    /// One row of the glass: cut or filled up to its width.
    fn row(&self, text: &str) -> Vec<u8> {
        let mut bytes = self.code_page.bytes(text);
        bytes.resize(usize::from(self.columns), b' ');
        bytes
    }
}

/// A whole drawing: initialised, both rows.
#[must_use]
pub fn encode(screen: &Screen, glass: &Glass) -> Vec<u8> {
    let (upper, lower) = (glass.row(&screen.upper), glass.row(&screen.lower));
    let mut bytes = Vec::new();
    if glass.dialect == Dialect::BehindPrinter {
        bytes.extend(TO_DISPLAY);
    }
    bytes.extend(INIT);
    bytes.extend([ESC, b't', glass.code_page_number]);
    match glass.dialect {
        Dialect::Cd5220 => {
            for (row, text) in [(b'A', &upper), (b'B', &lower)] {
                bytes.extend([ESC, b'Q', row]);
                bytes.extend(text);
                bytes.push(CR);
            }
        }
        Dialect::Epson | Dialect::BehindPrinter => {
            bytes.extend(OVERWRITE);
            bytes.extend(CURSOR_OFF);
            for (row, text) in [(1, &upper), (2, &lower)] {
                bytes.extend([US, b'$', 1, row]);
                bytes.extend(text);
            }
        }
    }
    if glass.dialect == Dialect::BehindPrinter {
        bytes.extend(TO_PRINTER);
    }
    bytes
}

/// A display and whoever keeps it up to date. Dropping it leaves what it shows.
#[derive(Debug)]
pub struct LineDisplay(Way);

/// How the display is reached.
#[derive(Debug)]
enum Way {
    Cable { screen: watch::Sender<Screen>, stop: CancellationToken, task: JoinSet<()> },
    Printer { printer: OwnedPrinter, glass: Glass },
}

impl LineDisplay {
    /// Looks for a display on a cable of its own from now on, and shows `first` on it. Call it inside a runtime.
    #[must_use]
    pub fn spawn(address: Address, roots: Roots, glass: Glass, first: Screen) -> LineDisplay {
        let (screen, wanted) = watch::channel(first);
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(keep(address, roots, glass, wanted, stop.clone()));
        LineDisplay(Way::Cable { screen, stop, task })
    }

    /// A display behind a printer, which shows `first` as soon as the printer is linked. Its owner has to run.
    #[must_use]
    pub fn behind(printer: OwnedPrinter, glass: Glass, first: &Screen) -> LineDisplay {
        let glass = Glass { dialect: Dialect::BehindPrinter, ..glass };
        printer.show(encode(first, &glass));
        LineDisplay(Way::Printer { printer, glass })
    }

    /// Shows this, as soon as the display takes it. What was to be shown before it and was not is forgotten.
    pub fn show(&self, screen: Screen) {
        match &self.0 {
            Way::Cable { screen: shown, .. } => drop(shown.send_replace(screen)),
            Way::Printer { printer, glass } => printer.show(encode(&screen, glass)),
        }
    }

    /// Stops, after the drawing in hand. One behind a printer stops with the printer's owner.
    pub async fn stop(self) {
        if let Way::Cable { stop, mut task, .. } = self.0 {
            stop.cancel();
            while task.join_next().await.is_some() {}
        }
    }
}

/// Connects, draws what is wanted whenever that changes, and begins again when the cable breaks.
async fn keep(
    address: Address,
    roots: Roots,
    glass: Glass,
    mut wanted: watch::Receiver<Screen>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let connected = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            connected = cable::connect(&address, &roots) => connected,
        };
        let why = match connected {
            Ok(mut cable) => match draw(&mut cable, glass, &mut wanted, &stop).await {
                Ok(()) => return,
                Err(why) => why,
            },
            Err(why) => why,
        };
        debug!(%address, err = %why, "display is away");
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sleep(AGAIN) => {}
        }
    }
}

/// Draws until nobody wants anything any more.
///
/// Errors: the cable broke or takes nothing.
async fn draw(
    cable: &mut Cable,
    glass: Glass,
    wanted: &mut watch::Receiver<Screen>,
    stop: &CancellationToken,
) -> std::io::Result<()> {
    let mut ear = [0; 64];
    loop {
        let bytes = encode(&wanted.borrow_and_update(), &glass);
        match timeout(DRAW, cable.write_all(&bytes)).await {
            Ok(drawn) => drawn?,
            Err(_) => return Err(std::io::ErrorKind::TimedOut.into()),
        }
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                changed = wanted.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return Ok(()),
                },
                // A display says nothing; the end of its cable is what is listened for.
                read = tokio::io::AsyncReadExt::read(cable, &mut ear) => {
                    if read? == 0 {
                        return Err(std::io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
    }
}

const ESC: u8 = 0x1b;
const US: u8 = 0x1f;
const CR: u8 = 0x0d;
const INIT: [u8; 2] = [ESC, b'@'];
const OVERWRITE: [u8; 2] = [US, 0x01];
const CURSOR_OFF: [u8; 3] = [US, b'C', 0];
const TO_DISPLAY: [u8; 3] = [ESC, b'=', 2];
const TO_PRINTER: [u8; 3] = [ESC, b'=', 1];
const AGAIN: Duration = Duration::from_millis(500);
/// Sixty bytes take as many milliseconds at 9600 bits a second.
const DRAW: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    const DIALECTS: [Dialect; 3] = [Dialect::Epson, Dialect::Cd5220, Dialect::BehindPrinter];

    fn screen(upper: &str, lower: &str) -> Screen {
        Screen { upper: upper.to_owned(), lower: lower.to_owned() }
    }

    #[test]
    fn a_drawing_is_these_bytes() {
        let screen = screen("TOMATOES", "1.20 €");
        let rows = (b"TOMATOES            ", b"1.20 \xd5              ");
        let epson =
            [&b"\x1b@\x1bt\x13\x1f\x01\x1fC\x00\x1f$\x01\x01"[..], rows.0, b"\x1f$\x01\x02", rows.1].concat();
        assert_eq!(encode(&screen, &Glass::rows_of_20(Dialect::Epson)), epson);
        let behind = [&b"\x1b=\x02"[..], &epson, b"\x1b=\x01"].concat();
        assert_eq!(encode(&screen, &Glass::rows_of_20(Dialect::BehindPrinter)), behind);
        let cd5220 = [&b"\x1b@\x1bt\x13\x1bQA"[..], rows.0, b"\r\x1bQB", rows.1, b"\r"].concat();
        assert_eq!(encode(&screen, &Glass::rows_of_20(Dialect::Cd5220)), cd5220);
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_a_caller_writes_becomes_a_command(upper in ".{0,40}", lower in "[\\x00-\\xff\u{1b}\u{1f}=@Q]{0,40}") {
            for dialect in DIALECTS {
                let glass = Glass::rows_of_20(dialect);
                let mut display = VirtualDisplay::new(glass);
                display.receive(&encode(&screen(&upper, &lower), &glass));
                let row = |text: &str| glass.code_page.show(text).chars().chain(" ".repeat(20).chars()).take(20).collect::<String>();
                assert_eq!(display.rows(), [row(&upper), row(&lower)]);
                assert_eq!(display.unknown(), 0);
                assert!(display.printer_listens());
            }
        }

        #[test]
        fn any_bytes_leave_two_rows(bytes in proptest::collection::vec(0_u8..=255, 0..300)) {
            for dialect in DIALECTS {
                let mut display = VirtualDisplay::new(Glass::rows_of_20(dialect));
                display.receive(&bytes);
                assert!(display.rows().iter().all(|row| row.chars().count() == 20));
            }
        }
    }
}
