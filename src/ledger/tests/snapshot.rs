//! What a run sees of the ledger, and what becomes of what it decides.

use rusqlite::params;

use super::*;
use crate::domain::compare::{Account, PaidOut};
use crate::domain::{Class, Diff, Held, Standing};

fn span(changed_since: Timestamp) -> Span {
    Span { integration: None, changed_since, both_modes: true }
}

impl House {
    /// What a run that looks back to that instant sees of payments, by their reference.
    fn seen(&self, changed_since: Timestamp) -> Vec<(String, Case, Account, Vec<Held>)> {
        let mut seen = Vec::new();
        let each = |case, account: Account, held: &[Held]| {
            let reference = account.known.payment.facts.reference.clone().unwrap().to_string();
            seen.push((reference, case, account, held.to_vec()));
        };
        self.ledger.reader().snapshot().unwrap().payments(&span(changed_since), each).unwrap();
        seen
    }

    fn references(&self, changed_since: Timestamp) -> Vec<String> {
        self.seen(changed_since).into_iter().map(|(reference, ..)| reference).collect()
    }

    fn order(&self, reference: &str, payment: Option<i64>) -> i64 {
        let file = self.foreign();
        file.execute(
            "INSERT INTO expectation (integration_id, reference, amount, currency, mode, created, payment_id, trace_due) \
             VALUES (1, ?1, 250000, 'USD', 'live', ?2, ?3, 0)",
            params![reference, at(0).timestamp_millis(), payment],
        )
        .unwrap();
        file.last_insert_rowid()
    }

    async fn apply(&self, changes: Changes) {
        let run = Run { name: "nightly", started: at(90), summary: String::new() };
        self.ledger.conclude(Conclusion { run, changes, report: None }, at(100)).await.unwrap();
    }
}

fn short(found: &str) -> Standing {
    Standing { class: Class::Underpaid, subject: String::new(), expected: "USD 25.00".into(), found: found.into() }
}

fn opening(standing: Standing) -> Diff {
    Diff { open: vec![standing], ..Diff::default() }
}

#[tokio::test]
async fn a_run_looks_at_what_changed_what_is_still_asked_about_and_what_has_an_open_finding() {
    let house = House::new();
    for payment in 1..=4 {
        house.post(payment, "Paid", at(0)).await;
        house.poll(payment, "Paid", at(i64::from(payment))).await;
    }
    house.post(5, "Created", at(0)).await;
    assert_eq!(house.references(at(0)), ["INV-1", "INV-2", "INV-3", "INV-4", "INV-5"]);
    assert_eq!(house.references(at(4)), ["INV-4", "INV-5"]);
    let (_, case, ..) = house.seen(at(0)).remove(0);
    let mut changes = Changes::default();
    changes.add(case, opening(short("USD 20.00")));
    house.apply(changes).await;
    assert_eq!(house.references(at(4)), ["INV-1", "INV-4", "INV-5"]);
    let held = &house.seen(at(4))[0].3;
    assert_eq!((held.len(), &held[0].says, held[0].open), (1, &short("USD 20.00"), true));
    assert!(house.seen(at(4))[1].3.is_empty());
}

#[tokio::test]
async fn an_order_is_found_by_its_reference_and_linked_once_it_is_paid_but_never_by_a_payment_of_another() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    house.poll(1, "Paid", at(1)).await;
    house.post(2, "Created", at(0)).await;
    house.post(3, "Paid", at(0)).await;
    house.poll(3, "Paid", at(1)).await;
    let named = house.ask::<i64>("SELECT id FROM payment WHERE reference = 'INV-3'");
    house.order("OTHER-NAME", named);
    for reference in ["INV-1", "INV-2", "INV-99"] {
        house.order(reference, None);
    }
    let mut changes = Changes::default();
    let mut orders = Vec::new();
    for (_, case, account, _) in house.seen(at(0)) {
        orders.push(account.expectation.map(|order| order.reference.to_string()));
        changes.add(case, Diff::default());
    }
    assert_eq!(orders, [Some("INV-1".to_owned()), Some("INV-2".to_owned()), None]);
    house.apply(changes).await;
    let linked = |reference| {
        house.ask::<i64>(&format!(
            "SELECT payment_id FROM expectation WHERE payment_id IS NOT NULL AND reference = '{reference}'"
        ))
    };
    assert_eq!((linked("INV-1").is_some(), linked("INV-2"), linked("INV-99")), (true, None, None));

    let snapshot = house.ledger.reader().snapshot().unwrap();
    let (integration, _) = snapshot.integrations().unwrap()[0].clone();
    let mut unpaid = Vec::new();
    snapshot
        .orders(integration, &span(at(0)), |_, order, _| {
            let leads_to = order.leads_to.map(|other| other.to_string());
            unpaid.push((order.expectation.reference.to_string(), order.has_payment, leads_to));
        })
        .unwrap();
    assert_eq!(
        unpaid,
        [
            ("OTHER-NAME".to_owned(), false, Some("INV-3".to_owned())),
            ("INV-2".to_owned(), true, None),
            ("INV-99".to_owned(), false, None)
        ]
    );
    assert_eq!(snapshot.practice(integration).unwrap().expecting_since, Some(at(0)));
}

