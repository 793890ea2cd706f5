//! The verdict: what every node says, against what the sheet comes to.
//!
//! Invariants: each figure is asked of each node by its own door, and compared with the oracle, which shares no code with
//! the product; a node that says something else is named, with both figures.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use toko_devices::virtual_printer::{Copies, copies_by_job};

use super::agree::Agreement;
use super::books::{Books, of_headquarters, of_hub, of_till};
use super::counter::Counter;
use super::floor::{Acknowledged, Kind};
use super::script::Played;
use super::stage::{HQ, HUB, PRINTER, Stage};
use super::trouble::Trouble;
use crate::assortment::is_service;
use crate::oracle::{Expected, pounds};
use crate::report::Report;

/// Asks everybody and compares.
pub fn judge(
    stage: &Stage,
    counters: &[Counter],
    date: &str,
    expected: &Expected,
    played: &Played,
    agreement: &Agreement,
) -> Result<Report, Trouble> {
    let mut nodes = vec![(HUB, of_hub(stage, date)?), (HQ, of_headquarters(stage, date)?)];
    for counter in counters {
        nodes.push((counter.name(), of_till(counter, date)?));
    }
    let mut broken = played.broken.clone();
    broken.extend(agreement.late.clone());
    let mut wrong_codes = BTreeSet::new();
    for (name, books) in &nodes {
        broken.extend(differences(name, books, expected));
        wrong_codes.extend(wrong(books, expected));
    }
    broken.extend(wrong_codes.iter().take(5).map(|code| format!("{code} has a wrong quantity somewhere")));
    let figures = |of: &dyn Fn(&Books) -> u64| nodes.iter().map(|(_, books)| of(books)).max().unwrap_or(0);
    let hub = &nodes[0].1;
    let paper = copies_by_job(&stage.data(PRINTER));
    let paper = paper.map_err(Trouble::system("cannot read what the printer printed"))?;
    let receipts = Receipts::count(&played.acknowledged, &paper);
    Ok(Report {
        sales: hub.sales,
        returns: hub.returns,
        write_offs: hub.write_offs,
        revenue: hub.net.clone(),
        expected_revenue: pounds(expected.net_revenue()),
        skus_wrong: count(wrong_codes.len()),
        lost: figures(&|books| lost(books, &played.acknowledged)),
        doubled: figures(&|books| doubled(books, &played.acknowledged)),
        sold_while_hub_down: played.sales_while(|done| done.hub_dark),
        sold_while_hq_down: played.sales_while(|done| done.hq_dark),
        receipts_expected: receipts.expected,
        receipts_printed: receipts.printed,
        receipts_in_doubt: count(agreement.in_doubt().count()),
        receipts_doubled: receipts.doubled,
        converged_ms: agreement.after_ms,
        digests: agreement.digests.clone(),
        hq_agrees: agreement.hq_agrees() && differences(HQ, &nodes[1].1, expected).is_empty(),
        broken,
    })
}

/// What a node says otherwise than the sheet, in words.
fn differences(name: &str, books: &Books, expected: &Expected) -> Vec<String> {
    let whole = |number: i64| u64::try_from(number).unwrap_or(u64::MAX).to_string();
    let figures = [
        ("sales", books.sales.to_string(), whole(expected.sales)),
        ("returns", books.returns.to_string(), whole(expected.returns)),
        ("write-offs", books.write_offs.to_string(), whole(expected.write_off_lines)),
        ("sold for", books.gross.clone(), pounds(expected.gross_sales)),
        ("taken back for", books.returned.clone(), pounds(expected.returns_value)),
        ("net", books.net.clone(), pounds(expected.net_revenue())),
    ];
    let differ = figures.into_iter().filter(|(_, says, sheet)| says != sheet);
    differ.map(|(what, says, sheet)| format!("{name} says {what} {says}, the sheet {sheet}")).collect()
}

