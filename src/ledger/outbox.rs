//! Letters to be sent. Each is written in the transaction of the fact it tells, or, where that is that nobody has
//! confirmed a claim, once it is true; sending happens with none open (`deliveries.rs`).

use rusqlite::{Connection, Row, params, params_from_iter};

use super::letter::{LetterState, REPORT, Topic};
use super::rows::{self, millis};
use super::writer::Desk;
use crate::domain::{Condition, Notice, NoticeKind, Payment, Seen, Status, Timestamp};

/// Takes back letters about these claims that have not gone out. One that has been handed out is kept as withdrawn: it may
/// be on its way at this moment, or have arrived with its receipt lost, and then wants correcting like any other. One
/// that was refused nobody has: it keeps the instant at which it was settled, which tells it apart.
///
/// Once the gateway has answered, no report that could not be delivered goes out any more, by `mail retry` either: it
/// is wrong, or the answer is told in its stead.
///
/// The letter `recalled`, if any, was taken up and has not gone.
pub(super) fn withdraw(
    desk: &Desk<'_>,
    payment: i64,
    kinds: &[NoticeKind],
    recalled: Option<i64>,
) -> rusqlite::Result<()> {
    for kind in kinds {
        desk.connection
            .prepare_cached(
                "DELETE FROM outbox WHERE payment_id = ?1 AND notice = ?2 AND state = 'waiting' \
                 AND attempts <= (id IS ?3)",
            )?
            .execute(params![payment, kind.code(), recalled])?;
        desk.connection
            .prepare_cached(
                "UPDATE outbox SET state = 'withdrawn', settled = CASE state WHEN 'refused' THEN settled END \
                 WHERE payment_id = ?1 AND ((state = 'waiting' AND notice = ?2) OR (state IN ('refused', 'given-up') \
                 AND (notice = ?2 OR (notice LIKE 'reported:%' \
                 AND (SELECT trust FROM payment WHERE id = ?1) = 'confirmed'))))",
            )?
            .execute(params![payment, kind.code()])?;
    }
    Ok(())
}

/// The highest number that a letter has ever had.
pub(super) const LAST: &str = "SELECT max(last, coalesce((SELECT max(id) FROM outbox), 0)) FROM deleted_letter";

/// A payment that letters are to be written about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    /// Its number.
    pub(super) payment: i64,
    /// Nobody was told anything of it.
    pub(super) is_new: bool,
    /// A letter about it that was taken up and has not gone.
    pub(super) recalled: Option<i64>,
}

pub(super) const WRITE: &str = "INSERT INTO outbox (id, payment_id, notice, recipient, state, written, due) \
     VALUES (?1, ?2, ?3, ?4, 'waiting', ?5, ?5) ON CONFLICT (payment_id, notice, recipient) DO UPDATE SET \
     state = 'waiting', written = excluded.written, due = excluded.due, attempts = 0, settled = NULL, error = NULL, \
     retried = NULL, tries_before = 0 WHERE state = 'withdrawn'";

/// Writes one letter per notice and recipient, where its condition holds. What was written before is not written
/// again, unless it was withdrawn.
pub(super) fn write(
    desk: &mut Desk<'_>,
    told: Told,
    notices: &[Notice],
    recipients: &[String],
    now: Timestamp,
) -> rusqlite::Result<()> {
    // Conditions speak of what was said before, not of one another's letters.
    let mut letters = Vec::new();
    for notice in notices {
        for recipient in recipients {
            if wanted(desk.connection, told, recipient, notice.condition)? {
                letters.push((notice, recipient));
            }
        }
    }
    for (notice, recipient) in letters {
        let number = desk.next_letter()?;
        let written = desk.statements.letter.execute(params![
            number,
            told.payment,
            notice.kind.code(),
            recipient,
            millis(now)
        ])?;
        if written > 0 {
            desk.wake_mailer();
        }
    }
    Ok(())
}

/// Writes the letter of a run to each recipient. Returns how many.
pub(super) fn report(desk: &mut Desk<'_>, run: i64, recipients: &[String], now: Timestamp) -> rusqlite::Result<usize> {
    let mut insert = desk.connection.prepare_cached(
        "INSERT INTO outbox (id, run_id, notice, recipient, state, written, due) \
         VALUES (?1, ?2, ?3, ?4, 'waiting', ?5, ?5)",
    )?;
    let letters = recipients.iter().try_fold(0, |letters, recipient| {
        let number = desk.next_letter()?;
        Ok::<_, rusqlite::Error>(letters + insert.execute(params![number, run, REPORT, recipient, millis(now)])?)
    })?;
    desk.wake_mailer();
    Ok(letters)
}

