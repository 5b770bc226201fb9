//! What time it is, for everyone in this room: asked in one place, so that a month can pass in a test.

use std::fmt;
use std::sync::Arc;

use chrono::Utc;

use crate::domain::Timestamp;

/// A clock on the wall. Clones show the same time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's.
    pub fn system() -> Self {
        Self::new(Utc::now)
    }

    /// One that shows what `now` says. Nobody hears its hands move: who sets it sends a beat.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}
