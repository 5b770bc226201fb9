//! The sentences of a letter: what happened, how sure we are, what to do. Plain words for a shop owner, chosen by
//! total functions; no layout here.

use super::report_wording::digits;
use super::shown::{shortened, shown};
use crate::domain::{Amount, Mode, NoticeKind, Payment, Status, Trust};

/// How long a subject may be, in characters: about what a phone shows of it in two lines.
const SUBJECT_LENGTH: usize = 100;
/// How long the gateway's own word may be in a subject, in characters: its documented words are shorter.
const WORD_LENGTH: usize = 30;
/// How long a reference may be inside a sentence, in characters. The list of facts has all of it.
const REFERENCE_LENGTH: usize = 60;

/// How far a letter may be relied on.
#[derive(Clone, Copy)]
pub(super) enum Certainty {
    /// We asked the gateway, and it agrees.
    Confirmed,
    /// The gateway posted it, and we have not had its answer yet.
    Reported,
    /// The gateway posted it, and has not confirmed it in good time.
    Unconfirmed,
    /// The gateway offers no way to ask.
    Unconfirmable,
    /// We asked the gateway, and it says something else than an earlier letter of ours.
    Corrected,
}

impl Certainty {
    /// How far a letter of this kind, about a payment trusted so far, may be relied on.
    pub(super) const fn of(kind: NoticeKind, trust: Trust) -> Self {
        match (kind, trust) {
            (NoticeKind::Reached(_), Trust::Confirmed) => Self::Confirmed,
            (NoticeKind::Reached(_), Trust::Unconfirmable) => Self::Unconfirmable,
            (NoticeKind::Reached(_), Trust::Reported) | (NoticeKind::Reported(_), _) => Self::Reported,
            (NoticeKind::Unconfirmed(_), _) => Self::Unconfirmed,
            (NoticeKind::Corrected(_), _) => Self::Corrected,
        }
    }

    /// The same in a sentence or two.
    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::Confirmed => "Sure. We asked Paynow, and it confirms this.",
            Self::Reported => {
                "Reported, not confirmed yet. The message really came from Paynow; we are asking Paynow to confirm it and will write again if it says otherwise."
            }
            Self::Unconfirmed => {
                "Not confirmed. The message really came from Paynow, but so far Paynow has given us no answer that confirms it."
            }
            Self::Unconfirmable => {
                "The message really came from Paynow, but this kind of payment cannot be confirmed: Paynow tells us once and offers no way to ask."
            }
            Self::Corrected => "Sure. We asked Paynow, and this is its answer.",
        }
    }

    /// Whether the merchant should look it up before acting on it.
    const fn wants_a_look(self) -> bool {
        match self {
            Self::Confirmed | Self::Corrected => false,
            Self::Reported | Self::Unconfirmed | Self::Unconfirmable => true,
        }
    }
}

/// The payment's sum as people write it, `USD 1,025.00`; `None` where nobody told us.
pub(super) fn sum(payment: &Payment) -> Option<String> {
    payment.facts.amount.or(payment.facts.amount_paid).map(|amount| money(payment, amount))
}

/// An amount of the payment's currency, written as in the nightly letter.
pub(super) fn money(payment: &Payment, amount: Amount) -> String {
    format!("{} {}", payment.currency.label(), digits(amount.ten_thousandths().into()))
}

/// The merchant's reference as people may see it; `None` where there is none to be seen.
pub(super) fn reference(payment: &Payment) -> Option<String> {
    let text = shown(payment.facts.reference.as_ref()?.as_str());
    (!text.is_empty()).then_some(text)
}

/// Paynow's number of the payment: the one its messages carry, else its key there. A key that is the GUID of a poll URL
/// is as good as the URL and does not belong into a letter.
pub(super) fn number(payment: &Payment) -> Option<String> {
    let key = || payment.key.guid().is_none().then(|| payment.key.to_string());
    payment.facts.gateway_reference.as_ref().map(ToString::to_string).or_else(key)
}

/// What to call the payment: the merchant's reference, else Paynow's number, else the integration.
fn name(payment: &Payment) -> String {
    reference(payment)
        .or_else(|| number(payment).map(|number| format!("Paynow {number}")))
        .unwrap_or_else(|| payment.integration.to_string())
}

/// The state's word: in a correction the gateway's own, which is what its dashboard shows, else ours.
pub(super) fn word(kind: NoticeKind, payment: &Payment) -> String {
    let label = kind.status().label().to_owned();
    match kind {
        NoticeKind::Reached(_) | NoticeKind::Reported(_) | NoticeKind::Unconfirmed(_) => label,
        NoticeKind::Corrected(_) => gateway_word(kind, payment).unwrap_or(label),
    }
}

/// The gateway's own word for the state the letter is about, where it is known.
pub(super) fn gateway_word(kind: NoticeKind, payment: &Payment) -> Option<String> {
    let word = payment.wire_status.as_ref().filter(|_| payment.status == kind.status())?;
    let word = shortened(&shown(word.as_str()), WORD_LENGTH);
    (!word.is_empty()).then_some(word)
}