#[tokio::test]
async fn what_changes_while_a_run_goes_on_is_left_to_the_next() {
    let house = House::new();
    for payment in [1, 2] {
        house.post(payment, "Created", at(0)).await;
    }
    let mut changes = Changes::default();
    for (_, case, ..) in house.seen(at(0)) {
        changes.add(case, opening(short("USD 20.00")));
    }
    house.post(1, "Paid", at(5)).await;
    house.apply(changes).await;
    assert_eq!(house.story(1).discrepancies.len(), 0);
    assert_eq!(house.story(2).discrepancies.len(), 1);
}

#[tokio::test]
async fn the_same_finding_is_opened_once_however_often_it_is_decided() {
    let house = House::new();
    house.post(1, "Created", at(0)).await;
    let (_, case, ..) = house.seen(at(0)).remove(0);
    for found in ["USD 20.00", "USD 19.00"] {
        let mut changes = Changes::default();
        changes.add(case, opening(short(found)));
        house.apply(changes).await;
    }
    assert_eq!(house.ask::<i64>("SELECT count(*) FROM discrepancy"), Some(1));
    let mut changes = Changes::default();
    changes.add(case, Diff { reword: vec![(1, short("USD 19.00"))], ..Diff::default() });
    house.apply(changes).await;
    assert_eq!(house.ask::<String>("SELECT found FROM discrepancy").as_deref(), Some("USD 19.00"));
    let mut changes = Changes::default();
    changes.add(case, Diff { close: vec![(1, Class::Underpaid)], ..Diff::default() });
    house.apply(changes).await;
    assert_eq!(
        house.ask::<String>("SELECT state || ' ' || resolution FROM discrepancy").as_deref(),
        Some("resolved no longer found")
    );
}

#[tokio::test]
async fn settlement_lines_are_added_up_and_those_of_no_payment_told_apart() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    house.poll(1, "Paid", at(1)).await;
    let file = house.foreign();
    for (line, currency, gross, fee, net, payment) in [
        ("a", "USD", Some(200_000), None, None, Some(1)),
        ("b", "USD", None, Some(1_000), Some(49_000), Some(1)),
        ("c", "USD", None, None, Some(70_000), None),
    ] {
        file.execute(
            "INSERT INTO settlement (integration_id, line, day, reference, currency, gross, fee, net, imported, payment_id) \
             VALUES (1, ?1, '2026-09-2' || ?2, 'INV-1', ?3, ?4, ?5, ?6, 0, ?7)",
            params![line, if line == "a" { 1 } else { 5 }, currency, gross, fee, net, payment],
        )
        .unwrap();
    }
    let paid_out = || house.seen(at(0)).remove(0).2.paid_out.unwrap();
    let gross = crate::domain::Amount::from_ten_thousandths(250_000);
    assert_eq!(paid_out(), PaidOut { gross, in_another_currency: false });
    file.execute("UPDATE settlement SET currency = 'ZWG', fee = NULL WHERE line = 'b'", []).unwrap();
    assert_eq!(paid_out(), PaidOut { gross: None, in_another_currency: true });

    let snapshot = house.ledger.reader().snapshot().unwrap();
    let (integration, _) = snapshot.integrations().unwrap()[0].clone();
    let mut lines = Vec::new();
    snapshot.lines(integration, |line| lines.push((line.line, line.amount))).unwrap();
    assert_eq!(lines, [("c".to_owned(), crate::domain::Amount::from_ten_thousandths(70_000))]);
    let payouts = snapshot.practice(integration).unwrap().payouts;
    assert_eq!(payouts.days, Some(("2026-09-21".parse().unwrap(), "2026-09-25".parse().unwrap())));
    assert_eq!(payouts.first_payment, Some(at(0)));
    assert!(snapshot.reaching_back(Timestamp::UNIX_EPOCH).unwrap() <= Timestamp::UNIX_EPOCH);
    file.execute("UPDATE settlement SET imported = ?1", [at(0).timestamp_millis()]).unwrap();
    let fresh = house.ledger.reader().snapshot().unwrap();
    assert_eq!(fresh.reaching_back(at(0)).unwrap(), "2026-09-14T00:00:00Z".parse::<Timestamp>().unwrap());
}

#[tokio::test]
async fn one_runs_at_a_time_and_the_daemons_lock_tells_whether_somebody_asks() {
    let house = House::new();
    let turn = house.ledger.take_turn().unwrap();
    assert!(turn.is_some() && house.ledger.take_turn().unwrap().is_none());
    drop(turn);
    assert!(house.ledger.take_turn().unwrap().is_some());
    let beside = Ledger::open(&settings(house.path()), Role::Command).unwrap();
    assert!(beside.is_served().unwrap());
    house.ledger.close();
    assert!(!beside.is_served().unwrap());
    beside.close();
}
