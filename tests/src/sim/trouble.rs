//! Whoever makes things go wrong: works a plan off, and starts again what fell over, as systemd does.

mod boxes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use toko_crdt::frontier::Frontier;
use toko_mesh::sim_disk::Faults;
use toko_mesh::sim_net::Weather;
use toko_mesh::store::SaveError;

use super::host::{Image, SYNC, address};
use super::plan::{Fault, Kind};
use super::printer::Wrong;
use super::shop::{Part, Shop};
use super::swaps::Cut;

/// How long systemd takes to start again what ended.
const RESTART: Duration = Duration::from_millis(300);
/// How often each node is asked whether it still saves.
const PROBE: Duration = Duration::from_secs(1);
/// How often somebody who waits for a bad moment looks.
const AIM_EVERY: Duration = Duration::from_millis(2);
/// How often somebody who waits for a page does.
const PAGE_EVERY: Duration = Duration::from_millis(150);
/// How much room a disk that fills up still has at most, and how long it takes at least until somebody makes room: the log
/// has space ahead, so that a short while is never felt.
const ROOM_BYTES: u64 = 32 << 10;
const FULL_FOR: Duration = Duration::from_secs(120);
/// Of so many writes or syncs to come one fails, and how long it is waited for at least: a till writes when somebody buys.
const FAILS_WITHIN: u64 = 6;
const FAILS_FOR: Duration = Duration::from_secs(30);
/// How long it takes at least until somebody looks after the printer.
const UNLOOKED_FOR: Duration = Duration::from_secs(40);
/// How often the hub seals.
const SEAL_EVERY: Duration = Duration::from_secs(50);
/// How often a blank box is made a hub at the end, where all is well.
const HEIR_TRIES: usize = 3;

/// Works the plan off until the doors close, then mends everything.
#[derive(Debug)]
pub struct Trouble {
    shop: Arc<Shop>,
    /// What is still to come, the next one last.
    coming: Vec<Fault>,
    /// What goes on now, and until when.
    going_on: Vec<(Instant, Fault)>,
    /// Boxes that are to be started, and when.
    to_start: BTreeMap<usize, Instant>,
    /// Boxes whose power goes as soon as another has something new of them, and what others had when it was decided.
    aimed: BTreeMap<usize, Frontier>,
    /// Boxes whose hub is killed as soon as a page of it is under way.
    at_a_page: BTreeSet<usize>,
    /// Copies of disks, by the fault that puts them back.
    copies: BTreeMap<usize, Image>,
    /// The box that is to become the hub, and when that is tried next.
    heir: Option<(usize, Instant)>,
    /// How cashiers work, for those at copied terminals.
    pace: Pace,
    cashiers: JoinSet<()>,
    closing: CancellationToken,
    /// When the hub seals next.
    seal: Instant,
    /// How often each kind was done.
    done: BTreeMap<Kind, u64>,
    opened: Instant,
}

/// How cashiers work.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Everything follows from it.
    pub seed: u64,
    /// The mean time between two customers, and how many there are at most.
    pub customers: (Duration, u64),
}

/// What came of it.
#[derive(Debug)]
pub struct Done {
    /// How often each kind happened.
    pub faults: BTreeMap<Kind, u64>,
    /// Cashiers at terminals that were not there in the morning.
    pub cashiers: JoinSet<()>,
}

impl Trouble {
    /// This plan for this shop; its doors open now.
    #[must_use]
    pub fn new(shop: Arc<Shop>, mut plan: Vec<Fault>, pace: Pace, closing: CancellationToken) -> Self {
        plan.sort_by_key(|fault| std::cmp::Reverse((fault.at, fault.number)));
        Self {
            shop,
            coming: plan,
            going_on: Vec::new(),
            to_start: BTreeMap::new(),
            aimed: BTreeMap::new(),
            at_a_page: BTreeSet::new(),
            copies: BTreeMap::new(),
            heir: None,
            pace,
            cashiers: JoinSet::new(),
            closing,
            seal: Instant::now() + SEAL_EVERY,
            done: BTreeMap::new(),
            opened: Instant::now(),
        }
    }

