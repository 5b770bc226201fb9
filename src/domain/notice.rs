//! What the merchant is to be told, decided together with the fact that causes it.

use std::fmt;

use super::Status;

/// Why a letter is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// The gateway confirmed this state, or can never be asked about it.
    Reached(Status),
    /// An authentic message says so, and the merchant wants to know before the gateway confirms it.
    Reported(Status),
    /// An authentic message says so, and the gateway could not be brought to confirm it in time.
    Unconfirmed(Status),
    /// An earlier letter spoke of a state that the gateway does not confirm; it says this one.
    Corrected(Status),
}

impl NoticeKind {
    /// The state the letter is about.
    pub const fn status(self) -> Status {
        match self {
            Self::Reached(status) | Self::Reported(status) | Self::Unconfirmed(status) | Self::Corrected(status) => {
                status
            }
        }
    }

    /// The stable code used in the ledger: one letter per payment, code and recipient.
    pub fn code(self) -> String {
        match self {
            Self::Reached(status) => status.code().to_owned(),
            Self::Reported(status) => format!("reported:{}", status.code()),
            Self::Unconfirmed(status) => format!("unconfirmed:{}", status.code()),
            Self::Corrected(status) => format!("corrected:{}", status.code()),
        }
    }

    /// The kind of a stored code.
    pub fn from_code(code: &str) -> Option<Self> {
        match code.split_once(':') {
            None => Status::from_code(code).map(Self::Reached),
            Some(("reported", status)) => Status::from_code(status).map(Self::Reported),
            Some(("unconfirmed", status)) => Status::from_code(status).map(Self::Unconfirmed),
            Some(("corrected", status)) => Status::from_code(status).map(Self::Corrected),
            Some(_) => None,
        }
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code())
    }
}

/// Whether a recipient who has had other letters about the payment still needs this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Whatever was said before.
    Always,
    /// Only someone to whom a letter about the payment has gone out, or may have, and who was not corrected since.
    IfTold,
    /// Everyone else.
    UnlessTold,
    /// Only someone whom a letter has told of a claim beyond this state, and who was not corrected since.
    IfToldMore(Status),
    /// Everyone else.
    UnlessToldMore(Status),
    /// Only someone who was not told this by a `Reported` letter, or was corrected since.
    UnlessReported(Status),
}

/// One thing to tell each recipient of the integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Why.
    pub kind: NoticeKind,
    /// To whom of the recipients.
    pub condition: Condition,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_again_by_its_code() {
        for status in Status::ALL {
            for kind in [
                NoticeKind::Reached(status),
                NoticeKind::Reported(status),
                NoticeKind::Unconfirmed(status),
                NoticeKind::Corrected(status),
            ] {
                assert_eq!(NoticeKind::from_code(&kind.code()), Some(kind));
            }
        }
        assert_eq!(NoticeKind::from_code("nonsense:paid"), None);
    }
}
