//! A clock that is set back a day would put off by a day whatever waits for its time. So somebody watches it, by a
//! clock that nobody can set. Set forward it needs no watching: what waits is due at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::domain::Timestamp;
use crate::ledger::Ledger;

/// How far back is a jump: less is made up by waiting.
const JUMP: Duration = Duration::from_mins(1);

/// Who watches the clock.
pub struct ClockWatch(Arc<Ledger>);

impl ClockWatch {
    /// Watches it for what waits in `ledger`.
    pub const fn new(ledger: Arc<Ledger>) -> Self {
        Self(ledger)
    }

    /// Looks at the clock on every beat until `shutdown`.
    pub async fn run(self, mut beat: watch::Receiver<()>, shutdown: CancellationToken) {
        let mut last = (Instant::now(), Utc::now());
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                heard = beat.changed() => if heard.is_err() { return },
            }
            let now = (Instant::now(), Utc::now());
            if let Some(by) = set_back(last, now) {
                match self.0.clock_set_back(by, now.1).await {
                    Ok(()) => {
                        tracing::warn!(seconds = by.as_secs(), "the clock was set back; what waits is moved along");
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the clock was set back, and what waits could not be moved along yet");
                        continue;
                    }
                }
            }
            last = now;
        }
    }
}

/// By how much the clock was set back between two looks at both clocks, if that is a jump.
fn set_back((then, said): (Instant, Timestamp), (now, says): (Instant, Timestamp)) -> Option<Duration> {
    (said + now.saturating_duration_since(then) - says).to_std().ok().filter(|by| *by >= JUMP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_jump_back_is_one() {
        let (then, said) = (Instant::now(), Timestamp::from_timestamp(1_700_000_000, 0).unwrap());
        let second = Duration::from_secs(1);
        let after = |says| set_back((then, said), (then + second, says));
        assert_eq!(after(said + second), None);
        assert_eq!(after(said + 86_400 * second), None);
        assert_eq!(after(said - 58 * second), None, "a clock that is nudged");
        assert_eq!(after(said - 86_400 * second), Some(86_401 * second));
    }
}
