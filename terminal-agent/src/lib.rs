//! one terminal: sells with or without anybody else; the local API and the till screen.
//!
//! In reading order: [`config`] is every knob and [`cli`] the command line; [`service`] is the terminal from start to stop;
//! [`ledger`] is the till's side of its node; [`shelf`] holds the catalogue, which [`follow`] keeps up to
//! date; [`till`] owns the carts and sells; [`api`] is its door, [`ask`] a hand that knocks there; [`paper`] joins a receipt to a
//! page; [`scale`] weighs. [`desk`], [`draw`] and [`wall`] are a terminal's own files, its ids and its clock; `heard` is when
//! others agree with that.
//!
//! ```
//! use std::process::ExitCode;
//!
//! assert_eq!(terminal_agent::run(["terminal-agent", "--help"]), ExitCode::SUCCESS);
//! ```

pub mod api;
pub mod ask;
pub mod cli;
pub mod config;
pub mod customer;
pub mod desk;
pub mod draw;
pub mod follow;
mod heard;
pub mod ledger;
pub mod own_drawer;
pub mod paper;
pub mod printing;
pub mod scale;
pub mod scans;
pub mod service;
pub mod shelf;
pub mod till;
pub mod wall;

mod commands;

pub use commands::run;
