//! The daily seal, and how seals are shown to a person.

use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use toko_crdt::clock::UnixMicros;
use toko_crdt::member::Members;
use toko_daemon::settings::Millis;
use toko_mesh::node::{Node, SealStatus};
use toko_mesh::store::Verdict;
use tracing::{error, warn};

use crate::answers::name_of;

/// How often the hub looks whether a seal is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Seals whenever the last seal is older than `every` and something happened since.
pub(crate) async fn keep(node: Node, every: Millis, stop: CancellationToken) {
    let mut ticks = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let due = node.seals().map(|seals| is_due(&seals, entries_of(&node), now(), every));
        match due {
            Ok(false) => {}
            Ok(true) => {
                if let Err(err) = node.seal().await {
                    warn!(%err, "the books were not sealed");
                }
            }
            Err(err) => error!(%err, "seals could not be read"),
        }
    }
}

/// Whether it is time. A clock that was set back counts as time, a seal that says nothing new does not.
fn is_due(seals: &[SealStatus], entries: u64, now: UnixMicros, every: Millis) -> bool {
    let Some(last) = seals.first() else { return entries > 0 };
    let every = i64::try_from(every.0).unwrap_or(i64::MAX).saturating_mul(1_000);
    let old = last.at.is_none_or(|at| now.0.saturating_sub(at.0).saturating_abs() >= every);
    // The seal itself is one entry.
    old && entries > last.entries + 1
}

fn entries_of(node: &Node) -> u64 {
    node.frontier().lines().map(|(_, head)| head.seq).sum()
}

fn now() -> UnixMicros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMicros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// All seals as JSON, newest first.
pub(crate) fn shown(seals: &[SealStatus], members: &Members) -> Value {
    let names = |nodes: &[toko_crdt::NodeId]| -> Vec<String> {
        nodes.iter().map(|node| name_of(members, node)).collect()
    };
    let cards: Vec<Value> = seals
        .iter()
        .map(|seal| {
            json!({
                "seal": seal.entry.to_string(),
                "by": name_of(members, &seal.place.journal.node),
                "at_unix_micros": seal.at.map(|at| at.0),
                "entries": seal.entries,
                "frontier": seal.root.to_string(),
                "books": seal.digests.books.to_string(),
                "floor": seal.digests.floor.to_string(),
                "fold_version": seal.fold_version,
                "here": match seal.verdict {
                    None => "-",
                    Some(Verdict::Equal) => "equal",
                    Some(Verdict::Differs) => "differs",
                    Some(Verdict::OtherBuild) => "other build",
                },
                "headquarters": match seal.countersigned {
                    None => "-",
                    Some(true) => "countersigned",
                    Some(false) => "differs",
                },
                "equal_at": names(&seal.confirmed_by),
                "differs_at": names(&seal.differs_at),
            })
        })
        .collect();
    json!({ "seals": cards })
}
