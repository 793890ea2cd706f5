//! Catalogues: imported here where the shop has no headquarters, followed where it has one.
//!
//! Publishing is an entry that names a blob and the bundle it follows; activating is an entry of the hub, written once the
//! whole blob is here and reads as a catalogue. Bundles are followed by their chain, not by number and not by clock.

use std::collections::BTreeSet;
use std::time::Duration;
use thiserror::Error;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use toko_crdt::member::Members;
use toko_crdt::{Body, Hash, KvError, KvRead, Lane};
use toko_mesh::node::Node;
use toko_mesh::store::Wait;
use toko_retail::bundle::{self, BundleError};
use toko_retail::catalogue::{Catalogue, ImportProblems, import_taxes};
use toko_retail::currency::Currency;
use toko_retail::ops::{BundleKind, BundlePublishedV1, OpV1, What};
use toko_retail::views::{self, ActiveBundle, PublishedBundle};
use tracing::{info, warn};

const KIND: BundleKind = BundleKind::Catalogue;

/// Why a catalogue does not count. The one before still does.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ShelfError {
    /// The file is wrong.
    #[error("nothing was imported:\n{0}")]
    Import(#[from] ImportProblems),
    /// Headquarters publishes here.
    #[error("this store follows headquarters, which publishes its catalogue (hqd publish)")]
    FollowsHeadquarters,
    /// The name may not be kept.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It could not be kept.
    #[error("the catalogue was not kept: {0}")]
    NotKept(String),
}

/// What a person brings to [`import`].
#[derive(Debug)]
pub struct Goods<'a> {
    /// What to call it.
    pub name: &'a str,
    /// Items.
    pub csv: &'a [u8],
    /// Tax codes, where items name some.
    pub taxes: Option<&'a [u8]>,
    /// The currency of the prices.
    pub currency: Currency,
}

/// Imports a CSV, publishes it and makes it count.
pub async fn import(node: &Node, goods: &Goods<'_>) -> Result<PublishedBundle, ShelfError> {
    let follows = !node.members().headquarters().is_empty();
    if follows && !toko_crdt::mutant!("import-over-headquarters") {
        return Err(ShelfError::FollowsHeadquarters);
    }
    let not_kept = |problem: &dyn std::fmt::Display| ShelfError::NotKept(problem.to_string());
    let published =
        node.read(|kv| views::bundles_published(kv, KIND)).map_err(|problem| not_kept(&problem))?;
    let (op, blob) = bundle_of(goods, &published)?;
    let hash = Hash(op.blob);
    node.blob_put(blob).await.map_err(|problem| not_kept(&problem))?;
    append(node, What::BundlePublished(op)).await.map_err(|problem| not_kept(&problem))?;
    activate(node, hash).await.map_err(|problem| not_kept(&problem))?;
    let shown = node.read(shown).map_err(|problem| not_kept(&problem))?;
    shown.ok_or_else(|| ShelfError::NotKept("it is set aside, see hubctl parked".into()))
}

/// A CSV as a bundle. The catalogue itself, as large again, is gone by the time that others read the bundle.
fn bundle_of(
    goods: &Goods<'_>,
    published: &[PublishedBundle],
) -> Result<(BundlePublishedV1, Vec<u8>), ShelfError> {
    let taxes = goods.taxes.map(import_taxes).transpose()?.unwrap_or_default();
    let catalogue = Catalogue::import(goods.csv, goods.currency, &taxes)?;
    Ok(bundle::publish_catalogue(&catalogue, goods.name, published)?)
}

/// The bundle that counts, with what was said when it was published.
pub fn shown(kv: &dyn KvRead) -> Result<Option<PublishedBundle>, KvError> {
    let Some(active) = views::bundle_active(kv, KIND)? else { return Ok(None) };
    let published = views::bundles_published(kv, KIND)?;
    Ok(published.into_iter().find(|bundle| bundle.blob == active.blob))
}

