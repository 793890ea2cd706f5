//! Which catalogues there are, and which one counts.

use serde::{Deserialize, Serialize};
use toko_crdt::clock::{Hlc, UnixMicros};
use toko_crdt::fold::{Effect, Kv, KvError, KvRead};
use toko_crdt::{EffectId, Hash, NodeId};

use super::table::{BUNDLE, BUNDLE_ACTIVE, Key, Parts, Rank, rank, read, rows_below, value, write};
use crate::ops::{BundleActivatedV1, BundleKind, BundlePublishedV1};

/// The bundle that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveBundle {
    /// Hash of its blob.
    pub blob: Hash,
    /// Its revision; the next activation is one above.
    pub rev: u64,
    /// When it was activated, as its author's clock had it.
    pub at: UnixMicros,
    /// The activation.
    pub effect: EffectId,
}

/// A bundle that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedBundle {
    /// Hash of its blob.
    pub blob: Hash,
    /// Blob of the bundle that it follows.
    pub prev: Option<Hash>,
    /// Bytes of the blob.
    pub bytes: u64,
    /// Items in it.
    pub items: u32,
    /// What people call it.
    pub name: String,
    /// Who published it.
    pub author: NodeId,
    /// When, by the author's hybrid clock.
    pub at: Hlc,
    /// The publication.
    pub effect: EffectId,
}

#[derive(Serialize, Deserialize)]
struct ActiveRow {
    rank: Rank,
    blob: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct PublishedRow {
    prev: Option<[u8; 32]>,
    bytes: u64,
    items: u32,
    name: String,
    author: [u8; 32],
    micros: u64,
    tick: u16,
}

/// The bundle of a kind that counts; nothing before the first activation.
pub fn bundle_active(kv: &dyn KvRead, kind: BundleKind) -> Result<Option<ActiveBundle>, KvError> {
    let row: Option<ActiveRow> = read(kv, &Key::of(BUNDLE_ACTIVE).byte(number(kind)).done())?;
    Ok(row.map(|ActiveRow { rank: (rev, micros, tick, effect), blob }| ActiveBundle {
        blob: Hash(blob),
        rev,
        at: Hlc { micros, tick }.wall(),
        effect: EffectId(effect),
    }))
}

/// Every publication of a kind, oldest first.
pub fn bundles_published(kv: &dyn KvRead, kind: BundleKind) -> Result<Vec<PublishedBundle>, KvError> {
    let rows = rows_below(kv, &Key::of(BUNDLE).byte(number(kind)).done())?;
    let mut found =
        rows.iter().map(|(key, row)| published(key, value(row)?)).collect::<Result<Vec<_>, _>>()?;
    found.sort_by_key(|bundle| (bundle.at, bundle.effect));
    Ok(found)
}

pub(super) fn fold_published(
    kv: &mut dyn Kv,
    effect: &Effect<'_>,
    published: &BundlePublishedV1,
) -> Result<(), KvError> {
    let key = Key::of(BUNDLE).byte(number(published.kind)).bytes(&published.blob).bytes(&effect.id.0).done();
    let Hlc { micros, tick } = effect.entry.at();
    let row = PublishedRow {
        prev: published.prev,
        bytes: published.bytes,
        items: published.items,
        name: published.name.clone(),
        author: effect.author().0,
        micros,
        tick,
    };
    write(kv, &key, &row)
}

pub(super) fn fold_activated(
    kv: &mut dyn Kv,
    effect: &Effect<'_>,
    activated: &BundleActivatedV1,
) -> Result<(), KvError> {
    let key = Key::of(BUNDLE_ACTIVE).byte(number(activated.kind)).done();
    let rank = rank(effect, activated.rev);
    match read::<ActiveRow>(kv, &key)? {
        Some(row) if row.rank >= rank && !toko_crdt::mutant!("last-catalogue-to-arrive-counts") => Ok(()),
        _ => write(kv, &key, &ActiveRow { rank, blob: activated.blob }),
    }
}

fn published(key: &[u8], row: PublishedRow) -> Result<PublishedBundle, KvError> {
    let mut parts = Parts::of(key);
    parts.take::<1>()?;
    Ok(PublishedBundle {
        blob: Hash(parts.take()?),
        effect: EffectId(parts.take()?),
        prev: row.prev.map(Hash),
        bytes: row.bytes,
        items: row.items,
        name: row.name,
        author: NodeId(row.author),
        at: Hlc { micros: row.micros, tick: row.tick },
    })
}

fn number(kind: BundleKind) -> u8 {
    match kind {
        BundleKind::Catalogue => 0,
    }
}
