//! What is done to the shop: one function for each case, grouped by what breaks.
//!
//! A case is called while a cashier sells at every till, and returns with everything healed. What holds of every case
//! (nothing lost, nothing doubled, nobody turned away, all agree) is checked by [`super::stage`]; a case checks what
//! is right for its own fault.

pub mod addresses;
pub mod cable;
pub mod clocks;
pub mod copies;
pub mod disks;
pub mod frozen;
pub mod lossy;
pub mod names;
pub mod strangers;

use std::path::Path;
use std::time::Duration;

use super::failure::{Failure, must};
use super::shop::Shop;

/// One thing that happens to a shop.
#[derive(Debug)]
pub struct Case {
    /// The fault's code; several with a slash between them.
    pub code: &'static str,
    /// What it is called beside its code.
    pub name: &'static str,
    /// What is done, in one line.
    pub what: &'static str,
    /// What the machine must have.
    pub needs: &'static [Need],
    /// Whether the shop is not fit for another case afterwards.
    pub spoils: bool,
    /// Does it.
    pub run: fn(&mut Shop, &mut Seen) -> Result<(), Failure>,
}

impl Case {
    /// How a command line names it: `F21-cable`.
    pub fn id(&self) -> String {
        format!("{}-{}", self.code, self.name)
    }
}

/// Something that not every machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// libfaketime.
    Faketime,
    /// Loop devices and ext4.
    Loop,
}

/// Where Debian's and Ubuntu's libfaketime is, by machine.
const FAKETIME: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// The library that shifts a process's clock.
pub fn faketime() -> Option<&'static str> {
    FAKETIME.into_iter().find(|path| Path::new(path).exists())
}

impl Need {
    /// Why it cannot be used here; nothing if it can.
    pub fn lacking(self) -> Option<String> {
        let (is_there, why) = match self {
            Self::Faketime => {
                (faketime().is_some(), "libfaketime is not installed (apt-get install libfaketime)")
            }
            Self::Loop => (Path::new("/dev/loop-control").exists(), "this machine has no loop devices"),
        };
        (!is_there).then(|| why.to_owned())
    }
}

/// What was seen, for the table.
#[derive(Debug, Default)]
pub struct Seen {
    notes: Vec<String>,
    /// Tills that the case broke: they may turn customers away while they are.
    pub excused: Vec<&'static str>,
    /// Receipt numbers may come twice: a directory was copied or restored.
    pub numbers_twice: bool,
}

/// How far a bound may be exceeded on a machine that does other work as well. The table shows the measure.
const FAR: u32 = 20;

impl Seen {
    /// One more thing.
    pub fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    /// Something that took its time, beside the bound that is named for it.
    ///
    /// Errors: the bound was exceeded by far.
    pub fn within(&mut self, what: &str, took: Duration, bound: Duration) -> Result<(), Failure> {
        let beyond = if took > bound * 5 / 4 { ", over its bound" } else { "" };
        self.note(format!("{what} after {} ms (bound {}{beyond})", took.as_millis(), bound.as_millis()));
        must(took < bound * FAR, || {
            format!("{what} took {} ms, bound {}", took.as_millis(), bound.as_millis())
        })
    }

    /// Everything, on one line.
    pub fn in_words(&self) -> String {
        self.notes.join("; ")
    }
}

