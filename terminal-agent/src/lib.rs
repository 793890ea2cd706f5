//! one terminal: sells with or without anybody else; the local API and the till screen.

pub mod api;
pub mod ask;
pub mod cli;
pub mod config;
pub mod desk;
pub mod draw;
pub mod ledger;
pub mod paper;
pub mod shelf;
pub mod till;
pub mod wall;
