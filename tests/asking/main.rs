//! Asking, with the real poller over loopback HTTP against the simulator, while the test keeps the clock: lost posts
//! are found by poll URL and by trace, what proves nothing is kept as that, and a night asks about everything once.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "a test that cannot go on should stop")]

mod gateways;
mod house;
mod nights;

use std::sync::Arc;
use std::time::Duration;

use paynowd::domain::{Checked, Expectation, PollUrl, Status};
use paynowd::ledger::{Booking, Expected, OnConflict};

use house::{ByHand, House, Plan, USUAL, answer, order, update};

fn one(code: &str) -> std::collections::BTreeMap<String, u64> {
    [(code.to_owned(), 1)].into()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_posts_are_all_lost_is_found_by_its_poll_url() {
    let house = House::open(USUAL).await;
    let payment = house.gateway.initiate("INV-1", "25.00", None);
    house.gateway.set_status(&payment.guid, "Paid").unwrap();
    let poll_url = PollUrl::stored(&payment.poll_url);
    assert_eq!(house.expect(Expectation { poll_url, ..order("INV-1", None) }).await, Expected::New);
    let story = house.until_confirmed("INV-1", Status::Paid).await;
    assert_eq!(story.known.payment.posted.code(), "never");
    assert_eq!(story.events.iter().map(|event| event.channel.as_str()).collect::<Vec<_>>(), ["import", "poll"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_posts_are_all_lost_is_found_by_its_trace() {
    let house = House::open(USUAL).await;
    house.initiate("INV-1", "T-1").await;
    assert_eq!(house.expect(order("INV-1", Some("T-1"))).await, Expected::New);
    let story = house.until_confirmed("INV-1", Status::Created).await;
    assert_eq!(story.known.payment.posted.code(), "never");
    assert_eq!((&*story.events[0].channel, &*story.events[0].evidence), ("trace", "sha512"));
    assert_eq!(house.gateway.polls(story.known.payment.key.as_str()), 0);
    // From here on it is polled like any other.
    house.gateway.set_status(story.known.payment.key.as_str(), "Paid").unwrap();
    house.later(Duration::from_hours(2));
    let story = house.until_confirmed("INV-1", Status::Paid).await;
    assert_eq!(story.known.payment.posted.code(), "never");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_answered_the_shop_proves_where_the_payment_is() {
    let house = House::open(USUAL).await;
    let answer = house.initiate("INV-1", "T-1").await;
    let begun = house.shop().gateway.read_begun(&answer).unwrap();
    let (terms, now) = (Arc::clone(&house.shop().terms), house.clock.now());
    let expected = house
        .ledger
        .expect(Booking::new(order("INV-1", None), terms, OnConflict::Keep).begun(begun), now)
        .await
        .unwrap();
    assert_eq!(expected, Expected::New);
    let story = house.until_confirmed("INV-1", Status::Created).await;
    assert_eq!((&*story.events[0].channel, &*story.events[0].evidence), ("import", "sha512"));
    let refused = house.initiate("INV-2", "T-1").await;
    let why = house.shop().gateway.read_begun(&refused).unwrap_err();
    assert_eq!(why.to_string(), "the gateway answered with an unsigned error: Duplicate merchanttrace");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_the_gateway_does_not_know_is_looked_for_every_night_until_it_does() {
    let house = House::open(USUAL).await;
    house.expect(order("INV-1", Some("T-1"))).await;
    // Beyond its schedule, too.
    for _ in 0..5 {
        let checked = house.night().await;
        assert_eq!(checked, Checked { traced: 1, ..Checked::default() }, "looked for, not found, nothing amiss");
        house.later(Duration::from_hours(24));
    }
    assert!(house.story("INV-1").is_none(), "NotFound is no state");
    house.initiate("INV-1", "T-1").await;
    let checked = house.night().await;
    assert_eq!((checked.traced, checked.found), (1, 1));
    house.until_confirmed("INV-1", Status::Created).await;
    let checked = house.night().await;
    assert_eq!((checked.payments, checked.traced), (1, 0), "now it is a payment like any other");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_error_is_not_not_found() {
    let house = House::open(Plan { id: "1202", ..USUAL }).await;
    house.initiate("INV-1", "T-1").await;
    house.expect(order("INV-1", Some("T-1"))).await;
    let checked = house.night().await;
    assert_eq!(checked, Checked { traced: 1, unanswered: one("gateway-error"), ..Checked::default() });
    assert!(house.story("INV-1").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_answered_with_a_payment_of_another_place_is_refused() {
    let gateway = ByHand::open().await;
    let house = House::open(Plan { origin: Some(gateway.origin.clone()), ..USUAL }).await;
    house.expect(order("INV-1", Some("T-1"))).await;
    let elsewhere = "https://www.paynow.co.zw/Interface/CheckPayment/?guid=06f656ab-ed60-4a03-8373-a3321b4b3e68";
    let answered = async { answer(gateway.asked().await, &update("INV-1", elsewhere, "Paid")).await };
    let (checked, ()) = tokio::join!(house.night(), answered);
    assert_eq!(checked, Checked { traced: 1, unanswered: one("bad-field"), ..Checked::default() });
    assert!(house.story("INV-1").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_comes_by_post_ends_the_search_for_its_order() {
    let house = House::open(USUAL).await;
    house.expect(order("INV-1", Some("T-1"))).await;
    assert_eq!(house.night().await.traced, 1);
    house.posted("INV-1", "Paid").await;
    house.until_confirmed("INV-1", Status::Paid).await;
    house.later(Duration::from_hours(24));
    // Linked when its next trace comes due, which may be this night's.
    house.night().await;
    assert_eq!(house.night().await, Checked { payments: 1, answered: 1, ..Checked::default() });
}
