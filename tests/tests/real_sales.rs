//! The oracle against the totals that came with the data. Neither was computed by the product.

#![cfg(test)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toko_tests::day::{Days, Work, bundled_week};
use toko_tests::oracle::{Expected, foretell, pounds};
use toko_tests::sheet::read_text;

/// Names the folder that holds the whole of `online_retail` (`online_retail.csv.zst`, `expected_daily.csv`,
/// `expected_sku_by_day.csv.zst`).
const WHOLE: &str = "TOKO_ONLINE_RETAIL";

fn row(date: &str, day: &Expected) -> String {
    format!(
        "{date},{},{},{},{},{},{},{},{},{},{}",
        day.lines,
        day.sales,
        day.returns,
        day.write_off_lines,
        day.free_lines,
        day.adjustment_lines,
        pounds(day.gross_sales),
        pounds(day.returns_value),
        pounds(day.net_revenue()),
        day.net_quantity
    )
}

fn agrees_with_what_came_with_the_data(sheet: &Path, daily: &Path, by_code: &Path) -> usize {
    let days = foretell(&read_text(sheet).unwrap()).unwrap();
    let told: Vec<String> = days.iter().map(|(date, day)| row(date, day)).collect();
    let shipped = read_text(daily).unwrap();
    assert_eq!(told, shipped.lines().skip(1).collect::<Vec<_>>());
    let mut codes: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for line in read_text(by_code).unwrap().lines().skip(1) {
        let (date, rest) = line.split_once(',').unwrap();
        let (code, quantity) = rest.rsplit_once(',').unwrap();
        codes.entry(date.into()).or_default().insert(code.into(), quantity.parse().unwrap());
    }
    for (date, day) in &days {
        assert_eq!(day.by_code, codes[date], "codes of {date}");
    }
    assert_eq!(codes.len(), days.len());
    days.len()
}

fn bundled(name: &str) -> PathBuf {
    bundled_week().with_file_name(name)
}

#[test]
fn the_oracle_agrees_with_the_totals_that_came_with_the_week() {
    let days = agrees_with_what_came_with_the_data(
        &bundled_week(),
        &bundled("expected_daily.csv"),
        &bundled("expected_sku_by_day.csv.zst"),
    );
    assert_eq!(days, 6);
}

#[test]
fn the_oracle_agrees_with_the_totals_of_the_whole_half_year_where_it_is_at_hand() {
    let Some(folder) = std::env::var_os(WHOLE).map(PathBuf::from) else {
        eprintln!("skipped: {WHOLE} does not name the folder with all of online_retail");
        return;
    };
    let days = agrees_with_what_came_with_the_data(
        &folder.join("online_retail.csv.zst"),
        &folder.join("expected_daily.csv"),
        &folder.join("expected_sku_by_day.csv.zst"),
    );
    assert_eq!(days, 141);
}

#[test]
fn the_work_of_each_day_has_the_lines_that_the_oracle_counts() {
    let text = read_text(&bundled_week()).unwrap();
    let expected = foretell(&text).unwrap();
    for day in Days::parse(&text).unwrap().each() {
        let count =
            |which: fn(&Work) -> bool| i64::try_from(day.work.iter().filter(|w| which(w)).count()).unwrap();
        let wanted = &expected[day.date.as_str()];
        assert_eq!(count(|w| matches!(w, Work::Sale(_))), wanted.sales);
        assert_eq!(count(|w| matches!(w, Work::Return(_))), wanted.returns);
        assert_eq!(count(|w| matches!(w, Work::WriteOff(_))), wanted.write_off_lines);
        assert_eq!(day.lines() + day.adjustment_lines, usize::try_from(wanted.lines).unwrap());
        assert_eq!(day.each_line().map(|l| l.quantity).sum::<i64>(), wanted.net_quantity);
    }
}
