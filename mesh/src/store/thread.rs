//! The store on one named thread: whatever waits when a sync ends goes into the next group.
//!
//! The inbox is bounded; when it is full, senders wait. Once a second what was answered from memory is synced; there is no
//! other timer. Views move into the database when enough of them have gathered, on a second thread, so that its sync is in
//! nobody's way; a third folds each group while its log is synced. On a simulated machine all are one task.

use std::{
    fmt, io,
    sync::{Arc, mpsc as std_mpsc},
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use toko_crdt::{
    EffectId, Entry,
    book::Applied,
    clock::UnixMicros,
    member::{Statement, StatementError},
};

use super::pace::{Pace, SlowDisk};
use super::{
    Append, Appended, IngestError, Ingested, PrunePlan, Reply, Request, SaveError, Store, StoreReader, prune,
};
use crate::machine::{Machine, Patience};
use crate::{
    log::{MadeSegment, SegmentJob},
    views::{Flush, Flushed},
};

/// Requests that may wait; more, and senders wait.
const INBOX_MAX: usize = 1024;
/// Requests that go into one group at most.
const GROUP_MAX: usize = 256;
/// How often what was answered from memory is synced.
const KEEP_UP_EVERY: Duration = Duration::from_secs(1);

/// How much the thread of the views stands back: its work is due in minutes, a sale's in microseconds.
const PATIENT: i32 = 10;

/// Reads the wall clock, as good as it is.
pub type WallClock = Arc<dyn Fn() -> UnixMicros + Send + Sync>;

/// A store that runs on its own thread. Drop all handles, or stop it, to end it.
pub struct StoreThread {
    handle: StoreHandle,
    work: Work,
}

/// Who drives the store.
enum Work {
    Thread(JoinHandle<()>),
    /// One task; it goes with the set, as a thread goes with its process.
    Task(JoinSet<()>),
}

/// A cheap handle of a running store: writes go to its thread, reads go past it.
#[derive(Clone)]
pub struct StoreHandle {
    inbox: mpsc::Sender<Message>,
    reader: StoreReader,
    pace: Pace,
}

enum Message {
    Work(Request, oneshot::Sender<Reply>),
    Checkpoint(oneshot::Sender<Result<(), SaveError>>),
    /// A few rows beside the views changed their place, or went.
    Moved(prune::Rows, oneshot::Sender<Result<(), SaveError>>),
    /// Nothing leads below this segment any more.
    DropBelow(u32, oneshot::Sender<Result<(), SaveError>>),
    /// A snapshot was taken: it becomes the views.
    Adopt(oneshot::Sender<Result<(), SaveError>>),
    Stop(oneshot::Sender<Result<(), SaveError>>),
}

impl StoreThread {
    /// Runs `store` on a thread of its own.
    ///
    /// Errors: the machine gives no more threads.
    pub fn start(mut store: Store, clock: WallClock) -> io::Result<Self> {
        store.fold_beside_syncs()?;
        let (inbox, messages) = mpsc::channel(INBOX_MAX);
        let reader = store.reader();
        let pace = Pace::default();
        let counted = pace.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (chores, helper) = start_helper()?;
        let join = std::thread::Builder::new().name("toko-store".to_owned()).spawn(move || {
            let mover = Mover::Thread { chores, done: helper.done, flushing: false };
            let driver = Driver { store, clock, messages, mover, pace: counted };
            runtime.block_on(driver.run());
            // The other thread ends when its inbox has gone, which it has.
            drop(helper.join.join());
        })?;
        Ok(Self { handle: StoreHandle { inbox, reader, pace }, work: Work::Thread(join) })
    }

    /// Runs `store` as its machine does: on a thread of its own, or as a task of the runtime that calls.
    ///
    /// Errors: the machine gives no more threads.
    pub fn start_on(machine: &Machine, store: Store) -> io::Result<Self> {
        let clock: WallClock = {
            let machine = machine.clone();
            Arc::new(move || machine.wall())
        };
        if machine.patience() == Patience::Threads {
            return Self::start(store, clock);
        }
        let (inbox, messages) = mpsc::channel(INBOX_MAX);
        let reader = store.reader();
        let mut task = JoinSet::new();
        let (pace, mover) = (Pace::default(), Mover::Here(machine.clone()));
        task.spawn(Driver { store, clock, messages, mover, pace: pace.clone() }.run());
        Ok(Self { handle: StoreHandle { inbox, reader, pace }, work: Work::Task(task) })
    }

    /// A handle.
    pub fn handle(&self) -> StoreHandle {
        self.handle.clone()
    }

    /// Saves what waits, moves views into the database, and ends the thread.
    ///
    /// Errors: what the last checkpoint answered. The log is whole in any case.
    pub async fn stop(self) -> Result<(), SaveError> {
        let result = self.handle.ask(Message::Stop).await;
        let ended = match self.work {
            Work::Thread(join) => {
                matches!(tokio::task::spawn_blocking(move || join.join()).await, Ok(Ok(())))
            }
            Work::Task(mut task) => matches!(task.join_next().await, Some(Ok(()))),
        };
        match ended {
            true => result,
            false => Err(SaveError::Broken { why: "the store's thread panicked".into() }),
        }
    }

    /// Whether the thread has ended, which it does by itself only when every handle is gone, or by a panic.
    pub fn is_finished(&self) -> bool {
        match &self.work {
            Work::Thread(join) => join.is_finished(),
            Work::Task(task) => task.is_empty(),
        }
    }
}

impl StoreHandle {
    /// For reading.
    pub fn reader(&self) -> &StoreReader {
        &self.reader
    }

    /// Whether its disk keeps people waiting again and again.
    pub fn slow(&self) -> Option<SlowDisk> {
        self.pace.slow(Instant::now())
    }

    /// Writes an entry of this node.
    pub async fn append(&self, append: Append) -> Result<Appended, SaveError> {
        match self.request(Request::Append(Box::new(append))).await? {
            Reply::Appended(result) => result,
            other => Err(mismatch(&other)),
        }
    }

    /// Writes an entry of this node, from a thread that is no async task.
    pub fn append_blocking(&self, append: Append) -> Result<Appended, SaveError> {
        match self.request_blocking(Request::Append(Box::new(append)))? {
            Reply::Appended(result) => result,
            other => Err(mismatch(&other)),
        }
    }

    /// Takes in a stretch of one journal.
    pub async fn ingest(&self, entries: Vec<Entry>) -> Result<Ingested, IngestError> {
        match self.request(Request::Ingest(entries)).await? {
            Reply::Ingested(result) => result,
            other => Err(mismatch(&other).into()),
        }
    }

    /// Takes in statements about members, root's first.
    pub async fn statements(
        &self,
        statements: Vec<Statement>,
    ) -> Result<Vec<Result<bool, StatementError>>, SaveError> {
        match self.request(Request::Statements(statements)).await? {
            Reply::Statements(result) => result,
            other => Err(mismatch(&other)),
        }
    }

    /// Asks whether the store still works: for the watchdog.
    pub async fn probe(&self) -> Result<(), SaveError> {
        match self.request(Request::Probe).await? {
            Reply::Alive(result) => result,
            other => Err(mismatch(&other)),
        }
    }

    /// Tries parked effects again. In their order: what came of each, `None` for what is not parked.
    pub async fn retry(&self, effects: Vec<EffectId>) -> Result<Vec<Option<Applied>>, SaveError> {
        match self.request(Request::Retry(effects)).await? {
            Reply::Retried(result) => result,
            other => Err(mismatch(&other)),
        }
    }

    /// Syncs what is in memory and moves views into the database, now.
    pub async fn checkpoint(&self) -> Result<(), SaveError> {
        self.ask(Message::Checkpoint).await
    }

    /// Gives the store any request and waits for its reply.
    pub async fn request(&self, request: Request) -> Result<Reply, SaveError> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(Message::Work(request, reply)).await.map_err(|_| SaveError::Stopped)?;
        answer.await.map_err(|_| SaveError::Stopped)
    }

    /// Gives the store any request and waits for its reply, from a thread that is no async task.
    pub fn request_blocking(&self, request: Request) -> Result<Reply, SaveError> {
        let (reply, answer) = oneshot::channel();
        self.inbox.blocking_send(Message::Work(request, reply)).map_err(|_| SaveError::Stopped)?;
        answer.blocking_recv().map_err(|_| SaveError::Stopped)
    }

    /// Carries out what was planned to go from the log: rows first, kept, then the files.
    ///
    /// Errors: what was not carried out is planned again.
    pub async fn prune(&self, plan: PrunePlan) -> Result<(), SaveError> {
        let (segment, chunks) = plan.into_chunks();
        for rows in chunks {
            self.ask(|reply| Message::Moved(rows, reply)).await?;
        }
        self.checkpoint().await?;
        self.ask(|reply| Message::DropBelow(segment, reply)).await
    }

    /// Takes every row away that leads to what goes from the archive; its files may go then.
    pub async fn prune_archive(&self, plan: PrunePlan) -> Result<(), SaveError> {
        for rows in plan.into_chunks().1 {
            self.ask(|reply| Message::Moved(rows, reply)).await?;
        }
        self.checkpoint().await
    }

    /// Makes the views from a snapshot that was taken ([`super::Incoming::finish`]), with whatever is here beyond it.
    ///
    /// Errors: the views are as they were.
    pub async fn adopt(&self) -> Result<(), SaveError> {
        self.ask(Message::Adopt).await
    }

    async fn ask(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<(), SaveError>>) -> Message,
    ) -> Result<(), SaveError> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(message(reply)).await.map_err(|_| SaveError::Stopped)?;
        answer.await.map_err(|_| SaveError::Stopped)?
    }
}

