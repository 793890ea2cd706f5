//! How stores are opened, given up, tried again and closed, while the others are served.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::task::{self, JoinSet};
use tokio::time::{Instant, timeout};
use tracing::{error, info, warn};

use super::Headquarters;
use crate::control::Refusal;
use crate::serve::with_causes;
use crate::shut::{self, Shut};
use crate::tenant::Tenant;

/// Stores that are opened at a time: most of an opening is waiting for the disk.
const OPENING_MAX: usize = 8;
/// Stores that are closed at a time: those that wait for the disk together share its syncs.
const CLOSING_MAX: usize = 64;
/// How often somebody who waits for all of them hears how far it is.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// How long stopping waits for the next store that is closed. What is not closed then is durable all the same.
const NEXT_CLOSED: Duration = Duration::from_secs(5);

/// Headquarters is stopping: nothing new is served.
#[derive(Debug, Clone, Copy, Error)]
#[error("headquarters is stopping")]
pub(super) struct Stopping;

impl Headquarters {
    /// Opens stores, some at a time.
    pub(super) async fn open_all(&self, folders: Vec<PathBuf>) {
        let (count, mut said) = (folders.len(), Instant::now());
        let (mut folders, mut opening) = (folders.into_iter(), JoinSet::new());
        let mut under_way: BTreeMap<task::Id, PathBuf> = BTreeMap::new();
        loop {
            while opening.len() < OPENING_MAX
                && let Some(dir) = folders.next()
            {
                let (common, folder) = (self.common.clone(), dir.clone());
                let task = opening.spawn(async move { shut::open(&folder, &common).await });
                under_way.insert(task.id(), dir);
            }
            let Some(opened) = opening.join_next_with_id().await else { break };
            let id = opened.as_ref().map_or_else(task::JoinError::id, |(id, _)| *id);
            let dir = under_way.remove(&id).unwrap_or_default();
            let opened =
                opened.map_or_else(|panic| Err(Shut::at(&dir, panic.to_string())), |(_, opened)| opened);
            match opened {
                Ok(tenant) => drop(self.take(tenant, None).await),
                Err(shut) => self.shut.note(shut),
            }
            if said.elapsed() >= SAY_EVERY {
                info!(open = self.all().len(), of = count, "opening stores");
                said = Instant::now();
            }
        }
        if count > 0 && self.shut.count() == count {
            error!(stores = count, path = %self.home.dir().display(), "no store opened; nothing is collected until one does");
        }
    }

    /// Takes a store that opened, perhaps after it had been shut, and has it served.
    pub(super) async fn take(&self, tenant: Tenant, was: Option<&Shut>) -> Result<Arc<Tenant>, Stopping> {
        let tenant = Arc::new(tenant);
        {
            // In one piece, since it may fail again at once.
            let mut stores = self.stores.write().unwrap_or_else(PoisonError::into_inner);
            stores.insert(tenant.node(), Arc::clone(&tenant));
            was.into_iter().for_each(|shut| self.shut.forget(shut, "a store that did not open is open now"));
        }
        self.to_serve.send(Arc::clone(&tenant)).await.map_err(|_| Stopping)?;
        Ok(tenant)
    }

    /// Tries stores that did not open once more: all, or the one of this name. Says which opened, and which still do not.
    pub(crate) async fn try_again(&self, name: Option<&str>) -> (Vec<String>, Vec<Shut>) {
        let _one_at_a_time = self.shut.trying.lock().await;
        let (mut opened, mut still) = (Vec::new(), Vec::new());
        let wanted = |shut: &Shut| name.is_none_or(|name| shut.called() == name);
        for shut in self.shut.all().into_iter().filter(wanted) {
            if std::fs::symlink_metadata(&shut.dir)
                .is_err_and(|problem| problem.kind() == ErrorKind::NotFound)
            {
                shut.node.into_iter().for_each(|node| self.common.disclaim(node));
                self.shut.forget(&shut, "a store that did not open was taken away");
                continue;
            }
            if !self.shut.is_closed(&shut.dir).await {
                still.push(shut);
                continue;
            }
            let found = shut::open(&shut.dir, &self.common).await;
            // Nobody adds a store of its name meanwhile.
            let _one_at_a_time = self.changing.lock().await;
            match found {
                Ok(tenant) if self.all().iter().any(|other| other.name() == tenant.name()) => {
                    let why =
                        format!("another store here is called {} already; see its store.toml", tenant.name());
                    tenant.close().await;
                    self.shut.note(Shut { why, ..shut.clone() });
                    still.push(shut);
                }
                Ok(tenant) => {
                    opened.push(tenant.name());
                    // Where headquarters is stopping, it closes what it has.
                    let _ = self.take(tenant, Some(&shut)).await;
                }
                Err(shut) => {
                    self.shut.note(shut.clone());
                    still.push(shut);
                }
            }
        }
        (opened, still)
    }

    /// What `hqd open-store` asks for.
    pub(crate) async fn open_store(&self, name: Option<&str>) -> Result<Value, Refusal> {
        if let Some(name) = name
            && !self.shut.all().iter().any(|shut| shut.called() == name)
        {
            let store = self.named(name)?.name();
            return Ok(json!({ "opened": [], "open": [store] }));
        }
        let (opened, still) = self.try_again(name).await;
        if still.is_empty() {
            return Ok(json!({ "opened": opened, "open": [] }));
        }
        let each = still
            .iter()
            .map(|shut| format!("{} is not open: {}: {}", shut.called(), shut.dir.display(), shut.why));
        let refusal = Refusal::not_now(shut::CODE, each.collect::<Vec<_>>().join("\n"));
        Err(if opened.is_empty() { refusal } else { refusal.after(&format!("opened {}", opened.join(", "))) })
    }

    /// Goes on without a store: it becomes one that did not open, and is tried again like any other. Its books are closed by
    /// whoever serves it.
    pub(crate) fn shut(&self, tenant: &Arc<Tenant>, why: String) {
        let mut stores = self.stores.write().unwrap_or_else(PoisonError::into_inner);
        if stores.get(&tenant.node()).is_none_or(|known| !Arc::ptr_eq(known, tenant)) {
            return;
        }
        stores.remove(&tenant.node());
        let shut = Shut { dir: tenant.dir(), name: Some(tenant.name()), node: Some(tenant.node()), why };
        self.shut.note_failed(shut, tenant.ended());
        drop(stores);
        tenant.give_up();
    }

    /// Shuts every store whose books take nothing any more.
    pub(crate) async fn look_after_all(&self) {
        for store in self.all() {
            if let Err(problem) = store.probe().await {
                self.shut(&store, with_causes(&problem));
            }
        }
    }

    /// Saves and closes the books of every store, as long as one after the other comes to its end.
    pub(crate) async fn close(&self) {
        let all = self.all();
        let (of, mut closed, mut said) = (all.len(), 0, Instant::now());
        let (mut stores, mut closing) = (all.into_iter(), JoinSet::new());
        loop {
            while closing.len() < CLOSING_MAX
                && let Some(store) = stores.next()
            {
                closing.spawn(async move { store.close().await });
            }
            match timeout(NEXT_CLOSED, closing.join_next()).await {
                Ok(Some(_)) => closed += 1,
                Ok(None) => return,
                Err(_) => {
                    warn!(
                        closed,
                        of, "the disk does not answer: what is not closed is folded again at the next start"
                    );
                    return;
                }
            }
            if said.elapsed() >= SAY_EVERY {
                info!(closed, of, "closing stores");
                said = Instant::now();
            }
        }
    }
}
