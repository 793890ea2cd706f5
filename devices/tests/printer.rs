//! The driver against the virtual printer, over real sockets: what it says happened is what is on paper.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toko_devices::spool::{Attempt, End, Facts, Next, Policy, UnixMicros, next};
use toko_devices::virtual_printer::{Copies, Counts, Faults, Options, VirtualPrinter, copies_by_job, logged};
use toko_devices::{
    Deadlines, Doubt, Level, Model, NotSent, Outcome, Page, Paper, Printer, PrinterConfig, escpos,
};

/// A virtual printer with its tray, and how to reach it.
struct Bench {
    printer: VirtualPrinter,
    out: TempDir,
    stop: CancellationToken,
}

impl Bench {
    async fn with(faults: Faults) -> Bench {
        let out = tempfile::tempdir().expect("a directory for paper");
        let options = Options { faults, ..Options::new(out.path()) };
        let printer = VirtualPrinter::spawn(options).await.expect("a free port");
        Bench { printer, out, stop: CancellationToken::new() }
    }

    async fn healthy() -> Bench {
        Bench::with(Faults::default()).await
    }

    fn driver(&self) -> Printer {
        self.driver_that(|_| {})
    }

    /// A driver that is patient but for what a test waits to see run out.
    fn driver_that(&self, change: impl FnOnce(&mut Deadlines)) -> Printer {
        let mut config = PrinterConfig::at(self.printer.address().to_string());
        let long = Duration::from_secs(20);
        config.deadlines = Deadlines {
            connect: long,
            status: long,
            send: long,
            confirm: long,
            echo: long,
            drain: long,
            patience: Duration::ZERO,
            again: Duration::ZERO,
        };
        change(&mut config.deadlines);
        Printer::new(config)
    }

    /// It soon gives up waiting for a confirmation.
    fn confirm_soon(&self) -> Printer {
        self.driver_that(|deadlines| deadlines.confirm = SOON)
    }

    /// It soon gives up asking for status.
    fn ask_soon(&self) -> Printer {
        self.driver_that(|deadlines| deadlines.status = SOON)
    }

    fn paper(&self) -> Vec<String> {
        let log = logged(self.out.path()).expect("a log");
        let file = |n: u64| self.out.path().join(format!("paper/{n:05}.txt"));
        log.iter()
            .map(|line| fs::read_to_string(file(line.n)).expect("paper for each line of the log"))
            .collect()
    }

    async fn wait_for(&self, what: impl FnMut(&Counts) -> bool) {
        let mut counts: watch::Receiver<Counts> = self.printer.counts();
        timeout(Duration::from_secs(20), counts.wait_for(what))
            .await
            .expect("in time")
            .expect("still running");
    }
}

fn receipt(job: &str) -> Page {
    Page::new().line("CORNER SHOP").columns("Tomatoes 400 g", "1.20").job(job).cut()
}

fn copies(out: &Path, job: &str) -> Option<Copies> {
    copies_by_job(out).expect("a log").get(job).copied()
}

/// Three questions lead a job.
const QUESTIONS_BYTES: u64 = 9;
const SOON: Duration = Duration::from_millis(100);
const PRINTED: Outcome = Outcome::Printed { level: Level::Printed };

#[tokio::test]
async fn a_receipt_is_printed_when_the_printer_says_that_it_is_on_paper() {
    let bench = Bench::healthy().await;
    let mut driver = bench.driver();
    assert_eq!(driver.print(&receipt("a1"), &bench.stop).await, PRINTED);
    // No waiting here: the mark is echoed after the paper.
    let wanted = "CORNER SHOP\nTomatoes 400 g                              1.20\nJob a1\n";
    assert_eq!(bench.paper(), [wanted]);
    assert_eq!(driver.print(&receipt("a2").marked_possible_duplicate(), &bench.stop).await, PRINTED);
    assert_eq!(copies(bench.out.path(), "a1"), Some(Copies { plain: 1, marked: 0 }));
    assert_eq!(copies(bench.out.path(), "a2"), Some(Copies { plain: 0, marked: 1 }));
    bench.printer.stop().await.unwrap();
}

#[tokio::test]
async fn without_paper_nothing_is_sent_and_nothing_comes_out_when_there_is_paper_again() {
    let bench = Bench::with(Faults { paper_out: true, ..Faults::default() }).await;
    let mut driver = bench.driver();
    match driver.print(&receipt("lost"), &bench.stop).await {
        Outcome::NotPrinted { why: NotSent::NotReady { status } } => {
            assert_eq!(status.paper, Paper::Out);
            assert_eq!(status.what_to_do(), Some("Put in a new roll of paper."));
        }
        other => panic!("{other:?}"),
    }
    bench.printer.set_faults(|faults| faults.paper_out = false);
    assert_eq!(driver.print(&receipt("next"), &bench.stop).await, PRINTED);
    assert_eq!(bench.paper().len(), 1);
    assert_eq!(copies(bench.out.path(), "lost"), None);
}

