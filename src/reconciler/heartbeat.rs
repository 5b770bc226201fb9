//! The beat that makes everyone look at the clock once a second. It only ticks: what is due is decided from the
//! ledger, so a beat that comes late, twice or not at all costs nothing but time.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// Every second, in UTC, where no second ever repeats or is missing.
const EVERY_SECOND: &str = "* * * * * *";

/// How long the scheduler may be silent before the heart is helped. It waits for an instant of the wall clock, which a
/// clock that is set back a day reaches a day late.
const SILENCE: Duration = Duration::from_secs(3);

/// The heart could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the scheduler did not start")]
pub struct HeartbeatError(#[from] JobSchedulerError);

/// A running heart.
pub struct Heartbeat {
    scheduler: JobScheduler,
    pacemaker: JoinHandle<()>,
    beat: watch::Receiver<()>,
}

impl Heartbeat {
    /// Starts beating.
    ///
    /// # Errors
    /// The scheduler refused; the daemon cannot run without it.
    pub async fn start() -> Result<Self, HeartbeatError> {
        let (tick, beat) = watch::channel(());
        let scheduler = JobScheduler::new().await?;
        let by_the_clock = tick.clone();
        let job = Job::new(EVERY_SECOND, move |_, _| {
            by_the_clock.send_replace(());
        })?;
        scheduler.add(job).await?;
        scheduler.start().await?;
        let pacemaker = tokio::spawn(pace(tick, SILENCE));
        Ok(Self { scheduler, pacemaker, beat })
    }

    /// A listener of its own for one who wants to hear every beat.
    pub fn listen(&self) -> watch::Receiver<()> {
        self.beat.clone()
    }

    /// Stops beating.
    pub async fn stop(mut self) {
        self.pacemaker.abort();
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::debug!(%error, "the scheduler did not stop cleanly");
        }
    }
}

/// Beats whenever nobody else has for as long as `silence`, by a clock that nobody can set.
async fn pace(tick: watch::Sender<()>, silence: Duration) {
    let mut beat = tick.subscribe();
    loop {
        match tokio::time::timeout(silence, beat.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => {
                tick.send_replace(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_heart_beats_though_the_scheduler_waits_for_a_time_gone_by() {
        let (scheduler, mut beat) = watch::channel(());
        let pacemaker = tokio::spawn(pace(scheduler, Duration::from_millis(20)));
        for _ in 0..3 {
            tokio::time::timeout(SILENCE, beat.changed()).await.expect("a beat").unwrap();
        }
        pacemaker.abort();
    }

    #[tokio::test]
    async fn a_started_heart_has_somebody_who_keeps_it_beating() {
        let heart = Heartbeat::start().await.unwrap();
        tokio::time::timeout(2 * SILENCE, heart.listen().changed()).await.expect("a beat").unwrap();
        assert!(!heart.pacemaker.is_finished());
        heart.stop().await;
    }
}
