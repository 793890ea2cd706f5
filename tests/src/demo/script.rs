//! The script: what dies when, by the share of lines done.
//!
//! | at | what |
//! | --- | --- |
//! | 20 % | headquarters is stopped (SIGTERM) |
//! | 35 % | the hub is killed (SIGKILL) |
//! | 38 % | a cart is parked on one terminal, and finished on another as soon as it is seen there |
//! | 45 % | one terminal is cut from everybody |
//! | 55 % | another is killed in the middle of a cart, and started again |
//! | 60 % | the cable is plugged in again |
//! | 70 % | the hub is started |
//! | 85 % | headquarters is started |

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::counter::Counter;
use super::errand::Errands;
use super::floor::{Acknowledged, Floor, Kind, News};
use super::replay::{Cashier, Hands, Prices, deal};
use super::stage::{HQ, HUB, Stage, TILLS};
use super::trouble::Trouble;
use crate::day::Day;
use crate::process::{LOOK_EVERY, ProcessError};
use crate::progress::Progress;

/// What was sold so long after the cut was not on its way before.
const ALONE_AFTER: Duration = Duration::from_millis(500);
/// Who parks a cart.
const PARKS: &str = TILLS[0];
/// Who finishes it, and is killed later.
const FINISHES: &str = TILLS[1];
/// Who is cut from everybody.
pub const CUT: &str = TILLS[2];
/// From when on a cart is parked, in percent.
pub const PARK_AT: u64 = 38;
/// From when on a cart is held for the power to be cut in, in percent.
pub const HOLD_AT: u64 = 50;
/// When the terminal that holds it is killed.
pub const KILL_AT: u64 = 55;
/// From when on any cart that has a line will do.
pub const KILL_BY: u64 = 62;

const ACTS: [(u64, Act); 6] = [
    (20, Act::StopHq),
    (35, Act::KillHub),
    (45, Act::Cut),
    (60, Act::Heal),
    (70, Act::StartHub),
    (85, Act::StartHq),
];

#[derive(Clone, Copy, Debug)]
enum Act {
    StopHq,
    KillHub,
    Cut,
    Heal,
    StartHub,
    StartHq,
}

/// What happened.
#[derive(Debug, Default)]
pub struct Played {
    /// What terminals acknowledged.
    pub acknowledged: Vec<Acknowledged>,
    /// Promises that were broken, in words.
    pub broken: Vec<String>,
    /// When the last box was back and the last line rung up.
    pub over: Option<Instant>,
}

impl Played {
    /// How many sales were acknowledged while something was so.
    pub fn sales_while(&self, so: impl Fn(&Acknowledged) -> bool) -> u64 {
        let sales = self.acknowledged.iter().filter(|done| done.kind == Kind::Sale && so(done));
        u64::try_from(sales.count()).unwrap_or(u64::MAX)
    }
}

/// Plays the day.
pub fn perform(
    stage: &mut Stage,
    day: &Day,
    prices: &Prices<'_>,
    counters: &[Counter],
    lasts: Duration,
) -> Result<Played, Trouble> {
    let lines = u64::try_from(day.lines()).unwrap_or(u64::MAX);
    let floor = Floor::open(lines, lasts, stage.stop_sign().clone());
    let (news, heard) = channel();
    let (to, from) = channel();
    let (mut to, mut from) = (Some(to), Some(from));
    std::thread::scope(|scope| {
        let Hands { queues, parked } = deal(&day.work);
        floor.handed_over.store(parked.is_none(), Relaxed);
        for (counter, queue) in counters.iter().zip(queues) {
            let mut errands = Errands::default();
            if counter.name() == PARKS {
                errands.park = parked.zip(to.take());
            }
            if counter.name() == FINISHES {
                errands.finish = from.take();
                errands.power_cut = true;
            }
            let (counter, news) = (counter.clone(), news.clone());
            let cashier = Cashier { floor: &floor, counter, queue, prices, news, errands };
            scope.spawn(move || cashier.work());
        }
        drop(news);
        let stop = stage.stop_sign().clone();
        let mut director = Director::new(stage, counters, &floor, Progress::new(lines));
        if parked.is_none() {
            director.played.broken.push("no sale of the day has two lines, so no cart was parked".into());
        }
        let played = director.direct(&heard);
        if played.is_err() {
            // So that no cashier waits for a terminal that nobody starts any more.
            stop.raise();
        }
        drop(heard);
        played
    })
}

struct Director<'a> {
    stage: &'a mut Stage,
    counters: &'a [Counter],
    floor: &'a Floor,
    progress: Progress,
    acts: VecDeque<(u64, Act)>,
    stopping: Option<JoinHandle<Result<std::process::ExitStatus, ProcessError>>>,
    returning: Vec<(&'static str, Instant)>,
    last_back: Option<Instant>,
    last_done: Option<Instant>,
    cut_since: Option<Instant>,
    sold_alone: Option<String>,
    played: Played,
}

impl<'a> Director<'a> {
    fn new(stage: &'a mut Stage, counters: &'a [Counter], floor: &'a Floor, progress: Progress) -> Self {
        Self {
            stage,
            counters,
            floor,
            progress,
            acts: ACTS.into(),
            stopping: None,
            returning: Vec::new(),
            last_back: None,
            last_done: None,
            cut_since: None,
            sold_alone: None,
            played: Played::default(),
        }
    }

