//! Asking for what is lacking: how patiently, how much at once, and when to let another peer try.
//!
//! There is no mode: a lack is asked for after a second while the hub lives (its push is on the way), and after 20 ms and
//! jitter otherwise. On a hub link itself a push would have come before the line that shows the lack; what is lacking there
//! when the conversation begins is asked for at once.

use super::api::{Config, Counters};
use super::intake::Intake;
use super::telling::Telling;
use crate::proto::claims::Claims;
use crate::proto::frame::Frame;
use std::collections::{BTreeMap, BTreeSet};
use toko_crdt::JournalId;
use toko_crdt::clock::UnixMicros;

/// How long the hub's push is given.
pub(super) const PATIENCE_MICROS: i64 = 1_000_000;
/// How long a lack waits where no push is expected, before jitter.
const SHORT_PATIENCE_MICROS: i64 = 20_000;
/// How long an answer may take while nothing else comes on this link either.
const WANT_MICROS: i64 = 2_000_000;
/// How long an answer may take in any case.
const WANT_MICROS_MAX: i64 = 30_000_000;
/// How many journals are asked for at once.
pub(super) const WANTS_MAX: usize = 16;
/// How many journals may be lacking at once; more are looked at when these have come.
const LACKING_MAX: usize = 2_048;
/// How many journals are remembered because something went wrong with them. *Full*: all of it is forgotten, which costs a
/// question that was asked before.
const REMEMBERED_MAX: usize = 1_024;
/// A peer that did not help is left alone for this long, doubled each time.
const HOLD_MICROS: i64 = 1_000_000;
const HOLD_DOUBLINGS_MAX: u32 = 6;

#[derive(Debug)]
pub(super) struct Puller {
    claims: Claims,
    session: u64,
    push_link: bool,
    jitter_micros: i64,
    lacking: BTreeMap<JournalId, Lacking>,
    /// What is on its way into the store.
    pub(super) intake: Intake,
    /// How often in a row something of a journal did not come or did not get in.
    failures: BTreeMap<JournalId, u32>,
    /// Journals that no more is asked of on this link.
    closed: BTreeSet<JournalId>,
    /// Places that were asked for because of a fork, so that each is asked for once.
    places: BTreeMap<JournalId, u64>,
    wants: usize,
    progress_at: UnixMicros,
    /// Whether more is lacking than `lacking` names.
    more: bool,
}

#[derive(Clone, Copy, Debug)]
struct Lacking {
    /// Since when, or since when it last moved.
    since: UnixMicros,
    /// The last number that we held when it last moved.
    have: u64,
    /// Not to be asked for before.
    hold_until: UnixMicros,
    want: Option<Want>,
}

#[derive(Clone, Copy, Debug)]
struct Want {
    to: u64,
    asked_at: UnixMicros,
}

impl Puller {
    pub(super) fn new(config: &Config, session: u64) -> Self {
        Self {
            claims: config.claims.clone(),
            session,
            push_link: config.push,
            jitter_micros: i64::from(config.jitter_micros),
            lacking: BTreeMap::new(),
            intake: Intake::default(),
            failures: BTreeMap::new(),
            closed: BTreeSet::new(),
            places: BTreeMap::new(),
            wants: 0,
            progress_at: UnixMicros(i64::MIN),
            more: false,
        }
    }

    /// Looks at one journal again: ours or theirs moved.
    pub(super) fn review(&mut self, now: UnixMicros, telling: &Telling, journal: &JournalId) {
        let have = self.have(telling, journal);
        let lacks = telling.theirs_seq(journal) > have && !self.closed.contains(journal);
        let full = self.lacking.len() >= LACKING_MAX;
        match self.lacking.get_mut(journal) {
            Some(_) if !lacks => self.drop_lack(journal),
            Some(lacking) if lacking.have < have => {
                let want = lacking.want.filter(|want| want.to > have);
                self.wants -= usize::from(lacking.want.is_some() && want.is_none());
                *lacking = Lacking { since: now, have, hold_until: now, want };
            }
            Some(_) => {}
            None if lacks && full => self.more = true,
            None if lacks => {
                let new = Lacking { since: now, have, hold_until: now, want: None };
                self.lacking.insert(*journal, new);
            }
            None => {}
        }
    }

