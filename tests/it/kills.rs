//! Killed, and told to stop, at instants nobody chose, while posts come in, polls are out and letters leave.
//!
//! `PAYNOWD_TEST_KILLS` says how many cycles (25 unless told otherwise, 300 take a few minutes), `PAYNOWD_TEST_SEED`
//! repeats a run's instants.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paynowd::simulator::SimulatedPayment;

use crate::house::crowd::{Crowd, assert_all_in};
use crate::house::dice::Dice;
use crate::house::post_office::{PostOffice, Protection, Verdict};
use crate::house::{House, Settings};

/// How long after the posts begin the end may come, in microseconds: when a crowd is done, polls and letters go on.
const SOMETIME: u64 = 200_000;

/// How many payments each cycle brings; a few of them are paid.
const PAYMENTS: usize = 40;
const PAID: usize = 8;

/// How many cycles there shall be, in how many houses: a new one after `usual` cycles, because all that a ledger holds
/// is verified after each.
pub fn houses(usual: usize) -> Vec<usize> {
    let mut cycles = std::env::var("PAYNOWD_TEST_KILLS").map_or(usual, |kills| kills.parse().expect("a number"));
    let mut houses = Vec::new();
    while cycles > 0 {
        houses.push(cycles.min(usual));
        cycles -= cycles.min(usual);
    }
    houses
}

fn reference(cycle: usize, number: usize) -> String {
    format!("INV-{cycle}-{number}")
}

/// A cycle's payments: first those that are paid, then those whose customers are still thinking.
fn payments(house: &House, cycle: usize) -> (Vec<SimulatedPayment>, Vec<SimulatedPayment>) {
    let payment = |number| house.begin(&reference(cycle, number), "1.00");
    let paid: Vec<_> = (0..PAID).map(payment).collect();
    for payment in &paid {
        house.gateway.set_status(&payment.guid, "Paid").unwrap();
    }
    (paid, (PAID..PAYMENTS).map(payment).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_instants_under_load_the_daemon_keeps_every_promise() {
    let mut dice = Dice::new();
    for cycles in houses(25) {
        kill_over_and_over(cycles, &mut dice).await;
    }
}

async fn kill_over_and_over(cycles: usize, dice: &mut Dice) {
    // Every fourth letter is heard and its receipt lost, so that there are repeats whatever the instants.
    let plan: Vec<_> = (0..4000).map(|_| if dice.below(4) == 0 { Verdict::HangUp } else { Verdict::Take }).collect();
    let office = PostOffice::open(Protection::Plain, &plan).await;
    let settings = Settings::usual().smtp(office.port, "none").set("poll.pending", ["1h x10"]);
    let mut house = House::start(settings).await;
    let (mut acknowledged, mut to_be_told) = (Vec::new(), BTreeMap::new());
    for cycle in 0..cycles {
        let (paid, sent) = payments(&house, cycle);
        let (thinking, paying) = (Crowd::begin(&house, &sent, "Sent"), Crowd::begin(&house, &paid, "Paid"));
        tokio::time::sleep(Duration::from_micros(dice.below(SOMETIME))).await;
        house.kill();
        // Nobody has put anything right yet.
        assert_verifies(&house);
        acknowledged.extend(thinking.told().await.acknowledged);
        let paying = paying.told().await.acknowledged;
        let by_guid = |(number, payment): (usize, SimulatedPayment)| (payment.guid, reference(cycle, number));
        let told = paid.into_iter().enumerate().filter(|(_, payment)| paying.contains(&payment.guid));
        to_be_told.extend(told.map(by_guid));
        acknowledged.extend(paying);
        assert_all_in(&house, &acknowledged);
        house.open().await;
    }
    assert!(!to_be_told.is_empty(), "nothing was acknowledged before the end came");
    let all_told = || house.mail_json().iter().all(|letter| letter["state"] == "sent").then_some(());
    let confirmed = || {
        let stored = house.payments_json(&["--status", "paid"]);
        let known = stored.iter().filter(|row| row["trust"] == "confirmed");
        let known: BTreeSet<_> = known.filter_map(|row| row["gateway_key"].as_str()).collect();
        to_be_told.keys().all(|guid| known.contains(guid.as_str())).then_some(())
    };
    house.wait(confirmed).await.expect("every paid payment is confirmed");
    house.wait(all_told).await.expect("every letter goes out");
    assert_sound(&house);
    assert_told(&office, to_be_told.values());
}

/// The file is sound, the chain holds, and every payment is what its events make of it.
pub fn assert_verifies(house: &House) {
    assert!(house.done(&["ledger", "verify"]).ends_with("in order\n"));
}

/// The same, and a fold of everything finds nothing else.
pub fn assert_sound(house: &House) {
    assert_verifies(house);
    assert!(house.done(&["ledger", "rebuild", "--check"]).ends_with("in order\n"));
}

/// Each of these was told, and whatever was told twice was told by the same letter.
fn assert_told<'a>(office: &PostOffice, references: impl Iterator<Item = &'a String>) {
    let letters = office.letters();
    let mut ids: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (_, _, letter) in &letters {
        ids.entry(letter.subject()).or_default().insert(letter.message_id());
    }
    for reference in references {
        assert!(ids.contains_key(format!("Paid: USD 1.00, {reference}").as_str()), "nobody was told of {reference}");
    }
    let distinct: BTreeSet<_> = letters.iter().map(|(_, _, letter)| letter.message_id()).collect();
    assert!(ids.values().all(|ids| ids.len() == 1), "a letter was repeated under another name: {ids:?}");
    assert_eq!(distinct.len(), ids.len(), "two letters have one name");
    assert!(letters.len() > ids.len(), "no letter was ever repeated: nothing was tried");
    eprintln!("{} letters, {} of them repeated", ids.len(), letters.len() - ids.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_at_random_instants_the_daemon_finishes_every_answer_it_began() {
    let mut dice = Dice::new();
    for cycles in houses(4) {
        stop_over_and_over(cycles, &mut dice).await;
    }
}

async fn stop_over_and_over(cycles: usize, dice: &mut Dice) {
    let mut house = House::start(Settings::usual().set("poll.pending", ["1h x10"])).await;
    let mut acknowledged = Vec::new();
    for cycle in 0..cycles {
        let (paid, sent) = payments(&house, cycle);
        let (thinking, paying) = (Crowd::begin(&house, &sent, "Sent"), Crowd::begin(&house, &paid, "Paid"));
        tokio::time::sleep(Duration::from_micros(dice.below(SOMETIME / 4))).await;
        house.stop().await;
        for told in [thinking.told().await, paying.told().await] {
            assert_eq!(told.cut_off, 0, "an answer was cut off in the middle");
            acknowledged.extend(told.acknowledged);
        }
        assert_all_in(&house, &acknowledged);
        let unanswered = house.payments_json(&[]).len() - acknowledged.len();
        assert_eq!(unanswered, 0, "what was recorded was not answered");
        house.open().await;
    }
    assert!(!acknowledged.is_empty());
    assert_sound(&house);
}
