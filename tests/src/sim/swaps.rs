//! Whole boxes: disks that are copied and put back, power that goes at a chosen moment, a hub that takes another's place.
//!
//! Invariants: what a node said was safe, to its cashier or to another node, is on its disk however its power goes; what one
//! disk alone had and was then put back is nobody's to demand. Nobody puts a disk back while a customer is being served.

use std::sync::Arc;
use std::time::Duration;

use terminal_agent::service::meaning;
use tokio::time::sleep;
use toko_crdt::frontier::Frontier;
use toko_crdt::{EffectId, Run};
use toko_mesh::node::recover::{Places, find_store, succeed};
use toko_mesh::node::{AlertCode, Node};
use toko_mesh::sim_disk::SimDisk;
use toko_mesh::store::{Store, StoreSetup};
use toko_retail::views;

use super::host::{Host, Image};
use super::judge::came;
use super::shop::{Closed, Part, Shop, closed, spot, store_config};

/// How often a hub that took another's place looks whether it has everything.
const LOOK: Duration = Duration::from_millis(200);

/// How power goes.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// This decides what is left of what was not synced.
    Seeded(u64),
    /// Nothing is left of it.
    Worst,
}

impl Shop {
    /// The power of a box goes, whatever runs there with it. What its node said was safe must be on the disk that is left.
    pub async fn cut_power(&self, nth: usize, how: Cut) {
        let claimed = self.running(nth).map(|node| node.frontier());
        let host = &self.stations[nth].host;
        match how {
            Cut::Seeded(seed) => host.cut_power(seed),
            Cut::Worst => host.cut_power_at_its_worst(),
        }
        self.drop_dead(nth).await;
        let Some(claimed) = claimed else { return };
        // A disk that does not open says so at the next start.
        let Some(there) = on_disk(host) else { return };
        for lack in there.lacks(&claimed).into_iter().take(1) {
            let has = |other: &usize| {
                let node = self.running(*other);
                node.is_some_and(|node| {
                    node.frontier().head(&lack.journal).is_some_and(|head| head.seq >= lack.from)
                })
            };
            let others: Vec<usize> = self.used().filter(|other| *other != nth).filter(has).collect();
            self.ledger().note(format!(
                "I1: box {nth} said that {:?} was safe up to {}, and its disk has it up to {}; it is at {others:?} too",
                lack.journal,
                lack.to,
                lack.from - 1,
            ));
        }
    }

    /// What others hold of what a box wrote.
    #[must_use]
    pub fn seen_of(&self, nth: usize) -> Option<Frontier> {
        let author = self.running(nth)?.id();
        let mut seen = Frontier::default();
        for node in self.used().filter(|other| *other != nth).filter_map(|other| self.running(other)) {
            let held = node.frontier();
            seen.join(
                &held.lines().filter(|(journal, _)| journal.node == author).map(|(j, h)| (*j, *h)).collect(),
            );
        }
        Some(seen)
    }

    /// A copy of a terminal begins its life in a box of its own. Nothing where no box is left.
    pub async fn clone_till(&self, nth: usize) -> Option<usize> {
        let twin = self.spare()?;
        self.stations[twin].host.put(&self.stations[nth].host.image());
        self.set_part(twin, Part::Till);
        self.ledger().copied(nth, twin);
        Some(twin)
    }

    /// A terminal that is there twice and of which no hub says so.
    pub async fn unseen_copy(&self) -> Option<String> {
        let pairs = self.ledger().pairs().to_vec();
        for (one, other) in pairs {
            let Some(node) = self.running(one) else { continue };
            let mut told = false;
            for hub in self.used().filter(|nth| self.part(*nth) == Part::Hub) {
                let Some(hub) = self.running(hub) else { continue };
                let Ok(status) = hub.status().await else { continue };
                let seen = [AlertCode::CloneSeen, AlertCode::RestoreSeen];
                told |= status
                    .alerts
                    .iter()
                    .any(|alert| alert.node == Some(node.id()) && seen.contains(&alert.code));
            }
            if !told {
                return Some(format!("I10: boxes {one} and {other} are one terminal, and no hub says so"));
            }
        }
        None
    }

    /// A copy of a box's disks that was made earlier takes their place. It is to be started again.
    pub async fn put_back(&self, nth: usize, image: &Image) {
        self.stations[nth].host.kill();
        self.drop_dead(nth).await;
        self.stations[nth].host.put(image);
        self.goes_back(nth);
        let others: Vec<Node> =
            self.used().filter(|other| *other != nth).filter_map(|other| self.running(other)).collect();
        let mut ledger = self.ledger();
        let own = ledger.effects().iter().filter(|(_, effect)| effect.till == nth).map(|(id, _)| *id);
        for id in own.collect::<Vec<EffectId>>() {
            let elsewhere = others.iter().any(|node| came(node, &ledger, &id));
            ledger.went_back(id, elsewhere);
        }
        let closed_elsewhere = |day: u32| {
            others.iter().any(|node| {
                let days = node.read(|kv| {
                    let mut closed = Vec::new();
                    for known in views::days(kv)? {
                        if !views::day_state(kv, known)?.closings.is_empty() {
                            closed.push(known.number());
                        }
                    }
                    Ok(closed)
                });
                days.is_ok_and(|days| days.contains(&day))
            })
        };
        ledger.reopen_days(closed_elsewhere);
    }

    /// A blank box becomes the hub of the next term, from whoever answers.
    ///
    /// Errors: nobody answers, or the box is too small; it is as blank as before.
    pub async fn succeed(&self, nth: usize) -> Result<(), Closed> {
        let station = &self.stations[nth];
        let recovery =
            self.recovery.clone().ok_or_else(|| Closed("nobody has the recovery code".to_owned()))?;
        let near = self.tills().map(|till| self.stations[till].host.listen()).collect();
        let places = Places { near, ..Places::default() };
        let machine = station.host.machine();
        let found = find_store(&machine, &recovery, &places).await.map_err(closed)?;
        succeed(spot(station), &recovery, &found, &meaning()).map_err(closed)?;
        self.set_part(nth, Part::Hub);
        Ok(())
    }
}

/// What a hub that took another's place does at its start, as `hubd recover` does. Of any other hub it asks nothing. Whether it
/// has its books back.
pub(super) async fn get_back(node: Node) -> bool {
    if !node
        .own_disk()
        .is_ok_and(|disk| disk.list().is_ok_and(|names| names.iter().any(|name| name == "recovering")))
    {
        return true;
    }
    loop {
        let state = node.catch_up();
        if !state.told.is_empty() && state.lacking == 0 {
            break;
        }
        sleep(LOOK).await;
    }
    // What is not kept now is tried again at the next start.
    node.proclaim().await.is_ok() && node.recovered().is_ok()
}

/// What a node would find on the disk of a box as it is now: opened by the product's own code, on a copy.
fn on_disk(host: &Host) -> Option<Frontier> {
    let (root, key, disk): (_, _, SimDisk) = host.found()?;
    let means = meaning();
    let store = Store::open(StoreSetup {
        disk: Arc::new(disk),
        root,
        key,
        mint_run: Box::new(|| Run(0)),
        fold: means.fold,
        scope: means.scope,
        config: store_config(),
    });
    store.ok().map(|store| store.reader().frontier())
}