/// A reply of another kind than the request would be our own mistake; it is answered rather than panicked about.
fn mismatch(reply: &Reply) -> SaveError {
    debug_assert!(false, "a reply of the wrong kind: {reply:?}");
    SaveError::Stopped
}

struct Helper {
    done: mpsc::UnboundedReceiver<Done>,
    join: JoinHandle<()>,
}

/// What takes the disk longer than a sale should wait.
enum Chore {
    Flush(Flush),
    Segment(SegmentJob),
}

enum Done {
    Flushed(Flushed),
    Segment(MadeSegment),
}

impl Chore {
    fn run(self) -> Done {
        match self {
            Self::Flush(flush) => Done::Flushed(flush.run()),
            Self::Segment(job) => Done::Segment(job.run()),
        }
    }
}

/// The thread on which views move into the database and segments are made. At most one of each is under way, so its
/// queues hold two.
fn start_helper() -> io::Result<(std_mpsc::Sender<Chore>, Helper)> {
    let (chores, inbox) = std_mpsc::channel::<Chore>();
    let (report, done) = mpsc::unbounded_channel();
    let join = std::thread::Builder::new().name("toko-views".to_owned()).spawn(move || {
        be_patient();
        while let Ok(chore) = inbox.recv() {
            if report.send(chore.run()).is_err() {
                return;
            }
        }
    })?;
    Ok((chores, Helper { done, join }))
}

