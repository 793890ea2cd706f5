//! What a row of text becomes for a printer: code pages where they do, dots where they do not. Pure.
//!
//! Invariants: a row takes the columns that the layout gave it, whatever its letters; the printer's code page is changed as
//! seldom as can be. Text that runs from right to left is always drawn: printers differ in whether they turn it around,
//! and its letters join. So is what is made of a letter and a mark that have no letter of their own.

use unicode_bidi::{BidiInfo, Level};

use crate::bitmap::Bitmap;
use crate::codepage::{CodePage, invisible, twin};
use crate::fonts::{self, Faces};
use crate::model::{CELL_DOTS, CELL_ROWS, DotsBy, Model};
use crate::page::layout::before;
use crate::page::{Page, Size, Style};
use crate::width;

/// A part of a row, from left to right as it stands on paper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// From here on, the model's page of this number.
    Page(u8),
    /// Characters of that page; none is a control.
    Text(Vec<u8>),
    /// Dots of the height of a row.
    Dots(Bitmap),
}

/// A run of one direction.
struct Run<'a> {
    text: &'a str,
    leftward: bool,
}

/// The page as a printer that cannot draw shows it: what its code pages lack is spelt.
pub(crate) fn spelt(page: &Page, model: &Model) -> Page {
    if model.dots_by != DotsBy::Nothing {
        return page.clone();
    }
    page.spelt(|text| {
        text.chars().fold(String::new(), |mut shown, c| {
            match byte_of(c, model) {
                Some(_) => shown.push(c),
                None => shown.push_str(&model.code_page.show(c.encode_utf8(&mut [0; 4]))),
            }
            shown
        })
    })
}

/// The parts of a row for a printer whose code page is `now`.
pub(crate) fn parts(
    text: &str,
    cells: &[usize],
    bold: bool,
    model: &Model,
    now: u8,
    faces: &dyn Faces,
) -> Vec<Part> {
    let mut parts = Parts { model, now, parts: Vec::new() };
    for run in runs(text, cells) {
        if run.leftward && model.dots_by == DotsBy::Nothing {
            // Spelt in letters, the last one first.
            parts.text(&letters(run.text).into_iter().rev().collect::<Vec<_>>());
        } else if run.leftward {
            parts.dots(fonts::draw(run.text, true, bold, faces));
        } else {
            parts.run(&letters(run.text), bold, faces);
        }
    }
    parts.parts
}

/// A row of text as dots, in its size, where its alignment puts it on a paper of so many columns.
pub(crate) fn drawn(text: &str, cells: &[usize], style: Style, columns: usize, faces: &dyn Faces) -> Bitmap {
    let mut line = Bitmap::new(width::columns(text) * CELL_DOTS, CELL_ROWS);
    let mut at = 0;
    for run in runs(text, cells) {
        let dots = fonts::draw(run.text, run.leftward, style.bold, faces);
        line.stamp(&dots, at, 0);
        at += dots.width();
    }
    let line = match style.size {
        Size::Normal => line,
        Size::Tall => line.scaled(1, 2),
        Size::Wide => line.scaled(2, 1),
        Size::Big => line.doubled(),
    };
    let mut row = Bitmap::new(columns * CELL_DOTS, line.height());
    row.stamp(&line, before((columns * CELL_DOTS).saturating_sub(line.width()), style.align), 0);
    row
}

/// The runs of a row in the order in which they stand on paper; each cell is read for itself.
fn runs<'a>(text: &'a str, cells: &[usize]) -> Vec<Run<'a>> {
    let mut runs = Vec::new();
    let starts = std::iter::once(0).chain(cells.iter().copied());
    let ends = cells.iter().copied().chain(std::iter::once(text.len()));
    for cell in starts.zip(ends).filter_map(|(start, end)| text.get(start..end)) {
        if !cell.chars().any(leftward) {
            runs.push(Run { text: cell, leftward: false });
            continue;
        }
        // Spaces that fill a cell belong to its sides, not to its sentence.
        let inner = cell.trim_matches(' ');
        let lead = cell.len() - cell.trim_start_matches(' ').len();
        let (before, rest) = cell.split_at(lead);
        let (inner, after) = rest.split_at(inner.len());
        runs.push(Run { text: before, leftward: false });
        let bidi = BidiInfo::new(inner, None);
        for paragraph in &bidi.paragraphs {
            let (levels, visual) = bidi.visual_runs(paragraph, paragraph.range.clone());
            let leftward = |at: usize| levels.get(at).is_some_and(Level::is_rtl);
            runs.extend(
                visual.into_iter().map(|range| Run { leftward: leftward(range.start), text: &inner[range] }),
            );
        }
        runs.push(Run { text: after, leftward: false });
    }
    runs
}

