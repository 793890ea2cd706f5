//! A socket of the simulated network, as QUIC sees one.

use super::{FIRST_FREE_PORT, Packet, Port, SimNet};
use crate::endpoint::BindError;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;

pub(super) struct Socket {
    net: SimNet,
    bound: SocketAddr,
    number: u64,
}

/// There is always room for a packet, since nothing is queued at its sender.
#[derive(Debug)]
struct Always;

impl Socket {
    pub(super) fn bind(net: &SimNet, listen: SocketAddr) -> Result<Self, BindError> {
        let failed = |kind: io::ErrorKind| BindError::Listen { addr: listen, source: kind.into() };
        let mut state = net.lock();
        if state.off.contains(&listen.ip()) {
            return Err(failed(io::ErrorKind::NetworkDown));
        }
        let mut ports = (FIRST_FREE_PORT..).map(|port| SocketAddr::new(listen.ip(), port));
        let bound = match listen.port() {
            0 => ports.find(|addr| !state.ports.contains_key(addr)),
            _ => Some(listen).filter(|addr| !state.ports.contains_key(addr)),
        };
        let bound = bound.ok_or_else(|| failed(io::ErrorKind::AddrInUse))?;
        let number = state.next;
        state.next += 1;
        let port = Port { socket: number, waiting: VecDeque::new(), waker: None };
        state.ports.insert(bound, port);
        drop(state);
        Ok(Self { net: net.clone(), bound, number })
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Always)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let (now, elapsed) = (Instant::now(), self.net.elapsed());
        let mut state = self.net.lock();
        let from = SocketAddr::new(state.now_at(self.bound.ip()), self.bound.port());
        if state.ports.get(&from).is_none_or(|port| port.socket != self.number) {
            // A dead process says nothing.
            return Ok(());
        }
        let (to, bytes, ecn) = (transmit.destination, transmit.contents.to_vec(), transmit.ecn);
        let flies = state.post(elapsed, now, Packet { from, to, bytes, ecn });
        drop(state);
        if flies {
            self.net.inner.sent.notify_one();
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.net.lock();
        let here = SocketAddr::new(state.now_at(self.bound.ip()), self.bound.port());
        let port = state.ports.get_mut(&here).filter(|port| port.socket == self.number);
        let Some(port) = port else { return Poll::Pending };
        let mut read = 0;
        for (buf, meta) in bufs.iter_mut().zip(meta) {
            let Some(packet) = port.waiting.pop_front() else { break };
            let len = packet.bytes.len().min(buf.len());
            buf[..len].copy_from_slice(&packet.bytes[..len]);
            *meta = RecvMeta {
                addr: packet.from,
                len,
                stride: len,
                ecn: packet.ecn,
                dst_ip: Some(packet.to.ip()),
            };
            read += 1;
        }
        if read > 0 {
            return Poll::Ready(Ok(read));
        }
        port.waker = Some(context.waker().clone());
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.bound)
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

impl UdpPoller for Always {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut state = self.net.lock();
        let here = SocketAddr::new(state.now_at(self.bound.ip()), self.bound.port());
        if state.ports.get(&here).is_some_and(|port| port.socket == self.number) {
            state.ports.remove(&here);
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "simulated socket {}", self.bound)
    }
}
