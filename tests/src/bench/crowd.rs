//! A whole shop in this process: a hub and as many terminals as asked for, over real QUIC on the loopback, each a node with
//! a directory of its own and the shop's fold. For figures about many terminals, where as many processes would not fit.
//!
//! Invariants: nothing is shared between two nodes but the machine; where there are cables, no node reaches another but
//! through a relay, which can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use terminal_agent::service::meaning;
use tokio::task::JoinSet;
use toko_crdt::KvError;
use toko_crdt::digest::{Digests, LOCAL_KEYS};
use toko_crdt::frontier::Frontier;
use toko_crdt::hash::hex;
use toko_crdt::ids::EntryRef;
use toko_mesh::identity::Role;
use toko_mesh::node::setup::{enrol_terminal, found_store};
use toko_mesh::node::{LinkStatus, Node, NodeConfig};

use super::goods::Goods;
use super::store::{counted, sale};
use super::trouble::Trouble;
use crate::lan::Lan;
use crate::process::{TooLate, free_udp_port};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many links to others a terminal keeps in a shop that is larger than that.
const PEERS_CHOSEN: usize = 4;
/// A foreign condition is looked at again after so long.
const LOOK: Duration = Duration::from_millis(5);

/// A hub and terminals.
#[derive(Debug)]
pub struct Crowd {
    dir: PathBuf,
    /// The hub.
    pub hub: Node,
    /// The terminals.
    pub tills: Vec<Node>,
    lan: Option<Lan>,
}

impl Crowd {
    /// Founds a store in `dir`, enrols terminals, opens all, waits until all are linked. With `cables`, each can be cut.
    pub async fn open(dir: &Path, tills: usize, cables: bool) -> Result<Self, Trouble> {
        let failed = "a shop in this process";
        let mut lan = cables.then(Lan::default);
        found_store(&dir.join("hub"), &meaning()).map_err(Trouble::product(failed))?;
        let (hub, at) = open(dir, "hub", Role::Hub, Vec::new(), lan.as_mut()).await?;
        let mut shop = Self { dir: dir.to_owned(), hub, tills: Vec::new(), lan };
        for nth in 0..tills {
            let name = name(nth);
            let code = shop.hub.open_code(&name).map_err(Trouble::product(failed))?;
            let enrolled = enrol_terminal(&dir.join(&name), &code, &[at], None, &meaning()).await;
            enrolled.map_err(Trouble::product(failed))?;
            let (till, _) = open(dir, &name, Role::Terminal, vec![at], shop.lan.as_mut()).await?;
            shop.tills.push(till);
        }
        shop.until_linked().await?;
        shop.until_equal(&shop.all()).await?;
        Ok(shop)
    }

    /// The hub, then the terminals.
    pub fn all(&self) -> Vec<&Node> {
        std::iter::once(&self.hub).chain(&self.tills).collect()
    }

    /// Waits until every link that is wanted works.
    pub async fn until_linked(&self) -> Result<(), Trouble> {
        let (count, others) = (self.tills.len(), self.tills.len().saturating_sub(1));
        let of_a_till = 1 + if others > 8 { PEERS_CHOSEN } else { others };
        for node in self.all() {
            let wanted = if node.id() == self.hub.id() { count } else { of_a_till };
            until_links("all links", node, |links| {
                links.iter().filter(|link| link.settled).count() >= wanted
            })
            .await?;
        }
        Ok(())
    }

    /// Sells `count` sales, all terminals in turn but those in `not`, and waits until each is safe where it was made.
    pub async fn sell(&self, goods: &Goods, count: u64, not: &[usize]) -> Result<(), Trouble> {
        let who: Vec<&Node> = self
            .tills
            .iter()
            .enumerate()
            .filter(|(nth, _)| !not.contains(nth))
            .map(|(_, till)| till)
            .collect();
        let mut selling = JoinSet::new();
        for nth in 0..count {
            let till = usize::try_from(nth).unwrap_or(0) % who.len().max(1);
            let (store, append) = (who[till].store().clone(), sale(goods, nth)?);
            selling.spawn(async move { store.append(append).await });
            if selling.len() >= 64 {
                safe(selling.join_next().await)?;
            }
        }
        while let Some(done) = selling.join_next().await {
            safe(Some(done))?;
        }
        Ok(())
    }

    /// Pulls the cable of a node, or plugs it in again. Does nothing in a shop without cables.
    pub fn cut(&self, name: &str, cut: bool) {
        if let Some(lan) = &self.lan {
            let _ = if cut { lan.cut(name) } else { lan.heal(name) };
        }
    }

    /// Waits until these nodes hold the same, and their views say so.
    pub async fn until_equal(&self, nodes: &[&Node]) -> Result<(), Trouble> {
        let mut wanted = Frontier::default();
        for node in nodes {
            wanted.join(&node.frontier());
        }
        for node in nodes {
            until("all to hold the same", node, || covers(node, &wanted)).await?;
        }
        let failed = "reading the digests of a node's views";
        let Some((first, others)) = nodes.split_first() else { return Ok(()) };
        let wanted = first.store().reader().digests().map_err(Trouble::product(failed))?;
        for node in others {
            if node.store().reader().digests().map_err(Trouble::product(failed))? != wanted {
                let why = differing(first, node).map_err(Trouble::product(failed))?;
                return Err(Trouble::product("comparing views")(format!(
                    "equal entries, unequal digests: {why}"
                )));
            }
        }
        Ok(())
    }

