//! What the merchant's books expect: one row for each integration and reference, and a payment to ask about as soon as
//! the books know where.

use std::sync::Arc;

use chrono::TimeDelta;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows::{self, millis};
use super::writer::Desk;
use super::{Admission, Ledger, LedgerError, chain, record, ties, traces};
use crate::domain::{
    Channel, Evidence, Expectation, IntegrationName, MerchantTrace, Mode, Observation, PollUrl, Reference, Terms,
    Timestamp,
};
use crate::protocol::{Begun, Verified};

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

/// One order to be expected, and on which terms.
#[derive(Clone, Debug)]
pub struct Booking {
    expected: Expectation,
    /// The gateway's answer to the shop, which proves the poll URL.
    proof: Option<Vec<u8>>,
    terms: Arc<Terms>,
    on_conflict: OnConflict,
}

impl Booking {
    /// What the merchant says, and nobody proves.
    pub const fn new(expected: Expectation, terms: Arc<Terms>, on_conflict: OnConflict) -> Self {
        Self { expected, proof: None, terms, on_conflict }
    }

    /// The same with the gateway's own word for where the payment is, as it told the shop. The integration and the poll
    /// URL are those of the proof, whatever the books say.
    #[must_use]
    pub fn begun(self, begun: Verified<Begun>) -> Self {
        let Begun { integration, poll_url, body } = begun.into_value();
        let expected = Expectation { integration, poll_url: Some(poll_url), ..self.expected };
        Self { expected, proof: Some(body), ..self }
    }

    /// What it expects.
    pub const fn expected(&self) -> &Expectation {
        &self.expected
    }
}

/// Which expected orders to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orders {
    /// All of them.
    All,
    /// Those for which no money has come.
    Open,
}

impl Ledger {
    /// Stores what the merchant's books expect. A poll URL opens its payment, to be asked about at once.
    ///
    /// # Errors
    /// Nothing was stored; the same may be said again.
    pub async fn expect(&self, booking: Booking, now: Timestamp) -> Result<Expected, LedgerError> {
        self.writer.write(Admission::Wait, move |desk| expect(desk, &booking, now)).await
    }

    /// The same for many orders at once: all of them are stored, or none. What each turned out to be comes back in
    /// their order.
    ///
    /// # Errors
    /// Nothing was stored; the same may be said again.
    pub async fn expect_all(
        &self,
        bookings: Vec<Booking>,
        now: Timestamp,
        admission: Admission,
    ) -> Result<Vec<Expected>, LedgerError> {
        let all = move |desk: &mut Desk<'_>| bookings.iter().map(|booking| expect(desk, booking, now)).collect();
        self.writer.write(admission, all).await
    }
}

/// The columns that [`expectation`] reads, in its order.
pub(super) const EXPECTATION: &str = "expectation.id, integration.name, expectation.reference, expectation.amount, \
     expectation.currency, expectation.mode, expectation.created, expectation.due, expectation.poll_url, expectation.trace";

/// How many columns [`EXPECTATION`] has.
pub(super) const EXPECTATION_COLUMNS: usize = 10;

/// For how long nobody asks by trace while there is a poll URL to ask at.
const TRACED_LATER: TimeDelta = TimeDelta::hours(1);

