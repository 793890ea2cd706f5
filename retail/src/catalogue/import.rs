//! A catalogue from CSV: everything that is wrong is reported together, each with its line, its column, and what to do.

use std::collections::BTreeMap;
use std::fmt;

use csv::ByteRecord;

use super::{CODES_PER_ITEM_MAX, Catalogue, CatalogueError, ITEMS_MAX};
use crate::code::{Code, OwnCode};
use crate::currency::Currency;
use crate::item::Item;
use crate::money::Price;
use crate::ops::limits::NAME_CHARS_MAX;
use crate::tax::{TaxGroup, TaxRate};
use crate::text::check_name;

/// Most bytes of a CSV file.
pub const CSV_BYTES_MAX: usize = 128 << 20;
/// Most problems that are reported; the rest are counted.
const PROBLEMS_MAX: usize = 200;

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, counted from 1; 0 where it is the whole file.
    pub line: u64,
    /// Name of the column; empty where it is the whole line.
    pub column: String,
    /// What is wrong, and what to do.
    pub what: String,
}

/// Everything that is wrong with a file. Nothing of it was taken.
///
/// Shape: in the order of the lines; at most 200, the rest only counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportProblems {
    /// The problems.
    pub problems: Vec<Problem>,
    /// How many more there are.
    pub more: usize,
}

impl std::error::Error for ImportProblems {}

impl fmt::Display for ImportProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.problems.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))?;
        if self.more > 0 { write!(f, "\nand {} more", self.more) } else { Ok(()) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column.as_str()) {
            (0, _) => f.write_str(&self.what),
            (line, "") => write!(f, "line {line}: {}", self.what),
            (line, column) => write!(f, "line {line}, column {column}: {}", self.what),
        }
    }
}

impl ImportProblems {
    fn add(&mut self, line: u64, column: &str, what: impl ToString) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { line, column: column.to_string(), what: what.to_string() });
        } else {
            self.more += 1;
        }
    }

    fn one(what: impl ToString) -> ImportProblems {
        let mut problems = ImportProblems::default();
        problems.add(0, "", what);
        problems
    }

    fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }
}

pub(super) fn import(
    csv: &[u8],
    currency: Currency,
    taxes: &[TaxGroup],
) -> Result<Catalogue, ImportProblems> {
    let columns = ["sku", "name", "price", "codes", "tax", "unit", "decimals", "service"];
    let mut problems = ImportProblems::default();
    let mut items = Vec::new();
    let mut owners = Owners::new();
    for_each_row(csv, &columns, 3, &mut problems, |row, problems| {
        items.push(read_item(row, currency, taxes, problems));
        claim_all(&mut owners, &items, row.line, problems);
    })?;
    // Nearly as much as the items themselves, and the catalogue is made beside them.
    drop(owners);
    if items.len() > ITEMS_MAX {
        problems.add(0, "", format!("{} items, {ITEMS_MAX} at most", items.len()));
    }
    if items.is_empty() && problems.is_empty() {
        problems.add(0, "", "there is no item below the line of column names; nothing was imported");
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Catalogue::new(currency, taxes.to_vec(), items)
        .map_err(|error: CatalogueError| ImportProblems::one(error))
}

/// Reads tax codes from CSV: `code,name,percent`, optional `part` (such as 11/12) and `included` (yes or no). Several lines
/// with one code are several taxes on the same items.
pub fn import_taxes(csv: &[u8]) -> Result<Vec<TaxGroup>, ImportProblems> {
    let columns = ["code", "name", "percent", "part", "included"];
    let mut problems = ImportProblems::default();
    let mut groups: Vec<(String, u64, bool, Vec<TaxRate>)> = Vec::new();
    for_each_row(csv, &columns, 3, &mut problems, |row, problems| {
        let [code, name, percent, part, included] = row.texts(problems);
        let part = match part.split_once('/') {
            None if part.is_empty() => Some((1, 1)),
            Some((above, below)) => above.parse().ok().zip(below.parse().ok()),
            None => None,
        };
        let Some((above, below)) = part else {
            return problems.add(
                row.line,
                "part",
                "write a fraction such as 11/12, or leave it empty for the whole",
            );
        };
        let Some(included) = yes_or_no(&included) else {
            return problems.add(row.line, "included", format!("{included:?} is neither yes nor no"));
        };
        let rate = match TaxRate::part(&name, &percent, above, below) {
            Ok(rate) => rate,
            Err(error) => return problems.add(row.line, "percent", error),
        };
        match groups.iter_mut().find(|(known, ..)| *known == code) {
            Some((_, first, known, _)) if *known != included => {
                let what = format!(
                    "the tax code {code} is included on line {first} and not here, or the other way round"
                );
                problems.add(row.line, "included", what);
            }
            Some((.., rates)) => rates.push(rate),
            None => groups.push((code, row.line, included, vec![rate])),
        }
    })?;
    let mut taxes = Vec::new();
    for (code, line, included, rates) in groups {
        match TaxGroup::new(&code, included, rates) {
            Ok(group) => taxes.push(group),
            Err(error) => problems.add(line, "code", error),
        }
    }
    if problems.is_empty() { Ok(taxes) } else { Err(problems) }
}

/// One line of a file: its fields in the order of the columns asked for.
struct Row<'a> {
    line: u64,
    columns: &'a [&'a str],
    /// For each column, its place in the record.
    places: &'a [Option<usize>],
    record: &'a ByteRecord,
}

