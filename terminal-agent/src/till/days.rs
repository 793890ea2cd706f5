//! Business days: opened and closed by entries, and by nobody's clock.

use tokio::time::Instant;
use toko_crdt::body::Idem;
use toko_retail::day::Day;
use toko_retail::ops::{DayClosedV1, DayOpenedV1, What};
use toko_retail::views;
use tracing::info;

use super::Refusal;
use super::clerk::{Clerk, LOOK_EVERY};
use super::seen::{Answer, DaySeen};

impl Clerk {
    pub(super) async fn open_day(
        &mut self,
        idem: Idem,
        day: Day,
        by: Option<String>,
    ) -> Result<Answer, Refusal> {
        let (state, first) =
            self.ledger.read(|kv| Ok((views::day_state(kv, day)?, views::first_open_day(kv)?)))?;
        if let Some(first) = first.filter(|first| day < *first) {
            return Err(Refusal::DaySettled { day: day.to_string(), first: first.to_string() });
        }
        if !state.closings.is_empty() && !toko_crdt::mutant!("reopen-a-closed-day") {
            return Err(Refusal::DayClosed(day.to_string()));
        }
        if state.opened.is_empty() {
            self.write(Some(idem), What::DayOpened(DayOpenedV1 { day: day.number(), by }), None).await?;
            info!(%day, "business day opened");
        }
        self.day = None;
        Ok(Answer::Day(self.day_as(day, false)))
    }

    pub(super) async fn close_day(
        &mut self,
        idem: Idem,
        day: Option<Day>,
        by: Option<String>,
        note: String,
    ) -> Result<Answer, Refusal> {
        let day = match day {
            Some(day) => day,
            None => self.day_now()?.ok_or(Refusal::NoDay)?,
        };
        let (state, totals) =
            self.ledger.read(|kv| Ok((views::day_state(kv, day)?, views::day_totals(kv, day)?)))?;
        if state.opened.is_empty() && totals.sales + totals.returns + totals.voids == 0 {
            return Err(Refusal::NoDay);
        }
        let claim = DayClosedV1 {
            day: day.number(),
            by,
            sales: totals.sales,
            returns: totals.returns,
            voids: totals.voids,
            takings: totals.takings(),
            amends: state.closings.last().map(|closing| closing.effect.0),
            note,
        };
        let saw = Some(toko_crdt::entry::Saw::Frontier(self.ledger.root()));
        self.write(Some(idem), What::DayClosed(claim), saw).await?;
        info!(%day, "business day closed");
        self.day = None;
        Ok(Answer::Day(self.day_as(day, true)))
    }

    /// The day that is open: the latest of those that somebody opened and nobody closed, and that are not settled.
    pub(super) fn day_now(&mut self) -> Result<Option<Day>, Refusal> {
        if let Some((at, day)) = self.day
            && at.elapsed() < LOOK_EVERY
        {
            return Ok(day);
        }
        let day = self.ledger.read(|kv| {
            let first = views::first_open_day(kv)?;
            let days = views::days(kv)?.into_iter().rev();
            for day in days.take_while(|day| first.is_none_or(|first| *day >= first)) {
                let state = views::day_state(kv, day)?;
                if !state.opened.is_empty() && state.closings.is_empty() {
                    return Ok(Some(day));
                }
            }
            Ok(None)
        })?;
        self.day = Some((Instant::now(), day));
        Ok(day)
    }

    /// The day to book under; opens today's where none is open, or the next one that nobody closed yet.
    pub(super) async fn day_for_business(&mut self) -> Result<Day, Refusal> {
        // A day that somebody opened a moment ago counts before another one is opened.
        self.day = self.day.filter(|(_, day)| day.is_some());
        if let Some(day) = self.day_now()? {
            return Ok(day);
        }
        let now = self.look();
        // A clock that fell back behind what is settled opens the first day that is not.
        let first = self.ledger.read(|kv| views::first_open_day(kv))?;
        let today = first.map_or(now.day, |first| now.day.max(first));
        let closed = !self.ledger.read(|kv| views::day_state(kv, today))?.closings.is_empty();
        // A sale after the day was closed still is a sale: it books under that day, whose closing then shows that it does not
        // hold any more.
        if !closed {
            let opened = DayOpenedV1 { day: today.number(), by: None };
            self.write(None, What::DayOpened(opened), None).await?;
            info!(day = %today, verified = now.verified, "business day opened by its first sale");
        }
        self.day = None;
        Ok(today)
    }

    pub(super) fn day_seen(&mut self) -> Result<DaySeen, Refusal> {
        let day = self.day_now()?;
        Ok(DaySeen { day, closed: false, time_verified: self.look().verified })
    }

    pub(super) fn day_as(&self, day: Day, closed: bool) -> DaySeen {
        DaySeen { day: Some(day), closed, time_verified: self.look().verified }
    }
}