/// The subject: what happened first, then how much, then for what. The reference gives way if it grows too long.
pub(super) fn subject(kind: NoticeKind, payment: &Payment) -> String {
    let test = match payment.mode {
        Mode::Live => "",
        Mode::Test => "[TEST] ",
    };
    let word = word(kind, payment);
    let lead = match kind {
        NoticeKind::Reached(_) => format!("{word}: "),
        NoticeKind::Reported(_) => format!("Reported: {word}, "),
        NoticeKind::Unconfirmed(_) => format!("Unconfirmed: {word}, "),
        NoticeKind::Corrected(_) => format!("Correction: {word}, "),
    };
    let sum = sum(payment).map_or(String::new(), |sum| format!("{sum}, "));
    let head = format!("{test}{lead}{sum}");
    let room = SUBJECT_LENGTH.saturating_sub(head.chars().count());
    head + &shortened(&name(payment), room)
}

/// What happened, in one or two sentences.
pub(super) fn news(kind: NoticeKind, payment: &Payment) -> String {
    let status = kind.status();
    let event = event(status, payment);
    let (lead, event) = match Certainty::of(kind, payment.trust) {
        Certainty::Confirmed if status == Status::Paid => ("Good news: ", event),
        Certainty::Confirmed => ("", capitalised(&event)),
        Certainty::Unconfirmable => ("Paynow tells us: ", event),
        Certainty::Reported => ("Paynow reports: ", event),
        Certainty::Unconfirmed => ("Paynow reported this, but has not confirmed it: ", event),
        Certainty::Corrected => ("Please set aside what we wrote about this payment before. Paynow now says: ", event),
    };
    format!("{lead}{event}")
}

/// What a state means for the shop, beginning in lower case.
fn event(status: Status, payment: &Payment) -> String {
    let sum = sum(payment);
    let whose = match (reference(payment), number(payment)) {
        (Some(reference), _) => format!(" for {}", shortened(&reference, REFERENCE_LENGTH)),
        (None, Some(number)) => format!(" (Paynow {number})"),
        (None, None) => String::new(),
    };
    let paid = sum.as_ref().map_or_else(|| format!("paid{whose}"), |sum| format!("paid {sum}{whose}"));
    let payment_of = sum.map_or_else(|| format!("payment{whose}"), |sum| format!("payment of {sum}{whose}"));
    match status {
        Status::Unknown => format!("about the {payment_of} Paynow uses a word that we do not know."),
        Status::Created => format!("the {payment_of} has been started. Nothing is paid yet."),
        Status::Pending => format!("the {payment_of} is under way. Nothing is paid yet."),
        Status::Errored => format!("the {payment_of} met an error at Paynow. Nothing is paid, but it may still be."),
        Status::Rejected => {
            format!("the {payment_of} was not authorised. Nothing is paid, but your customer may try again.")
        }
        Status::Cancelled => format!("the {payment_of} was cancelled. Nothing was paid."),
        Status::Failed => format!("the {payment_of} failed. Nothing was paid."),
        Status::Expired => format!("the time for the {payment_of} ran out. Nothing was paid."),
        Status::Abandoned => {
            format!("your customer left the {payment_of} and tried again with a new one. Nothing was paid here.")
        }
        Status::AwaitingDelivery => {
            format!("your customer has {paid}. Paynow holds the money until the delivery is confirmed.")
        }
        Status::Delivered => {
            format!(
                "your customer has {paid}, and the delivery is confirmed. Paynow holds the money for about a day more."
            )
        }
        Status::Paid => format!("your customer has {paid}."),
        Status::Disputed => {
            format!("your customer disputes the {payment_of}. Paynow holds the money until that is settled.")
        }
        Status::Refunded => format!("the {payment_of} was refunded. The money went back to your customer."),
    }
}

/// What to do next, in one or two sentences.
pub(super) fn next_step(status: Status, certainty: Certainty, payment: &Payment) -> &'static str {
    if payment.mode == Mode::Test {
        return "Nothing. This was only a test.";
    }
    match status {
        Status::Paid | Status::AwaitingDelivery if sum(payment).is_none() => {
            "Look the payment up in your Paynow dashboard and compare its amount with your order before you hand over the goods."
        }
        Status::Paid | Status::AwaitingDelivery | Status::Delivered if certainty.wants_a_look() => {
            "Look the payment up in your Paynow dashboard before you hand over the goods."
        }
        _ if certainty.wants_a_look() => "Look the payment up in your Paynow dashboard before you act on this.",
        Status::Paid => "Hand over the goods. The money comes with your next Paynow settlement.",
        Status::AwaitingDelivery => {
            "Deliver the order, then have the delivery confirmed with Paynow so that the money is released."
        }
        Status::Delivered => "Nothing. The money comes with a later Paynow settlement.",
        Status::Disputed => {
            "Answer the dispute in your Paynow dashboard, talk to your customer, and keep back what has not left the shop."
        }
        Status::Refunded => {
            "Keep back what has not left the shop. If you did not expect the refund, ask Paynow about it."
        }
        Status::Cancelled | Status::Failed | Status::Expired => {
            "Do not hand over the goods. Your customer can still pay with a new payment."
        }
        Status::Abandoned => "Do not hand over the goods for this one. Look out for the new payment.",
        Status::Created | Status::Pending | Status::Errored | Status::Rejected => {
            "Do not hand over the goods until the payment is confirmed."
        }
        Status::Unknown => "Look the payment up in your Paynow dashboard before you act on this.",
    }
}

/// The same text, its first letter a capital.
fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}
