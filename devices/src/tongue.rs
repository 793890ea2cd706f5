//! What a driver says to a printer beside its pages, in the printer's language. Pure.
//!
//! Absent on purpose: pages, which are [`crate::escpos`]'s and [`crate::star`]'s, and what comes back, which is
//! [`crate::reply`]'s.

use crate::escpos::{self, DrawerPin, ProcessId};
use crate::model::Language;
use crate::reply::{Dialect, Reply};
use crate::star;

/// A mark behind a job: the printer sends it back when all before it is on paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// `GS ( H`.
    Process(ProcessId),
    /// `ESC GS ETX`.
    Document(u16),
}

impl Mark {
    /// The `n`th of a printer; they repeat late enough.
    pub(crate) fn nth(language: Language, n: u32) -> Mark {
        match language {
            Language::EscPos => Mark::Process(ProcessId::nth(n)),
            Language::StarPrnt | Language::StarLine => {
                Mark::Document(u16::try_from(n % 0x1_0000).unwrap_or(0))
            }
        }
    }

    /// The bytes that ask for it.
    pub(crate) fn ask(self) -> Vec<u8> {
        match self {
            Mark::Process(id) => escpos::ask_when_printed(id).to_vec(),
            Mark::Document(number) => star::ask_when_printed(number).to_vec(),
        }
    }

    /// Whether a reply is its echo.
    pub(crate) fn is_in(self, reply: &Reply) -> bool {
        match (self, reply) {
            (_, Reply::Printed(_) | Reply::Counted { s: 1, .. }) if crate::mutant!("believe-any-echo") => {
                true
            }
            (Mark::Process(id), Reply::Printed(echoed)) => *echoed == id.bytes(),
            (Mark::Document(number), Reply::Counted { s: 1, document, .. }) => *document == number,
            _ => false,
        }
    }
}

/// Whose bytes the answers are.
pub(crate) const fn dialect(language: Language) -> Dialect {
    match language {
        Language::EscPos => Dialect::EscPos,
        Language::StarPrnt | Language::StarLine => Dialect::Star,
    }
}

/// Asks for a sign of life in its place among the printing; a Star has none but its mark.
pub(crate) fn ask_when_processed(language: Language) -> &'static [u8] {
    match language {
        Language::EscPos => &BARRIER,
        Language::StarPrnt | Language::StarLine => &[],
    }
}

/// Asks to be told each change of state.
pub(crate) fn watch(language: Language) -> &'static [u8] {
    match language {
        Language::EscPos => &escpos::TELL_CHANGES,
        Language::StarPrnt | Language::StarLine => &star::TELL_CHANGES,
    }
}

/// Fills up half a mark; nothing to a printer that is whole. A Star's echo has its length and its frame, so what comes of half a
/// mark is told apart.
pub(crate) fn fill(language: Language) -> &'static [u8] {
    match language {
        Language::EscPos => &[0; 8],
        Language::StarPrnt | Language::StarLine => &[],
    }
}

/// Brings a printer back that was interrupted.
pub(crate) fn resync(language: Language) -> Vec<u8> {
    match language {
        Language::EscPos => escpos::resync(),
        Language::StarPrnt | Language::StarLine => star::resync(),
    }
}

/// The drawer's pulse at once.
pub(crate) fn pulse(language: Language, pin: DrawerPin) -> Vec<u8> {
    match language {
        Language::EscPos => escpos::drawer_pulse_now(pin).to_vec(),
        Language::StarPrnt | Language::StarLine => vec![star::drawer_pulse_now(pin)],
    }
}

const BARRIER: [u8; 3] = escpos::ask_when_processed();
