//! The stores behind one UDP port: the name that a dialler asks for (SNI) picks the tenant.
//!
//! A hub or a terminal has one tenant and answers to any name; headquarters has one tenant for each store, confined to its
//! own key, members and books, and a name that nobody has registered is refused in the handshake.

use crate::endpoint::Arrival;
use crate::tls::{LiveMembers, TlsKey};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::mpsc;

/// Whether newcomers are let in just now, because an enrolment code is outstanding.
pub trait Gate: Send + Sync + fmt::Debug {
    /// Asked in each newcomer's handshake.
    fn is_open(&self) -> bool;
}

/// What one store's door needs to know.
#[derive(Debug)]
pub struct Tenant {
    /// Our key for this store.
    pub key: TlsKey,
    /// Who is let in. `None` while the store is not known yet: headquarters between `add-store` and `join-hq`.
    pub members: Option<Arc<LiveMembers>>,
    /// Whether newcomers are let in; `None` where nobody enrols.
    pub gate: Option<Arc<dyn Gate>>,
    /// Where arrivals go. When it is full, the arrival is closed and may come again.
    pub inbox: mpsc::Sender<Arrival>,
}

impl Tenant {
    /// Whether an enrolment code is outstanding here.
    #[must_use]
    pub fn admits_newcomers(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.is_open())
    }
}

/// Who is behind this port, by name.
#[derive(Debug, Default)]
pub struct Tenants {
    by_name: RwLock<BTreeMap<String, Arc<Tenant>>>,
}

/// Keeps a tenant's names registered until it is dropped.
#[derive(Debug)]
pub struct Registration {
    tenants: Arc<Tenants>,
    names: Vec<String>,
    tenant: Arc<Tenant>,
}

impl Tenants {
    /// Registers a tenant under some names; of equal names the newer tenant holds.
    #[must_use]
    pub fn register(self: &Arc<Self>, names: Vec<String>, tenant: Tenant) -> Registration {
        let tenant = Arc::new(tenant);
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        for name in &names {
            by_name.insert(name.clone(), Arc::clone(&tenant));
        }
        drop(by_name);
        Registration { tenants: Arc::clone(self), names, tenant }
    }

    /// The tenant of this name. Where there is only one tenant, any name is its.
    #[must_use]
    pub fn find(&self, name: Option<&str>) -> Option<Arc<Tenant>> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(tenant) = name.and_then(|name| by_name.get(name)) {
            return Some(Arc::clone(tenant));
        }
        let first = by_name.values().next()?;
        by_name.values().all(|other| Arc::ptr_eq(first, other)).then(|| Arc::clone(first))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut by_name = self.tenants.by_name.write().unwrap_or_else(PoisonError::into_inner);
        for name in &self.names {
            if by_name.get(name).is_some_and(|tenant| Arc::ptr_eq(tenant, &self.tenant)) {
                by_name.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toko_crdt::sign::SecretKey;

    fn tenant(seed: u8) -> Tenant {
        let key = TlsKey::new(&SecretKey::from_seed([seed; 32])).unwrap();
        Tenant { key, members: None, gate: None, inbox: mpsc::channel(1).0 }
    }

    #[test]
    fn a_single_tenant_answers_to_any_name_and_two_do_not() {
        let tenants = Arc::new(Tenants::default());
        assert!(tenants.find(None).is_none());
        let one = tenants.register(vec!["a".into(), "b".into()], tenant(1));
        assert!(tenants.find(Some("unknown")).is_some());
        let two = tenants.register(vec!["c".into()], tenant(2));
        assert!(tenants.find(Some("unknown")).is_none());
        assert!(tenants.find(None).is_none());
        assert_eq!(tenants.find(Some("c")).unwrap().key.node(), two.tenant.key.node());
        drop(two);
        assert_eq!(tenants.find(Some("c")).unwrap().key.node(), one.tenant.key.node());
    }
}
