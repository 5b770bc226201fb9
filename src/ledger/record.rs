//! The one door: an observation goes in, and everything that follows from it is stored in one transaction.

use std::net::IpAddr;

use rusqlite::{OptionalExtension, Row, params};

use super::chain::Link;
use super::events::{self, Position};
use super::outbox::Told;
use super::rows::{self, StoredKey, millis};
use super::writer::Desk;
use super::{Refused, discrepancies, outbox, polls, quarantine, repeats, traces};
use crate::domain::{
    Channel, Class, Decision, GatewayKey, Known, Observation, Outcome, Payment, Refusal, Status, Terms, Timestamp,
    Trust,
};

/// How many payments of one reference are looked at, newest first, to see whether an order is paid twice: a shop that
/// uses one word for everything must not make every payment cost a scan.
const SIBLINGS: usize = 50;

/// What became of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What it was.
    pub outcome: Outcome,
    /// Where the payment stands now.
    pub status: Status,
    /// Whether the message itself was stored, or only counted: the like of it has come too often.
    pub kept: bool,
}

/// How a post arrived, beside its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// From whom, as far as that is known.
    pub peer: Option<IpAddr>,
    /// The headers that are to prove it, one a line, where the protocol keeps any.
    pub signatures: Option<String>,
}

impl Arrival {
    /// From `peer`, with these headers.
    pub fn new(peer: Option<IpAddr>, signatures: &[&[u8]]) -> Self {
        let lines = || signatures.iter().map(|value| String::from_utf8_lossy(value)).collect::<Vec<_>>().join("\n");
        Self { peer, signatures: (!signatures.is_empty()).then(lines) }
    }
}

/// Decides about `seen` and stores the decision. `body` is the digest of its body.
pub(super) fn record(
    desk: &mut Desk<'_>,
    seen: &Observation,
    body: &Link,
    arrival: Option<&Arrival>,
    terms: &Terms,
) -> rusqlite::Result<Recorded> {
    let integration = desk.integration(&seen.integration)?;
    let found = find(desk, integration, &seen.key)?;
    let known = found.as_ref().map(|found| &found.known);
    let decision = Payment::decide(known, seen, terms);
    let news = known.is_none_or(|known| known.payment != decision.payment);
    let replanned = known.is_none_or(|known| known.plan != decision.plan);
    let kept = match &found {
        Some(found) if !news && decision.outcome.can_be_replayed() => {
            repeats::count(desk, found.id, decision.outcome, seen.at)?
        }
        _ => true,
    };
    let event = if kept && decision.outcome.is_event() { Some(desk.next_event()?) } else { None };

    let id = match &found {
        Some(found) if news => update(desk, found, &decision, event, terms)?,
        Some(found) => {
            if replanned {
                polls::plan(desk, found.id, &decision.plan)?;
            }
            if let Some(event) = event {
                events::lead_to(desk, found.id, event)?;
            }
            found.id
        }
        None => insert(desk, integration, &decision, event, terms)?,
    };
    if news && decision.unconfirmed_at.is_some_and(|at| at <= seen.at + super::SOON) {
        desk.wake_mailer();
    }
    if replanned {
        polls::planned(desk, &decision.plan, seen.at);
    }
    if let Some(event) = event {
        let before = found.as_ref().and_then(|found| found.last_event);
        events::append(desk, Position { event, payment: id, before }, seen, body, &decision)?;
    }
    if kept && decision.outcome == Outcome::Contradicted {
        keep(desk, integration, seen, arrival, &decision)?;
    }
    if matches!(seen.channel, Channel::Poll | Channel::Trace) {
        polls::log(desk, id, decision.outcome.code(), seen.status.code(), seen.at)?;
        discrepancies::settle(desk, integration, id, &Class::SETTLED_BY_AN_ANSWER, seen.at)?;
        if news {
            discrepancies::settle_borne_out(desk, integration, id, &decision.payment.facts, seen.at)?;
        }
    }
    let recalled = found.as_ref().and_then(|found| desk.taken_up.recall(found.id));
    outbox::withdraw(desk, id, &decision.withdrawn, recalled)?;
    let told = Told { payment: id, is_new: found.is_none(), recalled };
    outbox::write(desk, told, &decision.notices, &terms.recipients, seen.at)?;
    if kept || !seen.channel.is_post() {
        discrepancies::open(desk, integration, Some(id), &decision.findings, seen.at)?;
    }
    discrepancies::settle(desk, integration, id, decision.settled, seen.at)?;
    if news {
        let before = found.as_ref().map(|found| &found.known.payment);
        count_paid(desk, integration, id, before, &decision.payment, seen.at)?;
        if decision.payment.stands_paid() {
            traces::paid(desk, integration, id, &decision.payment)?;
        } else if decision.payment.status.is_dead() {
            traces::given_up(desk, id, seen.at)?;
        }
    }
    Ok(Recorded { outcome: decision.outcome, status: decision.payment.status, kept })
}

