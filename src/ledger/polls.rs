//! Whom to ask next, and what asking brought.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::discrepancies;
use super::record::{self, Found};
use super::rows::{self, millis};
use super::writer::Desk;
use crate::domain::{Finding, GatewayKey, IntegrationName, Payment, PollPlan, Terms, Timestamp};

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

pub(super) const PLAN: &str = "UPDATE payment SET poll_due = ?2, poll_pace = ?3, poll_attempt = ?4, poll_since = ?5, \
     poll_asked = ?6 WHERE id = ?1";

/// Stores when a payment is to be asked about.
pub(super) fn plan(desk: &mut Desk<'_>, payment: i64, plan: &PollPlan) -> rusqlite::Result<()> {
    desk.statements.plan.execute(params![
        payment,
        plan.due.map(millis),
        plan.pace,
        plan.attempt,
        millis(plan.since),
        plan.asked.map(millis)
    ])?;
    Ok(())
}

/// A plan was stored: if it is due soon, the poller should know.
pub(super) fn planned(desk: &mut Desk<'_>, plan: &PollPlan, now: Timestamp) {
    if plan.due.is_some_and(|due| due <= now + super::SOON) {
        desk.wake_poller();
    }
}

pub(super) const LOG_AGAIN: &str = "UPDATE poll_log SET last_at = ?4, count = count + 1 WHERE payment_id = ?1 \
     AND outcome = ?2 AND detail = ?3 AND first_at = (SELECT max(first_at) FROM poll_log WHERE payment_id = ?1 AND first_at <= ?4)";

pub(super) const LOG: &str = "INSERT INTO poll_log (payment_id, first_at, last_at, count, outcome, detail) \
     VALUES (?1, ?2, ?2, 1, ?3, ?4) ON CONFLICT DO UPDATE SET last_at = excluded.last_at, count = 1, \
     outcome = excluded.outcome, detail = excluded.detail";

/// Adds one poll to the log: to the newest row if it brought the same. Rows of a clock that was ahead are no newer.
pub(super) fn log(
    desk: &mut Desk<'_>,
    payment: i64,
    outcome: &str,
    detail: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    if desk.statements.log_again.execute(params![payment, outcome, detail, millis(now)])? == 0 {
        desk.statements.log.execute(params![payment, millis(now), outcome, detail])?;
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
    pub retry_after: Option<Duration>,
}

/// Moves the payment's plan on after a poll that proved nothing. Whether that brought a finding that was not open.
pub(super) fn unanswered(desk: &mut Desk<'_>, poll: &Unanswered, terms: &Terms) -> rusqlite::Result<bool> {
    let integration = desk.integration(&poll.integration)?;
    let Some(Found { id, known, .. }) = record::find(desk, integration, &poll.key)? else { return Ok(false) };
    let (next, last) = known.unanswered(terms, poll.at, poll.retry_after);
    plan(desk, id, &next)?;
    planned(desk, &next, poll.at);
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
    let Some(Found { id, known, .. }) = record::find(desk, integration, key)? else { return Ok(None) };
    if terms.confirmable {
        let next = terms.schedule.confirm_now(key, Some(&known.plan), now);
        plan(desk, id, &next)?;
        planned(desk, &next, now);
    }
    Ok(Some(id))
}

/// Has everything that is due after `now` due so much earlier.
pub(super) fn move_along(desk: &mut Desk<'_>, by: Duration, now: Timestamp) -> rusqlite::Result<()> {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    desk.connection
        .prepare_cached("UPDATE payment SET poll_due = poll_due - ?1 WHERE poll_due > ?2")?
        .execute([by, millis(now)])?;
    desk.connection
        .prepare_cached("UPDATE expectation SET trace_due = trace_due - ?1 WHERE trace_due > ?2")?
        .execute([by, millis(now)])?;
    desk.wake_poller();
    Ok(())
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

/// SQLite shall begin with what is due: it would rather read every payment of an integration than sort.
pub(super) fn due_statement() -> String {
    format!(
        "SELECT {}, {} FROM payment INDEXED BY payment_by_poll_due \
         CROSS JOIN integration ON integration.id = integration_id WHERE poll_due <= ?1 \
         AND integration.name IN (SELECT value FROM json_each(?3)) ORDER BY poll_due LIMIT ?2",
        rows::PAYMENT,
        rows::KNOWN
    )
}

/// When the first of all is due that is due later.
pub(super) const NEXT: &str = "SELECT min(poll_due) FROM payment INDEXED BY payment_by_poll_due WHERE poll_due > ?1";

/// When the next payment after `now` becomes due.
pub(super) fn next_due(connection: &Connection, now: Timestamp) -> rusqlite::Result<Option<Timestamp>> {
    connection.prepare_cached(NEXT)?.query_row([millis(now)], |row| rows::maybe_instant(row, 0))
}

/// How many payments are on the schedule.
pub(super) fn scheduled(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT count(*) FROM payment INDEXED BY payment_by_poll_due WHERE poll_due IS NOT NULL")?
        .query_row([], |row| row.get(0))
}
