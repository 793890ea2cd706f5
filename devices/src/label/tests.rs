use super::*;
use proptest::prelude::*;

fn tomatoes() -> Label {
    let code = Barcode::ean13("4006381333931").unwrap();
    let shelf =
        Shelf { name: "Tomatoes 400 g", price: "1.20 €", unit_price: "3.00 €/kg", code: Some(code) };
    shelf.label(&Stock::mm(62, 29, 8))
}

#[test]
fn a_shelf_edge_in_zpl_is_these_bytes() {
    let wanted = "^XA^CI28^LH0,0^PW496^LL232\n\
        ^FO8,8^A0N,33,33^FH_^FDTomatoes 400 g^FS\n\
        ^FO8,49^A0N,77,77^FH_^FD1.20 _E2_82_AC^FS\n\
        ^FO8,134^A0N,24,24^FH_^FD3.00 _E2_82_AC/kg^FS\n\
        ^FO282,134^BY2^BEN,66,Y,N^FH_^FD400638133393^FS\n\
        ^PQ2,0,1,Y^XZ\n";
    assert_eq!(String::from_utf8_lossy(&zpl::encode(&tomatoes(), 2)), wanted);
}

#[test]
fn a_shelf_edge_in_tspl_is_these_bytes() {
    let wanted = [
        &b"\r\nSIZE 62 mm,29 mm\r\nGAP 2 mm,0 mm\r\nDIRECTION 1\r\nREFERENCE 0,0\r\nCODEPAGE 1252\r\nCLS\r\n"
            [..],
        b"TEXT 8,8,\"4\",0,1,1,\"Tomatoes 400 g\"\r\n",
        b"TEXT 8,49,\"3\",0,3,3,\"1.20 \x80\"\r\n",
        b"TEXT 8,134,\"3\",0,1,1,\"3.00 \x80/kg\"\r\n",
        b"BARCODE 282,134,\"EAN13\",66,1,0,2,2,\"4006381333931\"\r\nPRINT 1,1\r\n",
    ]
    .concat();
    assert_eq!(String::from_utf8_lossy(&tspl::encode(&tomatoes(), 1)), String::from_utf8_lossy(&wanted));
    assert_eq!(tspl::encode(&tomatoes(), 1), wanted);
}

#[test]
fn every_code_reads_back_as_it_was_given() {
    let codes = [
        Barcode::ean13("4006381333931"),
        Barcode::ean8("96385074"),
        Barcode::upc_a("036000291452"),
        Barcode::code128(">;~^XZ_5E \"A\\[R]~!T"),
    ];
    let bars = codes.into_iter().map(|code| Item::Bars { x: 1, y: 1, height: 40, code: code.unwrap() });
    let label = Label { stock: Stock::mm(62, 29, 8), items: bars.collect() };
    let mut printer = VirtualLabelPrinter::default();
    printer.zpl(&zpl::encode(&label, 1));
    let read: Vec<&str> = printer.printed[0].codes.iter().map(|(_, data)| data.as_str()).collect();
    assert_eq!(read, ["4006381333931", "96385074", "036000291452", ">;~^XZ_5E \"A\\[R]~!T"]);
    assert_eq!(printer.unknown, 0);

    // What TSPL cannot say between quotes stands there as text; nothing is scanned as something else.
    let mut printer = VirtualLabelPrinter::default();
    printer.tspl(&tspl::encode(&label, 1));
    let read: Vec<&str> = printer.printed[0].codes.iter().map(|(_, data)| data.as_str()).collect();
    assert_eq!(read, ["4006381333931", "96385074", "036000291452"]);
    assert_eq!(printer.printed[0].texts.len(), 1);
    assert_eq!(printer.unknown, 0);
}

/// The UPC-E of these seven digits, with the check digit that is right for them.
fn upc_e(seven: &str) -> Barcode {
    (0..10).find_map(|check| Barcode::upc_e(&format!("{seven}{check}")).ok()).unwrap()
}

