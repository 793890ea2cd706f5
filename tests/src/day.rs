//! A trading day as a shop works through it: sales, returns and write-offs, in the order of the sheet.
//!
//! Invariants: every line of a day is in exactly one piece of work or counted as an adjustment; an invoice is one piece of
//! work even if it spans two minutes or its lines do not stand together; repeated lines stay repeated.
//!
//! Absent on purpose: totals (those are the oracle's) and tenders (the replay chooses them).

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::sheet::{Date, Line, ReadError, SheetError, parse_sheet, read_text};

/// The most lines one invoice may have. The largest in the data has 675.
pub const INVOICE_LINES_MAX: usize = 10_000;

/// Why a file did not become trading days.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaysError {
    /// The file was not read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file is not a sheet.
    #[error(transparent)]
    Sheet(#[from] SheetError),
    /// A line is neither sale, return, write-off nor adjustment.
    #[error("line {line}, invoice {invoice}: {reason}")]
    Unclear {
        /// From 1, the header being line 1.
        line: u64,
        /// Its invoice.
        invoice: String,
        /// A lowercase fragment.
        reason: &'static str,
    },
    /// The sheet has no such day.
    #[error("nobody traded on {wanted}; the sheet has {has}")]
    NoSuchDay {
        /// The day asked for.
        wanted: Date,
        /// What there is, in words.
        has: String,
    },
    /// The sheet has no line at all.
    #[error("the sheet has a header and no lines")]
    Empty,
}

/// One receipt's worth of lines, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// `536365` or `C536379`.
    pub number: String,
    /// In the order of the sheet.
    pub lines: Vec<Line>,
}

/// One thing that the shop does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Quantities are positive; prices may be 0.
    Sale(Invoice),
    /// Quantities are negative. It never names the sale.
    Return(Invoice),
    /// Stock that left without a sale: negative quantity, price 0.
    WriteOff(Line),
}

impl Work {
    /// How many lines of the sheet it covers.
    pub fn lines(&self) -> usize {
        match self {
            Self::Sale(invoice) | Self::Return(invoice) => invoice.lines.len(),
            Self::WriteOff(_) => 1,
        }
    }
}

/// Everything of one date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// The date of its lines.
    pub date: Date,
    /// In the order in which each first appears.
    pub work: Vec<Work>,
    /// Lines of `A…` invoices, left out.
    pub adjustment_lines: usize,
}

impl Day {
    /// Lines to be replayed (adjustments are not).
    pub fn lines(&self) -> usize {
        self.work.iter().map(Work::lines).sum()
    }

    /// Every line to be replayed, in the order of the work.
    pub fn each_line(&self) -> impl Iterator<Item = &Line> {
        self.work.iter().flat_map(|work| match work {
            Work::Sale(invoice) | Work::Return(invoice) => invoice.lines.as_slice(),
            Work::WriteOff(line) => std::slice::from_ref(line),
        })
    }
}

/// The trading days of a sheet, by date.
#[derive(Clone, Debug)]
pub struct Days(BTreeMap<Date, Day>);

impl Days {
    /// Reads a `.csv` or `.csv.zst`.
    pub fn read(path: &Path) -> Result<Self, DaysError> {
        Self::parse(&read_text(path)?)
    }

    /// Parses the text of a sheet.
    pub fn parse(text: &str) -> Result<Self, DaysError> {
        Self::group(parse_sheet(text)?)
    }

