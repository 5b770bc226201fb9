//! Orders that are looked for by the merchant's trace: which to ask about next, and what asking brought.

use rusqlite::{Connection, OptionalExtension, params};

use super::chain::Link;
use super::record::{self, Recorded};
use super::rows::{self, millis};
use super::writer::Desk;
use super::{states, ties};
use crate::domain::{IntegrationName, MerchantTrace, Observation, Payment, Reference, Status, Terms, Timestamp};

/// An order whose gateway is due to be asked for its payment.
#[derive(Clone, Debug)]
pub struct DueTrace {
    /// The ledger's number for the order.
    pub id: i64,
    /// Through which integration it is to be paid.
    pub integration: IntegrationName,
    /// The merchant's word for it.
    pub reference: Reference,
    /// By what the gateway finds it.
    pub trace: MerchantTrace,
    /// Since when it has been due.
    pub due: Timestamp,
    /// The payment of that reference that has come by itself, if one has: then there is nothing to ask.
    pub payment: Option<i64>,
}

/// A trace that brought no payment.
#[derive(Clone, Debug)]
pub struct Untraced {
    /// Whose.
    pub integration: IntegrationName,
    /// The ledger's number for the order.
    pub id: i64,
    /// By what it was looked for: by now the shop may have begun it anew, under another.
    pub trace: MerchantTrace,
    /// When.
    pub at: Timestamp,
    /// `not-found`, or the stable code of what went wrong.
    pub code: &'static str,
    /// How long the gateway wants to be left alone.
    pub retry_after: Option<std::time::Duration>,
}

/// The orders of these integrations that are due at `now`, the longest due first, at most `limit`.
pub(super) fn due(
    connection: &Connection,
    integrations: &[String],
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<DueTrace>> {
    let names = serde_json::to_string(integrations).unwrap_or_default();
    connection
        .prepare_cached(DUE)?
        .query_map(params![millis(now), i64::try_from(limit).unwrap_or(i64::MAX), names], |row| {
            Ok(DueTrace {
                id: row.get(0)?,
                integration: rows::text(row, 1, |text| IntegrationName::parse(text).ok())?,
                reference: rows::text(row, 2, |text| Reference::parse(text).ok())?,
                trace: rows::text(row, 3, |text| MerchantTrace::parse(text).ok())?,
                due: rows::instant(row, 4)?,
                payment: row.get(5)?,
            })
        })?
        .collect()
}

/// A payment without money may not be the one the shop began last, so it ends no search.
pub(super) const DUE: &str = "SELECT expectation.id, integration.name, expectation.reference, trace, trace_due, \
     (SELECT payment.id FROM payment INDEXED BY payment_by_reference WHERE payment.reference = expectation.reference \
     AND payment.integration_id = expectation.integration_id \
     AND paid_at IS NOT NULL ORDER BY payment.id DESC LIMIT 1) \
     FROM expectation INDEXED BY expectation_by_trace_due \
     CROSS JOIN integration ON integration.id = expectation.integration_id \
     WHERE trace_due <= ?1 AND integration.name IN (SELECT value FROM json_each(?3)) ORDER BY trace_due LIMIT ?2";

/// When the next order after `now` becomes due.
pub(super) fn next_due(connection: &Connection, now: Timestamp) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("SELECT min(trace_due) FROM expectation WHERE trace_due > ?1")?
        .query_row([millis(now)], |row| rows::maybe_instant(row, 0))
}

/// The gateway has answered with a payment: it is recorded as any other word of it, and the search is over.
pub(super) fn found(
    desk: &mut Desk<'_>,
    (order, trace): (i64, &MerchantTrace),
    seen: &Observation,
    body: &Link,
    terms: &Terms,
) -> rusqlite::Result<Recorded> {
    let recorded = record::record(desk, seen, body, None, terms)?;
    let integration = desk.integration(&seen.integration)?;
    let payment = record::find(desk, integration, &seen.key)?.map(|found| found.id);
    desk.connection
        .prepare_cached(
            "UPDATE expectation SET payment_id = ?3, trace_answer = 'found', traced = ?4, \
             trace_attempt = trace_attempt + 1, trace_due = NULL WHERE id = ?1 AND trace = ?2",
        )?
        .execute(params![order, trace, payment, millis(seen.at)])?;
    Ok(recorded)
}