#[tokio::test]
async fn an_open_cover_is_told_before_anything_is_sent() {
    let bench = Bench::with(Faults { cover_open: true, ..Faults::default() }).await;
    match bench.driver().print(&receipt("x"), &bench.stop).await {
        Outcome::NotPrinted { why } => {
            assert_eq!(why.to_string(), "printer is not ready: offline, cover open")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn paper_near_its_end_prints_and_is_told() {
    let bench = Bench::with(Faults { paper_near_end: true, ..Faults::default() }).await;
    let mut driver = bench.driver();
    assert_eq!(driver.print(&receipt("x"), &bench.stop).await, PRINTED);
    let status = driver.status(&bench.stop).await.unwrap();
    assert_eq!((status.paper, status.can_print()), (Paper::NearEnd, true));
}

#[tokio::test]
async fn a_printer_that_swallows_a_job_leaves_it_in_doubt() {
    let bench = Bench::with(Faults { swallow: true, ..Faults::default() }).await;
    match bench.confirm_soon().print(&receipt("x"), &bench.stop).await {
        Outcome::InDoubt { why: Doubt::Unconfirmed { reached: Level::Sent, .. } } => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.paper(), [""; 0]);
}

#[tokio::test]
async fn a_model_without_marks_is_believed_when_the_job_was_processed() {
    let bench = Bench::with(Faults { no_marks: true, ..Faults::default() }).await;
    let mut driver = bench.driver_that(|deadlines| deadlines.echo = SOON);
    let processed = Outcome::Printed { level: Level::Processed };
    assert_eq!(driver.print(&receipt("a1"), &bench.stop).await, processed);
    assert_eq!(driver.print(&receipt("a2"), &bench.stop).await, processed);
    assert_eq!(bench.paper().len(), 2);
}

#[tokio::test]
async fn a_printer_that_used_to_echo_marks_is_not_believed_without() {
    let bench = Bench::healthy().await;
    let mut driver = bench.confirm_soon();
    assert_eq!(driver.print(&receipt("a1"), &bench.stop).await, PRINTED);
    bench.printer.set_faults(|faults| faults.no_marks = true);
    match driver.print(&receipt("a2"), &bench.stop).await {
        Outcome::InDoubt { why } => {
            assert_eq!(why.to_string(), "printer confirmed no more than L2 (processed) and is online")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_model_that_only_listens_is_sent_to_only_if_its_owner_believes_it() {
    let bench = Bench::with(Faults { no_answers: true, ..Faults::default() }).await;
    let outcome = bench.ask_soon().print(&receipt("x"), &bench.stop).await;
    assert!(matches!(outcome, Outcome::NotPrinted { why: NotSent::Silent { .. } }), "{outcome:?}");

    let mut config = PrinterConfig::at(bench.printer.address().to_string());
    config.believe = Level::Sent;
    config.deadlines.status = SOON;
    let outcome = Printer::new(config).print(&receipt("x"), &bench.stop).await;
    assert_eq!(outcome, Outcome::Sent { level: Level::Drained });
    assert_eq!(copies(bench.out.path(), "x"), Some(Copies { plain: 1, marked: 0 }));
}

#[tokio::test]
async fn a_job_whose_hub_died_before_it_could_tell_is_reprinted_under_the_banner() {
    let bench = Bench::healthy().await;
    // The first hub kept the start of its attempt, printed, and died before it kept the end.
    assert_eq!(bench.driver().print(&receipt("a1"), &bench.stop).await, PRINTED);
    let (asked_at, ttl) = (UnixMicros(0), Duration::from_secs(60));
    let attempts = [Attempt { number: 1, started: asked_at, end: None }];
    let facts = Facts { asked_at, ttl, attempts: &attempts, word: None };
    let Next::Send { attempt: 2, banner: true } = next(&facts, Policy::REPRINT_ONCE, asked_at) else {
        panic!("an unmarked copy, or none")
    };
    let page = receipt("a1").marked_possible_duplicate();
    let outcome = bench.driver().print(&page, &bench.stop).await;
    assert_eq!(End::from(&outcome), End::Printed);
    assert_eq!(copies(bench.out.path(), "a1"), Some(Copies { plain: 1, marked: 1 }));
}

#[tokio::test]
async fn a_printer_that_hangs_is_sent_nothing() {
    let bench = Bench::with(Faults { hang: true, ..Faults::default() }).await;
    let outcome = bench.ask_soon().print(&receipt("x"), &bench.stop).await;
    assert!(matches!(outcome, Outcome::NotPrinted { why: NotSent::Silent { .. } }), "{outcome:?}");
}

#[tokio::test]
async fn a_printer_that_is_off_cannot_be_reached() {
    let bench = Bench::healthy().await;
    let mut driver = bench.driver();
    bench.printer.stop().await.unwrap();
    let outcome = driver.print(&receipt("x"), &bench.stop).await;
    assert!(matches!(outcome, Outcome::NotPrinted { why: NotSent::Unreachable { .. } }), "{outcome:?}");
}

#[tokio::test]
async fn a_link_cut_at_any_byte_leaves_doubt_and_nothing_of_it_on_the_next_receipt() {
    let bench = Bench::healthy().await;
    let mut driver = bench.driver();
    assert_eq!(driver.print(&receipt("first"), &bench.stop).await, PRINTED);
    let job = escpos::encode(&receipt("cut00"), &Model::default()).len() as u64;
    for (n, into_job) in (1..job).step_by(5).enumerate() {
        bench.printer.cut_link_after(QUESTIONS_BYTES + into_job);
        let outcome = driver.print(&receipt(&format!("cut{n:02}")), &bench.stop).await;
        assert!(
            matches!(outcome, Outcome::InDoubt { why: Doubt::LinkLost { .. } }),
            "{into_job}: {outcome:?}"
        );
        let good = format!("good{n:02}");
        assert_eq!(driver.print(&receipt(&good), &bench.stop).await, PRINTED);
        let wanted = format!("CORNER SHOP\nTomatoes 400 g                              1.20\nJob {good}\n");
        assert_eq!(bench.paper().last(), Some(&wanted), "cut {into_job} bytes into a job");
    }
}

#[tokio::test]
async fn half_a_job_of_a_hub_that_died_is_cut_off_before_the_next_one() {
    let bench = Bench::healthy().await;
    let mut dying = TcpStream::connect(bench.printer.address()).await.unwrap();
    dying.write_all(b"\x1b@OTHER SHOP\nhalf a line\x1d(k\xf0\x001P0half a code").await.unwrap();
    drop(dying);
    bench.wait_for(|counts| counts.sessions == 1).await;
    assert_eq!(bench.driver().print(&receipt("next"), &bench.stop).await, PRINTED);
    let paper = bench.paper();
    assert_eq!(paper[0], "OTHER SHOP\n", "the leftover is a piece of its own");
    assert!(paper[1].starts_with("CORNER SHOP\n") && paper[1].ends_with("Job next\n"));
}

#[tokio::test]
async fn paper_that_ends_in_mid_job_leaves_doubt_and_the_rest_comes_out_on_the_new_roll() {
    let bench = Bench::healthy().await;
    bench.printer.set_faults(|faults| faults.roll_rows = Some(2));
    match bench.confirm_soon().print(&receipt("half"), &bench.stop).await {
        Outcome::InDoubt { why: Doubt::Unconfirmed { reached: Level::Sent, status: Some(status) } } => {
            assert_eq!(status.paper, Paper::Out);
        }
        other => panic!("{other:?}"),
    }
    bench.printer.set_faults(|faults| faults.roll_rows = None);
    assert_eq!(bench.driver().print(&receipt("after"), &bench.stop).await, PRINTED);
    // It was doubt indeed: the receipt did come out in the end, once.
    assert_eq!(copies(bench.out.path(), "half"), Some(Copies { plain: 1, marked: 0 }));
    assert_eq!(copies(bench.out.path(), "after"), Some(Copies { plain: 1, marked: 0 }));
}

#[tokio::test]
async fn a_second_host_waits_at_the_door_and_gives_up_with_nothing_sent() {
    let bench = Bench::healthy().await;
    let other = TcpStream::connect(bench.printer.address()).await.unwrap();
    bench.wait_for(|counts| counts.sessions == 1).await;
    let outcome = bench.ask_soon().print(&receipt("early"), &bench.stop).await;
    assert!(matches!(outcome, Outcome::NotPrinted { why: NotSent::Silent { .. } }), "{outcome:?}");
    drop(other);
    assert_eq!(bench.driver().print(&receipt("late"), &bench.stop).await, PRINTED);
    assert_eq!(copies(bench.out.path(), "early"), None);
}

#[tokio::test]
async fn two_hosts_at_once_both_get_their_paper() {
    let bench = Bench::healthy().await;
    let (mut one, mut two) = (bench.driver(), bench.driver());
    let (a, b) = (receipt("a"), receipt("b"));
    let outcomes = tokio::join!(one.print(&a, &bench.stop), two.print(&b, &bench.stop));
    assert_eq!(outcomes, (PRINTED, PRINTED));
    assert_eq!(bench.paper().len(), 2);
}

#[tokio::test]
async fn a_stop_before_sending_is_not_printed_and_after_it_in_doubt() {
    let bench = Bench::with(Faults { swallow: true, ..Faults::default() }).await;
    let mut driver = bench.driver();
    let stopping = async {
        // The session is open and the job on its way; whatever it has reached, the answer must be honest.
        bench.wait_for(|counts| counts.sessions == 1).await;
        bench.stop.cancel();
    };
    let page = receipt("x");
    let (outcome, ()) = tokio::join!(driver.print(&page, &bench.stop), stopping);
    let honest = [Outcome::NotPrinted { why: NotSent::Stopped }, Outcome::InDoubt { why: Doubt::Stopped }];
    assert!(honest.contains(&outcome), "{outcome:?}");
    assert_eq!(driver.print(&page, &bench.stop).await, Outcome::NotPrinted { why: NotSent::Stopped });
}