    /// Stops everybody.
    pub async fn stop(self) -> Result<(), Trouble> {
        let mut stopping = JoinSet::new();
        for node in self.tills.into_iter().chain([self.hub]) {
            stopping.spawn(async move { node.shutdown().await });
        }
        while let Some(done) = stopping.join_next().await {
            let done = done.map_err(Trouble::product("closing a node"))?;
            done.map_err(Trouble::product("closing a node"))?;
        }
        drop(self.lan);
        Ok(std::fs::remove_dir_all(self.dir)?)
    }
}

/// What a terminal is called, and its directory.
pub fn name(nth: usize) -> String {
    format!("till-{}", nth + 1)
}

/// Whether a node holds and shows what stands at a place.
pub fn holds(node: &Node, place: &EntryRef) -> bool {
    let at = |frontier: &Frontier| frontier.head(&place.journal).is_some_and(|head| head.seq >= place.seq);
    node.store().reader().with_frontier(at)
}

/// Whether a node holds all of this.
pub fn covers(node: &Node, wanted: &Frontier) -> bool {
    node.store().reader().with_frontier(|frontier| frontier.covers(wanted))
}

/// How many entries a frontier names.
pub fn entries(frontier: &Frontier) -> u64 {
    frontier.lines().map(|(_, head)| head.seq).sum()
}

/// Looks whenever the node's store changes.
pub async fn until(what: &'static str, node: &Node, holds: impl Fn() -> bool) -> Result<(), Trouble> {
    let mut changed = node.changed();
    let wait = async {
        while !holds() {
            if changed.changed().await.is_err() {
                break;
            }
        }
    };
    let last = || format!("{} entries", entries(&node.frontier()));
    tokio::time::timeout(PATIENCE, wait).await.map_err(|_| late(what, last()))
}

/// Looks whenever the node's links change, and now and then.
pub async fn until_links(
    what: &'static str,
    node: &Node,
    holds: impl Fn(&[LinkStatus]) -> bool,
) -> Result<(), Trouble> {
    let mut changed = node.links_changed();
    let begun = tokio::time::Instant::now();
    loop {
        let links = node.status().await.map_err(Trouble::product("asking a node"))?.links;
        if holds(&links) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            let named: Vec<&str> = links.iter().map(|link| link.name.as_str()).collect();
            return Err(late(what, format!("linked with {named:?}")));
        }
        // Links that come and go without a word are seen with the next look.
        let _ = tokio::time::timeout(LOOK, changed.changed()).await;
    }
}

/// The first row of the views in which two nodes differ, for whoever looks for the reason.
fn differing(one: &Node, other: &Node) -> Result<String, KvError> {
    let rows = |node: &Node| {
        node.read(|kv| {
            let mut rows = BTreeMap::new();
            kv.scan(&[], &mut |key, value| {
                if key.first().is_some_and(|first| *first < LOCAL_KEYS) {
                    rows.insert(key.to_vec(), value.to_vec());
                }
                true
            })?;
            Ok(rows)
        })
    };
    let (ours, theirs) = (rows(one)?, rows(other)?);
    let keys: BTreeSet<&Vec<u8>> = ours.keys().chain(theirs.keys()).collect();
    let odd: Vec<&&Vec<u8>> = keys.iter().filter(|key| ours.get(**key) != theirs.get(**key)).collect();
    let Some(first) = odd.first() else {
        let counted = |rows: &BTreeMap<Vec<u8>, Vec<u8>>| {
            let mut digests = Digests::default();
            rows.iter().for_each(|(key, value)| digests.change(key, None, Some(value)));
            digests
        };
        let said = [one, other].map(|node| node.store().reader().digests());
        return Ok(format!(
            "all {} rows are equal and add up to {:?}; the nodes say {said:?}",
            ours.len(),
            counted(&ours)
        ));
    };
    let value = |rows: &BTreeMap<Vec<u8>, Vec<u8>>| {
        rows.get(**first).map_or("nothing".to_owned(), |value| hex(value))
    };
    let (ours_of, theirs_of) = (value(&ours), value(&theirs));
    Ok(format!("{} rows of {}; {}: {ours_of} and {theirs_of}", odd.len(), keys.len(), hex(first)))
}

fn late(what: &str, last: String) -> Trouble {
    TooLate { what: what.to_owned(), waited_ms: PATIENCE.as_millis(), last }.into()
}

type Sold = Result<toko_mesh::store::Appended, toko_mesh::store::SaveError>;

fn safe(done: Option<Result<Sold, tokio::task::JoinError>>) -> Result<(), Trouble> {
    let Some(done) = done else { return Ok(()) };
    let sold = done.map_err(Trouble::product("a sale"))?.map_err(Trouble::product("a sale"))?;
    counted(sold).map(drop)
}

/// Opens a node; returns the address for the others.
async fn open(
    dir: &Path,
    name: &str,
    role: Role,
    hub: Vec<SocketAddr>,
    lan: Option<&mut Lan>,
) -> Result<(Node, SocketAddr), Trouble> {
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, free_udp_port()?));
    let front = lan.map(|lan| lan.front(name, here)).transpose()?;
    let config = NodeConfig {
        hub,
        advertise: front.into_iter().collect(),
        ..NodeConfig::new(dir.join(name), role, here)
    };
    let meaning = meaning();
    let node = Node::open(config, meaning.fold, meaning.scope).await;
    Ok((node.map_err(Trouble::product("opening a node"))?, front.unwrap_or(here)))
}
