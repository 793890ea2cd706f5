//! Why a figure did not come about.

use std::fmt::Display;

use crate::door::DoorError;
use crate::machine::MachineError;
use crate::process::{ProcessError, TooLate};

/// Why a figure did not come about. The other figures may have.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// The bare machine refused.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// A daemon did not start, stop or stay.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A daemon did not answer, or refused.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// Something did not happen in time.
    #[error(transparent)]
    TooLate(#[from] TooLate),
    /// A file, a socket or a thread.
    #[error("the machine refused")]
    Io(#[from] std::io::Error),
    /// The product did not do what is measured.
    #[error("{what}: {why}")]
    Product {
        /// What was tried.
        what: &'static str,
        /// What it said.
        why: String,
    },
}

impl Trouble {
    /// Names what the product did not do.
    pub fn product<E: Display>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |why| Self::Product { what, why: why.to_string() }
    }

    /// The error with all its causes on one line.
    pub fn in_full(&self) -> String {
        let mut words = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(deeper) = cause {
            words.push_str(&format!(": {deeper}"));
            cause = deeper.source();
        }
        words
    }
}
