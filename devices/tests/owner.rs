//! The owner of a printer against the virtual one: the link is held and let go of, doubt is asked about before it is told, and
//! the drawer opens through it all, once or not at all.

use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toko_devices::display::{Dialect, Glass, LineDisplay, Screen};
use toko_devices::virtual_printer::{Copies, Counts, Faults, Options, Sensor, VirtualPrinter, copies_by_job};
use toko_devices::{
    Deadlines, Doubt, DrawerPin, Edge, Habits, Level, NoEdge, NotSent, Opening, Outcome, OwnedPrinter, Owner,
    Page, Paper, Polarity, PowerState, PrinterConfig, Pulse, Seen,
};

/// A virtual printer with a drawer, and the owner of it.
struct Bench {
    there: VirtualPrinter,
    out: TempDir,
    printer: OwnedPrinter,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Bench {
    async fn open() -> Bench {
        Bench::with(Sensor::HighClosed, NEVER_LETS_GO, |_| {}).await
    }

    async fn with(sensor: Sensor, habits: Habits, change: impl FnOnce(&mut Deadlines)) -> Bench {
        let out = tempfile::tempdir().expect("a directory for paper");
        let display = Some(Glass::rows_of_20(Dialect::BehindPrinter));
        let options = Options { sensor, display, ..Options::new(out.path()) };
        let there = VirtualPrinter::spawn(options).await.expect("a free port");
        let mut config = PrinterConfig::at(there.address().to_string());
        config.deadlines = Deadlines {
            connect: LONG,
            status: LONG,
            send: LONG,
            confirm: LONG,
            echo: LONG,
            drain: LONG,
            patience: LONG,
            again: LONG,
        };
        change(&mut config.deadlines);
        let stop = CancellationToken::new();
        let (printer, owner) = Owner::new(config, habits, stop.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(owner.run());
        let bench = Bench { there, out, printer, tasks, stop };
        bench.sees(|seen| seen.status.is_some()).await;
        bench
    }

    /// A display that hangs behind the printer.
    fn display(&self) -> LineDisplay {
        LineDisplay::behind(
            self.printer.clone(),
            Glass::rows_of_20(Dialect::BehindPrinter),
            &screen("WELCOME"),
        )
    }

    /// Waits until that display shows this in its upper row.
    async fn shows(&self, upper: &str) {
        let mut shown = self.there.shown();
        let rows = timeout(LONG, shown.wait_for(|rows| rows[0].trim_end() == upper)).await;
        assert!(rows.is_ok(), "{upper:?} never comes: {:?}", self.there.shown().borrow());
    }

    fn copies(&self, job: &str) -> Option<Copies> {
        copies_by_job(self.out.path()).expect("a log").get(job).copied()
    }

    async fn until(&self, what: impl FnMut(&Counts) -> bool) {
        let mut counts = self.there.counts();
        timeout(LONG, counts.wait_for(what)).await.expect("in time").expect("still running");
    }

    /// What is seen once it is as wanted.
    async fn sees(&self, what: impl FnMut(&Seen) -> bool) -> Seen {
        let mut seen: watch::Receiver<Seen> = self.printer.seen();
        let seen = timeout(LONG, seen.wait_for(what)).await.expect("in time").expect("still running");
        seen.clone()
    }

    fn printing(&self, job: &str) -> tokio::task::JoinHandle<Outcome> {
        let (printer, page) = (self.printer.clone(), receipt(job));
        tokio::spawn(async move { printer.print(page).await })
    }

    fn pulses(&self) -> u64 {
        self.there.counts().borrow().pulses
    }
}

fn out_of_paper(seen: &Seen) -> bool {
    seen.status.is_some_and(|status| status.paper == Paper::Out)
}

async fn next(edges: &mut broadcast::Receiver<Edge>) -> Edge {
    timeout(LONG, edges.recv()).await.expect("in time").expect("an edge")
}

fn screen(upper: &str) -> Screen {
    Screen { upper: upper.to_owned(), lower: String::new() }
}

fn receipt(job: &str) -> Page {
    Page::new().line("CORNER SHOP").columns("Tomatoes 400 g", "1.20").job(job).cut()
}

const LONG: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_millis(100);
const NEVER_LETS_GO: Habits = Habits { let_go: None, keep_alive: LONG, look_every: LONG };
const PRINTED: Outcome = Outcome::Printed { level: Level::Printed };
const ONCE: Option<Copies> = Some(Copies { plain: 1, marked: 0 });
const OPENS: Pulse =
    Pulse { pin: DrawerPin::Pin2, polarity: Polarity::LowIsOpen, ttl: toko_devices::owner::PULSE_TTL };

#[tokio::test]
async fn one_link_serves_many_jobs_and_questions() {
    let bench = Bench::open().await;
    let jobs: Vec<_> = (0..5).map(|n| bench.printing(&format!("a{n}"))).collect();
    for job in jobs {
        assert_eq!(job.await.unwrap(), PRINTED);
    }
    assert!(bench.printer.status().await.unwrap().can_print());
    assert!((0..5).all(|n| bench.copies(&format!("a{n}")) == ONCE));
    assert_eq!(bench.there.counts().borrow().sessions, 1);
}

#[tokio::test]
async fn an_idle_printer_is_let_go_of_and_others_get_their_turn() {
    let habits = Habits { let_go: Some(SOON), ..NEVER_LETS_GO };
    let bench = Bench::with(Sensor::None, habits, |_| {}).await;
    assert_eq!(bench.printer.print(receipt("a1")).await, PRINTED);
    bench.sees(|seen| !seen.linked).await;
    let _other = TcpStream::connect(bench.there.address()).await.unwrap();
    bench.until(|counts| counts.sessions == 2).await;
}

#[tokio::test]
async fn a_link_that_is_held_is_spoken_on_and_looked_for_when_it_breaks() {
    let habits = Habits { keep_alive: SOON, look_every: SOON, ..NEVER_LETS_GO };
    let bench = Bench::with(Sensor::None, habits, |_| {}).await;
    bench.sees(|seen| seen.linked).await;
    let asked = bench.there.counts().borrow().bytes;
    bench.until(|counts| counts.bytes > asked + 50).await;
    bench.there.power_cycle().await;
    bench.until(|counts| counts.sessions == 2).await;
    assert_eq!(bench.printer.print(receipt("a1")).await, PRINTED);
}

#[tokio::test]
async fn watchers_see_each_change_without_asking() {
    let bench = Bench::open().await;
    bench.sees(Seen::can_print).await;
    // Only the printer speaks from now on: nobody asks within the time of this test.
    bench.there.set_faults(|faults| faults.paper_near_end = true);
    let low = bench.sees(|seen| seen.status.is_some_and(|s| s.paper == Paper::NearEnd)).await;
    assert!(low.can_print());
    bench.there.set_faults(|faults| (faults.paper_near_end, faults.cover_open) = (false, true));
    let open = bench.sees(|seen| seen.status.is_some_and(|s| s.cover_open)).await;
    assert_eq!((open.power(), open.can_print()), (PowerState::Offline, false));
    bench.there.set_faults(|faults| *faults = Faults::default());
    bench.sees(Seen::can_print).await;
    let Bench { there, printer, .. } = bench;
    there.stop().await.unwrap();
    let mut seen = printer.seen();
    let gone = timeout(LONG, seen.wait_for(|seen| seen.trouble.is_some())).await.unwrap().unwrap();
    assert_eq!(gone.power(), PowerState::OffOffline);
}

#[tokio::test]
async fn a_job_that_ran_out_of_paper_is_waited_for_and_printed_once_on_the_new_roll() {
    let bench = Bench::with(Sensor::None, NEVER_LETS_GO, |deadlines| deadlines.confirm = SOON).await;
    bench.there.set_faults(|faults| faults.roll_rows = Some(2));
    let job = bench.printing("half");
    let waits = bench.sees(|seen| seen.waits_for_a_hand).await;
    assert!(waits.printing && waits.status.is_some_and(|s| s.paper == Paper::Out));
    bench.there.set_faults(|faults| faults.roll_rows = None);
    assert_eq!(job.await.unwrap(), PRINTED);
    assert_eq!(bench.copies("half"), ONCE);
    assert!(!bench.printer.seen().borrow().waits_for_a_hand);
}

#[tokio::test]
async fn a_link_that_breaks_behind_a_whole_job_is_linked_again_and_the_end_is_heard() {
    let bench = Bench::open().await;
    assert_eq!(bench.printer.print(receipt("first")).await, PRINTED);
    // The job is in the printer, which waits for paper, when the link breaks; its buffer stays.
    bench.there.set_faults(|faults| faults.roll_rows = Some(2));
    let job = bench.printing("again");
    bench.sees(out_of_paper).await;
    bench.there.reset_link_after(1);
    // The question before a pulse breaks it; the pulse goes over the next one.
    let opening = bench.printer.open_drawer(OPENS).await;
    assert!(matches!(opening, Opening::Opened { .. }), "{opening:?}");
    bench.until(|counts| counts.sessions == 2).await;
    bench.there.set_faults(|faults| faults.roll_rows = None);
    assert_eq!(job.await.unwrap(), PRINTED);
    assert_eq!(bench.copies("again"), ONCE);
}

#[tokio::test]
async fn a_job_that_was_lost_with_the_power_is_doubt_and_nothing_of_it_is_on_the_next() {
    let bench = Bench::with(Sensor::None, NEVER_LETS_GO, |deadlines| deadlines.again = SOON).await;
    assert_eq!(bench.printer.print(receipt("first")).await, PRINTED);
    bench.there.set_faults(|faults| faults.roll_rows = Some(2));
    let job = bench.printing("lost");
    bench.sees(out_of_paper).await;
    bench.there.power_cycle().await;
    bench.until(|counts| counts.power_cycles == 1).await;
    bench.there.set_faults(|faults| faults.roll_rows = None);
    let outcome = job.await.unwrap();
    assert!(matches!(outcome, Outcome::InDoubt { why: Doubt::LinkLost { .. } }), "{outcome:?}");
    assert_eq!(bench.printer.print(receipt("next")).await, PRINTED);
    assert_eq!(bench.copies("next"), ONCE);
}

#[tokio::test]
async fn a_drawer_opens_once_a_pulse_and_its_sensor_confirms_it_with_either_polarity() {
    for (sensor, polarity) in [
        (Sensor::HighClosed, Polarity::LowIsOpen),
        (Sensor::HighOpen, Polarity::HighIsOpen),
        (Sensor::HighClosed, Polarity::Unknown),
        (Sensor::HighOpen, Polarity::Unknown),
    ] {
        let bench = Bench::with(sensor, NEVER_LETS_GO, |_| {}).await;
        let mut edges = bench.printer.edges();
        let opening = bench.printer.open_drawer(Pulse { polarity, ..OPENS }).await;
        assert!(matches!(opening, Opening::Opened { .. }), "{sensor:?} {polarity:?} {opening:?}");
        let level = sensor == Sensor::HighOpen;
        assert_eq!(next(&mut edges).await, Edge { level, ours: true, missed: false });
        assert_eq!((bench.pulses(), bench.printer.seen().borrow().drawer_level()), (1, Some(level)));
    }
}

#[tokio::test]
async fn a_drawer_without_a_sensor_a_stuck_one_and_an_open_one_are_not_confirmed() {
    let bench = Bench::with(Sensor::None, NEVER_LETS_GO, |_| {}).await;
    let opening = bench.printer.open_drawer(OPENS).await;
    // Low would be open for this polarity; without a sensor it is always low.
    assert_eq!(opening, Opening::NotConfirmed { why: NoEdge::StoodOpen });
    let opening = bench.printer.open_drawer(Pulse::default()).await;
    assert_eq!((opening, bench.pulses()), (Opening::NotConfirmed { why: NoEdge::Still }, 2));

    let bench = Bench::open().await;
    bench.there.set_faults(|faults| faults.drawer_stuck = true);
    assert_eq!(bench.printer.open_drawer(OPENS).await, Opening::NotConfirmed { why: NoEdge::Still });
    bench.there.open_drawer().await;
    bench.sees(|seen| seen.drawer_level() == Some(false)).await;
    assert_eq!(bench.printer.open_drawer(OPENS).await, Opening::NotConfirmed { why: NoEdge::StoodOpen });
    assert_eq!(bench.pulses(), 2);
}

#[tokio::test]
async fn without_paper_the_drawer_opens_at_once() {
    let bench = Bench::open().await;
    bench.there.set_faults(|faults| (faults.paper_out, faults.cover_open) = (true, true));
    assert!(matches!(bench.printer.open_drawer(OPENS).await, Opening::Opened { .. }));
    assert_eq!((bench.pulses(), bench.there.counts().borrow().pieces), (1, 0));
}

#[tokio::test]
async fn in_the_middle_of_a_job_that_waits_for_paper_the_drawer_opens_and_the_job_is_whole() {
    let bench = Bench::open().await;
    bench.there.set_faults(|faults| faults.roll_rows = Some(2));
    let job = bench.printing("a1");
    bench.sees(out_of_paper).await;
    assert!(matches!(bench.printer.open_drawer(OPENS).await, Opening::Opened { .. }));
    bench.there.set_faults(|faults| faults.roll_rows = None);
    assert_eq!(job.await.unwrap(), PRINTED);
    assert_eq!((bench.pulses(), bench.copies("a1")), (1, ONCE));
}

#[tokio::test]
async fn a_printer_that_hangs_gets_no_pulse_then_or_later() {
    let bench = Bench::open().await;
    bench.sees(|seen| seen.linked).await;
    bench.there.set_faults(|faults| faults.hang = true);
    let opening = bench.printer.open_drawer(Pulse { ttl: SOON, ..OPENS }).await;
    assert_eq!(opening, Opening::Expired);
    bench.there.set_faults(|faults| faults.hang = false);
    assert_eq!(bench.printer.print(receipt("a1")).await, PRINTED);
    assert_eq!(bench.pulses(), 0);
}

#[tokio::test]
async fn a_printer_that_is_off_gets_no_pulse() {
    let bench = Bench::open().await;
    bench.sees(|seen| seen.linked).await;
    bench.there.set_faults(|faults| faults.hang_at_door = true);
    bench.there.power_cycle().await;
    let opening = bench.printer.open_drawer(Pulse { ttl: SOON, ..OPENS }).await;
    assert!(matches!(opening, Opening::Expired | Opening::NotSent { .. }), "{opening:?}");
    assert_eq!(bench.pulses(), 0);
}

#[tokio::test]
async fn a_key_is_seen_and_so_is_what_moved_while_nobody_was_linked() {
    let habits = Habits { look_every: SOON, ..NEVER_LETS_GO };
    let bench = Bench::with(Sensor::HighClosed, habits, |_| {}).await;
    let mut edges = bench.printer.edges();
    bench.sees(|seen| seen.linked && seen.drawer_level() == Some(true)).await;
    bench.there.open_drawer().await;
    assert_eq!(next(&mut edges).await, Edge { level: false, ours: false, missed: false });
    bench.there.close_drawer().await;
    assert_eq!(next(&mut edges).await, Edge { level: true, ours: false, missed: false });

    bench.there.set_faults(|faults| faults.hang_at_door = true);
    bench.there.power_cycle().await;
    bench.sees(|seen| !seen.linked).await;
    bench.there.open_drawer().await;
    bench.until(|counts| counts.openings == 2).await;
    bench.there.set_faults(|faults| faults.hang_at_door = false);
    assert_eq!(next(&mut edges).await, Edge { level: false, ours: false, missed: true });
}

#[tokio::test]
async fn whoever_waits_is_answered_when_the_owner_stops() {
    let mut bench = Bench::with(Sensor::None, NEVER_LETS_GO, |_| {}).await;
    bench.sees(|seen| seen.linked).await;
    bench.there.set_faults(|faults| faults.swallow = true);
    let before = bench.there.counts().borrow().bytes;
    let first = bench.printing("first");
    bench.until(|counts| counts.bytes >= before + LEAD_BYTES).await;
    let second = bench.printing("second");
    bench.stop.cancel();
    assert_eq!(first.await.unwrap(), Outcome::InDoubt { why: Doubt::Stopped });
    assert_eq!(second.await.unwrap(), Outcome::NotPrinted { why: NotSent::Stopped });
    timeout(LONG, bench.tasks.join_next()).await.expect("in time").expect("one").expect("it ends");
    assert_eq!(bench.printer.status().await, Err(NotSent::Stopped));
    let opening = bench.printer.open_drawer(OPENS).await;
    assert_eq!(opening, Opening::NotSent { why: NotSent::Stopped });
}

/// What goes before the first job of a process.
const LEAD_BYTES: u64 = 8_192;

#[tokio::test]
async fn a_display_behind_the_printer_shows_the_last_line_and_receipts_are_whole() {
    let bench = Bench::open().await;
    let display = bench.display();
    bench.shows("WELCOME").await;
    let mut jobs = Vec::new();
    for n in 0..20 {
        jobs.push(bench.printing(&format!("a{n}")));
        display.show(screen(&format!("LINE {n}")));
        tokio::task::yield_now().await;
        display.show(screen(&format!("SUBTOTAL {n}")));
    }
    for (n, job) in jobs.into_iter().enumerate() {
        assert_eq!(job.await.unwrap(), PRINTED);
        assert_eq!(bench.copies(&format!("a{n}")), ONCE);
    }
    bench.shows("SUBTOTAL 19").await;
    for piece in std::fs::read_dir(bench.out.path().join("paper")).unwrap() {
        let text = std::fs::read_to_string(piece.unwrap().path()).unwrap();
        assert_eq!(text.matches("CORNER SHOP").count(), 1, "{text}");
        assert!(!text.contains("LINE") && !text.contains("TOTAL") && !text.contains("WELCOME"), "{text}");
    }
    assert_eq!(bench.there.counts().borrow().sessions, 1, "one link for both");
}

#[tokio::test]
async fn a_display_behind_a_printer_without_paper_goes_on_and_is_drawn_anew_after_the_power_was_away() {
    let bench = Bench::open().await;
    let display = bench.display();
    bench.shows("WELCOME").await;
    bench.there.set_faults(|faults| faults.paper_out = true);
    bench.sees(out_of_paper).await;
    display.show(screen("NO PAPER"));
    bench.shows("NO PAPER").await;
    bench.there.set_faults(|faults| faults.paper_out = false);
    bench.sees(Seen::can_print).await;
    // Cut in the middle of a drawing, which leaves a printer deaf and a display listening.
    bench.there.cut_link_after(20);
    bench.there.set_faults(|_| {});
    display.show(screen("HALF A DRAWING"));
    bench.shows("HALF A DRAWING").await;
    assert_eq!(bench.printer.print(receipt("a1")).await, PRINTED);
    assert_eq!(bench.copies("a1"), ONCE);
    // Meanwhile nobody was linked.
    bench.there.power_cycle().await;
    display.show(screen("AFTER THE POWER"));
    bench.shows("AFTER THE POWER").await;
    assert_eq!(bench.printer.print(receipt("a2")).await, PRINTED);
}

#[tokio::test]
async fn a_display_behind_a_printer_that_was_let_go_of_has_it_linked_again() {
    let habits = Habits { let_go: Some(SOON), ..NEVER_LETS_GO };
    let bench = Bench::with(Sensor::None, habits, |_| {}).await;
    let display = bench.display();
    bench.shows("WELCOME").await;
    bench.sees(|seen| !seen.linked).await;
    display.show(screen("NEXT, PLEASE"));
    bench.shows("NEXT, PLEASE").await;
}

#[test]
fn a_pulse_is_wanted_for_five_seconds() {
    assert_eq!(Pulse::default().ttl, Duration::from_secs(5));
}

#[tokio::test]
async fn a_probe_learns_what_a_printer_confirms_and_the_next_receipt_is_believed_by_it() {
    let quick = |deadlines: &mut Deadlines| {
        (deadlines.status, deadlines.echo, deadlines.drain) = (SOON, SOON, SOON);
    };
    // It does not read what is sent at all in the last one, so not even that all left this machine is known.
    let silent = Faults { no_answers: true, ..Faults::default() };
    for (faults, level) in [
        (Faults::default(), Level::Printed),
        (Faults { no_marks: true, ..Faults::default() }, Level::Processed),
        (silent, Level::Drained),
        (Faults { hang: true, ..silent }, Level::Sent),
    ] {
        let bench = Bench::with(Sensor::None, NEVER_LETS_GO, quick).await;
        bench.there.set_faults(|now| *now = faults);
        let outcome = match level {
            Level::Printed | Level::Processed => Outcome::Printed { level },
            Level::Drained | Level::Sent => Outcome::Sent { level },
        };
        let probed = bench.printer.probe("front").await;
        assert_eq!(probed.outcome, outcome, "{faults:?}");
        assert_eq!(bench.printer.print(receipt("a1")).await, outcome, "{faults:?}");
    }
    // What confirmed nothing but once did is not believed for that.
    let bench = Bench::with(Sensor::None, NEVER_LETS_GO, quick).await;
    assert_eq!(bench.printer.probe("front").await.level(), Some(Level::Printed));
    bench.there.set_faults(|now| *now = silent);
    let outcome = bench.printer.print(receipt("a2")).await;
    assert!(matches!(outcome, Outcome::NotPrinted { why: NotSent::Silent { .. } }), "{outcome:?}");
}
