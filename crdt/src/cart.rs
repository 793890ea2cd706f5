//! A cart: one small Automerge document, whose changes travel in the floor lane.
//!
//! Each scan or quantity step is a map key of its own with a fixed value. A line's quantity is the sum of its live steps,
//! and removing a line removes only the steps that were seen. So two terminals adding to one cart add up, a removal against
//! a concurrent scan keeps the scan, and two removals are one. (No Automerge counters: a deleted one hides concurrent
//! increments, and one that is created twice loses them.) Lines stand in the order in which they were added, by the hybrid
//! clock that is stored with them, then by their ids: the same on every node, whatever arrived first.
//!
//! The truth is the set of raw changes, kept by hash; a [`Cart`] is a cache of that set, made when somebody opens the cart.
//! Changes may come in any order, twice and with holes: what waits for another one is held, and not visible yet.
//!
//! **An actor is never reused with other content.** An actor is derived from a node's run ([`Actor::of`]), and a change of
//! a cart is named by its actor and number. So:
//! - a cart is opened with every change that this run has written to it; its numbers then go on where they ended, and
//!   [`CartError::Behind`] refuses to write when one of its own changes is not visible;
//! - a change that could not be appended to the journal never leaves this process: throw the `Cart` away and open it again;
//! - after a crash there is a new run, hence a new actor, so it does not matter which unsynced changes were lost.
//!
//! The journals of two machines that run as one (a copied virtual machine) bring two changes with one number. Every node then
//! shows the same one of them; see `cart/history.rs`.
//!
//! ```
//! use toko_crdt::{cart::{Actor, Cart}, clock::Hlc, ids::*, stock::Milli};
//!
//! let node = NodeId([1; 32]);
//! let (cart, line) = (CartId([2; 16]), LineId([3; 16]));
//! let mut here = Cart::open(cart, Actor::of(&node, Run(7)), [[0u8; 0]; 0])?;
//! let at = Hlc { micros: 5, tick: 0 };
//! let added = here.add_line(line, at, b"a tin", StepId([4; 16]), Milli(1_000))?.expect("a new line");
//! let more = here.step(line, StepId([5; 16]), Milli(2_000))?.expect("a new step");
//! assert_eq!(here.step(line, StepId([5; 16]), Milli(2_000))?, None, "a repeated step changes nothing");
//!
//! let there = Cart::open(cart, Actor::of(&node, Run(8)), [more, added])?;
//! assert_eq!(there.lines(), here.lines());
//! assert_eq!(there.lines()[0].qty, Milli(3_000));
//! # Ok::<(), toko_crdt::cart::CartError>(())
//! ```
//!
//! Absent on purpose: prices and what a line means (`facts` are bytes of the shop), any clock, any knowledge of who may
//! write (the book checks that a change is its author's), and text or lists of Automerge.

mod document;
mod error;
mod history;
mod raw;
mod shown;

use crate::clock::Hlc;
use crate::codec::CodecError;
use crate::hash::Hash;
use crate::ids::{CartId, LineId, NodeId, Run, StepId};
use crate::stock::Milli;
use document::{Document, Failed, Op};
pub use error::CartError;
use error::{check_len, check_room};
use history::{History, Verdict};
pub use raw::{ChangeHead, change_head};
use shown::Shown;
use std::fmt;

/// The largest raw change.
pub const CHANGE_BYTES_MAX: usize = 64 * 1024;
/// How many operations one change may claim.
pub const OPS_MAX: usize = 1_024;
/// How many changes there may be for this node to add one. Those of others are held beyond it, up to [`HELD_MAX`].
pub const CHANGES_MAX: usize = 16_384;
/// How many changes a cart may have to be opened at all: no till makes as many, so this bounds memory and nothing else.
pub const HELD_MAX: usize = 65_536;
/// How many lines, removed ones too, a cart takes from this node.
pub const LINES_MAX: usize = 4_000;
/// How many steps a line takes from this node.
pub const STEPS_MAX: usize = 400;
/// The largest facts of a line.
pub const FACTS_BYTES_MAX: usize = 8 * 1024;
/// The longest name of a register of the header.
pub const NAME_BYTES_MAX: usize = 64;
/// The largest value of a register of the header.
pub const VALUE_BYTES_MAX: usize = 4 * 1024;
/// How many registers the header takes from this node.
pub const NAMES_MAX: usize = 64;
/// The largest step, either way, in thousandths: a thousand million units.
pub const STEP_MILLI_MAX: i64 = 1_000_000_000_000;

