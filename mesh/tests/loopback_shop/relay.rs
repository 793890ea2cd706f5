//! A cable between nodes that can be pulled: datagrams to one node, passed on or dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

#[derive(Debug, Default)]
struct Faults {
    cut: bool,
    /// What still passes before it is cut, in bytes.
    left: Option<usize>,
    blocked: BTreeSet<SocketAddr>,
}

/// The cable of one node. Others reach the node at [`Relay::addr`].
pub(crate) struct Relay {
    pub(crate) addr: SocketAddr,
    target: Arc<OnceLock<SocketAddr>>,
    faults: Arc<Mutex<Faults>>,
    _task: JoinSet<()>,
}

impl Relay {
    pub(crate) async fn open() -> Self {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let (target, faults) = (Arc::<OnceLock<SocketAddr>>::default(), Arc::<Mutex<Faults>>::default());
        let addr = front.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(forth(front, Arc::clone(&target), Arc::clone(&faults)));
        Self { addr, target, faults, _task: task }
    }

    /// The node at the end of the cable.
    pub(crate) fn leads_to(&self, node: SocketAddr) {
        self.target.set(node).unwrap();
    }

    /// Pulls the cable, or puts it back.
    pub(crate) fn cut(&self, cut: bool) {
        let mut faults = self.faults.lock().unwrap();
        (faults.cut, faults.left) = (cut, None);
    }

    /// Pulls the cable when so many more bytes have gone through it.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.faults.lock().unwrap().left = Some(bytes);
    }

    /// Drops what comes from this node, or does so no more.
    pub(crate) fn block(&self, from: SocketAddr, block: bool) {
        let mut faults = self.faults.lock().unwrap();
        if block {
            faults.blocked.insert(from);
        } else {
            faults.blocked.remove(&from);
        }
    }
}

async fn forth(front: Arc<UdpSocket>, target: Arc<OnceLock<SocketAddr>>, faults: Arc<Mutex<Faults>>) {
    let mut backs: BTreeMap<SocketAddr, Arc<UdpSocket>> = BTreeMap::new();
    let (mut tasks, mut buffer) = (JoinSet::new(), vec![0; 65_536]);
    while let Ok((bytes, from)) = front.recv_from(&mut buffer).await {
        let Some(target) = target.get() else { continue };
        if is_lost(&faults, from, bytes) {
            continue;
        }
        let back = match backs.get(&from) {
            Some(back) => Arc::clone(back),
            None => {
                let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                back.connect(target).await.unwrap();
                tasks.spawn(back_again(Arc::clone(&front), Arc::clone(&back), from, Arc::clone(&faults)));
                backs.insert(from, Arc::clone(&back));
                back
            }
        };
        let _ = back.send(&buffer[..bytes]).await;
    }
}

async fn back_again(front: Arc<UdpSocket>, back: Arc<UdpSocket>, to: SocketAddr, faults: Arc<Mutex<Faults>>) {
    let mut buffer = vec![0; 65_536];
    loop {
        match back.recv(&mut buffer).await {
            Ok(bytes) if !is_lost(&faults, to, bytes) => drop(front.send_to(&buffer[..bytes], to).await),
            // A node that is not there answers by ICMP; it may come back.
            _ => tokio::task::yield_now().await,
        }
    }
}

fn is_lost(faults: &Mutex<Faults>, other: SocketAddr, bytes: usize) -> bool {
    let mut faults = faults.lock().unwrap();
    if let Some(left) = faults.left {
        faults.left = left.checked_sub(bytes);
        faults.cut |= faults.left.is_none();
    }
    faults.cut || faults.blocked.contains(&other)
}
