//! The cable between two boxes: a UDP relay that can be cut.
//!
//! Invariants: like a router with address translation, it gives each client a socket of its own towards the target, so that
//! the target tells clients apart; a cut drops datagrams both ways, known clients and new ones alike; at most
//! [`CLIENTS_MAX`] clients are remembered, and the one silent for longest gives way.
//!
//! Absent on purpose: any switch in the product. A daemon cannot know that a relay stands before it.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The most clients of one relay.
pub const CLIENTS_MAX: usize = 64;
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// What was passed on, in datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// From clients to the target.
    pub up: u64,
    /// From the target to clients.
    pub down: u64,
    /// Dropped by a cut or by loss.
    pub dropped: u64,
    /// Clients seen so far; one that gave way and comes back counts again.
    pub clients: u64,
}

/// A relay in front of one address. It ends with this value.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    rules: Mutex<Rules>,
    up: AtomicU64,
    down: AtomicU64,
    dropped: AtomicU64,
    clients: AtomicU64,
}

#[derive(Debug, Default)]
struct Rules {
    all: bool,
    ports: BTreeSet<u16>,
    loss_percent: u8,
    weather: Weather,
    dice: u64,
}

/// What a bad line does beside losing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Each datagram waits by dice up to so long, so that later ones overtake it.
    pub delay_ms_max: u16,
    /// So many of a hundred arrive twice.
    pub doubled_percent: u8,
}

/// Datagrams that wait at one time. *Full*: the next does not wait.
const WAITING_MAX: usize = 4_096;

