//! The hub's hand at the printer: works off what is asked for, by the product's own decisions and in its own order
//! ([`toko_paper::work`], [`toko_paper::job`]). Only the drive is ours.
//!
//! Absent on purpose: what a hub with several printers has beside: who takes over, whose turn it is, a person's word.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use toko_crdt::NodeId;
use toko_crdt::clock::UnixMicros;
use toko_devices::spool::Next;
use toko_mesh::node::Node;
use toko_paper::job::{self, Frame};
use toko_paper::work::{Step, Work};
use toko_retail::ops::PrintOutcome;
use toko_retail::views::{self, PrintJob};

use super::printer::{By, NAME, Printer};

/// Longest time between two looks at the open jobs, whatever happens.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Between two looks at a printer that has work and cannot do it.
const LOOK_WHILE_NOT_READY: Duration = Duration::from_secs(2);
/// After the store did not take a word about a job.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What a hub does at the printer.
#[derive(Debug)]
pub(super) struct Hand {
    printer: Arc<Printer>,
    node: Node,
    disk: (usize, u64),
    work: Work,
    /// Whether the printer could print when it was looked at last.
    could: bool,
    /// What its clock showed when it decided last.
    looked_at: UnixMicros,
}

impl Hand {
    /// On a box whose disk had gone back so often.
    pub(super) fn new(printer: &Arc<Printer>, node: Node, disk: (usize, u64)) -> Self {
        Self {
            printer: Arc::clone(printer),
            node,
            disk,
            work: Work::default(),
            could: true,
            looked_at: UnixMicros(0),
        }
    }

    /// Works off what is asked for, for as long as the node lives.
    pub(super) async fn run(mut self) {
        let mut changed = self.node.changed();
        loop {
            changed.mark_unchanged();
            let pause = self.work_off().await.unwrap_or(AGAIN_AFTER);
            tokio::select! {
                biased;
                news = changed.changed() => if news.is_err() { return },
                () = sleep(pause) => {}
            }
        }
    }

    /// One job after the other, until nothing can be done now; then how long to wait.
    async fn work_off(&mut self) -> Result<Duration, String> {
        loop {
            if !self.node.is_hub() {
                return Ok(LOOK_EVERY);
            }
            let jobs = self.node.read(views::jobs_open).map_err(|problem| problem.to_string())?;
            let jobs = jobs.into_iter().filter(|job| !job::printed_at_its_till(job)).collect();
            let now = self.node.machine().wall();
            self.looked_at = now;
            let looked = self.work.look(jobs, None, |_| None, (self.printer.policy, now));
            let can = !looked.sends() || self.printer.cannot().is_none();
            if can && !std::mem::replace(&mut self.could, can) {
                self.work.hurry_all();
                continue;
            }
            self.could = can;
            let pause = looked.again_in.map_or(LOOK_EVERY, |wait| wait.min(LOOK_EVERY));
            match looked.first(can) {
                Some(step) => self.take(step).await?,
                None if can => return Ok(pause),
                None => return Ok(LOOK_WHILE_NOT_READY),
            }
        }
    }

    async fn take(&mut self, Step { job, next }: Step) -> Result<(), String> {
        let Next::Send { attempt, banner } = next else {
            return job::give_up(&self.node, &job, 0, job::OLD).await;
        };
        let frame = Frame { sign: None, header: &[], footer: &[] };
        let Some(page) = job::page(&self.node, &job, frame).await? else {
            self.work.is_away(&job, self.node.machine().wall());
            return Ok(());
        };
        let page = job::under_banner(page, banner);
        let by = By {
            disk: self.disk,
            attempt: (self.node.id(), attempt),
            known: known(&job),
            too_late: is_old(&job, self.looked_at),
        };
        self.work.begins(&job, self.node.machine().wall());
        job::attempt(&self.node, &job, (attempt, NAME), self.printer.print(&page, by)).await
    }
}

/// Attempts at a job of which something may be on paper.
fn known(job: &PrintJob) -> Vec<(NodeId, u32)> {
    let sent = job.attempts.iter().filter(|attempt| {
        attempt.attempt > 0 && !matches!(attempt.outcome, Some((PrintOutcome::NotPrinted, ..)))
    });
    sent.map(|attempt| (attempt.owner, attempt.attempt)).collect()
}

/// Whether nobody wants a receipt any more, by a clock that shows `now`.
fn is_old(job: &PrintJob, now: UnixMicros) -> bool {
    let wanted_micros = i64::from(job.ttl_s) * 1_000_000;
    wanted_micros > 0 && now.0.saturating_sub(job.asked_at.0) > wanted_micros
}
