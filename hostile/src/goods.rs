//! What is sold: catalogues as CSV and as blobs, and what a scanner says.

use std::sync::OnceLock;

use toko_devices::virtual_printer::Machine;
use toko_devices::{Barcode, Model, Page, Qr, Style, escpos};
use toko_retail::catalogue::{Catalogue, import_taxes};
use toko_retail::code::{Code, Gtin, OwnCode, lookup_key};
use toko_retail::currency::Currency;
use toko_retail::ops::limits::NAME_CHARS_MAX;
use toko_retail::tax::TaxGroup;
use toko_retail::text;

const TAXES: &str =
    "code,name,percent,part,included\nstd,VAT,20,,yes\nlow,VAT,5.5,11/12,no\nlow,Levy,1,,no\n";
const ITEMS: &str = "sku,name,price,codes,tax,unit,decimals,service\n\
    71053,WHITE METAL LANTERN,3.39,5012345678900,std,each,0,no\n\
    85123A,\"HANGING \"\"HEART\"\" T-LIGHT, HOLDER\",2.55,own:HEART|plu:4011,low,kg,3,no\n\
    POST,POSTAGE,18.00,,,,,yes\n";

fn pounds() -> Currency {
    Currency::parse("GBP").expect("a currency")
}

fn taxes() -> &'static [TaxGroup] {
    static TAX: OnceLock<Vec<TaxGroup>> = OnceLock::new();
    TAX.get_or_init(|| import_taxes(TAXES.as_bytes()).expect("our own taxes"))
}

/// *Input*: which of the two, then the file.
pub(super) fn csv(bytes: &[u8]) {
    let Some((which, file)) = bytes.split_first() else { return };
    if which & 1 == 1 {
        if let Err(problems) = import_taxes(file) {
            assert!(!problems.problems.is_empty() && !problems.to_string().is_empty());
        }
        return;
    }
    match Catalogue::import(file, pounds(), taxes()) {
        Ok(catalogue) => kept(&catalogue),
        Err(problems) => assert!(!problems.problems.is_empty() && !problems.to_string().is_empty()),
    }
}

/// A catalogue is kept as a blob, and every code of it leads to its item.
fn kept(catalogue: &Catalogue) {
    let blob = catalogue.encode();
    let again = Catalogue::decode(&blob).expect("what we wrote we can read");
    assert_eq!(again.encode(), blob, "a catalogue reads back");
    for (at, item) in catalogue.items().enumerate() {
        assert_eq!(again.item(at).map(|item| item.sku), Some(item.sku));
        for code in std::iter::once(item.sku).chain(catalogue.codes_of(at)) {
            let found = again.lookup(code).map(|found| found.sku);
            assert_eq!(found, Some(item.sku), "{code:?} leads elsewhere");
        }
        assert!(!item.name.chars().any(char::is_control), "{:?} has control characters", item.name);
    }
}

pub(super) fn csv_seeds() -> Vec<Vec<u8>> {
    let some = [
        (1, TAXES),
        (0, ITEMS),
        (0, "sku;name;price\r\n1;A;1\r\n"),
        (0, "\u{feff}sku,name,price\n\"a\nb\",x,-1"),
    ];
    some.into_iter().map(|(which, text)| [&[which], text.as_bytes()].concat()).collect()
}

/// *Input*: the blob, with or without its version byte.
pub(super) fn blobs(bytes: &[u8]) {
    for blob in [bytes.to_vec(), [&[1], bytes].concat()] {
        if let Ok(catalogue) = Catalogue::decode(&blob) {
            kept(&catalogue);
        }
    }
}

pub(super) fn blobs_seeds() -> Vec<Vec<u8>> {
    let made = Catalogue::import(ITEMS.as_bytes(), pounds(), taxes()).map(|catalogue| catalogue.encode());
    let one =
        Catalogue::import(b"sku,name,price\n1,A,1\n", pounds(), &[]).map(|catalogue| catalogue.encode());
    [made, one].into_iter().flatten().flat_map(|blob| [blob[1..].to_vec(), blob]).collect()
}

/// *Input*: what came from a scanner, or stands as the name of a thing.
pub(super) fn barcodes(bytes: &[u8]) {
    static SHELF: OnceLock<Catalogue> = OnceLock::new();
    let shelf =
        SHELF.get_or_init(|| Catalogue::import(ITEMS.as_bytes(), pounds(), taxes()).expect("our own items"));
    let said = String::from_utf8_lossy(bytes);
    if let Ok(code) = Code::parse(&said) {
        let key = code.key();
        assert!(key.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{key:?} is no key");
        assert_eq!(lookup_key(&key), key.as_str(), "a key leads to itself");
    }
    if let Ok(gtin) = Gtin::parse(&said) {
        assert_eq!(Gtin::parse(&gtin.to_14()).map(Gtin::to_14), Ok(gtin.to_14()));
        assert_eq!(Gtin::parse(&gtin.shortest()).map(Gtin::to_14), Ok(gtin.to_14()));
    }
    if let Ok(own) = OwnCode::parse(&said) {
        assert_eq!(own.as_str(), said, "nothing is changed");
    }
    assert!(shelf.lookup(&said).is_none_or(|item| !item.name.is_empty()));
    if text::check_name("a name", &said, NAME_CHARS_MAX).is_ok() {
        assert!(!said.chars().any(char::is_control), "{said:?} passed for a name");
    }
    on_paper(&said);
}

/// Whatever stands on a receipt, the printer prints it and obeys none of it.
fn on_paper(said: &str) {
    let model = Model::paper_80mm();
    let mut page = Page::new().text(said, Style::PLAIN.bold()).columns(said, said).line("End");
    if let Ok(code) = Barcode::code128(said) {
        page = page.barcode(code);
    }
    if let Ok(qr) = Qr::new(said) {
        page = page.qr(qr);
    }
    let pieces = Machine::new(model.columns).print(&escpos::encode(&page.job("7f3a09c1").cut(), &model));
    assert_eq!(pieces.len(), 1, "text cut the paper");
    assert_eq!(pieces[0].job().as_deref(), Some("7f3a09c1"), "text passed for the job's name");
    assert!(pieces[0].text().contains("End"), "text swallowed what follows it");
}

pub(super) fn barcodes_seeds() -> Vec<Vec<u8>> {
    let said = [
        "5012345678900",
        "12345670",
        "036000291452",
        "own:HEART",
        "plu:4011",
        "85123A",
        "71053\r\n",
        "\u{1b}p\0\u{19}\u{fa}",
        "\u{10}\u{14}\u{1}\0\u{1}",
        "Job 00000000",
        "'; DROP TABLE items;--",
        "<script>",
        "€ é ñ 中",
        "\u{1d}(H\u{6}\0\u{30}\u{30}",
        "]C1019501234567890",
    ];
    said.into_iter().map(|said| said.as_bytes().to_vec()).collect()
}
