//! a node: keeps journals on disk, finds peers, trusts them, carries journals between them.

// What a node keeps.
pub mod bell;
pub mod blobs;
pub mod disk;
pub mod identity;
pub mod log;
pub mod machine;
pub mod sim_disk;
pub mod sim_net;
pub mod store;
pub mod views;

// What nodes say to each other.
pub mod proto;

// Who is trusted, and how bytes come and go.
pub mod endpoint;
pub mod enrol;
pub mod find;
pub mod link;
pub mod tls;

// The whole: start here.
pub mod node;
