//! Drawer pulses, one at a time: asked for, sent at most once, and what the drawer's sensor said. Pure but for the inbox.
//!
//! A pulse goes out only within its time to live, and only to a printer that answered a moment ago: one that takes bytes and
//! does nothing could open the drawer later, with nobody there. Invariant: whatever breaks, it is never sent twice.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::escpos::DrawerPin;
use crate::outcome::{NoEdge, NotSent, Opening};
use crate::profile::Polarity;

/// A pulse that somebody wants.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) pin: DrawerPin,
    pub(crate) polarity: Polarity,
    /// When nobody wants it any more.
    pub(crate) until: Instant,
    pub(crate) done: oneshot::Sender<Opening>,
}

/// The pulses of one printer.
#[derive(Debug, Default)]
pub(crate) struct Pulses {
    inbox: Option<mpsc::Receiver<Order>>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    order: Order,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The printer has to answer first.
    Asking { asked: Option<Instant> },
    /// It answered, and the drawer's sensor had this level.
    Ready { since: Instant, before: bool },
    /// The pulse is out.
    Sent { at: Instant, before: bool, looked: Instant },
}

impl Pulses {
    /// Pulses that come through an inbox.
    pub(crate) fn from(inbox: mpsc::Receiver<Order>) -> Pulses {
        Pulses { inbox: Some(inbox), current: None }
    }

    pub(crate) fn busy(&self) -> bool {
        self.current.is_some()
    }

    /// Takes the next one once the one in hand is answered. Dropping it loses none.
    pub(crate) async fn next(&mut self) {
        let order = match &mut self.inbox {
            Some(inbox) if self.current.is_none() => inbox.recv().await,
            _ => None,
        };
        match order {
            Some(order) => self.current = Some(Current { order, stage: Stage::Asking { asked: None } }),
            None => std::future::pending().await,
        }
    }

    /// Time has passed; answers whether to ask for the sensor's level now.
    pub(crate) fn tick(&mut self, now: Instant) -> bool {
        let Some(Current { order, stage }) = &mut self.current else { return false };
        match *stage {
            Stage::Asking { .. } | Stage::Ready { .. } if now >= order.until => {
                self.answer(Opening::Expired);
                false
            }
            Stage::Asking { asked } if asked.is_none_or(|asked| now >= asked + FRESH) => {
                *stage = Stage::Asking { asked: Some(now) };
                true
            }
            Stage::Ready { since, .. } if now >= since + FRESH => {
                *stage = Stage::Asking { asked: Some(now) };
                true
            }
            Stage::Sent { at, before, .. } if now >= at + EDGE_WITHIN => {
                let stood_open = order.polarity.open(before) == Some(true);
                let why = if stood_open { NoEdge::StoodOpen } else { NoEdge::Still };
                self.answer(Opening::NotConfirmed { why });
                false
            }
            Stage::Sent { at, before, looked } if now >= looked + LOOK_EVERY => {
                *stage = Stage::Sent { at, before, looked: now };
                true
            }
            _ => false,
        }
    }

    /// When time has to be told next.
    pub(crate) fn wake(&self) -> Option<Instant> {
        let Current { order, stage } = self.current.as_ref()?;
        Some(match *stage {
            Stage::Asking { asked: None } => order.until,
            Stage::Asking { asked: Some(asked) } => order.until.min(asked + FRESH),
            Stage::Ready { since, .. } => order.until.min(since + FRESH),
            Stage::Sent { at, looked, .. } => (at + EDGE_WITHIN).min(looked + LOOK_EVERY),
        })
    }

    /// The pulse to send now.
    pub(crate) fn ready(&self) -> Option<DrawerPin> {
        let current = self.current.as_ref()?;
        matches!(current.stage, Stage::Ready { .. }).then_some(current.order.pin)
    }

    /// It is out, wholly or in part.
    pub(crate) fn sent(&mut self, now: Instant) {
        if let Some(Current { stage, .. }) = &mut self.current
            && let Stage::Ready { before, .. } = *stage
        {
            *stage = Stage::Sent { at: now, before, looked: now };
        }
    }

    /// The printer told the level of the drawer's sensor; answers whether our pulse moved it.
    pub(crate) fn level(&mut self, level: bool, now: Instant) -> bool {
        let Some(Current { order, stage }) = &mut self.current else { return false };
        match *stage {
            Stage::Asking { asked: None } => false,
            Stage::Asking { asked: Some(_) } | Stage::Ready { .. } => {
                *stage = Stage::Ready { since: now, before: level };
                false
            }
            Stage::Sent { before, .. } if before == level => false,
            // A drawer that is known to have been shut by hand meanwhile.
            Stage::Sent { at, looked, .. } if order.polarity.open(level) == Some(false) => {
                *stage = Stage::Sent { at, before: level, looked };
                false
            }
            Stage::Sent { at, .. } => {
                self.answer(Opening::Opened { after: now - at });
                true
            }
        }
    }

