//! Every crash of hub, printer and link, times every fault of the printer, times both policies, with a link for each job and with
//! one that an owner holds: each receipt is on paper exactly once, or its job is in doubt and every extra copy is marked; and nothing of it stands on the next receipt.
//!
//! Crashes come at eight places; with `TOKO_CRASH_BYTES=every` at every byte of questions, job and marks, which takes long.

use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toko_devices::spool::{Attempt, End, Facts, Next, Policy, UnixMicros, next};
use toko_devices::virtual_printer::{Copies, Counts, Faults, Options, VirtualPrinter, copies_by_job, logged};
use toko_devices::{
    Deadlines, Habits, Level, Model, Outcome, OwnedPrinter, Owner, Page, Printer, PrinterConfig, escpos,
};

/// What dies, and when. Bytes are counted from the first that goes out for the job: questions, what cuts off a torn receipt, the job.
#[derive(Clone, Copy, Debug)]
enum Crash {
    None,
    /// The start is kept and nothing sent.
    HubBeforeSending,
    /// The hub dies once the printer has so many bytes.
    HubAt(u64),
    /// The printer has answered, and the hub dies before it has kept that.
    HubBeforeItTells,
    LinkDropAt(u64),
    LinkResetAt(u64),
    PowerAt(u64),
}

#[derive(Clone, Copy, Debug)]
struct Case {
    crash: Crash,
    faults: Faults,
    policy: Policy,
    /// An owner holds the link.
    held: bool,
}

/// A process that prints, until it is dropped.
enum Hub {
    Links(Box<Printer>, CancellationToken),
    Holds(OwnedPrinter, #[expect(dead_code, reason = "its task dies with it")] JoinSet<()>),
}

impl Hub {
    async fn print(&mut self, page: &Page) -> Outcome {
        match self {
            Hub::Links(printer, stop) => printer.print(page, stop).await,
            Hub::Holds(printer, _) => printer.print(page.clone()).await,
        }
    }
}

/// What came of a case.
#[derive(Debug)]
struct Verdict {
    case: Case,
    last: Next,
    in_doubt: usize,
    copies: Copies,
    next_receipt: String,
}

fn receipt(job: &str) -> Page {
    Page::new().line("CORNER SHOP").columns("Tomatoes 400 g", "1.20").job(job).cut()
}

const JOB: &str = "a1";
/// What fills up a torn mark, on a new link.
const FILL_BYTES: u64 = 8;
const QUESTIONS_BYTES: u64 = 9;
const WATCH_BYTES: u64 = 3;
const MARK_BYTES: u64 = 11;
const BARRIER_BYTES: u64 = 3;

fn crashes(held: bool) -> Vec<Crash> {
    let job = escpos::encode(&receipt(JOB), &Model::default()).len() as u64;
    let questions = if held { QUESTIONS_BYTES } else { FILL_BYTES + QUESTIONS_BYTES };
    let lead = questions + escpos::resync().len() as u64;
    let all = lead + job + MARK_BYTES + BARRIER_BYTES;
    // In the questions, behind them, in the text, before the cut, behind it, behind the mark, the whole of it, and what an
    // owner says more.
    let places = [
        5,
        questions + 1,
        lead + job / 2,
        lead + job - 4,
        lead + job,
        all - BARRIER_BYTES,
        all,
        all + WATCH_BYTES,
    ];
    let bytes: Vec<u64> = match std::env::var("TOKO_CRASH_BYTES").as_deref() {
        // What cuts off a torn receipt is thousands of zeros, of which a few stand for all.
        Ok("every") => (1..=questions)
            .chain((questions + 1..lead).step_by(1_024))
            .chain(lead..=all + WATCH_BYTES)
            .collect(),
        Ok(other) => panic!("TOKO_CRASH_BYTES is \"every\" or not set, not {other:?}"),
        Err(_) => places.to_vec(),
    };
    let kinds = [Crash::HubAt, Crash::LinkDropAt, Crash::LinkResetAt, Crash::PowerAt];
    let at = bytes.into_iter().flat_map(|bytes| kinds.map(|what: fn(u64) -> Crash| what(bytes)));
    [Crash::None, Crash::HubBeforeSending, Crash::HubBeforeItTells].into_iter().chain(at).collect()
}

fn faults() -> Vec<Faults> {
    let fine = Faults::default();
    vec![
        fine,
        Faults { paper_out: true, ..fine },
        Faults { paper_near_end: true, ..fine },
        Faults { roll_rows: Some(2), ..fine },
        Faults { cover_open: true, ..fine },
        Faults { cutter_jammed: true, ..fine },
        Faults { overheated: true, ..fine },
        Faults { broken: true, ..fine },
        Faults { swallow: true, ..fine },
        Faults { hang: true, ..fine },
        Faults { hang_at_door: true, ..fine },
        Faults { no_marks: true, ..fine },
        Faults { no_answers: true, ..fine },
        Faults { reply_delay: Duration::from_millis(50), reply_merged: true, ..fine },
        Faults { reply_delay: Duration::from_millis(50), ..fine },
        Faults { reply_twice: true, ..fine },
    ]
}

struct Shop {
    printer: VirtualPrinter,
    out: TempDir,
    held: bool,
}

impl Shop {
    async fn open(held: bool) -> Shop {
        let out = tempfile::tempdir().expect("a directory for paper");
        let printer = VirtualPrinter::spawn(Options::new(out.path())).await.expect("a free port");
        Shop { printer, out, held }
    }

