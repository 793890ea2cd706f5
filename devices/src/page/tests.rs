use super::*;
use proptest::prelude::*;

fn rows(page: &Page, columns: usize) -> Vec<String> {
    let text = |row| match row {
        Row::Text { text, .. } => Some(text),
        _ => None,
    };
    page.lay_out(columns).into_iter().filter_map(text).collect()
}

fn job_of(rows: &[String]) -> Option<String> {
    job_on_paper(rows.iter().map(String::as_str))
}

#[test]
fn a_long_name_wraps_and_its_amount_stays_whole_at_the_end() {
    let page = Page::new().columns("White hanging heart t-light holder", "1 234.55");
    assert_eq!(rows(&page, 32), ["White hanging heart", "t-light holder          1 234.55"]);
    assert_eq!(rows(&page, 48), ["White hanging heart t-light holder      1 234.55"]);
}

#[test]
fn an_amount_too_wide_for_the_paper_gets_rows_of_its_own() {
    let page = Page::new().columns("Tin", "123456789012");
    assert_eq!(rows(&page, 16), ["Tin", "    123456789012"]);
}

#[test]
fn an_indent_is_kept_on_the_rows_that_follow() {
    assert_eq!(rows(&Page::new().line("  one two three"), 9), ["  one two", "  three"]);
}

#[test]
fn an_endless_word_is_broken_hard() {
    assert_eq!(rows(&Page::new().line("ab 0123456789x"), 8), ["ab", "01234567", "89x"]);
}

#[test]
fn an_empty_line_is_an_empty_row() {
    assert_eq!(rows(&Page::new().line(""), 20), [""]);
}

#[test]
fn wide_text_has_half_the_columns() {
    let page = Page::new().text("BIG SHOP", Style::PLAIN.size(Size::Big)).columns_styled(
        "TOTAL",
        "9.99",
        Style::PLAIN.size(Size::Wide),
    );
    assert_eq!(rows(&page, 32), ["BIG SHOP", "TOTAL       9.99"]);
}

#[test]
fn a_name_cannot_start_a_line_of_its_own() {
    let page = Page::new().line("Tin\nJob 999\r\n").line("Job").job("a1-\n7/Z");
    let rows = rows(&page, 42);
    assert_eq!(rows, ["Tin Job 999", "Job", "Job a1-7Z"]);
    assert_eq!(job_of(&rows).as_deref(), Some("a1-7Z"));
}

#[test]
fn a_name_that_wraps_into_a_job_line_does_not_hide_the_real_one() {
    let page = Page::new().line("0123456789abcdefgh Job 42").job("77");
    let rows = rows(&page, 20);
    assert_eq!(rows[1], "Job 42");
    assert_eq!(job_of(&rows).as_deref(), Some("77"));
}

#[test]
fn a_job_is_found_on_paper_of_any_width() {
    let (short, receipt) = ("a1-7Z", "0198c0de5f4a4d0e9b1c07e25f4a4d0e");
    let longest = "7".repeat(JOB_CHARS_MAX);
    for columns in [8, 20, 21, 30, 31, 32, 33, 42, 48, 64, 68] {
        for id in [short, receipt, &longest] {
            // What stands above looks like it, and is no part of it.
            let page = Page::new().line("Job").line("42").line("abc").rule().line("Job").job(id);
            let rows = rows(&page, columns);
            assert_eq!(job_of(&rows).as_deref(), Some(id), "{columns}: {rows:?}");
        }
    }
    assert_eq!(job_of(&["Job".into(), String::new(), "77".into()]), None, "a row between");
    assert_eq!(job_of(&["Job".into(), "0123".into(), "456".into(), "7".into()]).as_deref(), Some("0123456"));
    let too_long = ["Job".into(), "7".repeat(40), "7".repeat(40)];
    assert_eq!(job_of(&too_long), None);
}

