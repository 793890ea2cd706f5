//! Labels for goods and shelf edges, as ZPL and TSPL: what stands on one, and the bytes. Pure.
//!
//! Places are counted in dots from the upper left corner. Invariant: no caller's text becomes a command. In ZPL every byte
//! that is not a plain letter, digit or sign travels as `^FH` hex, so `^` and `~` occur only where we put them; in TSPL
//! quotes become apostrophes and what could begin an escape is broken up, since not each clone knows the escape for a quote.
//! Absent on purpose: pictures, and settings of the printer itself (darkness, sensors), which belong to its own menu.
//!
//! ```
//! use toko_devices::label::{Shelf, Stock, zpl};
//! use toko_devices::Barcode;
//!
//! let shelf = Shelf { name: "Tomatoes 400 g", price: "1.20 €", unit_price: "3.00 €/kg", code: Barcode::ean13("4006381333931").ok() };
//! let bytes = zpl::encode(&shelf.label(&Stock::mm(62, 29, 8)), 1);
//! assert!(bytes.starts_with(b"^XA") && bytes.ends_with(b"^XZ\n"));
//! ```
//!
//! Source: Zebra ZPL II programming guide; TSC TSPL/TSPL2 programming manual.

use crate::codes::{Barcode, Qr};

pub mod tspl;
mod virtual_label_printer;
pub mod zpl;

pub use virtual_label_printer::{Printed, VirtualLabelPrinter};

/// The paper: how large one label is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stock {
    /// Millimetres across.
    pub width_mm: u16,
    /// Millimetres along.
    pub height_mm: u16,
    /// Millimetres between two labels.
    pub gap_mm: u16,
    /// Dots a millimetre: 8 on most printers (203 dpi), 12 on fine ones (300 dpi).
    pub dots_per_mm: u16,
}

/// One label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The paper.
    pub stock: Stock,
    /// What stands on it. What lies outside the paper the printer cuts off.
    pub items: Vec<Item>,
}

/// Something on a label, by the place of its upper left corner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// One row of text.
    Text {
        /// Dots from the left.
        x: u16,
        /// Dots from the top.
        y: u16,
        /// Dots that a letter is high.
        height: u16,
        /// The text.
        text: String,
    },
    /// Bars with their text below.
    Bars {
        /// Dots from the left.
        x: u16,
        /// Dots from the top.
        y: u16,
        /// Dots that a bar is high.
        height: u16,
        /// The code.
        code: Barcode,
    },
    /// A QR code.
    Qr {
        /// Dots from the left.
        x: u16,
        /// Dots from the top.
        y: u16,
        /// Dots of one square.
        size: u8,
        /// The code.
        code: Qr,
    },
}

/// What stands on a shelf edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelf<'a> {
    /// The name of the goods.
    pub name: &'a str,
    /// The price, as it is to be read from afar.
    pub price: &'a str,
    /// The price of a kilogram or a litre; empty for none.
    pub unit_price: &'a str,
    /// The code that a scanner reads, if there is one.
    pub code: Option<Barcode>,
}

impl Stock {
    /// Labels of this size with the usual gap.
    #[must_use]
    pub const fn mm(width_mm: u16, height_mm: u16, dots_per_mm: u16) -> Stock {
        Stock { width_mm, height_mm, gap_mm: 2, dots_per_mm }
    }

    const fn width_dots(&self) -> u16 {
        self.width_mm.saturating_mul(self.dots_per_mm)
    }

    const fn height_dots(&self) -> u16 {
        self.height_mm.saturating_mul(self.dots_per_mm)
    }
}

impl Shelf<'_> {
    /// The label: name on top, the price large, the unit price and the code below.
    #[must_use]
    pub fn label(&self, stock: &Stock) -> Label {
        let (width, height) = (stock.width_dots(), stock.height_dots());
        let edge = stock.dots_per_mm;
        let name = (height / 7).max(MIN_TEXT_DOTS);
        // Letters are about as wide as half their height; a long name is cut where the paper ends.
        let fits = usize::from(width.saturating_sub(2 * edge) / (name / 2).max(1));
        let text = |x, y, height, text: &str| Item::Text { x, y, height, text: text.to_owned() };
        let cut: String = self.name.chars().take(fits).collect();
        let mut items = vec![text(edge, edge, name, &cut)];
        let price_at = edge + name + name / 4;
        let price = (height / 3).max(MIN_TEXT_DOTS);
        items.push(text(edge, price_at, price, self.price));
        let below = price_at + price + name / 4;
        if !self.unit_price.is_empty() {
            items.push(text(edge, below, (name * 3 / 4).max(MIN_TEXT_DOTS), self.unit_price));
        }
        if let Some(code) = &self.code {
            // Two dots a bar; the digits below take as much as a row of text.
            let bars = u16::try_from(code.modules() * 2).unwrap_or(width);
            let x = width.saturating_sub(bars.saturating_add(3 * edge)).max(edge);
            let high = height.saturating_sub(below).saturating_sub(edge + 3 * edge).max(MIN_BAR_DOTS);
            items.push(Item::Bars { x, y: below, height: high, code: code.clone() });
        }
        Label { stock: *stock, items }
    }
}

const MIN_TEXT_DOTS: u16 = 16;
const MIN_BAR_DOTS: u16 = 24;

#[cfg(test)]
mod tests;
