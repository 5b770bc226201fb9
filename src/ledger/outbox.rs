//! Letters to be sent. Each is written in the transaction of the fact it tells, or, where that is that nobody has
//! confirmed a claim, once it is true; sending happens with none open.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Row, params, params_from_iter};

use super::chain;
use super::letter::{About, Attempt, Letter, LetterState, REPORT, Topic};
use super::rows::{self, millis};
use super::runs::{self, Reported};
use super::writer::Desk;
use super::{Admission, Ledger, LedgerError, unconfirmed};
use crate::domain::{Condition, Notice, NoticeKind, Payment, Seen, Status, Timestamp};

impl Ledger {
    /// The letters to send at `now`, the oldest first, at most `limit`, and when the next one after them is due. Claims
    /// that nobody has confirmed in time get theirs first.
    ///
    /// # Errors
    /// The ledger could not be read or written; look again later.
    pub async fn due_letters(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<(Vec<Letter>, Option<Timestamp>), LedgerError> {
        loop {
            let read = move |connection: &Connection| {
                if unconfirmed::any(connection, now)? {
                    return Ok(None);
                }
                let next = [next_due(connection, now)?, unconfirmed::next_due(connection, now)?];
                Ok(Some((due(connection, now, limit)?, next.into_iter().flatten().min())))
            };
            if let Some(letters) = self.reader().read(read).await? {
                return Ok(letters);
            }
            self.writer.write(Admission::Wait, move |desk| unconfirmed::tell(desk, now)).await?;
        }
    }

    /// Notes what came of letters that were taken up, and takes up the `next` one: both in one wait for the disk. `false`
    /// if that has been withdrawn since it was due: do not send it. Before it goes, ask [`hand_out`](Self::hand_out).
    ///
    /// # Errors
    /// Nothing was stored: note what came of the letters before any other is sent. Until then they would be sent again,
    /// with the same Message-ID.
    pub async fn next_letter(
        &self,
        carried: Vec<(i64, Attempt)>,
        next: Option<i64>,
        now: Timestamp,
    ) -> Result<bool, LedgerError> {
        let codes: Vec<_> = carried.iter().filter_map(|(_, attempt)| attempt.code()).collect();
        let turn = move |desk: &mut Desk<'_>| {
            carried.iter().try_for_each(|(letter, attempt)| settle(desk, *letter, attempt, now))?;
            next.map_or(Ok(false), |next| begin(desk, next))
        };
        let begun = self.writer.write(Admission::Wait, turn).await?;
        for code in codes {
            self.counts.letters.of(&code).raise();
        }
        Ok(begun)
    }

    /// The letter that was taken up last goes, from now on. `false` if it has been withdrawn meanwhile: do not send it.
    pub fn hand_out(&self, letter: i64) -> bool {
        self.taken_up.hand_out(letter)
    }

    /// Puts one letter, or every one, that was tried in vain, refused or given up back into the post. Returns how many.
    ///
    /// # Errors
    /// Not stored; nothing changed.
    pub async fn retry_letters(&self, letter: Option<i64>, now: Timestamp) -> Result<usize, LedgerError> {
        self.writer.write(Admission::Wait, move |desk| retry(desk, letter, now)).await
    }
}

/// Takes back letters about these claims that have not gone out. One that has been handed out is kept as withdrawn: it may
/// be on its way at this moment, or have arrived with its receipt lost, and then wants correcting like any other. One
/// that was refused nobody has: it keeps the instant at which it was settled, which tells it apart.
///
/// Once the gateway has answered, no report that could not be delivered goes out any more, by `mail retry` either: it
/// is wrong, or the answer is told in its stead.
pub(super) fn withdraw(desk: &Desk<'_>, payment: i64, kinds: &[NoticeKind]) -> rusqlite::Result<()> {
    if kinds.is_empty() {
        return Ok(());
    }
    let here = desk.taken_up.here();
    for kind in kinds {
        desk.connection
            .prepare_cached(
                "DELETE FROM outbox WHERE payment_id = ?1 AND notice = ?2 AND state = 'waiting' \
                 AND attempts <= (id IS ?3)",
            )?
            .execute(params![payment, kind.code(), here])?;
        desk.connection
            .prepare_cached(
                "UPDATE outbox SET state = 'withdrawn', settled = CASE state WHEN 'refused' THEN settled END \
                 WHERE payment_id = ?1 AND ((state = 'waiting' AND notice = ?2) OR (state IN ('refused', 'given-up') \
                 AND (notice = ?2 OR (notice LIKE 'reported:%' \
                 AND (SELECT trust FROM payment WHERE id = ?1) = 'confirmed'))))",
            )?
            .execute(params![payment, kind.code()])?;
    }
    if let Some(letter) = here
        && !desk
            .connection
            .prepare_cached("SELECT 1 FROM outbox WHERE id = ?1 AND state = 'waiting'")?
            .exists([letter])?
    {
        desk.taken_up.withdraw();
    }
    Ok(())
}

