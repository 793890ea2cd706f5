//! The shop's receipt printer.
//!
//! The paper is of the physical world: it outlives every box. A printer takes its time for a page, is without paper at times,
//! says nothing at times, and loses its power alone or with the hub's; a page that breaks off is torn. What stands on a sheet
//! is read from the bytes that a printer would get.
//!
//! Whose hand works at it is [`super::hand`]; what must have come of it is in [`super::receipts`].

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;
use toko_crdt::NodeId;
use toko_devices::outcome::{Doubt, NotSent};
use toko_devices::spool::Policy;
use toko_devices::status::{Paper, PrinterStatus};
use toko_devices::virtual_printer::Machine;
use toko_devices::{Level, Model, Outcome, Page, escpos};
use toko_mesh::sim_disk::Dice;
use toko_mesh::sim_net::SimNet;

/// What the hub calls it: what a terminal asks for that was told nothing.
pub(super) const NAME: &str = "receipts";
/// How often a page under way is looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long a page that ran out of paper is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The printer. It hangs on whichever box is hub.
#[derive(Debug)]
pub struct Printer {
    net: SimNet,
    /// What the shop does with receipts in doubt.
    pub policy: Policy,
    state: Mutex<State>,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrong {
    /// It has no power.
    pub off: bool,
    /// It has no paper.
    pub out: bool,
    /// It says nothing.
    pub mute: bool,
}

impl Wrong {
    fn and(self, other: Self) -> Self {
        Self { off: self.off || other.off, out: self.out || other.out, mute: self.mute || other.mute }
    }
}

/// What was felt of it: pages that were torn or in doubt, and looks in vain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Felt {
    /// For want of power.
    pub off: u64,
    /// For want of paper.
    pub out: u64,
    /// For want of an answer.
    pub mute: u64,
}

/// A piece of paper.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// The job that stands on it.
    pub job: String,
    /// Whether it says that it may be a second copy.
    pub marked: bool,
    /// Whether all of it is there.
    pub whole: bool,
    /// Whose attempt it is.
    pub by: By,
}

/// Who sent a page, and what he knew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// At which box, and how often its disk had gone back by then.
    pub disk: (usize, u64),
    /// The attempt.
    pub attempt: (NodeId, u32),
    /// Earlier attempts that its books had then, of which something may be on paper.
    pub known: Vec<(NodeId, u32)>,
    /// Whether by his clock nobody wanted it any more.
    pub too_late: bool,
}

#[derive(Debug)]
struct State {
    dice: Dice,
    paper: Vec<Sheet>,
    wrong: Wrong,
    /// What goes wrong with the next page, and whether it has begun.
    lurking: Wrong,
    struck: bool,
    felt: Felt,
    /// How often its power went.
    cycles: u64,
    /// It serves one host at a time.
    busy: bool,
    /// Whose page is under way.
    under_way: Option<usize>,
    /// The sheet that goes on when there is paper again.
    stuck: Option<usize>,
}

impl Printer {
    /// A printer with paper and power.
    #[must_use]
    pub fn new(net: &SimNet, seed: u64) -> Self {
        let policy = if seed % 4 == 3 { Policy::Hold } else { Policy::REPRINT_ONCE };
        let state = State {
            dice: Dice::new(seed ^ 0x9a_9e5),
            paper: Vec::new(),
            wrong: Wrong::default(),
            lurking: Wrong::default(),
            struck: false,
            felt: Felt::default(),
            cycles: 0,
            busy: false,
            under_way: None,
            stuck: None,
        };
        Self { net: net.clone(), policy, state: Mutex::new(state) }
    }

    /// What is wrong with it from now on, and what will be once a page is under way.
    pub fn set(&self, wrong: Wrong, lurking: Wrong) {
        let mut state = self.lock();
        state.lurking = lurking;
        state.struck &= lurking != Wrong::default();
        let now = if state.struck { wrong.and(lurking) } else { wrong };
        state.now_is(now);
    }

    /// Everything that came out of it, in order.
    #[must_use]
    pub fn paper(&self) -> Vec<Sheet> {
        self.lock().paper.clone()
    }

