//! README § Faults names for every fault and every invariant a test that is really there, or the reason why there is none.

use std::collections::BTreeMap;

use toko_tests::chaos::cases;
use toko_tests::sim::plan::Kind;
use toko_tests::tree::page;

/// The last of the faults F01, F02 …, and of the invariants I1, I2 ….
const LAST: [(&str, usize, usize); 2] = [("I", 11, 1), ("F", 52, 2)];

/// The rows of the table: code, and the cell that names what covers it.
fn rows() -> BTreeMap<String, String> {
    let readme = page("README.md").unwrap();
    let section = readme.split("\n## Faults").nth(1).expect("README has a section on faults");
    let section = section.split("\n## ").next().unwrap_or_default();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = cells.filter_map(|line| {
        let cells: Vec<&str> = line.split(" | ").collect();
        let code = *cells.first()?;
        let is_code = code.len() > 1 && code[1..].bytes().all(|byte| byte.is_ascii_digit());
        is_code.then(|| (code.to_owned(), cells.last().copied().unwrap_or_default().to_owned()))
    });
    rows.collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether `what` names something that is there: a page, a test of a page, or a case of chaos or of the simulator.
fn is_there(what: &str) -> bool {
    if let Some(case) = what.strip_prefix("chaos ") {
        return cases::ALL.iter().any(|known| known.id() == case);
    }
    if let Some(fault) = what.strip_prefix("sim ") {
        return Kind::parse(fault).is_some();
    }
    match what.split_once("::") {
        Some((path, name)) => page(path).is_some_and(|page| is_test(&page, name)),
        None => page(what).is_some(),
    }
}

/// Whether a page has a test of this name, and not just a function.
fn is_test(page: &str, name: &str) -> bool {
    let Some(at) = page.find(&format!("fn {name}(")) else { return false };
    let before = page[..at].lines().rev().take(4).collect::<Vec<_>>();
    before.iter().any(|line| line.trim().starts_with("#[test]") || line.trim().starts_with("#[tokio::test"))
        || before.iter().any(|line| line.contains("proptest!"))
}

#[test]
fn a_function_that_is_no_test_covers_nothing() {
    let page = "#[test]\nfn a_sale_is_kept() {}\n\n\n\n\nfn helper() {}\n";
    assert!(is_test(page, "a_sale_is_kept") && !is_test(page, "helper") && !is_test(page, "gone"));
    assert!(is_there("chaos F21-cable") && !is_there("chaos F21-till") && !is_there("sim weather"));
}

#[test]
fn every_case_of_chaos_and_every_fault_of_the_simulator_stands_in_the_table() {
    let rows: String = rows().into_values().collect();
    let cases = cases::ALL.iter().map(|case| format!("chaos {}", case.id()));
    let kinds = Kind::ALL.iter().map(|kind| format!("sim {kind}"));
    let missing: Vec<String> =
        cases.chain(kinds).filter(|what| !rows.contains(&format!("`{what}`"))).collect();
    assert!(missing.is_empty(), "README § Faults does not name {missing:?}");
}

#[test]
fn every_fault_and_every_invariant_has_a_test_or_a_reason() {
    let rows = rows();
    for (letter, last, digits) in LAST {
        for number in 1..=last {
            let code = format!("{letter}{number:0digits$}");
            let cell = rows.get(&code).unwrap_or_else(|| panic!("README § Faults says nothing of {code}"));
            assert!(
                quoted(cell).next().is_some() || cell.starts_with("none: "),
                "{code} names no test and no reason: {cell}"
            );
            for what in quoted(cell) {
                assert!(is_there(what), "{code} names {what}, which is not there");
            }
        }
    }
}
