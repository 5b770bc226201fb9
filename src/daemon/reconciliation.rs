//! One run of reconciliation at a person's word, beside the daemon or without one.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::wiring;
use crate::config::Config;
use crate::domain::Timestamp;
use crate::http;
use crate::ledger::{Ledger, LedgerError, Reader, Role};
use crate::protocol::Integrations;
use crate::reconciler::{self, Clock, Compared, Heartbeat, HeartbeatError, Poller, Ran, RunError, Wanted};

/// Why a run at a person's word did not happen.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// Another run is under way, or the ledger could not be read or written.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The gateway client could not be made.
    #[error(transparent)]
    Client(#[from] http::ClientError),
    /// The heartbeat could not be started.
    #[error(transparent)]
    Heartbeat(#[from] HeartbeatError),
}

impl From<LedgerError> for ReconcileError {
    fn from(error: LedgerError) -> Self {
        Self::Run(error.into())
    }
}

/// Asks, compares and applies. If a daemon serves the ledger, it does the asking; else this does.
///
/// # Errors
/// The run did not happen; nothing of it was applied, and it can be repeated.
pub async fn reconcile(config: &Config, wanted: &Wanted) -> Result<Ran, ReconcileError> {
    // Looked for before opening for writing: that would make a ledger where there is none.
    drop(Reader::open(&config.ledger.path)?);
    let ledger = Arc::new(Ledger::open(&wiring::ledger(config), Role::Command)?);
    let integrations = Arc::new(Integrations::new(wiring::integrations(config)));
    let clock = Clock::system();
    let asker =
        if ledger.is_served()? { None } else { Some(Asker::start(config, &ledger, &integrations, &clock).await?) };
    let ran = reconciler::reconcile(&ledger, &integrations, &clock, &wiring::run(config), wanted).await;
    if let Some(asker) = asker {
        asker.stop().await;
    }
    super::close(ledger).await;
    Ok(ran?)
}

/// What a run would find now, and about which days. Asks nobody, changes nothing. Blocks.
///
/// # Errors
/// The ledger could not be read.
pub fn compare(config: &Config, wanted: &Wanted, now: Timestamp) -> Result<Compared, LedgerError> {
    let integrations = Integrations::new(wiring::integrations(config));
    reconciler::compare(&Reader::open(&config.ledger.path)?, &integrations, &wiring::run(config), wanted, now)
}

/// Somebody who asks what is due, for as long as the run takes.
struct Asker {
    heartbeat: Heartbeat,
    end: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Asker {
    async fn start(
        config: &Config,
        ledger: &Arc<Ledger>,
        integrations: &Arc<Integrations>,
        clock: &Clock,
    ) -> Result<Self, ReconcileError> {
        let client = http::Client::new(wiring::client(config))?;
        let settings = wiring::poller(config);
        let poller = Poller::new(Arc::clone(ledger), Arc::clone(integrations), client, settings, clock.clone());
        let heartbeat = Heartbeat::start().await?;
        let end = CancellationToken::new();
        let task = tokio::spawn(poller.run(heartbeat.listen(), end.clone()));
        Ok(Self { heartbeat, end, task })
    }

    async fn stop(self) {
        self.end.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the poller ended by a panic");
        }
        self.heartbeat.stop().await;
    }
}
