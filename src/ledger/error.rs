//! What can go wrong with the ledger, sorted by what the caller does next. Each message is whole: it names its cause.

use std::path::PathBuf;

use rusqlite::ErrorCode;
use tokio::task::JoinError;

/// The ledger could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// More is waiting for the disk than may wait. Try again soon.
    #[error("the ledger's queue is full")]
    Full,
    /// The ledger is closing or its writer is gone. Try again after the restart.
    #[error("the ledger is closed")]
    Closed,
    /// Whoever read or compared came to its end by a panic. Report it; asking again will most likely end the same way.
    #[error("looking at the ledger ended by a panic: a bug, please report it")]
    Bug,
    /// The disk or the database refused. What was asked did not happen; it may succeed later.
    #[error("the ledger cannot be {doing}: {}", told(cause))]
    Storage {
        /// What was being attempted: "written", "read", "opened".
        doing: &'static str,
        /// What SQLite says.
        cause: rusqlite::Error,
    },
    /// The system gives no thread to write with. Free some, and start again.
    #[error("the ledger's writer cannot be started: {0}")]
    Thread(std::io::Error),
    /// The file could not be reached at all.
    #[error("{path}: {cause}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The file is another user's, and this one may not do that with it. Become that user.
    #[error(
        "{path}: this user may not {}; it belongs to {owner}: sudo -u {owner} paynowd …",
        if *to_write { "write to the ledger" } else { "read the ledger" },
        path = path.display()
    )]
    Forbidden {
        /// The ledger.
        path: PathBuf,
        /// What sudo calls whom it belongs to.
        owner: String,
        /// Whether it was to be written to.
        to_write: bool,
    },
    /// There is none to be read. Start the daemon once, or point to another file.
    #[error("there is no ledger yet: the daemon begins it when it first starts; or ledger.path means another file")]
    Missing,
    /// The file was written by a newer release. Upgrade, or point to another file.
    #[error(
        "{path}: the ledger has schema {found}, this release knows up to {known}; run the newer release that wrote it",
        path = path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file is some other program's. Point to another.
    #[error("{path}: this is no ledger of paynowd, but a database of some other program; it is left as it is", path = path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// Another daemon serves this ledger. Stop it first.
    #[error("{path}: another paynowd serves this ledger", path = path.display())]
    InUse {
        /// The ledger.
        path: PathBuf,
    },
}

impl LedgerError {
    /// Whether the file itself is damaged, or none of ours: nothing that passes by itself.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Storage { cause, .. } if super::verify::is_damage(cause))
    }

    /// Whether the message names a file.
    pub const fn names_file(&self) -> bool {
        matches!(
            self,
            Self::File { .. } | Self::Forbidden { .. } | Self::Newer { .. } | Self::Foreign { .. } | Self::InUse { .. }
        )
    }

    /// Whether the failure may lie in the one thing that was to be stored, rather than in the disk, the file or the
    /// lock that all of them need.
    pub fn blames_one(&self) -> bool {
        let Self::Storage { cause, .. } = self else { return false };
        !matches!(
            cause.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::ReadOnly
                    | ErrorCode::CannotOpen
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::OutOfMemory
            )
        )
    }

    pub(super) fn written(cause: rusqlite::Error) -> Self {
        Self::Storage { doing: "written", cause }
    }

    pub(super) fn read(cause: rusqlite::Error) -> Self {
        Self::Storage { doing: "read", cause }
    }

    /// The same failure again, for the next of several callers it befell.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Full => Self::Full,
            Self::Storage { doing, cause: rusqlite::Error::SqliteFailure(code, text) } => {
                Self::Storage { doing, cause: rusqlite::Error::SqliteFailure(*code, text.clone()) }
            }
            _ => Self::Closed,
        }
    }
}

/// A task that did not come to its end: by a bug, or because everything ends.
impl From<JoinError> for LedgerError {
    fn from(error: JoinError) -> Self {
        if error.is_panic() { Self::Bug } else { Self::Closed }
    }
}

/// What SQLite says, or more where it says too little.
fn told(cause: &rusqlite::Error) -> String {
    match cause.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process keeps it locked, perhaps for a backup; try again in a moment".into()
        }
        _ => cause.to_string(),
    }
}
