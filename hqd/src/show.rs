//! Answers as people and spreadsheets read them: short tables and CSV, nothing that JSON does not say too.

use serde_json::Value;
use std::fmt::Write;
use toko_daemon::table::{cell, list, table};

use crate::cli::By;

/// A column: its heading, and where in a row its cell is.
type Column = toko_daemon::table::Column<'static>;

const DAYS: [Column; 9] = [
    ("STORE", "/store"),
    ("DAY", "/day"),
    ("SALES", "/sales"),
    ("RETURNS", "/returns"),
    ("WRITE-OFF LINES", "/write_off_lines"),
    ("GROSS", "/gross"),
    ("RETURNED", "/returned"),
    ("NET", "/net"),
    ("CURRENCY", "/currency"),
];
const STORES: [Column; 10] = [
    ("STORE", "/store"),
    ("DAYS", "/days"),
    ("SALES", "/sales"),
    ("RETURNS", "/returns"),
    ("WRITE-OFF LINES", "/write_off_lines"),
    ("GROSS", "/gross"),
    ("RETURNED", "/returned"),
    ("NET", "/net"),
    ("CURRENCY", "/currency"),
    ("COUNTERSIGNED", "/countersigned"),
];
const ITEMS: [Column; 8] = [
    ("STORE", "/store"),
    ("SKU", "/sku"),
    ("SOLD", "/sold"),
    ("RETURNED", "/returned"),
    ("WRITTEN OFF", "/written_off"),
    ("QUANTITY", "/qty"),
    ("VALUE", "/value"),
    ("CURRENCY", "/currency"),
];
const DAY: Column = ("DAY", "/day");

fn report_columns(by: By) -> Vec<Column> {
    match by {
        By::Store => STORES.to_vec(),
        By::Day => DAYS.to_vec(),
        By::Item => ITEMS.to_vec(),
        By::ItemDay => {
            let mut columns = ITEMS.to_vec();
            columns.insert(1, DAY);
            columns
        }
    }
}

/// A report as a table.
#[must_use]
pub fn report(answer: &Value, by: By) -> String {
    table(list(answer, &format!("/{}", crate::report::list_key(by))), &report_columns(by))
}

/// A report as CSV (RFC 4180): the JSON keys as header, empty cells where there is nothing.
#[must_use]
pub fn report_csv(answer: &Value, by: By) -> String {
    let columns = report_columns(by);
    let mut out = String::new();
    let header: Vec<&str> = columns.iter().map(|(_, pointer)| pointer.trim_start_matches('/')).collect();
    let _ = writeln!(out, "{}", header.join(","));
    for row in list(answer, &format!("/{}", crate::report::list_key(by))) {
        let cells: Vec<String> = columns.iter().map(|(_, at)| csv_cell(row.pointer(at))).collect();
        let _ = writeln!(out, "{}", cells.join(","));
    }
    out
}

fn csv_cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => return String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// What a report is without, where it is without something.
#[must_use]
pub fn not_in_report(answer: &Value) -> Option<String> {
    let names = names(answer, "/not_open");
    (!names.is_empty())
        .then(|| format!("this report is without {names}, whose books are not open; see `hqd status`"))
}

/// The stores.
#[must_use]
pub fn stores(answer: &Value) -> String {
    let mut out = store_table(answer);
    for row in list(answer, "/stores").iter().filter(|row| row["state"] == "not-open") {
        let [store, path, why] = ["/store", "/path", "/why"].map(|at| cell(row.pointer(at)));
        let _ = writeln!(out, "! {store} is not open: {path}: {why}; see `hqd status`");
    }
    out
}

fn store_table(answer: &Value) -> String {
    let columns = [
        ("STORE", "/store"),
        ("STATE", "/state"),
        ("LAST CONTACT", "/seen"),
        ("LACKS", "/lacks"),
        ("ENTRIES", "/entries"),
        ("CATALOGUE", "/catalogue/name"),
        ("BOOKS", "/digests/books"),
        ("COUNTERSIGNED", "/countersigned"),
    ];
    let mut rows: Vec<Value> = list(answer, "/stores").to_vec();
    for row in &mut rows {
        let digest: String = cell(row.pointer("/digests/books")).chars().take(12).collect();
        row["digests"]["books"] = digest.into();
        row["seen"] = row["last_contact_s"].as_u64().map(age).into();
    }
    table(&rows, &columns)
}

