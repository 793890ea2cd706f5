//! Head-room: a file that is given up when the disk fills, so that the log has somewhere to go while somebody makes room.

use crate::disk::{Disk, remove_if_there};

const NAME: &str = "reserve";

/// The reserved file. Errors are not errors here: without a reserve a full disk is only met earlier.
#[derive(Debug)]
pub(super) struct Reserve {
    bytes: u64,
    kept: bool,
}

impl Reserve {
    /// Takes the reserve if it is not there and the disk has room to spare.
    pub(super) fn open(disk: &dyn Disk, bytes: u64) -> Self {
        let kept = bytes > 0 && disk.size(NAME).is_ok_and(|size| size >= bytes);
        let mut reserve = Self { bytes, kept };
        reserve.keep(disk);
        reserve
    }

    /// Takes the reserve again. It asks for four times its size, so that it never takes the last space itself.
    pub(super) fn keep(&mut self, disk: &dyn Disk) {
        if self.kept || self.bytes == 0 || disk.free().is_ok_and(|free| free < self.bytes.saturating_mul(4)) {
            return;
        }
        let made = remove_if_there(disk, NAME).and_then(|()| disk.create(NAME, self.bytes));
        match made.and_then(|()| disk.sync(NAME)) {
            Ok(()) => self.kept = true,
            Err(error) => tracing::warn!(err = %error, bytes = self.bytes, "no head-room could be reserved"),
        }
    }

    /// Gives the space up; true if there was any.
    pub(super) fn release(&mut self, disk: &dyn Disk) -> bool {
        if !self.kept {
            return false;
        }
        self.kept = false;
        match disk.remove(NAME).and_then(|()| disk.sync_dir()) {
            Ok(()) => {
                tracing::error!(
                    bytes = self.bytes,
                    "the disk is full; the last reserve is in use: make room"
                );
                true
            }
            Err(error) => {
                tracing::error!(err = %error, "the disk is full and the reserve could not be released");
                false
            }
        }
    }

    /// Whether there is head-room.
    pub(super) fn is_kept(&self) -> bool {
        self.kept
    }
}
