//! A node that receives journals in an order of its own, with a fold that can be upgraded and harmed.

use crate::world::World;
use std::collections::BTreeMap;
use std::sync::Once;
use toko_crdt::book::{Applied, Book, rows, settled};
use toko_crdt::clock::UnixMicros;
use toko_crdt::digest::Digests;
use toko_crdt::entry::Entry;
use toko_crdt::fold::{Effect, Fold, FoldError, Kv, KvError, KvRead, MapKv, Scope};
use toko_crdt::ids::*;
use toko_crdt::member::{Members, Roles, Statement};
use toko_crdt::settling::Settling;
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
            [b'C', cart, said] => cart_said(kv, crate::settled::cart(*cart), effect, *said),
            [b'L', rest @ ..] if rest.len() == 17 => {
                let cart = rest.first_chunk().map(|cart| CartId(*cart)).unwrap();
                cart_said(kv, cart, effect, rest[16])
            }
            [b'X'] => Ok(kv.put(&[table ^ 0x40, 1], b"astray")?),
            _ => Err(FoldError::Unreadable { why: "kind".into() }),
        }
    }

    fn settle(&self, kv: &mut dyn Kv, settling: &Settling) -> Result<(), KvError> {
        let ended = settled::rows_settled(kv, 0x52, settling)?;
        ended.iter().try_for_each(|row| kv.delete(row))
    }

    fn carts(&self, kv: &dyn KvRead, before: UnixMicros) -> Result<BTreeMap<CartId, bool>, KvError> {
        let mut carts = BTreeMap::new();
        for cart in settled::carts_before(kv, 0x52, before)? {
            let mut open = true;
            kv.scan(&[&[0x52], cart.0.as_slice()].concat(), &mut |_, said| {
                open &= said != b"d";
                open
            })?;
            carts.insert(cart, open);
        }
        Ok(carts)
    }
}

/// What was said of a cart, in table `52`.
fn cart_said(kv: &mut dyn Kv, cart: CartId, effect: &Effect<'_>, said: u8) -> Result<(), FoldError> {
    if !settled::is_settled(kv, &cart)? {
        kv.put(&[&[0x52], cart.0.as_slice(), &effect.id.0].concat(), &[said])?;
    }
    Ok(())
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

    /// What a hub would settle.
    pub(crate) fn due(&self, before: UnixMicros) -> Vec<Settling> {
        let book = Book { store: self.store, fold: &self.fold, scope: &self.fold };
        book.settlings_due(&self.kv, before).unwrap()
    }

    /// Rows that every node has alike.
    pub(crate) fn shared_rows(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.kv.rows.iter().filter(|(key, _)| key[0] < 0x80).map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}
