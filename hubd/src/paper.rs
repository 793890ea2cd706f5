//! The joint between what a receipt says and what a printer does, one task a printer.
//!
//! A print is asked for by an entry of a terminal and its outcome is an entry of ours, so a job survives the hub, and a new
//! hub prints nothing old twice. The order is the whole point: the start of an attempt is durable before its first byte
//! leaves. What the hub did not live to see the end of reads as doubt, and is printed again only under a banner. A printer that
//! says that it cannot print is sent nothing and tried in vain at no cost to the books; another one takes over what it had,
//! if it is told to, and only what was never sent.

use crate::printers::{Printers, Station};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use toko_crdt::hash::hex;
use toko_devices::spool::{Next, Policy, Word};
use toko_devices::{Level, Outcome, Page};
use toko_mesh::node::Node;
use toko_paper::job::{self, Frame};
use toko_paper::work::{Looked, Step, Work};
use toko_retail::views::{self, PrintJob};
use tracing::{debug, info, warn};

/// Longest time between two looks at the open jobs, whatever happens.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Between two looks at a printer that has work and cannot do it.
const LOOK_WHILE_NOT_READY: Duration = Duration::from_secs(2);

/// What works off the jobs of one printer.
pub(crate) struct Paper {
    node: Node,
    shop_name: String,
    printers: Arc<Printers>,
    station: Arc<Station>,
    stop: CancellationToken,
    work: Work,
    /// Since when the printer has work and cannot do it.
    not_ready_since: Option<Instant>,
}

impl Paper {
    pub(crate) fn new(
        node: Node,
        shop_name: String,
        printers: Arc<Printers>,
        station: Arc<Station>,
        stop: CancellationToken,
    ) -> Self {
        Self { node, shop_name, printers, station, stop, work: Work::default(), not_ready_since: None }
    }

