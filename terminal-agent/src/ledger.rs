//! The till's side of the node: writing entries, reading views, and what others hold.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use toko_crdt::body::Body;
use toko_crdt::clock::{Hlc, UnixMicros};
use toko_crdt::entry::Saw;
use toko_crdt::frontier::Frontier;
use toko_crdt::hash::hex;
use toko_crdt::ids::EntryRef;
use toko_crdt::member::Members;
use toko_crdt::{EffectId, Entry, Hash, KvError, KvRead, Lane, NodeId, StoreId};
use toko_mesh::bell::Ear;
use toko_mesh::machine::Machine;
use toko_mesh::node::{Alert, LinkStatus, Node};
use toko_mesh::store::{ReadStoreError, SaveError, Wait};
use toko_retail::ops::{OpV1, What};

use crate::till::Refusal;

/// The node as a till uses it. A cheap handle.
#[derive(Debug, Clone)]
pub struct Ledger {
    node: Node,
}

/// An entry that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Its effect.
    pub id: EffectId,
    /// Where it stands.
    pub place: EntryRef,
    /// When, by the hybrid clock.
    pub at: Hlc,
}

/// Who holds an entry durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holders {
    /// This terminal.
    pub here: bool,
    /// How many other nodes of the store.
    pub devices: usize,
    /// Headquarters.
    pub headquarters: bool,
}

/// How a node is.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The hub of the highest term.
    pub hub: Option<NodeId>,
    /// Whether there is a working link to it.
    pub hub_linked: bool,
    /// Whether the store has headquarters.
    pub hq_known: bool,
    /// Entries of the books that headquarters has not yet said to hold.
    pub hq_behind: u64,
    /// Links to other nodes.
    pub links: Vec<Link>,
    /// Where the node listens.
    pub listen: SocketAddr,
    /// Digest of the books' views, in hex.
    pub books: String,
    /// Digest of the floor's views, in hex.
    pub floor: String,
    /// One hash over all that is durable here.
    pub root: Hash,
    /// Entries that are durable here.
    pub entries: u64,
    /// Entries that are kept and not applied.
    pub parked: usize,
    /// The same by code.
    pub parked_codes: BTreeMap<&'static str, usize>,
    /// What a person should know: a stable word, and a sentence.
    pub alerts: Vec<(String, String)>,
}

/// A link to another node.
#[derive(Debug, Clone)]
pub struct Link {
    /// To whom.
    pub node: NodeId,
    /// What people call it.
    pub name: String,
    /// `hub`, `terminal` or `headquarters`.
    pub role: &'static str,
    /// Where.
    pub address: String,
    /// Whether both know what the other holds.
    pub settled: bool,
    /// How it was found.
    pub rung: &'static str,
}

