//! Refused posts, verbatim: never believed, never lost, never more than the merchant has room for.

use std::net::IpAddr;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::record::Arrival;
use super::rows::{self, millis};
use super::writer::{Desk, Tally};
use super::{chain, discrepancies, polls, record};
use crate::domain::{AS_THE_GATEWAY_WRITES, Class, Finding, IntegrationName, Observation, Refusal, Terms, Timestamp};
use crate::protocol::Verified;

/// A post that was not taken.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The integration it was posted to.
    pub integration: IntegrationName,
    /// When.
    pub at: Timestamp,
    /// How.
    pub arrival: Arrival,
    /// Why.
    pub kind: Refusal,
    /// The same for people, naming fields but no values.
    pub reason: String,
    /// That there is the payment it speaks of, where its proof holds and that much is certain.
    pub about: Option<Box<Verified<Observation>>>,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

/// How much may wait in quarantine of each integration; its oldest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuarantineLimits {
    /// How many posts.
    pub posts: u32,
    /// How many bytes of bodies and signatures.
    pub bytes: u64,
    /// For how long.
    pub age: Duration,
}

impl Default for QuarantineLimits {
    fn default() -> Self {
        Self { posts: 10_000, bytes: 64 * 1024 * 1024, age: Duration::from_hours(90 * 24) }
    }
}

/// Keeps a refused post. If its proof held, that is a finding, and the payment it speaks of is asked about; of one that
/// nobody has heard of it is taken that it exists, or it would be lost.
pub(super) fn refuse(desk: &mut Desk<'_>, refused: &Refused, terms: &Terms) -> rusqlite::Result<()> {
    let integration = desk.integration(&refused.integration)?;
    if refused.kind == Refusal::Suspect {
        let payment = match refused.about.as_deref().map(Verified::value) {
            Some(seen) => {
                if terms.confirmable && record::find(desk, integration, &seen.key)?.is_none() {
                    record::record(desk, seen, &chain::body_digest(&seen.body), Some(&refused.arrival), terms)?;
                }
                polls::ask_soon(desk, integration, &seen.key, terms, refused.at)?
            }
            None => None,
        };
        let finding = Finding {
            class: Class::ContradictingPost,
            expected: AS_THE_GATEWAY_WRITES.into(),
            found: refused.reason.clone(),
        };
        discrepancies::open(desk, integration, payment, &[finding], refused.at)?;
    }
    keep(desk, integration, refused)
}

/// Stores a post in quarantine and drops what is too old, and the oldest of the same integration beyond the limits.
/// Never another's: a flood at one door pushes nothing out at the next.
pub(super) fn keep(desk: &mut Desk<'_>, integration: i64, refused: &Refused) -> rusqlite::Result<()> {
    let Refused { at, arrival: Arrival { peer, signatures }, kind, reason, body, .. } = refused;
    let newest = desk
        .connection
        .prepare_cached(
            "INSERT INTO quarantine (at, integration_id, peer, kind, reason, signature, body) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .insert(params![millis(*at), integration, peer.map(|peer| peer.to_string()), kind, reason, signatures, body])?;
    let counted = match desk.quarantined().get(&integration) {
        Some(before) => Tally {
            posts: before.posts + 1,
            bytes: before.bytes + (body.len() + signatures.as_ref().map_or(0, String::len)) as u64,
        },
        None => count(desk.connection, integration)?,
    };
    desk.quarantined().insert(integration, counted);

    let limits = desk.quarantine_limits();
    let too_old = millis(*at - limits.age);
    while let Some(oldest) = oldest(desk.connection, None)?.filter(|oldest| oldest.id < newest && oldest.at < too_old) {
        drop_one(desk, &oldest)?;
    }
    while desk
        .quarantined()
        .get(&integration)
        .is_some_and(|kept| kept.posts > limits.posts || kept.bytes > limits.bytes)
    {
        match oldest(desk.connection, Some(integration))?.filter(|oldest| oldest.id < newest) {
            Some(oldest) => drop_one(desk, &oldest)?,
            None => break,
        }
    }
    Ok(())
}

/// What a refused post takes: its body and what was to prove it.
const SIZE: &str = "octet_length(body) + coalesce(octet_length(signature), 0)";

/// What there is of an integration.
fn count(connection: &Connection, integration: i64) -> rusqlite::Result<Tally> {
    connection
        .prepare_cached(&format!(
            "SELECT count(*), coalesce(sum({SIZE}), 0) FROM quarantine WHERE integration_id = ?1"
        ))?
        .query_row([integration], |row| Ok(Tally { posts: row.get(0)?, bytes: row.get::<_, i64>(1)?.unsigned_abs() }))
}

/// A post that may have to go.
struct Old {
    id: i64,
    integration: i64,
    at: i64,
    size: u64,
}

/// The post that was kept first, of all or of one integration.
fn oldest(connection: &Connection, integration: Option<i64>) -> rusqlite::Result<Option<Old>> {
    let of = if integration.is_some() { "WHERE integration_id = ?1" } else { "WHERE ?1 IS NULL" };
    connection
        .prepare_cached(&format!("SELECT id, integration_id, at, {SIZE} FROM quarantine {of} ORDER BY id LIMIT 1"))?
        .query_row([integration], |row| {
            let size = row.get::<_, i64>(3)?.unsigned_abs();
            Ok(Old { id: row.get(0)?, integration: row.get(1)?, at: row.get(2)?, size })
        })
        .optional()
}

fn drop_one(desk: &mut Desk<'_>, post: &Old) -> rusqlite::Result<()> {
    desk.connection.prepare_cached("DELETE FROM quarantine WHERE id = ?1")?.execute([post.id])?;
    if let Some(kept) = desk.quarantined().get_mut(&post.integration) {
        kept.posts = kept.posts.saturating_sub(1);
        kept.bytes = kept.bytes.saturating_sub(post.size);
    }
    Ok(())
}

/// Takes these posts out. Returns how many there were.
pub(super) fn discard(desk: &mut Desk<'_>, ids: &[i64]) -> rusqlite::Result<usize> {
    let mut statement = desk.connection.prepare_cached("DELETE FROM quarantine WHERE id = ?1")?;
    let gone = ids.iter().try_fold(0, |gone, id| Ok::<_, rusqlite::Error>(gone + statement.execute([id])?))?;
    desk.quarantined().clear();
    Ok(gone)
}

/// A post in quarantine, without its body.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// Its number, never given twice.
    pub id: i64,
    /// When it came.
    pub at: Timestamp,
    /// The integration it was posted to.
    pub integration: IntegrationName,
    /// By whom, as far as that is known.
    pub peer: Option<IpAddr>,
    /// Why.
    pub kind: Refusal,
    /// The same for people.
    pub reason: String,
    /// The headers that were to prove it, where the protocol keeps them.
    pub signatures: Vec<String>,
    /// How long its body is.
    pub bytes: u64,
}

