//! One file, as it is seen and as the platter has it, and the names of files.

use std::collections::BTreeMap;

use super::{Dice, index};

#[derive(Clone, Debug, Default)]
pub(super) struct SimFile {
    pub(super) visible: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Write(usize, Vec<u8>),
    Len(usize),
}

#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Make(String, u64),
    Rename(String, String),
    Remove(String),
}

impl SimFile {
    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.visible);
        self.unsynced.push(change);
    }

    pub(super) fn as_synced(&self) -> SimFile {
        SimFile { visible: self.durable.clone(), durable: self.durable.clone(), unsynced: Vec::new() }
    }

    pub(super) fn after_power_cut(&self, dice: &mut Dice) -> SimFile {
        let mut image = self.durable.clone();
        let sector = if dice.below(2) == 0 { 512 } else { 4096 };
        let kept_in_16 = [0, 2, 8, 14, 16][index(dice.below(5))];
        for change in &self.unsynced {
            match change {
                Change::Len(_) => change.apply(&mut image),
                Change::Write(at, bytes) => {
                    let mut done = 0;
                    while done < bytes.len() {
                        let from = at + done;
                        let end = ((from / sector + 1) * sector - at).min(bytes.len());
                        if dice.below(16) < kept_in_16 {
                            Change::Write(from, bytes[done..end].to_vec()).apply(&mut image);
                        }
                        done = end;
                    }
                }
            }
        }
        SimFile { visible: image.clone(), durable: image, unsynced: Vec::new() }
    }
}

impl Change {
    pub(super) fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Change::Len(len) => image.resize(*len, 0),
            Change::Write(at, bytes) => {
                let end = at + bytes.len();
                if image.len() < end {
                    image.resize(end, 0);
                }
                image[*at..end].copy_from_slice(bytes);
            }
        }
    }
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            NameChange::Make(name, id) => {
                names.insert(name.clone(), *id);
            }
            NameChange::Rename(from, to) => {
                if let Some(id) = names.remove(from) {
                    names.insert(to.clone(), id);
                }
            }
            NameChange::Remove(name) => {
                names.remove(name);
            }
        }
    }
}
