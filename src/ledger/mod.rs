//! Floor 2: the ledger, the only room that knows SQL.
//!
//! One SQLite file, one thread that writes to it ([`Ledger`]), one connection that only reads ([`Reader`]).
//! `Ok` from anything that writes means: committed and on disk. Every fact enters by [`Ledger::record`].

mod chain;
mod changes;
mod counts;
mod deliveries;
mod discrepancies;
mod due;
mod error;
mod events;
mod expectations;
mod fold;
mod keys;
mod letter;
mod money;
mod old_keys;
mod outbox;
mod polls;
mod quarantine;
mod query;
mod reader;
mod record;
mod repeats;
mod report;
mod report_findings;
mod report_shape;
mod resolution;
mod rows;
mod runs;
mod schema;
mod settlements;
mod sieve;
mod snapshot;
mod snapshot_rows;
mod statements;
mod states;
mod sweep;
mod taken_up;
mod ties;
mod told_days;
mod traces;
mod unconfirmed;
mod verify;
mod whereabouts;
mod writer;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

pub use changes::{Changes, Conclusion, Moves};
pub use counts::{ByIntegration, Counts, GROUP_SIZES, NOT_STORED, Standing};
pub use discrepancies::{Discrepancy, DiscrepancyFilter};
pub use due::Due;
pub use error::LedgerError;
pub use expectations::{Booking, Expected, OnConflict, Orders};
pub use letter::{About, Attempt, Letter, LetterState, Topic};
pub use money::MoneyFilter;
pub use old_keys::{KeyFiles, KeyUses, OldKey};
pub use polls::{DuePoll, Unanswered};
pub use quarantine::{QuarantineFilter, QuarantineLimits, Quarantined, Refused};
pub use query::{EventRow, Filter, PollRow, Story};
pub use reader::Reader;
pub use record::{Arrival, Recorded};
pub use repeats::Repeats;
pub use report::{Counted, ReportOrder};
pub use resolution::{Decision, LONGEST_ACTOR, LONGEST_REASON, Resolution, Resolved};
pub use runs::{Concluded, Reported, Run};
pub use settlements::{Matched, Settled};
pub use snapshot::{Case, Named, Practice, RefusedAlike, Snapshot, Span};
pub use sweep::{Brought, Place, Slice, Subject, Sweep};
pub use traces::{DueTrace, Untraced};
pub use verify::{Check, Flaw, Scope, Verification};

use crate::domain::{MerchantTrace, Observation, Terms, Timestamp};
use crate::protocol::Verified;
use chain::Link;
use taken_up::TakenUp;
use writer::{Bells, Desk, Writer};

/// How far ahead a due instant rings a bell. What is due later is found by those who look at the clock each second.
const SOON: Duration = Duration::from_secs(2);

/// What to do when more is waiting for the disk than may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Say so at once: for callers whose own caller can come back.
    Refuse,
    /// Wait for room: for our own background work.
    Wait,
}

/// Who opens the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The daemon: only one may serve a ledger.
    Daemon,
    /// A command beside it.
    Command,
}

/// How a ledger is kept.
#[derive(Clone, Debug)]
pub struct LedgerSettings {
    /// The file.
    pub path: PathBuf,
    /// How many works may wait for the writer: what a burst may bring before it is told to come back.
    pub queue: usize,
    /// How much may wait in quarantine.
    pub quarantine: QuarantineLimits,
}

/// The ledger, open for writing. What it does with letters, expected orders and settlements stands with these.
pub struct Ledger {
    reader: Reader,
    writer: Writer,
    bells: Bells,
    taken_up: TakenUp,
    counts: Arc<Counts>,
    path: PathBuf,
    _lock: Option<File>,
}

/// The right to reconcile a ledger: one run at a time, in whatever process. Over when it is dropped.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "holds the lock for as long as it is open")] File);

impl Ledger {
    /// Opens the ledger, creating and migrating it as needed.
    ///
    /// # Errors
    /// The file cannot be used as it is; the message says why. Nothing runs without a ledger.
    pub fn open(settings: &LedgerSettings, role: Role) -> Result<Self, LedgerError> {
        let path = &settings.path;
        // First the lock: a second daemon, perhaps of a newer release, must not migrate the file under the first.
        let lock = match role {
            Role::Daemon => Some(schema::lock_for_daemon(path)?),
            Role::Command => None,
        };
        let opened = schema::open_writer(path)?;
        let (bells, taken_up, counts) = (Bells::default(), TakenUp::default(), Arc::<Counts>::default());
        let limits = (settings.queue, settings.quarantine);
        let writer = Writer::start(opened, limits, bells.clone(), taken_up.clone(), Arc::clone(&counts))?;
        Ok(Self { reader: Reader::open(path)?, writer, bells, taken_up, counts, path: path.clone(), _lock: lock })
    }