/// How many changes that harm Automerge are set aside before the cart is given up.
const HARMFUL_MAX: usize = 16;

/// Who writes to carts: one run of one node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor(pub [u8; 16]);

/// A line that has live steps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CartLine {
    /// Which line.
    pub line: LineId,
    /// When it was added, as its author's hybrid clock had it.
    pub at: Hlc,
    /// What it is: bytes of the shop.
    pub facts: Vec<u8>,
    /// The sum of the live steps; held at the ends of the range where it would leave it.
    pub qty: Milli,
    /// The live steps, in the order of their ids. *Shape*: at least one.
    pub steps: Vec<(StepId, Milli)>,
}

/// What became of a change that came from elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Took {
    /// It was here already.
    Known,
    /// The lines or registers may have changed.
    Visible,
    /// It is held and not visible: what it follows is missing, or another change of its actor has its number.
    Held,
    /// It is held and will not be visible: no cart makes such a change.
    Refused,
}

/// One cart, open.
pub struct Cart {
    id: CartId,
    actor: Actor,
    history: History,
    /// `None` after Automerge failed: made anew from the history when it is next needed.
    document: Option<Document>,
    shown: Shown,
    unreadable: usize,
}

impl Actor {
    /// The actor of a node's run. *Source*: the first 16 bytes of `SHA-256("toko/cart-actor/1" 00 node run)`.
    #[must_use]
    pub fn of(node: &NodeId, run: Run) -> Self {
        let run = if crate::mutant!("reuse-automerge-actor") { Run(0) } else { run };
        Self::cut(Hash::of("toko/cart-actor/1", &[&node.0, &run.0.to_be_bytes()]))
    }

    fn cut(hash: Hash) -> Self {
        let mut out = [0; 16];
        out.copy_from_slice(&hash.0[..16]);
        Self(out)
    }
}

/// The hash of a raw change, after size, kind, checksum and claims are checked; see [`change_head`].
///
/// It is Automerge's own hash of the change, so it is also the name by which other changes and [`Cart::heads`] know it.
///
/// Errors: anything but one whole uncompressed change within the limits. No decoder of documents has run.
pub fn change_hash(change: &[u8]) -> Result<Hash, CodecError> {
    change_head(change).map(|head| head.hash)
}

fn qty_is_sane(qty: Milli) -> bool {
    qty.0 != 0 && qty.0.unsigned_abs() <= STEP_MILLI_MAX.unsigned_abs()
}

fn name_is_sane(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}

impl Cart {
    /// Opens a cart with the changes that are held of it: in any order, twice, with holes.
    ///
    /// `actor` is the running run's; among `changes` is everything that this run has written to the cart (see the module's
    /// first page). Bytes that are no raw change are counted ([`Cart::unseen`]) and otherwise passed over.
    ///
    /// Errors: more than [`HELD_MAX`] changes; [`CartError::Document`] if Automerge fails again and again.
    pub fn open<C: AsRef<[u8]>>(
        cart: CartId,
        actor: Actor,
        changes: impl IntoIterator<Item = C>,
    ) -> Result<Self, CartError> {
        let history = History::new().map_err(CartError::Change)?;
        let mut open =
            Self { id: cart, actor, history, document: None, shown: Shown::default(), unreadable: 0 };
        for change in changes {
            check_room("changes", open.history.held().len(), HELD_MAX)?;
            if open.history.hold(change.as_ref()).is_err() {
                open.unreadable += 1;
            }
        }
        open.rebuild()?;
        Ok(open)
    }

    /// Which cart this is.
    #[must_use]
    pub fn id(&self) -> CartId {
        self.id
    }

    /// Adds a line with its first step. The raw change, for [`crate::body::CartChange`]; `None` if the step was ever added.
    ///
    /// Units: `qty` in thousandths. Shape: `qty` ≠ 0; `at` is the author's hybrid clock and gives the line its place among those
    /// that others add meanwhile. Below what its author sees it stands in any case: that clock may have woken up in 1970.
    /// Errors: limits, a line that is there already; see [`CartError`].
    pub fn add_line(
        &mut self,
        line: LineId,
        at: Hlc,
        facts: &[u8],
        step: StepId,
        qty: Milli,
    ) -> Result<Option<Vec<u8>>, CartError> {
        if self.shown.steps.contains(&step) {
            return Ok(None);
        }
        if self.shown.known(&line).is_some() {
            return Err(CartError::KnownLine { line });
        }
        check_len("facts", facts, FACTS_BYTES_MAX)?;
        check_room("lines", self.shown.lines.len(), LINES_MAX)?;
        if !qty_is_sane(qty) {
            return Err(CartError::Quantity { qty });
        }
        let at = self.shown.lowest.map_or(at, |lowest| at.max(lowest.next()));
        let ops = vec![Op::Facts { line, at, facts: facts.to_vec() }, Op::Step { line, step, qty }];
        self.commit(ops).map(Some)
    }

