//! What a nightly run has to tell: plain values, counted by the ledger, worded by the mailer.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use chrono::TimeDelta;

use super::tally::{Sum, Totals};
use super::{Class, Currency, Days, IntegrationName, Mode, Refusal, Severity, Status, Timestamp};

/// How many findings a letter lists; the rest is in the attachment and in the ledger.
pub const LISTED: usize = 20;

/// What a run asked the gateways, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Payments that a gateway was to be asked about.
    pub payments: u64,
    /// Those it answered for, with proof.
    pub answered: u64,
    /// Payments and orders that it proved nothing about, by the code of what went wrong.
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

/// Everything one letter tells. Names in it are as they may be shown: without telephone numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The civil days it is about.
    pub days: Days,
    /// When it was made: ages are counted up to here.
    pub made: Timestamp,
    /// When the first thing was heard from a gateway: days before that can be compared with nothing.
    pub heard_since: Option<Timestamp>,
    /// Whose payments were reconciled, and whether their money is real.
    pub integrations: Vec<(IntegrationName, Mode)>,
    /// What was checked, and what was not.
    pub checked: Checked,
    /// What came in.
    pub totals: Totals,
    /// Real money of earlier days that stands paid and was confirmed only after the reports of those days: no earlier
    /// report has it, and no total of this one.
    pub confirmed_since: Vec<(Currency, Sum)>,
    /// Real money that earlier reports have as paid and that was disputed or refunded since, by where it stands now.
    pub reversed_since: Vec<(Status, Currency, Sum)>,
    /// What does not add up.
    pub findings: Findings,
    /// Money of customers that the gateway holds, and money in dispute.
    pub held: Vec<Held>,
    /// Orders that the merchant's books expect; `None` where the books say nothing.
    pub orders: Option<Orders>,
    /// Payments of the last days that no settlement line pays out yet; `None` where no settlement is imported.
    pub unsettled: Option<Vec<(Currency, Sum)>>,
    /// How the daemon fares.
    pub health: Health,
    /// Payments of these days, or confirmed or gone back since, that there was no room for in the attachment.
    pub transactions_left_out: u64,
    /// Findings that there was no room for in the attachment.
    pub findings_left_out: u64,
}

impl Report {
    /// Whether payments were heard of as early as the first of the seven days before those reported, so that a mean over
    /// them is one of seven days. Reports that do not say since when are of ledgers that were older.
    pub fn has_a_week_before(&self) -> bool {
        let week = Days::up_to(self.days.first(), 8, self.days.zone());
        self.heard_since.is_none_or(|heard| heard < Days::one(week.first(), self.days.zone()).until())
    }
}

/// What does not add up, as it stood when the report was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The most urgent of those that a person should look at, test money last; at most [`LISTED`].
    pub rows: Vec<FindingRow>,
    /// How many more there are of them.
    pub more: u64,
    /// Findings about real money that need a person and that an earlier report told of.
    pub carried: u64,
    /// Since when the oldest of those has been open.
    pub oldest: Option<Timestamp>,
    /// Findings about real money that need a person and are new.
    pub opened: u64,
    /// Findings about real money that needed a person and were resolved since the last report.
    pub resolved: u64,
    /// Open findings that are only good to know, and those about test money.
    pub others: u64,
}

impl Findings {
    /// How many need a person.
    pub const fn need_you(&self) -> u64 {
        self.carried + self.opened
    }
}

/// A finding that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingRow {
    /// The ledger's number for it.
    pub id: i64,
    /// Its class.
    pub class: Class,
    /// How urgent it was when the report was made.
    pub severity: Severity,
    /// Whether it is about real money.
    pub mode: Mode,
    /// The integration.
    pub integration: IntegrationName,
    /// The order or payment it is about, as people call it.
    pub reference: Option<String>,
    /// What should have been.
    pub expected: String,
    /// What was.
    pub found: String,
    /// Since when it has been open.
    pub opened: Timestamp,
    /// Whether no earlier report told of it.
    pub new: bool,
}

impl FindingRow {
    /// Whether it is about a post that is kept in quarantine because its fields are not as the gateway writes them.
    pub fn is_about_a_suspect_post(&self) -> bool {
        self.class == Class::ContradictingPost && self.expected == super::AS_THE_GATEWAY_WRITES
    }

    /// How long it had been open at `made`.
    pub fn age(&self, made: Timestamp) -> TimeDelta {
        (made - self.opened).max(TimeDelta::zero())
    }
}

/// Money that is not the merchant's to spend yet, in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Awaiting Delivery, Delivered or Disputed.
    pub status: Status,
    /// What it is counted in.
    pub currency: Currency,
    /// How much.
    pub sum: Sum,
    /// Since when the oldest of these payments has been known to be paid.
    pub oldest: Timestamp,
}

/// Expected orders of real money that nobody has paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// How many.
    pub unpaid: u64,
    /// How many of them should have been paid by now.
    pub past_due: u64,
}

/// How the daemon fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Authentic posts that came on the days reported.
    pub posts: u64,
    /// How many of them only repeated what was known.
    pub repeats: u64,
    /// Posts refused on these days and still in quarantine, by why.
    pub refused: BTreeMap<Refusal, u64>,
    /// Payments that the gateway was asked about since the first of these days began.
    pub asked: u64,
    /// Letters that wait to be sent, this one not counted.
    pub letters_waiting: u64,
    /// Letters of the last two weeks that were refused or given up.
    pub letters_refused: u64,
    /// Keys on their way out that proved something on these days.
    pub old_keys: Vec<OldKeyUse>,
    /// Payments in the ledger.
    pub payments: u64,
    /// Events in the ledger.
    pub events: u64,
    /// How large the ledger's file is.
    pub bytes: u64,
    /// The digest of the newest event.
    pub head: [u8; 32],
}

/// That messages are still proven by a key that another has replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldKeyUse {
    /// Whose key.
    pub integration: IntegrationName,
    /// The name of its file.
    pub file: String,
    /// How much it has proved since it was replaced.
    pub count: u64,
    /// Since when.
    pub since: Timestamp,
    /// When it last did, to a minute.
    pub last: Timestamp,
}

/// Whom a report goes to: `wanted`, or, where that is empty, everyone whom an integration notifies; each once, whatever
/// the letter case.
pub fn recipients<'a>(wanted: &'a [String], notified: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut recipients: Vec<String> = Vec::new();
    let mut add = |address: &String| {
        if !recipients.iter().any(|known| known.eq_ignore_ascii_case(address)) {
            recipients.push(address.clone());
        }
    };
    if wanted.is_empty() {
        notified.into_iter().for_each(&mut add);
    } else {
        wanted.iter().for_each(&mut add);
    }
    recipients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_gets_one_report_however_they_are_spelled() {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let notified = list(&["Owner@shop.example", "books@shop.example", "owner@SHOP.example"]);
        assert_eq!(recipients(&[], &notified), ["Owner@shop.example", "books@shop.example"]);
        assert_eq!(recipients(&list(&["boss@shop.example", "BOSS@shop.example"]), &notified), ["boss@shop.example"]);
    }
}
