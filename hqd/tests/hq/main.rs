//! Headquarters as its stores and its people see it.

mod report;
mod shop;