/// How headquarters is.
#[must_use]
pub fn status(answer: &Value) -> String {
    let mut out = String::new();
    let rows = [
        ("headquarters", "/headquarters/name"),
        ("version", "/headquarters/version"),
        ("listening", "/headquarters/listen"),
        ("directory", "/headquarters/data"),
    ];
    for (name, pointer) in rows {
        let _ = writeln!(out, "{name:<14} {}", cell(answer.pointer(pointer)));
    }
    out.push('\n');
    out.push_str(&store_table(answer));
    for alert in list(answer, "/alerts") {
        let [store, code, screen, log] =
            ["/store", "/code", "/screen", "/log"].map(|at| cell(alert.pointer(at)));
        let whose = if alert["store"].is_null() { "headquarters" } else { store.as_str() };
        let _ = writeln!(out, "! {whose}: {code}: {screen}\n  {log}");
    }
    out
}

/// The code of a store.
#[must_use]
pub fn added(answer: &Value) -> String {
    let [store, code, listen] = ["/store", "/code", "/listen"].map(|at| cell(answer.pointer(at)));
    let port = listen.rsplit_once(':').map_or("7430", |(_, port)| port);
    format!(
        "{code}\n\nAt {store}, within 15 minutes and while hqd runs:\n  hubctl join-hq {code} --hq ADDRESS-OF-THIS-MACHINE:{port}\n"
    )
}

/// What was published, for whom.
#[must_use]
pub fn published(answer: &Value) -> String {
    let [name, items, blob] = ["/name", "/items", "/bundle"].map(|at| cell(answer.pointer(at)));
    let published_for = names(answer, "/stores");
    let mut out = format!("{name}: {items} items, bundle {blob}, published for {published_for}\n");
    for (key, why) in [("/left_out", "which have not joined yet"), ("/not_open", "whose books are not open")]
    {
        if !list(answer, key).is_empty() {
            let _ = writeln!(out, "not for {}, {why}", names(answer, key));
        }
    }
    out
}

/// What came of trying stores again.
#[must_use]
pub fn opened(answer: &Value) -> String {
    let (opened, open) = (names(answer, "/opened"), names(answer, "/open"));
    match (opened.is_empty(), open.is_empty()) {
        (false, _) => format!("open now: {opened}\n"),
        (true, false) => format!("{open} is open already\n"),
        (true, true) => "every store is open\n".into(),
    }
}

fn names(answer: &Value, key: &str) -> String {
    let names: Vec<String> = list(answer, key).iter().map(|store| cell(Some(store))).collect();
    names.join(", ")
}

/// How long ago, in the largest unit that fits.
fn age(seconds: u64) -> String {
    match seconds {
        0..2 => "now".into(),
        2..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_lines_up_and_an_empty_one_says_none() {
        let row = json!({ "store": "A", "sku": "TOMATO", "sold": "2", "returned": "0", "written_off": "0", "qty": "2" });
        let shown = report(&json!({ "items": [row] }), By::Item);
        assert_eq!(
            shown,
            "STORE  SKU     SOLD  RETURNED  WRITTEN OFF  QUANTITY  VALUE  CURRENCY\n\
             A      TOMATO  2     0         0            2         -      -\n"
        );
        assert_eq!(report(&json!({ "items": [] }), By::Item), "none\n");
    }

    #[test]
    fn csv_has_the_json_keys_as_header_and_quotes_what_needs_it() {
        let row = json!({ "store": "Fish, \"Chips\"", "day": "2010-12-01", "sales": 2, "returns": 0, "write_off_lines": 0 });
        let csv = report_csv(&json!({ "days": [row] }), By::Day);
        assert_eq!(
            csv,
            "store,day,sales,returns,write_off_lines,gross,returned,net,currency\n\
             \"Fish, \"\"Chips\"\"\",2010-12-01,2,0,0,,,,\n"
        );
    }

    #[test]
    fn a_code_comes_with_the_command_that_uses_it() {
        let shown = added(&json!({ "store": "A", "code": "AAAAA-BBBBB", "listen": "0.0.0.0:7430" }));
        assert!(shown.contains("hubctl join-hq AAAAA-BBBBB --hq ADDRESS-OF-THIS-MACHINE:7430"), "{shown}");
    }
}
