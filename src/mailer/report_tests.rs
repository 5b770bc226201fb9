//! What nightly letters say, word for word, in every kind of night, and what no order number can make them say.

use std::sync::Arc;

use chrono::NaiveDate;
use proptest::prelude::*;

use super::*;
use crate::domain::report::{Findings, Health, Held, OldKeyUse, Orders};
use crate::domain::tally::{DayTotal, Total, Totals};
use crate::domain::{AS_THE_GATEWAY_WRITES, Checked, Class, Days, Method, Refusal, Status, is_hidden};
use crate::ledger::About;
use crate::mailer::read_back::{ReadBack, read_back};
use crate::mailer::{Composed, Letter, compose};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn currency(text: &str) -> Currency {
    text.parse().unwrap()
}

fn sum(count: u64, cents: i128) -> Sum {
    Sum { count, ten_thousandths: cents * 100, unknown: 0 }
}

fn total(label: &str, status: Status, method: Option<&str>, sums: [(u64, i128); 3]) -> Total {
    let [period, day_before, week_before] = sums.map(|(count, cents)| sum(count, cents));
    let method = method.map(|text| Method::parse(text).unwrap());
    Total { currency: currency(label), status, method, period, day_before, week_before }
}

/// A night on which nothing happened.
fn empty() -> Report {
    Report {
        days: Days::one(day("2026-03-12"), chrono_tz::Africa::Harare),
        made: at("2026-03-13T00:30:04Z"),
        heard_since: Some(at("2025-06-02T09:00:00Z")),
        integrations: vec![(IntegrationName::parse("shop").unwrap(), Mode::Live)],
        checked: Checked::default(),
        totals: Totals::default(),
        confirmed_since: Vec::new(),
        reversed_since: Vec::new(),
        findings: Findings::default(),
        held: Vec::new(),
        orders: None,
        unsettled: None,
        health: Health { payments: 1_204, events: 2_611, bytes: 1_482_752, head: [0xab; 32], ..Health::default() },
        transactions_left_out: 0,
        findings_left_out: 0,
    }
}

/// Fourteen days of sales up to 12 March.
fn chart(label: &str, scale: i128) -> Vec<DayTotal> {
    let sales =
        [21_000, 45_520, 0, 102_000, 38_875, 9_210, 61_000, 70_550, 0, 134_400, 81_040, 99_500, 64_025, 120_450];
    let window = Days::up_to(day("2026-03-12"), 14, chrono_tz::UTC);
    let days = window.each().zip(sales).filter(|(_, cents)| *cents > 0);
    days.map(|(day, cents)| DayTotal {
        day,
        currency: currency(label),
        sum: sum(u64::try_from(cents / 3_000).unwrap() + 1, cents * scale),
    })
    .collect()
}

fn row(id: i64, class: Class, reference: &str, expected: &str, found: &str, hours: i64) -> FindingRow {
    let opened = empty().made - chrono::TimeDelta::hours(hours);
    FindingRow {
        id,
        class,
        severity: class.severity(chrono::TimeDelta::hours(hours)),
        mode: Mode::Live,
        integration: IntegrationName::parse("shop").unwrap(),
        reference: (!reference.is_empty()).then(|| reference.to_owned()),
        expected: expected.to_owned(),
        found: found.to_owned(),
        opened,
        new: hours < 24,
    }
}

/// A day as most are.
fn ordinary() -> Report {
    let live = vec![
        total("USD", Status::Cancelled, None, [(2, 5_000), (1, 2_000), (9, 18_000)]),
        total("USD", Status::AwaitingDelivery, Some("Visa"), [(2, 15_450), (0, 0), (3, 21_000)]),
        total("USD", Status::Paid, None, [(1, 1_000), (0, 0), (0, 0)]),
        total("USD", Status::Paid, Some("EcoCash"), [(31, 80_000), (19, 54_025), (151, 428_505)]),
        total("USD", Status::Paid, Some("Visa"), [(7, 24_000), (3, 10_000), (20, 61_010)]),
        total("USD", Status::Refunded, Some("Visa"), [(1, 1_500), (0, 0), (1, 1_200)]),
    ];
    Report {
        checked: Checked { payments: 57, answered: 57, traced: 3, found: 1, ..Checked::default() },
        totals: Totals {
            live,
            claims: vec![(currency("USD"), sum(1, 2_500))],
            chart: chart("USD", 1),
            ..Totals::default()
        },
        findings: Findings {
            rows: vec![
                row(
                    17,
                    Class::DuplicatePayment,
                    "INV-1042",
                    "one paid payment for INV-1042",
                    "40222 is paid, and so is 40223",
                    9,
                ),
                row(12, Class::Underpaid, "INV-1007", "25.00", "20.00", 31),
            ],
            more: 0,
            carried: 1,
            oldest: Some(empty().made - chrono::TimeDelta::hours(31)),
            opened: 1,
            resolved: 3,
            others: 2,
        },
        held: vec![Held {
            status: Status::AwaitingDelivery,
            currency: currency("USD"),
            sum: sum(5, 36_450),
            oldest: at("2026-03-08T09:00:00Z"),
        }],
        orders: Some(Orders { unpaid: 4, past_due: 1 }),
        health: Health { posts: 61, repeats: 4, asked: 57, ..empty().health },
        ..empty()
    }
}

