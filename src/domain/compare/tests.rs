//! Every rule of the comparison, by tables: what is a finding, what is none, and the instants between the two.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::domain::schedule::Bound;
use crate::domain::{
    Expectation, Facts, GatewayKey, IntegrationName, Known, Method, Mode, Pace, Payment, PollPlan, PollUrl, Posted,
    Reference, Status, Step, Trust,
};

#[path = "tests_payouts.rs"]
mod payouts;

const SECOND: TimeDelta = TimeDelta::seconds(1);

/// Noon of Thursday 12 March 2026 in Harare.
fn now() -> Timestamp {
    "2026-03-12T10:00:00Z".parse().unwrap()
}

fn ago(span: TimeDelta) -> Timestamp {
    now() - span
}

fn schedule() -> PollSchedule {
    let every = |hours, bound| Step { every: Duration::from_hours(hours), bound };
    PollSchedule {
        confirm: vec![Duration::ZERO],
        pending: vec![every(1, Bound::Times(24)), every(6, Bound::Until(Duration::from_hours(14 * 24)))],
        held: vec![every(6, Bound::Until(Duration::from_hours(90 * 24)))],
        gap: Duration::from_secs(5),
    }
}

fn rules(schedule: &PollSchedule) -> Rules<'_> {
    Rules {
        now: now(),
        tolerance: Amount::ZERO,
        confirmable: true,
        announce_after: TimeDelta::minutes(15),
        escrow_after: TimeDelta::days(7),
        look_back: TimeDelta::days(7),
        schedule,
        reported_from: "2026-03-10T22:00:00Z".parse().unwrap(),
        expecting_since: None,
        payouts: Payouts::default(),
    }
}

/// A payment of an hour ago, posted and confirmed.
fn payment(status: Status) -> Payment {
    let then = ago(TimeDelta::hours(1));
    Payment {
        integration: IntegrationName::parse("shop").unwrap(),
        key: GatewayKey::from_guid([7; 16]),
        facts: Facts {
            reference: Some(Reference::parse("INV-7").unwrap()),
            amount: Some(amount("25.00")),
            ..Facts::default()
        },
        currency: "USD".parse().unwrap(),
        mode: Mode::Live,
        status,
        wire_status: None,
        trust: Trust::Confirmed,
        poll_url: None,
        posted: Posted::Current,
        paid_at: status.has_had_money().then_some(then),
        first_seen: then,
        last_changed: then,
    }
}

fn paid() -> Payment {
    payment(Status::Paid)
}

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

fn by(method: &str) -> Facts {
    Facts { method: Some(Method::parse(method).unwrap()), ..paid().facts }
}

fn order() -> Expectation {
    Expectation {
        integration: IntegrationName::parse("shop").unwrap(),
        reference: Reference::parse("INV-7").unwrap(),
        amount: amount("25.00"),
        currency: "USD".parse().unwrap(),
        mode: Mode::Live,
        created: ago(TimeDelta::hours(2)),
        due: None,
        poll_url: None,
        trace: None,
    }
}

fn known(payment: Payment) -> Known {
    let plan = PollPlan { due: None, pace: Pace::Watch, attempt: 80, since: payment.last_changed, asked: None };
    Known { payment, proven: None, plan, unconfirmed_at: None }
}

fn account(payment: Payment) -> Account {
    Account { known: known(payment), expectation: None, paid_out: None }
}

fn of(account: Account, rules: &Rules<'_>) -> Vec<Standing> {
    compare(&Matter::Payment(account), rules)
}

/// The classes found about a payment under the usual rules.
fn classes(account: Account) -> Vec<Class> {
    of(account, &rules(&schedule())).into_iter().map(|standing| standing.class).collect()
}

fn against(payment: Payment, expected: Expectation) -> Vec<Class> {
    classes(Account { expectation: Some(expected), ..account(payment) })
}

#[test]
fn what_adds_up_is_no_finding() {
    for status in Status::ALL.into_iter().filter(|status| !matches!(status, Status::Disputed | Status::Refunded)) {
        let young = Payment { first_seen: ago(TimeDelta::minutes(59)), ..payment(status) };
        assert_eq!(against(young, order()), [], "{status}");
    }
}

