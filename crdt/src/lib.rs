//! merging that cannot go wrong: ids, clocks, journals, frontiers, carts, stock. Pure.
//!
//! Everything that happens in a shop is an [`Entry`] in a journal of the node that did it. Journals are numbered without
//! gaps, hash-chained and signed; replication is "send me what I lack of each journal"; what people see is a fold over the
//! *set* of entries. Nothing here reads a clock, draws a random number, opens a file or waits: time and seeds come in as
//! values, effects go out as values.
//!
//! Read in this order: [`ids`], [`entry`], [`body`], [`journal`], [`frontier`], [`member`], then [`fold`] and [`book`], which
//! turn entries into views, and [`cart`] and [`stock`], the two things that people see merging; [`settling`] ends carts.
//!
//! ```
//! use toko_crdt::{body::Body, clock::{Clock, UnixMicros}, entry::{Draft, Entry}, hash::Hash, ids::*, sign::SecretKey};
//!
//! let root = SecretKey::from_seed([1; 32]);
//! let till = SecretKey::from_seed([2; 32]);
//! let store = StoreId::of(&root.public());
//! let journal = JournalId { node: till.node(), run: Run(7), lane: Lane::Books };
//! let at = Clock::default().now(UnixMicros(1_000_000));
//! let draft = Draft { journal, seq: 1, prev: Hash::ZERO, at, saw: None, body: Body::first().encode() };
//! let entry = draft.sign(&store, &till);
//! let again = Entry::decode(&store, &entry.encode()).expect("what we wrote we can read");
//! assert_eq!(again.hash(), entry.hash());
//! assert!(again.verify(&till.public()));
//! ```
//!
//! Absent on purpose: leader election, order by wall clock, any knowledge of prices, printers or sockets.

pub mod body;
pub mod book;
pub mod cart;
pub mod clock;
pub mod codec;
pub mod digest;
pub mod entry;
pub mod fold;
pub mod frontier;
pub mod hash;
pub mod ids;
pub mod journal;
pub mod list;
pub mod member;
pub mod mutant;
pub mod overlay;
pub mod seal;
pub mod settling;
pub mod sign;
pub mod stock;

pub use body::Body;
pub use entry::Entry;
pub use fold::{Fold, Kv, KvError, KvRead, Scope};
pub use hash::Hash;
pub use ids::{CartId, EffectId, JournalId, Lane, NodeId, Run, StoreId};