/// Lets whoever serves a cashier go first. On Linux this is about the calling thread alone.
fn be_patient() {
    if let Err(error) = rustix::process::setpriority_process(None, PATIENT) {
        tracing::debug!(err = %error, "the thread of the views runs as urgently as the others");
    }
}

struct Driver {
    store: Store,
    clock: WallClock,
    messages: mpsc::Receiver<Message>,
    mover: Mover,
    pace: Pace,
}

/// Who does what takes the disk long.
enum Mover {
    /// Another thread.
    Thread { chores: std_mpsc::Sender<Chore>, done: mpsc::UnboundedReceiver<Done>, flushing: bool },
    /// The driver itself, on a machine whose disk answers at once and says how long that took.
    Here(Machine),
}

impl Mover {
    /// Begins a chore. What it came to, where that is known at once.
    fn start(&mut self, chore: Chore) -> Option<Done> {
        match self {
            Self::Thread { chores, flushing, .. } => {
                let flush = matches!(chore, Chore::Flush(_));
                // Where the thread has ended, the log makes its segments when it needs them.
                let taken = chores.send(chore).is_ok();
                *flushing |= flush && taken;
                None
            }
            Self::Here(_) => Some(chore.run()),
        }
    }

    fn is_moving(&self) -> bool {
        matches!(self, Self::Thread { flushing: true, .. })
    }

    /// Waits for the end of a chore, for ever where none is under way. `None` where the thread is gone.
    async fn done(&mut self) -> Option<Done> {
        match self {
            Self::Thread { done, flushing, .. } => {
                let done = done.recv().await;
                if !matches!(done, Some(Done::Segment(_))) {
                    *flushing = false;
                }
                done
            }
            Self::Here(_) => std::future::pending().await,
        }
    }

    /// Waits as long as a group takes, where time does not pass by itself.
    async fn sync(&self) {
        if let Self::Here(machine) = self
            && let Patience::Task { sync } = machine.patience()
            && !sync.is_zero()
        {
            tokio::time::sleep(sync).await;
        }
    }
}

