//! What became of a receipt, in one word: the only place where attempts are weighed against each other for whoever reads.

use super::prints::PrintJob;
use crate::ops::PrintOutcome;
use crate::paper;

/// What is known of a receipt's paper, from all attempts at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrintFate {
    /// Nothing was tried yet.
    Asked,
    /// The last attempt began, and nobody told its end.
    Started,
    /// All of it went to a printer that confirms nothing: whether it is on paper nobody knows.
    Sent {
        /// How far it was followed: 0 handed over, 1 taken.
        level: u8,
    },
    /// On paper, as the printer says.
    Printed {
        /// How the printer knows: 2 worked off, 3 printed.
        level: u8,
    },
    /// On paper, as a person says who looked.
    Found,
    /// Nothing of the last attempt was sent.
    NotPrinted,
    /// The last attempt may have left paper.
    InDoubt,
    /// Nobody will try again.
    GivenUp,
}

impl PrintJob {
    /// What is known of it now.
    #[must_use]
    pub fn fate(&self) -> PrintFate {
        let ends = || self.attempts.iter().filter_map(|attempt| attempt.outcome.as_ref());
        let best =
            ends().filter(|(outcome, _, _)| *outcome == PrintOutcome::Printed).map(|(_, level, detail)| {
                if paper::was_found(*level, detail) {
                    PrintFate::Found
                } else if paper::is_on_paper(*level, detail) {
                    PrintFate::Printed { level: *level }
                } else {
                    PrintFate::Sent { level: *level }
                }
            });
        let sure = |fate: &PrintFate| match fate {
            PrintFate::Sent { level } => *level,
            PrintFate::Printed { level } => level.saturating_add(1),
            _ => paper::PROCESSED,
        };
        if let Some(best) = best.max_by_key(sure) {
            return best;
        }
        if ends().any(|(outcome, _, _)| *outcome == PrintOutcome::GivenUp) {
            return PrintFate::GivenUp;
        }
        // Of one number there may be several: of two hubs, or of a printer and of a person.
        let last = self.attempts.iter().map(|attempt| attempt.attempt).max();
        let last = self.attempts.iter().filter(|attempt| Some(attempt.attempt) == last);
        let fates = last.map(|attempt| match attempt.outcome {
            Some((PrintOutcome::NotPrinted, _, _)) => PrintFate::NotPrinted,
            Some(_) => PrintFate::InDoubt,
            None => PrintFate::Started,
        });
        let open = |fate: &PrintFate| match fate {
            PrintFate::NotPrinted => 0,
            PrintFate::InDoubt => 1,
            _ => 2,
        };
        fates.max_by_key(open).unwrap_or(PrintFate::Asked)
    }
}

impl PrintFate {
    /// Its name, for lists and for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            PrintFate::Asked => "asked",
            PrintFate::Started => "started",
            PrintFate::Sent { .. } => "sent",
            PrintFate::Printed { .. } | PrintFate::Found => "printed",
            PrintFate::NotPrinted => "not-printed",
            PrintFate::InDoubt => "in-doubt",
            PrintFate::GivenUp => "given-up",
        }
    }

    /// What the printer confirmed, if it was sent all of it.
    #[must_use]
    pub fn level(self) -> Option<u8> {
        match self {
            PrintFate::Sent { level } | PrintFate::Printed { level } => Some(level),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::PrintAttempt;
    use toko_crdt::clock::UnixMicros;
    use toko_crdt::{EffectId, NodeId};

    type Ended = Option<(PrintOutcome, u8, &'static str)>;

    fn fate(attempts: &[(u32, Ended)]) -> PrintFate {
        let attempt = |(attempt, ended): &(u32, Ended)| PrintAttempt {
            attempt: *attempt,
            owner: NodeId([1; 32]),
            printer: "receipts".into(),
            outcome: ended.map(|(outcome, level, detail)| (outcome, level, detail.to_owned())),
        };
        let job = PrintJob {
            job: [4; 16],
            sale: EffectId([2; 32]),
            printer: "receipts".into(),
            ttl_s: 0,
            copies: 1,
            is_copy: false,
            asked_by: NodeId([3; 32]),
            asked_at: UnixMicros(0),
            attempts: attempts.iter().map(attempt).collect(),
            open: false,
        };
        job.fate()
    }

    #[test]
    fn below_level_2_a_receipt_was_sent_and_only_a_person_makes_it_printed() {
        let printed = |level| fate(&[(1, Some((PrintOutcome::Printed, level, "")))]);
        assert_eq!([0, 1].map(printed), [0, 1].map(|level| PrintFate::Sent { level }));
        assert_eq!([2, 3].map(printed), [2, 3].map(|level| PrintFate::Printed { level }));
        assert_eq!([0, 1, 2, 3].map(|level| printed(level).word()), ["sent", "sent", "printed", "printed"]);
        assert_eq!([0, 3].map(|level| printed(level).level()), [Some(0), Some(3)]);
        let said = format!("{}: lay on the counter", paper::FOUND_ON_PAPER);
        let found = fate(&[(1, Some((PrintOutcome::Printed, 0, said.leak())))]);
        assert_eq!((found, found.word(), found.level()), (PrintFate::Found, "printed", None));
    }

    #[test]
    fn of_several_attempts_what_is_sure_counts_in_whatever_order_they_are_kept() {
        use PrintOutcome::{GivenUp, InDoubt, NotPrinted, Printed};
        let doubt = (1, Some((InDoubt, 0, "the link broke")));
        let found = (1, Some((Printed, 0, paper::FOUND_ON_PAPER)));
        let sent = (2, Some((Printed, 1, "")));
        let both = |a, b| [fate(&[a, b]), fate(&[b, a])];
        assert_eq!(both(doubt, found), [PrintFate::Found; 2]);
        assert_eq!(both(sent, found), [PrintFate::Found; 2]);
        assert_eq!(both(sent, (1, Some((Printed, 3, "")))), [PrintFate::Printed { level: 3 }; 2]);
        assert_eq!(both(doubt, (2, None)), [PrintFate::Started; 2]);
        assert_eq!(both(doubt, (2, Some((NotPrinted, 0, "off")))), [PrintFate::NotPrinted; 2]);
        assert_eq!(both(doubt, (1, Some((GivenUp, 0, "a person cancelled it")))), [PrintFate::GivenUp; 2]);
        assert_eq!(both(doubt, (1, Some((NotPrinted, 0, "off")))), [PrintFate::InDoubt; 2]);
        assert_eq!(fate(&[]), PrintFate::Asked);
    }
}
