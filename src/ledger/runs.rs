//! What happens by the clock, so that it happens once: a row when it begins, completed when it ends.

use rusqlite::{Connection, params};

use super::chain;
use super::rows::{self, millis};
use super::writer::Desk;
use crate::domain::Timestamp;

/// When a run of this name last began.
pub(super) fn last(connection: &Connection, name: &str) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("SELECT max(started) FROM run WHERE name = ?1 AND finished IS NOT NULL")?
        .query_row([name], |row| rows::maybe_instant(row, 0))
}

/// Notes a run that began at `started` and has ended.
pub(super) fn note(
    desk: &Desk<'_>,
    name: &str,
    started: Timestamp,
    finished: Timestamp,
    summary: &str,
) -> rusqlite::Result<()> {
    desk.connection
        .prepare_cached("INSERT INTO run (name, started, finished, summary) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![name, millis(started), millis(finished), summary])?;
    Ok(())
}

/// How much a probe writes, in bytes: what the largest post needs, its pages and indexes included.
const PROBE: i64 = 128 * 1024;

/// Does what every post needs, to see whether it can be done: finds the newest event and writes as much as the largest.
pub(super) fn probe(desk: &Desk<'_>, now: Timestamp) -> rusqlite::Result<()> {
    chain::head(desk.connection)?;
    desk.connection
        .prepare_cached("REPLACE INTO probe (id, at, filler) VALUES (1, ?1, zeroblob(?2))")?
        .execute([millis(now), PROBE])?;
    Ok(())
}
