//! Reports against views that were folded from known sales.

use crate::shop::{Line, sale, write_off};
use hqd::cli::By;
use hqd::report::{Days, rows};
use serde_json::{Value, json};
use toko_crdt::clock::Hlc;
use toko_crdt::entry::Draft;
use toko_crdt::fold::{Effect, Fold, MapKv};
use toko_crdt::sign::SecretKey;
use toko_crdt::{Body, Hash, JournalId, Lane, Run, StoreId};
use toko_retail::views::ShopFold;

const TOMATO: Line = Line { sku: "TOMATO", pieces: 2, pence: 255 };
const POST: Line = Line { sku: "POST", pieces: 1, pence: 1_800 };

fn books(ops: &[Body]) -> MapKv {
    let key = SecretKey::from_seed([2; 32]);
    let mut kv = MapKv::default();
    for (seq, body) in (1..).zip(ops) {
        let journal = JournalId { node: key.node(), run: Run(1), lane: Lane::Books };
        let draft =
            Draft { journal, seq, prev: Hash::ZERO, at: Hlc::default(), saw: None, body: body.encode() };
        let entry = draft.sign(&StoreId([1; 32]), &key);
        let Body::Op(op) = body else { panic!("an op") };
        ShopFold.fold(&mut kv, &Effect { id: entry.hash().into(), entry: &entry, op }).unwrap();
    }
    kv
}

fn week() -> MapKv {
    books(&[
        sale("2010-12-01", 1, &[TOMATO, POST]),
        sale("2010-12-01", 2, &[TOMATO]),
        sale("2010-12-02", 3, &[Line { pieces: -1, ..TOMATO }]),
        write_off("2010-12-02", "TOMATO", 3),
    ])
}

fn report(days: Days, by: By) -> Vec<Value> {
    rows(&week(), "High Street", days, by).unwrap()
}

#[test]
fn days_have_the_keys_and_figures_of_hubctl_sales() {
    let rows = report(Days::default(), By::Day);
    let first = json!({
        "store": "High Street", "day": "2010-12-01", "sales": 2, "returns": 0, "write_off_lines": 0, "lines": 3,
        "gross": "28.20", "returned": "0.00", "net": "28.20", "currency": "GBP",
        "drawer_without_sale": 0, "drawer_forced": 0,
    });
    let second = json!({
        "store": "High Street", "day": "2010-12-02", "sales": 0, "returns": 1, "write_off_lines": 1, "lines": 1,
        "gross": "0.00", "returned": "-2.55", "net": "-2.55", "currency": "GBP",
        "drawer_without_sale": 0, "drawer_forced": 0,
    });
    assert_eq!(rows, [first, second]);
}

#[test]
fn a_store_sums_over_its_days() {
    let expected = json!({
        "store": "High Street", "days": 2, "sales": 2, "returns": 1, "write_off_lines": 1, "lines": 4,
        "gross": "28.20", "returned": "-2.55", "net": "25.65", "currency": "GBP",
    });
    assert_eq!(report(Days::default(), By::Store), [expected]);
}

#[test]
fn items_count_what_left_the_shop_over_all_days_or_each_day() {
    let tomato = json!({
        "store": "High Street", "sku": "TOMATO", "sold": "4", "returned": "-1", "written_off": "-3", "qty": "0",
        "value": "7.65", "currency": "GBP",
    });
    let rows = report(Days::default(), By::Item);
    assert_eq!((rows.len(), &rows[1]), (2, &tomato));
    let by_day = report(Days::default(), By::ItemDay);
    assert_eq!(by_day.len(), 3);
    assert_eq!((&by_day[2]["day"], &by_day[2]["qty"]), (&json!("2010-12-02"), &json!("-4")));
}

#[test]
fn a_range_takes_in_both_ends_and_a_day_without_business_shows_zero() {
    let days = |day, from, to| Days::parse(day, from, to).unwrap();
    assert_eq!(report(days(None, Some("2010-12-02"), None), By::Day).len(), 1);
    assert_eq!(report(days(None, None, Some("2010-12-02")), By::Day).len(), 2);
    let quiet = report(days(Some("2010-12-25"), None, None), By::Day);
    assert_eq!((&quiet[0]["sales"], quiet[0].get("net")), (&json!(0), None));
}

#[test]
fn a_day_that_is_none_is_named() {
    assert!(Days::parse(Some("2010-13-01"), None, None).unwrap_err().starts_with("day: "));
    assert!(Days::parse(None, Some("x"), None).unwrap_err().starts_with("from: "));
    assert!(Days::parse(None, Some("2010-12-02"), Some("2010-12-01")).unwrap_err().contains("ends before"));
}
