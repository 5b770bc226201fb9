//! Money of days that nightly letters have told of: confirmed only after its letter, or gone back since. No total of a
//! later day has it, so the next nightly letter tells it beside them.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::Tz;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::report::ReportOrder;
use super::{events, rows, states};
use crate::domain::{Currency, Days, Mode, Payment, Status, Sum, Timestamp, Trust};

/// How long before the end of a day something may have been heard that was stored only after the letter of that day
/// had been counted.
const STORED_LATER: TimeDelta = TimeDelta::hours(1);

/// Counts such payments one by one.
pub(super) struct ToldDays<'c> {
    nightly: &'static str,
    zone: Tz,
    /// The last day that a nightly letter has told of. `None` if there is no such letter yet, or one about the days of
    /// the order or later ones: what comes too late for that is told by the next.
    last: Option<NaiveDate>,
    stood: CachedStatement<'c>,
    confirmed: BTreeMap<Currency, Sum>,
    reversed: BTreeMap<(Status, Currency), Sum>,
}

impl<'c> ToldDays<'c> {
    /// Begins to count for a report about the days of `order`, made `now`.
    pub(super) fn new(connection: &'c Connection, order: &ReportOrder, now: Timestamp) -> rusqlite::Result<Self> {
        let zone = order.days.zone();
        // What was told of days to come, by a clock that was wrong, does not count.
        let today = now.with_timezone(&zone).date_naive().max(order.days.last());
        let last = connection
            .prepare_cached(LAST_TOLD)?
            .query_row(params![order.nightly, today.to_string()], |row| rows::text(row, 1, |text| text.parse().ok()))
            .optional()?;
        Ok(Self {
            nightly: order.nightly,
            zone,
            last: last.filter(|last| *last < order.days.first()),
            stood: connection.prepare_cached(&stood_statement())?,
            confirmed: BTreeMap::new(),
            reversed: BTreeMap::new(),
        })
    }

    /// When the last day ended that has been told of.
    fn until(&self) -> Option<Timestamp> {
        self.last.map(|last| Days::one(last, self.zone).until())
    }

    /// Payments that changed last before this instant are of no interest.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.until().map(|until| until - STORED_LATER)
    }

    /// Counts the payment with this number if its day has been told and the letters have it otherwise than it stands:
    /// paid, and they do not have it so, or no more, and they do. Whether it is such a payment. A claim never is, nor is
    /// test money: what posts claim of that is in the totals at once.
    pub(super) fn count(&mut self, id: i64, payment: &Payment) -> rusqlite::Result<bool> {
        let (Some(last), Some(until), Some(since)) = (self.last, self.until(), self.since()) else { return Ok(false) };
        let Some(paid) = payment.paid_at.filter(|paid| *paid < until) else { return Ok(false) };
        if payment.mode == Mode::Test || payment.is_unproven() || payment.last_changed < since {
            return Ok(false);
        }
        let day = paid.with_timezone(&self.zone).date_naive();
        let values = params![id, self.nightly, day.to_string(), last.to_string()];
        let stood: bool = self.stood.query_row(values, |row| row.get(0))?;
        let stands = payment.stands_paid();
        if stands == stood {
            return Ok(false);
        }
        let sum = if stands {
            self.confirmed.entry(payment.currency).or_default()
        } else {
            self.reversed.entry((payment.status, payment.currency)).or_default()
        };
        sum.count(payment);
        Ok(true)
    }

    /// What was confirmed, by currency.
    pub(super) fn confirmed(&self) -> Vec<(Currency, Sum)> {
        self.confirmed.iter().map(|(currency, sum)| (*currency, *sum)).collect()
    }

    /// What went back, by where it stands now and by currency.
    pub(super) fn reversed(&self) -> Vec<(Status, Currency, Sum)> {
        self.reversed.iter().map(|((status, currency), sum)| (*status, *currency, *sum)).collect()
    }
}

/// The days that the last report of a run of this name was about, of those reports that end by a given day.
pub(super) const LAST_TOLD: &str =
    "SELECT first_day, last_day FROM run WHERE name = ?1 AND last_day <= ?2 ORDER BY last_day DESC LIMIT 1";

/// Whether the reports of runs of this name, from that of a given day up to that of another, have a payment as paid: it
/// was, in the last of them that was counted while this was proven. Then it was in the totals of its day, or has been
/// told since. The stored report has the number of the newest event that was counted.
pub(super) fn stood_statement() -> String {
    format!(
        "{} SELECT coalesce((SELECT event.status IN {} FROM run CROSS JOIN event ON event.id = \
         (SELECT max(about.id) FROM about CROSS JOIN event AS heard ON heard.id = about.id \
         WHERE heard.status IS NOT NULL AND about.id <= run.report ->> '$.health.events') \
         WHERE run.name = ?2 AND run.last_day >= ?3 AND run.last_day <= ?4 AND event.trust <> '{}' \
         ORDER BY run.last_day DESC LIMIT 1), FALSE)",
        events::about("?1"),
        states::statuses(Status::is_paid),
        Trust::Reported.code()
    )
}