    /// Until the doors close.
    pub async fn work(mut self) -> Done {
        let closing = self.closing.clone();
        let mut probe = Instant::now() + PROBE;
        loop {
            let now = Instant::now();
            self.begin_and_end(now).await;
            if now >= probe {
                self.look_after().await;
                probe = now + PROBE;
            }
            self.strike().await;
            if now >= self.seal {
                self.seal = now + SEAL_EVERY;
                self.let_the_hub_seal().await;
            }
            let aim = match (self.aimed.is_empty(), self.at_a_page.is_empty()) {
                (false, _) => Instant::now() + AIM_EVERY,
                (true, false) => Instant::now() + PAGE_EVERY,
                (true, true) => probe,
            };
            let next = self.next().min(probe).min(aim);
            tokio::select! {
                biased;
                () = closing.cancelled() => break,
                () = sleep_until(next) => {}
            }
        }
        self.mend().await;
        Done { faults: self.done, cashiers: self.cashiers }
    }

    fn next(&self) -> Instant {
        let coming = self.coming.last().map(|fault| self.opened + fault.at);
        let ends = self.going_on.iter().map(|(until, _)| *until);
        let starts = self.to_start.values().copied();
        let heir = self.heir.map(|(_, at)| at);
        coming
            .into_iter()
            .chain(ends)
            .chain(starts)
            .chain(heir)
            .min()
            .unwrap_or_else(|| Instant::now() + PROBE)
    }

    async fn begin_and_end(&mut self, now: Instant) {
        let mut changed = false;
        while self.coming.last().is_some_and(|fault| self.opened + fault.at <= now) {
            let Some(fault) = self.coming.pop() else { break };
            self.begin(fault, now).await;
            changed = true;
        }
        let (over, going_on) =
            std::mem::take(&mut self.going_on).into_iter().partition(|(until, _)| *until <= now);
        self.going_on = going_on;
        let over: Vec<(Instant, Fault)> = over;
        for (_, fault) in &over {
            self.end(fault).await;
        }
        if changed || !over.is_empty() {
            self.weather();
        }
        let due: Vec<usize> =
            self.to_start.iter().filter(|(_, at)| **at <= now).map(|(nth, _)| *nth).collect();
        for nth in due {
            self.to_start.remove(&nth);
            if self.shop.start(nth).await.is_err() {
                // Its disk does not let it, which is what is going on there; systemd tries for ever.
                self.to_start.insert(nth, now + RESTART);
            }
        }
        self.succeed(now).await;
    }

