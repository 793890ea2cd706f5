//! What the owner of a printer knows of it, told to whoever watches.

use tokio::sync::{broadcast, watch};

use crate::outcome::NotSent;
use crate::status::{PowerState, PrinterStatus};

/// How a printer is, as far as its owner knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What it said last; nothing until it said anything, so always of a printer that is known to answer nothing.
    pub status: Option<PrinterStatus>,
    /// Why it cannot be asked; nothing while it can.
    pub trouble: Option<NotSent>,
    /// Whether the link is up now. A printer that is let go of in between keeps its last status.
    pub linked: bool,
    /// Whether it has a job that it has not confirmed.
    pub printing: bool,
    /// Whether it kept a job and waits for paper, its cover or the like; the rest comes out once that is mended.
    pub waits_for_a_hand: bool,
}

/// The drawer's sensor changed its level. What that means depends on the drawer, see [`Polarity`](crate::profile::Polarity).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The level that it has now.
    pub level: bool,
    /// Whether a pulse of ours moved it. If not, somebody did: with a key, or by shutting it.
    pub ours: bool,
    /// Whether it moved while there was no link, so that nobody knows when, or how often.
    pub missed: bool,
}

/// Where the owner puts its news.
#[derive(Debug)]
pub(crate) struct News {
    seen: watch::Sender<Seen>,
    edges: broadcast::Sender<Edge>,
    level: Option<bool>,
    /// Whether the level was told over the link that is up.
    level_is_fresh: bool,
}

impl Seen {
    /// Whether there is a printer, as UnifiedPOS has it.
    #[must_use]
    pub fn power(&self) -> PowerState {
        match (&self.trouble, &self.status) {
            (Some(why), _) => PowerState::of(&Err(why.clone())),
            (None, Some(status)) => PowerState::of(&Ok(*status)),
            (None, None) => PowerState::Unknown,
        }
    }

    /// Whether a job sent now would come out, as far as anybody knows.
    #[must_use]
    pub fn can_print(&self) -> bool {
        self.trouble.is_none() && self.status.is_some_and(|status| status.can_print())
    }

    /// The level of the drawer's sensor, if the printer told it.
    #[must_use]
    pub fn drawer_level(&self) -> Option<bool> {
        self.status.map(|status| status.drawer_level)
    }
}

impl Default for News {
    fn default() -> News {
        News {
            seen: watch::Sender::default(),
            edges: broadcast::Sender::new(EDGES_KEPT),
            level: None,
            level_is_fresh: false,
        }
    }
}

impl News {
    pub(crate) fn watch(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }

    pub(crate) fn edges(&self) -> broadcast::Sender<Edge> {
        self.edges.clone()
    }

    pub(crate) fn drawer_level(&self) -> Option<bool> {
        self.level
    }

    pub(crate) fn linked(&mut self, up: bool) {
        self.level_is_fresh &= up;
        self.change(|seen| seen.linked = up);
    }

    pub(crate) fn printing(&mut self, printing: bool) {
        self.change(|seen| {
            seen.printing = printing;
            seen.waits_for_a_hand &= printing;
        });
    }

    pub(crate) fn waits_for_a_hand(&mut self, waits: bool) {
        self.change(|seen| seen.waits_for_a_hand = waits);
    }

    pub(crate) fn status(&mut self, status: PrinterStatus) {
        self.change(|seen| (seen.status, seen.trouble) = (Some(status), None));
    }

    pub(crate) fn not_reached(&mut self, why: &NotSent) {
        self.change(|seen| seen.trouble = Some(why.clone()));
    }

    /// It took the call and said nothing, as it always does: that is no trouble, and nothing is known of it.
    pub(crate) fn silent(&mut self) {
        self.change(|seen| (seen.status, seen.trouble) = (None, None));
    }

    pub(crate) fn level(&mut self, level: bool, ours: bool) {
        let missed = !std::mem::replace(&mut self.level_is_fresh, true);
        self.change(|seen| {
            if let Some(status) = &mut seen.status {
                status.drawer_level = level;
            }
        });
        if self.level.replace(level).is_some_and(|before| before != level) {
            // Nobody may be watching.
            let _ = self.edges.send(Edge { level, ours, missed });
        }
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        self.seen.send_if_modified(|seen| {
            let before = seen.clone();
            change(seen);
            *seen != before
        });
    }
}

/// Edges that wait for a watcher who is slow; he is told how many he missed.
const EDGES_KEPT: usize = 64;
