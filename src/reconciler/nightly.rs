//! The nightly run: when it is due, once a night, made up once after downtime.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta};
use chrono_tz::Tz;
use croner::Cron;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::run::NIGHTLY;
use super::{Clock, Ran, RunError, RunSettings, Wanted, reconcile};
use crate::domain::Timestamp;
use crate::ledger::Ledger;
use crate::protocol::Integrations;

/// How far in the future a run may lie and still count. A clock that was ahead for an hour has had its night; one that
/// was years ahead must not cost every night to come.
pub(super) const AHEAD: TimeDelta = TimeDelta::days(2);

/// How long it takes until a run that failed is made again: each asks about everything anew.
const REST: Duration = Duration::from_mins(15);

/// When the nightly run happens.
#[derive(Clone, Debug)]
pub struct NightlySettings {
    /// The operator's expression: seconds minutes hours day month weekday.
    pub schedule: Cron,
    /// How a run is made. Its zone is the schedule's.
    pub run: RunSettings,
}

/// Whether the expression has come due since the last run: right across daylight-saving changes, after downtime
/// (however many were missed, it is due once) and when the clock steps back (it is not due again).
pub fn due(schedule: &Cron, zone: Tz, last: Timestamp, now: Timestamp) -> bool {
    let next: Option<DateTime<Tz>> = schedule.find_next_occurrence(&last.with_timezone(&zone), false).ok();
    next.is_some_and(|next| next <= now)
}

/// Who does the nightly run.
pub struct Nightly {
    ledger: Arc<Ledger>,
    integrations: Arc<Integrations>,
    settings: watch::Receiver<NightlySettings>,
    clock: Clock,
}

impl Nightly {
    /// Does the run on `ledger` for `integrations`, by whatever `settings` say when `clock` says it is time.
    pub const fn new(
        ledger: Arc<Ledger>,
        integrations: Arc<Integrations>,
        settings: watch::Receiver<NightlySettings>,
        clock: Clock,
    ) -> Self {
        Self { ledger, integrations, settings, clock }
    }

    /// Looks at the clock on every beat until `shutdown`. The only one who runs, so runs never overlap.
    pub async fn run(self, mut beat: watch::Receiver<()>, shutdown: CancellationToken) {
        let mut resting_until = None;
        loop {
            if resting_until.is_none_or(|until| until <= Instant::now()) {
                tokio::select! {
                    // A run that is cut off has applied nothing; it is made up after the start.
                    () = shutdown.cancelled() => return,
                    looked = self.look(self.clock.now()) => if let Err(error) = looked {
                        tracing::warn!(%error, "the nightly run did not happen; it will be made up");
                        resting_until = Some(Instant::now() + REST);
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                heard = beat.changed() => if heard.is_err() { return },
            }
        }
    }

    /// Runs if a run is due. A ledger that never had one begins to count now. While somebody else's run is under way,
    /// it is looked at again on the next beat: that run may be the one that is due.
    async fn look(&self, now: Timestamp) -> Result<(), RunError> {
        let NightlySettings { schedule, run } = self.settings.borrow().clone();
        match self.ledger.reader().last_run(NIGHTLY, now + AHEAD).await? {
            None => {
                Ok(self.ledger.note_run(NIGHTLY, now, now, "the ledger was opened for the first time".into()).await?)
            }
            Some(last) if due(&schedule, run.zone, last, now) => {
                match reconcile(&self.ledger, &self.integrations, &self.clock, &run, &Wanted::default()).await {
                    Ok(Ran { days, checked, moves, .. }) => {
                        tracing::info!(
                            day = %days.last(),
                            payments = checked.payments,
                            answered = checked.answered,
                            left = checked.left,
                            opened = moves.values().map(|moves| moves.opened).sum::<u64>(),
                            closed = moves.values().map(|moves| moves.closed).sum::<u64>(),
                            "nightly run: asked, compared and applied"
                        );
                        Ok(())
                    }
                    Err(RunError::Busy) => Ok(()),
                    Err(error) => Err(error),
                }
            }
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    fn cron(text: &str) -> Cron {
        text.parse().unwrap()
    }

    #[test]
    fn a_run_is_due_once_a_day_in_the_merchants_zone() {
        let nightly = cron("0 30 2 * * *");
        let harare = chrono_tz::Africa::Harare;
        let last = at("2026-03-12T00:30:00Z");
        assert!(!due(&nightly, harare, last, at("2026-03-13T00:29:59Z")));
        assert!(due(&nightly, harare, last, at("2026-03-13T00:30:00Z")));
        assert!(!due(&nightly, harare, at("2026-03-13T00:30:00.010Z"), at("2026-03-13T00:30:05Z")));
    }

    #[test]
    fn many_missed_runs_are_one_and_a_clock_that_steps_back_repeats_none() {
        let (nightly, zone) = (cron("0 30 2 * * *"), chrono_tz::Africa::Harare);
        let (last, now) = (at("2026-03-01T00:30:00Z"), at("2026-03-12T09:00:00Z"));
        assert!(due(&nightly, zone, last, now));
        assert!(!due(&nightly, zone, now, now));
        assert!(!due(&nightly, zone, now, at("2026-03-11T09:00:00Z")));
    }

    #[test]
    fn daylight_saving_neither_skips_nor_repeats_a_run() {
        let (nightly, warsaw) = (cron("0 30 2 * * *"), chrono_tz::Europe::Warsaw);
        let runs_between = |mut last: Timestamp, end: Timestamp| {
            let (mut now, mut runs) = (last, Vec::new());
            while now < end {
                now += TimeDelta::minutes(5);
                if due(&nightly, warsaw, last, now) {
                    runs.push(now);
                    last = now;
                }
            }
            runs
        };
        // The clock goes from 02:00 to 03:00 on 29 March 2026 and from 03:00 back to 02:00 on 25 October 2026.
        assert_eq!(runs_between(at("2026-03-27T12:00:00Z"), at("2026-03-30T12:00:00Z")).len(), 3);
        assert_eq!(runs_between(at("2026-10-23T12:00:00Z"), at("2026-10-26T12:00:00Z")).len(), 3);
    }
}