/// The highest number that a letter has ever had.
pub(super) const LAST: &str = "SELECT max(last, coalesce((SELECT max(id) FROM outbox), 0)) FROM deleted_letter";

pub(super) const WRITE: &str = "INSERT INTO outbox (id, payment_id, notice, recipient, state, written, due) \
     VALUES (?1, ?2, ?3, ?4, 'waiting', ?5, ?5) ON CONFLICT (payment_id, notice, recipient) DO UPDATE SET \
     state = 'waiting', written = excluded.written, due = excluded.due, attempts = 0, settled = NULL, error = NULL, \
     retried = NULL, tries_before = 0 WHERE state = 'withdrawn'";

/// Writes one letter per notice and recipient, where its condition holds. What was written before is not written
/// again, unless it was withdrawn. Of a payment that is new nobody was told anything.
pub(super) fn write(
    desk: &mut Desk<'_>,
    (payment, is_new): (i64, bool),
    notices: &[Notice],
    recipients: &[String],
    now: Timestamp,
) -> rusqlite::Result<()> {
    // Conditions speak of what was said before, not of one another's letters.
    let mut letters = Vec::new();
    for notice in notices {
        for recipient in recipients {
            if wanted(desk, (payment, is_new), recipient, notice.condition)? {
                letters.push((notice, recipient));
            }
        }
    }
    for (notice, recipient) in letters {
        let number = desk.next_letter()?;
        let written =
            desk.statements.letter.execute(params![number, payment, notice.kind.code(), recipient, millis(now)])?;
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
    desk: &Desk<'_>,
    (payment, is_new): (i64, bool),
    recipient: &str,
    condition: Condition,
) -> rusqlite::Result<bool> {
    let told = |such: &str, of: &dyn Fn(NoticeKind) -> bool| -> rusqlite::Result<bool> {
        if is_new {
            return Ok(false);
        }
        let mut letters = desk.connection.prepare_cached(&format!(
            "SELECT notice FROM (SELECT *, attempts - (id IS ?3) AS tries FROM outbox \
             WHERE payment_id = ?1 AND recipient = ?2) AS letter WHERE {such} \
             AND NOT EXISTS (SELECT 1 FROM outbox AS later WHERE later.payment_id = ?1 AND later.recipient = ?2 \
             AND later.notice LIKE 'corrected:%' AND later.written > letter.written)"
        ))?;
        let mut letters = letters.query(params![payment, recipient, desk.taken_up.here()])?;
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

/// Takes up a letter. `false` if it was withdrawn meanwhile: then it must not go.
fn begin(desk: &mut Desk<'_>, letter: i64) -> rusqlite::Result<bool> {
    let begun = desk
        .connection
        .prepare_cached("UPDATE outbox SET attempts = attempts + 1 WHERE id = ?1 AND state = 'waiting'")?
        .execute([letter])?;
    if begun > 0 {
        desk.taken_up.take(letter);
    }
    Ok(begun > 0)
}

/// Notes what became of an attempt. A letter that was withdrawn meanwhile is not tried again, but may have arrived.
fn settle(desk: &mut Desk<'_>, letter: i64, attempt: &Attempt, now: Timestamp) -> rusqlite::Result<()> {
    let (state, due, error) = match attempt {
        Attempt::Sent => ("sent", None, None),
        Attempt::Deferred { until, error } => ("waiting", Some(millis(*until)), Some(error)),
        Attempt::Refused { error } => ("refused", None, Some(error)),
        Attempt::GivenUp { error } => ("given-up", None, Some(error)),
        Attempt::NotMade => return give_back(desk, letter),
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

/// Puts a letter back that was taken up and not tried.
fn give_back(desk: &Desk<'_>, letter: i64) -> rusqlite::Result<()> {
    desk.taken_up.hand_out(letter);
    desk.connection
        .prepare_cached("UPDATE outbox SET attempts = attempts - 1 WHERE id = ?1 AND attempts > 0")?
        .execute([letter])?;
    Ok(())
}

/// Puts letters that were refused, given up or tried in vain back into the post: one, or all. They are tried for as long
/// as new ones, and stay letters that have been tried. A letter that has not been tried yet waits on.
fn retry(desk: &mut Desk<'_>, letter: Option<i64>, now: Timestamp) -> rusqlite::Result<usize> {
    let such = if letter.is_some() { "id = ?2" } else { "TRUE" };
    let again = desk
        .connection
        .prepare_cached(&format!(
            "UPDATE outbox SET state = 'waiting', due = ?1, settled = NULL, retried = ?1, tries_before = attempts \
             WHERE {such} AND (state IN ('refused', 'given-up') OR (state = 'waiting' AND attempts > 0))"
        ))?
        .execute(params_from_iter([Some(millis(now)), letter].into_iter().flatten()))?;
    desk.wake_mailer();
    Ok(again)
}

/// Has letters that wait for their next try, or were written by a clock that was ahead of `now`, due so much earlier.
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
fn due(connection: &Connection, now: Timestamp, limit: usize) -> rusqlite::Result<Vec<Letter>> {
    let mut reports: HashMap<i64, (String, Arc<Reported>)> = HashMap::new();
    let mut statement = connection.prepare_cached(&due_statement())?;
    let mut letters = statement.query(params![millis(now), i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut due = Vec::new();
    while let Some(row) = letters.next()? {
        let recipient: String = row.get("recipient")?;
        let (about, token) = match row.get::<_, Option<i64>>("run_id")? {
            None => {
                let (kind, payment) = of_payment(row)?;
                let token = chain::letter_token(&payment, kind, &recipient);
                (About::Payment { kind, payment }, token)
            }
            Some(run) => {
                let (name, reported) = match reports.entry(run) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(unknown) => {
                        let (name, reported) = runs::reported(connection, run)?;
                        unknown.insert((name, Arc::new(reported)))
                    }
                };
                let token = chain::report_token(name, &reported.report.days, &recipient);
                (About::Report(Arc::clone(reported)), token)
            }
        };
        due.push(Letter {
            id: row.get(rows::PAYMENT_COLUMNS)?,
            recipient,
            about,
            written: rows::instant(row, WRITTEN)?,
            since: rows::instant(row, WRITTEN + 1)?,
            attempts: row.get("attempts")?,
            token,
        });
    }
    Ok(due)
}

/// Where a letter's notice stands after the columns of its payment.
const NOTICE: usize = rows::PAYMENT_COLUMNS + 1;
/// Where it says when it was written.
const WRITTEN: usize = rows::PAYMENT_COLUMNS + 2;

/// What a letter about a payment is about.
fn of_payment(row: &Row<'_>) -> rusqlite::Result<(NoticeKind, Box<Payment>)> {
    Ok((rows::text(row, NOTICE, NoticeKind::from_code)?, Box::new(rows::payment(row)?.1)))
}

pub(super) fn due_statement() -> String {
    format!(
        "SELECT {}, outbox.id, notice, written, coalesce(retried, written), recipient, \
         attempts - tries_before AS attempts, run_id FROM outbox \
         LEFT JOIN payment ON payment.id = outbox.payment_id LEFT JOIN integration ON integration.id = integration_id \
         WHERE state = 'waiting' AND outbox.due <= ?1 ORDER BY outbox.due LIMIT ?2",
        rows::PAYMENT
    )
}

/// When the next letter after `now` becomes due.
fn next_due(connection: &Connection, now: Timestamp) -> rusqlite::Result<Option<Timestamp>> {
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
