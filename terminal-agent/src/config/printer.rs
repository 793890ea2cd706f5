//! A receipt printer that this terminal prints on by itself.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use toko_daemon::settings::Millis;
use toko_devices::{Address, Model, Picture, SystemFonts};
use toko_paper::settings;

/// A receipt printer that this terminal prints on by itself, always or while the hub is dark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Printer {
    /// Where it hangs: `192.168.1.50:9100`, `usb:` and its serial number, or another cable as the hub's printers have it; empty
    /// means that the hub prints everything.
    pub address: String,
    /// When receipts come out here: `always` for a printer of this terminal's own, `hub-dark` for one of the shop's that is
    /// reached without the hub as well. A receipt stays with whom it was asked for first.
    pub prints: String,
    /// Its model, such as `epson/tm-t20iii`: its language, code pages, codes and cutter. Empty means a common one of `columns`.
    pub model: String,
    /// Characters in a line: 48 on 80 mm paper, 32 on 58 mm. A model that is named has its own.
    pub columns: u16,
    /// A PNG file that stands on top of receipts; empty means none.
    pub sign: String,
    /// Font files and folders for scripts that the printer lacks; where Debian keeps fonts is looked into after them.
    pub fonts: Vec<PathBuf>,
    /// Whether it answers at all. One that never does is sent its receipts blindly, and what came of them is a guess.
    pub answers: bool,
    /// How long to wait for the printer to say that a receipt is on paper. Longer holds up the next receipt when it hangs.
    pub confirm: Millis,
    /// How long a printer that has a receipt and says that it waits for paper, its cover or the like is waited for before the
    /// receipt is in doubt.
    pub patience: Millis,
    /// After how long without work the printer is let go of, so that the hub and others get a turn; `0ms`: never.
    pub let_go: Millis,
}

/// When receipts come out at the terminal's own printer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prints {
    /// Always.
    Always,
    /// While no hub is linked.
    HubDark,
}

/// A printer that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrinterConfig {
    /// Where it hangs, looked up at each connection.
    pub address: Address,
    /// When it is printed on.
    pub prints: Prints,
    /// What it is like.
    pub model: Model,
    /// What stands on top of receipts.
    pub sign: Option<Picture>,
    /// Fonts for scripts that it lacks.
    pub fonts: SystemFonts,
    /// Whether it answers.
    pub answers: bool,
    /// How long to wait for its confirmation.
    pub confirm: Millis,
    /// How long to wait for a hand at it.
    pub patience: Millis,
    /// After how long without work it is let go of; zero for never.
    pub let_go: Millis,
}

impl Default for Printer {
    fn default() -> Self {
        Self {
            address: String::new(),
            prints: "always".into(),
            model: String::new(),
            columns: 48,
            sign: String::new(),
            fonts: Vec::new(),
            answers: true,
            confirm: Millis(10_000),
            patience: Millis(600_000),
            let_go: Millis(10_000),
        }
    }
}

impl Printer {
    /// Settings are checked although there is no printer yet.
    pub(super) fn parse(self, problems: &mut Vec<String>) -> Option<PrinterConfig> {
        let prints = match self.prints.as_str() {
            "always" => Some(Prints::Always),
            "hub-dark" => Some(Prints::HubDark),
            other => {
                problems.push(format!("printer.prints: \"{other}\" is neither \"always\" nor \"hub-dark\""));
                None
            }
        };
        let model = settings::model("printer", &self.model, self.columns, problems);
        let sign = settings::sign("printer", &self.sign, model.dots, problems);
        let mut between = |field: &str, value: Millis, least: u64, most: u64, words: &str| {
            if !(least..=most).contains(&value.0) {
                problems.push(format!("printer.{field}: {value} is not between {words}"));
            }
        };
        between("confirm", self.confirm, 500, 120_000, "500ms and 2min");
        between("patience", self.patience, 0, 24 * 3_600_000, "0ms and 24h");
        between("let_go", self.let_go, 0, 24 * 3_600_000, "0ms and 24h");
        if self.address.is_empty() {
            return None;
        }
        let address = self.address.parse::<Address>();
        let address = address.map_err(|problem| problems.push(format!("printer.address: {problem}"))).ok();
        Some(PrinterConfig {
            address: address?,
            prints: prints?,
            model,
            sign,
            fonts: SystemFonts::at(self.fonts),
            answers: self.answers,
            confirm: self.confirm,
            patience: self.patience,
            let_go: self.let_go,
        })
    }
}
