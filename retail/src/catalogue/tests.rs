//! Catalogues by example: found by every code, kept in equal bytes, refused with all reasons at once.

use proptest::prelude::*;

use super::*;
use crate::tax::TaxRate;

fn gbp() -> Currency {
    Currency::parse("GBP").unwrap()
}

fn vat() -> Vec<TaxGroup> {
    vec![TaxGroup::new("S", true, vec![TaxRate::percent("VAT", "20").unwrap()]).unwrap()]
}

fn import(csv: &str) -> Result<Catalogue, ImportProblems> {
    Catalogue::import(csv.as_bytes(), gbp(), &vat())
}

const SHOP: &str = "\
sku,name,price,codes,tax,unit,decimals,service
85123A,WHITE HANGING HEART T-LIGHT HOLDER,2.55,5901234123457|own:HEART,S,pc,0,no
85123a,another one,2.50,,,,,
POST,\"Postage, \"\"first class\"\"\",18,,,,,yes
APPLE,Apples,1.599,plu:4011,S,kg,3,
5012345678900,sold by its GTIN,0.001,,,,,
";

#[test]
fn items_are_found_by_every_code_and_spelling() {
    let shop = import(SHOP).unwrap();
    let sku = |code: &str| shop.lookup(code).map(|item| item.sku.to_string());
    for (code, owner) in [
        ("85123A", "85123A"),
        ("85123a", "85123a"),
        ("5901234123457", "85123A"),
        ("05901234123457", "85123A"),
        ("HEART", "85123A"),
        ("4011", "APPLE"),
        ("5012345678900", "5012345678900"),
        ("05012345678900", "5012345678900"),
    ] {
        assert_eq!(sku(code).as_deref(), Some(owner), "{code}");
    }
    for unknown in ["", "85123B", "post", "5901234123458", "heart", "04011"] {
        assert_eq!(sku(unknown), None, "{unknown}");
    }
    let apple = shop.lookup("APPLE").unwrap();
    assert_eq!((apple.price.amount().as_str(), apple.decimals, apple.unit), ("1.599", 3, "kg"));
    assert_eq!(apple.tax.unwrap().code(), "S");
    let post = shop.lookup("POST").unwrap();
    assert!(post.is_service);
    assert_eq!(post.name, "Postage, \"first class\"");
}

#[test]
fn marks_and_line_ends_of_other_systems_change_nothing() {
    let plain = import(SHOP).unwrap();
    let dressed = format!("\u{feff}{}", SHOP.replace('\n', "\r\n"));
    assert_eq!(import(&dressed).unwrap().encode(), plain.encode());
}

#[test]
fn equal_items_make_equal_bytes_in_any_order() {
    let mut lines: Vec<&str> = SHOP.lines().collect();
    lines[1..].reverse();
    let turned = import(&lines.join("\n")).unwrap();
    assert_eq!(turned.encode(), import(SHOP).unwrap().encode());
    assert_eq!(turned.bundle(), import(SHOP).unwrap().bundle());
    let again = Catalogue::decode(&turned.encode()).unwrap();
    assert_eq!(again.encode(), turned.encode());
    assert_eq!(again.lookup("4011").unwrap().sku, "APPLE");
}

#[test]
fn everything_wrong_is_named_together_with_line_and_column() {
    let csv = "sku,name,price,codes,tax,service\n\
        A,first,1.00,5901234123457,,\n\
        B@,second,1,50,,,\n\
        C,third,cheap,5901234123458,X,maybe\n\
        ,,-1,05901234123457,,\n\
        A,again,1,,,\n";
    let said = import(csv).unwrap_err().to_string();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "line 3: 7 fields, the first line has 6; a comma inside a name must stand in quotes",
            "line 4, column price: \"cheap\" is not an amount (digits, and a point before the decimals, such as 12.50)",
            "line 4, column tax: \"X\" is no tax code (known: S); define it or leave it empty",
            "line 4, column service: \"maybe\" is neither yes nor no",
            "line 4, column codes: the GTIN 5901234123458 ends in 8 where its check digit is 7; correct it, or write \
             own:5901234123458 for a code of your own",
            "line 5, column sku: the code is empty",
            "line 5, column name: the name is empty",
            "line 5, column price: \"-1\" is not an amount (digits, and a point before the decimals, such as 12.50)",
            "line 5, column codes: the code 05901234123457 is already on line 2 (item A); remove it from one of the two",
            "line 6, column sku: the code A is already on line 2 (item A); remove it from one of the two",
        ]
    );
}

