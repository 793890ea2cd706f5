//! The work at one printer: which of its open jobs can be done now, which wait, and which need a person.
//!
//! Whoever owns the printer says which jobs are to come out there and drives it; here stands what is the same for each, so
//! that what is tried under a simulator is what a shop prints by.

use std::collections::BTreeMap;
use std::time::Duration;

use toko_crdt::clock::UnixMicros;
use toko_devices::spool::{Next, Policy, Word};
use toko_retail::views::PrintJob;

use crate::job;

/// What is known here, and nowhere else, of the work at one printer.
#[derive(Debug, Default)]
pub struct Work {
    /// When this process started an attempt, for the pause between attempts that sent nothing.
    started: BTreeMap<[u8; 16], UnixMicros>,
}

/// What to do about one job.
#[derive(Debug)]
pub struct Step {
    /// The job.
    pub job: PrintJob,
    /// [`Next::Send`] or [`Next::Expired`].
    pub next: Next,
}

/// What a look at the jobs came to.
#[derive(Debug, Default)]
pub struct Looked {
    /// What can be done now, in the order of the jobs.
    pub steps: Vec<Step>,
    /// Jobs in doubt that a person has to look at.
    pub held: usize,
    /// When the first of those that wait can be tried again.
    pub again_in: Option<Duration>,
}

impl Looked {
    /// Whether anything of it needs the printer.
    #[must_use]
    pub fn sends(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.next, Next::Send { .. }))
    }

    /// What to do first, with a printer that `can` print or cannot: what is too old is given up either way.
    #[must_use]
    pub fn first(self, can: bool) -> Option<Step> {
        self.steps.into_iter().find(|step| can || step.next == Next::Expired)
    }
}

impl Work {
    /// Looks at the jobs that are to come out here. The one that is `printing` is left alone: it would read as doubt. `word` is
    /// what a person said of a job.
    pub fn look(
        &mut self,
        jobs: Vec<PrintJob>,
        printing: Option<[u8; 16]>,
        word: impl Fn(&PrintJob) -> Option<Word>,
        (policy, now): (Policy, UnixMicros),
    ) -> Looked {
        self.started.retain(|id, _| jobs.iter().any(|job| job.job == *id));
        let mut looked = Looked::default();
        for job in jobs.into_iter().filter(|job| printing != Some(job.job)) {
            match job::next(&job, self.started.get(&job.job).copied(), word(&job), policy, now) {
                Next::Hold => looked.held += 1,
                Next::Wait { until } => {
                    let now = u64::try_from(now.0).unwrap_or(0);
                    let wait = Duration::from_micros(until.0.saturating_sub(now));
                    looked.again_in = Some(looked.again_in.map_or(wait, |other| other.min(wait)));
                }
                Next::Done => {}
                next => looked.steps.push(Step { job, next }),
            }
        }
        looked
    }

    /// One attempt at a job begins, by a clock that shows `now`.
    pub fn begins(&mut self, job: &PrintJob, now: UnixMicros) {
        self.started.insert(job.job, now);
    }

    /// Somebody wants a job at once: it waits out no pause.
    pub fn hurry(&mut self, job: &[u8; 16]) {
        self.started.remove(job);
    }

    /// The printer is another than it was: no job waits out its pause.
    pub fn hurry_all(&mut self) {
        self.started.clear();
    }
}
