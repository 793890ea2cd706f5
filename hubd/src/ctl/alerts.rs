//! `hubctl alerts`: what a person should know, and a person's word that it is seen to.

use super::{CtlError, Show};
use clap::Subcommand;
use serde_json::{Value, json};
use std::fmt::Write;
use toko_daemon::ask::Ask;
use toko_daemon::table::{cell, list};

/// What to do about alerts.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Most alerts go by themselves when their cause has gone. What happened once (a copied directory, a restored backup, a fork) stays until a person settles it; if it happens again, it is shown again.\n\nExamples:\n  hubctl alerts\n  hubctl alerts settle 3f9c"
)]
pub(super) struct Alerts {
    /// Shows what was settled, too.
    #[arg(long)]
    all: bool,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Says that alerts are seen to; this hub shows them no more.
    Settle {
        /// Alerts, as the list names them; their first letters do.
        #[arg(value_name = "ID", required = true)]
        alerts: Vec<String>,
    },
}

impl Alerts {
    pub(super) fn ask(&self, ask: &Ask) -> Result<(Value, Show), CtlError> {
        if let Some(What::Settle { alerts }) = &self.what {
            return Ok((ask.post("/alerts/settle", &json!({ "alerts": alerts }))?, show));
        }
        let mut answer = ask.get("/alerts")?;
        if let Some(alerts) = answer["alerts"].as_array_mut().filter(|_| !self.all) {
            alerts.retain(|alert| alert["settled"] != true);
        }
        Ok((answer, show))
    }
}

fn show(answer: &Value) -> String {
    let mut out = String::new();
    for alert in list(answer, "/alerts") {
        let text = |at: &str| cell(alert.pointer(at));
        let about = alert["about"].as_str().map_or_else(String::new, |name| format!(", {name}"));
        let settled = if alert["settled"] == true { " (settled)" } else { "" };
        let _ = writeln!(out, "{}  {}{about}{settled}: {}", text("/id"), text("/code"), text("/log"));
        let _ = writeln!(out, "          {}", text("/screen"));
    }
    if out.is_empty() { "nothing\n".into() } else { out }
}
