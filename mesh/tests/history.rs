//! History that is bounded: seals gone over, logs pruned below them, snapshots taken, damage set aside (F02, F06, F07, F45, F47).
//!
//! Whole stores on simulated disks, without a network: entries are handed over as a link would.

#![cfg(test)]

mod history {
    mod prune;
    mod rig;
    mod seals;
    mod upgrade;
}
