//! What happens by the clock, so that it happens once: a row when it has ended, and with it what it reported.

use chrono::Days as Count;
use rusqlite::{Connection, OptionalExtension, params};

use super::chain;
use super::report::Counted;
use super::rows::{self, millis};
use super::writer::Desk;
use super::{outbox, report_shape};
use crate::domain::{Days, Report, Timestamp};

/// For how many days the files that went with a report are kept. The report itself stays.
const FILES_KEPT: u64 = 400;

/// What a run reported, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The report.
    pub report: Report,
    /// `transactions.csv`; `None` once it is too old to be kept.
    pub transactions: Option<Vec<u8>>,
    /// `discrepancies.csv`; `None` once it is too old to be kept.
    pub findings: Option<Vec<u8>>,
}

/// A run that has come to its end.
#[derive(Clone, Debug)]
pub struct Run {
    /// What it is called.
    pub name: &'static str,
    /// When it began.
    pub started: Timestamp,
    /// What it did, for people.
    pub summary: String,
}

/// What became of a run's report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concluded {
    /// The run is noted; there was nothing to report.
    Noted,
    /// The run is noted; these days have been reported before, so nobody is written to.
    AlreadyReported,
    /// The report is stored and its letters are in the outbox.
    Reported {
        /// How many letters.
        letters: usize,
        /// How many findings need a person.
        need_you: u64,
    },
}

/// When a run of this name last began, of those that began by `until`.
pub(super) fn last(connection: &Connection, name: &str, until: Timestamp) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("SELECT max(started) FROM run WHERE name = ?1 AND started <= ?2 AND finished IS NOT NULL")?
        .query_row(params![name, millis(until)], |row| rows::maybe_instant(row, 0))
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

/// Notes that `run` has ended `now`. With `counted`, its report is completed by what does not add up at this moment,
/// stored, and put into the outbox, unless its days have been reported before.
pub(super) fn conclude(
    desk: &mut Desk<'_>,
    run: &Run,
    counted: Option<&Counted>,
    now: Timestamp,
) -> rusqlite::Result<Concluded> {
    let Some(counted) = counted else {
        note(desk, run.name, run.started, now, &run.summary)?;
        return Ok(Concluded::Noted);
    };
    let days = counted.report.days;
    if is_reported(desk.connection, run.name, &days)? {
        note(desk, run.name, run.started, now, &run.summary)?;
        return Ok(Concluded::AlreadyReported);
    }
    let (before, newest) = previous(desk.connection)?;
    let (report, files) = counted.completed(desk.connection, desk.head()?, before, newest, now)?;
    let newest: Option<i64> = desk.connection.query_row("SELECT max(id) FROM discrepancy", [], |row| row.get(0))?;
    let id = desk
        .connection
        .prepare_cached(
            "INSERT INTO run (name, started, finished, summary, first_day, last_day, report, transactions, findings) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .insert(params![
            run.name,
            millis(run.started),
            millis(now),
            run.summary,
            days.first().to_string(),
            days.last().to_string(),
            report_shape::write(&report, newest.unwrap_or(0)),
            counted.transactions,
            files,
        ])?;
    let letters = outbox::report(desk, id, &counted.recipients, now)?;
    let oldest = days.last().checked_sub_days(Count::new(FILES_KEPT)).unwrap_or(days.last());
    desk.connection
        .prepare_cached(
            "UPDATE run SET transactions = NULL, findings = NULL WHERE name = ?1 AND last_day < ?2 \
             AND transactions IS NOT NULL",
        )?
        .execute(params![run.name, oldest.to_string()])?;
    Ok(Concluded::Reported { letters, need_you: report.findings.need_you() })
}

/// Whether one report of a run of this name tells of all these days.
pub(super) fn is_reported(connection: &Connection, name: &str, days: &Days) -> rusqlite::Result<bool> {
    // The days themselves, or some that include them; and the last of them only once, whatever came before it.
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM run WHERE name = ?1 AND last_day IS NOT NULL \
             AND (last_day = ?3 OR (last_day > ?3 AND first_day <= ?2)))",
        )?
        .query_row(params![name, days.first().to_string(), days.last().to_string()], |row| row.get(0))
}

/// When the last report was made, by whatever run, and the number of the newest finding then.
fn previous(connection: &Connection) -> rusqlite::Result<(Option<Timestamp>, i64)> {
    let previous = connection
        .prepare_cached(
            "SELECT finished, report ->> '$.newest_finding' FROM run WHERE last_day IS NOT NULL ORDER BY id DESC LIMIT 1",
        )?
        .query_row([], |row| Ok((rows::maybe_instant(row, 0)?, row.get(1)?)))
        .optional()?;
    Ok(previous.unwrap_or((None, 0)))
}

/// What the run with this number reported, and its name.
pub(super) fn reported(connection: &Connection, id: i64) -> rusqlite::Result<(String, Reported)> {
    connection.prepare_cached("SELECT report, name, transactions, findings FROM run WHERE id = ?1")?.query_row(
        [id],
        |row| {
            let report = rows::text(row, 0, report_shape::read)?;
            Ok((row.get(1)?, Reported { report, transactions: row.get(2)?, findings: row.get(3)? }))
        },
    )
}

/// How much a probe writes, in bytes: what the largest post needs, its pages and indexes included.
const PROBE: i64 = 128 * 1024;

/// Does what every post needs, to see whether it can be done: finds the newest event and writes as much as the largest.
pub(super) fn probe(desk: &Desk<'_>, now: Timestamp) -> rusqlite::Result<()> {
    chain::newest(desk.connection)?;
    desk.connection
        .prepare_cached("REPLACE INTO probe (id, at, filler) VALUES (1, ?1, zeroblob(?2))")?
        .execute([millis(now), PROBE])?;
    Ok(())
}
