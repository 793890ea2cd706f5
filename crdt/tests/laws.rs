//! The laws that everything stands on: whatever order, however often, however late, equal sets of entries give equal views
//! and equal digests.
//!
//! A failing case is kept in a file `….regressions` beside its test and tried first the next time. Commit it.

#[cfg(test)]
#[path = "laws/book.rs"]
mod book;
#[cfg(test)]
#[path = "laws/carts.rs"]
mod carts;
#[cfg(test)]
#[path = "laws/dice.rs"]
mod dice;
#[cfg(test)]
#[path = "laws/noise.rs"]
mod noise;
#[cfg(test)]
#[path = "laws/replica.rs"]
mod replica;
#[cfg(test)]
#[path = "laws/settled.rs"]
mod settled;
#[cfg(test)]
#[path = "laws/succession.rs"]
mod succession;
#[cfg(test)]
#[path = "laws/views.rs"]
mod views;
#[cfg(test)]
#[path = "laws/world.rs"]
mod world;
