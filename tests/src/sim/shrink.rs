//! Makes a failure small: the fewest faults and the fewest customers that still break the same thing.

use std::sync::Arc;
use std::time::Duration;

use super::goods::Goods;
use super::plan::Kind;
use super::{Outcome, Setting, play};

/// How many runs a shrink may cost.
const RUNS_MAX: usize = 60;

/// The smallest setting that was found to fail like `outcome`, and what came of it.
///
/// Errors: a run did not start.
pub fn shrink(
    setting: &Setting,
    outcome: Outcome,
    goods: &Arc<Goods>,
) -> std::io::Result<(Setting, Outcome)> {
    let kind = kind_of(&outcome);
    let (mut best, mut found, mut runs) = (setting.clone(), outcome, 0);
    let mut fails = |candidate: &Setting| -> std::io::Result<Option<Outcome>> {
        if runs == RUNS_MAX {
            return Ok(None);
        }
        runs += 1;
        let outcome = play(candidate, goods)?;
        Ok((kind_of(&outcome) == kind && kind.is_some()).then_some(outcome))
    };
    // Faults: halves first, then smaller parts, as in Zeller's delta debugging.
    let mut numbers: Vec<usize> = best.plan().iter().map(|fault| fault.number).collect();
    let mut part = numbers.len().div_ceil(2);
    while part > 0 && !numbers.is_empty() {
        let mut start = 0;
        while start < numbers.len() {
            let end = (start + part).min(numbers.len());
            let rest: Vec<usize> = [&numbers[..start], &numbers[end..]].concat();
            let candidate = Setting { only: Some(rest.clone()), ..best.clone() };
            match fails(&candidate)? {
                Some(outcome) => (best, found, numbers) = (candidate, outcome, rest),
                None => start = end,
            }
        }
        part /= 2;
    }
    // Steps: fewer customers at each till.
    let most = found.tally.sales
        + found.tally.parked
        + found.tally.taken
        + found.tally.moved
        + found.tally.voided
        + 1;
    let (mut enough, mut too_few) = (most.min(best.customers), None);
    while enough > 0 && too_few != Some(enough - 1) {
        let customers = too_few.map_or(0, |few: u64| few + (enough - few) / 2);
        let candidate = Setting { customers, ..best.clone() };
        match fails(&candidate)? {
            Some(outcome) => (best, found, enough) = (candidate, outcome, customers),
            None => too_few = Some(customers),
        }
    }
    Ok((best, found))
}

/// Which invariant broke first.
fn kind_of(outcome: &Outcome) -> Option<String> {
    outcome.violations.first().map(|words| words.split(':').next().unwrap_or_default().to_owned())
}

/// The one command that plays a setting again.
#[must_use]
pub fn replay(setting: &Setting) -> String {
    let mut words = format!(
        "cargo run --release --bin sim -- --seed {} --terminals {} --hours {} --gap {}",
        setting.seed,
        setting.tills,
        hours(setting.open),
        setting.gap.as_secs_f64(),
    );
    if setting.bare {
        words += " --bare";
    }
    if setting.late {
        words += " --late";
    }
    if setting.lying_disks {
        words += " --lying-disks";
    }
    if setting.customers != u64::MAX {
        words += &format!(" --steps {}", setting.customers);
    }
    let drawn = |kinds: &[Kind]| -> Vec<&str> {
        let kinds = kinds.iter().filter(|kind| kind.has_part_in(setting.mode()));
        kinds.map(|kind| kind.word()).collect()
    };
    let kinds = drawn(&setting.kinds);
    if kinds != drawn(&Kind::usual()) {
        words += &format!(" --faults {}", if kinds.is_empty() { "none".to_owned() } else { kinds.join(",") });
    }
    if let Some(only) = &setting.only {
        let numbers: Vec<String> = only.iter().map(usize::to_string).collect();
        words +=
            &format!(" --only {}", if numbers.is_empty() { "none".to_owned() } else { numbers.join(",") });
    }
    words
}

/// Hours as a short number.
fn hours(duration: Duration) -> f64 {
    duration.as_secs_f64() / 3_600.0
}