/// Keeps what contradicts the payment in quarantine.
fn keep(
    desk: &mut Desk<'_>,
    integration: i64,
    seen: &Observation,
    arrival: Option<&Arrival>,
    decision: &Decision,
) -> rusqlite::Result<()> {
    let reason = decision.findings.first().map_or_else(String::new, |finding| {
        format!("contradicts what is known of the payment: {} instead of {}", finding.found, finding.expected)
    });
    let refused = Refused {
        integration: seen.integration.clone(),
        at: seen.at,
        arrival: arrival.cloned().unwrap_or_else(|| Arrival::new(None, &[])),
        kind: Refusal::Contradicts,
        reason,
        about: None,
        body: seen.body.clone(),
    };
    quarantine::keep(desk, integration, &refused)
}

/// Keeps the finding that an order is paid twice true: opened by the payment that makes it so, settled on all of them
/// when one ceases to be paid and at most one is left. A paid state that is claimed but not proven yet does neither.
fn count_paid(
    desk: &Desk<'_>,
    integration: i64,
    id: i64,
    before: Option<&Payment>,
    after: &Payment,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let moved = |before: &Payment| before.facts.reference != after.facts.reference;
    let may_be_paid = |payment: &Payment| payment.status.is_paid() || payment.is_unproven();
    if after.stands_paid()
        && before.is_none_or(|before| !before.stands_paid() || moved(before))
        && let Some(finding) = after.paid_twice(&siblings(desk, integration, after)?.1)
    {
        discrepancies::open(desk, integration, Some(id), &[finding], now)?;
    }
    if let Some(before) = before.filter(|before| may_be_paid(before) && (!may_be_paid(after) || moved(before))) {
        let (numbers, payments) = siblings(desk, integration, before)?;
        let twice = payments.iter().any(|payment| payment.paid_twice(&payments).is_some());
        for sibling in numbers.into_iter().filter(|_| !twice).chain([id]) {
            discrepancies::settle(desk, integration, sibling, &[Class::DuplicatePayment], now)?;
        }
    }
    Ok(())
}

/// The payments of the same reference, this one included as it is stored.
fn siblings(desk: &Desk<'_>, integration: i64, payment: &Payment) -> rusqlite::Result<(Vec<i64>, Vec<Payment>)> {
    let Some(reference) = &payment.facts.reference else { return Ok((Vec::new(), Vec::new())) };
    let found: rusqlite::Result<Vec<(i64, Payment)>> = desk
        .connection
        .prepare_cached(&format!(
            "SELECT {} FROM payment INDEXED BY payment_by_reference JOIN integration ON integration.id = integration_id \
             WHERE payment.reference = ?1 AND integration_id = ?2 ORDER BY payment.id DESC LIMIT {SIBLINGS}",
            rows::PAYMENT
        ))?
        .query_map(params![reference, integration], rows::payment)?
        .collect();
    Ok(found?.into_iter().unzip())
}

/// A payment as it stands in the ledger.
pub(super) struct Found {
    /// Its number.
    pub(super) id: i64,
    /// What is known of it.
    pub(super) known: Known,
    /// The newest event about it.
    last_event: Option<i64>,
}

