//! Reading payments: lists by filter, and everything about one.

use rusqlite::types::Value;
use rusqlite::{Connection, ToSql, params, params_from_iter};

use super::rows::{self, StoredKey, millis};
use super::states::State;
use super::{Decision, Discrepancy, LetterState, Repeats, discrepancies, events, keys, outbox, repeats, states};
use crate::domain::{IntegrationName, Known, Payment, Status, Timestamp, Trust};

/// Which payments to list. Every field narrows; none means all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this integration.
    pub integration: Option<String>,
    /// In one of these states.
    pub statuses: Vec<Status>,
    /// Trusted so far.
    pub trust: Option<Trust>,
    /// With exactly this reference of the merchant's.
    pub reference: Option<String>,
    /// First seen at or after this instant.
    pub since: Option<Timestamp>,
    /// First seen before this instant.
    pub until: Option<Timestamp>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// One event, as people are shown it: without the body, which may hold personal data.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Its number in the ledger.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// The channel's code.
    pub channel: String,
    /// The evidence's code.
    pub evidence: String,
    /// The outcome's code.
    pub outcome: String,
    /// The status it spoke of; `None` for a person's decision.
    pub said: Option<String>,
    /// When, by the gateway's clock, as written.
    pub said_at: Option<String>,
    /// The earliest and the latest instant that can mean.
    pub meant: Option<(Timestamp, Timestamp)>,
    /// The payment's status afterwards; `None` for a person's decision, which changes none.
    pub status: Option<String>,
    /// The payment's trust afterwards.
    pub trust: Option<String>,
    /// What a person decided, in their own words.
    pub decision: Option<Decision>,
    /// Its digest in the chain.
    pub digest: [u8; 32],
}

/// A run of polls that brought the same.
#[derive(Clone, Debug)]
pub struct PollRow {
    /// When the first of them was.
    pub first_at: Timestamp,
    /// When the last of them was.
    pub last_at: Timestamp,
    /// How many.
    pub count: i64,
    /// What they brought: an outcome's code, or that of what went wrong.
    pub outcome: String,
    /// The same for people, or the status the gateway named.
    pub detail: String,
}

/// Everything the ledger knows of one payment.
#[derive(Clone, Debug)]
pub struct Story {
    /// The payment and its poll plan.
    pub known: Known,
    /// What was heard of it, oldest first.
    pub events: Vec<EventRow>,
    /// How often it was heard of in vain; only the first of each are events.
    pub repeats: Vec<Repeats>,
    /// What asking brought, oldest first.
    pub polls: Vec<PollRow>,
    /// Letters about it, newest first.
    pub letters: Vec<LetterState>,
    /// What does not add up about it, oldest first.
    pub discrepancies: Vec<Discrepancy>,
}

/// The integrations that the ledger has heard of, by name.
pub(super) fn integrations(connection: &Connection) -> rusqlite::Result<Vec<IntegrationName>> {
    connection
        .prepare("SELECT name FROM integration ORDER BY name")?
        .query_map([], |row| rows::text(row, 0, |text| IntegrationName::parse(text).ok()))?
        .collect()
}

