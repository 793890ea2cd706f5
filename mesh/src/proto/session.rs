//! One conversation with one peer: feed it, then drain it. It never waits and never does I/O.

mod api;

pub use api::{Config, Counters, Fresh, Input, Outcome, Output, Roster, Violation};
