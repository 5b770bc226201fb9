//! What does not add up: classed, so that a report can say what it means, how urgent it is and what to do.

use chrono::TimeDelta;

/// The class of a finding. Codes are stable: scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Expected or traced, and no post ever told of the money: it was found by asking.
    MissingInLedger,
    /// The gateway, asked about a payment that its own message or the merchant's books told of, knows no such payment.
    MissingAtGateway,
    /// Paid, and nothing is expected under that reference.
    UnknownReference,
    /// Paid, and less than expected.
    Underpaid,
    /// Paid, and more than expected.
    Overpaid,
    /// Paid in another currency than expected.
    CurrencyMismatch,
    /// Gateway and ledger disagree in a way the state machine does not simply advance.
    StatusMismatch,
    /// Unpaid for longer than such a payment takes; after the last poll: expired unconfirmed, never "failed".
    StuckPending,
    /// Money after cancelled, failed or expired.
    PaidLate,
    /// Two paid payments under one reference of the merchant's.
    DuplicatePayment,
    /// Disputed, or refunded since the last report.
    Reversed,
    /// Paid, and held by the gateway for too long.
    EscrowAgeing,
    /// An authentic post says so, and no poll has agreed.
    PaidUnconfirmed,
    /// An authentic post and the gateway disagree in a base field, or the post breaks the field grammar.
    ContradictingPost,
    /// Posts that could not be proven, by what was wrong with them and who sent them. About an integration.
    RefusedPosts,
    /// The gateway refuses our questions: a key of ours is wrong. About an integration.
    RefusedPolls,
    /// Only asking brings news, no post does: the result URL or a firewall. About an integration.
    CallbackSilence,
    /// A test payment where real money is expected, or the reverse.
    TestMoney,
    /// Paid, its settlement day has passed, and no line of the imported settlement file pays it out; or the reverse.
    SettlementMissing,
    /// Paid out with less than was paid.
    SettlementShort,
}

