//! What a printer reports about itself, and what a person should do about it. Pure.
//!
//! However it was told (four real-time answers, an automatic status of Epson, Star or SII), it becomes one [`PrinterStatus`];
//! [`words`] says it in the names that others know. Absent on purpose: open or closed for the drawer. Its sensor is a level
//! whose meaning depends on the drawer, so until that has been learnt its state is unknown; only the level is told.

use std::fmt;

pub mod told;
pub mod words;

pub use told::{SiiStatus, StarStatus};
pub use words::{Condition, Event, PowerState};

use crate::escpos::Question;

/// A printer's state as it told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PrinterStatus {
    /// It takes and prints data.
    pub online: bool,
    /// Its cover is open.
    pub cover_open: bool,
    /// How much paper it has.
    pub paper: Paper,
    /// What is broken.
    pub error: Option<PrinterError>,
    /// The level of the drawer's sensor; which one means open depends on the drawer.
    pub drawer_level: bool,
}

/// How much paper a printer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Paper {
    /// Enough.
    #[default]
    Enough,
    /// The roll ends soon.
    NearEnd,
    /// None. Nothing prints.
    Out,
}

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrinterError {
    /// The cutter is jammed.
    Cutter,
    /// Something in its way, such as a paper jam; it goes on once that is cleared.
    Mechanical,
    /// It heals by itself, such as a head that is too hot.
    Passing,
    /// It needs to be switched off and on, or repaired.
    Lasting,
    /// It did not say which.
    Unnamed,
}

impl Default for PrinterStatus {
    /// A printer without complaint.
    fn default() -> PrinterStatus {
        PrinterStatus {
            online: true,
            cover_open: false,
            paper: Paper::Enough,
            error: None,
            drawer_level: false,
        }
    }
}

impl PrinterStatus {
    /// Takes in the answer to one question.
    ///
    /// Source: ESC/POS `DLE EOT n`.
    pub fn learn(&mut self, question: Question, answer: u8) {
        let bit = |n: u8| answer & (1 << n) != 0;
        match question {
            Question::Printer => {
                self.drawer_level = bit(2);
                self.online = !bit(3);
            }
            Question::Offline => {
                self.cover_open = bit(2);
                if bit(5) {
                    self.paper = Paper::Out;
                }
                self.error = bit(6).then(|| self.error.unwrap_or(PrinterError::Unnamed));
            }
            Question::Error => {
                let named = [
                    (bit(5), PrinterError::Lasting),
                    (bit(3), PrinterError::Cutter),
                    (bit(2), PrinterError::Mechanical),
                    (bit(6), PrinterError::Passing),
                ];
                self.error = named.iter().find(|(set, _)| *set).map(|(_, error)| *error).or(self.error);
            }
            Question::Paper => {
                if bit(5) || bit(6) {
                    self.paper = Paper::Out;
                } else if (bit(2) || bit(3)) && self.paper != Paper::Out {
                    self.paper = Paper::NearEnd;
                }
            }
        }
    }

    /// Whether a job sent now would come out.
    #[must_use]
    pub fn can_print(&self) -> bool {
        self.online && !self.cover_open && self.paper != Paper::Out && self.error.is_none()
    }

    /// What a person at the printer should do, in one sentence; nothing if it prints.
    #[must_use]
    pub fn what_to_do(&self) -> Option<&'static str> {
        match self {
            PrinterStatus { cover_open: true, .. } => Some("Close the printer's cover."),
            PrinterStatus { paper: Paper::Out, .. } => Some("Put in a new roll of paper."),
            PrinterStatus { error: Some(PrinterError::Cutter), .. } => {
                Some("Clear the cutter, then open and close the cover.")
            }
            PrinterStatus { error: Some(PrinterError::Mechanical), .. } => {
                Some("Open the cover, clear the paper path, and close the cover.")
            }
            PrinterStatus { error: Some(PrinterError::Passing), .. } => {
                Some("Wait a minute: the printer recovers by itself.")
            }
            PrinterStatus { error: Some(_), .. } => Some("Switch the printer off and on again."),
            PrinterStatus { online: false, .. } => {
                Some("Press the printer's feed button to bring it online.")
            }
            PrinterStatus { paper: Paper::NearEnd, .. } => {
                Some("Have a new roll ready: the paper ends soon.")
            }
            _ => None,
        }
    }
}

/// What is the matter, as a fragment for a log or an error.
impl fmt::Display for PrinterStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = match self.error {
            Some(PrinterError::Cutter) => Some("cutter jammed"),
            Some(PrinterError::Mechanical) => Some("paper path blocked"),
            Some(PrinterError::Passing) => Some("error that passes by itself"),
            Some(PrinterError::Lasting) => Some("error that does not pass"),
            Some(PrinterError::Unnamed) => Some("unnamed error"),
            None => None,
        };
        let parts = [
            Some(if self.online { "online" } else { "offline" }),
            self.cover_open.then_some("cover open"),
            (self.paper == Paper::Out).then_some("out of paper"),
            (self.paper == Paper::NearEnd).then_some("paper near its end"),
            error,
        ];
        let said: Vec<&str> = parts.into_iter().flatten().collect();
        f.write_str(&said.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(answers: &[(Question, u8)]) -> PrinterStatus {
        let mut status = PrinterStatus::default();
        for (question, answer) in answers {
            status.learn(*question, *answer);
        }
        status
    }

    #[test]
    fn a_quiet_printer_can_print_and_asks_for_nothing() {
        let status = told(&[(Question::Printer, 0x12), (Question::Offline, 0x12), (Question::Paper, 0x12)]);
        assert_eq!((status.can_print(), status.what_to_do()), (true, None));
    }

    #[test]
    fn no_paper_asks_for_a_roll() {
        let status = told(&[(Question::Printer, 0x1a), (Question::Offline, 0x32), (Question::Paper, 0x72)]);
        assert!(!status.can_print());
        assert_eq!(status.what_to_do(), Some("Put in a new roll of paper."));
        assert_eq!(status.to_string(), "offline, out of paper");
    }

    #[test]
    fn paper_near_its_end_still_prints() {
        let status = told(&[(Question::Printer, 0x12), (Question::Paper, 0x1e)]);
        assert!(status.can_print());
        assert_eq!(status.paper, Paper::NearEnd);
    }

    #[test]
    fn an_open_cover_comes_first() {
        let status = told(&[(Question::Printer, 0x1a), (Question::Offline, 0x36), (Question::Paper, 0x72)]);
        assert_eq!(status.what_to_do(), Some("Close the printer's cover."));
    }

    #[test]
    fn an_error_is_named_once_the_printer_names_it() {
        let status = told(&[(Question::Offline, 0x52)]);
        assert_eq!(status.error, Some(PrinterError::Unnamed));
        assert_eq!(
            told(&[(Question::Offline, 0x52), (Question::Error, 0x1a)]).error,
            Some(PrinterError::Cutter)
        );
    }

    #[test]
    fn the_drawer_tells_a_level_and_not_whether_it_is_open() {
        assert!(told(&[(Question::Printer, 0x16)]).drawer_level);
    }
}
