//! What else stands at the counter: the customer's display and the scanner.

use serde::{Deserialize, Serialize};
use std::fmt::Display as Words;
use toko_devices::Address;
use toko_devices::display::{Dialect, Glass};
use toko_devices::model::Language;
use toko_devices::scanner::ScannerAddress;
use toko_retail::text::check_text;

use super::printer::{PrinterConfig, Prints};

/// The customer's display.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Display {
    /// Where it hangs, such as `serial:/dev/ttyUSB1?baud=9600`; empty means that there is none. One behind a printer hangs where
    /// the printer does, and that has to be this terminal's own.
    pub address: String,
    /// What it obeys: `epson`, `cd5220`, or `behind-printer` for an Epson on the cable of the terminal's own printer.
    pub dialect: String,
    /// What it shows while nobody is served, in its upper row.
    pub welcome: String,
}

/// The scanner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Scanner {
    /// Where it hangs: `serial:/dev/ttyACM0?baud=9600`, or `keyboard:05e0:1200` for one that types; empty means that there is none,
    /// or that the till screen reads it itself.
    pub address: String,
}

/// A display that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayConfig {
    /// Where it hangs.
    pub place: DisplayPlace,
    /// How it is made.
    pub glass: Glass,
    /// What it shows while nobody is served.
    pub welcome: String,
}

/// Where a display hangs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisplayPlace {
    /// On a cable of its own.
    Cable(Address),
    /// Behind the terminal's own printer.
    OwnPrinter,
}

impl DisplayConfig {
    /// Whether it hangs behind the terminal's own printer.
    pub(crate) fn is_behind_own_printer(&self) -> bool {
        self.place == DisplayPlace::OwnPrinter
    }
}

impl Default for Display {
    fn default() -> Self {
        Self { address: String::new(), dialect: "epson".into(), welcome: String::new() }
    }
}

impl Display {
    /// Settings are checked although there is none yet.
    pub(super) fn parse(
        self,
        printer: Option<&PrinterConfig>,
        problems: &mut Vec<String>,
    ) -> Option<DisplayConfig> {
        let mut note = |key: &str, problem: &dyn Words| problems.push(format!("display.{key}: {problem}"));
        let address = match self.address.as_str() {
            "" => None,
            text => text.parse::<Address>().map_err(|problem| note("address", &problem)).ok(),
        };
        let dialect = match self.dialect.as_str() {
            "epson" => Some(Dialect::Epson),
            "cd5220" => Some(Dialect::Cd5220),
            "behind-printer" => Some(Dialect::BehindPrinter),
            other => {
                note("dialect", &format!("\"{other}\" is none of epson, cd5220 and behind-printer"));
                None
            }
        };
        if let Err(problem) = check_text("the welcome", &self.welcome, WELCOME_CHARS_MAX) {
            note("welcome", &problem);
        }
        let (address, dialect) = (address?, dialect?);
        let place = match dialect {
            Dialect::Epson | Dialect::Cd5220 => DisplayPlace::Cable(address),
            Dialect::BehindPrinter => {
                if let Some(problem) = not_behind(&address, printer) {
                    note("address", &problem);
                    return None;
                }
                DisplayPlace::OwnPrinter
            }
        };
        Some(DisplayConfig { place, glass: Glass::rows_of_20(dialect), welcome: self.welcome })
    }
}

/// Why a display cannot be shown behind a printer at this address. Two who hold a cable lock each other out, so whoever prints
/// shows as well.
fn not_behind(address: &Address, printer: Option<&PrinterConfig>) -> Option<String> {
    let Some(own) = printer.filter(|printer| printer.prints == Prints::Always) else {
        return Some(
            "a display behind a printer needs that printer to be the terminal's own: set printer.address, and printer.prints = \"always\"".into(),
        );
    };
    if own.address != *address {
        let own = &own.address;
        return Some(format!(
            "{address} is not where the terminal's own printer hangs, which is {own}; a display behind a printer hangs on the printer's cable"
        ));
    }
    (own.model.language != Language::EscPos)
        .then(|| "the printer does not speak ESC/POS, and so passes nothing on to a display".into())
}

impl Scanner {
    pub(super) fn parse(&self, problems: &mut Vec<String>) -> Option<ScannerAddress> {
        match self.address.as_str() {
            "" => None,
            text => {
                let parsed = text.parse::<ScannerAddress>();
                parsed.map_err(|problem| problems.push(format!("scanner.address: {problem}"))).ok()
            }
        }
    }
}

/// A row of a display.
const WELCOME_CHARS_MAX: usize = 20;
