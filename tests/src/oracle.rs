//! The oracle: what a sheet of sales must come to, computed straight from its text.
//!
//! Invariants: nothing here is shared with the product, nor with the reader that feeds the replay: its own CSV, its own
//! integers, no floats and no decimal library. So a mistake in either shows as a difference.
//!
//! Absent on purpose: any opinion. A line that it cannot read ends the computation.

use std::collections::BTreeMap;

/// What one day must come to. Money is in pennies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Lines of the sheet, adjustments among them.
    pub lines: i64,
    /// Plain invoices with at least one line that is no write-off.
    pub sales: i64,
    /// `C…` invoices.
    pub returns: i64,
    /// Lines with negative quantity and price 0 on plain invoices.
    pub write_off_lines: i64,
    /// Lines with positive quantity and price 0 on plain invoices.
    pub free_lines: i64,
    /// Lines of `A…` invoices; they count nowhere else.
    pub adjustment_lines: i64,
    /// The value of all sales.
    pub gross_sales: i64,
    /// The value of all returns, 0 or below.
    pub returns_value: i64,
    /// Pieces that left the shop, returns and write-offs taken off.
    pub net_quantity: i64,
    /// The same for each code that moved, also where it comes to 0.
    pub by_code: BTreeMap<String, i64>,
    /// Of these, pieces written off, below 0, for each code that was.
    pub written_off: BTreeMap<String, i64>,
}

impl Expected {
    /// Sales less returns.
    pub fn net_revenue(&self) -> i64 {
        self.gross_sales + self.returns_value
    }

    /// Pieces of a code on the shelf if there were none in the morning: what is sold or written off is gone, what came back
    /// is there.
    pub fn shelf(&self, code: &str) -> i64 {
        let of = |map: &BTreeMap<String, i64>| map.get(code).copied().unwrap_or(0);
        2 * of(&self.written_off) - of(&self.by_code)
    }
}

/// Why the oracle is silent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("record {record}: {reason}")]
pub struct OracleError {
    /// From 1, the header being record 1.
    pub record: usize,
    /// A lowercase fragment.
    pub reason: String,
}

/// What each day of the sheet must come to, by date (`2010-12-01`).
pub fn foretell(text: &str) -> Result<BTreeMap<String, Expected>, OracleError> {
    let records = split(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut records = records.into_iter().enumerate().map(|(at, cells)| (at + 1, cells));
    let header = records.next().map(|(_, cells)| cells).unwrap_or_default();
    let column = |name: &str| {
        header
            .iter()
            .position(|cell| cell == name)
            .ok_or_else(|| OracleError { record: 1, reason: format!("no column {name}") })
    };
    let (invoice, code) = (column("invoice_no")?, column("stock_code")?);
    let (quantity, time, price) = (column("quantity")?, column("invoice_datetime")?, column("unit_price")?);
    let mut days: BTreeMap<String, Expected> = BTreeMap::new();
    let mut invoices: BTreeMap<(String, String), ()> = BTreeMap::new();
    for (record, cells) in records {
        let wrong = |reason: &str| OracleError { record, reason: reason.to_owned() };
        let cell = |at: usize| cells.get(at).map(String::as_str).ok_or_else(|| wrong("too few cells"));
        let date = cell(time)?.get(..10).ok_or_else(|| wrong("no date"))?.to_owned();
        let pieces: i64 = cell(quantity)?.parse().map_err(|_| wrong("no whole quantity"))?;
        let (digits, places) = decimal(cell(price)?).ok_or_else(|| wrong("no decimal price"))?;
        let value = pennies(pieces, digits, places).ok_or_else(|| wrong("a value beyond measure"))?;
        let number = cell(invoice)?.to_owned();
        let day = days.entry(date.clone()).or_default();
        day.lines += 1;
        if number.starts_with('A') {
            day.adjustment_lines += 1;
            continue;
        }
        day.net_quantity += pieces;
        *day.by_code.entry(cell(code)?.to_owned()).or_default() += pieces;
        let back = number.starts_with('C');
        if !back && digits == 0 && pieces < 0 {
            day.write_off_lines += 1;
            *day.written_off.entry(cell(code)?.to_owned()).or_default() += pieces;
            continue;
        }
        let first = invoices.insert((date, number), ()).is_none();
        if back {
            day.returns += i64::from(first);
            day.returns_value += value;
        } else {
            day.sales += i64::from(first);
            day.gross_sales += value;
            day.free_lines += i64::from(digits == 0);
        }
    }
    Ok(days)
}

/// `2.55` is 255 with 2 places.
pub(crate) fn decimal(text: &str) -> Option<(i64, u32)> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits: i64 = format!("{whole}{part}").parse().ok()?;
    Some((digits, u32::try_from(part.len()).ok()?))
}

