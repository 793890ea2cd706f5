//! The books of one node, read at its own door.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::counter::Counter;
use super::opening::STORE;
use super::stage::{Stage, list, number, text};
use super::trouble::Trouble;

/// What one node says of a day. Money is as it says it, quantities are thousandths.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// How many sales.
    pub sales: u64,
    /// How many returns.
    pub returns: u64,
    /// How many lines of write-offs.
    pub write_offs: u64,
    /// Sales.
    pub gross: String,
    /// Returns, 0 or below.
    pub returned: String,
    /// Their sum.
    pub net: String,
    /// What is on the shelf, by code, if it says.
    pub shelf: Option<BTreeMap<String, i64>>,
    /// What was sold less what came back and was written off, by code, if it says.
    pub moved: Option<BTreeMap<String, i64>>,
    /// What was sold less what came back, by code, from each sale with its lines, if it shows them.
    pub sold: Option<BTreeMap<String, i64>>,
    /// Each sale and return with its invoice, and how often it is listed, if it lists them.
    pub ids: Option<HashMap<String, (String, usize)>>,
}

/// What a node that counted nothing says.
const NOTHING: &str = "0.00";
const PAGE: usize = 1_000;

/// The hub's, by `hubctl`.
pub fn of_hub(stage: &Stage, date: &str) -> Result<Books, Trouble> {
    let sales = stage.hubctl(&["sales", "--day", date])?;
    let mut books = of_row("hubctl sales", list("hubctl sales", &sales, "/days")?.first())?;
    let stock = stage.hubctl(&["stock"])?;
    books.shelf = Some(quantities("hubctl stock", list("hubctl stock", &stock, "/stock")?, "/code", "/qty")?);
    Ok(books)
}

/// Headquarters', by `hqd report`.
pub fn of_headquarters(stage: &Stage, date: &str) -> Result<Books, Trouble> {
    let report = stage.hqd(&["report", "--store", STORE, "--day", date, "--by", "day"])?;
    let mut books = of_row("hqd report", list("hqd report", &report, "/days")?.first())?;
    let items = stage.hqd(&["report", "--store", STORE, "--day", date, "--by", "item-day"])?;
    books.moved = Some(quantities("hqd report", list("hqd report", &items, "/items")?, "/sku", "/qty")?);
    Ok(books)
}

fn of_row(who: &str, row: Option<&Value>) -> Result<Books, Trouble> {
    let Some(row) = row else { return Ok(Books::default()) };
    let money = |key: &str| row[key].as_str().unwrap_or(NOTHING).to_owned();
    Ok(Books {
        sales: number(who, row, "/sales")?,
        returns: number(who, row, "/returns")?,
        write_offs: number(who, row, "/write_off_lines")?,
        gross: money("gross"),
        returned: money("returned"),
        net: money("net"),
        ..Books::default()
    })
}

/// A terminal's, by its API: totals, each sale with its lines, and the shelf.
pub fn of_till(counter: &Counter, date: &str) -> Result<Books, Trouble> {
    let who = counter.name();
    let totals = counter.ask(&format!("/v1/totals?day={date}"))?;
    let money = |key: &str| totals["money"][0][key].as_str().unwrap_or(NOTHING).to_owned();
    let mut books = Books {
        sales: number(who, &totals, "/sales")?,
        returns: number(who, &totals, "/returns")?,
        write_offs: number(who, &totals, "/write_off_lines")?,
        gross: money("sales"),
        returned: money("returns"),
        net: money("net"),
        ..Books::default()
    };
    let (mut ids, mut lines) = (HashMap::new(), Vec::new());
    for sale in pages(counter, &format!("/v1/sales?day={date}&limit={PAGE}"), "/sales", "/sale")? {
        let (id, invoice) = (text(who, &sale, "/sale")?, text(who, &sale, "/external")?);
        lines.extend_from_slice(list(who, &counter.ask(&format!("/v1/sales/{id}"))?, "/lines")?);
        ids.entry(id.to_owned()).or_insert((invoice.to_owned(), 0)).1 += 1;
    }
    books.sold = Some(quantities(who, &lines, "/sku", "/qty")?);
    let stock = pages(counter, &format!("/v1/stock?limit={PAGE}"), "/items", "/sku")?;
    books.shelf = Some(quantities(who, &stock, "/sku", "/qty")?);
    books.ids = Some(ids);
    Ok(books)
}

/// All rows of a list that comes in pages.
fn pages(counter: &Counter, path: &str, rows: &str, key: &str) -> Result<Vec<Value>, Trouble> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = counter.ask(&format!("{path}{after}"))?;
        all.extend_from_slice(list(counter.name(), &page, rows)?);
        match (page["next"].is_null(), all.last()) {
            (false, Some(last)) => after = format!("&after={}", escaped(text(counter.name(), last, key)?)),
            _ => return Ok(all),
        }
    }
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn quantities(
    who: &str,
    rows: &[Value],
    code: &str,
    quantity: &str,
) -> Result<BTreeMap<String, i64>, Trouble> {
    let mut found = BTreeMap::new();
    for row in rows {
        let said = text(who, row, quantity)?;
        let milli = thousandths(said).ok_or_else(|| Trouble::Odd {
            who: who.into(),
            what: "a quantity".into(),
            said: said.into(),
        })?;
        *found.entry(text(who, row, code)?.to_owned()).or_default() += milli;
    }
    Ok(found)
}

/// `-6` or `1.250` in thousandths.
fn thousandths(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 3 || !plain(whole) || !plain(part) {
        return None;
    }
    Some(sign * format!("{whole}{part:0<3}").parse::<i64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_exact() {
        assert_eq!(
            (thousandths("-6"), thousandths("1.25"), thousandths("0.001")),
            (Some(-6_000), Some(1_250), Some(1))
        );
        assert_eq!((thousandths(""), thousandths("1.2345"), thousandths("1e3")), (None, None, None));
    }

    #[test]
    fn any_code_goes_into_an_address() {
        assert_eq!(escaped("A&B 1"), "%41%26%42%20%31");
    }
}
