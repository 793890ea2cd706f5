//! A cable for TCP: a relay that can be cut. A cut ends every connection at once and refuses new ones, which is the kindest
//! form of a cut: nobody has to find out by silence.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::trouble::Trouble;

/// A relay in front of one address. It ends with this value.
#[derive(Debug)]
pub(crate) struct Cable {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    cut: watch::Sender<bool>,
    _task: JoinSet<()>,
}

impl Cable {
    /// Lays one to `target`.
    pub(crate) async fn lay(target: SocketAddr) -> Result<Self, Trouble> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (cut, is_cut) = watch::channel(false);
        let mut task = JoinSet::new();
        task.spawn(serve(listener, target, is_cut));
        Ok(Self { address, cut, _task: task })
    }

    /// Pulls it, or plugs it in again.
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, is_cut: watch::Receiver<bool>) {
    let mut open = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        while open.try_join_next().is_some() {}
        if !*is_cut.borrow() {
            open.spawn(carry(near, target, is_cut.clone()));
        }
    }
}

async fn carry(mut near: TcpStream, target: SocketAddr, mut is_cut: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    if near.set_nodelay(true).and_then(|()| far.set_nodelay(true)).is_err() {
        return;
    }
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = is_cut.wait_for(|cut| *cut) => {}
    }
}
