//! Totals are what counting by hand gives, on the days the shop's clocks mean.

use proptest::prelude::*;

use super::*;
use crate::domain::{Amount, Facts, GatewayKey, IntegrationName, Posted};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn days(first: &str, last: &str, zone: chrono_tz::Tz) -> Days {
    Days::new(first.parse().unwrap(), last.parse().unwrap(), zone).unwrap()
}

fn payment(status: Status, trust: Trust, cents: Option<i64>, when: Timestamp) -> Payment {
    Payment {
        integration: IntegrationName::parse("shop").unwrap(),
        key: GatewayKey::parse("1002").unwrap(),
        facts: Facts { amount: cents.and_then(|cents| Amount::from_ten_thousandths(cents * 100)), ..Facts::default() },
        currency: "USD".parse().unwrap(),
        mode: Mode::Live,
        status,
        wire_status: None,
        trust,
        poll_url: None,
        posted: Posted::Current,
        paid_at: status.has_had_money().then_some(when),
        first_seen: when,
        last_changed: when,
    }
}

fn paid(cents: i64, when: &str) -> Payment {
    payment(Status::Paid, Trust::Confirmed, Some(cents), at(when))
}

#[test]
fn money_counts_on_the_civil_day_it_came_across_changes_of_the_clock() {
    // In Warsaw 29 March 2026 lasts from 23:00 UTC to 22:00 UTC.
    let mut tally = Tally::new(days("2026-03-29", "2026-03-29", chrono_tz::Europe::Warsaw));
    assert!(!tally.count(&paid(100, "2026-03-28T22:59:59.999Z")));
    assert!(tally.count(&paid(1_000, "2026-03-28T23:00:00Z")));
    assert!(tally.count(&paid(10_000, "2026-03-29T21:59:59.999Z")));
    assert!(!tally.count(&paid(100_000, "2026-03-29T22:00:00Z")));
    let totals = tally.totals();
    assert_eq!(totals.paid(), [("USD".parse().unwrap(), Sum { count: 2, ten_thousandths: 1_100_000, unknown: 0 })]);
    assert_eq!(totals.live[0].day_before.ten_thousandths, 10_000);
    let chart: Vec<_> = totals.chart.iter().map(|day| (day.day.to_string(), day.sum.count)).collect();
    assert_eq!(chart, [("2026-03-28".to_owned(), 1), ("2026-03-29".to_owned(), 2)]);
}

#[test]
fn a_claim_is_in_no_total_and_test_money_is_in_its_own() {
    let mut tally = Tally::new(days("2026-03-12", "2026-03-12", chrono_tz::UTC));
    tally.count(&payment(Status::Paid, Trust::Reported, Some(500), at("2026-03-12T08:00:00Z")));
    tally.count(&payment(Status::Paid, Trust::Unconfirmable, Some(700), at("2026-03-12T08:00:00Z")));
    tally.count(&Payment { mode: Mode::Test, ..paid(900, "2026-03-12T08:00:00Z") });
    tally.count(&payment(Status::Paid, Trust::Confirmed, None, at("2026-03-12T08:00:00Z")));
    let totals = tally.totals();
    assert_eq!(totals.claims, [("USD".parse().unwrap(), Sum { count: 1, ten_thousandths: 50_000, unknown: 0 })]);
    assert_eq!(totals.paid()[0].1, Sum { count: 2, ten_thousandths: 70_000, unknown: 1 });
    assert_eq!((totals.test.len(), totals.test[0].period.ten_thousandths), (1, 90_000));
    assert_eq!((totals.unaskable, totals.chart[0].sum.count), (1, 2));
}

#[test]
fn means_are_rounded_half_up_to_the_cent() {
    let mean = |ten_thousandths| Sum { ten_thousandths, ..Sum::default() }.mean_of_a_week();
    // Seven times half a cent is 0.0350: a hair less is nothing, that much is a cent.
    assert_eq!((mean(0), mean(349), mean(350), mean(1_049), mean(1_050)), (0, 0, 100, 100, 200));
    assert_eq!(mean(70_000_000), 10_000_000);
}