#[test]
fn money_that_no_post_told_of_is_missing_in_ledger_while_it_is_news() {
    let found = |payment| classes(account(payment)) == [Class::MissingInLedger];
    let asked = || Payment { posted: Posted::Never, ..paid() };
    assert!(found(asked()));
    assert!(found(Payment { first_seen: ago(TimeDelta::days(7)), ..asked() }));
    for none in [
        Payment { first_seen: ago(TimeDelta::days(7) + SECOND), ..asked() },
        Payment { posted: Posted::Earlier, ..asked() },
        Payment { status: Status::Cancelled, ..asked() },
    ] {
        assert!(!found(none.clone()), "{none:?}");
    }
}

#[test]
fn an_order_is_missing_at_the_gateway_if_the_trace_says_so_and_no_payment_is_there() {
    let order =
        Order { expectation: order(), has_payment: false, not_found: true, paid_elsewhere: None, leads_to: None };
    let found = |order| compare(&Matter::Order(order), &rules(&schedule()));
    assert_eq!(found(order.clone())[0].class, Class::MissingAtGateway);
    assert_eq!(found(Order { has_payment: true, ..order.clone() }), []);
    assert_eq!(found(Order { not_found: false, ..order }), []);
}

#[test]
fn an_order_whose_poll_url_or_trace_leads_to_the_payment_of_another_is_told_so_once() {
    let leads = |expectation, not_found| Order {
        expectation,
        has_payment: false,
        not_found,
        paid_elsewhere: None,
        leads_to: Some(Reference::parse("INV-8").unwrap()),
    };
    let found = |order| compare(&Matter::Order(order), &rules(&schedule()));
    let url = "https://www.paynow.co.zw/Interface/CheckPayment/?guid=06f656ab-ed60-4a03-8373-a3321b4b3e68";
    let poll_url = PollUrl::stored(url);
    assert!(poll_url.is_some());
    for (order, by) in [(order(), "trace"), (Expectation { poll_url, ..order() }, "poll URL")] {
        for not_found in [false, true] {
            let standing = Standing {
                class: Class::MissingAtGateway,
                subject: String::new(),
                expected: format!("a payment for INV-7 behind its {by}"),
                found: "the gateway says that it is the payment for INV-8".into(),
            };
            assert_eq!(found(leads(order.clone(), not_found)), [standing]);
        }
    }
}

#[test]
fn what_is_paid_without_an_order_is_unknown_where_orders_are_known() {
    let schedule = schedule();
    let since = |hours| Rules { expecting_since: Some(ago(TimeDelta::hours(hours))), ..rules(&schedule) };
    let found = |payment, rules: &Rules<'_>| !of(account(payment), rules).is_empty();
    assert_eq!(of(account(paid()), &since(1))[0].class, Class::UnknownReference);
    assert!(!found(paid(), &rules(&schedule)), "nobody keeps books");
    assert!(!found(paid(), &Rules { expecting_since: Some(paid().first_seen + SECOND), ..rules(&schedule) }));
    assert!(!found(paid(), &Rules { confirmable: false, ..since(2) }), "a button has no orders");
    let claim = Payment { trust: Trust::Reported, last_changed: now(), ..paid() };
    assert!(!found(claim, &since(2)), "a claim is no money");
    assert!(!found(Payment { facts: Facts { reference: None, ..paid().facts }, ..paid() }, &since(2)));
    assert!(!found(payment(Status::Cancelled), &since(2)));
    assert!(of(Account { expectation: Some(order()), ..account(paid()) }, &since(2)).is_empty());
}

