//! What is shown: one line a mutant, caught or not, by what, how fast.

use std::time::Duration;

use serde_json::{Value, json};

use super::list::Mutant;
use super::trial::Outcome;

/// What the suites made of a mutant.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The mutant.
    pub mutant: Mutant,
    /// The suite that saw it, and how; nothing if none did.
    pub caught: Option<(String, Outcome)>,
    /// How long it took until then.
    pub took: Duration,
}

impl Verdict {
    fn by(&self) -> String {
        match &self.caught {
            Some((suite, Outcome::Failed(test))) => format!("{suite}: {test}"),
            Some((suite, Outcome::Died(status))) => format!("{suite} died ({status})"),
            Some((suite, Outcome::Hung)) => format!("{suite} hung"),
            Some((suite, Outcome::Passed | Outcome::Stopped)) => suite.clone(),
            None => self.mutant.breaks.to_owned(),
        }
    }

    /// One line of the table.
    pub fn line(&self) -> String {
        let word = if self.caught.is_some() { "caught" } else { "NOT" };
        format!("{:<34} {word:<6} {:>7}  {}", self.mutant.name, seconds(self.took), self.by())
    }

    /// The same for a program.
    pub fn json(&self) -> Value {
        json!({
            "mutant": self.mutant.name,
            "place": self.mutant.place,
            "breaks": self.mutant.breaks,
            "caught": self.caught.is_some(),
            "by": self.caught.as_ref().map(|_| self.by()),
            "took_ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// `12.3 s`.
pub fn seconds(time: Duration) -> String {
    format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_saw_it_or_what_nobody_saw() {
        let mutant = Mutant { name: "skip-sync", place: "x.rs", breaks: "sales are lost", seen_by: &[] };
        let caught = Some(("mesh/power_cut".to_owned(), Outcome::Failed("a_sale_is_kept".to_owned())));
        let seen = Verdict { mutant, caught, took: Duration::from_millis(1_270) };
        let words = |verdict: &Verdict| verdict.line().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&seen), "skip-sync caught 1.2 s mesh/power_cut: a_sale_is_kept");
        let unseen = Verdict { caught: None, ..seen };
        assert_eq!(words(&unseen), "skip-sync NOT 1.2 s sales are lost");
        assert_eq!(unseen.json()["caught"], false);
    }
}
