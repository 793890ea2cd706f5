//! How a key becomes a member: one-time codes, the desk that gives them out, and the conversation that redeems them.
//!
//! A terminal joins a store ([`meet_hub`] against [`welcome`]): the code pins the hub before a byte of secret is sent. The hub
//! shows the root key, whose hash must begin as the code says, and a statement by it that the key of this very connection
//! is hub; only then does the terminal show the secret. The hub writes the terminal's statement durably before it answers.
//!
//! A store joins headquarters ([`join_hq`] against [`take_in`]): the code pins HQ's key for the store, which the connection
//! itself proves; then the hub shows the secret and who the store is.
//!
//! A blank machine becomes hub ([`ask_members`] against [`tell_members`]): the connection itself proves the root key, and
//! whoever is asked tells which statements it holds and where others may be found. Nothing is changed by asking.
//!
//! Invariants: not a byte of secret before the other side is proven; whatever is refused has its own words; asking again
//! after a lost answer gives the same answer. Absent on purpose: internet, certificates, names that must resolve.

use crate::endpoint::DialError;
use crate::machine::Machine;
use crate::tls::Gate;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::time::Instant;
use toko_crdt::NodeId;

mod code;
mod desk;
mod guest;
mod host;
mod recovery;
mod wire;

pub use code::{Code, CodeError, CodeKind, RecoveryCode, SECRET_BYTES};
pub use desk::{CODE_MINUTES, Desk, Granted, OPEN_MAX, OpenError, SecretError, TRIES_MAX};
pub use guest::{Enrolled, HubMet, JoiningStore, join_hq, meet_hub};
pub use host::{HostError, Joining, Welcomed, take_in, welcome};
pub use recovery::{Told, ask_members, tell_members};
pub use wire::TalkError;

/// How long a whole conversation may take.
const TALK: Duration = Duration::from_secs(10);

/// A desk in use: shared, with a monotonic clock of its own.
#[derive(Debug)]
pub struct FrontDesk {
    desk: Mutex<Desk>,
    machine: Machine,
    started: Instant,
}

impl FrontDesk {
    /// Opens for business; no code is outstanding.
    #[must_use]
    pub fn new(desk: Desk) -> Self {
        Self::on(&Machine::real(), desk)
    }

    /// The same, with secrets that this machine draws.
    #[must_use]
    pub fn on(machine: &Machine, desk: Desk) -> Self {
        Self { desk: Mutex::new(desk), machine: machine.clone(), started: Instant::now() }
    }

    /// Gives out a code: 15 minutes, 5 tries, one use. `name` is what the newcomer will be called, where that is decided here.
    pub fn open(&self, name: Option<String>) -> Result<Code, OpenError> {
        let secret = self.machine.random().map_err(|NoRandomness| OpenError::NoRandomness)?;
        self.lock().open(name, secret, self.started.elapsed())
    }

    fn show(&self, secret: &[u8; SECRET_BYTES]) -> Result<Granted, SecretError> {
        self.lock().show(secret, self.started.elapsed())
    }

    fn settle(&self, granted: &Granted, written: bool) {
        self.lock().settle(granted, written);
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate for FrontDesk {
    fn is_open(&self) -> bool {
        self.lock().is_open(self.started.elapsed())
    }
}

/// The machine has no randomness to give.
#[derive(Debug, Clone, Copy, Error)]
#[error("the machine gives no random bytes")]
pub struct NoRandomness;

/// Fresh random bytes of the machine.
pub fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    Machine::real().random()
}

/// Why the other side said no. It travels as one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The secret was not accepted.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// This key was a member and is out.
    #[error("this terminal's key was revoked; remove its identity and enrol it as a new one")]
    Revoked,
    /// No usable name was given, at the desk or here.
    #[error("the terminal needs a name of 1 to 64 bytes without control characters")]
    Name,
    /// The statement could not be written; the code is still good.
    #[error("the hub could not save it; the code is still good, try again")]
    NotSaved,
    /// The code is for something else.
    #[error("this node does not take such codes")]
    Kind,
    /// What the store showed does not hold together.
    #[error("the store's statements do not hold")]
    Statements,
    /// A reason that this build does not know.
    #[error("the other side refused for a reason that this build does not know")]
    Unknown,
}

impl Refusal {
    const NUMBERED: [(u8, Self); 9] = [
        (1, Self::Secret(SecretError::Wrong)),
        (2, Self::Secret(SecretError::Expired)),
        (3, Self::Secret(SecretError::Used)),
        (4, Self::Secret(SecretError::TriesUsedUp)),
        (5, Self::Revoked),
        (6, Self::Name),
        (7, Self::NotSaved),
        (8, Self::Kind),
        (9, Self::Statements),
    ];

    fn byte(self) -> u8 {
        Self::NUMBERED.iter().find(|(_, known)| *known == self).map_or(0, |(byte, _)| *byte)
    }

    fn from_byte(byte: u8) -> Self {
        Self::NUMBERED.iter().find(|(number, _)| *number == byte).map_or(Self::Unknown, |(_, known)| *known)
    }
}

/// Why an enrolment did not happen. No statement of ours was kept, and the secret was not shown unless the error is
/// [`EnrolError::Refused`] or [`EnrolError::Talk`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// Nobody there, or the door stayed shut.
    #[error(transparent)]
    Dial(DialError),
    /// Somebody is there and lets no newcomers in.
    #[error(
        "no code is outstanding there: it expired, was used, too many wrong ones were tried, or this is not the hub; ask for a new one"
    )]
    NotEnrolling,
    /// A hub of another store than the code's.
    #[error("that is a hub of another store than the code is for")]
    OtherStore,
    /// A node of the right store that is not its hub.
    #[error("node {} is not the hub of this store", .0.short())]
    NotAHub(NodeId),
    /// Who answers does not know the root key of the recovery code.
    #[error("who answers there belongs to another store than the recovery code")]
    OtherRoot,
    /// Whoever answers does not hold the key that the code names.
    #[error("who answers there is not the headquarters that the code is for")]
    NotHeadquarters,
    /// The other side said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The conversation broke off. Trying again with the same code is safe.
    #[error("the conversation broke off")]
    Talk(#[from] TalkError),
}