    /// The reading side, to be cloned freely.
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The right to reconcile, unless somebody has it. A lock of the file system: it ends with the process at the
    /// latest.
    ///
    /// # Errors
    /// The lock's file beside the ledger cannot be used.
    pub fn take_turn(&self) -> Result<Option<Turn>, LedgerError> {
        Ok(schema::try_lock(&self.path, ".reconcile.lock")?.map(Turn))
    }

    /// Whether a daemon serves this ledger, so that somebody asks what is due.
    ///
    /// # Errors
    /// The lock's file beside the ledger cannot be used.
    pub fn is_served(&self) -> Result<bool, LedgerError> {
        Ok(schema::try_lock(&self.path, schema::SERVED)?.is_none())
    }

    /// Rings after a commit that made a poll due.
    pub fn polls_due(&self) -> Arc<Notify> {
        Arc::clone(&self.bells.poller)
    }

    /// Rings after a commit that wrote a letter, or heard a claim whose letter may soon be due.
    pub fn letters_due(&self) -> Arc<Notify> {
        Arc::clone(&self.bells.mailer)
    }

    /// What went through since it was opened.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How many works wait for the writer.
    pub fn queued(&self) -> usize {
        self.writer.queued()
    }

    /// From now on, these are the integrations' key files.
    ///
    /// # Errors
    /// Not stored; say it again.
    pub async fn name_keys(&self, files: Vec<KeyFiles>, now: Timestamp) -> Result<(), LedgerError> {
        self.writer.write(Admission::Wait, move |desk| old_keys::name(desk, &files, now)).await
    }

    /// Keys behind the current ones have proved something, as [`Counts::old_keys`] counts it.
    ///
    /// # Errors
    /// Not stored; say it again.
    pub async fn note_old_keys(&self, uses: Vec<KeyUses>, now: Timestamp) -> Result<(), LedgerError> {
        self.writer.write(Admission::Wait, move |desk| old_keys::used(desk, &uses, now)).await
    }

    /// Decides what `seen` means and stores it: event, payment, next poll, letters and findings together.
    ///
    /// # Errors
    /// Nothing was stored. A post is answered 503, so that the gateway brings it again; a poll is asked again.
    pub async fn record(
        &self,
        seen: Verified<Observation>,
        arrival: Option<Arrival>,
        terms: Arc<Terms>,
        admission: Admission,
    ) -> Result<Recorded, LedgerError> {
        self.hear(seen, admission, move |desk, seen, body| record::record(desk, seen, body, arrival.as_ref(), &terms))
            .await
    }

    /// Has `store` store what `seen` says, given the digest of its body, and counts it.
    fn hear<F>(
        &self,
        seen: Verified<Observation>,
        admission: Admission,
        mut store: F,
    ) -> impl Future<Output = Result<Recorded, LedgerError>>
    where
        F: FnMut(&mut Desk<'_>, &Observation, &Link) -> rusqlite::Result<Recorded> + Send + 'static,
    {
        let key = seen.key();
        let seen = seen.into_value();
        let (integration, channel) = (seen.integration.clone(), seen.channel);
        let body = chain::body_digest(&seen.body);
        let written = self.writer.write(admission, move |desk| store(desk, &seen, &body));
        async move {
            let stored = written.await;
            self.counts.heard((&integration, channel, key), &stored);
            stored
        }
    }

    /// Keeps a refused post in quarantine.
    ///
    /// # Errors
    /// It was not kept; the peer is answered 503.
    pub async fn refuse(&self, refused: Refused, terms: Arc<Terms>) -> Result<(), LedgerError> {
        let (integration, kind) = (refused.integration.clone(), refused.kind);
        let stored = self.writer.write(Admission::Refuse, move |desk| quarantine::refuse(desk, &refused, &terms)).await;
        counts::note(&self.counts.posts, &integration, kind.code(), &stored);
        stored
    }

    /// Takes these posts out of quarantine. Returns how many there were.
    ///
    /// # Errors
    /// Not stored; they are all still there.
    pub async fn discard(&self, ids: Vec<i64>) -> Result<usize, LedgerError> {
        self.writer.write(Admission::Wait, move |desk| quarantine::discard(desk, &ids)).await
    }

    /// A poll proved nothing: notes why and plans the next. Returns whether that opened a finding, which an operator
    /// should hear of once.
    ///
    /// # Errors
    /// Not stored; the poll stays due and is asked again.
    pub async fn unanswered(&self, poll: Unanswered, terms: Arc<Terms>) -> Result<bool, LedgerError> {
        let (integration, code) = (poll.integration.clone(), poll.code);
        let stored = self.writer.write(Admission::Wait, move |desk| polls::unanswered(desk, &poll, &terms)).await;
        counts::note(&self.counts.polls, &integration, code, &stored);
        stored
    }

    /// The gateway has answered the trace of an order with `seen`: records it as any other word of a payment, and with
    /// it that this is the order's.
    ///
    /// # Errors
    /// Not stored; the order stays due and is asked about again.
    pub async fn traced(
        &self,
        order: i64,
        trace: MerchantTrace,
        seen: Verified<Observation>,
        terms: Arc<Terms>,
    ) -> Result<Recorded, LedgerError> {
        self.hear(seen, Admission::Wait, move |desk, seen, body| {
            traces::found(desk, (order, &trace), seen, body, &terms)
        })
        .await
    }

    /// Tracing an order brought no payment: notes why and plans the next time. Nothing else changes.
    ///
    /// # Errors
    /// Not stored; the order stays due and is asked about again.
    pub async fn untraced(&self, asked: Untraced, terms: Arc<Terms>) -> Result<(), LedgerError> {
        let (integration, code) = (asked.integration.clone(), asked.code);
        let stored = self.writer.write(Admission::Wait, move |desk| traces::untraced(desk, &asked, &terms)).await;
        counts::note(&self.counts.traces, &integration, code, &stored);
        stored
    }

    /// The payment of an order has come by itself: it is looked for no more.
    ///
    /// # Errors
    /// Not stored; the order stays due.
    pub async fn came(&self, order: i64, payment: i64) -> Result<(), LedgerError> {
        self.writer.write(Admission::Wait, move |desk| traces::came(desk, order, payment)).await
    }

    /// Makes this slice of a run due now, but for what is due sooner or has been asked about since the run `began`.
    ///
    /// # Errors
    /// Not stored; the run that wanted it is made up later.
    pub async fn ask(&self, slice: Vec<Subject>, began: Timestamp, now: Timestamp) -> Result<(), LedgerError> {
        self.writer.write(Admission::Wait, move |desk| sweep::ask(desk, &slice, began, now)).await
    }

    /// Closes a finding by a person's word, and puts that word into the chain.
    ///
    /// # Errors
    /// Not stored; the finding is as it was.
    pub async fn resolve(&self, resolution: Resolution) -> Result<Resolved, LedgerError> {
        self.writer.write(Admission::Wait, move |desk| resolution::resolve(desk, &resolution)).await
    }

    /// The clock was set back by `by` and now says `now`: polls and letters that wait for an instant of the clock as it
    /// was are due so much earlier. What was planned since then and is moved, too, comes too early rather than too
    /// late.
    ///
    /// # Errors
    /// Not stored; they are due when the clock says so. Try again.
    pub async fn clock_set_back(&self, by: Duration, now: Timestamp) -> Result<(), LedgerError> {
        let move_along = move |desk: &mut Desk<'_>| {
            polls::move_along(desk, by, now)?;
            unconfirmed::move_along(desk, by, now)?;
            deliveries::move_along(desk, by, now)
        };
        self.writer.write(Admission::Wait, move_along).await
    }