/// Codes of which a node has another quantity than the sheet, on the shelf or sold.
fn wrong(books: &Books, expected: &Expected) -> BTreeSet<String> {
    let mut wrong = BTreeSet::new();
    let mut compare = |code: &String, says: i64, pieces: i64| {
        if says != pieces * 1_000 {
            wrong.insert(code.clone());
        }
    };
    let at = |map: &BTreeMap<String, i64>, code: &String| map.get(code).copied().unwrap_or(0);
    if let Some(shelf) = &books.shelf {
        // A service has no shelf.
        let pieces = |code: &String| if is_service(code) { 0 } else { expected.shelf(code) };
        for code in expected.by_code.keys().chain(shelf.keys()) {
            compare(code, at(shelf, code), pieces(code));
        }
    }
    if let Some(moved) = &books.moved {
        for code in expected.by_code.keys().chain(moved.keys()) {
            compare(code, at(moved, code), at(&expected.by_code, code));
        }
    }
    if let Some(sold) = &books.sold {
        for code in expected.by_code.keys().chain(sold.keys()) {
            compare(code, at(sold, code), at(&expected.by_code, code) - at(&expected.written_off, code));
        }
    }
    wrong
}

/// Acknowledged pieces of work that a node lacks.
fn lost(books: &Books, acknowledged: &[Acknowledged]) -> u64 {
    let (of, write_offs) = (|kind| acknowledged.iter().filter(move |done| done.kind == kind), Kind::WriteOff);
    let receipts = || of(Kind::Sale).chain(of(Kind::Return));
    let lacks = match &books.ids {
        Some(ids) => count(receipts().filter(|done| !ids.contains_key(&done.id)).count()),
        None => count(receipts().count()).saturating_sub(books.sales + books.returns),
    };
    lacks + count(of(write_offs).count()).saturating_sub(books.write_offs)
}

/// Pieces of work that a node has more than once.
fn doubled(books: &Books, acknowledged: &[Acknowledged]) -> u64 {
    let receipts = acknowledged.iter().filter(|done| done.kind != Kind::WriteOff).count();
    let write_offs = acknowledged.len() - receipts;
    let more = match &books.ids {
        Some(ids) => {
            let mut invoices: HashMap<&str, usize> = HashMap::new();
            for (invoice, times) in ids.values() {
                *invoices.entry(invoice).or_default() += times;
            }
            count(invoices.values().map(|times| times - 1).sum())
        }
        None => (books.sales + books.returns).saturating_sub(count(receipts)),
    };
    more + books.write_offs.saturating_sub(count(write_offs))
}

struct Receipts {
    expected: u64,
    printed: u64,
    doubled: u64,
}