    /// Adds a step to a line, up or down. `None` if the step was ever added: repeating it changes nothing.
    ///
    /// Errors: limits, a line that was never added.
    pub fn step(&mut self, line: LineId, step: StepId, qty: Milli) -> Result<Option<Vec<u8>>, CartError> {
        if self.shown.steps.contains(&step) {
            return Ok(None);
        }
        let known = self.shown.known(&line).ok_or(CartError::UnknownLine { line })?;
        check_room("steps of a line", known.live.len(), STEPS_MAX)?;
        let sum: i128 = known.live.values().map(|step| i128::from(step.0)).sum();
        if !qty_is_sane(qty) || i64::try_from(sum + i128::from(qty.0)).is_err() {
            return Err(CartError::Quantity { qty });
        }
        self.commit(vec![Op::Step { line, step, qty }]).map(Some)
    }

    /// Removes the steps of a line that are seen here; one scanned elsewhere meanwhile stays. `None` if none is live.
    ///
    /// Errors: a line that was never added.
    pub fn remove(&mut self, line: LineId) -> Result<Option<Vec<u8>>, CartError> {
        let known = self.shown.known(&line).ok_or(CartError::UnknownLine { line })?;
        // Others may have made more steps than one change can hold; what is left is removed by removing again.
        let steps = known.live.keys().take(STEPS_MAX);
        let ops: Vec<Op> = steps.map(|step| Op::Unstep { line, step: *step, seen: Vec::new() }).collect();
        if ops.is_empty() { Ok(None) } else { self.commit(ops).map(Some) }
    }

    /// Sets a register of the header. `None` if it has that value already.
    ///
    /// Errors: limits, a name that is not plain.
    pub fn set(&mut self, name: &str, value: &[u8]) -> Result<Option<Vec<u8>>, CartError> {
        if self.header(name) == Some(value) {
            return Ok(None);
        }
        if !name_is_sane(name) {
            return Err(CartError::Name { name: name.to_owned() });
        }
        check_len("a register", value, VALUE_BYTES_MAX)?;
        if !self.shown.header.contains_key(name) {
            check_room("registers", self.shown.header.len(), NAMES_MAX)?;
        }
        let op = Op::Header { name: name.to_owned(), value: value.to_vec(), seen: Vec::new() };
        self.commit(vec![op]).map(Some)
    }

    /// The lines that have live steps, in the order in which they were added; equal on every node with equal changes.
    #[must_use]
    pub fn lines(&self) -> Vec<CartLine> {
        self.shown.lines()
    }

    /// The lines as the changes up to `heads` make them: what a sale covered that names these heads.
    ///
    /// Errors: [`CartError::UnknownHead`] while one of them has not arrived.
    pub fn lines_at(&self, heads: &[Hash]) -> Result<Vec<CartLine>, CartError> {
        let covered = self.history.covered(heads).map_err(|head| CartError::UnknownHead { head })?;
        let changes = covered.iter().filter_map(|hash| self.history.held().get(hash)).map(|held| &held.bytes);
        Ok(Self::open(self.id, self.actor, changes)?.lines())
    }

    /// What a line is, also when it was removed; `None` if it was never added.
    #[must_use]
    pub fn facts(&self, line: &LineId) -> Option<&[u8]> {
        self.shown.known(line)?.facts.as_ref().map(|(_, facts)| facts.as_slice())
    }

