//! What the service manager is told. Without one, nothing is told and nothing is missing.

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ledger::Ledger;

/// How many beats of the heart lie between two looks at what is waiting.
const STATUS_EVERY: u64 = 60;

/// The daemon is up, and where.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is being read again.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The daemon is going down.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("finishing what is open")]);
}

/// Keeps the status line true and the watchdog quiet, as long as the ledger's writer answers.
pub(super) async fn attend(
    ledger: &Ledger,
    addresses: &str,
    mut beat: watch::Receiver<()>,
    shutdown: CancellationToken,
) {
    let patience = sd_notify::watchdog_enabled();
    let mut beats = 0_u64;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            heard = beat.changed() => if heard.is_err() { return },
        }
        if let Some(patience) = patience
            && ledger.answers_within(patience / 2).await
        {
            tell(&[NotifyState::Watchdog]);
        }
        beats += 1;
        if beats.is_multiple_of(STATUS_EVERY)
            && let Ok((polls, letters)) = ledger.reader().waiting().await
        {
            tell(&[NotifyState::Status(&format!("{addresses}; {polls} polls and {letters} letters waiting"))]);
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}
