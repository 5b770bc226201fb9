//! What can be asked of the ledger while somebody else writes to it. The statements stand with what they are about.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use super::{
    Brought, Counted, Discrepancy, DiscrepancyFilter, Due, Expected, Filter, LedgerError, LetterState, MoneyFilter,
    OldKey, OnConflict, Orders, Place, QuarantineFilter, Quarantined, ReportOrder, Scope, Settled, Slice, Standing,
    Story, Subject, Sweep, Verification, counts, discrepancies, due, expectations, money, old_keys, outbox, polls,
    quarantine, query, report, runs, schema, settlements, sweep, verify,
};
use crate::domain::{Days, Expectation, IntegrationName, Known, Payment, Settlement, Timestamp};

/// The ledger, open for reading. Cheap to clone; never blocks the writer.
#[derive(Clone)]
pub struct Reader(Arc<Mutex<Connection>>);

impl Reader {
    /// Opens an existing ledger for reading.
    ///
    /// # Errors
    /// There is none at `path`, or it is not one this release can read.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        Ok(Self(Arc::new(Mutex::new(schema::open_reader(path)?))))
    }

    /// Runs `query` where blocking is allowed.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let reader = self.clone();
        let read = move || reader.read_here(query);
        tokio::task::spawn_blocking(read).await?
    }

    /// Runs `query` on this thread.
    pub(super) fn read_here<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        query(&connection).map_err(LedgerError::read)
    }

    /// What to ask gateways about at `now` for these integrations, the longest due first, at most `limit` payments and
    /// as many orders; and when the next after them is due.
    ///
    /// # Errors
    /// The ledger could not be read; look again later.
    pub async fn due_questions(
        &self,
        integrations: Vec<String>,
        now: Timestamp,
        limit: usize,
    ) -> Result<(Vec<Due>, Option<Timestamp>), LedgerError> {
        self.read(move |connection| due::questions(connection, &integrations, now, limit)).await
    }

    /// The part of a run's sweep that begins at `place`, of at most `most` subjects.
    ///
    /// # Errors
    /// The ledger could not be read; the run is made up later.
    pub async fn slice(&self, sweep: Sweep, place: Place, most: usize) -> Result<Slice, LedgerError> {
        self.read(move |connection| sweep::slice(connection, &sweep, place, most)).await
    }

    /// What asking brought, of those `subjects` that a gateway has been asked about since `began`, by whomever.
    ///
    /// # Errors
    /// The ledger could not be read; look again later.
    pub async fn brought(
        &self,
        subjects: Vec<Subject>,
        (began, now): (Timestamp, Timestamp),
    ) -> Result<Vec<(Subject, Brought)>, LedgerError> {
        self.read(move |connection| sweep::brought(connection, &subjects, (began, now))).await
    }

    /// How many polls are scheduled and how many letters wait, for the status line.
    ///
    /// # Errors
    /// The ledger could not be read; look again later.
    pub async fn waiting(&self) -> Result<(i64, i64), LedgerError> {
        self.read(|connection| Ok((polls::scheduled(connection)?, outbox::waiting(connection)?))).await
    }

    /// How things stand `now`, for whoever watches the daemon.
    ///
    /// # Errors
    /// The ledger could not be read; look again later.
    pub async fn standing(&self, now: Timestamp) -> Result<Standing, LedgerError> {
        self.read(move |connection| counts::standing(connection, now)).await
    }

    /// The accepted keys behind the current ones. Blocks: for commands.
    ///
    /// # Errors
    /// The ledger could not be read.
    pub fn old_keys(&self) -> Result<Vec<OldKey>, LedgerError> {
        self.read_here(old_keys::all)
    }

    /// When a run of this name last began and ended well, of those that began by `until`.
    ///
    /// # Errors
    /// The ledger could not be read; look again later.
    pub async fn last_run(&self, name: &'static str, until: Timestamp) -> Result<Option<Timestamp>, LedgerError> {
        self.read(move |connection| runs::last(connection, name, until)).await
    }

    /// Whether a run of this name has reported these days, so that there is nothing to count for them.
    ///
    /// # Errors
    /// The ledger could not be read; look again later.
    pub async fn is_reported(&self, name: &'static str, days: Days) -> Result<bool, LedgerError> {
        self.read(move |connection| runs::is_reported(connection, name, &days)).await
    }

    /// Counts what a report about the days of `order` has to tell, all but what does not add up: that is read when the
    /// run is concluded. Reads every payment that changed since two weeks before, and keeps none of them.
    ///
    /// # Errors
    /// The ledger could not be read; the run will be made up.
    pub async fn count_report(&self, order: ReportOrder, now: Timestamp) -> Result<Counted, LedgerError> {
        self.read(move |connection| report::count(connection, &order, now)).await
    }

    /// The integrations that the ledger has heard of, by name. Blocks: for commands.
    ///
    /// # Errors
    /// The ledger could not be read.
    pub fn integrations(&self) -> Result<Vec<IntegrationName>, LedgerError> {
        self.read_here(query::integrations)
    }

    /// Hands the payments that pass `filter`, newest first, to `each` until it says to stop. Blocks: for commands.
    ///
    /// # Errors
    /// The ledger could not be read to the end.
    pub fn payments(&self, filter: &Filter, each: impl FnMut(Payment) -> bool) -> Result<(), LedgerError> {
        self.read_here(|connection| query::list(connection, filter, each))
    }

    /// Hands the payments whose money moved as `filter` says to `each` until it says to stop. Blocks: for commands.
    ///
    /// # Errors
    /// The ledger could not be read to the end.
    pub fn money(&self, filter: &MoneyFilter, each: impl FnMut(Known) -> bool) -> Result<(), LedgerError> {
        self.read_here(|connection| money::list(connection, filter, each))
    }

    /// Everything about the payments called `name`: a gateway key, else a reference. Blocks: for commands.
    ///
    /// # Errors
    /// The ledger could not be read.
    pub fn stories(&self, name: &str, integration: Option<&str>) -> Result<Vec<Story>, LedgerError> {
        self.read_here(|connection| query::stories(connection, name, integration))
    }

    /// Hands the findings that pass `filter`, newest first, to `each` until it says to stop. Blocks: for commands.
    ///
    /// # Errors
    /// The ledger could not be read to the end.
    pub fn discrepancies(
        &self,
        filter: &DiscrepancyFilter,
        each: impl FnMut(Discrepancy) -> bool,
    ) -> Result<(), LedgerError> {
        self.read_here(|connection| discrepancies::list(connection, filter, each))
    }

    /// The finding of this number. Blocks: for commands.
    ///
    /// # Errors
    /// The ledger could not be read.
    pub fn discrepancy(&self, id: i64) -> Result<Option<Discrepancy>, LedgerError> {
        self.read_here(|connection| discrepancies::find(connection, id))
    }

    /// Verifies the ledger as it is at this moment; the daemon may go on writing. Blocks: for commands.
    ///
    /// # Errors
    /// The ledger could not be read, for another reason than damage: that is found and told.
    pub fn verify(&self, scope: Scope) -> Result<Verification, LedgerError> {
        self.read_here(|connection| verify::verify(connection, scope))
    }

    /// What [`Ledger::expect`](super::Ledger::expect) would make of `order` now. Blocks: for commands.
    ///
    /// # Errors
    /// The ledger could not be read.
    pub fn would_expect(&self, order: &Expectation, on_conflict: OnConflict) -> Result<Expected, LedgerError> {
        self.read_here(|connection| expectations::would_be(connection, order, on_conflict))
    }

    /// What [`Ledger::settle`](super::Ledger::settle) would make of `line` now. Blocks: for commands.
    ///
    /// # Errors
    /// The ledger could not be read.
    pub fn would_settle(&self, line: &Settlement) -> Result<Settled, LedgerError> {
        self.read_here(|connection| settlements::would_be(connection, line))
    }

    /// Hands the expected orders, newest first, to `each` until it says to stop: all, or those for which no money has
    /// come. Blocks: for commands.
    ///
    /// # Errors
    /// The ledger could not be read to the end.
    pub fn expectations(&self, which: Orders, each: impl FnMut(Expectation) -> bool) -> Result<(), LedgerError> {
        self.read_here(|connection| expectations::list(connection, which, each))
    }

    /// Hands the refused posts that pass `filter`, newest first, to `each` until it says to stop. Blocks: for commands.
    ///
    /// # Errors
    /// The ledger could not be read to the end.
    pub fn quarantine(
        &self,
        filter: &QuarantineFilter,
        each: impl FnMut(Quarantined) -> bool,
    ) -> Result<(), LedgerError> {
        self.read_here(|connection| quarantine::list(connection, filter, each))
    }

    /// The refused post of this number, with its body. Blocks: for commands.
    ///
    /// # Errors
    /// The ledger could not be read.
    pub fn quarantined(&self, id: i64) -> Result<Option<(Quarantined, Vec<u8>)>, LedgerError> {
        self.read_here(|connection| quarantine::find(connection, id))
    }

    /// Hands every letter, newest first, to `each` until it says to stop. Blocks: for commands.
    ///
    /// # Errors
    /// The ledger could not be read to the end.
    pub fn letters(&self, each: impl FnMut(LetterState) -> bool) -> Result<(), LedgerError> {
        self.read_here(|connection| outbox::list(connection, None, each))
    }
}
