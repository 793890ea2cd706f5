//! Cables other than a network: a USB printer that comes back under another name, a serial line, a socket.
//!
//! A small tree of files stands for `/sys` and `/dev`, and pseudo-terminals for the device files in it. What the kernel does
//! itself is shown by `usb-lane/run.sh`, with a real kernel in QEMU.

#![cfg(test)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toko_devices::cable::{self, Address, Pty, Roots, usb_printers};
use toko_devices::virtual_printer::{Options, VirtualPrinter, copies_by_job};
use toko_devices::{Level, NotSent, Outcome, Page, Printer, PrinterConfig};

const PRINTED: Outcome = Outcome::Printed { level: Level::Printed };

/// A machine whose `/sys` and `/dev` are ours.
struct Machine {
    dir: TempDir,
}

impl Machine {
    fn new() -> Machine {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("sys/class/usbmisc")).unwrap();
        fs::create_dir_all(dir.path().join("dev")).unwrap();
        Machine { dir }
    }

    fn at(&self, place: &str) -> PathBuf {
        self.dir.path().join(place)
    }

    fn roots(&self) -> Roots {
        Roots { sys: self.at("sys"), dev: self.at("dev") }
    }

    /// What the kernel does when a printer is plugged in: first sysfs, then the device file.
    fn plug(&self, node: &str, port: &str, serial: Option<&str>, far: &Path) {
        let device = self.at(&format!("sys/devices/pci0000:00/usb1/{port}"));
        let interface = device.join(format!("{port}:1.0"));
        let class = interface.join(format!("usbmisc/{node}"));
        fs::create_dir_all(&class).unwrap();
        for (name, text) in [("manufacturer", "EPSON\n"), ("product", "TM-T88V\n")] {
            fs::write(device.join(name), text).unwrap();
        }
        if let Some(serial) = serial {
            fs::write(device.join("serial"), format!("{serial}\n")).unwrap();
        }
        fs::write(interface.join("ieee1284_id"), "MFG:EPSON;CMD:ESC/POS;MDL:TM-T88V;\n").unwrap();
        fs::write(class.join("uevent"), format!("MAJOR=180\nMINOR=0\nDEVNAME=usb/{node}\n")).unwrap();
        symlink("../../../".to_owned() + &format!("{port}:1.0"), class.join("device")).unwrap();
        symlink(&class, self.at(&format!("sys/class/usbmisc/{node}"))).unwrap();
        fs::create_dir_all(self.at("dev/usb")).unwrap();
        symlink(far, self.at(&format!("dev/usb/{node}"))).unwrap();
    }

    /// And when it is pulled out: with the last printer the folder goes as well.
    fn unplug(&self, node: &str, port: &str) {
        fs::remove_file(self.at(&format!("dev/usb/{node}"))).unwrap();
        fs::remove_file(self.at(&format!("sys/class/usbmisc/{node}"))).unwrap();
        fs::remove_dir_all(self.at(&format!("sys/devices/pci0000:00/usb1/{port}"))).unwrap();
        drop(fs::remove_dir(self.at("dev/usb")));
    }
}

/// A virtual printer at the near end of a pseudo-terminal.
struct Plugged {
    far: PathBuf,
    wire: JoinSet<()>,
}

impl Plugged {
    async fn to(printer: &VirtualPrinter) -> Plugged {
        let mut near = Pty::open().unwrap();
        let far = near.path().to_owned();
        let mut session = TcpStream::connect(printer.address()).await.unwrap();
        let mut wire = JoinSet::new();
        wire.spawn(async move { drop(copy_bidirectional(&mut near, &mut session).await) });
        Plugged { far, wire }
    }

    async fn pull(mut self) {
        self.wire.shutdown().await;
    }
}

async fn virtual_printer(out: &Path) -> VirtualPrinter {
    VirtualPrinter::spawn(Options::new(out)).await.unwrap()
}

fn receipt(job: &str) -> Page {
    Page::new().line("CORNER SHOP").columns("Tomatoes 400 g", "1.20").job(job).cut()
}

fn on(address: &str, machine: &Machine) -> PrinterConfig {
    let mut config = PrinterConfig::at(address);
    config.roots = machine.roots();
    config
}