super::codes!(Class {
    MissingInLedger = "missing-in-ledger",
    MissingAtGateway = "missing-at-gateway",
    UnknownReference = "unknown-reference",
    Underpaid = "underpaid",
    Overpaid = "overpaid",
    CurrencyMismatch = "currency-mismatch",
    StatusMismatch = "status-mismatch",
    StuckPending = "stuck-pending",
    PaidLate = "paid-late",
    DuplicatePayment = "duplicate-payment",
    Reversed = "reversed",
    EscrowAgeing = "escrow-ageing",
    PaidUnconfirmed = "paid-unconfirmed",
    ContradictingPost = "contradicting-post",
    RefusedPosts = "refused-posts",
    RefusedPolls = "refused-polls",
    CallbackSilence = "callback-silence",
    TestMoney = "test-money",
    SettlementMissing = "settlement-missing",
    SettlementShort = "settlement-short",
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

/// How urgent a class is from the start, and from which age in days on it is more.
struct Urgency {
    first: Severity,
    later: Option<(i64, Severity)>,
}

/// Every day the same.
const fn always(first: Severity) -> Urgency {
    Urgency { first, later: None }
}

/// Critical once it is so many days old.
const fn critical_after(days: i64, first: Severity) -> Urgency {
    Urgency { first, later: Some((days, Severity::Critical)) }
}

impl Class {
    const fn urgency(self) -> Urgency {
        match self {
            Self::MissingInLedger | Self::StuckPending => always(Severity::Info),
            Self::RefusedPosts => always(Severity::Warning),
            Self::Underpaid | Self::PaidUnconfirmed => critical_after(1, Severity::Warning),
            Self::CallbackSilence => critical_after(2, Severity::Warning),
            Self::StatusMismatch
            | Self::MissingAtGateway
            | Self::UnknownReference
            | Self::Reversed
            | Self::SettlementMissing
            | Self::SettlementShort => critical_after(3, Severity::Warning),
            Self::Overpaid => critical_after(7, Severity::Warning),
            Self::EscrowAgeing => critical_after(14, Severity::Warning),
            Self::ContradictingPost
            | Self::PaidLate
            | Self::DuplicatePayment
            | Self::CurrencyMismatch
            | Self::RefusedPolls
            | Self::TestMoney => always(Severity::Critical),
        }
    }

    /// How soon a person should look at a finding of this class that is open for so long.
    pub fn severity(self, age: TimeDelta) -> Severity {
        let Urgency { first, later } = self.urgency();
        later.filter(|(days, _)| age >= TimeDelta::days(*days)).map_or(first, |(_, severity)| severity)
    }

    /// Findings that any proven answer of the gateway settles: about the payment it answered for, or, as
    /// [`Class::is_about_integration`] says, about the integration.
    pub const SETTLED_BY_AN_ANSWER: [Self; 2] = [Self::MissingAtGateway, Self::RefusedPolls];

    /// Whether a run owns the findings of this class, about a payment or about something else: open while the condition
    /// is true, closed by the first run that finds it gone. The others are of record: opened by what was heard, and
    /// settled by the gateway's answer or a person.
    pub const fn is_standing(self, about_payment: bool) -> bool {
        match self {
            Self::MissingInLedger
            | Self::UnknownReference
            | Self::Underpaid
            | Self::Overpaid
            | Self::CurrencyMismatch
            | Self::StuckPending
            | Self::Reversed
            | Self::EscrowAgeing
            | Self::PaidUnconfirmed
            | Self::RefusedPosts
            | Self::CallbackSilence
            | Self::TestMoney
            | Self::SettlementMissing
            | Self::SettlementShort => true,
            // An order is looked for again and again; what a payment's own message told of is a matter of record.
            Self::MissingAtGateway => !about_payment,
            Self::StatusMismatch
            | Self::PaidLate
            | Self::DuplicatePayment
            | Self::ContradictingPost
            | Self::RefusedPolls => false,
        }
    }

    /// Whether a finding of this class is about an integration as a whole: then it stands once, not once a payment.
    pub const fn is_about_integration(self) -> bool {
        matches!(self, Self::RefusedPolls | Self::RefusedPosts | Self::CallbackSilence)
    }

    /// What a shop owner does about it.
    pub const fn next_step(self) -> &'static str {
        match self {
            Self::MissingInLedger => {
                "Nothing to do for this payment: it is recorded. If it happens often, check the result URL at Paynow."
            }
            Self::MissingAtGateway => {
                "Check that the integration asks the right gateway (live or sandbox) and that your books name the right \
                 payment; if so, ask Paynow support."
            }
            Self::UnknownReference => {
                "Find out what the customer paid for, then enter the order or refund the payment."
            }
            Self::Underpaid => "Ask the customer for the rest, or refund the payment, before handing over goods.",
            Self::Overpaid => "Refund the difference, or agree with the customer what it is for.",
            Self::CurrencyMismatch => {
                "Check which account the shop sent the customer to; agree with the customer or refund the payment."
            }
            Self::StatusMismatch => {
                "Look the transaction up in the Paynow dashboard and ask Paynow support which state holds."
            }
            Self::StuckPending => "Nothing was paid as far as Paynow says; cancel the order or ask the customer.",
            Self::PaidLate => {
                "The money arrived after the order was given up: deliver the order or refund the customer."
            }
            Self::DuplicatePayment => "The customer has paid twice for one order: refund one of the payments.",
            Self::Reversed => "Keep back what has not left the shop; answer a dispute in the Paynow dashboard.",
            Self::EscrowAgeing => "Have the delivery confirmed with Paynow, so that the money is released.",
            Self::PaidUnconfirmed => "Look the transaction up in the Paynow dashboard before handing over goods.",
            Self::ContradictingPost => {
                "Do not hand over goods on the strength of the message; look the transaction up in the Paynow dashboard."
            }
            Self::RefusedPosts => {
                "Have your developer run the explain command: a wrong key wants mending, a stranger can be ignored."
            }
            Self::RefusedPolls => "Compare the keys of the integration with those in the Paynow dashboard.",
            Self::CallbackSilence => {
                "Have the result URL at Paynow, the proxy and the firewall checked: Paynow's posts do not arrive."
            }
            Self::TestMoney => {
                "Do not hand over goods for a test payment; check the integration's mode in the configuration and at Paynow."
            }
            Self::SettlementMissing => {
                "Ask Paynow in which payout this was or will be settled, or what the payout is for."
            }
            Self::SettlementShort => "Compare the payout with Paynow's fees; ask Paynow about the difference.",
        }
    }
}

/// What is expected of a post whose proof holds and whose fields break the gateway's grammar. By this its finding is told
/// from that of a post which says something else than the gateway.
pub const AS_THE_GATEWAY_WRITES: &str = "fields as the gateway writes them";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_open_becomes_more_urgent() {
        let young = Class::PaidUnconfirmed.severity(TimeDelta::hours(23));
        assert_eq!(
            (young, Class::PaidUnconfirmed.severity(TimeDelta::days(1))),
            (Severity::Warning, Severity::Critical)
        );
        assert_eq!(Class::StuckPending.severity(TimeDelta::days(400)), Severity::Info);
        // A clock that was set back.
        assert_eq!(Class::Underpaid.severity(TimeDelta::days(-1)), Severity::Warning);
    }
}
