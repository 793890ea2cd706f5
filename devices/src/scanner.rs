//! Scanners: on a serial line, or playing a keyboard that is taken so that nobody else hears it. Each belongs to a terminal.
//!
//! A scan is handed over as bytes, with the symbology identifier where the scanner tells it (`]C1`) and GS1 separators kept.
//! Invariants: half a scan is never glued onto the next; control bytes never come through; a scan goes to the terminal that
//! the scanner is bound to and to no other. Absent on purpose: what a code means, which is for whoever sells.
//!
//! [`Lines`] and [`Keys`] are the two ways to speak (pure), [`Scanner`] the edge, [`VirtualWedge`] a scanner without a beam.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::cable::{self, Address, Cable, Roots};

mod keyboard;
mod keys;
mod scan;
mod virtual_wedge;

pub use keys::Keys;
pub use scan::{AimId, GAP, Lines, Refused, SCAN_BYTES_MAX, Scan};
pub use virtual_wedge::VirtualWedge;

use keyboard::{KeyEvent, Keyboard};

/// Where a scanner is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScannerAddress {
    /// On a cable that carries its bytes: `serial:/dev/ttyACM0`.
    Cable(Address),
    /// Playing a keyboard: `keyboard:05e0:1200` or `keyboard:/dev/input/by-id/usb-Symbol-event-kbd`.
    Keyboard(KeyboardName),
}

/// Which keyboard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyboardName {
    /// By its maker and model on USB: fine where there is one of it.
    Usb {
        /// The maker's number.
        vendor: u16,
        /// The model's number.
        product: u16,
    },
    /// By a device file that stays, such as those under `/dev/input/by-path`.
    Node(PathBuf),
}

/// A scan and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    /// The terminal that the scanner is bound to.
    pub terminal: String,
    /// What was scanned, or why it was refused; a person then scans again.
    pub scan: Result<Scan, Refused>,
}

/// How a scanner is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannerConfig {
    /// Where it is.
    pub address: ScannerAddress,
    /// Where this machine lists its devices.
    pub roots: Roots,
    /// The terminal that its scans belong to.
    pub terminal: String,
}

/// A scanner that is listened to. Dropping it lets go of the scanner.
#[derive(Debug)]
pub struct Scanner {
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl Scanner {
    /// Looks for the scanner from now on and hands over what it scans. If nobody takes scans the scanner waits. Call it inside
    /// a runtime.
    #[must_use]
    pub fn spawn(config: ScannerConfig, scans: mpsc::Sender<Scanned>) -> Scanner {
        let stop = CancellationToken::new();
        let (mut task, stopped) = (JoinSet::new(), stop.clone());
        task.spawn(async move {
            tokio::select! {
                biased;
                () = stopped.cancelled() => {}
                () = listen(config, scans) => {}
            }
        });
        Scanner { stop, task }
    }

    /// Stops and lets go of the scanner.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.task.join_next().await.is_some() {}
    }
}

/// Until nobody takes scans any more.
async fn listen(config: ScannerConfig, scans: mpsc::Sender<Scanned>) {
    let mut told = String::new();
    while !scans.is_closed() {
        let ended = match &config.address {
            ScannerAddress::Cable(address) => match cable::connect(address, &config.roots).await {
                Ok(cable) => lines(cable, &config, &scans, &mut told).await,
                Err(why) => Err(why),
            },
            ScannerAddress::Keyboard(name) => match Keyboard::take(name, &config.roots) {
                Ok(keyboard) => keys(keyboard, &config, &scans, &mut told).await,
                Err(why) => Err(why),
            },
        };
        let Err(why) = ended else { return };
        let why = why.to_string();
        if why != told {
            warn!(scanner = %config.address, terminal = config.terminal, err = why, "scanner is away");
            told = why;
        }
        sleep(AGAIN).await;
    }
}

