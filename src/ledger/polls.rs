//! Whom to ask next, and what asking brought.

use rusqlite::{Connection, params};

use super::rows::{self, millis};
use super::writer::Desk;
use super::{discrepancies, record};
use crate::domain::{Finding, GatewayKey, IntegrationName, Known, Payment, PollPlan, Terms, Timestamp};

/// A payment whose gateway is due to be asked.
#[derive(Clone, Debug)]
pub struct DuePoll {
    /// The ledger's number for the payment, for telling polls in flight apart.
    pub id: i64,
    /// The payment.
    pub payment: Payment,
    /// Since when it has been due.
    pub due: Timestamp,
}

/// Stores when a payment is to be asked about.
pub(super) fn plan(desk: &mut Desk<'_>, payment: i64, plan: &PollPlan, now: Timestamp) -> rusqlite::Result<()> {
    desk.connection
        .prepare_cached(
            "INSERT INTO poll (payment_id, due, pace, attempt, since, asked) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT DO UPDATE SET due = excluded.due, pace = excluded.pace, attempt = excluded.attempt, \
             since = excluded.since, asked = excluded.asked",
        )?
        .execute(params![
            payment,
            plan.due.map(millis),
            plan.pace,
            plan.attempt,
            millis(plan.since),
            plan.asked.map(millis)
        ])?;
    if plan.due.is_some_and(|due| due <= now + super::SOON) {
        desk.wake_poller();
    }
    Ok(())
}

/// Adds one poll to the log: to the newest row if it brought the same.
pub(super) fn log(desk: &Desk<'_>, payment: i64, outcome: &str, detail: &str, now: Timestamp) -> rusqlite::Result<()> {
    let same = desk
        .connection
        .prepare_cached(
            "UPDATE poll_log SET last_at = ?4, count = count + 1 WHERE payment_id = ?1 AND outcome = ?2 AND detail = ?3 \
             AND first_at = (SELECT max(first_at) FROM poll_log WHERE payment_id = ?1)",
        )?
        .execute(params![payment, outcome, detail, millis(now)])?;
    if same == 0 {
        desk.connection
            .prepare_cached(
                "INSERT INTO poll_log (payment_id, first_at, last_at, count, outcome, detail) VALUES (?1, ?2, ?2, 1, ?3, ?4) \
                 ON CONFLICT DO UPDATE SET last_at = excluded.last_at, count = 1, outcome = excluded.outcome, \
                 detail = excluded.detail",
            )?
            .execute(params![payment, millis(now), outcome, detail])?;
    }
    Ok(())
}

/// A poll brought nothing that proves anything.
#[derive(Clone, Debug)]
pub struct Unanswered {
    /// Which integration.
    pub integration: IntegrationName,
    /// Which payment.
    pub key: GatewayKey,
    /// When.
    pub at: Timestamp,
    /// The stable code of what went wrong.
    pub code: &'static str,
    /// The same for people.
    pub detail: String,
    /// What a person must look into, if it does not pass by itself.
    pub finding: Option<Finding>,
    /// How long the gateway wants to be left alone.
    pub retry_after: Option<std::time::Duration>,
}

/// Moves the payment's plan on after a poll that proved nothing. Whether that brought a finding that was not open.
pub(super) fn unanswered(desk: &mut Desk<'_>, poll: &Unanswered, terms: &Terms) -> rusqlite::Result<bool> {
    let integration = desk.integration(&poll.integration)?;
    let Some((id, known)) = record::find(desk, integration, &poll.key)? else { return Ok(false) };
    let (next, last) = known.unanswered(terms, poll.at, poll.retry_after);
    plan(desk, id, &next, poll.at)?;
    log(desk, id, poll.code, &poll.detail, poll.at)?;
    discrepancies::open(desk, integration, Some(id), last.as_slice(), poll.at)?;
    discrepancies::open(desk, integration, Some(id), poll.finding.as_slice(), poll.at)
}

/// Has a known payment asked about as soon as courtesy allows.
pub(super) fn ask_soon(
    desk: &mut Desk<'_>,
    integration: i64,
    key: &GatewayKey,
    terms: &Terms,
    now: Timestamp,
) -> rusqlite::Result<Option<i64>> {
    let Some((id, Known { plan: old, .. })) = record::find(desk, integration, key)? else { return Ok(None) };
    if terms.confirmable {
        plan(desk, id, &terms.schedule.confirm_now(key, Some(&old), now), now)?;
    }
    Ok(Some(id))
}

/// The payments of these integrations that are due at `now`, the longest due first, at most `limit`.
pub(super) fn due(
    connection: &Connection,
    integrations: &[String],
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<DuePoll>> {
    let names = serde_json::to_string(integrations).unwrap_or_default();
    connection
        .prepare_cached(&due_statement())?
        .query_map(params![millis(now), i64::try_from(limit).unwrap_or(i64::MAX), names], |row| {
            let (id, known) = rows::known(row)?;
            Ok(DuePoll { id, payment: known.payment, due: known.plan.due.unwrap_or(now) })
        })?
        .collect()
}

/// CROSS makes SQLite begin with what is due: it would rather read every payment of an integration than sort.
pub(super) fn due_statement() -> String {
    format!(
        "SELECT {}, {} FROM poll CROSS JOIN payment ON payment.id = poll.payment_id \
         CROSS JOIN integration ON integration.id = integration_id WHERE poll.due <= ?1 \
         AND integration.name IN (SELECT value FROM json_each(?3)) ORDER BY poll.due LIMIT ?2",
        rows::PAYMENT,
        rows::KNOWN
    )
}

/// When the next payment after `now` becomes due.
pub(super) fn next_due(connection: &Connection, now: Timestamp) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("SELECT min(due) FROM poll WHERE due > ?1")?
        .query_row([millis(now)], |row| rows::maybe_instant(row, 0))
}

/// How many payments are on the schedule.
pub(super) fn scheduled(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT count(*) FROM poll WHERE due IS NOT NULL")?.query_row([], |row| row.get(0))
}
