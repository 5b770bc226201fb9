//! The report of a run: counted, stored and put into the outbox once, together with the run.

use chrono::NaiveDate;
use rusqlite::params;

use super::*;
use crate::domain::{Checked, Class, Days, Finding, Mode, Report};
use crate::ledger::{report, report_findings, told_days};

const OWNER: &str = "owner@shop.example";

/// The civil day, in UTC, that `at(0)` falls on.
pub(super) fn today() -> NaiveDate {
    at(0).date_naive()
}

pub(super) fn order(days: Days) -> ReportOrder {
    ReportOrder {
        days,
        integrations: vec![(shop(), Mode::Live)],
        checked: Checked { payments: 3, answered: 2, unanswered: [("timeout".into(), 1)].into(), ..Checked::default() },
        recipients: vec![OWNER.into(), "books@shop.example".into()],
        nightly: "nightly",
    }
}

fn one_day() -> Days {
    Days::one(today(), chrono_tz::UTC)
}

pub(super) fn run(started: Timestamp) -> Run {
    Run { name: "nightly", started, summary: "3 payments asked about".into() }
}

impl House {
    pub(super) async fn conclude(&self, days: Days, now: Timestamp) -> Concluded {
        let counted = self.ledger.reader().count_report(order(days), now).await.unwrap();
        let report = Some(counted);
        self.ledger.conclude(Conclusion { run: run(now), changes: Changes::default(), report }, now).await.unwrap()
    }

    /// Opens a finding about the payment with this row number, as a run does.
    async fn find(&self, payment: Option<i64>, class: Class, found: &str, now: Timestamp) {
        let finding = Finding { class, expected: "25.00".into(), found: found.into() };
        let open = move |desk: &mut Desk<'_>| {
            let integration = desk.integration(&shop())?;
            discrepancies::open(desk, integration, payment, std::slice::from_ref(&finding), now)
        };
        assert!(self.ledger.writer.write(Admission::Wait, open).await.unwrap());
    }

    pub(super) async fn reported(&self, now: Timestamp) -> Vec<(Letter, Arc<Reported>)> {
        let letters = self.ledger.due_letters(now, 99).await.unwrap().0;
        letters
            .into_iter()
            .filter_map(|letter| match &letter.about {
                About::Report(reported) => Some((letter.clone(), Arc::clone(reported))),
                About::Payment { .. } => None,
            })
            .collect()
    }
}

/// After the day of `at(0)` has ended.
fn night() -> Timestamp {
    at(86_400)
}

#[tokio::test]
async fn a_report_is_stored_with_its_run_and_read_back_as_it_was_counted() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    house.poll(1, "Paid", at(1)).await;
    house.post(1, "Paid", at(2)).await;
    house.post(2, "Awaiting Delivery", at(3)).await;
    house.poll(2, "Awaiting Delivery", at(4)).await;
    house.post(3, "Paid", at(5)).await;
    house.post(4, "Cancelled", at(6)).await;
    house.find(Some(1), Class::Overpaid, "250.00, said 0771234567", at(7)).await;
    let done = house.conclude(one_day(), night()).await;
    assert_eq!(done, Concluded::Reported { letters: 2, need_you: 1 });

    let reported = house.reported(night()).await;
    assert_eq!(reported.len(), 2);
    let report = &reported[0].1.report;
    let paid = report.totals.paid();
    assert_eq!((paid.len(), paid[0].1.count, paid[0].1.ten_thousandths), (1, 2, 500_000));
    assert_eq!(report.totals.claims[0].1.count, 1);
    let statuses: Vec<Status> = report.totals.live.iter().map(|total| total.status).collect();
    assert_eq!(statuses, [Status::Cancelled, Status::AwaitingDelivery, Status::Paid]);
    assert_eq!((report.held.len(), report.held[0].status, report.held[0].oldest), (1, Status::AwaitingDelivery, at(3)));
    let health = &report.health;
    assert_eq!((health.posts, health.repeats, health.payments), (5, 1, 4));
    assert_eq!(Some(health.head.to_vec()), house.ask("SELECT digest FROM event ORDER BY id DESC LIMIT 1"));
    assert_eq!(report.checked, order(one_day()).checked);
    assert_eq!((report.findings.opened, report.findings.rows[0].reference.as_deref()), (1, Some("INV-1")));
    assert_eq!(report.findings.rows[0].found, "250.00, said ***567");
    assert_eq!((report.orders, report.unsettled.clone()), (None, None));

    // What is stored says the same as what was counted.
    let counted = house.ledger.reader().count_report(order(one_day()), night()).await.unwrap();
    let waiting = report.health.letters_waiting;
    let counted = counted.completed(&house.foreign(), health.head, None, 0, night()).unwrap().0;
    let health =
        crate::domain::report::Health { letters_waiting: waiting, bytes: health.bytes, ..counted.health.clone() };
    assert_eq!(*report, Report { health, ..counted });
}