#[test]
fn amounts_are_compared_exactly_and_by_more_than_the_tolerance() {
    let schedule = schedule();
    for (seen, tolerance, class) in [
        ("24.9999", "0", Some(Class::Underpaid)),
        ("25.00", "0", None),
        ("25.0001", "0", Some(Class::Overpaid)),
        ("24.50", "0.50", None),
        ("24.4999", "0.50", Some(Class::Underpaid)),
        ("25.50", "0.50", None),
        ("25.5001", "0.50", Some(Class::Overpaid)),
    ] {
        let facts = Facts { amount: Some(amount(seen)), ..paid().facts };
        let account = Account { expectation: Some(order()), ..account(Payment { facts, ..paid() }) };
        let found = of(account, &Rules { tolerance: amount(tolerance), ..rules(&schedule) });
        assert_eq!(found.first().map(|found| found.class), class, "{seen} within {tolerance}");
    }
    let short = Facts { amount: Some(amount("20.00")), ..paid().facts };
    let found = of(
        Account { expectation: Some(order()), ..account(Payment { facts: short.clone(), ..paid() }) },
        &rules(&schedule),
    );
    assert_eq!((found[0].expected.as_str(), found[0].found.as_str()), ("USD 25.00", "USD 20.00"));
    for none in [
        Payment { facts: Facts { amount: None, ..short.clone() }, ..paid() },
        Payment { facts: short.clone(), ..payment(Status::Cancelled) },
        Payment { facts: short.clone(), trust: Trust::Reported, last_changed: now(), ..paid() },
        Payment { facts: short, last_changed: ago(TimeDelta::days(9)), ..payment(Status::Refunded) },
    ] {
        assert_eq!(against(none.clone(), order()), [], "{none:?}");
    }
}

#[test]
fn other_currency_and_other_mode_are_told_and_amounts_of_two_currencies_are_not_compared() {
    let zig = Expectation { currency: "ZWG".parse().unwrap(), amount: amount("900"), ..order() };
    assert_eq!(against(paid(), zig), [Class::CurrencyMismatch]);
    assert_eq!(against(paid(), Expectation { mode: Mode::Test, ..order() }), [Class::TestMoney]);
    assert_eq!(against(Payment { mode: Mode::Test, ..paid() }, order()), [Class::TestMoney]);
    assert_eq!(against(payment(Status::Cancelled), Expectation { mode: Mode::Test, ..order() }), []);
}

#[test]
fn money_of_the_other_mode_under_the_same_reference_elsewhere_is_test_money() {
    let order = |paid_elsewhere| Order {
        expectation: order(),
        has_payment: true,
        not_found: false,
        paid_elsewhere,
        leads_to: None,
    };
    let found = |order| compare(&Matter::Order(order), &rules(&schedule()));
    let standing = &found(order(Some(IntegrationName::parse("sandbox").unwrap())))[0];
    assert_eq!((standing.class, standing.found.as_str()), (Class::TestMoney, "test money, through sandbox"));
    assert_eq!(found(order(None)), []);
}

#[test]
fn a_pending_payment_is_stuck_once_its_method_has_had_its_time() {
    for (method, hours) in
        [("EcoCash", 1), ("OneMoney", 1), ("InnBucks", 1), ("O'mari", 1), ("Visa/MasterCard", 6), ("Barter", 24)]
    {
        let limit = TimeDelta::hours(hours);
        let waiting =
            |span| classes(account(Payment { facts: by(method), first_seen: ago(span), ..payment(Status::Pending) }));
        assert_eq!(waiting(limit), [], "{method}");
        assert_eq!(waiting(limit + SECOND), [Class::StuckPending], "{method}");
    }
    let untold = Payment { first_seen: ago(TimeDelta::hours(25)), ..payment(Status::Created) };
    assert_eq!(of(account(untold.clone()), &rules(&schedule()))[0].found, "created");
    assert_eq!(classes(account(Payment { status: Status::Cancelled, ..untold })), []);
}

#[test]
fn once_nothing_is_left_to_ask_it_expired_unconfirmed_and_after_a_while_it_is_followed_no_more() {
    let schedule = schedule();
    let asked_until = |end: TimeDelta, due: Option<Timestamp>| {
        let begun = ago(TimeDelta::days(14) + end);
        let mut known = known(Payment { first_seen: begun, last_changed: begun, ..payment(Status::Created) });
        known.plan = PollPlan { due, since: begun, ..known.plan };
        of(Account { known, expectation: None, paid_out: None }, &rules(&schedule))
    };
    let found = |end, due| asked_until(end, due).first().map(|found| found.found.clone());
    assert_eq!(found(TimeDelta::zero(), None).as_deref(), Some("expired unconfirmed"));
    assert_eq!(found(TimeDelta::days(7), None).as_deref(), Some("expired unconfirmed"));
    assert_eq!(found(TimeDelta::days(7) + SECOND, None), None);
    // A last question is still to be asked; a nightly run asks beyond the schedule.
    assert_eq!(found(TimeDelta::zero(), Some(now() + SECOND)).as_deref(), Some("created"));
    assert_eq!(found(TimeDelta::zero(), Some(now())).as_deref(), Some("expired unconfirmed"));
    assert_eq!(found(-SECOND, None).as_deref(), Some("created"));
}

