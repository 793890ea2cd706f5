//! Views at the last seal that an older build made, made into those of this build.
//!
//! An upgrade that changes what the fold makes of entries makes all views anew from the log. Where the log no longer reaches
//! back, what stands at the last seal is all that is left of what went, so its rows are brought up, and whatever the older build
//! had parked as too new is folded. The views in use are made from it then, as ever.
//!
//! Invariants: the older build's file is left as it was until this build lets go of any history, so that the upgrade can be
//! taken back; a power cut at any moment leaves the one or the other. What this build made of a seal of the older one is no
//! answer to it: its verdicts are gone, and this node says nothing about seals until the next one.

use toko_crdt::{Kv, KvRead, digest::Digests, frontier::Frontier, member::Members};

use super::{CACHE_BYTES, SEALED_FILE, SealError, SealedViews, StoreReader, WAITING_BYTES};
use crate::{
    disk::{Disk, remove_if_there},
    store::{prune::Rows, tables},
    views::{Draft, Views},
};

/// Where the views are made.
const RISING_FILE: &str = "sealed.redb.rising";
/// The older build's file, as it left it.
const OLDER_FILE: &str = "sealed.redb.older";
/// How many rows are copied at once.
const PAGE_ROWS: usize = 4096;

impl SealedViews {
    /// Finds the sealed views of this build's fold: brought up from those of an older build, or put back as this build left
    /// them before a newer one came and went. Whether there are such views now.
    ///
    /// Errors: nothing was changed.
    pub(in crate::store) fn of_this_build(
        reader: &StoreReader,
        members: &Members,
        made_by: u32,
    ) -> Result<bool, SealError> {
        let disk = reader.disk();
        if made_by > reader.fold_version() {
            return put_back(reader, &*disk);
        }
        Views::discard_as(&*disk, RISING_FILE)?;
        if !rise(reader, members, made_by)? {
            return Ok(false);
        }
        Views::discard_as(&*disk, OLDER_FILE)?;
        disk.rename(SEALED_FILE, OLDER_FILE)?;
        disk.sync_dir()?;
        disk.rename(RISING_FILE, SEALED_FILE)?;
        disk.sync_dir()?;
        tracing::info!(made_by, "the sealed views of an older build were brought up");
        Ok(true)
    }

    /// Ends what a power cut left half done: the older build's file is whole, and what was made of it can be made again.
    pub(in crate::store) fn recover(disk: &dyn Disk) -> std::io::Result<()> {
        if disk.size(SEALED_FILE).is_err() && disk.size(OLDER_FILE).is_ok() {
            disk.rename(OLDER_FILE, SEALED_FILE)?;
            disk.sync_dir()?;
        }
        Ok(())
    }

    /// Lets go of what an older build left: the history goes on which it would go on.
    pub(in crate::store) fn forget_older(disk: &dyn Disk) -> std::io::Result<()> {
        remove_if_there(disk, OLDER_FILE)
    }

    /// Folds what is parked for reasons that this build may not share, and notes what these views are now.
    fn settle_down(&mut self, members: &Members) -> Result<(), SealError> {
        let base = self.views.snapshot();
        self.digests = Digests::recompute(&base)?;
        let mut draft = Draft::new(&base);
        self.digests.save(&mut draft)?;
        for checked in tables::verdicts(&base)? {
            draft.delete(&tables::verdict_key(checked.seal))?;
        }
        self.put_made_from(&mut draft)?;
        let rows = draft.into_rows();
        drop(base);
        self.views.publish(rows);
        if !toko_crdt::mutant!("upgrade-leaves-what-was-too-new") {
            let ground = self.views.snapshot();
            self.heal_all(&ground, members)?;
        }
        self.views.flush()?;
        Ok(())
    }
}

/// Makes the views of this build in a file beside those of the older one. Whether this build knows how.
fn rise(reader: &StoreReader, members: &Members, made_by: u32) -> Result<bool, SealError> {
    let older = Views::open_as(reader.disk(), SEALED_FILE, CACHE_BYTES)?;
    let rising = Views::open_as(reader.disk(), RISING_FILE, CACHE_BYTES)?;
    copy(&older, &rising)?;
    drop(older);
    let base = rising.snapshot();
    let mut draft = Draft::new(&base);
    if !reader.meaning().fold.bring_up(made_by, &mut draft)? {
        return Ok(false);
    }
    let rows = draft.into_rows();
    drop(base);
    rising.publish(rows);
    let mut known = members.clone();
    let heads = rising.read(|kv| {
        tables::add_members(kv, &mut known)?;
        Ok(tables::heads(kv)?.into_iter().collect::<Frontier>())
    })?;
    let mut views = SealedViews { reader: reader.clone(), views: rising, heads, digests: Digests::default() };
    views.settle_down(&known)?;
    Ok(true)
}

/// Puts back what this build left before a newer one made its own of it. Whether that is there.
fn put_back(reader: &StoreReader, disk: &dyn Disk) -> Result<bool, SealError> {
    if disk.size(OLDER_FILE).is_err() {
        return Ok(false);
    }
    let older = Views::open_as(reader.disk(), OLDER_FILE, CACHE_BYTES)?;
    let made = older.read(|kv| tables::made_from(kv))?;
    drop(older);
    if made.is_none_or(|made| made.store != reader.store() || made.fold_version != reader.fold_version()) {
        return Ok(false);
    }
    disk.remove(SEALED_FILE)?;
    disk.sync_dir()?;
    SealedViews::recover(disk)?;
    tracing::warn!("a newer build was here; this one goes on from the last seal that it went over itself");
    Ok(true)
}

fn copy(from: &Views, to: &Views) -> Result<(), SealError> {
    let (from, mut next) = (from.snapshot(), Vec::new());
    loop {
        let (mut page, mut last) = (Rows::new(), None);
        from.scan_from(&[], &next, &mut |key, value| {
            last = Some(key.to_vec());
            page.insert(key.to_vec(), Some(value.to_vec()));
            page.len() < PAGE_ROWS
        })?;
        to.publish(page);
        let Some(mut last) = last else { return Ok(()) };
        last.push(0);
        next = last;
        if to.waiting_bytes() > WAITING_BYTES {
            to.flush()?;
        }
    }
}
