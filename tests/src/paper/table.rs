//! What is shown: a column a spooler, a row a figure.

use std::time::Duration;

use serde_json::{Value, json};

use super::Side;
use super::pace::{ForReal, Paces};
use super::trials::Tally;
use crate::bench::place::Place;
use crate::machine::Spread;

/// For people.
pub fn text(sides: &[Side], bare: u64) -> String {
    let mut rows = vec![row("", sides, |side| side.spooler.name().to_owned())];
    let mut of = |what: &str, show: fn(&Side) -> String| rows.push(row(what, sides, show));
    of("receipts promised while something broke", |side| side.tally.promised.to_string());
    of("  promised, then lost", |side| side.tally.lost.to_string());
    of("  copies too many that do not say so", |side| side.tally.doubled.to_string());
    of("  copies that say that they may be copies", |side| side.tally.marked.to_string());
    of("  pieces of paper with two receipts", |side| side.tally.leftovers.to_string());
    of("called printed though nothing came out", |side| believed(&side.tally));
    of("says that the paper is out, after the promise", noticed);
    of("promise → first byte at the printer, p50 / p99 (to reach: 20 ms)", |side| {
        paced(side, |paces| paces.first_byte)
    });
    of("promise → on paper, p50 / p99", |side| paced(side, |paces| paces.on_paper));
    of("promise → called printed, p50 / p99", |side| paced(side, |paces| paces.confirmed));
    of("receipts a second, many waiting", |side| side.paces.map_or_else(none, |p| per_second(p.per_1000_s)));
    of("  the same, paper at 250 mm a second", |side| side.paces.map_or_else(none, |p| for_real(p.for_real)));
    let widths: Vec<usize> = (0..=sides.len())
        .map(|at| {
            rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match at {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        text.push_str(cells.collect::<Vec<_>>().join("   ").trim_end());
        text.push('\n');
    }
    text.push_str(&format!(
        "\nThe printer itself, from a host that asks nothing and keeps nothing: {} receipts a second.\n",
        per_second(bare)
    ));
    text
}

fn row(what: &str, sides: &[Side], show: impl Fn(&Side) -> String) -> Vec<String> {
    std::iter::once(what.to_owned()).chain(sides.iter().map(show)).collect()
}

fn believed(tally: &Tally) -> String {
    if tally.beliefs == 0 { none() } else { format!("{} of {}", tally.falsely_printed, tally.beliefs) }
}

fn noticed(side: &Side) -> String {
    match side.tally.noticed {
        Some(after) => millis(after),
        None if side.tally.beliefs > 0 => "never".to_owned(),
        None => none(),
    }
}

fn paced(side: &Side, of: fn(&Paces) -> Spread) -> String {
    side.paces
        .as_ref()
        .map(of)
        .map_or_else(none, |spread| format!("{} / {}", millis(spread.p50), millis(spread.p99)))
}

fn for_real(paces: ForReal) -> String {
    let ForReal { per_1000_s, most_per_1000_s } = paces;
    let (came, most) = (hundredths(per_1000_s), hundredths(most_per_1000_s));
    format!("{came} of {most}, {} %", paces.per_cent())
}

fn none() -> String {
    "–".to_owned()
}

fn millis(time: Duration) -> String {
    format!("{}.{} ms", time.as_millis(), time.as_micros() / 100 % 10)
}

fn per_second(per_1000_s: u64) -> String {
    format!("{}.{}", per_1000_s / 1_000, per_1000_s / 100 % 10)
}

fn hundredths(per_1000_s: u64) -> String {
    format!("{}.{:02}", per_1000_s / 1_000, per_1000_s / 10 % 100)
}

/// For programs.
pub fn json(place: &Place, sides: &[Side], bare: u64) -> Value {
    let spread = |spread: Spread| json!({ "p50_us": micros(spread.p50), "p99_us": micros(spread.p99) });
    let side = |side: &Side| {
        let tally = &side.tally;
        json!({
            "spooler": side.spooler.name(), "promised": tally.promised, "lost": tally.lost, "doubled": tally.doubled,
            "marked": tally.marked, "leftovers": tally.leftovers, "falsely_printed": tally.falsely_printed,
            "beliefs": tally.beliefs, "paper_out_noticed_us": tally.noticed.map(micros),
            "paces": side.paces.map(|paces| json!({
                "first_byte": spread(paces.first_byte), "on_paper": spread(paces.on_paper),
                "confirmed": spread(paces.confirmed), "receipts_per_1000_s": paces.per_1000_s,
                "at_250_mm_per_s": {
                    "receipts_per_1000_s": paces.for_real.per_1000_s, "at_most": paces.for_real.most_per_1000_s,
                },
            })),
        })
    };
    json!({
        "machine": place.json(), "bare_receipts_per_1000_s": bare,
        "sides": sides.iter().map(side).collect::<Vec<_>>(),
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
