//! Where a peer may be: a ladder of addresses, tried in order, and what came of each.
//!
//! Rungs: an address that worked before (kept in a file), configured ones, mDNS, and what peers tell. All are hints; who
//! answers proves itself by its key. The ladder is pure: time and jitter come in as values, so that a simulated shop climbs
//! the same rungs. It says which rung worked, and for `doctor` why another did not.
//!
//! Invariants: bounded (nodes, addresses of a node, and what is kept); the address that worked last comes first; no address is
//! left out for good because others fail before it; a guess makes room for whatever somebody knows, and is neither kept nor told
//! before it was right; a wait grows with each failure up to a cap and falls back to nothing with
//! a success.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use toko_crdt::NodeId;
use toko_crdt::codec::{self, CodecError};

pub mod mdns;

/// How many nodes the ladder remembers.
pub const NODES_MAX: usize = 256;
/// How many addresses of one node.
pub const ADDRESSES_MAX: usize = 8;
/// How many addresses are dialled for one node at a time.
pub const CANDIDATES_MAX: usize = 4;
/// The largest file of remembered addresses.
pub const FILE_BYTES_MAX: u64 = 256 * 1024;

const WAIT_FIRST: Duration = Duration::from_millis(100);
/// Between dials of a node on the LAN: short, because a shop heals within a second.
pub const WAIT_NEAR_MAX: Duration = Duration::from_millis(900);
/// Between dials of a node of which nobody knows where it is: it is mostly off, and whoever answers is somebody else.
pub const WAIT_GUESSED_MAX: Duration = Duration::from_secs(10);
/// Between dials of the hub by a terminal: through it everything comes back.
pub const WAIT_HUB_MAX: Duration = Duration::from_millis(150);
/// Between dials of headquarters.
pub const WAIT_FAR_MAX: Duration = Duration::from_secs(30);

/// How an address came to us.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rung {
    /// It worked before.
    Cached,
    /// Somebody wrote it into the configuration.
    Configured,
    /// The LAN shouted it.
    Mdns,
    /// The node itself or another peer told it.
    Told,
    /// The other side dialled us.
    Inbound,
    /// Somebody wrote it into the configuration, for whoever is there.
    Guessed,
}

impl Rung {
    /// A word for status pages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::Configured => "configured",
            Self::Mdns => "mdns",
            Self::Told => "told",
            Self::Inbound => "inbound",
            Self::Guessed => "configured for any",
        }
    }
}

/// One address to try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Where.
    pub addr: SocketAddr,
    /// From where we know it.
    pub rung: Rung,
}

/// What is known of one address, for `doctor`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tried {
    /// Whose.
    pub node: NodeId,
    /// The address and how it came to us.
    pub candidate: Candidate,
    /// Whether the last try worked; `None` where there was none.
    pub worked: Option<bool>,
    /// What went wrong the last time, in words.
    pub error: Option<String>,
    /// How often it failed since it worked, or since this node runs.
    pub failures: u32,
}

#[derive(Clone, Debug)]
struct Address {
    rung: Rung,
    worked: Option<bool>,
    /// Whether the node showed its key there while another was looked for.
    answered: bool,
    /// Counts successes of the whole ladder: the highest worked last.
    worked_at: u64,
    /// Counts failures of the whole ladder: 0 where it did not fail since it worked.
    failed_at: u64,
    failures: u32,
    error: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    addresses: BTreeMap<SocketAddr, Address>,
    failures: u32,
}

/// All addresses that a node knows of its peers.
#[derive(Clone, Debug, Default)]
pub struct Ladder {
    nodes: BTreeMap<NodeId, Known>,
    successes: u64,
    failures: u64,
}

impl Ladder {
    /// A hint that a node may be at an address. Of two rungs for one address the lower one stays.
    pub fn hint(&mut self, node: NodeId, addr: SocketAddr, rung: Rung) {
        if addr.port() == 0 || addr.ip().is_unspecified() || addr.ip().is_multicast() {
            return;
        }
        if !self.nodes.contains_key(&node) && self.nodes.len() >= NODES_MAX {
            return;
        }
        let known = self.nodes.entry(node).or_default();
        if let Some(address) = known.addresses.get_mut(&addr) {
            address.rung = address.rung.min(rung);
            return;
        }
        if known.addresses.len() >= ADDRESSES_MAX && !known.make_room(rung) {
            return;
        }
        known.addresses.insert(addr, Address::at(rung));
    }

