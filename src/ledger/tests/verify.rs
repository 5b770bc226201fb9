//! Verifying: a sound ledger is found sound, and every way of tampering is told by the first row that shows it.

use std::os::unix::fs::FileExt as _;

use super::*;

/// Whether one of the flaws is of this check, at this row.
fn is_told(found: &Verification, check: Check, row: Option<(&str, i64)>) -> bool {
    let row = row.map(|(table, id)| (table.to_owned(), id));
    found.flaws.iter().any(|flaw| flaw.check == check && flaw.row == row)
}

/// What is found after `tampering` with a closed ledger of four events and two payments.
async fn after(tampering: &str) -> Verification {
    let (_home, path) = chain::closed().await;
    let file = Connection::open(&path).unwrap();
    file.execute_batch(&format!("PRAGMA foreign_keys = OFF; {tampering}")).unwrap();
    Reader::open(&path).unwrap().verify(Scope::Whole).unwrap()
}

#[tokio::test]
async fn a_sound_ledger_is_found_sound_while_it_is_being_written() {
    let house = House::new();
    let beside = Reader::open(&house.path()).unwrap();
    let empty = beside.verify(Scope::Whole).unwrap();
    assert_eq!((empty.events, empty.payments, empty.head, empty.flaws), (0, 0, [0; 32], Vec::new()));
    for payment in 1..20_u8 {
        house.post(payment, "Created", at(0)).await;
        house.post(payment, "Paid", at(1)).await;
        house.post(payment, "Sent", at(2)).await;
        let found = beside.verify(Scope::Whole).unwrap();
        assert_eq!(found.flaws, []);
        assert_eq!((found.events, found.payments), (u64::from(payment) * 3, u64::from(payment)));
        assert_eq!(Some(found.head.to_vec()), house.ask("SELECT digest FROM event ORDER BY id DESC LIMIT 1"));
    }
}

#[tokio::test]
async fn an_event_that_was_changed_dropped_or_moved_is_named() {
    let free = "DROP TRIGGER event_is_never_changed; DROP TRIGGER event_is_never_deleted;";
    let body = "CAST(replace(CAST(body AS TEXT), '25.00', '25.01') AS BLOB)";
    for (tampering, event) in [
        (format!("UPDATE event SET body = {body} WHERE id = 2"), 2),
        ("UPDATE event SET at = at + 1 WHERE id = 3".to_owned(), 3),
        ("UPDATE event SET digest = zeroblob(32) WHERE id = 4".to_owned(), 4),
        ("UPDATE event SET outcome = 'nonsense' WHERE id = 3".to_owned(), 3),
        ("DELETE FROM event WHERE id = 1".to_owned(), 2),
        ("DELETE FROM event WHERE id = 2".to_owned(), 3),
        (
            "UPDATE event SET id = 99 WHERE id = 1; UPDATE event SET id = 1 WHERE id = 3; \
             UPDATE event SET id = 3 WHERE id = 99"
                .to_owned(),
            1,
        ),
        (
            "INSERT INTO event SELECT 5, payment_id, before, at, channel, evidence, outcome, said, wire_status, said_at, \
             said_earliest, said_latest, reference, gateway_reference, amount, amount_paid, method, status, trust, body, digest \
             FROM event WHERE id = 4"
                .to_owned(),
            5,
        ),
    ] {
        let found = after(&format!("{free} {tampering}")).await;
        assert!(is_told(&found, Check::Chain, Some(("event", event))), "{tampering}: {:?}", found.flaws);
    }
}

#[tokio::test]
async fn the_end_of_the_record_cannot_be_cut_off_unseen_as_long_as_it_changed_a_payment() {
    let found = after("DROP TRIGGER event_is_never_deleted; DELETE FROM event WHERE id = 4").await;
    assert!(is_told(&found, Check::Fold, Some(("payment", 1))), "{:?}", found.flaws);
}

#[tokio::test]
async fn a_payment_that_is_not_what_its_events_say_is_named_with_the_column() {
    let elsewhere = "replace(poll_url, 'www.paynow.co.zw', 'paynow.example')";
    for (change, column) in [
        ("status = 'refunded'", "status"),
        ("trust = 'unconfirmable'", "trust"),
        ("amount = amount * 10", "amount"),
        ("amount_paid = 1", "amount_paid"),
        ("reference = 'INV-9'", "reference"),
        ("gateway_reference = NULL", "gateway_reference"),
        ("wire_status = 'PAID'", "wire_status"),
        ("first_seen = first_seen - 1", "first_seen"),
        ("last_changed = last_changed + 1", "last_changed"),
        (&format!("poll_url = {elsewhere}"), "poll_url"),
        ("status = 'splendid'", "status"),
        ("proven = 'created'", "proven"),
    ] {
        let found = after(&format!("UPDATE payment SET {change} WHERE id = 2")).await;
        let [flaw] = &found.flaws[..] else { panic!("{change}: {:?}", found.flaws) };
        assert_eq!((flaw.check, flaw.row.as_ref()), (Check::Fold, Some(&("payment".to_owned(), 2))), "{change}");
        assert!(flaw.what.contains(column), "{change}: {}", flaw.what);
    }
}

