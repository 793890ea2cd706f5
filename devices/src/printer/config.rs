//! A printer as a shop configures it, and how long to wait for it.

use std::time::Duration;

use crate::cable::Roots;
use crate::fonts::SystemFonts;
use crate::model::Model;
use crate::outcome::Level;

/// One printer, as a shop configures it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrinterConfig {
    /// Where it hangs, as [`Address`](crate::cable::Address) is written: `192.168.1.40:9100`, `usb:SERIAL`.
    pub address: String,
    /// Where this machine lists its devices.
    pub roots: Roots,
    /// Its paper, characters and language.
    pub model: Model,
    /// Fonts for what its code pages lack.
    pub fonts: SystemFonts,
    /// The least that counts as printed. A printer that answers nothing needs `Sent` or `Drained`, and then its dead
    /// twin is taken for it.
    pub believe: Level,
    /// What a probe found that it confirms, if it was probed: less than that is doubt, and less is not waited for more.
    pub learnt: Option<Level>,
    /// How long to wait for what.
    pub deadlines: Deadlines,
}

/// How long to wait for what. Longer means fewer doubts and a longer queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For a session.
    pub connect: Duration,
    /// For the answers to a status question.
    pub status: Duration,
    /// For the network to take a job.
    pub send: Duration,
    /// For the printer to confirm a job, from its last byte on.
    pub confirm: Duration,
    /// For the echo of a mark after the job was processed, until it is known whether this printer echoes at all.
    pub echo: Duration,
    /// For a printer that confirms nothing to close the session.
    pub drain: Duration,
    /// After `confirm`, for a printer that has the job and says that it waits for a hand: for paper, its cover, a jam. The queue
    /// waits with it; a pulse does not. Zero: it is doubt at once.
    pub patience: Duration,
    /// For a printer whose link broke behind a whole job to be linked again and to tell its end. Zero: it is doubt at once.
    pub again: Duration,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            connect: Duration::from_secs(2),
            status: Duration::from_secs(1),
            send: Duration::from_secs(10),
            confirm: Duration::from_secs(20),
            echo: Duration::from_secs(5),
            drain: Duration::from_secs(2),
            patience: Duration::from_secs(600),
            again: Duration::from_secs(5),
        }
    }
}

impl PrinterConfig {
    /// A printer at an address, with the defaults: 80 mm paper, believed from [`Level::Processed`] on.
    #[must_use]
    pub fn at(address: impl Into<String>) -> PrinterConfig {
        PrinterConfig {
            address: address.into(),
            roots: Roots::default(),
            model: Model::default(),
            fonts: SystemFonts::default(),
            believe: Level::Processed,
            learnt: None,
            deadlines: Deadlines::default(),
        }
    }
}
