//! What went through this ledger since it was opened, for whoever watches the daemon; and what stands in it.

use rusqlite::Connection;

use super::rows::millis;
use super::{LedgerError, Recorded, outbox, polls};
use crate::domain::{Channel, IntegrationName, Timestamp};
use crate::meter::{Count, Roll, Stopwatch};

/// How large a group of works may be to fall into a bucket; the largest group there can be falls into the last.
pub const GROUP_SIZES: [usize; 5] = [1, 4, 16, 64, 256];

/// Counters by integration and the code of what came of it.
pub type ByIntegration = Roll<IntegrationName, Roll<&'static str, Count>>;

/// What an outcome is called that did not come about: the ledger could not be written.
pub const NOT_STORED: &str = "not-stored";

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Counts {
    /// Posts, by outcome, by the kind of their refusal, or [`NOT_STORED`].
    pub posts: ByIntegration,
    /// Questions about payments, by outcome or the code of why they proved nothing.
    pub polls: ByIntegration,
    /// Questions about orders, the same way.
    pub traces: ByIntegration,
    /// What keys proved that are on their way out, by their place in `key_files`.
    pub old_keys: Roll<IntegrationName, Roll<usize, Count>>,
    /// Tries at letters, by what became of them.
    pub letters: Roll<&'static str, Count>,
    /// Groups of works that were put on disk together, by [`GROUP_SIZES`].
    pub groups: [Count; GROUP_SIZES.len()],
    /// Works that were put on disk.
    pub works: Count,
    /// Transactions, from their beginning until they were on disk.
    pub commits: Stopwatch,
    /// Transactions that left no trace because they failed.
    pub failures: Count,
}

impl Counts {
    /// Something authentic was stored, or not.
    pub(super) fn heard(
        &self,
        (integration, channel, key): (&IntegrationName, Channel, usize),
        stored: &Result<Recorded, LedgerError>,
    ) {
        let family = match channel {
            Channel::Post | Channel::Button => &self.posts,
            Channel::Poll => &self.polls,
            Channel::Trace => &self.traces,
            Channel::Import => return,
        };
        let code = stored.as_ref().map_or(NOT_STORED, |recorded| recorded.outcome.code());
        family.of(integration).of(&code).raise();
        if key > 0 && stored.is_ok() {
            self.old_keys.of(integration).of(&(key + 1)).raise();
        }
    }

    /// A group of so many works is on disk.
    pub(super) fn committed(&self, works: usize, took: std::time::Duration) {
        if let Some(bucket) = GROUP_SIZES.iter().position(|most| works <= *most) {
            self.groups[bucket].raise();
        }
        self.works.add(works as u64);
        self.commits.took(took);
    }
}

/// Raises what `family` counts under `code`, or that it could not be stored.
pub(super) fn note<T>(
    family: &ByIntegration,
    integration: &IntegrationName,
    code: &'static str,
    stored: &Result<T, LedgerError>,
) {
    family.of(integration).of(if stored.is_ok() { &code } else { &NOT_STORED }).raise();
}

/// What stands in the ledger at a moment.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Payments that a gateway is to be asked about, some day.
    pub polls_scheduled: i64,
    /// Those it should have been asked about by now.
    pub polls_due: i64,
    /// Letters that wait.
    pub letters_waiting: i64,
    /// Open findings by class; a class without one is missing.
    pub findings: Vec<(String, i64)>,
    /// How large the ledger's file is.
    pub bytes: i64,
}

/// Open findings, counted from their index alone.
pub(super) const FINDINGS: &str =
    "SELECT class, count(*) FROM discrepancy INDEXED BY discrepancy_open WHERE state = 'open' GROUP BY class";

/// Payments whose time to be asked about has come.
pub(super) const POLLS_DUE: &str = "SELECT count(*) FROM payment INDEXED BY payment_by_poll_due WHERE poll_due <= ?1";

/// How things stand `now`.
pub(super) fn standing(connection: &Connection, now: Timestamp) -> rusqlite::Result<Standing> {
    let findings: rusqlite::Result<_> =
        connection.prepare_cached(FINDINGS)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect();
    Ok(Standing {
        polls_scheduled: polls::scheduled(connection)?,
        polls_due: connection.prepare_cached(POLLS_DUE)?.query_row([millis(now)], |row| row.get(0))?,
        letters_waiting: outbox::waiting(connection)?,
        findings: findings?,
        bytes: connection.query_row(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
            [],
            |row| row.get(0),
        )?,
    })
}
