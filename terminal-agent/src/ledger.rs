//! The till's side of the node: writing entries, reading views, and what others hold.

use std::sync::Arc;
use toko_crdt::body::Body;
use toko_crdt::clock::Hlc;
use toko_crdt::entry::Saw;
use toko_crdt::ids::EntryRef;
use toko_crdt::member::Members;
use toko_crdt::{EffectId, Entry, Hash, KvError, KvRead, Lane, NodeId};
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
