//! Headquarters as its stores and its people see it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod desk;
mod office;
mod report;
mod shop;
mod store;
mod stores;
