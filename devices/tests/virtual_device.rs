//! The program `virtual-device` as others start it: each kind at the end of a device file, what it shows, its exit codes.

#![cfg(test)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;
use toko_devices::Barcode;
use toko_devices::display::{Dialect, Glass, Screen, encode};
use toko_devices::label::{Shelf, Stock, tspl, zpl};

/// A device that runs; it ends with its input, and with this.
struct Running {
    child: Child,
    said: BufReader<ChildStdout>,
    dir: TempDir,
}

impl Running {
    fn start(args: &[&str]) -> Running {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_virtual-device"))
            .args(args)
            .arg("--link")
            .arg(dir.path().join("device"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut running = Running { said: BufReader::new(child.stdout.take().unwrap()), child, dir };
        assert!(running.line().starts_with("device /dev/pts/"));
        running
    }

    /// The next line that it says.
    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.said.read_line(&mut line).unwrap() > 0, "it ended");
        line.trim_end_matches('\n').to_owned()
    }

    /// The far end of its cable.
    fn cable(&self) -> File {
        File::options().read(true).write(true).open(self.dir.path().join("device")).unwrap()
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Ends its input; its exit code. The link is gone then.
    fn end(mut self) -> i32 {
        drop(self.child.stdin.take());
        let code = self.child.wait().unwrap().code().unwrap();
        assert!(!self.dir.path().join("device").exists());
        code
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Real processes; a runner may serialise them by this name.
mod run_alone {
    use super::*;

    #[test]
    fn a_display_shows_its_rows_in_each_dialect() {
        for (word, dialect) in [
            ("epson", Dialect::Epson),
            ("cd5220", Dialect::Cd5220),
            ("behind-printer", Dialect::BehindPrinter),
        ] {
            let mut display = Running::start(&["display", "--dialect", word]);
            let screen = Screen { upper: "TOMATOES".into(), lower: "1.20 €".into() };
            display.cable().write_all(&encode(&screen, &Glass::rows_of_20(dialect))).unwrap();
            // It tells each change; what comes piece by piece is whole in the end.
            let rows = ["[TOMATOES            ]", "[1.20 €              ]"];
            while [display.line(), display.line()] != rows {}
            assert_eq!(display.end(), 0);
        }
    }

    #[test]
    fn a_scanner_sends_each_line_with_its_separators() {
        let mut scanner = Running::start(&["scanner"]);
        let mut cable = scanner.cable();
        scanner.tell("]C10103600029145213\\x1d10A1");
        let wanted = b"]C10103600029145213\x1d10A1\r\n";
        let mut scanned = vec![0; wanted.len()];
        cable.read_exact(&mut scanned).unwrap();
        assert_eq!(scanned, wanted);
        assert_eq!(scanner.end(), 0);
    }

    #[test]
    fn a_scale_refuses_what_happens_at_no_scale() {
        let mut scale = Running::start(&["scale"]);
        scale.tell("01.250");
        scale.tell("sing");
        assert_eq!(scale.end(), 65);
    }

    #[test]
    fn a_label_printer_writes_what_stands_on_the_labels_and_says_what_it_does_not_know() {
        let code = Barcode::ean13("4006381333931").ok();
        let shelf = Shelf { name: "Tomatoes 400 g", price: "1.20", unit_price: "3.00/kg", code };
        let label = shelf.label(&Stock::mm(62, 29, 8));
        let print = |args: &[&str], job: &[u8]| {
            let mut child = Command::new(env!("CARGO_BIN_EXE_virtual-device"))
                .arg("labels")
                .args(args)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(job).unwrap();
            let output = child.wait_with_output().unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        let wanted = "2 ×\n  Tomatoes 400 g\n  1.20\n  3.00/kg\n  EAN13 4006381333931\n".to_owned();
        assert_eq!(print(&[], &zpl::encode(&label, 2)), (Some(0), wanted.clone()));
        assert_eq!(print(&["--tspl"], &tspl::encode(&label, 2)), (Some(0), wanted));
        assert_eq!(print(&["--tspl"], &zpl::encode(&label, 2)).0, Some(65), "the other language");
        assert_eq!(print(&["--colour"], b"").0, Some(64));
    }
}
