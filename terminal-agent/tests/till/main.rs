//! A till from outside: through its API, through its commands, beside a hub and other tills.
#![cfg(test)]

mod common;
mod counter;
mod drawer;
mod openapi;
mod process;
mod refusals;
mod restart;
mod scale;
mod selling;
mod shop;
mod snapshot;
