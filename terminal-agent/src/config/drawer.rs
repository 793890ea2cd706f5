//! The cash drawer of this terminal.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use toko_daemon::settings::Millis;
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
    /// After how long open an alert is raised, for one on its own printer; `0ms` means never.
    pub left_open: Millis,
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
    OwnPrinter {
        /// Which of the printer's drawers.
        pin: DrawerPin,
        /// After how long open an alert is raised, if at all.
        left_open: Option<Duration>,
    },
}

impl DrawerConfig {
    /// Whether it hangs on the terminal's own printer.
    pub(crate) fn is_on_own_printer(&self) -> bool {
        matches!(self.place, DrawerPlace::OwnPrinter { .. })
    }
}

impl Default for Drawer {
    fn default() -> Self {
        Self {
            name: String::new(),
            hangs_on: "hub".into(),
            connector: 1,
            opens_with_cash: true,
            left_open: Millis(120_000),
        }
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
            ("printer", _) if always => {
                let left_open = (self.left_open.0 > 0).then(|| self.left_open.into());
                Some(DrawerPlace::OwnPrinter { pin, left_open })
            }
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
