//! Why a case did not hold.

use crate::demo::trouble::Trouble;
use crate::door::DoorError;
use crate::process::{ProcessError, TooLate};

/// Why a case did not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Something else than what should be.
    #[error("{0}")]
    Wrong(String),
    /// The machine lacks something that the case needs.
    #[error("{0}")]
    Skipped(String),
    /// A process, a door, a deadline, a file; or somebody wants to stop.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

impl Failure {
    /// What is so and should not be.
    pub fn wrong(what: impl Into<String>) -> Self {
        Self::Wrong(what.into())
    }

    /// What the system refused.
    pub fn system(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Trouble(Trouble::System { what: what.into(), source })
    }

    /// Whether somebody wants everything to stop.
    pub fn is_interruption(&self) -> bool {
        matches!(self, Self::Trouble(Trouble::Interrupted))
    }

    /// The failure with its causes.
    pub fn in_full(&self) -> String {
        match self {
            Self::Wrong(words) | Self::Skipped(words) => words.clone(),
            Self::Trouble(trouble) => trouble.in_full(),
        }
    }
}

impl From<DoorError> for Failure {
    fn from(error: DoorError) -> Self {
        Self::Trouble(error.into())
    }
}

impl From<ProcessError> for Failure {
    fn from(error: ProcessError) -> Self {
        Self::Trouble(error.into())
    }
}

impl From<TooLate> for Failure {
    fn from(error: TooLate) -> Self {
        Self::Trouble(error.into())
    }
}

/// Fails with words unless it is so.
pub fn must(is_so: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failure> {
    if is_so { Ok(()) } else { Err(Failure::Wrong(otherwise())) }
}