/// The payment with this key, if we have heard of it.
pub(super) fn find(desk: &mut Desk<'_>, integration: i64, key: &GatewayKey) -> rusqlite::Result<Option<Found>> {
    let key = StoredKey::from(key);
    for id in desk.payments(integration, &key)? {
        let found = |row: &Row<'_>| {
            let (id, known) = rows::known(row)?;
            Ok(Found { id, known, last_event: row.get("last_event")? })
        };
        let found = desk.statements.find.query_row(params![id, integration, key], found).optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

pub(super) fn find_statement() -> String {
    format!(
        "SELECT {}, {}, last_event FROM payment JOIN integration ON integration.id = integration_id \
         WHERE payment.id = ?1 AND integration_id = ?2 AND gateway_key = ?3",
        rows::PAYMENT,
        rows::KNOWN
    )
}

pub(super) const INSERT: &str = "INSERT INTO payment (integration_id, gateway_key, reference, gateway_reference, amount, \
     amount_paid, method, currency, mode, status, wire_status, trust, poll_url, posted, paid_at, first_seen, last_changed, \
     poll_due, poll_pace, poll_attempt, poll_since, poll_asked, unconfirmed_due, unconfirmed_to, last_event) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, \
     ?24, ?25)";

fn insert(
    desk: &mut Desk<'_>,
    integration: i64,
    decision: &Decision,
    event: Option<i64>,
    terms: &Terms,
) -> rusqlite::Result<i64> {
    let Decision { payment, plan, unconfirmed_at, .. } = decision;
    let recipients = unconfirmed_at.map(|_| terms.recipients.join("\n"));
    let key = StoredKey::from(&payment.key);
    let id = desk.statements.insert.insert(params![
        integration,
        key,
        payment.facts.reference,
        payment.facts.gateway_reference,
        payment.facts.amount,
        payment.facts.amount_paid,
        payment.facts.method,
        payment.currency,
        payment.mode,
        payment.status,
        payment.wire_status,
        payment.trust,
        payment.poll_url,
        payment.posted,
        payment.paid_at.map(millis),
        millis(payment.first_seen),
        millis(payment.last_changed),
        plan.due.map(millis),
        plan.pace,
        plan.attempt,
        millis(plan.since),
        plan.asked.map(millis),
        unconfirmed_at.map(millis),
        recipients,
        event,
    ])?;
    desk.opened(integration, &key, id);
    Ok(id)
}

pub(super) const UPDATE: &str = "UPDATE payment SET amount = ?2, amount_paid = ?3, method = ?4, status = ?5, \
     wire_status = ?6, trust = ?7, poll_url = ?8, posted = ?9, paid_at = ?10, last_changed = ?11, poll_due = ?12, \
     poll_pace = ?13, poll_attempt = ?14, poll_since = ?15, poll_asked = ?16, unconfirmed_due = ?17, \
     unconfirmed_to = iif(?17 IS unconfirmed_due, unconfirmed_to, ?18), proven = ?19, last_event = ?20 WHERE id = ?1";

/// Stores what has become of a payment. Names change once at most: their indexes are left alone until they do.
fn update(
    desk: &mut Desk<'_>,
    found: &Found,
    decision: &Decision,
    event: Option<i64>,
    terms: &Terms,
) -> rusqlite::Result<i64> {
    let Found { id, known, last_event } = found;
    let Decision { payment, plan, unconfirmed_at, .. } = decision;
    let proven = known.proven.filter(|_| payment.trust == Trust::Reported);
    let recipients = unconfirmed_at.map(|_| terms.recipients.join("\n"));
    desk.statements.update.execute(params![
        id,
        payment.facts.amount,
        payment.facts.amount_paid,
        payment.facts.method,
        payment.status,
        payment.wire_status,
        payment.trust,
        payment.poll_url,
        payment.posted,
        payment.paid_at.map(millis),
        millis(payment.last_changed),
        plan.due.map(millis),
        plan.pace,
        plan.attempt,
        millis(plan.since),
        plan.asked.map(millis),
        unconfirmed_at.map(millis),
        recipients,
        proven,
        event.or(*last_event),
    ])?;
    let before = &known.payment.facts;
    if (&before.reference, &before.gateway_reference) != (&payment.facts.reference, &payment.facts.gateway_reference) {
        desk.connection
            .prepare_cached("UPDATE payment SET reference = ?2, gateway_reference = ?3 WHERE id = ?1")?
            .execute(params![id, payment.facts.reference, payment.facts.gateway_reference])?;
    }
    Ok(*id)
}
