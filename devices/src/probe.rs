//! The test strip, and what a printer shows of itself while it prints one. Pure.
//!
//! A printer can tell how much it confirms and whether it reports changes; whether its letters are the right ones and its
//! cutter spares the last rows, only a person with the strip in hand can, see
//! [`Model::corrected`].

use crate::fonts::Faces;
use crate::model::{Job, Model, PageSet};
use crate::outcome::{Level, Outcome};
use crate::page::{Page, Size, Style};

/// What a probe found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// What became of the strip.
    pub outcome: Outcome,
    /// Whether it tells changes of its state unasked.
    pub reports_changes: bool,
    /// The level of the drawer's sensor, if it told one.
    pub drawer_level: Option<bool>,
}

impl Probed {
    /// Nothing was learnt.
    pub(crate) fn without(outcome: Outcome) -> Probed {
        Probed { outcome, reports_changes: false, drawer_level: None }
    }

    /// What this printer confirms from now on; nothing if the strip did not come out for certain.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        match self.outcome {
            Outcome::Printed { level } | Outcome::Sent { level } => Some(level),
            Outcome::NotPrinted { .. } | Outcome::InDoubt { .. } => None,
        }
    }
}

/// Rows by which the strip shows how far the cutter is.
pub const ROWS_TO_THE_CUT: u8 = 9;

/// The strip: whose it is, a ruler, each code page by its number with letters that only it has, and rows that count down to the cut.
pub(crate) fn strip(name: &str, model: &Model, faces: &dyn Faces) -> Job {
    let centred = Style::PLAIN.centre();
    let ruler: String = (1..=model.columns).map(|nth| char::from(b'0' + nth_digit(nth))).collect();
    let head = Page::new()
        .text("TEST STRIP", centred.bold().size(Size::Tall))
        .text(name, centred)
        .line("One line of digits, from edge to edge:")
        .line(&ruler)
        .line("Code pages; each line ends in its letters:");
    let tail = Page::new().line("Rows to the cut; the lowest that is whole:");
    let tail = (1..=ROWS_TO_THE_CUT).rev().fold(tail, |tail, row| tail.line(&format!("row {row}"))).cut();
    let mut job = Job::default();
    job.append(model.job(&head, faces));
    let own = (model.code_page_number, model.code_page);
    for (number, page) in std::iter::once(own).chain(model.pages.iter().copied().filter(|page| *page != own))
    {
        let alone =
            Model { code_page: page, code_page_number: number, pages: &[], wrong: PageSet::EMPTY, ..*model };
        let letters: String = page.letters().take(LETTERS).collect();
        job.append(alone.job(&Page::new().line(&format!("{number:>3} {:<13}{letters}", page.name())), faces));
    }
    job.append(model.job(&tail, faces));
    job
}

fn nth_digit(nth: usize) -> u8 {
    u8::try_from(nth % 10).unwrap_or(0)
}

/// Letters of each code page on the strip; with its name they fit on narrow paper.
const LETTERS: usize = 14;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fonts::BuiltIn;
    use crate::virtual_printer::Machine;

    #[test]
    fn the_strip_has_a_ruler_a_line_for_each_code_page_and_one_cut() {
        let model = crate::Profile::named("epson/tm-t88v").expect("known").model;
        let job = strip("receipts", &model, &BuiltIn);
        let pieces = Machine::new(model.columns).print(&job.bytes);
        assert_eq!(pieces.len(), 1);
        let text = pieces[0].text();
        assert!(text.contains("receipts\n"), "{text}");
        assert!(text.contains(&"1234567890".repeat(5)[..42]), "{text}");
        for (number, page) in model.pages {
            assert!(text.contains(&format!("{number:>3} {}", page.name())), "{number} {text}");
        }
        assert!(text.ends_with("row 3\nrow 2\nrow 1\n"), "{text}");
        assert!(job.seams.is_sorted() && job.seams.last() == Some(&job.bytes.len()));
    }
}
