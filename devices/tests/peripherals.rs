//! Scales, displays and scanners at the far ends of pseudo-terminals, each with its virtual twin.

#![cfg(test)]

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toko_devices::Roots;
use toko_devices::cable::{Address, Line, Pty};
use toko_devices::display::{Dialect, Glass, LineDisplay, Screen, VirtualDisplay};
use toko_devices::scale::{
    Pan, Protocol, Scale, ScaleConfig, Trouble, Unit, VirtualScale, WeighError, Weight,
};
use toko_devices::scanner::{Refused, Scan, Scanner, ScannerAddress, ScannerConfig};

fn kg(digits: u32) -> Weight {
    Weight { digits, decimals: 3, unit: Unit::Kilogram }
}

fn scale_on(path: &Path, protocol: Protocol) -> Scale {
    scale_within(path, protocol, Duration::from_secs(2))
}

fn scale_within(path: &Path, protocol: Protocol, within: Duration) -> Scale {
    Scale::new(ScaleConfig {
        address: Address::Serial(path.to_owned(), Line::SCALE),
        roots: Roots::default(),
        protocol,
        unit: Unit::Kilogram,
        least: None,
        within,
    })
}

fn melon() -> Pan {
    Pan { display: "01.250".to_owned(), ..Pan::default() }
}

#[tokio::test]
async fn each_kind_of_scale_tells_what_lies_there() {
    let stop = CancellationToken::new();
    for protocol in Protocol::ALL {
        let device = VirtualScale::spawn(protocol, melon()).unwrap();
        let mut scale = scale_on(device.path(), protocol);
        let reading = scale.weigh(&stop).await.unwrap_or_else(|why| panic!("{protocol:?}: {why}"));
        assert_eq!((reading.weight, reading.weight.milli()), (kg(1250), Some(1250)), "{protocol:?}");
        device.set(|pan| pan.display = "00.420".to_owned());
        assert_eq!(scale.weigh(&stop).await.unwrap().weight, kg(420), "{protocol:?}");
    }
}

#[tokio::test]
async fn a_scale_that_swings_or_is_off_gives_no_weight_and_never_the_one_before() {
    async fn of(protocol: Protocol) {
        let stop = CancellationToken::new();
        let device = VirtualScale::spawn(protocol, melon()).unwrap();
        let mut scale = scale_on(device.path(), protocol);
        assert!(scale.weigh(&stop).await.is_ok());
        device.set(|pan| pan.moving = true);
        let swinging = scale.weigh(&stop).await;
        assert_eq!(swinging, Err(WeighError::NotStable { trouble: Trouble::Moving }), "{protocol:?}");
        device.set(|pan| (pan.moving, pan.silent) = (false, true));
        assert_eq!(scale.weigh(&stop).await, Err(WeighError::Silent), "{protocol:?}");
    }
    let [toledo, nci, cas] = Protocol::ALL.map(of);
    tokio::join!(toledo, nci, cas);
}

#[tokio::test]
async fn a_slow_scale_that_tells_the_weight_of_before_once_is_not_believed() {
    let stop = CancellationToken::new();
    for protocol in Protocol::ALL {
        let device = VirtualScale::spawn(protocol, melon()).unwrap();
        let mut scale = scale_on(device.path(), protocol);
        device.set(|pan| {
            (pan.before, pan.stale_answers) = ("03.000".to_owned(), 1);
        });
        assert_eq!(scale.weigh(&stop).await.unwrap().weight, kg(1250), "{protocol:?}");
    }
}

#[tokio::test]
async fn a_scale_in_pounds_is_refused_where_the_shop_sells_by_the_kilogram() {
    let stop = CancellationToken::new();
    let device = VirtualScale::spawn(Protocol::Nci, Pan { unit: "LB".to_owned(), ..melon() }).unwrap();
    let why = scale_on(device.path(), Protocol::Nci).weigh(&stop).await.unwrap_err();
    assert_eq!(why.to_string(), "scale weighs in lb, the shop in kg; set one of them");
}

#[tokio::test]
async fn a_scale_that_is_unplugged_says_where_it_was_looked_for() {
    let (stop, dir) = (CancellationToken::new(), tempfile::tempdir().unwrap());
    let mut config_path = dir.path().to_owned();
    config_path.push("ttyUSB0");
    let mut scale = Scale::new(ScaleConfig {
        address: Address::Serial(config_path.clone(), Line::SCALE),
        roots: Roots::default(),
        protocol: Protocol::Nci,
        unit: Unit::Kilogram,
        least: None,
        within: Duration::from_millis(50),
    });
    let why = scale.weigh(&stop).await.unwrap_err().to_string();
    assert!(why.contains(&*config_path.to_string_lossy()) && why.contains("No such file"), "{why}");
}

/// Whatever a device on the line babbles, a weighing ends in time and gives no weight that was not said.
#[test]
fn a_babbling_device_is_no_scale() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(8));
    let babble = proptest::collection::vec(
        any::<u8>().prop_filter("no digit", |b| !(b & 0x7f).is_ascii_digit()),
        1..200,
    );
    runner
        .run(&babble, |bytes| {
            runtime.block_on(async {
                let mut device = Pty::open().unwrap();
                let mut scale = scale_within(device.path(), Protocol::Toledo8217, Duration::from_millis(300));
                let stop = CancellationToken::new();
                let babbling = async {
                    while device.read_u8().await.is_ok() {
                        if device.write_all(&bytes).await.is_err() {
                            break;
                        }
                    }
                };
                let weighed = tokio::select! {
                    weighed = scale.weigh(&stop) => weighed,
                    () = babbling => panic!("the line broke"),
                };
                assert!(weighed.is_err(), "{weighed:?}");
            });
            Ok(())
        })
        .unwrap();
}

