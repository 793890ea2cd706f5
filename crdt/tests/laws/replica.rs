//! A node that receives journals in an order of its own, with a fold that can be upgraded and harmed.

use crate::world::World;
use std::collections::BTreeMap;
use std::sync::Once;
use toko_crdt::book::{Applied, Book, rows};
use toko_crdt::digest::Digests;
use toko_crdt::entry::Entry;
use toko_crdt::fold::{Effect, Fold, FoldError, Kv, MapKv, Scope};
use toko_crdt::ids::*;
use toko_crdt::member::{Members, Roles, Statement};
use toko_crdt::stock::{self, Milli};

/// A fold with one view of each kind. The first version does not read `N`.
pub(crate) struct TestFold {
    pub(crate) version: u32,
}

impl Fold for TestFold {
    fn version(&self) -> u32 {
        self.version
    }

    fn fold(&self, kv: &mut dyn Kv, effect: &Effect<'_>) -> Result<(), FoldError> {
        let table = match effect.entry.journal().lane {
            Lane::Books => 0x10,
            Lane::Floor => 0x50,
        };
        match effect.op {
            [b'R', key, rev, value] => {
                let at = effect.entry.at();
                let row =
                    [&[*rev][..], &at.micros.to_be_bytes(), &at.tick.to_be_bytes(), &effect.id.0, &[*value]];
                let (key, row) = ([table, *key], row.concat());
                if kv.get(&key)?.is_none_or(|known| known < row) {
                    kv.put(&key, &row)?;
                }
                Ok(())
            }
            [b'N', ..] if self.version < 2 => Err(FoldError::Newer { version: b'N' }),
            [b'S' | b'N' | b'H', sku, qty @ ..] => {
                let qty = qty.try_into().map_err(|_| FoldError::Unreadable { why: "quantity".into() })?;
                stock::add(kv, &[table + 1, *sku], Milli(i32::from_be_bytes(qty).into()))?;
                Ok(())
            }
            [b'P', sku, ..] => {
                stock::add(kv, &[table + 1, *sku], Milli(1_000_000))?;
                panic!("an op that harms its reader");
            }
            [b'X'] => Ok(kv.put(&[table ^ 0x40, 1], b"astray")?),
            _ => Err(FoldError::Unreadable { why: "kind".into() }),
        }
    }
}

impl Scope for TestFold {
    fn admits(&self, roles: &Roles, _: Lane, op: &[u8]) -> bool {
        roles.is_hub() || (roles.is_terminal() && op.first() != Some(&b'H'))
    }
}

/// Panics that a test asks for are not printed: there are thousands.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let said = info.payload_as_str().unwrap_or_default();
            if !said.contains("an op that harms its reader")
                && !said.contains("a fold writes views of its lane")
            {
                loud(info);
            }
        }));
    });
}

/// A node that receives.
pub(crate) struct Replica {
    pub(crate) kv: MapKv,
    pub(crate) digests: Digests,
    pub(crate) members: Members,
    fold: TestFold,
    store: StoreId,
    entries: BTreeMap<EntryRef, Entry>,
}

impl Replica {
    pub(crate) fn new(world: &World) -> Self {
        quiet();
        Self {
            kv: MapKv::default(),
            digests: Digests::default(),
            members: Members::new(world.root.public()),
            fold: TestFold { version: 1 },
            store: world.store,
            entries: BTreeMap::new(),
        }
    }

    pub(crate) fn receive(&mut self, entry: &Entry) -> Applied {
        self.entries.insert(entry.place(), entry.clone());
        let book = Book { store: self.store, fold: &self.fold, scope: &self.fold };
        let applied = book.apply(&mut self.kv, &mut self.digests, &self.members, entry).unwrap();
        if applied == Applied::Folded {
            let statements = rows::statements(&self.kv).unwrap();
            statements.into_iter().for_each(|statement| self.hear(statement));
        }
        applied
    }

    /// A statement is offered again until its issuer is known, as links do.
    pub(crate) fn hear(&mut self, statement: Statement) {
        let _ = self.members.add(statement);
    }

    pub(crate) fn upgrade(&mut self) {
        self.fold.version = 2;
    }

    /// Tries what is parked again until nothing changes.
    pub(crate) fn heal(&mut self) {
        loop {
            let book = Book { store: self.store, fold: &self.fold, scope: &self.fold };
            let places: Vec<EntryRef> =
                book.healable(&self.kv).unwrap().into_iter().map(|(_, place)| place).collect();
            let healed =
                places.iter().filter_map(|place| self.entries.get(place).cloned()).collect::<Vec<_>>();
            let folded = healed.iter().filter(|entry| self.receive(entry) == Applied::Folded).count();
            if folded == 0 {
                return;
            }
        }
    }

    /// Rows that every node has alike.
    pub(crate) fn shared_rows(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.kv.rows.iter().filter(|(key, _)| key[0] < 0x80).map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}