/// Every case, in the order in which they are played.
pub const ALL: &[Case] = &[
    Case {
        code: "F21",
        name: "hub",
        what: "the hub loses power while all tills sell, and comes back",
        needs: &[],
        spoils: false,
        run: cable::hub_dark,
    },
    Case {
        code: "F21",
        name: "cable",
        what: "the cable of one till is pulled and plugged in again",
        needs: &[],
        spoils: false,
        run: cable::till_unplugged,
    },
    Case {
        code: "F22",
        name: "one-way",
        what: "one till is heard by the hub and does not hear it",
        needs: &[],
        spoils: false,
        run: cable::one_way,
    },
    Case {
        code: "F23",
        name: "partial",
        what: "one till reaches everybody but the hub, then only one neighbour",
        needs: &[],
        spoils: false,
        run: cable::partial,
    },
    Case {
        code: "F24",
        name: "storm",
        what: "30 % of datagrams are lost, the rest comes up to 500 ms late, out of order, some twice",
        needs: &[],
        spoils: false,
        run: lossy::storm,
    },
    Case {
        code: "F25",
        name: "hole",
        what: "packets over 1228 bytes vanish, in mid-link and at a till's start",
        needs: &[],
        spoils: false,
        run: lossy::hole,
    },
    Case {
        code: "F26",
        name: "hub",
        what: "the hub hangs (SIGSTOP) with its sockets open",
        needs: &[],
        spoils: false,
        run: frozen::hub_hangs,
    },
    Case {
        code: "F26",
        name: "till",
        what: "a till hangs (SIGSTOP) in the middle of a sale",
        needs: &[],
        spoils: false,
        run: frozen::till_hangs,
    },
    Case {
        code: "F40",
        name: "hub",
        what: "the hub is killed (-9) again and again",
        needs: &[],
        spoils: false,
        run: frozen::hub_killed,
    },
    Case {
        code: "F40",
        name: "till",
        what: "a till is killed (-9) again and again while it sells",
        needs: &[],
        spoils: false,
        run: frozen::till_killed,
    },
    Case {
        code: "F10",
        name: "1970",
        what: "a till and the hub wake up in 1970",
        needs: &[Need::Faketime],
        spoils: false,
        run: clocks::in_1970,
    },
    Case {
        code: "F11",
        name: "ahead",
        what: "a till is ten years ahead, then back",
        needs: &[Need::Faketime],
        spoils: false,
        run: clocks::ten_years_ahead,
    },
    Case {
        code: "F11",
        name: "jump",
        what: "the hub's clock jumps ten years on and eleven back while it runs",
        needs: &[Need::Faketime],
        spoils: false,
        run: clocks::hub_jumps,
    },
    Case {
        code: "F34",
        name: "narrow",
        what: "64 kbit/s to headquarters, filled by a catalogue",
        needs: &[],
        spoils: false,
        run: lossy::narrow,
    },
    Case {
        code: "F28",
        name: "roam",
        what: "a till gets another address in mid-link, then again with a gap",
        needs: &[],
        spoils: false,
        run: addresses::till_roams,
    },
    Case {
        code: "F29",
        name: "lease",
        what: "the hub loses its address in mid-link and gets another",
        needs: &[],
        spoils: false,
        run: addresses::hub_moves,
    },
    Case {
        code: "F30",
        name: "names",
        what: "headquarters is known by name; no resolver answers, then a captive portal does",
        needs: &[],
        spoils: false,
        run: names::no_names,
    },
    Case {
        code: "F31",
        name: "filtered",
        what: "multicast is filtered; a till starts, the hub moves",
        needs: &[],
        spoils: false,
        run: addresses::filtered,
    },
    Case {
        code: "F14",
        name: "twice",
        what: "two tills have one address",
        needs: &[],
        spoils: false,
        run: addresses::twice,
    },
    Case {
        code: "F32",
        name: "rogue",
        what: "forged mDNS says that another store's hub is ours",
        needs: &[],
        spoils: false,
        run: strangers::rogue_hub,
    },
    Case {
        code: "F27",
        name: "flood",
        what: "a stranger floods all ports and multicast",
        needs: &[],
        spoils: false,
        run: strangers::flood,
    },
    Case {
        code: "F20",
        name: "store",
        what: "a till is carried to another store, and back",
        needs: &[],
        spoils: false,
        run: strangers::other_store,
    },
    Case {
        code: "F04",
        name: "full",
        what: "a till's disk fills up (ext4, 64 MiB)",
        needs: &[Need::Loop],
        spoils: false,
        run: disks::full,
    },
    Case {
        code: "F08",
        name: "read-only",
        what: "a till's disk goes read-only (ext4)",
        needs: &[Need::Loop],
        spoils: false,
        run: disks::read_only,
    },
    Case {
        code: "F43",
        name: "hq",
        what: "headquarters is put back from an old backup",
        needs: &[],
        spoils: false,
        run: copies::headquarters_restored,
    },
    Case {
        code: "F16",
        name: "restored",
        what: "a till's directory is put back from an old backup",
        needs: &[],
        spoils: true,
        run: copies::restored,
    },
    Case {
        code: "F13",
        name: "clone",
        what: "a till's directory runs on two machines",
        needs: &[],
        spoils: true,
        run: copies::cloned,
    },
    Case {
        code: "F15/F17",
        name: "hub",
        what: "a blank machine takes the hub's place, then the old hub comes back",
        needs: &[],
        spoils: true,
        run: copies::hub_replaced,
    },
];
