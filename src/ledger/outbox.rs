//! Letters to be sent. Each is written in the transaction of the fact it tells; sending happens with none open.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::chain;
use super::rows::{self, millis};
use super::writer::Desk;
use crate::domain::{Condition, Notice, NoticeKind, Payment, Seen, Status, Timestamp};

/// A letter that is due.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The ledger's number for it.
    pub id: i64,
    /// To whom.
    pub recipient: String,
    /// Why.
    pub kind: NoticeKind,
    /// The payment as it stands.
    pub payment: Payment,
    /// When the fact it tells was stored.
    pub written: Timestamp,
    /// How often it has been tried.
    pub attempts: u32,
    /// The same for every attempt at this letter, and for no other: tells nothing of the payment.
    pub token: String,
}

/// A letter as `mail list` shows it.
#[derive(Clone, Debug)]
pub struct LetterState {
    /// The ledger's number for it.
    pub id: i64,
    /// To whom.
    pub recipient: String,
    /// Why.
    pub kind: NoticeKind,
    /// The payment it is about.
    pub payment: Payment,
    /// `waiting`, `sent`, `refused`, `given-up`, or `withdrawn` after a try that may have reached its recipient.
    pub state: String,
    /// When the fact it tells was stored.
    pub written: Timestamp,
    /// When it is or was due.
    pub due: Timestamp,
    /// When it was sent, refused, given up or withdrawn.
    pub settled: Option<Timestamp>,
    /// How often it has been tried.
    pub attempts: u32,
    /// What went wrong last.
    pub error: Option<String>,
}

/// What became of an attempt to send a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The post office took it.
    Sent,
    /// Not now; try again at this instant.
    Deferred {
        /// When.
        until: Timestamp,
        /// Why.
        error: String,
    },
    /// This recipient will never get it.
    Refused {
        /// Why.
        error: String,
    },
    /// It has been tried for long enough.
    GivenUp {
        /// What went wrong last.
        error: String,
    },
}

/// Takes back letters about these claims that have not gone out. One that has been tried is kept as withdrawn: it may
/// be on its way at this moment, or have arrived with its receipt lost, and then wants correcting like any other.
pub(super) fn withdraw(desk: &Desk<'_>, payment: i64, kinds: &[NoticeKind]) -> rusqlite::Result<()> {
    for kind in kinds {
        desk.connection
            .prepare_cached(
                "DELETE FROM outbox WHERE payment_id = ?1 AND notice = ?2 AND state = 'waiting' AND attempts = 0",
            )?
            .execute(params![payment, kind.code()])?;
        desk.connection
            .prepare_cached(
                "UPDATE outbox SET state = 'withdrawn' WHERE payment_id = ?1 AND notice = ?2 AND state = 'waiting'",
            )?
            .execute(params![payment, kind.code()])?;
    }
    Ok(())
}

/// Writes one letter per notice and recipient, where its condition holds. What was written before is not written
/// again, unless it was withdrawn.
pub(super) fn write(
    desk: &mut Desk<'_>,
    payment: i64,
    notices: &[Notice],
    recipients: &[String],
    now: Timestamp,
) -> rusqlite::Result<()> {
    // Conditions speak of what was said before, not of one another's letters.
    let mut letters = Vec::new();
    for notice in notices {
        for recipient in recipients {
            if wanted(desk.connection, payment, recipient, notice.condition)? {
                letters.push((notice, recipient));
            }
        }
    }
    for (notice, recipient) in letters {
        let written = desk
            .connection
            .prepare_cached(
                "INSERT INTO outbox (payment_id, notice, recipient, state, written, due) \
                 VALUES (?1, ?2, ?3, 'waiting', ?4, ?5) ON CONFLICT (payment_id, notice, recipient) DO UPDATE \
                 SET state = 'waiting', written = excluded.written, due = excluded.due, attempts = 0, settled = NULL, \
                 error = NULL WHERE state = 'withdrawn'",
            )?
            .execute(params![payment, notice.kind.code(), recipient, millis(now), millis(notice.due)])?;
        if written > 0 && notice.due <= now + super::SOON {
            desk.wake_mailer();
        }
    }
    Ok(())
}