#[tokio::test]
async fn the_files_that_go_with_it_name_no_key_and_no_telephone_number() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    house.poll(1, "Paid", at(1)).await;
    house.foreign().execute("UPDATE payment SET reference = '=0771234567'", []).unwrap();
    house.find(Some(1), Class::Overpaid, "250.00", at(7)).await;
    house.conclude(one_day(), night()).await;
    let reported = house.reported(night()).await.remove(0).1;
    let read = |file: &Option<Vec<u8>>| String::from_utf8(file.clone().unwrap()).unwrap();
    let (transactions, findings) = (read(&reported.transactions), read(&reported.findings));
    assert!(transactions.contains(",shop,live,'=***567,1001,paid,Paid,confirmed,,USD,25.00,,"), "{transactions}");
    assert!(findings.contains(",overpaid,warning,open,shop,live,'=***567,25.00,250.00,"), "{findings}");
    assert!(!transactions.contains(&key(1).as_str()[..8]));
}

#[tokio::test]
async fn a_day_is_reported_once_and_every_try_at_a_letter_is_the_same_letter() {
    let house = House::new();
    house.conclude(one_day(), night()).await;
    assert_eq!(house.conclude(one_day(), at(90_000)).await, Concluded::AlreadyReported);
    assert_eq!(house.ask::<i64>("SELECT count(*) FROM run"), Some(2));
    let reader = house.ledger.reader();
    assert_eq!(reader.snapshot().unwrap().reported_days("nightly", today()).unwrap(), Some((today(), today())));
    assert!(reader.is_reported("nightly", one_day()).await.unwrap());
    assert!(!reader.is_reported("other", one_day()).await.unwrap());

    let letters = house.reported(night()).await;
    assert_ne!(letters[0].0.token, letters[1].0.token);
    let first = letters[0].0.clone();
    assert!(house.ledger.next_letter(Vec::new(), Some(first.clone()), night()).await.unwrap().is_some());
    let later = Attempt::Deferred { until: at(100_000), error: "not now".into() };
    house.ledger.next_letter(vec![(first.id, later)], None, night()).await.unwrap();
    let again = house.reported(at(100_000)).await;
    assert!(again.iter().any(|(letter, _)| (letter.id, &letter.token, letter.attempts) == (first.id, &first.token, 1)));
    let mut states = Vec::new();
    let each = |letter: LetterState| {
        assert!(matches!(letter.about, Topic::Report { first, last } if (first, last) == (today(), today())));
        states.push((letter.about.code(), letter.recipient, letter.attempts));
        true
    };
    reader.letters(each).unwrap();
    states.sort();
    assert_eq!(states, [("report".into(), "books@shop.example".into(), 0), ("report".into(), OWNER.into(), 1)]);
}

#[tokio::test]
async fn days_within_a_longer_report_are_not_reported_again() {
    let house = House::new();
    let first = today() - chrono::TimeDelta::days(2);
    house.conclude(Days::new(first, today(), chrono_tz::UTC).unwrap(), night()).await;
    assert_eq!(house.conclude(Days::one(first, chrono_tz::UTC), night()).await, Concluded::AlreadyReported);
    let before = Days::one(first.pred_opt().unwrap(), chrono_tz::UTC);
    assert!(matches!(house.conclude(before, night()).await, Concluded::Reported { .. }));
}