/// Reads what comes to a display until it shows that row.
async fn shows(pty: &mut Pty, display: &mut VirtualDisplay, upper: &str) {
    let mut bytes = [0; 256];
    while display.rows()[0].trim_end() != upper {
        let read = timeout(Duration::from_secs(5), pty.read(&mut bytes)).await;
        let count = read
            .unwrap_or_else(|_| panic!("{upper} never comes: {:?}", display.rows()))
            .expect("an open line");
        display.receive(&bytes[..count]);
    }
}

fn screen(upper: &str, lower: &str) -> Screen {
    Screen { upper: upper.to_owned(), lower: lower.to_owned() }
}

#[tokio::test]
async fn a_display_shows_the_latest_and_draws_again_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("display");
    let roots = Roots { dev: dir.path().to_owned(), ..Roots::default() };
    let glass = Glass::rows_of_20(Dialect::Cd5220);
    let address = Address::Serial("/dev/display".into(), Line::DEFAULT);
    let keeper = LineDisplay::spawn(address, roots, glass, screen("WELCOME", ""));

    let mut first = Pty::open().unwrap();
    std::os::unix::fs::symlink(first.path(), &place).unwrap();
    let mut display = VirtualDisplay::new(glass);
    shows(&mut first, &mut display, "WELCOME").await;
    keeper.show(screen("TOMATOES", "1.20 €"));
    shows(&mut first, &mut display, "TOMATOES").await;
    // Both rows are one drawing; the second may take another read.
    while display.rows()[1].trim_end() != "1.20 €" {
        let mut bytes = [0; 64];
        let count = first.read(&mut bytes).await.unwrap();
        display.receive(&bytes[..count]);
    }

    // Unplugged; what happens meanwhile is not shown late, the last of it is shown at once.
    std::fs::remove_file(&place).unwrap();
    drop(first);
    for n in 0..100 {
        keeper.show(screen(&format!("LINE {n}"), "x"));
    }
    keeper.show(screen("TOTAL", "9.90"));
    let mut second = Pty::open().unwrap();
    std::os::unix::fs::symlink(second.path(), &place).unwrap();
    let mut display = VirtualDisplay::new(glass);
    shows(&mut second, &mut display, "TOTAL").await;
    assert_eq!((display.drawings(), display.unknown()), (1, 0), "one whole drawing, and no older text");
    keeper.stop().await;
}

#[tokio::test]
async fn a_display_that_is_busy_skips_what_is_old() {
    let dir = tempfile::tempdir().unwrap();
    let roots = Roots { dev: dir.path().to_owned(), ..Roots::default() };
    let glass = Glass::rows_of_20(Dialect::Epson);
    let mut pty = Pty::open().unwrap();
    std::os::unix::fs::symlink(pty.path(), dir.path().join("display")).unwrap();
    let address = Address::Serial("/dev/display".into(), Line::DEFAULT);
    let keeper = LineDisplay::spawn(address, roots, glass, screen("0", ""));
    // Ten thousand changes without a pause in between: at most the one in hand and the last are drawn.
    for n in 0..10_000 {
        keeper.show(screen(&n.to_string(), ""));
    }
    keeper.show(screen("TOTAL", "9.90"));
    let mut display = VirtualDisplay::new(glass);
    shows(&mut pty, &mut display, "TOTAL").await;
    assert!(display.drawings() <= 2, "{} drawings", display.drawings());
    keeper.stop().await;
}

#[tokio::test]
async fn a_scanner_on_a_serial_line_hands_its_scans_to_its_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let mut pty = Pty::open().unwrap();
    let place = dir.path().join("ttyACM0");
    std::os::unix::fs::symlink(pty.path(), &place).unwrap();
    let (sender, mut scans) = mpsc::channel(4);
    let config = ScannerConfig {
        address: ScannerAddress::Cable("serial:/dev/ttyACM0".parse().unwrap()),
        roots: Roots { dev: dir.path().to_owned(), ..Roots::default() },
        terminal: "Till 3".to_owned(),
    };
    let scanner = Scanner::spawn(config, sender);
    // The port forgets what came before it was opened, so a person scans until it beeps; a scan too many is passed over.
    let mut next = async |pty: &mut Pty, code: &[u8], wanted: Result<Scan, Refused>| {
        loop {
            pty.write_all(code).await.unwrap();
            while let Ok(scanned) = timeout(Duration::from_millis(400), scans.recv()).await {
                let scanned = scanned.unwrap();
                assert_eq!(scanned.terminal, "Till 3");
                if scanned.scan == wanted {
                    return;
                }
                let half = scanned.scan.is_ok_and(|scan| scan.data.len() < 9);
                assert!(!half, "half a scan");
            }
        }
    };
    let gs1 = b"]C101040123456789011\x1d21A";
    next(&mut pty, b"]C101040123456789011\x1d21A\r\n", Scan::of(gs1)).await;

    // Half a code, and the plug is pulled; after that a whole one is that one alone.
    pty.write_all(b"40063").await.unwrap();
    std::fs::remove_file(&place).unwrap();
    drop(pty);
    let mut pty = Pty::open().unwrap();
    std::os::unix::fs::symlink(pty.path(), &place).unwrap();
    next(&mut pty, b"4006381333931\r", Scan::of(b"4006381333931")).await;
    // One that stops half way is told, and not kept for the next.
    next(&mut pty, b"40063", Err(Refused::Broken)).await;
    scanner.stop().await;
}