#[test]
fn a_dispute_stands_as_long_as_it_does_and_a_refund_is_told_in_the_period_it_came_in() {
    let schedule = schedule();
    let rules = rules(&schedule);
    let found = |status, last_changed| {
        let reversed = Payment { last_changed, ..payment(status) };
        of(account(reversed), &rules).iter().any(|standing| standing.class == Class::Reversed)
    };
    assert!(found(Status::Disputed, ago(TimeDelta::days(60))));
    assert!(found(Status::Refunded, rules.reported_from));
    assert!(!found(Status::Refunded, rules.reported_from - SECOND));
    assert!(!found(Status::Paid, now()));
}

#[test]
fn money_that_is_held_too_long_ages() {
    for status in [Status::AwaitingDelivery, Status::Delivered] {
        let held = |span| classes(account(Payment { paid_at: Some(ago(span)), ..payment(status) }));
        assert_eq!(held(TimeDelta::days(7)), [], "{status}");
        assert_eq!(held(TimeDelta::days(7) + SECOND), [Class::EscrowAgeing], "{status}");
    }
    assert_eq!(classes(account(Payment { paid_at: Some(ago(TimeDelta::days(30))), ..paid() })), []);
}

#[test]
fn a_claim_of_money_that_no_poll_agrees_with_is_unconfirmed_once_it_is_old() {
    let claimed = |status, span| {
        let claim = Payment { trust: Trust::Reported, last_changed: ago(span), ..payment(status) };
        classes(account(claim))
    };
    assert_eq!(claimed(Status::Paid, TimeDelta::minutes(15)), []);
    assert_eq!(claimed(Status::Paid, TimeDelta::minutes(15) + SECOND), [Class::PaidUnconfirmed]);
    assert_eq!(claimed(Status::Cancelled, TimeDelta::hours(15)), [], "no money is claimed");
    assert_eq!(claimed(Status::Cancelled, TimeDelta::days(15)), [Class::PaidUnconfirmed], "nobody can say any more");
    assert_eq!(classes(account(Payment { trust: Trust::Unconfirmable, ..paid() })), []);
}

#[test]
fn refused_posts_are_told_once_a_diagnosis_and_sender_and_not_without_end() {
    let refusal = |diagnosis: &str, peer: &str| Refusals { diagnosis: diagnosis.into(), peer: Some(peer.into()) };
    let tallies = |refusals| Tallies { refusals, ..Tallies::default() };
    let found = |tallies: &Tallies| compare(&Matter::Integration(tallies), &rules(&schedule()));
    let three = tallies(vec![refusal("old key", "::1"), refusal("old key", "::2"), refusal("old key", "::1")]);
    let subjects: Vec<String> = found(&three).into_iter().map(|standing| standing.subject).collect();
    assert_eq!(subjects, ["old key | ::1", "old key | ::2"]);
    let many = tallies((0..50).map(|n| refusal("no hash", &format!("::{n}"))).collect());
    assert_eq!(found(&many).len(), 20);
}

