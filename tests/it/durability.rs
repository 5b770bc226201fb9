//! What is left after the power went out at the worst moment, and after a polite request to leave.

use paynowd::simulator::{Misbehaviour, Mischief, SimulatedPayment};
use serde_json::Value;

use crate::house::http::{ask, post};
use crate::house::letters::assert_same;
use crate::house::post_office::{PostOffice, Protection, Verdict};
use crate::house::{DEADLINE, House, Settings};

/// The outcome of a paid flow, however often it was interrupted.
async fn assert_paid_and_told_once(house: &House, payment: &SimulatedPayment) {
    let sent = |story: &Value| story["letters"].as_array().unwrap().iter().all(|letter| letter["state"] == "sent");
    let settled = |story: &Value| story["trust"] == "confirmed" && story["status"] == "paid" && sent(story);
    let story = house.until(&payment.guid, settled).await;
    assert_eq!(story["letters"].as_array().unwrap().len(), 2, "{story:#}");
    let outcomes: Vec<_> = story["events"].as_array().unwrap().iter().map(|event| &event["outcome"]).collect();
    assert_eq!(outcomes, ["opened", "confirmed"]);
    let letters = house.letters();
    let mut to: Vec<_> = letters.iter().map(|letter| (letter.to(), letter.subject())).collect();
    to.sort_unstable();
    let subject = "Paid: USD 25.00, INV-32";
    assert_eq!(to, [("books@shop.example", subject), ("owner@shop.example", subject)]);
}

fn two_recipients() -> Settings {
    Settings::usual().set("integrations.shop.notify", ["owner@shop.example", "books@shop.example"])
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_right_after_its_answer_the_daemon_still_confirms_and_tells() {
    let mut house = House::start(two_recipients()).await;
    let payment = house.pay("INV-32", "25.00").await;
    house.restart().await;
    assert_paid_and_told_once(&house, &payment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_gateway_thinks_the_daemon_asks_again() {
    let mut house = House::start(two_recipients()).await;
    house.gateway.misbehave(Mischief::next(1, Misbehaviour::Hang).waiting(DEADLINE));
    let payment = house.pay("INV-32", "25.00").await;
    house.gateway.wait_for_polls(&payment.guid, 1, DEADLINE).await.unwrap();
    house.restart().await;
    assert_paid_and_told_once(&house, &payment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_right_after_confirming_the_daemon_still_tells() {
    let mut house = House::start(two_recipients()).await;
    let payment = house.pay("INV-32", "25.00").await;
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    house.restart().await;
    assert_paid_and_told_once(&house, &payment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_over_and_over_the_daemon_ends_where_it_would_have_ended() {
    let mut house = House::start(two_recipients()).await;
    let payment = house.pay("INV-32", "25.00").await;
    for _ in 0..20 {
        house.restart().await;
        if house.letters().len() == 2 {
            break;
        }
    }
    assert_paid_and_told_once(&house, &payment).await;
    house.restart().await;
    assert_paid_and_told_once(&house, &payment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_a_letter_and_its_receipt_the_daemon_repeats_it_under_the_same_name() {
    let office = PostOffice::open(Protection::Plain, &[Verdict::FallSilent]).await;
    let mut house = House::start(Settings::usual().smtp(office.port, "none")).await;
    house.pay("INV-32", "25.00").await;
    office.until_letters(1).await;
    house.restart().await;
    let letters = office.until_letters(2).await;
    assert_same(&letters[0].2, &letters[1].2);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_somebody_holds_the_ledger_posts_are_answered_503_and_afterwards_200() {
    let house = House::start(Settings::usual()).await;
    let (early, late) = (house.begin("INV-1", "1.00"), house.begin("INV-2", "2.00"));
    let body = |payment: &SimulatedPayment| house.gateway.status_update_body(&payment.guid, "Paid").unwrap();
    for payment in [&early, &late] {
        house.gateway.set_status(&payment.guid, "Paid").unwrap();
    }
    let holder = house.ledger();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = post(house.public, "/paynow/shop", body(&early)).await;
    assert_eq!((answer.status, answer.body.as_str(), answer.header("retry-after")), (503, "", Some("5")));
    assert_eq!(ask(house.admin, "GET", "/healthz", &[], b"").await.status, 200, "alive");
    assert_eq!(ask(house.admin, "GET", "/readyz", &[], b"").await.status, 503, "and not ready");
    assert!(house.payments_json(&[]).is_empty(), "readers are not kept waiting");
    holder.execute_batch("ROLLBACK").unwrap();
    for payment in [&early, &late] {
        assert_eq!(post(house.public, "/paynow/shop", body(payment)).await.status, 200);
        house.until_it_is(&payment.guid, "paid", "confirmed").await;
    }
    assert_eq!(ask(house.admin, "GET", "/readyz", &[], b"").await.status, 200);
    house.until_letters(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_leaves_the_ledger_to_the_first() {
    let house = House::start(Settings::usual()).await;
    let second = house.run(&["serve"]);
    assert_eq!(second.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another paynowd serves this ledger"), "{second:?}");
    let payment = house.pay("INV-32", "25.00").await;
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_of_a_newer_release_is_left_alone() {
    let mut house = House::start(Settings::usual()).await;
    house.pay("INV-32", "25.00").await;
    house.stop().await;
    house.ledger().pragma_update(None, "user_version", 99).unwrap();
    for command in [&["serve"][..], &["payments", "list"], &["check"]] {
        let refused = house.run(command);
        let said = String::from_utf8_lossy(&[refused.stderr, refused.stdout].concat()).into_owned();
        let wanted = if command == ["serve"] {
            78
        } else if command == ["check"] {
            1
        } else {
            69
        };
        assert_eq!(refused.status.code(), Some(wanted), "{command:?}: {said}");
        assert!(said.contains("the ledger has schema 99"), "{command:?}: {said}");
    }
}
