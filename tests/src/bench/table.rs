//! What is shown: one row a figure, with the bare machine beside it.
//!
//! Invariants: whole numbers only; JSON carries the unit in the name (`p99_ns`); a row that misses its target is marked, and
//! nothing more follows from it.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::machine::Spread;

/// A number with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// How long.
    Took(Duration),
    /// So many a second.
    PerSecond(u64),
    /// Bytes.
    Bytes(u64),
    /// Bytes a second.
    BytesPerSecond(u64),
    /// Hundredths of a percent.
    Share(u64),
    /// How many.
    Count(u64),
}

impl Figure {
    fn words(self) -> String {
        match self {
            Self::Took(time) if time >= Duration::from_secs(1) => {
                format!("{} s", thousandths(time.as_millis()))
            }
            Self::Took(time) if time < Duration::from_micros(10) => {
                format!("{} µs", thousandths(time.as_nanos()))
            }
            Self::Took(time) => format!("{} ms", thousandths(time.as_micros())),
            Self::PerSecond(rate) => format!("{rate}/s"),
            Self::Bytes(bytes) if bytes < 1 << 14 => format!("{bytes} B"),
            Self::Bytes(bytes) if bytes < 1 << 24 => format!("{} KiB", bytes >> 10),
            Self::Bytes(bytes) => format!("{} MiB", bytes >> 20),
            Self::BytesPerSecond(rate) => format!("{}.{} MB/s", rate / 1_000_000, rate / 100_000 % 10),
            Self::Share(share) => format!("{} %", hundredths(share)),
            Self::Count(count) => count.to_string(),
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Took(_) => "ns",
            Self::PerSecond(_) => "per_s",
            Self::Bytes(_) => "bytes",
            Self::BytesPerSecond(_) => "bytes_per_s",
            Self::Share(_) => "percent_hundredths",
            Self::Count(_) => "count",
        }
    }

    /// The number alone, in its smallest unit.
    pub fn number(self) -> u64 {
        match self {
            Self::Took(time) => u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
            Self::PerSecond(n)
            | Self::Bytes(n)
            | Self::BytesPerSecond(n)
            | Self::Share(n)
            | Self::Count(n) => n,
        }
    }
}

/// A number with its unit and what it is called: `p99`.
pub type Named = (&'static str, Figure);

/// `p50` and `p99`.
pub fn percentiles(spread: &Spread) -> Vec<Named> {
    vec![("p50", Figure::Took(spread.p50)), ("p99", Figure::Took(spread.p99))]
}

/// `p50`, `p99` and `p99.9`.
pub fn percentiles_to_p999(spread: &Spread) -> Vec<Named> {
    [percentiles(spread), vec![("p99.9", Figure::Took(spread.p999))]].concat()
}

/// What was to be reached, and whether it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// `≤ 2 ×`.
    pub words: &'static str,
    /// Whether it holds in this run.
    pub holds: bool,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which measurement it belongs to: what `--only` takes.
    pub of: &'static str,
    /// What was measured.
    pub what: String,
    /// What came out.
    pub measured: Vec<Named>,
    /// What the bare machine does, or what else it is set against.
    pub beside: Vec<Named>,
    /// The one by the other, in hundredths.
    pub ratio: Option<u64>,
    /// The target, where there is one.
    pub reach: Option<Reach>,
}

impl Row {
    /// A row with nothing beside it and nothing to reach.
    pub fn new(of: &'static str, what: impl Into<String>, measured: Vec<Named>) -> Self {
        Self { of, what: what.into(), measured, beside: Vec::new(), ratio: None, reach: None }
    }

    /// Sets a figure beside it, and the ratio of two.
    pub fn beside(mut self, beside: Vec<Named>, ratio: Option<u64>) -> Self {
        (self.beside, self.ratio) = (beside, ratio);
        self
    }

    /// Says what was to be reached.
    pub fn to_reach(mut self, words: &'static str, holds: bool) -> Self {
        self.reach = Some(Reach { words, holds });
        self
    }

