//! A page's blocks as rows that fit on a paper. Pure.
//!
//! Invariant: no row is wider than the paper, measured in columns as [`crate::width`] counts them.

use super::{Align, Block, Cell, Page, Row, Style};
use crate::width;

impl Page {
    /// The rows of the page for a paper of so many columns, each short enough for its size.
    ///
    /// Shape: `columns` below 8 is taken as 8. A wide sign takes two columns, a mark on a letter none.
    #[must_use]
    pub fn lay_out(&self, columns: usize) -> Vec<Row> {
        let columns = columns.max(COLUMNS_MIN);
        let mut rows = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            match block {
                Block::Text { text, style } => {
                    let lines = wrap(text, columns / style.size.columns());
                    rows.extend(lines.into_iter().map(|text| Row::Text {
                        text,
                        cells: Vec::new(),
                        style: *style,
                    }));
                }
                Block::Columns { left, right, style } => {
                    let lines = two_columns(left, right, columns / style.size.columns());
                    rows.extend(lines.into_iter().map(|(text, cells)| Row::Text {
                        text,
                        cells,
                        style: *style,
                    }));
                }
                Block::Cells { cells, style } => {
                    let lines = table_row(cells, columns / style.size.columns());
                    rows.extend(lines.into_iter().map(|(text, cells)| Row::Text {
                        text,
                        cells,
                        style: *style,
                    }));
                }
                Block::Rule => {
                    rows.push(Row::Text {
                        text: "-".repeat(columns),
                        cells: Vec::new(),
                        style: Style::PLAIN,
                    });
                }
                Block::Code(row) => rows.push(row.clone()),
                Block::Feed(n) => rows.push(Row::Feed(*n)),
                Block::Cut => rows.push(Row::Cut),
            }
        }
        rows
    }

    /// The page as text, as a preview on a screen shows it; cuts are left out, codes and pictures are in brackets.
    #[must_use]
    pub fn plain(&self, columns: usize) -> String {
        let columns = columns.max(COLUMNS_MIN);
        let mut plain = String::new();
        for row in self.lay_out(columns) {
            let line = match row {
                Row::Text { text, style, .. } => aligned(&text, style, columns),
                Row::Barcode(code) => aligned(&format!("[{} {}]", code.name(), code.data()), CODE, columns),
                Row::Qr(qr) => aligned(&format!("[QR {}]", qr.data()), CODE, columns),
                Row::Pdf417(code) => aligned(&format!("[PDF417 {}]", code.data()), CODE, columns),
                Row::Picture(_) => aligned("[picture]", CODE, columns),
                Row::Feed(rows) => "\n".repeat(usize::from(rows).saturating_sub(1)),
                Row::Cut => continue,
            };
            plain.push_str(line.trim_end_matches(' '));
            plain.push('\n');
        }
        plain
    }
}

/// A row and where its later cells start.
type CellRow = (String, Vec<usize>);

/// Breaks at spaces, hard inside a word only if the word alone is too long. Rows after the first keep the indent.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let text = text.trim_end();
    if width::columns(text) <= columns {
        return vec![text.to_owned()];
    }
    let indent = text.chars().take_while(|c| *c == ' ').count().min(columns / 2);
    let pad = " ".repeat(indent);
    let mut rows = Vec::new();
    let (mut row, mut used) = (pad.clone(), indent);
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let wide = width::columns(word);
        let gap = usize::from(used > indent);
        if used > indent && used + gap + wide > columns {
            rows.push(std::mem::replace(&mut row, pad.clone()));
            used = indent;
        } else if gap == 1 {
            row.push(' ');
            used += 1;
        }
        for c in word.chars() {
            if used + width::of(c) > columns {
                rows.push(std::mem::replace(&mut row, pad.clone()));
                used = indent;
            }
            row.push(c);
            used += width::of(c);
        }
    }
    rows.push(row);
    rows
}

fn two_columns(left: &str, right: &str, columns: usize) -> Vec<CellRow> {
    let right = right.trim();
    let amount = width::columns(right);
    let alone = |rows: Vec<String>| rows.into_iter().map(|row| (row, Vec::new())).collect();
    if amount == 0 {
        return alone(wrap(left, columns));
    }
    if amount + 1 + NAME_COLUMNS_MIN > columns {
        let mut rows = wrap(left, columns);
        rows.extend(wrap(right, columns).iter().map(|row| padded(row, columns, Align::Right)));
        return alone(rows);
    }
    let mut rows = wrap(left, columns - amount - 1);
    let last = rows.pop().unwrap_or_default();
    let name = padded(&last, columns - amount, Align::Left);
    let at = name.len();
    let mut rows: Vec<CellRow> = alone(rows);
    rows.push((name + right, vec![at]));
    rows
}

/// The rows of one row of a table: as many as its highest cell.
fn table_row(cells: &[Cell], columns: usize) -> Vec<CellRow> {
    let gaps = cells.len().saturating_sub(1);
    let fixed: usize = cells.iter().map(|cell| usize::from(cell.columns)).sum();
    let open = cells.iter().filter(|cell| cell.columns == 0).count();
    let rest = columns.saturating_sub(fixed + gaps);
    if fixed + gaps > columns || rest < open * CELL_COLUMNS_MIN {
        let rows = cells.iter().flat_map(|cell| wrap(&cell.text, columns));
        return rows.map(|row| (row, Vec::new())).collect();
    }
    let mut shared = 0;
    let columns = cells.iter().map(|cell| match usize::from(cell.columns) {
        0 => {
            shared += 1;
            rest * shared / open - rest * (shared - 1) / open
        }
        fixed => fixed,
    });
    let columns: Vec<usize> = columns.collect();
    let wrapped: Vec<Vec<String>> =
        cells.iter().zip(&columns).map(|(cell, n)| wrap(&cell.text, *n)).collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
    (0..height).map(|y| joined(cells, &columns, wrapped.iter().map(|rows| rows.get(y)))).collect()
}

fn joined<'a>(cells: &[Cell], columns: &[usize], texts: impl Iterator<Item = Option<&'a String>>) -> CellRow {
    let (mut row, mut starts) = (String::new(), Vec::new());
    for ((cell, columns), text) in cells.iter().zip(columns).zip(texts) {
        if !row.is_empty() {
            row.push(' ');
            starts.push(row.len());
        }
        row.push_str(&padded(text.map_or("", String::as_str), *columns, cell.align));
    }
    (row, starts)
}

/// Text filled up with spaces to a width.
fn padded(text: &str, columns: usize, align: Align) -> String {
    let free = columns.saturating_sub(width::columns(text));
    let before = before(free, align);
    format!("{}{text}{}", " ".repeat(before), " ".repeat(free - before))
}

/// Text padded to where its alignment puts it.
fn aligned(text: &str, style: Style, columns: usize) -> String {
    let free = columns.saturating_sub(width::columns(text) * style.size.columns());
    format!("{}{text}", " ".repeat(before(free, style.align)))
}

/// How much of the free room stands before what is aligned.
pub(crate) fn before(free: usize, align: Align) -> usize {
    match align {
        Align::Left => 0,
        Align::Centre => free / 2,
        Align::Right => free,
    }
}

const CODE: Style = Style::PLAIN.centre();
const COLUMNS_MIN: usize = 8;
const NAME_COLUMNS_MIN: usize = 6;
const CELL_COLUMNS_MIN: usize = 4;
