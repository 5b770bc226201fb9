//! Gateways whose answers are given by hand: what is due of one is asked whatever happens at another, and at the right
//! moment.

use std::time::Duration;

use paynowd::domain::Status;

use crate::house::{ByHand, House, Plan, USUAL, answer, reply, until};

/// A house with two shops, each at a gateway of its own.
async fn with_an_annex() -> (House, ByHand, ByHand) {
    let (gateway, annex) = (ByHand::open().await, ByHand::open().await);
    let origins = (Some(gateway.origin.clone()), Some(annex.origin.clone()));
    (House::open(Plan { origin: origins.0, annex: origins.1, ..USUAL }).await, gateway, annex)
}

/// A payment of the annex is confirmed.
async fn annex_works(house: &House, annex: &ByHand, name: &str) {
    let paid = annex.update(name, "Paid");
    house.hear_at("annex", &paid).await;
    answer(annex.asked().await, &paid).await;
    house.until_confirmed(name, Status::Paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_becomes_due_again_while_it_is_asked_about_is_asked_about_again() {
    let gateway = ByHand::open().await;
    let house = House::open(Plan { origin: Some(gateway.origin.clone()), ..USUAL }).await;
    // Whether the poller hears of the new due date before or after the answer is stored is a race: it is run often.
    for number in 10..40 {
        let name = format!("INV-{number}");
        house.hear(&gateway.update(&name, "Awaiting Delivery")).await;
        let first = gateway.asked().await;
        house.unseen(Duration::from_secs(1));
        house.hear(&gateway.update(&name, "Paid")).await;
        // Older than what was heard meanwhile, so it settles nothing; and nobody's clock moves or beats any more.
        answer(first, &gateway.update(&name, "Awaiting Delivery")).await;
        answer(gateway.asked().await, &gateway.update(&name, "Paid")).await;
        house.until_confirmed(&name, Status::Paid).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_becomes_due_while_only_another_gateway_is_looked_at_is_asked_about() {
    let (house, gateway, annex) = with_an_annex().await;
    let pending = gateway.update("INV-10", "Awaiting Delivery");
    house.hear(&pending).await;
    answer(gateway.asked().await, &pending).await;
    house.until_confirmed("INV-10", Status::AwaitingDelivery).await;
    let pending = annex.update("INV-20", "Awaiting Delivery");
    house.hear_at("annex", &pending).await;
    let question = annex.asked().await;
    // The shop's payment is due again, and nobody says so; all that happens is that the annex answers.
    house.unseen(Duration::from_hours(1));
    answer(question, &pending).await;
    answer(gateway.asked().await, &gateway.update("INV-10", "Paid")).await;
    house.until_confirmed("INV-10", Status::Paid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_of_one_gateway_hides_nothing_of_another() {
    let (house, gateway, annex) = with_an_annex().await;
    for number in 10..70 {
        house.hear(&gateway.update(&format!("INV-{number}"), "Created")).await;
    }
    house.unseen(Duration::from_secs(1));
    house.hear_at("annex", &annex.update("INV-80", "Created")).await;
    // All that is said from here on is that the hour has passed; and the shop's gateway answers nothing.
    house.later(Duration::from_hours(2));
    annex.asked().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_left_alone_for_as_long_as_it_wanted_longest() {
    let (house, gateway, annex) = with_an_annex().await;
    house.hear(&gateway.update("INV-10", "Paid")).await;
    let first = gateway.asked().await;
    house.hear(&gateway.update("INV-11", "Paid")).await;
    let second = gateway.asked().await;
    reply(first, "429 Too Many Requests", "Retry-After: 3600\r\n", "").await;
    until(async || !house.story("INV-10").unwrap().polls.is_empty()).await;
    reply(second, "503 Service Unavailable", "Retry-After: 0\r\n", "").await;
    until(async || !house.story("INV-11").unwrap().polls.is_empty()).await;
    house.hear(&gateway.update("INV-12", "Paid")).await;
    annex_works(&house, &annex, "INV-80").await;
    assert!(!gateway.is_asked().await, "though it wants to be left alone for an hour");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_stored_keeps_nobody_waiting_and_is_not_asked_for_without_pause() {
    let (house, gateway, annex) = with_an_annex().await;
    house.hurt(
        "CREATE TRIGGER spoilt BEFORE INSERT ON poll_log WHEN new.payment_id = 1 BEGIN SELECT RAISE(ABORT, 'spoilt'); END",
    );
    let paid = gateway.update("INV-10", "Paid");
    house.hear(&paid).await;
    answer(gateway.asked().await, &paid).await;
    for number in 80..84 {
        annex_works(&house, &annex, &format!("INV-{number}")).await;
        house.later(Duration::from_secs(1));
    }
    assert!(!gateway.is_asked().await, "asked again within the minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_from_before_a_run_that_is_stored_during_it_is_asked_for_again() {
    let gateway = ByHand::open().await;
    let house = House::open(Plan { origin: Some(gateway.origin.clone()), ..USUAL }).await;
    let (first, second) = (gateway.update("INV-10", "Paid"), gateway.update("INV-11", "Paid"));
    house.hear(&first).await;
    let question = gateway.asked().await;
    house.hear(&second).await;
    let open = gateway.asked().await;
    // This answer waits a moment for the other; and the run begins after it came.
    answer(question, &first).await;
    house.unseen(Duration::from_secs(1));
    let by_hand = async {
        house.until_confirmed("INV-10", Status::Paid).await;
        answer(open, &second).await;
        loop {
            answer(gateway.asked().await, &first).await;
        }
    };
    tokio::select! {
        checked = house.night() => assert_eq!((checked.answered, checked.left), (2, 0)),
        () = by_hand => {}
    }
}
