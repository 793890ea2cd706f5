//! The desk: which codes are outstanding, and what became of those that were.
//!
//! Pure: time comes in as a monotonic value, randomness as bytes. Invariants: a code lives 15 minutes, bears 5 wrong tries,
//! and lets one node in once; secrets are compared in constant time, all of them, whatever the first comparison says. A wrong
//! secret cannot be told apart from a guess at any code, so it costs every outstanding code a try.

use crate::enrol::code::{Code, CodeKind, SECRET_BYTES};
use crate::tls::FINGERPRINT_BYTES;
use std::hint::black_box;
use std::time::Duration;
use thiserror::Error;
use toko_crdt::member::{NAME_BYTES_MAX, name_is_sane};

/// How long a code is good for.
pub const CODE_MINUTES: u64 = 15;
/// How many wrong tries a code bears.
pub const TRIES_MAX: u8 = 5;
/// How many codes may be outstanding at once.
pub const OPEN_MAX: usize = 16;
/// How long after its use a code keeps the door open for the node that used it, whose answer may have been lost.
const ECHO: Duration = Duration::from_secs(60);
/// How many spent codes are remembered, so that people hear "expired" instead of "wrong".
const SPENT_MAX: usize = 64;

/// Why no code was made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Too many are outstanding.
    #[error("{OPEN_MAX} codes are outstanding already; wait until some are used or expire")]
    Full,
    /// The name cannot be a terminal's.
    #[error("a name has 1 to {NAME_BYTES_MAX} bytes, no control characters and no blanks around it")]
    Name,
    /// The machine has no randomness to give.
    #[error("the machine gives no random bytes")]
    NoRandomness,
}

/// Why a secret was not accepted. What the newcomer hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SecretError {
    /// No such code was ever given out here.
    #[error("the code is wrong")]
    Wrong,
    /// The code was right and is older than 15 minutes.
    #[error("the code has expired; ask for a new one")]
    Expired,
    /// The code was right and somebody used it.
    #[error("the code was used already; ask for a new one")]
    Used,
    /// Too many wrong tries were made while it was outstanding.
    #[error("too many wrong codes were tried; ask for a new one")]
    TriesUsedUp,
}

/// A secret that was accepted; [`Desk::settle`] must follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// Which slip.
    slip: u64,
    /// The name that the desk gave, where it gave one.
    pub name: Option<String>,
}

/// All codes of one store.
#[derive(Debug)]
pub struct Desk {
    kind: CodeKind,
    fingerprint: [u8; FINGERPRINT_BYTES],
    slips: Vec<Slip>,
    next: u64,
}

#[derive(Debug)]
struct Slip {
    id: u64,
    secret: Secret,
    name: Option<String>,
    opened: Duration,
    tries_left: u8,
    used: Option<Duration>,
}

