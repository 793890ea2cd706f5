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
                let said = said(code.symbology(), code.data());
                // Narrow and wide bars; the ratio is of two widths alone, as ITF has them.
                let wide = if code.symbology() == Symbology::Itf { 6 } else { 2 };
                let command = |name: &str| format!("BARCODE {x},{y},\"{name}\",{height},1,0,2,{wide},");
                let bars = said.map(|(name, data)| (command(name), data));
                code_or_text(&mut tspl, bars, (*x, *y), code.data());
            }
            Item::Qr { x, y, size, code } => {
                let size = (*size).clamp(1, 10);
                let command = || (format!("QRCODE {x},{y},M,{size},A,0,"), code.data());
                let qr = says(code.data()).then(command);
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
fn code_or_text(tspl: &mut Vec<u8>, command: Option<(String, &str)>, (x, y): (u16, u16), data: &str) {
    match command {
        Some((command, said)) => {
            tspl.extend(command.bytes());
            tspl.push(b'"');
            tspl.extend(said.bytes());
            tspl.extend(*b"\"\r\n");
        }
        None => quoted(tspl, &format!("TEXT {x},{y},\"3\",0,1,1,"), data),
    }
}

/// Whether a text can stand between quotes as it is.
fn says(data: &str) -> bool {
    !data.contains(|c: char| c == '"' || c.is_control()) && !data.contains("\\[") && !data.contains("~!")
}

/// How the printer names a code, and what it is told of its data; nothing if it would make another code of it.
fn said(symbology: Symbology, data: &str) -> Option<(&'static str, &str)> {
    let names = [
        (Symbology::Ean13, "EAN13"),
        (Symbology::Ean8, "EAN8"),
        (Symbology::UpcA, "UPCA"),
        (Symbology::UpcE, "UPCE"),
        (Symbology::Itf, "25"),
        (Symbology::Code128, "128"),
    ];
    let name = names.into_iter().find(|(known, _)| *known == symbology).map(|(_, name)| name)?;
    if symbology == Symbology::UpcE {
        // The six in the middle, of number system 0; the printer adds what stands around them.
        return data.starts_with('0').then(|| (name, &data[1..7]));
    }
    says(data).then_some((name, data))
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
