//! Asking the gateway: nothing it says without proof counts, and it is asked politely until it proves something.

use std::time::{Duration, Instant};

use paynowd::simulator::{Misbehaviour, Mischief, PostSpec};
use serde_json::Value;

use crate::house::slow_gateway::{SlowGateway, answer};
use crate::house::{DEADLINE, House, Settings};

/// What polls brought, as `outcome: detail`.
fn brought(story: &Value) -> Vec<String> {
    let polls = story["polls"].as_array().unwrap().iter();
    polls.map(|poll| format!("{}: {}", poll["outcome"].as_str().unwrap(), poll["detail"].as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_callback_is_found_by_asking() {
    let house = House::start(Settings::usual()).await;
    let payment = house.begin("INV-1048", "60.00");
    assert_eq!(house.gateway.move_to(&payment.guid, "Sent").await.unwrap().status(), Some(200));
    house.until_it_is(&payment.guid, "pending", "confirmed").await;
    house.gateway.set_status(&payment.guid, "Paid").unwrap();
    let story = house.until_it_is(&payment.guid, "paid", "confirmed").await;
    assert_eq!(story["events"].as_array().unwrap().last().unwrap()["channel"], "poll");
    assert_eq!(house.until_letters(1).await[0].subject(), "Paid: USD 60.00, INV-1048");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_proves_nothing_changes_nothing_and_is_asked_for_again() {
    let house = House::start(Settings::usual().set("poll.timeout", "300ms").set("poll.connect_timeout", "300ms")).await;
    for (what, seen) in [
        (Misbehaviour::ErrorThenOk, "http-status: the gateway answered HTTP 500"),
        (Misbehaviour::Html, "web-page: "),
        (Misbehaviour::UnsignedError, "gateway-error: "),
        (Misbehaviour::Lie, "bad-hash: "),
        (Misbehaviour::Redirect, "http-status: the gateway answered HTTP 302"),
        (Misbehaviour::Hang, "timed-out: "),
    ] {
        house.gateway.misbehave(what);
        let payment = house.begin(what.code(), "25.00");
        assert_eq!(house.post(&payment, &PostSpec::status("Sent")).await, 200);
        let story = house.until(&payment.guid, |story| !brought(story).is_empty()).await;
        assert!(brought(&story)[0].starts_with(seen), "{what:?}: {:?}", brought(&story));
        assert_eq!((&story["status"], &story["trust"]), (&"pending".into(), &"reported".into()), "{what:?}");
        assert_ne!(story["next_poll"], Value::Null);
        house.gateway.behave();
        house.gateway.set_status(&payment.guid, "Paid").unwrap();
        let story = house.until_it_is(&payment.guid, "paid", "confirmed").await;
        assert!(brought(&story).last().unwrap().contains("paid"), "{:?}", brought(&story));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_answer_about_another_payment_proves_nothing() {
    let signer = House::build(Settings::usual()).await;
    let other = signer.gateway.initiate("INV-1", "1.00", None);
    let confused = SlowGateway::start(Duration::ZERO, |origin| {
        let url = format!("{origin}/Interface/CheckPayment/?guid={}", other.guid);
        let body = signer.gateway.body(&other.guid, &PostSpec::status("Paid").field("pollurl", &url)).unwrap();
        answer("200 OK", "", &String::from_utf8(body).unwrap())
    })
    .await;
    let house = House::start(Settings::usual().set("integrations.shop.gateway", confused.origin())).await;
    let payment = house.begin("INV-2", "2.00");
    let spec = PostSpec::status("Sent").field("pollurl", &confused.poll_url(&payment.guid));
    assert_eq!(house.post(&payment, &spec).await, 200);
    let story = house.until(&payment.guid, |story| !brought(story).is_empty()).await;
    assert_eq!((&story["status"], &story["trust"]), (&"pending".into(), &"reported".into()));
    assert!(brought(&story)[0].starts_with("other-payment: "), "{:?}", brought(&story));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_asks_for_patience_is_left_alone_for_so_long() {
    let house = House::start(Settings::usual()).await;
    let patience = Duration::from_secs(1);
    house.gateway.misbehave(Mischief::next(1, Misbehaviour::RetryAfter).waiting(patience));
    // Before it is told: a slow machine must not make the wait look shorter.
    let told = Instant::now();
    let payment = house.pay("INV-32", "25.00").await;
    house.gateway.wait_for_polls(&payment.guid, 1, DEADLINE).await.unwrap();
    house.until(&payment.guid, |story| !brought(story).is_empty()).await;
    house.until_logged("a gateway wants to be left alone").await;
    // Others are not asked about there either.
    let other = house.pay("INV-33", "25.00").await;
    house.gateway.wait_for_polls(&other.guid, 1, DEADLINE).await.unwrap();
    assert!(told.elapsed() >= patience.mul_f32(0.9), "asked about another after {:?}", told.elapsed());
    house.gateway.wait_for_polls(&payment.guid, 2, DEADLINE).await.unwrap();
    assert!(told.elapsed() >= patience.mul_f32(0.9), "asked again after {:?}", told.elapsed());
    let story = house.until_it_is(&payment.guid, "paid", "confirmed").await;
    assert!(brought(&story)[0].contains("429"), "{:?}", brought(&story));
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_survive_a_restart() {
    let mut house = House::start(Settings::usual()).await;
    house.gateway.misbehave(Misbehaviour::UnsignedError);
    let (killed, pending) = (house.pay("INV-1", "1.00").await, house.begin("INV-2", "2.00"));
    assert_eq!(house.post(&pending, &PostSpec::status("Sent")).await, 200);
    house.gateway.wait_for_polls(&killed.guid, 1, DEADLINE).await.unwrap();
    house.kill();
    house.gateway.behave();
    house.gateway.set_status(&pending.guid, "Paid").unwrap();
    house.open().await;
    for guid in [&killed.guid, &pending.guid] {
        house.until_it_is(guid, "paid", "confirmed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_not_followed() {
    let elsewhere = SlowGateway::start(Duration::ZERO, |_| String::new()).await;
    let there = format!("Location: {}/\r\n", elsewhere.origin());
    let gateway = SlowGateway::start(Duration::ZERO, |_| answer("302 Found", &there, "")).await;
    let house = House::start(Settings::usual().set("integrations.shop.gateway", gateway.origin())).await;
    let payment = house.begin("INV-32", "25.00");
    let url = gateway.poll_url(&payment.guid);
    assert_eq!(house.post(&payment, &PostSpec::status("Paid").field("pollurl", &url)).await, 200);
    gateway.until_asked(3).await;
    assert_eq!(elsewhere.connections(), 0);
    assert_eq!(house.show_json(&payment.guid)["trust"], "reported");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_questions_are_open_at_once_than_configured_and_one_for_each_payment() {
    let patience = Duration::from_millis(150);
    let gateway = SlowGateway::start(patience, |_| answer("504 Gateway Timeout", "", "")).await;
    let settings = Settings::usual().set("poll.concurrency", 3).set("integrations.shop.gateway", gateway.origin());
    let house = House::start(settings).await;
    for number in 0..9 {
        let payment = house.begin(&format!("INV-{number}"), "25.00");
        let spec = PostSpec::status("Paid").field("pollurl", &gateway.poll_url(&payment.guid));
        for _ in 0..2 {
            assert_eq!(house.post(&payment, &spec).await, 200);
        }
    }
    gateway.until_asked(12).await;
    assert_eq!(gateway.most_open(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_payment_is_asked_about_by_one_question_at_a_time() {
    let gateway = SlowGateway::start(Duration::from_millis(150), |_| answer("504 Gateway Timeout", "", "")).await;
    let house = House::start(Settings::usual().set("integrations.shop.gateway", gateway.origin())).await;
    let payment = house.begin("INV-32", "25.00");
    let url = gateway.poll_url(&payment.guid);
    for word in ["Sent", "Paid", "Sent", "Cancelled", "Paid", "Disputed"] {
        assert_eq!(house.post(&payment, &PostSpec::status(word).field("pollurl", &url)).await, 200);
    }
    gateway.until_asked(4).await;
    assert_eq!(gateway.most_open(), 1);
}
