//! `hubctl labels`: shelf labels for items as they are priced now.

use super::{CtlError, Show};
use clap::Subcommand;
use serde_json::{Value, json};
use toko_daemon::ask::Ask;
use toko_daemon::table::cell;

/// What to do about labels.
#[derive(Debug, Subcommand)]
pub(super) enum Labels {
    /// Prints a shelf label for each item: its name, its price as it is now, and its code as bars.
    #[command(
        after_help = "Examples:\n  hubctl labels print 5901234123457\n  hubctl labels print TOMATO-400G APPLES --copies 2"
    )]
    Print {
        /// Codes of the items, as they are scanned or typed.
        #[arg(value_name = "CODE", required = true)]
        codes: Vec<String>,
        /// Labels of each.
        #[arg(long, default_value_t = 1)]
        copies: u16,
    },
}

impl Labels {
    pub(super) fn ask(&self, ask: &Ask) -> Result<(Value, Show), CtlError> {
        let Self::Print { codes, copies } = self;
        Ok((ask.post("/labels", &json!({ "codes": codes, "copies": copies }))?, sent))
    }
}

fn sent(answer: &Value) -> String {
    format!(
        "{} labels were sent; a label printer does not say whether they came out\n",
        cell(answer.pointer("/sent"))
    )
}
