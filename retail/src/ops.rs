//! What a shop writes into its journals, as bytes that are for ever.
//!
//! *Shape*: a version byte, then postcard of [`OpV1`]. Variants of [`What`] and of the enums inside are only ever added at
//! the end; a struct that must change becomes a new variant. Everything here is plain stored fields with units in their
//! names; live types ([`crate::money::Money`] and its kin) derive no serialisation, so no rename moves a byte.
//!
//! Invariants: what [`OpV1::decode`] returns has passed the shape check: bounded counts and texts, days of the calendar,
//! currencies that can be, magnitudes that add up. That check looks at the bytes alone, so all nodes agree on it. Absent on
//! purpose: whether an op is *right* (author's business, see [`crate::sale`]) or *allowed* (see [`crate::scope`]); personal data.

use serde::{Deserialize, Serialize};
use toko_crdt::Lane;
pub use toko_crdt::body::Idem;
use toko_crdt::codec::{self, CodecError};
use toko_crdt::entry::BODY_BYTES_MAX;

mod bundle;
mod cash;
mod drawer;
mod floor;
mod print;
mod sale;
mod settled;
mod shape;
mod stock;

pub use bundle::{BundleActivatedV1, BundleKind, BundlePublishedV1};
pub use cash::{
    CashMovedV1, CashReason, CountedV1, DayClosedV1, DayOpenedV1, ShiftClosedV1, ShiftOpenedV1, TakingsV1,
};
pub use drawer::{DrawerAskedV1, DrawerEvent, DrawerReason, DrawerSeenV1};
pub use floor::{CartClosedV1, CustodyState, CustodyV1, TenderStage, TenderTakenV1};
pub use print::{PrintAskV1, PrintAskedV1, PrintOutcome, PrintOutcomeV1, PrintStartedV1};
pub use sale::{
    CartRefV1, CurrencyV1, DiscountV1, LineTaxV1, PriceReasonV1, ReturnOfV1, SaleKind, SaleLineV1, SaleV1,
    TaxTotalV1, TenderKindV1, TenderV1,
};
pub use settled::{BooksSettledV1, SalePlaceV1};
pub use shape::{ShapeError, limits};
pub use stock::{MoveReason, MovedLineV1, StockMovedV1};

/// One command of the shop: one entry, all or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpV1 {
    /// The idempotency key of the request that asked for it, and the hash of that request.
    pub idem: Option<Idem>,
    /// What happened.
    pub what: What,
}

/// Everything that can happen in a shop. New ones are added at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// Books: goods for money, a return, or a void.
    Sale(Box<SaleV1>),
    /// Books: goods that moved without a sale.
    StockMoved(StockMovedV1),
    /// Books: a business day was opened.
    DayOpened(DayOpenedV1),
    /// Books: a business day was closed (a Z).
    DayClosed(DayClosedV1),
    /// Books: somebody took over a drawer.
    ShiftOpened(ShiftOpenedV1),
    /// Books: the drawer was counted.
    ShiftClosed(ShiftClosedV1),
    /// Books: cash went into or out of a drawer without a sale.
    CashMoved(CashMovedV1),
    /// Books: the store's publisher names a new bundle.
    BundlePublished(BundlePublishedV1),
    /// Books: from now on this bundle counts.
    BundleActivated(BundleActivatedV1),
    /// Books: a receipt shall be printed (again).
    PrintAsked(PrintAskedV1),
    /// Books: a printer's owner is about to send the first byte.
    PrintStarted(PrintStartedV1),
    /// Books: what came of it.
    PrintOutcome(PrintOutcomeV1),
    /// Floor: who holds a cart.
    Custody(CustodyV1),
    /// Floor: money was taken for a cart before it is a sale.
    TenderTaken(TenderTakenV1),
    /// Floor: a cart is done.
    CartClosed(CartClosedV1),
    /// Books: the hub's word up to where sales and print jobs are settled.
    BooksSettled(BooksSettledV1),
    /// Books: a drawer shall open.
    DrawerAsked(DrawerAskedV1),
    /// Books: what a drawer did, asked or not.
    DrawerSeen(DrawerSeenV1),
}

/// The kinds of [`What`], without what is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is documented at the variant of What of the same name")]
pub enum OpKind {
    Sale,
    StockMoved,
    DayOpened,
    DayClosed,
    ShiftOpened,
    ShiftClosed,
    CashMoved,
    BundlePublished,
    BundleActivated,
    PrintAsked,
    PrintStarted,
    PrintOutcome,
    Custody,
    TenderTaken,
    CartClosed,
    BooksSettled,
    DrawerAsked,
    DrawerSeen,
}

/// Why bytes are no op that this build reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// A newer build wrote it.
    #[error("an op of version {0}, newer than this build")]
    Newer(u8),
    /// The bytes do not decode.
    #[error(transparent)]
    Codec(CodecError),
    /// They decode, to something that no op may be.
    #[error(transparent)]
    Shape(ShapeError),
}

