//! Money that was confirmed only after the letter of its day had been counted. It is in that letter's totals no more
//! than in those of any other day, so the next nightly letter tells it beside them.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use chrono_tz::Tz;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::report::ReportOrder;
use super::rows;
use crate::domain::{Currency, Days, Mode, Payment, Status, Sum, Timestamp, Trust};

/// How long before the end of a day something may have been heard that was stored only after the letter of that day
/// had been counted.
const STORED_LATER: TimeDelta = TimeDelta::hours(1);

/// Counts such payments one by one.
pub(super) struct ConfirmedSince<'c> {
    nightly: &'static str,
    zone: Tz,
    /// When the last day ended that a nightly letter has told of. `None` if there is no such letter yet, or one about the
    /// days of the order or later ones: what comes too late for that is told by the next.
    told: Option<Timestamp>,
    stood: CachedStatement<'c>,
    sums: BTreeMap<Currency, Sum>,
}

impl<'c> ConfirmedSince<'c> {
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
            told: last.filter(|last| *last < order.days.first()).map(|last| Days::one(last, zone).until()),
            stood: connection.prepare_cached(&stood_statement())?,
            sums: BTreeMap::new(),
        })
    }

    /// Payments that changed last before this instant are of no interest.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.told.map(|told| told - STORED_LATER)
    }

    /// Counts the payment with this number if it stands paid, its day has been told, and it was in no nightly letter
    /// yet. Whether it is such a payment. One of test money never is: what posts claim of that is in the totals at once.
    pub(super) fn count(&mut self, id: i64, payment: &Payment) -> rusqlite::Result<bool> {
        let (Some(told), Some(since), Some(paid)) = (self.told, self.since(), payment.paid_at) else {
            return Ok(false);
        };
        if payment.mode == Mode::Test || !payment.stands_paid() || paid >= told || payment.last_changed < since {
            return Ok(false);
        }
        let day = paid.with_timezone(&self.zone).date_naive();
        if self.stood.query_row(params![id, self.nightly, day.to_string()], |row| row.get(0))? {
            return Ok(false);
        }
        self.sums.entry(payment.currency).or_default().count(payment);
        Ok(true)
    }

    /// What it came to, by currency.
    pub(super) fn sums(self) -> Vec<(Currency, Sum)> {
        self.sums.into_iter().collect()
    }
}

/// The days that the last report of a run of this name was about, of those reports that end by a given day.
pub(super) const LAST_TOLD: &str =
    "SELECT first_day, last_day FROM run WHERE name = ?1 AND last_day <= ?2 ORDER BY last_day DESC LIMIT 1";

/// Whether a payment stood paid and proven when a run of this name was counted that reported a given day or a later one:
/// then it was in the totals of its day, or has been told since. The stored report has the number of the newest event
/// that was counted.
pub(super) fn stood_statement() -> String {
    let paid: Vec<String> = Status::ALL
        .into_iter()
        .filter(|status| status.is_paid())
        .map(|status| format!("'{}'", status.code()))
        .collect();
    format!(
        "SELECT EXISTS (SELECT 1 FROM run WHERE name = ?2 AND last_day >= ?3 \
         AND (SELECT trust <> '{}' AND status IN ({}) FROM event INDEXED BY event_by_payment WHERE payment_id = ?1 \
         AND status IS NOT NULL AND event.id <= report ->> '$.health.events' ORDER BY event.id DESC LIMIT 1))",
        Trust::Reported.code(),
        paid.join(", ")
    )
}
