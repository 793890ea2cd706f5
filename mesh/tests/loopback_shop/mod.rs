//! A shop of real nodes on 127.0.0.1, in one process, with directories that last as long as the test.
#![cfg(test)]

mod cut;
mod fetching;
mod history;
mod poison;
mod relay;
mod scrub;
mod settling;
mod succession;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};
use toko_crdt::fold::{Effect, FoldError};
use toko_crdt::member::Roles;
use toko_crdt::{Body, Fold, Kv, Lane, Scope};
use toko_mesh::enrol::{Code, CodeKind, RecoveryCode};
use toko_mesh::identity::Role;
use toko_mesh::node::setup::{Meaning, enrol_terminal, found_store};
use toko_mesh::node::{Node, NodeConfig, NodeStatus};
use toko_mesh::store::{Appended, Wait};

/// Everything that is waited for comes within this, or the test fails.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Keeps each op under its effect: books and floor ops in their own tables.
struct Shelf;

impl Fold for Shelf {
    fn version(&self) -> u32 {
        1
    }

    fn fold(&self, kv: &mut dyn Kv, effect: &Effect<'_>) -> Result<(), FoldError> {
        let table = if effect.entry.journal().lane == Lane::Books { 0x10 } else { 0x50 };
        kv.put(&[&[table], effect.id.0.as_slice()].concat(), effect.op)?;
        Ok(())
    }
}

struct Everybody;

impl Scope for Everybody {
    fn admits(&self, roles: &Roles, _: Lane, _: &[u8]) -> bool {
        roles.any()
    }
}

pub(crate) fn meaning() -> Meaning {
    Meaning { fold: Arc::new(Shelf), scope: Arc::new(Everybody) }
}

pub(crate) fn here() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A hub and terminals.
pub(crate) struct Shop {
    pub(crate) dir: TempDir,
    pub(crate) hub: Node,
    pub(crate) recovery: RecoveryCode,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let founded = found_store(&dir.path().join("hub"), &meaning()).unwrap();
        let hub = start(dir.path().join("hub"), Role::Hub, here()).await;
        assert_eq!(hub.id(), founded.hub);
        Self { dir, hub, recovery: founded.recovery }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A code, as it comes out of somebody's typing.
    pub(crate) fn code(&self, name: &str) -> Code {
        let code = self.hub.open_code(name).unwrap();
        Code::parse(CodeKind::Enrol, &code.to_string()).unwrap()
    }

    /// Enrols a terminal and starts it.
    pub(crate) async fn terminal(&self, name: &str) -> Node {
        let path = self.path(name);
        let addrs = [self.hub.listen_addr()];
        enrol_terminal(&path, &self.code(name), &addrs, None, &meaning()).await.unwrap();
        start(path, Role::Terminal, here()).await
    }

    /// Starts a terminal that was enrolled before.
    pub(crate) async fn restart(&self, name: &str) -> Node {
        start(self.path(name), Role::Terminal, here()).await
    }
}

pub(crate) async fn start(dir: PathBuf, role: Role, listen: SocketAddr) -> Node {
    let Meaning { fold, scope } = meaning();
    Node::open(NodeConfig::new(dir, role, listen), fold, scope).await.unwrap()
}

pub(crate) async fn sell(node: &Node, what: &str) -> Appended {
    node.append(Lane::Books, Body::Op(what.as_bytes().to_vec()), None, Wait::Synced).await.unwrap()
}

pub(crate) async fn scan(node: &Node, what: &str) -> Appended {
    node.append(Lane::Floor, Body::Op(what.as_bytes().to_vec()), None, Wait::Synced).await.unwrap()
}

/// Waits until something holds, looking again whenever the node's store or links change.
pub(crate) async fn until(node: &Node, what: &str, holds: impl Fn(&Node) -> bool) {
    let (mut changed, mut links) = (node.changed(), node.links_changed());
    let begin = Instant::now();
    let wait = async {
        while !holds(node) {
            tokio::select! {
                changed = changed.changed() => changed.unwrap(),
                changed = links.changed() => changed.unwrap(),
            }
        }
    };
    if timeout(SOON, wait).await.is_err() {
        let status = node.status().await.unwrap();
        panic!("waited {:?} for: {what}\n{status:#?}", begin.elapsed());
    }
}

pub(crate) async fn until_seen(node: &Node, sale: &Appended) {
    until(node, "a sale becomes visible", |node| node.entry(&sale.place).unwrap().is_some()).await;
}

pub(crate) async fn until_linked(node: &Node, to: &Node) {
    let peer = to.id();
    let wait = async {
        let mut links = node.links_changed();
        while !status(node).await.links.iter().any(|link| link.peer == peer && link.settled) {
            links.changed().await.unwrap();
        }
    };
    assert!(timeout(SOON, wait).await.is_ok(), "no link: {:#?}", status(node).await);
}

pub(crate) async fn until_unlinked(node: &Node, peer: toko_crdt::NodeId) {
    let wait = async {
        let mut links = node.links_changed();
        while status(node).await.links.iter().any(|link| link.peer == peer) {
            links.changed().await.unwrap();
        }
    };
    assert!(timeout(SOON, wait).await.is_ok(), "still linked: {:#?}", status(node).await);
}

pub(crate) async fn status(node: &Node) -> NodeStatus {
    node.status().await.unwrap()
}