#[test]
fn three_changes_that_only_asking_told_of_and_no_post_for_a_day_are_a_silence() {
    let schedule = schedule();
    let rules = rules(&schedule);
    let found = |payments: &[Payment]| {
        let mut tallies = Tallies::default();
        for payment in payments {
            tallies.count(payment, &rules);
        }
        !compare(&Matter::Integration(&tallies), &rules).is_empty()
    };
    let asked = Payment { posted: Posted::Earlier, ..paid() };
    let never = Payment { posted: Posted::Never, ..payment(Status::Cancelled) };
    assert!(found(&[asked.clone(), never.clone(), asked.clone()]));
    assert!(!found(&[asked.clone(), asked.clone()]));
    assert!(!found(&[asked.clone(), never.clone(), asked.clone(), paid()]), "a post came through");
    let old = Payment { last_changed: ago(TimeDelta::days(7) + SECOND), ..paid() };
    assert!(found(&[asked.clone(), never.clone(), asked.clone(), old]), "but long ago");
    let told = |since| Payment { last_changed: ago(since), ..paid() };
    let after = |since| Payment { last_changed: ago(since), ..asked.clone() };
    let day = TimeDelta::days(1);
    let [one, two, last] = [1, 9, 20].map(|hours| after(TimeDelta::hours(hours)));
    assert!(found(&[two.clone(), told(day + SECOND), one.clone(), last.clone()]), "posts have stopped");
    assert!(!found(&[one.clone(), told(TimeDelta::hours(23)), two.clone(), last]), "perhaps, but not for a day yet");
    assert!(!found(&[after(day * 3), told(day * 2), one, two]), "only two since the last post");
    let begun = Payment { posted: Posted::Never, ..payment(Status::Created) };
    assert!(!found(&[asked, never, begun]), "what the shop has begun changed nothing");
}

/// Any payment at all.
fn any_account() -> impl Strategy<Value = Account> {
    let status = select(&Status::ALL[..]);
    let trust = select(&[Trust::Reported, Trust::Confirmed, Trust::Unconfirmable][..]);
    let posted = select(&[Posted::Never, Posted::Earlier, Posted::Current][..]);
    let amounts = (select(&["24.00", "25.00", "26.00"][..]), any::<bool>());
    (status, trust, posted, amounts, 0..60_i64, any::<bool>()).prop_map(
        |(status, trust, posted, (seen, told), days, ordered)| {
            let then = ago(TimeDelta::days(days));
            let facts = Facts { amount: told.then(|| amount(seen)), ..paid().facts };
            let payment = Payment { trust, posted, facts, first_seen: then, last_changed: then, ..payment(status) };
            Account { expectation: ordered.then(order), ..account(payment) }
        },
    )
}

proptest! {
    /// One class says one thing about a payment, in words that stay the same until tomorrow, and what is said of money
    /// is said only where there is some.
    #[test]
    fn a_payment_has_one_finding_a_class_in_words_that_do_not_age(account in any_account()) {
        let schedule = schedule();
        let today = Rules { expecting_since: Some(ago(TimeDelta::days(30))), ..rules(&schedule) };
        let tomorrow = Rules { now: today.now + TimeDelta::days(1), ..today.clone() };
        let found = of(account.clone(), &today);
        for (at, standing) in found.iter().enumerate() {
            prop_assert!(found.iter().skip(at + 1).all(|other| other.class != standing.class));
            prop_assert!(standing.class.is_standing(true));
        }
        let later = of(account.clone(), &tomorrow);
        for standing in &later {
            let before = found.iter().find(|before| before.class == standing.class);
            let renewed = standing.class == Class::StuckPending;
            prop_assert!(before.is_none_or(|before| before == standing) || renewed);
        }
        let money = account.known.payment.status.has_had_money();
        for standing in &found {
            let of_money = !matches!(standing.class, Class::StuckPending | Class::PaidUnconfirmed);
            prop_assert!(money || !of_money, "{standing:?}");
        }
    }

    /// Twice the same comparison leaves nothing to do the second time.
    #[test]
    fn what_a_comparison_opened_the_next_one_keeps(account in any_account()) {
        let schedule = schedule();
        let found = of(account, &rules(&schedule));
        let numbered = |(says, id)| crate::domain::Held { id, says, open: true, about_payment: true };
        let held: Vec<_> = found.clone().into_iter().zip(1..).map(numbered).collect();
        let again = crate::domain::diff(found, &held);
        prop_assert!(again.open.is_empty() && again.close.is_empty() && again.reword.is_empty());
        prop_assert_eq!(again.keep.len(), held.len());
    }
}
