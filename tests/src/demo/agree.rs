//! Waiting until all agree: the same digest of the books on hub, terminals and headquarters, and no receipt on its way.
//!
//! Absent on purpose: any opinion on what the books say; that is [`super::verdict`]'s.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;

use super::counter::Counter;
use super::opening::STORE;
use super::stage::{HQ, HUB, Stage, list, number, text};
use super::trouble::Trouble;
use crate::process::wait_until;

/// What everybody said last.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    /// The books digest of hub and terminals, by name; empty text where there was no answer.
    pub digests: BTreeMap<String, String>,
    /// Headquarters' digest of this store's books.
    pub hq: String,
    /// Jobs that are neither printed nor given up, by id, with what became of them.
    pub jobs: BTreeMap<String, String>,
    /// How many of them the hub leaves to a person.
    pub held: u64,
    /// From when the day was over until all agreed.
    pub after_ms: Option<u64>,
    /// What was waited for in vain, in words.
    pub late: Option<String>,
}

impl Agreement {
    /// Whether hub and terminals say the same.
    fn store_agrees(&self) -> bool {
        let first = self.digests.get(HUB);
        first.is_some_and(|first| !first.is_empty() && self.digests.values().all(|other| other == first))
    }

    /// Whether headquarters says what the hub says.
    pub fn hq_agrees(&self) -> bool {
        !self.hq.is_empty() && self.digests.get(HUB) == Some(&self.hq)
    }

    /// Jobs of which nobody knows whether they are on paper, and that wait for a person.
    pub fn in_doubt(&self) -> impl Iterator<Item = &String> {
        self.jobs.iter().filter(|(_, state)| *state == "in_doubt").map(|(job, _)| job)
    }

    fn quiet(&self) -> bool {
        u64::try_from(self.jobs.len()) == Ok(self.held)
    }

    fn in_words(&self) -> String {
        let short = |digest: &String| digest.chars().take(8).collect::<String>();
        let digests = self.digests.iter().map(|(name, digest)| format!("{name} {}", short(digest)));
        let digests: Vec<String> = digests.chain([format!("{HQ} {}", short(&self.hq))]).collect();
        format!("{}; {} receipts on their way", digests.join(", "), self.jobs.len())
    }
}

/// Waits until all agree, or until patience ends; then what was seen last comes back without a time.
pub fn wait(stage: &mut Stage, counters: &[Counter], over: Instant) -> Result<Agreement, Trouble> {
    let mut last = Agreement::default();
    let agreed = wait_until("everybody to agree", super::stage::PATIENCE, || {
        let looked = stage.all_run().and_then(|()| look(stage, counters));
        match looked {
            Ok(seen) => last = seen,
            Err(Trouble::Door(problem)) => return Err(problem.to_string()),
            Err(trouble) => return Ok(Err(trouble)),
        }
        if last.store_agrees() && last.hq_agrees() && last.quiet() {
            return Ok(Ok(over.elapsed()));
        }
        Err(last.in_words())
    });
    match agreed {
        Ok(after) => last.after_ms = Some(u64::try_from(after?.as_millis()).unwrap_or(u64::MAX)),
        Err(late) => last.late = Some(late.to_string()),
    }
    Ok(last)
}

/// One look at everybody.
pub fn look(stage: &Stage, counters: &[Counter]) -> Result<Agreement, Trouble> {
    let mut seen = Agreement::default();
    let jobs = stage.hubctl(&["jobs"])?;
    for job in list("hubctl jobs", &jobs, "/jobs")? {
        let state = job["state"].as_str().unwrap_or_default();
        seen.jobs.insert(text("hubctl jobs", job, "/job")?.to_owned(), state.to_owned());
    }
    let hub = stage.hubctl(&["status"])?;
    seen.held = number("hubctl status", &hub, "/printer/held")?;
    let digest = |who: &str, status: &Value| text(who, status, "/digests/books").map(str::to_owned);
    seen.digests.insert(HUB.into(), digest("hubctl status", &hub)?);
    for counter in counters {
        let status = counter.ask("/v1/status")?;
        seen.digests.insert(counter.name().into(), digest(counter.name(), &status)?);
    }
    let stores = stage.hqd(&["stores"])?;
    let ours = list("hqd stores", &stores, "/stores")?.iter().find(|store| store["store"] == STORE);
    seen.hq = ours.map(|store| digest("hqd stores", store)).transpose()?.unwrap_or_default();
    Ok(seen)
}
