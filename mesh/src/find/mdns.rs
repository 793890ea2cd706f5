//! The rung that shouts: `_toko-hub._udp` and `_toko-term._udp` on the LAN, through mdns-sd.
//!
//! What is heard is a hint and never trusted: it says "perhaps there", and the key at that address says who. Many shop
//! networks filter multicast, so nothing depends on it, it can be switched off, and no test needs it. TXT carries the first
//! 80 bits of store and node id. A record outlives a node that died by its time to live (120 s), so silence here means
//! nothing and liveness is the links' business.
//!
//! The daemon of mdns-sd runs its own thread; if that dies, it is made anew after a moment.

use crate::tls::FINGERPRINT_BYTES;
use mdns_sd::{Error, IfKind, IfPredicate, Receiver, ServiceDaemon, ServiceEvent, ServiceInfo, TryRecvError};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use toko_crdt::hash::{hex, unhex};
use tracing::{debug, info};

const HUB: &str = "_toko-hub._udp.local.";
const TERMINAL: &str = "_toko-term._udp.local.";
/// How often what was heard is collected. Hints are in no hurry; the first dial uses other rungs.
const COLLECT: Duration = Duration::from_millis(250);
/// How long to wait before the daemon is made anew: on a machine without network it fails at once, each time.
const AGAIN: Duration = Duration::from_secs(10);
/// How long the daemon has to send that we go. It says nothing when it has, so this is waited out.
const GOODBYE: Duration = Duration::from_millis(250);
/// Interfaces of containers and virtual machines, where no till is.
const VIRTUAL: [&str; 5] = ["docker", "veth", "virbr", "br-", "tun"];

/// What a node shouts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announcement {
    /// Whether it is the hub.
    pub hub: bool,
    /// First bytes of the store's id.
    pub store: [u8; FINGERPRINT_BYTES],
    /// First bytes of the node's id.
    pub node: [u8; FINGERPRINT_BYTES],
    /// Its UDP port.
    pub port: u16,
}

/// What was heard of a node: a hint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// Whether it says that it is the hub.
    pub hub: bool,
    /// First bytes of the store's id.
    pub store: [u8; FINGERPRINT_BYTES],
    /// First bytes of the node's id.
    pub node: [u8; FINGERPRINT_BYTES],
    /// Where it says that it is.
    pub addresses: Vec<SocketAddr>,
}

/// Shouts (where there is something to shout) and listens, until told to stop; then withdraws what was shouted.
///
/// When `heard` is full, what is heard is dropped: it will be heard again.
pub async fn run(shout: Option<Announcement>, heard: mpsc::Sender<Sighting>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match Ears::open(shout.as_ref()) {
            Ok(ears) => {
                ears.listen(&heard, &stop).await;
                ears.close(&stop).await;
            }
            Err(err) => debug!(%err, "mDNS is not to be had"),
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = tokio::time::sleep(AGAIN) => info!("mDNS starts again"),
        }
    }
}

struct Ears {
    daemon: ServiceDaemon,
    events: [Receiver<ServiceEvent>; 2],
    shouted: Option<String>,
}

impl Ears {
    fn open(shout: Option<&Announcement>) -> Result<Self, Error> {
        let daemon = ServiceDaemon::new()?;
        let is_virtual = |name: &str| VIRTUAL.iter().any(|start| name.starts_with(start));
        daemon
            .disable_interface(IfKind::Predicate(IfPredicate::new(move |found| is_virtual(&found.name))))?;
        let events = [daemon.browse(HUB)?, daemon.browse(TERMINAL)?];
        let shouted = match shout {
            Some(shout) => {
                let info = shout.service()?;
                let name = info.get_fullname().to_owned();
                daemon.register(info)?;
                Some(name)
            }
            None => None,
        };
        Ok(Self { daemon, events, shouted })
    }

    /// Returns when told to stop, or when the daemon is gone.
    async fn listen(&self, heard: &mpsc::Sender<Sighting>, stop: &CancellationToken) {
        let mut collect = tokio::time::interval(COLLECT);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = collect.tick() => {}
            }
            for events in &self.events {
                loop {
                    match events.try_recv() {
                        Ok(ServiceEvent::ServiceResolved(found)) => {
                            let txt = |key| found.get_property_val_str(key).and_then(unhex);
                            let (Some(store), Some(node)) = (txt("store"), txt("node")) else { continue };
                            let hub = found.ty_domain == HUB;
                            let ips = found.addresses.iter().map(mdns_sd::ScopedIp::to_ip_addr);
                            let addresses = usable(ips, found.port);
                            let _ = heard.try_send(Sighting { hub, store, node, addresses });
                        }
                        Ok(_) => {}
                        Err(TryRecvError::Empty) => break,
                        Err(TryRecvError::Disconnected) => return,
                    }
                }
            }
        }
    }

    async fn close(self, stop: &CancellationToken) {
        if let Some(name) = &self.shouted
            && self.daemon.unregister(name).is_ok()
            && stop.is_cancelled()
        {
            tokio::time::sleep(GOODBYE).await;
        }
        let _ = self.daemon.shutdown();
    }
}

impl Announcement {
    fn service(&self) -> Result<ServiceInfo, Error> {
        let node = hex(&self.node);
        let kind = if self.hub { HUB } else { TERMINAL };
        let properties = [("store", hex(&self.store)), ("node", node.clone())];
        let host = format!("toko-{node}.local.");
        Ok(ServiceInfo::new(kind, &node, &host, "", self.port, &properties[..])?.enable_addr_auto())
    }
}

/// Link-local IPv6 needs a scope that the wire does not carry, so it is left out.
fn usable(ips: impl Iterator<Item = IpAddr>, port: u16) -> Vec<SocketAddr> {
    let local = |ip: &IpAddr| matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let mut out: Vec<SocketAddr> = ips.filter(|ip| !local(ip)).map(|ip| SocketAddr::new(ip, port)).collect();
    out.sort_unstable();
    out.truncate(super::ADDRESSES_MAX);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_fits_what_mdns_carries() {
        let shout = Announcement { hub: true, store: [0xff; 10], node: [0; 10], port: 7443 };
        let info = shout.service().unwrap();
        assert_eq!(info.get_fullname(), "00000000000000000000._toko-hub._udp.local.");
        assert_eq!(info.get_property_val_str("store").and_then(unhex), Some(shout.store));
    }

    #[test]
    fn link_local_addresses_are_left_out() {
        let ips = ["fe80::1", "10.0.0.7", "2001:db8::1"].map(|text| text.parse().unwrap());
        let all = usable(ips.into_iter(), 7);
        assert_eq!(all, ["10.0.0.7:7".parse().unwrap(), "[2001:db8::1]:7".parse().unwrap()]);
    }
}
