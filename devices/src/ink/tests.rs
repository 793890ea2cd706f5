use super::*;
use crate::fonts::BuiltIn;
use proptest::prelude::*;

const MANY: Model = Model {
    code_page: CodePage::Pc437,
    code_page_number: 0,
    pages: &[
        (0, CodePage::Pc437),
        (2, CodePage::Pc850),
        (17, CodePage::Pc866),
        (18, CodePage::Pc852),
        (19, CodePage::Pc858),
    ],
    ..Model::paper_80mm()
};

fn of(text: &str, model: &Model) -> Vec<Part> {
    parts(text, &[], false, model, model.code_page_number, &BuiltIn)
}

fn text(text: &[u8]) -> Part {
    Part::Text(text.to_vec())
}

#[test]
fn a_text_stays_on_the_page_that_it_is_on() {
    assert_eq!(of("Café", &MANY), [text(b"Caf\x82")]);
}

#[test]
fn a_page_is_changed_where_it_must_be_to_the_one_that_reaches_furthest() {
    // 850 and 852 have the first letter, only 852 the others too.
    assert_eq!(of("Ábłd", &MANY), [Part::Page(18), text(b"\xb5b\x88d")]);
    assert_eq!(
        of("2 € Чай", &MANY),
        [text(b"2 "), Part::Page(19), text(b"\xd5 "), Part::Page(17), text(b"\x97\xa0\xa9")]
    );
}

#[test]
fn what_no_page_has_is_drawn_in_its_place_and_columns_hold() {
    let got = of("Tee 茶 1.20", &MANY);
    let [Part::Text(before), Part::Dots(dots), Part::Text(after)] = got.as_slice() else { panic!("{got:?}") };
    assert_eq!((before.as_slice(), dots.width(), after.as_slice()), (&b"Tee "[..], 24, &b" 1.20"[..]));
}

#[test]
fn quotes_and_dashes_have_twins_and_are_not_drawn() {
    assert_eq!(of("“bio” – 5\u{a0}‰", &Model { pages: &[], ..MANY })[0], text(b"\"bio\" - 5\xff"));
}

#[test]
fn a_name_that_runs_leftward_leaves_the_amount_at_the_right() {
    let got = parts("שלום  12.50", &["שלום  ".len()], false, &MANY, 0, &BuiltIn);
    let [Part::Dots(name), Part::Text(gap), Part::Text(amount)] = got.as_slice() else { panic!("{got:?}") };
    assert_eq!((name.width(), gap.as_slice(), amount.as_slice()), (48, &b"  "[..], &b"12.50"[..]));
}

#[test]
fn a_printer_that_cannot_draw_gets_a_spelling_and_never_a_question() {
    let model = Model { dots_by: DotsBy::Nothing, ..MANY };
    let page = spelt(&Page::new().line("Łódź 茶 ₹5"), &model);
    assert_eq!(page.plain(40), "Łódź <8336> INR5\n");
}

/// The fewest changes of page, found by trying all.
fn fewest(chars: &[char], now: u8) -> usize {
    let Some((c, rest)) = chars.split_first() else { return 0 };
    let ways = pages(&MANY).filter(|(_, page)| page.byte(*c).is_some());
    ways.map(|(number, _)| usize::from(number != now) + fewest(rest, number)).min().unwrap_or(0)
}

proptest! {
    #[test]
    fn no_other_order_of_pages_needs_fewer_changes(chars in prop::collection::vec(prop::sample::select(vec!['a', 'é', 'ł', 'Á', '€', 'Я', 'ß']), 0..8)) {
        let parts = of(&chars.iter().collect::<String>(), &MANY);
        let changes = parts.iter().filter(|part| matches!(part, Part::Page(_))).count();
        prop_assert_eq!(changes, fewest(&chars, 0));
    }

    #[test]
    fn every_row_is_as_wide_as_its_columns(name in any::<String>()) {
        let page = Page::new().line(&name);
        for row in page.lay_out(32) {
            let crate::page::Row::Text { text, cells, .. } = row else { continue };
            let parts = parts(&text, &cells, false, &MANY, 0, &BuiltIn);
            let columns: usize = parts.iter().map(|part| match part {
                Part::Page(_) => 0,
                Part::Text(bytes) => bytes.len(),
                Part::Dots(dots) => dots.width() / CELL_DOTS,
            }).sum();
            prop_assert_eq!(columns, width::columns(&text), "{:?}", text);
            prop_assert!(columns <= 32);
        }
    }
}

#[test]
fn a_page_that_a_person_found_wrong_prints_ascii_only_and_the_others_take_its_letters() {
    let wrong = MANY.corrected(&[0, 19], 2);
    assert_eq!(wrong.cut, crate::model::Cut::After(2));
    let pages = |model: &Model, text: &str| -> Vec<u8> {
        let changed = |part| if let Part::Page(number) = part { Some(number) } else { None };
        of(text, model).into_iter().filter_map(changed).collect()
    };
    assert!(pages(&MANY, "Tomato").is_empty());
    assert_eq!(pages(&MANY, "Käse 5 €"), [19]);
    assert!(pages(&wrong, "Tomato").is_empty());
    assert_eq!(pages(&wrong, "Käse"), [2], "a page that holds what it is called");
    // Nobody else has the euro sign: it is drawn.
    assert!(matches!(of("€", &wrong).as_slice(), [Part::Dots(_)]));
}
