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

#[test]
fn every_job_of_others_is_read_to_its_end() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut read = 0;
    for entry in fs::read_dir(corpus).expect("the corpus") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|kind| kind == "bin") {
            let mut job = fs::read(&path).expect("a job");
            // A command that was measured too long would swallow this, one too short would leave its rest beside it.
            job.extend(b"\x1b@\x1c.\x1ba\x00\nTHE END\n\x1dVB\x00");
            let pieces = Machine::new(48).print(&job);
            let last = pieces.last().map(Piece::text).unwrap_or_default();
            assert_eq!(last.lines().last(), Some("THE END"), "{}", path.display());
            read += 1;
        }
    }
    assert_eq!(read, 9, "jobs in the corpus");
}
