//! Catalogues and other facts of the store's publisher: named here by hash, carried as blobs.

use serde::{Deserialize, Serialize};

/// What a bundle holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BundleKind {
    /// Items, prices and taxes: [`crate::catalogue`].
    Catalogue,
}

/// A new bundle is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundlePublishedV1 {
    /// What it holds.
    pub kind: BundleKind,
    /// Hash of the blob.
    pub blob: [u8; 32],
    /// Blob of the bundle that it follows.
    pub prev: Option<[u8; 32]>,
    /// Bytes of the blob.
    pub bytes: u64,
    /// Items in it.
    pub items: u32,
    /// What people call it.
    pub name: String,
}

/// From now on this bundle counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleActivatedV1 {
    /// What it holds.
    pub kind: BundleKind,
    /// Hash of the blob.
    pub blob: [u8; 32],
    /// One above the highest revision its author had seen.
    pub rev: u64,
}
