//! Receipts word for word: `tests/receipts/*.txt` are what a plain rendering of each receipt's content gives.
//!
//! The rendering here is not the product's (pages are made in `devices`); it is there so that a person can read the files.

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::sync::Arc;

    use toko_crdt::EffectId;
    use toko_crdt::clock::UnixMicros;
    use toko_retail::currency::Currency;
    use toko_retail::day::Day;
    use toko_retail::line::{Discount, PricedLine};
    use toko_retail::money::{Money, Price};
    use toko_retail::ops::{SaleKind, SaleV1};
    use toko_retail::paper;
    use toko_retail::qty::Qty;
    use toko_retail::receipt::{Dress, Receipt};
    use toko_retail::sale::{
        Occasion, Original, ReceiptNumber, ReturnDraft, ReturnLine, SaleDraft, close_return, close_sale,
        void_sale,
    };
    use toko_retail::tax::{TaxGroup, TaxRate, TaxRounding};
    use toko_retail::tender::Tender;

    const COLUMNS: usize = 40;

    fn gbp() -> Currency {
        Currency::parse("GBP").unwrap()
    }

    fn occasion(counter: u64) -> Occasion {
        let number = ReceiptNumber { terminal: 3, series: 1, counter };
        let mut occasion =
            Occasion::new(Day::parse("2010-12-01").unwrap(), UnixMicros(1_291_192_000_000_000), number);
        occasion.time_verified = true;
        occasion.cashier = Some("c7".into());
        occasion
    }

    fn dress() -> Dress {
        Dress {
            header: vec!["The Lantern Shop".into(), "1 High Street".into()],
            footer: vec!["Thank you".into()],
            time: "1 Dec 2010 08:26".into(),
            ..Dress::default()
        }
    }

    fn line(code: &str, name: &str, milli: i64, price: &str, currency: Currency) -> PricedLine {
        PricedLine::unknown(code, name, Qty::milli(milli), Price::parse(price, currency).unwrap(), "")
    }

    fn vat(line: PricedLine) -> PricedLine {
        let group = TaxGroup::new("S", true, vec![TaxRate::percent("VAT", "20").unwrap()]).unwrap();
        PricedLine { tax: Some(Arc::new(group)), ..line }
    }

    fn morning_sale() -> SaleV1 {
        let mut lines = vec![
            vat(line("85123A", "WHITE HANGING HEART T-LIGHT HOLDER", 6_000, "2.55", gbp())),
            vat(line("71053", "WHITE METAL LANTERN", 6_000, "3.39", gbp())),
            line("APPLE", "Apples", 1_250, "1.599", gbp()),
            line("GIFT", "A GIFT", 1_000, "0", gbp()),
        ];
        lines[1] = lines[1].clone().at_price(Price::parse("3.00", gbp()).unwrap(), "dented");
        lines[0].discounts.push(Discount {
            name: "6 for 5".into(),
            reference: String::new(),
            amount: Money::minor(255, gbp()),
        });
        lines[2].unit = "kg".into();
        let tenders = vec![
            Tender::card(Money::parse("20.00", gbp()).unwrap(), "A1B2C3", "T-7", "4242").unwrap(),
            Tender::cash(Money::parse("20.00", gbp()).unwrap()).unwrap(),
        ];
        let mut occasion = occasion(42);
        occasion.print = Some(paper::ask([4; 16], "counter", 3_600, 1).unwrap());
        occasion.external = "536365".into();
        close_sale(&SaleDraft { lines, tenders, ..SaleDraft::new(occasion, gbp()) }).unwrap()
    }

    #[test]
    fn a_sale_with_a_discount_a_price_given_and_two_tenders() {
        check("sale", &morning_sale(), 7, &dress(), include_str!("receipts/sale.txt"));
    }

    #[test]
    fn a_copy_says_so() {
        let dress = Dress { is_copy: true, ..dress() };
        check("copy", &morning_sale(), 7, &dress, include_str!("receipts/copy.txt"));
    }

    #[test]
    fn a_return_names_the_receipt_it_comes_from() {
        let sale = morning_sale();
        let from = Original { id: EffectId([7; 32]), sale: &sale, returned: &[] };
        let back = close_return(&ReturnDraft {
            occasion: occasion(43),
            currency: gbp(),
            reason: "did not fit".into(),
            original: Some(from),
            lines: vec![ReturnLine::Of { line: 0, qty: Qty::milli(2_000) }],
            refunds: vec![Tender::cash(Money::parse("4.25", gbp()).unwrap()).unwrap()],
            tax_rounding: TaxRounding::PerLine,
            cash_step_minor: 0,
        });
        let dress = Dress { original: Some(sale.number()), ..dress() };
        check("return", &back.unwrap(), 8, &dress, include_str!("receipts/return.txt"));
    }

    #[test]
    fn a_void_mirrors_the_whole_sale() {
        let sale = morning_sale();
        let from = Original { id: EffectId([7; 32]), sale: &sale, returned: &[] };
        let void = void_sale(&occasion(44), &from, "wrong customer").unwrap();
        let dress = Dress { original: Some(sale.number()), ..dress() };
        check("void", &void, 9, &dress, include_str!("receipts/void.txt"));
    }

    #[test]
    fn rupiah_with_ppn_on_top_rounded_to_coins_at_an_unverified_time() {
        let idr = Currency::parse("IDR").unwrap();
        let group = TaxGroup::new("P", false, vec![TaxRate::part("PPN", "12", 11, 12).unwrap()]).unwrap();
        let mut noodles = line("8998866200578", "Mie goreng", 3_000, "3250.5", idr);
        noodles.tax = Some(Arc::new(group));
        let mut occasion = occasion(1);
        occasion.time_verified = false;
        let sale = close_sale(&SaleDraft {
            lines: vec![noodles],
            tenders: vec![Tender::cash(Money::parse("20000", idr).unwrap()).unwrap()],
            cash_step_minor: idr.cash_step_minor(),
            ..SaleDraft::new(occasion, idr)
        });
        check("rupiah", &sale.unwrap(), 10, &dress(), include_str!("receipts/rupiah.txt"));
    }

    #[track_caller]
    fn check(name: &str, sale: &SaleV1, id: u8, dress: &Dress, golden: &str) {
        let text = render(&Receipt::of(sale, EffectId([id; 32]), dress).unwrap());
        assert!(text == golden, "tests/receipts/{name}.txt should be:\n{text}");
    }

    fn render(receipt: &Receipt) -> String {
        let mut out = String::new();
        let mut put = |left: &str, right: &str| {
            let gap = COLUMNS.saturating_sub(left.chars().count() + right.chars().count()).max(1);
            let line = format!("{left}{:gap$}{right}", "");
            writeln!(out, "{}", line.trim_end()).unwrap();
        };
        receipt.header.iter().for_each(|line| put(line, ""));
        if receipt.is_copy {
            put("*** COPY ***", "");
        }
        match receipt.kind {
            SaleKind::Sale => {}
            SaleKind::Return => put("*** RETURN ***", &receipt.reason),
            SaleKind::Void => put("*** VOID ***", &receipt.reason),
        }
        put(&format!("receipt {}", receipt.number), &receipt.tag);
        put(&receipt.time, if receipt.time_verified { "" } else { "time unverified" });
        put(&format!("day {}", receipt.day), receipt.cashier.as_deref().unwrap_or_default());
        if let (Some(number), Some(tag)) = (receipt.original, &receipt.original_tag) {
            put(&format!("of receipt {number}"), tag);
        }
        put("", "");
        for line in &receipt.lines {
            put(&line.name, "");
            let unit = if line.unit.is_empty() { String::new() } else { format!(" {}", line.unit) };
            put(&format!("  {}{unit} x {}", line.qty, line.unit_price.amount()), &line.value.amount());
            if !line.price_note.is_empty() {
                put(&format!("  price: {}", line.price_note), "");
            }
            for (name, amount) in &line.discounts {
                put(&format!("  {name}"), &amount.negated().unwrap().amount());
            }
        }
        put("", "");
        put("subtotal", &receipt.subtotal.amount());
        for tax in &receipt.taxes {
            let how = if tax.included { "in" } else { "on" };
            put(&format!("{} {how} {}", tax.label(), tax.net.amount()), &tax.amount.amount());
        }
        put("total", &receipt.total.to_string());
        if let Some(rounding) = receipt.rounding {
            put("rounding", &rounding.amount());
            put("to pay", &receipt.payable.to_string());
        }
        for tender in &receipt.tenders {
            put(&format!("{} {}", tender.name, tender.detail), &tender.amount.amount());
        }
        if let Some(change) = receipt.change {
            put("change", &change.amount());
        }
        if !receipt.external.is_empty() {
            put(&format!("ref {}", receipt.external), "");
        }
        if receipt.job.is_some() {
            put("printed by request", "");
        }
        receipt.footer.iter().for_each(|line| put(line, ""));
        out
    }
}
