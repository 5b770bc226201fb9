//! The life of a payment: one vocabulary for all gateways, and the one function that says what a word heard now
//! means for a payment that stood at another. No wildcard: every pair is written.

use std::fmt;

/// Where a payment stands. The gateway's own word is kept beside it.
///
/// Zimbabwe's words are on <https://developers.paynow.co.zw/docs/status_update.html>, Poland's on
/// <https://docs.paynow.pl/docs/v3/integration>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// No word understood yet: the payment is known only from words nobody documented.
    Unknown,
    /// Exists, unpaid (`Created`, `NEW`).
    Created,
    /// Handed to the payment channel, unpaid (`Sent`, `PENDING`).
    Pending,
    /// The gateway failed; unpaid, may still be paid (`ERROR`).
    Errored,
    /// Not authorised; unpaid, may still be paid (`REJECTED`).
    Rejected,
    /// Given up by the payer; unpaid (`Cancelled`).
    Cancelled,
    /// Failed in the channel; unpaid (`Failed`).
    Failed,
    /// Time ran out; unpaid (`EXPIRED`).
    Expired,
    /// The payer tried again under another payment of the same reference; unpaid (`ABANDONED`).
    Abandoned,
    /// Paid, held until the customer confirms delivery (`Awaiting Delivery`).
    AwaitingDelivery,
    /// Paid, delivery acknowledged, still held for a day (`Delivered`).
    Delivered,
    /// Paid, on its way to settlement (`Paid`, `CONFIRMED`).
    Paid,
    /// The customer disputes; the money is held (`Disputed`).
    Disputed,
    /// The money went back (`Refunded`).
    Refunded,
}

/// What a status heard now means for a payment's status so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A step forward: take it.
    Move,
    /// The same again: change nothing.
    Repeat,
    /// A step back: stale or replayed. Keep the state and ask the gateway.
    Regress,
    /// A word nobody documented: keep the state, tell a person.
    Unknown,
}

impl Status {
    /// Every status, in the order of a payment's life.
    pub const ALL: [Self; 14] = [
        Self::Unknown,
        Self::Created,
        Self::Pending,
        Self::Errored,
        Self::Rejected,
        Self::Cancelled,
        Self::Failed,
        Self::Expired,
        Self::Abandoned,
        Self::AwaitingDelivery,
        Self::Delivered,
        Self::Paid,
        Self::Disputed,
        Self::Refunded,
    ];

    /// What hearing `seen` means for a payment that stands at `self`.
    ///
    /// Steps may be skipped (posts get lost), money found after an unpaid end is a step forward (and is reported),
    /// and a paid payment is left only for other paid states, a dispute or a refund.
    #[expect(clippy::unnested_or_patterns, reason = "one row per state reads as the table it is")]
    pub const fn observe(self, seen: Self) -> Seen {
        use Seen::{Move, Regress, Repeat};
        use Status::{
            Abandoned, AwaitingDelivery, Cancelled, Created, Delivered, Disputed, Errored, Expired, Failed, Paid,
            Pending, Refunded, Rejected, Unknown,
        };
        match (self, seen) {
            (
                Unknown | Created | Pending | Errored | Rejected | Cancelled | Failed | Expired | Abandoned
                | AwaitingDelivery | Delivered | Paid | Disputed | Refunded,
                Unknown,
            ) => Seen::Unknown,

            (Created, Created)
            | (Pending, Pending)
            | (Errored, Errored)
            | (Rejected, Rejected)
            | (Cancelled, Cancelled)
            | (Failed, Failed)
            | (Expired, Expired)
            | (Abandoned, Abandoned)
            | (AwaitingDelivery, AwaitingDelivery)
            | (Delivered, Delivered)
            | (Paid, Paid)
            | (Disputed, Disputed)
            | (Refunded, Refunded) => Repeat,

            (
                Unknown,
                Created | Pending | Errored | Rejected | Cancelled | Failed | Expired | Abandoned | AwaitingDelivery
                | Delivered | Paid | Disputed | Refunded,
            )
            | (
                Created,
                Pending | Errored | Rejected | Cancelled | Failed | Expired | Abandoned | AwaitingDelivery | Delivered
                | Paid | Disputed | Refunded,
            )
            | (
                Pending,
                Errored | Rejected | Cancelled | Failed | Expired | Abandoned | AwaitingDelivery | Delivered | Paid
                | Disputed | Refunded,
            )
            | (
                Errored,
                Rejected | Cancelled | Failed | Expired | Abandoned | AwaitingDelivery | Delivered | Paid | Disputed
                | Refunded,
            )
            | (
                Rejected,
                Cancelled | Failed | Expired | Abandoned | AwaitingDelivery | Delivered | Paid | Disputed | Refunded,
            )
            | (Cancelled | Failed | Expired | Abandoned, AwaitingDelivery | Delivered | Paid | Disputed | Refunded)
            | (AwaitingDelivery, Delivered | Paid | Disputed | Refunded)
            | (Delivered, Paid | Disputed | Refunded)
            | (Paid, Disputed | Refunded)
            | (Disputed, Delivered | Paid | Refunded) => Move,

            (Pending, Created)
            | (Errored, Created | Pending)
            | (Rejected, Created | Pending | Errored)
            | (Cancelled, Created | Pending | Errored | Rejected | Failed | Expired | Abandoned)
            | (Failed, Created | Pending | Errored | Rejected | Cancelled | Expired | Abandoned)
            | (Expired, Created | Pending | Errored | Rejected | Cancelled | Failed | Abandoned)
            | (Abandoned, Created | Pending | Errored | Rejected | Cancelled | Failed | Expired)
            | (AwaitingDelivery, Created | Pending | Errored | Rejected | Cancelled | Failed | Expired | Abandoned)
            | (
                Delivered,
                Created | Pending | Errored | Rejected | Cancelled | Failed | Expired | Abandoned | AwaitingDelivery,
            )
            | (
                Paid,
                Created | Pending | Errored | Rejected | Cancelled | Failed | Expired | Abandoned | AwaitingDelivery
                | Delivered,
            )
            | (
                Disputed,
                Created | Pending | Errored | Rejected | Cancelled | Failed | Expired | Abandoned | AwaitingDelivery,
            )
            | (
                Refunded,
                Created | Pending | Errored | Rejected | Cancelled | Failed | Expired | Abandoned | AwaitingDelivery
                | Delivered | Paid | Disputed,
            ) => Regress,
        }
    }

