//! a printer and the drawer on it, joined with the books: what they say of a print job or an opening, and what the device did.
//!
//! The joint of `retail`, which knows what a receipt says, and `devices`, which knows what a printer did, for whoever owns a
//! printer: a hub, or a terminal that has one of its own. In reading order: a [`job`] is read from the books, decided upon and
//! answered there, [`work`] is all of them at one printer; [`receipt`] is the page; [`drawer`] is the drawer on it and what its sensor tells; [`settings`] are the words
//! for a printer that both know.
//!
//! Invariants: who prints a job stands in the job from the moment that it is asked for (see [`job::printed_at_its_till`]), so no
//! two of them ever print the same one; the start of an attempt is durable before its first byte leaves.
//!
//! Absent on purpose: which printer of several, waiting and hurry, a person's word, and who may open which drawer. Whoever owns
//! printers has them.

pub mod drawer;
pub mod job;
pub mod receipt;
pub mod settings;
pub mod work;
