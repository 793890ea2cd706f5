//! Receipts on this terminal's own printer: what it asked itself to print, it prints, whoever else is dark.
//!
//! Invariants: only jobs that this terminal asked itself for are printed here, and nobody else prints those, so hub and
//! terminals may share a printer that takes one of them at a time. Without a banner come only those that this very process
//! asked for: what was open when it started may have been printed since by whom this terminal was restored from, and what a
//! twin of it asks for is the twin's. The start of an attempt is durable before its first byte
//! leaves; what may be on paper already comes again once, under a banner, and then it is given up: a person stands right beside
//! it, who can ask for a copy.
//!
//! Absent on purpose: a second printer, and waiting for a person's word.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use toko_crdt::KvError;
use toko_crdt::hash::hex;
use toko_devices::spool::{Next, Policy};
use toko_devices::{Deadlines, Habits, Level, Outcome, OwnedPrinter, Owner};
use toko_mesh::node::Node;
use toko_paper::job::{self, Frame};
use toko_paper::work::{Step, Work};
use toko_retail::paper::OWN_PRINTER;
use toko_retail::views::{self, PrintJob};
use tracing::{debug, info, warn};

use crate::config::{PrinterConfig, Prints, Receipt};

/// Longest time between two looks at the open jobs, whatever happens.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Between two looks at a printer that has work and cannot do it.
const LOOK_WHILE_NOT_READY: Duration = Duration::from_secs(2);
/// A printer that others print on is let go of as soon as a receipt is out, and is looked at when there is one.
const SHARED_LET_GO: Duration = Duration::from_millis(200);
const SHARED_LOOK_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// After the store did not take a word about a job.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Jobs that this process asked for; more are forgotten, the oldest first, and wait for the next start.
const ASKED_MAX: usize = 4_096;

/// What this process has asked its own printer for. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Asked(Arc<Mutex<BTreeSet<[u8; 16]>>>);

impl Asked {
    /// Notes a job, before its entry is written.
    pub(crate) fn note(&self, job: [u8; 16]) {
        let mut jobs = self.jobs();
        jobs.insert(job);
        // Ids are dated.
        if jobs.len() > ASKED_MAX {
            jobs.pop_first();
        }
    }

    fn holds(&self, job: &[u8; 16]) -> bool {
        self.jobs().contains(job)
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeSet<[u8; 16]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What else hangs on the terminal's own printer, and needs its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Beside {
    /// A cash drawer, whose sensor tells only over a link.
    pub(crate) drawer: bool,
    /// A customer's display, which would be drawn anew with each link.
    pub(crate) display: bool,
}

/// The printer that this terminal prints on, and who works it off.
pub(crate) struct Printing {
    node: Node,
    config: PrinterConfig,
    receipt: Receipt,
    printer: OwnedPrinter,
    asked: Asked,
    /// Jobs that were open when this process started.
    earlier: BTreeSet<[u8; 16]>,
    /// Until there is work. A printer of the shop's is not even looked at before: it takes one host at a time.
    owner: Option<Owner>,
    work: Work,
}

impl Printing {
    /// The task, which has to be run; its printer ends with `stop`. Made before anybody asks for anything. A printer with
    /// something `beside` it is never let go of.
    ///
    /// Errors: the views could not be read.
    pub(crate) fn new(
        node: Node,
        config: PrinterConfig,
        receipt: Receipt,
        beside: Beside,
        stop: &CancellationToken,
    ) -> Result<Self, KvError> {
        let earlier = node.read(views::jobs_open)?.into_iter().map(|job| job.job).collect();
        let mut driver = toko_devices::PrinterConfig::at(config.address.to_string());
        driver.deadlines = Deadlines {
            confirm: config.confirm.into(),
            patience: config.patience.into(),
            ..driver.deadlines
        };
        driver.model = config.model;
        driver.fonts = config.fonts.clone();
        driver.learnt = (!config.answers).then_some(Level::Drained);
        let habits = match config.prints {
            Prints::Always if beside.drawer => Habits::default().with_drawer(),
            Prints::Always if beside.display => Habits { let_go: None, ..Habits::default() },
            Prints::Always => {
                let let_go = Some(config.let_go).filter(|millis| millis.0 > 0).map(Into::into);
                Habits { let_go, ..Habits::default() }
            }
            Prints::HubDark => {
                Habits { let_go: Some(SHARED_LET_GO), look_every: SHARED_LOOK_EVERY, ..Habits::default() }
            }
        };
        let (printer, owner) = Owner::new(driver, habits, stop.child_token());
        let (asked, owner, work) = (Asked::default(), Some(owner), Work::default());
        Ok(Self { node, config, receipt, printer, asked, earlier, owner, work })
    }

    /// When it is printed on, and where jobs are noted that this process asks for.
    pub(crate) fn role(&self) -> (Prints, Asked) {
        (self.config.prints, self.asked.clone())
    }