    /// A register of the header. Of values that were set apart from each other every node shows the same one.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.shown.header.get(name).map(Vec::as_slice)
    }

    /// All registers of the header, by name.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.shown.header.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The changes that no visible change follows, sorted. *Shape*: never empty; of an empty cart, the genesis.
    #[must_use]
    pub fn heads(&self) -> Vec<Hash> {
        self.history.heads()
    }

    /// Takes in a change that came from elsewhere.
    ///
    /// Errors: bytes that are no raw change; one change too many for [`HELD_MAX`]; [`CartError::Document`] if Automerge
    /// fails again and again.
    pub fn apply(&mut self, change: &[u8]) -> Result<Took, CartError> {
        check_room("changes", self.history.held().len(), HELD_MAX)?;
        let Some(hash) = self.history.hold(change).map_err(CartError::Change)? else {
            return Ok(Took::Known);
        };
        let settled = match self.history.judge(&hash) {
            Verdict::Refused => return Ok(Took::Refused),
            Verdict::Waits | Verdict::Twin => return Ok(Took::Held),
            Verdict::Visible => self.settle(hash),
            Verdict::Supersedes => Err(Failed),
        };
        if settled.is_err() {
            self.rebuild()?;
        }
        Ok(if self.history.is_visible(&hash) { Took::Visible } else { Took::Held })
    }

    /// The raw changes that are held, by hash: those that are not visible too, the genesis not.
    pub fn changes(&self) -> impl Iterator<Item = (Hash, &[u8])> {
        self.history.held().iter().map(|(hash, held)| (*hash, held.bytes.as_slice()))
    }

    /// How many changes are held without being visible, and bytes that were no raw change: zero in good order.
    #[must_use]
    pub fn unseen(&self) -> usize {
        self.history.unseen().len() + self.unreadable
    }

    fn commit(&mut self, ops: Vec<Op>) -> Result<Vec<u8>, CartError> {
        check_room("changes", self.history.held().len(), CHANGES_MAX)?;
        if self.history.is_behind(&self.actor) {
            return Err(CartError::Behind);
        }
        if self.document.is_none() {
            self.rebuild()?;
        }
        let Some(mut document) = self.document.take() else { return Err(CartError::Document) };
        let change = document.commit(&ops).map_err(|Failed| CartError::Document)?;
        let hash = self.history.hold(&change).map_err(CartError::Change)?.ok_or(CartError::Document)?;
        // What everybody else will ask of this change, we ask first.
        if self.history.judge(&hash) != Verdict::Visible {
            self.history.let_go(&hash);
            return Err(CartError::Document);
        }
        ops.into_iter().for_each(|op| self.shown.note(op));
        self.document = Some(document);
        Ok(change)
    }

    /// After `first` became visible: takes it into the document, and all that waited for it.
    fn settle(&mut self, first: Hash) -> Result<(), Failed> {
        let mut fresh = vec![first];
        for hash in self.history.unseen() {
            match self.history.judge(&hash) {
                Verdict::Visible => fresh.push(hash),
                Verdict::Supersedes => return Err(Failed),
                Verdict::Waits | Verdict::Twin | Verdict::Refused => {}
            }
        }
        let Some(mut document) = self.document.take() else { return Err(Failed) };
        document.apply(self.history.parsed(&fresh))?;
        for hash in fresh {
            for op in self.history.ops(&hash) {
                self.shown.look(&document, op)?;
            }
        }
        self.document = Some(document);
        Ok(())
    }

    /// Judges everything anew and makes the document of what is visible.
    fn rebuild(&mut self) -> Result<(), CartError> {
        for _ in 0..HARMFUL_MAX {
            self.history.forget();
            let mut visible = self.history.unseen();
            visible.retain(|hash| self.history.judge(hash) == Verdict::Visible);
            match self.try_rebuild(&visible) {
                Ok(()) => return Ok(()),
                Err(Some(harmful)) => self.history.refuse(&harmful),
                Err(None) => break,
            }
        }
        Err(CartError::Document)
    }

    /// Errors: the change that harms Automerge, if it is one change.
    fn try_rebuild(&mut self, visible: &[Hash]) -> Result<(), Option<Hash>> {
        let fresh = || Document::new(&self.actor).map_err(|Failed| None);
        let mut document = fresh()?;
        if document.apply(self.history.parsed(visible)).is_err() {
            document = fresh()?;
            for hash in visible {
                document.apply(self.history.parsed(&[*hash])).map_err(|Failed| Some(*hash))?;
            }
        }
        self.shown = Shown::default();
        for op in visible.iter().flat_map(|hash| self.history.ops(hash)) {
            if let Op::Step { step, .. } = op {
                self.shown.steps.insert(*step);
            }
        }
        document.read(&mut |live| self.shown.show(live)).map_err(|Failed| None)?;
        self.document = Some(document);
        Ok(())
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Actor({})", crate::hash::hex(&self.0[..4]))
    }
}

impl fmt::Debug for Cart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (changes, lines) = (self.history.held().len(), self.shown.lines.len());
        f.debug_struct("Cart")
            .field("id", &self.id)
            .field("changes", &changes)
            .field("lines", &lines)
            .finish()
    }
}

#[cfg(test)]
mod tests;
