use std::io::Write;

use super::*;

const HEADER: &str =
    "line_no,invoice_no,stock_code,description,quantity,invoice_datetime,unit_price,customer_id,country\n";

fn refusal(row: &str) -> String {
    parse_sheet(&format!(
        "{HEADER}1,536365,85123A,HEART,6,2010-12-01T08:26:00,2.55,17850,United Kingdom\n{row}\n"
    ))
    .unwrap_err()
    .to_string()
}

#[test]
fn a_line_keeps_its_code_as_written_and_its_price_as_text() {
    let text = format!(
        "{HEADER}871,536477,22041a,\"RECORD FRAME 7\"\" SIZE, \",48,2010-12-01T12:27:00,2.10,,EIRE\n"
    );
    let lines = parse_sheet(&text).unwrap();
    assert_eq!(lines[0].code, "22041a");
    assert_eq!(lines[0].name, "RECORD FRAME 7\" SIZE,");
    assert_eq!(lines[0].price.as_str(), "2.10");
    assert_eq!((lines[0].line, lines[0].quantity, lines[0].date.as_str()), (2, 48, "2010-12-01"));
}

#[test]
fn a_bad_cell_is_named_by_line_and_column() {
    for (row, wanted) in [
        ("2,536366,A,N,six,2010-12-01T08:26:00,2.55,,UK", "line 3, column quantity: \"six\" is not a whole"),
        ("2,536366,A,N,1.5,2010-12-01T08:26:00,2.55,,UK", "line 3, column quantity: \"1.5\" is not"),
        ("2,536366,A,N,0,2010-12-01T08:26:00,2.55,,UK", "line 3, column quantity: 0 pieces"),
        (
            "2,536366,A,N,1,2010-12-01T08:26:00,2.5.5,,UK",
            "line 3, column unit_price: \"2.5.5\" is not a price",
        ),
        ("2,536366,A,N,1,2010-12-01T08:26:00,1e3,,UK", "line 3, column unit_price"),
        ("2,536366,A,N,1,2010-12-01T08:26:00,,,UK", "line 3, column unit_price"),
        ("2,536366,A,N,1,2010-02-30T08:26:00,2.55,,UK", "line 3, column invoice_datetime"),
        ("2,536366,A,N,1,01/12/2010 08:26,2.55,,UK", "line 3, column invoice_datetime"),
        ("2,536366,A,N,1,2010-12-01T24:00:00,2.55,,UK", "line 3, column invoice_datetime"),
        ("2,,A,N,1,2010-12-01T08:26:00,2.55,,UK", "line 3, column invoice_no: empty"),
        ("2,536366,,N,1,2010-12-01T08:26:00,2.55,,UK", "line 3, column stock_code: empty"),
        ("2,536366,A,N,1", "line 3: 5 cells where the header has 9"),
    ] {
        let said = refusal(row);
        assert!(said.starts_with(wanted), "{row}: {said}");
    }
    let long = format!("2,536366,{},N,1,2010-12-01T08:26:00,2.55,,UK", "9".repeat(CELL_BYTES_MAX + 1));
    assert!(refusal(&long).starts_with("line 3, column stock_code: longer than"));
}

#[test]
fn a_missing_column_is_named() {
    let said = parse_sheet("invoice_no,stock_code\n1,2\n").unwrap_err().to_string();
    assert_eq!(said, "line 1 has no column description");
}

#[test]
fn a_sheet_with_a_header_only_is_empty() {
    assert_eq!(parse_sheet(HEADER).unwrap(), []);
}

#[test]
fn leap_years_end_when_the_calendar_says() {
    assert!(Date::parse("2012-02-29").is_ok());
    assert!(Date::parse("2000-02-29").is_ok());
    for wrong in
        ["2011-02-29", "1900-02-29", "2010-13-01", "2010-00-10", "2010-1-01", "+010-01-01", "2010-01-3é"]
    {
        assert!(Date::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn zero_is_zero_however_it_is_written() {
    for zero in ["0", "0.00", "-0.0", "000.000"] {
        let price = Price::parse(zero).unwrap();
        assert!(price.is_zero() && !price.is_negative(), "{zero}");
    }
    assert!(!Price::parse("0.001").unwrap().is_zero());
    assert!(Price::parse("-11062.06").unwrap().is_negative());
}

#[test]
fn the_same_text_is_read_from_a_plain_and_a_packed_file() {
    let dir = tempfile::tempdir().unwrap();
    let week = read_text(&crate::day::bundled_week()).unwrap();
    let plain = dir.path().join("plain.csv");
    std::fs::write(&plain, &week).unwrap();
    assert_eq!(read_text(&plain).unwrap(), week);
    let twice = dir.path().join("two_frames.zst");
    let packed = std::fs::read(crate::day::bundled_week()).unwrap();
    std::fs::write(&twice, [packed.clone(), packed.clone()].concat()).unwrap();
    assert_eq!(read_text(&twice).unwrap().len(), 2 * week.len());
    let torn = dir.path().join("torn.zst");
    std::fs::write(&torn, &packed[..packed.len() / 2]).unwrap();
    assert!(read_text(&torn).unwrap_err().to_string().contains("is not a whole zstd file"));
}

#[test]
fn a_file_that_unpacks_beyond_the_bound_is_refused() {
    let said = read_text_bounded(&crate::day::bundled_week(), 100_000).unwrap_err().to_string();
    assert!(said.ends_with("holds more than 100000 bytes of text"), "{said}");
}

#[test]
fn a_file_that_is_not_text_is_refused_with_its_line() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"good\nbad \xff\n").unwrap();
    assert!(read_text(file.path()).unwrap_err().to_string().starts_with("line 2 of "));
    let said = read_text(Path::new("no-such-file.csv")).unwrap_err().to_string();
    assert_eq!(said, "no-such-file.csv cannot be read");
}
