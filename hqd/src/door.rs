//! The door through which a store's hub comes with its code, before there are books.
//!
//! It is open while this lives, and lets nobody in unless a code is outstanding. Once there are books, their node keeps
//! the door instead.

use std::sync::Arc;
use tokio::sync::mpsc;
use toko_mesh::endpoint::{Arrival, Endpoint};
use toko_mesh::enrol::FrontDesk;
use toko_mesh::tls::tenants::{Registration, Tenant};
use toko_mesh::tls::{self, Gate, TlsKey};

/// Newcomers that may wait. *Full*: the newcomer is told to come again.
const ARRIVALS_MAX: usize = 8;

/// A door for newcomers of one store.
#[derive(Debug)]
pub(crate) struct Door {
    arrivals: mpsc::Receiver<Arrival>,
    _registered: Registration,
}

impl Door {
    /// Opens it behind the common port, under the name that codes for this key lead to.
    pub(crate) fn open(endpoint: &Endpoint, key: &TlsKey, desk: &Arc<FrontDesk>) -> Self {
        let (inbox, arrivals) = mpsc::channel(ARRIVALS_MAX);
        let gate: Arc<dyn Gate> = Arc::clone(desk) as _;
        let tenant = Tenant { key: key.clone(), members: None, gate: Some(gate), inbox };
        let names = vec![tls::node_name(&key.node())];
        Self { arrivals, _registered: endpoint.tenants().register(names, tenant) }
    }

    /// The next newcomer; `None` when another door of the same name was opened.
    pub(crate) async fn next(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }
}