impl Relay {
    /// Starts forwarding from a free port of the loopback to `target`.
    ///
    /// Errors: the operating system gave no socket or no thread.
    pub fn start(target: SocketAddr) -> io::Result<Self> {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), target)
    }

    /// Likewise from a free port of another address of this machine. Its sockets belong to the network namespace of the
    /// thread that calls.
    pub fn start_on(own: IpAddr, target: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind((own, 0))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let shared = Arc::new(Shared::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let threads_share = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name(format!("relay {}", address.port())).spawn(move || {
                runtime.block_on(async move {
                    tokio::select! {
                        _ = stopped => {}
                        // Ends only if the socket cannot be registered; then nothing comes through, which is seen.
                        _ = forward(socket, target, threads_share) => {}
                    }
                });
            })?;
        Ok(Self { shared, address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where clients send to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts everybody.
    pub fn cut_all(&self) {
        self.shared.rules().all = true;
    }

    /// Cuts whoever sends from this port, known or not.
    pub fn cut_client(&self, port: u16) {
        self.shared.rules().ports.insert(port);
    }

    /// Ends one client's cut. Others, and [`Relay::cut_all`], stay.
    pub fn heal_client(&self, port: u16) {
        self.shared.rules().ports.remove(&port);
    }

    /// Ends [`Relay::cut_all`]. Cuts of single clients stay.
    pub fn heal_all(&self) {
        self.shared.rules().all = false;
    }

    /// Drops this share of datagrams each way, by dice that fall the same for the same seed.
    pub fn lose(&self, percent: u8, seed: u64) {
        let mut rules = self.shared.rules();
        rules.loss_percent = percent.min(100);
        rules.dice = seed | 1;
    }

    /// Delays, reorders and doubles datagrams each way, by dice that fall the same for the same seed.
    pub fn disturb(&self, weather: Weather, seed: u64) {
        let mut rules = self.shared.rules();
        rules.weather = weather;
        rules.dice = seed | 1;
    }

    /// What went through so far.
    pub fn counts(&self) -> Counts {
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        let Shared { up, down, dropped, clients, .. } = &*self.shared;
        Counts { up: count(up), down: count(down), dropped: count(dropped), clients: count(clients) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed already.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        // Rules are plain values: whoever panicked left them whole.
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a datagram of this client passes, counting it if not.
    fn passes(&self, client: SocketAddr) -> bool {
        let passes = self.rules().pass(client.port());
        if !passes {
            self.dropped.fetch_add(1, Relaxed);
        }
        passes
    }
}

impl Rules {
    fn pass(&mut self, port: u16) -> bool {
        !self.all && !self.ports.contains(&port) && !self.is_lost()
    }

    fn is_lost(&mut self) -> bool {
        self.loss_percent > 0 && self.roll(100) < u64::from(self.loss_percent)
    }

    /// When a datagram arrives, and when its double, if it has one.
    fn journeys(&mut self) -> (Duration, Option<Duration>) {
        let Weather { delay_ms_max, doubled_percent } = self.weather;
        if self.weather == Weather::default() {
            return (Duration::ZERO, None);
        }
        let is_doubled = self.roll(100) < u64::from(doubled_percent);
        let mut delay = || Duration::from_millis(self.roll(u64::from(delay_ms_max) + 1));
        (delay(), is_doubled.then(delay))
    }

    fn roll(&mut self, sides: u64) -> u64 {
        // xorshift64: no secrets here, only a spread that can be repeated.
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 32) % sides
    }
}

struct Client {
    upstream: Arc<UdpSocket>,
    back: tokio::task::AbortHandle,
    heard: u64,
}

async fn forward(socket: std::net::UdpSocket, target: SocketAddr, shared: Arc<Shared>) -> io::Result<()> {
    let socket = Arc::new(UdpSocket::from_std(socket)?);
    let mut clients: HashMap<SocketAddr, Client> = HashMap::new();
    let mut backs = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut clock = 0_u64;
    loop {
        // An error here is a port that was unreachable a moment ago: no reason to stop.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        while backs.try_join_next().is_some() {}
        if !shared.passes(from) {
            continue;
        }
        clock += 1;
        if !clients.contains_key(&from) {
            make_room(&mut clients);
            let Ok(upstream) = connect(target).await else { continue };
            let back = backs.spawn(carry_back(
                Arc::clone(&upstream),
                Arc::clone(&socket),
                from,
                Arc::clone(&shared),
            ));
            shared.clients.fetch_add(1, Relaxed);
            clients.insert(from, Client { upstream, back, heard: clock });
        }
        let Some(client) = clients.get_mut(&from) else { continue };
        client.heard = clock;
        // Counted before it is sent, so that whoever holds an answer finds it counted.
        shared.up.fetch_add(1, Relaxed);
        let upstream = &client.upstream;
        travel(&shared, &mut backs, &buffer[..length], upstream, None).await;
    }
}

/// Forgets the client that was silent for longest once there is no room for another.
fn make_room(clients: &mut HashMap<SocketAddr, Client>) {
    if clients.len() < CLIENTS_MAX {
        return;
    }
    let silent = clients.iter().min_by_key(|(_, client)| client.heard).map(|(address, _)| *address);
    if let Some(client) = silent.and_then(|address| clients.remove(&address)) {
        client.back.abort();
    }
}

async fn connect(target: SocketAddr) -> io::Result<Arc<UdpSocket>> {
    // On the loopback nobody else shall reach it; elsewhere the machine chooses the address.
    let own = if target.ip().is_loopback() { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let upstream = UdpSocket::bind((own, 0)).await?;
    upstream.connect(target).await?;
    Ok(Arc::new(upstream))
}

async fn carry_back(
    upstream: Arc<UdpSocket>,
    socket: Arc<UdpSocket>,
    client: SocketAddr,
    shared: Arc<Shared>,
) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut late = JoinSet::new();
    loop {
        while late.try_join_next().is_some() {}
        // A refused port means that the target is down now; it may be back with the next datagram.
        let Ok(length) = upstream.recv(&mut buffer).await else { continue };
        if shared.passes(client) {
            shared.down.fetch_add(1, Relaxed);
            travel(&shared, &mut late, &buffer[..length], &socket, Some(client)).await;
        }
    }
}

/// Sends a datagram on, now or later, once or twice. A refusal is as good as a loss.
async fn travel(
    shared: &Shared,
    late: &mut JoinSet<()>,
    bytes: &[u8],
    socket: &Arc<UdpSocket>,
    to: Option<SocketAddr>,
) {
    let (delay, double) = shared.rules().journeys();
    for delay in [Some(delay), double].into_iter().flatten() {
        if delay.is_zero() || late.len() >= WAITING_MAX {
            let _ = deliver(socket, bytes, to).await;
            continue;
        }
        let (socket, bytes) = (Arc::clone(socket), bytes.to_vec());
        late.spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = deliver(&socket, &bytes, to).await;
        });
    }
}

async fn deliver(socket: &UdpSocket, bytes: &[u8], to: Option<SocketAddr>) -> io::Result<usize> {
    match to {
        Some(client) => socket.send_to(bytes, client).await,
        None => socket.send(bytes).await,
    }
}

#[cfg(test)]
mod tests;
