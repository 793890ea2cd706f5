//! A receipt as a page: content of `retail`, layout of `devices`, joined here.

use toko_crdt::clock::UnixMicros;
use toko_devices::{Page, Style};
use toko_retail::ops::SaleKind;
use toko_retail::qty::Qty;
use toko_retail::receipt::{Dress, Receipt as Content, ReceiptLine};

use crate::config::Receipt;
use crate::till::{Refusal, SaleSeen};
use crate::wall::utc;

/// The receipt of a sale as plain text.
///
/// Errors: a stored sale that no build writes.
pub fn text(seen: &SaleSeen, dress: &Receipt, columns: usize) -> Result<String, Refusal> {
    let local = i64::from(seen.sale.utc_offset_minutes).saturating_mul(60_000_000);
    let time = utc(UnixMicros(seen.sale.at_unix_micros.saturating_add(local)));
    let time = time.trim_end_matches('Z').replacen('T', " ", 1);
    let dress =
        Dress { header: dress.header.clone(), footer: dress.footer.clone(), time, ..Dress::default() };
    let content = Content::of(&seen.sale, seen.id, &dress)
        .map_err(|error| Refusal::Unreadable(format!("sale {} has no receipt: {error}", seen.id.short())))?;
    Ok(page(&content).plain(columns))
}

/// A receipt's content as a page.
#[must_use]
pub fn page(receipt: &Content) -> Page {
    let mut page = Page::new();
    for line in &receipt.header {
        page = page.text(line, Style::PLAIN.centre());
    }
    if receipt.is_copy {
        page = page.text("COPY", Style::PLAIN.centre().bold());
    }
    match receipt.kind {
        SaleKind::Sale => {}
        SaleKind::Return => page = page.text("RETURN", Style::PLAIN.centre().bold()),
        SaleKind::Void => page = page.text("VOID", Style::PLAIN.centre().bold()),
    }
    page = page.rule();
    for line in &receipt.lines {
        page = with_line(page, line);
    }
    page = with_sums(page.rule(), receipt);
    page = page.rule().columns(&format!("No. {}", receipt.number), &receipt.tag);
    let unverified = if receipt.time_verified { "" } else { " (time not verified)" };
    page = page.line(&format!("{}{unverified}", receipt.time)).line(&format!("Day {}", receipt.day));
    for (label, text) in [("Cashier", receipt.cashier.as_deref()), ("Ref.", Some(receipt.external.as_str()))]
    {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            page = page.line(&format!("{label} {text}"));
        }
    }
    match (&receipt.original, &receipt.original_tag) {
        (Some(number), Some(tag)) => page = page.line(&format!("Original {number} {tag}")),
        (None, Some(tag)) => page = page.line(&format!("Original {tag}")),
        _ => {}
    }
    for text in [&receipt.reason, &receipt.memo].into_iter().filter(|text| !text.is_empty()) {
        page = page.line(text);
    }
    for line in &receipt.footer {
        page = page.text(line, Style::PLAIN.centre());
    }
    page
}

fn with_line(mut page: Page, line: &ReceiptLine) -> Page {
    page = page.columns(&line.name, &line.value.amount());
    if line.qty != Qty::ONE {
        page = page.line(
            &format!("  {} {} x {}", line.qty, line.unit, line.unit_price.amount()).replace("  x", " x"),
        );
    }
    for (name, amount) in &line.discounts {
        page = page.columns(&format!("  {name}"), &format!("-{}", amount.amount()));
    }
    for note in [&line.price_note, &line.memo].into_iter().filter(|note| !note.is_empty()) {
        page = page.line(&format!("  {note}"));
    }
    page
}

fn with_sums(mut page: Page, receipt: &Content) -> Page {
    if receipt.subtotal != receipt.total {
        page = page.columns("Subtotal", &receipt.subtotal.amount());
    }
    for tax in receipt.taxes.iter().filter(|tax| !tax.included) {
        page = page.columns(&tax.label(), &tax.amount.amount());
    }
    let total = format!("TOTAL {}", receipt.total.currency());
    page = page.columns_styled(&total, &receipt.total.amount(), Style::PLAIN.bold());
    if let Some(rounding) = receipt.rounding {
        page = page.columns("Rounding", &rounding.amount()).columns("To pay", &receipt.payable.amount());
    }
    for tender in &receipt.tenders {
        page = page.columns(&tender.name, &tender.amount.amount());
        if !tender.detail.is_empty() {
            page = page.line(&format!("  {}", tender.detail));
        }
    }
    if let Some(change) = receipt.change {
        page = page.columns("Change", &change.amount());
    }
    for tax in receipt.taxes.iter().filter(|tax| tax.included) {
        page = page.columns(&format!("incl. {}", tax.label()), &tax.amount.amount());
    }
    page
}
