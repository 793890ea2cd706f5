//! How long a printer that has a job is waited for: its time, longer while it says that it waits for a hand, and its time anew
//! once it prints again. Pure.

use std::time::Duration;

use tokio::time::Instant;

use crate::status::PrinterStatus;

/// How long to wait for a printer that has a job.
#[derive(Debug)]
pub(super) struct Wait {
    pub(super) deadline: Instant,
    /// How long a printer that says why it does not go on is waited for.
    patient_until: Instant,
    first: Duration,
    /// It said so when it was asked last.
    pub(super) for_a_hand: bool,
}

impl Wait {
    pub(super) fn new(first: Duration, patience: Duration) -> Wait {
        let deadline = Instant::now() + first;
        Wait { deadline, patient_until: deadline + patience, first, for_a_hand: false }
    }

    /// The deadline has passed, and this is how the printer is: whether there is a new one.
    pub(super) fn goes_on(&mut self, now: Instant, status: Option<PrinterStatus>) -> bool {
        match status {
            Some(status) if !status.can_print() && now < self.patient_until => {
                self.for_a_hand = true;
                self.deadline = now + LOOK_EVERY;
                true
            }
            // It prints again: it gets the time for a job anew.
            Some(status) if status.can_print() && self.for_a_hand => {
                self.for_a_hand = false;
                self.deadline = now + self.first;
                true
            }
            _ => false,
        }
    }
}

/// How often a printer is asked whether a hand has come.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Paper;

    #[tokio::test(start_paused = true)]
    async fn a_printer_is_waited_for_while_it_says_why_and_gets_its_time_anew() {
        let (first, patience) = (Duration::from_secs(10), Duration::from_secs(60));
        let start = Instant::now();
        let mut wait = Wait::new(first, patience);
        let fine = PrinterStatus::default();
        let out = PrinterStatus { online: false, paper: Paper::Out, ..fine };
        assert!(!wait.goes_on(start + first, None), "it does not answer");
        assert!(!wait.goes_on(start + first, Some(fine)), "it has no reason");
        let late = start + Duration::from_secs(50);
        assert!(wait.goes_on(late, Some(out)) && wait.for_a_hand);
        assert!(wait.goes_on(late, Some(fine)) && !wait.for_a_hand);
        assert_eq!(wait.deadline, late + first);
        assert!(!wait.goes_on(wait.deadline, Some(fine)), "once");
        assert!(!wait.goes_on(start + first + patience, Some(out)), "patience ends");
    }
}