impl Row<'_> {
    /// The fields as text; a field that is missing or no UTF-8 is empty, and the latter is reported.
    fn texts<const N: usize>(&self, problems: &mut ImportProblems) -> [String; N] {
        std::array::from_fn(|at| {
            let bytes = self.places[at].and_then(|place| self.record.get(place)).unwrap_or_default();
            match std::str::from_utf8(bytes) {
                Ok(text) => text.to_string(),
                Err(_) => {
                    problems.add(
                        self.line,
                        self.columns[at],
                        "this is not UTF-8; save the file as \"CSV UTF-8\"",
                    );
                    String::new()
                }
            }
        })
    }
}

/// Reads the column names, then each row.
fn for_each_row(
    csv: &[u8],
    columns: &[&str],
    required: usize,
    problems: &mut ImportProblems,
    mut each: impl FnMut(&Row<'_>, &mut ImportProblems),
) -> Result<(), ImportProblems> {
    if csv.len() > CSV_BYTES_MAX {
        return Err(ImportProblems::one(format!(
            "the file has {} bytes, {CSV_BYTES_MAX} at most",
            csv.len()
        )));
    }
    let csv = csv.strip_prefix(b"\xef\xbb\xbf").unwrap_or(csv);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(csv);
    let mut record = ByteRecord::new();
    let mut read = |record: &mut ByteRecord| {
        reader
            .read_byte_record(record)
            .map_err(|error| ImportProblems::one(format!("the file cannot be read: {error}")))
    };
    if !read(&mut record)? {
        return Err(ImportProblems::one(format!(
            "the file is empty; its first line must name {}",
            columns.join(", ")
        )));
    }
    let header = record.clone();
    let places = places(&header, columns, required)?;
    while read(&mut record)? {
        let line = record.position().map_or(0, csv::Position::line);
        if record.iter().any(|field| field.contains(&b'\n')) {
            problems.add(line, "", "a field goes on over several lines; a quote is probably not closed");
        } else if record.len() != header.len() {
            let what = format!(
                "{} fields, the first line has {}; a comma inside a name must stand in quotes",
                record.len(),
                header.len()
            );
            problems.add(line, "", what);
        } else {
            each(&Row { line, columns, places: &places, record: &record }, problems);
        }
    }
    Ok(())
}

/// Where each wanted column stands.
fn places(
    header: &ByteRecord,
    columns: &[&str],
    required: usize,
) -> Result<Vec<Option<usize>>, ImportProblems> {
    let names: Vec<String> =
        header.iter().map(|name| String::from_utf8_lossy(name).trim().to_lowercase()).collect();
    let mut problems = ImportProblems::default();
    if let [one] = names.as_slice()
        && (one.contains(';') || one.contains('\t'))
    {
        return Err(ImportProblems::one(
            "the columns are parted by semicolons or tabs; save the file with commas",
        ));
    }
    for (at, name) in names.iter().enumerate() {
        if !columns.contains(&name.as_str()) {
            let shown: String = name.chars().take(40).collect();
            let what =
                format!("{shown:?} is no column; possible are {}. Rename or remove it", columns.join(", "));
            problems.add(1, &shown, what);
        } else if names[..at].contains(name) {
            problems.add(1, name, "this column stands twice; remove one");
        }
    }
    let places: Vec<_> = columns.iter().map(|column| names.iter().position(|name| name == column)).collect();
    for (column, _) in columns.iter().zip(&places).take(required).filter(|(_, place)| place.is_none()) {
        problems.add(1, column, "this column is missing; name it in the first line");
    }
    if problems.is_empty() { Ok(places) } else { Err(problems) }
}

fn read_item(row: &Row<'_>, currency: Currency, taxes: &[TaxGroup], problems: &mut ImportProblems) -> Item {
    let [sku, name, price, codes, tax, unit, decimals, service] = row.texts(problems);
    let line = row.line;
    if let Err(error) = OwnCode::parse(&sku) {
        problems.add(line, "sku", error);
    }
    if name.trim().is_empty() {
        problems.add(line, "name", "the name is empty");
    } else if let Err(error) = check_name("the name", &name, NAME_CHARS_MAX) {
        problems.add(line, "name", error);
    }
    let price = Price::parse(&price, currency).unwrap_or_else(|error| {
        problems.add(line, "price", error);
        Price::free(currency)
    });
    if !tax.is_empty() && !taxes.iter().any(|group| group.code() == tax) {
        let known: Vec<&str> = taxes.iter().map(TaxGroup::code).collect();
        let known = if known.is_empty() { "none was given".to_string() } else { known.join(", ") };
        problems.add(
            line,
            "tax",
            format!("{tax:?} is no tax code (known: {known}); define it or leave it empty"),
        );
    }
    if let Err(error) = check_name("the unit", &unit, 16) {
        problems.add(line, "unit", error);
    }
    let decimals = match decimals.as_str() {
        "" | "0" => 0,
        "1" => 1,
        "2" => 2,
        "3" => 3,
        other => {
            problems.add(line, "decimals", format!("{other:?} is not 0, 1, 2 or 3"));
            0
        }
    };
    let is_service = yes_or_no(&service).unwrap_or_else(|| {
        problems.add(line, "service", format!("{service:?} is neither yes nor no"));
        false
    });
    let codes = read_codes(line, &codes, problems);
    Item { sku, name, codes, price, tax: (!tax.is_empty()).then_some(tax), unit, decimals, is_service }
}

fn read_codes(line: u64, codes: &str, problems: &mut ImportProblems) -> Vec<Code> {
    let mut found = Vec::new();
    for code in codes.split('|').filter(|code| !code.is_empty()) {
        match Code::parse(code) {
            Ok(code) => found.push(code),
            Err(error @ crate::code::CodeError::CheckDigit { .. }) => {
                problems.add(
                    line,
                    "codes",
                    format!("{error}; correct it, or write own:{code} for a code of your own"),
                );
            }
            Err(error) => problems.add(line, "codes", error),
        }
    }
    if found.len() > CODES_PER_ITEM_MAX {
        problems.add(line, "codes", format!("{} codes, {CODES_PER_ITEM_MAX} at most", found.len()));
        found.truncate(CODES_PER_ITEM_MAX);
    }
    found
}

/// By code: the line that has it, and the place of its item.
type Owners = BTreeMap<String, (u64, usize)>;

/// Notes whose codes the last item has; a second owner is a problem that names both lines.
fn claim_all(owners: &mut Owners, items: &[Item], line: u64, problems: &mut ImportProblems) {
    let Some((place, item)) = items.iter().enumerate().next_back() else { return };
    let keys = std::iter::once(crate::code::lookup_key(&item.sku).into_owned())
        .chain(item.codes.iter().map(Code::key));
    for (column, key) in std::iter::once("sku").chain(std::iter::repeat("codes")).zip(keys) {
        if key.is_empty() {
            continue;
        }
        match owners.get(&key) {
            Some((first, owner)) => {
                let owner = items.get(*owner).map_or("", |item| &item.sku);
                let what = format!(
                    "the code {key} is already on line {first} (item {owner}); remove it from one of the two"
                );
                problems.add(line, column, what);
            }
            None => {
                owners.insert(key, (line, place));
            }
        }
    }
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "" | "no" | "n" | "0" | "false" => Some(false),
        "yes" | "y" | "1" | "true" => Some(true),
        _ => None,
    }
}
