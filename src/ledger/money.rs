//! Payments by when their money came or went back, for exports.

use std::ops::Range;

use rusqlite::{Connection, params};

use super::rows::{self, millis};
use crate::domain::{Currency, Known, Mode, Timestamp};

/// How much earlier than it was paid a payment may seem to have last changed, in milliseconds: clocks get set back.
pub(super) const CLOCK: i64 = 24 * 60 * 60 * 1000;

/// Which payments to read.
#[derive(Clone, Debug)]
pub struct MoneyFilter {
    /// Whose money came, or went back, in this time.
    pub moved: Range<Timestamp>,
    /// Of real money, or of test money: never of both.
    pub mode: Mode,
    /// Only of this integration.
    pub integration: Option<String>,
    /// Only in this currency.
    pub currency: Option<Currency>,
}

/// By the index on changes: what moved in a time changed in it or later.
pub(super) fn statement() -> String {
    format!(
        "SELECT {}, {} FROM payment JOIN integration ON integration.id = integration_id \
         WHERE last_changed >= ?1 AND payment.mode = ?4 AND (paid_at >= ?2 AND paid_at < ?3 \
         OR payment.status = 'refunded' AND last_changed >= ?2 AND last_changed < ?3) \
         AND (?5 IS NULL OR integration.name = ?5) AND (?6 IS NULL OR payment.currency = ?6) \
         ORDER BY last_changed, payment.id",
        rows::PAYMENT,
        rows::KNOWN
    )
}

/// Hands the payments that pass `filter`, by when they last changed, to `each` until it says to stop.
pub(super) fn list(
    connection: &Connection,
    filter: &MoneyFilter,
    mut each: impl FnMut(Known) -> bool,
) -> rusqlite::Result<()> {
    let (since, until) = (millis(filter.moved.start), millis(filter.moved.end));
    let mut statement = connection.prepare(&statement())?;
    let mut found =
        statement.query(params![since - CLOCK, since, until, filter.mode, filter.integration, filter.currency])?;
    while let Some(row) = found.next()? {
        if !each(rows::known(row)?.1) {
            break;
        }
    }
    Ok(())
}
