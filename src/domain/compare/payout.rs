//! Payments held against settlement files: only what is due by the gateway's own timetable, and only once a file was
//! imported that would have it.

use chrono::{Datelike as _, Days, NaiveDate, TimeDelta, Timelike as _, Weekday};
use chrono_tz::Tz;

use super::payment::Means;
use super::{PaidOut, Rules, Standing, day, money};
use crate::domain::{Amount, Class, Currency, Method, Payment, Status, Timestamp};

/// Whose clock and calendar settlement follows.
const ZONE: Tz = Tz::Africa__Harare;

/// At which hour the gateway's day ends: what is paid later is the next day's.
const CUT_OFF: u32 = 20;

/// How many days a line of a settlement file may be ahead of the payment it settles.
const LINE_AHEAD: u64 = 3;

/// Which settlement files have been imported for one integration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Payouts {
    /// The first and the last day that they have a line for; `None` if there are none.
    pub days: Option<(NaiveDate, NaiveDate)>,
    /// When the first payment of the integration was seen.
    pub first_payment: Option<Timestamp>,
}

impl Payouts {
    /// Whether a file would have what was paid out on `due`, and that day has passed.
    fn tell_of(&self, due: NaiveDate, now: Timestamp) -> bool {
        let today = now.with_timezone(&ZONE).date_naive();
        due < today && self.days.is_some_and(|(first, last)| (first..=last).contains(&due))
    }
}

/// One line of a settlement file that belongs to no payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What tells it from all other lines of the integration.
    pub line: String,
    /// The day it was paid out.
    pub day: NaiveDate,
    /// Whose it says to be.
    pub reference: String,
    /// What it is counted in.
    pub currency: Currency,
    /// How much it says: before fees if that is known, else after.
    pub amount: Option<Amount>,
}

impl Line {
    /// A payment is known before it is paid out, so a line without one is odd as soon as a late answer would have come.
    pub(super) fn compare(&self, rules: &Rules<'_>) -> Option<Standing> {
        let today = rules.now.with_timezone(&ZONE).date_naive();
        let settled = |seen: Timestamp| working_days_after(seen.with_timezone(&ZONE).date_naive(), LINE_AHEAD);
        // Days of before this ledger began are settled by payments it never heard of.
        let ours = rules.payouts.first_payment.is_some_and(|first| settled(first) < self.day);
        let late = self.day.checked_add_days(Days::new(LINE_AHEAD)).is_some_and(|end| end < today);
        (ours && late).then(|| Standing {
            class: Class::SettlementMissing,
            subject: self.line.clone(),
            expected: "a payment that this settles".into(),
            found: format!(
                "{} paid out on {} for {}",
                self.amount.map_or_else(|| self.currency.label().to_owned(), |amount| money(self.currency, amount)),
                day(self.day),
                self.reference
            ),
        })
    }
}

/// Whether a payment was paid out, and whole.
pub(super) fn of_payment(payment: &Payment, paid_out: Option<PaidOut>, rules: &Rules<'_>) -> Option<Standing> {
    // While the gateway holds the money, none is due.
    if payment.status != Status::Paid || payment.is_unproven() {
        return None;
    }
    let amount = payment.facts.amount?;
    let whole = money(payment.currency, amount);
    let Some(paid_out) = paid_out else {
        let due = due(payment);
        let expected = || format!("{whole} paid out by {}", day(due));
        let missing = rules.payouts.tell_of(due, rules.now);
        return missing.then(|| Standing::new(Class::SettlementMissing, expected(), "no line of a settlement file"));
    };
    if paid_out.in_another_currency {
        return Some(Standing::new(Class::SettlementShort, whole, "paid out in another currency"));
    }
    let gross = paid_out.gross.filter(|gross| *gross < amount && amount.distance(*gross) > rules.tolerance)?;
    Some(Standing::new(Class::SettlementShort, whole, format!("{} paid out", money(payment.currency, gross))))
}

/// By when a payment should have been paid out. Counted from its last change: what was held is due once it is released.
fn due(payment: &Payment) -> NaiveDate {
    let paid = payment.last_changed.with_timezone(&ZONE);
    let late = TimeDelta::days(i64::from(paid.hour() >= CUT_OFF));
    working_days_after((paid + late).date_naive(), days_to_settle(payment.facts.method.as_ref()))
}

/// How many days settlement takes.
fn days_to_settle(method: Option<&Method>) -> u64 {
    match method.map_or(Means::Unknown, Means::of) {
        Means::Mobile | Means::LocalSwitch => 1,
        Means::LocalCard => 2,
        Means::ForeignCard | Means::Unknown => 3,
    }
}

/// `count` days after `day`, Sundays not counted: nothing is settled on them.
fn working_days_after(mut day: NaiveDate, count: u64) -> NaiveDate {
    for _ in 0..count {
        let mut next = day.succ_opt().unwrap_or(day);
        if next.weekday() == Weekday::Sun {
            next = next.succ_opt().unwrap_or(next);
        }
        day = next;
    }
    day
}
