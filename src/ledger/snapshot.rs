//! The ledger as a run sees it: one moment of it, on a connection of its own, matter after matter. Memory does not grow
//! with the ledger, and a run that takes long keeps nobody waiting.

use std::path::PathBuf;

use chrono::{NaiveDate, TimeDelta};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Params, Row, params};

use super::expectations::{self, EXPECTATION_COLUMNS};
use super::rows::{self, millis};
use super::snapshot_rows::{
    FURTHER, HELD, OF_PAYMENTS, STANDS, held, held_of_payment, maybe_day, orders_statement, payments_statement,
};
use super::told_days::LAST_TOLD;
use super::{LedgerError, Reader, report, schema};
use crate::domain::compare::{Account, Line, Order, PaidOut, Payouts};
use crate::domain::{GatewayKey, Held, IntegrationName, Known, Reference, Timestamp};

/// What a finding is about: one payment, one order, or an integration as a whole. Only a [`Snapshot`] makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    pub(super) integration: i64,
    pub(super) payment: Option<i64>,
    pub(super) expectation: Option<i64>,
    /// When the payment last changed: what changes while a run goes on is left to the next.
    pub(super) changed: Option<i64>,
}

impl Case {
    const fn integration(integration: i64) -> Self {
        Self { integration, payment: None, expectation: None, changed: None }
    }
}

/// What a run looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Only payments of this integration.
    pub integration: Option<IntegrationName>,
    /// Everything that changed since then; besides that, what can still change and what has an open finding.
    pub changed_since: Timestamp,
    /// Whether integrations of both modes are configured, so that an order may be paid at one of the other mode.
    pub both_modes: bool,
}

/// What the merchant's files say of an integration as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Practice {
    /// When the first order was taken that the books told of.
    pub expecting_since: Option<Timestamp>,
    /// Which settlement files were imported.
    pub payouts: Payouts,
}

/// Refused posts that look alike, and one of them for the doctor.
#[derive(Clone, Debug)]
pub struct RefusedAlike {
    /// Why they were refused.
    pub reason: String,
    /// By whom they were sent, as far as that is known.
    pub peer: Option<String>,
    /// The body of the newest.
    pub body: Vec<u8>,
    /// The headers that were to prove it.
    pub signatures: Vec<String>,
}

/// How many kinds of refused posts are examined: the doctor takes his time, and people read but a few.
const KINDS: usize = 20;

/// How much of the ledger a run keeps at hand, in KiB: payments, orders and polls are found by many indexes at once.
const CACHE: i64 = 32 << 10;

/// How many days before it is paid out a payment may have been made.
const SETTLED_LATE: TimeDelta = TimeDelta::days(7);

/// What a case is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Whose payments it is about.
    pub integration: IntegrationName,
    /// The merchant's word for the order, where it is about one.
    pub reference: Option<Reference>,
    /// The gateway's identity of the payment, where it is about one.
    pub key: Option<GatewayKey>,
}

/// One moment of the ledger.
pub struct Snapshot {
    connection: Connection,
}

impl Reader {
    /// Another connection to the same ledger: what is read by it keeps no other reader waiting.
    ///
    /// # Errors
    /// The ledger could not be opened.
    pub fn apart(&self) -> Result<Self, LedgerError> {
        Self::open(&self.path()?)
    }

    /// The ledger as it is at this moment, apart from all other reading. Blocks.
    ///
    /// # Errors
    /// The ledger could not be opened or read.
    pub fn snapshot(&self) -> Result<Snapshot, LedgerError> {
        let connection = schema::open_reader(&self.path()?)?;
        let opened =
            connection.pragma_update(None, "cache_size", -CACHE).and_then(|()| connection.execute_batch("BEGIN"));
        opened.map_err(LedgerError::read)?;
        Ok(Snapshot { connection })
    }

