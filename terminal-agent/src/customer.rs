//! What the customer sees: the line that was rung up last and what the cart comes to, and at the end the change.
//!
//! A display behind the terminal's own printer is shown over the printer's link, since the two share a cable.
//!
//! A display is never waited for and nothing is shown late: the latest text wins, and one that was away is drawn anew.

use toko_devices::display::{LineDisplay, Screen};
use toko_devices::{OwnedPrinter, Roots};
use toko_retail::money::Money;
use toko_retail::ops::SaleKind;

use crate::config::{DisplayConfig, DisplayPlace};
use crate::till::{Answer, CartSeen, LineSeen, SaleSeen};

/// Characters in a row.
const COLUMNS: usize = 20;

/// The customer's display, if there is one.
#[derive(Debug, Default)]
pub struct Customer(Option<Shown>);

#[derive(Debug)]
struct Shown {
    display: LineDisplay,
    welcome: String,
}

impl Customer {
    /// A terminal with this display, or without one; `printer` is the printer of its own. Looks for it in the background.
    #[must_use]
    pub fn new(config: Option<DisplayConfig>, printer: Option<OwnedPrinter>) -> Self {
        let Some(DisplayConfig { place, glass, welcome }) = config else { return Self(None) };
        let first = Screen { upper: welcome.clone(), lower: String::new() };
        let display = match (place, printer) {
            (DisplayPlace::Cable(address), _) => LineDisplay::spawn(address, Roots::default(), glass, first),
            (DisplayPlace::OwnPrinter, Some(printer)) => LineDisplay::behind(printer, glass, &first),
            // The settings refuse this one.
            (DisplayPlace::OwnPrinter, None) => return Self(None),
        };
        Self(Some(Shown { display, welcome }))
    }

    /// Shows what was just done.
    pub(crate) fn see(&self, answer: &Answer) {
        let Some(Shown { display, welcome }) = &self.0 else { return };
        let screen = match answer {
            Answer::Line(seen) => line(seen),
            Answer::Removed(seen) => ends("Subtotal", &seen.subtotal.amount(), ""),
            Answer::Cart(seen) => cart(seen, welcome),
            Answer::Sale(seen) => sale(seen),
            _ => return,
        };
        display.show(screen);
    }
}

fn line(seen: &LineSeen) -> Screen {
    let line = &seen.line;
    let each = format!("{} x {}", line.qty, line.unit_price.amount());
    Screen { upper: cut(&line.name), lower: row(&each, &seen.subtotal.amount()) }
}

fn cart(seen: &CartSeen, welcome: &str) -> Screen {
    if seen.lines.is_empty() {
        return Screen { upper: welcome.to_owned(), lower: String::new() };
    }
    ends("Total", &seen.total.amount(), "")
}

fn sale(seen: &SaleSeen) -> Screen {
    let sale = &seen.sale;
    let Ok(currency) = toko_retail::currency::Currency::stored(sale.currency.code, sale.currency.exponent)
    else {
        return Screen::default();
    };
    let amount = |minor| Money::minor(minor, currency).amount();
    let name = if sale.kind == SaleKind::Sale { "Total" } else { "Back" };
    let change =
        if sale.change_minor == 0 { String::new() } else { row("Change", &amount(sale.change_minor)) };
    ends(name, &amount(sale.total_minor.saturating_add(sale.rounding_minor)), &change)
}

fn ends(left: &str, right: &str, below: &str) -> Screen {
    Screen { upper: row(left, right), lower: below.to_owned() }
}

/// Two texts at the ends of a row; the right one is whole.
fn row(left: &str, right: &str) -> String {
    let room = COLUMNS.saturating_sub(right.chars().count() + 1);
    let left: String = left.chars().take(room).collect();
    format!("{left}{right:>width$}", width = COLUMNS - left.chars().count())
}

fn cut(text: &str) -> String {
    text.chars().take(COLUMNS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_amount_is_whole_and_stands_at_the_end() {
        assert_eq!(row("Total", "9.90"), "Total           9.90");
        assert_eq!(row("a name that is far too long", "1234567.89"), "a name th 1234567.89");
        assert_eq!(
            row("x", "123456789012345678.90").chars().count(),
            21,
            "too long even so, and cut by the glass"
        );
    }
}