    /// A node answers at an address at which another was looked for.
    pub fn answers(&mut self, node: NodeId, addr: SocketAddr) {
        self.hint(node, addr, Rung::Told);
        let Some(known) = self.nodes.get_mut(&node) else { return };
        if let Some(address) = known.addresses.get_mut(&addr) {
            address.answered = true;
        } else if known.addresses.values().all(|address| address.worked_at == 0 && !address.answered)
            && let Some(last) = known.addresses.keys().next_back().copied()
        {
            // The others are guesses.
            known.addresses.remove(&last);
            let address = Address::at(Rung::Told);
            known.addresses.insert(addr, Address { answered: true, ..address });
        }
    }

    /// What to dial for a node, best first: what worked last, where it answered, then what did not fail, by rung, then whatever
    /// failed longest ago, so that all have their turn.
    #[must_use]
    pub fn candidates(&self, node: &NodeId) -> Vec<Candidate> {
        let Some(known) = self.nodes.get(node) else { return Vec::new() };
        let mut list: Vec<_> = known.addresses.iter().collect();
        let last = list.iter().map(|(_, address)| address.worked_at).max().filter(|at| *at > 0);
        list.sort_by_key(|(addr, address)| {
            let Address { failed_at, worked_at, rung, answered, .. } = address;
            (Some(*worked_at) != last, !answered, *failed_at, std::cmp::Reverse(*worked_at), *rung, **addr)
        });
        let candidates =
            list.into_iter().map(|(addr, address)| Candidate { addr: *addr, rung: address.rung });
        candidates.take(CANDIDATES_MAX).collect()
    }

    /// A dial worked.
    pub fn worked(&mut self, node: NodeId, addr: SocketAddr, rung: Rung) {
        self.hint(node, addr, rung);
        self.successes += 1;
        if let Some(known) = self.nodes.get_mut(&node) {
            known.failures = 0;
            if let Some(address) = known.addresses.get_mut(&addr) {
                address.worked = Some(true);
                address.worked_at = self.successes;
                address.failed_at = 0;
                address.failures = 0;
                address.error = None;
            }
        }
    }

    /// A dial of one address failed.
    pub fn failed(&mut self, node: NodeId, addr: SocketAddr, why: &str) {
        if let Some(address) = self.nodes.get_mut(&node).and_then(|known| known.addresses.get_mut(&addr)) {
            self.failures += 1;
            address.failed_at = self.failures;
            address.failures = address.failures.saturating_add(1);
            address.answered = false;
            address.worked = Some(false);
            address.error = Some(why.chars().take(200).collect());
        }
    }

    /// All candidates of a node failed, or there was none: how long to wait before the next climb.
    ///
    /// Shape: `jitter` is any random value; half of the wait is drawn by it.
    pub fn wait(&mut self, node: NodeId, cap: Duration, jitter: u16) -> Duration {
        if !self.nodes.contains_key(&node) && self.nodes.len() >= NODES_MAX {
            return cap;
        }
        let known = self.nodes.entry(node).or_default();
        known.failures = known.failures.saturating_add(1);
        let doubled = WAIT_FIRST.saturating_mul(1 << known.failures.min(16)).min(cap);
        let half = doubled / 2;
        half + half.mul_jitter(jitter)
    }

    /// A link with the node came up, whoever dialled.
    pub fn reached(&mut self, node: NodeId) {
        if let Some(known) = self.nodes.get_mut(&node) {
            known.failures = 0;
        }
    }

    /// Everything that was tried, for `doctor`.
    #[must_use]
    pub fn report(&self) -> Vec<Tried> {
        let each = |(node, known): (&NodeId, &Known)| {
            let node = *node;
            let tried = |(addr, address): (&SocketAddr, &Address)| Tried {
                node,
                candidate: Candidate { addr: *addr, rung: address.rung },
                worked: address.worked,
                error: address.error.clone(),
                failures: address.failures,
            };
            known.addresses.iter().map(tried).collect::<Vec<_>>()
        };
        self.nodes.iter().flat_map(each).collect()
    }

    /// What peers may be told in turn, best first. One that fails today may be a machine that is switched off, and whoever
    /// hears of it may be the only one who could reach it tomorrow.
    #[must_use]
    pub fn known(&self, node: &NodeId) -> Vec<SocketAddr> {
        self.nodes.get(node).map(Known::best_first).unwrap_or_default()
    }

