//! A label as TSPL, for TSC printers and their many relatives. Pure.

use super::{Item, Label};
use crate::codepage::CodePage;
use crate::codes::Symbology;

/// A label as one print job, so many times.
///
/// Shape: no copies print nothing and give no bytes.
#[must_use]
pub fn encode(label: &Label, copies: u16) -> Vec<u8> {
    if copies == 0 {
        return Vec::new();
    }
    let stock = &label.stock;
    let mut tspl = Vec::new();
    // The first line ends whatever an interrupted job left.
    line(&mut tspl, "");
    line(&mut tspl, &format!("SIZE {} mm,{} mm", stock.width_mm, stock.height_mm));
    line(&mut tspl, &format!("GAP {} mm,0 mm", stock.gap_mm));
    line(&mut tspl, "DIRECTION 1");
    line(&mut tspl, "REFERENCE 0,0");
    line(&mut tspl, "CODEPAGE 1252");
    line(&mut tspl, "CLS");
    for item in &label.items {
        match item {
            Item::Text { x, y, height, text } => {
                let (font, times) = font(*height);
                quoted(&mut tspl, &format!("TEXT {x},{y},\"{font}\",0,{times},{times},"), text);
            }
            Item::Bars { x, y, height, code } => {
                let name = name(code.symbology()).filter(|_| says(code.data()));
                let bars = name.map(|name| format!("BARCODE {x},{y},\"{name}\",{height},1,0,2,2,"));
                code_or_text(&mut tspl, bars, (*x, *y), code.data());
            }
            Item::Qr { x, y, size, code } => {
                let size = (*size).clamp(1, 10);
                let qr = says(code.data()).then(|| format!("QRCODE {x},{y},M,{size},A,0,"));
                code_or_text(&mut tspl, qr, (*x, *y), code.data());
            }
        }
    }
    line(&mut tspl, &format!("PRINT {copies},1"));
    tspl
}

fn line(tspl: &mut Vec<u8>, text: &str) {
    tspl.extend(text.bytes());
    tspl.extend(*b"\r\n");
}

/// A code, or its text where it cannot be said without changing it: a code that reads as something else is worse than none.
fn code_or_text(tspl: &mut Vec<u8>, command: Option<String>, (x, y): (u16, u16), data: &str) {
    match command {
        Some(command) => {
            tspl.extend(command.bytes());
            tspl.push(b'"');
            tspl.extend(data.bytes());
            tspl.extend(*b"\"\r\n");
        }
        None => quoted(tspl, &format!("TEXT {x},{y},\"3\",0,1,1,"), data),
    }
}

/// Whether a text can stand between quotes as it is.
fn says(data: &str) -> bool {
    !data.contains(|c: char| c == '"' || c.is_control()) && !data.contains("\\[") && !data.contains("~!")
}

fn name(symbology: Symbology) -> Option<&'static str> {
    let names = [
        (Symbology::Ean13, "EAN13"),
        (Symbology::Ean8, "EAN8"),
        (Symbology::UpcA, "UPCA"),
        (Symbology::Code128, "128"),
    ];
    names.into_iter().find(|(known, _)| *known == symbology).map(|(_, name)| name)
}

/// A command whose last argument is a caller's text.
fn quoted(tspl: &mut Vec<u8>, command: &str, text: &str) {
    tspl.extend(command.bytes());
    tspl.push(b'"');
    let mut before = 0;
    for byte in PAGE.bytes(text) {
        let byte = match (before, byte) {
            (_, b'"') => b'\'',
            // `\[` begins an escape, and `~!` a command that is obeyed wherever it stands.
            (b'\\', b'[') => b'(',
            (b'~', b'!') => b'.',
            (_, byte) => byte,
        };
        tspl.push(byte);
        before = byte;
    }
    tspl.extend(*b"\"\r\n");
}

/// The largest built-in font that is no higher than asked for, and how many times it is enlarged.
fn font(height: u16) -> (&'static str, u16) {
    let fonts = [("1", 12), ("2", 20), ("3", 24), ("4", 32), ("5", 48)];
    let sizes = fonts.iter().flat_map(|(name, dots)| (1..=10).map(move |times| (*name, *dots, times)));
    let fitting = sizes.filter(|(_, dots, times)| dots * times <= height);
    // Of two equally high ones the finer one.
    let best = fitting.max_by_key(|(_, dots, times)| (dots * times, *dots));
    best.map_or(("1", 1), |(name, _, times)| (name, times))
}

/// `CODEPAGE 1252`.
pub(super) const PAGE: CodePage = CodePage::Wpc1252;
