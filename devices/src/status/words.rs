//! A printer's state in the words that others know: UnifiedPOS for programs at a till, IPP for whoever watches printers.
//!
//! Source: UnifiedPOS 1.14 (properties of POSPrinter, `PowerState`, its status update events); RFC 8011 and PWG 5100.9
//! (`printer-state-reasons`), CUPS for `offline-report`.

use super::{Paper, PrinterError, PrinterStatus};
use crate::outcome::NotSent;

/// One thing that is the matter with a printer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// It prints nothing now.
    Offline,
    /// Its cover is open.
    CoverOpen,
    /// It has no paper.
    RecEmpty,
    /// Its paper ends soon.
    RecNearEnd,
    /// Its cutter is jammed.
    Cutter,
    /// Its paper path is blocked.
    Mechanical,
    /// It is too hot, or otherwise waits for itself.
    Automatical,
    /// It is broken, or does not say what it has.
    Unrecoverable,
}

/// Whether there is a printer, as far as anybody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PowerState {
    /// Nobody has asked yet.
    #[default]
    Unknown,
    /// It is on and prints.
    Online,
    /// It is on, and prints nothing now.
    Offline,
    /// It does not answer: off, unplugged, or elsewhere.
    OffOffline,
}

/// A change of state worth telling, as UnifiedPOS has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The cover was opened.
    CoverOpen,
    /// The cover was closed.
    CoverOk,
    /// The paper ran out.
    RecEmpty,
    /// The paper ends soon.
    RecNearEmpty,
    /// There is paper again.
    RecPaperOk,
    /// It prints again.
    PowerOnline,
    /// It stopped printing.
    PowerOffline,
    /// It does not answer any more.
    PowerOffOffline,
}

impl PrinterStatus {
    /// All that is the matter, in the order of [`Condition`].
    pub fn conditions(&self) -> impl Iterator<Item = Condition> + use<> {
        let error = self.error.map(|error| match error {
            PrinterError::Cutter => Condition::Cutter,
            PrinterError::Mechanical => Condition::Mechanical,
            PrinterError::Passing => Condition::Automatical,
            PrinterError::Lasting | PrinterError::Unnamed => Condition::Unrecoverable,
        });
        [
            (!self.online).then_some(Condition::Offline),
            self.cover_open.then_some(Condition::CoverOpen),
            (self.paper == Paper::Out).then_some(Condition::RecEmpty),
            (self.paper == Paper::NearEnd).then_some(Condition::RecNearEnd),
            error,
        ]
        .into_iter()
        .flatten()
    }

    /// The reasons that a print server would give; `none` if there are none.
    ///
    /// ```
    /// use toko_devices::PrinterStatus;
    ///
    /// assert_eq!(PrinterStatus::from([0x10, 0, 0, 0]).reasons(), "none");
    /// assert_eq!(PrinterStatus::from([0x38, 0, 0x0c, 0]).reasons(), "offline-report,cover-open-error,media-empty-error");
    /// ```
    #[must_use]
    pub fn reasons(&self) -> String {
        let reasons: Vec<&str> = self.conditions().map(Condition::reason).collect();
        if reasons.is_empty() { "none".to_owned() } else { reasons.join(",") }
    }

    /// What changed between an earlier state and this one.
    #[must_use]
    pub fn events_since(&self, before: &PrinterStatus) -> Vec<Event> {
        let mut events = Vec::new();
        let power = |status: &PrinterStatus| PowerState::of(&Ok(*status));
        if power(self) != power(before) {
            events.extend(power(self).event());
        }
        if self.cover_open != before.cover_open {
            events.push(if self.cover_open { Event::CoverOpen } else { Event::CoverOk });
        }
        if self.paper != before.paper {
            events.push(match self.paper {
                Paper::Enough => Event::RecPaperOk,
                Paper::NearEnd => Event::RecNearEmpty,
                Paper::Out => Event::RecEmpty,
            });
        }
        events
    }
}

