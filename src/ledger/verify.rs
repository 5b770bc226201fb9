//! Does the ledger still say what was written? The file, its references, its guards, the index of keys, the chain of
//! events and the payments folded from them again. Reads only, from one snapshot, row after row: memory does not grow with
//! the ledger.
//!
//! The definitions are those by which the ledger is written: `chain::link`, `rows::event` and `Payment::fold`.

use rusqlite::{Connection, ErrorCode, Row};

use super::chain::{self, Link};
use super::{fold, keys, rows, schema};

/// How much to verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Whole,
    /// Only that every payment is what its events make of it.
    Fold,
}

/// One of the questions asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Is the file sound, page by page and index by index?
    File,
    /// Does every row refer to rows that are there?
    References,
    /// Are the triggers in place that keep events from being changed, and letters' numbers from being given twice?
    Guards,
    /// Is every payment found by its key, and by that of no other?
    Keys,
    /// Does every event's digest follow from the event and the one before it?
    Chain,
    /// Is every payment what its events make of it, and every event found from its payment?
    Fold,
}

crate::domain::codes!(Check {
    File = "file",
    References = "references",
    Guards = "guards",
    Keys = "keys",
    Chain = "chain",
    Fold = "fold",
});

/// What is wrong, by the first row of which one check says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Which check.
    pub check: Check,
    /// The table and number of the row, where it is one row.
    pub row: Option<(String, i64)>,
    /// What is wrong with it.
    pub what: String,
    /// How many more rows fail the same check.
    pub more: u64,
}

/// What verifying found.
#[derive(Clone, Debug)]
pub struct Verification {
    /// How many events there are.
    pub events: u64,
    /// How many payments there are.
    pub payments: u64,
    /// The digest of the newest event: note it elsewhere, and nobody can rewrite what came before it.
    pub head: Link,
    /// What is wrong, at most one flaw a check; none if all is well.
    pub flaws: Vec<Flaw>,
}

impl Verification {
    /// Notes that `row` fails `check`.
    pub(super) fn fault(&mut self, check: Check, row: Option<(&str, i64)>, what: impl Into<String>) {
        if let Some(flaw) = self.flaws.iter_mut().find(|flaw| flaw.check == check) {
            flaw.more += 1;
        } else {
            let row = row.map(|(table, id)| (table.to_owned(), id));
            self.flaws.push(Flaw { check, row, what: what.into(), more: 0 });
        }
    }

    /// Whether something fails `check`.
    pub(super) fn fails(&self, check: Check) -> bool {
        self.flaws.iter().any(|flaw| flaw.check == check)
    }

    /// Runs one check; a file that is damaged where it reads fails it.
    fn check(&mut self, check: Check, run: impl FnOnce(&mut Self) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
        match run(self) {
            Err(error) if is_damage(&error) => {
                self.fault(check, None, format!("the file cannot be read on: {error}"));
                Ok(())
            }
            done => done,
        }
    }
}

/// Whether SQLite says that the file itself is damaged, or is none of its files.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Verifies what `connection` sees at this moment.
pub(super) fn verify(connection: &Connection, scope: Scope) -> rusqlite::Result<Verification> {
    let mut found = Verification { events: 0, payments: 0, head: chain::GENESIS, flaws: Vec::new() };
    // One snapshot for all checks, however much is written meanwhile.
    let snapshot = connection.unchecked_transaction()?;
    if scope == Scope::Whole {
        found.check(Check::File, |found| file(&snapshot, found))?;
        found.check(Check::References, |found| references(&snapshot, found))?;
        found.check(Check::Guards, |found| guards(&snapshot, found))?;
        found.check(Check::Keys, |found| keys::verify(&snapshot, found))?;
    }
    found.check(Check::Chain, |found| chain(&snapshot, found, scope))?;
    found.check(Check::Fold, |found| fold::compare(&snapshot, found))?;
    Ok(found)
}

fn file(connection: &Connection, found: &mut Verification) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let says: String = row.get(0)?;
        if says != "ok" {
            found.fault(Check::File, None, says);
        }
    }
    Ok(())
}

fn references(connection: &Connection, found: &mut Verification) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, id, parent): (String, Option<i64>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let what = format!("refers to a row of {parent} that is not there");
        found.fault(Check::References, id.map(|id| (table.as_str(), id)), what);
    }
    Ok(())
}

/// The triggers must be there, word for word as this release makes them.
fn guards(connection: &Connection, found: &mut Verification) -> rusqlite::Result<()> {
    let triggers = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name";
    let wanted = schema::blueprint(connection)?;
    let mut wanted = wanted.prepare(triggers)?;
    let mut wanted = wanted.query([])?;
    while let Some(row) = wanted.next()? {
        let (name, sql): (String, String) = (row.get(0)?, row.get(1)?);
        let stands = connection
            .prepare_cached("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name = ?1 AND sql = ?2")?
            .query_row([&name, &sql], |row| row.get::<_, i64>(0))?;
        if stands != 1 {
            found.fault(Check::Guards, None, format!("the trigger {name} is missing or altered"));
        }
    }
    Ok(())
}

/// Walks the events in their order. Counts them and finds the head in any case.
fn chain(connection: &Connection, found: &mut Verification, scope: Scope) -> rusqlite::Result<()> {
    if scope == Scope::Fold {
        found.head = chain::newest(connection)?.1;
        let events: i64 = connection.query_row("SELECT count(*) FROM event", [], |row| row.get(0))?;
        found.events = events.unsigned_abs();
        return Ok(());
    }
    let mut statement = connection.prepare(&format!(
        "SELECT {} FROM event LEFT JOIN payment ON payment.id = payment_id \
         LEFT JOIN integration ON integration.id = integration_id ORDER BY event.id",
        rows::EVENT
    ))?;
    let mut events = statement.query([])?;
    while let Some(row) = events.next()? {
        let id = row.get(0)?;
        match rows::told(row) {
            Ok(told) => {
                let digest = told.digest();
                if told.link(&found.head) != digest {
                    let what = "its digest does not follow from it and the event before it: it was changed, or events \
                                before it were dropped, added or moved";
                    found.fault(Check::Chain, Some(("event", id)), what);
                }
                found.head = digest;
            }
            Err(error) => {
                found.fault(Check::Chain, Some(("event", id)), unreadable(row, &error));
                found.head = row.get("digest").unwrap_or(found.head);
            }
        }
        found.events += 1;
    }
    Ok(())
}

/// Why a row cannot be read: the column, not its content.
pub(super) fn unreadable(row: &Row<'_>, error: &rusqlite::Error) -> String {
    let column = match error {
        rusqlite::Error::FromSqlConversionFailure(at, ..) | rusqlite::Error::InvalidColumnType(at, ..) => {
            row.as_ref().column_name(*at).ok()
        }
        _ => None,
    };
    match column {
        Some(column) => format!("its column {column} holds nothing that this release writes"),
        None => "it holds something that this release does not write".to_owned(),
    }
}
