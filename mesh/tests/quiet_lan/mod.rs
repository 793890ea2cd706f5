//! A shop on a network and on disks in memory, by a clock that stands still while anybody has something to do.
#![cfg(test)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// Keeps each op under its effect.
struct Shelf;

impl Fold for Shelf {
    fn version(&self) -> u32 {
        1
    }

    fn fold(&self, kv: &mut dyn Kv, effect: &Effect<'_>) -> Result<(), FoldError> {
        Ok(kv.put(&[&[0x10], effect.id.0.as_slice()].concat(), effect.op)?)
    }
}

impl Scope for Shelf {
    fn admits(&self, roles: &Roles, lane: Lane, _: &[u8]) -> bool {
        roles.any() && lane == Lane::Books
    }
}

fn meaning() -> Meaning {
    Meaning { fold: Arc::new(Shelf), scope: Arc::new(Shelf) }
}

/// One box.
#[derive(Clone, Debug)]
struct Host {
    net: SimNet,
    ip: IpAddr,
    seed: u64,
    drawn: Arc<AtomicU64>,
    dir: Arc<Mutex<Option<NewDir>>>,
    disks: [SimDisk; 3],
}

impl Host {
    fn new(net: &SimNet, seed: u64, nth: u8) -> Self {
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 10 + nth));
        let (drawn, dir) = (Arc::default(), Arc::default());
        let disks = [SimDisk::new(), SimDisk::new(), SimDisk::new()];
        Self { net: net.clone(), ip, seed, drawn, dir, disks }
    }

    fn listen(&self) -> SocketAddr {
        SocketAddr::new(self.ip, PORT)
    }

    fn spot(&self) -> Spot {
        Spot { machine: Machine::of(self.clone()), dir: "/node".into() }
    }

    async fn start(&self, role: Role, hub: Option<SocketAddr>) -> Node {
        let Meaning { fold, scope } = meaning();
        let mut config = NodeConfig::new("/node".into(), role, self.listen());
        config.machine = Machine::of(self.clone());
        config.hub.extend(hub);
        Node::open(config, fold, scope).await.unwrap()
    }

    fn lent(&self, path: &Path, new: NewDir) -> DataDir {
        let [own, journal, blobs] = self.disks.clone();
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
        unreachable!("nothing fails to be set up here")
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
pub(crate) struct Lan {
    net: SimNet,
    pub(crate) hub: Node,
    pub(crate) tills: Vec<Node>,
}

impl Lan {
    pub(crate) async fn open(seed: u64, tills: u8) -> Self {
        let net = SimNet::new(seed);
        tokio::spawn(net.clone().deliver());
        let host = Host::new(&net, seed, 0);
        found_store(host.spot(), &meaning()).unwrap();
        let hub = host.start(Role::Hub, None).await;
        let mut lan = Self { net, hub, tills: Vec::new() };
        for nth in 1..=tills {
            let till = Host::new(&lan.net, seed, nth);
            let code = lan.hub.open_code(&format!("Till {nth}")).unwrap();
            enrol_terminal(till.spot(), &code, &[host.listen()], None, &meaning()).await.unwrap();
            lan.tills.push(till.start(Role::Terminal, Some(host.listen())).await);
        }
        for node in lan.nodes() {
            until_links(node, "links with everybody", |links| links.len() == usize::from(tills)).await;
        }
        lan
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.tills.iter().chain([&self.hub])
    }

    /// Cuts or mends the way between two, both ways.
    pub(crate) fn cut(&self, one: &Node, other: &Node, cut: bool) {
        let [one, other] = [one, other].map(|node| node.listen_addr().ip());
        self.net.set_cut(one, other, cut);
        self.net.set_cut(other, one, cut);
    }

    pub(crate) async fn close(self) {
        for node in self.nodes() {
            node.shutdown().await.unwrap();
        }
    }
}

pub(crate) async fn sell(node: &Node, what: &str) -> Appended {
    node.append(Lane::Books, Body::Op(what.as_bytes().to_vec()), None, Wait::Synced).await.unwrap()
}

/// How many sales count at a node.
pub(crate) fn sold(node: &Node) -> usize {
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
pub(crate) async fn until(node: &Node, what: &str, holds: impl Fn(&Node) -> bool) {
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
pub(crate) async fn until_links(node: &Node, what: &str, holds: impl Fn(&[toko_crdt::NodeId]) -> bool) {
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
