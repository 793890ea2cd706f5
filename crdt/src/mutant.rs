//! Faults on purpose, so that the tests can be tested: each has a name, and a build with the feature `mutants` has one of
//! them at work, chosen by the environment when the process starts.
//!
//! A hook is one line at the place that it breaks: `if mutant!("skip-sync") { … }`. Without the feature it is the constant
//! `false` and nothing of it is left in the program. All names are listed, with what each breaks and which suites should
//! see it, in `tests/src/mutants/`; `cargo run --release --bin mutants` runs the suites against each.
//!
//! Invariants: the feature does not compile into an optimised build, so no release contains a mutant; this is the one
//! module of the pure parts that reads the environment, and only under the feature.
//!
//! Absent on purpose: mutants that are found by a tool, several at once, any way to choose one in a running process.

#[cfg(all(feature = "mutants", not(debug_assertions)))]
compile_error!("the feature `mutants` breaks the shop on purpose and belongs to debug builds only");

/// The variable that names the mutant.
pub const VARIABLE: &str = "TOKO_MUTANT";

/// Whether the mutant with this name is at work; see [`mutant!`](crate::mutant!).
#[cfg(not(feature = "mutants"))]
#[inline(always)]
#[must_use]
pub const fn at_work(_name: &str) -> bool {
    false
}

/// Whether the mutant with this name is at work; see [`mutant!`](crate::mutant!).
#[cfg(feature = "mutants")]
#[must_use]
pub fn at_work(name: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var(VARIABLE).ok()).as_deref() == Some(name)
}

/// `mutant!("name")`: whether this fault is at work. Constant `false` in every build without the feature `mutants`.
#[macro_export]
macro_rules! mutant {
    ($name:literal) => {
        $crate::mutant::at_work($name)
    };
}
