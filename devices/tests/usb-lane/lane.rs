//! What `run.sh` runs in its guest: prints, pulls the plug, scans. Says one line for each thing that it saw.

fn main() {
    lane::run();
}

#[expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that happens to be a program and tells on its console"
)]
mod lane {
    use std::fs::{self, OpenOptions};
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::os::unix::fs::OpenOptionsExt;
    use std::path::{Path, PathBuf};
    use std::thread;
    use std::time::{Duration, Instant};

    use evdev::uinput::VirtualDevice;
    use evdev::{AttributeSet, BusType, InputEvent, InputId, KeyCode};
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;
    use toko_devices::cable::{Address, Roots, connect, usb_printers};
    use toko_devices::scanner::{Scan, Scanner, ScannerConfig, VirtualWedge};
    use toko_devices::virtual_printer::{Copies, Options, VirtualPrinter, copies_by_job};
    use toko_devices::{
        Habits, Level, NotSent, Opening, Outcome, Owner, Page, Printer, PrinterConfig, Pulse,
    };

    /// A printer gadget: what the kernel shows to itself as a USB printer.
    struct Gadget {
        folder: PathBuf,
        socket: String,
    }

    impl Gadget {
        fn make(number: usize, serial: &str) -> Gadget {
            let top = ["/config/usb_gadget", "/sys/kernel/config/usb_gadget"];
            let top = top.iter().map(Path::new).find(|top| top.is_dir()).unwrap();
            let folder = top.join(format!("g{number}"));
            fs::create_dir(&folder).unwrap();
            let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
            write("idVendor", "0x04b8");
            write("idProduct", "0x0202");
            fs::create_dir(folder.join("strings/0x409")).unwrap();
            write("strings/0x409/serialnumber", serial);
            write("strings/0x409/manufacturer", "EPSON");
            write("strings/0x409/product", "TM-T88V");
            let function = folder.join(format!("functions/printer.{number}"));
            fs::create_dir(&function).unwrap();
            fs::write(function.join("pnp_string"), "MFG:EPSON;CMD:ESC/POS;MDL:TM-T88V;CLS:PRINTER;").unwrap();
            fs::create_dir(folder.join("configs/c.1")).unwrap();
            std::os::unix::fs::symlink(&function, folder.join(format!("configs/c.1/printer.{number}")))
                .unwrap();
            Gadget { folder, socket: format!("dummy_udc.{number}") }
        }

        fn plug(&self) {
            fs::write(self.folder.join("UDC"), &self.socket).unwrap();
        }

        fn pull(&self) {
            fs::write(self.folder.join("UDC"), "\n").unwrap();
        }
    }

