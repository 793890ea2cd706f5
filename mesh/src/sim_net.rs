//! A network in memory that loses, delays, doubles and reorders like a real one: real QUIC runs over it.
//!
//! Purpose: partitions, bad cables and roaming at an exact moment, the same each time for one seed. It lives on tokio's
//! clock, which a simulation holds: a second passes when nobody has anything left to do in this one.
//!
//! Invariants: what happens to a packet depends on the seed, on who sent how many packets before, and on the weather; never
//! on its bytes, which differ from run to run since every handshake draws new keys. A host that is off neither sends nor
//! hears. [`SimNet::trace`] is a hash over times, ends, lengths and fates of all packets so far.
//!
//! Absent on purpose: bandwidth and queues; a shop's LAN has more of it than a shop can use.

mod socket;

use crate::endpoint::{BindError, Endpoint};
use crate::sim_disk::Dice;
use quinn::TokioRuntime;
use quinn::udp::EcnCodepoint;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use toko_crdt::sign::SecretKey;

/// Packets that may wait in a socket; more are lost, as a kernel's buffer loses them.
const WAITING_MAX: usize = 1_024;
/// Where the ports begin that nobody asked for by number.
const FIRST_FREE_PORT: u16 = 40_000;

/// A network. Clones are handles of the same one.
#[derive(Clone)]
pub struct SimNet {
    inner: Arc<Inner>,
}

/// How packets fare on their way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Weather {
    /// Of a thousand packets, so many are lost.
    pub loss: u16,
    /// Of a thousand packets, so many arrive twice.
    pub double: u16,
    /// The least that a packet takes.
    pub delay: Duration,
    /// And how much more it may take: packets overtake each other by so much.
    pub jitter: Duration,
    /// Longer packets are lost in silence.
    pub bytes_max: usize,
}

/// What became of packets so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Sent, all told.
    pub sent: u64,
    /// Lost to the weather.
    pub lost: u64,
    /// Arrived twice.
    pub doubled: u64,
    /// Took longer than any does in fine weather.
    pub late: u64,
    /// Were overtaken by one that the same socket sent to the same one after it, by more than happens in fine weather.
    pub overtaken: u64,
    /// Lost to a cable that is cut both ways.
    pub cut: u64,
    /// Lost to one that is cut this way only.
    pub cut_one_way: u64,
    /// Lost because nobody was there, or nobody who had room.
    pub unheard: u64,
    /// Came from or went to a host that has another address than it had, and arrived.
    pub roamed: u64,
    /// Lost because they were too long.
    pub too_long: u64,
    /// Bytes sent.
    pub bytes: u64,
}

struct Inner {
    state: Mutex<State>,
    /// Something was sent that is due before whatever was due first.
    sent: Notify,
    began: Instant,
}

struct State {
    dice: Dice,
    ports: BTreeMap<SocketAddr, Port>,
    due: BinaryHeap<Reverse<(Instant, u64)>>,
    flying: BTreeMap<u64, Packet>,
    next: u64,
    weather: Weather,
    /// Hosts with weather of their own, whichever way a packet goes.
    local: BTreeMap<IpAddr, Weather>,
    cut: BTreeSet<(IpAddr, IpAddr)>,
    off: BTreeSet<IpAddr>,
    /// Where a host moved to: its sockets go on under the new address.
    moved: BTreeMap<IpAddr, IpAddr>,
    /// When the last packet from one socket to another is due.
    last: BTreeMap<(SocketAddr, SocketAddr), Instant>,
    tally: Tally,
    trace: u64,
}

struct Port {
    /// Which socket's it is: one that was killed may have a successor at its address.
    socket: u64,
    waiting: VecDeque<Packet>,
    waker: Option<Waker>,
}

struct Packet {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
    ecn: Option<EcnCodepoint>,
}

impl Weather {
    /// A LAN on a good day.
    pub const FINE: Self = Self {
        loss: 0,
        double: 0,
        delay: Duration::from_micros(300),
        jitter: Duration::from_micros(700),
        bytes_max: 1_500,
    };
}