#[test]
fn a_qr_code_an_itf_and_a_upc_e_read_back_in_either_language() {
    let short = ["0123450", "0123451", "0123452", "0127563", "0123454", "0123455", "0123459"].map(upc_e);
    // The printer would make another one of it, or has no bars for its number system.
    let other = [upc_e("0120003"), upc_e("1123459")];
    let mut codes: Vec<Barcode> =
        vec![Barcode::itf("1540014128876").ok(), Barcode::itf("15400141288763").ok()]
            .into_iter()
            .flatten()
            .collect();
    assert_eq!(codes.len(), 1, "an odd number of digits is none");
    codes.extend(short.clone());
    codes.extend(other.clone());
    let mut items: Vec<Item> =
        codes.iter().map(|code| Item::Bars { x: 1, y: 1, height: 40, code: code.clone() }).collect();
    for data in ["https://example.com/?a=1^FS~JA_5E", "say \"cheese\""] {
        items.push(Item::Qr { x: 1, y: 1, size: 4, code: Qr::new(data).unwrap() });
    }
    let label = Label { stock: Stock::mm(62, 29, 8), items };
    let of = |code: &Barcode| (code.name().to_owned(), code.data().to_owned());
    let qr = |data: &str| ("QR".to_owned(), data.to_owned());

    let mut printer = VirtualLabelPrinter::default();
    printer.zpl(&zpl::encode(&label, 1));
    let mut wanted: Vec<_> = codes[..8].iter().map(of).collect();
    wanted.extend([qr("https://example.com/?a=1^FS~JA_5E"), qr("say \"cheese\"")]);
    assert_eq!((&printer.printed[0].codes, printer.unknown), (&wanted, 0));
    assert_eq!(printer.printed[0].texts, other.each_ref().map(|code| code.data().to_owned()));

    let mut printer = VirtualLabelPrinter::default();
    printer.tspl(&tspl::encode(&label, 1));
    let mut wanted: Vec<_> = codes[..9].iter().map(of).collect();
    wanted.push(qr("https://example.com/?a=1^FS~JA_5E"));
    assert_eq!((&printer.printed[0].codes, printer.unknown), (&wanted, 0));
    assert_eq!(printer.printed[0].texts, [other[1].data(), "say 'cheese'"]);
}

#[test]
fn no_copies_are_no_bytes() {
    assert!(zpl::encode(&tomatoes(), 0).is_empty() && tspl::encode(&tomatoes(), 0).is_empty());
}

/// What a text looks like in TSPL: as the page of characters shows it, with what could be misread made plain.
fn in_tspl(text: &str) -> String {
    tspl::PAGE.show(text).replace('"', "'").replace("\\[", "\\(").replace("~!", "~.")
}

proptest! {
    #[test]
    fn nothing_that_a_caller_writes_becomes_a_command(
        name in "(.|[\\^~_\"\\\\\\[\\]!,\r\n\u{1b}]|XZ|XA|~JA|\\^FS|5E|PRINT 9|SELFTEST){0,30}",
        price in ".{0,12}",
        copies in 1_u16..99,
    ) {
        let shelf = Shelf { name: &name, price: &price, unit_price: "x", code: None };
        let label = shelf.label(&Stock::mm(500, 29, 8));
        let Item::Text { text: cut, .. } = &label.items[0] else { panic!("no name") };
        let plain = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();

        let mut printer = VirtualLabelPrinter::default();
        printer.zpl(&zpl::encode(&label, copies));
        let wanted = Printed { texts: vec![plain(cut), plain(&price), "x".into()], codes: vec![], copies: copies.into() };
        prop_assert_eq!(&printer.printed, &[wanted]);
        prop_assert_eq!(printer.unknown, 0);

        let mut printer = VirtualLabelPrinter::default();
        printer.tspl(&tspl::encode(&label, copies));
        let wanted = Printed { texts: vec![in_tspl(cut), in_tspl(&price), "x".into()], codes: vec![], copies: copies.into() };
        prop_assert_eq!(&printer.printed, &[wanted]);
        prop_assert_eq!(printer.unknown, 0);
    }
}