/// What has reached its recipient, or will.
const TOLD: &str = "state IN ('waiting', 'sent')";
/// What may have: also what was withdrawn while it was tried.
const PERHAPS_TOLD: &str = "(state IN ('waiting', 'sent') OR (state = 'withdrawn' AND settled IS NULL))";

/// What has left us, or may have, as the payment then was: what still waits untried will tell it as it is.
const GONE_OUT: &str = "(state = 'sent' OR (state = 'waiting' AND tries > 0) \
     OR (state = 'withdrawn' AND settled IS NULL))";

/// Whether `recipient` still needs a letter under this condition.
fn wanted(
    connection: &Connection,
    Told { payment, is_new, recalled }: Told,
    recipient: &str,
    condition: Condition,
) -> rusqlite::Result<bool> {
    let told = |such: &str, of: &dyn Fn(NoticeKind) -> bool| -> rusqlite::Result<bool> {
        if is_new {
            return Ok(false);
        }
        let mut letters = connection.prepare_cached(&format!(
            "SELECT notice FROM (SELECT *, attempts - (id IS ?3) AS tries FROM outbox \
             WHERE payment_id = ?1 AND recipient = ?2) AS letter WHERE {such} \
             AND NOT EXISTS (SELECT 1 FROM outbox AS later WHERE later.payment_id = ?1 AND later.recipient = ?2 \
             AND later.notice LIKE 'corrected:%' AND later.written > letter.written)"
        ))?;
        let mut letters = letters.query(params![payment, recipient, recalled])?;
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
        Condition::IfTold => told(GONE_OUT, &|_| true)?,
        Condition::UnlessTold => !told(GONE_OUT, &|_| true)?,
        Condition::IfToldMore(status) => told(PERHAPS_TOLD, &more_than(status))?,
        Condition::UnlessToldMore(status) => !told(PERHAPS_TOLD, &more_than(status))?,
        Condition::UnlessReported(status) => !told(TOLD, &|kind| kind == NoticeKind::Reported(status))?,
    })
}

/// Where a letter's notice stands after the columns of its payment.
const NOTICE: usize = rows::PAYMENT_COLUMNS + 1;
/// Where it says when it was written.
pub(super) const WRITTEN: usize = rows::PAYMENT_COLUMNS + 2;

/// What a letter about a payment is about.
pub(super) fn of_payment(row: &Row<'_>) -> rusqlite::Result<(NoticeKind, Box<Payment>)> {
    Ok((rows::text(row, NOTICE, NoticeKind::from_code)?, Box::new(rows::payment(row)?.1)))
}

/// Hands every letter, newest first, to `each` until it says to stop: all, or those about one payment.
pub(super) fn list(
    connection: &Connection,
    payment: Option<i64>,
    mut each: impl FnMut(LetterState) -> bool,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&list_statement(payment.is_some()))?;
    let mut letters = statement.query(params_from_iter(payment))?;
    while let Some(row) = letters.next()? {
        let about = if row.get_ref(NOTICE)?.as_str()? == REPORT {
            let day = |at| rows::text(row, at, |text| text.parse().ok());
            Topic::Report { first: day(WRITTEN + 3)?, last: day(WRITTEN + 4)? }
        } else {
            let (kind, payment) = of_payment(row)?;
            Topic::Payment { kind, payment }
        };
        let letter = LetterState {
            id: row.get(rows::PAYMENT_COLUMNS)?,
            recipient: row.get("recipient")?,
            about,
            state: row.get("state")?,
            written: rows::instant(row, WRITTEN)?,
            due: rows::instant(row, WRITTEN + 1)?,
            settled: rows::maybe_instant(row, WRITTEN + 2)?,
            attempts: row.get("attempts")?,
            error: row.get("error")?,
        };
        if !each(letter) {
            break;
        }
    }
    Ok(())
}

/// All letters; or those about one payment, by its own index: one condition for both would read them all.
pub(super) fn list_statement(of_one: bool) -> String {
    let such = if of_one { "outbox.payment_id = ?1" } else { "TRUE" };
    format!(
        "SELECT {}, outbox.id, notice, written, outbox.due, settled, first_day, last_day, recipient, state, attempts, \
         error FROM outbox LEFT JOIN payment ON payment.id = outbox.payment_id \
         LEFT JOIN integration ON integration.id = integration_id LEFT JOIN run ON run.id = outbox.run_id \
         WHERE {such} ORDER BY outbox.id DESC",
        rows::PAYMENT
    )
}

/// How many letters wait.
pub(super) fn waiting(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT count(*) FROM outbox WHERE state = 'waiting'")?.query_row([], |row| row.get(0))
}
