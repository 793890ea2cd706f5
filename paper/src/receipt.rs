//! What a receipt says, laid out once: as a page for the printer, and the same for a screen.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use toko_crdt::clock::UnixMicros;
use toko_crdt::hash::hex;
use toko_devices::{Page, Picture, Qr, Size, Style};
use toko_retail::ops::{SaleKind, SaleV1};
use toko_retail::qty::Qty;
use toko_retail::receipt::{Receipt, ReceiptLine};

/// Date and time by this machine's own zone; UTC where it knows none.
#[must_use]
pub fn time_text(at: UnixMicros) -> String {
    time_in(at, TimeZone::system())
}

/// Date and time as they were on the wall where a sale was made.
#[must_use]
pub fn time_of(sale: &SaleV1) -> String {
    let offset = Offset::from_seconds(i32::from(sale.utc_offset_minutes) * 60).unwrap_or(Offset::UTC);
    time_in(UnixMicros(sale.at_unix_micros), TimeZone::fixed(offset))
}

fn time_in(at: UnixMicros, zone: TimeZone) -> String {
    match Timestamp::from_microsecond(at.0) {
        Ok(time) => time.to_zoned(zone).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => "time unknown".into(),
    }
}

/// The page of a receipt under the shop's sign. The job stands last above the cut, so that paper can be counted.
#[must_use]
pub fn page(receipt: &Receipt, job: [u8; 16], sign: Option<&Picture>) -> Page {
    let page = sign.map_or_else(Page::new, |sign| Page::new().picture(sign.clone()));
    let mut page = body(page, receipt);
    if let Ok(code) = Qr::new(&format!("{} {}", receipt.number, receipt.tag)) {
        page = page.qr(code);
    }
    foot(page, receipt).job(&hex(&job)).cut()
}

/// The same for a screen, which needs neither sign nor code, and is not cut.
#[must_use]
pub fn on_screen(receipt: &Receipt) -> Page {
    foot(body(Page::new(), receipt), receipt)
}

fn foot(page: Page, receipt: &Receipt) -> Page {
    receipt.footer.iter().fold(page, |page, line| page.text(line, Style::PLAIN.centre()))
}

fn body(mut page: Page, receipt: &Receipt) -> Page {
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
    if let Some(cashier) = receipt.cashier.as_ref().filter(|cashier| !cashier.is_empty()) {
        page = page.line(&format!("Cashier {cashier}"));
    }
    let original = [receipt.original.map(|number| number.to_string()), receipt.original_tag.clone()];
    let original: Vec<String> = original.into_iter().flatten().collect();
    if !original.is_empty() {
        page = page.line(&format!("of receipt {}", original.join(" ")));
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
    page
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

#[cfg(test)]
mod tests {
    use super::*;
    use toko_crdt::EffectId;
    use toko_devices::virtual_printer::{Machine, Piece};
    use toko_devices::{Model, escpos};
    use toko_retail::currency::Currency;
    use toko_retail::day::Day;
    use toko_retail::line::PricedLine;
    use toko_retail::money::{Money, Price};
    use toko_retail::receipt::Dress;
    use toko_retail::sale::{Occasion, ReceiptNumber, SaleDraft, close_sale};
    use toko_retail::tender::Tender;

    fn receipt() -> Receipt {
        let gbp = Currency::parse("GBP").unwrap();
        let day = Day::parse("2010-12-01").unwrap();
        let at = UnixMicros(1_291_192_560_000_000);
        let number = ReceiptNumber::next(3, 1, 41).unwrap();
        let occasion = Occasion {
            utc_offset_minutes: 60,
            cashier: Some("ann".into()),
            ..Occasion::new(day, at, number)
        };
        let mut draft = SaleDraft::new(occasion, gbp);
        let price = Price::parse("3.39", gbp).unwrap();
        draft.lines.push(PricedLine::unknown("71053", "WHITE METAL LANTERN", Qty::ONE, price, "price tag"));
        draft.tenders.push(Tender::cash(Money::parse("5.00", gbp).unwrap()).unwrap());
        let sale = close_sale(&draft).unwrap();
        let dress = Dress {
            header: vec!["CORNER SHOP".into()],
            footer: vec!["Thank you".into()],
            time: time_of(&sale),
            ..Dress::default()
        };
        Receipt::of(&sale, EffectId([7; 32]), &dress).unwrap()
    }

    #[test]
    fn paper_of_either_width_names_its_job() {
        for model in [Model::paper_58mm(), Model::paper_80mm()] {
            let bytes = escpos::encode(&page(&receipt(), [0x7f; 16], None), &model);
            let pieces = Machine::new(model.columns).print(&bytes);
            let jobs: Vec<Option<String>> = pieces.iter().map(Piece::job).collect();
            assert_eq!(jobs, [Some("7f".repeat(16))], "{} columns: {pieces:?}", model.columns);
        }
    }

    #[test]
    fn a_screen_shows_what_paper_says_but_for_the_sign_the_code_and_the_job() {
        let (paper, screen) = (page(&receipt(), [1; 16], None).plain(48), on_screen(&receipt()).plain(48));
        assert!(screen.contains("CORNER SHOP") && screen.contains("Cashier ann"), "{screen}");
        assert!(screen.contains("2010-12-01 09:36"), "an hour ahead of UTC, where it was sold: {screen}");
        let rest: Vec<&str> =
            paper.lines().filter(|row| !row.contains("[QR ") && !row.starts_with("Job ")).collect();
        assert_eq!(rest, screen.lines().collect::<Vec<_>>());
    }
}
