//! The one thread that writes. It takes everything that is waiting, applies it in one transaction, commits once and
//! only then answers: the cost of an fsync is shared by all who wait for it, and `Ok` always means "on disk".

use std::collections::HashMap;
use std::ffi::c_int;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use rusqlite::hooks::Wal;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{Notify, mpsc, oneshot};

use super::chain::{self, Link};
use super::counts::Counts;
use super::keys::Keys;
use super::rows::StoredKey;
use super::statements::Statements;
use super::taken_up::TakenUp;
use super::whereabouts::Whereabouts;
use super::{Admission, LedgerError, QuarantineLimits, outbox};
use crate::domain::IntegrationName;

/// How many works share one commit at most: enough to make fsync cheap, few enough to keep the first one's wait short.
const GROUP: usize = 256;

/// How many works are committed before the write-ahead log is folded into the ledger: few enough that nobody waits long
/// for it, as so many new payments change no more than a few hundred pages.
pub(super) const FOLDED: usize = 1000;

/// How many pages the log grows by before it is folded all the same. Where each work has a commit of its own, the same
/// pages come again and again, and are folded once. News of old payments, each on pages of its own, is folded by this.
pub(super) const CHECKPOINT: u32 = 4000;

/// Where the writer sits. A work may use all of it while its transaction is open.
pub(super) struct Desk<'c> {
    pub(super) connection: &'c Connection,
    pub(super) statements: Statements<'c>,
    pub(super) taken_up: TakenUp,
    memory: Memory,
    limits: QuarantineLimits,
    log: Log,
    whereabouts: Whereabouts,
}

/// How far the write-ahead log has grown.
#[derive(Default)]
struct Log {
    /// In pages, as of the last commit; it begins anew when all of it is folded.
    pages: Arc<AtomicU32>,
    /// The same, as of the last time it was folded.
    folded: u32,
    /// In works, since then.
    works: usize,
}

/// How many posts and bytes of an integration are in quarantine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) posts: u32,
    pub(super) bytes: u64,
}

/// What the writer remembers between works. Forgotten whenever a transaction fails or another process has written; the
/// keys that are held in memory outlive the latter, and what came to them is read.
#[derive(Default)]
struct Memory {
    /// SQLite's count of what other processes have written.
    foreign: i64,
    /// The newest event's number and digest.
    head: Option<(i64, Link)>,
    integrations: HashMap<IntegrationName, i64>,
    /// The highest number that a letter has ever had.
    letter: Option<i64>,
    keys: Keys,
    quarantined: HashMap<i64, Tally>,
    woken: Woken,
}

/// Who has something to do once the group is on disk.
#[derive(Clone, Copy, Default)]
struct Woken {
    poller: bool,
    mailer: bool,
}

/// Bells that ring after a commit which made something due.
#[derive(Clone, Default)]
pub(super) struct Bells {
    pub(super) poller: Arc<Notify>,
    pub(super) mailer: Arc<Notify>,
}

impl<'c> Desk<'c> {
    fn new(
        connection: &'c Connection,
        limits: QuarantineLimits,
        (log, whereabouts, taken_up): (Log, Whereabouts, TakenUp),
    ) -> rusqlite::Result<Self> {
        let statements = Statements::prepare(connection)?;
        Ok(Self { connection, statements, taken_up, memory: Memory::default(), limits, log, whereabouts })
    }

    /// The digest of the newest event.
    pub(super) fn head(&mut self) -> rusqlite::Result<Link> {
        Ok(self.newest()?.1)
    }

    /// The number that the next event will have.
    pub(super) fn next_event(&mut self) -> rusqlite::Result<i64> {
        Ok(self.newest()?.0 + 1)
    }

    fn newest(&mut self) -> rusqlite::Result<(i64, Link)> {
        match self.memory.head {
            Some(head) => Ok(head),
            None => Ok(*self.memory.head.insert(chain::newest(self.connection)?)),
        }
    }

    /// A newer event was written.
    pub(super) const fn advance(&mut self, event: i64, digest: Link) {
        self.memory.head = Some((event, digest));
    }