#[tokio::test]
async fn a_usb_printer_that_comes_back_under_another_name_prints_on() {
    let (machine, out, stop) = (Machine::new(), tempfile::tempdir().unwrap(), CancellationToken::new());
    let printer = virtual_printer(out.path()).await;
    let mut driver = Printer::new(on("usb:J7Q-0012", &machine));

    let plugged = Plugged::to(&printer).await;
    machine.plug("lp0", "1-1", Some("J7Q-0012"), &plugged.far);
    assert_eq!(driver.print(&receipt("a1"), &stop).await, PRINTED);

    // Pulled out, and plugged in elsewhere while the next receipt already waits: two seconds are all it has.
    machine.unplug("lp0", "1-1");
    plugged.pull().await;
    let again = Plugged::to(&printer).await;
    let page = receipt("a2");
    let (outcome, ()) = tokio::join!(driver.print(&page, &stop), async {
        tokio::task::yield_now().await;
        machine.plug("lp1", "1-4.2", Some("J7Q-0012"), &again.far);
    });
    assert_eq!(outcome, PRINTED);
    let copies = copies_by_job(out.path()).unwrap();
    assert!(
        copies.values().all(|copies| copies.plain == 1 && copies.marked == 0) && copies.len() == 2,
        "{copies:?}"
    );
}

#[tokio::test]
async fn a_usb_printer_is_never_taken_for_another_one() {
    let (machine, stop) = (Machine::new(), CancellationToken::new());
    let kitchen = Pty::open().unwrap();
    let mut config = on("usb:RECEIPTS", &machine);
    config.deadlines.connect = Duration::from_millis(100);
    let mut driver = Printer::new(config);
    let why = |outcome: Outcome| match outcome {
        Outcome::NotPrinted { why: NotSent::Unreachable { address, error } } => format!("{address}: {error}"),
        other => panic!("{other:?}"),
    };
    let nothing = why(driver.print(&receipt("x"), &stop).await);
    assert_eq!(nothing, "usb:RECEIPTS: it is not plugged in, nor is any other USB printer");

    machine.plug("lp0", "1-1", Some("KITCHEN"), kitchen.path());
    let other = why(driver.print(&receipt("x"), &stop).await);
    assert_eq!(other, "usb:RECEIPTS: it is not plugged in; there is usb:KITCHEN");
}

#[tokio::test]
async fn printers_without_a_serial_number_are_known_by_their_port() {
    let (machine, out, stop) = (Machine::new(), tempfile::tempdir().unwrap(), CancellationToken::new());
    let printer = virtual_printer(out.path()).await;
    let (plugged, other) = (Plugged::to(&printer).await, Pty::open().unwrap());
    machine.plug("lp0", "1-2", None, other.path());
    machine.plug("lp1", "1-1.3", None, &plugged.far);
    assert_eq!(Printer::new(on("usb:port=1-1.3", &machine)).print(&receipt("x"), &stop).await, PRINTED);
    let seen = usb_printers(&machine.roots());
    assert_eq!(seen.iter().map(|seen| seen.port.as_str()).collect::<Vec<_>>(), ["1-2", "1-1.3"]);
    assert_eq!((seen[0].name.as_str(), seen[0].serial.as_deref()), ("EPSON TM-T88V", None));
    assert_eq!(seen[0].ieee1284_id.as_deref(), Some("MFG:EPSON;CMD:ESC/POS;MDL:TM-T88V;"));
}

#[tokio::test]
async fn two_printers_with_one_serial_number_are_told_apart_by_a_person() {
    let machine = Machine::new();
    let (one, two) = (Pty::open().unwrap(), Pty::open().unwrap());
    machine.plug("lp0", "1-1", Some("000000"), one.path());
    machine.plug("lp1", "1-2", Some("000000"), two.path());
    let address: Address = "usb:000000".parse().unwrap();
    let problem = cable::connect(&address, &machine.roots()).await.unwrap_err().to_string();
    assert_eq!(problem, "more than one printer has it; name one by its port: usb:port=1-1, usb:port=1-2");
}