    /// Notes a completed run of what happens by the clock.
    ///
    /// # Errors
    /// Not stored; the run will be made up.
    pub async fn note_run(
        &self,
        name: &'static str,
        started: Timestamp,
        finished: Timestamp,
        summary: String,
    ) -> Result<(), LedgerError> {
        self.writer.write(Admission::Wait, move |desk| runs::note(desk, name, started, finished, &summary)).await
    }

    /// Applies what a run decided and notes that it has ended `now`. With a report, that is completed by what does not
    /// add up then, stored with the run and put into the outbox; days that were reported before are not reported again.
    /// All of it, or nothing.
    ///
    /// # Errors
    /// Not stored; the run will be made up, and nobody has been written to.
    pub async fn conclude(&self, conclusion: Conclusion, now: Timestamp) -> Result<Concluded, LedgerError> {
        self.writer.write(Admission::Wait, move |desk| changes::conclude(desk, &conclusion, now)).await
    }

    /// Whether the writer answers and the file can be locked for writing.
    ///
    /// # Errors
    /// It cannot. A full queue is no sign of life, nor of the contrary; with [`Admission::Wait`] it is waited for.
    pub async fn ping(&self, admission: Admission) -> Result<(), LedgerError> {
        self.writer.write(admission, |_| Ok(())).await
    }

    /// Whether something can be put on disk at this moment, found out by doing it.
    ///
    /// # Errors
    /// It cannot: posts would be answered 503, so the daemon is not ready.
    pub async fn probe(&self, now: Timestamp) -> Result<(), LedgerError> {
        self.writer.write(Admission::Refuse, move |desk| runs::probe(desk, now)).await
    }

    /// Whether the writer gives any answer at all in this time. A full disk is an answer, and not cured by a restart;
    /// silence is.
    pub async fn answers_within(&self, patience: Duration) -> bool {
        match tokio::time::timeout(patience, self.ping(Admission::Wait)).await {
            Ok(Err(LedgerError::Closed)) | Err(_) => false,
            Ok(_) => true,
        }
    }

    /// Waits until the writer has ended, which it does only by a bug: nothing can be stored any more.
    pub async fn writer_gone(&self) {
        self.writer.gone().await;
    }

    /// Finishes what is queued and closes the file. Call when nobody sends any more.
    pub fn close(self) {
        drop(self.reader);
        self.writer.close();
    }
}

#[cfg(test)]
mod tests;