/// Whether a character is of a script that runs from right to left.
fn leftward(c: char) -> bool {
    matches!(u32::from(c), 0x0590..=0x08ff | 0xfb1d..=0xfdff | 0xfe70..=0xfefe | 0x10800..=0x10fff | 0x1e800..=0x1efff)
}

/// A letter with its marks.
type Letter<'a> = &'a str;

fn letters(text: &str) -> Vec<Letter<'_>> {
    let mut letters = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices() {
        if at > start && width::of(c) > 0 {
            letters.push(&text[start..at]);
            start = at;
        }
    }
    if start < text.len() {
        letters.push(&text[start..]);
    }
    letters
}

/// A model's code pages, the one to print with first in front.
fn pages(model: &Model) -> impl Iterator<Item = (u8, CodePage)> + Clone {
    let first = (model.code_page_number, model.code_page);
    std::iter::once(first).chain(model.pages.iter().copied().filter(move |page| page.0 != first.0))
}

fn byte_of(c: char, model: &Model) -> Option<u8> {
    pages(model).find_map(|(number, page)| model.byte(number, page, c))
}

struct Parts<'a> {
    model: &'a Model,
    now: u8,
    parts: Vec<Part>,
}

impl Parts<'_> {
    /// Letters from left to right; a stretch of those that no page has is drawn in one piece, so that they join.
    fn run(&mut self, letters: &[Letter<'_>], bold: bool, faces: &dyn Faces) {
        let mut rest = letters;
        while !rest.is_empty() {
            let printed = rest.iter().take_while(|letter| self.plain_or_spelt(letter)).count();
            let (now, later) = rest.split_at(printed);
            let drawn = later.iter().take_while(|letter| !self.plain_or_spelt(letter)).count();
            let (picture, later) = later.split_at(drawn);
            self.text(now);
            if !picture.is_empty() {
                self.dots(fonts::draw(&picture.concat(), false, bold, faces));
            }
            rest = later;
        }
    }

    fn plain_or_spelt(&self, letter: &str) -> bool {
        self.model.dots_by == DotsBy::Nothing || self.plain(letter).is_some()
    }

    /// The one character of a letter that a page has, or its twin.
    fn plain(&self, letter: &str) -> Option<char> {
        let mut chars = letter.chars().filter(|c| !invisible(*c) || !letter.starts_with(*c));
        let (Some(c), None) = (chars.next(), chars.next()) else {
            // Nothing to see is nothing to print.
            return letter.chars().all(invisible).then_some('\0');
        };
        if byte_of(c, self.model).is_some() {
            return Some(c);
        }
        twin(c).filter(|twin| byte_of(*twin, self.model).is_some())
    }

    /// Letters that pages have, in as few changes of page as can be: the one that reaches furthest is taken.
    fn text(&mut self, letters: &[Letter<'_>]) {
        let chars: Vec<char> =
            letters.iter().filter_map(|letter| self.plain(letter)).filter(|c| *c != '\0').collect();
        let mut rest = chars.as_slice();
        while !rest.is_empty() {
            let model = self.model;
            let reach =
                |number, page| rest.iter().take_while(|c| model.byte(number, page, **c).is_some()).count();
            let here = pages(self.model).find(|(number, _)| *number == self.now);
            let (number, page, many) = match here.map(|(number, page)| (number, page, reach(number, page))) {
                Some((number, page, many)) if many > 0 => (number, page, many),
                _ => {
                    let best = pages(self.model).map(|(number, page)| (number, page, reach(number, page)));
                    // Of equals the first: the page to print with before the others.
                    let best = best.reduce(|best, next| if next.2 > best.2 { next } else { best });
                    best.unwrap_or((self.now, self.model.code_page, 0))
                }
            };
            if many == 0 {
                rest = &rest[1..];
                continue;
            }
            if number != self.now {
                self.now = number;
                self.parts.push(Part::Page(number));
            }
            let bytes = rest[..many].iter().filter_map(|c| model.byte(number, page, *c)).collect();
            self.parts.push(Part::Text(bytes));
            rest = &rest[many..];
        }
    }

    fn dots(&mut self, dots: Bitmap) {
        if dots.width() > 0 {
            self.parts.push(Part::Dots(dots));
        }
    }
}

#[cfg(test)]
mod tests;
