//! A label as ZPL II, in UTF-8. Pure.

use super::{Item, Label};
use crate::codes::{Symbology, upc_e_in_full};

/// A label as one print job, so many times.
///
/// Shape: no copies print nothing and give no bytes.
#[must_use]
pub fn encode(label: &Label, copies: u16) -> Vec<u8> {
    if copies == 0 {
        return Vec::new();
    }
    let stock = &label.stock;
    // ^CI28: UTF-8. ^LH: what an earlier job moved is moved back.
    let mut zpl = format!("^XA^CI28^LH0,0^PW{}^LL{}\n", stock.width_dots(), stock.height_dots());
    for item in &label.items {
        match item {
            Item::Text { x, y, height, text } => {
                zpl += &format!("^FO{x},{y}^A0N,{height},{height}^FH_^FD{}^FS\n", hex(text, |_| false));
            }
            Item::Bars { x, y, height, code } => {
                bars(&mut zpl, (*x, *y, *height), code.symbology(), code.data())
            }
            Item::Qr { x, y, size, code } => {
                // Level M, and the printer chooses how to pack.
                let size = (*size).clamp(1, 10);
                zpl += &format!("^FO{x},{y}^BQN,2,{size}^FH_^FDMA,{}^FS\n", hex(code.data(), |_| false));
            }
        }
    }
    zpl += &format!("^PQ{copies},0,1,Y^XZ\n");
    zpl.into_bytes()
}

fn bars(zpl: &mut String, (x, y, height): (u16, u16, u16), symbology: Symbology, data: &str) {
    // The printer makes the check digit itself and would take ours for one digit too many.
    let body = &data[..data.len().saturating_sub(1)];
    // It takes a UPC-E as the UPC-A that it stands for, of number system 0, and shortens that itself.
    let in_full = upc_e_in_full(data).filter(|full| full.starts_with('0'));
    let (command, data) = if let (Symbology::UpcE, Some(full)) = (symbology, &in_full) {
        (format!("^B9N,{height},N,Y,N"), &full[1..11])
    } else if symbology == Symbology::Itf {
        (format!("^B2N,{height},Y,N,N"), data)
    } else if symbology == Symbology::Ean13 {
        (format!("^BEN,{height},Y,N"), body)
    } else if symbology == Symbology::Ean8 {
        (format!("^B8N,{height},Y,N"), body)
    } else if symbology == Symbology::UpcA {
        (format!("^BUN,{height},Y,N,Y"), body)
    } else if symbology == Symbology::Code128 {
        (format!("^BCN,{height},Y,N,N"), data)
    } else {
        // A UPC-E that the printer would make another one of: at least a person can type it.
        *zpl += &format!("^FO{x},{y}^A0N,{TEXT_DOTS},{TEXT_DOTS}^FH_^FD{}^FS\n", hex(data, |_| false));
        return;
    };
    // In Code 128 `>` begins the choice of a set, and `>0` is the sign itself.
    let data = if symbology == Symbology::Code128 { data.replace('>', ">0") } else { data.to_owned() };
    *zpl += &format!("^FO{x},{y}^BY2{command}^FH_^FD{}^FS\n", hex(&data, |c| c == '>'));
}

/// A text inside `^FH_^FD…^FS`: letters, digits and a few signs as they are, all else as hex of its UTF-8.
fn hex(text: &str, also: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '.' | ',' | '-' | '/' | ':' | '%' | '+' | '(' | ')' => {
                out.push(c)
            }
            c if also(c) => out.push(c),
            c if c.is_control() => out.push(' '),
            c => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    out += &format!("_{byte:02X}");
                }
            }
        }
    }
    out
}

const TEXT_DOTS: u16 = 24;