    async fn begin(&mut self, fault: Fault, now: Instant) {
        let host = &self.shop.stations[fault.host].host;
        self.shop.net.note(&[fault.number as u64, fault.host as u64]);
        if matches!(
            fault.kind,
            Kind::Clone | Kind::Fork | Kind::Restore | Kind::HubReplaced | Kind::HqRestored
        ) {
            return self.swap(fault, now).await;
        }
        let printer = matches!(fault.kind, Kind::PaperOut | Kind::PrinterMute | Kind::PrinterOff);
        if !printer && self.shop.part(fault.host) == Part::Nothing {
            // It is scrap.
            return;
        }
        *self.done.entry(fault.kind).or_default() += 1;
        let down_for = fault.lasts;
        match fault.kind {
            Kind::Power | Kind::Kill if self.to_start.contains_key(&fault.host) => {}
            Kind::Power if fault.much % 3 == 1 && self.shop.counter(fault.host).is_some() => {
                host.aim(Some(fault.much));
            }
            Kind::Power if fault.much % 3 == 2 && self.shop.running(fault.host).is_some() => {
                if let Some(seen) = self.shop.seen_of(fault.host) {
                    self.aimed.insert(fault.host, seen);
                }
            }
            Kind::Power => {
                self.shop.cut_power(fault.host, Cut::Seeded(fault.much)).await;
                self.to_start.insert(fault.host, now + down_for);
            }
            Kind::Kill if !fault.much.is_multiple_of(3) && self.shop.part(fault.host) == Part::Hub => {
                self.at_a_page.insert(fault.host);
            }
            Kind::Kill => {
                host.kill();
                self.shop.drop_dead(fault.host).await;
                self.to_start
                    .insert(fault.host, now + if fault.much.is_multiple_of(2) { RESTART } else { down_for });
            }
            Kind::Full => {
                let room = fault.much % ROOM_BYTES;
                let capacity = Some(host.disk().bytes_held() + room);
                host.set_faults(Faults { capacity, ..Faults::default() });
            }
            Kind::Eio if fault.much.is_multiple_of(2) => {
                host.set_faults(Faults { fail_sync: Some(fault.much % FAILS_WITHIN), ..Faults::default() });
            }
            Kind::Eio => {
                host.set_faults(Faults { fail_write: Some(fault.much % FAILS_WITHIN), ..Faults::default() });
            }
            Kind::Stall => host.set_sync(Duration::from_millis(100 + fault.much % 8_000)),
            Kind::Drift => host.drift(i64::try_from(fault.much % 20_000).unwrap_or(0) - 10_000),
            Kind::Jump => {
                let days = i64::try_from(fault.much % 8_000).unwrap_or(0) - 4_000;
                host.jump(days * 86_400_000_000);
            }
            Kind::Epoch => {
                host.forget_time();
                // A battery that is empty is found out when the power was gone.
                if fault.much.is_multiple_of(2) && self.shop.running(fault.host).is_some() {
                    self.shop.cut_power(fault.host, Cut::Seeded(fault.much)).await;
                    self.to_start.insert(fault.host, now + RESTART);
                }
            }
            Kind::Move => {
                let nth = u8::try_from(fault.host).unwrap_or(u8::MAX);
                self.shop.net.move_host(host.ip(), address(1 + (fault.much % 3) as u8, nth));
            }
            _ => {}
        }
        let least = match fault.kind {
            Kind::Full => FULL_FOR,
            Kind::Eio => FAILS_FOR,
            _ if printer || self.at_a_page.contains(&fault.host) => UNLOOKED_FOR,
            _ => Duration::ZERO,
        };
        self.going_on.push((now + fault.lasts.max(least), fault));
    }

    async fn end(&mut self, fault: &Fault) {
        let host = &self.shop.stations[fault.host].host;
        match fault.kind {
            Kind::Full | Kind::Eio => host.set_faults(Faults::default()),
            Kind::Stall => host.set_sync(SYNC),
            Kind::Power => {
                host.aim(None);
                self.aimed.remove(&fault.host);
            }
            Kind::Kill => {
                self.at_a_page.remove(&fault.host);
            }
            Kind::Restore | Kind::HqRestored => self.put_back(fault).await,
            Kind::HubReplaced if fault.much.is_multiple_of(2) => {
                // Somebody plugs the old one in again.
                self.shop.set_part(fault.host, Part::Hub);
                self.to_start.insert(fault.host, Instant::now());
            }
            Kind::Drift | Kind::Jump | Kind::Epoch => host.set_right(),
            Kind::Move => self.shop.net.move_host(host.ip(), host.ip()),
            _ => {}
        }
    }

