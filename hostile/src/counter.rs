//! What stands on a counter beside the printer: what scales and scanners say, where they are looked for, and what is written on
//! labels and displays.

use std::time::Duration;

use toko_devices::display::{self, Dialect, Glass, Screen, VirtualDisplay};
use toko_devices::label::{Item, Shelf, Stock, VirtualLabelPrinter, tspl, zpl};
use toko_devices::scale::{Next, Protocol, Unit, Weighing};
use toko_devices::scanner::{Keys, Lines, Refused, Scan, ScannerAddress};
use toko_devices::{Address, Barcode, Qr};

use super::cut::{Cut, piece};

/// *Input*: where a device hangs, as settings name it. What is shown leads to the same place.
pub(super) fn cables(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match text.parse::<Address>() {
        Ok(address) => assert_eq!(address.to_string().parse(), Ok(address), "{text:?}"),
        Err(problem) => assert!(problem.at <= text.chars().count() + 1 && problem.to_string().len() < 1_024),
    }
    if let Ok(address) = text.parse::<ScannerAddress>() {
        assert_eq!(address.to_string().parse(), Ok(address), "{text:?}");
    }
}

pub(super) fn cables_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "192.0.2.7:9100",
        "tcp://[fe80::1]:9100",
        "usb:J7Q-0012",
        "usb:port=1-1.2",
        "usb:/dev/usb/lp0",
        "serial:/dev/ttyUSB0?baud=38400&frame=7E1&flow=rtscts",
        "unix:/run/printer.sock",
        "keyboard:05e0:1200",
        "keyboard:/dev/input/by-id/scanner",
    ];
    texts.into_iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// *Input*: which scale, then how long each piece of what it says takes, and the piece. A weight is given only if some digits
/// of it were said, and every weighing ends.
pub(super) fn scales(bytes: &[u8]) {
    let mut cut = Cut(bytes);
    let protocol = Protocol::ALL[usize::from(cut.byte()) % Protocol::ALL.len()];
    let (mut now, deadline) = (Duration::ZERO, Duration::from_secs(2));
    let mut weighing = Weighing::new(protocol, Unit::Kilogram, None, now, deadline);
    let mut said = Vec::new();
    let mut asked = 0_usize;
    while !cut.is_empty() {
        let pause = Duration::from_millis(u64::from(cut.byte()));
        let piece = cut.piece();
        while let Next::Send(_) = weighing.next(now) {
            asked += 1;
            assert!(asked <= bytes.len() + 10, "it asks without end");
        }
        piece.iter().for_each(|byte| weighing.hear(*byte, now));
        said.extend(piece.iter().map(|byte| byte & 0x7f));
        now += pause;
    }
    let Next::Done(done) = weighing.next(now + deadline) else { panic!("a weighing without end") };
    if let Ok(reading) = done {
        assert!(asked >= 2, "one question is not enough");
        let shown = reading.weight.digits.to_string();
        let digits: Vec<u8> = said.into_iter().filter(u8::is_ascii_digit).collect();
        let found = digits.windows(shown.len()).filter(|window| *window == shown.as_bytes()).count();
        assert!(found >= 2, "{shown} was not said twice");
    }
}

pub(super) fn scales_seeds() -> Vec<Vec<u8>> {
    let talk = |scale: u8, said: &[&[u8]]| {
        let pieces = said.iter().flat_map(|said| [vec![20], piece(said)].concat());
        std::iter::once(scale).chain(pieces).collect::<Vec<u8>>()
    };
    let cas = b"\x06\x01\x02S 01.250kg\x67\x03\x04";
    vec![
        talk(0, &[b"\x0201.250\r", b"\x0201.250\r"]),
        talk(0, &[b"\x02?\x61\r", b"\x0201.250N\r", b"\x0201.250N\r"]),
        talk(1, &[b"\n01.250KG\r\nS00\r\x03", b"\n01.250KG\r\nS00\r\x03"]),
        talk(1, &[b"\n01.250LB\r\n0p4\r\x03", b"\n?\r\x03", b"\nS10\r\x03"]),
        talk(2, &[b"\x06", &cas[1..], b"\x06", &cas[1..]]),
    ]
}

