//! A page as one HTML file that needs nothing else: for a screen, an e-mail, a customer's telephone. Pure.
//!
//! Invariants: nothing a caller writes becomes markup; there is no script, no link and nothing from elsewhere; text is text
//! that can be searched and read aloud, in columns that hold in any font of one width. Codes are drawings that a scanner
//! reads from a screen.

use std::fmt::Write as _;

use crate::bitmap::Bitmap;
use crate::codes::{Pdf417, Qr};
use crate::drawn;
use crate::page::{Align, Page, Row, Size, Style};
use crate::width;

/// The page as an HTML document with a title, for a paper of so many columns.
#[must_use]
pub fn document(page: &Page, title: &str, columns: usize) -> String {
    let mut html = String::new();
    html.push_str("<!doctype html>\n<html lang=\"und\"><head><meta charset=\"utf-8\">");
    html.push_str("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>");
    escape(title, &mut html);
    html.push_str("</title><style>");
    html.push_str(STYLE);
    let columns = columns.max(8);
    let _ = write!(html, ".r{{width:{columns}ch}}");
    html.push_str("</style></head><body><main class=\"r\">\n");
    let mut rows = page.lay_out(columns);
    while matches!(rows.last(), Some(Row::Cut | Row::Feed(_))) {
        rows.pop();
    }
    rows.iter().for_each(|row| put(row, columns, &mut html));
    html.push_str("</main></body></html>\n");
    html
}

fn put(row: &Row, columns: usize, html: &mut String) {
    match row {
        Row::Text { text, .. } if text.len() == columns && text.bytes().all(|b| b == b'-') => {
            html.push_str("<hr>\n")
        }
        Row::Text { text, cells, style } => line(text, cells, *style, html),
        Row::Barcode(code) => {
            let label = format!("{} {}", code.name(), code.data());
            image(&drawn::barcode(code, 2), &label, html);
        }
        Row::Qr(code) => image(&qr(code), &format!("QR {}", code.data()), html),
        Row::Pdf417(code) => image(&pdf417(code), &format!("PDF417 {}", code.data()), html),
        Row::Picture(picture) => image(picture.dots(), "", html),
        Row::Feed(rows) => (0..*rows).for_each(|_| html.push_str("<p>&nbsp;</p>\n")),
        Row::Cut => html.push_str("<hr class=\"cut\">\n"),
    }
}

fn line(text: &str, cells: &[usize], style: Style, html: &mut String) {
    let mut classes = Vec::new();
    match style.align {
        Align::Left => {}
        Align::Centre => classes.push("c"),
        Align::Right => classes.push("e"),
    }
    match style.size {
        Size::Normal => {}
        Size::Tall => classes.push("t"),
        Size::Wide => classes.push("w"),
        Size::Big => classes.push("b"),
    }
    if style.bold {
        classes.push("s");
    }
    match classes.is_empty() {
        true => html.push_str("<p>"),
        false => drop(write!(html, "<p class=\"{}\">", classes.join(" "))),
    }
    if text.is_empty() {
        html.push_str("&nbsp;");
    }
    // Each cell is a box as wide as its columns, so that they hold whatever a font makes of its letters.
    let starts = std::iter::once(0).chain(cells.iter().copied());
    let ends = cells.iter().copied().chain(std::iter::once(text.len()));
    for cell in starts.zip(ends).filter_map(|(start, end)| text.get(start..end)) {
        if cells.is_empty() {
            escape(cell, html);
        } else {
            let _ = write!(html, "<bdi style=\"width:{}ch\">", width::columns(cell));
            escape(cell, html);
            html.push_str("</bdi>");
        }
    }
    html.push_str("</p>\n");
}

fn qr(code: &Qr) -> Bitmap {
    drawn::qr(code, 4)
}

fn pdf417(code: &Pdf417) -> Bitmap {
    drawn::pdf417(code, 1)
}

/// A picture as a part of the document, with words for whoever cannot see it.
fn image(dots: &Bitmap, words: &str, html: &mut String) {
    let _ = write!(html, "<img width=\"{}\" height=\"{}\" alt=\"", dots.width(), dots.height());
    escape(words, html);
    html.push_str("\" src=\"data:image/png;base64,");
    base64(&dots.png(), html);
    html.push_str("\">\n");
}

fn escape(text: &str, html: &mut String) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c if c.is_control() => html.push(' '),
            c => html.push(c),
        }
    }
}

/// Source: RFC 4648, section 4.
fn base64(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in bytes.chunks(3) {
        let byte = |n: usize| u32::from(three.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for n in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * n) & 63) as usize];
            out.push(if n > three.len() { '=' } else { char::from(digit) });
        }
    }
}

const STYLE: &str = "body{margin:0;background:#e9e7e2}\
.r{margin:2rem auto;padding:2rem 1.5rem;box-sizing:content-box;background:#fff;color:#111;\
font:15px/1.35 ui-monospace,'DejaVu Sans Mono','Noto Sans Mono',Menlo,Consolas,monospace;\
box-shadow:0 1px 2px #0002,0 8px 24px #0001}\
p{margin:0;white-space:pre-wrap}bdi{display:inline-block;white-space:pre;overflow:hidden;vertical-align:bottom}\
.c{text-align:center}.e{text-align:right}.s{font-weight:700}\
.t{font-size:125%}.w,.b{font-size:200%}.w{line-height:1}\
hr{border:0;border-top:1px dashed #999;margin:.5em 0}hr.cut{border-top:2px dotted #777;margin:2em -1.5rem}\
img{display:block;margin:.6em auto;max-width:100%;image-rendering:pixelated}\
@media print{body{background:none}.r{box-shadow:none;margin:0}}\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_caller_writes_becomes_markup() {
        let evil = "</p><script>alert('1')</script>&\"";
        let html = document(&Page::new().line(evil).columns(evil, "1"), evil, 40);
        assert!(!html.contains("<script") && !html.contains("alert('"), "{html}");
        assert_eq!(html.matches("&lt;script&gt;").count(), 3);
    }

    #[test]
    fn bytes_are_written_as_the_standard_shows() {
        let of = |bytes: &[u8]| {
            let mut out = String::new();
            base64(bytes, &mut out);
            out
        };
        assert_eq!((of(b"f"), of(b"fo"), of(b"foobar")), ("Zg==".into(), "Zm8=".into(), "Zm9vYmFy".into()));
    }

    #[test]
    fn a_receipt_needs_nothing_from_elsewhere() -> Result<(), crate::CodeError> {
        let page = Page::new()
            .text("Shop", Style::PLAIN.centre().bold())
            .columns("Tin", "1.20")
            .qr(Qr::new("R-17")?)
            .cut();
        let html = document(&page, "Receipt", 40);
        assert!(!html.contains("http") && !html.contains("url(") && !html.contains("<link"), "{html}");
        assert!(html.contains("<p class=\"c s\">Shop</p>") && html.contains("alt=\"QR R-17\""));
        assert!(html.contains("<bdi style=\"width:36ch\">Tin") && html.ends_with("</html>\n"));
        Ok(())
    }
}
