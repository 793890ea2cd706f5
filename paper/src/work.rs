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

/// How long a job rests whose sale could be had of nobody.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What is known here, and nowhere else, of the work at one printer.
#[derive(Debug, Default)]
pub struct Work {
    /// When this process started an attempt, for the pause between attempts that sent nothing.
    started: BTreeMap<[u8; 16], UnixMicros>,
    /// When a job's sale was asked for last that is neither here nor at anybody who is linked.
    away: BTreeMap<[u8; 16], UnixMicros>,
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
    /// What can be done now, in the order of the jobs, those last whose sale was asked for in vain.
    pub steps: Vec<Step>,
    /// Jobs in doubt that a person has to look at.
    pub held: Vec<PrintJob>,
    /// When the first of those that wait can be tried again.
    pub again_in: Option<Duration>,
}

impl Looked {
    fn wait(&mut self, wait: Duration) {
        self.again_in = Some(self.again_in.map_or(wait, |other| other.min(wait)));
    }

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
        for known in [&mut self.started, &mut self.away] {
            known.retain(|id, _| jobs.iter().any(|job| job.job == *id));
        }
        let mut looked = Looked::default();
        for job in jobs.into_iter().filter(|job| printing != Some(job.job)) {
            let next = job::next(&job, self.started.get(&job.job).copied(), word(&job), policy, now);
            match (next, self.rests(&job.job, now)) {
                (Next::Hold, _) => looked.held.push(job),
                (Next::Wait { until }, _) => {
                    let now = u64::try_from(now.0).unwrap_or(0);
                    looked.wait(Duration::from_micros(until.0.saturating_sub(now)));
                }
                (Next::Done, _) => {}
                (Next::Send { .. }, Some(wait)) => looked.wait(wait),
                (next, _) => looked.steps.push(Step { job, next }),
            }
        }
        // To ask for a sale in vain can take seconds, which no other receipt waits for.
        looked.steps.sort_by_key(|step| self.away.contains_key(&step.job.job));
        looked
    }

    /// The sale of a job is neither here nor at anybody who is linked: whoever keeps it may be linked later, so the job waits
    /// while others are printed.
    pub fn is_away(&mut self, job: &PrintJob, now: UnixMicros) {
        self.away.insert(job.job, now);
    }

    /// How long a job still rests for want of its sale. By a clock that went back it does not.
    fn rests(&self, job: &[u8; 16], now: UnixMicros) -> Option<Duration> {
        let asked = self.away.get(job)?;
        let since = Duration::from_micros(u64::try_from(now.0.checked_sub(asked.0)?).ok()?);
        ASK_AGAIN_AFTER.checked_sub(since).filter(|rest| !rest.is_zero())
    }

    /// One attempt at a job begins, by a clock that shows `now`.
    pub fn begins(&mut self, job: &PrintJob, now: UnixMicros) {
        self.started.insert(job.job, now);
    }

    /// Somebody wants a job at once: it waits out no pause.
    pub fn hurry(&mut self, job: &[u8; 16]) {
        self.started.remove(job);
        self.away.remove(job);
    }

    /// The printer is another than it was: no job waits out its pause.
    pub fn hurry_all(&mut self) {
        self.started.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toko_crdt::{EffectId, NodeId};

    const SECOND: i64 = 1_000_000;

    fn job(nth: u8, ttl_s: u32) -> PrintJob {
        PrintJob {
            job: [nth; 16],
            sale: EffectId([nth; 32]),
            printer: "receipts".into(),
            ttl_s,
            copies: 1,
            is_copy: false,
            asked_by: NodeId([1; 32]),
            asked_at: UnixMicros(0),
            attempts: Vec::new(),
            open: true,
        }
    }

    #[test]
    fn a_job_whose_sale_nobody_has_now_waits_for_whoever_keeps_it_and_is_in_nobodys_way() {
        let jobs = [job(1, 60), job(2, 60)];
        let look = |work: &mut Work, now| {
            let looked = work.look(jobs.to_vec(), None, |_| None, (Policy::Hold, UnixMicros(now)));
            let steps: Vec<_> = looked.steps.iter().map(|step| (step.job.job[0], step.next)).collect();
            (steps, looked.again_in)
        };
        let first = Next::Send { attempt: 1, banner: false };
        let mut work = Work::default();
        assert_eq!(look(&mut work, SECOND), (vec![(1, first), (2, first)], None));
        work.is_away(&jobs[0], UnixMicros(SECOND));
        assert_eq!(look(&mut work, 2 * SECOND), (vec![(2, first)], Some(Duration::from_secs(9))));
        assert_eq!(
            look(&mut work, 11 * SECOND).0,
            [(2, first), (1, first)],
            "it is asked for again, after the others"
        );
        assert_eq!(look(&mut work, 0).0.len(), 2, "a clock that went back makes nobody wait");
        work.is_away(&jobs[0], UnixMicros(60 * SECOND));
        let late = look(&mut work, 61 * SECOND).0;
        assert_eq!(late, [(2, Next::Expired), (1, Next::Expired)], "nobody waits for it for ever");
        work.is_away(&jobs[0], UnixMicros(SECOND));
        work.hurry(&jobs[0].job);
        assert_eq!(look(&mut work, 2 * SECOND).0.len(), 2, "a person need not wait");
    }
}
