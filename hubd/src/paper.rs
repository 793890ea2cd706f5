//! The joint between what a receipt says and what a printer does.
//!
//! A print is asked for by an entry of a terminal and its outcome is an entry of ours, so a job survives the hub, and a new
//! hub prints nothing old twice. The order is the whole point: the start of an attempt is durable before its first byte
//! leaves. What the hub did not live to see the end of reads as doubt, and is printed again only under a banner.

use crate::config::PrinterConfig;
use crate::receipt;
use crate::slip::Slip;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use toko_crdt::clock::UnixMicros;
use toko_crdt::hash::hex;
use toko_crdt::{Body, EffectId, Hash, Lane};
use toko_devices::cable::{Roots, plugged_in};
use toko_devices::printer::{Deadlines, Printer};
use toko_devices::spool::{self, Attempt, End, Facts, Next, Policy, Word};
use toko_devices::{Level, Outcome, Page};
use toko_mesh::node::Node;
use toko_retail::ops::{OpV1, PrintOutcome, What};
use toko_retail::paper;
use toko_retail::receipt::{Dress, Receipt};
use toko_retail::views::{self, PrintJob};
use tracing::{info, warn};

/// How a printer is, for `hubctl status`.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// In a few words.
    pub(crate) words: String,
    /// Jobs that wait for a person.
    pub(crate) held: usize,
    /// The job that the printer has now.
    pub(crate) printing: Option<[u8; 16]>,
    /// Jobs in doubt that a person wants again.
    pub(crate) again: BTreeSet<[u8; 16]>,
}

/// Shared with whoever answers `hubctl status`.
pub(crate) type SharedState = Arc<Mutex<State>>;

/// Longest time between two looks at the open jobs, whatever happens.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// One printer, owned by this task alone.
pub(crate) struct Paper {
    node: Node,
    shop_name: String,
    config: PrinterConfig,
    printer: Printer,
    state: SharedState,
    slips: mpsc::Receiver<Slip>,
    stop: CancellationToken,
    /// When this process started an attempt, for the pause between attempts that sent nothing.
    started: BTreeMap<[u8; 16], UnixMicros>,
}

/// What to do about one job.
struct Step {
    job: PrintJob,
    next: Next,
}

impl Paper {
    pub(crate) fn new(
        node: Node,
        shop_name: String,
        config: PrinterConfig,
        (state, slips): (SharedState, mpsc::Receiver<Slip>),
        stop: CancellationToken,
    ) -> Self {
        let mut printer = toko_devices::PrinterConfig::at(config.address.to_string());
        printer.deadlines = Deadlines { confirm: config.confirm.into(), ..printer.deadlines };
        printer.model = config.model;
        printer.fonts = config.fonts.clone();
        let printer = Printer::new(printer);
        Self { node, shop_name, config, printer, state, slips, stop, started: BTreeMap::new() }
    }

