//! What else stands at the counter: the customer's display and the scanner.

use serde::{Deserialize, Serialize};
use std::fmt::Display as Words;
use toko_devices::Address;
use toko_devices::display::{Dialect, Glass};
use toko_devices::scanner::ScannerAddress;
use toko_retail::text::check_text;

/// The customer's display.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Display {
    /// Where it hangs, such as `serial:/dev/ttyUSB1?baud=9600`; empty means that there is none.
    pub address: String,
    /// What it obeys: `epson`, `cd5220` or `behind-printer`.
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
    pub address: Address,
    /// How it is made.
    pub glass: Glass,
    /// What it shows while nobody is served.
    pub welcome: String,
}

impl Default for Display {
    fn default() -> Self {
        Self { address: String::new(), dialect: "epson".into(), welcome: String::new() }
    }
}

impl Display {
    /// Settings are checked although there is none yet.
    pub(super) fn parse(self, problems: &mut Vec<String>) -> Option<DisplayConfig> {
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
        Some(DisplayConfig { address: address?, glass: Glass::rows_of_20(dialect?), welcome: self.welcome })
    }
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
