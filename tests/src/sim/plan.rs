//! What goes wrong, where and when: drawn from the seed before anything begins.
//!
//! Invariants: a plan is a list, numbered from 0; leaving some of it out changes nothing of the rest, so that a failure can
//! be shrunk to the few faults that it needs.

use std::fmt;
use std::time::Duration;

use toko_mesh::sim_disk::Dice;

/// What is played of a shop: not every fault has a part in all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// All of it, within a day.
    Day,
    /// All of it, over midnight, and books are let go of.
    Late,
    /// Sessions and stores alone.
    Bare,
}

impl Mode {
    /// As the command line says it.
    #[must_use]
    pub fn of(bare: bool, late: bool) -> Self {
        match (bare, late) {
            (true, _) => Self::Bare,
            (false, true) => Self::Late,
            (false, false) => Self::Day,
        }
    }
}

/// A kind of fault. The code beside each names what a shop knows it as.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Packets of a box get lost, up to 30 % (F24).
    Loss,
    /// They arrive late, by up to half a second (F24).
    Delay,
    /// They arrive twice (F24).
    Double,
    /// They overtake each other (F24).
    Reorder,
    /// A box is on its own (F21).
    Partition,
    /// It is heard and hears nothing, or the other way round (F22).
    OneWay,
    /// Two boxes do not reach each other, everybody else does (F23).
    Partial,
    /// Packets above 1 200 bytes vanish (F25).
    Mtu,
    /// A box gets another address in the middle of its conversations (F28).
    Move,
    /// The power of a box goes, with what was not synced: torn and reordered (F01, F02).
    Power,
    /// A process is killed (F40).
    Kill,
    /// A disk says that it is full (F04).
    Full,
    /// A sync or a write fails (F03).
    Eio,
    /// A disk takes seconds (F05).
    Stall,
    /// A clock runs fast or slow (F12).
    Drift,
    /// A clock jumps by days or years, back or ahead (F11).
    Jump,
    /// A clock wakes up in 1970 (F10).
    Epoch,
    /// A terminal's disk is copied into another box, and both go on (F13).
    Clone,
    /// Likewise, by whoever copies the dice along: both draw the same run, and one journal goes two ways. Only without QUIC
    /// and tills.
    Fork,
    /// A disk goes back to what it was some time ago (F16).
    Restore,
    /// The hub dies for good, a blank box with the recovery code takes its place, and the old one may come back (F15, F17).
    HubReplaced,
    /// Headquarters' disk goes back to what it was some time ago (F43).
    HqRestored,
    /// The printer runs out of paper (F36).
    PaperOut,
    /// The printer says nothing, or not what became of a page (F35).
    PrinterMute,
    /// The printer loses its power, with what it had not printed yet (F35).
    PrinterOff,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::Loss,
        Self::Delay,
        Self::Double,
        Self::Reorder,
        Self::Partition,
        Self::OneWay,
        Self::Partial,
        Self::Mtu,
        Self::Move,
        Self::Power,
        Self::Kill,
        Self::Full,
        Self::Eio,
        Self::Stall,
        Self::Drift,
        Self::Jump,
        Self::Epoch,
        Self::Clone,
        Self::Fork,
        Self::Restore,
        Self::HubReplaced,
        Self::HqRestored,
        Self::PaperOut,
        Self::PrinterMute,
        Self::PrinterOff,
    ];

    /// What is drawn from where nothing is said: all but forks, which are asked for by name.
    #[must_use]
    pub fn usual() -> Vec<Self> {
        Self::ALL.into_iter().filter(|kind| *kind != Self::Fork).collect()
    }

    /// Whether it does anything there.
    #[must_use]
    pub fn has_part_in(self, mode: Mode) -> bool {
        match self {
            Self::Loss
            | Self::Delay
            | Self::Reorder
            | Self::Partition
            | Self::OneWay
            | Self::Partial
            | Self::Power
            | Self::Kill
            | Self::Full
            | Self::Eio
            | Self::Clone
            | Self::Restore => true,
            // A backup of headquarters that is older than the books are kept: what stores let go of is in no journal any more.
            Self::HqRestored => mode != Mode::Late,
            Self::Fork => mode == Mode::Bare,
            // No packets, clocks, printers or new hubs there, and a disk takes no time.
            Self::Double
            | Self::Mtu
            | Self::Move
            | Self::Stall
            | Self::Drift
            | Self::Jump
            | Self::Epoch
            | Self::HubReplaced
            | Self::PaperOut
            | Self::PrinterMute
            | Self::PrinterOff => mode != Mode::Bare,
        }
    }

    /// Its word on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Delay => "delay",
            Self::Double => "double",
            Self::Reorder => "reorder",
            Self::Partition => "partition",
            Self::OneWay => "one-way",
            Self::Partial => "partial",
            Self::Mtu => "mtu",
            Self::Move => "move",
            Self::Power => "power",
            Self::Kill => "kill",
            Self::Full => "full",
            Self::Eio => "eio",
            Self::Stall => "stall",
            Self::Drift => "drift",
            Self::Jump => "jump",
            Self::Epoch => "epoch",
            Self::Clone => "clone",
            Self::Fork => "fork",
            Self::Restore => "restore",
            Self::HubReplaced => "hub-replaced",
            Self::HqRestored => "hq-restored",
            Self::PaperOut => "paper-out",
            Self::PrinterMute => "printer-mute",
            Self::PrinterOff => "printer-off",
        }
    }

    /// The kind with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its place in the plan.
    pub number: usize,
    /// What.
    pub kind: Kind,
    /// Where: 0 is the hub, terminals follow, headquarters is last.
    pub host: usize,
    /// The other one, where it takes two.
    pub other: usize,
    /// When, after the doors open.
    pub at: Duration,
    /// For how long.
    pub lasts: Duration,
    /// How bad, or which way: the kind says.
    pub much: u64,
}

