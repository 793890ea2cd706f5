//! The hub for whoever scrapes, its printers and drawers most of all: Prometheus text on the control socket, `GET /metrics`.
//!
//! Absent on purpose: a TCP port. `curl --unix-socket hubctl.sock http://hub/metrics` reads it, and an exporter that speaks to
//! a socket; the hub opens no door that needs no key.

use crate::desk::{Refusal, Shared};
use crate::drawers;
use crate::printers::Station;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::fmt::Write;
use toko_devices::{Condition, Level};
use toko_paper::drawer::newest_open_day;
use toko_retail::views;

/// All figures.
pub(crate) async fn all(State(desk): Shared) -> Result<Response, Refusal> {
    let mut out = String::new();
    let status = desk.node.status().await?;
    gauge(&mut out, "toko_links", "Nodes that are linked.", &[(String::new(), status.links.len() as u64)]);
    gauge(
        &mut out,
        "toko_entries_parked",
        "Entries that are kept and not in the books.",
        &[(String::new(), status.parked.len() as u64)],
    );
    let stations = desk.printers.all();
    let each = |figure: &dyn Fn(&Station) -> u64| -> Vec<(String, u64)> {
        stations.iter().map(|s| (labels(&[("printer", &s.config.name)]), figure(s))).collect()
    };
    let seen = |station: &Station| station.printer.seen().borrow().clone();
    gauge(
        &mut out,
        "toko_printer_up",
        "Whether a receipt sent now would come out.",
        &each(&|s| u64::from(seen(s).can_print())),
    );
    gauge(
        &mut out,
        "toko_printer_reachable",
        "Whether the printer can be asked.",
        &each(&|s| u64::from(seen(s).trouble.is_none())),
    );
    let mut conditions = Vec::new();
    for station in stations {
        let now: Vec<Condition> =
            seen(station).status.iter().flat_map(|status| status.conditions()).collect();
        for condition in CONDITIONS {
            let labels = labels(&[("printer", &station.config.name), ("condition", condition.name())]);
            conditions.push((labels, u64::from(now.contains(&condition))));
        }
    }
    gauge(
        &mut out,
        "toko_printer_condition",
        "What is the matter with the printer, by UnifiedPOS name.",
        &conditions,
    );
    gauge(
        &mut out,
        "toko_printer_queue",
        "Receipts that are to come out of the printer.",
        &each(&|s| s.state().queued as u64),
    );
    gauge(
        &mut out,
        "toko_printer_held",
        "Receipts in doubt that wait for a person.",
        &each(&|s| s.state().held as u64),
    );
    gauge(
        &mut out,
        "toko_printer_level",
        "What the printer confirmed last, 0 to 3; below 2 nobody knows what comes out.",
        &each(&|s| s.state().level.map_or(0, |level: Level| toko_paper::job::level_number(level).into())),
    );
    let mut prints = Vec::new();
    for station in stations {
        for (outcome, count) in station.state().counts.named() {
            prints.push((labels(&[("printer", &station.config.name), ("outcome", outcome)]), count));
        }
    }
    let help = "What came of prints since the hub started; sent is what a printer got that confirms nothing.";
    series(&mut out, "toko_prints_total", "counter", help, &prints);
    let standing = drawers::standing(&desk.drawers);
    let known = |figure: &dyn Fn(&drawers::Standing) -> Option<u64>| -> Vec<(String, u64)> {
        standing
            .iter()
            .filter_map(|drawer| Some((labels(&[("drawer", &drawer.name)]), figure(drawer)?)))
            .collect()
    };
    gauge(
        &mut out,
        "toko_drawer_open",
        "Whether the drawer is open; nothing while nobody knows.",
        &known(&|drawer| drawer.open.map(u64::from)),
    );
    gauge(
        &mut out,
        "toko_drawer_open_seconds",
        "For how long the drawer has been open, or not been seen to be shut.",
        &known(&|drawer| Some(drawer.open_for.map_or(0, |open_for| open_for.as_secs()))),
    );
    let counts = desk.node.read(|kv| {
        let day = newest_open_day(kv)?;
        day.map(|day| views::drawer_counts(kv, day)).transpose()
    })?;
    let counts = counts.unwrap_or_default();
    let kinds = [
        ("for_sale", counts.for_sales),
        ("without_sale", counts.without_sale),
        ("forced", counts.forced),
        ("not_opened", counts.not_opened),
        ("not_confirmed", counts.not_confirmed),
    ];
    gauge(
        &mut out,
        "toko_drawer_openings",
        "Openings of all drawers on the business day that is open, by what they were and what came of them.",
        &kinds.map(|(kind, count)| (labels(&[("kind", kind)]), count)),
    );
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], out).into_response())
}

fn gauge(out: &mut String, name: &str, help: &str, values: &[(String, u64)]) {
    series(out, name, "gauge", help, values);
}

fn series(out: &mut String, name: &str, kind: &str, help: &str, values: &[(String, u64)]) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in values {
        let _ = writeln!(out, "{name}{labels} {value}");
    }
}

/// Labels with their values quoted; a printer's name is a person's text.
fn labels(labels: &[(&str, &str)]) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let each: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", quoted(value))).collect();
    format!("{{{}}}", each.join(","))
}

const CONDITIONS: [Condition; 8] = [
    Condition::Offline,
    Condition::CoverOpen,
    Condition::RecEmpty,
    Condition::RecNearEnd,
    Condition::Cutter,
    Condition::Mechanical,
    Condition::Automatical,
    Condition::Unrecoverable,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_quotes_cannot_end_its_label() {
        assert_eq!(labels(&[("printer", "a\"} 1\nb\\")]), "{printer=\"a\\\"} 1\\nb\\\\\"}");
        let mut out = String::new();
        gauge(&mut out, "x", "Y.", &[(labels(&[("a", "b")]), 3)]);
        assert_eq!(out, "# HELP x Y.\n# TYPE x gauge\nx{a=\"b\"} 3\n");
    }
}