/// Whether `recipient` still needs a letter under this condition.
fn wanted(connection: &Connection, payment: i64, recipient: &str, condition: Condition) -> rusqlite::Result<bool> {
    let told = |of: &dyn Fn(NoticeKind) -> bool| -> rusqlite::Result<bool> {
        let mut letters = connection.prepare_cached(
            "SELECT notice FROM outbox WHERE payment_id = ?1 AND recipient = ?2 AND state IN ('waiting', 'withdrawn', 'sent') \
             AND NOT EXISTS (SELECT 1 FROM outbox AS later WHERE later.payment_id = ?1 AND later.recipient = ?2 \
             AND later.notice LIKE 'corrected:%' AND later.written > outbox.written)",
        )?;
        let mut letters = letters.query(params![payment, recipient])?;
        while let Some(letter) = letters.next()? {
            if of(rows::text(letter, 0, NoticeKind::from_code)?) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    // What the gateway itself once confirmed was true when it was told.
    let more_than = |status: Status| {
        move |kind: NoticeKind| match kind {
            NoticeKind::Reported(claim) | NoticeKind::Unconfirmed(claim) => status.observe(claim) == Seen::Move,
            NoticeKind::Reached(_) | NoticeKind::Corrected(_) => false,
        }
    };
    Ok(match condition {
        Condition::Always => true,
        Condition::IfToldMore(status) => told(&more_than(status))?,
        Condition::UnlessToldMore(status) => !told(&more_than(status))?,
        Condition::UnlessReported(status) => !told(&|kind| kind == NoticeKind::Reported(status))?,
    })
}

/// Notes that a letter is about to be tried. `false` if it was withdrawn meanwhile: then it must not go.
pub(super) fn begin(desk: &mut Desk<'_>, letter: i64) -> rusqlite::Result<bool> {
    let begun = desk
        .connection
        .prepare_cached("UPDATE outbox SET attempts = attempts + 1 WHERE id = ?1 AND state = 'waiting'")?
        .execute([letter])?;
    Ok(begun > 0)
}

/// Notes what became of an attempt. A letter that was withdrawn meanwhile is not tried again, but may have arrived.
pub(super) fn settle(desk: &mut Desk<'_>, letter: i64, attempt: &Attempt, now: Timestamp) -> rusqlite::Result<()> {
    let (state, due, error) = match attempt {
        Attempt::Sent => ("sent", None, None),
        Attempt::Deferred { until, error } => ("waiting", Some(millis(*until)), Some(error)),
        Attempt::Refused { error } => ("refused", None, Some(error)),
        Attempt::GivenUp { error } => ("given-up", None, Some(error)),
    };
    let settled = (state != "waiting").then(|| millis(now));
    desk.connection
        .prepare_cached(
            "UPDATE outbox SET state = ?2, due = coalesce(?3, due), error = ?4, settled = ?5 \
             WHERE id = ?1 AND (state = 'waiting' OR (state = 'withdrawn' AND ?2 = 'sent'))",
        )?
        .execute(params![letter, state, due, error, settled])?;
    Ok(())
}

/// Puts letters that were refused, given up or tried in vain back into the post: one, or all. A letter whose time has
/// not come waits on: it may yet be withdrawn.
pub(super) fn retry(desk: &mut Desk<'_>, letter: Option<i64>, now: Timestamp) -> rusqlite::Result<usize> {
    let again = desk
        .connection
        .prepare_cached(
            "UPDATE outbox SET state = 'waiting', due = ?2, settled = NULL \
             WHERE (?1 IS NULL OR id = ?1) AND (state IN ('refused', 'given-up') OR (state = 'waiting' AND attempts > 0))",
        )?
        .execute(params![letter, millis(now)])?;
    desk.wake_mailer();
    Ok(again)
}

/// Has letters that wait for their next try, or were written by a clock that was ahead of `now`, due so much earlier. A
/// letter that was written since the clock was set back waits out its time: it may yet be withdrawn.
pub(super) fn move_along(desk: &mut Desk<'_>, by: Duration, now: Timestamp) -> rusqlite::Result<()> {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    desk.connection
        .prepare_cached(
            "UPDATE outbox SET due = due - ?1 WHERE state = 'waiting' AND due > ?2 AND (written > ?2 OR attempts > 0)",
        )?
        .execute([by, millis(now)])?;
    desk.wake_mailer();
    Ok(())
}

/// The letters due at `now`, the oldest first, at most `limit`.
pub(super) fn due(connection: &Connection, now: Timestamp, limit: usize) -> rusqlite::Result<Vec<Letter>> {
    connection
        .prepare_cached(&due_statement())?
        .query_map(params![millis(now), i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
            let (payment, recipient) = (rows::payment(row)?.1, row.get::<_, String>(rows::PAYMENT_COLUMNS + 1)?);
            let kind = rows::text(row, rows::PAYMENT_COLUMNS + 2, NoticeKind::from_code)?;
            Ok(Letter {
                id: row.get(rows::PAYMENT_COLUMNS)?,
                kind,
                written: rows::instant(row, rows::PAYMENT_COLUMNS + 3)?,
                attempts: row.get(rows::PAYMENT_COLUMNS + 4)?,
                token: chain::letter_token(&payment, kind, &recipient),
                recipient,
                payment,
            })
        })?
        .collect()
}

pub(super) fn due_statement() -> String {
    format!(
        "SELECT {}, outbox.id, recipient, notice, written, attempts FROM outbox \
         JOIN payment ON payment.id = outbox.payment_id JOIN integration ON integration.id = integration_id \
         WHERE state = 'waiting' AND outbox.due <= ?1 ORDER BY outbox.due LIMIT ?2",
        rows::PAYMENT
    )
}

/// When the next letter after `now` becomes due.
pub(super) fn next_due(connection: &Connection, now: Timestamp) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("SELECT min(due) FROM outbox WHERE state = 'waiting' AND due > ?1")?
        .query_row([millis(now)], |row| rows::maybe_instant(row, 0))
}

/// Hands every letter, newest first, to `each` until it says to stop: all, or those about one payment.
pub(super) fn list(
    connection: &Connection,
    payment: Option<i64>,
    mut each: impl FnMut(LetterState) -> bool,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {}, outbox.id, recipient, notice, state, written, outbox.due, settled, attempts, error FROM outbox \
         JOIN payment ON payment.id = outbox.payment_id JOIN integration ON integration.id = integration_id \
         WHERE ?1 IS NULL OR outbox.payment_id = ?1 ORDER BY outbox.id DESC",
        rows::PAYMENT
    ))?;
    let mut letters = statement.query([payment])?;
    while let Some(row) = letters.next()? {
        let letter = LetterState {
            payment: rows::payment(row)?.1,
            id: row.get(rows::PAYMENT_COLUMNS)?,
            recipient: row.get(rows::PAYMENT_COLUMNS + 1)?,
            kind: rows::text(row, rows::PAYMENT_COLUMNS + 2, NoticeKind::from_code)?,
            state: row.get("state")?,
            written: rows::instant(row, rows::PAYMENT_COLUMNS + 4)?,
            due: rows::instant(row, rows::PAYMENT_COLUMNS + 5)?,
            settled: rows::maybe_instant(row, rows::PAYMENT_COLUMNS + 6)?,
            attempts: row.get("attempts")?,
            error: row.get("error")?,
        };
        if !each(letter) {
            break;
        }
    }
    Ok(())
}

/// How many letters wait.
pub(super) fn waiting(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT count(*) FROM outbox WHERE state = 'waiting'")?.query_row([], |row| row.get(0))
}