    /// The number of an integration, given to it the first time it is named.
    pub(super) fn integration(&mut self, name: &IntegrationName) -> rusqlite::Result<i64> {
        if let Some(id) = self.memory.integrations.get(name) {
            return Ok(*id);
        }
        self.connection
            .prepare_cached("INSERT INTO integration (name) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([name.as_str()])?;
        let id = self
            .connection
            .prepare_cached("SELECT id FROM integration WHERE name = ?1")?
            .query_row([name.as_str()], |row| row.get(0))?;
        self.memory.integrations.insert(name.clone(), id);
        Ok(id)
    }

    /// The numbers of the payments that may have this key: hardly ever more than one.
    pub(super) fn payments(&mut self, integration: i64, key: &StoredKey<'_>) -> rusqlite::Result<Vec<i64>> {
        self.memory.keys.catch_up(self.connection)?;
        self.memory.keys.find(&mut self.statements, integration, key)
    }

    /// A payment was written that was looked for in vain.
    pub(super) fn opened(&mut self, integration: i64, key: &StoredKey<'_>, id: i64) {
        self.memory.keys.add(integration, key, id);
    }

    /// A number that no letter has had.
    pub(super) fn next_letter(&mut self) -> rusqlite::Result<i64> {
        let last = match self.memory.letter {
            Some(last) => last,
            None => self.connection.prepare_cached(outbox::LAST)?.query_row([], |row| row.get(0))?,
        };
        self.memory.letter = Some(last + 1);
        Ok(last + 1)
    }

    /// How much may wait in quarantine.
    pub(super) const fn quarantine_limits(&self) -> QuarantineLimits {
        self.limits
    }

    /// What is in quarantine by integration, as far as that was counted since another process could have changed it.
    pub(super) const fn quarantined(&mut self) -> &mut HashMap<i64, Tally> {
        &mut self.memory.quarantined
    }

    /// Once this is on disk, the poller should look at what is due.
    pub(super) const fn wake_poller(&mut self) {
        self.memory.woken.poller = true;
    }

    /// Once this is on disk, the mailer should look at what is due.
    pub(super) const fn wake_mailer(&mut self) {
        self.memory.woken.mailer = true;
    }
}

/// Something to be written. May be applied a second time, alone, if another of its group failed.
trait Work: Send {
    fn apply(&mut self, desk: &mut Desk<'_>) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, result: Result<(), LedgerError>);
}

/// A work made of a closure, and who waits for what it returns.
struct Task<F, T> {
    apply: F,
    value: Option<T>,
    waiting: oneshot::Sender<Answer<F, T>>,
}

/// What a work returned, and the closure: whoever waits has more time than the writer to clear it away.
type Answer<F, T> = (Result<T, LedgerError>, F);

impl<F, T> Work for Task<F, T>
where
    F: FnMut(&mut Desk<'_>) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn apply(&mut self, desk: &mut Desk<'_>) -> rusqlite::Result<()> {
        self.value = Some((self.apply)(desk)?);
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), LedgerError>) {
        let Self { apply, value, waiting } = *self;
        // Whoever waited may have left; what was committed stays committed.
        let _ = waiting.send((result.and_then(|()| value.ok_or(LedgerError::Closed)), apply));
    }
}

/// The way to the writer thread, and the thread.
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Work>>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts the thread over `connection`, with room for `capacity` works to wait.
    ///
    /// # Errors
    /// The system gives no thread, or the ledger has not the tables that every message needs.
    pub(super) fn start(
        (mut connection, whereabouts): (Connection, Whereabouts),
        (capacity, limits): (usize, QuarantineLimits),
        bells: Bells,
        taken_up: TakenUp,
        counts: Arc<Counts>,
    ) -> Result<Self, LedgerError> {
        let log = Log::default();
        let pages = Arc::clone(&log.pages);
        let note = move |_: &mut Wal, grown: c_int| {
            pages.store(grown.unsigned_abs(), Ordering::Relaxed);
            Ok(())
        };
        connection.wal_hook(Some(note)).map_err(|cause| LedgerError::Storage { doing: "opened", cause })?;
        let (queue, works) = mpsc::channel(capacity);
        let (seated, is_seated) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("ledger-writer".into())
            .spawn(move || match Desk::new(&connection, limits, (log, whereabouts, taken_up)) {
                Ok(desk) => {
                    drop(seated);
                    run(desk, works, &bells, &counts);
                }
                Err(cause) => drop(seated.send(cause)),
            })
            .map_err(LedgerError::Thread)?;
        match is_seated.recv() {
            Ok(cause) => Err(LedgerError::Storage { doing: "opened", cause }),
            Err(_) => Ok(Self { queue, thread }),
        }
    }

    /// Has `apply` done in the next group and waits until that is on disk. Nothing is done before that is awaited; but
    /// the work is packed at once, so that who waits does not carry it along.
    pub(super) fn write<F, T>(&self, admission: Admission, apply: F) -> impl Future<Output = Result<T, LedgerError>>
    where
        F: FnMut(&mut Desk<'_>) -> rusqlite::Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (waiting, answer) = oneshot::channel();
        let work: Box<dyn Work> = Box::new(Task { apply, value: None, waiting });
        async move {
            match admission {
                Admission::Refuse => self.queue.try_send(work).map_err(|error| match error {
                    mpsc::error::TrySendError::Full(_) => LedgerError::Full,
                    mpsc::error::TrySendError::Closed(_) => LedgerError::Closed,
                })?,
                Admission::Wait => self.queue.send(work).await.map_err(|_| LedgerError::Closed)?,
            }
            answer.await.map_err(|_| LedgerError::Closed)?.0
        }
    }

    /// How many works wait for the thread.
    pub(super) fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Waits until the thread has ended, which it never does by itself but by a bug.
    pub(super) async fn gone(&self) {
        self.queue.closed().await;
    }

    /// Lets the writer finish what is queued, fold the write-ahead log into the ledger, and end.
    pub(super) fn close(self) {
        drop(self.queue);
        if self.thread.join().is_err() {
            tracing::error!("the ledger writer ended by a panic");
        }
    }
}