    /// Works off what is asked for until it is told to stop.
    pub(crate) async fn run(mut self) {
        let mut changed = self.node.changed();
        let roots = Roots::default();
        while !self.stop.is_cancelled() {
            changed.mark_unchanged();
            let pause = match self.work().await {
                Ok(pause) => pause,
                Err(err) => {
                    warn!(%err, "printing waits");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                Some(slip) = self.slips.recv() => self.slip(slip).await,
                news = changed.changed() => if news.is_err() { break },
                // What waited for it need not wait out its pause.
                () = plugged_in(&self.config.address, &roots) => self.started.clear(),
                () = sleep_until(Instant::now() + pause) => {}
            }
        }
    }

    /// Whoever asked for a slip may have gone; it is printed all the same.
    async fn slip(&mut self, slip: Slip) {
        let outcome = self.printer.print(&slip.page, &self.stop).await;
        drop(slip.done.send(outcome));
    }

    /// One job after the other, until nothing can be done now; then how long to wait.
    async fn work(&mut self) -> Result<Duration, String> {
        let mut pause = LOOK_EVERY;
        loop {
            if !self.node.is_hub() {
                // The hub of the next term prints; two that print would print twice.
                self.say(|state| {
                    *state = State { words: "another machine is the hub".into(), ..State::default() };
                });
                return Ok(pause);
            }
            let now = self.node.machine().wall();
            let (mut held, mut step) = (0, None);
            let jobs = self.node.read(views::jobs_open).map_err(|err| err.to_string())?;
            self.started.retain(|id, _| jobs.iter().any(|job| job.job == *id));
            self.say(|state| state.again.retain(|id| jobs.iter().any(|job| job.job == *id)));
            for job in jobs {
                if !job.printer.is_empty() && job.printer != self.config.name {
                    continue;
                }
                match self.decide(&job, now) {
                    Next::Hold => held += 1,
                    Next::Wait { until } => {
                        let micros = until.0.saturating_sub(micros(now));
                        pause = pause.min(Duration::from_micros(micros.max(1_000)));
                    }
                    Next::Done => {}
                    next => {
                        step = Some(Step { job, next });
                        break;
                    }
                }
            }
            self.say(|state| state.held = held);
            match step {
                Some(step) if !self.stop.is_cancelled() => self.take(step).await?,
                _ => return Ok(pause),
            }
        }
    }

    fn decide(&self, job: &PrintJob, now: UnixMicros) -> Next {
        let asked_at = spool::UnixMicros(micros(job.asked_at));
        let started = self.started.get(&job.job).map_or(asked_at, |at| spool::UnixMicros(micros(*at)));
        let attempts = attempts(job, started);
        let again = self.state.lock().unwrap_or_else(PoisonError::into_inner).again.contains(&job.job);
        let ttl = match job.ttl_s {
            0 => Duration::MAX,
            seconds => Duration::from_secs(seconds.into()),
        };
        let policy = if self.config.reprint { Policy::REPRINT_ONCE } else { Policy::Hold };
        spool::next(
            &Facts { asked_at, ttl, attempts: &attempts, word: again.then_some(Word::Reprint) },
            policy,
            spool::UnixMicros(micros(now)),
        )
    }

    async fn take(&mut self, step: Step) -> Result<(), String> {
        let Step { job, next } = step;
        match next {
            Next::Send { attempt, banner } => self.send(&job, attempt, banner).await,
            Next::Expired => {
                self.ended(&job, 0, PrintOutcome::GivenUp, 0, "nobody wants it any more".into()).await
            }
            Next::Wait { .. } | Next::Hold | Next::Done => Ok(()),
        }
    }

    async fn send(&mut self, job: &PrintJob, attempt: u32, banner: bool) -> Result<(), String> {
        let page = match self.page(job)? {
            // One job, however many sheets: they are cut apart, and what came of them is one outcome.
            Some(page) if banner && !toko_crdt::mutant!("leave-the-banner-off") => {
                page.marked_possible_duplicate().times(job.copies.min(paper::COPIES_MAX))
            }
            Some(page) => page.times(job.copies.min(paper::COPIES_MAX)),
            // The sale's body is not here yet, or pruned: nothing to print from.
            None => {
                return self
                    .ended(job, attempt, PrintOutcome::GivenUp, 0, "the sale is not here".into())
                    .await;
            }
        };
        self.started.insert(job.job, self.node.machine().wall());
        let start = paper::start(job, &self.config.name).map_err(|problem| problem.to_string())?;
        if !toko_crdt::mutant!("print-before-the-start-is-kept") {
            self.append(What::PrintStarted(start)).await?;
        }
        self.say(|state| state.printing = Some(job.job));
        let outcome = self.printer.print(&page, &self.stop).await;
        self.say(|state| {
            state.printing = None;
            // A wish is fulfilled once something was sent; whoever still wants it says so again.
            if !matches!(outcome, Outcome::NotPrinted { .. }) {
                state.again.remove(&job.job);
            }
        });
        let (what, level, detail) = match &outcome {
            Outcome::Printed { level } => (PrintOutcome::Printed, level_number(*level), String::new()),
            Outcome::NotPrinted { why } => (PrintOutcome::NotPrinted, 0, why.to_string()),
            Outcome::InDoubt { why } => (PrintOutcome::InDoubt, 0, why.to_string()),
        };
        self.say(|state| {
            state.words = match &outcome {
                Outcome::Printed { level } => format!("prints, {level}"),
                _ => detail.clone(),
            }
        });
        match what {
            PrintOutcome::Printed => {
                info!(job = %hex(&job.job), sale = %job.sale.short(), attempt, level, "printed")
            }
            _ => {
                warn!(job = %hex(&job.job), sale = %job.sale.short(), attempt, outcome = ?what, why = %detail, "not known to be printed")
            }
        }
        self.ended(job, attempt, what, level, detail).await
    }

    /// The page of a job's receipt; nothing while the sale's entry is not here.
    fn page(&self, job: &PrintJob) -> Result<Option<Page>, String> {
        let words = |problem: &dyn std::fmt::Display| problem.to_string();
        let entry = self.node.entry_by_hash(&Hash(job.sale.0)).map_err(|problem| words(&problem))?;
        let Some(bytes) = entry.as_ref().and_then(|entry| entry.body()) else { return Ok(None) };
        let Ok(Body::Op(op)) = Body::decode(&self.node.store_id(), bytes) else { return Ok(None) };
        let Ok(OpV1 { what: What::Sale(sale), .. }) = OpV1::decode(&op) else { return Ok(None) };
        let original = match sale.original {
            Some(original) => self
                .node
                .read(|kv| views::sale(kv, EffectId(original)))
                .map_err(|problem| words(&problem))?
                .map(|summary| summary.number),
            None => None,
        };
        let dress = Dress {
            header: vec![self.shop_name.clone()],
            footer: Vec::new(),
            time: receipt::time_text(UnixMicros(sale.at_unix_micros)),
            original,
            is_copy: job.is_copy,
        };
        let content = Receipt::of(&sale, job.sale, &dress).map_err(|problem| words(&problem))?;
        Ok(Some(receipt::page(&content, job.job, self.config.sign.as_ref())))
    }

    async fn ended(
        &self,
        job: &PrintJob,
        attempt: u32,
        outcome: PrintOutcome,
        level: u8,
        detail: String,
    ) -> Result<(), String> {
        let end =
            paper::end(job.job, attempt, outcome, level, &detail).map_err(|problem| problem.to_string())?;
        self.append(What::PrintOutcome(end)).await
    }

    async fn append(&self, what: What) -> Result<(), String> {
        let body = Body::Op(OpV1::new(what).encode());
        let appended = self.node.append(Lane::Books, body, None, toko_mesh::store::Wait::Synced).await;
        appended.map(drop).map_err(|err| err.to_string())
    }

    fn say(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The attempts at a job as the spool counts them.
fn attempts(job: &PrintJob, started: spool::UnixMicros) -> Vec<Attempt> {
    let made = job.attempts.iter().filter(|attempt| attempt.attempt > 0);
    made.map(|attempt| Attempt {
        number: attempt.attempt,
        started,
        end: attempt.outcome.as_ref().map(|(outcome, _, _)| match outcome {
            PrintOutcome::Printed => End::Printed,
            PrintOutcome::NotPrinted => End::NotSent,
            PrintOutcome::InDoubt | PrintOutcome::GivenUp => End::InDoubt,
        }),
    })
    .collect()
}

/// What a job is to whoever asks; `printing` says that the printer has it now.
pub(crate) fn state(job: &PrintJob, printing: bool) -> spool::State {
    spool::State::of(&attempts(job, spool::UnixMicros(0)), printing)
}

fn level_number(level: Level) -> u8 {
    match level {
        Level::Sent => 0,
        Level::Drained => 1,
        Level::Processed => 2,
        Level::Printed => 3,
    }
}

fn micros(at: UnixMicros) -> u64 {
    u64::try_from(at.0).unwrap_or(0)
}
