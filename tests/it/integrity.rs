//! `ledger verify` and `ledger rebuild --check`, on a ledger that is in use and on damaged copies of it.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::process::Output;

use serde_json::Value;

use crate::house::{House, Settings};

/// A day's work in a ledger that nobody has open any more.
async fn closed() -> House {
    let mut house = House::start(Settings::usual()).await;
    for (reference, status) in [("INV-1", "Paid"), ("INV-2", "Cancelled"), ("INV-3", "Sent")] {
        let payment = house.begin(reference, "25.00");
        house.gateway.move_to(&payment.guid, status).await.unwrap();
        house.until(&payment.guid, |story| story["trust"] == "confirmed").await;
    }
    house.stop().await;
    house
}

fn text(output: &Output) -> String {
    String::from_utf8([output.stdout.as_slice(), &output.stderr].concat()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_in_use_is_found_in_order_and_its_head_is_printed() {
    let house = House::start(Settings::usual()).await;
    let payment = house.pay("INV-32", "25.00").await;
    let story = house.until_it_is(&payment.guid, "paid", "confirmed").await;
    let digest = story["events"].as_array().unwrap().last().unwrap()["digest"].as_str().unwrap();
    let told = house.done(&["ledger", "verify"]);
    assert_eq!(told, format!("2 events, 1 payments\nhead {digest}\nin order\n"));
    for command in [&["ledger", "verify", "--json"][..], &["ledger", "rebuild", "--check", "--json"]] {
        let found: Value = serde_json::from_str(&house.done(command)).unwrap();
        assert_eq!((found["sound"].as_bool(), found["events"].as_u64()), (Some(true), Some(2)));
        assert_eq!((found["head"].as_str(), found["flaws"].as_array().unwrap().len()), (Some(digest), 0));
    }
    assert_eq!(house.run(&["ledger", "rebuild"]).status.code(), Some(64), "it only checks, and wants that said");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_bad_row_is_named_and_the_exit_code_says_no() {
    let house = closed().await;
    assert_eq!(house.run(&["ledger", "verify"]).status.code(), Some(0));
    let pristine = fs::read(house.path("paynowd.db")).unwrap();
    let free = "DROP TRIGGER event_is_never_changed; DROP TRIGGER event_is_never_deleted;";
    for (tampering, named, by_fold) in [
        (format!("{free} UPDATE event SET body = CAST(body || ' ' AS BLOB) WHERE id = 2"), "chain: event 2: ", false),
        (format!("{free} DELETE FROM event WHERE id = 1"), "chain: event 2: ", true),
        (
            format!(
                "{free} UPDATE event SET id = 9 WHERE id = 2; UPDATE event SET id = 2 WHERE id = 3; \
                 UPDATE event SET id = 3 WHERE id = 9"
            ),
            "chain: event 2: ",
            true,
        ),
        (
            "UPDATE payment SET status = 'paid' WHERE reference = 'INV-2'".to_owned(),
            "fold: payment 2: its status is paid; its events make it cancelled",
            true,
        ),
    ] {
        fs::write(house.path("paynowd.db"), &pristine).unwrap();
        house.ledger().execute_batch(&tampering).unwrap();
        let output = house.run(&["ledger", "verify"]);
        assert_eq!(output.status.code(), Some(1), "{tampering}");
        assert!(text(&output).contains(named) && text(&output).contains("NOT in order"), "{}", text(&output));
        let folded = house.run(&["ledger", "rebuild", "--check"]).status.code();
        assert_eq!(folded, Some(i32::from(by_fold)), "{tampering}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_page_and_a_file_that_is_no_ledger_are_answers() {
    let house = closed().await;
    let pristine = fs::read(house.path("paynowd.db")).unwrap();
    let root: i64 = house
        .ledger()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'event'", [], |row| row.get(0))
        .unwrap();
    for at in [u64::try_from(root - 1).unwrap() * 4096, 0] {
        fs::write(house.path("paynowd.db"), &pristine).unwrap();
        let file = fs::File::options().write(true).open(house.path("paynowd.db")).unwrap();
        file.write_all_at(&[0x5A; 512], at).unwrap();
        let output = house.run(&["ledger", "verify"]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    }
    fs::remove_file(house.path("paynowd.db")).unwrap();
    assert_eq!(house.run(&["ledger", "verify"]).status.code(), Some(69), "what is not there is neither");
}