    fn path(&self) -> Result<PathBuf, LedgerError> {
        self.read_here(|connection| Ok(connection.path().map(PathBuf::from)))?.ok_or(LedgerError::Closed)
    }

    /// What `case` is called. Blocks: for commands.
    ///
    /// # Errors
    /// The ledger could not be read.
    pub fn named(&self, case: &Case) -> Result<Named, LedgerError> {
        self.read_here(|connection| {
            connection
                .prepare_cached(
                    "SELECT name, coalesce(payment.reference, expectation.reference), gateway_key FROM integration \
                     LEFT JOIN payment ON payment.id = ?2 LEFT JOIN expectation ON expectation.id = ?3 \
                     WHERE integration.id = ?1",
                )?
                .query_row(params![case.integration, case.payment, case.expectation], |row| {
                    Ok(Named {
                        integration: rows::text(row, 0, |text| IntegrationName::parse(text).ok())?,
                        reference: rows::maybe(row, 1, |text| Reference::parse(text).ok())?,
                        key: case.payment.map(|_| rows::gateway_key(row, 2)).transpose()?,
                    })
                })
        })
    }
}

impl Snapshot {
    /// Every integration that the ledger has a number for.
    ///
    /// # Errors
    /// The ledger could not be read.
    pub fn integrations(&self) -> Result<Vec<(Case, IntegrationName)>, LedgerError> {
        self.collect("SELECT id, name FROM integration ORDER BY name", [], |row| {
            Ok((Case::integration(row.get(0)?), rows::text(row, 1, |text| IntegrationName::parse(text).ok())?))
        })
    }

    /// What the merchant's files say of an integration as a whole.
    ///
    /// # Errors
    /// The ledger could not be read.
    pub fn practice(&self, case: Case) -> Result<Practice, LedgerError> {
        let read = || -> rusqlite::Result<Practice> {
            let of = [case.integration];
            let expecting_since = self
                .connection
                .prepare_cached("SELECT min(created) FROM expectation WHERE integration_id = ?1")?
                .query_row(of, |row| rows::maybe_instant(row, 0))?;
            let days = self
                .connection
                .prepare_cached("SELECT min(day), max(day) FROM settlement WHERE integration_id = ?1")?
                .query_row(of, |row| Ok(maybe_day(row, 0)?.zip(maybe_day(row, 1)?)))?;
            let first_payment = self
                .connection
                .prepare_cached("SELECT min(first_seen) FROM (SELECT first_seen FROM payment WHERE integration_id = ?1 ORDER BY id LIMIT 1)")?
                .query_row(of, |row| rows::maybe_instant(row, 0))?;
            Ok(Practice { expecting_since, payouts: Payouts { days, first_payment } })
        };
        read().map_err(LedgerError::read)
    }

    /// `since`, or earlier if settlement lines that were imported since then are about earlier days.
    ///
    /// # Errors
    /// The ledger could not be read.
    pub fn reaching_back(&self, since: Timestamp) -> Result<Timestamp, LedgerError> {
        let statement = "SELECT min(day) FROM settlement WHERE imported >= ?1";
        let earliest = self
            .connection
            .prepare_cached(statement)
            .and_then(|mut statement| statement.query_row([millis(since)], |row| maybe_day(row, 0)))
            .map_err(LedgerError::read)?;
        let settled = earliest.and_then(|day| day.and_hms_opt(0, 0, 0)).map(|day| day.and_utc() - SETTLED_LATE);
        Ok(settled.map_or(since, |settled| settled.min(since)))
    }

    /// The civil days that the last run of this name reported, if one ever did; of those that end by `until`.
    ///
    /// # Errors
    /// The ledger could not be read.
    pub fn reported_days(&self, name: &str, until: NaiveDate) -> Result<Option<(NaiveDate, NaiveDate)>, LedgerError> {
        let days = self.collect(LAST_TOLD, params![name, until.to_string()], |row| {
            Ok(maybe_day(row, 0)?.zip(maybe_day(row, 1)?))
        })?;
        Ok(days.into_iter().next().flatten())
    }

