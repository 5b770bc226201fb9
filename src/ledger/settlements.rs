//! Lines of settlement files, and which payment each of them pays out.

use chrono::NaiveDate;
use chrono_tz::Tz;
use rusqlite::{Connection, OptionalExtension, params};

use super::money::CLOCK;
use super::rows::{self, millis};
use super::writer::Desk;
use super::{Admission, Ledger, LedgerError};
use crate::domain::{Days, Settlement, Timestamp};

/// How many days after a payment it may be paid out, the day not counted on which it was paid or, if it was held,
/// released.
const WINDOW: u32 = 10;

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is new.
    New,
    /// It was there without a payment, and said something else.
    Corrected,
    /// It was there, and nothing changes: it says the same, or a payment was found by what it said.
    Known,
}

/// What matching brought, and what is left without a payment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// Lines that found their payment now.
    pub now: u64,
    /// Lines that have none, as yet.
    pub waiting: u64,
}

impl Ledger {
    /// Keeps these lines of a settlement file: all, or none. What became of each of them.
    ///
    /// # Errors
    /// Nothing was stored; the same file may be imported again.
    pub async fn settle(&self, lines: Vec<Settlement>, now: Timestamp) -> Result<Vec<Settled>, LedgerError> {
        let all = move |desk: &mut Desk<'_>| lines.iter().map(|line| keep(desk, line, now)).collect();
        self.writer.write(Admission::Wait, all).await
    }

    /// Looks for the payment of every settlement line that has none, by the civil days of `zone`.
    ///
    /// # Errors
    /// Nothing was matched; look again later.
    pub async fn match_settlements(&self, zone: Tz) -> Result<Matched, LedgerError> {
        self.writer.write(Admission::Wait, move |desk| match_waiting(desk.connection, zone)).await
    }
}

/// Keeps a line, as it says now as long as it has no payment.
fn keep(desk: &mut Desk<'_>, it: &Settlement, now: Timestamp) -> rusqlite::Result<Settled> {
    let settled = would_be(desk.connection, it)?;
    let statement = match settled {
        Settled::New => {
            "INSERT INTO settlement (integration_id, line, day, reference, currency, gross, fee, net, imported) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
        }
        // It counts as imported now, so that the next run looks at what it is about now.
        Settled::Corrected => {
            "UPDATE settlement SET day = ?3, reference = ?4, currency = ?5, gross = ?6, fee = ?7, net = ?8, \
             imported = ?9 WHERE integration_id = ?1 AND line = ?2"
        }
        Settled::Known => return Ok(settled),
    };
    let integration = desk.integration(&it.integration)?;
    desk.connection.prepare_cached(statement)?.execute(params![
        integration,
        it.line,
        it.day.to_string(),
        it.reference,
        it.currency,
        it.gross,
        it.fee,
        it.net,
        millis(now)
    ])?;
    Ok(settled)
}

/// What would become of this line.
pub(super) fn would_be(connection: &Connection, it: &Settlement) -> rusqlite::Result<Settled> {
    let differs = connection
        .prepare_cached(
            "SELECT payment_id IS NULL AND (day, reference, currency, gross, fee, net) IS NOT (?3, ?4, ?5, ?6, ?7, ?8) \
             FROM settlement JOIN integration ON integration.id = integration_id \
             WHERE integration.name = ?1 AND line = ?2",
        )?
        .query_row(
            params![
                it.integration.as_str(),
                it.line,
                it.day.to_string(),
                it.reference,
                it.currency,
                it.gross,
                it.fee,
                it.net
            ],
            |row| row.get(0),
        )
        .optional()?;
    Ok(match differs {
        None => Settled::New,
        Some(true) => Settled::Corrected,
        Some(false) => Settled::Known,
    })
}

/// A line without a payment and a payment without a line that may belong together, the best pairs first: what was paid
/// is what was paid out; then what was paid is more.
pub(super) const PAIRS: &str = "SELECT settlement.id, payment.id, settlement.day, payment.paid_at, payment.last_changed \
     FROM payment JOIN settlement ON settlement.integration_id = payment.integration_id \
     AND settlement.reference IN (payment.reference, payment.gateway_reference) \
     WHERE payment.last_changed >= ?1 AND payment.paid_at IS NOT NULL AND settlement.payment_id IS NULL \
     AND settlement.currency = payment.currency AND coalesce(settlement.gross, settlement.net) <= payment.amount \
     AND NOT EXISTS (SELECT 1 FROM settlement AS other WHERE other.payment_id = payment.id) \
     ORDER BY settlement.gross IS NOT payment.amount, settlement.day, settlement.id, payment.paid_at, payment.id";

/// Gives every line without a payment the one it pays out: of the same integration and currency, under the merchant's
/// or the gateway's reference, paid on its day in `zone` or before, and not changed for longer than ten days: what was
/// held is paid out once it is released. One line, one payment. A line that pays out less is taken for a payment for
/// which there is no line of the right amount.
fn match_waiting(connection: &Connection, zone: Tz) -> rusqlite::Result<Matched> {
    let earliest: Option<String> = connection
        .prepare_cached("SELECT min(day) FROM settlement WHERE payment_id IS NULL")?
        .query_row([], |row| row.get(0))?;
    let Some(earliest) = earliest.and_then(|day| day.parse::<NaiveDate>().ok()) else { return Ok(Matched::default()) };
    let since = Days::up_to(earliest, u64::from(WINDOW) + 1, zone).from();
    let mut pairs = connection.prepare_cached(PAIRS)?;
    let pairs: Vec<(i64, i64)> = pairs
        .query_map([millis(since) - CLOCK], |row| {
            let day = rows::text(row, 2, |text| text.parse::<NaiveDate>().ok())?;
            let (paid, changed) = (rows::instant(row, 3)?, rows::instant(row, 4)?);
            let days_since = |then: Timestamp| (day - then.with_timezone(&zone).date_naive()).num_days();
            let fits = days_since(paid) >= 0 && days_since(paid.max(changed)) <= i64::from(WINDOW);
            Ok(fits.then_some((row.get(0)?, row.get(1)?)))
        })?
        .filter_map(Result::transpose)
        .collect::<rusqlite::Result<_>>()?;
    let mut matched = Matched::default();
    for (line, payment) in pairs {
        // The better pairs came first: either may be taken by now.
        let taken = connection
            .prepare_cached(
                "UPDATE settlement SET payment_id = ?2 WHERE id = ?1 AND payment_id IS NULL \
                 AND NOT EXISTS (SELECT 1 FROM settlement AS other WHERE other.payment_id = ?2)",
            )?
            .execute([line, payment])?;
        matched.now += u64::try_from(taken).unwrap_or_default();
    }
    matched.waiting = connection
        .prepare_cached("SELECT count(*) FROM settlement WHERE payment_id IS NULL")?
        .query_row([], |row| row.get(0).map(|count: i64| u64::try_from(count).unwrap_or_default()))?;
    Ok(matched)
}
