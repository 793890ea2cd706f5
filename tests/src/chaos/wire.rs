//! The shop's network: a bridge, and for each box a network namespace with one cable to it.
//!
//! Invariants: nothing of the machine's own network is touched, because the bridge has a namespace as well; everything made
//! here has the run's prefix in its name and goes with this value. `tests/chaos.sh` sweeps up by that prefix after a run that
//! was killed.
//!
//! A fault is a set of nft rules in one box's namespace, a cable that is pulled, or an address that changes.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::failure::Failure;
use crate::door::run_command;

/// The shop's network is `10.99.0.0/24`.
const NET: [u8; 3] = [10, 99, 0];
/// How long one command of iproute2 or nftables may take.
const SOON: Duration = Duration::from_secs(20);
/// Where the bridge is.
const BRIDGE: &str = "lan";

/// All namespaces of a run.
#[derive(Debug)]
pub struct Wire {
    prefix: String,
    names: Vec<String>,
}

/// An address of the shop's network.
pub fn address(last: u8) -> Ipv4Addr {
    let [a, b, c] = NET;
    Ipv4Addr::new(a, b, c, last)
}

impl Wire {
    /// Lays the bridge.
    ///
    /// Errors: the machine refuses; `prefix` is in use.
    pub fn lay(prefix: &str) -> Result<Self, Failure> {
        let mut wire = Self { prefix: prefix.to_owned(), names: Vec::new() };
        wire.make(BRIDGE)?;
        wire.ip(BRIDGE, &["link", "add", "name", "br0", "type", "bridge"])?;
        wire.ip(BRIDGE, &["link", "set", "br0", "up"])?;
        wire.ip(BRIDGE, &["addr", "add", "10.99.0.254/24", "dev", "br0"])?;
        Ok(wire)
    }

    /// Puts a box on the network.
    pub fn plug(&mut self, name: &str, last: u8) -> Result<(), Failure> {
        self.make(name)?;
        let (far, port) = (self.namespace(name), port(name));
        let peer = ["type", "veth", "peer", "name", "eth0", "netns", &far];
        self.ip(BRIDGE, &[&["link", "add", "name", &port], &peer[..]].concat())?;
        self.ip(BRIDGE, &["link", "set", &port, "master", "br0", "up"])?;
        self.ip(name, &["link", "set", "eth0", "up"])?;
        self.add_address(name, last)
    }

    /// Gives a box one more address.
    pub fn add_address(&self, name: &str, last: u8) -> Result<(), Failure> {
        self.ip(name, &["addr", "add", &format!("{}/24", address(last)), "dev", "eth0"])
    }

    /// Takes all IPv4 addresses from a box, as a lease that was lost.
    pub fn flush_addresses(&self, name: &str) -> Result<(), Failure> {
        self.ip(name, &["-4", "addr", "flush", "dev", "eth0"])
    }

    /// Lets a box that is none of ours send to multicast groups.
    pub fn route_multicast(&self, name: &str) -> Result<(), Failure> {
        self.ip(name, &["route", "add", "224.0.0.0/4", "dev", "eth0"])
    }

    /// Takes a box off the network for good.
    pub fn unplug(&mut self, name: &str) {
        self.names.retain(|other| other != name);
        self.forget_names(name);
        // What is not there any more is as gone as it should be.
        let _ = run(&["ip", "netns", "del", &self.namespace(name)]);
    }