/// A day on which everything went wrong.
fn bad() -> Report {
    let classes = [
        (Class::CurrencyMismatch, "INV-2001", "currency ZiG", "currency USD", 30),
        (Class::TestMoney, "INV-2002", "real money", "a test payment", 20),
        (Class::PaidLate, "INV-2003", "cancelled", "paid", 18),
        (Class::ContradictingPost, "INV-2004", "amount 25.00", "amount 2500.00", 12),
        (Class::RefusedPolls, "", "answers signed with the integration's key", "a refusal: invalid integration", 11),
        (Class::PaidUnconfirmed, "INV-2005", "a final state within the poll schedule", "paid (reported)", 40),
        (Class::CallbackSilence, "", "a post for each change", "6 changes in a row learned only by asking", 60),
        (Class::Reversed, "INV-1899", "paid", "disputed", 80),
        (Class::EscrowAgeing, "INV-1720", "money released within 7 days of the payment", "awaiting-delivery", 400),
        (Class::MissingAtGateway, "INV-2006", "a payment at the gateway", "none", 5),
        (Class::UnknownReference, "walk-in", "an expected order", "none", 4),
        (Class::RefusedPosts, "", "posts that Paynow signed", "wrong hash, from 198.51.100.7", 3),
        (Class::SettlementMissing, "INV-1500", "paid out by 10 March 2026", "no settlement line", 26),
        (Class::SettlementShort, "INV-1501", "net 24.10", "net 21.10", 26),
        (Class::Overpaid, "INV-2007", "25.00", "52.00", 2),
        (Class::ContradictingPost, "", AS_THE_GATEWAY_WRITES, "field amount: not an amount", 7),
    ];
    let mut rows: Vec<FindingRow> = (1_i64..)
        .zip(classes)
        .map(|(id, (class, reference, expected, found, hours))| row(100 + id, class, reference, expected, found, hours))
        .collect();
    rows.extend((0..4).map(|at| row(130 + at, Class::Underpaid, &format!("INV-30{at}"), "25.00", "24.00", 3)));
    rows.sort_by_key(|row| (std::cmp::Reverse(row.severity), row.opened));
    Report {
        checked: Checked {
            payments: 312,
            answered: 280,
            unanswered: [("timeout".to_owned(), 19), ("refused-connection".to_owned(), 4)].into(),
            left: 9,
            ..Checked::default()
        },
        findings: Findings {
            rows,
            more: 213,
            carried: 41,
            oldest: Some(empty().made - chrono::TimeDelta::days(19)),
            opened: 192,
            resolved: 0,
            others: 1_310,
        },
        totals: Totals { unaskable: 6, ..ordinary().totals },
        health: Health {
            posts: 1_240,
            repeats: 310,
            refused: [(Refusal::Forged, 18), (Refusal::Malformed, 2)].into(),
            asked: 303,
            letters_waiting: 12,
            letters_refused: 2,
            old_keys: vec![OldKeyUse {
                integration: IntegrationName::parse("shop").unwrap(),
                file: "former.key".to_owned(),
                count: 12,
                since: at("2026-03-03T09:00:00Z"),
                last: at("2026-03-12T21:30:00Z"),
            }],
            ..empty().health
        },
        transactions_left_out: 2_310,
        findings_left_out: 40,
        ..empty()
    }
}