    /// What goes on now decides what the network does.
    fn weather(&self) {
        let net = &self.shop.net;
        net.heal();
        let ip = |nth: usize| net.now_at(self.shop.stations[nth].host.ip());
        let mut local: BTreeMap<usize, Weather> = BTreeMap::new();
        let (mut wrong, mut lurking) = (Wrong::default(), Wrong::default());
        for (_, fault) in &self.going_on {
            let (host, much) = (fault.host, fault.much);
            match fault.kind {
                Kind::Loss => local.entry(host).or_insert(Weather::FINE).loss = 20 + (much % 280) as u16,
                Kind::Delay => {
                    let weather = local.entry(host).or_insert(Weather::FINE);
                    weather.delay = Duration::from_millis(much % 250);
                    weather.jitter = Duration::from_millis(much % 250);
                }
                Kind::Double => local.entry(host).or_insert(Weather::FINE).double = 100 + (much % 400) as u16,
                Kind::Reorder => {
                    local.entry(host).or_insert(Weather::FINE).jitter = Duration::from_millis(5 + much % 60);
                }
                Kind::Mtu => local.entry(host).or_insert(Weather::FINE).bytes_max = 1_200,
                Kind::Partition | Kind::Clone => {
                    for other in (0..self.shop.stations.len()).filter(|other| *other != host) {
                        net.set_cut(ip(host), ip(other), true);
                        net.set_cut(ip(other), ip(host), true);
                    }
                }
                Kind::OneWay => {
                    for other in (0..self.shop.stations.len()).filter(|other| *other != host) {
                        let (from, to) = if much % 2 == 0 { (host, other) } else { (other, host) };
                        net.set_cut(ip(from), ip(to), true);
                    }
                }
                Kind::Partial => {
                    net.set_cut(ip(host), ip(fault.other), true);
                    net.set_cut(ip(fault.other), ip(host), true);
                }
                // Mostly in the middle of a page.
                Kind::PaperOut if much % 4 > 0 => lurking.out = true,
                Kind::PrinterMute if much % 4 > 0 => lurking.mute = true,
                Kind::PrinterOff if much % 4 > 0 => lurking.off = true,
                Kind::PaperOut => wrong.out = true,
                Kind::PrinterMute => wrong.mute = true,
                Kind::PrinterOff => wrong.off = true,
                // One plug for both.
                Kind::Power if self.shop.part(host) == Part::Hub && much.is_multiple_of(2) => {
                    wrong.off = true
                }
                _ => {}
            }
        }
        for (host, weather) in local {
            net.set_weather_at(ip(host), Some(weather));
        }
        self.shop.printer.set(wrong, lurking);
    }

    /// A node that saves nothing any more is started again: on a disk that syncs it sells again. So is a box whose power went
    /// at an answer.
    async fn look_after(&mut self) {
        let used: Vec<usize> = self.shop.used().collect();
        for nth in used {
            let Some(node) = self.shop.running(nth) else {
                self.to_start.entry(nth).or_insert_with(|| Instant::now() + RESTART);
                continue;
            };
            let broken = matches!(node.probe().await, Err(SaveError::Broken { .. } | SaveError::Stopped));
            drop(node);
            if broken {
                self.shop.stations[nth].host.kill();
                self.shop.drop_dead(nth).await;
                self.to_start.insert(nth, Instant::now() + RESTART);
            }
        }
    }

    /// Everything is well again, and everybody is up.
    async fn mend(&mut self) {
        let going_on = std::mem::take(&mut self.going_on);
        self.aimed.clear();
        self.at_a_page.clear();
        for (_, fault) in &going_on {
            self.end(fault).await;
        }
        self.weather();
        self.look_after().await;
        for _ in 0..HEIR_TRIES {
            if let Some((heir, _)) = self.heir {
                self.heir = Some((heir, Instant::now()));
                self.succeed(Instant::now()).await;
            }
        }
        if self.heir.is_some() {
            self.shop.ledger().note("I4: no terminal made a new hub of a blank box".to_owned());
        }
        while let Some((nth, _)) = self.to_start.pop_first() {
            if let Err(closed) = self.shop.start(nth).await {
                self.shop
                    .ledger()
                    .note(format!("I1: box {nth} does not start on a disk that is well: {closed}"));
            }
        }
    }
}
