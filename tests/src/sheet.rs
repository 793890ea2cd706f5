//! The sheet: a CSV of invoice lines, as the public sales data has it, read once and checked.
//!
//! Invariants: what comes out has whole quantities, prices that are plain decimals and dates that are dates; whatever is
//! not so is refused with its line and column. Memory is bounded by [`TEXT_BYTES_MAX`] and [`LINES_MAX`].
//!
//! Absent on purpose: money. A price stays the text that stood in the file, so that no rounding happens before the product
//! sees it. The oracle reads the same text with code of its own.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use ruzstd::decoding::StreamingDecoder;

/// The largest sheet that is read, in bytes of text (after decompression).
pub const TEXT_BYTES_MAX: u64 = 256 << 20;
/// The most lines a sheet may have.
pub const LINES_MAX: usize = 2_000_000;
/// The longest cell, in bytes.
pub const CELL_BYTES_MAX: usize = 1_024;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Why a file did not become text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The operating system refused.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The compressed stream is broken.
    #[error("{} is not a whole zstd file: {reason}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// More text than [`TEXT_BYTES_MAX`].
    #[error("{} holds more than {bytes_max} bytes of text", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        bytes_max: u64,
    },
    /// Not UTF-8.
    #[error("line {line} of {} is not UTF-8", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first line that is not text, from 1.
        line: usize,
    },
}

/// Why text did not become a sheet. Nothing of it is used if you hold one of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SheetError {
    /// A column is missing from the header.
    #[error("line 1 has no column {column}")]
    NoColumn {
        /// Its name.
        column: &'static str,
    },
    /// A cell does not say what its column promises.
    #[error("line {line}, column {column}: {reason}")]
    Cell {
        /// From 1, the header being line 1.
        line: u64,
        /// Its name.
        column: &'static str,
        /// A lowercase fragment.
        reason: String,
    },
    /// The line is not CSV of the header's width.
    #[error("line {line}: {reason}")]
    Shape {
        /// From 1.
        line: u64,
        /// A lowercase fragment.
        reason: String,
    },
    /// More lines than [`LINES_MAX`].
    #[error("more than {lines_max} lines")]
    TooMany {
        /// The bound.
        lines_max: usize,
    },
}

/// Reads a file as text, decompressing it if it starts as zstd does (whatever its name is).
///
/// Errors: [`ReadError`]; the bound holds for what comes out, so a small file cannot unpack into a large one.
pub fn read_text(path: &Path) -> Result<String, ReadError> {
    read_text_bounded(path, TEXT_BYTES_MAX)
}