impl Ledger {
    /// The till's side of `node`.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self { node }
    }

    /// This node.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.node.id()
    }

    /// What the node runs on.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        self.node.machine()
    }

    /// Names what the disk spoilt last of what this terminal had kept; `None` where it spoilt nothing.
    pub fn spoilt(&self) -> std::io::Result<Option<u64>> {
        let last = self.node.set_aside()?.pop();
        let name = last.map(|part| Hash::of("toko/spoilt/1", &[part.file.as_bytes()]));
        Ok(name.and_then(|hash| hash.0.first_chunk().copied()).map(u64::from_be_bytes))
    }

    /// Who belongs to the store.
    #[must_use]
    pub fn members(&self) -> Arc<Members> {
        self.node.members()
    }

    /// This terminal's number and name, as the hub enrolled it.
    #[must_use]
    pub fn terminal(&self) -> Option<(u16, String)> {
        self.members().roles(&self.me()).terminal.pop()
    }

    /// What the store calls a node.
    #[must_use]
    pub fn name_of(&self, node: &NodeId) -> Option<String> {
        let roles = self.members().roles(node);
        match roles.terminal.into_iter().next_back() {
            Some((_, name)) => Some(name),
            None if roles.headquarters => Some("headquarters".to_owned()),
            None if !roles.hub_terms.is_empty() => Some("hub".to_owned()),
            None => None,
        }
    }

    /// Writes a body and waits as `wait` says.
    ///
    /// Errors: [`Refusal::NotSaved`] when nothing was written, [`Refusal::NotKnown`] when only a restart will tell.
    pub async fn append(
        &self,
        lane: Lane,
        body: Body,
        saw: Option<Saw>,
        wait: Wait,
    ) -> Result<Written, Refusal> {
        let appended = self.node.append(lane, body, saw, wait).await.map_err(refusal)?;
        if let Some(code) = appended.parked {
            let what =
                format!("the entry was written and is not counted ({code}); the store must be looked at");
            return Err(Refusal::Unreadable(what));
        }
        Ok(Written { id: EffectId(appended.hash.0), place: appended.place, at: appended.at })
    }

    /// Writes an op into its lane.
    ///
    /// Errors: as [`Ledger::append`]; an op that no node would read is not written.
    pub async fn write(&self, op: &OpV1, saw: Option<Saw>, wait: Wait) -> Result<Written, Refusal> {
        op.check_shape()?;
        self.append(op.what.kind().lane(), Body::Op(op.encode()), saw, wait).await
    }

    /// Reads the views as they are at one moment.
    pub fn read<T>(&self, read: impl FnOnce(&dyn KvRead) -> Result<T, KvError>) -> Result<T, Refusal> {
        Ok(self.node.read(read)?)
    }

    /// When this node last wrote something, as far as it knows: no time before that can be right.
    ///
    /// Errors: an entry could not be read.
    pub fn last_written(&self) -> Result<UnixMicros, Refusal> {
        let mut last = UnixMicros(0);
        for (journal, head) in self.node.frontier().lines().filter(|(journal, _)| journal.node == self.me()) {
            let place = EntryRef { journal: *journal, seq: head.seq };
            let entry = self.node.entry(&place).map_err(|error| Refusal::Unreadable(error.to_string()))?;
            last = last.max(entry.map_or(last, |entry| entry.at().wall()));
        }
        Ok(last)
    }

    /// Whether what this node says of its devices is how they are now: it is this one, or the hub, and the hub is linked.
    pub(crate) fn is_within_reach(&self, owner: &NodeId) -> bool {
        let hub = self.members().hub().map(|(_, hub)| hub);
        *owner == self.me() || (hub == Some(*owner) && self.node.hub_alive())
    }

    /// What is durable here.
    pub(crate) fn frontier(&self) -> Frontier {
        self.node.frontier()
    }

    /// The entry at a place, where it is here.
    pub(crate) fn entry_at(&self, place: &EntryRef) -> Result<Option<Entry>, ReadStoreError> {
        self.node.entry(place)
    }

    /// The op that an effect was, wherever its entry stands.
    ///
    /// Errors: it is not here and was not fetched ([`Ledger::fetch`]), or is not an op that this build reads.
    pub fn op(&self, id: EffectId) -> Result<OpV1, Refusal> {
        let elsewhere = || Refusal::KeptElsewhere(id.short());
        let entry = self.entry(id)?.ok_or_else(elsewhere)?;
        let bytes = entry.body().ok_or_else(elsewhere)?;
        match Body::decode(&self.node.store_id(), bytes) {
            Ok(Body::Op(op)) => OpV1::decode(&op).map_err(|error| Refusal::Unreadable(error.to_string())),
            Ok(_) => Err(Refusal::Unreadable(format!("entry {} is no op", id.short()))),
            Err(error) => Err(Refusal::Unreadable(error.to_string())),
        }
    }

    /// Asks whoever is linked for the entry of a sale that is known here, where only its rows are. Takes some seconds at most;
    /// whether it is here now shows in [`Ledger::sale`].
    pub async fn fetch(&self, id: EffectId) {
        if !self.node.read(|kv| toko_retail::views::sale(kv, id)).is_ok_and(|sale| sale.is_some()) {
            return;
        }
        if let Err(err) = self.node.fetch_entry(&Hash(id.0)).await {
            tracing::warn!(entry = %id.short(), %err, "an entry could not be read");
        }
    }

    /// The sale that an effect was.
    pub fn sale(&self, id: EffectId) -> Result<toko_retail::ops::SaleV1, Refusal> {
        match self.op(id)?.what {
            What::Sale(sale) => Ok(*sale),
            _ => Err(Refusal::NoSuchSale(id.to_string())),
        }
    }

    /// Likewise, and nothing where others keep it.
    pub fn sale_if_here(&self, id: EffectId) -> Result<Option<toko_retail::ops::SaleV1>, Refusal> {
        match self.sale(id) {
            Ok(sale) => Ok(Some(sale)),
            Err(Refusal::KeptElsewhere(_)) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    fn entry(&self, id: EffectId) -> Result<Option<Entry>, Refusal> {
        self.node.entry_by_hash(&Hash(id.0)).map_err(|error| Refusal::Unreadable(error.to_string()))
    }

    /// A blob, from this terminal's disk or from whoever is linked and has it.
    pub async fn blob(&self, hash: Hash) -> Option<Vec<u8>> {
        match self.node.blob(&hash).await {
            Ok(found) => found,
            Err(err) => {
                tracing::warn!(blob = %hash.short(), %err, "a blob could not be read or kept");
                None
            }
        }
    }

    /// Asks through the store's thread whether it still works.
    pub async fn probe(&self) -> Result<(), Refusal> {
        self.node.probe().await.map_err(refusal)
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> StoreId {
        self.node.store_id()
    }

    /// Who holds an entry durably, as far as they said so.
    ///
    /// Errors: the views could not be read.
    pub fn holders(&self, place: EntryRef) -> Result<Holders, Refusal> {
        let holders = self.node.holders(&place)?;
        let headquarters = self.members().headquarters();
        let (hq, store): (Vec<&NodeId>, Vec<&NodeId>) =
            holders.iter().partition(|node| headquarters.contains(node));
        let devices = store.iter().filter(|node| ***node != self.me()).count();
        Ok(Holders { here: store.len() > devices, devices, headquarters: !hq.is_empty() })
    }

    /// How the node is.
    ///
    /// Errors: the views could not be read.
    pub async fn condition(&self) -> Result<Condition, Refusal> {
        let status = self.node.status().await?;
        let members = self.members();
        let role = |node: &NodeId| match members.roles(node) {
            _ if status.hub.node == Some(*node) => "hub",
            roles if roles.headquarters => "headquarters",
            roles if roles.is_hub() => "hub",
            _ => "terminal",
        };
        let link = |link: &LinkStatus| Link {
            node: link.peer,
            name: link.name.clone(),
            role: role(&link.peer),
            address: link.addr.to_string(),
            settled: link.settled,
            rung: link.rung.word(),
        };
        let alert = |alert: &Alert| {
            let about = alert.node.and_then(|node| self.name_of(&node)).map(|name| format!("{name}: "));
            let text = format!("{}{}; {}", about.unwrap_or_default(), alert.what, alert.code.advice());
            (alert.code.word().to_owned(), text)
        };
        Ok(Condition {
            hub: status.hub.node,
            hub_linked: status.hub.alive,
            hq_known: status.headquarters.is_some(),
            hq_behind: status.headquarters.map_or(0, |hq| hq.behind),
            links: status.links.iter().map(link).collect(),
            listen: status.listen,
            books: hex(&status.digests.books.0),
            floor: hex(&status.digests.floor.0),
            root: status.frontier_root,
            entries: status.entries,
            parked: status.parked.len(),
            parked_codes: status.parked.iter().fold(BTreeMap::new(), |mut counts, parked| {
                *counts.entry(parked.code.word()).or_default() += 1;
                counts
            }),
            alerts: status.alerts.iter().map(alert).collect(),
        })
    }

    /// Whether there is a working link to the hub.
    #[must_use]
    pub fn hub_alive(&self) -> bool {
        self.node.hub_alive()
    }

    /// Root of the frontier that is durable here.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.node.frontier().root()
    }

    /// Counts changes of views, frontier and members.
    #[must_use]
    pub fn changed(&self) -> Ear {
        self.node.changed()
    }

    /// Counts changes of links and of what others hold.
    #[must_use]
    pub fn links_changed(&self) -> Ear {
        self.node.links_changed()
    }
}

fn refusal(error: SaveError) -> Refusal {
    match error {
        SaveError::Broken { .. } => Refusal::NotKnown(error.to_string()),
        SaveError::Stopped => Refusal::Stopping,
        other => Refusal::NotSaved(other.to_string()),
    }
}
