//! Claims that nobody has confirmed yet, and when their letters are to say so. Nearly all are confirmed within seconds, so
//! that until then a letter is only a date in the payment's row.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::outbox::{self, Told};
use super::rows::{self, millis};
use super::writer::Desk;
use crate::domain::{Condition, Notice, NoticeKind, Status, Timestamp};

/// How many claims get their letters in one work: each may have many recipients, and posts wait meanwhile.
const CLAIMS: i64 = 20;

pub(super) const DUE: &str = "SELECT id, status, unconfirmed_to FROM payment WHERE unconfirmed_due <= ?1 \
     ORDER BY unconfirmed_due LIMIT ?2";

/// Whether there are claims that nobody has confirmed in time.
pub(super) fn any(connection: &Connection, now: Timestamp) -> rusqlite::Result<bool> {
    connection.prepare_cached(DUE)?.exists(params![millis(now), 1])
}

/// Writes the letters of claims that nobody has confirmed in time, some of them if there are very many.
pub(super) fn tell(desk: &mut Desk<'_>, now: Timestamp) -> rusqlite::Result<()> {
    let claims: Vec<(i64, Option<(Status, String)>)> = desk
        .connection
        .prepare_cached(DUE)?
        .query_map(params![millis(now), CLAIMS], |row| {
            let claim = rows::text(row, 1, Status::from_code).and_then(|status| Ok((status, row.get(2)?)));
            Ok((row.get(0)?, claim.ok()))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (payment, claim) in claims {
        desk.connection
            .prepare_cached("UPDATE payment SET unconfirmed_due = NULL, unconfirmed_to = NULL WHERE id = ?1")?
            .execute([payment])?;
        let Some((status, recipients)) = claim else {
            tracing::error!(payment.id = payment, "a damaged payment has no letter: see `paynowd ledger verify`");
            continue;
        };
        let notice = Notice { kind: NoticeKind::Unconfirmed(status), condition: Condition::Always };
        let recipients: Vec<String> = recipients.lines().map(str::to_owned).collect();
        let told = Told { payment, is_new: false, recalled: desk.taken_up.recall(payment) };
        outbox::write(desk, told, &[notice], &recipients, now)?;
    }
    Ok(())
}

/// When the next claim after `now` will have been unconfirmed for too long.
pub(super) fn next_due(connection: &Connection, now: Timestamp) -> rusqlite::Result<Option<Timestamp>> {
    connection.prepare_cached(NEXT)?.query_row([millis(now)], |row| rows::maybe_instant(row, 0))
}

pub(super) const NEXT: &str = "SELECT min(unconfirmed_due) FROM payment WHERE unconfirmed_due > ?1";

/// Has the letters about claims that were heard by a clock that was ahead of `now` due so much earlier. A claim of another
/// payment, heard since the clock was set back, waits out its time: it may yet be confirmed.
pub(super) fn move_along(desk: &Desk<'_>, by: Duration, now: Timestamp) -> rusqlite::Result<()> {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    desk.connection
        .prepare_cached(
            "UPDATE payment SET unconfirmed_due = unconfirmed_due - ?1 WHERE unconfirmed_due > ?2 \
             AND (first_seen > ?2 OR last_changed > ?2)",
        )?
        .execute([by, millis(now)])?;
    Ok(())
}
