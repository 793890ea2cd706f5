//! Headquarters as its stores and its people see it.

#![cfg(test)]

mod desk;
mod office;
mod report;
mod shop;
mod shut;
mod store;
mod stores;
