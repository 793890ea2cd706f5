//! Where the two sources of the printers' profiles differ, and what was taken: a list that changes only deliberately.

use toko_devices::Profile;

/// The dots of a head were measured by the database. What only one of them grants is not believed, except a cutter, since
/// feeding to it does no harm. A page that they name differently is not used: letters of the wrong page are a wrong
/// receipt, a drawing is only slower.
const DIFFERENCES: [&str; 14] = [
    "epson/tm-t70 dots: 512 or 504, taken 512",
    "epson/tm-t70ii dots: 512 or 504, taken 512",
    "epson/tm-t88ii dots: 512 or 504, taken 512",
    "epson/tm-t88iii dots: 512 or 504, taken 512",
    "epson/tm-t88iii page 18: cp862 or cp852, taken neither",
    "epson/tm-t88iv dots: 512 or 504, taken 512",
    "epson/tm-t88v dots: 512 or 504, taken 512",
    "metapace/t-1 pdf417: only the database has it, taken no",
    "metapace/t-1 qr: only the database has it, taken no",
    "zjiang/pos-5890 barcode: only the encoder has it, taken no",
    "zjiang/pos-5890 cut: only the encoder has it, taken yes",
    "zjiang/pos-5890 part-cut: only the encoder has it, taken yes",
    "zjiang/pos-5890 pdf417: only the encoder has it, taken no",
    "zjiang/pos-5890 qr: only the encoder has it, taken no",
];

#[test]
fn where_the_sources_differ_is_known_and_what_was_taken_holds() {
    let all = Profile::all().iter();
    let differences: Vec<String> =
        all.flat_map(|profile| profile.differs.iter().map(|line| format!("{} {line}", profile.id))).collect();
    assert_eq!(differences, DIFFERENCES);

    let t88iii = &Profile::named("epson/tm-t88iii").expect("known").model;
    assert!(t88iii.dots == 512 && t88iii.pages.iter().all(|(number, _)| *number != 18));
    let metapace = &Profile::named("metapace/t-1").expect("known").model;
    assert!(metapace.draws.barcodes && !metapace.draws.qr && !metapace.draws.pdf417);
}

#[test]
fn both_sources_are_there_and_named() {
    let with =
        |source: &str| Profile::all().iter().filter(|profile| profile.sources.contains(source)).count();
    assert_eq!((with("database"), with("encoder")), (47, 29));
}
