//! Keys that are accepted though another has replaced them: since when, and when they last proved anything. Whoever
//! rotates keys learns here when an old one can go.

use chrono::TimeDelta;
use rusqlite::{Connection, Row, params};

use super::rows::{self, millis};
use super::writer::Desk;
use crate::domain::{IntegrationName, Timestamp};

/// For how long an old key must have proved nothing before somebody is told that it can go.
const IDLE: TimeDelta = TimeDelta::days(30);

/// The names of an integration's key files, the current one first.
pub type KeyFiles = (IntegrationName, Vec<String>);

/// An accepted key behind the current one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldKey {
    /// Whose.
    pub integration: IntegrationName,
    /// The name of its file.
    pub file: String,
    /// Since when it has been known to be an old one.
    pub since: Timestamp,
    /// When it first proved something as an old one.
    pub first_used: Option<Timestamp>,
    /// When it last did, to a minute.
    pub last_used: Option<Timestamp>,
    /// How often it did.
    pub count: u64,
}

impl OldKey {
    /// When it was last needed, as far as is known.
    pub fn last_needed(&self) -> Timestamp {
        self.last_used.unwrap_or(self.since)
    }

    /// Whether nobody has needed it for so long that it can go. Its file was last `changed` then: put under a name that
    /// was here before, it may hold another key.
    pub fn is_idle(&self, changed: Option<Timestamp>, now: Timestamp) -> bool {
        [Some(self.last_needed()), changed].into_iter().flatten().all(|then| now - then >= IDLE)
    }
}

/// Uses of an old key: whose, at which place in `key_files` (the current key's is 1), and how often.
pub type KeyUses = (IntegrationName, usize, u64);

/// From now on, these are the key files. What is no longer named is forgotten, so that it begins anew if it comes back.
pub(super) fn name(desk: &mut Desk<'_>, all: &[KeyFiles], now: Timestamp) -> rusqlite::Result<()> {
    let mut kept = Vec::new();
    for (integration, files) in all {
        let integration = desk.integration(integration)?;
        for (at, file) in files.iter().enumerate().skip(1) {
            desk.connection
                .prepare_cached(
                    "INSERT INTO old_key (integration_id, file, position, since) VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT DO UPDATE SET position = excluded.position",
                )?
                .execute(params![integration, file, position(at + 1), millis(now)])?;
            kept.push((integration, file.clone()));
        }
    }
    let known: rusqlite::Result<Vec<(i64, String)>> = desk
        .connection
        .prepare_cached("SELECT integration_id, file FROM old_key")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect();
    for (integration, file) in known?.into_iter().filter(|known| !kept.contains(known)) {
        desk.connection
            .prepare_cached("DELETE FROM old_key WHERE integration_id = ?1 AND file = ?2")?
            .execute(params![integration, file])?;
    }
    Ok(())
}

/// Old keys have proved something.
pub(super) fn used(desk: &mut Desk<'_>, uses: &[KeyUses], now: Timestamp) -> rusqlite::Result<()> {
    for (integration, place, times) in uses {
        let integration = desk.integration(integration)?;
        desk.connection
            .prepare_cached(
                "UPDATE old_key SET first_used = coalesce(first_used, ?3), last_used = ?3, count = count + ?4 \
                 WHERE integration_id = ?1 AND position = ?2",
            )?
            .execute(params![integration, position(*place), millis(now), i64::try_from(*times).unwrap_or(i64::MAX)])?;
    }
    Ok(())
}

fn position(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

/// Every old key.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<OldKey>> {
    connection
        .prepare_cached(
            "SELECT name, file, since, first_used, last_used, count FROM old_key \
             JOIN integration ON integration.id = integration_id ORDER BY name, position",
        )?
        .query_map([], old_key)?
        .collect()
}

fn old_key(row: &Row<'_>) -> rusqlite::Result<OldKey> {
    Ok(OldKey {
        integration: rows::text(row, 0, |text| IntegrationName::parse(text).ok())?,
        file: row.get(1)?,
        since: rows::instant(row, 2)?,
        first_used: rows::maybe_instant(row, 3)?,
        last_used: rows::maybe_instant(row, 4)?,
        count: row.get::<_, i64>(5)?.unsigned_abs(),
    })
}