#[tokio::test]
async fn whoever_waits_for_a_printer_is_told_when_it_is_plugged_in() {
    let machine = Machine::new();
    let (one, two) = (Pty::open().unwrap(), Pty::open().unwrap());
    machine.plug("lp0", "1-1", Some("A"), one.path());
    let (roots, address): (Roots, Address) = (machine.roots(), "usb:B".parse().unwrap());
    let waiting = cable::plugged_in(&address, &roots);
    let (told, ()) = tokio::join!(timeout(Duration::from_secs(2), waiting), async {
        machine.plug("lp1", "1-2", Some("B"), two.path());
    });
    assert!(told.is_ok());
}

#[tokio::test]
async fn a_receipt_goes_over_a_serial_line() {
    let (machine, out, stop) = (Machine::new(), tempfile::tempdir().unwrap(), CancellationToken::new());
    let printer = virtual_printer(out.path()).await;
    let plugged = Plugged::to(&printer).await;
    symlink(&plugged.far, machine.at("dev/ttyUSB0")).unwrap();
    let mut driver = Printer::new(on("serial:/dev/ttyUSB0?baud=38400", &machine));
    // More than the line's own buffers hold.
    let long =
        (0..800).fold(Page::new(), |page, n| page.columns(&format!("Line {n}"), "1.20")).job("long").cut();
    assert_eq!(driver.print(&long, &stop).await, PRINTED);
    assert_eq!(driver.print(&receipt("short"), &stop).await, PRINTED);
    assert_eq!(copies_by_job(out.path()).unwrap().len(), 2);
}

#[tokio::test]
async fn a_device_that_says_wait_is_waited_for() {
    let (machine, mut device) = (Machine::new(), Pty::open().unwrap());
    symlink(device.path(), machine.at("dev/ttyS0")).unwrap();
    let address: Address = "serial:/dev/ttyS0?flow=xonxoff".parse().unwrap();
    let mut host = cable::connect(&address, &machine.roots()).await.unwrap();
    device.write_all(b"\x13.").await.unwrap();
    // The line obeys characters in their order: once the dot is here, the wish to wait was heard.
    assert_eq!(host.read_u8().await.unwrap(), b'.');
    tokio::select! {
        biased;
        sent = host.write(b"receipt") => panic!("{sent:?}"),
        () = std::future::ready(()) => {}
    }
    device.write_all(b"\x11").await.unwrap();
    host.write_all(b"receipt").await.unwrap();
    let mut heard = [0; 7];
    device.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"receipt");
}

#[tokio::test]
async fn a_serial_device_that_goes_away_is_an_end_and_one_that_comes_is_waited_for() {
    let machine = Machine::new();
    let device = Pty::open().unwrap();
    let address: Address = "serial:/dev/serial/by-id/scale".parse().unwrap();
    let roots = machine.roots();
    let (opened, ()) =
        tokio::join!(timeout(Duration::from_secs(2), cable::connect(&address, &roots)), async {
            fs::create_dir_all(machine.at("dev/serial/by-id")).unwrap();
            symlink(device.path(), machine.at("dev/serial/by-id/scale")).unwrap();
        });
    let mut host = opened.expect("two seconds are enough").unwrap();
    drop(device);
    let mut bytes = [0; 8];
    assert!(matches!(host.read(&mut bytes).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_file_is_no_printer_and_a_socket_is_one() {
    let machine = Machine::new();
    fs::create_dir_all(machine.at("dev/usb")).unwrap();
    fs::write(machine.at("dev/usb/lp0"), "paper").unwrap();
    let file: Address = "usb:/dev/usb/lp0".parse().unwrap();
    let problem = cable::connect(&file, &machine.roots()).await.unwrap_err().to_string();
    assert!(problem.ends_with("dev/usb/lp0 is no device"), "{problem}");
    let line: Address = "serial:/dev/null".parse().unwrap();
    let problem = cable::connect(&line, &Roots::default()).await.unwrap_err().to_string();
    assert!(problem.starts_with("no serial port"), "{problem}");

    let socket = machine.at("printer.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let address: Address = format!("unix:{}", socket.display()).parse().unwrap();
    let roots = machine.roots();
    let (opened, accepted) = tokio::join!(cable::connect(&address, &roots), listener.accept());
    let (mut host, (mut device, _)) = (opened.unwrap(), accepted.unwrap());
    host.write_all(b"receipt").await.unwrap();
    let mut heard = [0; 7];
    device.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"receipt");
}
