//! What a run has to tell, counted. What came in is counted beside the writer, however long that takes; what does not
//! add up is read in the run's own transaction, when it has been decided: that is in `report_findings`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use rusqlite::{Connection, OptionalExtension, params};

use super::OldKey;
use super::rows::{self, millis};
use super::told_days::ToldDays;
use super::{states, ties};
use crate::books::{Keys, Transactions};
use crate::domain::report::{Findings, Health, Held, OldKeyUse, Orders};
use crate::domain::{
    Channel, Checked, Currency, Days, IntegrationName, Mode, Payment, Reference, Refusal, Report, Status, Sum, Tally,
    Timestamp, without_phones,
};

/// How many rows an attached file has at most.
pub(super) const ATTACHED: usize = 5_000;
/// How many days back a payment is looked for in the settlements, and a letter among those that were refused.
const RECENT: u64 = 14;

/// What a run wants reported, and to whom.
#[derive(Clone, Debug)]
pub struct ReportOrder {
    /// The civil days.
    pub days: Days,
    /// Whose payments were reconciled, and whether their money is real.
    pub integrations: Vec<(IntegrationName, Mode)>,
    /// What was checked.
    pub checked: Checked,
    /// Whom the letter goes to: see [`crate::domain::report::recipients`].
    pub recipients: Vec<String>,
    /// What the runs are called that report every day in turn: what their letters have told of earlier days is not told
    /// again.
    pub nightly: &'static str,
}

/// A report that lacks only what does not add up.
#[derive(Clone, Debug)]
pub struct Counted {
    pub(super) report: Report,
    pub(super) transactions: Vec<u8>,
    pub(super) recipients: Vec<String>,
}

/// Counts everything that happened on the days of `order`, as it stands `now`: at one moment of the ledger, so that the
/// next report can tell what was in this one.
pub(super) fn count(connection: &Connection, order: &ReportOrder, now: Timestamp) -> rusqlite::Result<Counted> {
    let connection = &connection.unchecked_transaction()?;
    let days = order.days;
    let settling = settling(connection)?;
    let recent = Days::up_to(days.last(), RECENT, days.zone()).from();
    let mut unsettled: BTreeMap<Currency, Sum> = BTreeMap::new();
    let mut tally = Tally::new(days);
    let mut told = ToldDays::new(connection, order, now)?;
    let mut transactions = Transactions::new(Vec::new(), Keys::Withheld).map_err(unwritten)?;
    let (mut attached, mut left_out) = (0, 0);

    let mut statement = connection.prepare_cached(&window_statement())?;
    let since = told.since().map_or(tally.since(), |since| since.min(tally.since()));
    let mut payments = statement.query([millis(since)])?;
    while let Some(row) = payments.next()? {
        let (id, mut payment) = rows::payment(row)?;
        let pays_out = payment.mode == Mode::Live && payment.status == Status::Paid && !payment.is_unproven();
        if pays_out
            && settling.contains(&payment.integration)
            && payment.paid_at.is_some_and(|paid| recent <= paid && paid < days.until())
            && !row.get::<_, bool>(rows::PAYMENT_COLUMNS)?
        {
            unsettled.entry(payment.currency).or_default().count(&payment);
        }
        let of_these_days = tally.count(&payment);
        if !of_these_days && !told.count(id, &payment)? {
            continue;
        }
        if attached == ATTACHED {
            left_out += 1;
            continue;
        }
        attached += 1;
        without_phone(&mut payment);
        transactions.row(&payment).map_err(unwritten)?;
    }
    let report = Report {
        days,
        made: now,
        heard_since: first_heard(connection)?,
        integrations: order.integrations.clone(),
        checked: order.checked.clone(),
        totals: tally.totals(),
        confirmed_since: told.confirmed(),
        reversed_since: told.reversed(),
        findings: Findings::default(),
        held: held(connection)?,
        orders: orders(connection, now)?,
        unsettled: (!settling.is_empty()).then(|| unsettled.into_iter().collect()),
        health: health(connection, &days)?,
        transactions_left_out: left_out,
        findings_left_out: 0,
    };
    Ok(Counted {
        report,
        transactions: transactions.finish().map_err(unwritten)?,
        recipients: order.recipients.clone(),
    })
}

/// When the first thing was heard from a gateway; what the shop itself says is none.
pub(super) fn first_heard(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("SELECT at FROM event WHERE payment_id IS NOT NULL AND channel <> ?1 ORDER BY id LIMIT 1")?
        .query_row([Channel::Import.code()], |row| rows::instant(row, 0))
        .optional()
}

/// Payments that changed at or after an instant, and whether a settlement line pays them out.
pub(super) fn window_statement() -> String {
    format!(
        "SELECT {}, EXISTS (SELECT 1 FROM settlement WHERE settlement.payment_id = payment.id) \
         FROM payment INDEXED BY payment_by_change CROSS JOIN integration ON integration.id = integration_id \
         WHERE last_changed >= ?1 ORDER BY last_changed",
        rows::PAYMENT
    )
}

/// Shops use telephone numbers as order numbers, and these go by mail.
fn without_phone(payment: &mut Payment) {
    if let Some(reference) = &payment.facts.reference {
        let masked = without_phones(reference.as_str());
        payment.facts.reference = Reference::parse(&masked).ok();
    }
}