/// Days of Paynow Poland, whose messages state no amount, and of somebody in the same currency who states some.
fn unknown_amounts() -> Report {
    let unknown = |count: u64| Sum { unknown: count, ..sum(count, 0) };
    let pln = currency("PLN");
    let poland = Total {
        period: unknown(2),
        day_before: unknown(1),
        week_before: unknown(9),
        ..total("PLN", Status::Paid, None, [(0, 0); 3])
    };
    let known = Sum { unknown: 1, ..sum(2, 1_500) };
    let other = Total { period: known, ..total("EUR", Status::Paid, None, [(0, 0), (1, 700), (1, 700)]) };
    let chart = |(date, currency, sum)| DayTotal { day: day(date), currency, sum };
    let sums = [
        ("2026-03-11", pln, unknown(1)),
        ("2026-03-12", pln, unknown(2)),
        ("2026-03-11", currency("EUR"), sum(1, 700)),
        ("2026-03-12", currency("EUR"), known),
    ];
    Report {
        integrations: vec![(IntegrationName::parse("poland").unwrap(), Mode::Live)],
        checked: Checked { payments: 2, answered: 2, ..Checked::default() },
        totals: Totals {
            live: vec![other, poland],
            claims: vec![(pln, unknown(1))],
            chart: sums.map(chart).into(),
            ..Totals::default()
        },
        ..empty()
    }
}

/// The first letter after three days without power.
fn several_days() -> Report {
    let mut report = ordinary();
    report.days = Days::new(day("2026-03-10"), day("2026-03-12"), chrono_tz::Africa::Harare).unwrap();
    let [period, before, week] = [sum(71, 243_525), sum(22, 71_040), sum(120, 313_065)];
    let most = report.totals.live.iter_mut().find(|total| total.period.count == 31).unwrap();
    (most.period, most.day_before, most.week_before) = (period, before, week);
    report.confirmed_since = vec![(currency("USD"), sum(1, 50_000))];
    report.reversed_since =
        vec![(Status::Disputed, currency("USD"), sum(1, 4_000)), (Status::Refunded, currency("USD"), sum(2, 7_550))];
    // Only on the days before.
    report.totals.live.push(total("USD", Status::Disputed, Some("Visa"), [(0, 0), (1, 1_200), (1, 1_200)]));
    report.totals.live.push(total("ZWG", Status::Refunded, None, [(0, 0), (0, 0), (1, 90_000)]));
    report
}

/// A shop that takes both currencies, and tries something out.
fn two_currencies() -> Report {
    let mut live = ordinary().totals.live;
    live.push(total("ZWG", Status::Paid, Some("EcoCash"), [(3, 931_000), (0, 0), (12, 1_144_675)]));
    let mut sales = chart("USD", 1);
    sales.extend(chart("ZWG", 7).into_iter().skip(9));
    sales.last_mut().unwrap().sum = sum(3, 931_000);
    let names = [("shop", Mode::Live), ("shop-zig", Mode::Live), ("trial", Mode::Test)];
    let test = FindingRow { mode: Mode::Test, ..row(40, Class::Underpaid, "TEST-1", "1.00", "0.50", 2) };
    Report {
        integrations: names.map(|(name, mode)| (IntegrationName::parse(name).unwrap(), mode)).into(),
        checked: Checked { payments: 1, answered: 1, ..Checked::default() },
        totals: Totals {
            live,
            chart: sales,
            test: vec![
                total("USD", Status::Paid, Some("EcoCash"), [(4, 400), (0, 0), (0, 0)]),
                total("USD", Status::Cancelled, None, [(1, 100), (0, 0), (0, 0)]),
            ],
            ..Totals::default()
        },
        findings: Findings { rows: vec![test], others: 1, ..Findings::default() },
        confirmed_since: vec![(currency("USD"), sum(2, 7_550)), (currency("ZWG"), sum(1, 120_000))],
        unsettled: Some(vec![(currency("USD"), sum(61, 224_075)), (currency("ZWG"), sum(3, 931_000))]),
        ..ordinary()
    }
}

fn letter(report: Report) -> Composed {
    let files = |text: &str| Some(format!("{text}\r\n").into_bytes());
    let reported = Reported { report, transactions: files("id,zażółć"), findings: files("id,class") };
    let letter = Letter {
        message_id: "0123456789abcdef@shop.example".into(),
        recipient: "owner@shop.example".into(),
        about: About::Report(Arc::new(reported)),
        written: at("2026-03-13T00:30:04Z"),
    };
    compose(&letter, &"paynowd <paynowd@shop.example>".parse().unwrap(), chrono_tz::UTC).unwrap()
}

