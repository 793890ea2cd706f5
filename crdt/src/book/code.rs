//! Why entries are parked, in bytes for the table, in a word for lists, and in a sentence for people.

use std::fmt;

/// Why an entry is parked. *Shape*: one byte in the local table; the words are for people.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
#[non_exhaustive]
pub enum Code {
    /// Its author may not write this kind of op.
    OutOfScope = 1,
    /// A newer build wrote it.
    Newer = 2,
    /// It does not decode.
    Unreadable = 3,
    /// Folding it panicked.
    Panicked = 4,
    /// Folding it killed the process.
    Killed = 5,
    /// A carried entry that its author did not sign, or carried too deep.
    BadCarried = 6,
    /// A fork proof or statement that does not hold.
    BadProof = 7,
    /// In the wrong lane.
    WrongLane = 8,
    /// Its author is not known; the statement may still come.
    UnknownAuthor = 9,
    /// Its body was pruned before it came here; a snapshot or another holder may still bring what it did.
    Pruned = 10,
}

impl Code {
    const ALL: [Self; 10] = [
        Self::OutOfScope,
        Self::Newer,
        Self::Unreadable,
        Self::Panicked,
        Self::Killed,
        Self::BadCarried,
        Self::BadProof,
        Self::WrongLane,
        Self::UnknownAuthor,
        Self::Pruned,
    ];

    /// Reads the byte that stands for a code.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as u8 == byte)
    }

    /// Whether trying again may help by itself: after an upgrade, or when a statement came. What panicked or killed the
    /// process is tried again only when a person says so.
    #[must_use]
    pub fn may_heal(self) -> bool {
        matches!(self, Self::Newer | Self::OutOfScope | Self::UnknownAuthor | Self::Unreadable | Self::Pruned)
            && !crate::mutant!("parked-for-ever")
    }

    /// What happened, for a person who looks at a parked entry. *Shape*: a lowercase fragment.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::OutOfScope => "its author may not write this kind of entry",
            Self::Newer => "a newer version wrote it than the one that runs here",
            Self::Unreadable => "its bytes are not what they claim to be",
            Self::Panicked => "reading it failed in a way that is a fault of this program",
            Self::Killed => "the program died while it read it",
            Self::BadCarried => {
                "somebody passed it on that its author did not sign so, or wrapped it too often"
            }
            Self::BadProof => "it says something about members or forks that its signatures do not bear out",
            Self::WrongLane => "it stands among the wrong kind of entries",
            Self::UnknownAuthor => "nothing that is known here says who its author is",
            Self::Pruned => "its content was cleared away before it came here",
        }
    }

    /// A short word for lists and logs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::OutOfScope => "out-of-scope",
            Self::Newer => "newer",
            Self::Unreadable => "unreadable",
            Self::Panicked => "panicked",
            Self::Killed => "killed",
            Self::BadCarried => "bad-carried",
            Self::BadProof => "bad-proof",
            Self::WrongLane => "wrong-lane",
            Self::UnknownAuthor => "unknown-author",
            Self::Pruned => "pruned",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
