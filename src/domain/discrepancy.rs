//! What does not add up: classed, so that a report can say what it means and what to do.

/// The class of a finding. Codes are stable: scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// An authentic post and the gateway disagree in a base field, or the post breaks the field grammar.
    ContradictingPost,
    /// Gateway and ledger disagree in a way the state machine does not simply advance.
    StatusMismatch,
    /// Money after cancelled, failed or expired.
    PaidLate,
    /// Still unpaid when the poll schedule came to its end: expired unconfirmed, never "failed".
    StuckPending,
    /// An authentic post says so, and no poll has agreed.
    PaidUnconfirmed,
    /// Two paid payments under one reference of the merchant's.
    DuplicatePayment,
    /// The gateway, asked about a payment that its own message told of, knows no such payment.
    MissingAtGateway,
    /// The gateway refuses our questions: a key of ours is wrong. About an integration, not about a payment.
    RefusedPolls,
}

super::codes!(Class {
    ContradictingPost = "contradicting-post",
    StatusMismatch = "status-mismatch",
    PaidLate = "paid-late",
    StuckPending = "stuck-pending",
    PaidUnconfirmed = "paid-unconfirmed",
    DuplicatePayment = "duplicate-payment",
    MissingAtGateway = "missing-at-gateway",
    RefusedPolls = "refused-polls",
});

/// How soon a person should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Look today.
    Warning,
    /// Money is at stake: look now.
    Critical,
}

super::codes!(Severity { Info = "info", Warning = "warning", Critical = "critical" });

impl Class {
    /// The severity a finding of this class begins with.
    pub const fn severity(self) -> Severity {
        match self {
            Self::StuckPending => Severity::Info,
            Self::StatusMismatch | Self::PaidUnconfirmed | Self::MissingAtGateway => Severity::Warning,
            Self::ContradictingPost | Self::PaidLate | Self::DuplicatePayment | Self::RefusedPolls => {
                Severity::Critical
            }
        }
    }

    /// Findings that any proven answer of the gateway settles: about the payment it answered for, or, as
    /// [`Class::is_about_integration`] says, about the integration.
    pub const SETTLED_BY_AN_ANSWER: [Self; 2] = [Self::MissingAtGateway, Self::RefusedPolls];

    /// Whether a finding of this class is about an integration as a whole: then it stands once, not once a payment.
    pub const fn is_about_integration(self) -> bool {
        matches!(self, Self::RefusedPolls)
    }

    /// What a shop owner does about it.
    pub const fn next_step(self) -> &'static str {
        match self {
            Self::ContradictingPost => {
                "Do not hand over goods on the strength of the message; look the transaction up in the Paynow dashboard."
            }
            Self::StatusMismatch => {
                "Look the transaction up in the Paynow dashboard and ask Paynow support which state holds."
            }
            Self::PaidLate => {
                "The money arrived after the order was given up: deliver the order or refund the customer."
            }
            Self::StuckPending => "Nothing was paid as far as Paynow says; cancel the order or ask the customer.",
            Self::PaidUnconfirmed => "Look the transaction up in the Paynow dashboard before handing over goods.",
            Self::DuplicatePayment => "The customer has paid twice for one order: refund one of the payments.",
            Self::MissingAtGateway => {
                "Check that the integration asks the right gateway (live or sandbox); if it does, ask Paynow support."
            }
            Self::RefusedPolls => "Compare the keys of the integration with those in the Paynow dashboard.",
        }
    }
}

/// One thing that does not add up, found while deciding about a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its class.
    pub class: Class,
    /// What we held or should have seen.
    pub expected: String,
    /// What was there instead.
    pub found: String,
}
