//! What follows from one observation: what it was, the payment afterwards, whom to ask, whom to tell, what is odd.

use super::{Class, Finding, Notice, NoticeKind, Payment, PollPlan, Timestamp};

/// What an observation turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The first word of this payment.
    Opened,
    /// A step forward.
    Moved,
    /// The gateway agrees with what was reported.
    Confirmed,
    /// The gateway disagrees with what was reported; the ledger follows the gateway.
    Corrected,
    /// The same again.
    Repeated,
    /// A step back: recorded, nothing changed.
    Regressed,
    /// A status word nobody documented: recorded, nothing changed.
    Unrecognised,
    /// A poll that brought nothing new: no event, only the plan moves on.
    Agreed,
    /// An authentic post whose base fields are not the payment's: to the quarantine, nothing changed.
    Contradicted,
}

super::codes!(Outcome {
    Opened = "opened",
    Moved = "moved",
    Confirmed = "confirmed",
    Corrected = "corrected",
    Repeated = "repeated",
    Regressed = "regressed",
    Unrecognised = "unrecognised",
    Agreed = "agreed",
    Contradicted = "contradicted",
});

impl Outcome {
    /// Whether the observation belongs into the append-only record.
    pub const fn is_event(self) -> bool {
        !matches!(self, Self::Agreed | Self::Contradicted)
    }

    /// Whether the sender can bring the same about again and again, by sending the same again and again.
    pub const fn can_be_replayed(self) -> bool {
        matches!(self, Self::Repeated | Self::Regressed | Self::Unrecognised | Self::Contradicted)
    }
}

/// Everything that follows from one observation, to be stored in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What the observation was.
    pub outcome: Outcome,
    /// The payment afterwards.
    pub payment: Payment,
    /// When to ask the gateway next.
    pub plan: PollPlan,
    /// When to tell the merchant that the claim is still unconfirmed. Changes only together with the payment.
    pub unconfirmed_at: Option<Timestamp>,
    /// Letters not yet sent about these claims are void.
    pub withdrawn: Vec<NoticeKind>,
    /// What to tell the merchant.
    pub notices: Vec<Notice>,
    /// What does not add up.
    pub findings: Vec<Finding>,
    /// Findings of these classes about this payment are settled by it.
    pub settled: &'static [Class],
}
