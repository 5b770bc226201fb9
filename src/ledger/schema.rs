//! Opening a ledger file: its settings, its migrations, and the lock that keeps a second daemon out.

use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::LedgerError;
use super::whereabouts::Whereabouts;

/// Every migration in order; a ledger's `user_version` says how many it has had.
pub(super) const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001.sql")];

/// What marks a file as a ledger: the first migration writes it where SQLite keeps room for that.
const OURS: u32 = 0x706e_7764;

/// How long a write waits for another process before the caller is told to come back.
const BUSY: Duration = Duration::from_secs(2);

/// How large the write-ahead log may stay after a checkpoint, in bytes.
const WAL_KEPT: i64 = 16 * 1024 * 1024;

/// Who may read a new ledger: its owner, and the group that an operator chose for it.
const OWNER_AND_GROUP: u32 = 0o640;

/// How many prepared statements stay ready.
const STATEMENTS: usize = 64;

/// Opens `path` for writing, creating and migrating it as needed; and where that is.
pub(super) fn open_writer(path: &Path) -> Result<(Connection, Whereabouts), LedgerError> {
    write_to(path).map_err(|error| forbidden(error, path, true))
}

fn write_to(path: &Path) -> Result<(Connection, Whereabouts), LedgerError> {
    create_home(path)?;
    let of_file = |cause| LedgerError::File { path: path.to_owned(), cause };
    if create(path).map_err(of_file)? {
        tracing::info!(path = %path.display(), "there was no ledger, so a new one is begun");
    }
    let whereabouts = Whereabouts::of(path).map_err(of_file)?;
    let opened = |cause| LedgerError::Storage { doing: "opened", cause };
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(opened)?;
    connection.busy_timeout(BUSY).map_err(opened)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Plans that do not depend on bound values: else statements are prepared anew at every binding.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(opened)?;
    refuse_foreign(&connection, path)?;
    let journal: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0)).map_err(opened)?;
    if journal != "wal" {
        let cause = std::io::Error::other("this file system cannot hold a write-ahead log; use a local one");
        return Err(LedgerError::File { path: path.to_owned(), cause });
    }
    connection.pragma_update(None, "synchronous", "FULL").map_err(opened)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(opened)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(opened)?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEPT).map_err(opened)?;
    migrate(&mut connection, path)?;
    Ok((connection, whereabouts))
}

/// Makes the file if it is missing, and says whether it was: it holds what customers paid and who they are, so it is
/// not for everybody. SQLite gives the files beside it the same permissions.
fn create(path: &Path) -> std::io::Result<bool> {
    match File::options().write(true).create_new(true).mode(OWNER_AND_GROUP).open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens `path` for reading only; nothing this connection does can change the ledger.
pub(super) fn open_reader(path: &Path) -> Result<Connection, LedgerError> {
    read_from(path).map_err(|error| forbidden(error, path, false))
}

fn read_from(path: &Path) -> Result<Connection, LedgerError> {
    if path.try_exists().is_ok_and(|exists| !exists) {
        return Err(LedgerError::Missing);
    }
    let opened = |cause| LedgerError::Storage { doing: "opened", cause };
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(opened)?;
    connection.busy_timeout(BUSY).map_err(opened)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // As the writer: a LIMIT that is bound would have its statement prepared anew at every look at what is due.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(opened)?;
    let found = version(&connection).map_err(opened)?;
    refuse_foreign(&connection, path)?;
    refuse_newer(found, path)?;
    // An empty file: somebody has made room for a ledger, and nobody has begun it.
    if found == 0 { Err(LedgerError::Missing) } else { Ok(connection) }
}

/// The same failure, told as what it is if it is that the file is another user's.
pub(super) fn forbidden(error: LedgerError, path: &Path, to_write: bool) -> LedgerError {
    let is_refusal = match &error {
        LedgerError::Storage { cause, .. } => matches!(
            cause.sqlite_error_code(),
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
        ),
        LedgerError::File { cause, .. } => cause.kind() == std::io::ErrorKind::PermissionDenied,
        _ => false,
    };
    // A file in a directory that may not be entered belongs to nobody we can see.
    let found = path.ancestors().find_map(|place| std::fs::metadata(place).ok()).map(|found| found.uid());
    match found.filter(|owner| is_refusal && *owner != rustix::process::geteuid().as_raw()) {
        Some(owner) => LedgerError::Forbidden { path: path.to_owned(), owner: user(owner), to_write },
        None => error,
    }
}

/// What sudo calls the user of this number: its name, if this machine's list has it.
fn user(number: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()))?;
        (fields.nth(1)? == number.to_string()).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("'#{number}'"))
}