    /// Looks at all journals that the peer has told.
    pub(super) fn review_all(&mut self, now: UnixMicros, telling: &Telling) {
        let told: Vec<JournalId> = telling.theirs_beyond().lines().map(|(journal, _)| *journal).collect();
        let gone = |journal: &&JournalId| telling.theirs(journal).is_none();
        let gone: Vec<JournalId> = self.lacking.keys().filter(gone).copied().collect();
        gone.iter().for_each(|journal| self.drop_lack(journal));
        told.iter().for_each(|journal| self.review(now, telling, journal));
    }

    /// What is lacking now was there before the conversation: on a hub link no push of it is on its way, so it is asked for at
    /// once. Elsewhere the hub, if it lives, has its second.
    pub(super) fn hurry(&mut self, now: UnixMicros) {
        if self.push_link {
            for lacking in self.lacking.values_mut() {
                lacking.since = later(now, -PATIENCE_MICROS);
            }
        }
    }

    /// The last number that is here or on its way into the store.
    fn have(&self, telling: &Telling, journal: &JournalId) -> u64 {
        telling.ours_seq(journal).max(self.intake.last(journal).unwrap_or(0))
    }

    fn drop_lack(&mut self, journal: &JournalId) {
        if let Some(lacking) = self.lacking.remove(journal) {
            self.wants -= usize::from(lacking.want.is_some());
            if !self.is_pending(journal) {
                self.claims.release(journal, self.session);
            }
        }
    }

    fn is_pending(&self, journal: &JournalId) -> bool {
        self.intake.last(journal).is_some()
    }

    /// Asks for what is due and free.
    pub(super) fn ask(&mut self, now: UnixMicros, hub_alive: bool, telling: &Telling) -> Vec<Frame> {
        let patience = self.patience(hub_alive);
        let mut out = Vec::new();
        for (journal, lacking) in &mut self.lacking {
            let due = lacking.want.is_none() && ready_at(lacking, patience) <= now;
            let due = due && !toko_crdt::mutant!("trust-the-push-alone");
            if !due {
                continue;
            }
            let to = telling.theirs_seq(journal);
            if to <= lacking.have {
                // It tells less since: a fork closed the journal there.
                continue;
            }
            if self.wants >= WANTS_MAX {
                break;
            }
            if let Err(until) = self.claims.take(journal, self.session, now, later(now, WANT_MICROS)) {
                lacking.hold_until = until;
                continue;
            }
            lacking.want = Some(Want { to, asked_at: now });
            self.wants += 1;
            out.push(Frame::Want { journal: *journal, from: lacking.have + 1, to });
        }
        out
    }

    fn patience(&self, hub_alive: bool) -> i64 {
        if hub_alive && !self.push_link {
            PATIENCE_MICROS
        } else {
            SHORT_PATIENCE_MICROS + self.jitter_micros
        }
    }

    /// Asks for one place because another entry than ours stands there. Once per place.
    pub(super) fn ask_place(&mut self, journal: JournalId, seq: u64) -> Option<Frame> {
        if self.places.len() >= REMEMBERED_MAX {
            self.places.clear();
        }
        let asked = self.places.insert(journal, seq) == Some(seq);
        (!asked).then_some(Frame::Want { journal, from: seq, to: seq })
    }

    /// Something of a journal came, though not yet enough for a batch.
    pub(super) fn progress(&mut self, now: UnixMicros, journal: &JournalId) {
        self.progress_at = now;
        if let Some(want) = self.lacking.get_mut(journal).and_then(|lacking| lacking.want.as_mut()) {
            want.asked_at = now;
        }
        // A push is claimed as well: what is on its way into the store need not come from another peer.
        let _ = self.claims.take(journal, self.session, now, later(now, WANT_MICROS));
    }