#[tokio::test]
async fn findings_are_new_once_then_carried_then_resolved() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    house.find(Some(1), Class::Underpaid, "20.00", at(10)).await;
    house.find(Some(1), Class::StuckPending, "created", at(11)).await;
    house.conclude(one_day(), night()).await;
    house.find(Some(1), Class::DuplicatePayment, "two", at(90_000)).await;
    let tomorrow = Days::one(today().succ_opt().unwrap(), chrono_tz::UTC);
    house.conclude(tomorrow, at(2 * 86_400)).await;
    let settle = |desk: &mut Desk<'_>| discrepancies::settle(desk, 1, 1, &[Class::Underpaid], at(200_000));
    house.ledger.writer.write(Admission::Wait, settle).await.unwrap();
    let after = Days::one(tomorrow.last().succ_opt().unwrap(), chrono_tz::UTC);
    house.conclude(after, at(3 * 86_400)).await;

    let mut seen = Vec::new();
    for (letter, reported) in house.reported(at(3 * 86_400)).await {
        if letter.recipient == OWNER {
            let findings = &reported.report.findings;
            let rows: Vec<Class> = findings.rows.iter().map(|row| row.class).collect();
            seen.push((findings.carried, findings.opened, findings.resolved, findings.others, rows));
        }
    }
    assert_eq!(
        seen,
        [
            (0, 1, 0, 1, vec![Class::Underpaid]),
            (1, 1, 0, 1, vec![Class::Underpaid, Class::DuplicatePayment]),
            (1, 0, 1, 1, vec![Class::DuplicatePayment]),
        ]
    );
}

#[tokio::test]
async fn test_money_needs_nobody_unless_real_money_was_expected() {
    let house = House::with(Terms { mode: Mode::Test, ..terms() }, |_| {});
    house.post(1, "Paid", at(0)).await;
    house.find(Some(1), Class::Underpaid, "20.00", at(1)).await;
    house.find(Some(1), Class::TestMoney, "a test payment", at(1)).await;
    assert_eq!(house.conclude(one_day(), night()).await, Concluded::Reported { letters: 2, need_you: 1 });
    let report = house.reported(night()).await.remove(0).1.report.clone();
    let rows: Vec<_> = report.findings.rows.iter().map(|row| (row.class, row.mode)).collect();
    assert_eq!(rows, [(Class::TestMoney, Mode::Live), (Class::Underpaid, Mode::Test)]);
    assert!(report.totals.live.is_empty() && report.totals.claims.is_empty() && report.totals.test.len() == 1);
}

#[tokio::test]
async fn the_most_urgent_findings_are_listed_and_the_rest_is_counted() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    house.find(Some(1), Class::Overpaid, "250.00", at(1)).await;
    for number in 0..25 {
        house.find(Some(1), Class::ContradictingPost, &number.to_string(), at(100 - number)).await;
    }
    house.conclude(one_day(), night()).await;
    let findings = house.reported(night()).await.remove(0).1.report.findings.clone();
    assert_eq!((findings.rows.len(), findings.more, findings.need_you()), (20, 6, 26));
    let found: Vec<&str> = findings.rows.iter().map(|row| row.found.as_str()).collect();
    assert_eq!((found[0], found[19]), ("24", "5"), "what is older is no more urgent than what is worse");
}

#[tokio::test]
async fn a_finding_names_its_payment_by_what_is_known_of_it_and_never_by_a_guid() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    house.find(Some(1), Class::ContradictingPost, "field amount: not an amount", at(1)).await;
    let named = async || {
        let counted = house.ledger.reader().count_report(order(one_day()), night()).await.unwrap();
        let report = counted.completed(&house.foreign(), [0; 32], None, 0, night()).unwrap().0;
        report.findings.rows[0].reference.clone()
    };
    assert_eq!(named().await.as_deref(), Some("INV-1"));
    house.foreign().execute("UPDATE payment SET reference = NULL", []).unwrap();
    assert_eq!(named().await.as_deref(), Some("Paynow 1001"));
    house.foreign().execute("UPDATE payment SET gateway_reference = NULL", []).unwrap();
    assert_eq!(named().await, None);
    house.foreign().execute("UPDATE payment SET gateway_key = 'NOLV-8F9-08K-WGD'", []).unwrap();
    assert_eq!(named().await.as_deref(), Some("Paynow NOLV-8F9-08K-WGD"));
}

