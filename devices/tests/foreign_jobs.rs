//! The virtual printer reads jobs that another host's encoder wrote, so that it is not merely our encoder's mirror.

use std::fs;
use std::path::Path;

use toko_devices::virtual_printer::{Machine, Piece};

#[track_caller]
fn check(name: &str) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut job = fs::read(corpus.join(name).with_extension("bin")).expect("a job in the corpus");
    // Not every job ends with a cut.
    job.extend(b"\n\x1dVB\x00");
    let got: Vec<String> = Machine::new(48).print(&job).iter().map(Piece::text).collect();
    let wanted = fs::read_to_string(corpus.join(name).with_extension("txt")).unwrap_or_default();
    assert_eq!(got.join("----\n"), wanted);
}

#[test]
fn a_receipt_with_a_logo() {
    check("receipt-with-logo");
}

#[test]
fn codes_in_every_size_and_correction() {
    check("qr-code");
}
