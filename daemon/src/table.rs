//! Answers as tables for people: nothing that the JSON does not say too.

use serde_json::Value;

/// A column: its heading, and where in a row its cell is, as a JSON pointer.
pub type Column<'a> = (&'a str, &'a str);

/// The rows at a pointer; none where there is no list.
#[must_use]
pub fn list<'a>(answer: &'a Value, pointer: &str) -> &'a [Value] {
    answer.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A value as it stands in a table; "-" where there is none.
#[must_use]
pub fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".into(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A table with a heading; "none" for no rows.
#[must_use]
pub fn table(rows: &[Value], columns: &[Column<'_>]) -> String {
    if rows.is_empty() {
        return "none\n".into();
    }
    let mut lines: Vec<Vec<String>> =
        vec![columns.iter().map(|(heading, _)| (*heading).to_owned()).collect()];
    let cells = |row: &Value| columns.iter().map(|(_, pointer)| cell(row.pointer(pointer))).collect();
    lines.extend(rows.iter().map(cells));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_lines_up_and_an_empty_one_says_none() {
        let answer = json!({ "stock": [{ "code": "A", "qty": "1.000" }, { "code": "LONGER", "qty": null }] });
        let columns = [("CODE", "/code"), ("QUANTITY", "/qty")];
        assert_eq!(table(list(&answer, "/stock"), &columns), "CODE    QUANTITY\nA       1.000\nLONGER  -\n");
        assert_eq!(table(list(&answer, "/nothing"), &columns), "none\n");
    }
}
