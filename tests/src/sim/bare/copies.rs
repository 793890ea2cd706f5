//! Disks that are copied, and disks that go back: two boxes with one key, and one that has forgotten.

use toko_mesh::sim_disk::Dice;

use super::node::Death;
use super::{Bare, Fault, Kind, Next};

/// How many boxes may come to a shop by being copied.
const COPIES_MAX: usize = 2;

impl Bare {
    /// A terminal's disk is copied into another box. Both go on, at first without hearing of each other; where the dice are
    /// copied along, they draw the same run.
    pub(super) fn copy(&mut self, fault: Fault) {
        let host = 1 + fault.host % self.tills;
        let copies = self.links.nodes.len() - (self.tills + 2);
        if copies >= COPIES_MAX || !self.links.is_up(host) {
            return;
        }
        let dice_too = fault.kind == Kind::Fork;
        let nth = self.links.nodes.len();
        if dice_too {
            // Both begin from one image, as a machine does that was stopped for it.
            self.links.kill(host);
            self.links.nodes[host].die(Death::Killed);
        }
        let twin = self.links.nodes[host].copied(nth, dice_too);
        self.links.add(twin);
        self.goes_on(Fault { host, ..fault });
        self.back(host);
        self.back(nth);
        let first = self.links.now + self.pause();
        self.note(first, Next::Customer { till: nth, left: u64::MAX });
    }

    /// Somebody makes a copy of a disk; at the end of the fault it is put back.
    pub(super) fn back_up(&mut self, fault: Fault) {
        let office = self.tills + 1;
        let host = if fault.kind == Kind::HqRestored { office } else { fault.host % office };
        if !self.links.is_up(host) || self.went_back.contains(&host) {
            return;
        }
        self.links.nodes[host].back_up();
        self.goes_on(Fault { host, ..fault });
    }

    /// The copy is put back: what this box alone had since then is gone, and nobody can demand it.
    pub(super) fn restore(&mut self, host: usize) {
        if !self.links.nodes[host].go_back() {
            return;
        }
        self.links.kill(host);
        self.went_back.insert(host);
        let own: Vec<_> = self.ledger.effects().iter().filter(|(_, effect)| effect.till == host).collect();
        let nodes = &self.links.nodes;
        let held = |id| nodes.iter().enumerate().any(|(nth, node)| nth != host && node.has(id));
        let alone: Vec<_> = own.into_iter().map(|(id, _)| *id).filter(|id| !held(*id)).collect();
        alone.into_iter().for_each(|id| self.ledger.doubt(id));
        // Its dice go on: a box that was put back draws other numbers than before.
        let again = self.links.now + i64::try_from(Dice::new(host as u64).below(1_000_000)).unwrap_or(0);
        self.note(again, Next::Back(host));
    }
}
