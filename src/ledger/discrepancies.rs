//! What does not add up: opened once per payment and class, counted when seen again, settled when it adds up.

use chrono::TimeDelta;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::rows::{self, millis};
use super::snapshot::Case;
use super::writer::Desk;
use crate::domain::{
    Class, Facts, Finding, GatewayKey, IntegrationName, Mode, Reference, Severity, Standing, Timestamp,
};

/// A finding as the ledger keeps it.
#[derive(Clone, Debug)]
pub struct Discrepancy {
    /// The ledger's number for it.
    pub id: i64,
    /// Its class.
    pub class: Class,
    /// `open` or `resolved`.
    pub state: String,
    /// Whose payments it is about.
    pub integration: IntegrationName,
    /// The merchant's word for the order, where it is about one.
    pub reference: Option<Reference>,
    /// The gateway's identity of the payment, where it is about one.
    pub key: Option<GatewayKey>,
    /// Whether real money is concerned, where it is about any.
    pub mode: Option<Mode>,
    /// What should have been.
    pub expected: String,
    /// What was.
    pub found: String,
    /// When it was first seen.
    pub opened: Timestamp,
    /// How often it has been seen.
    pub times: i64,
    /// When it was resolved.
    pub resolved: Option<Timestamp>,
    /// What settled it, or the reason a person gave.
    pub resolution: Option<String>,
    /// Who resolved it, if it was a person.
    pub actor: Option<String>,
}

impl Discrepancy {
    /// Whether it still is one.
    pub fn is_open(&self) -> bool {
        self.state == "open"
    }

    /// For how long it has been open, or was.
    pub fn age(&self, now: Timestamp) -> TimeDelta {
        self.resolved.unwrap_or(now) - self.opened
    }

    /// How soon a person should look, or should have.
    pub fn severity(&self, now: Timestamp) -> Severity {
        self.class.severity(self.age(now))
    }
}

/// Which findings. Every field narrows.
#[derive(Clone, Debug, Default)]
pub struct DiscrepancyFilter {
    /// The resolved ones, too.
    pub resolved_too: bool,
    /// Of this class.
    pub class: Option<Class>,
    /// About payments of this integration.
    pub integration: Option<String>,
}

/// The columns that [`discrepancy`] reads, in its order, and where they come from.
const DISCREPANCY: &str = "SELECT discrepancy.id, class, discrepancy.state, integration.name, \
     coalesce(payment.reference, expectation.reference), gateway_key, coalesce(payment.mode, expectation.mode), expected, \
     found, opened, times, resolved, resolution, actor FROM discrepancy \
     JOIN integration ON integration.id = discrepancy.integration_id \
     LEFT JOIN payment ON payment.id = discrepancy.payment_id \
     LEFT JOIN expectation ON expectation.id = discrepancy.expectation_id";

fn discrepancy(row: &Row<'_>) -> rusqlite::Result<Discrepancy> {
    let key = match row.get_ref(5)? {
        ValueRef::Null => None,
        _ => Some(rows::gateway_key(row, 5)?),
    };
    Ok(Discrepancy {
        id: row.get(0)?,
        class: rows::text(row, 1, Class::from_code)?,
        state: row.get(2)?,
        integration: rows::text(row, 3, |text| IntegrationName::parse(text).ok())?,
        reference: rows::maybe(row, 4, |text| Reference::parse(text).ok())?,
        key,
        mode: rows::maybe(row, 6, Mode::from_code)?,
        expected: row.get(7)?,
        found: row.get(8)?,
        opened: rows::instant(row, 9)?,
        times: row.get(10)?,
        resolved: rows::maybe_instant(row, 11)?,
        resolution: row.get(12)?,
        actor: row.get(13)?,
    })
}

/// Hands the findings that pass `filter`, newest first, to `each` until it says to stop.
pub(super) fn list(
    connection: &Connection,
    filter: &DiscrepancyFilter,
    mut each: impl FnMut(Discrepancy) -> bool,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!(
        "{DISCREPANCY} WHERE (?1 OR discrepancy.state = 'open') AND (?2 IS NULL OR class = ?2) \
         AND (?3 IS NULL OR integration.name = ?3) ORDER BY discrepancy.id DESC"
    ))?;
    let mut found = statement.query(params![filter.resolved_too, filter.class, filter.integration])?;
    while let Some(row) = found.next()? {
        if !each(discrepancy(row)?) {
            break;
        }
    }
    Ok(())
}

/// The finding of this number.
pub(super) fn find(connection: &Connection, id: i64) -> rusqlite::Result<Option<Discrepancy>> {
    connection
        .prepare_cached(&format!("{DISCREPANCY} WHERE discrepancy.id = ?1"))?
        .query_row([id], discrepancy)
        .optional()
}

