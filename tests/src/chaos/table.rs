//! What a person sees of a run: one line for each case.

use std::fmt::Write;
use std::time::Duration;

use serde_json::json;

use super::cases::Case;

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything was as it should be.
    Held,
    /// Something was not.
    Failed,
    /// The machine lacks something; what, stands in the line.
    Skipped,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Held => "holds",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}

/// One case that was played.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which.
    pub case: &'static Case,
    /// What was seen, or why it failed or was skipped.
    pub seen: String,
    /// How long it took, opening the shop left out.
    pub took: Duration,
    /// How it ended.
    pub verdict: Verdict,
}

/// Every case with what it does.
pub fn list(cases: &[Case]) -> String {
    let line = |case: &Case| format!("{:<22} {}", case.id(), case.what);
    cases.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// One line.
pub fn line(outcome: &Outcome) -> String {
    let seconds = outcome.took.as_millis();
    let (whole, tenth) = (seconds / 1_000, seconds % 1_000 / 100);
    format!("{:<22} {:<7} {whole:>3}.{tenth} s  {}", outcome.case.id(), outcome.verdict.word(), outcome.seen)
}

/// The table.
pub fn draw(outcomes: &[Outcome]) -> String {
    let count = |verdict| outcomes.iter().filter(|outcome| outcome.verdict == verdict).count();
    let took: Duration = outcomes.iter().map(|outcome| outcome.took).sum();
    let mut all = String::from("\n");
    for outcome in outcomes {
        let _ = writeln!(all, "  {}", line(outcome));
    }
    let (held, failed, skipped) = (count(Verdict::Held), count(Verdict::Failed), count(Verdict::Skipped));
    let _ = write!(all, "\n{held} hold, {failed} failed, {skipped} skipped, {} s.", took.as_secs());
    all
}

/// The same for programs.
pub fn json(outcomes: &[Outcome]) -> String {
    let rows = outcomes.iter().map(|outcome| {
        json!({
            "code": outcome.case.code, "case": outcome.case.id(), "what": outcome.case.what,
            "seen": outcome.seen, "ms": u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
            "verdict": outcome.verdict.word(),
        })
    });
    format!("{:#}", serde_json::Value::from(rows.collect::<Vec<_>>()))
}
