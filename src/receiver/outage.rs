//! One line a second about what fails a thousand times a second, so that a full disk does not fill the journal, too.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long one line has to do for all that follow.
const QUIET: Duration = Duration::from_secs(1);

/// Who has spoken when, and how much went unsaid since.
#[derive(Default)]
pub(super) struct Outage(Mutex<(Option<Instant>, u64)>);

impl Outage {
    /// Whether to speak up now; if so, how often nothing was said since the last time.
    pub(super) fn speak(&self, now: Instant) -> Option<u64> {
        let (spoken, unsaid) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spoken.is_some_and(|at| now.saturating_duration_since(at) < QUIET) {
            *unsaid += 1;
            return None;
        }
        *spoken = Some(now);
        Some(std::mem::take(unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_failures_a_second_are_one_line_that_counts_them() {
        let (outage, start) = (Outage::default(), Instant::now());
        assert_eq!(outage.speak(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(outage.speak(start), None);
        }
        assert_eq!(outage.speak(start + QUIET), Some(1000));
    }
}
