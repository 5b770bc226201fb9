//! Messages that bring nothing new: kept whole at first, then only counted, so that whoever has one genuine message and
//! sends it for ever does not fill the disk with it.

use rusqlite::{Connection, params};

use super::rows::{self, millis};
use super::writer::Desk;
use crate::domain::{Outcome, Timestamp};

/// How many messages of one outcome are kept for each payment: more than a gateway that retries has ever sent.
pub(super) const KEPT: i64 = 16;

/// How often messages about a payment brought nothing new, in one way of doing so.
#[derive(Clone, Debug)]
pub struct Repeats {
    /// The code of what they were.
    pub outcome: String,
    /// How many there were, those that were kept included.
    pub count: i64,
    /// When the last of them came.
    pub last_at: Timestamp,
}

pub(super) const COUNT: &str = "INSERT INTO repeats (payment_id, outcome, count, last_at) VALUES (?1, ?2, 1, ?3) \
     ON CONFLICT DO UPDATE SET count = count + 1, last_at = excluded.last_at RETURNING count";

/// Counts one more. Whether it is to be kept, too.
pub(super) fn count(desk: &mut Desk<'_>, payment: i64, outcome: Outcome, now: Timestamp) -> rusqlite::Result<bool> {
    let count: i64 = desk.statements.repeat.query_row(params![payment, outcome, millis(now)], |row| row.get(0))?;
    Ok(count <= KEPT)
}

/// What was counted of a payment.
pub(super) fn of(connection: &Connection, payment: i64) -> rusqlite::Result<Vec<Repeats>> {
    connection
        .prepare_cached("SELECT outcome, count, last_at FROM repeats WHERE payment_id = ?1 ORDER BY outcome")?
        .query_map([payment], |row| {
            Ok(Repeats { outcome: row.get(0)?, count: row.get(1)?, last_at: rows::instant(row, 2)? })
        })?
        .collect()
}