impl Receipts {
    fn count(acknowledged: &[Acknowledged], paper: &BTreeMap<String, Copies>) -> Self {
        let asked = acknowledged.iter().filter(|done| done.kind != Kind::WriteOff);
        let copies = |done: &Acknowledged| done.job.as_ref().and_then(|job| paper.get(job));
        let on_paper = |done: &&Acknowledged| copies(done).is_some();
        Self {
            expected: count(asked.clone().count()),
            printed: count(asked.filter(on_paper).count()),
            // Also of a job that nobody knows.
            doubled: count(paper.values().filter(|copies| copies.plain > 1).count()),
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::foretell;

    fn expected() -> Expected {
        let sheet = "invoice_no,stock_code,quantity,invoice_datetime,unit_price\n\
                     1,A,6,2010-12-01T00:00:00,1\n1,POST,1,2010-12-01T00:00:00,18\n\
                     C2,A,-1,2010-12-01T00:00:00,1\n3,A,-3,2010-12-01T00:00:00,0\n";
        foretell(sheet).unwrap().remove("2010-12-01").unwrap()
    }

    fn map(rows: &[(&str, i64)]) -> BTreeMap<String, i64> {
        rows.iter().map(|(code, milli)| ((*code).to_owned(), *milli)).collect()
    }

    fn good() -> Books {
        Books {
            sales: 1,
            returns: 1,
            write_offs: 1,
            gross: "24.00".into(),
            returned: "-1.00".into(),
            net: "23.00".into(),
            shelf: Some(map(&[("A", -8_000)])),
            moved: Some(map(&[("A", 2_000), ("POST", 1_000)])),
            sold: Some(map(&[("A", 5_000), ("POST", 1_000)])),
            ids: Some([("s1".into(), ("1".into(), 1)), ("s2".into(), ("C2".into(), 1))].into()),
        }
    }

    fn acknowledged() -> Vec<Acknowledged> {
        [("s1", Kind::Sale, "1"), ("s2", Kind::Return, "C2"), ("m3", Kind::WriteOff, "3")]
            .map(|(id, kind, invoice)| Acknowledged {
                id: id.into(),
                kind,
                invoice: invoice.into(),
                job: (kind != Kind::WriteOff).then(|| format!("j{id}")),
                till: "till-1",
                hub_dark: false,
                hq_dark: false,
                cut: false,
            })
            .into()
    }

    #[test]
    fn books_that_say_what_the_sheet_says_have_no_fault() {
        assert_eq!(differences("hub", &good(), &expected()), Vec::<String>::new());
        assert_eq!(wrong(&good(), &expected()), BTreeSet::new());
        assert_eq!((lost(&good(), &acknowledged()), doubled(&good(), &acknowledged())), (0, 0));
    }

    #[test]
    fn every_wrong_figure_is_told_with_both_values() {
        let books = Books { returns: 2, net: "22.99".into(), ..good() };
        let said = differences("till-2", &books, &expected());
        assert_eq!(said, ["till-2 says returns 2, the sheet 1", "till-2 says net 22.99, the sheet 23.00"]);
    }

    #[test]
    fn a_wrong_quantity_is_found_wherever_it_stands() {
        let shelf = Books { shelf: Some(map(&[("A", -7_000), ("POST", -1_000)])), ..good() };
        assert_eq!(wrong(&shelf, &expected()), ["A".into(), "POST".into()].into());
        let moved = Books { moved: Some(map(&[("A", 2_000), ("POST", 1_000), ("B", 1)])), ..good() };
        assert_eq!(wrong(&moved, &expected()), ["B".into()].into());
        let sold = Books { sold: Some(map(&[("A", 5_000)])), ..good() };
        assert_eq!(wrong(&sold, &expected()), ["POST".into()].into());
    }

    #[test]
    fn what_a_node_lacks_is_lost_and_what_it_has_twice_is_doubled() {
        let listed = |ids: &[(&str, &str, usize)]| Books {
            ids: Some(ids.iter().map(|(id, of, times)| ((*id).into(), ((*of).into(), *times))).collect()),
            ..good()
        };
        let one_gone = listed(&[("s1", "1", 1)]);
        assert_eq!((lost(&one_gone, &acknowledged()), doubled(&one_gone, &acknowledged())), (1, 0));
        let listed_twice = listed(&[("s1", "1", 2), ("s2", "C2", 1)]);
        assert_eq!(doubled(&listed_twice, &acknowledged()), 1);
        let sold_twice = listed(&[("s1", "1", 1), ("s9", "1", 1), ("s2", "C2", 1)]);
        assert_eq!((lost(&sold_twice, &acknowledged()), doubled(&sold_twice, &acknowledged())), (0, 1));
        let counted = Books { ids: None, sales: 2, write_offs: 0, ..good() };
        assert_eq!((lost(&counted, &acknowledged()), doubled(&counted, &acknowledged())), (1, 1));
    }

    #[test]
    fn a_marked_copy_is_no_double_and_a_missing_receipt_is_missed() {
        let copies = |plain, marked| Copies { plain, marked };
        let paper = |first: Copies| [("js1".to_owned(), first)].into();
        let marked = Receipts::count(&acknowledged(), &paper(copies(1, 1)));
        assert_eq!((marked.expected, marked.printed, marked.doubled), (2, 1, 0));
        assert_eq!(Receipts::count(&acknowledged(), &paper(copies(2, 0))).doubled, 1);
    }
}