/// The version byte of [`OpV1`].
pub const OP_VERSION: u8 = 1;

/// Most bytes of an op: what a body holds, less its family byte and its version.
pub const OP_BYTES_MAX: usize = BODY_BYTES_MAX - 64;

impl OpV1 {
    /// An op without an idempotency key.
    pub fn new(what: What) -> OpV1 {
        OpV1 { idem: None, what }
    }

    /// The bytes for `Body::Op`.
    pub fn encode(&self) -> Vec<u8> {
        #[cfg(feature = "next")]
        if let Some(newer) = crate::next::encode(self) {
            return newer;
        }
        codec::encode(OP_VERSION, self)
    }

    /// Reads the bytes of a `Body::Op` and checks their shape.
    ///
    /// Errors: [`OpError::Newer`] for a higher version byte or a variant that this build does not know; the others for
    /// bytes that no build writes.
    pub fn decode(bytes: &[u8]) -> Result<OpV1, OpError> {
        #[cfg(feature = "next")]
        if let Some(newer) = crate::next::decode(bytes) {
            let op = newer.map_err(OpError::Codec)?;
            shape::check(&op).map_err(OpError::Shape)?;
            return Ok(op);
        }
        if let Some(version) = bytes.first().copied().filter(|version| *version > OP_VERSION) {
            return Err(OpError::Newer(version));
        }
        if matches!(bytes, [OP_VERSION, 0 | 1, ..]) && OpKind::peek(bytes).is_none() {
            return Err(OpError::Newer(OP_VERSION));
        }
        let op: OpV1 = codec::decode("op", OP_VERSION, bytes, OP_BYTES_MAX).map_err(OpError::Codec)?;
        shape::check(&op).map_err(OpError::Shape)?;
        Ok(op)
    }

    /// Checks what [`OpV1::decode`] checks, before anything is written: the author never signs what no node would read.
    pub fn check_shape(&self) -> Result<(), ShapeError> {
        shape::check(self)?;
        let bytes = self.encode().len();
        if bytes > OP_BYTES_MAX { Err(ShapeError::Bytes { found: bytes, max: OP_BYTES_MAX }) } else { Ok(()) }
    }
}

impl What {
    /// Its kind.
    pub fn kind(&self) -> OpKind {
        match self {
            What::Sale(_) => OpKind::Sale,
            What::StockMoved(_) => OpKind::StockMoved,
            What::DayOpened(_) => OpKind::DayOpened,
            What::DayClosed(_) => OpKind::DayClosed,
            What::ShiftOpened(_) => OpKind::ShiftOpened,
            What::ShiftClosed(_) => OpKind::ShiftClosed,
            What::CashMoved(_) => OpKind::CashMoved,
            What::BundlePublished(_) => OpKind::BundlePublished,
            What::BundleActivated(_) => OpKind::BundleActivated,
            What::PrintAsked(_) => OpKind::PrintAsked,
            What::PrintStarted(_) => OpKind::PrintStarted,
            What::PrintOutcome(_) => OpKind::PrintOutcome,
            What::Custody(_) => OpKind::Custody,
            What::TenderTaken(_) => OpKind::TenderTaken,
            What::CartClosed(_) => OpKind::CartClosed,
            What::BooksSettled(_) => OpKind::BooksSettled,
            What::DrawerAsked(_) => OpKind::DrawerAsked,
            What::DrawerSeen(_) => OpKind::DrawerSeen,
        }
    }
}

impl OpKind {
    /// Every kind, in the order of the stored numbers.
    pub const ALL: [OpKind; 18] = [
        OpKind::Sale,
        OpKind::StockMoved,
        OpKind::DayOpened,
        OpKind::DayClosed,
        OpKind::ShiftOpened,
        OpKind::ShiftClosed,
        OpKind::CashMoved,
        OpKind::BundlePublished,
        OpKind::BundleActivated,
        OpKind::PrintAsked,
        OpKind::PrintStarted,
        OpKind::PrintOutcome,
        OpKind::Custody,
        OpKind::TenderTaken,
        OpKind::CartClosed,
        OpKind::BooksSettled,
        OpKind::DrawerAsked,
        OpKind::DrawerSeen,
    ];

    /// The lane whose journal carries it.
    pub fn lane(self) -> Lane {
        match self {
            OpKind::Custody | OpKind::TenderTaken | OpKind::CartClosed => Lane::Floor,
            _ => Lane::Books,
        }
    }

    /// The kind of stored bytes without decoding what is inside; `None` for a version or number this build does not know.
    pub fn peek(op: &[u8]) -> Option<OpKind> {
        #[cfg(feature = "next")]
        if let Some(kind) = crate::next::peek(op) {
            return Some(kind);
        }
        // version, then Option<Idem> (0, or 1 and 32 bytes), then the variant's number.
        let at = match op {
            [OP_VERSION, 0, ..] => 2,
            [OP_VERSION, 1, ..] => 34,
            _ => return None,
        };
        OpKind::ALL.get(usize::from(*op.get(at)?)).copied()
    }
}
