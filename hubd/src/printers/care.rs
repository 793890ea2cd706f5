//! What a person should know of printers, each with a code and what to do. It goes by itself when its cause has gone.

use super::{Printers, Station};
use crate::answers;
use crate::desk::{Desk, Refusal};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use toko_crdt::clock::UnixMicros;
use toko_crdt::hash::hex;
use toko_crdt::member::Members;
use toko_devices::{Condition, Seen, spool};
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
    of_seen(&station.config.name, &seen, &station.what_to_do()?)
}

/// The worst that is the matter with a printer that is seen so, and needs this to be done.
fn of_seen(name: &str, seen: &Seen, what_to_do: &str) -> Option<Value> {
    let status = seen.status.map(|status| status.to_string()).unwrap_or_default();
    let (code, log) = match (&seen.trouble, &seen.status) {
        (Some(why), _) => ("printer-unreachable", why.to_string()),
        (None, Some(now)) => {
            let worst = now.conditions().find(|condition| *condition != Condition::Offline);
            (code(worst.unwrap_or(Condition::Offline)), format!("printer {name} is {status}"))
        }
        (None, None) => return None,
    };
    Some(card(code, name, &log, what_to_do))
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
    let held =
        printers.all().iter().map(|station| (Waits::Held(station.config.name.clone()), station.state().held));
    let asker = |job: &PrintJob| answers::name_of(members, &job.asked_by);
    let waits = jobs.iter().filter(|job| is_stale(job, now)).map(|job| {
        if job::printed_at_its_till(job) {
            return Waits::AtTill(asker(job));
        }
        match printers.place(job, members) {
            Some(station) => Waits::At(station.config.name.clone()),
            None => Waits::Nowhere(format!("{:?}, asked for by {}", job.printer, asker(job))),
        }
    });
    of_waiting(held.chain(waits.map(|place| (place, 1))))
}

/// Whether nothing of a job was sent, and it is old enough to be worth an alert.
fn is_stale(job: &PrintJob, now: UnixMicros) -> bool {
    let unsent = matches!(job::state(job, false), spool::State::Accepted | spool::State::FailedUnsent);
    unsent && now.0.saturating_sub(job.asked_at.0) > STALE_MICROS
}

/// For whom receipts wait, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Waits {
    /// For a person, at a printer of this hub.
    Held(String),
    /// For the own printer of a terminal.
    AtTill(String),
    /// For a printer of this hub.
    At(String),
    /// For a printer that there is not.
    Nowhere(String),
}

