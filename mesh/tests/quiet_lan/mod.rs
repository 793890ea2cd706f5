//! A shop on a network and on disks in memory, by a clock that stands still while anybody has something to do.

mod guesses;
mod healed;
mod revoked;
mod versions;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::timeout;
use toko_crdt::clock::UnixMicros;
use toko_crdt::fold::{Effect, FoldError};
use toko_crdt::member::Roles;
use toko_crdt::sign::SecretKey;
use toko_crdt::{Body, Fold, Hash, Kv, Lane, Scope};
use toko_mesh::endpoint::{BindError, Endpoint};
use toko_mesh::enrol::NoRandomness;
use toko_mesh::identity::{CreateDirError, DataDir, NewDir, OpenDirError, Role};
use toko_mesh::machine::{Disks, Machine, Patience, World};
use toko_mesh::node::setup::{Meaning, Spot, enrol_terminal, found_store};
use toko_mesh::node::{Node, NodeConfig};
use toko_mesh::sim_disk::SimDisk;
use toko_mesh::sim_net::SimNet;
use toko_mesh::store::{Appended, Wait};

/// Everything that is waited for comes within this, or the test fails: simulated time.
const SOON: Duration = Duration::from_secs(120);
const PORT: u16 = 7_443;

/// Keeps each op under its effect. What begins with `v` and a digit only a fold of that version or a later one reads.
struct Shelf {
    version: u8,
}

impl Fold for Shelf {
    fn version(&self) -> u32 {
        self.version.into()
    }

    fn fold(&self, kv: &mut dyn Kv, effect: &Effect<'_>) -> Result<(), FoldError> {
        if let [b'v', digit @ b'0'..=b'9', ..] = effect.op
            && digit - b'0' > self.version
        {
            return Err(FoldError::Newer { version: digit - b'0' });
        }
        Ok(kv.put(&[&[0x10], effect.id.0.as_slice()].concat(), effect.op)?)
    }
}

impl Scope for Shelf {
    fn admits(&self, roles: &Roles, lane: Lane, _: &[u8]) -> bool {
        roles.any() && lane == Lane::Books
    }
}

fn meaning(version: u8) -> Meaning {
    Meaning { fold: Arc::new(Shelf { version }), scope: Arc::new(Shelf { version }) }
}

/// One box.
#[derive(Clone, Debug)]
struct Host {
    net: SimNet,
    ip: IpAddr,
    seed: u64,
    drawn: Arc<AtomicU64>,
    starts: Arc<AtomicU16>,
    dir: Arc<Mutex<Option<NewDir>>>,
    disks: Arc<Mutex<[SimDisk; 3]>>,
}

fn empty() -> [SimDisk; 3] {
    [SimDisk::new(), SimDisk::new(), SimDisk::new()]
}

impl Host {
    fn new(net: &SimNet, seed: u64, nth: u8) -> Self {
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 10 + nth));
        let (drawn, starts, dir) = (Arc::default(), Arc::default(), Arc::default());
        let disks = Arc::new(Mutex::new(empty()));
        Self { net: net.clone(), ip, seed, drawn, starts, dir, disks }
    }

    fn listen(&self) -> SocketAddr {
        SocketAddr::new(self.ip, PORT)
    }

    fn spot(&self) -> Spot {
        Spot { machine: Machine::of(self.clone()), ..Spot::from("/node") }
    }

    async fn start(&self, role: Role, hub: Option<SocketAddr>, version: u8) -> Node {
        let Meaning { fold, scope } = meaning(version);
        // A socket goes a moment after its node: who comes back meanwhile takes another port.
        let port = PORT + self.starts.fetch_add(1, Ordering::Relaxed);
        let mut config = NodeConfig::new("/node".into(), role, SocketAddr::new(self.ip, port));
        config.machine = Machine::of(self.clone());
        config.hub.extend(hub);
        Node::open(config, fold, scope).await.unwrap()
    }

    fn lent(&self, path: &Path, new: NewDir) -> DataDir {
        let [own, journal, blobs] = self.disks.lock().unwrap().clone();
        let disks = Disks { own: Arc::new(own), journal: Arc::new(journal), blobs: Arc::new(blobs) };
        DataDir::lent(path, new, disks)
    }
}

impl World for Host {
    fn wall(&self) -> UnixMicros {
        UnixMicros(1_795_420_800_000_000 + i64::try_from(self.net.elapsed().as_micros()).unwrap())
    }

    fn random(&self, out: &mut [u8]) -> Result<(), NoRandomness> {
        for part in out.chunks_mut(32) {
            let nth = self.drawn.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            let words = [&self.seed.to_be_bytes()[..], self.ip.to_string().as_bytes(), &nth].concat();
            part.copy_from_slice(&Hash::of("toko/test/random/1", &[&words]).0[..part.len()]);
        }
        Ok(())
    }

    fn open_dir(&self, path: &Path, _: Role) -> Result<DataDir, OpenDirError> {
        let new = self.dir.lock().unwrap().clone();
        let new = new.ok_or(OpenDirError::Nothing { path: path.to_owned(), what: "empty" })?;
        Ok(self.lent(path, new))
    }

