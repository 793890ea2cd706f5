//! a node: keeps journals on disk, finds peers, trusts them, carries journals between them.

// What a node keeps.
pub mod disk;
pub mod sim_disk;

// Who is trusted, and how bytes come and go.
pub mod endpoint;
pub mod enrol;
pub mod find;
pub mod tls;