/// `payment` stands paid: the order of its reference is paid by it, unless another one is known to.
pub(super) fn paid(desk: &mut Desk<'_>, integration: i64, id: i64, payment: &Payment) -> rusqlite::Result<()> {
    desk.statements.paid.execute(params![integration, payment.facts.reference, id])?;
    Ok(())
}

pub(super) fn paid_statement() -> String {
    format!(
        "UPDATE expectation SET payment_id = iif({0}, ?3, payment_id), trace_due = NULL \
         WHERE integration_id = ?1 AND reference = ?2 AND (trace_due IS NOT NULL OR {0})",
        ties::untied()
    )
}

/// The payment that pays the order of this reference already, if one stands paid.
pub(super) fn paying(desk: &Desk<'_>, integration: i64, reference: &Reference) -> rusqlite::Result<Option<i64>> {
    desk.connection
        .prepare_cached(&format!(
            "SELECT id FROM payment INDEXED BY payment_by_reference WHERE reference = ?2 AND integration_id = ?1 \
             AND status IN {} AND trust <> 'reported' ORDER BY id LIMIT 1",
            states::statuses(Status::is_paid)
        ))?
        .query_row(params![integration, reference], |row| row.get(0))
        .optional()
}

/// `payment` has been given up: perhaps it is not the one that the shop began last, so the order is looked for by its
/// trace at once.
pub(super) fn given_up(desk: &mut Desk<'_>, payment: i64, now: Timestamp) -> rusqlite::Result<()> {
    let sooner = desk
        .connection
        .prepare_cached("UPDATE expectation SET trace_due = ?2 WHERE payment_id = ?1 AND trace_due > ?2")?
        .execute(params![payment, millis(now)])?;
    if sooner > 0 {
        desk.wake_poller();
    }
    Ok(())
}

/// The payment has come by itself: nothing is left to look for.
pub(super) fn came(desk: &Desk<'_>, order: i64, payment: i64) -> rusqlite::Result<()> {
    desk.connection
        .prepare_cached(&format!(
            "UPDATE expectation SET payment_id = iif({}, ?2, payment_id), trace_due = NULL WHERE id = ?1",
            ties::untied()
        ))?
        .execute(params![order, payment])?;
    Ok(())
}

/// Asking brought no payment: notes why, and when to ask again, by the schedule of payments that are not paid yet.
pub(super) fn untraced(desk: &Desk<'_>, asked: &Untraced, terms: &Terms) -> rusqlite::Result<()> {
    let mut plan = desk.connection.prepare_cached(
        "SELECT trace_attempt + 1, coalesce(trace_since, ?3) FROM expectation WHERE id = ?1 AND trace = ?2 \
         AND trace_due IS NOT NULL",
    )?;
    let mut found = plan.query(params![asked.id, asked.trace, millis(asked.at)])?;
    let Some(row) = found.next()? else { return Ok(()) };
    let (attempt, since) = (row.get(0)?, rows::instant(row, 1)?);
    let next = terms.schedule.after_trace(&asked.trace, attempt, since, asked.at);
    let next = next.map(|due| asked.retry_after.map_or(due, |wait| due.max(asked.at + wait)));
    desk.connection
        .prepare_cached(
            "UPDATE expectation SET trace_due = ?2, trace_attempt = ?3, trace_since = ?4, traced = ?5, trace_answer = ?6 \
             WHERE id = ?1",
        )?
        .execute(params![asked.id, next.map(millis), attempt, millis(since), millis(asked.at), asked.code])?;
    Ok(())
}
