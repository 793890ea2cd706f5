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
    assert_eq!(read, 11, "jobs in the corpus");
}

/// What a printer has on paper of a command and of two lines behind it. Of a command that was measured too short its rest stands
/// there as well, one measured too long takes the first of the lines.
fn behind(command: &[u8]) -> Vec<String> {
    let job = [command, b"#\n\x1b@\x1c.\x1ba\x00THE END\n\x1dVB\x00"].concat();
    let text: String = Machine::new(48).print(&job).iter().map(Piece::text).collect();
    text.lines().map(str::trim).filter(|row| !row.is_empty()).map(str::to_owned).collect()
}

#[test]
fn every_command_that_others_know_is_read_with_all_its_bytes_and_no_more() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let listed = fs::read_to_string(corpus.join("escposutils-commands.txt")).expect("the commands");
    let (mut read, mut wrong) = (0, Vec::new());
    for line in listed.lines().filter(|line| !line.starts_with("# ")) {
        let (hex, name) = line.split_once(' ').expect("bytes and a name");
        let digits = hex.as_bytes().chunks_exact(2).map(|two| std::str::from_utf8(two).expect("hex"));
        let command: Vec<u8> = digits.map(|two| u8::from_str_radix(two, 16).expect("hex")).collect();
        let (rows, own) = (behind(&command), PRINTS.iter().find(|(printer, _)| *printer == name));
        let wanted: Vec<&str> = own.map(|(_, row)| *row).into_iter().chain(["#", "THE END"]).collect();
        if rows != wanted {
            wrong.push(format!("{name} {hex}: {rows:?}"));
        }
        read += 1;
    }
    assert!(wrong.is_empty(), "{} of {read}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(read, 583, "commands in the list");
}

/// Commands of the list that print something by themselves.
const PRINTS: [(&str, &str); 2] =
    [("GsPDF417PrintSymbolData", "[PDF417 ]"), ("GsPrintBarcodeAsciiz", "[EAN8 490123456789]")];