/// Hands the payments that pass `filter`, newest first, to `each` until it says to stop.
pub(super) fn list(
    connection: &Connection,
    filter: &Filter,
    mut each: impl FnMut(Payment) -> bool,
) -> rusqlite::Result<()> {
    let integrations: Vec<i64> = connection
        .prepare("SELECT id FROM integration WHERE ?1 IS NULL OR name = ?1 ORDER BY id")?
        .query_map([&filter.integration], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if integrations.is_empty() {
        return Ok(());
    }
    let (statement, values) = list_statement(filter, &integrations);
    let mut statement = connection.prepare(&statement)?;
    let mut found = statement.query(params_from_iter(values))?;
    while let Some(row) = found.next()? {
        if !each(rows::payment(row)?.1) {
            break;
        }
    }
    Ok(())
}

/// How many integrations a list is put together from at most; beyond that it goes through all payments.
const MOST_PARTS: usize = 64;

/// The payments that pass `filter`, newest first, and what its question marks stand for. `integrations` are the numbers
/// of those it may be about. Each part walks an index in the list's own order, and the parts are merged as they are
/// read: nothing is sorted, so a first page costs the same in a ledger of any size.
pub(super) fn list_statement(filter: &Filter, integrations: &[i64]) -> (String, Vec<Value>) {
    let mut values: Vec<Value> = Vec::new();
    let mut bound = |value: Value| {
        values.push(value);
        format!("?{}", values.len())
    };
    let mut such = "TRUE".to_owned();
    let mut narrow = |condition: &str| {
        such.push_str(" AND ");
        such.push_str(condition);
    };
    if let (Some(_), [integration]) = (&filter.integration, integrations) {
        narrow(&format!("integration_id = {}", bound((*integration).into())));
    }
    if let Some(since) = filter.since {
        narrow(&format!("first_seen >= {}", bound(millis(since).into())));
    }
    if let Some(until) = filter.until {
        narrow(&format!("first_seen < {}", bound(millis(until).into())));
    }
    let wanted = |(trust, status): &State| {
        filter.trust.is_none_or(|wanted| wanted == *trust)
            && (filter.statuses.is_empty() || filter.statuses.contains(status))
    };
    let by_state = filter.reference.is_none() && states::all().filter(wanted).all(states::is_indexed);
    let mut order = "1 DESC";
    let payments = if by_state {
        states::select(rows::PAYMENT, states::all().filter(wanted), &such)
    } else {
        if let Some(trust) = filter.trust {
            narrow(&format!("trust = {}", bound(trust.code().to_owned().into())));
        }
        if !filter.statuses.is_empty() {
            let statuses = filter.statuses.iter().map(|status| bound(status.code().to_owned().into()));
            narrow(&format!("status IN ({})", statuses.collect::<Vec<_>>().join(", ")));
        }
        let timed = filter.integration.is_some() || filter.since.is_some() || filter.until.is_some();
        let walks: Vec<(&str, String)> = if let Some(reference) = &filter.reference {
            let named = format!("payment.reference = {}", bound(reference.clone().into()));
            vec![("INDEXED BY payment_by_reference", named)]
        } else if timed && integrations.len() <= MOST_PARTS {
            // By when they were first seen, and then by number: the same, but for a clock that was set back.
            order = "17 DESC, 1 DESC";
            let of = |id: &i64| ("INDEXED BY payment_by_age", format!("integration_id = {}", bound((*id).into())));
            integrations.iter().map(of).collect()
        } else {
            vec![("NOT INDEXED", "TRUE".to_owned())]
        };
        let parts: Vec<String> = walks
            .into_iter()
            .map(|(walk, of)| {
                format!(
                    "SELECT {} FROM payment {walk} CROSS JOIN integration ON integration.id = integration_id \
                     WHERE {of} AND {such}",
                    rows::PAYMENT
                )
            })
            .collect();
        parts.join(" UNION ALL ")
    };
    let limit = bound(filter.limit.map_or(-1, i64::from).into());
    (format!("{payments} ORDER BY {order} LIMIT {limit}"), values)
}

/// Everything about the payments called `name`: by gateway key, else by Paynow's or the merchant's reference.
pub(super) fn stories(connection: &Connection, name: &str, integration: Option<&str>) -> rusqlite::Result<Vec<Story>> {
    let by = |column: &str, value: &dyn ToSql| -> rusqlite::Result<Vec<(i64, Known)>> {
        connection
            .prepare_cached(&stories_statement(column))?
            .query_map(params![value, integration], rows::known)?
            .collect()
    };
    let mut found = Vec::new();
    for id in keys::payments(connection, &StoredKey::called(name), integration)? {
        found.extend(by("id", &id)?);
    }
    for column in ["gateway_reference", "reference"] {
        if found.is_empty() {
            found = by(column, &name)?;
        }
    }
    found.into_iter().map(|(id, known)| story(connection, id, known)).collect()
}

pub(super) fn stories_statement(column: &str) -> String {
    format!(
        "SELECT {}, {} FROM payment JOIN integration ON integration.id = integration_id \
         WHERE payment.{column} = ?1 \
         AND integration_id IN (SELECT id FROM integration WHERE ?2 IS NULL OR name = ?2) ORDER BY payment.id",
        rows::PAYMENT,
        rows::KNOWN
    )
}

fn story(connection: &Connection, id: i64, known: Known) -> rusqlite::Result<Story> {
    let events = connection
        .prepare_cached(&format!(
            "{} SELECT event.id, at, channel, evidence, outcome, said, status, trust, digest, said_at, said_earliest, \
             said_latest, iif(channel = 'operator', body, NULL) FROM about CROSS JOIN event ON event.id = about.id \
             ORDER BY event.id",
            events::about("?1")
        ))?
        .query_map([id], |row| {
            Ok(EventRow {
                id: row.get(0)?,
                at: rows::instant(row, 1)?,
                channel: row.get(2)?,
                evidence: row.get(3)?,
                outcome: row.get(4)?,
                said: row.get(5)?,
                status: row.get(6)?,
                trust: row.get(7)?,
                digest: row.get(8)?,
                said_at: row.get(9)?,
                meant: rows::maybe_instant(row, 10)?.zip(rows::maybe_instant(row, 11)?),
                decision: row.get::<_, Option<Vec<u8>>>(12)?.as_deref().and_then(Decision::read),
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let polls = connection
        .prepare_cached(
            "SELECT first_at, last_at, count, outcome, detail FROM poll_log WHERE payment_id = ?1 ORDER BY first_at",
        )?
        .query_map([id], |row| {
            Ok(PollRow {
                first_at: rows::instant(row, 0)?,
                last_at: rows::instant(row, 1)?,
                count: row.get(2)?,
                outcome: row.get(3)?,
                detail: row.get(4)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut letters = Vec::new();
    outbox::list(connection, Some(id), |letter| {
        letters.push(letter);
        true
    })?;
    let (repeats, discrepancies) = (repeats::of(connection, id)?, discrepancies::of_payment(connection, id)?);
    Ok(Story { known, events, repeats, polls, letters, discrepancies })
}