/// How a plan is drawn.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// Everything follows from it.
    pub seed: u64,
    /// How many boxes: hub, terminals, headquarters.
    pub hosts: usize,
    /// How long the shop is open.
    pub open: Duration,
    /// The kinds to draw from.
    pub kinds: &'a [Kind],
}

/// Draws which kinds happen at all in this run, and then when.
#[must_use]
pub fn draw(draft: &Draft<'_>) -> Vec<Fault> {
    let mut dice = Dice::new(draft.seed ^ 0xfa_0175);
    let chosen: Vec<Kind> = draft.kinds.iter().copied().filter(|_| dice.below(5) < 2).collect();
    // A kind alone now and then, and at least one where any is asked for.
    let chosen = match (chosen.is_empty(), draft.kinds) {
        (true, []) => return Vec::new(),
        (true, kinds) => vec![kinds[index(dice.below(kinds.len() as u64))]],
        (false, _) => chosen,
    };
    let open_ms = millis(draft.open).max(1);
    // About one every three minutes, and a few where the shop is open for a minute only.
    let count = (open_ms / 180_000 + 3 + dice.below(5)).min(400);
    let mut faults: Vec<Fault> = (0..count)
        .map(|_| {
            let kind = chosen[index(dice.below(chosen.len() as u64))];
            let host = index(dice.below(draft.hosts as u64));
            let other = (host + 1 + index(dice.below(draft.hosts.max(2) as u64 - 1))) % draft.hosts;
            // Bad minutes come together: a third of all faults fall into one tenth of the day.
            let at = match dice.below(3) {
                0 => open_ms * 3 / 10 + dice.below(open_ms / 10 + 1),
                _ => dice.below(open_ms * 9 / 10 + 1),
            };
            let long = dice.below(4) == 0;
            let lasts = 200 + dice.below(if long { 240_000 } else { 20_000 });
            let (at, lasts) = (Duration::from_millis(at), Duration::from_millis(lasts));
            Fault { number: 0, kind, host, other, at, lasts, much: dice.below(1 << 32) }
        })
        .collect();
    faults.sort_by_key(|fault| fault.at);
    for (number, fault) in faults.iter_mut().enumerate() {
        fault.number = number;
    }
    faults
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, kind, host, at, lasts, .. } = self;
        write!(f, "{number}: {kind} at {host}, {:.1} s for {:.1} s", at.as_secs_f64(), lasts.as_secs_f64())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(seed: u64, kinds: &[Kind]) -> Vec<Fault> {
        draw(&Draft { seed, hosts: 4, open: Duration::from_secs(600), kinds })
    }

    #[test]
    fn one_seed_draws_one_plan_and_all_seeds_together_every_kind() {
        assert_eq!(draft(1, &Kind::ALL), draft(1, &Kind::ALL));
        let drawn: Vec<Kind> =
            (0..40).flat_map(|seed| draft(seed, &Kind::ALL)).map(|fault| fault.kind).collect();
        for kind in Kind::ALL {
            assert!(drawn.contains(&kind), "{kind}");
            assert_eq!(Kind::parse(kind.word()), Some(kind));
        }
    }

    #[test]
    fn only_what_is_asked_for_goes_wrong() {
        assert!(draft(3, &[]).is_empty());
        assert!(
            draft(3, &[Kind::Kill]).iter().all(|fault| fault.kind == Kind::Kill && fault.host != fault.other)
        );
    }
}