#[tokio::test]
async fn orders_and_settlements_are_counted_where_they_are_in_use() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    house.poll(1, "Paid", at(1)).await;
    let file = house.foreign();
    let expected = |number: u8, due: Option<i64>| {
        let sql = "INSERT INTO expectation (integration_id, reference, amount, currency, mode, created, due) \
                   VALUES (1, ?1, 250000, 'USD', 'live', 0, ?2)";
        file.execute(sql, params![format!("INV-{number}"), due]).unwrap();
    };
    expected(1, None);
    expected(8, None);
    expected(9, Some(5));
    let line = "INSERT INTO settlement (integration_id, line, day, reference, currency, imported, payment_id) \
                VALUES (1, 'a', '2026-01-01', 'x', 'USD', 0, ?1)";
    file.execute(line, params![None::<i64>]).unwrap();
    let count = async || house.ledger.reader().count_report(order(one_day()), night()).await.unwrap().report;
    let report = count().await;
    assert_eq!(report.orders, Some(crate::domain::report::Orders { unpaid: 2, past_due: 1 }));
    assert_eq!(report.unsettled.unwrap()[0].1.count, 1);
    file.execute("UPDATE settlement SET payment_id = 1", []).unwrap();
    assert_eq!(count().await.unsettled, Some(Vec::new()));
}

#[tokio::test]
async fn files_of_old_reports_are_dropped_and_their_letters_still_go() {
    let house = House::new();
    house.conclude(one_day(), night()).await;
    let later = Days::one(today() + chrono::TimeDelta::days(401), chrono_tz::UTC);
    house.conclude(later, at(402 * 86_400)).await;
    let kept: Vec<bool> =
        house.reported(at(402 * 86_400)).await.iter().map(|(_, reported)| reported.transactions.is_some()).collect();
    assert_eq!(kept, [false, false, true, true]);
}

#[tokio::test]
async fn a_run_without_a_report_is_noted_and_writes_to_nobody() {
    let house = House::new();
    let unreported = Conclusion { run: run(at(0)), changes: Changes::default(), report: None };
    assert_eq!(house.ledger.conclude(unreported, at(1)).await.unwrap(), Concluded::Noted);
    assert_eq!(house.ledger.reader().last_run("nightly", at(1_000_000)).await.unwrap(), Some(at(0)));
    assert_eq!(house.ask::<i64>("SELECT count(*) FROM outbox"), Some(0));
}

#[tokio::test]
async fn posts_are_counted_on_their_day_however_many_came_before() {
    let house = House::new();
    for second in [-90_000, -86_401, 0, 10, 86_399, 86_400, 90_000] {
        house
            .post(1, "Created", today().and_time(chrono::NaiveTime::MIN).and_utc() + chrono::TimeDelta::seconds(second))
            .await;
    }
    let counted = house.ledger.reader().count_report(order(one_day()), night()).await.unwrap();
    assert_eq!((counted.report.health.posts, counted.report.health.repeats), (3, 3));
}

#[tokio::test]
async fn what_a_report_reads_is_read_by_an_index() {
    let house = House::new();
    let file = house.foreign();
    let plan = |sql: &str, values: &[i64]| queries::plan(&file, sql, rusqlite::params_from_iter(values));
    let window = plan(&report::window_statement(), &[0]);
    assert!(window.contains("payment_by_change (last_changed>?)") && !window.contains("TEMP"), "{window}");
    assert!(window.contains("settlement USING COVERING INDEX settlement_by_payment"), "{window}");
    let held = plan(&report::held_statement(), &[]);
    assert!(held.contains("payment USING INDEX payment_by_state (trust=? AND status=?)"), "{held}");
    assert!(!held.contains("SCAN payment"), "{held}");
    let [open, resolved] = report_findings::statements();
    let (open, resolved) = (plan(&open, &[]), plan(&resolved, &[0]));
    assert!(open.contains("discrepancy_open") && !open.contains("SCAN discrepancy\n"), "{open}");
    assert!(resolved.contains("discrepancy_by_resolution (resolved>?)"), "{resolved}");
    let orders = plan(&report::orders_statement(), &[0]);
    assert!(orders.contains("payment_by_reference (reference=?)"), "{orders}");
    let told = plan(told_days::LAST_TOLD, &[0, 0]);
    assert_eq!(told, "SEARCH run USING INDEX run_by_last_day (name=? AND last_day<?)");
    let stood = plan(&told_days::stood_statement(), &[0, 0, 0, 0]);
    assert!(stood.contains("run USING INDEX run_by_last_day (name=? AND last_day>? AND last_day<?)"), "{stood}");
    assert!(stood.contains("SEARCH event USING INTEGER PRIMARY KEY (rowid=?)"), "{stood}");
    assert!(!stood.contains("SCAN run") && !stood.contains("SCAN event") && !stood.contains("TEMP"), "{stood}");
}
