//! The real daemons as processes: killed, copied, revoked, misled and starved, and the books agree all the same.
//!
//! Each test names the fault that it covers by its code. `demo --as NAME` plays every daemon, as in the demo, so that one
//! build serves all. Nobody sleeps: what is awaited is looked for until a deadline, and the deadline says what was seen.

#![cfg(test)]

mod clocks;
mod copies;
mod crash;
mod dark;
mod disk;
mod doctor;
mod door;
mod drawers;
mod enrol;
mod hostile;
mod labels;
mod locale;
mod own_drawer;
mod own_printer;
mod paper;
mod prices;
mod printers;
mod quarantine;
mod recover;
mod rig;
mod service;
mod shared_printer;
mod skew;
mod slip;
