//! Conversations between nodes: what travels ([`frame`]), how it is written (`wire`), and what is said when ([`session`]).
//!
//! Everything here is pure: no socket, clock, chance, file or thread. Bytes, time and jitter come in as values, what should
//! happen goes out as values, and the edge is a dull loop. A [`session::Session`] is one conversation over one link; nodes
//! that talk to several peers share one [`claims::Claims`] between their sessions, so that no journal is pulled twice.
//!
//! Invariants: a frame is at most [`frame::FRAME_BYTES_MAX`] and its length is checked before anything else; whatever a peer
//! can make us keep is bounded; an acknowledgement names durable heads only; the floor lane never reaches headquarters.
//!
//! Absent on purpose: a cursor per peer (frontiers are the cursor), a leader, a mode without a hub (patience is the only
//! difference), and any knowledge of what entries mean.

pub mod claims;
pub mod frame;
mod pack;
pub mod reader;
pub mod session;
mod wire;

pub use claims::Claims;
pub use frame::{Code, Frame};
pub use reader::Reader;
pub use session::{Config, Input, Outcome, Output, Session, Violation};