impl PowerState {
    /// What an answer, or none, says of the power.
    #[must_use]
    pub fn of(asked: &Result<PrinterStatus, NotSent>) -> PowerState {
        match asked {
            Ok(status) if status.online => PowerState::Online,
            Ok(_) | Err(NotSent::NotReady { .. }) => PowerState::Offline,
            Err(NotSent::Unreachable { .. } | NotSent::Silent { .. }) => PowerState::OffOffline,
            Err(NotSent::Stopped | NotSent::Busy) => PowerState::Unknown,
        }
    }

    /// What is told when a printer comes to this state.
    #[must_use]
    pub fn event(self) -> Option<Event> {
        match self {
            PowerState::Unknown => None,
            PowerState::Online => Some(Event::PowerOnline),
            PowerState::Offline => Some(Event::PowerOffline),
            PowerState::OffOffline => Some(Event::PowerOffOffline),
        }
    }

    /// The name in UnifiedPOS, without `UPOS_`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            PowerState::Unknown => "PS_UNKNOWN",
            PowerState::Online => "PS_ONLINE",
            PowerState::Offline => "PS_OFFLINE",
            PowerState::OffOffline => "PS_OFF_OFFLINE",
        }
    }
}

impl Condition {
    /// The name in UnifiedPOS, or in Epson's ePOS where UnifiedPOS has none.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Condition::Offline => "Offline",
            Condition::CoverOpen => "CoverOpen",
            Condition::RecEmpty => "RecEmpty",
            Condition::RecNearEnd => "RecNearEnd",
            Condition::Cutter => "Cutter",
            Condition::Mechanical => "Mechanical",
            Condition::Automatical => "Automatical",
            Condition::Unrecoverable => "Unrecoverable",
        }
    }

    /// The `printer-state-reasons` of IPP.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Condition::Offline => "offline-report",
            Condition::CoverOpen => "cover-open-error",
            Condition::RecEmpty => "media-empty-error",
            Condition::RecNearEnd => "media-low-warning",
            Condition::Cutter => "trimmer-recoverable-failure-error",
            Condition::Mechanical => "media-jam-error",
            // There is no word for a hot print head.
            Condition::Automatical => "other-warning",
            Condition::Unrecoverable => "other-error",
        }
    }
}

impl Event {
    /// The name in UnifiedPOS, without its prefix.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Event::CoverOpen => "COVER_OPEN",
            Event::CoverOk => "COVER_OK",
            Event::RecEmpty => "REC_EMPTY",
            Event::RecNearEmpty => "REC_NEAREMPTY",
            Event::RecPaperOk => "REC_PAPEROK",
            Event::PowerOnline => "POWER_ONLINE",
            Event::PowerOffline => "POWER_OFFLINE",
            Event::PowerOffOffline => "POWER_OFF_OFFLINE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(events: &[Event]) -> Vec<&'static str> {
        events.iter().map(|event| event.name()).collect()
    }

    #[test]
    fn what_is_the_matter_has_both_names() {
        let status = PrinterStatus { online: false, paper: Paper::Out, ..PrinterStatus::default() };
        let names: Vec<&str> = status.conditions().map(Condition::name).collect();
        assert_eq!(names, ["Offline", "RecEmpty"]);
        assert_eq!(status.reasons(), "offline-report,media-empty-error");
    }

    #[test]
    fn a_change_is_told_once_and_by_name() {
        let fine = PrinterStatus::default();
        let open = PrinterStatus { online: false, cover_open: true, ..fine };
        assert_eq!(open.events_since(&fine), [Event::PowerOffline, Event::CoverOpen]);
        assert_eq!(names(&fine.events_since(&open)), ["POWER_ONLINE", "COVER_OK"]);
        assert_eq!(open.events_since(&open), []);
        let low = PrinterStatus { paper: Paper::NearEnd, ..fine };
        assert_eq!(names(&low.events_since(&fine)), ["REC_NEAREMPTY"]);
    }

    #[test]
    fn a_printer_that_does_not_answer_is_off_and_one_that_was_never_asked_unknown() {
        let silent = Err(NotSent::Silent { address: "here".into() });
        assert_eq!(PowerState::of(&silent).name(), "PS_OFF_OFFLINE");
        assert_eq!(PowerState::of(&Ok(PrinterStatus::default())), PowerState::Online);
        assert_eq!(PowerState::default(), PowerState::Unknown);
    }
}
