//! The cash drawer of this terminal.

use serde::{Deserialize, Serialize};
use toko_devices::DrawerPin;
use toko_retail::drawer::at_its_till;
use toko_retail::ops::limits::WORD_CHARS_MAX;
use toko_retail::text::check_text;

use super::printer::{PrinterConfig, Prints};

/// The cash drawer of this terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawer {
    /// Which drawer, by the name that the hub's configuration gave it; it must name this terminal there, too. Empty means that
    /// none of the hub's is.
    pub name: String,
    /// Where it hangs: on a printer of the `hub`, or on the terminal's own `printer`, which opens it whoever is dark. Then it
    /// needs no name.
    pub hangs_on: String,
    /// Which of its own printer's drawers: 1 or 2. Nearly every printer has one socket, and its cable wires the first.
    pub connector: u8,
    /// Whether it opens by itself for cash of a sale, return or void. Costs two entries of about 200 bytes each time.
    pub opens_with_cash: bool,
}

/// A drawer that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawerConfig {
    /// Where it hangs.
    pub place: DrawerPlace,
    /// Whether it opens by itself for cash.
    pub opens_with_cash: bool,
}

/// Where a drawer hangs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrawerPlace {
    /// On a printer of the hub, which calls it so.
    Hub(String),
    /// On the terminal's own printer.
    OwnPrinter(DrawerPin),
}

impl Default for Drawer {
    fn default() -> Self {
        Self { name: String::new(), hangs_on: "hub".into(), connector: 1, opens_with_cash: true }
    }
}

impl Drawer {
    /// Settings are checked although there is none yet.
    pub(super) fn parse(
        self,
        printer: Option<&PrinterConfig>,
        problems: &mut Vec<String>,
    ) -> Option<DrawerConfig> {
        let mut note = |key: &str, problem: &str| problems.push(format!("drawer.{key}: {problem}"));
        if let Err(problem) = check_text("the drawer's name", &self.name, WORD_CHARS_MAX) {
            note("name", &problem.to_string());
        } else if at_its_till(&self.name) {
            note("name", "a name that begins with @ is the terminal's own");
        }
        let pin = match self.connector {
            1 => DrawerPin::Pin2,
            2 => DrawerPin::Pin5,
            other => {
                note("connector", &format!("{other} is neither 1 nor 2"));
                DrawerPin::Pin2
            }
        };
        let always = printer.is_some_and(|printer| printer.prints == Prints::Always);
        let place = match (self.hangs_on.as_str(), self.name) {
            ("hub", name) if name.is_empty() => None,
            ("hub", name) => Some(DrawerPlace::Hub(name)),
            ("printer", _) if always => Some(DrawerPlace::OwnPrinter(pin)),
            ("printer", _) => {
                note(
                    "hangs_on",
                    "there is no printer of the terminal's own, with printer.prints = \"always\"",
                );
                None
            }
            (other, _) => {
                note("hangs_on", &format!("\"{other}\" is neither \"hub\" nor \"printer\""));
                None
            }
        };
        Some(DrawerConfig { place: place?, opens_with_cash: self.opens_with_cash })
    }
}
