//! One payment held against the gateway's word, the books and the payouts.

use chrono::TimeDelta;

use super::{Rules, Standing, money, payout};
use crate::domain::{Amount, Class, Expectation, Finding, Known, Method, Mode, Payment, Posted, Status, Timestamp};

/// One payment: ours, theirs, what is expected of it, and what was paid out.
#[derive(Clone, Debug)]
pub struct Account {
    /// What we recorded, the last state that the gateway proved, and when it is asked.
    pub known: Known,
    /// What the books expect under its reference, or of it by name.
    pub expectation: Option<Expectation>,
    /// What settlement files say of it; `None` if no line does.
    pub paid_out: Option<PaidOut>,
}

/// What the settlement lines of one payment say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaidOut {
    /// What was settled before fees, or what the net sums and the fees account for, if that is less; `None` if the
    /// lines do not say that.
    pub gross: Option<Amount>,
    /// Whether a line is counted in another currency than the payment.
    pub in_another_currency: bool,
}

impl Account {
    pub(super) fn compare(&self, rules: &Rules<'_>) -> Vec<Standing> {
        let payment = &self.known.payment;
        let mut standing = Vec::new();
        standing.extend(missing_in_ledger(payment, rules));
        standing.extend(self.stuck_pending(rules));
        standing.extend(self.paid_unconfirmed(rules));
        standing.extend(reversed(payment, rules));
        standing.extend(escrow_ageing(payment, rules));
        if has_money(payment) {
            match &self.expectation {
                Some(expected) => standing.extend(other_than_expected(payment, expected, rules)),
                None => standing.extend(unknown_reference(payment, rules)),
            }
        }
        standing.extend(payout::of_payment(payment, self.paid_out, rules));
        standing
    }

    /// Unpaid for longer than such a payment takes.
    fn stuck_pending(&self, rules: &Rules<'_>) -> Option<Standing> {
        let payment = &self.known.payment;
        if !payment.status.is_pending() {
            return None;
        }
        if let Some(end) = self.asking_ended(rules) {
            return rules.is_recent(end).then(|| payment.left_open().into());
        }
        let (limit, words) = pending_limit(payment.facts.method.as_ref());
        let stuck = rules.now - payment.first_seen > limit;
        let expected = || format!("a final state within {words}");
        stuck.then(|| Standing::new(Class::StuckPending, expected(), payment.status.code()))
    }

    /// Money, or an end without any, that a message claims and no poll has agreed with.
    fn paid_unconfirmed(&self, rules: &Rules<'_>) -> Option<Standing> {
        let payment = &self.known.payment;
        if !payment.is_unproven() || payment.status.is_pending() {
            return None;
        }
        let overdue = if payment.status.has_had_money() {
            rules.now - payment.last_changed > rules.announce_after
        } else {
            // A claim that there is no money hurts nobody for as long as the gateway can still be asked.
            self.asking_ended(rules).is_some_and(|end| rules.is_recent(end))
        };
        overdue.then(|| payment.left_open().into())
    }

    /// When the gateway's last answer was due, if nothing is left to ask: whatever a nightly run asks beyond that.
    fn asking_ended(&self, rules: &Rules<'_>) -> Option<Timestamp> {
        let (payment, plan) = (&self.known.payment, &self.known.plan);
        let waiting = plan.due.is_some_and(|due| due > rules.now);
        let over = || rules.schedule.is_over(plan, payment.status, payment.trust, rules.now);
        (!waiting && over()).then(|| plan.since + rules.schedule.pending_for())
    }
}

impl Payment {
    /// What it means that the gateway has not told where this payment ends.
    pub(in crate::domain) fn left_open(&self) -> Finding {
        let (class, expected, found) = if self.status.is_pending() {
            // Never "failed": nobody knows that.
            (Class::StuckPending, "a final state within the poll schedule", "expired unconfirmed")
        } else {
            (Class::PaidUnconfirmed, "the gateway's own word", self.status.code())
        };
        Finding { class, expected: expected.into(), found: found.into() }
    }
}

/// Money that counts: there, and not merely claimed. A claim that nobody has proven is a finding of its own.
pub(super) fn has_money(payment: &Payment) -> bool {
    (payment.status.is_paid() || payment.status == Status::Disputed) && !payment.is_unproven()
}

/// Money of which no post ever told.
fn missing_in_ledger(payment: &Payment, rules: &Rules<'_>) -> Option<Standing> {
    let missing =
        payment.status.has_had_money() && payment.posted == Posted::Never && rules.is_recent(payment.first_seen);
    missing.then(|| Standing::new(Class::MissingInLedger, "a post that tells of it", "found by asking the gateway"))
}