    /// The kept form: of each node the best addresses, as long as there is room.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let each = |(node, known): (&NodeId, &Known)| {
            let addresses = known.best_first().into_iter().take(ADDRESSES_MAX / 2);
            let addresses = addresses.map(|addr| addr.to_string());
            (node.0, addresses.collect::<Vec<_>>())
        };
        let nodes: Vec<NodeV1> = self.nodes.iter().map(each).filter(|(_, list)| !list.is_empty()).collect();
        codec::encode(1, &nodes)
    }

    /// Reads the kept form as hints. Addresses that do not read are left out.
    pub fn load(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        let bytes_max = usize::try_from(FILE_BYTES_MAX).unwrap_or(usize::MAX);
        let nodes: Vec<NodeV1> = codec::decode("remembered addresses", 1, bytes, bytes_max)?;
        for (node, addresses) in nodes.into_iter().take(NODES_MAX) {
            for addr in addresses.iter().take(ADDRESSES_MAX).filter_map(|text| text.parse().ok()) {
                self.hint(NodeId(node), addr, Rung::Cached);
            }
        }
        Ok(())
    }
}

type NodeV1 = ([u8; 32], Vec<String>);

impl Address {
    fn at(rung: Rung) -> Self {
        Self { rung, worked: None, answered: false, worked_at: 0, failed_at: 0, failures: 0, error: None }
    }
}

impl Known {
    /// Those that worked last, then those that did not fail, then the others.
    fn best_first(&self) -> Vec<SocketAddr> {
        let is_known =
            |address: &Address| address.rung != Rung::Guessed || address.worked_at > 0 || address.answered;
        let mut list: Vec<_> = self.addresses.iter().filter(|(_, address)| is_known(address)).collect();
        list.sort_by_key(|(addr, address)| {
            (std::cmp::Reverse(address.worked_at), address.worked == Some(false), **addr)
        });
        list.into_iter().map(|(addr, _)| *addr).collect()
    }

    /// Drops the least useful address, if it is less useful than one of `rung`.
    fn make_room(&mut self, rung: Rung) -> bool {
        let useless =
            |address: &Address| (address.worked_at == 0, address.worked == Some(false), address.rung);
        let worst = self.addresses.iter().max_by_key(|(_, address)| useless(address));
        let Some((addr, address)) = worst.map(|(addr, address)| (*addr, address)) else { return true };
        if useless(address) < (true, false, rung) {
            return false;
        }
        self.addresses.remove(&addr);
        true
    }
}

trait Jitter {
    fn mul_jitter(self, jitter: u16) -> Self;
}

