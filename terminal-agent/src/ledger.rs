//! The till's side of the node: writing entries, reading views, and what others hold.

use std::sync::Arc;
use toko_crdt::body::Body;
use toko_crdt::clock::Hlc;
use toko_crdt::entry::Saw;
use toko_crdt::ids::EntryRef;
use toko_crdt::member::Members;
use toko_crdt::hash::hex;
use toko_crdt::{EffectId, Entry, Hash, KvError, KvRead, Lane, NodeId, StoreId};
use toko_mesh::store::{Append, SaveError, StoreHandle, Wait};
use toko_retail::ops::{OpV1, What};

use crate::till::Refusal;

/// The node as a till uses it. A cheap handle.
#[derive(Debug, Clone)]
pub struct Ledger {
    store: StoreHandle,
    me: NodeId,
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
    /// Whether there is a link to it.
    pub hub_linked: bool,
    /// Whether the store has headquarters.
    pub hq_known: bool,
    /// Whether there is a link to them.
    pub hq_linked: bool,
    /// Links to other nodes.
    pub links: Vec<Link>,
    /// Digest of the books' views, in hex.
    pub books: String,
    /// Digest of the floor's views, in hex.
    pub floor: String,
    /// Entries that are kept and not applied.
    pub parked: usize,
    /// What a person should know: a stable word, and a sentence.
    pub alerts: Vec<(String, String)>,
}

/// A link to another node.
#[derive(Debug, Clone)]
pub struct Link {
    /// To whom.
    pub node: NodeId,
    /// `hub`, `terminal` or `headquarters`.
    pub role: &'static str,
    /// Where.
    pub address: Option<String>,
    /// Whether it lives.
    pub linked: bool,
    /// How it was found.
    pub rung: Option<String>,
}

impl Ledger {
    /// The till's side of `store`, which is node `me`.
    #[must_use]
    pub fn new(store: StoreHandle, me: NodeId) -> Self {
        Self { store, me }
    }

    /// This node.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// Who belongs to the store.
    #[must_use]
    pub fn members(&self) -> Arc<Members> {
        self.store.reader().members()
    }

    /// This terminal's number and name, as the hub enrolled it.
    #[must_use]
    pub fn terminal(&self) -> Option<(u16, String)> {
        self.members().roles(&self.me).terminal.pop()
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
    pub async fn append(&self, lane: Lane, body: Body, saw: Option<Saw>, wait: Wait) -> Result<Written, Refusal> {
        let appended = self.store.append(Append { lane, body, saw, wait }).await.map_err(refusal)?;
        if let Some(code) = appended.parked {
            let what = format!("the entry was written and is not counted ({code}); the store must be looked at");
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
        Ok(self.store.reader().read(read)?)
    }

    /// The op that an effect was, wherever its entry stands.
    ///
    /// Errors: it is not here, or not an op that this build reads.
    pub fn op(&self, id: EffectId) -> Result<OpV1, Refusal> {
        let missing = || Refusal::Unreadable(format!("entry {} is not here", id.short()));
        let entry = self.entry(id)?.ok_or_else(missing)?;
        let bytes = entry.body().ok_or_else(missing)?;
        match Body::decode(&self.store.reader().store(), bytes) {
            Ok(Body::Op(op)) => OpV1::decode(&op).map_err(|error| Refusal::Unreadable(error.to_string())),
            Ok(_) => Err(Refusal::Unreadable(format!("entry {} is no op", id.short()))),
            Err(error) => Err(Refusal::Unreadable(error.to_string())),
        }
    }

    /// The sale that an effect was.
    pub fn sale(&self, id: EffectId) -> Result<toko_retail::ops::SaleV1, Refusal> {
        match self.op(id)?.what {
            What::Sale(sale) => Ok(*sale),
            _ => Err(Refusal::NoSuchSale(id.to_string())),
        }
    }

    fn entry(&self, id: EffectId) -> Result<Option<Entry>, Refusal> {
        self.store.reader().entry_by_hash(Hash(id.0)).map_err(|error| Refusal::Unreadable(error.to_string()))
    }

    /// Root of the frontier that is durable here.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.store.reader().with_frontier(toko_crdt::frontier::Frontier::root)
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> StoreId {
        self.store.reader().store()
    }

    /// Who holds an entry durably, as far as they said so.
    #[must_use]
    pub fn holders(&self, place: EntryRef) -> Holders {
        let here = self.store.reader().with_frontier(|frontier| {
            frontier.head(&place.journal).is_some_and(|head| head.seq >= place.seq)
        });
        Holders { here, devices: 0, headquarters: false }
    }

    /// How the node is.
    pub fn condition(&self) -> Result<Condition, Refusal> {
        let digests = self.store.reader().digests()?;
        let members = self.members();
        Ok(Condition {
            hub: members.hub().map(|(_, hub)| hub),
            hub_linked: false,
            hq_known: !members.headquarters().is_empty(),
            hq_linked: false,
            links: Vec::new(),
            books: hex(&digests.books.0),
            floor: hex(&digests.floor.0),
            parked: self.store.reader().parked()?.len(),
            alerts: Vec::new(),
        })
    }

    /// Counts changes of views, frontier and members.
    #[must_use]
    pub fn changed(&self) -> tokio::sync::watch::Receiver<u64> {
        self.store.reader().changed()
    }
}

fn refusal(error: SaveError) -> Refusal {
    match error {
        SaveError::Broken { .. } => Refusal::NotKnown(error.to_string()),
        SaveError::Stopped => Refusal::Stopping,
        other => Refusal::NotSaved(other.to_string()),
    }
}
