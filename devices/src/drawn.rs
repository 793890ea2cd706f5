//! A page as a picture: what a screen, a file or a printer that cannot draw codes shows. Pure.

use crate::bitmap::Bitmap;
use crate::codes::{Barcode, Pdf417, Qr, Symbology};
use crate::fonts::{BuiltIn, Faces};
use crate::ink;
use crate::model::{CELL_DOTS, CELL_ROWS, Model};
use crate::page::{Page, Row, Style};
use crate::width;

/// The paper of a page, as a printer of this model would print it, with a margin around.
///
/// Shape: dots as on paper, so a picture of 80 mm is some 640 dots across; a cut is a row of short dashes, unless it is
/// the last.
#[must_use]
pub fn paper(page: &Page, model: &Model, faces: &dyn Faces) -> Bitmap {
    let mut rows = page.lay_out(model.columns);
    while matches!(rows.last(), Some(Row::Cut | Row::Feed(_))) {
        rows.pop();
    }
    let rows: Vec<(Bitmap, usize)> = rows.iter().map(|row| drawn_row(row, model, faces)).collect();
    let height: usize = rows.iter().map(|(dots, gap)| dots.height() + gap).sum();
    let mut paper =
        Bitmap::new(model.text_dots().max(model.dots) + 2 * MARGIN_DOTS, height + 2 * MARGIN_DOTS);
    let mut y = MARGIN_DOTS;
    for (dots, gap) in rows {
        let free = paper.width().saturating_sub(dots.width());
        paper.stamp(&dots, free / 2, y);
        y += dots.height() + gap;
    }
    paper
}

/// A row's dots and the gap below.
fn drawn_row(row: &Row, model: &Model, faces: &dyn Faces) -> (Bitmap, usize) {
    match row {
        Row::Text { text, .. } if is_rule(text, model) => (rule(model), LINE_GAP_DOTS),
        Row::Text { text, cells, style } => {
            (ink::drawn(text, cells, *style, model.columns, faces), LINE_GAP_DOTS)
        }
        Row::Barcode(code) => {
            let dots = if code.modules() * 3 <= model.dots { 3 } else { 2 };
            match code.modules() * dots <= model.dots {
                true => (barcode(code, dots), CODE_GAP_DOTS),
                false => (line(code.data(), model, faces), LINE_GAP_DOTS),
            }
        }
        Row::Qr(code) => match (model.dots / code.modules()).min(6) {
            0 => (line(code.data(), model, faces), LINE_GAP_DOTS),
            dots => (qr(code, dots), CODE_GAP_DOTS),
        },
        Row::Pdf417(code) => match (model.dots / code.modules()).min(3) {
            0 => (line(code.data(), model, faces), LINE_GAP_DOTS),
            dots => (pdf417(code, dots), CODE_GAP_DOTS),
        },
        Row::Picture(picture) => (picture.dots().clone(), CODE_GAP_DOTS),
        Row::Feed(rows) => (Bitmap::new(0, 0), usize::from(*rows) * LINE_DOTS),
        Row::Cut => (torn(model), LINE_DOTS),
    }
}

fn is_rule(text: &str, model: &Model) -> bool {
    text.len() == model.columns && text.bytes().all(|b| b == b'-')
}

/// Fine dashes, as a row of hyphens is on paper.
fn rule(model: &Model) -> Bitmap {
    let mut rule = Bitmap::new(model.text_dots(), CELL_ROWS);
    (0..model.columns).for_each(|n| rule.fill(n * CELL_DOTS + 2, CELL_ROWS / 2, CELL_DOTS - 4, 2));
    rule
}

fn torn(model: &Model) -> Bitmap {
    let mut torn = Bitmap::new(model.text_dots() + 2 * MARGIN_DOTS, LINE_DOTS * 2);
    (0..torn.width()).step_by(16).for_each(|x| torn.fill(x, LINE_DOTS, 6, 2));
    torn
}

fn line(text: &str, model: &Model, faces: &dyn Faces) -> Bitmap {
    let page = Page::new().text(text, Style::PLAIN.centre());
    let mut lines = Bitmap::new(0, 0);
    for row in page.lay_out(model.columns) {
        let (dots, gap) = drawn_row(&row, model, faces);
        let mut longer = Bitmap::new(model.text_dots(), lines.height() + gap + dots.height());
        longer.stamp(&lines, 0, 0);
        longer.stamp(&dots, 0, lines.height() + gap);
        lines = longer;
    }
    lines
}

/// A barcode with its text below, so many dots a module.
pub(crate) fn barcode(code: &Barcode, module: usize) -> Bitmap {
    let bars = code.bars();
    let quiet = QUIET_MODULES * module;
    let text_width = width::columns(code.data()) * CELL_DOTS;
    let width = (bars.len() * module + 2 * quiet).max(text_width);
    let left = (width - bars.len() * module) / 2;
    let mut dots = Bitmap::new(width, BAR_ROWS + 4 + CELL_ROWS);
    for (n, _) in bars.iter().enumerate().filter(|(_, bar)| **bar) {
        dots.fill(left + n * module, 0, module, BAR_ROWS);
    }
    dots.stamp(
        &crate::fonts::draw(code.data(), false, false, &BuiltIn),
        (width - text_width) / 2,
        BAR_ROWS + 4,
    );
    if code.symbology() == Symbology::Itf {
        // The bearer bars keep a scanner from reading half of it.
        dots.fill(left, 0, bars.len() * module, module);
        dots.fill(left, BAR_ROWS - module, bars.len() * module, module);
    }
    dots
}

/// A QR code with its quiet zone, so many dots a module.
pub(crate) fn qr(code: &Qr, module: usize) -> Bitmap {
    framed(&code.matrix().scaled(module, module), 4 * module)
}

/// A PDF417 code with its quiet zone, so many dots a module.
pub(crate) fn pdf417(code: &Pdf417, module: usize) -> Bitmap {
    framed(&code.matrix().scaled(module, 3 * module), 2 * module)
}

fn framed(dots: &Bitmap, quiet: usize) -> Bitmap {
    let mut framed = Bitmap::new(dots.width() + 2 * quiet, dots.height() + 2 * quiet);
    framed.stamp(dots, quiet, quiet);
    framed
}

const MARGIN_DOTS: usize = 36;
const LINE_GAP_DOTS: usize = 6;
const LINE_DOTS: usize = CELL_ROWS + LINE_GAP_DOTS;
const CODE_GAP_DOTS: usize = 12;
const BAR_ROWS: usize = 80;
/// Around bars; the widest that a standard here asks for is 11, at the left of an EAN-13.
const QUIET_MODULES: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::CodeError;

    #[test]
    fn a_page_is_as_high_as_its_rows() {
        let of = |page: Page| paper(&page, &Model::paper_58mm(), &BuiltIn);
        let empty = of(Page::new());
        assert_eq!((empty.width(), empty.height()), (384 + 72, 72));
        assert_eq!(of(Page::new().line("Tin").rule().feed(3).cut()).height(), 72 + 2 * 30);
        assert_eq!(of(Page::new().text("Tin", Style::PLAIN.size(crate::Size::Big))).height(), 72 + 54);
    }

    #[test]
    fn a_code_has_its_quiet_zone() -> Result<(), CodeError> {
        let code = qr(&Qr::new("R-17")?, 3);
        assert_eq!(code.width(), 3 * (21 + 8));
        assert!((0..code.width()).all(|x| !code.get(x, 11)) && code.get(12, 12));
        Ok(())
    }
}
