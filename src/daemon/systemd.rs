//! What the service manager is told. Without one, nothing is told and nothing is missing.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ledger::{Admission, Ledger, LedgerError};

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
            && writer_answers(ledger, patience / 2).await
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

/// Any answer but silence counts: a full disk is not cured by a restart.
async fn writer_answers(ledger: &Ledger, patience: Duration) -> bool {
    match tokio::time::timeout(patience, ledger.ping(Admission::Wait)).await {
        Ok(Err(LedgerError::Closed)) | Err(_) => false,
        Ok(_) => true,
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{LedgerSettings, QuarantineLimits, Role};

    #[tokio::test]
    async fn a_full_queue_before_a_writer_that_hangs_is_no_sign_of_life() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("paynowd.db");
        let quarantine = QuarantineLimits { posts: 1, bytes: 1, age: Duration::from_secs(1) };
        let ledger = Ledger::open(&LedgerSettings { path: path.clone(), queue: 1, quarantine }, Role::Daemon).unwrap();
        assert!(writer_answers(&ledger, Duration::from_secs(5)).await);
        let other = rusqlite::Connection::open(path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let patience = Duration::from_millis(100);
        // One is in the writer's hands, one fills the queue.
        for _ in 0..2 {
            tokio::time::timeout(patience, ledger.ping(Admission::Refuse)).await.unwrap_err();
        }
        assert!(matches!(ledger.ping(Admission::Refuse).await, Err(LedgerError::Full)));
        assert!(!writer_answers(&ledger, patience).await);
        other.execute_batch("ROLLBACK").unwrap();
        assert!(writer_answers(&ledger, Duration::from_secs(5)).await);
    }
}
