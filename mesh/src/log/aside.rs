//! What a disk spoilt, set aside: the log ends before the damage, and the node goes on from there.
//!
//! Damage below a sync is the disk's fault: bit rot, or a sync that it only said it had done. What stands before it is proven
//! record by record. What stands from it on is kept beside the log under another name, since it may be all that is left of an
//! entry, and peers give back what they hold of it, as they do for a node that was restored.
//!
//! Invariants: nothing is thrown away, and nothing is changed where the disk has no room for that. Cut short at any moment,
//! the next start finds the damage again and sets aside what is left of it. Bounded: a disk that spoils more than
//! [`ASIDE_MAX`] times is not trusted with a log any more.

use std::io;

use toko_crdt::StoreId;

use super::{
    ARCHIVE_FIRST, Position,
    format::{HEADER_BYTES, header, segment_name, segment_number},
};
use crate::disk::Disk;

/// How many times a log goes on behind damage.
pub const ASIDE_MAX: u32 = 16;

const PREFIX: &str = "damaged-";
const COPY_BYTES: usize = 1 << 20;

/// A part of a log that was set aside.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SetAside {
    /// Which time it was, from 1. One damage may set several files aside.
    pub number: u32,
    /// Its name now.
    pub file: String,
    /// How long it is.
    pub bytes: u64,
}

/// Everything that was set aside on this disk, in its order.
pub fn all_set_aside(disk: &dyn Disk) -> io::Result<Vec<SetAside>> {
    let mut out = Vec::new();
    for file in disk.list()? {
        // One whose copying was cut short is no part yet; the next try makes it anew.
        if file.ends_with(".new") {
            continue;
        }
        let number = file.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse().ok());
        if let Some(number) = number {
            out.push(SetAside { number, bytes: disk.size(&file)?, file });
        }
    }
    out.sort_unstable();
    Ok(out)
}

/// Ends the log before `at`; what stands from there on is kept under other names, and so is each of `also`. A header is
/// written again, and what stands behind it stays. Nothing is done, and nothing returned, where nothing whole stands before.
///
/// Errors: of the disk, or one that has spoilt too much. Nothing is lost, and trying again goes on.
pub(crate) fn set_aside(
    disk: &dyn Disk,
    store: &StoreId,
    at: Position,
    also: &[&str],
) -> io::Result<Vec<SetAside>> {
    let number = all_set_aside(disk)?.last().map_or(1, |last| last.number + 1);
    if number > ASIDE_MAX {
        let why = format!("{ASIDE_MAX} damages were set aside on this disk; it cannot be trusted with more");
        return Err(io::Error::other(why));
    }
    let name = |of: &str| format!("{PREFIX}{number:04}-{of}");
    let names = disk.list()?;
    let mut segments: Vec<u32> = names.iter().filter_map(|name| segment_number(name)).collect();
    segments.retain(|segment| *segment < ARCHIVE_FIRST);
    segments.sort_unstable();
    if segments.first().is_none_or(|first| at <= Position::start_of(*first)) {
        return Ok(Vec::new());
    }
    let (file, is_header) = (segment_name(at.segment), at.offset < HEADER_BYTES);
    // A copy, since what stands before the damage stays.
    if !toko_crdt::mutant!("throw-away-what-was-spoilt") {
        keep_from(disk, at, &name(&format!("{file}-from-{}", at.offset)))?;
    }
    for also in also.iter().filter(|also| names.iter().any(|name| name == *also)) {
        disk.rename(also, &name(also))?;
    }
    disk.sync_dir()?;
    if is_header {
        disk.write_at(&file, 0, &header(store, at.segment))?;
        disk.sync(&file)?;
    } else {
        // The newest first, one after the other, so that no power cut leaves a hole.
        for later in segments.iter().rev().filter(|segment| **segment > at.segment) {
            disk.rename(&segment_name(*later), &name(&segment_name(*later)))?;
            disk.sync_dir()?;
        }
        wipe(disk, at)?;
    }
    let mut all = all_set_aside(disk)?;
    all.retain(|part| part.number == number);
    Ok(all)
}

fn keep_from(disk: &dyn Disk, at: Position, to: &str) -> io::Result<()> {
    let (from, new) = (segment_name(at.segment), format!("{to}.new"));
    crate::disk::remove_if_there(disk, &new)?;
    let bytes = disk.size(&from)?.saturating_sub(u64::from(at.offset));
    disk.create(&new, bytes)?;
    let mut done = 0;
    while done < bytes {
        let mut part = vec![0; usize::try_from(bytes - done).unwrap_or(COPY_BYTES).min(COPY_BYTES)];
        disk.read_at(&from, u64::from(at.offset) + done, &mut part)?;
        disk.write_at(&new, done, &part)?;
        done += part.len() as u64;
    }
    disk.sync(&new)?;
    disk.rename(&new, to)
}

fn wipe(disk: &dyn Disk, at: Position) -> io::Result<()> {
    let (name, zeros) = (segment_name(at.segment), vec![0; COPY_BYTES]);
    let (mut from, to) = (u64::from(at.offset), disk.size(&name)?);
    while from < to {
        let part = usize::try_from(to - from).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        disk.write_at(&name, from, &zeros[..part])?;
        from += part as u64;
    }
    disk.sync(&name)
}