/// Fetches the catalogue that counts and the one that will. Whether one of them is not to be had.
pub(crate) async fn fetch(node: &Node) -> Result<bool, String> {
    let (active, published) = node.read(state).map_err(|problem| problem.to_string())?;
    let head = head(&published, &node.members()).map(|bundle| bundle.blob);
    let mut lacking = false;
    for blob in active.map(|active| active.blob).into_iter().chain(head) {
        let got = node.blob(&blob).await.map_err(|problem| problem.to_string())?;
        lacking |= got.is_none();
    }
    Ok(lacking)
}

/// Follows what is published, until it is told to stop.
pub async fn follow(node: Node, stop: CancellationToken) {
    let mut changed = node.changed();
    let mut told = None;
    while !stop.is_cancelled() {
        changed.mark_unchanged();
        let pause = match next(&node).await {
            Ok(()) => Duration::from_secs(60),
            Err(err) => {
                if told.as_ref() != Some(&err) {
                    warn!(%err, "a published catalogue waits");
                    told = Some(err);
                }
                Duration::from_secs(2)
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            news = changed.changed() => if news.is_err() { break },
            () = sleep_until(Instant::now() + pause) => {}
        }
    }
}

/// Activates the head of the chain, once its blob is here and reads as a catalogue.
async fn next(node: &Node) -> Result<(), String> {
    let words = |problem: &dyn std::fmt::Display| problem.to_string();
    if !node.is_hub() {
        return Ok(());
    }
    let (active, published) = node.read(state).map_err(|problem| words(&problem))?;
    let Some(head) = head(&published, &node.members()) else { return Ok(()) };
    if active.as_ref().is_some_and(|active| active.blob == head.blob) {
        return Ok(());
    }
    let Some(bytes) = node.blob(&head.blob).await.map_err(|problem| words(&problem))? else {
        return Err(format!("bundle {} is not here yet", head.blob.short()));
    };
    let catalogue =
        Catalogue::decode(&bytes).map_err(|problem| format!("bundle {}: {problem}", head.blob.short()))?;
    info!(bundle = %head.blob.short(), items = catalogue.len(), name = %head.name, "a new catalogue counts");
    activate(node, head.blob).await
}

async fn activate(node: &Node, blob: Hash) -> Result<(), String> {
    let (active, published) = node.read(state).map_err(|problem| problem.to_string())?;
    match bundle::activate(KIND, blob, &published, active.as_ref()) {
        Ok(op) => append(node, What::BundleActivated(op)).await,
        Err(BundleError::Active(_)) => Ok(()),
        Err(problem) => Err(problem.to_string()),
    }
}

/// Which bundle counts, and all that were published.
fn state(kv: &dyn KvRead) -> Result<(Option<ActiveBundle>, Vec<PublishedBundle>), KvError> {
    Ok((views::bundle_active(kv, KIND)?, views::bundles_published(kv, KIND)?))
}

async fn append(node: &Node, what: What) -> Result<(), String> {
    let body = Body::Op(OpV1::new(what).encode());
    node.append(Lane::Books, body, None, Wait::Synced).await.map(drop).map_err(|problem| problem.to_string())
}

/// The newest bundle: one that no other follows. Of several, headquarters' before the hub's, then the later. Where each is
/// followed by another (an old one was published again), the latest of all.
fn head<'a>(published: &'a [PublishedBundle], members: &Members) -> Option<&'a PublishedBundle> {
    let followed: BTreeSet<Hash> = published.iter().filter_map(|bundle| bundle.prev).collect();
    let ours = members.headquarters();
    let rank = |bundle: &&PublishedBundle| (ours.contains(&bundle.author), bundle.at, bundle.effect);
    let heads = published.iter().filter(|bundle| !followed.contains(&bundle.blob));
    heads.max_by_key(rank).or_else(|| published.iter().max_by_key(rank))
}
