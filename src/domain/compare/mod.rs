//! What we recorded, what the gateway says, what the merchant's books expect and what was paid out, held against each
//! other. One pure function: no clock, no ledger; the same matter under the same rules always says the same.

mod integration;
mod order;
mod payment;
mod payout;

use chrono::{NaiveDate, TimeDelta};

pub use integration::{Refusals, Tallies};
pub use order::Order;
pub use payment::{Account, PaidOut};
pub use payout::{Line, Payouts};

use super::{Amount, Class, Currency, Finding, PollSchedule, Timestamp};

/// What is held against each other at a time.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and nearly always the large one")]
pub enum Matter<'a> {
    /// One payment, with what is expected of it and what was paid out.
    Payment(Account),
    /// One order of the merchant's books that no money has come for.
    Order(Order),
    /// One line of a settlement file that belongs to no payment we know.
    Line(Line),
    /// One integration as a whole.
    Integration(&'a Tallies),
}

/// Under which rules: one integration's terms and practice, and the time.
#[derive(Clone, Debug)]
pub struct Rules<'a> {
    /// When the comparison is made.
    pub now: Timestamp,
    /// By how much a payment may miss what is expected.
    pub tolerance: Amount,
    /// Whether the gateway can be asked about a payment.
    pub confirmable: bool,
    /// How long a claim may stay unconfirmed.
    pub announce_after: TimeDelta,
    /// How long the gateway may hold money.
    pub escrow_after: TimeDelta,
    /// For how long what has come to its end is looked at again.
    pub look_back: TimeDelta,
    /// When the gateway is asked.
    pub schedule: &'a PollSchedule,
    /// When the reported period begins.
    pub reported_from: Timestamp,
    /// Since when the merchant's books say what to expect; `None` if they never did.
    pub expecting_since: Option<Timestamp>,
    /// What settlement files have been imported.
    pub payouts: Payouts,
}

impl Rules<'_> {
    /// Whether `then` lies within the look-back.
    fn is_recent(&self, then: Timestamp) -> bool {
        self.now - then <= self.look_back
    }
}

/// One thing that does not add up, for as long as it does not. Its texts stay the same as long as it does: no ages, no
/// counts that grow by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its class.
    pub class: Class,
    /// What tells it from others of its class about the same payment, order or integration; usually nothing.
    pub subject: String,
    /// What should have been.
    pub expected: String,
    /// What was there instead.
    pub found: String,
}

impl Standing {
    fn new(class: Class, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { class, subject: String::new(), expected: expected.into(), found: found.into() }
    }
}

impl From<Finding> for Standing {
    fn from(Finding { class, expected, found }: Finding) -> Self {
        Self::new(class, expected, found)
    }
}

/// What does not add up about `matter`, at most once a class and subject.
pub fn compare(matter: &Matter<'_>, rules: &Rules<'_>) -> Vec<Standing> {
    match matter {
        Matter::Payment(account) => account.compare(rules),
        Matter::Order(order) => order.compare(),
        Matter::Line(line) => line.compare(rules).into_iter().collect(),
        Matter::Integration(tallies) => tallies.compare(rules),
    }
}

/// An amount as people write it.
fn money(currency: Currency, amount: Amount) -> String {
    format!("{} {amount}", currency.label())
}

/// A day as people read it.
fn day(day: NaiveDate) -> String {
    day.format("%-d %b %Y").to_string()
}

#[cfg(test)]
mod tests;
