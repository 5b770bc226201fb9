//! Power losses on a disk that forgets what was not synced, and on one that lies about it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::house::crowd::{Crowd, assert_all_in};
use crate::house::dice::Dice;
use crate::house::{House, Settings};
use crate::kills::{assert_sound, assert_verifies, houses};
use crate::shim::{Disk, on_a_disk};

/// How long after the posts begin the power may go, in microseconds.
const SOMETIME: u64 = 300_000;

/// A house on a disk that can lose power, without the daemon. Payments other than paid ones are left alone.
async fn on_mortal_disk() -> (House, Disk) {
    let mut house = House::build(on_a_disk(Settings::usual()).set("poll.pending", ["1h x10"])).await;
    let disk = Disk::under(&mut house);
    (house, disk)
}

/// The letters that the ledger believes to be in the directory are there, and nothing half-written is.
fn assert_letters_kept(house: &House) {
    let letters = crate::house::letters::read(&house.path("disk/mail"));
    let there: BTreeSet<_> = letters.iter().map(|letter| letter.subject().to_owned()).collect();
    for letter in house.mail_json().iter().filter(|letter| letter["state"] == "sent") {
        let subject = format!("Paid: USD 1.00, {}", letter["reference"].as_str().unwrap());
        assert!(there.contains(&subject), "{subject:?} was noted as sent and is lost");
    }
}

/// Pays so many while others begin to, and returns what was acknowledged until the power goes.
async fn load(house: &mut House, cycle: usize, dice: &mut Dice) -> Vec<String> {
    let payments: Vec<_> = (0..60).map(|number| house.begin(&format!("INV-{cycle}-{number}"), "1.00")).collect();
    for payment in &payments[..8] {
        house.gateway.set_status(&payment.guid, "Paid").unwrap();
    }
    let (paying, thinking) = (Crowd::begin(house, &payments[..8], "Paid"), Crowd::begin(house, &payments[8..], "Sent"));
    tokio::time::sleep(Duration::from_micros(dice.below(SOMETIME))).await;
    house.kill();
    [paying.told().await.acknowledged, thinking.told().await.acknowledged].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_power_loss_everything_acknowledged_and_every_letter_sent_is_on_the_disk() {
    let mut dice = Dice::new();
    for cycles in houses(10) {
        lose_power_over_and_over(cycles, &mut dice).await;
    }
}

async fn lose_power_over_and_over(cycles: usize, dice: &mut Dice) {
    let (mut house, disk) = on_mortal_disk().await;
    let mut acknowledged = Vec::new();
    for cycle in 0..cycles {
        house.open().await;
        acknowledged.extend(load(&mut house, cycle, dice).await);
        // Either nothing unsynced is on the disk, or any part of it.
        let lucky = dice.below(2) == 0;
        disk.lose_power(lucky.then_some(&mut *dice));
        assert_verifies(&house);
        assert_all_in(&house, &acknowledged);
        assert_letters_kept(&house);
    }
    assert!(!acknowledged.is_empty(), "nothing was acknowledged before the power went");
    house.open().await;
    house.wait(|| house.mail_json().iter().all(|letter| letter["state"] == "sent").then_some(())).await.unwrap();
    house.stop().await;
    disk.lose_power(None);
    assert_all_in(&house, &acknowledged);
    assert_letters_kept(&house);
    assert_sound(&house);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_only_claims_to_have_synced_is_seen_to_lose_what_was_acknowledged() {
    let (mut house, disk) = on_mortal_disk().await;
    house.open().await;
    let honest: Vec<_> = (0..40).map(|number| house.begin(&format!("INV-1-{number}"), "1.00")).collect();
    let honest = Crowd::begin(&house, &honest, "Sent").told().await.acknowledged;
    disk.fail("lie");
    let lied: Vec<_> = (0..40).map(|number| house.begin(&format!("INV-2-{number}"), "1.00")).collect();
    let lied = Crowd::begin(&house, &lied, "Sent").told().await.acknowledged;
    house.kill();
    assert_eq!((honest.len(), lied.len()), (40, 40));
    assert_all_in(&house, &[honest.clone(), lied.clone()].concat());
    disk.lose_power(None);
    assert_all_in(&house, &honest);
    let stored = house.payments_json(&[]);
    assert!(!stored.iter().any(|payment| lied.iter().any(|guid| payment["gateway_key"] == **guid)), "the lie told");
    assert_sound(&house);
}
