//! The record: events are appended to it, and those about one payment lead from its row to the newest of them and from
//! each to the one before. So the way to them needs no index, which would be one more page in nearly every commit.

use rusqlite::params;

use super::chain::{self, Entry, Link};
use super::rows::millis;
use super::writer::Desk;
use crate::domain::{Decision, GatewayKey, IntegrationName, Observation, SaidAt, Timestamp};

/// A table `about` of the numbers of all events about the payment numbered `payment`, to stand before a statement. It
/// comes to an end in a damaged ledger, too.
pub(super) fn about(payment: &str) -> String {
    format!(
        "WITH RECURSIVE about (id) AS (SELECT last_event FROM payment WHERE id = {payment} AND last_event IS NOT NULL \
         UNION ALL SELECT before FROM about CROSS JOIN event ON event.id = about.id WHERE before < about.id)"
    )
}

/// Where an event stands.
#[derive(Clone, Copy)]
pub(super) struct Position {
    /// Its own number.
    pub(super) event: i64,
    /// The payment that it is about.
    pub(super) payment: i64,
    /// The event before it about the same payment.
    pub(super) before: Option<i64>,
}

pub(super) const APPEND: &str = "INSERT INTO event (id, payment_id, before, at, channel, evidence, outcome, said, \
     wire_status, said_at, said_earliest, said_latest, reference, gateway_reference, amount, amount_paid, method, status, \
     trust, body, digest) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)";

/// Appends what was seen, chained to the event before it. The payment's row leads to it already.
pub(super) fn append(
    desk: &mut Desk<'_>,
    at: Position,
    seen: &Observation,
    body: &Link,
    decision: &Decision,
) -> rusqlite::Result<()> {
    let (after, outcome) = (&decision.payment, decision.outcome);
    let entry = Entry::Seen { seen, outcome, after: (after.status, after.trust) };
    let digest = chain::link(&desk.head()?, &entry, body);
    let meant = seen.said_at.as_ref().and_then(SaidAt::meant);
    desk.statements.append.execute(params![
        at.event,
        at.payment,
        at.before,
        millis(seen.at),
        seen.channel,
        seen.evidence,
        outcome,
        seen.status,
        seen.wire_status,
        seen.said_at.as_ref().map(SaidAt::as_str),
        meant.map(|(earliest, _)| millis(earliest)),
        meant.map(|(_, latest)| millis(latest)),
        seen.facts.reference,
        seen.facts.gateway_reference,
        seen.facts.amount,
        seen.facts.amount_paid,
        seen.facts.method,
        after.status,
        after.trust,
        seen.body,
        digest,
    ])?;
    desk.advance(at.event, digest);
    Ok(())
}

/// Appends a person's decision, chained to the event before it, and has the payment lead to it, if it is about one.
pub(super) fn append_decision(
    desk: &mut Desk<'_>,
    payment: Option<i64>,
    about: Option<(&IntegrationName, &GatewayKey)>,
    at: Timestamp,
    body: &[u8],
) -> rusqlite::Result<()> {
    let digest = chain::link(&desk.head()?, &Entry::Decided { about, at }, &chain::body_digest(body));
    let [channel, evidence, outcome] = chain::DECIDED;
    let event = desk.next_event()?;
    desk.connection
        .prepare_cached(
            "INSERT INTO event (id, payment_id, before, at, channel, evidence, outcome, body, digest) \
             VALUES (?1, ?2, (SELECT last_event FROM payment WHERE id = ?2), ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![event, payment, millis(at), channel, evidence, outcome, body, digest])?;
    desk.advance(event, digest);
    payment.map_or(Ok(()), |payment| lead_to(desk, payment, event))
}

/// Has the row of a payment lead to its newest event.
pub(super) fn lead_to(desk: &Desk<'_>, payment: i64, event: i64) -> rusqlite::Result<()> {
    desk.connection.prepare_cached("UPDATE payment SET last_event = ?2 WHERE id = ?1")?.execute([payment, event])?;
    Ok(())
}