/// *Input*: bytes of a scanner on a line; then the same as keys. No scan has a byte that could be a command.
pub(super) fn scans(bytes: &[u8]) {
    let harmless = |scan: Result<Scan, Refused>| {
        if let Ok(scan) = scan {
            let kept = [0x04, 0x1d, 0x1e, 0x1f];
            let good = |byte: &u8| !byte.is_ascii_control() || kept.contains(byte);
            assert!(!scan.data.iter().any(|byte| !good(byte)) && scan.data.len() <= 2_048);
            assert!(!scan.is_gs1() || scan.aim.is_some());
        }
    };
    let mut lines = Lines::default();
    for byte in bytes {
        lines.push(*byte, Duration::ZERO).into_iter().for_each(harmless);
    }
    let (mut keys, mut now) = (Keys::default(), Duration::ZERO);
    for two in bytes.chunks_exact(2) {
        now += Duration::from_millis(u64::from(two[1] >> 1));
        keys.push(u16::from(two[0]), two[1] & 1 == 1, now).into_iter().for_each(harmless);
    }
    let _ = keys.lost();
    assert_eq!(keys.push(28, true, now), None, "what was lost is not a scan");
}

pub(super) fn scans_seeds() -> Vec<Vec<u8>> {
    vec![
        b"]E04006381333931\r\n".to_vec(),
        b"]C1010401234567890110A1\x1d3103001250\r".to_vec(),
        b"]d2019501\x1d21X\t]Q3x\n]e0y\rplain\r".to_vec(),
        b"\x1b[A\r12\x0034\r".to_vec(),
        // 4, 0, Enter; then Alt with 0, 2, 9 on the pad, and Tab.
        vec![5, 1, 5, 0, 11, 1, 11, 0, 28, 1, 28, 0],
        vec![56, 1, 82, 1, 82, 0, 80, 1, 80, 0, 73, 1, 73, 0, 56, 0, 15, 1, 15, 0],
    ]
}

/// *Input*: two texts. Written on a label in either language and on a display, each is itself and nothing else.
pub(super) fn labels(bytes: &[u8]) {
    let mut cut = Cut(bytes);
    let (one, other) = (cut.text(), cut.text());
    let shelf = Shelf { name: &one, price: &other, unit_price: "each", code: Barcode::code128(&one).ok() };
    let mut label = shelf.label(&Stock::mm(62, 29, 8));
    let codes = usize::from(shelf.code.is_some()) + usize::from(Qr::new(&other).is_ok());
    label.items.extend(Qr::new(&other).ok().map(|code| Item::Qr { x: 9, y: 9, size: 4, code }));
    for job in [zpl::encode(&label, 3), tspl::encode(&label, 3)] {
        let mut printer = VirtualLabelPrinter::default();
        if job.starts_with(b"^XA") {
            printer.zpl(&job)
        } else {
            printer.tspl(&job)
        }
        let [printed] = &printer.printed[..] else { panic!("{} labels", printer.printed.len()) };
        // A code that cannot be said in a language stands there as text.
        let stands = (printed.copies, printed.texts.len() + printed.codes.len(), printer.unknown);
        assert_eq!(stands, (3, 3 + codes, 0), "text became a command, or was lost");
    }
    let screen = Screen { upper: one, lower: other };
    for dialect in [Dialect::Epson, Dialect::Cd5220, Dialect::BehindPrinter] {
        let glass = Glass::rows_of_20(dialect);
        let mut display = VirtualDisplay::new(glass);
        display.receive(&display::encode(&screen, &glass));
        assert_eq!((display.unknown(), display.drawings(), display.printer_listens()), (0, 1, true));
    }
}

pub(super) fn labels_seeds() -> Vec<Vec<u8>> {
    let pairs = [
        ("Tomatoes 400 g", "1.20 €"),
        ("^XZ^XA~JA", "_5E^FS"),
        ("\"\r\nSELFTEST\r\nTEXT 0,0,\"1\",0,1,1,\"", "\\[R]~!T\\[\"]"),
        ("\u{1b}QA\r\u{1f}$\u{1}\u{2}", "\u{1b}=\u{1}"),
        (">;>0>8", "中文 żółć"),
    ];
    pairs.into_iter().map(|(one, other)| [piece(one.as_bytes()), piece(other.as_bytes())].concat()).collect()
}
