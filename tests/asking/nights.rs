//! Nights: everything is asked about once, for as long as it takes and no longer.

use std::sync::Arc;
use std::time::Duration;

use paynowd::domain::{Checked, Status, Timestamp, Trust};
use paynowd::ledger::{Filter, Ledger, Role, Sweep};
use paynowd::reconciler::{Nightly, NightlySettings, RunSettings, SweepSettings, sweep};
use paynowd::simulator::{Misbehaviour, Mischief};
use tokio::sync::watch;

use crate::house::{House, PATIENT, USUAL, order, shop, until};
use crate::one;

/// Has somebody make a run every night. Returns once the first day is counted.
async fn keep_nights(house: &House) {
    let (keep, settings) = watch::channel(NightlySettings {
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
    let (beat, shutdown) = (house.beat.subscribe(), house.shutdown.clone());
    tokio::spawn(async move {
        nightly.run(beat, shutdown).await;
        drop(keep);
    });
    until(async || {
        house.later(Duration::ZERO);
        last_night(house).await.is_some()
    })
    .await;
}

/// A house that keeps its nights, and a payment in escrow there, whose GUID this is.
async fn with_nights() -> (House, String) {
    let house = House::open(USUAL).await;
    let payment = house.posted("INV-1", "Awaiting Delivery").await;
    house.until_confirmed("INV-1", Status::AwaitingDelivery).await;
    keep_nights(&house).await;
    (house, payment.guid)
}

async fn last_night(house: &House) -> Option<Timestamp> {
    house.ledger.reader().last_run("nightly", Timestamp::MAX_UTC).await.unwrap()
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
    let (house, guid) = with_nights().await;
    for _ in 0..30 {
        let last = last_night(&house).await;
        house.later(Duration::from_hours(24));
        until(async || last_night(&house).await != last).await;
    }
    assert!(house.gateway.polls(&guid) >= 31, "asked about every night, beyond its schedule");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_that_cannot_be_written_down_is_not_made_again_at_once() {
    let (house, guid) = with_nights().await;
    house.hurt("CREATE TRIGGER full BEFORE INSERT ON run BEGIN SELECT RAISE(ABORT, 'no room for a report'); END");
    let before = house.gateway.polls(&guid);
    house.later(Duration::from_hours(24));
    until(async || house.gateway.polls(&guid) > before).await;
    for number in 2..12 {
        let name = format!("INV-{number}");
        house.later(Duration::from_secs(1));
        house.posted(&name, "Paid").await;
        house.until_confirmed(&name, Status::Paid).await;
    }
    let asked = house.gateway.polls(&guid) - before;
    assert!(asked <= 2, "by the schedule and by one night, but {asked} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_asks_again_about_what_was_asked_by_a_clock_that_was_ahead() {
    let house = House::open(USUAL).await;
    let payment = house.posted("INV-1", "Created").await;
    let then = house.clock.now();
    house.later(Duration::from_hours(30 * 24));
    until(async || {
        house.later(Duration::from_hours(2));
        house.story("INV-1").unwrap().known.plan.due.is_none()
    })
    .await;
    let back = (house.clock.now() - then).to_std().unwrap();
    house.back(back);
    house.ledger.clock_set_back(back, house.clock.now()).await.unwrap();
    house.gateway.set_status(&payment.guid, "Paid").unwrap();
    let before = house.gateway.polls(&payment.guid);
    assert_eq!(house.night().await, Checked { payments: 1, answered: 1, ..Checked::default() });
    assert_eq!(house.gateway.polls(&payment.guid) - before, 1);
    house.until_confirmed("INV-1", Status::Paid).await;
}