/// Opens each finding, or counts it once more if the same is open. Those about an integration as a whole stand once for
/// it, whichever payment brought them up. Whether any was not open before.
pub(super) fn open(
    desk: &Desk<'_>,
    integration: i64,
    payment: Option<i64>,
    findings: &[Finding],
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let mut news = false;
    for finding in findings {
        let payment = payment.filter(|_| !finding.class.is_about_integration());
        // What a run may have put into other words is the same finding all the same.
        let standing = finding.class.is_standing(payment.is_some());
        let seen_before = desk
            .connection
            .prepare_cached(
                "UPDATE discrepancy SET times = times + 1, last_seen = ?6 WHERE state = 'open' AND integration_id = ?1 \
                 AND payment_id IS ?2 AND class = ?3 AND (?7 OR (expected = ?4 AND found = ?5))",
            )?
            .execute(params![
                integration,
                payment,
                finding.class,
                finding.expected,
                finding.found,
                millis(now),
                standing
            ])?;
        if seen_before == 0 {
            // Nor is it opened again for saying what a person has resolved.
            let opened = desk
                .connection
                .prepare_cached(
                    "INSERT INTO discrepancy (integration_id, payment_id, class, expected, found, state, opened, \
                     last_seen) SELECT ?1, ?2, ?3, ?4, ?5, 'open', ?6, ?6 WHERE NOT (?7 AND EXISTS (SELECT 1 \
                     FROM discrepancy WHERE payment_id = ?2 AND class = ?3 AND expected = ?4 AND found = ?5 \
                     AND actor IS NOT NULL))",
                )?
                .execute(params![
                    integration,
                    payment,
                    finding.class,
                    finding.expected,
                    finding.found,
                    millis(now),
                    standing
                ])?;
            news |= opened > 0;
        }
    }
    Ok(news)
}

/// Opens what a run found about `case`, unless the payment has changed since the run looked, or somebody else has
/// opened it meanwhile.
pub(super) fn open_standing(desk: &Desk<'_>, case: &Case, standing: &Standing, now: Timestamp) -> rusqlite::Result<()> {
    let order = case.expectation.filter(|_| case.payment.is_none());
    desk.connection
        .prepare_cached(
            "INSERT INTO discrepancy (class, state, integration_id, payment_id, expectation_id, subject, expected, found, \
             opened, last_seen) SELECT ?1, 'open', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8 \
             WHERE (?3 IS NULL OR EXISTS (SELECT 1 FROM payment WHERE id = ?3 AND last_changed = ?9)) \
             AND NOT EXISTS (SELECT 1 FROM discrepancy WHERE state = 'open' AND integration_id = ?2 AND class = ?1 \
             AND payment_id IS ?3 AND expectation_id IS ?4 AND subject = ?5)",
        )?
        .execute(params![
            standing.class,
            case.integration,
            case.payment,
            order,
            standing.subject,
            standing.expected,
            standing.found,
            millis(now),
            case.changed
        ])?;
    Ok(())
}

/// Closes open findings of these classes about a payment: the gateway's answer settled them.
pub(super) fn settle(
    desk: &Desk<'_>,
    integration: i64,
    payment: i64,
    classes: &[Class],
    now: Timestamp,
) -> rusqlite::Result<()> {
    for class in classes {
        let payment = (!class.is_about_integration()).then_some(payment);
        settle_such(desk, (integration, *class, payment), now, |_| true)?;
    }
    Ok(())
}

/// Closes open findings that a post contradicted what was known of a payment, where it has turned out to be right: it
/// said what the gateway says now.
pub(super) fn settle_borne_out(
    desk: &Desk<'_>,
    integration: i64,
    payment: i64,
    facts: &Facts,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let such = (integration, Class::ContradictingPost, Some(payment));
    settle_such(desk, such, now, |found| facts.stated().any(|stated| stated == found))
}

/// Closes the open findings of one class about a payment, or about the integration, as far as what was found is such.
fn settle_such(
    desk: &Desk<'_>,
    (integration, class, payment): (i64, Class, Option<i64>),
    now: Timestamp,
    is_such: impl Fn(&str) -> bool,
) -> rusqlite::Result<()> {
    // Looked for first: an UPDATE that may change its own index gathers what it finds in a table, even of nothing.
    let mut open = desk.connection.prepare_cached(
        "SELECT id, found FROM discrepancy WHERE state = 'open' AND integration_id = ?1 AND class = ?2 \
         AND payment_id IS ?3",
    )?;
    let mut open = open.query(params![integration, class, payment])?;
    let mut settled: Vec<i64> = Vec::new();
    while let Some(row) = open.next()? {
        if is_such(row.get_ref(1)?.as_str()?) {
            settled.push(row.get(0)?);
        }
    }
    for finding in settled {
        desk.connection
            .prepare_cached(
                "UPDATE discrepancy SET state = 'resolved', resolved = ?2, \
                 resolution = 'settled by the gateway''s answer' WHERE id = ?1",
            )?
            .execute(params![finding, millis(now)])?;
    }
    Ok(())
}

/// The findings about one payment, oldest first.
pub(super) fn of_payment(connection: &Connection, payment: i64) -> rusqlite::Result<Vec<Discrepancy>> {
    connection
        .prepare_cached(&format!("{DISCREPANCY} WHERE discrepancy.payment_id = ?1 ORDER BY discrepancy.id"))?
        .query_map([payment], discrepancy)?
        .collect()
}