impl Jitter for Duration {
    fn mul_jitter(self, jitter: u16) -> Self {
        self.saturating_mul(u32::from(jitter)) / u32::from(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId([1; 32]);

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn ports(ladder: &Ladder) -> Vec<u16> {
        ladder.candidates(&NODE).iter().map(|candidate| candidate.addr.port()).collect()
    }

    #[test]
    fn rungs_are_climbed_in_order_and_what_worked_comes_first() {
        let mut ladder = Ladder::default();
        ladder.hint(NODE, addr(4), Rung::Told);
        ladder.hint(NODE, addr(3), Rung::Mdns);
        ladder.hint(NODE, addr(2), Rung::Configured);
        assert_eq!(ports(&ladder), [2, 3, 4]);
        ladder.worked(NODE, addr(4), Rung::Told);
        assert_eq!(ports(&ladder), [4, 2, 3]);
        ladder.worked(NODE, addr(3), Rung::Mdns);
        assert_eq!(ports(&ladder), [3, 4, 2]);
    }

    #[test]
    fn where_a_node_answered_while_another_was_looked_for_it_is_dialled_next() {
        let mut ladder = Ladder::default();
        for port in 1..=8 {
            ladder.hint(NODE, addr(port), Rung::Configured);
        }
        ladder.answers(NODE, addr(7));
        assert_eq!(ports(&ladder), [7, 1, 2, 3]);
        ladder.failed(NODE, addr(7), "nothing answers");
        assert_eq!(ports(&ladder), [1, 2, 3, 4]);
        ladder.answers(NODE, addr(9));
        assert_eq!(ports(&ladder), [9, 1, 2, 3], "a guess makes room");
        ladder.worked(NODE, addr(9), Rung::Told);
        ladder.answers(NODE, addr(7));
        assert_eq!(ports(&ladder), [9, 1, 2, 3], "where it worked is worth more");
    }

    #[test]
    fn a_guess_makes_room_for_what_is_known_and_is_told_once_it_was_right() {
        let mut ladder = Ladder::default();
        for port in 1..=9 {
            ladder.hint(NODE, addr(port), Rung::Guessed);
        }
        assert_eq!(ports(&ladder), [1, 2, 3, 4]);
        assert!(ladder.known(&NODE).is_empty());
        ladder.hint(NODE, addr(20), Rung::Told);
        assert_eq!(ports(&ladder)[0], 20);
        assert_eq!(ladder.known(&NODE), [addr(20)]);
        ladder.worked(NODE, addr(2), Rung::Guessed);
        assert_eq!(ladder.known(&NODE), [addr(2), addr(20)]);
    }

    #[test]
    fn an_address_that_somebody_tells_has_its_turn_however_many_fail_before_it() {
        let mut ladder = Ladder::default();
        for port in 1..=5 {
            ladder.hint(NODE, addr(port), Rung::Configured);
        }
        ladder.hint(NODE, addr(9), Rung::Told);
        let mut tried = std::collections::BTreeSet::new();
        for _ in 0..2 {
            for port in ports(&ladder) {
                tried.insert(port);
                ladder.failed(NODE, addr(port), "somebody else answers");
            }
        }
        assert_eq!(tried.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 9], "two climbs try all of them");
        ladder.worked(NODE, addr(9), Rung::Told);
        ladder.failed(NODE, addr(9), "nothing answers");
        assert_eq!(ports(&ladder)[0], 9, "what worked last is tried each time");
    }

    #[test]
    fn waits_grow_to_their_cap_and_a_success_ends_them() {
        let mut ladder = Ladder::default();
        let waits: Vec<_> = (0..6).map(|_| ladder.wait(NODE, WAIT_NEAR_MAX, u16::MAX).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 900, 900, 900]);
        assert_eq!(ladder.wait(NODE, WAIT_NEAR_MAX, 0).as_millis(), 450, "half of it is chance");
        assert!(ladder.wait(NODE, WAIT_FAR_MAX, u16::MAX) > WAIT_NEAR_MAX);
        ladder.reached(NODE);
        assert_eq!(ladder.wait(NODE, WAIT_NEAR_MAX, 0).as_millis(), 100);
    }

    #[test]
    fn addresses_survive_a_restart_and_are_bounded() {
        let mut ladder = Ladder::default();
        for port in 1..100 {
            ladder.hint(NODE, addr(port), Rung::Told);
        }
        assert_eq!(ladder.report().len(), ADDRESSES_MAX);
        ladder.worked(NODE, addr(500), Rung::Configured);
        ladder.failed(NODE, addr(1), "nothing answers");
        for node in 2..=255 {
            for other in 0..2 {
                let mut id = [node; 32];
                id[0] = other;
                ladder.hint(NodeId(id), addr(7), Rung::Told);
            }
        }
        assert!(ladder.nodes.len() <= NODES_MAX);
        let mut again = Ladder::default();
        again.load(&ladder.encode()).unwrap();
        assert_eq!(again.candidates(&NODE)[0].rung, Rung::Cached);
        assert!(again.known(&NODE).contains(&addr(500)), "what worked is kept");
        assert!(again.load(b"\x01nonsense").is_err());
    }

    #[test]
    fn an_address_that_fails_today_is_still_known_tomorrow_and_told_to_others() {
        let mut ladder = Ladder::default();
        ladder.hint(NODE, addr(1), Rung::Told);
        ladder.failed(NODE, addr(1), "nothing answers");
        assert_eq!(ladder.known(&NODE), [addr(1)]);
        let mut again = Ladder::default();
        again.load(&ladder.encode()).unwrap();
        assert_eq!(ports(&again), [1]);
    }

    #[test]
    fn nonsense_addresses_are_no_hints() {
        let mut ladder = Ladder::default();
        for bad in ["0.0.0.0:1", "10.0.0.1:0", "224.0.0.251:5353", "[::]:9"] {
            ladder.hint(NODE, bad.parse().unwrap(), Rung::Told);
        }
        assert!(ladder.candidates(&NODE).is_empty());
    }
}