fn any_payment() -> impl Strategy<Value = Payment> {
    let money = (proptest::option::of(0..i64::MAX), 0..3_usize, proptest::option::of("[ab]"));
    let state = (0..14_usize, 0..3_usize, any::<bool>());
    let start = at("2026-03-10T00:00:00Z").timestamp_millis();
    (money, state, start..start + 40 * 86_400_000).prop_map(
        |((amount, currency, method), (status, trust, test), when)| {
            let trust = [Trust::Reported, Trust::Confirmed, Trust::Unconfirmable][trust];
            let mut payment =
                payment(Status::ALL[status], trust, None, Timestamp::from_timestamp_millis(when).unwrap());
            payment.facts.amount = amount.and_then(Amount::from_ten_thousandths);
            payment.facts.method = method.map(|text| Method::parse(&text).unwrap());
            payment.currency = ["USD", "ZWG", "PLN"][currency].parse().unwrap();
            payment.mode = if test { Mode::Test } else { Mode::Live };
            payment
        },
    )
}

/// The civil day of an instant by the clocks of the zone, without any table of starts.
fn day_of(payment: &Payment, zone: chrono_tz::Tz) -> NaiveDate {
    payment.paid_at.unwrap_or(payment.first_seen).with_timezone(&zone).date_naive()
}

proptest! {
    #[test]
    fn totals_are_what_a_naive_recount_gives(payments in proptest::collection::vec(any_payment(), 0..60), length in 0..20_i64) {
        let zone = chrono_tz::Europe::Warsaw;
        let first: NaiveDate = "2026-03-25".parse().unwrap();
        let last = first + chrono::TimeDelta::days(length);
        let mut tally = Tally::new(Days::new(first, last, zone).unwrap());
        let reported = payments.iter().filter(|payment| tally.count(payment)).count();
        let totals = tally.totals();
        prop_assert_eq!(reported, payments.iter().filter(|payment| (first..=last).contains(&day_of(payment, zone))).count());

        let recount = |wanted: &dyn Fn(&Payment, i64) -> bool| {
            let mut sum = Sum::default();
            for payment in payments.iter().filter(|payment| wanted(payment, (day_of(payment, zone) - first).num_days())) {
                sum.count(payment);
            }
            sum
        };
        let claim = |payment: &Payment| payment.mode == Mode::Live && payment.is_unproven() && payment.status.has_had_money();
        for (rows, mode) in [(&totals.live, Mode::Live), (&totals.test, Mode::Test)] {
            let mut all = Sum::default();
            for row in rows {
                let of_row = |payment: &Payment| {
                    !claim(payment) && payment.mode == mode
                        && (payment.currency, payment.status, &payment.facts.method) == (row.currency, row.status, &row.method)
                };
                prop_assert_eq!(row.period, recount(&|payment, day| of_row(payment) && (0..=length).contains(&day)));
                prop_assert_eq!(row.day_before, recount(&|payment, day| of_row(payment) && day == -1));
                prop_assert_eq!(row.week_before, recount(&|payment, day| of_row(payment) && (-7..=-1).contains(&day)));
                all = all.and(row.period);
            }
            prop_assert_eq!(all, recount(&|payment, day| payment.mode == mode && !claim(payment) && (0..=length).contains(&day)));
        }
        let claims = totals.claims.iter().fold(Sum::default(), |all, (_, sum)| all.and(*sum));
        prop_assert_eq!(claims, recount(&|payment, day| claim(payment) && (0..=length).contains(&day)));
        let chart = totals.chart.iter().fold(Sum::default(), |all, day| all.and(day.sum));
        let charted = |payment: &Payment, day: i64| {
            payment.mode == Mode::Live && payment.status.is_paid() && !claim(payment) && (length - 13..=length).contains(&day)
        };
        prop_assert_eq!(chart, recount(&charted));
    }
}
