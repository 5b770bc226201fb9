//! How a twin's post ended.

use std::fmt;

use super::Misbehaviour;

/// How a post ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The merchant answered with this HTTP status.
    Answered(u16),
    /// The merchant did not answer.
    Unanswered(String),
    /// Not posted, and why: no result URL, or not one on this machine.
    Refused(String),
    /// A misbehaviour keeps it back: it comes later, or never.
    Withheld(Misbehaviour),
}

impl Delivery {
    /// The HTTP status, if there was an answer.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Answered(status) => Some(*status),
            Self::Unanswered(_) | Self::Refused(_) | Self::Withheld(_) => None,
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(status) => write!(f, "answered {status}"),
            Self::Unanswered(why) | Self::Refused(why) => f.write_str(why),
            Self::Withheld(misbehaviour) => write!(f, "withheld by the misbehaviour {}", misbehaviour.code()),
        }
    }
}
