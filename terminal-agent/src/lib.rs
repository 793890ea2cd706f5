//! one terminal: sells with or without anybody else; the local API and the till screen.

pub mod cli;
pub mod config;
pub mod desk;
pub mod draw;
pub mod wall;