/// The thread's life: group after group until nobody can send any more.
fn run(mut desk: Desk<'_>, mut works: mpsc::Receiver<Box<dyn Work>>, bells: &Bells, counts: &Counts) {
    let mut group = Vec::with_capacity(GROUP);
    while works.blocking_recv_many(&mut group, GROUP) > 0 {
        desk.log.works += group.len();
        desk.write_group(&mut group, counts);
        let woken = std::mem::take(&mut desk.memory.woken);
        if woken.poller {
            bells.poller.notify_one();
        }
        if woken.mailer {
            bells.mailer.notify_one();
        }
        desk.fold_log();
    }
    if let Err(error) = desk.connection.pragma_update(None, "wal_checkpoint", "TRUNCATE") {
        tracing::debug!(%error, "the write-ahead log stays beside the ledger");
    }
}

impl Desk<'_> {
    /// One commit for all; if one of them cannot be applied, each gets a commit of its own.
    fn write_group(&mut self, group: &mut Vec<Box<dyn Work>>, counts: &Counts) {
        let mut commit = |works: &mut [Box<dyn Work>]| {
            let begun = Instant::now();
            let result = self.commit(works).map_err(LedgerError::written);
            match result {
                Ok(()) => counts.committed(works.len(), begun.elapsed()),
                Err(_) => counts.failures.raise(),
            }
            result
        };
        match commit(group) {
            Ok(()) => group.drain(..).for_each(|work| work.answer(Ok(()))),
            Err(error) if group.len() > 1 && error.blames_one() => {
                for mut work in group.drain(..) {
                    let result = commit(slice::from_mut(&mut work));
                    work.answer(result);
                }
            }
            Err(error) => {
                // Not every failure can be told twice, so one of them hears of it at first hand.
                let last = group.pop();
                group.drain(..).for_each(|work| work.answer(Err(error.again())));
                if let Some(last) = last {
                    last.answer(Err(error));
                }
            }
        }
    }

    /// Folds the write-ahead log into the ledger, if it has grown long. Those whose words are in it have been answered;
    /// what comes meanwhile gathers for the next group.
    fn fold_log(&mut self) {
        let pages = self.log.pages.load(Ordering::Relaxed);
        if pages < self.log.folded {
            self.log.folded = 0;
        }
        let grown = pages - self.log.folded;
        if grown < CHECKPOINT && (grown == 0 || self.log.works < FOLDED) {
            return;
        }
        (self.log.folded, self.log.works) = (pages, 0);
        if let Err(error) = self.connection.pragma_update(None, "wal_checkpoint", "PASSIVE") {
            tracing::debug!(%error, "the write-ahead log stays beside the ledger");
        }
    }

    /// Applies `works` in one transaction that is on disk when this returns `Ok`, and has left no trace otherwise.
    fn commit(&mut self, works: &mut [Box<dyn Work>]) -> rusqlite::Result<()> {
        self.whereabouts.check()?;
        // The statements that stay ready borrow the connection, too; nobody opens a second transaction.
        let transaction = Transaction::new_unchecked(self.connection, TransactionBehavior::Immediate)?;
        let woken = self.memory.woken;
        let result = self.apply(works, transaction);
        if result.is_err() {
            self.memory = Memory { woken, ..Memory::default() };
        }
        result
    }

    fn apply(&mut self, works: &mut [Box<dyn Work>], transaction: Transaction<'_>) -> rusqlite::Result<()> {
        // Read inside the transaction: from here on nobody else writes.
        let foreign = transaction.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if self.memory.foreign != foreign {
            let Memory { woken, mut keys, .. } = std::mem::take(&mut self.memory);
            keys.doubt();
            self.memory = Memory { foreign, keys, woken, ..Memory::default() };
        }
        for work in works {
            work.apply(self)?;
        }
        self.memory.keys.settle(self.connection)?;
        transaction.commit()
    }
}
