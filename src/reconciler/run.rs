//! One run of reconciliation: ask the gateways, look at one moment of the ledger, compare, apply. The nightly run and
//! the command are this one path; a second run right after the first changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::Tz;
use tokio::task::JoinSet;

use super::nightly::AHEAD;
use super::survey::survey;
use super::{Clock, SweepSettings, sweep};
use crate::domain::report::recipients;
use crate::domain::{Checked, Days, IntegrationName, Timestamp};
use crate::ledger::{
    Changes, Concluded, Conclusion, Counted, Ledger, LedgerError, Moves, Reader, ReportOrder, Run, Sweep,
};
use crate::protocol::Integrations;

/// What a run about everything is called in the ledger, whoever began it.
pub const NIGHTLY: &str = "nightly";

/// What a run about one integration is called: it makes up for no nightly one.
const PARTIAL: &str = "partial";

/// What a run about a day out of turn is called: the day will be, or was, in a nightly report all the same.
const OUT_OF_TURN: &str = "out-of-turn";

/// How long a run asks about a payment that never becomes final. Carts that are left behind would make every night
/// longer. Money that is held for longer is followed by the poll schedule, for as long as `poll.held` says.
const LONGEST_OPEN: TimeDelta = TimeDelta::days(90);

/// How many days one run reports at most; a house that was closed for longer has other worries.
const LONGEST: u64 = 31;

/// How a run is made.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// The zone whose days are reported.
    pub zone: Tz,
    /// For how long what has come to its end is looked at again.
    pub look_back: Duration,
    /// How long a gateway may hold money.
    pub escrow_after: Duration,
    /// Who gets the report; empty means everyone whom any integration notifies.
    pub report_to: Vec<String>,
    /// How patiently gateways are asked.
    pub sweep: SweepSettings,
}

/// What a run is about; by default everything.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only this integration.
    pub integration: Option<IntegrationName>,
    /// This day, rather than those since the last report. It may not have ended yet.
    pub day: Option<NaiveDate>,
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The days it is about.
    pub days: Days,
    /// What it asked.
    pub checked: Checked,
    /// What it opened, kept and closed, by the code of the class.
    pub moves: BTreeMap<&'static str, Moves>,
    /// What became of its report.
    pub concluded: Concluded,
}

/// Why a run did not happen.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another one is under way. Let it finish.
    #[error("another reconciliation of this ledger is under way; try again when it has finished")]
    Busy,
    /// The ledger could not be read or written. Nothing of the run was applied.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Asks, compares and applies. One at a time, whatever process it is in.
///
/// # Errors
/// Another run is under way, or the ledger could not be read or written: nothing was applied, and the run can be
/// repeated.
pub async fn reconcile(
    ledger: &Arc<Ledger>,
    integrations: &Arc<Integrations>,
    clock: &Clock,
    settings: &RunSettings,
    wanted: &Wanted,
) -> Result<Ran, RunError> {
    let turn = ledger.take_turn()?.ok_or(RunError::Busy)?;
    let began = clock.now();
    let checked = ask(ledger, integrations, clock, settings, wanted, began).await?;
    let now = clock.now();
    let compared = {
        let (reader, integrations) = (ledger.reader().clone(), Arc::clone(integrations));
        let (settings, wanted) = (settings.clone(), wanted.clone());
        tokio::task::spawn_blocking(move || compare(&reader, &integrations, &settings, &wanted, now))
    };
    let Compared { days, in_turn, changes } = compared.await.map_err(LedgerError::from)??;
    let moves = changes.moves.clone();
    let name = match (&wanted.integration, in_turn) {
        (Some(_), _) => PARTIAL,
        (None, true) => NIGHTLY,
        (None, false) => OUT_OF_TURN,
    };
    let report = match wanted.integration {
        Some(_) => None,
        None => report(ledger, integrations, settings, name, days, &checked, now).await?,
    };
    let run = Run { name, started: began, summary: summary(&checked, &moves) };
    let concluded = ledger.conclude(Conclusion { run, changes, report }, clock.now()).await?;
    // Held up to here: the next one sees what this one decided.
    drop(turn);
    Ok(Ran { days, checked, moves, concluded })
}

/// What a run of this name has to tell of `days`, all but what does not add up; nothing if they have been reported.
async fn report(
    ledger: &Ledger,
    integrations: &Integrations,
    settings: &RunSettings,
    name: &'static str,
    days: Days,
    checked: &Checked,
    now: Timestamp,
) -> Result<Option<Counted>, LedgerError> {
    let reader = ledger.reader();
    if reader.is_reported(NIGHTLY, days).await? || reader.is_reported(name, days).await? {
        return Ok(None);
    }
    let mut all = integrations.all();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    let order = ReportOrder {
        days,
        integrations: all.iter().map(|integration| (integration.name.clone(), integration.terms.mode)).collect(),
        checked: checked.clone(),
        recipients: recipients(&settings.report_to, all.iter().flat_map(|integration| &integration.terms.recipients)),
        nightly: NIGHTLY,
    };
    Ok(Some(reader.apart()?.count_report(order, now).await?))
}

/// What a run finds at one moment.
#[derive(Debug)]
pub struct Compared {
    /// The days it is about.
    pub days: Days,
    /// Whether they are the ones whose turn it is: those since the last nightly report.
    pub in_turn: bool,
    /// What changes.
    pub changes: Changes,
}