    /// Groups lines into work.
    pub fn group(lines: Vec<Line>) -> Result<Self, DaysError> {
        let mut days: BTreeMap<Date, Day> = BTreeMap::new();
        let mut seen: HashMap<(Date, String), usize> = HashMap::new();
        for line in lines {
            let kind = kind_of(&line)?;
            let day = days.entry(line.date.clone()).or_insert_with(|| Day {
                date: line.date.clone(),
                work: Vec::new(),
                adjustment_lines: 0,
            });
            match kind {
                Kind::Adjustment => day.adjustment_lines += 1,
                Kind::WriteOff => day.work.push(Work::WriteOff(line)),
                Kind::Sale | Kind::Return => {
                    let place = *seen.entry((line.date.clone(), line.invoice.clone())).or_insert_with(|| {
                        let invoice = Invoice { number: line.invoice.clone(), lines: Vec::new() };
                        day.work.push(match kind {
                            Kind::Return => Work::Return(invoice),
                            _ => Work::Sale(invoice),
                        });
                        day.work.len() - 1
                    });
                    let (Work::Sale(invoice) | Work::Return(invoice)) = &mut day.work[place] else {
                        unreachable!("only invoices are remembered by number");
                    };
                    if invoice.lines.len() == INVOICE_LINES_MAX {
                        return Err(unclear(&line, "an invoice has at most 10000 lines"));
                    }
                    invoice.lines.push(line);
                }
            }
        }
        if days.is_empty() { Err(DaysError::Empty) } else { Ok(Self(days)) }
    }

    /// The dates, earliest first.
    pub fn dates(&self) -> impl Iterator<Item = &Date> {
        self.0.keys()
    }

    /// All days, earliest first.
    pub fn each(&self) -> impl Iterator<Item = &Day> {
        self.0.values()
    }

    /// The day asked for, or the first one.
    pub fn select(&self, wanted: Option<&Date>) -> Result<&Day, DaysError> {
        match wanted {
            None => self.0.values().next().ok_or(DaysError::Empty),
            Some(date) => self.0.get(date).ok_or_else(|| DaysError::NoSuchDay {
                wanted: date.clone(),
                has: match (self.0.keys().next(), self.0.keys().next_back()) {
                    (Some(first), Some(last)) if self.0.len() > 7 => {
                        format!("{} days from {first} to {last}", self.0.len())
                    }
                    _ => self.0.keys().map(Date::as_str).collect::<Vec<_>>().join(", "),
                },
            }),
        }
    }
}

/// Where the week that comes with the source stands.
pub fn bundled_week() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join("online_retail_week.csv.zst")
}

#[derive(Clone, Copy)]
enum Kind {
    Sale,
    Return,
    WriteOff,
    Adjustment,
}

fn kind_of(line: &Line) -> Result<Kind, DaysError> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (kind, number) = match line.invoice.as_bytes()[..] {
        [b'A', ..] => (Kind::Adjustment, &line.invoice[1..]),
        [b'C', ..] => (Kind::Return, &line.invoice[1..]),
        _ if line.quantity < 0 && line.price.is_zero() => (Kind::WriteOff, &line.invoice[..]),
        _ => (Kind::Sale, &line.invoice[..]),
    };
    let wrong = match kind {
        _ if !digits(number) => "an invoice number is digits, perhaps after C or A",
        Kind::Adjustment | Kind::WriteOff => return Ok(kind),
        _ if line.price.is_negative() => "only an adjustment has a negative price",
        Kind::Return if line.quantity > 0 => "a return has negative quantities",
        Kind::Sale if line.quantity < 0 => {
            "a negative quantity with a price is neither a sale nor a write-off"
        }
        _ => return Ok(kind),
    };
    Err(unclear(line, wrong))
}

