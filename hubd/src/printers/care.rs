//! What a person should know of printers, each with a code and what to do. It goes by itself when its cause has gone.

use super::{Printers, Station};
use crate::answers;
use crate::desk::{Desk, Refusal};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use toko_crdt::clock::UnixMicros;
use toko_crdt::hash::hex;
use toko_crdt::member::Members;
use toko_devices::{Condition, spool};
use toko_paper::job;
use toko_retail::views::{self, PrintJob};

/// All that is to be told of printers and receipts.
pub(crate) fn alerts(desk: &Desk) -> Result<Vec<Value>, Refusal> {
    let mut out: Vec<Value> = desk.printers.all().iter().filter_map(|station| of_printer(station)).collect();
    let members = desk.node.members();
    let jobs = desk.node.read(views::jobs_open)?;
    out.extend(of_jobs(&desk.printers, &members, &jobs, desk.node.machine().wall()));
    Ok(out)
}

/// The worst that is the matter with a printer.
fn of_printer(station: &Station) -> Option<Value> {
    if station.let_go.is_cancelled() {
        return None;
    }
    let seen = station.printer.seen().borrow().clone();
    let name = &station.config.name;
    let what_to_do = station.what_to_do()?;
    let status = seen.status.map(|status| status.to_string()).unwrap_or_default();
    let (code, log) = match (&seen.trouble, &seen.status) {
        (Some(why), _) => ("printer-unreachable", why.to_string()),
        (None, Some(now)) => {
            let worst = now.conditions().find(|condition| *condition != Condition::Offline);
            (code(worst.unwrap_or(Condition::Offline)), format!("printer {name} is {status}"))
        }
        (None, None) => return None,
    };
    Some(card(code, name, &log, &what_to_do))
}

fn code(condition: Condition) -> &'static str {
    match condition {
        Condition::CoverOpen => "printer-cover-open",
        Condition::RecEmpty => "printer-paper-out",
        Condition::RecNearEnd => "printer-paper-low",
        Condition::Cutter | Condition::Mechanical => "printer-jammed",
        Condition::Automatical => "printer-too-hot",
        Condition::Unrecoverable => "printer-broken",
        Condition::Offline => "printer-offline",
    }
}

/// Receipts that nobody brings to paper by himself.
fn of_jobs(printers: &Printers, members: &Members, jobs: &[PrintJob], now: UnixMicros) -> Vec<Value> {
    let mut out = Vec::new();
    for station in printers.all() {
        let held = station.state().held;
        if held > 0 {
            let log = format!("{held} receipts may be on paper, and wait for somebody who looks");
            let advice = "Look at the paper, then say for each of hubctl jobs: printed, reprint or cancel.";
            out.push(card("receipts-in-doubt", &station.config.name, &log, advice));
        }
    }
    let waits = |job: &&PrintJob| {
        let unsent = matches!(job::state(job, false), spool::State::Accepted | spool::State::FailedUnsent);
        unsent && now.0.saturating_sub(job.asked_at.0) > STALE_MICROS
    };
    let mut stale = BTreeMap::<String, (usize, bool)>::new();
    let mut at_tills = BTreeMap::<String, usize>::new();
    for job in jobs.iter().filter(waits) {
        if job::printed_at_its_till(job) {
            *at_tills.entry(answers::name_of(members, &job.asked_by)).or_insert(0) += 1;
            continue;
        }
        let place = printers.place(job, members).map(|station| station.config.name.clone());
        let nobodys = place.is_none();
        let name = place.unwrap_or_else(|| {
            format!("{:?}, asked for by {}", job.printer, answers::name_of(members, &job.asked_by))
        });
        let (count, _) = stale.entry(name).or_insert((0, nobodys));
        *count += 1;
    }
    for (name, count) in at_tills {
        let log = format!("{count} receipts wait for a minute or longer at the terminal's own printer");
        let advice =
            "Put the printer right that the terminal prints on; its screen says what is wrong with it.";
        out.push(card("till-printer-waits", &name, &log, advice));
    }
    for (name, (count, nobodys)) in stale {
        let log = format!("{count} receipts wait for a minute or longer");
        out.push(if nobodys {
            let advice = "No printer of this hub has that name: give one the name, or let one serve the terminal, in hubd.toml; or move the receipts with hubctl jobs move.";
            card("printer-unknown", &name, &log, advice)
        } else {
            let advice = "Put the printer right, or move the receipts with hubctl jobs move JOB --to PRINTER.";
            card("receipts-wait", &name, &log, advice)
        });
    }
    out
}

/// As [`crate::care::card`] has them; the id is of the code and the printer, so that it stays while the cause does.
fn card(code: &str, printer: &str, log: &str, advice: &str) -> Value {
    let id = toko_crdt::Hash::of("toko/printer-alert/1", &[code.as_bytes(), printer.as_bytes()]);
    json!({
        "id": hex(&id.0[..4]),
        "about": printer,
        "settled": false,
        "code": code,
        "node": null,
        "screen": advice,
        "log": log,
    })
}

/// After how long a receipt of which nothing was sent is worth an alert.
const STALE_MICROS: i64 = 60 * 1_000_000;