/// Pieces × price in pennies; half a penny goes away from 0, for a return as for its sale.
pub(crate) fn pennies(pieces: i64, digits: i64, places: u32) -> Option<i64> {
    let value = i128::from(pieces) * i128::from(digits) * 100;
    let unit = 10_i128.checked_pow(places)?;
    let rounded = (2 * value.abs() + unit) / (2 * unit);
    i64::try_from(rounded * value.signum()).ok()
}

/// Splits CSV into records of cells: commas, quotes, doubled quotes, either line end; blank lines are none.
fn split(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut cell)),
            '\r' if !quoted && letters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut cell));
                let whole = std::mem::take(&mut record);
                if whole != [""] {
                    records.push(whole);
                }
            }
            other => cell.push(other),
        }
    }
    if !cell.is_empty() || !record.is_empty() {
        record.push(cell);
        records.push(record);
    }
    records
}

/// Pennies as pounds: `-123` is `-1.23`.
pub fn pounds(pennies: i64) -> String {
    let (sign, magnitude) = (if pennies < 0 { "-" } else { "" }, pennies.unsigned_abs());
    format!("{sign}{}.{:02}", magnitude / 100, magnitude % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_penny_is_rounded_away_from_zero_for_a_sale_and_its_return() {
        let value = |pieces, price| {
            let (digits, places) = decimal(price).unwrap();
            pennies(pieces, digits, places).unwrap()
        };
        assert_eq!(value(3, "0.005"), 2);
        assert_eq!(value(-3, "0.005"), -2);
        assert_eq!(value(1, "0.001"), 0);
        assert_eq!(value(6, "2.55"), 1_530);
        assert_eq!(value(74_215, "1.04"), 7_718_360);
        assert_eq!(value(2, "7"), 1_400);
    }

    #[test]
    fn a_write_off_empties_the_shelf_and_a_return_fills_it() {
        let sheet = "invoice_no,stock_code,quantity,invoice_datetime,unit_price\n\
                     1,A,6,2010-12-01T00:00:00,1\nC2,A,-1,2010-12-01T00:00:00,1\n3,A,-3,2010-12-01T00:00:00,0\n";
        let day = &foretell(sheet).unwrap()["2010-12-01"];
        assert_eq!((day.by_code["A"], day.shelf("A"), day.shelf("B")), (2, -8, 0));
    }

    #[test]
    fn quotes_commas_and_line_ends_are_read_as_rfc_4180_says() {
        let cells = split("a,b\r\n\"x,1\",\"7\"\" inch\"\n\n\"two\nlines\",\n");
        assert_eq!(cells, [["a", "b"], ["x,1", "7\" inch"], ["two\nlines", ""]]);
        assert_eq!(split("a,b"), [["a", "b"]]);
        assert_eq!(split(""), Vec::<Vec<String>>::new());
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_record() {
        let sheet = |row: &str| {
            foretell(&format!("invoice_no,stock_code,quantity,invoice_datetime,unit_price\n{row}\n"))
                .unwrap_err()
        };
        assert_eq!(sheet("1,A,x,2010-12-01T00:00:00,1").to_string(), "record 2: no whole quantity");
        assert_eq!(sheet("1,A,1,2010-12-01T00:00:00,1.x").to_string(), "record 2: no decimal price");
        assert_eq!(sheet("1,A,1").to_string(), "record 2: too few cells");
        assert_eq!(foretell("invoice_no\n").unwrap_err().to_string(), "record 1: no column stock_code");
    }

    #[test]
    fn pennies_read_as_pounds() {
        assert_eq!(
            (pounds(5_863_556), pounds(-5), pounds(0)),
            ("58635.56".into(), "-0.05".into(), "0.00".into())
        );
    }
}
