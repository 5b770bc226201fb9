//! Payments counted into days: what came in, by currency, state and means. Integers only; nothing is added across
//! currencies, and test money never meets real money.

use std::collections::BTreeMap;

use chrono::{Days as Count, NaiveDate};

use super::{Currency, Days, Method, Mode, Payment, Status, Timestamp, Trust};

/// How many days the chart of a report shows.
pub const CHART: u64 = 14;
/// How many days the mean is taken over.
const WEEK: u64 = 7;
/// How many rows of totals are kept apart by means of payment. Gateways have a dozen.
const ROWS: usize = 200;

/// How many payments, and how much money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many payments.
    pub count: u64,
    /// What they add up to, in ten-thousandths.
    pub ten_thousandths: i128,
    /// Of how many of them no message states the amount.
    pub unknown: u64,
}

impl Sum {
    /// One more payment.
    pub fn count(&mut self, payment: &Payment) {
        let amount = payment.facts.amount.or(payment.facts.amount_paid);
        self.count += 1;
        self.ten_thousandths += i128::from(amount.map_or(0, super::Amount::ten_thousandths));
        self.unknown += u64::from(amount.is_none());
    }

    /// Both together. The caller knows that they are of one currency.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            ten_thousandths: self.ten_thousandths + other.ten_thousandths,
            unknown: self.unknown + other.unknown,
        }
    }

    /// Whether there is something to add up and no message states any of it.
    pub const fn is_unknown(self) -> bool {
        self.count > 0 && self.unknown == self.count
    }

    /// The money of one of seven days on average, in ten-thousandths, rounded half up to the cent.
    pub const fn mean_of_a_week(self) -> i128 {
        (self.ten_thousandths + 350).div_euclid(700) * 100
    }
}

/// What came in of one currency, state and means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// What it is counted in.
    pub currency: Currency,
    /// Where these payments stand now.
    pub status: Status,
    /// By which means they were paid, in the gateway's word; `None` where it does not tell.
    pub method: Option<Method>,
    /// On the days reported.
    pub period: Sum,
    /// On the day before them.
    pub day_before: Sum,
    /// On the seven days before them, together.
    pub week_before: Sum,
}

/// What was paid on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayTotal {
    /// The civil day.
    pub day: NaiveDate,
    /// What it is counted in.
    pub currency: Currency,
    /// How much.
    pub sum: Sum,
}

type Rows = BTreeMap<(Currency, Status, Option<Method>), [Sum; 3]>;

/// Counts payments one by one; its memory does not grow with them.
#[derive(Clone, Debug)]
pub struct Tally {
    days: Days,
    /// When each day that is looked at begins, and after the last one its end.
    starts: Vec<(Timestamp, NaiveDate)>,
    live: Rows,
    test: Rows,
    claims: BTreeMap<Currency, Sum>,
    chart: BTreeMap<(NaiveDate, Currency), Sum>,
    unaskable: u64,
}

/// What a [`Tally`] came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Real money, and payments of real money that did not come to pass.
    pub live: Vec<Total>,
    /// The same of test payments.
    pub test: Vec<Total>,
    /// Money that posts claim and the gateway has not confirmed, of the days reported: in no total.
    pub claims: Vec<(Currency, Sum)>,
    /// What was paid on each of the last fourteen days, the oldest first; days without money are left out.
    pub chart: Vec<DayTotal>,
    /// How many payments of real money, on the days reported, the gateway offers no way to ask about.
    pub unaskable: u64,
}

impl Tally {
    /// Begins to count for a report about `days`.
    pub fn new(days: Days) -> Self {
        let week = days.first().checked_sub_days(Count::new(WEEK)).unwrap_or(days.first());
        let first = week.min(Days::up_to(days.last(), CHART, days.zone()).first());
        let window = Days::new(first, days.last(), days.zone()).unwrap_or(days);
        let starts = window.each().map(|day| (Days::one(day, days.zone()).from(), day)).collect();
        Self {
            days,
            starts,
            live: BTreeMap::new(),
            test: BTreeMap::new(),
            claims: BTreeMap::new(),
            chart: BTreeMap::new(),
            unaskable: 0,
        }
    }

    /// Payments that changed last before this instant are of no interest: money that came later changed them.
    pub fn since(&self) -> Timestamp {
        self.starts.first().map_or_else(|| self.days.from(), |(start, _)| *start)
    }

    /// Counts a payment on the day its money came, or, where none has, on the day it was first heard of. Whether that
    /// is one of the days reported.
    pub fn count(&mut self, payment: &Payment) -> bool {
        let at = payment.paid_at.unwrap_or(payment.first_seen);
        if at >= self.days.until() {
            return false;
        }
        let past = self.starts.partition_point(|(start, _)| *start <= at);
        let Some((_, day)) = past.checked_sub(1).and_then(|at| self.starts.get(at)).copied() else { return false };
        let reported = day >= self.days.first();
        if payment.mode == Mode::Live && payment.is_unproven() && payment.status.has_had_money() {
            if reported {
                self.claims.entry(payment.currency).or_default().count(payment);
            }
            return reported;
        }
        if payment.mode == Mode::Live && payment.status.is_paid() {
            if Days::up_to(self.days.last(), CHART, self.days.zone()).first() <= day {
                self.chart.entry((day, payment.currency)).or_default().count(payment);
            }
            self.unaskable += u64::from(reported && payment.trust == Trust::Unconfirmable);
        }
        let rows = if payment.mode == Mode::Live { &mut self.live } else { &mut self.test };
        let mut key = (payment.currency, payment.status, payment.facts.method.clone());
        if rows.len() >= ROWS && !rows.contains_key(&key) {
            key.2 = None;
        }
        let before = (self.days.first() - day).num_days();
        let sums = rows.entry(key).or_default();
        for (sum, counts) in sums.iter_mut().zip([reported, before == 1, (1..=7).contains(&before)]) {
            if counts {
                sum.count(payment);
            }
        }
        reported
    }

    /// What it came to: rows that have neither a payment of these days nor one to compare them with are left out.
    pub fn totals(self) -> Totals {
        Totals {
            live: rows(self.live),
            test: rows(self.test),
            claims: self.claims.into_iter().collect(),
            chart: self.chart.into_iter().map(|((day, currency), sum)| DayTotal { day, currency, sum }).collect(),
            unaskable: self.unaskable,
        }
    }
}

fn rows(rows: Rows) -> Vec<Total> {
    rows.into_iter()
        .filter(|(_, sums)| sums.iter().any(|sum| sum.count > 0))
        .map(|((currency, status, method), [period, day_before, week_before])| Total {
            currency,
            status,
            method,
            period,
            day_before,
            week_before,
        })
        .collect()
}

impl Totals {
    /// What was paid on the days reported and stands paid, by currency; those without any are left out.
    pub fn paid(&self) -> Vec<(Currency, Sum)> {
        let mut paid: BTreeMap<Currency, Sum> = BTreeMap::new();
        for total in self.live.iter().filter(|total| total.status.is_paid() && total.period.count > 0) {
            let sum = paid.entry(total.currency).or_default();
            *sum = sum.and(total.period);
        }
        paid.into_iter().collect()
    }
}

#[cfg(test)]
#[path = "tally_tests.rs"]
mod tests;