#[test]
fn a_file_that_is_no_catalogue_says_so() {
    let said = |csv: &[u8]| Catalogue::import(csv, gbp(), &[]).unwrap_err().to_string();
    assert!(said(b"").contains("the file is empty"));
    assert!(said(b"sku;name;price\nA;a;1\n").contains("save the file with commas"));
    assert_eq!(
        said(b"sku,price\n"),
        "line 1, column name: this column is missing; name it in the first line"
    );
    assert!(said(b"sku,name,price,colour\n").contains("\"colour\" is no column"));
    assert!(said(b"sku,name,price,sku\n").contains("stands twice"));
    assert!(said(b"sku,name,price\n").contains("there is no item"));
    assert!(said(b"sku,name,price\nA,caf\xe9,1\n").contains("line 2, column name: this is not UTF-8"));
    assert!(said(b"sku,name,price\nA,\"open,1\nB,b,2\n").contains("a quote is probably not closed"));
    let many: String = (0..300).map(|n| format!("A{n},a,x\n")).collect();
    assert!(said(format!("sku,name,price\n{many}").as_bytes()).ends_with("and 100 more"));
}

#[test]
fn taxes_come_from_a_file_of_their_own() {
    let taxes =
        import_taxes(b"code,name,percent,part,included\nP,PPN,12,11/12,no\nB,GST,5,,yes\nB,PST,7,,yes\n")
            .unwrap();
    assert_eq!((taxes[0].rates()[0].base(), taxes[0].included()), ((11, 12), false));
    assert_eq!((taxes[1].rates().len(), taxes[1].included()), (2, true));
    let said = import_taxes(
        b"code,name,percent,part,included\nP,PPN,12%,,\nP,PPN,12,half,\nB,A,1,,no\nB,C,1,,yes\n",
    );
    let said = said.unwrap_err().to_string();
    assert!(said.contains("line 2, column percent") && said.contains("line 3, column part"), "{said}");
    assert!(said.contains("line 5, column included"), "{said}");
}

#[test]
fn a_hundred_thousand_items_are_small_and_all_found() {
    let mut csv = String::from("sku,name,price,codes\n");
    for n in 0..100_000_u64 {
        let payload = 500_000_000_000 + n;
        let gtin = format!("{payload}{}", crate::code::check_digit(payload));
        csv.push_str(&format!("S{n},AN ITEM OF ABOUT THE USUAL LENGTH {n},{}.99,{gtin}\n", n % 100));
    }
    let shop = import(&csv).unwrap();
    assert_eq!(shop.len(), 100_000);
    assert!(shop.memory_bytes() < 20 << 20, "{} bytes", shop.memory_bytes());
    let all_found = shop.items().enumerate().all(|(at, item)| {
        shop.codes_of(at).all(|code| shop.lookup(code).is_some_and(|found| found.sku == item.sku))
    });
    assert!(all_found);
}

#[test]
fn a_blob_has_its_items_by_sku() {
    let item = |sku: u8| [1, sku, 1, b'X', 0, 0, 0, 0, 0, 0];
    let blob = |skus: [u8; 2]| [&[1, b'G', b'B', b'P', 2, 0, 2][..], &skus.map(item).concat()].concat();
    assert_eq!(Catalogue::decode(&blob([b'A', b'B'])).unwrap().len(), 2);
    let order = CatalogueError::Order { sku: "A".into() };
    assert_eq!(Catalogue::decode(&blob([b'B', b'A'])).unwrap_err(), BlobError::Catalogue(order));
    assert!(matches!(
        Catalogue::decode(&blob([b'A', b'A'])),
        Err(BlobError::Catalogue(CatalogueError::CodeTwice { .. }))
    ));
}

#[test]
fn bytes_that_are_no_catalogue_are_refused() {
    let bytes = import(SHOP).unwrap().encode();
    assert!(Catalogue::decode(&[]).is_err());
    let mut newer = bytes.clone();
    newer[0] = 2;
    assert!(matches!(Catalogue::decode(&newer), Err(BlobError::Codec(_))));
    for cut in 0..bytes.len() {
        assert!(Catalogue::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

proptest! {
    #[test]
    fn no_file_panics(csv in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Catalogue::import(&csv, gbp(), &[]);
        let _ = import_taxes(&csv);
        let _ = Catalogue::decode(&csv);
    }

    #[test]
    fn no_rows_panic(rows in "(sku,name,price,codes\n)?([A-C0-9]{0,3},[a\"\n]{0,3},[0-9.-]{0,4},[0-9|:]{0,9}\r?\n){0,6}") {
        let _ = import(&rows);
    }
}
