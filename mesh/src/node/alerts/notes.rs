//! What of alerts outlives a start: copies that only the links showed, and what a person has settled.
//!
//! Invariants: bounded; a file that does not read costs the notes and nothing else. Absent on purpose: telling others. Each
//! machine shows what it saw, and who settles an alert on the hub settles it there.

use super::Alert;
use crate::disk::{Disk, read_whole, replace};
use crate::node::Node;
use crate::node::shared::Shared;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use thiserror::Error;
use toko_crdt::codec;
use toko_crdt::{KvError, NodeId};
use tracing::warn;

const FILE: &str = "alerts";
const FILE_BYTES_MAX: u64 = 64 * 1024;
const CLONES_MAX: usize = 256;
const SETTLED_MAX: usize = 512;

/// Why an alert was not settled.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SettleError {
    /// No alert has this id.
    #[error("no alert has the id {0:?}; see hubctl alerts")]
    Unknown(String),
    /// It ends when its cause ends.
    #[error("the alert {0} goes by itself when its cause has gone")]
    GoesByItself(&'static str),
    /// It was not kept.
    #[error("it was not kept")]
    NotKept(#[from] io::Error),
    /// The views could not be read.
    #[error(transparent)]
    Views(#[from] KvError),
}

/// The notes of one node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    clones: VecDeque<NodeId>,
    settled: VecDeque<String>,
}

type NotesV1 = (Vec<[u8; 32]>, Vec<String>);

impl Notes {
    /// Reads what was kept.
    pub(crate) fn load(disk: &dyn Disk) -> Self {
        let read = read_whole(disk, FILE, FILE_BYTES_MAX).map(|bytes| {
            let bytes = bytes?;
            let max = usize::try_from(FILE_BYTES_MAX).unwrap_or(usize::MAX);
            Some(codec::decode::<NotesV1>("notes about alerts", 1, &bytes, max))
        });
        match read {
            Ok(Some(Ok((clones, settled)))) => {
                Self { clones: clones.into_iter().map(NodeId).collect(), settled: settled.into() }
            }
            Ok(None) => Self::default(),
            Ok(Some(Err(err))) => {
                warn!(%err, "notes about alerts do not read; what was settled is shown again");
                Self::default()
            }
            Err(err) => {
                warn!(%err, "notes about alerts are not to be had");
                Self::default()
            }
        }
    }

    fn save(&self, disk: &dyn Disk) -> io::Result<()> {
        let notes: NotesV1 =
            (self.clones.iter().map(|node| node.0).collect(), self.settled.iter().cloned().collect());
        replace(disk, FILE, &codec::encode(1, &notes))
    }

    /// Nodes of which two lived at one time, before this start too.
    pub(super) fn clones(&self) -> BTreeSet<NodeId> {
        self.clones.iter().copied().collect()
    }

    /// Two machines worked with this node's key.
    pub(super) fn saw_clone(&mut self, shared: &Shared, node: NodeId) {
        if self.clones.contains(&node) {
            return;
        }
        self.clones.push_back(node);
        self.clones.drain(..self.clones.len().saturating_sub(CLONES_MAX));
        if let Err(err) = shared.dir.own_disk().and_then(|disk| self.save(&*disk)) {
            warn!(%err, "that a copy was seen is not kept over a restart");
        }
    }

    /// Marks what was settled.
    pub(super) fn settle_known(&self, alerts: &mut [Alert]) {
        for alert in alerts.iter_mut().filter(|alert| alert.may_settle()) {
            alert.settled = self.settled.contains(&alert.id);
        }
    }
}

impl Node {
    /// Settles an alert: a person has seen to it. It is shown no more on this machine, unless something new is found.
    ///
    /// Shape: `id` as [`Alert::id`] has it, or its first letters.
    pub async fn settle(&self, id: &str) -> Result<Alert, SettleError> {
        let alerts = self.alerts().await?;
        let named: Vec<&Alert> =
            alerts.iter().filter(|alert| !id.is_empty() && alert.id.starts_with(id)).collect();
        let [alert] = named.as_slice() else { return Err(SettleError::Unknown(id.to_owned())) };
        if !alert.may_settle() {
            return Err(SettleError::GoesByItself(alert.code.word()));
        }
        let disk = self.own_disk()?;
        let mut notes = self.shared.notes();
        let mut next = notes.clone();
        if !next.settled.contains(&alert.id) {
            next.settled.push_back(alert.id.clone());
        }
        next.settled.drain(..next.settled.len().saturating_sub(SETTLED_MAX));
        // Two that still live at one time are noted again, under what was settled.
        next.clones.retain(|node| Some(*node) != alert.node);
        next.save(&*disk)?;
        *notes = next;
        drop(notes);
        if let Some(node) = alert.node {
            self.shared.board().clones.remove(&node);
        }
        Ok(Alert { settled: true, ..(*alert).clone() })
    }
}
