//! The shop's cables: a relay in front of every box, so that one box can be cut from all others.
//!
//! Invariants: others reach a box only through its relay, so its address in their configuration is [`Lan::front`]'s; a box
//! that is cut hears nobody and is heard by nobody, whoever dialled.
//!
//! A box is known by the port it listens on, from which it also dials (one QUIC endpoint does both).

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use crate::relay::{Counts, Relay};

/// All relays of a shop, by the name of the box behind each.
#[derive(Debug, Default)]
pub struct Lan(BTreeMap<String, (SocketAddr, Relay)>);

impl Lan {
    /// Puts a relay in front of a box that listens (or will listen) at `behind`; returns the address for the others.
    ///
    /// Errors: the system gave no socket.
    pub fn front(&mut self, name: &str, behind: SocketAddr) -> io::Result<SocketAddr> {
        let relay = Relay::start(behind)?;
        let address = relay.address();
        self.0.insert(name.to_owned(), (behind, relay));
        Ok(address)
    }

    /// Pulls the cable of one box. False if there is no such box.
    pub fn cut(&self, name: &str) -> bool {
        self.each_end(name, Relay::cut_all, Relay::cut_client)
    }

    /// Plugs it in again.
    pub fn heal(&self, name: &str) -> bool {
        self.each_end(name, Relay::heal_all, Relay::heal_client)
    }

    /// Where the others reach a box.
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        self.0.get(name).map(|(_, relay)| relay.address())
    }

    /// What went through the relay in front of a box.
    pub fn counts(&self, name: &str) -> Option<Counts> {
        self.0.get(name).map(|(_, relay)| relay.counts())
    }

    fn each_end(&self, name: &str, own: impl Fn(&Relay), others: impl Fn(&Relay, u16)) -> bool {
        let Some((behind, relay)) = self.0.get(name) else { return false };
        own(relay);
        for (_, (_, relay)) in self.0.iter().filter(|(other, _)| *other != name) {
            others(relay, behind.port());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;
    use crate::process::wait_until;

    const SOON: Duration = Duration::from_secs(10);

    struct Rig {
        lan: Lan,
        boxes: BTreeMap<&'static str, (UdpSocket, SocketAddr)>,
    }

    fn rig() -> Rig {
        let mut lan = Lan::default();
        let mut boxes = BTreeMap::new();
        for name in ["hub", "till-1", "till-2"] {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(SOON)).unwrap();
            let front = lan.front(name, socket.local_addr().unwrap()).unwrap();
            boxes.insert(name, (socket, front));
        }
        Rig { lan, boxes }
    }

    impl Rig {
        fn send(&self, from: &str, to: &str) {
            self.boxes[from].0.send_to(from.as_bytes(), self.boxes[to].1).unwrap();
        }

        fn arrives(&self, from: &str, to: &str) {
            self.send(from, to);
            let mut buffer = [0; 16];
            let length = self.boxes[to].0.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], from.as_bytes());
        }

        fn vanishes(&self, from: &str, to: &str) {
            let dropped = self.lan.counts(to).unwrap().dropped;
            self.send(from, to);
            wait_until("the drop", SOON, || match self.lan.counts(to) {
                Some(now) if now.dropped > dropped => Ok(()),
                now => Err(format!("{now:?}")),
            })
            .unwrap();
        }
    }

    #[test]
    fn a_box_that_is_cut_is_deaf_and_mute_and_the_others_are_not() {
        let rig = rig();
        rig.arrives("till-1", "hub");
        assert!(rig.lan.cut("till-1"));
        rig.vanishes("till-1", "hub");
        rig.vanishes("till-1", "till-2");
        rig.vanishes("hub", "till-1");
        rig.vanishes("till-2", "till-1");
        rig.arrives("till-2", "hub");
        assert!(rig.lan.heal("till-1"));
        rig.arrives("till-1", "hub");
        rig.arrives("hub", "till-1");
        assert!(!rig.lan.cut("till-9"));
    }
}