#[tokio::test]
async fn an_event_that_its_payment_does_not_lead_to_is_missed() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    house.post(1, "Paid", at(1)).await;
    house.post(2, "Paid", at(2)).await;
    let after = |leads_to: &str| {
        let change = format!("UPDATE payment SET last_event = {leads_to} WHERE id = 1");
        assert_eq!(house.foreign().execute(&change, []).unwrap(), 1);
        Reader::open(&house.path()).unwrap().verify(Scope::Fold).unwrap()
    };
    let found = after("1");
    assert!(is_told(&found, Check::Fold, None), "the repeat changed nothing, but it is there: {:?}", found.flaws);
    for nowhere in ["NULL", "9"] {
        assert!(is_told(&after(nowhere), Check::Fold, Some(("payment", 1))), "{nowhere}");
    }
    assert!(is_told(&after("3"), Check::Fold, Some(("event", 3))), "which is about the other");
    assert_eq!(after("2").flaws, []);
}

#[tokio::test]
async fn a_payment_without_events_and_an_outcome_that_cannot_follow_are_named() {
    let found = after("DROP TRIGGER event_is_never_deleted; DELETE FROM event WHERE payment_id = 2").await;
    assert!(is_told(&found, Check::Fold, Some(("payment", 2))), "{:?}", found.flaws);
    for outcome in ["opened", "agreed"] {
        let tampering = "DROP TRIGGER event_is_never_changed; UPDATE event SET outcome";
        let found = after(&format!("{tampering} = '{outcome}' WHERE id = 3")).await;
        assert!(is_told(&found, Check::Fold, Some(("event", 3))), "{:?}", found.flaws);
    }
}

#[tokio::test]
async fn a_reference_into_nothing_is_named() {
    let found = after("UPDATE payment SET integration_id = 99 WHERE id = 1").await;
    assert!(is_told(&found, Check::References, Some(("payment", 1))), "{:?}", found.flaws);
}

#[tokio::test]
async fn a_key_that_leads_to_no_payment_or_to_two_is_named() {
    for (tampering, row) in [
        ("UPDATE payment SET gateway_key = (SELECT gateway_key FROM payment WHERE id = 1) WHERE id = 2", Some(1)),
        ("UPDATE key_progress SET settled = 2, settling = 2", Some(1)),
        ("UPDATE payment SET gateway_key = x'00' WHERE id = 2", Some(2)),
        ("INSERT INTO shallow_key VALUES (7, 1)", None),
        ("UPDATE key_progress SET shallow = 1", None),
    ] {
        let found = after(tampering).await;
        let row = row.map(|id| ("payment", id));
        assert!(is_told(&found, Check::Keys, row), "{tampering}: {:?}", found.flaws);
    }
}

#[tokio::test]
async fn a_trigger_that_was_dropped_or_defused_is_missed() {
    let defused = "DROP TRIGGER event_is_never_changed; CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event \
                   WHEN 0 BEGIN SELECT RAISE(ABORT, 'events are append-only'); END";
    for tampering in ["DROP TRIGGER event_is_never_changed", "DROP TRIGGER event_is_never_deleted", defused] {
        let found = after(tampering).await;
        assert!(is_told(&found, Check::Guards, None) && found.flaws.len() == 1, "{tampering}: {:?}", found.flaws);
    }
}

#[tokio::test]
async fn only_the_fold_is_compared_if_only_that_is_asked() {
    let (_home, path) = chain::closed().await;
    let file = Connection::open(&path).unwrap();
    file.execute_batch("DROP TRIGGER event_is_never_changed; UPDATE event SET body = x'00' WHERE id = 2").unwrap();
    file.execute("UPDATE payment SET poll_url = NULL, status = 'paid'", []).unwrap();
    let found = Reader::open(&path).unwrap().verify(Scope::Fold).unwrap();
    assert_eq!(found.flaws.iter().map(|flaw| flaw.check).collect::<Vec<_>>(), [Check::Fold]);
    assert_eq!((found.events, found.payments, found.flaws[0].more), (4, 2, 0));
}

#[tokio::test]
async fn a_page_that_was_overwritten_is_found_wherever_it_lies() {
    let (_home, path) = chain::closed().await;
    let file = Connection::open(&path).unwrap();
    let page: u32 = file.pragma_query_value(None, "page_size", |row| row.get(0)).unwrap();
    let page = u64::from(page);
    file.execute_batch("PRAGMA journal_mode = DELETE").unwrap();
    drop(file);
    let pages = std::fs::metadata(&path).unwrap().len() / page;
    assert!(pages > 15, "{pages}");
    for number in 0..pages {
        let copy = path.with_file_name(format!("{number}.db"));
        std::fs::copy(&path, &copy).unwrap();
        let broken = File::options().write(true).open(&copy).unwrap();
        broken.write_all_at(&[0xA5; 64], number * page).unwrap();
        match Reader::open(&copy).and_then(|reader| reader.verify(Scope::Whole)) {
            Ok(found) => assert_ne!(found.flaws, [], "page {number} of {pages}"),
            Err(error) => assert!(error.is_damage(), "page {number}: {error}"),
        }
    }
}
