//! The control socket.

mod refusal;

pub use refusal::Refusal;
