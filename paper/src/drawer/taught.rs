//! What the sensors of drawers mean, as people taught it: a small file beside the store.
//!
//! Invariant: a file that does not read means that nothing was taught; then nothing is called open or shut.

use std::collections::BTreeMap;
use std::io;
use toko_crdt::codec;
use toko_devices::profile::Polarity;
use toko_mesh::disk::{Disk, read_whole, replace};
use tracing::warn;

const FILE: &str = "drawers";
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// What is known of each drawer by its name.
#[derive(Debug, Default)]
pub struct Taught(BTreeMap<String, Polarity>);

/// Name, and whether a high level means open.
type TaughtV1 = Vec<(String, bool)>;

impl Taught {
    /// What was taught, as the file has it.
    #[must_use]
    pub fn load(disk: &dyn Disk) -> Self {
        let max = usize::try_from(FILE_BYTES_MAX).unwrap_or(usize::MAX);
        let read = read_whole(disk, FILE, FILE_BYTES_MAX).map(|bytes| {
            bytes.map(|bytes| codec::decode::<TaughtV1>("what drawers were taught", 1, &bytes, max))
        });
        match read {
            Ok(None) => Self::default(),
            Ok(Some(Ok(known))) => {
                let polarity = |high| if high { Polarity::HighIsOpen } else { Polarity::LowIsOpen };
                Self(known.into_iter().map(|(name, high)| (name, polarity(high))).collect())
            }
            Ok(Some(Err(err))) => {
                warn!(%err, "what drawers were taught does not read; teach them again");
                Self::default()
            }
            Err(err) => {
                warn!(%err, "what drawers were taught is not to be had");
                Self::default()
            }
        }
    }

    /// What a drawer's levels mean, as far as anybody taught it.
    #[must_use]
    pub fn of(&self, drawer: &str) -> Polarity {
        self.0.get(drawer).copied().unwrap_or_default()
    }

    /// Keeps what a level means.
    ///
    /// Errors: nothing was changed.
    pub fn teach(&mut self, disk: &dyn Disk, drawer: &str, polarity: Polarity) -> io::Result<()> {
        let mut next = self.0.clone();
        next.insert(drawer.to_owned(), polarity);
        let known: TaughtV1 = next
            .iter()
            .filter(|(_, polarity)| **polarity != Polarity::Unknown)
            .map(|(name, polarity)| (name.clone(), *polarity == Polarity::HighIsOpen))
            .collect();
        replace(disk, FILE, &codec::encode(1, &known))?;
        self.0 = next;
        Ok(())
    }
}
