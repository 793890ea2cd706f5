//! Publishing and activating catalogues: one author, by hash, in a chain.

use toko_crdt::Hash;

use crate::catalogue::Catalogue;
use crate::ops::{BundleActivatedV1, BundleKind, BundlePublishedV1, limits};
use crate::text::{TextError, check_text};
use crate::views::{ActiveBundle, PublishedBundle};

/// Why a bundle was not published or activated. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The very same bundle counts already.
    #[error("the bundle {} is active already", .0.short())]
    Active(Hash),
    /// No publication of this blob is known.
    #[error("the bundle {} was not published", .0.short())]
    NotPublished(Hash),
    /// Revisions are used up.
    #[error("no revision is left above {0}")]
    Revision(u64),
    /// A name that may not be kept.
    #[error(transparent)]
    Text(#[from] TextError),
}

/// Names a new catalogue; its blob must be kept under [`BundlePublishedV1::blob`] before this is written.
///
/// `published` are the publications so far; the newest is the one it follows. Gives the blob as well.
pub fn publish_catalogue(
    catalogue: &Catalogue,
    name: &str,
    published: &[PublishedBundle],
) -> Result<(BundlePublishedV1, Vec<u8>), BundleError> {
    check_text("the bundle's name", name, limits::TEXT_CHARS_MAX)?;
    let blob = catalogue.encode();
    let op = BundlePublishedV1 {
        kind: BundleKind::Catalogue,
        blob: toko_crdt::book::blob_hash(&blob).0,
        prev: published.last().map(|bundle| bundle.blob.0),
        bytes: blob.len() as u64,
        items: u32::try_from(catalogue.len()).unwrap_or(u32::MAX),
        name: name.to_string(),
    };
    Ok((op, blob))
}

/// Makes a published bundle count. The caller holds its whole blob and has decoded it.
pub fn activate(
    kind: BundleKind,
    blob: Hash,
    published: &[PublishedBundle],
    active: Option<&ActiveBundle>,
) -> Result<BundleActivatedV1, BundleError> {
    if !published.iter().any(|bundle| bundle.blob == blob) {
        return Err(BundleError::NotPublished(blob));
    }
    if active.is_some_and(|active| active.blob == blob) {
        return Err(BundleError::Active(blob));
    }
    let highest = active.map_or(0, |active| active.rev);
    let rev = highest.checked_add(1).ok_or(BundleError::Revision(highest))?;
    Ok(BundleActivatedV1 { kind, blob: blob.0, rev })
}
