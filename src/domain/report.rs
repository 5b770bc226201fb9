//! What a nightly run has to tell: plain values, counted by the ledger, worded by the mailer.

use std::collections::BTreeMap;
use std::ops::AddAssign;

/// What a run asked the gateways, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Payments that a gateway was to be asked about.
    pub payments: u64,
    /// Those it answered for, with proof.
    pub answered: u64,
    /// Those it did not, by the code of what went wrong.
    pub unanswered: BTreeMap<String, u64>,
    /// Expected orders that were looked for by trace.
    pub traced: u64,
    /// Those a gateway knew.
    pub found: u64,
    /// Payments and orders that there was no time left to ask about.
    pub left: u64,
}

impl AddAssign for Checked {
    fn add_assign(&mut self, other: Self) {
        let Self { payments, answered, unanswered, traced, found, left } = other;
        self.payments += payments;
        self.answered += answered;
        for (code, count) in unanswered {
            *self.unanswered.entry(code).or_default() += count;
        }
        self.traced += traced;
        self.found += found;
        self.left += left;
    }
}
