//! The cash drawer: asked by a terminal to open, answered by whoever owns it, who also tells what it did unasked.

use serde::{Deserialize, Serialize};

/// A drawer shall open, now or never.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawerAskedV1 {
    /// Business day, as `20101201`.
    pub day: u32,
    /// Number of the terminal whose drawer it is.
    pub terminal: u16,
    /// Which drawer, by the name its owner gave it.
    pub drawer: String,
    /// Why.
    pub reason: DrawerReason,
    /// Effect id of the sale, return or void that it is for.
    pub sale: Option<[u8; 32]>,
    /// Who asks: an opaque id.
    pub by: Option<String>,
    /// Milliseconds after which nobody stands there any more.
    pub ttl_ms: u32,
    /// A note.
    pub note: String,
}

/// Why a drawer shall open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DrawerReason {
    /// Cash of a sale, return or void.
    Sale,
    /// To change money, and whatever else moves none.
    NoSale,
    /// Cash goes to the safe.
    SafeDrop,
    /// The float is put in.
    Float,
    /// The drawer is counted.
    ShiftCount,
    /// Cash is put in.
    PayIn,
    /// Cash is taken out, to pay for something.
    PayOut,
}

/// What a drawer did, as its owner saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawerSeenV1 {
    /// Business day, as `20101201`; that of the ask, where there is one.
    pub day: u32,
    /// Number of the terminal whose drawer it is.
    pub terminal: u16,
    /// Which drawer.
    pub drawer: String,
    /// Effect id of the ask that this is the answer to.
    pub ask: Option<[u8; 32]>,
    /// What it did.
    pub what: DrawerEvent,
    /// Whether it is open now; nothing while nobody knows what its sensor means.
    pub open: Option<bool>,
    /// What there is to say beside it, for people.
    pub detail: String,
}

/// What a drawer did. The first four are answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DrawerEvent {
    /// It opened: its sensor said so.
    Opened,
    /// The pulse was sent, and the sensor said nothing.
    NotConfirmed,
    /// No pulse was sent.
    NotSent,
    /// No pulse was sent, since the ask came too late.
    Expired,
    /// It opened although nobody asked: by its key, or by force.
    Forced,
    /// It was shut.
    Closed,
    /// Its sensor cannot be heard: nobody knows how it is.
    OutOfSight,
}

impl DrawerEvent {
    /// Whether it answers an ask.
    #[must_use]
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Opened | Self::NotConfirmed | Self::NotSent | Self::Expired)
    }

    /// In one word, for lists and scripts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::NotConfirmed => "not_confirmed",
            Self::NotSent => "not_sent",
            Self::Expired => "expired",
            Self::Forced => "forced",
            Self::Closed => "closed",
            Self::OutOfSight => "out_of_sight",
        }
    }
}

impl DrawerReason {
    /// Every reason, in the order of the stored numbers.
    pub const ALL: [Self; 7] =
        [Self::Sale, Self::NoSale, Self::SafeDrop, Self::Float, Self::ShiftCount, Self::PayIn, Self::PayOut];

    /// In one word, for lists and scripts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::NoSale => "no_sale",
            Self::SafeDrop => "safe_drop",
            Self::Float => "float",
            Self::ShiftCount => "shift_count",
            Self::PayIn => "pay_in",
            Self::PayOut => "pay_out",
        }
    }

    /// The reason of a word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }
}