fn read_text_bounded(path: &Path, bytes_max: u64) -> Result<String, ReadError> {
    let unreadable = |source| ReadError::Unreadable { path: path.into(), source };
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let packed = file.fill_buf().map_err(unreadable)?.starts_with(&ZSTD_MAGIC);
    let mut bytes = Vec::new();
    if packed {
        let broken = |reason: String| ReadError::Broken { path: path.into(), reason };
        // One file may hold several frames (pzstd writes them so).
        while !file.fill_buf().map_err(unreadable)?.is_empty() {
            let room = bytes_max.saturating_add(1).saturating_sub(bytes.len() as u64);
            let frame = StreamingDecoder::new(&mut file).map_err(|e| broken(e.to_string()))?;
            frame.take(room).read_to_end(&mut bytes).map_err(|e| broken(e.to_string()))?;
            if bytes.len() as u64 > bytes_max {
                break;
            }
        }
    } else {
        file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    if bytes.len() as u64 > bytes_max {
        return Err(ReadError::TooLarge { path: path.into(), bytes_max });
    }
    String::from_utf8(bytes).map_err(|e| {
        let good = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes().iter().take(good).filter(|b| **b == b'\n').count();
        ReadError::NotText { path: path.into(), line }
    })
}

/// A unit price as it stood in the file: digits, perhaps a point and more digits, perhaps a sign.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Price(String);

impl Price {
    /// Parses a plain decimal of at most 12 digits before and 6 after the point.
    ///
    /// Errors: a lowercase fragment saying what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(part) || whole.len() > 12 || part.len() > 6 {
            return Err(format!("{text:?} is not a price such as 2.55"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text of the file, such as `2.55`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether every digit is 0: a free item or a write-off.
    pub fn is_zero(&self) -> bool {
        !self.0.bytes().any(|b| (b'1'..=b'9').contains(&b))
    }

    /// Whether it is below zero, which only adjustments may be.
    pub fn is_negative(&self) -> bool {
        self.0.starts_with('-') && !self.is_zero()
    }
}

/// One line of an invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it stands in the file, from 1 (the header is 1).
    pub line: u64,
    /// `536365`, `C536379` or `A563185`.
    pub invoice: String,
    /// Case-sensitive; `85123a` is not `85123A`.
    pub code: String,
    /// As the shop typed it, trimmed; often empty for write-offs.
    pub name: String,
    /// Whole pieces, never 0; negative for returns and write-offs.
    pub quantity: i64,
    /// `2010-12-01`.
    pub date: Date,
    /// `2010-12-01T08:26:00`.
    pub at: String,
    /// Per piece.
    pub price: Price,
    /// The publisher's number of the customer; empty if unknown.
    pub customer: String,
}

/// A calendar date as `YYYY-MM-DD`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(String);

impl Date {
    /// Parses `YYYY-MM-DD`, a day that the calendar has.
    ///
    /// Errors: a lowercase fragment saying what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a date such as 2010-12-01");
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return Err(wrong());
        }
        let number = |s: Option<&str>| {
            s.filter(|s| s.bytes().all(|b| b.is_ascii_digit())).and_then(|s| s.parse::<u32>().ok())
        };
        let (Some(year), Some(month), Some(day)) =
            (number(text.get(..4)), number(text.get(5..7)), number(text.get(8..)))
        else {
            return Err(wrong());
        };
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let days = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        if day == 0 || day > days { Err(wrong()) } else { Ok(Self(text.to_owned())) }
    }

    /// `2010-12-01`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Date {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

const COLUMNS: [&str; 7] =
    ["invoice_no", "stock_code", "description", "quantity", "invoice_datetime", "unit_price", "customer_id"];

/// Reads all lines of a sheet, in the order of the file. Columns are found by their names; others are left alone.
pub fn parse_sheet(text: &str) -> Result<Vec<Line>, SheetError> {
    let mut reader = csv::ReaderBuilder::new().from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let header = reader.headers().map_err(|e| shape(&e))?.clone();
    let mut places = [0_usize; COLUMNS.len()];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        *place = header.iter().position(|name| name == column).ok_or(SheetError::NoColumn { column })?;
    }
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| shape(&e))?;
        if lines.len() == LINES_MAX {
            return Err(SheetError::TooMany { lines_max: LINES_MAX });
        }
        lines.push(parse_line(&record, &places)?);
    }
    Ok(lines)
}

fn parse_line(record: &csv::StringRecord, places: &[usize; COLUMNS.len()]) -> Result<Line, SheetError> {
    let line = record.position().map_or(0, csv::Position::line);
    let refuse = |column, reason| SheetError::Cell { line, column, reason };
    let cell = |which: usize| {
        let column = COLUMNS[which];
        let cell = record.get(places[which]).unwrap_or("");
        if cell.len() > CELL_BYTES_MAX {
            return Err(refuse(column, format!("longer than {CELL_BYTES_MAX} bytes")));
        }
        Ok((column, cell))
    };
    let filled = |which: usize| match cell(which)? {
        (column, "") => Err(refuse(column, "empty".into())),
        (_, text) => Ok(text.to_owned()),
    };
    let (column, quantity) = cell(3)?;
    let quantity = match quantity.parse::<i64>() {
        Ok(0) => return Err(refuse(column, "0 pieces is neither a sale nor a return".into())),
        Ok(pieces) if pieces.abs() <= 1_000_000_000 => pieces,
        _ => return Err(refuse(column, format!("{quantity:?} is not a whole number of pieces"))),
    };
    let (column, at) = cell(4)?;
    let wrong = |_| refuse(column, format!("{at:?} is not a time such as 2010-12-01T08:26:00"));
    let (date, time) = at.split_once('T').ok_or(()).map_err(wrong)?;
    let date = Date::parse(date).map_err(|_| wrong(()))?;
    if !is_time(time) {
        return Err(wrong(()));
    }
    let (column, price) = cell(5)?;
    let price = Price::parse(price).map_err(|reason| refuse(column, reason))?;
    Ok(Line {
        line,
        invoice: filled(0)?,
        code: filled(1)?,
        name: cell(2)?.1.trim().to_owned(),
        quantity,
        date,
        at: at.to_owned(),
        price,
        customer: cell(6)?.1.to_owned(),
    })
}

fn is_time(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let below = |part: &str, limit: u8| part.len() == 2 && part.parse::<u8>().is_ok_and(|n| n < limit);
    matches!(parts[..], [h, m, s] if below(h, 24) && below(m, 60) && below(s, 60))
}

fn shape(error: &csv::Error) -> SheetError {
    let line = error.position().map_or(1, csv::Position::line);
    let reason = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} cells where the header has {expected_len}")
        }
        other => format!("not CSV: {other:?}"),
    };
    SheetError::Shape { line, reason }
}

#[cfg(test)]
mod tests;