    async fn hub(&self, confirm: Duration) -> Hub {
        let mut config = PrinterConfig::at(self.printer.address().to_string());
        let long = Duration::from_secs(20);
        config.deadlines = Deadlines {
            connect: long,
            status: confirm,
            send: long,
            confirm,
            echo: confirm,
            drain: Duration::from_millis(200),
            patience: Duration::ZERO,
            again: if self.held { confirm.min(SOON) } else { Duration::ZERO },
        };
        if !self.held {
            return Hub::Links(Box::new(Printer::new(config)), CancellationToken::new());
        }
        let mut counts = self.printer.counts();
        let before = counts.borrow().bytes;
        let habits = Habits { let_go: None, ..Habits::default() };
        let (printer, owner) = Owner::new(config, habits, CancellationToken::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(owner.run());
        // What it asks first of all is no part of the job.
        has(&mut counts, before + FILL_BYTES + QUESTIONS_BYTES + WATCH_BYTES).await;
        Hub::Holds(printer, tasks)
    }

    /// A person puts right whatever is wrong.
    async fn mend(&self) {
        self.printer.no_accident();
        self.printer.set_faults(|faults| *faults = Faults::default());
        self.printer.open_and_close_cover().await;
    }
}

/// Waits until the printer has received so many bytes.
async fn has(counts: &mut watch::Receiver<Counts>, bytes: u64) {
    drop(counts.wait_for(|counts| counts.bytes >= bytes).await);
}

async fn play(case: Case) -> Verdict {
    let shop = Shop::open(case.held).await;
    let patient = Duration::from_secs(20);
    let mut hub = shop.hub(patient).await;
    assert_eq!(hub.print(&receipt("before")).await, Outcome::Printed { level: Level::Printed });
    drop(hub);
    let mut hub = Some(shop.hub(SOON).await);
    let mut counts = shop.printer.counts();
    shop.printer.set_faults(|faults| *faults = case.faults);
    let (mut known, mut now) = (Vec::<Attempt>::new(), UnixMicros(0));
    let last = loop {
        let facts = Facts { asked_at: UnixMicros(0), ttl: Duration::MAX, attempts: &known, word: None };
        match next(&facts, case.policy, now) {
            Next::Wait { until } => now = until,
            Next::Send { attempt, banner } => {
                let page = if banner { receipt(JOB).marked_possible_duplicate() } else { receipt(JOB) };
                let alive = hub.as_mut().expect("a hub that lives");
                let crash = if attempt == 1 { case.crash } else { Crash::None };
                let before = counts.borrow().bytes;
                match crash {
                    Crash::LinkDropAt(bytes) => shop.printer.cut_link_after(bytes),
                    Crash::LinkResetAt(bytes) => shop.printer.reset_link_after(bytes),
                    Crash::PowerAt(bytes) => shop.printer.power_cycle_after(bytes),
                    _ => {}
                }
                let end = match crash {
                    Crash::HubBeforeSending => None,
                    Crash::HubAt(bytes) => tokio::select! {
                        outcome = alive.print(&page) => Some(End::from(&outcome)),
                        () = has(&mut counts, before + bytes) => None,
                    },
                    Crash::HubBeforeItTells => {
                        alive.print(&page).await;
                        None
                    }
                    _ => Some(End::from(&alive.print(&page).await)),
                };
                known.push(Attempt { number: attempt, started: now, end });
                // It says and hears nothing any more, whatever is put right.
                hub = hub.filter(|_| end.is_some());
                shop.mend().await;
                if case.faults.broken {
                    shop.printer.power_cycle().await;
                }
                if hub.is_none() {
                    hub = Some(shop.hub(SOON).await);
                }
            }
            end => break end,
        }
        assert!(known.len() < 20, "{case:?}: {known:?}");
    };
    drop(hub);
    let outcome = shop.hub(patient).await.print(&receipt("after")).await;
    assert_eq!(outcome, Outcome::Printed { level: Level::Printed }, "{case:?}");
    let log = logged(shop.out.path()).expect("a log");
    let next = log.last().map(|line| shop.out.path().join(format!("paper/{:05}.txt", line.n)));
    Verdict {
        case,
        last,
        in_doubt: known.iter().filter(|attempt| matches!(attempt.end, None | Some(End::InDoubt))).count(),
        copies: copies_by_job(shop.out.path()).expect("a log").get(JOB).copied().unwrap_or_default(),
        next_receipt: std::fs::read_to_string(next.expect("a piece of paper")).expect("its text"),
    }
}

impl Verdict {
    fn check(&self) {
        let Verdict { case, copies: Copies { plain, marked }, .. } = *self;
        assert!(plain <= 1, "an extra copy without a mark in {case:?}: {self:?}");
        match self.last {
            Next::Done if self.in_doubt == 0 => assert_eq!((plain, marked), (1, 0), "{self:?}"),
            Next::Done => assert!(plain + marked >= 1, "a receipt is lost: {self:?}"),
            Next::Hold => assert!(self.in_doubt > 0, "held without doubt: {self:?}"),
            _ => panic!("neither printed nor held: {self:?}"),
        }
        let wanted = "CORNER SHOP\nTomatoes 400 g                              1.20\nJob after\n";
        assert_eq!(self.next_receipt, wanted, "leftovers on the next receipt: {self:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_crashes_each_receipt_is_on_paper_once_or_in_doubt_with_every_extra_copy_marked() {
    let mut cases = Vec::new();
    for held in [false, true] {
        for crash in crashes(held) {
            for faults in faults() {
                let case = |policy| Case { crash, faults, policy, held };
                cases.extend([Policy::Hold, Policy::REPRINT_ONCE].map(case));
            }
        }
    }
    let all = cases.len();
    let (mut verdicts, mut playing) = (Vec::new(), JoinSet::new());
    while verdicts.len() < all {
        while playing.len() < AT_ONCE {
            let Some(case) = cases.pop() else { break };
            playing.spawn(timeout(Duration::from_secs(120), play(case)));
        }
        let played = playing.join_next().await.expect("cases left");
        verdicts.push(played.expect("a case that ends").expect("in time"));
    }
    verdicts.iter().for_each(Verdict::check);
    let count = |what: fn(&Verdict) -> bool| verdicts.iter().filter(|verdict| what(verdict)).count();
    let counts = [
        count(|v| v.last == Next::Done && v.in_doubt == 0),
        count(|v| v.last == Next::Done && v.in_doubt > 0),
        count(|v| v.last == Next::Hold),
        count(|v| v.copies == Copies { plain: 1, marked: 1 }),
        count(|v| v.copies == Copies { plain: 0, marked: 1 }),
    ];
    println!(
        "{all} cases: printed for certain, printed after doubt, held, twice with a mark, once with a mark: {counts:?}"
    );
    assert!(
        counts.iter().all(|count| *count > 0),
        "the matrix does not reach all that can happen: {counts:?}"
    );
}

/// Doubt comes so soon; whether it comes too soon changes nothing of what must hold.
const SOON: Duration = Duration::from_millis(300);
/// Cases at a time: they wait more than they work.
const AT_ONCE: usize = 128;