    fn direct(mut self, heard: &Receiver<News>) -> Result<Played, Trouble> {
        loop {
            let mut day_is_over = false;
            match heard.recv_timeout(LOOK_EVERY) {
                Ok(news) => self.hear(news)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    day_is_over = true;
                    std::thread::sleep(LOOK_EVERY);
                }
            }
            self.floor.check()?;
            self.stage.all_run()?;
            while let Some(act) = self.next_act(day_is_over) {
                self.act(act)?;
            }
            self.look_who_is_back();
            self.look_who_has_stopped()?;
            if day_is_over && self.acts.is_empty() && self.returning.is_empty() {
                break;
            }
        }
        self.progress.finish();
        self.played.over = self.last_back.max(self.last_done);
        Ok(self.played)
    }

    /// The next act, if its time has come. The hub stays dead until the parked cart is finished.
    fn next_act(&mut self, day_is_over: bool) -> Option<Act> {
        let (percent, handed_over) = (self.floor.percent(), self.floor.handed_over.load(Relaxed));
        let is_due = |(at, act): &mut (u64, Act)| {
            day_is_over || (percent >= *at && (handed_over || !matches!(act, Act::StartHub)))
        };
        self.acts.pop_front_if(is_due).map(|(_, act)| act)
    }

    fn hear(&mut self, news: News) -> Result<(), Trouble> {
        match news {
            News::Lines(lines) => {
                self.progress.advance(lines);
                self.last_done = Some(Instant::now());
            }
            News::Acknowledged(done) => {
                let long_enough = |since: Instant| since.elapsed() >= ALONE_AFTER;
                if done.cut && done.kind == Kind::Sale && self.cut_since.is_some_and(long_enough) {
                    self.sold_alone = Some(done.id.clone());
                }
                self.played.acknowledged.push(done);
                self.last_done = Some(Instant::now());
            }
            News::Said(words) => self.progress.say(&words),
            News::Broken(words) => {
                self.progress.say(&format!("BROKEN: {words}"));
                self.played.broken.push(words);
            }
            News::InTheMiddle { till, cart, gone } => {
                self.stage.kill(till)?;
                self.progress.say(&format!("{till} is killed in the middle of {cart}, and started again"));
                // It waits for this; if it does not any more, it has failed, and says so.
                let _ = gone.send(());
                self.start(till)?;
            }
            News::Failed(trouble) => return Err(trouble),
        }
        Ok(())
    }

    fn act(&mut self, act: Act) -> Result<(), Trouble> {
        match act {
            Act::StopHq => {
                self.progress.say("headquarters is told to stop");
                let Some(hq) = self.stage.take(HQ) else { return Ok(()) };
                self.stopping = Some(std::thread::spawn(move || hq.stop(Duration::from_secs(30))));
            }
            Act::KillHub => {
                self.stage.kill(HUB)?;
                self.floor.hub_dark.store(true, Relaxed);
                self.progress.say("the hub is killed");
            }
            Act::Cut => {
                self.stage.lan.cut(CUT);
                self.cut_since = Some(Instant::now());
                self.floor.cut.store(true, Relaxed);
                self.progress.say(&format!("{CUT} is cut from everybody"));
            }
            Act::Heal => {
                self.floor.cut.store(false, Relaxed);
                self.was_alone()?;
                self.stage.lan.heal(CUT);
                self.progress.say(&format!("{CUT} is plugged in again"));
            }
            Act::StartHub => {
                self.floor.hub_dark.store(false, Relaxed);
                self.progress.say("the hub is started");
                self.start(HUB)?;
            }
            Act::StartHq => {
                if let Some(stopping) = self.stopping.take() {
                    self.has_stopped(stopping)?;
                }
                self.floor.hq_dark.store(false, Relaxed);
                self.progress.say("headquarters is started");
                self.start(HQ)?;
            }
        }
        Ok(())
    }

    fn start(&mut self, name: &'static str) -> Result<(), Trouble> {
        self.stage.start(name)?;
        self.returning.push((name, Instant::now()));
        Ok(())
    }

    /// A cut that lets a sale through proves nothing.
    fn was_alone(&mut self) -> Result<(), Trouble> {
        let Some(sale) = self.sold_alone.take() else { return Ok(()) };
        for counter in self.counters.iter().filter(|counter| counter.name() == PARKS) {
            if counter.look(&format!("/v1/sales/{sale}"))?.status != 404 {
                let here = counter.name();
                self.played.broken.push(format!("{here} knew a sale of {CUT} while that was cut"));
            }
        }
        Ok(())
    }

    fn look_who_is_back(&mut self) {
        let (stage, progress) = (&self.stage, &mut self.progress);
        let mut back = self.last_back;
        self.returning.retain(|(name, since)| {
            let is_up = stage.is_up(name);
            if is_up {
                back = Some(Instant::now());
                progress.say(&format!("{name} is back after {} ms", since.elapsed().as_millis()));
            }
            !is_up
        });
        self.last_back = back;
    }

    fn look_who_has_stopped(&mut self) -> Result<(), Trouble> {
        match self.stopping.take_if(|stopping| stopping.is_finished()) {
            Some(stopping) => self.has_stopped(stopping),
            None => Ok(()),
        }
    }

    fn has_stopped(
        &mut self,
        stopping: JoinHandle<Result<std::process::ExitStatus, ProcessError>>,
    ) -> Result<(), Trouble> {
        let Ok(stopped) = stopping.join() else { unreachable!("stopping a daemon does not panic") };
        let status = stopped?;
        self.floor.hq_dark.store(true, Relaxed);
        self.progress.say("headquarters has stopped");
        if !status.success() {
            self.played.broken.push(format!("headquarters was told to stop and ended with {status}"));
        }
        Ok(())
    }
}
