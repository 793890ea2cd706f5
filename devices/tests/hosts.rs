//! Hosts that others wrote, against the virtual printer. `tests/hosts/run.sh` installs them and runs this; without it, it says
//! that it was not run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;
use toko_devices::virtual_printer::{Door, Faults, Options, Sensor, VirtualPrinter, logged};

/// Where the hosts were installed, by `run.sh`.
fn hosts() -> Option<PathBuf> {
    let hosts = std::env::var_os("TOKO_HOSTS").map(PathBuf::from);
    if hosts.is_none() {
        eprintln!(
            "skipped: TOKO_HOSTS is not set; devices/tests/hosts/run.sh installs the hosts and sets it"
        );
    }
    hosts
}

/// A printer at an address of its own, since receiptio knows port 9100 only.
struct Bench {
    printer: VirtualPrinter,
    out: TempDir,
    host: String,
}

impl Bench {
    async fn at(last: u8, sensor: Sensor, faults: Faults) -> Bench {
        let out = tempfile::tempdir().expect("a directory for paper");
        let host = format!("127.91.0.{last}");
        let door = Door::Tcp(format!("{host}:9100").parse().expect("an address"));
        let options = Options { door, sensor, faults, pictures: true, ..Options::new(out.path()) };
        let printer = VirtualPrinter::spawn(options).await.expect("port 9100 of a loopback address");
        Bench { printer, out, host }
    }

    async fn receiptio(&self, hosts: &Path, options: &str) -> String {
        let script = format!(
            "require({:?}).print(process.argv[2], '-d {} {options}').then(a => console.log(a))",
            hosts.join("node_modules/receiptio/lib/receiptio.js"),
            self.host
        );
        let receipt = "CORNER SHOP\n-\n{code:4006381333931;option:ean,hri}\nTotal | 1.20\nJob a1";
        said(words(&["node", "-e", &script, "--", "x", receipt])).await
    }

    async fn python(&self, hosts: &Path, question: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/ask.py");
        let mut python = vec![hosts.join("python/bin/python").into_os_string(), script.into_os_string()];
        python.extend(words(&[&self.host, "9100"]));
        python.extend(words(question));
        said(python).await
    }

    fn paper(&self) -> String {
        let last = logged(self.out.path()).expect("a log").last().map_or(0, |line| line.n);
        std::fs::read_to_string(self.out.path().join(format!("paper/{last:05}.txt"))).unwrap_or_default()
    }
}