#[test]
fn the_banner_is_a_banner_only_at_the_top() {
    let page = Page::new().line("Corner shop").line(POSSIBLE_DUPLICATE);
    assert!(!marked_on_paper(rows(&page, 32).iter().map(String::as_str)));
    let marked = page.marked_possible_duplicate();
    assert!(marked_on_paper(rows(&marked, 32).iter().map(String::as_str)));
}

#[test]
fn a_name_as_long_as_a_book_is_cut_short() {
    let rows = rows(&Page::new().line(&"x".repeat(100_000)), 50);
    assert_eq!(rows.len(), TEXT_CHARS_MAX / 50 + 1);
    assert_eq!(rows.last().map(String::as_str), Some("..."));
}

#[test]
fn a_preview_shows_codes_in_brackets() -> Result<(), crate::CodeError> {
    let page = Page::new().barcode(Barcode::ean8("96385074")?).qr(Qr::new("R-17")?).feed(2).line("end").cut();
    assert_eq!(page.plain(20), "  [EAN8 96385074]\n     [QR R-17]\n\n\nend\n");
    Ok(())
}

#[test]
fn a_wide_sign_takes_two_columns_and_is_never_cut_in_half() {
    let page = Page::new().columns("烏龍茶 大杯", "65").line("一二三四五");
    assert_eq!(rows(&page, 16), ["烏龍茶 大杯   65", "一二三四五"]);
    assert_eq!(rows(&Page::new().line("一二三四五"), 9), ["一二三四", "五"]);
}

#[test]
fn a_table_wraps_each_cell_in_its_own_columns() {
    let row = |a: &str, b: &str, c: &str| [Cell::new(a, 3).right(), Cell::new(b, 0), Cell::new(c, 6).right()];
    let page = Page::new().cells(row("2", "Tomatoes in a tin", "2.40"), Style::PLAIN);
    assert_eq!(rows(&page, 24), ["  2 Tomatoes in a   2.40", "    tin                 "]);
    let narrow = Page::new().cells(row("2", "Tin", "2.40"), Style::PLAIN);
    assert_eq!(rows(&narrow, 12), ["2", "Tin", "2.40"], "too narrow for four columns of name");
}

#[test]
fn accents_are_part_of_their_letters_and_what_turns_the_reading_order_is_gone() {
    let page = Page::new().line("Cafe\u{301} \u{202e}abc\u{202c}\u{200b}!");
    assert_eq!(rows(&page, 32), ["Café abc!"]);
}

proptest! {
    #[test]
    fn no_row_is_wider_than_the_paper(
        left in any::<String>(), right in "[0-9. ]{0,40}", columns in 8_usize..64, big in any::<bool>()
    ) {
        let style = Style::PLAIN.size(if big { Size::Big } else { Size::Normal });
        let page = Page::new().text(&left, style).columns_styled(&left, &right, style);
        for row in rows(&page, columns) {
            prop_assert!(crate::width::columns(&row) * style.size.columns() <= columns, "{row:?}");
            prop_assert!(!row.chars().any(char::is_control), "{row:?}");
        }
    }

    #[test]
    fn wrapping_loses_no_letter(text in "[a-z ]{0,200}", columns in 8_usize..64) {
        let letters = |s: &str| s.chars().filter(|c| *c != ' ').collect::<String>();
        let page = Page::new().line(&text);
        prop_assert_eq!(letters(&rows(&page, columns).concat()), letters(&text));
    }
}

#[test]
fn so_many_copies_are_so_many_sheets_and_one_at_least() {
    let page = Page::new().line("TOTAL 3.39").cut();
    let cuts = |page: &Page| page.lay_out(32).iter().filter(|row| matches!(row, Row::Cut)).count();
    for (asked, sheets) in [(0, 1), (1, 1), (3, 3)] {
        let all = page.clone().times(asked);
        assert_eq!((rows(&all, 32), cuts(&all)), (vec!["TOTAL 3.39".to_owned(); sheets], sheets));
    }
}
