//! What the mailer asks and notes: which letters are due, that one is taken up and goes, and what came of it. None of
//! this is done with a transaction open.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Params, params, params_from_iter};

use super::chain;
use super::letter::{About, Attempt, Letter};
use super::outbox::{WRITTEN, of_payment};
use super::rows::{self, millis};
use super::runs::{self, Reported};
use super::writer::Desk;
use super::{Admission, Ledger, LedgerError, unconfirmed};
use crate::domain::Timestamp;

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

    /// Notes what came of letters that were taken up, and takes up the `next` one: both in one wait for the disk. Returns
    /// that as it now stands, or nothing if it has been withdrawn since it was due. Before it goes, ask
    /// [`hand_out`](Self::hand_out).
    ///
    /// # Errors
    /// Nothing was stored: note what came of the letters before any other is sent. Until then they would be sent again,
    /// with the same Message-ID.
    pub async fn next_letter(
        &self,
        carried: Vec<(i64, Attempt)>,
        next: Option<Letter>,
        now: Timestamp,
    ) -> Result<Option<Letter>, LedgerError> {
        let codes: Vec<_> = carried.iter().filter_map(|(_, attempt)| attempt.code()).collect();
        let turn = move |desk: &mut Desk<'_>| {
            carried.iter().try_for_each(|(letter, attempt)| settle(desk, *letter, attempt, now))?;
            next.as_ref().map_or(Ok(None), |next| begin(desk, next))
        };
        let begun = self.writer.write(Admission::Wait, turn).await?;
        for code in codes {
            self.counts.letters.of(&code).raise();
        }
        // Not before it is on disk. Whoever has news of its payment meanwhile takes it for one that has gone.
        Ok(begun.map(|(letter, payment)| {
            self.taken_up.take(letter.id, payment);
            letter
        }))
    }

    /// The letter that was taken up last goes, from now on. `false` if there has been news of its payment meanwhile: do not
    /// send it as it is, but note that it was [not tried](Attempt::NotMade).
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

/// Takes up a letter that was due, if it was not withdrawn meanwhile. Returns it as it now stands, and the number of the
/// payment it is about.
fn begin(desk: &Desk<'_>, due: &Letter) -> rusqlite::Result<Option<(Letter, Option<i64>)>> {
    let taken = match due.about {
        About::Payment { .. } => letters(desk.connection, &one_statement(), [due.id])?.pop(),
        // Nothing becomes of a report any more.
        About::Report(_) => Some((due.clone(), None)),
    };
    let begun = desk
        .connection
        .prepare_cached("UPDATE outbox SET attempts = attempts + 1 WHERE id = ?1 AND state = 'waiting'")?
        .execute([due.id])?;
    Ok(taken.filter(|_| begun > 0))
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

/// Puts a letter back that was taken up and not tried. Somebody may have retried it meanwhile.
fn give_back(desk: &Desk<'_>, letter: i64) -> rusqlite::Result<()> {
    desk.taken_up.hand_out(letter);
    desk.connection
        .prepare_cached(
            "UPDATE outbox SET attempts = attempts - 1, tries_before = min(tries_before, attempts - 1) \
             WHERE id = ?1 AND attempts > 0",
        )?
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
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let due = letters(connection, &due_statement(), params![millis(now), limit])?;
    Ok(due.into_iter().map(|(letter, _)| letter).collect())
}

/// The letters that a statement finds, each with the number of the payment it is about.
fn letters(
    connection: &Connection,
    statement: &str,
    such: impl Params,
) -> rusqlite::Result<Vec<(Letter, Option<i64>)>> {
    let mut reports: HashMap<i64, (String, Arc<Reported>)> = HashMap::new();
    let mut statement = connection.prepare_cached(statement)?;
    let mut rows = statement.query(such)?;
    let mut letters = Vec::new();
    while let Some(row) = rows.next()? {
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
        let letter = Letter {
            id: row.get(rows::PAYMENT_COLUMNS)?,
            recipient,
            about,
            written: rows::instant(row, WRITTEN)?,
            since: rows::instant(row, WRITTEN + 1)?,
            attempts: row.get("attempts")?,
            token,
        };
        letters.push((letter, row.get("payment_id")?));
    }
    Ok(letters)
}

pub(super) fn due_statement() -> String {
    statement("state = 'waiting' AND outbox.due <= ?1 ORDER BY outbox.due LIMIT ?2")
}

/// One letter, if it waits.
pub(super) fn one_statement() -> String {
    statement("state = 'waiting' AND outbox.id = ?1")
}

/// Finds such letters. How often they were tried counts from when they were retried.
fn statement(such: &str) -> String {
    format!(
        "SELECT {}, outbox.id, notice, written, coalesce(retried, written), recipient, \
         max(attempts - tries_before, 0) AS attempts, run_id, payment_id FROM outbox \
         LEFT JOIN payment ON payment.id = outbox.payment_id LEFT JOIN integration ON integration.id = integration_id \
         WHERE {such}",
        rows::PAYMENT
    )
}

/// When the next letter after `now` becomes due.
fn next_due(connection: &Connection, now: Timestamp) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("SELECT min(due) FROM outbox WHERE state = 'waiting' AND due > ?1")?
        .query_row([millis(now)], |row| rows::maybe_instant(row, 0))
}
