//! Where the ledger's file was when it was opened. Somebody may move or delete it under a daemon; what is written then
//! is not where anybody looks for it.

use std::fs;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::ffi;

/// A path, and the file that was found there.
pub(super) struct Whereabouts {
    path: PathBuf,
    file: (u64, u64),
}

impl Whereabouts {
    /// Of the file that is at `path` now.
    pub(super) fn of(path: &Path) -> Result<Self, Error> {
        Ok(Self { path: path.to_owned(), file: file_at(path)? })
    }

    /// The error for who would write to a file that is not there any more.
    pub(super) fn check(&self) -> rusqlite::Result<()> {
        let moved = match file_at(&self.path) {
            Ok(file) => file != self.file,
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        if !moved {
            return Ok(());
        }
        let text = format!("{} was moved or deleted; put it back, or restart", self.path.display());
        Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY_DBMOVED), Some(text)))
    }
}

/// What tells the file at `path` from all others of this machine.
fn file_at(path: &Path) -> Result<(u64, u64), Error> {
    fs::metadata(path).map(|found| (found.dev(), found.ino()))
}