/// Hands over the scans of a cable.
///
/// Errors: the cable broke. `Ok` if nobody takes scans any more.
async fn lines(
    mut cable: Cable,
    config: &ScannerConfig,
    scans: &mpsc::Sender<Scanned>,
    told: &mut String,
) -> io::Result<()> {
    told.clear();
    let (began, mut lines, mut bytes) = (Instant::now(), Lines::default(), [0; 256]);
    loop {
        let Ok(read) = timeout(GAP, cable.read(&mut bytes)).await else {
            if let Some(why) = lines.idle(began.elapsed())
                && !hand_over(Err(why), config, scans).await
            {
                return Ok(());
            }
            continue;
        };
        let count = read?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for byte in &bytes[..count] {
            if let Some(scan) = lines.push(*byte, began.elapsed())
                && !hand_over(scan, config, scans).await
            {
                return Ok(());
            }
        }
    }
}

/// Hands over the scans of a keyboard.
///
/// Errors: it was unplugged. `Ok` if nobody takes scans any more.
async fn keys(
    mut keyboard: Keyboard,
    config: &ScannerConfig,
    scans: &mpsc::Sender<Scanned>,
    told: &mut String,
) -> io::Result<()> {
    told.clear();
    let (began, mut keys) = (Instant::now(), Keys::default());
    loop {
        let scan = match timeout(GAP, keyboard.next()).await {
            Err(_) => keys.idle(began.elapsed()).map(Err),
            Ok(event) => match event? {
                KeyEvent::Key { key, down } => keys.push(key, down, began.elapsed()),
                KeyEvent::Lost => keys.lost().map(Err),
            },
        };
        if let Some(scan) = scan
            && !hand_over(scan, config, scans).await
        {
            return Ok(());
        }
    }
}

/// False if nobody takes scans any more.
async fn hand_over(
    scan: Result<Scan, Refused>,
    config: &ScannerConfig,
    scans: &mpsc::Sender<Scanned>,
) -> bool {
    if let Err(why) = &scan {
        debug!(scanner = %config.address, err = %why, "scan refused");
    }
    scans.send(Scanned { terminal: config.terminal.clone(), scan }).await.is_ok()
}

impl FromStr for ScannerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<ScannerAddress, String> {
        let Some(keyboard) = text.strip_prefix("keyboard:") else {
            return text
                .parse()
                .map(ScannerAddress::Cable)
                .map_err(|problem: cable::AddressError| problem.to_string());
        };
        if keyboard.len() > 1 && keyboard.starts_with('/') && !keyboard.chars().any(char::is_control) {
            return Ok(ScannerAddress::Keyboard(KeyboardName::Node(keyboard.into())));
        }
        let id = |text: &str| (text.len() == 4).then(|| u16::from_str_radix(text, 16).ok()).flatten();
        keyboard
            .split_once(':')
            .and_then(|(vendor, product)| Some(KeyboardName::Usb { vendor: id(vendor)?, product: id(product)? }))
            .map(ScannerAddress::Keyboard)
            .ok_or_else(|| {
                format!(
                    "after keyboard: write the maker and model as lsusb shows them, such as 05e0:1200, or a file under /dev/input, not {keyboard:?}"
                )
            })
    }
}

impl fmt::Display for ScannerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScannerAddress::Cable(address) => address.fmt(f),
            ScannerAddress::Keyboard(KeyboardName::Node(path)) => write!(f, "keyboard:{}", path.display()),
            ScannerAddress::Keyboard(KeyboardName::Usb { vendor, product }) => {
                write!(f, "keyboard:{vendor:04x}:{product:04x}")
            }
        }
    }
}

const AGAIN: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scanner_is_named_by_its_cable_or_as_a_keyboard() {
        for text in [
            "keyboard:05e0:1200",
            "keyboard:/dev/input/by-id/scanner",
            "serial:/dev/ttyACM0?baud=9600&frame=8N1&flow=none",
        ] {
            assert_eq!(text.parse::<ScannerAddress>().unwrap().to_string(), text);
        }
        for (text, word) in
            [("keyboard:", "lsusb"), ("keyboard:5e0:1200", "lsusb"), ("serial:ttyACM0", "no path")]
        {
            let problem = text.parse::<ScannerAddress>().unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
    }
}
