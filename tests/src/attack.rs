//! Attackers: what a stranger on the store's network can send without knowing anybody, and how much of it.
//!
//! First packets of real handshakes are recorded once and sent from any number of ports; a [`Tap`] lets a handshake begin and
//! never end. Absent on purpose: spoofed addresses, which need privileges; a node that asks for address validation answers
//! them by the same stateless packet.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use toko_crdt::NodeId;
use toko_crdt::sign::SecretKey;
use toko_mesh::endpoint::{Dial, Distance, Endpoint};
use toko_mesh::tls::{Expect, Protocol, TlsKey, node_name};

use toko_hostile::mutate::Dice;

/// How long recording may take.
const RECORD_WITHIN: Duration = Duration::from_secs(60);
/// How often a tap looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A socket on loopback.
///
/// Errors: no port is free.
pub fn socket() -> io::Result<UdpSocket> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
}

/// A dial by somebody who has a key and no place in the store.
#[must_use]
pub fn stranger(addr: SocketAddr, node: NodeId) -> Dial {
    let protocol = Protocol::Member;
    let (name, expect, distance) = (node_name(&node), Expect::Anyone, Distance::Near);
    Dial { addr, name, expect, protocol, distance, introduction: None }
}

/// A stranger's key.
///
/// Errors: a broken build.
pub fn strange_key(seed: u8) -> Result<TlsKey, Box<dyn std::error::Error + Send + Sync>> {
    Ok(TlsKey::new(&SecretKey::from_seed([seed; 32]))?)
}

/// Records the first packets of so many handshakes with a node, each with connection ids of its own.
///
/// Errors: no socket, or not as many in time.
pub async fn first_packets(
    count: usize,
    node: NodeId,
) -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error + Send + Sync>> {
    let sink = tokio::net::UdpSocket::from_std({
        let sink = socket()?;
        sink.set_nonblocking(true)?;
        sink
    })?;
    let dial = stranger(sink.local_addr()?, node);
    let key = strange_key(200)?;
    let endpoint = Endpoint::bind(([127, 0, 0, 1], 0).into())?;
    let mut dials = JoinSet::new();
    let mut found: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let (began, mut packet) = (Instant::now(), vec![0; 2_048]);
    while found.len() < count {
        if began.elapsed() > RECORD_WITHIN {
            return Err(format!("{} first packets instead of {count}", found.len()).into());
        }
        while dials.len() < 500.min(count) {
            let (endpoint, dial, key) = (endpoint.clone(), dial.clone(), key.clone());
            dials.spawn(async move { endpoint.dial(&dial, &key).await.is_ok() });
        }
        tokio::select! {
            got = sink.recv_from(&mut packet) => {
                let (bytes, _) = got?;
                // A long header: the connection id follows flags, version and its own length.
                let id_bytes = usize::from(packet.get(5).copied().unwrap_or(0));
                let id = packet.get(6..6 + id_bytes).unwrap_or_default().to_vec();
                found.entry(id).or_insert_with(|| packet[..bytes].to_vec());
            }
            _ = dials.join_next() => {}
        }
    }
    dials.shutdown().await;
    Ok(found.into_values().take(count).collect())
}

/// Packets that are no handshake: random, and with headers that promise one.
#[must_use]
pub fn rubbish(count: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut dice = Dice(seed);
    let packet = |at: usize| {
        let bytes = 30 + dice.below(1_220);
        let mut packet: Vec<u8> = (0..bytes.div_ceil(8)).flat_map(|_| dice.roll().to_le_bytes()).collect();
        match at % 4 {
            // An initial packet of version 1 that nobody sealed.
            0 => packet[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]),
            // A version that nobody speaks, which asks for a list of versions.
            1 => packet[..6].copy_from_slice(&[0xc3, 0x1a, 0x2a, 0x3a, 0x4a, 8]),
            // A short header, which asks for a stateless reset.
            2 => packet[0] = 0x40 | packet[0] & 0x3f,
            _ => {}
        }
        packet.resize(if at.is_multiple_of(8) { 1_200 } else { packet.len() }, 0);
        packet
    };
    (0..count).map(packet).collect()
}

/// Sends packets in turns from so many ports. Returns how many bytes went out.
///
/// Errors: no ports. What the system drops is dropped.
pub fn send(to: SocketAddr, packets: &[Vec<u8>], ports: usize) -> io::Result<usize> {
    let from = (0..ports).map(|_| socket()).collect::<io::Result<Vec<_>>>()?;
    let sent =
        packets.iter().zip(from.iter().cycle()).map(|(packet, from)| from.send_to(packet, to).unwrap_or(0));
    Ok(sent.sum())
}

/// A cable that passes on the first packets of a conversation, and then only what comes back.
#[derive(Debug)]
pub struct Tap {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tap {
    /// A tap in front of a node that lets so many packets through.
    ///
    /// Errors: no sockets.
    pub fn new(to: SocketAddr, packets: usize) -> io::Result<Self> {
        let (near, far) = (socket()?, socket()?);
        near.set_read_timeout(Some(LOOK_EVERY))?;
        far.set_nonblocking(true)?;
        let (addr, stop) = (near.local_addr()?, Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut packet, mut left, mut client) = ([0; 2_048], packets, None);
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((bytes, from)) = near.recv_from(&mut packet) {
                    client = Some(from);
                    if left > 0 && far.send_to(&packet[..bytes], to).is_ok() {
                        left -= 1;
                    }
                }
                while let (Ok(bytes), Some(client)) = (far.recv(&mut packet), client) {
                    drop(near.send_to(&packet[..bytes], client));
                }
            }
        });
        Ok(Self { addr, stop, thread: Some(thread) })
    }

    /// Where it is dialled.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}
