//! What a merchant decided for one integration, as far as decisions about its payments depend on it.

use std::sync::Arc;
use std::time::Duration;

use super::{Amount, Currency, PollSchedule, Status};

/// Whether an integration's money is real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Real money.
    Live,
    /// Paynow's test mode: labelled everywhere, in no live total.
    Test,
}

super::codes!(Mode { Live = "live", Test = "test" });

impl Mode {
    /// The one that this is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Live => Self::Test,
            Self::Test => Self::Live,
        }
    }
}

/// When the merchant is told of a new state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announce {
    /// Once the gateway itself has confirmed it.
    Confirmed,
    /// As soon as an authentic message says so.
    Reported,
}

super::codes!(Announce { Confirmed = "confirmed", Reported = "reported" });

/// One integration's terms. Shared, never changed in place: a reload makes new ones.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What its amounts are counted in.
    pub currency: Currency,
    /// Whether its money is real.
    pub mode: Mode,
    /// When a letter goes.
    pub announce: Announce,
    /// How long a claim may stay unconfirmed before a letter says so.
    pub announce_after: Duration,
    /// By how much a payment may miss what is expected without being a finding.
    pub tolerance: Amount,
    /// The states the merchant wants letters about.
    pub notify_on: Vec<Status>,
    /// Whom the letters go to.
    pub recipients: Vec<String>,
    /// Whether the gateway can be asked about these payments at all.
    pub confirmable: bool,
    /// When it is asked.
    pub schedule: Arc<PollSchedule>,
}
