//! the whole shop, tested: demo, benchmarks, process tests and the rules of the house.
//!
//! In reading order:
//!
//! * what a shop did: [`sheet`] reads it, [`day`] groups it into work, [`assortment`] lists its items;
//! * what that must come to: [`oracle`], which shares nothing with anybody;
//! * the demo's stage: [`process`] starts and kills daemons, [`door`] speaks to them, [`relay`] is a cable
//!   between two of them, [`lan`] all cables of a shop;
//! * what a person says and sees: [`usage`] at first, [`progress`] while it runs, [`report`] at the end;
//! * the play itself: [`demo`];
//! * the same shop on a network of its own, broken case by case: [`chaos`];
//! * how fast the bare machine is: [`machine`], and how fast we are beside it: [`mod@bench`];
//! * what really came out, beside another spooler: [`paper`];
//! * how long a lost hub is missed: [`recovery`]; what is kept over years: [`years`];
//! * what the tests notice when the shop is broken on purpose: [`mutants`];
//! * a whole shop in memory, broken on purpose: [`sim`];
//! * strangers on the network: [`attack`];
//! * the rules of the house: [`tree`] reads the source, `tests/tidy.rs` judges it.

pub mod assortment;
pub mod attack;
pub mod bench;
pub mod chaos;
pub mod day;
pub mod demo;
pub mod door;
pub mod lan;
pub mod machine;
pub mod mutants;
pub mod oracle;
pub mod paper;
pub mod process;
pub mod progress;
pub mod recovery;
pub mod relay;
pub mod report;
pub mod sheet;
pub mod sim;
pub mod tree;
pub mod usage;
pub mod years;
