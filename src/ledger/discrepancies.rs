//! What does not add up: opened once per payment and class, counted when seen again, settled when it adds up.

use rusqlite::{Connection, params};

use super::rows::{self, millis};
use super::writer::Desk;
use crate::domain::{Class, Finding, Timestamp};

/// A finding as the ledger keeps it.
#[derive(Clone, Debug)]
pub struct Discrepancy {
    /// The ledger's number for it.
    pub id: i64,
    /// Its class.
    pub class: Class,
    /// `open` or `resolved`.
    pub state: String,
    /// What should have been.
    pub expected: String,
    /// What was.
    pub found: String,
    /// When it was first seen.
    pub opened: Timestamp,
    /// How often it has been seen.
    pub times: i64,
}

/// Opens each finding, or counts it once more if the same is open. Those about an integration as a whole stand once for
/// it, whichever payment brought them up. Whether any was not open before.
pub(super) fn open(
    desk: &Desk<'_>,
    integration: i64,
    payment: Option<i64>,
    findings: &[Finding],
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let mut news = false;
    for finding in findings {
        let payment = payment.filter(|_| !finding.class.is_about_integration());
        let seen_before = desk
            .connection
            .prepare_cached(
                "UPDATE discrepancy SET times = times + 1, last_seen = ?6 WHERE state = 'open' AND integration_id = ?1 \
                 AND payment_id IS ?2 AND class = ?3 AND expected = ?4 AND found = ?5",
            )?
            .execute(params![integration, payment, finding.class, finding.expected, finding.found, millis(now)])?;
        if seen_before == 0 {
            news = true;
            desk.connection
                .prepare_cached(
                    "INSERT INTO discrepancy (integration_id, payment_id, class, expected, found, state, opened, \
                     last_seen) VALUES (?1, ?2, ?3, ?4, ?5, 'open', ?6, ?6)",
                )?
                .execute(params![integration, payment, finding.class, finding.expected, finding.found, millis(now)])?;
        }
    }
    Ok(news)
}

/// Closes open findings of these classes about a payment: the gateway's answer settled them.
pub(super) fn settle(
    desk: &Desk<'_>,
    integration: i64,
    payment: i64,
    classes: &[Class],
    now: Timestamp,
) -> rusqlite::Result<()> {
    for class in classes {
        let payment = (!class.is_about_integration()).then_some(payment);
        desk.connection
            .prepare_cached(
                "UPDATE discrepancy SET state = 'resolved', resolved = ?4, resolution = 'settled by the gateway''s answer' \
                 WHERE state = 'open' AND integration_id = ?1 AND class = ?2 AND payment_id IS ?3",
            )?
            .execute(params![integration, class, payment, millis(now)])?;
    }
    Ok(())
}

/// The findings about one payment, oldest first.
pub(super) fn of_payment(connection: &Connection, payment: i64) -> rusqlite::Result<Vec<Discrepancy>> {
    connection
        .prepare_cached(
            "SELECT id, class, state, expected, found, opened, times FROM discrepancy WHERE payment_id = ?1 \
             ORDER BY id",
        )?
        .query_map([payment], |row| {
            Ok(Discrepancy {
                id: row.get(0)?,
                class: rows::text(row, 1, Class::from_code)?,
                state: row.get(2)?,
                expected: row.get(3)?,
                found: row.get(4)?,
                opened: rows::instant(row, 5)?,
                times: row.get(6)?,
            })
        })?
        .collect()
}