/// Compares the letter with `golden/report-NAME.txt` and `.html`; with `GOLDEN=write` in the environment, writes them.
#[track_caller]
fn assert_reads(name: &str, report: Report) {
    let composed = letter(report);
    let ReadBack { text, html, files, .. } = read_back(composed.bytes());
    for (kind, read) in [("txt", format!("Subject: {}\n\n{text}", composed.subject())), ("html", html)] {
        let path = format!("{}/src/mailer/golden/report-{name}.{kind}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("GOLDEN").is_some_and(|value| value == "write") {
            std::fs::write(&path, &read).unwrap();
        }
        assert_eq!(read, std::fs::read_to_string(&path).unwrap_or_default());
    }
    let wanted = [("transactions.csv", "id,zażółć\r\n"), ("discrepancies.csv", "id,class\r\n")];
    for ((head, bytes), (name, text)) in files.iter().zip(wanted) {
        assert!(head.contains(&format!("filename=\"{name}\"")) && head.contains("text/csv; charset=utf-8"), "{head}");
        assert_eq!(std::str::from_utf8(bytes), Ok(text));
    }
    assert_eq!(files.len(), 2);
}

#[test]
fn an_ordinary_day_reads_well() {
    assert_reads("ordinary", ordinary());
}

#[test]
fn an_empty_day_is_a_letter_too() {
    assert_reads("empty", empty());
}

#[test]
fn a_bad_day_lists_the_worst_and_counts_the_rest() {
    assert_reads("bad", bad());
}

#[test]
fn days_made_up_after_downtime_are_one_letter() {
    assert_reads("several-days", several_days());
}

#[test]
fn currencies_stay_apart_and_test_money_has_its_own_table() {
    assert_reads("two-currencies", two_currencies());
}

#[test]
fn amounts_that_no_message_states_are_unknown_and_never_zero() {
    assert_reads("unknown-amounts", unknown_amounts());
}

#[test]
fn a_mean_of_seven_days_is_given_once_there_are_seven() {
    for (heard, given) in [("2026-03-05T21:59:59Z", true), ("2026-03-05T22:00:00Z", false)] {
        let text = read_back(letter(Report { heard_since: Some(at(heard)), ..ordinary() }).bytes()).text;
        assert_eq!((text.contains("7-day mean"), text.contains("day before 3 · 100.00")), (given, true), "{text}");
    }
}

#[test]
fn the_html_part_fetches_nothing_and_runs_nothing() {
    let html = read_back(letter(bad()).bytes()).html;
    for fetched in ["<img", "<script", "<link", "<a ", "src=", "href", "http", "url(", "@import", "<svg", "onload"] {
        assert!(!html.contains(fetched), "{fetched}");
    }
}

#[test]
fn files_that_were_not_kept_are_left_away() {
    let reported = Reported { report: empty(), transactions: None, findings: None };
    assert!(content(&reported).unwrap().attachments.is_empty());
}

/// Order numbers and texts that try: markup, line ends, formulas, direction overrides, and telephone numbers.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        Just("\r\nBcc: x@evil.example\r\n\r\n--".to_owned()),
        Just("\u{202E}{{ 7*7 }}\u{2066}{% raw %}".to_owned()),
        Just("=cmd|' /C calc'!A0".to_owned()),
        Just("</td><script>alert(1)</script><img src=x>".to_owned()),
        Just(" 077\u{200B}1234567 ".to_owned()),
        Just(" +263 77 \n 123 4567 ".to_owned()),
    ];
    proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_order_number_can_hide_add_or_leak_anything(texts in proptest::array::uniform3(hostile()), method in hostile()) {
        let [reference, expected, found] = texts;
        let mut report = ordinary();
        let hostile = FindingRow { reference: Some(reference), expected, found, ..report.findings.rows[0].clone() };
        report.findings.rows.push(hostile);
        report.totals.live[0].status = Status::Paid;
        report.totals.live[0].method = Method::parse(&method).ok();
        let composed = letter(report);
        let message = read_back(composed.bytes());
        let names: Vec<&str> = message.headers.iter().map(|(name, _)| name.as_str()).collect();
        prop_assert_eq!(names, ["Message-ID", "Date", "From", "To", "Subject", "Auto-Submitted", "MIME-Version", "Content-Type"]);
        prop_assert_eq!(message.files.len(), 2);
        for shown in [&message.text, &message.html] {
            prop_assert!(!shown.chars().any(|c| is_hidden(c) && c != '\n'), "{}", shown);
            prop_assert!(!shown.contains("1234567") && !shown.contains("123 4567"), "{}", shown);
        }
        for markup in ["<script", "<img"] {
            prop_assert!(!message.html.contains(markup), "{}", message.html);
        }
    }
}
