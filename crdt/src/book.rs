//! From an accepted entry to views: carried entries unwrapped, each effect once, scope judged, the rest folded or parked.
//!
//! The book is what a node and a simulator run alike: it is pure over [`Kv`]. An entry is accepted into its journal first
//! ([`crate::journal`]); what the book cannot read or may not apply is parked with a code, and stands in nobody's way.
//!
//! Rows that the book itself keeps (first key byte):
//!
//! | key | value | |
//! | --- | --- | --- |
//! | `01` node, run, entry hash | where the run's books journal continued | books view |
//! | `02` statement hash | signed member statement | books view |
//! | `03` journal | fork proof's number and two hashes (`43` for floor journals) | books view |
//! | `04` author, journal | number and hash up to which HQ holds it | books view |
//! | `05` place, entry hash | seal | books view |
//! | `06` effect, entry hash | why a hub let the effect in (`44` on the floor) | books view |
//! | `40` cart, change hash | change | floor view |
//! | `41` author, key, cart | request hash, effect | floor view: idempotency of cart changes |
//! | `42` node, run, entry hash | where the run's floor journal continued | floor view |
//! | `45` time, hash of the list | carts that a settling keeps ([`settled`]) | floor view |
//! | `46` cart, author, key | nothing: leads to `41` | floor view |
//! | `80` effect | where it stands: journal, seq | local |
//! | `82` effect | parked: code, journal, seq | local |
//! | `83` | digests | local |

use crate::Entry;
use crate::body::{Body, CARRIED_DEPTH_MAX, CartChange};
use crate::cart::{self, Actor};
use crate::clock::UnixMicros;
use crate::digest::Digests;
use crate::fold::{Effect, Fold, FoldError, Kv, KvError, KvRead, Scope};
use crate::hash::Hash;
use crate::ids::{CartId, EffectId, EntryRef, Lane, StoreId};
use crate::member::Members;
use crate::overlay::Overlay;
use crate::settling::{KEEP_MAX, Settling};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

mod code;
pub mod rows;
pub mod settled;

pub use code::Code;

/// Changes with every change of the rows that the book itself makes of the same entries. A shop's [`Fold::version`] has it in
/// it, so that views and seals of different books are never taken for comparable.
pub const VERSION: u32 = 3;

/// Carts that one settling takes away, as [`Book::settlings_due`] asks for them.
pub const CARTS_AT_ONCE: usize = 32;
/// Settlings that are asked for at once.
const SETTLINGS_MAX: usize = 512;

/// What became of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// It is in the views.
    Folded,
    /// Its effect was in the views, or parked, already.
    Already,
    /// It is kept, forwarded and shown, and not in the views.
    Parked(Code),
}

/// The pure pipeline of one node.
pub struct Book<'a> {
    /// The store whose entries these are.
    pub store: StoreId,
    /// What a shop makes of its ops.
    pub fold: &'a dyn Fold,
    /// Who may write what.
    pub scope: &'a dyn Scope,
}

/// An effect on its way: the entry that carried it first.
struct Carried<'e> {
    entry: &'e Entry,
    body: Body,
}