/// Which refused posts. Every field narrows; none means all.
#[derive(Clone, Debug, Default)]
pub struct QuarantineFilter {
    /// Posted to this integration.
    pub integration: Option<String>,
    /// Refused for this reason.
    pub kind: Option<Refusal>,
    /// Arrived at or after this instant.
    pub since: Option<Timestamp>,
    /// Arrived before this instant.
    pub until: Option<Timestamp>,
}

/// The columns that [`quarantined`] reads, in its order.
const QUARANTINED: &str = "quarantine.id, at, name, peer, kind, reason, signature, octet_length(body)";

fn quarantined(row: &Row<'_>) -> rusqlite::Result<Quarantined> {
    let signatures = row.get::<_, Option<String>>(6)?;
    Ok(Quarantined {
        id: row.get(0)?,
        at: rows::instant(row, 1)?,
        integration: rows::text(row, 2, |text| IntegrationName::parse(text).ok())?,
        peer: rows::maybe(row, 3, |text| text.parse().ok())?,
        kind: rows::text(row, 4, Refusal::from_code)?,
        reason: row.get(5)?,
        signatures: signatures.map(|all| all.split('\n').map(str::to_owned).collect()).unwrap_or_default(),
        bytes: row.get::<_, i64>(7)?.unsigned_abs(),
    })
}

/// Hands the posts that pass `filter`, newest first, to `each` until it says to stop.
pub(super) fn list(
    connection: &Connection,
    filter: &QuarantineFilter,
    mut each: impl FnMut(Quarantined) -> bool,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!(
        "SELECT {QUARANTINED} FROM quarantine JOIN integration ON integration.id = integration_id \
         WHERE (?1 IS NULL OR name = ?1) AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR at >= ?3) \
         AND (?4 IS NULL OR at < ?4) ORDER BY quarantine.id DESC"
    ))?;
    let mut found = statement.query(params![
        filter.integration,
        filter.kind,
        filter.since.map(millis),
        filter.until.map(millis)
    ])?;
    while let Some(row) = found.next()? {
        if !each(quarantined(row)?) {
            break;
        }
    }
    Ok(())
}

/// The post of this number, with its body.
pub(super) fn find(connection: &Connection, id: i64) -> rusqlite::Result<Option<(Quarantined, Vec<u8>)>> {
    connection
        .prepare_cached(&format!(
            "SELECT {QUARANTINED}, body FROM quarantine JOIN integration ON integration.id = integration_id \
             WHERE quarantine.id = ?1"
        ))?
        .query_row([id], |row| Ok((quarantined(row)?, row.get(8)?)))
        .optional()
}