    /// The customer's money has arrived, held or not.
    pub const fn is_paid(self) -> bool {
        matches!(self, Self::AwaitingDelivery | Self::Delivered | Self::Paid)
    }

    /// The customer's money has arrived at some time, wherever it is now.
    pub const fn has_had_money(self) -> bool {
        self.is_paid() || matches!(self, Self::Disputed | Self::Refunded)
    }

    /// Unpaid for good, as far as the gateway is concerned.
    pub const fn is_dead(self) -> bool {
        matches!(self, Self::Cancelled | Self::Failed | Self::Expired | Self::Abandoned)
    }

    /// Neither paid nor given up: something is still expected to happen by itself.
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Unknown | Self::Created | Self::Pending | Self::Errored | Self::Rejected)
    }

    /// Money is there but not yet the merchant's, or in danger: worth asking about until it moves.
    pub const fn is_held(self) -> bool {
        matches!(self, Self::AwaitingDelivery | Self::Delivered | Self::Disputed)
    }

    /// Nothing further is expected.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Paid | Self::Refunded) || self.is_dead()
    }

    /// A claim that somebody may act on, so that it wants the gateway's own word.
    pub const fn wants_confirmation(self) -> bool {
        !matches!(self, Self::Unknown | Self::Created | Self::Pending)
    }

    /// The stable code used in the ledger, in `--json` and in filters.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Created => "created",
            Self::Pending => "pending",
            Self::Errored => "errored",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Abandoned => "abandoned",
            Self::AwaitingDelivery => "awaiting-delivery",
            Self::Delivered => "delivered",
            Self::Paid => "paid",
            Self::Disputed => "disputed",
            Self::Refunded => "refunded",
        }
    }

    /// The status of a stored code or of what a person typed: letter case, blanks and underscores do not matter.
    pub fn from_code(text: &str) -> Option<Self> {
        let plain: String =
            text.trim().chars().map(|c| if c == ' ' || c == '_' { '-' } else { c.to_ascii_lowercase() }).collect();
        Self::ALL.into_iter().find(|status| status.code() == plain)
    }

    /// The word for people, in a letter or a table.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Created => "Created",
            Self::Pending => "Pending",
            Self::Errored => "Error at the gateway",
            Self::Rejected => "Rejected",
            Self::Cancelled => "Cancelled",
            Self::Failed => "Failed",
            Self::Expired => "Expired",
            Self::Abandoned => "Abandoned",
            Self::AwaitingDelivery => "Awaiting Delivery",
            Self::Delivered => "Delivered",
            Self::Paid => "Paid",
            Self::Disputed => "Disputed",
            Self::Refunded => "Refunded",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_what_people_type_find_their_status() {
        for status in Status::ALL {
            assert_eq!(Status::from_code(status.code()), Some(status));
        }
        assert_eq!(Status::from_code(" Awaiting Delivery"), Some(Status::AwaitingDelivery));
        assert_eq!(Status::from_code("awaiting_delivery"), Some(Status::AwaitingDelivery));
        assert_eq!(Status::from_code("payed"), None);
    }

    #[test]
    fn paid_states_are_left_only_for_paid_states_disputes_and_refunds() {
        for from in Status::ALL.into_iter().filter(|status| status.is_paid()) {
            for to in Status::ALL {
                if from.observe(to) == Seen::Move {
                    assert!(to.is_paid() || matches!(to, Status::Disputed | Status::Refunded), "{from} -> {to}");
                }
            }
        }
    }

    #[test]
    fn money_after_an_unpaid_end_is_a_step_forward() {
        for dead in Status::ALL.into_iter().filter(|status| status.is_dead()) {
            for paid in Status::ALL.into_iter().filter(|status| status.is_paid()) {
                assert_eq!(dead.observe(paid), Seen::Move);
            }
        }
    }

    #[test]
    fn escrow_runs_forward_to_paid_and_never_back() {
        let steps = [Status::Created, Status::Pending, Status::AwaitingDelivery, Status::Delivered, Status::Paid];
        for (at, from) in steps.iter().enumerate() {
            for (then, to) in steps.iter().enumerate() {
                let expected = match then.cmp(&at) {
                    std::cmp::Ordering::Less => Seen::Regress,
                    std::cmp::Ordering::Equal => Seen::Repeat,
                    std::cmp::Ordering::Greater => Seen::Move,
                };
                assert_eq!(from.observe(*to), expected, "{from} -> {to}");
            }
        }
    }
}