impl SimNet {
    /// A network in fine weather, and its clock starts now. Somebody must [`SimNet::deliver`].
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State {
            dice: Dice::new(seed),
            ports: BTreeMap::new(),
            due: BinaryHeap::new(),
            flying: BTreeMap::new(),
            next: 0,
            weather: Weather::FINE,
            local: BTreeMap::new(),
            cut: BTreeSet::new(),
            off: BTreeSet::new(),
            moved: BTreeMap::new(),
            last: BTreeMap::new(),
            tally: Tally::default(),
            trace: 0xcbf2_9ce4_8422_2325,
        };
        let inner = Inner { state: Mutex::new(state), sent: Notify::new(), began: Instant::now() };
        Self { inner: Arc::new(inner) }
    }

    /// Binds a socket. Port 0 takes any; with a key the socket speaks as the one that was perhaps killed here before.
    /// `seed` decides what QUIC draws for it.
    pub fn endpoint(
        &self,
        listen: SocketAddr,
        key: Option<&SecretKey>,
        seed: [u8; 32],
    ) -> Result<Endpoint, BindError> {
        let mut config = key.map_or_else(quinn::EndpointConfig::default, Endpoint::config_again);
        config.rng_seed(Some(seed)).grease_quic_bit(false);
        let socket = socket::Socket::bind(self, listen)?;
        Endpoint::over(Arc::new(socket), Arc::new(TokioRuntime), config)
    }

    /// Carries packets, for ever: a task of its own, that goes with the runtime.
    pub async fn deliver(self) {
        loop {
            let next = self.lock().due.peek().map(|due| due.0.0);
            match next {
                None => self.inner.sent.notified().await,
                Some(due) => tokio::select! {
                    biased;
                    () = self.inner.sent.notified() => {}
                    () = sleep_until(due) => self.hand_over(),
                },
            }
        }
    }

    /// The weather everywhere, but at hosts that have their own.
    pub fn set_weather(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    /// The weather at one host, or none of its own.
    pub fn set_weather_at(&self, host: IpAddr, weather: Option<Weather>) {
        let mut state = self.lock();
        match weather {
            Some(weather) => state.local.insert(host, weather),
            None => state.local.remove(&host),
        };
    }

    /// Packets from one host to the other get lost from now on, or no longer. The other way is another matter.
    pub fn set_cut(&self, from: IpAddr, to: IpAddr, cut: bool) {
        let mut state = self.lock();
        if cut {
            state.cut.insert((from, to))
        } else {
            state.cut.remove(&(from, to))
        };
    }

    /// Every cut is mended, and the weather is fine again. Hosts that are off stay off.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.cut.clear();
        state.local.clear();
        state.weather = Weather::FINE;
    }

    /// A host's power goes: nothing that its sockets send leaves, and they hear nothing any more.
    pub fn switch_off(&self, host: IpAddr) {
        let mut state = self.lock();
        let host = state.now_at(host);
        state.off.insert(host);
        state.ports.retain(|addr, _| addr.ip() != host);
    }

    /// A host's power is back. Its sockets are to be bound again.
    pub fn switch_on(&self, host: IpAddr) {
        let mut state = self.lock();
        // It went off under the address that it had then.
        let before = state.now_at(host);
        state.off.remove(&before);
        state.off.remove(&host);
        state.moved.remove(&host);
    }

    /// A host gets another address, in the middle of whatever it does. Its sockets go on; nobody is at the old address.
    pub fn move_host(&self, host: IpAddr, to: IpAddr) {
        let mut state = self.lock();
        let before = state.now_at(host);
        state.moved.insert(host, to);
        let ports: Vec<SocketAddr> = state.ports.keys().filter(|addr| addr.ip() == before).copied().collect();
        for port in ports {
            if let Some(moved) = state.ports.remove(&port) {
                state.ports.insert(SocketAddr::new(to, port.port()), moved);
            }
        }
    }

    /// The address that a host has now.
    #[must_use]
    pub fn now_at(&self, host: IpAddr) -> IpAddr {
        self.lock().now_at(host)
    }

    /// Time on this network's clock.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.inner.began.elapsed()
    }

    /// What became of packets so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.lock().tally
    }

    /// A hash over all that happened here, and over what [`SimNet::note`] was told.
    #[must_use]
    pub fn trace(&self) -> u64 {
        self.lock().trace
    }

    /// Mixes something that happened elsewhere into the trace, at this moment.
    pub fn note(&self, words: &[u64]) {
        let at = micros(self.elapsed());
        let mut state = self.lock();
        state.mix(at);
        for word in words {
            state.mix(*word);
        }
    }

    /// Whatever is due reaches its socket.
    fn hand_over(&self) {
        let now = Instant::now();
        let mut wakers = Vec::new();
        let mut state = self.lock();
        while state.due.peek().is_some_and(|due| due.0.0 <= now) {
            let Some(Reverse((_, number))) = state.due.pop() else { break };
            let Some(packet) = state.flying.remove(&number) else { continue };
            if state.loses(packet.from.ip(), packet.to.ip()) {
                continue;
            }
            let roamed = [packet.from, packet.to].iter().any(|end| state.roams(end.ip()));
            match state.ports.get_mut(&packet.to) {
                Some(port) if port.waiting.len() < WAITING_MAX => {
                    port.waiting.push_back(packet);
                    wakers.extend(port.waker.take());
                    state.tally.roamed += u64::from(roamed);
                }
                _ => state.tally.unheard += 1,
            }
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn now_at(&self, host: IpAddr) -> IpAddr {
        self.moved.get(&host).copied().unwrap_or(host)
    }

    /// Whether a host has this address now that it did not begin with.
    fn roams(&self, addr: IpAddr) -> bool {
        self.moved.iter().any(|(host, now)| *now == addr && *host != addr)
    }

    /// Whether nothing comes from there to here now, counted.
    fn loses(&mut self, from: IpAddr, to: IpAddr) -> bool {
        let [there, back] = [(from, to), (to, from)].map(|way| self.cut.contains(&way));
        let off = [from, to].iter().any(|end| self.off.contains(end));
        self.tally.cut += u64::from(there && back);
        self.tally.cut_one_way += u64::from(there && !back);
        self.tally.unheard += u64::from(off && !there);
        there || off
    }

    /// The worse of what the two ends and the sky say.
    fn weather_between(&self, from: IpAddr, to: IpAddr) -> Weather {
        let local = |host| self.local.get(&host).copied().unwrap_or(self.weather);
        let (a, b) = (local(from), local(to));
        Weather {
            loss: a.loss.max(b.loss),
            double: a.double.max(b.double),
            delay: a.delay.max(b.delay),
            jitter: a.jitter.max(b.jitter),
            bytes_max: a.bytes_max.min(b.bytes_max),
        }
    }

    /// Takes a packet on its way. Whether anybody must look at the clock again.
    fn post(&mut self, elapsed: Duration, now: Instant, packet: Packet) -> bool {
        let weather = self.weather_between(packet.from.ip(), packet.to.ip());
        // The dice are thrown for every packet alike, so that one fate does not change the others.
        let [loss, double, first, second] = [(); 4].map(|()| self.dice.below(1_000_000));
        self.tally.sent += 1;
        self.tally.bytes += packet.bytes.len() as u64;
        let fate = if self.loses(packet.from.ip(), packet.to.ip()) {
            1
        } else if packet.bytes.len() > weather.bytes_max {
            self.tally.too_long += 1;
            2
        } else if loss < u64::from(weather.loss) * 1_000 {
            self.tally.lost += 1;
            3
        } else {
            0
        };
        let ends = u64::from(host_number(packet.from.ip())) << 32 | u64::from(host_number(packet.to.ip()));
        for word in [micros(elapsed), ends, packet.bytes.len() as u64, fate] {
            self.mix(word);
        }
        if fate != 0 {
            return false;
        }
        let took =
            |share: u64| weather.delay + weather.jitter * u32::try_from(share).unwrap_or(0) / 1_000_000;
        self.time(now + took(first), now, &packet);
        if double < u64::from(weather.double) * 1_000 {
            self.tally.doubled += 1;
            let again = Packet { bytes: packet.bytes.clone(), ..packet };
            self.fly(now + took(second), again);
        }
        self.fly(now + took(first), packet);
        true
    }

    /// Counts what does not happen to a packet on a good day.
    fn time(&mut self, due: Instant, now: Instant, packet: &Packet) {
        const USUAL: Duration = Weather::FINE.delay.saturating_add(Weather::FINE.jitter);
        self.tally.late += u64::from(due > now + USUAL);
        let last = self.last.entry((packet.from, packet.to)).or_insert(due);
        self.tally.overtaken += u64::from(*last > due + USUAL);
        *last = due.max(*last);
    }

    fn fly(&mut self, due: Instant, packet: Packet) {
        self.due.push(Reverse((due, self.next)));
        self.flying.insert(self.next, packet);
        self.next += 1;
    }

    fn mix(&mut self, word: u64) {
        for byte in word.to_be_bytes() {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// The last four bytes of an address.
fn host_number(host: IpAddr) -> u32 {
    match host {
        IpAddr::V4(ip) => u32::from(ip),
        IpAddr::V6(ip) => {
            let [.., a, b, c, d] = ip.octets();
            u32::from_be_bytes([a, b, c, d])
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl fmt::Debug for SimNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimNet").field("tally", &self.tally()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
