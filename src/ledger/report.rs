//! What a run has to tell, counted. What came in is counted beside the writer, however long that takes; what does not
//! add up is read in the run's own transaction, when it has been decided.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::OldKey;
use super::chain::Link;
use super::rows::{self, millis};
use super::sweep;
use crate::books::{Discrepancies, DiscrepancyRow, Keys, Transactions};
use crate::domain::report::{FindingRow, Findings, Health, Held, LISTED, OldKeyUse, Orders};
use crate::domain::{
    Checked, Class, Currency, Days, GatewayReference, IntegrationName, Mode, Payment, Reference, Report, Severity,
    Status, Sum, Tally, Timestamp, without_phones,
};

/// How many rows an attached file has at most.
const ATTACHED: usize = 5_000;
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
}

/// A report that lacks only what does not add up.
#[derive(Clone, Debug)]
pub struct Counted {
    pub(super) report: Report,
    pub(super) transactions: Vec<u8>,
    pub(super) recipients: Vec<String>,
}

/// Counts everything that happened on the days of `order`, as it stands `now`.
pub(super) fn count(connection: &Connection, order: &ReportOrder, now: Timestamp) -> rusqlite::Result<Counted> {
    let days = order.days;
    let settling = settling(connection)?;
    let recent = Days::up_to(days.last(), RECENT, days.zone()).from();
    let mut unsettled: BTreeMap<Currency, Sum> = BTreeMap::new();
    let mut tally = Tally::new(days);
    let mut transactions = Transactions::new(Vec::new(), Keys::Withheld).map_err(unwritten)?;
    let (mut attached, mut left_out) = (0, 0);

    let mut statement = connection.prepare_cached(&window_statement())?;
    let mut payments = statement.query([millis(tally.since())])?;
    while let Some(row) = payments.next()? {
        let mut payment = rows::payment(row)?.1;
        let pays_out = payment.mode == Mode::Live && payment.status == Status::Paid && !payment.is_unproven();
        if pays_out
            && settling.contains(&payment.integration)
            && payment.paid_at.is_some_and(|paid| recent <= paid && paid < days.until())
            && !row.get::<_, bool>(rows::PAYMENT_COLUMNS)?
        {
            unsettled.entry(payment.currency).or_default().count(&payment);
        }
        if !tally.count(&payment) {
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
        integrations: order.integrations.clone(),
        checked: order.checked.clone(),
        totals: tally.totals(),
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
fn unwritten(error: io::Error) -> rusqlite::Error {
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
    format!(
        "SELECT {} FROM payment INDEXED BY payment_open CROSS JOIN integration ON integration.id = integration_id \
         WHERE {} AND status IN ('awaiting-delivery', 'delivered', 'disputed')",
        rows::PAYMENT,
        sweep::OPEN
    )
}

/// Expected orders of real money that no payment has paid, under that reference or found by asking.
fn orders(connection: &Connection, now: Timestamp) -> rusqlite::Result<Option<Orders>> {
    if !connection.query_row("SELECT EXISTS (SELECT 1 FROM expectation)", [], |row| row.get(0))? {
        return Ok(None);
    }
    connection.prepare_cached(ORDERS)?.query_row([millis(now)], |row| {
        let count = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
        Ok(Some(Orders { unpaid: count(0)?, past_due: count(1)? }))
    })
}

/// How many expected orders are unpaid, and how many of them should have been paid before an instant.
pub(super) const ORDERS: &str = "SELECT count(*), coalesce(sum(due < ?1), 0) FROM expectation WHERE mode = 'live' \
     AND NOT EXISTS (SELECT 1 FROM payment WHERE payment.id = expectation.payment_id AND paid_at IS NOT NULL) \
     AND NOT EXISTS (SELECT 1 FROM payment INDEXED BY payment_by_reference \
     WHERE payment.reference = expectation.reference AND payment.integration_id = expectation.integration_id \
     AND paid_at IS NOT NULL)";

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
            Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
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

/// A finding as the ledger has it, with what it is about.
struct Stored {
    id: i64,
    class: Class,
    state: String,
    expected: String,
    found: String,
    opened: Timestamp,
    resolved: Option<Timestamp>,
    integration: IntegrationName,
    mode: Mode,
    reference: Option<String>,
    number: Option<GatewayReference>,
}

impl Stored {
    /// How long it has been, or was, open.
    fn age(&self, now: Timestamp) -> chrono::TimeDelta {
        (self.resolved.unwrap_or(now) - self.opened).max(chrono::TimeDelta::zero())
    }

    fn severity(&self, now: Timestamp) -> Severity {
        self.class.severity(self.age(now))
    }

    /// Whether a person who owns the shop should look at it.
    fn needs_a_person(&self, now: Timestamp) -> bool {
        self.mode == Mode::Live && self.severity(now) >= Severity::Warning
    }

    /// What comes first: real money, then what is urgent, then what is old.
    fn order(&self, now: Timestamp) -> impl Ord + use<> {
        let urgency = self.severity(now);
        (self.state != "open", self.mode == Mode::Test, std::cmp::Reverse(urgency), self.opened, self.id)
    }

    fn row(&self, now: Timestamp, newest_before: i64) -> FindingRow {
        let number = || self.number.as_ref().map(|number| format!("Paynow {number}"));
        FindingRow {
            id: self.id,
            class: self.class,
            severity: self.severity(now),
            mode: self.mode,
            integration: self.integration.clone(),
            reference: self.reference.clone().or_else(number),
            expected: self.expected.clone(),
            found: self.found.clone(),
            opened: self.opened,
            new: self.id > newest_before,
        }
    }
}

impl Counted {
    /// The report with what does not add up `now`, and its file of findings. An earlier report was made at `before` and
    /// knew findings up to the number `newest_before`.
    pub(super) fn completed(
        &self,
        connection: &Connection,
        head: Link,
        before: Option<Timestamp>,
        newest_before: i64,
        now: Timestamp,
    ) -> rusqlite::Result<(Report, Vec<u8>)> {
        let mut findings = Findings::default();
        let (mut kept, mut seen, mut listable): (Vec<Stored>, usize, u64) = (Vec::new(), 0, 0);
        for (statement, since) in [(OPEN, None), (RESOLVED, Some(millis(before.unwrap_or(self.report.days.from()))))] {
            let statement = format!("{COLUMNS} {statement}");
            let mut statement = connection.prepare_cached(&statement)?;
            let mut rows = match since {
                None => statement.query([])?,
                Some(since) => statement.query([since])?,
            };
            while let Some(row) = rows.next()? {
                let finding = stored(row, &self.report.integrations)?;
                seen += 1;
                let severe = finding.severity(now) >= Severity::Warning;
                if finding.state != "open" {
                    findings.resolved += u64::from(finding.needs_a_person(now));
                } else if !finding.needs_a_person(now) {
                    listable += u64::from(severe);
                    findings.others += 1;
                } else if finding.id > newest_before {
                    listable += 1;
                    findings.opened += 1;
                } else {
                    listable += 1;
                    findings.carried += 1;
                    findings.oldest = Some(findings.oldest.map_or(finding.opened, |oldest| oldest.min(finding.opened)));
                }
                kept.push(finding);
                if kept.len() == 2 * ATTACHED {
                    kept.sort_by_cached_key(|finding| finding.order(now));
                    kept.truncate(ATTACHED);
                }
            }
        }
        kept.sort_by_cached_key(|finding| finding.order(now));
        kept.truncate(ATTACHED);

        let listed = kept.iter().filter(|it| it.state == "open" && it.severity(now) >= Severity::Warning).take(LISTED);
        findings.rows = listed.map(|finding| finding.row(now, newest_before)).collect();
        findings.more = listable.saturating_sub(findings.rows.len() as u64);
        let file = file(&kept, now).map_err(unwritten)?;
        let mut report = self.report.clone();
        report.made = now;
        report.findings = findings;
        report.findings_left_out = seen.saturating_sub(kept.len()) as u64;
        report.health.head = head;
        Ok((report, file))
    }
}

/// What [`stored`] reads, in its order.
const COLUMNS: &str = "SELECT discrepancy.id, class, discrepancy.state, expected, found, opened, resolved, name, \
     coalesce(payment.reference, expectation.reference), gateway_reference, payment.mode, expectation.mode \
     FROM discrepancy JOIN integration ON integration.id = discrepancy.integration_id \
     LEFT JOIN payment ON payment.id = discrepancy.payment_id \
     LEFT JOIN expectation ON expectation.id = discrepancy.expectation_id";

/// Every open finding.
const OPEN: &str = "WHERE discrepancy.state = 'open'";

/// Findings resolved after an instant. The plus keeps SQLite from reading every finding of an integration.
const RESOLVED: &str = "WHERE resolved > ?1 AND +discrepancy.state = 'resolved'";

/// The statements that read findings.
#[cfg(test)]
pub(super) fn finding_statements() -> [String; 2] {
    [OPEN, RESOLVED].map(|such| format!("{COLUMNS} {such}"))
}

fn stored(row: &Row<'_>, integrations: &[(IntegrationName, Mode)]) -> rusqlite::Result<Stored> {
    let integration = rows::text(row, 7, |text| IntegrationName::parse(text).ok())?;
    let class = rows::text(row, 1, Class::from_code)?;
    let modes = [rows::maybe(row, 10, Mode::from_code)?, rows::maybe(row, 11, Mode::from_code)?];
    let mut modes = modes.into_iter().flatten().peekable();
    // Test money where real money is expected, or the reverse, is always about real money.
    let mode = if class == Class::TestMoney || modes.peek().is_some() {
        let test = class != Class::TestMoney && modes.all(|mode| mode == Mode::Test);
        if test { Mode::Test } else { Mode::Live }
    } else {
        integrations.iter().find(|(name, _)| *name == integration).map_or(Mode::Live, |(_, mode)| *mode)
    };
    let masked = |at| row.get::<_, String>(at).map(|text| without_phones(&text));
    Ok(Stored {
        id: row.get(0)?,
        class,
        state: row.get(2)?,
        expected: masked(3)?,
        found: masked(4)?,
        opened: rows::instant(row, 5)?,
        resolved: rows::maybe_instant(row, 6)?,
        integration,
        mode,
        reference: row.get::<_, Option<String>>(8)?.map(|text| without_phones(&text)),
        number: rows::maybe(row, 9, |text| GatewayReference::parse(text).ok())?,
    })
}

/// `discrepancies.csv` of these findings.
fn file(findings: &[Stored], now: Timestamp) -> io::Result<Vec<u8>> {
    let mut file = Discrepancies::new(Vec::new())?;
    for finding in findings {
        file.row(&DiscrepancyRow {
            id: finding.id,
            class: finding.class,
            state: &finding.state,
            integration: &finding.integration,
            mode: finding.mode,
            reference: finding.reference.as_deref(),
            expected: &finding.expected,
            found: &finding.found,
            opened: finding.opened,
            age: finding.age(now),
        })?;
    }
    file.finish()
}
