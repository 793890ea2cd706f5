//! What goes wrong with whole boxes: copied, put back, replaced, and dark at the worst moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use toko_crdt::frontier::Frontier;

use super::{Pace, RESTART, Trouble};
use crate::sim::cashier::Cashier;
use crate::sim::plan::{Fault, Kind};
use crate::sim::shop::Part;
use crate::sim::swaps::Cut;

/// How long whoever cannot do a thing now waits.
const LATER: Duration = Duration::from_secs(2);

impl Trouble {
    /// Whoever is aimed at loses power, at its worst, once another has something new of it; or is killed while it prints.
    pub(super) async fn strike(&mut self) {
        let moved = |(nth, before): (&usize, &Frontier)| {
            let now = self.shop.seen_of(*nth)?;
            (!before.covers(&now)).then_some(*nth)
        };
        let hit: Vec<usize> = self.aimed.iter().filter_map(moved).collect();
        for nth in hit {
            self.aimed.remove(&nth);
            self.shop.cut_power(nth, Cut::Worst).await;
            self.to_start.insert(nth, Instant::now() + RESTART);
        }
        let prints = |nth: &usize| self.shop.printer.has_a_page_of(*nth) && self.shop.running(*nth).is_some();
        let hit: Vec<usize> = self.at_a_page.iter().copied().filter(prints).collect();
        for nth in hit {
            self.at_a_page.remove(&nth);
            self.shop.stations[nth].host.kill();
            self.shop.drop_dead(nth).await;
            self.to_start.insert(nth, Instant::now() + RESTART);
        }
    }

    /// The hub seals now and then, and everybody prunes below what others found equal.
    pub(super) async fn let_the_hub_seal(&self) {
        for nth in self.shop.used().filter(|nth| self.shop.part(*nth) == Part::Hub) {
            if let Some(node) = self.shop.running(nth) {
                // A hub that was replaced, or whose disk is full, seals nothing; the next one comes soon.
                let _ = node.seal().await;
            }
        }
    }

    /// Begins what is about whole boxes.
    pub(super) async fn swap(&mut self, mut fault: Fault, now: Instant) {
        let office = self.shop.office();
        match fault.kind {
            Kind::Clone => {
                fault.host = 1 + fault.host % (office - 1);
                let Some(twin) = self.shop.clone_till(fault.host).await else { return };
                let Pace { seed, customers } = self.pace;
                let cashier =
                    Cashier::new(Arc::clone(&self.shop), twin, seed, customers, self.closing.clone());
                self.cashiers.spawn(cashier.work());
                self.to_start.insert(twin, now);
                // At first the copy is on its own.
                fault.host = twin;
            }
            Kind::Restore | Kind::HqRestored => {
                fault.host = if fault.kind == Kind::Restore { fault.host % office } else { office };
                if self.shop.running(fault.host).is_none() {
                    return;
                }
                self.copies.insert(fault.number, self.shop.stations[fault.host].host.image());
            }
            Kind::HubReplaced => {
                let Some(heir) =
                    self.shop.spare().filter(|_| self.shop.part(0) == Part::Hub && self.heir.is_none())
                else {
                    return;
                };
                fault.host = 0;
                self.shop.stations[0].host.kill();
                self.shop.drop_dead(0).await;
                self.shop.set_part(0, Part::Nothing);
                self.to_start.remove(&0);
                self.aimed.remove(&0);
                self.heir = Some((heir, now));
            }
            _ => return,
        }
        *self.done.entry(fault.kind).or_default() += 1;
        self.going_on.push((now + fault.lasts, fault));
    }

    /// Puts a copy of a disk back, where nobody stands there.
    pub(super) async fn put_back(&mut self, fault: &Fault) {
        let Some(image) = self.copies.remove(&fault.number) else { return };
        if self.shop.part(fault.host) == Part::Nothing {
            return;
        }
        let shop = Arc::clone(&self.shop);
        let free = shop.stations[fault.host].counter.try_lock();
        let Ok(_nobody) = free else {
            // A customer is being served. Later, if the doors are still open.
            if !self.closing.is_cancelled() {
                self.copies.insert(fault.number, image);
                self.going_on.push((Instant::now() + LATER, fault.clone()));
            }
            return;
        };
        self.shop.put_back(fault.host, &image).await;
        self.to_start.insert(fault.host, Instant::now() + RESTART);
    }

    /// The box that is to become the hub asks whoever is there, again and again.
    pub(super) async fn succeed(&mut self, now: Instant) {
        let Some((heir, at)) = self.heir.filter(|(_, at)| *at <= now) else { return };
        if self.shop.succeed(heir).await.is_ok() {
            self.heir = None;
            self.to_start.insert(heir, Instant::now());
        } else {
            self.heir = Some((heir, at.max(Instant::now()) + LATER));
        }
    }
}
