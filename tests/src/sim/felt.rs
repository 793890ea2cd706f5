//! What was felt of what went wrong: a fault that nobody feels shows nothing, however often it was done.
//!
//! A plan says what is done and [`super::Outcome::faults`] how often it was; here stand the packets, writes, readings of clocks
//! and boxes that fared otherwise for it.

use std::collections::BTreeMap;

use super::host;
use super::plan::Kind;
use super::shop::{Part, Shop};

/// What was felt of each kind. Of cables that were cut both ways nobody can tell from a packet whether a box was on its own or
/// reached all but one, so the two kinds have one count.
pub type Felt = BTreeMap<Kind, u64>;

/// What was felt so far.
#[must_use]
pub fn felt(shop: &Shop) -> Felt {
    let net = shop.net.tally();
    let boxes: Vec<host::Felt> = shop.stations.iter().map(|station| station.host.felt()).collect();
    let sum = |of: fn(&host::Felt) -> u64| boxes.iter().map(of).sum::<u64>();
    let new = |part| (shop.office() + 1..shop.stations.len()).filter(move |nth| shop.part(*nth) == part);
    let went_back = |nth: usize| shop.went_back(nth);
    let printer = shop.printer.felt();
    let all = [
        (Kind::Loss, net.lost),
        (Kind::Delay, net.late),
        (Kind::Double, net.doubled),
        (Kind::Reorder, net.overtaken),
        (Kind::Partition, net.cut),
        (Kind::OneWay, net.cut_one_way),
        (Kind::Partial, net.cut),
        (Kind::Mtu, net.too_long),
        (Kind::Move, net.roamed),
        (Kind::Power, sum(|felt| felt.power)),
        (Kind::Kill, sum(|felt| felt.killed)),
        (Kind::Full, sum(|felt| felt.refused.full)),
        (Kind::Eio, sum(|felt| felt.refused.errors)),
        (Kind::Stall, sum(|felt| felt.stalled)),
        (Kind::Drift, sum(|felt| felt.drifted)),
        (Kind::Jump, sum(|felt| felt.jumped)),
        (Kind::Epoch, sum(|felt| felt.long_ago)),
        (Kind::Clone, new(Part::Till).count() as u64),
        (Kind::Restore, (0..shop.stations.len()).filter(|nth| *nth != shop.office()).map(went_back).sum()),
        (Kind::HubReplaced, new(Part::Hub).count() as u64),
        (Kind::HqRestored, went_back(shop.office())),
        (Kind::PaperOut, printer.out),
        (Kind::PrinterMute, printer.mute),
        (Kind::PrinterOff, printer.off),
    ];
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}
