//! Asking, with the real poller over loopback HTTP against the simulator, while the test keeps the clock: lost posts are
//! found by poll URL and by trace, what proves nothing is kept as that, and a night asks about everything once.

#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub, reason = "a test that cannot go on should stop")]

mod house;

use std::sync::Arc;
use std::time::Duration;

use paynowd::domain::{Checked, Expectation, PollUrl, Status, Timestamp, Trust};
use paynowd::ledger::{Booking, Expected, Filter, Ledger, OnConflict, Role, Sweep};
use paynowd::reconciler::{Nightly, NightlySettings, RunSettings, SweepSettings, sweep};
use paynowd::simulator::{Misbehaviour, Mischief};
use tokio::sync::watch;

use house::{ByHand, House, PATIENT, Plan, USUAL, answer, order, shop, until, update};

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
    let (gateway, annex) = (ByHand::open().await, ByHand::open().await);
    let origins = (Some(gateway.origin.clone()), Some(annex.origin.clone()));
    let house = House::open(Plan { origin: origins.0, annex: origins.1, ..USUAL }).await;
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
async fn a_night_asks_once_about_all_that_can_change_and_what_became_final_of_late() {
    let house = House::open(USUAL).await;
    let mut guids = Vec::new();
    for number in 0..40 {
        let word = ["Paid", "Awaiting Delivery", "Created", "Cancelled"][number % 4];
        guids.push(house.posted(&format!("INV-{number}"), word).await.guid);
    }
    let settled = ["paid", "cancelled", "awaiting-delivery"];
    until(async || {
        let mut open = 0;
        let each = |payment: paynowd::domain::Payment| {
            open += i32::from(settled.contains(&payment.status.code()) && payment.trust != Trust::Confirmed);
            true
        };
        house.ledger.reader().payments(&Filter::default(), each).unwrap();
        open == 0
    })
    .await;
    for (days, expected) in [(1, 40), (3, 40), (30, 20)] {
        let before: Vec<u32> = guids.iter().map(|guid| house.gateway.polls(guid)).collect();
        house.later(Duration::from_hours(24 * days));
        // The second time at once, when there is nothing left to ask; and what the schedule asks counts for the night.
        for _ in 0..2 {
            let checked = house.night().await;
            assert_eq!(checked, Checked { payments: expected, answered: expected, ..Checked::default() }, "{days}");
        }
        let asked: Vec<u32> =
            guids.iter().zip(before).map(|(guid, before)| house.gateway.polls(guid) - before).collect();
        assert!(asked.iter().all(|times| *times <= 1), "{asked:?}");
        assert_eq!(u64::from(asked.iter().sum::<u32>()), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_counts_what_proves_nothing_by_its_code_and_asks_no_second_time() {
    let house = House::open(USUAL).await;
    let payment = house.posted("INV-1", "Awaiting Delivery").await;
    house.until_confirmed("INV-1", Status::AwaitingDelivery).await;
    house.later(Duration::from_mins(1));
    house.gateway.misbehave(Mischief::next(1, Misbehaviour::Html));
    let checked = house.night().await;
    assert_eq!(checked, Checked { payments: 1, unanswered: one("web-page"), ..Checked::default() });
    assert_eq!(house.gateway.polls(&payment.guid), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_gives_up_on_a_gateway_that_brings_nothing_back_and_says_how_much_it_left() {
    let house = House::open(USUAL).await;
    for number in 0..20 {
        house.posted(&format!("INV-{number}"), "Created").await;
    }
    house.expect(order("INV-99", Some("T-1"))).await;
    house.shutdown.cancel();
    let began = house.clock.now() + Duration::from_hours(24);
    let what = Sweep { integration: shop(), began, final_since: began, open_since: began - Duration::from_hours(24) };
    let short = SweepSettings { stalled: Duration::from_millis(50), ..PATIENT };
    let checked = sweep(&house.ledger, &house.clock, &what, short).await.unwrap();
    assert_eq!((checked.payments, checked.traced, checked.left), (20, 1, 21));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_beside_the_daemon_has_the_daemon_ask() {
    let house = House::open(USUAL).await;
    for number in 0..20 {
        house.posted(&format!("INV-{number}"), "Created").await;
    }
    house.later(Duration::from_mins(1));
    let command = Ledger::open(&house.settings, Role::Command).unwrap();
    let beat = house.beat.clone();
    let beating = tokio::spawn(async move {
        let mut heart = tokio::time::interval(Duration::from_millis(30));
        loop {
            heart.tick().await;
            beat.send_replace(());
        }
    });
    let checked = house.night_on(&command).await;
    beating.abort();
    assert_eq!((checked.payments, checked.answered, checked.left), (20, 20, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_of_nights_passes_in_seconds() {
    let house = House::open(USUAL).await;
    let payment = house.posted("INV-1", "Awaiting Delivery").await;
    house.until_confirmed("INV-1", Status::AwaitingDelivery).await;
    let (_keep, settings) = watch::channel(NightlySettings {
        schedule: "0 30 2 * * *".parse().unwrap(),
        run: RunSettings {
            zone: chrono_tz::Africa::Harare,
            look_back: Duration::from_hours(7 * 24),
            escrow_after: Duration::from_hours(7 * 24),
            report_to: Vec::new(),
            sweep: PATIENT,
        },
    });
    let (ledger, integrations) = (Arc::clone(&house.ledger), Arc::clone(&house.integrations));
    let nightly = Nightly::new(ledger, integrations, settings, house.clock.clone());
    tokio::spawn(nightly.run(house.beat.subscribe(), house.shutdown.clone()));
    let reader = house.ledger.reader();
    let last_night = async || reader.last_run("nightly", Timestamp::MAX_UTC).await.unwrap();
    until(async || {
        house.later(Duration::ZERO);
        last_night().await.is_some()
    })
    .await;
    for _ in 0..30 {
        let last = last_night().await;
        house.later(Duration::from_hours(24));
        until(async || last_night().await != last).await;
    }
    assert!(house.gateway.polls(&payment.guid) >= 31, "asked about every night, beyond its schedule");
}
