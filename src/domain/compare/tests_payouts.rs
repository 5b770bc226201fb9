//! Settlement: when it is due, and what is said of it then.

use super::*;

/// A payment by `method` that came at `paid`, an instant by Harare's clock.
fn paid_at(method: &str, paid: &str) -> Payment {
    let then = format!("{paid}+02:00").parse::<Timestamp>().unwrap();
    let long_ago = Payment { first_seen: then, last_changed: then, paid_at: Some(then), ..super::paid() };
    Payment { facts: by(method), ..long_ago }
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// What is found about a payment on `today`, if files from 1 March on through the day before were imported.
fn found(payment: Payment, paid_out: Option<PaidOut>, today: &str) -> Vec<Standing> {
    let through = date(today).pred_opt().unwrap();
    let now = format!("{today}T12:00:00+02:00").parse().unwrap();
    let schedule = schedule();
    let payouts = Payouts { days: Some((date("2026-03-01"), through)), first_payment: None };
    of(Account { paid_out, ..account(payment) }, &Rules { now, payouts, ..rules(&schedule) })
}

#[test]
fn settlement_is_due_by_method_cut_off_and_calendar() {
    // 12 March 2026 is a Thursday.
    for (method, paid, due) in [
        ("EcoCash", "2026-03-12T09:00:00", "2026-03-13"),
        ("EcoCash", "2026-03-12T19:59:59", "2026-03-13"),
        ("EcoCash", "2026-03-12T20:00:00", "2026-03-14"),
        ("Zimswitch", "2026-03-14T09:00:00", "2026-03-16"),
        ("EcoCash", "2026-03-14T20:00:00", "2026-03-16"),
        ("Visa/MasterCard", "2026-03-12T09:00:00", "2026-03-14"),
        ("Visa/MasterCard", "2026-03-13T09:00:00", "2026-03-16"),
        ("Foreign Visa", "2026-03-12T09:00:00", "2026-03-16"),
        ("Barter", "2026-03-12T09:00:00", "2026-03-16"),
    ] {
        let due = date(due);
        let next = due.succ_opt().unwrap().to_string();
        assert_eq!(found(paid_at(method, paid), None, &due.to_string()), [], "{method} {paid}: too early");
        let standing = found(paid_at(method, paid), None, &next);
        assert_eq!(standing.len(), 1, "{method} {paid}");
        assert_eq!(standing[0].class, Class::SettlementMissing);
        assert_eq!(standing[0].expected, format!("USD 25.00 paid out by {}", day(due)));
    }
}

#[test]
fn without_a_file_that_would_have_it_nothing_is_missing() {
    let payment = || paid_at("EcoCash", "2026-03-12T09:00:00");
    let schedule = schedule();
    let late = "2026-03-20T10:00:00Z".parse().unwrap();
    let with = |first, last| {
        let payouts = Payouts { days: Some((date(first), date(last))), first_payment: None };
        of(account(payment()), &Rules { now: late, payouts, ..rules(&schedule) })
    };
    assert_eq!(with("2026-03-01", "2026-03-13").len(), 1);
    assert_eq!(with("2026-03-01", "2026-03-12"), [], "the files end before");
    assert_eq!(with("2026-03-14", "2026-03-19"), [], "the files begin after");
    assert_eq!(of(account(payment()), &Rules { now: late, ..rules(&schedule) }), [], "there are no files");
    for none in [
        Payment { status: Status::AwaitingDelivery, ..payment() },
        Payment { trust: Trust::Reported, last_changed: late, ..payment() },
        Payment { facts: Facts { amount: None, ..payment().facts }, ..payment() },
    ] {
        let missing = found(none.clone(), None, "2026-03-20");
        assert!(missing.iter().all(|standing| standing.class != Class::SettlementMissing), "{none:?}");
    }
}

#[test]
fn less_than_was_paid_is_short_where_the_file_says_it_before_fees() {
    let out = |gross: Option<&str>, in_another_currency| {
        let paid_out = PaidOut { gross: gross.map(amount), in_another_currency };
        found(paid_at("EcoCash", "2026-03-12T09:00:00"), Some(paid_out), "2026-03-20")
    };
    assert_eq!(out(Some("25.00"), false), []);
    assert_eq!(out(Some("25.01"), false), []);
    assert_eq!(out(None, false), [], "after fees nobody can tell");
    assert_eq!(out(Some("24.9999"), false)[0].class, Class::SettlementShort);
    assert_eq!(out(Some("25.00"), true)[0].class, Class::SettlementShort);
}

#[test]
fn a_line_that_settles_no_payment_of_ours_is_told_after_a_while() {
    let schedule = schedule();
    let line = |day: &str| Line {
        line: "bank-17".into(),
        day: date(day),
        reference: "INV-99".into(),
        currency: "USD".parse().unwrap(),
        amount: Some(amount("12.00")),
    };
    let found = |day: &str, first_payment: Option<&str>| {
        let payouts = Payouts { days: None, first_payment: first_payment.map(|text| text.parse().unwrap()) };
        compare(&Matter::Line(line(day)), &Rules { payouts, ..rules(&schedule) })
    };
    let began = Some("2026-03-02T08:00:00Z");
    assert_eq!(found("2026-03-09", began), [], "its payment may still be found");
    let standing = found("2026-03-08", began);
    assert_eq!((standing[0].class, standing[0].subject.as_str()), (Class::SettlementMissing, "bank-17"));
    assert_eq!(standing[0].found, "USD 12.00 paid out on 8 Mar 2026 for INV-99");
    assert_eq!(found("2026-03-05", began), [], "its payment may be older than the ledger");
    assert_eq!(found("2026-03-06", began).len(), 1);
    assert_eq!(found("2026-03-08", None), [], "there are no payments");
}