impl Book<'_> {
    /// Folds an accepted entry into `kv`, at most once per effect, and moves `digests` along, if they are given: whoever folds
    /// many entries at once counts the rows that changed when all are folded, each once however often it changed.
    ///
    /// Errors: only of the views themselves. `digests` are then as they were; `kv` may have taken some of the writes, so
    /// its transaction is to be dropped, and the same call made again.
    pub fn apply<'d>(
        &self,
        kv: &mut dyn Kv,
        digests: impl Into<Option<&'d mut Digests>>,
        members: &Members,
        entry: &Entry,
    ) -> Result<Applied, KvError> {
        let digests = digests.into();
        let mut carried = None;
        for depth in 0..=CARRIED_DEPTH_MAX {
            let this = carried.as_ref().unwrap_or(entry);
            if depth > 0
                && let Err(code) = Self::may_carry(members, entry, this)
            {
                return self.park(kv, entry.hash().into(), entry.place(), code);
            }
            let Some(bytes) = this.body() else {
                return self.park_unless_folded(kv, entry.hash().into(), entry, Code::Pruned);
            };
            match Body::decode(&self.store, bytes) {
                Ok(Body::Carried(inner)) => carried = Some(*inner),
                Ok(body) => {
                    let this = if crate::mutant!("carried-counts-again") { entry } else { this };
                    let effect = Carried { entry: this, body };
                    let applied = self.apply_effect(kv, digests, members, &effect, entry.place())?;
                    if depth > 0 {
                        rows::arrived(kv, entry.hash().into(), entry.place())?;
                    }
                    return Ok(applied);
                }
                // Parked under the effect's own hash: whoever brings it, it is one thing that cannot be read.
                Err(_) => {
                    if depth > 0 {
                        rows::arrived(kv, entry.hash().into(), entry.place())?;
                    }
                    return self.park_unless_folded(kv, this.hash().into(), entry, Code::Unreadable);
                }
            }
        }
        self.park(kv, entry.hash().into(), entry.place(), Code::BadCarried)
    }

    /// Parks an effect that cannot be looked at; one that is in the views already is left alone.
    fn park_unless_folded(
        &self,
        kv: &mut dyn Kv,
        effect: EffectId,
        entry: &Entry,
        code: Code,
    ) -> Result<Applied, KvError> {
        let known = rows::place_of(kv, effect)?.is_some();
        match rows::parked(kv, effect)? {
            None if known => Ok(Applied::Already),
            Some(parked) if !parked.code.may_heal() => Ok(Applied::Parked(parked.code)),
            _ => self.park(kv, effect, entry.place(), code),
        }
    }

    /// Parks an entry without looking inside: it killed the process that folded it.
    pub fn park(
        &self,
        kv: &mut dyn Kv,
        effect: EffectId,
        place: EntryRef,
        code: Code,
    ) -> Result<Applied, KvError> {
        rows::place(kv, effect, place)?;
        rows::park(kv, effect, place, code)?;
        Ok(Applied::Parked(code))
    }

    /// Takes a parked effect out, so that [`Book::apply`] of the entry at its place tries again.
    pub fn unpark(&self, kv: &mut dyn Kv, effect: EffectId) -> Result<(), KvError> {
        rows::unpark(kv, effect)
    }

    /// Whether `outer` may carry `inner`: in its lane, and signed by an author that is known.
    fn may_carry(members: &Members, outer: &Entry, inner: &Entry) -> Result<(), Code> {
        if outer.journal().lane != inner.journal().lane {
            return Err(Code::BadCarried);
        }
        let key = members.key(inner.author()).ok_or(Code::UnknownAuthor)?;
        if inner.body().is_some() && inner.verify(&key) { Ok(()) } else { Err(Code::BadCarried) }
    }

    /// Once per effect: scope, then the fold on an overlay, so that an error or a panic leaves nothing behind.
    fn apply_effect(
        &self,
        kv: &mut dyn Kv,
        digests: Option<&mut Digests>,
        members: &Members,
        carried: &Carried<'_>,
        place: EntryRef,
    ) -> Result<Applied, KvError> {
        let effect = EffectId::from(carried.entry.hash());
        let known = rows::place_of(kv, effect)?.is_some();
        if known && !crate::mutant!("fold-twice") {
            match rows::parked(kv, effect)? {
                None => return Ok(Applied::Already),
                Some(parked) if !parked.code.may_heal() => return Ok(Applied::Parked(parked.code)),
                Some(_) => {}
            }
        }
        match self.admit(members, carried) {
            Err(Code::OutOfScope) if Self::is_admitted(kv, carried)? => {}
            Err(code) => return self.park(kv, effect, place, code),
            Ok(()) => {}
        }
        let mut overlay = Overlay::new(kv);
        let folded = catch_unwind(AssertUnwindSafe(|| {
            self.fold_body(&mut overlay, carried)?;
            let shop = matches!(carried.body, Body::Op(_));
            let kept = overlay.keeps_to(carried.entry.journal().lane, shop);
            assert!(kept, "a fold writes views of its lane and tables of its own only");
            Ok(())
        }));
        let writes = overlay.into_writes();
        match folded {
            Ok(Ok(())) => {
                let Some(digests) = digests else {
                    writes.put_all(kv)?;
                    rows::arrived(kv, effect, place)?;
                    return Ok(Applied::Folded);
                };
                let mut moved = *digests;
                writes.commit(kv, &mut moved)?;
                moved.save(kv)?;
                rows::arrived(kv, effect, place)?;
                *digests = moved;
                Ok(Applied::Folded)
            }
            Ok(Err(FoldError::Kv(error))) => Err(error),
            Ok(Err(FoldError::Newer { .. })) => self.park(kv, effect, place, Code::Newer),
            Ok(Err(_)) => self.park(kv, effect, place, Code::Unreadable),
            Err(_) => self.park(kv, effect, place, Code::Panicked),
        }
    }

    /// Whether a hub's word lets it in all the same. That holds for ops of the shop alone: who belongs to the store, what
    /// headquarters holds and what a checkpoint says rest on signatures and roles, and on nobody's word.
    fn is_admitted(kv: &dyn KvRead, carried: &Carried<'_>) -> Result<bool, KvError> {
        let lane = carried.entry.journal().lane;
        let effect = EffectId::from(carried.entry.hash());
        Ok(matches!(carried.body, Body::Op(_)) && !rows::admissions(kv, lane, effect)?.is_empty())
    }

    /// Who may write this kind of body, and in which lane. Judged from the author's record and the kind alone.
    fn admit(&self, members: &Members, carried: &Carried<'_>) -> Result<(), Code> {
        let lane = carried.entry.journal().lane;
        let lane_fits = match &carried.body {
            Body::Continues(_) | Body::Admitted(_) | Body::Op(_) => true,
            Body::Fork(proof) => lane == proof.one.journal().lane,
            Body::Member(_) | Body::Watermark(_) | Body::Seal(_) => lane == Lane::Books,
            Body::Settled(_) | Body::Cart(_) => lane == Lane::Floor,
            Body::Unknown(_) => return Err(Code::Newer),
            Body::Carried(_) => return Err(Code::BadCarried),
        };
        if !lane_fits {
            return Err(Code::WrongLane);
        }
        let roles = members.roles_of(carried.entry.author());
        let allowed = match &carried.body {
            Body::Continues(_) => roles.any(),
            Body::Fork(proof) => {
                let key = members.key(proof.one.author()).ok_or(Code::UnknownAuthor)?;
                if !proof.verify(&key) && !crate::mutant!("trust-any-fork-proof") {
                    return Err(Code::BadProof);
                }
                roles.any()
            }
            Body::Admitted(_) | Body::Settled(_) => roles.is_hub(),
            Body::Member(statement) => {
                if statement.store() != &self.store || !statement.verify() {
                    return Err(Code::BadProof);
                }
                roles.is_hub()
            }
            Body::Watermark(_) => roles.headquarters,
            Body::Seal(_) => roles.is_hub() || roles.headquarters,
            Body::Cart(_) => roles.is_terminal() || roles.is_hub(),
            Body::Op(op) => self.scope.admits(roles, lane, op) || crate::mutant!("skip-scope"),
            Body::Unknown(_) | Body::Carried(_) => false,
        };
        match allowed {
            true => Ok(()),
            false if roles.any() => Err(Code::OutOfScope),
            false => Err(Code::UnknownAuthor),
        }
    }

    fn fold_body(&self, kv: &mut dyn Kv, carried: &Carried<'_>) -> Result<(), FoldError> {
        let entry = carried.entry;
        match &carried.body {
            Body::Op(op) => {
                let effect = Effect { id: entry.hash().into(), entry, op };
                self.fold.fold(kv, &effect)
            }
            Body::Continues(before) => Ok(rows::continues(kv, entry, before.as_ref())?),
            Body::Member(statement) => Ok(rows::statement(kv, statement)?),
            Body::Fork(proof) => Ok(rows::fork(kv, proof)?),
            Body::Watermark(frontier) => Ok(rows::watermark(kv, entry, frontier)?),
            Body::Seal(seal) => Ok(rows::seal(kv, entry, seal)?),
            Body::Admitted(admission) => Ok(rows::admitted(kv, entry, admission)?),
            Body::Settled(settling) => {
                if settled::settle(kv, settling)? {
                    self.fold.settle(kv, settling)?;
                }
                Ok(())
            }
            Body::Cart(change) => fold_cart(kv, entry, change),
            Body::Carried(_) | Body::Unknown(_) => {
                unreachable!("admitted bodies have an effect of their own")
            }
        }
    }

    /// What to write, one after the other, so that of the carts made before `before` only those stay that somebody may still
    /// finish. Each takes rows of about [`CARTS_AT_ONCE`] carts away, so that nobody waits long for it.
    ///
    /// *Shape*: empty where nothing would go. Where more than [`KEEP_MAX`] are open, the rest waits behind the oldest of them;
    /// of a long backlog the beginning.
    pub fn settlings_due(&self, kv: &dyn KvRead, before: UnixMicros) -> Result<Vec<Settling>, KvError> {
        let mut carts = self.fold.carts(kv, before)?;
        // A cart of which only changes came so far is somebody's: who holds it is still to be heard.
        for cart in rows::carts_changed(kv, before)? {
            carts.entry(cart).or_insert(true);
        }
        let open: Vec<CartId> = carts.iter().filter(|(_, open)| **open).map(|(cart, _)| *cart).collect();
        let before = open.get(KEEP_MAX).map_or(before, |cart| cart.made_at().min(before));
        let done = carts.iter().filter(|(cart, open)| !**open && cart.made_at() < before);
        let done: Vec<UnixMicros> = done.map(|(cart, _)| cart.made_at()).collect();
        let mut until: Vec<UnixMicros> = done.iter().copied().step_by(CARTS_AT_ONCE).skip(1).collect();
        until.dedup();
        until.extend((!done.is_empty()).then_some(before));
        let settlings = until.into_iter().take(SETTLINGS_MAX);
        Ok(settlings.filter_map(|until| Settling::new(until, open.iter().copied())).collect())
    }

    /// Effects parked with a code that may have healed: a newer build, or a statement that came later.
    ///
    /// The caller fetches the entry at each place and applies it again.
    pub fn healable(&self, kv: &dyn KvRead) -> Result<Vec<(EffectId, EntryRef)>, KvError> {
        let mut out = Vec::new();
        for parked in rows::parked_all(kv)? {
            if parked.code.may_heal() {
                out.push((parked.effect, parked.place));
            }
        }
        Ok(out)
    }
}

fn fold_cart(kv: &mut dyn Kv, entry: &Entry, change: &CartChange) -> Result<(), FoldError> {
    let head = cart::change_head(&change.change)
        .map_err(|error| FoldError::Unreadable { why: error.to_string() })?;
    // A change under another's name would take the place of that one's next change.
    if head.actor != Actor::of(entry.author(), entry.journal().run) {
        return Err(FoldError::Unreadable { why: "the cart change is another run's".into() });
    }
    if settled::is_settled(kv, &change.cart)? && !crate::mutant!("late-changes-stay") {
        return Ok(());
    }
    rows::cart_change(kv, change, &head.hash)?;
    if let Some(idem) = &change.idem {
        rows::cart_idem(kv, entry, &change.cart, idem)?;
    }
    Ok(())
}

impl fmt::Debug for Book<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").field("store", &self.store).finish_non_exhaustive()
    }
}

/// The hash of bytes that stand for themselves, such as a blob.
#[must_use]
pub fn blob_hash(bytes: &[u8]) -> Hash {
    Hash::of("toko/blob/1", &[bytes])
}