/// What the lock of the one daemon is called, behind the ledger's name.
pub(super) const SERVED: &str = ".lock";

/// Takes the lock of the one daemon that may serve `path`; it lasts as long as the file stays open. A command may have
/// it for an instant, to see whether a daemon has it.
pub(super) fn lock_for_daemon(path: &Path) -> Result<File, LedgerError> {
    create_home(path)?;
    for wait in [0, 1, 2, 5, 10, 20, 50].map(Duration::from_millis) {
        std::thread::sleep(wait);
        if let Some(lock) = try_lock(path, SERVED)? {
            return Ok(lock);
        }
    }
    Err(LedgerError::InUse { path: path.to_owned() })
}

/// Takes the lock of this name beside `path`, unless somebody has it. If root is the first to want it, it belongs to
/// the ledger's owner all the same, as SQLite's own files do: or nobody else could ever take it.
pub(super) fn try_lock(path: &Path, name: &str) -> Result<Option<File>, LedgerError> {
    let mut lock = path.as_os_str().to_owned();
    lock.push(name);
    let lock = PathBuf::from(lock);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock)
        .map_err(|cause| LedgerError::File { path: lock.clone(), cause })?;
    if let Ok(ledger) = std::fs::metadata(path) {
        // Who may not give it away owns it already, or has no need to.
        let _ = fchown(&file, Some(ledger.uid()), Some(ledger.gid()));
    }
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(cause)) => Err(LedgerError::File { path: lock, cause }),
    }
}

/// The directory that `path` lies in must exist.
fn create_home(path: &Path) -> Result<(), LedgerError> {
    match path.parent().filter(|home| !home.as_os_str().is_empty()) {
        Some(home) => std::fs::create_dir_all(home).map_err(|cause| LedgerError::File { path: home.to_owned(), cause }),
        None => Ok(()),
    }
}

/// Brings the schema up to ours, one migration a transaction.
fn migrate(connection: &mut Connection, path: &Path) -> Result<(), LedgerError> {
    let failed = |cause| LedgerError::Storage { doing: "migrated", cause };
    // What needs no migration needs no lock for one.
    if usize::try_from(version(connection).map_err(failed)?).is_ok_and(|had| had == MIGRATIONS.len()) {
        return Ok(());
    }
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let found = version(&transaction).map_err(failed)?;
        refuse_newer(found, path)?;
        let Some(next) = usize::try_from(found).ok().and_then(|had| MIGRATIONS.get(had)) else {
            return Ok(());
        };
        transaction.execute_batch(next).map_err(failed)?;
        transaction.pragma_update(None, "user_version", found + 1).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
}

/// An empty ledger in memory, of the schema that `connection` has had the migrations for.
pub(super) fn blueprint(connection: &Connection) -> rusqlite::Result<Connection> {
    let had = usize::try_from(version(connection)?).unwrap_or_default();
    let empty = Connection::open_in_memory()?;
    for migration in MIGRATIONS.iter().take(had) {
        empty.execute_batch(migration)?;
    }
    Ok(empty)
}

/// Somebody else's file is left as it is.
fn refuse_foreign(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    let asked = |cause| LedgerError::Storage { doing: "opened", cause };
    let whose: u32 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(asked)?;
    let empty = "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)";
    let empty: bool = connection.query_row(empty, [], |row| row.get(0)).map_err(asked)?;
    if whose == OURS || empty { Ok(()) } else { Err(LedgerError::Foreign { path: path.to_owned() }) }
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn refuse_newer(found: i64, path: &Path) -> Result<(), LedgerError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known { Err(LedgerError::Newer { path: path.to_owned(), found, known }) } else { Ok(()) }
}
