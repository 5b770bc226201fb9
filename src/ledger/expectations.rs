//! What the merchant's books expect: one row for each integration and reference, and a payment to ask about as soon as
//! the books know where.

use rusqlite::{OptionalExtension, Row, params};

use super::rows::{self, millis};
use super::writer::Desk;
use super::{chain, record, traces};
use crate::domain::{
    Channel, Evidence, Expectation, Facts, IntegrationName, MerchantTrace, Mode, Observation, PollUrl, Reference,
    Status, Terms, Timestamp,
};

/// What an expectation turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The first word of this order.
    New,
    /// The same money was expected already. A poll URL, trace or due date that is new was added.
    Known,
    /// Other money was expected; now this is.
    Replaced,
    /// Other money is expected already, as given here; nothing was changed.
    Conflict(Box<Expectation>),
}

/// What to do when other money is expected under the same reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// Keep what is there and say so.
    Keep,
    /// The later word holds.
    Replace,
}

/// The columns that [`expectation`] reads, in its order.
pub(super) const EXPECTATION: &str = "expectation.id, integration.name, expectation.reference, expectation.amount, \
     expectation.currency, expectation.mode, expectation.created, expectation.due, expectation.poll_url, expectation.trace";

/// Stores what is expected, and begins to look for it. `begun` is the gateway's answer that proves its poll URL.
pub(super) fn expect(
    desk: &mut Desk<'_>,
    expected: &Expectation,
    begun: Option<&[u8]>,
    terms: &Terms,
    on_conflict: OnConflict,
    now: Timestamp,
) -> rusqlite::Result<Expected> {
    let integration = desk.integration(&expected.integration)?;
    let before = find(desk, integration, &expected.reference)?;
    let outcome = match &before {
        None => Expected::New,
        Some((_, before)) if before.agrees_with(expected) => Expected::Known,
        Some(_) if on_conflict == OnConflict::Replace => Expected::Replaced,
        Some((_, before)) => return Ok(Expected::Conflict(Box::new(before.clone()))),
    };
    let payment = match &expected.poll_url {
        Some(url) => open(desk, integration, expected, (url, begun), terms, now)?,
        // The books may come after the money.
        None => traces::paying(desk, integration, &expected.reference)?,
    };
    // Another trace is another attempt to pay: what was found or not by the first says nothing of it.
    let anew = before.as_ref().is_some_and(|(_, before)| {
        expected.trace.is_some() && before.trace.is_some() && expected.trace != before.trace
    });
    desk.connection
        .prepare_cached(
            "INSERT INTO expectation (integration_id, reference, amount, currency, mode, created, due, poll_url, trace, \
             payment_id, trace_due, trace_since) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
             iif(?10 IS NULL AND ?9 IS NOT NULL, ?11, NULL), iif(?9 IS NOT NULL, ?11, NULL)) \
             ON CONFLICT DO UPDATE SET amount = excluded.amount, currency = excluded.currency, \
             due = coalesce(excluded.due, due), poll_url = coalesce(excluded.poll_url, poll_url), \
             payment_id = coalesce(excluded.payment_id, iif(?12, NULL, payment_id)), \
             trace_due = CASE WHEN coalesce(excluded.payment_id, iif(?12, NULL, payment_id)) IS NOT NULL THEN NULL \
             WHEN ?12 OR trace IS NULL THEN excluded.trace_due ELSE trace_due END, \
             trace_attempt = iif(?12, 0, trace_attempt), traced = iif(?12, NULL, traced), \
             trace_answer = iif(?12, NULL, trace_answer), \
             trace_since = iif(?12 OR trace IS NULL, excluded.trace_since, trace_since), \
             trace = coalesce(excluded.trace, trace)",
        )?
        .execute(params![
            integration,
            expected.reference,
            expected.amount,
            expected.currency,
            expected.mode,
            millis(expected.created),
            expected.due.map(millis),
            expected.poll_url,
            expected.trace,
            payment,
            millis(now),
            anew,
        ])?;
    if expected.trace.is_some() {
        desk.wake_poller();
    }
    Ok(outcome)
}

/// The payment that the shop has begun at `url`: opened, unless it is known, and to be asked about at once.
fn open(
    desk: &mut Desk<'_>,
    integration: i64,
    expected: &Expectation,
    (url, proof): (&PollUrl, Option<&[u8]>),
    terms: &Terms,
    now: Timestamp,
) -> rusqlite::Result<Option<i64>> {
    let seen = Observation {
        integration: expected.integration.clone(),
        key: url.key(),
        at: now,
        asked: None,
        channel: Channel::Import,
        evidence: if proof.is_some() { Evidence::Sha512 } else { Evidence::None },
        status: Status::Created,
        wire_status: None,
        said_at: None,
        // What the books say is compared with what the gateway says, never mixed with it.
        facts: Facts::default(),
        poll_url: Some(url.clone()),
        body: proof.unwrap_or(url.as_str().as_bytes()).to_vec(),
    };
    record::record(desk, &seen, &chain::body_digest(&seen.body), None, terms)?;
    Ok(record::find(desk, integration, &seen.key)?.map(|(id, _)| id))
}

/// What is expected under this reference.
fn find(desk: &Desk<'_>, integration: i64, reference: &Reference) -> rusqlite::Result<Option<(i64, Expectation)>> {
    desk.connection
        .prepare_cached(&format!(
            "SELECT {EXPECTATION} FROM expectation JOIN integration ON integration.id = integration_id \
             WHERE integration_id = ?1 AND reference = ?2"
        ))?
        .query_row(params![integration, reference], |row| expectation(row, 0))
        .optional()
}

/// The expectation of a row of [`EXPECTATION`] that begins at column `at`, with its row number.
pub(super) fn expectation(row: &Row<'_>, at: usize) -> rusqlite::Result<(i64, Expectation)> {
    let expectation = Expectation {
        integration: rows::text(row, at + 1, |text| IntegrationName::parse(text).ok())?,
        reference: rows::text(row, at + 2, |text| Reference::parse(text).ok())?,
        amount: rows::amount(row, at + 3)?.unwrap_or_default(),
        currency: rows::text(row, at + 4, |text| text.parse().ok())?,
        mode: rows::text(row, at + 5, Mode::from_code)?,
        created: rows::instant(row, at + 6)?,
        due: rows::maybe_instant(row, at + 7)?,
        poll_url: rows::maybe(row, at + 8, PollUrl::stored)?,
        trace: rows::maybe(row, at + 9, |text| MerchantTrace::parse(text).ok())?,
    };
    Ok((row.get(at)?, expectation))
}
