//! When the ledger cannot store what a poll brings, asking on is pointless and rude: so the poller rests, longer each
//! time, until something could be stored again.

use std::time::{Duration, Instant};

/// How long the first rest is.
const FIRST: Duration = Duration::from_secs(1);

/// How long a rest can become: the time it may take to notice that the disk has room again.
const LONGEST: Duration = Duration::from_secs(30);

/// Whether there is trouble with the ledger, and how long it has been so.
#[derive(Default)]
pub(super) struct Trouble {
    rest: Duration,
    until: Option<Instant>,
}

impl Trouble {
    /// Something could not be stored. Whether that is news: several that fail together are one trouble.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        let news = !self.resting(now);
        if news {
            self.rest = (self.rest * 2).clamp(FIRST, LONGEST);
            self.until = Some(now + self.rest);
        }
        news
    }

    /// Something was stored.
    pub(super) fn over(&mut self) {
        *self = Self::default();
    }

    /// Whether to ask nobody now.
    pub(super) fn resting(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_nothing_can_be_stored_the_less_is_asked() {
        let (mut trouble, start) = (Trouble::default(), Instant::now());
        assert!(!trouble.resting(start));
        let mut now = start;
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            // Four questions were open and fail together.
            assert_eq!([0; 4].map(|_| trouble.failed(now)), [true, false, false, false]);
            let rest = Duration::from_secs(seconds);
            assert!(trouble.resting(now + rest / 2));
            assert!(!trouble.resting(now + rest));
            now += rest;
        }
        trouble.failed(now);
        trouble.over();
        assert!(!trouble.resting(now), "what can be stored again is asked for at once");
    }
}