/// What a run would find at this moment, and about which days. Asks nobody, changes nothing. Blocks.
///
/// # Errors
/// The ledger could not be read.
pub fn compare(
    reader: &Reader,
    integrations: &Integrations,
    settings: &RunSettings,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<Compared, LedgerError> {
    let snapshot = reader.snapshot()?;
    let latest = (now + AHEAD).with_timezone(&settings.zone).date_naive();
    let turn = match snapshot.reported_days(NIGHTLY, latest)? {
        Some(reported) => since_last(reported, now, settings.zone),
        None => since_first(snapshot.first_heard()?, now, settings.zone),
    };
    let days = wanted.day.map_or(turn, |day| Days::one(day, settings.zone));
    let changes = survey(&snapshot, integrations, settings, wanted.integration.as_ref(), days.from(), now)?;
    Ok(Compared { days, in_turn: days == turn, changes })
}

/// The days since the last report up to yesterday; the same as then if there are none.
fn since_last((first, last): (NaiveDate, NaiveDate), now: Timestamp, zone: Tz) -> Days {
    if last >= yesterday(now, zone) {
        Days::new(first, last, zone).unwrap_or(Days::one(last, zone))
    } else {
        up_to_yesterday(last, now, zone)
    }
}

/// The days that the first report is about: from the day on which the first thing was heard. There may have been no run
/// since then, and no other report will tell of them.
fn since_first(heard: Option<Timestamp>, now: Timestamp, zone: Tz) -> Days {
    let yesterday = yesterday(now, zone);
    let before = heard.and_then(|heard| heard.with_timezone(&zone).date_naive().pred_opt());
    before
        .filter(|before| *before < yesterday)
        .map_or_else(|| Days::one(yesterday, zone), |before| up_to_yesterday(before, now, zone))
}

fn yesterday(now: Timestamp, zone: Tz) -> NaiveDate {
    let today = now.with_timezone(&zone).date_naive();
    today.pred_opt().unwrap_or(today)
}

/// The days after `last`, which is before yesterday, but not too many.
fn up_to_yesterday(last: NaiveDate, now: Timestamp, zone: Tz) -> Days {
    let yesterday = yesterday(now, zone);
    let missed = (yesterday - last).num_days().unsigned_abs();
    Days::up_to(yesterday, missed.min(LONGEST), zone)
}

/// Asks about everything that can still change. Each integration by itself, so that a gateway that is down keeps no
/// other waiting.
async fn ask(
    ledger: &Arc<Ledger>,
    integrations: &Integrations,
    clock: &Clock,
    settings: &RunSettings,
    wanted: &Wanted,
    began: Timestamp,
) -> Result<Checked, LedgerError> {
    let mut asking = JoinSet::new();
    for integration in integrations.all() {
        let is_wanted = wanted.integration.as_ref().is_none_or(|name| *name == integration.name);
        if !is_wanted || !integration.gateway.confirmable() {
            continue;
        }
        let final_since = began - span(settings.look_back);
        let open_since = began - LONGEST_OPEN;
        let what = Sweep { integration: integration.name.clone(), began, final_since, open_since };
        let (ledger, clock) = (Arc::clone(ledger), clock.clone());
        let patience = settings.sweep;
        asking.spawn(async move { sweep(&ledger, &clock, &what, patience).await });
    }
    let mut checked = Checked::default();
    while let Some(asked) = asking.join_next().await {
        checked += asked??;
    }
    Ok(checked)
}

/// A configured duration as a difference of instants.
pub(super) fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

/// The run in one line, for the log and the ledger.
fn summary(checked: &Checked, moves: &BTreeMap<&'static str, Moves>) -> String {
    let total = |of: fn(&Moves) -> u64| moves.values().map(of).sum::<u64>();
    format!(
        "{} payments and {} orders asked about, {} answered, {} left; {} opened, {} kept, {} closed",
        checked.payments,
        checked.traced,
        checked.answered,
        checked.left,
        total(|moves| moves.opened),
        total(|moves| moves.kept),
        total(|moves| moves.closed)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_about_the_days_since_the_last_report_and_a_second_one_about_the_same() {
        let zone = Tz::Africa__Harare;
        let now = "2026-03-12T22:30:00Z".parse().unwrap();
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        for (reported, first, last) in [
            (("2026-03-11", "2026-03-11"), "2026-03-12", "2026-03-12"),
            (("2026-03-01", "2026-03-08"), "2026-03-09", "2026-03-12"),
            (("2025-01-01", "2025-01-01"), "2026-02-10", "2026-03-12"),
            (("2026-03-09", "2026-03-12"), "2026-03-09", "2026-03-12"),
            // A clock that was set back.
            (("2026-03-14", "2026-03-14"), "2026-03-14", "2026-03-14"),
        ] {
            let days = since_last((day(reported.0), day(reported.1)), now, zone);
            assert_eq!((days.first(), days.last()), (day(first), day(last)), "{reported:?}");
        }
    }

    #[test]
    fn the_first_report_begins_with_the_day_of_the_first_thing_heard() {
        let zone = Tz::Africa__Harare;
        let now = "2026-03-12T22:30:00Z".parse().unwrap();
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        for (heard, first) in [
            (None, "2026-03-12"),
            // The ninth has begun in Harare.
            (Some("2026-03-08T22:00:00Z"), "2026-03-09"),
            (Some("2026-03-12T08:00:00Z"), "2026-03-12"),
            (Some("2025-01-01T08:00:00Z"), "2026-02-10"),
            // Today, and by a clock that was set back since.
            (Some("2026-03-12T22:05:00Z"), "2026-03-12"),
            (Some("2026-03-15T08:00:00Z"), "2026-03-12"),
        ] {
            let days = since_first(heard.map(|heard| heard.parse().unwrap()), now, zone);
            assert_eq!((days.first(), days.last()), (day(first), day("2026-03-12")), "{heard:?}");
        }
    }
}