/// The money is in danger, or went back since the last report.
fn reversed(payment: &Payment, rules: &Rules<'_>) -> Option<Standing> {
    let reversed = match payment.status {
        Status::Disputed => true,
        Status::Refunded => payment.last_changed >= rules.reported_from,
        Status::Unknown
        | Status::Created
        | Status::Pending
        | Status::Errored
        | Status::Rejected
        | Status::Cancelled
        | Status::Failed
        | Status::Expired
        | Status::Abandoned
        | Status::AwaitingDelivery
        | Status::Delivered
        | Status::Paid => false,
    };
    reversed.then(|| Standing::new(Class::Reversed, Status::Paid.code(), payment.status.code()))
}

/// The gateway holds the money for too long.
fn escrow_ageing(payment: &Payment, rules: &Rules<'_>) -> Option<Standing> {
    let since = payment.paid_at.unwrap_or(payment.last_changed);
    let ageing = matches!(payment.status, Status::AwaitingDelivery | Status::Delivered)
        && rules.now - since > rules.escrow_after;
    let expected = || format!("released within {} days", rules.escrow_after.num_days());
    ageing.then(|| Standing::new(Class::EscrowAgeing, expected(), payment.status.code()))
}

/// Money that no order asked for, where the books know the orders.
fn unknown_reference(payment: &Payment, rules: &Rules<'_>) -> Option<Standing> {
    let reference = payment.facts.reference.as_ref()?;
    let in_use = rules.expecting_since.is_some_and(|since| payment.first_seen >= since);
    let unknown = rules.confirmable && in_use && payment.stands_paid();
    unknown.then(|| Standing::new(Class::UnknownReference, "an order in the books", format!("paid under {reference}")))
}

/// Other money than the order asked for: counted otherwise, made otherwise, more or less of it.
fn other_than_expected(payment: &Payment, expected: &Expectation, rules: &Rules<'_>) -> Vec<Standing> {
    let mut standing = Vec::new();
    if payment.mode != expected.mode {
        let text = |mode: Mode| format!("{} money", mode.code());
        standing.push(Standing::new(Class::TestMoney, text(expected.mode), text(payment.mode)));
    }
    let wanted = money(expected.currency, expected.amount);
    if payment.currency != expected.currency {
        let found = match payment.facts.amount {
            Some(amount) => money(payment.currency, amount),
            None => payment.currency.label().to_owned(),
        };
        standing.push(Standing::new(Class::CurrencyMismatch, wanted, found));
        return standing;
    }
    let Some(amount) = payment.facts.amount else { return standing };
    let class = if amount < expected.amount { Class::Underpaid } else { Class::Overpaid };
    if amount.distance(expected.amount) > rules.tolerance {
        standing.push(Standing::new(class, wanted, money(payment.currency, amount)));
    }
    standing
}

/// How long a payment by `method` may be unpaid, and the same in words. A customer answers a prompt on a telephone at
/// once or not at all; a card form may stay open over a meal; of the rest we know nothing.
fn pending_limit(method: Option<&Method>) -> (TimeDelta, &'static str) {
    match method.map_or(Means::Unknown, Means::of) {
        Means::Mobile => (TimeDelta::hours(1), "an hour (mobile money)"),
        Means::LocalSwitch | Means::LocalCard | Means::ForeignCard => (TimeDelta::hours(6), "6 hours (card)"),
        Means::Unknown => (TimeDelta::hours(24), "24 hours"),
    }
}

/// The kinds of ways to pay that take their own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// A wallet on a telephone.
    Mobile,
    /// A local bank's card or account, by the country's own switch.
    LocalSwitch,
    /// A Visa or Mastercard.
    LocalCard,
    /// The same, of a bank abroad.
    ForeignCard,
    /// Something else, or not told.
    Unknown,
}

impl Means {
    /// What the gateway's word means. It spells them freely: `EcoCash`, `O'mari`, `Visa/MasterCard`.
    pub(super) fn of(method: &Method) -> Self {
        let word: String =
            method.as_str().chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        let has = |parts: &[&str]| parts.iter().any(|part| word.contains(part));
        if has(&["ecocash", "onemoney", "innbucks", "omari", "telecash"]) {
            Self::Mobile
        } else if has(&["zimswitch", "vpayment"]) {
            Self::LocalSwitch
        } else if has(&["foreign", "international"]) {
            Self::ForeignCard
        } else if has(&["visa", "mastercard", "vmc", "card"]) {
            Self::LocalCard
        } else {
            Self::Unknown
        }
    }
}
