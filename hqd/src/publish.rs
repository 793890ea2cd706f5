//! Publishing a catalogue: CSV to bundle, bundle to blob, and an entry that names it in headquarters' journal of each store.
//!
//! Bundles form a chain: each names the one that it follows. The store's hub fetches the blob and makes it count.
//! Nothing is published unless the whole file is right.

use serde_json::{Value, json};
use std::sync::Arc;
use toko_crdt::{Body, Hash, KvError, KvRead};
use toko_retail::catalogue::{Catalogue, ImportProblems, import_taxes};
use toko_retail::currency::Currency;
use toko_retail::ops::{BundleKind, BundlePublishedV1, OpV1, What};
use toko_retail::text::check_name;
use toko_retail::views::{self, PublishedBundle};
use tracing::info;

use crate::control::Refusal;
use crate::tenant::Tenant;

/// The longest name of a bundle, in characters.
const NAME_CHARS_MAX: usize = 120;

/// What a person brings.
#[derive(Debug)]
pub(crate) struct Goods {
    /// What to call it.
    pub(crate) name: String,
    /// Items.
    pub(crate) csv: String,
    /// Tax codes, where items name some.
    pub(crate) taxes: Option<String>,
}

/// A file that was read and found right.
struct Bundle {
    name: String,
    bytes: Vec<u8>,
    items: u32,
}

/// Publishes for these stores, all of one currency.
pub(crate) async fn publish(goods: &Goods, stores: &[Arc<Tenant>]) -> Result<Value, Refusal> {
    let [first, rest @ ..] = stores else {
        return Err(Refusal::not_now("no-store", "no store has joined yet; see `hqd stores`"));
    };
    let currency = first.currency();
    if let Some(other) = rest.iter().find(|store| store.currency() != currency) {
        let words = format!(
            "{} sells in {currency} and {} in {}; publish for each with --store",
            first.name(),
            other.name(),
            other.currency()
        );
        return Err(Refusal::asked_wrongly("currencies-differ", words));
    }
    let bundle = read(goods, currency)?;
    let mut done: Vec<String> = Vec::new();
    let mut blob = Hash::ZERO;
    for store in stores {
        match publish_one(&bundle, store).await {
            Ok(hash) => blob = hash,
            Err(refusal) if done.is_empty() => return Err(refusal),
            Err(refusal) => {
                let words = format!("published for {}, but not for {}", done.join(", "), store.name());
                return Err(refusal.after(&words));
            }
        }
        done.push(store.name());
    }
    Ok(json!({ "name": bundle.name, "items": bundle.items, "bundle": blob.to_string(), "stores": done }))
}

fn read(goods: &Goods, currency: Currency) -> Result<Bundle, Refusal> {
    let wrong = |problems: ImportProblems| {
        Refusal::asked_wrongly("bad-csv", format!("nothing was published:\n{problems}"))
    };
    check_name("the name", &goods.name, NAME_CHARS_MAX)
        .map_err(|problem| Refusal::asked_wrongly("bad-name", problem.to_string()))?;
    let taxes = goods.taxes.as_deref().map(|csv| import_taxes(csv.as_bytes())).transpose().map_err(wrong)?;
    let catalogue =
        Catalogue::import(goods.csv.as_bytes(), currency, &taxes.unwrap_or_default()).map_err(wrong)?;
    let items = u32::try_from(catalogue.len()).unwrap_or(u32::MAX);
    Ok(Bundle { name: goods.name.clone(), bytes: catalogue.encode(), items })
}

async fn publish_one(bundle: &Bundle, store: &Tenant) -> Result<Hash, Refusal> {
    let Some(books) = store.books() else {
        let words = format!("{} has not joined yet; see `hqd stores`", store.name());
        return Err(Refusal::not_now("not-joined", words));
    };
    let not_kept = |problem: &dyn std::fmt::Display| {
        Refusal::failed(format!("the catalogue was not kept for {}; check the disk", store.name()), problem)
    };
    let blob = books.blob_put(bundle.bytes.clone()).await.map_err(|problem| not_kept(&problem))?;
    let prev = books.read(|kv| newest(kv, books.id()))?.map(|bundle| bundle.blob);
    let published = What::BundlePublished(BundlePublishedV1 {
        kind: BundleKind::Catalogue,
        blob: blob.0,
        prev: prev.filter(|prev| *prev != blob).map(|prev| prev.0),
        bytes: bundle.bytes.len() as u64,
        items: bundle.items,
        name: bundle.name.clone(),
    });
    let body = Body::Op(OpV1::new(published).encode());
    books.append(body).await.map_err(|problem| not_kept(&problem))?;
    info!(store = %store.name(), bundle = %blob.short(), items = bundle.items, "a catalogue was published");
    Ok(blob)
}

/// The newest bundle of headquarters' own; where it has published none, the newest of all.
pub(crate) fn newest(
    kv: &dyn KvRead,
    headquarters: toko_crdt::NodeId,
) -> Result<Option<PublishedBundle>, KvError> {
    let published = views::bundles_published(kv, BundleKind::Catalogue)?;
    let rank = |bundle: &PublishedBundle| (bundle.author == headquarters, bundle.at, bundle.effect);
    Ok(published.into_iter().max_by_key(rank))
}

/// The newest bundle as status shows it, and whether the store has made it count.
pub(crate) fn shown(kv: &dyn KvRead, headquarters: toko_crdt::NodeId) -> Result<Option<Value>, KvError> {
    let active = views::bundle_active(kv, BundleKind::Catalogue)?;
    let shown = |bundle: PublishedBundle| {
        json!({
            "name": bundle.name,
            "items": bundle.items,
            "bundle": bundle.blob.to_string(),
            "active": active.is_some_and(|active| active.blob == bundle.blob),
        })
    };
    Ok(newest(kv, headquarters)?.map(shown))
}