    /// Works off what is asked for until it is told to stop.
    pub(crate) async fn run(mut self) {
        let mut changed = self.node.changed();
        let mut seen = self.station.printer.seen();
        while !self.stop.is_cancelled() {
            changed.mark_unchanged();
            let could = seen.borrow_and_update().can_print();
            let pause = match self.work_off().await {
                Ok(pause) => pause,
                Err(err) => {
                    warn!(printer = %self.station.config.name, %err, "printing waits");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                news = changed.changed() => if news.is_err() { break },
                // What waited for it need not wait out its pause.
                told = seen.wait_for(|seen| seen.can_print() != could), if !self.station.let_go.is_cancelled() => {
                    if told.is_err() {
                        break;
                    }
                    self.work.hurry_all();
                }
                () = self.station.wake.notified() => {}
                () = sleep_until(Instant::now() + pause) => {}
            }
        }
    }

    /// One job after the other, until nothing can be done now; then how long to wait.
    async fn work_off(&mut self) -> Result<Duration, String> {
        loop {
            if !self.node.is_hub() {
                // The hub of the next term prints; two that print would print twice. It cannot while we hold the link.
                self.station.let_go.cancel();
                self.station.say(|state| {
                    (state.words, state.queued, state.held) = ("another machine is the hub".into(), 0, 0);
                });
                return Ok(LOOK_EVERY);
            }
            let (looked, pause) = self.look()?;
            if looked.steps.is_empty() || self.stop.is_cancelled() {
                return Ok(pause);
            }
            let can = !looked.sends() || self.ready().await;
            let handed_on = !can && self.hand_on(&looked.steps).await?;
            match looked.first(can) {
                Some(step) => self.take(step).await?,
                None if handed_on => {}
                None => return Ok(pause.min(LOOK_WHILE_NOT_READY)),
            }
        }
    }

    /// What can be done now about the jobs that are to come out here, oldest first, and when to look again.
    fn look(&mut self) -> Result<(Looked, Duration), String> {
        let now = self.node.machine().wall();
        let members = self.node.members();
        let jobs = self.node.read(views::jobs_open).map_err(|err| err.to_string())?;
        self.printers.forget_all_but(&jobs);
        let here = |job: &PrintJob| {
            let place = self.printers.place(job, &members);
            place.is_some_and(|place| place.config.name == self.station.config.name)
        };
        let mine: Vec<PrintJob> = jobs.into_iter().filter(here).collect();
        let (queued, printing) = (mine.len(), self.station.state().printing);
        let again = {
            let mut wishes = self.printers.wishes();
            for job in mine.iter().filter(|job| printing != Some(job.job)) {
                if wishes.soon.remove(&job.job) {
                    self.work.hurry(&job.job);
                }
            }
            wishes.again.clone()
        };
        let word = |job: &PrintJob| again.contains(&job.job).then_some(Word::Reprint);
        let policy = if self.station.config.reprint { Policy::REPRINT_ONCE } else { Policy::Hold };
        let looked = self.work.look(mine, printing, word, (policy, now));
        self.station.say(|state| (state.queued, state.held) = (queued, looked.held.len()));
        let again_in = looked.again_in.map_or(LOOK_EVERY, |wait| wait.max(Duration::from_millis(1)));
        Ok((looked, again_in.min(LOOK_EVERY)))
    }

    /// Whether a job sent now would come out, as far as can be known without sending one.
    async fn ready(&mut self) -> bool {
        let known = self.station.printer.seen().borrow().can_print();
        // A printer that answers nothing is known only by trying.
        let mute =
            self.printers.learnt.of(&self.station.config.name).is_some_and(|l| l.level() <= Level::Drained);
        let asked = async { self.station.printer.status().await.is_ok_and(|status| status.can_print()) };
        if known || mute || asked.await {
            self.not_ready_since = None;
            return true;
        }
        self.not_ready();
        false
    }

    fn not_ready(&mut self) {
        self.not_ready_since.get_or_insert_with(Instant::now);
        let words = self.station.trouble().unwrap_or_else(|| "does not answer".into());
        self.station.say(|state| state.words = words);
    }

    /// Gives jobs of which nothing was ever sent to the printer that takes over, if it is time and that one prints.
    async fn hand_on(&mut self, steps: &[Step]) -> Result<bool, String> {
        let after: Duration = self.station.config.fall_back_after.into();
        let long = self.not_ready_since.is_some_and(|since| since.elapsed() >= after);
        let other = self.station.config.fall_back.as_deref().and_then(|name| self.printers.named(name));
        let Some(other) = other.filter(|other| long && other.printer.seen().borrow().can_print()) else {
            return Ok(false);
        };
        let members = self.node.members();
        let _turn = self.printers.turn.lock().await;
        let mut any = false;
        for Step { job, next } in steps {
            // Never back to whence it came, and never what may be on paper.
            let ours =
                self.printers.meant(job, &members).is_some_and(|s| s.config.name == self.station.config.name);
            let now = self.node.read(|kv| views::job(kv, job.job)).map_err(|err| err.to_string())?;
            let unchanged = now.is_some_and(|now| now.open && now.attempts == job.attempts);
            if ours && unchanged && matches!(next, Next::Send { banner: false, .. }) {
                let why = format!("{}; {} takes over", self.station.state().words, other.config.name);
                job::hand_over(&self.node, job, &other.config.name, &why).await?;
                info!(job = %hex(&job.job), from = %self.station.config.name, to = %other.config.name, "receipt handed on");
                any = true;
            }
        }
        Ok(any)
    }

    async fn take(&mut self, step: Step) -> Result<(), String> {
        let Step { job, next } = step;
        match next {
            Next::Send { attempt, banner } => self.send(&job, attempt, banner).await,
            Next::Expired => {
                warn!(job = %hex(&job.job), why = job::OLD, "a receipt is given up");
                job::give_up(&self.node, &job, 0, job::OLD).await
            }
            Next::Wait { .. } | Next::Hold | Next::Done => Ok(()),
        }
    }

    async fn send(&mut self, job: &PrintJob, attempt: u32, banner: bool) -> Result<(), String> {
        let header = std::slice::from_ref(&self.shop_name);
        let frame = Frame { sign: self.station.config.sign.as_ref(), header, footer: &[] };
        let Some(page) = job::page(&self.node, job, frame).await? else {
            debug!(job = %hex(&job.job), sale = %job.sale.short(), "a receipt waits for whoever keeps its sale");
            self.work.is_away(job, self.node.machine().wall());
            return Ok(());
        };
        let page = self.marked(page, job, banner);
        if !self.claim(job).await? {
            return Ok(());
        }
        self.work.begins(job, self.node.machine().wall());
        let (node, station) = (self.node.clone(), Arc::clone(&self.station));
        let sent = self.sent(page, job, attempt);
        let kept = job::attempt(&node, job, (attempt, &station.config.name), sent).await;
        if kept.is_err() {
            station.say(|state| state.printing = None);
        }
        kept
    }

    /// What became of an attempt, once it is known to begin.
    async fn sent(&mut self, page: Page, job: &PrintJob, attempt: u32) -> Outcome {
        // One job, however many sheets: they are cut apart, and what came of them is one outcome.
        let outcome = self.printed(page).await;
        // A wish is fulfilled once something was sent; whoever still wants it says so again.
        if !matches!(outcome, Outcome::NotPrinted { .. }) {
            self.printers.wishes().again.remove(&job.job);
        }
        self.station.is_through(&outcome);
        let printer = &self.station.config.name;
        match &outcome {
            Outcome::Printed { level } => {
                info!(job = %hex(&job.job), sale = %job.sale.short(), %printer, attempt, level = job::level_number(*level), "printed")
            }
            Outcome::Sent { level } => {
                info!(job = %hex(&job.job), sale = %job.sale.short(), %printer, attempt, level = job::level_number(*level), "sent to a printer that confirms nothing")
            }
            Outcome::NotPrinted { .. } | Outcome::InDoubt { .. } => {
                let (what, _, why) = job::told(&outcome);
                warn!(job = %hex(&job.job), sale = %job.sale.short(), %printer, attempt, outcome = ?what, %why, "not known to be printed")
            }
        }
        outcome
    }

    /// Prints a page. While the printer waits for a hand with it, another one may take over what is behind it.
    async fn printed(&mut self, page: Page) -> Outcome {
        let printer = self.station.printer.clone();
        let mut printing = pin!(printer.print(page));
        loop {
            tokio::select! {
                biased;
                outcome = &mut printing => return outcome,
                () = sleep(LOOK_WHILE_NOT_READY) => {}
            }
            if !printer.seen().borrow().waits_for_a_hand {
                self.not_ready_since = None;
                continue;
            }
            self.not_ready();
            let handed_on = match self.look() {
                Ok((looked, _)) => self.hand_on(&looked.steps).await,
                Err(err) => Err(err),
            };
            if let Err(err) = handed_on {
                warn!(printer = %self.station.config.name, %err, "receipts wait behind one that waits for a hand");
            }
        }
    }

    /// Takes a job for this printer, unless a person or a hand-over was faster: from then on nobody else touches it.
    async fn claim(&self, job: &PrintJob) -> Result<bool, String> {
        let _turn = self.printers.turn.lock().await;
        let now = self.node.read(|kv| views::job(kv, job.job)).map_err(|err| err.to_string())?;
        let unchanged = now.is_some_and(|now| now.open && now.attempts == job.attempts);
        if unchanged {
            self.station.say(|state| state.printing = Some(job.job));
        }
        Ok(unchanged)
    }

    /// A page under the banners that it needs: that another copy may exist, and for which printer it was meant.
    fn marked(&self, page: Page, job: &PrintJob, banner: bool) -> Page {
        let meant = self.printers.meant(job, &self.node.members()).map(|station| &station.config.name);
        let page = match meant.filter(|name| **name != self.station.config.name) {
            Some(name) => page.marked_backup_from(name),
            None => page,
        };
        job::under_banner(page, banner)
    }
}