    /// When the first thing was heard from a gateway; what the shop itself says is none.
    ///
    /// # Errors
    /// The ledger could not be read.
    pub fn first_heard(&self) -> Result<Option<Timestamp>, LedgerError> {
        report::first_heard(&self.connection).map_err(LedgerError::read)
    }

    /// Hands every payment that a run looks at to `each`, with what is expected of it, what was paid out, the order
    /// that it pays for the first time, and what is on record about it.
    ///
    /// # Errors
    /// The ledger could not be read to the end.
    pub fn payments(&self, span: &Span, mut each: impl FnMut(Case, Account, &[Held])) -> Result<(), LedgerError> {
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare(&payments_statement())?;
            let only = span.integration.as_ref().map(IntegrationName::as_str);
            let mut found = statement.query(params![millis(span.changed_since), only])?;
            // Both in the order of the payments, so that one walk finds what belongs together.
            let mut record =
                self.connection.prepare(&format!("{HELD} {OF_PAYMENTS} AND {STANDS} ORDER BY payment_id"))?;
            let mut record = record.query([])?;
            let mut next = record.next()?.map(held_of_payment).transpose()?;
            let mut here = Vec::new();
            while let Some(row) = found.next()? {
                let (id, known) = rows::known(row)?;
                here.clear();
                while let Some((payment, held)) = next.take_if(|(payment, _)| *payment <= id) {
                    if payment == id {
                        here.push(held);
                    }
                    next = record.next()?.map(held_of_payment).transpose()?;
                }
                let (integration, settled, linked): (i64, bool, bool) =
                    (row.get(FURTHER)?, row.get(FURTHER + 1)?, row.get(FURTHER + 2)?);
                let expected = match row.get_ref(FURTHER + 3)? {
                    ValueRef::Null => None,
                    _ => Some(expectations::expectation(row, FURTHER + 3)?),
                };
                let pays = known.payment.stands_paid() && !linked;
                let case = Case {
                    integration,
                    payment: Some(id),
                    expectation: expected.as_ref().map(|(order, _)| *order).filter(|_| pays),
                    changed: Some(millis(known.payment.last_changed)),
                };
                let paid_out = if settled { Some(self.paid_out(id, &known)?) } else { None };
                each(case, Account { known, expectation: expected.map(|(_, order)| order), paid_out }, &here);
            }
            Ok(())
        };
        read().map_err(LedgerError::read)
    }

    /// What the settlement lines of one payment say together.
    fn paid_out(&self, payment: i64, known: &Known) -> rusqlite::Result<PaidOut> {
        self.connection
            .prepare_cached(
                "SELECT iif(count(whole) = count(*), sum(whole), NULL), max(currency <> ?2) FROM (SELECT currency, \
                 coalesce(min(gross, net + fee), gross, net + fee) AS whole FROM settlement WHERE payment_id = ?1)",
            )?
            .query_row(params![payment, known.payment.currency], |row| {
                Ok(PaidOut { gross: rows::amount(row, 0)?, in_another_currency: row.get(1)? })
            })
    }

    /// Hands every order of an integration that a run looks at and that no payment is known to pay to `each`, with what
    /// is on record about it.
    ///
    /// # Errors
    /// The ledger could not be read to the end.
    pub fn orders(
        &self,
        case: Case,
        span: &Span,
        mut each: impl FnMut(Case, Order, &[Held]),
    ) -> Result<(), LedgerError> {
        let mut read = || -> rusqlite::Result<()> {
            let mut record = self.connection.prepare(&format!("{HELD} WHERE expectation_id = ?1 AND {STANDS}"))?;
            let mut statement = self.connection.prepare(&orders_statement())?;
            let mut found = statement.query(params![case.integration, millis(span.changed_since), span.both_modes])?;
            while let Some(row) = found.next()? {
                let (id, expectation) = expectations::expectation(row, 0)?;
                let elsewhere = match row.get_ref(EXPECTATION_COLUMNS + 3)? {
                    ValueRef::Null => None,
                    _ => Some(rows::text(row, EXPECTATION_COLUMNS + 3, |text| IntegrationName::parse(text).ok())?),
                };
                let leads_to = rows::maybe(row, EXPECTATION_COLUMNS + 4, |text| Reference::parse(text).ok())?;
                let has_money: bool = row.get(EXPECTATION_COLUMNS + 2)?;
                let order = Order {
                    not_found: row.get(EXPECTATION_COLUMNS)?,
                    has_payment: row.get(EXPECTATION_COLUMNS + 1)?,
                    paid_elsewhere: elsewhere.filter(|_| !has_money),
                    leads_to: leads_to.filter(|_| !has_money),
                    expectation,
                };
                let held: Vec<Held> = record.query_map([id], held)?.collect::<rusqlite::Result<_>>()?;
                each(Case { expectation: Some(id), ..case }, order, &held);
            }
            Ok(())
        };
        read().map_err(LedgerError::read)
    }

    /// The settlement lines of an integration that belong to no payment.
    ///
    /// # Errors
    /// The ledger could not be read to the end.
    pub fn lines(&self, case: Case, mut each: impl FnMut(Line)) -> Result<(), LedgerError> {
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare(
                "SELECT line, day, reference, currency, coalesce(gross, net) FROM settlement \
                 WHERE integration_id = ?1 AND payment_id IS NULL ORDER BY day, id",
            )?;
            let mut found = statement.query([case.integration])?;
            while let Some(row) = found.next()? {
                each(Line {
                    line: row.get(0)?,
                    day: rows::text(row, 1, |text| text.parse().ok())?,
                    reference: row.get(2)?,
                    currency: rows::text(row, 3, |text| text.parse().ok())?,
                    amount: rows::amount(row, 4)?,
                });
            }
            Ok(())
        };
        read().map_err(LedgerError::read)
    }

    /// Posts to an integration since then that could not be proven, by reason and sender, the newest kinds first.
    ///
    /// # Errors
    /// The ledger could not be read.
    pub fn refused(&self, case: Case, since: Timestamp) -> Result<Vec<RefusedAlike>, LedgerError> {
        let statement = format!(
            "SELECT alike.reason, alike.peer, body, signature FROM (SELECT reason, peer, max(id) AS newest \
             FROM quarantine WHERE integration_id = ?1 AND at >= ?2 AND kind IN ('malformed', 'forged') \
             GROUP BY reason, peer ORDER BY newest DESC LIMIT {KINDS}) AS alike JOIN quarantine ON id = newest \
             ORDER BY newest DESC"
        );
        self.collect(&statement, params![case.integration, millis(since)], |row| {
            let signatures: Option<String> = row.get(3)?;
            Ok(RefusedAlike {
                reason: row.get(0)?,
                peer: row.get(1)?,
                body: row.get(2)?,
                signatures: signatures.map(|all| all.split('\n').map(str::to_owned).collect()).unwrap_or_default(),
            })
        })
    }

    /// What is on record about an integration as a whole.
    ///
    /// # Errors
    /// The ledger could not be read.
    pub fn held(&self, case: Case) -> Result<Vec<Held>, LedgerError> {
        let statement = format!(
            "{HELD} WHERE integration_id = ?1 AND payment_id IS NULL AND expectation_id IS NULL AND {STANDS} ORDER BY id"
        );
        self.collect(&statement, [case.integration], held)
    }

    fn collect<T>(
        &self,
        statement: &str,
        values: impl Params,
        each: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, LedgerError> {
        let read =
            || -> rusqlite::Result<Vec<T>> { self.connection.prepare(statement)?.query_map(values, each)?.collect() };
        read().map_err(LedgerError::read)
    }
}