/// Writing into memory fails only where there is none left.
pub(super) fn unwritten(error: io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// The integrations that settlements are imported for.
fn settling(connection: &Connection) -> rusqlite::Result<BTreeSet<IntegrationName>> {
    connection
        .prepare_cached(
            "SELECT name FROM integration WHERE EXISTS (SELECT 1 FROM settlement WHERE integration_id = integration.id)",
        )?
        .query_map([], |row| rows::text(row, 0, |text| IntegrationName::parse(text).ok()))?
        .collect()
}

/// What the gateway holds of real money, claims not counted.
fn held(connection: &Connection) -> rusqlite::Result<Vec<Held>> {
    let mut held: BTreeMap<(Status, Currency), Held> = BTreeMap::new();
    let mut statement = connection.prepare_cached(&held_statement())?;
    let mut payments = statement.query([])?;
    while let Some(row) = payments.next()? {
        let payment = rows::payment(row)?.1;
        if payment.mode == Mode::Test || payment.is_unproven() {
            continue;
        }
        let (status, currency) = (payment.status, payment.currency);
        let since = payment.paid_at.unwrap_or(payment.first_seen);
        let first = || Held { status, currency, sum: Sum::default(), oldest: since };
        let held = held.entry((status, currency)).or_insert_with(first);
        held.sum.count(&payment);
        held.oldest = held.oldest.min(since);
    }
    Ok(held.into_values().collect())
}

pub(super) fn held_statement() -> String {
    states::select(rows::PAYMENT, states::all().filter(|(_, status)| status.is_held()), "TRUE")
}

/// Expected orders of real money that no payment has paid, under that reference or found by asking.
fn orders(connection: &Connection, now: Timestamp) -> rusqlite::Result<Option<Orders>> {
    if !connection.query_row("SELECT EXISTS (SELECT 1 FROM expectation)", [], |row| row.get(0))? {
        return Ok(None);
    }
    connection.prepare_cached(&orders_statement())?.query_row([millis(now)], |row| {
        let count = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
        Ok(Some(Orders { unpaid: count(0)?, past_due: count(1)? }))
    })
}

/// How many expected orders are unpaid, and how many of them should have been paid before an instant.
pub(super) fn orders_statement() -> String {
    format!("SELECT count(*), coalesce(sum(due < ?1), 0) FROM expectation WHERE mode = 'live' AND {}", ties::unpaid())
}

/// How the daemon fares, all but the head of the chain.
fn health(connection: &Connection, days: &Days) -> rusqlite::Result<Health> {
    let count = |sql: &str, from: i64, until: i64| {
        let count: i64 = connection.prepare_cached(sql)?.query_row([from, until], |row| row.get(0))?;
        Ok::<_, rusqlite::Error>(count.unsigned_abs())
    };
    let newest = |table: &str| {
        let newest: Option<i64> =
            connection.query_row(&format!("SELECT max(id) FROM {table}"), [], |row| row.get(0))?;
        Ok::<_, rusqlite::Error>(newest.unwrap_or(0))
    };
    let (from, until) = (days.from(), days.until());
    let heard = (first_since(connection, "event", "at", from)?, first_since(connection, "event", "at", until)?);
    let posts = "SELECT count(*) FROM event WHERE id >= ?1 AND id < ?2 AND channel IN ('post', 'button')";
    let refused = connection
        .prepare_cached("SELECT kind, count(*) FROM quarantine WHERE id >= ?1 AND at >= ?2 AND at < ?3 GROUP BY kind")?
        .query_map(params![first_since(connection, "quarantine", "at", from)?, millis(from), millis(until)], |row| {
            Ok((rows::text(row, 0, Refusal::from_code)?, row.get::<_, i64>(1)?.unsigned_abs()))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let recent = Days::up_to(days.last(), RECENT, days.zone()).from();
    Ok(Health {
        posts: count(posts, heard.0, heard.1)?,
        repeats: count(&format!("{posts} AND outcome = 'repeated'"), heard.0, heard.1)?,
        refused,
        asked: count(
            "SELECT count(*) FROM (SELECT 1 FROM poll_log WHERE last_at >= ?1 AND ?2 = ?2 GROUP BY payment_id)",
            millis(from),
            0,
        )?,
        letters_waiting: super::outbox::waiting(connection)?.unsigned_abs(),
        letters_refused: count(
            "SELECT count(*) FROM outbox WHERE id >= ?1 AND written >= ?2 AND state IN ('refused', 'given-up')",
            first_since(connection, "outbox", "written", recent)?,
            millis(recent),
        )?,
        old_keys: old_keys(connection, from)?,
        payments: newest("payment")?.unsigned_abs(),
        events: newest("event")?.unsigned_abs(),
        bytes: connection
            .query_row("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", [], |row| {
                row.get::<_, i64>(0)
            })?
            .unsigned_abs(),
        head: [0; 32],
    })
}

/// The keys on their way out that have proved something since `from`.
fn old_keys(connection: &Connection, from: Timestamp) -> rusqlite::Result<Vec<OldKeyUse>> {
    let used = |key: OldKey| {
        let (since, last) = key.first_used.zip(key.last_used.filter(|last| *last >= from))?;
        Some(OldKeyUse { integration: key.integration, file: key.file, count: key.count, since, last })
    };
    Ok(super::old_keys::all(connection)?.into_iter().filter_map(used).collect())
}

/// The number of the first row of a table that grows with time whose instant is not before `instant`, found by halving.
/// Where the clock was set back, rows near there may count on the other side.
fn first_since(connection: &Connection, table: &str, column: &str, instant: Timestamp) -> rusqlite::Result<i64> {
    let mut next =
        connection.prepare_cached(&format!("SELECT id, {column} FROM {table} WHERE id >= ?1 ORDER BY id LIMIT 1"))?;
    let newest: Option<i64> = connection.query_row(&format!("SELECT max(id) FROM {table}"), [], |row| row.get(0))?;
    let (mut low, mut high) = (0, newest.unwrap_or(0) + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = next.query_row([middle], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).optional()?;
        match found {
            Some((id, at)) if at < millis(instant) => low = id + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}