impl Driver {
    async fn run(mut self) {
        let mut second = tokio::time::interval(KEEP_UP_EVERY);
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                Some(done) = self.mover.done() => self.take(done),
                _ = second.tick() => self.keep_up(),
                message = self.messages.recv() => match message {
                    Some(message) => if let Some(stopped) = self.work_off(message).await {
                        let result = self.settle().await;
                        // Whoever asked may have gone.
                        drop(stopped.send(result));
                        return;
                    },
                    None => {
                        if let Err(error) = self.settle().await {
                            tracing::warn!(err = %error, "the last checkpoint failed; the log has everything");
                        }
                        return;
                    }
                },
            }
        }
    }

    /// Works off what waits, as one group. Returns whoever asked to stop.
    async fn work_off(&mut self, first: Message) -> Option<oneshot::Sender<Result<(), SaveError>>> {
        let (mut batch, mut replies) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        let mut then = None;
        while let Some(message) = next.take() {
            match message {
                Message::Work(request, reply) => {
                    batch.push(request);
                    replies.push(reply);
                }
                other => then = Some(other),
            }
            if then.is_none() && batch.len() < GROUP_MAX {
                next = self.messages.try_recv().ok();
            }
        }
        let began = Instant::now();
        self.make_room().await;
        if !batch.is_empty() {
            self.mover.sync().await;
            let answers = self.store.step_quietly((self.clock)(), batch);
            for (reply, answer) in replies.into_iter().zip(answers) {
                // Whoever asked may have gone; what was asked is done all the same.
                drop(reply.send(answer));
            }
            self.store.announce();
            let took = began.elapsed();
            if self.pace.note(Instant::now(), took) {
                tracing::warn!(elapsed_ms = took.as_millis(), "the disk kept everybody waiting");
            }
        }
        if self.store.hurries_checkpoint() {
            self.start_checkpoint();
        }
        match then {
            Some(Message::Checkpoint(reply)) => {
                drop(reply.send(self.settle().await));
                None
            }
            Some(Message::Moved(rows, reply)) => {
                drop(reply.send(self.store.move_rows(rows)));
                None
            }
            Some(Message::DropBelow(segment, reply)) => {
                drop(reply.send(self.store.drop_below(segment)));
                None
            }
            Some(Message::Adopt(reply)) => {
                let settled = self.settle().await;
                drop(reply.send(settled.and_then(|()| self.store.adopt())));
                None
            }
            Some(Message::Stop(reply)) => Some(reply),
            _ => None,
        }
    }

    /// Waits for the database where far too much waits for it.
    async fn make_room(&mut self) {
        if self.store.must_checkpoint() {
            self.moved().await;
        }
    }

    /// Waits until no move into the database is under way.
    async fn moved(&mut self) {
        while self.mover.is_moving()
            && let Some(done) = self.mover.done().await
        {
            self.take(done);
        }
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Flushed(flushed) => self.end_checkpoint(flushed),
            Done::Segment(made) => self.store.finish_segment(made),
        }
    }

    /// A whole checkpoint, waited for.
    async fn settle(&mut self) -> Result<(), SaveError> {
        self.moved().await;
        self.store.checkpoint()
    }

    fn keep_up(&mut self) {
        if self.store.broken().is_some() {
            return;
        }
        if let Err(error) = self.store.keep_up() {
            tracing::error!(err = %error, "what was in memory could not be synced");
        }
        if let Some(job) = self.store.start_segment() {
            self.start(Chore::Segment(job));
        }
        if self.store.wants_checkpoint() {
            self.start_checkpoint();
        }
    }

    fn start_checkpoint(&mut self) {
        if self.mover.is_moving() || self.store.broken().is_some() {
            return;
        }
        match self.store.start_checkpoint() {
            Ok(Some(flush)) => self.start(Chore::Flush(flush)),
            Ok(None) => {}
            Err(error) => tracing::error!(err = %error, "the checkpoint failed"),
        }
    }

    fn start(&mut self, chore: Chore) {
        if let Some(done) = self.mover.start(chore) {
            self.take(done);
        }
    }

    fn end_checkpoint(&mut self, flushed: Flushed) {
        if let Err(error) = self.store.finish_checkpoint(flushed) {
            tracing::error!(err = %error, "the checkpoint failed");
        }
    }
}

impl fmt::Debug for StoreThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreThread").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}

impl fmt::Debug for StoreHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreHandle").field("reader", &self.reader).finish_non_exhaustive()
    }
}