    /// Whether a page is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.lock().busy
    }

    /// Whether a page of this box is under way.
    #[must_use]
    pub fn has_a_page_of(&self, nth: usize) -> bool {
        self.lock().under_way == Some(nth)
    }

    /// What was felt so far.
    #[must_use]
    pub fn felt(&self) -> Felt {
        self.lock().felt
    }

    /// Why it cannot print now.
    pub(super) fn cannot(&self) -> Option<NotSent> {
        let mut state = self.lock();
        let address = || NAME.to_owned();
        match state.wrong {
            Wrong { off: true, .. } => {
                state.felt.off += 1;
                Some(NotSent::Unreachable { address: address(), error: "no route to host".to_owned() })
            }
            Wrong { mute: true, .. } => {
                state.felt.mute += 1;
                Some(NotSent::Silent { address: address() })
            }
            Wrong { out: true, .. } => {
                state.felt.out += 1;
                let status = PrinterStatus { paper: Paper::Out, ..PrinterStatus::default() };
                Some(NotSent::NotReady { status })
            }
            _ => None,
        }
    }

    /// Prints a page, if it can.
    pub(super) async fn print(&self, page: &Page, by: By) -> Outcome {
        let Some(mut link) = Link::open(self) else {
            return Outcome::NotPrinted { why: NotSent::Silent { address: NAME.to_owned() } };
        };
        let connects = Duration::from_millis(5 + self.lock().dice.below(60));
        sleep(connects).await;
        if let Some(why) = self.cannot() {
            return Outcome::NotPrinted { why };
        }
        let takes = link.feed(page, by);
        let (mut fed, mut waited, mut mute) = (Duration::ZERO, Duration::ZERO, false);
        while fed < takes {
            sleep(TICK).await;
            let mut state = self.lock();
            state.strike();
            mute |= state.wrong.mute;
            if state.cycles != link.cycles {
                state.felt.off += 1;
                drop(state);
                link.ends();
                let error = "connection reset by peer".to_owned();
                return Outcome::InDoubt { why: Doubt::LinkLost { sent: 1, bytes: 2, error } };
            }
            match (state.wrong.out, waited < PATIENCE) {
                (false, _) => fed += TICK,
                (true, true) => waited += TICK,
                (true, false) => {
                    state.felt.out += 1;
                    state.stuck = link.sheet;
                    drop(state);
                    link.ends();
                    return Outcome::InDoubt { why: Doubt::Stalled { sent: 1, bytes: 2 } };
                }
            }
        }
        link.whole();
        if mute {
            self.lock().felt.mute += 1;
            return Outcome::InDoubt { why: Doubt::Unconfirmed { reached: Level::Sent, status: None } };
        }
        Outcome::Printed { level: Level::Printed }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn now_is(&mut self, wrong: Wrong) {
        if wrong.off && !self.wrong.off {
            self.cycles += 1;
            self.stuck = None;
        }
        self.wrong = wrong;
        if !wrong.out
            && !wrong.off
            && let Some(nth) = self.stuck.take()
        {
            self.paper[nth].whole = true;
        }
    }

    /// A page is under way: what waited for one goes wrong.
    fn strike(&mut self) {
        if !self.struck && self.lurking != Wrong::default() {
            self.struck = true;
            self.now_is(self.wrong.and(self.lurking));
        }
    }
}

/// A host's turn at it. Where the host dies in the middle of a page, the printer has all of it or not.
struct Link<'a> {
    printer: &'a Printer,
    /// Of which time of its power.
    cycles: u64,
    /// The page under way.
    sheet: Option<usize>,
}

impl<'a> Link<'a> {
    fn open(printer: &'a Printer) -> Option<Self> {
        let mut state = printer.lock();
        if state.busy {
            return None;
        }
        state.busy = true;
        Some(Self { printer, cycles: state.cycles, sheet: None })
    }

    /// The first bytes of a page leave; how long the rest takes.
    fn feed(&mut self, page: &Page, by: By) -> Duration {
        let pieces = Machine::new(48).print(&escpos::encode(page, &Model::paper_80mm()));
        let job = pieces.iter().find_map(|piece| piece.job()).unwrap_or_default();
        let marked = pieces.first().is_some_and(|piece| piece.marked());
        let mut state = self.printer.lock();
        self.cycles = state.cycles;
        self.sheet = Some(state.paper.len());
        state.under_way = Some(by.disk.0);
        let words = [state.paper.len() as u64, u64::from(marked), by.disk.0 as u64];
        state.paper.push(Sheet { job, marked, whole: false, by });
        let takes = Duration::from_millis(400 + state.dice.below(2_600));
        drop(state);
        self.printer.net.note(&words);
        takes
    }

    fn whole(&mut self) {
        if let Some(nth) = self.sheet.take() {
            self.printer.lock().paper[nth].whole = true;
        }
    }

    /// What is out so far stays as it is.
    fn ends(&mut self) {
        self.sheet = None;
    }
}

impl Drop for Link<'_> {
    fn drop(&mut self) {
        let mut state = self.printer.lock();
        (state.busy, state.under_way) = (false, None);
        let Some(nth) = self.sheet.take() else { return };
        if state.cycles == self.cycles && state.dice.below(2) == 0 {
            match state.wrong.out {
                true => state.stuck = Some(nth),
                false => state.paper[nth].whole = true,
            }
        }
    }
}