/// Stores what is expected, and begins to look for it.
fn expect(desk: &mut Desk<'_>, booking: &Booking, now: Timestamp) -> rusqlite::Result<Expected> {
    let Booking { expected, proof, terms, on_conflict } = booking;
    let integration = desk.integration(&expected.integration)?;
    let before = find(desk.connection, expected)?;
    // Another trace is another attempt to pay: what was found or not by the first says nothing of it.
    let anew = before
        .as_ref()
        .is_some_and(|before| expected.trace.is_some() && before.trace.is_some() && expected.trace != before.trace);
    let outcome = Expected::beside(before, expected, *on_conflict);
    if matches!(outcome, Expected::Conflict(_)) {
        return Ok(outcome);
    }
    let payment = match &expected.poll_url {
        Some(url) => open(desk, integration, expected, (url, proof.as_deref()), terms, now)?,
        // The books may come after the money.
        None => traces::paying(desk, integration, &expected.reference)?,
    };
    let look = match (&expected.poll_url, payment) {
        (Some(_), _) => Some(now + TRACED_LATER),
        (None, Some(_)) => None,
        (None, None) => Some(now),
    };
    desk.connection
        .prepare_cached(
            "INSERT INTO expectation (integration_id, reference, amount, currency, mode, created, due, poll_url, trace, \
             payment_id, trace_due, trace_since) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
             iif(?9 IS NOT NULL, ?13, NULL), iif(?9 IS NOT NULL, ?11, NULL)) \
             ON CONFLICT DO UPDATE SET amount = excluded.amount, currency = excluded.currency, \
             due = coalesce(excluded.due, due), poll_url = coalesce(excluded.poll_url, poll_url), \
             payment_id = coalesce(excluded.payment_id, iif(?12, NULL, payment_id)), \
             trace_due = CASE WHEN ?12 OR trace IS NULL THEN excluded.trace_due \
             WHEN excluded.payment_id IS NOT NULL THEN iif(trace_due IS NULL, NULL, ?13) ELSE trace_due END, \
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
            look.map(millis),
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
    let evidence = if proof.is_some() { Evidence::Sha512 } else { Evidence::None };
    // What the books say of it is compared with what the gateway says, never mixed with it.
    let seen = Observation {
        poll_url: Some(url.clone()),
        body: proof.unwrap_or(url.as_str().as_bytes()).to_vec(),
        ..Observation::of_existence(expected.integration.clone(), url.key(), now, (Channel::Import, evidence))
    };
    record::record(desk, &seen, &chain::body_digest(&seen.body), None, terms)?;
    Ok(record::find(desk, integration, &seen.key)?.map(|found| found.id))
}

impl Expected {
    /// What `expected` turns out to be beside what is expected already.
    fn beside(before: Option<Expectation>, expected: &Expectation, on_conflict: OnConflict) -> Self {
        match before {
            None => Self::New,
            Some(before) if before.agrees_with(expected) => Self::Known,
            Some(_) if on_conflict == OnConflict::Replace => Self::Replaced,
            Some(before) => Self::Conflict(Box::new(before)),
        }
    }
}

/// What `expected` would turn out to be.
pub(super) fn would_be(
    connection: &Connection,
    expected: &Expectation,
    on_conflict: OnConflict,
) -> rusqlite::Result<Expected> {
    Ok(Expected::beside(find(connection, expected)?, expected, on_conflict))
}

/// What is expected already of the same integration under the same reference.
fn find(connection: &Connection, expected: &Expectation) -> rusqlite::Result<Option<Expectation>> {
    connection
        .prepare_cached(&format!(
            "SELECT {EXPECTATION} FROM expectation JOIN integration ON integration.id = integration_id \
             WHERE integration.name = ?1 AND reference = ?2"
        ))?
        .query_row(params![expected.integration.as_str(), expected.reference], |row| Ok(expectation(row, 0)?.1))
        .optional()
}

/// Hands the expected orders, newest first, to `each` until it says to stop.
pub(super) fn list(
    connection: &Connection,
    which: Orders,
    mut each: impl FnMut(Expectation) -> bool,
) -> rusqlite::Result<()> {
    let such = match which {
        Orders::All => String::new(),
        Orders::Open => format!("WHERE {}", ties::unpaid()),
    };
    let mut statement = connection.prepare(&format!(
        "SELECT {EXPECTATION} FROM expectation JOIN integration ON integration.id = integration_id {such} \
         ORDER BY expectation.id DESC"
    ))?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        if !each(expectation(row, 0)?.1) {
            break;
        }
    }
    Ok(())
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
