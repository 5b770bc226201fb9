//! The beat that makes everyone look at the clock once a second. It only ticks: what is due is decided from the
//! ledger, so a beat that comes late, twice or not at all costs nothing but time.

use tokio::sync::watch;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// Every second, in UTC, where no second ever repeats or is missing.
const EVERY_SECOND: &str = "* * * * * *";

/// The heart could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the scheduler did not start")]
pub struct HeartbeatError(#[from] JobSchedulerError);

/// A running heart.
pub struct Heartbeat {
    scheduler: JobScheduler,
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
        let job = Job::new(EVERY_SECOND, move |_, _| {
            tick.send_replace(());
        })?;
        scheduler.add(job).await?;
        scheduler.start().await?;
        Ok(Self { scheduler, beat })
    }

    /// A listener of its own for one who wants to hear every beat.
    pub fn listen(&self) -> watch::Receiver<()> {
        self.beat.clone()
    }

    /// Stops beating.
    pub async fn stop(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::debug!(%error, "the scheduler did not stop cleanly");
        }
    }
}