    /// The namespace of a box.
    pub fn namespace(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// A command line that runs inside a box.
    pub fn inside(&self, name: &str) -> Vec<String> {
        ["ip", "netns", "exec", &self.namespace(name)].map(str::to_owned).into()
    }

    /// Processes that start in a box from now on ask this name server, and no other; none at all after [`Wire::forget_names`].
    pub fn ask_names_of(&self, name: &str, server: Ipv4Addr) -> Result<(), Failure> {
        let dir = self.names_of(name);
        let written = std::fs::create_dir_all(&dir)
            .and_then(|()| std::fs::write(dir.join("resolv.conf"), format!("nameserver {server}\n")))
            .and_then(|()| std::fs::write(dir.join("nsswitch.conf"), "hosts: files dns\n"));
        written.map_err(|e| Failure::system(format!("cannot write into {}", dir.display()), e))
    }

    /// Processes that start in a box from now on ask whomever the machine asks.
    pub fn forget_names(&self, name: &str) {
        // Most boxes never had any.
        let _ = std::fs::remove_dir_all(self.names_of(name));
    }

    /// What `ip netns exec` lays over `/etc` for processes in a box.
    fn names_of(&self, name: &str) -> PathBuf {
        Path::new("/etc/netns").join(self.namespace(name))
    }

    /// Where threads go in.
    pub fn door(&self, name: &str) -> Door {
        Door(Path::new("/run/netns").join(self.namespace(name)))
    }

    /// Pulls the cable of a box, or plugs it in.
    pub fn cable(&self, name: &str, is_in: bool) -> Result<(), Failure> {
        self.ip(BRIDGE, &["link", "set", &port(name), if is_in { "up" } else { "down" }])
    }

    /// Rules of nft for what comes into a box. They take the place of earlier ones.
    pub fn rules_in(&self, name: &str, rules: &[&str]) -> Result<(), Failure> {
        self.rules(name, "input", rules)
    }

    /// Likewise for what leaves it.
    pub fn rules_out(&self, name: &str, rules: &[&str]) -> Result<(), Failure> {
        self.rules(name, "output", rules)
    }

    /// Drops what comes from another box, both ways if both are told.
    pub fn deaf_to(&self, name: &str, last: u8) -> Result<(), Failure> {
        self.rules_in(name, &[&format!("ip saddr {} drop", address(last))])
    }

    /// Sends UDP for an address to another port of the network's own namespace, where a relay waits; what the relay sends
    /// back seems to come from that address. Packet by packet, with no memory: which side spoke first does not matter.
    pub fn divert(&self, name: &str, to: (Ipv4Addr, u16), relay: u16) -> Result<(), Failure> {
        let (bridge, (to, port)) = (address(254), to);
        self.nft(name, "add table ip detour")?;
        self.nft(name, "add chain ip detour away { type route hook output priority mangle; }")?;
        self.nft(name, "add chain ip detour back { type filter hook prerouting priority raw; }")?;
        let away = format!("ip daddr {to} udp dport {port} ip daddr set {bridge} udp dport set {relay}");
        let back = format!("ip saddr {bridge} udp sport {relay} ip saddr set {to} udp sport set {port}");
        self.nft(name, &format!("add rule ip detour away {away}"))?;
        self.nft(name, &format!("add rule ip detour back {back}"))
    }

    /// The bridge's own door, for relays.
    pub fn switch_door(&self) -> Door {
        self.door(BRIDGE)
    }

    /// Everything that rules did to a box ends.
    pub fn clear(&self, name: &str) -> Result<(), Failure> {
        self.nft(name, "flush ruleset")
    }

    /// Limits what flows to and from a box, in bits a second.
    pub fn throttle(&self, name: &str, rate: &str) -> Result<(), Failure> {
        let shape = ["root", "tbf", "rate", rate, "burst", "4kb", "latency", "500ms"];
        let tc = |at: &str, device: &str| {
            let namespace = self.namespace(at);
            run(&[&["tc", "-n", &namespace, "qdisc", "replace", "dev", device], &shape[..]].concat())
        };
        tc(name, "eth0")?;
        tc(BRIDGE, &port(name))
    }

    /// Ends that.
    pub fn unthrottle(&self, name: &str) -> Result<(), Failure> {
        for (at, device) in [(name, "eth0".to_owned()), (BRIDGE, port(name))] {
            run(&["tc", "-n", &self.namespace(at), "qdisc", "del", "dev", &device, "root"])?;
        }
        Ok(())
    }

    /// Bytes that all boxes sent so far, as the bridge's ports received them.
    pub fn bytes_sent(&self) -> Result<u64, Failure> {
        let printed = run_out(&["ip", "-n", &self.namespace(BRIDGE), "-j", "-s", "link", "show"])?;
        let links: serde_json::Value = serde_json::from_slice(&printed)
            .map_err(|odd| Failure::wrong(format!("ip -j link printed no JSON: {odd}")))?;
        let ports = links.as_array().into_iter().flatten().filter(|link| link["master"] == "br0");
        Ok(ports.filter_map(|port| port["stats64"]["rx"]["bytes"].as_u64()).sum())
    }

    fn rules(&self, name: &str, hook: &str, rules: &[&str]) -> Result<(), Failure> {
        let chain = format!("type filter hook {hook} priority 0;");
        // Made anew, so that rules do not pile up.
        self.nft(name, &format!("add table inet fault_{hook}"))?;
        self.nft(name, &format!("delete table inet fault_{hook}"))?;
        // Loopback is no network: what a box says to itself arrives.
        let card = if hook == "input" { "iifname" } else { "oifname" };
        let lines: String = rules.iter().map(|rule| format!("{card} \"eth0\" {rule}\n")).collect();
        self.nft(name, &format!("table inet fault_{hook} {{\nchain {hook} {{\n{chain}\n{lines}}}\n}}"))
    }

    fn nft(&self, name: &str, script: &str) -> Result<(), Failure> {
        run(&["ip", "netns", "exec", &self.namespace(name), "nft", script])
    }

    fn ip(&self, name: &str, args: &[&str]) -> Result<(), Failure> {
        run(&[&["ip", "-n", &self.namespace(name)], args].concat())
    }

    fn make(&mut self, name: &str) -> Result<(), Failure> {
        run(&["ip", "netns", "add", &self.namespace(name)])?;
        self.names.push(name.to_owned());
        self.ip(name, &["link", "set", "lo", "up"])
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for name in std::mem::take(&mut self.names) {
            self.unplug(&name);
        }
    }
}

/// The bridge's end of a box's cable; names of interfaces have 15 letters at most.
fn port(name: &str) -> String {
    format!("p-{}", name.chars().take(12).collect::<String>())
}

/// A way into a namespace, for threads.
#[derive(Clone, Debug)]
pub struct Door(PathBuf);

impl Door {
    /// Runs something in there: sockets that it makes belong to the box.
    pub fn run<T: Send>(&self, what: impl FnOnce() -> T + Send) -> Result<T, Failure> {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter()?;
                Ok(what())
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the thread that calls, for good.
    pub fn enter(&self) -> Result<(), Failure> {
        let cannot = |source| Failure::system(format!("cannot enter {}", self.0.display()), source);
        let namespace = File::open(&self.0).map_err(cannot)?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|errno| cannot(errno.into()))
    }
}

/// Runs a command of the machine.
pub fn run(words: &[&str]) -> Result<(), Failure> {
    run_out(words).map(drop)
}

fn run_out(words: &[&str]) -> Result<Vec<u8>, Failure> {
    let Some((program, args)) = words.split_first() else { return Ok(Vec::new()) };
    Ok(run_command(Path::new(program), args, SOON)?)
}
