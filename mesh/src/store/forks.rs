//! What a closed journal leaves behind: entries above its end, which whoever holds them carries on in a journal of its own.

use toko_crdt::{Body, JournalId, clock::UnixMicros, ids::EntryRef};

use super::{Store, stage::Group, tables};

impl Store {
    /// Carries what we hold of a closed journal above its end, unless it travels already.
    pub(super) fn carry_out(&mut self, now: UnixMicros, group: &mut Group, journal: JournalId) {
        let Some(closed) = self.closed.get(&journal).copied() else { return };
        if journal.node == self.node && Some(journal.run) == self.run {
            self.run = None;
        }
        let mut above = Vec::new();
        let views = self.views.snapshot();
        let listed =
            tables::places_from(&views, EntryRef { journal, seq: closed.at + 1 }, &mut |seq, _, hash| {
                above.push((EntryRef { journal, seq }, hash));
                true
            });
        if let Err(error) = listed {
            self.break_down(&error.to_string());
            return;
        }
        let above = if toko_crdt::mutant!("drop-our-own-branch") { Vec::new() } else { above };
        for (place, hash) in above {
            let entry = match tables::is_carried(&views, hash) {
                Ok(true) => continue,
                Ok(false) => self.reader.entry(place).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match entry {
                Ok(Some(entry)) => self.stage_own(now, group, journal.lane, Body::Carried(Box::new(entry))),
                Ok(None) => {}
                Err(why) => {
                    self.break_down(&why);
                    return;
                }
            }
            if group.bytes() > Self::GROUP_BYTES_MAX.min(self.log.append_bytes_max() / 2) {
                // The rest goes with the next group.
                self.closings.push(journal);
                return;
            }
        }
    }
}
