//! Headquarters as its stores and its people see it.

#![cfg(test)]

mod desk;
mod failing;
mod many;
mod office;
mod process;
mod report;
mod shop;
mod shut;
mod store;
mod stores;
