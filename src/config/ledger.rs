//! `[ledger]`: where everything is kept, and how much of what was refused. Opens nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::Section;

/// One day.
const DAY: Duration = Duration::from_hours(24);

/// Where the ledger is and how large its quarantine may grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerConfig {
    /// The SQLite file.
    pub path: PathBuf,
    /// How many refused posts are kept per integration.
    pub quarantine_max_posts: u32,
    /// How much refused posts may take per integration, in bytes.
    pub quarantine_max_bytes: u64,
    /// How long refused posts are kept.
    pub quarantine_max_age: Duration,
}

impl LedgerConfig {
    /// Relative paths are relative to `state`.
    pub(super) fn read(mut section: Section<'_>, state: &Path) -> Self {
        let path = section.place("path", "paynowd.db", state);
        if path.is_dir() {
            section.error("path", "is a directory; name a file in it");
        }
        let config = Self {
            path,
            quarantine_max_posts: section.number("quarantine_max_posts", 10_000, 1..=1_000_000),
            quarantine_max_bytes: section.size("quarantine_max_bytes", 64 << 20, 1 << 10..=16 << 30),
            quarantine_max_age: section.duration("quarantine_max_age", 90 * DAY, Duration::from_secs(1)..=3650 * DAY),
        };
        section.finish();
        config
    }
}