fn unclear(line: &Line, reason: &'static str) -> DaysError {
    DaysError::Unclear { line: line.line, invoice: line.invoice.clone(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "invoice_no,stock_code,description,quantity,invoice_datetime,unit_price,customer_id\n";

    fn sheet(rows: &[(&str, &str, i64, &str, &str)]) -> Result<Days, DaysError> {
        let mut text = String::from(HEADER);
        for (invoice, code, quantity, at, price) in rows {
            text.push_str(&format!("{invoice},{code},NAME,{quantity},{at},{price},\n"));
        }
        Days::parse(&text)
    }

    const MORNING: &str = "2010-12-01T09:00:00";
    const MINUTE_LATER: &str = "2010-12-01T09:01:00";

    #[test]
    fn an_invoice_over_two_minutes_whose_lines_stand_apart_is_one_sale() {
        let days = sheet(&[
            ("536365", "A", 1, MORNING, "2.00"),
            ("C536366", "B", -1, MORNING, "3.00"),
            ("536365", "A", 1, MINUTE_LATER, "2.00"),
        ])
        .unwrap();
        let day = days.select(None).unwrap();
        assert_eq!(day.work.len(), 2);
        assert!(matches!(&day.work[0], Work::Sale(sale) if sale.lines.len() == 2));
        assert!(matches!(&day.work[1], Work::Return(back) if back.number == "C536366"));
    }

    #[test]
    fn a_free_item_is_sold_and_a_write_off_is_not() {
        let days = sheet(&[
            ("536365", "A", 1, MORNING, "0.00"),
            ("536365", "B", -3, MORNING, "0.00"),
            ("536366", "C", -1, MORNING, "0"),
        ])
        .unwrap();
        let work = &days.select(None).unwrap().work;
        assert!(matches!(&work[0], Work::Sale(sale) if sale.lines.len() == 1));
        assert!(matches!(&work[1], Work::WriteOff(line) if line.quantity == -3));
        assert!(matches!(&work[2], Work::WriteOff(line) if line.code == "C"));
    }

    #[test]
    fn adjustments_are_left_out_and_counted() {
        let days = sheet(&[
            ("A563185", "B", 1, MORNING, "11062.06"),
            ("A563186", "B", 1, MORNING, "-11062.06"),
            ("536365", "A", 1, MORNING, "1.00"),
        ])
        .unwrap();
        let day = days.select(None).unwrap();
        assert_eq!((day.adjustment_lines, day.lines()), (2, 1));
    }

    #[test]
    fn what_is_neither_sale_nor_return_is_refused_with_its_line() {
        for (invoice, quantity, price, reason) in [
            ("536365", -1, "2.00", "neither a sale nor a write-off"),
            ("C536365", 1, "2.00", "a return has negative quantities"),
            ("536365", 1, "-2.00", "only an adjustment has a negative price"),
            ("X536365", 1, "2.00", "an invoice number is digits"),
            ("C", -1, "2.00", "an invoice number is digits"),
        ] {
            let said = sheet(&[("1", "A", 1, MORNING, "1"), (invoice, "A", quantity, MORNING, price)])
                .unwrap_err()
                .to_string();
            assert!(said.starts_with(&format!("line 3, invoice {invoice}: ")), "{said}");
            assert!(said.contains(reason), "{said}");
        }
    }

    #[test]
    fn a_day_that_is_not_there_is_refused_with_those_that_are() {
        let days = Days::read(&bundled_week()).unwrap();
        let saturday = Date::parse("2010-12-04").unwrap();
        assert_eq!(
            days.select(Some(&saturday)).unwrap_err().to_string(),
            "nobody traded on 2010-12-04; the sheet has 2010-12-01, 2010-12-02, 2010-12-03, 2010-12-05, \
             2010-12-06, 2010-12-07"
        );
        assert!(matches!(Days::parse(HEADER), Err(DaysError::Empty)));
    }

    #[test]
    fn the_bundled_week_has_the_quirks_it_was_chosen_for() {
        let days = Days::read(&bundled_week()).unwrap();
        assert_eq!(days.each().map(Day::lines).sum::<usize>(), 16_985);
        let first = days.select(None).unwrap();
        assert_eq!((first.date.as_str(), first.lines()), ("2010-12-01", 3_108));
        let invoice = |number: &str| {
            days.each()
                .flat_map(|day| &day.work)
                .find_map(|work| match work {
                    Work::Sale(invoice) | Work::Return(invoice) if invoice.number == number => Some(invoice),
                    _ => None,
                })
                .unwrap()
        };
        assert_eq!(invoice("537434").lines.len(), 675, "the largest invoice");
        let spans = invoice("536591");
        assert_ne!(spans.lines[0].at, spans.lines.last().unwrap().at, "an invoice over two minutes");
        assert_eq!(invoice("537224").lines.iter().filter(|l| l.code == "70007").count(), 5, "repeated lines");
        assert_eq!(invoice("C536757").lines[0].quantity, -9_360, "the largest return");
        let codes: Vec<&str> = days.each().flat_map(Day::each_line).map(|l| l.code.as_str()).collect();
        assert!(codes.contains(&"85123A") && codes.contains(&"85123a"), "codes that differ by case");
    }
}