struct Secret([u8; SECRET_BYTES]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Slip {
    fn expired(&self, now: Duration) -> bool {
        let old = now.saturating_sub(self.opened) >= Duration::from_secs(CODE_MINUTES * 60);
        old && !toko_crdt::mutant!("codes-live-for-ever")
    }

    fn outstanding(&self, now: Duration) -> bool {
        self.used.is_none() && self.tries_left > 0 && !self.expired(now)
    }

    fn echoes(&self, now: Duration) -> bool {
        self.used.is_some_and(|at| now.saturating_sub(at) < ECHO)
    }
}

impl Desk {
    /// The desk of a store (root key fingerprint) or of headquarters (fingerprint of its key for the store).
    #[must_use]
    pub fn new(kind: CodeKind, fingerprint: [u8; FINGERPRINT_BYTES]) -> Self {
        Self { kind, fingerprint, slips: Vec::new(), next: 0 }
    }

    /// Gives out a code.
    ///
    /// Shape: `secret` is fresh random bytes; `now` is monotonic, since any fixed start.
    pub fn open(
        &mut self,
        name: Option<String>,
        secret: [u8; SECRET_BYTES],
        now: Duration,
    ) -> Result<Code, OpenError> {
        if name.as_deref().is_some_and(|name| !name_is_sane(name)) {
            return Err(OpenError::Name);
        }
        if self.slips.iter().filter(|slip| slip.outstanding(now)).count() >= OPEN_MAX {
            return Err(OpenError::Full);
        }
        self.forget(now);
        let (id, tries_left, used) = (self.next, TRIES_MAX, None);
        self.next += 1;
        self.slips.push(Slip { id, secret: Secret(secret), name, opened: now, tries_left, used });
        Ok(Code { kind: self.kind, fingerprint: self.fingerprint, secret })
    }

    /// Whether newcomers are let in: a code is outstanding, or was used a moment ago.
    #[must_use]
    pub fn is_open(&self, now: Duration) -> bool {
        self.slips.iter().any(|slip| slip.outstanding(now) || slip.echoes(now))
    }

    /// A newcomer shows a secret. When it is accepted the code is taken, until [`Desk::settle`] says how it went.
    pub fn show(&mut self, secret: &[u8; SECRET_BYTES], now: Duration) -> Result<Granted, SecretError> {
        let mut found = None;
        for (at, slip) in self.slips.iter().enumerate() {
            if equal(&slip.secret.0, secret) {
                found = Some(at);
            }
        }
        let Some(slip) = found.and_then(|at| self.slips.get_mut(at)) else {
            for slip in self.slips.iter_mut().filter(|slip| slip.outstanding(now)) {
                slip.tries_left -= u8::from(!toko_crdt::mutant!("count-no-tries"));
            }
            return Err(SecretError::Wrong);
        };
        if slip.used.is_some() && !toko_crdt::mutant!("use-a-code-twice") {
            return Err(SecretError::Used);
        }
        if slip.expired(now) {
            return Err(SecretError::Expired);
        }
        if slip.tries_left == 0 {
            return Err(SecretError::TriesUsedUp);
        }
        slip.used = Some(now);
        Ok(Granted { slip: slip.id, name: slip.name.clone() })
    }

    /// How it went: when the statement was not written, the code is good again.
    pub fn settle(&mut self, granted: &Granted, written: bool) {
        if let Some(slip) = self.slips.iter_mut().find(|slip| slip.id == granted.slip)
            && !written
        {
            slip.used = None;
        }
    }

    fn forget(&mut self, now: Duration) {
        let excess = self.slips.len().saturating_sub(SPENT_MAX);
        let mut spent = 0;
        self.slips.retain(|slip| {
            let drop = spent < excess && !slip.outstanding(now);
            spent += usize::from(drop);
            !drop
        });
    }
}

/// Equal or not, in a time that does not tell where they differ.
fn equal(left: &[u8; SECRET_BYTES], right: &[u8; SECRET_BYTES]) -> bool {
    let differ =
        left.iter().zip(right).fold(0_u8, |differ, (left, right)| black_box(differ | (left ^ right)));
    black_box(differ) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_000);

    fn desk() -> Desk {
        let mut desk = Desk::new(CodeKind::Enrol, [7; FINGERPRINT_BYTES]);
        desk.open(Some("Till 3".into()), [1; SECRET_BYTES], START).unwrap();
        desk
    }

    #[test]
    fn a_code_lets_one_node_in_once() {
        let mut desk = desk();
        assert!(desk.is_open(START));
        let granted = desk.show(&[1; SECRET_BYTES], START).unwrap();
        assert_eq!(granted.name.as_deref(), Some("Till 3"));
        desk.settle(&granted, true);
        assert_eq!(desk.show(&[1; SECRET_BYTES], START), Err(SecretError::Used));
        assert!(desk.is_open(START), "its answer may have been lost");
        let later = START + ECHO;
        assert_eq!(desk.show(&[1; SECRET_BYTES], later), Err(SecretError::Used));
        assert!(!desk.is_open(later));
    }

    #[test]
    fn a_code_that_was_not_written_is_good_again() {
        let mut desk = desk();
        let granted = desk.show(&[1; SECRET_BYTES], START).unwrap();
        desk.settle(&granted, false);
        assert!(desk.show(&[1; SECRET_BYTES], START).is_ok());
    }

    #[test]
    fn an_expired_code_is_told_from_a_wrong_one() {
        let mut desk = desk();
        let late = START + Duration::from_secs(CODE_MINUTES * 60);
        assert!(desk.is_open(late - Duration::from_millis(1)));
        assert!(!desk.is_open(late));
        assert_eq!(desk.show(&[1; SECRET_BYTES], late), Err(SecretError::Expired));
        assert_eq!(desk.show(&[2; SECRET_BYTES], late), Err(SecretError::Wrong));
    }

    #[test]
    fn five_wrong_tries_close_the_desk() {
        let mut desk = desk();
        for _ in 0..TRIES_MAX {
            assert_eq!(desk.show(&[9; SECRET_BYTES], START), Err(SecretError::Wrong));
        }
        assert_eq!(desk.show(&[1; SECRET_BYTES], START), Err(SecretError::TriesUsedUp));
        assert!(!desk.is_open(START));
    }

    #[test]
    fn the_desk_is_bounded_and_names_are_checked() {
        let mut desk = desk();
        assert_eq!(desk.open(Some("a\u{7}".into()), [3; SECRET_BYTES], START), Err(OpenError::Name));
        for n in 1..OPEN_MAX {
            let secret = [u8::try_from(n).unwrap() + 1; SECRET_BYTES];
            desk.open(None, secret, START).unwrap();
        }
        assert_eq!(desk.open(None, [99; SECRET_BYTES], START), Err(OpenError::Full));
        for hour in 1..100 {
            desk.open(None, [hour; SECRET_BYTES], START + Duration::from_secs(3_600 * u64::from(hour)))
                .unwrap();
        }
        assert!(desk.slips.len() <= SPENT_MAX + 1);
    }
}