    fn cells(&self) -> [String; 6] {
        let list = |named: &[Named]| {
            named
                .iter()
                .map(|(name, figure)| format!("{name} {}", figure.words()))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mark = self.reach.as_ref().map_or("", |reach| if reach.holds { "ok" } else { "MISSED" });
        [
            self.what.clone(),
            list(&self.measured),
            list(&self.beside),
            self.ratio.map_or_else(String::new, |ratio| format!("{} ×", hundredths(ratio))),
            self.reach.as_ref().map_or_else(String::new, |reach| reach.words.to_owned()),
            mark.to_owned(),
        ]
    }

    fn json(&self) -> Value {
        let object = |named: &[Named]| {
            let field = |(name, figure): &Named| {
                (format!("{}_{}", name.replace([' ', '.'], "_"), figure.unit()), json!(figure.number()))
            };
            Value::Object(named.iter().map(field).collect::<Map<_, _>>())
        };
        json!({
            "of": self.of, "what": self.what, "measured": object(&self.measured), "beside": object(&self.beside),
            "ratio_hundredths": self.ratio, "to_reach": self.reach.as_ref().map(|reach| reach.words),
            "reached": self.reach.as_ref().map(|reach| reach.holds),
        })
    }
}

/// `a` by `b` in hundredths, rounded to the nearest.
pub fn ratio(a: Figure, b: Figure) -> u64 {
    let (a, b) = (u128::from(a.number()), u128::from(b.number().max(1)));
    u64::try_from((a * 100 + b / 2) / b).unwrap_or(u64::MAX)
}

/// All rows as text, columns aligned.
pub fn text(rows: &[Row]) -> String {
    const HEAD: [&str; 6] = ["what", "measured", "beside it", "ratio", "to reach", ""];
    let cells: Vec<[String; 6]> =
        std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(Row::cells)).collect();
    let width = |at: usize| cells.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut out = String::new();
    for (nth, row) in cells.iter().enumerate() {
        let padded: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(padded.join("  ").trim_end());
        out.push('\n');
        if nth == 0 {
            out.push_str(&"-".repeat(widths.iter().sum::<usize>() + 10));
            out.push('\n');
        }
    }
    out
}

/// All rows as JSON.
pub fn json(rows: &[Row]) -> Value {
    Value::Array(rows.iter().map(Row::json).collect())
}

fn hundredths(n: u64) -> String {
    format!("{}.{:02}", n / 100, n % 100)
}

fn thousandths(n: u128) -> String {
    format!("{}.{:03}", n / 1_000, n % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_it_missed_and_carries_units_in_json() {
        let (ours, raw) =
            (Figure::Took(Duration::from_micros(310)), Figure::Took(Duration::from_micros(130)));
        let times = ratio(ours, raw);
        let row = Row::new("store", "sale", vec![("p99", ours)])
            .beside(vec![("p99", raw)], Some(times))
            .to_reach("≤ 2 ×", times <= 200);
        let shown = text(std::slice::from_ref(&row));
        assert!(shown.contains("sale  p99 0.310 ms  p99 0.130 ms  2.38 ×  ≤ 2 ×     MISSED"), "{shown}");
        let json = json(&[row]);
        assert_eq!((&json[0]["measured"]["p99_ns"], &json[0]["reached"]), (&json!(310_000), &json!(false)));
        assert_eq!(ratio(Figure::Count(1), Figure::Count(0)), 100);
    }

    #[test]
    fn figures_read_as_people_write_them() {
        let micros = |n| Figure::Took(Duration::from_micros(n));
        let words = [micros(3), micros(1_234), micros(2_500_000), Figure::Bytes(70 << 20), Figure::Share(7)];
        assert_eq!(words.map(Figure::words), ["3.000 µs", "1.234 ms", "2.500 s", "70 MiB", "0.07 %"]);
    }
}
