//! What is shown: a row for each piece of work, a column for each peer.

use serde_json::{Value, json};

use crate::measure::{Cell, Column};
use crate::work::Work;

/// A column with its name, or why there is none.
pub(crate) type Named = (&'static str, Result<Column, String>);

type Of = fn(&Column) -> &Cell;

/// The rows: their words, where their cells are.
fn rows(work: &Work) -> Vec<(String, Of)> {
    let (hour, bytes) = (work.hour.len(), work.hour_bytes() >> 10);
    let mean = work.day_bytes() / work.day.len().max(1);
    let rows: [(String, Of); 8] = [
        (format!("durable sale of {mean} bytes, p50 / p99"), |column| &column.durable),
        ("sold → shown on all other terminals, p50 / p99".to_owned(), |column| &column.shown),
        ("durable sale while cut off, p50 / p99".to_owned(), |column| &column.alone),
        (format!("back after an hour of a busy day, {hour} sales, {bytes} KiB: all equal"), |column| {
            &column.catch_up
        }),
        (format!("a blank terminal joins, gets {} sales, sells", work.day.len()), |column| &column.blank),
        (format!("bytes on the loopback for the day, {} KiB of sales", work.day_bytes() >> 10), |column| {
            &column.wire
        }),
        ("memory of a terminal after the day".to_owned(), |column| &column.memory_till),
        ("memory of the hub or server after the day".to_owned(), |column| &column.memory_hub),
    ];
    rows.into()
}

/// As text: the table, then what cannot be done and why, then where Toko is not ahead.
pub(crate) fn text(work: &Work, columns: &[Named]) -> String {
    let mut lines = vec![
        std::iter::once(String::new())
            .chain(columns.iter().map(|(name, _)| (*name).to_owned()))
            .chain(["Toko ahead".to_owned()])
            .collect::<Vec<_>>(),
    ];
    let mut notes = Vec::new();
    for (what, of) in rows(work) {
        let mut cells = vec![what.clone()];
        for (name, column) in columns {
            cells.push(match column {
                Ok(column) => {
                    if let Cell::Cannot(why) = of(column) {
                        notes.push(format!("{name}, {what}: cannot; {why}"));
                    }
                    words(of(column))
                }
                Err(_) => "?".to_owned(),
            });
        }
        cells.push(ahead(columns, of));
        lines.push(cells);
    }
    for (name, column) in columns {
        if let Err(why) = column {
            notes.push(format!("{name} did not come about: {why}"));
        }
    }
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    let mut out = String::new();
    for (nth, line) in lines.iter().enumerate() {
        let padded: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(padded.join("  ").trim_end());
        out.push('\n');
        if nth == 0 {
            out.push_str(&"-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1)));
            out.push('\n');
        }
    }
    for note in notes {
        out.push_str(&format!("* {note}\n"));
    }
    out
}

/// For programs.
pub(crate) fn json(work: &Work, columns: &[Named]) -> Value {
    let columns = columns.iter().map(|(name, column)| match column {
        Ok(column) => json!({ "name": name, "column": column }),
        Err(why) => json!({ "name": name, "failed": why }),
    });
    json!({
        "date": work.date, "terminals": work.tills, "sales": work.day.len(), "sales_bytes": work.day_bytes(),
        "hour_sales": work.hour.len(), "hour_bytes": work.hour_bytes(), "columns": columns.collect::<Vec<_>>(),
    })
}

/// `yes`, or who does it better. The bare machine does not count: it is what nobody can beat.
fn ahead(columns: &[Named], of: Of) -> String {
    let weight = |column: &Column| match of(column) {
        Cell::Took(n) | Cell::Spread(_, n) | Cell::Bytes(n) => Some(*n),
        Cell::Cannot(_) => None,
    };
    let find = |wanted: &str| {
        columns.iter().find(|(name, _)| *name == wanted).and_then(|(_, column)| column.as_ref().ok())
    };
    let Some(ours) = find(TOKO).and_then(weight) else { return "?".to_owned() };
    let better: Vec<&str> = columns
        .iter()
        .filter(|(name, _)| *name != TOKO && *name != RAW)
        .filter(|(_, column)| column.as_ref().ok().and_then(weight).is_some_and(|theirs| theirs < ours))
        .map(|(name, _)| *name)
        .collect();
    if better.is_empty() { "yes".to_owned() } else { format!("no: {}", better.join(", ")) }
}

/// Toko's column.
pub(crate) const TOKO: &str = "Toko";
/// The bare machine's.
pub(crate) const RAW: &str = "raw machine";

fn words(cell: &Cell) -> String {
    match cell {
        Cell::Took(nanos) => time(*nanos),
        Cell::Spread(half, most) => format!("{} / {}", time(*half), time(*most)),
        Cell::Bytes(bytes) if *bytes < 10 << 20 => format!("{} KiB", bytes >> 10),
        Cell::Bytes(bytes) => format!("{} MiB", bytes >> 20),
        Cell::Cannot(_) => "cannot".to_owned(),
    }
}

/// Three digits at least, whole numbers only.
fn time(nanos: u64) -> String {
    let micros = nanos / 1_000;
    match micros {
        0..10_000 => format!("{}.{:02} ms", micros / 1_000, micros / 10 % 100),
        10_000..1_000_000 => format!("{}.{} ms", micros / 1_000, micros / 100 % 10),
        _ => format!("{}.{:02} s", micros / 1_000_000, micros / 10_000 % 100),
    }
}
