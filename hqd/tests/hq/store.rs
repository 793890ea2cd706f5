//! A store of real nodes on 127.0.0.1: a hub and tills, which sell what [`crate::shop`] writes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;
use toko_crdt::sign::SecretKey;
use toko_crdt::{Body, Lane, NodeId};
use toko_mesh::enrol::{Code, CodeKind, RecoveryCode};
use toko_mesh::identity::Role;
use toko_mesh::node::setup::{Meaning, enrol_terminal, found_store};
use toko_mesh::node::{AdminError, Node, NodeConfig};
use toko_mesh::store::{Appended, Wait};
use toko_retail::scope::ShopScope;
use toko_retail::views::ShopFold;

/// Everything that is waited for comes within this, or the test fails.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A hub and, where wanted, tills.
pub(crate) struct Store {
    dir: TempDir,
    pub(crate) hub: Node,
    recovery: RecoveryCode,
}

fn meaning() -> Meaning {
    Meaning { fold: Arc::new(ShopFold), scope: Arc::new(ShopScope) }
}

async fn start(dir: PathBuf, role: Role) -> Node {
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    Node::open(NodeConfig::new(dir, role, here), Arc::new(ShopFold), Arc::new(ShopScope)).await.unwrap()
}

impl Store {
    pub(crate) async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hub");
        let founded = found_store(&path, &meaning()).unwrap();
        Self { hub: start(path, Role::Hub).await, dir, recovery: founded.recovery }
    }

    /// Enrols a till and starts it.
    pub(crate) async fn till(&self, name: &str) -> Node {
        let code = self.hub.open_code(name).unwrap();
        let path = self.dir.path().join(name);
        enrol_terminal(&path, &code, &[self.hub.listen_addr()], None, &meaning()).await.unwrap();
        start(path, Role::Terminal).await
    }

    /// The hub's own key, from its directory.
    pub(crate) fn hub_key(&self) -> SecretKey {
        let seed = std::fs::read(self.dir.path().join("hub/node.key")).unwrap();
        SecretKey::from_seed(seed.try_into().unwrap())
    }

    /// What `hubctl join-hq` does.
    pub(crate) async fn join(&self, code: &str, hq: SocketAddr) -> Result<NodeId, AdminError> {
        let code = Code::parse(CodeKind::JoinHq, code).unwrap();
        self.hub.join_headquarters(&code, &[hq], &self.recovery).await
    }
}

pub(crate) async fn write(node: &Node, body: Body) -> Appended {
    let appended = node.append(Lane::Books, body, None, Wait::Synced).await.unwrap();
    assert_eq!(appended.parked, None);
    appended
}

/// Waits until something holds, looking again whenever the node's store or links change.
pub(crate) async fn until(node: &Node, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let (mut changed, mut links) = (node.changed(), node.links_changed());
    let wait = async {
        while !holds().await {
            tokio::select! {
                changed = changed.changed() => changed.unwrap(),
                changed = links.changed() => changed.unwrap(),
            }
        }
    };
    if timeout(SOON, wait).await.is_err() {
        panic!("waited in vain until {what}: {:#?}", node.status().await.unwrap());
    }
}
