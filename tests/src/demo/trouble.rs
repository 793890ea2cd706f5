//! Why the demo ended before it had a report.

use crate::day::DaysError;
use crate::door::DoorError;
use crate::oracle::OracleError;
use crate::process::{ProcessError, TooLate};
use crate::sheet::ReadError;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// The file was not read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file holds no trading days, or not the one asked for.
    #[error(transparent)]
    Days(#[from] DaysError),
    /// The oracle cannot read what the replay can.
    #[error("the oracle cannot read the sheet")]
    Oracle(#[from] OracleError),
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
    #[error("{what}")]
    System {
        /// What could not be done.
        what: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// An answer that does not say what it should.
    #[error("{who} did not say {what}: {said}")]
    Odd {
        /// Who answered.
        who: String,
        /// What was looked for.
        what: String,
        /// The whole answer.
        said: String,
    },
    /// The directory is not fresh.
    #[error("{dir} is not empty; the demo wants a directory of its own")]
    NotFresh {
        /// The directory.
        dir: String,
    },
    /// Somebody wants the demo to end.
    #[error("interrupted")]
    Interrupted,
}

impl Trouble {
    /// Names what the system refused.
    pub fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
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
