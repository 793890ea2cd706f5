//! All mutants: what each is called, where its one hook stands, what it breaks, and which suites should see it.
//!
//! `tests/tidy.rs` holds this list against the source: every hook is listed, every listed mutant has exactly one hook, at the
//! place that is said here.

mod crdt;
mod daemons;
mod devices;
mod mesh;
mod retail;

/// A fault on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// What it does, in few words: `skip-sync`. Also its name in the source and in the environment.
    pub name: &'static str,
    /// The file with its hook.
    pub place: &'static str,
    /// What a shop would suffer.
    pub breaks: &'static str,
    /// The suites that should see it, the likeliest first, each with words that narrow it to some tests, or none:
    /// `mesh/power_cut`, `mesh/lib store::`.
    pub seen_by: &'static [&'static str],
}

impl Mutant {
    /// Whether no daemon has to be started to see it.
    pub fn is_quick(&self) -> bool {
        self.seen_by.first().is_some_and(|suite| !starts_daemons(suite))
    }
}

/// Whether a suite starts whole daemons, which takes time. The simulated shop has them all in one process.
pub fn starts_daemons(suite: &str) -> bool {
    suite.starts_with("tests/") && !suite.starts_with(SIMULATOR)
}

/// The simulated shop, a fixed list of seeds: `tests/sim seeds::`.
pub const SIMULATOR: &str = "tests/sim";

const fn mutant(
    name: &'static str,
    place: &'static str,
    breaks: &'static str,
    seen_by: &'static [&'static str],
) -> Mutant {
    Mutant { name, place, breaks, seen_by }
}

/// Every mutant, from the bottom of the shop up.
pub fn all() -> Vec<Mutant> {
    [crdt::MUTANTS, retail::MUTANTS, mesh::MUTANTS, devices::MUTANTS, daemons::MUTANTS].concat()
}