    /// The store has answered about a journal. Review it afterwards.
    pub(super) fn answered(&mut self, now: UnixMicros, journal: &JournalId) {
        self.progress_at = now;
        if !self.lacking.contains_key(journal) && !self.is_pending(journal) {
            self.claims.release(journal, self.session);
        }
    }

    /// A batch got in: whatever went wrong with the journal before is forgotten.
    pub(super) fn succeeded(&mut self, journal: &JournalId) {
        self.failures.remove(journal);
    }

    /// The batch did not get in: whatever is lacking now is lacking from what we hold, and another peer may try.
    pub(super) fn failed(&mut self, now: UnixMicros, telling: &Telling, journal: &JournalId) {
        self.drop_want(journal);
        let have = self.have(telling, journal);
        self.review(now, telling, journal);
        if self.failures.len() >= REMEMBERED_MAX {
            self.failures.clear();
        }
        let failures = self.failures.entry(*journal).or_default();
        *failures = failures.saturating_add(1);
        let hold_until = later(now, HOLD_MICROS << (*failures - 1).min(HOLD_DOUBLINGS_MAX));
        if let Some(lacking) = self.lacking.get_mut(journal) {
            *lacking = Lacking { since: lacking.since, have, hold_until, want: None };
        }
        self.claims.release(journal, self.session);
    }

    fn drop_want(&mut self, journal: &JournalId) {
        if let Some(lacking) = self.lacking.get_mut(journal) {
            self.wants -= usize::from(lacking.want.take().is_some());
        }
    }

    /// No more of this journal is asked for here.
    pub(super) fn close(&mut self, journal: JournalId) {
        self.drop_lack(&journal);
        if self.closed.len() >= REMEMBERED_MAX {
            self.closed.clear();
        }
        self.closed.insert(journal);
    }

    /// Statements came: authors that were not known may be known now.
    pub(super) fn forgive(&mut self, now: UnixMicros) {
        for lacking in self.lacking.values_mut() {
            (lacking.since, lacking.hold_until) = (later(now, -PATIENCE_MICROS), now);
        }
        self.failures.clear();
        self.closed.clear();
    }

    /// Gives up wants that wait too long, and keeps the others for this link.
    pub(super) fn expire(&mut self, now: UnixMicros, telling: &Telling, counters: &mut Counters) {
        if self.more && self.lacking.len() < LACKING_MAX / 2 {
            self.more = false;
            self.review_all(now, telling);
        }
        let late: Vec<JournalId> =
            self.lacking.iter().filter(|(_, l)| self.is_late(now, l)).map(|(journal, _)| *journal).collect();
        for journal in late {
            if self.is_pending(&journal) {
                self.progress(now, &journal);
            } else {
                counters.wants_late += 1;
                self.failed(now, telling, &journal);
            }
        }
        let until = later(now, WANT_MICROS);
        for (journal, _) in self.lacking.iter().filter(|(_, lacking)| lacking.want.is_some()) {
            let _ = self.claims.take(journal, self.session, now, until);
        }
    }

    fn is_late(&self, now: UnixMicros, lacking: &Lacking) -> bool {
        lacking.want.is_some_and(|want| {
            let quiet_since = want.asked_at.max(self.progress_at);
            quiet_since <= later(now, -WANT_MICROS) || want.asked_at <= later(now, -WANT_MICROS_MAX)
        })
    }

    /// When something falls due that no tick need wait for.
    pub(super) fn due_at(&self, now: UnixMicros, hub_alive: bool) -> Option<UnixMicros> {
        if self.wants >= WANTS_MAX {
            return None;
        }
        let patience = self.patience(hub_alive);
        let waiting = self.lacking.values().filter(|lacking| lacking.want.is_none());
        waiting.map(|lacking| ready_at(lacking, patience)).filter(|at| *at > now).min()
    }

    /// The session is over.
    pub(super) fn leave(&self) {
        self.claims.leave(self.session);
    }
}

fn ready_at(lacking: &Lacking, patience: i64) -> UnixMicros {
    later(lacking.since, patience).max(lacking.hold_until)
}

pub(super) fn later(at: UnixMicros, micros: i64) -> UnixMicros {
    UnixMicros(at.0.saturating_add(micros))
}
