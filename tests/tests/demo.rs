//! The demo itself, on a few real invoices: every box dies as on a whole day, and everything holds.

#![cfg(test)]

use std::path::Path;
use std::time::Duration;

use toko_tests::day::Days;
use toko_tests::door::{DoorError, ask_command};
use toko_tests::oracle::{foretell, pounds};
use toko_tests::report::Report;

/// Debug builds on a busy machine included; the demo's own deadlines are shorter.
const DEADLINE: Duration = Duration::from_secs(300);

mod run_alone {
    use super::*;

    #[test]
    fn a_shop_sells_through_an_outage_and_agrees_to_the_penny() {
        let sheet = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/online_retail_excerpt.csv");
        let input = sheet.display().to_string();
        let arguments = ["--json", "--seconds", "15", "--input", &input];
        let printed = ask_command(Path::new(env!("CARGO_BIN_EXE_demo")), &arguments, DEADLINE);
        let report: Report = serde_json::from_value(printed.unwrap()).unwrap();

        let text = std::fs::read_to_string(&sheet).unwrap();
        let expected = &foretell(&text).unwrap()["2010-12-01"];
        let count = |number: i64| u64::try_from(number).unwrap();
        assert_eq!(report.failures(), Vec::<String>::new());
        assert_eq!(report.sales, count(expected.sales));
        assert_eq!(report.returns, count(expected.returns));
        assert_eq!(report.write_offs, count(expected.write_off_lines));
        assert_eq!(report.revenue, pounds(expected.net_revenue()));
        assert_eq!(report.receipts_printed, report.sales + report.returns);
        assert_eq!(report.digests.keys().collect::<Vec<_>>(), ["hub", "till-1", "till-2", "till-3"]);
        assert!(report.hq_agrees && report.converged_ms.is_some());
        assert!(report.sold_while_hub_down > 0 && report.sold_while_hq_down > 0);
    }

    #[test]
    fn a_directory_that_is_not_empty_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let precious = dir.path().join("precious");
        std::fs::write(&precious, "books").unwrap();
        let place = dir.path().display().to_string();
        let refused = ask_command(Path::new(env!("CARGO_BIN_EXE_demo")), &["--dir", &place], DEADLINE);
        let Err(DoorError::Refused { status, body, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(status, 1);
        assert!(body.contains("is not empty"), "{body}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_replayed_is_said_before_anything_is_started() {
        let demo = |arguments: &[&str]| match ask_command(
            Path::new(env!("CARGO_BIN_EXE_demo")),
            arguments,
            DEADLINE,
        ) {
            Err(DoorError::Refused { status, body, .. }) => (status, body),
            other => panic!("{other:?}"),
        };
        let (status, body) = demo(&["--day", "2010-12-04"]);
        assert!(status == 1 && body.contains("nobody traded on 2010-12-04"), "{body}");
        let (status, body) = demo(&["--day", "yesterday"]);
        assert!(status == 64 && body.contains("is not a date"), "{body}");
        let (status, body) = demo(&["--input", "/nowhere/sales.csv"]);
        assert!(status == 1 && body.contains("/nowhere/sales.csv cannot be read"), "{body}");
        let (status, body) = demo(&["--as", "postgres"]);
        assert!(status == 64 && body.contains("hubd, hubctl, terminal-agent"), "{body}");
    }
}

#[test]
fn the_excerpt_has_one_of_each_quirk() {
    let sheet = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/online_retail_excerpt.csv");
    let text = std::fs::read_to_string(sheet).unwrap();
    let days = Days::parse(&text).unwrap();
    assert_eq!(days.dates().count(), 1);
    let expected = &foretell(&text).unwrap()["2010-12-01"];
    let found = (expected.sales, expected.returns, expected.write_off_lines, expected.free_lines);
    assert_eq!(found, (21, 5, 1, 2));
}
