//! What the writer says for nearly every message, kept ready: to find a statement by its text each time, and to unbind
//! what it was last told, would cost a tenth of the whole.

use rusqlite::{Connection, PrepFlags, Statement};

use super::{events, keys, outbox, polls, record, repeats, traces};

/// The statements, by what they do.
pub(super) struct Statements<'c> {
    pub(super) settled: Statement<'c>,
    pub(super) neighbours: Statement<'c>,
    pub(super) find: Statement<'c>,
    pub(super) insert: Statement<'c>,
    pub(super) update: Statement<'c>,
    pub(super) append: Statement<'c>,
    pub(super) repeat: Statement<'c>,
    pub(super) plan: Statement<'c>,
    pub(super) log: Statement<'c>,
    pub(super) log_again: Statement<'c>,
    pub(super) letter: Statement<'c>,
    pub(super) paid: Statement<'c>,
}

impl<'c> Statements<'c> {
    /// Makes all of them ready.
    pub(super) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        let ready = |text: &str| connection.prepare_with_flags(text, PrepFlags::SQLITE_PREPARE_PERSISTENT);
        Ok(Self {
            settled: ready(keys::SETTLED)?,
            neighbours: ready(keys::NEIGHBOURS)?,
            find: ready(&record::find_statement())?,
            insert: ready(record::INSERT)?,
            update: ready(record::UPDATE)?,
            append: ready(events::APPEND)?,
            repeat: ready(repeats::COUNT)?,
            plan: ready(polls::PLAN)?,
            log: ready(polls::LOG)?,
            log_again: ready(polls::LOG_AGAIN)?,
            letter: ready(outbox::WRITE)?,
            paid: ready(&traces::paid_statement())?,
        })
    }
}