    /// A handle to the printer.
    pub(crate) fn printer(&self) -> OwnedPrinter {
        self.printer.clone()
    }

    /// Works off what is asked for until it is told to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut changed = self.node.changed();
        let mut seen = self.printer.seen();
        let mut owner = JoinSet::new();
        while !stop.is_cancelled() {
            changed.mark_unchanged();
            let could = seen.borrow_and_update().can_print();
            let wanted =
                self.config.prints == Prints::Always || self.jobs().is_ok_and(|jobs| !jobs.is_empty());
            if let Some(run) = self.owner.take_if(|_| wanted) {
                owner.spawn(run.run());
            }
            let pause = self.work_off().await.unwrap_or_else(|err| {
                warn!(%err, "printing waits");
                AGAIN_AFTER
            });
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                news = changed.changed() => if news.is_err() { break },
                // What waited for it need not wait out its pause.
                told = seen.wait_for(|seen| seen.can_print() != could) => {
                    if told.is_err() {
                        break;
                    }
                    self.work.hurry_all();
                }
                () = sleep_until(Instant::now() + pause) => {}
            }
        }
    }

    /// One job after the other, until nothing can be done now; then how long to wait.
    async fn work_off(&mut self) -> Result<Duration, String> {
        loop {
            let now = self.node.machine().wall();
            let looked = self.work.look(self.jobs()?, None, |_| None, (Policy::REPRINT_ONCE, now));
            for job in &looked.held {
                self.give_up(job, "in doubt for the second time; ask for a copy").await?;
            }
            let Some(Step { job, next }) = looked.steps.into_iter().next() else {
                let wait = looked.again_in.map_or(LOOK_EVERY, |wait| wait.max(Duration::from_millis(1)));
                return Ok(wait.min(LOOK_EVERY));
            };
            match next {
                Next::Send { .. } if !self.ready().await => return Ok(LOOK_WHILE_NOT_READY),
                Next::Send { attempt, banner } => self.send(&job, attempt, banner).await?,
                Next::Expired => self.give_up(&job, job::OLD).await?,
                Next::Wait { .. } | Next::Hold | Next::Done => {}
            }
        }
    }

    /// Open jobs that are to come out here, oldest first.
    fn jobs(&self) -> Result<Vec<PrintJob>, String> {
        let me = self.node.id();
        let mut jobs = self.node.read(views::jobs_open).map_err(|err| err.to_string())?;
        let is_ours = |job: &[u8; 16]| self.asked.holds(job) || self.earlier.contains(job);
        jobs.retain(|job| job.asked_by == me && job::printed_at_its_till(job) && is_ours(&job.job));
        Ok(jobs)
    }

    /// Whether a job sent now would come out, as far as can be known without sending one.
    async fn ready(&self) -> bool {
        let known = self.printer.seen().borrow().can_print();
        known || !self.config.answers || self.printer.status().await.is_ok_and(|status| status.can_print())
    }

    async fn send(&mut self, job: &PrintJob, attempt: u32, banner: bool) -> Result<(), String> {
        let (header, footer) = (&self.receipt.header, &self.receipt.footer);
        let Some(page) =
            job::page(&self.node, job, Frame { sign: self.config.sign.as_ref(), header, footer }).await?
        else {
            debug!(job = %hex(&job.job), sale = %job.sale.short(), "a receipt waits for whoever keeps its sale");
            self.work.is_away(job, self.node.machine().wall());
            return Ok(());
        };
        let earlier = !self.asked.holds(&job.job) && !toko_crdt::mutant!("print-what-a-twin-asked-for");
        let page = if banner || earlier { page.marked_possible_duplicate() } else { page };
        self.work.begins(job, self.node.machine().wall());
        let printed = async {
            let outcome = self.printer.print(page).await;
            let (id, (what, level, why)) = (hex(&job.job), job::told(&outcome));
            match outcome {
                Outcome::Printed { .. } => info!(job = %id, attempt, level, "printed"),
                Outcome::Sent { .. } => {
                    info!(job = %id, attempt, level, "sent to a printer that confirms nothing")
                }
                Outcome::NotPrinted { .. } | Outcome::InDoubt { .. } => {
                    warn!(job = %id, attempt, outcome = ?what, %why, "not known to be printed")
                }
            }
            outcome
        };
        job::attempt(&self.node, job, (attempt, OWN_PRINTER), printed).await
    }

    async fn give_up(&self, job: &PrintJob, why: &str) -> Result<(), String> {
        warn!(job = %hex(&job.job), why, "a receipt is given up");
        let attempt = job.attempts.iter().map(|attempt| attempt.attempt).max().unwrap_or(0);
        job::give_up(&self.node, job, attempt, why).await
    }
}
