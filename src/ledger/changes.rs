//! What a run decided, and its end: applied in one write, together with the row that says the run has been.

use std::collections::BTreeMap;

use rusqlite::params;

use super::report::Counted;
use super::rows::millis;
use super::runs::{Concluded, Run};
use super::snapshot::Case;
use super::writer::Desk;
use super::{discrepancies, runs, traces};
use crate::domain::{Class, Diff, Standing, Timestamp};

/// What settled a finding that a run closes.
const GONE: &str = "no longer found";

/// How many findings of one class a run opened, kept and closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// New.
    pub opened: u64,
    /// As before, or in other words.
    pub kept: u64,
    /// No more.
    pub closed: u64,
}

/// Everything a run decided.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    open: Vec<(Case, Standing)>,
    reword: Vec<(i64, Standing)>,
    close: Vec<i64>,
    /// Orders and the payments that were found to pay them.
    paid: Vec<(i64, i64)>,
    /// What that comes to, by the code of the class.
    pub moves: BTreeMap<&'static str, Moves>,
}

impl Changes {
    /// Adds what has to be done about `case`.
    pub fn add(&mut self, case: Case, diff: Diff) {
        for standing in diff.open {
            self.moves_of(standing.class).opened += 1;
            self.open.push((case, standing));
        }
        for class in diff.keep {
            self.moves_of(class).kept += 1;
        }
        self.reword.extend(diff.reword);
        for (id, class) in diff.close {
            self.moves_of(class).closed += 1;
            self.close.push(id);
        }
        if let (Some(payment), Some(order)) = (case.payment, case.expectation) {
            self.paid.push((order, payment));
        }
    }

    fn moves_of(&mut self, class: Class) -> &mut Moves {
        self.moves.entry(class.code()).or_default()
    }

    /// What would be opened, in order.
    pub fn opening(&self) -> impl Iterator<Item = (&Case, &Standing)> {
        self.open.iter().map(|(case, standing)| (case, standing))
    }

    /// The numbers of what would be closed, in order.
    pub fn closing(&self) -> &[i64] {
        &self.close
    }
}

/// The end of a run.
#[derive(Clone, Debug)]
pub struct Conclusion {
    /// The run.
    pub run: Run,
    /// What it decided.
    pub changes: Changes,
    /// What it reports; `None` if nobody is to be written to.
    pub report: Option<Counted>,
}

/// Applies what the run decided, reports what stands then, and notes that the run has been: after a crash, all of it or
/// nothing.
pub(super) fn conclude(desk: &mut Desk<'_>, conclusion: &Conclusion, now: Timestamp) -> rusqlite::Result<Concluded> {
    apply(desk, &conclusion.changes, now)?;
    runs::conclude(desk, &conclusion.run, conclusion.report.as_ref(), now)
}

/// Opens, rewords and closes. What has changed since the run looked is left to the next one.
fn apply(desk: &Desk<'_>, changes: &Changes, now: Timestamp) -> rusqlite::Result<()> {
    for (case, standing) in &changes.open {
        discrepancies::open_standing(desk, case, standing, now)?;
    }
    for (id, standing) in &changes.reword {
        desk.connection
            .prepare_cached(
                "UPDATE discrepancy SET expected = ?2, found = ?3, last_seen = ?4 WHERE id = ?1 AND state = 'open'",
            )?
            .execute(params![id, standing.expected, standing.found, millis(now)])?;
    }
    for id in &changes.close {
        desk.connection
            .prepare_cached(
                "UPDATE discrepancy SET state = 'resolved', resolved = ?2, resolution = ?3 \
                 WHERE id = ?1 AND state = 'open'",
            )?
            .execute(params![id, millis(now), GONE])?;
    }
    for (order, payment) in &changes.paid {
        traces::came(desk, *order, *payment)?;
    }
    Ok(())
}
