//! What others can make a node hold, counted by the allocator itself; each test prints what it measured.
//!
//! A member's input grows memory by at most four times its size, besides a fixed allowance that does not grow with what is
//! sent. The allocator counts the whole process, so what is sent is made before the counting begins, and one test at a time
//! counts.

#![cfg(test)]

use std::sync::{Mutex, MutexGuard, PoisonError};

use peak_alloc::PeakAlloc;

mod decoders;
mod requests;
mod sessions;
mod strangers;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Counts from here on, alone.
struct Count {
    from: usize,
    _alone: MutexGuard<'static, ()>,
}

impl Count {
    fn begin() -> Self {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        MEMORY.reset_peak_usage();
        Self { from: MEMORY.current_usage(), _alone: alone }
    }

    /// Begins anew, still alone.
    fn again(&mut self) {
        MEMORY.reset_peak_usage();
        self.from = MEMORY.current_usage();
    }

    /// Bytes that are held now beyond those at the beginning.
    fn held(&self) -> usize {
        MEMORY.current_usage().saturating_sub(self.from)
    }

    /// The most that was held at any moment.
    fn peak(&self) -> usize {
        MEMORY.peak_usage().saturating_sub(self.from)
    }
}

/// Four times what was sent, and an allowance.
fn allowed(sent: usize, allowance: usize) -> usize {
    4 * sent + allowance
}

/// A line of a table, for whoever runs with `--nocapture`.
fn say(what: &str, sent: usize, peak: usize, held: usize) {
    let times =
        |bytes: usize| format!("{}.{:02}", bytes / sent.max(1), bytes % sent.max(1) * 100 / sent.max(1));
    eprintln!(
        "{what:<44} sent {sent:>9}  peak {peak:>9} ({:>7} x)  held {held:>9} ({:>7} x)",
        times(peak),
        times(held)
    );
}
