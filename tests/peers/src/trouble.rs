//! Why a column did not come about.

use std::fmt::Display;

/// Why a column did not come about. The other columns may have.
#[derive(Debug)]
pub(crate) struct Trouble {
    what: String,
    why: String,
}

impl Trouble {
    /// Names what was tried; the cause follows.
    pub(crate) fn of<E: Display>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |why| Self { what, why: why.to_string() }
    }

    /// Names what was tried, and why it failed.
    pub(crate) fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }
}

impl Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for Trouble {}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::new("the machine refused", error.to_string())
    }
}

impl From<toko_tests::bench::trouble::Trouble> for Trouble {
    fn from(error: toko_tests::bench::trouble::Trouble) -> Self {
        Self::new("Toko", error.in_full())
    }
}

impl From<toko_tests::machine::MachineError> for Trouble {
    fn from(error: toko_tests::machine::MachineError) -> Self {
        Self::new("the bare machine", error.to_string())
    }
}