/// One alert for each place where receipts wait.
fn of_waiting(waiting: impl Iterator<Item = (Waits, usize)>) -> Vec<Value> {
    let mut places = BTreeMap::<Waits, usize>::new();
    for (place, count) in waiting.filter(|(_, count)| *count > 0) {
        *places.entry(place).or_insert(0) += count;
    }
    let alert = |(place, count): (Waits, usize)| match place {
        Waits::Held(name) => {
            let log = format!("{count} receipts may be on paper, and wait for somebody who looks");
            let advice = "Look at the paper, then say for each of hubctl jobs: printed, reprint or cancel.";
            card("receipts-in-doubt", &name, &log, advice)
        }
        Waits::AtTill(name) => {
            let log = format!("{count} receipts wait for a minute or longer at the terminal's own printer");
            let advice =
                "Put the printer right that the terminal prints on; its screen says what is wrong with it.";
            card("till-printer-waits", &name, &log, advice)
        }
        Waits::At(name) => {
            let log = format!("{count} receipts wait for a minute or longer");
            let advice =
                "Put the printer right, or move the receipts with hubctl jobs move JOB --to PRINTER.";
            card("receipts-wait", &name, &log, advice)
        }
        Waits::Nowhere(name) => {
            let log = format!("{count} receipts wait for a minute or longer");
            let advice = "No printer of this hub has that name: give one the name, or let one serve the terminal, in hubd.toml; or move the receipts with hubctl jobs move.";
            card("printer-unknown", &name, &log, advice)
        }
    };
    places.into_iter().map(alert).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use toko_crdt::{EffectId, NodeId};
    use toko_devices::{NotSent, Paper, PrinterError, PrinterStatus};
    use toko_retail::ops::PrintOutcome;
    use toko_retail::views::PrintAttempt;

    fn parts(alert: &Value) -> [&str; 3] {
        ["code", "screen", "log"].map(|part| alert[part].as_str().unwrap())
    }

    #[test]
    fn each_thing_that_can_be_the_matter_with_a_printer_has_a_code_and_says_what_to_do() {
        let fine = PrinterStatus::default();
        let broken = |error| PrinterStatus { error: Some(error), online: false, ..fine };
        let table = [
            (PrinterStatus { cover_open: true, online: false, ..fine }, "printer-cover-open", "Close the"),
            (
                PrinterStatus { paper: Paper::Out, online: false, ..fine },
                "printer-paper-out",
                "Put in a new roll",
            ),
            (PrinterStatus { paper: Paper::NearEnd, ..fine }, "printer-paper-low", "Have a new roll ready"),
            (broken(PrinterError::Cutter), "printer-jammed", "Clear the cutter"),
            (broken(PrinterError::Mechanical), "printer-jammed", "clear the paper path"),
            (broken(PrinterError::Passing), "printer-too-hot", "Wait a minute"),
            (broken(PrinterError::Lasting), "printer-broken", "Switch the printer off and on"),
            (broken(PrinterError::Unnamed), "printer-broken", "Switch the printer off and on"),
            (PrinterStatus { online: false, ..fine }, "printer-offline", "feed button"),
        ];
        for (status, code, advice) in table {
            let seen = Seen { status: Some(status), ..Seen::default() };
            let alert = of_seen("front", &seen, status.what_to_do().unwrap()).unwrap();
            let [found, screen, log] = parts(&alert);
            assert_eq!((found, alert["about"].as_str()), (code, Some("front")), "{status:?}");
            assert!(screen.contains(advice), "{screen}");
            assert!(log.starts_with("printer front is ") && log.len() > "printer front is ".len(), "{log}");
        }
        assert_eq!(fine.what_to_do(), None, "nobody is called to a printer that prints");
        let seen = Seen { trouble: Some(NotSent::Stopped), status: Some(fine), ..Seen::default() };
        assert_eq!(parts(&of_seen("front", &seen, "Look").unwrap())[..2], ["printer-unreachable", "Look"]);
        assert_eq!(of_seen("front", &Seen::default(), "Look"), None, "nobody has looked yet");
    }

    #[test]
    fn receipts_that_wait_are_one_alert_for_each_place_with_what_to_do() {
        let name = |name: &str| name.to_owned();
        let waiting = [
            (Waits::At(name("front")), 1),
            (Waits::Held(name("front")), 2),
            (Waits::Held(name("back")), 0),
            (Waits::AtTill(name("Till 1")), 1),
            (Waits::At(name("front")), 1),
            (Waits::Nowhere(name("\"attic\", asked for by Till 2")), 1),
        ];
        let alerts = of_waiting(waiting.into_iter());
        let wanted = [
            ("receipts-in-doubt", "front", "say for each of hubctl jobs", "2 receipts may be on paper"),
            (
                "till-printer-waits",
                "Till 1",
                "Put the printer right that the terminal prints on",
                "1 receipts",
            ),
            ("receipts-wait", "front", "hubctl jobs move JOB --to PRINTER", "2 receipts wait"),
            ("printer-unknown", "\"attic\", asked for by Till 2", "give one the name", "1 receipts"),
        ];
        assert_eq!(alerts.len(), wanted.len(), "{alerts:?}");
        for (alert, (code, about, advice, log)) in alerts.iter().zip(wanted) {
            let [found, screen, said] = parts(alert);
            assert_eq!((found, alert["about"].as_str()), (code, Some(about)));
            assert!(screen.contains(advice) && said.contains(log), "{screen} {said}");
        }
        let ids: std::collections::BTreeSet<_> = alerts.iter().map(|alert| alert["id"].to_string()).collect();
        assert_eq!(ids.len(), alerts.len(), "each can be told apart");
    }

    #[test]
    fn a_receipt_waits_too_long_after_a_minute_and_only_while_nothing_of_it_was_sent() {
        let asked = PrintJob {
            job: [1; 16],
            sale: EffectId([2; 32]),
            printer: "front".into(),
            ttl_s: 0,
            copies: 1,
            is_copy: false,
            asked_by: NodeId([3; 32]),
            asked_at: UnixMicros(0),
            attempts: Vec::new(),
            open: true,
        };
        let minute = UnixMicros(60_000_000);
        assert!(!is_stale(&asked, minute) && is_stale(&asked, UnixMicros(minute.0 + 1)));
        let tried = |outcome: Option<PrintOutcome>| PrintJob {
            attempts: vec![PrintAttempt {
                attempt: 1,
                owner: NodeId([4; 32]),
                printer: "front".into(),
                outcome: outcome.map(|outcome| (outcome, 0, String::new())),
            }],
            ..asked.clone()
        };
        let late = UnixMicros(i64::MAX);
        assert!(is_stale(&tried(Some(PrintOutcome::NotPrinted)), late));
        assert!(!is_stale(&tried(Some(PrintOutcome::InDoubt)), late), "that is another alert");
        assert!(!is_stale(&tried(None), late));
    }
}