/// The last line that a host says before it ends; one that does not end is ended by `timeout` of the coreutils.
async fn said(host: Vec<OsString>) -> String {
    let mut command = Command::new("timeout");
    command.arg("60").args(host).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = spawn_blocking(move || command.output()).await.expect("an end").expect("the host");
    String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().trim().to_owned()
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// What is wrong, and what receiptio (status, print) and python-escpos (online, paper) have to say of it.
fn states() -> Vec<(Faults, [&'static str; 4])> {
    let fine = Faults::default();
    vec![
        (fine, ["online", "success", "online", "enough"]),
        (Faults { paper_near_end: true, ..fine }, ["online", "success", "online", "near-end"]),
        (Faults { paper_out: true, ..fine }, ["paperempty", "paperempty", "offline", "out"]),
        (Faults { cover_open: true, ..fine }, ["coveropen", "coveropen", "offline", "enough"]),
        (Faults { overheated: true, ..fine }, ["error", "error", "offline", "enough"]),
        (Faults { broken: true, ..fine }, ["error", "error", "offline", "enough"]),
        (Faults { reply_twice: true, ..fine }, ["online", "success", "online", "enough"]),
        (
            Faults { reply_merged: true, reply_delay: Duration::from_millis(300), ..fine },
            ["online", "success", "online", "enough"],
        ),
        (Faults { no_marks: true, ..fine }, ["online", "success", "online", "enough"]),
        (Faults { cutter_jammed: true, ..fine }, ["online", "error", "offline", "enough"]),
        (Faults { hang: true, ..fine }, ["offline", "offline", "silent", "silent"]),
        (Faults { hang_at_door: true, ..fine }, ["offline", "offline", "silent", "silent"]),
        (Faults { swallow: true, ..fine }, ["online", "offline", "online", "enough"]),
        (Faults { no_answers: true, ..fine }, ["offline", "offline", "silent", "silent"]),
        (
            Faults { reply_delay: Duration::from_millis(300), ..fine },
            ["online", "success", "online", "enough"],
        ),
    ]
}

#[tokio::test]
async fn outside_hosts_say_of_every_state_what_it_is() {
    let Some(hosts) = hosts() else { return };
    let mut states: Vec<_> = states().into_iter().zip(1..).collect();
    while !states.is_empty() {
        let mut asking = JoinSet::new();
        for ((faults, words), last) in states.drain(..states.len().min(AT_ONCE)) {
            asking.spawn(what_hosts_say(hosts.clone(), faults, words, last));
        }
        while let Some(asked) = asking.join_next().await {
            asked.expect("what hosts say");
        }
    }
}

/// States that hosts are asked about at once: most of the time they wait for a printer that says nothing.
const AT_ONCE: usize = 8;

async fn what_hosts_say(hosts: PathBuf, faults: Faults, words: [&'static str; 4], last: u8) {
    let [status, print, online, paper] = words;
    let bench = Bench::at(last, Sensor::None, faults).await;
    let told = [
        bench.receiptio(&hosts, "-q").await,
        bench.receiptio(&hosts, "-p escpos").await,
        bench.python(&hosts, &["online"]).await,
        bench.python(&hosts, &["paper"]).await,
    ];
    eprintln!("{told:?} of {faults:?}");
    assert_eq!(told, [status, print, online, paper], "{faults:?}");
    let printed = bench.paper().contains("Job a1\n");
    assert_eq!(printed, print == "success", "{faults:?}: {}", bench.paper());
    bench.printer.stop().await.expect("the end of it");
}

/// Where a receipt of receiptio's is not whole yet.
const IN_THE_MIDDLE: u64 = 120;

#[tokio::test]
async fn a_host_whose_link_or_whose_printers_power_goes_hears_so_and_the_next_receipt_comes_below_what_was_left()
 {
    let Some(hosts) = hosts() else { return };
    type Accident = fn(&VirtualPrinter);
    let accidents: [(&str, Accident, u8); 3] = [
        ("link drop", |printer| printer.cut_link_after(IN_THE_MIDDLE), 111),
        ("link reset", |printer| printer.reset_link_after(IN_THE_MIDDLE), 112),
        ("power cycle", |printer| printer.power_cycle_after(IN_THE_MIDDLE), 113),
    ];
    for (what, accident, last) in accidents {
        let bench = Bench::at(last, Sensor::None, Faults::default()).await;
        accident(&bench.printer);
        let told = bench.receiptio(&hosts, "-p escpos").await;
        println!("{told:?} of a {what}");
        assert_eq!((told.as_str(), bench.paper().as_str()), ("disconnect", ""), "{what}");
        let next = [bench.receiptio(&hosts, "-q").await, bench.receiptio(&hosts, "-p escpos").await];
        assert_eq!(next, ["online", "success"], "{what}");
        // Other hosts than ours do not cut off what an earlier one left.
        let paper = bench.paper();
        let whole = paper.rfind("CORNER SHOP\n").map(|at| &paper[at..]);
        assert!(whole.is_some_and(|next| next.ends_with("Job a1\n")), "{what}: {paper}");
        assert_eq!(paper.matches("Job a1\n").count(), 1, "{what}: {paper}");
    }
}

#[tokio::test]
async fn a_host_that_knows_the_drawers_polarity_is_told_open_and_closed() {
    let Some(hosts) = hosts() else { return };
    for (sensor, option, last) in [(Sensor::HighClosed, "drawer", 101), (Sensor::HighOpen, "drawer2", 102)] {
        let bench = Bench::at(last, sensor, Faults::default()).await;
        let question = format!("-q {option}");
        let closed = bench.receiptio(&hosts, &question).await;
        bench.printer.open_drawer().await;
        let open = bench.receiptio(&hosts, &question).await;
        println!("{sensor:?}: {closed}, {open}");
        assert_eq!((closed.as_str(), open.as_str()), ("drawerclosed", "draweropen"));
    }
}

#[tokio::test]
async fn an_unknown_printer_is_found_to_speak_escpos_and_prints() {
    let Some(hosts) = hosts() else { return };
    let bench = Bench::at(103, Sensor::None, Faults::default()).await;
    assert_eq!(bench.receiptio(&hosts, "").await, "success");
    assert!(bench.paper().contains("Job a1\n"), "{}", bench.paper());
}

#[tokio::test]
async fn what_another_host_prints_can_be_read_off_the_paper_and_opens_the_drawer() {
    let Some(hosts) = hosts() else { return };
    let bench = Bench::at(104, Sensor::HighOpen, Faults::default()).await;
    assert_eq!(bench.python(&hosts, &["print"]).await, "sent");
    let mut counts = bench.printer.counts();
    let whole = counts.wait_for(|counts| counts.pieces == 1 && counts.openings == 1);
    timeout(Duration::from_secs(20), whole).await.expect("in time").expect("still running");
    let paper = bench.paper();
    for part in ["CORNER SHOP\n", "[EAN13 4006381333931]\n", "[QR R-7]\n", "Job a1\n"] {
        assert!(paper.contains(part), "{part} in {paper}");
    }
    // What it looks like is read by a program that others wrote, if it is here.
    let picture = bench.out.path().join("paper/00001.png");
    match Command::new("zbarimg").args(["--quiet", "--raw"]).arg(picture).output() {
        Ok(read) => {
            let read = String::from_utf8_lossy(&read.stdout).into_owned();
            assert!(read.contains("4006381333931") && read.contains("R-7"), "{read}");
        }
        Err(_) => {
            eprintln!("skipped: zbarimg is not installed; the symbols on the picture were NOT read back")
        }
    }
}