    fn create_dir(&self, path: &Path, new: NewDir) -> Result<DataDir, CreateDirError> {
        *self.dir.lock().unwrap() = Some(new.clone());
        Ok(self.lent(path, new))
    }

    fn clear_dir(&self, _: &Path) -> io::Result<()> {
        *self.dir.lock().unwrap() = None;
        *self.disks.lock().unwrap() = empty();
        Ok(())
    }

    fn bind(&self, listen: SocketAddr, key: Option<&SecretKey>) -> Result<Endpoint, BindError> {
        let mut seed = [0; 32];
        self.random(&mut seed).unwrap();
        self.net.endpoint(SocketAddr::new(self.ip, listen.port()), key, seed)
    }

    fn patience(&self) -> Patience {
        Patience::Task { sync: Duration::from_millis(1) }
    }
}

/// A hub and tills, all linked.
struct Lan {
    net: SimNet,
    seed: u64,
    hub_host: Host,
    hub: Node,
    hosts: Vec<Host>,
    tills: Vec<Node>,
}

impl Lan {
    async fn open(seed: u64, tills: u8) -> Self {
        let mut lan = Self::found(seed, 1).await;
        for _ in 0..tills {
            lan.enrol(1).await;
        }
        for node in lan.nodes() {
            until_links(node, "links with everybody", |links| links.len() == usize::from(tills)).await;
        }
        lan
    }

    /// A hub whose fold is of this version.
    async fn found(seed: u64, version: u8) -> Self {
        let net = SimNet::new(seed);
        tokio::spawn(net.clone().deliver());
        let hub_host = Host::new(&net, seed, 0);
        found_store(hub_host.spot(), &meaning(version)).unwrap();
        let hub = hub_host.start(Role::Hub, None, version).await;
        Self { net, seed, hub_host, hub, hosts: Vec::new(), tills: Vec::new() }
    }

    /// One more till, whose fold is of this version.
    async fn enrol(&mut self, version: u8) {
        let nth = u8::try_from(self.tills.len() + 1).unwrap();
        let (host, hub) = (Host::new(&self.net, self.seed, nth), self.hub_host.listen());
        let code = self.hub.open_code(&format!("Till {nth}")).unwrap();
        enrol_terminal(host.spot(), &code, &[hub], None, &meaning(version)).await.unwrap();
        self.tills.push(host.start(Role::Terminal, Some(hub), version).await);
        self.hosts.push(host);
    }

    /// Stops a till and starts it with a fold of this version.
    async fn upgrade(&mut self, till: usize, version: u8) {
        let node = self.tills.remove(till);
        node.shutdown().await.unwrap();
        drop(node);
        let started = self.hosts[till].start(Role::Terminal, Some(self.hub_host.listen()), version).await;
        self.tills.insert(till, started);
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.tills.iter().chain([&self.hub])
    }

    /// Cuts or mends the way between two, both ways.
    fn cut(&self, one: &Node, other: &Node, cut: bool) {
        let [one, other] = [one, other].map(|node| node.listen_addr().ip());
        self.net.set_cut(one, other, cut);
        self.net.set_cut(other, one, cut);
    }

    async fn close(self) {
        for node in self.nodes() {
            node.shutdown().await.unwrap();
        }
    }
}

async fn sell(node: &Node, what: &str) -> Appended {
    node.append(Lane::Books, Body::Op(what.as_bytes().to_vec()), None, Wait::Synced).await.unwrap()
}

/// How many sales count at a node.
fn sold(node: &Node) -> usize {
    let mut sold = 0;
    let count = |kv: &dyn toko_crdt::KvRead| {
        kv.scan(&[0x10], &mut |_, _| {
            sold += 1;
            true
        })
    };
    node.read(count).unwrap();
    sold
}

/// Waits until something holds, looking again whenever the node's store or links change.
async fn until(node: &Node, what: &str, holds: impl Fn(&Node) -> bool) {
    let (mut changed, mut links) = (node.changed(), node.links_changed());
    let wait = async {
        while !holds(node) {
            tokio::select! {
                changed = changed.changed() => changed.unwrap(),
                changed = links.changed() => changed.unwrap(),
            }
        }
    };
    assert!(timeout(SOON, wait).await.is_ok(), "waited for: {what}\n{:#?}", node.status().await.unwrap());
}

/// Waits until the peers that a node has settled links with are as wanted.
async fn until_links(node: &Node, what: &str, holds: impl Fn(&[toko_crdt::NodeId]) -> bool) {
    let mut changed = node.links_changed();
    let wait = async {
        loop {
            let status = node.status().await.unwrap();
            let peers: Vec<_> =
                status.links.iter().filter(|link| link.settled).map(|link| link.peer).collect();
            if holds(&peers) {
                return;
            }
            changed.changed().await.unwrap();
        }
    };
    assert!(timeout(SOON, wait).await.is_ok(), "waited for: {what}\n{:#?}", node.status().await.unwrap());
}