    /// The link is gone. What was sent stays sent; what was not may still go over the next one.
    pub(crate) fn link_lost(&mut self, error: &str) {
        match &mut self.current {
            Some(Current { stage: Stage::Sent { .. }, .. }) => {
                self.answer(Opening::NotConfirmed { why: NoEdge::LinkLost { error: error.to_owned() } });
            }
            Some(current) => current.stage = Stage::Asking { asked: None },
            None => {}
        }
    }

    /// Answers the one in hand: the printer cannot be reached.
    pub(crate) fn give_up(&mut self, why: &NotSent) {
        if let Some(Current { stage, .. }) = &self.current {
            let sent = matches!(stage, Stage::Sent { .. });
            self.answer(if sent {
                Opening::NotConfirmed { why: NoEdge::LinkLost { error: why.to_string() } }
            } else {
                Opening::NotSent { why: why.clone() }
            });
        }
    }

    /// Answers all: nobody serves them any more.
    pub(crate) fn end(&mut self, why: &NotSent) {
        self.give_up(why);
        let Some(mut inbox) = self.inbox.take() else { return };
        inbox.close();
        while let Ok(order) = inbox.try_recv() {
            let _ = order.done.send(Opening::NotSent { why: why.clone() });
        }
    }

    fn answer(&mut self, opening: Opening) {
        if let Some(current) = self.current.take() {
            // Whoever asked may have gone.
            let _ = current.order.done.send(opening);
        }
    }
}

/// How long the sensor has to tell.
const EDGE_WITHIN: Duration = Duration::from_secs(1);
/// How long an answer of the printer is proof that it takes a pulse at once.
const FRESH: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn order(
        polarity: Polarity,
        until: Instant,
    ) -> (Pulses, mpsc::Sender<Order>, oneshot::Receiver<Opening>) {
        let (tell, inbox) = mpsc::channel(1);
        let (done, opening) = oneshot::channel();
        tell.try_send(Order { pin: DrawerPin::Pin2, polarity, until, done }).expect("room");
        (Pulses::from(inbox), tell, opening)
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_out_after_an_answer_and_is_open_by_the_edge() {
        let start = Instant::now();
        let (mut pulses, _inbox, mut opening) = order(Polarity::LowIsOpen, start + Duration::from_secs(5));
        pulses.next().await;
        assert_eq!(pulses.ready(), None, "nobody knows whether the printer lives");
        assert!(pulses.tick(start), "it is asked");
        assert!(!pulses.level(true, start));
        assert_eq!(pulses.ready(), Some(DrawerPin::Pin2));
        pulses.sent(start);
        assert_eq!(pulses.ready(), None, "once");
        assert!(!pulses.level(true, start + Duration::from_millis(20)));
        assert!(pulses.level(false, start + Duration::from_millis(80)), "ours");
        assert_eq!(opening.try_recv(), Ok(Opening::Opened { after: Duration::from_millis(80) }));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_answer_is_no_proof_of_life_and_time_to_live_ends_it() {
        let start = Instant::now();
        let (mut pulses, _inbox, mut opening) = order(Polarity::Unknown, start + Duration::from_secs(5));
        pulses.next().await;
        pulses.tick(start);
        pulses.level(true, start);
        assert!(pulses.tick(start + FRESH), "it is asked again");
        assert_eq!(pulses.ready(), None);
        assert!(!pulses.tick(start + Duration::from_secs(5)));
        assert_eq!(opening.try_recv(), Ok(Opening::Expired));
        assert!(!pulses.busy());
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_edge_it_is_not_confirmed_and_an_open_drawer_is_told() {
        for (polarity, level, why) in [
            (Polarity::Unknown, false, NoEdge::Still),
            (Polarity::HighIsOpen, false, NoEdge::Still),
            (Polarity::HighIsOpen, true, NoEdge::StoodOpen),
            (Polarity::LowIsOpen, false, NoEdge::StoodOpen),
        ] {
            let start = Instant::now();
            let (mut pulses, _inbox, mut opening) = order(polarity, start + Duration::from_secs(5));
            pulses.next().await;
            pulses.tick(start);
            pulses.level(level, start);
            pulses.sent(start);
            pulses.tick(start + Duration::from_millis(999));
            assert!(opening.try_recv().is_err(), "the sensor has a second to tell");
            pulses.tick(start + Duration::from_secs(1));
            assert_eq!(opening.try_recv(), Ok(Opening::NotConfirmed { why }));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_breaks_leaves_what_was_sent_sent_and_what_was_not_waiting() {
        let start = Instant::now();
        let (mut pulses, _inbox, mut opening) = order(Polarity::Unknown, start + Duration::from_secs(5));
        pulses.next().await;
        pulses.tick(start);
        pulses.link_lost("gone");
        assert!(pulses.busy() && opening.try_recv().is_err());
        pulses.tick(start);
        pulses.level(false, start);
        pulses.sent(start);
        pulses.link_lost("gone");
        let why = NoEdge::LinkLost { error: "gone".into() };
        assert_eq!(opening.try_recv(), Ok(Opening::NotConfirmed { why }));
    }
}
