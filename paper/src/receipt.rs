//! What a receipt says, laid out as a page for the printer.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use toko_crdt::clock::UnixMicros;
use toko_crdt::hash::hex;
use toko_devices::{Page, Picture, Qr, Size, Style};
use toko_retail::ops::SaleKind;
use toko_retail::qty::Qty;
use toko_retail::receipt::{Receipt, ReceiptLine};

/// Local date and time, as receipts show it; UTC where the machine knows no zone.
#[must_use]
pub fn time_text(at: UnixMicros) -> String {
    match Timestamp::from_microsecond(at.0) {
        Ok(time) => time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => "time unknown".into(),
    }
}

/// The page of a receipt under the shop's sign. The job stands last above the cut, so that paper can be counted.
#[must_use]
pub fn page(receipt: &Receipt, job: [u8; 16], sign: Option<&Picture>) -> Page {
    let mut page = Page::new();
    if let Some(sign) = sign {
        page = page.picture(sign.clone());
    }
    for (n, line) in receipt.header.iter().enumerate() {
        let style = Style::PLAIN.centre();
        page = page.text(line, if n == 0 { style.bold().size(Size::Big) } else { style });
    }
    let title = match (receipt.kind, receipt.is_copy) {
        (SaleKind::Sale, false) => None,
        (SaleKind::Sale, true) => Some("COPY"),
        (SaleKind::Return, false) => Some("RETURN"),
        (SaleKind::Return, true) => Some("RETURN - COPY"),
        (SaleKind::Void, false) => Some("VOID"),
        (SaleKind::Void, true) => Some("VOID - COPY"),
    };
    if let Some(title) = title {
        page = page.text(title, Style::PLAIN.centre().bold());
    }
    page = page.columns(&format!("No {}", receipt.number), &receipt.tag);
    page = page.columns(&format!("Day {}", receipt.day), &receipt.time);
    if !receipt.time_verified {
        page = page.line("time unverified");
    }
    if let Some(original) = &receipt.original {
        page = page.line(&format!("of receipt {original}"));
    }
    page = page.rule();
    for line in &receipt.lines {
        page = item(page, line);
    }
    page = page.rule();
    if receipt.subtotal != receipt.total {
        page = page.columns("Subtotal", &receipt.subtotal.amount());
    }
    for tax in &receipt.taxes {
        let label = if tax.included { format!("incl. {}", tax.label()) } else { tax.label() };
        page = page.columns(&label, &tax.amount.amount());
    }
    if let Some(rounding) = receipt.rounding {
        page = page.columns("Rounding", &rounding.amount());
    }
    page = page.columns_styled(
        &format!("TOTAL {}", receipt.payable.currency().code()),
        &receipt.payable.amount(),
        Style::PLAIN.bold(),
    );
    for tender in &receipt.tenders {
        let name = if tender.detail.is_empty() {
            tender.name.clone()
        } else {
            format!("{} {}", tender.name, tender.detail)
        };
        page = page.columns(&name, &tender.amount.amount());
    }
    if let Some(change) = receipt.change {
        page = page.columns("Change", &change.amount());
    }
    for text in [&receipt.memo, &receipt.external, &receipt.reason] {
        if !text.is_empty() {
            page = page.line(text);
        }
    }
    if let Ok(code) = Qr::new(&format!("{} {}", receipt.number, receipt.tag)) {
        page = page.qr(code);
    }
    for line in &receipt.footer {
        page = page.text(line, Style::PLAIN.centre());
    }
    page.job(&hex(&job)).cut()
}

/// One line of goods; how many of what, where it is not one piece.
fn item(page: Page, line: &ReceiptLine) -> Page {
    let mut page = page.columns(&line.name, &line.value.amount());
    if line.qty != Qty::ONE {
        let unit = if line.unit.is_empty() { String::new() } else { format!(" {}", line.unit) };
        page = page.line(&format!("  {}{unit} x {}", line.qty, line.unit_price.amount()));
    }
    for (name, amount) in &line.discounts {
        page = page.columns(&format!("  {name}"), &amount.amount());
    }
    for note in [&line.price_note, &line.memo] {
        if !note.is_empty() {
            page = page.line(&format!("  {note}"));
        }
    }
    page
}