    /// Joins a gadget's own end to a virtual printer.
    ///
    /// A read that waits would hold the gadget's lock against writes, so neither waits.
    fn join(number: usize, printer: &VirtualPrinter) {
        let end = wait_for(Path::new(&format!("/dev/g_printer{number}")));
        let mut gadget =
            OpenOptions::new().read(true).write(true).custom_flags(O_NONBLOCK).open(&end).unwrap();
        let mut session = TcpStream::connect(printer.address()).unwrap();
        session.set_nonblocking(true).unwrap();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            let mut said: Vec<u8> = Vec::new();
            loop {
                let heard = gadget.read(&mut bytes).unwrap_or(0);
                if heard > 0 {
                    session.set_nonblocking(false).unwrap();
                    session.write_all(&bytes[..heard]).unwrap();
                    session.set_nonblocking(true).unwrap();
                }
                let answered = session.read(&mut bytes).unwrap_or(0);
                said.extend(&bytes[..answered]);
                let taken = if said.is_empty() { 0 } else { gadget.write(&said).unwrap_or(0) };
                said.drain(..taken);
                if heard + answered + taken == 0 {
                    thread::sleep(Duration::from_millis(2));
                }
            }
        });
    }

    const O_NONBLOCK: i32 = 0o4000;

    fn wait_for(path: &Path) -> PathBuf {
        let until = Instant::now() + Duration::from_secs(10);
        while !path.exists() {
            assert!(Instant::now() < until, "{} does not come", path.display());
            thread::sleep(Duration::from_millis(10));
        }
        path.to_owned()
    }

    fn receipt(job: &str) -> Page {
        Page::new().line("CORNER SHOP").columns("Tomatoes 400 g", "1.20").job(job).cut()
    }

    fn nodes() -> Vec<(String, String)> {
        let seen = usb_printers(&Roots::default());
        seen.into_iter().map(|p| (p.serial.unwrap_or_default(), p.node.display().to_string())).collect()
    }

    /// Waits until the kernel lists both printers.
    fn both_listed() {
        let until = Instant::now() + Duration::from_secs(10);
        while nodes().len() < 2 {
            assert!(Instant::now() < until, "{:?}", nodes());
            thread::sleep(Duration::from_millis(10));
        }
    }

    async fn virtual_printer(out: &str) -> VirtualPrinter {
        let options = Options::new(out);
        VirtualPrinter::spawn(options).await.unwrap()
    }

    #[tokio::main]
    pub(crate) async fn run() {
        printers().await;
        scanner().await;
        println!("lane: all is well");
    }

    async fn printers() {
        let stop = CancellationToken::new();
        let (receipts, kitchen) = (Gadget::make(0, "RECEIPTS"), Gadget::make(1, "KITCHEN"));
        let (one, other) = (virtual_printer("/tmp/receipts").await, virtual_printer("/tmp/kitchen").await);
        receipts.plug();
        wait_for(Path::new("/dev/usb/lp0"));
        kitchen.plug();
        both_listed();
        println!("lane: the kernel lists {:?}", nodes());
        assert_eq!(nodes()[0], ("RECEIPTS".to_owned(), "/dev/usb/lp0".to_owned()));
        join(0, &one);
        join(1, &other);

        let mut config = PrinterConfig::at("usb:RECEIPTS");
        // An emulated machine is slow.
        config.deadlines.status = Duration::from_secs(10);
        let mut driver = Printer::new(config.clone());
        let printed = Outcome::Printed { level: Level::Printed };
        assert_eq!(driver.print(&receipt("a1"), &stop).await, printed);
        assert_eq!(driver.print(&receipt("a2"), &stop).await, printed);
        println!("lane: two receipts over usblp, each confirmed by the printer");
        let (owned, owner) = Owner::new(config, Habits::default(), stop.child_token());
        let pulse = Pulse { ttl: Duration::from_secs(30), ..Pulse::default() };
        tokio::select! {
            opening = owned.open_drawer(pulse) => {
                assert!(matches!(opening, Opening::Opened { .. } | Opening::NotConfirmed { .. }), "{opening:?}");
            }
            () = owner.run() => panic!("the owner ended"),
        }
        println!("lane: the drawer opens");
        links();

        receipts.pull();
        kitchen.pull();
        let outcome = driver.print(&receipt("away"), &stop).await;
        let Outcome::NotPrinted { why: NotSent::Unreachable { error, .. } } = outcome else {
            panic!("{outcome:?}")
        };
        println!("lane: pulled out: {error}");

        // The other one first: it takes the name that ours had.
        kitchen.plug();
        wait_for(Path::new("/dev/usb/lp0"));
        let (sender, plugged_at) = std::sync::mpsc::channel();
        let plugging = tokio::task::spawn_blocking(move || {
            thread::sleep(Duration::from_millis(300));
            sender.send(Instant::now()).unwrap();
            receipts.plug();
        });
        let (address, roots): (Address, _) = ("usb:RECEIPTS".parse().unwrap(), Roots::default());
        let cable = tokio::time::timeout(Duration::from_secs(10), connect(&address, &roots));
        drop(cable.await.unwrap().unwrap());
        let found = plugged_at.recv().unwrap().elapsed();
        plugging.await.unwrap();
        println!("lane: found again as {:?} after {} ms, kernel and all", nodes(), found.as_millis());
        assert!(nodes().contains(&("RECEIPTS".to_owned(), "/dev/usb/lp1".to_owned())));
        assert!(found < Duration::from_secs(2), "{found:?}");
        assert_eq!(driver.print(&receipt("a3"), &stop).await, printed);

        let once = Copies { plain: 1, marked: 0 };
        let copies = copies_by_job(Path::new("/tmp/receipts")).unwrap();
        assert!(copies.len() == 3 && copies.values().all(|copies| *copies == once), "{copies:?}");
        assert!(copies_by_job(Path::new("/tmp/kitchen")).unwrap().is_empty());
        println!("lane: each receipt once, on its own printer");
    }

    /// What the rules make of it, where udevd came along.
    fn links() {
        if !Path::new("/bin/udevd").exists() {
            return;
        }
        for (serial, node) in nodes() {
            let link = wait_for(&Path::new("/dev/toko/printer/by-serial").join(&serial));
            assert_eq!(fs::canonicalize(&link).unwrap(), Path::new(&node));
        }
        let by_path: Vec<_> = fs::read_dir("/dev/toko/printer/by-path").unwrap().collect();
        assert_eq!(by_path.len(), 2, "{by_path:?}");
        use std::os::unix::fs::MetadataExt;
        let node = fs::metadata("/dev/usb/lp0").unwrap();
        assert_eq!((node.mode() & 0o777, node.gid()), (0o660, 7), "read and written by the group lp");
        println!("lane: udev gives the links and the group");
    }

    async fn scanner() {
        let keys: AttributeSet<KeyCode> = (1..128).map(KeyCode::new).collect();
        let id = InputId::new(BusType::BUS_USB, 0x05e0, 0x1200, 1);
        let mut wedge = VirtualDevice::builder()
            .unwrap()
            .name("scanner")
            .input_id(id)
            .with_keys(&keys)
            .unwrap()
            .build()
            .unwrap();
        let node = wedge.enumerate_dev_nodes_blocking().unwrap().next().unwrap().unwrap();
        wait_for(&node);

        let config = |terminal: &str| ScannerConfig {
            address: "keyboard:05e0:1200".parse().unwrap(),
            roots: Roots::default(),
            terminal: terminal.to_owned(),
        };
        let (sender, mut scans) = mpsc::channel(4);
        let scanner = Scanner::spawn(config("Till 3"), sender);
        // It is taken once nobody else can take it.
        let taken = |node: &Path| evdev::Device::open(node).is_ok_and(|mut device| device.grab().is_err());
        let until = Instant::now() + Duration::from_secs(10);
        while !taken(&node) {
            assert!(Instant::now() < until, "the scanner is not taken");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("lane: the scanner is ours alone");
        let code = b"]C101040123456789011\x1d21Aa-1";
        for way in [VirtualWedge::us(), VirtualWedge::alt()] {
            for (key, down) in way.keys(code) {
                // As fast as a keyboard on USB is; faster, and the kernel drops keys, which refuses the scan.
                tokio::time::sleep(Duration::from_millis(2)).await;
                wedge.emit(&[InputEvent::new(evdev::EventType::KEY.0, key, i32::from(down))]).unwrap();
            }
            let scanned = tokio::time::timeout(Duration::from_secs(10), scans.recv()).await.unwrap().unwrap();
            assert_eq!((scanned.terminal.as_str(), scanned.scan), ("Till 3", Scan::of(code)));
        }
        println!("lane: a GS1 code comes through with its separator, typed both ways");
        scanner.stop().await;
        assert!(!taken(&node));
        println!("lane: and is let go");
    }
}
