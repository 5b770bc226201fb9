//! The machine's clock is set, a day forward and a day back, while the daemon works.

use paynowd::simulator::{Misbehaviour, SimulatedPayment};

use crate::house::letters::subjects;
use crate::house::post_office::{PostOffice, Protection, Verdict};
use crate::house::{House, Settings};
use crate::kills::assert_sound;
use crate::shim::{Disk, on_a_disk};

/// In seconds.
pub const DAY: i64 = 86_400;

/// A house whose clock can be set.
pub async fn with_a_clock(settings: Settings) -> (House, Disk) {
    let mut house = House::build(on_a_disk(settings).set("mail.directory", "mail")).await;
    let disk = Disk::under(&mut house);
    house.open().await;
    (house, disk)
}

/// How often the nightly run has happened; the ledger's first opening counts as one.
fn runs(house: &House) -> u32 {
    let ledger = rusqlite::Connection::open(house.path("disk/paynowd.db")).unwrap();
    ledger.query_row("SELECT count(*) FROM run WHERE name = 'nightly'", [], |row| row.get(0)).unwrap()
}

/// Waits until it has happened so often.
pub async fn until_runs(house: &House, count: u32) {
    house.wait(|| (runs(house) >= count).then_some(())).await.unwrap_or_else(|| panic!("{}", house.log()));
}

/// Everything about a payment happened, and happened once.
async fn assert_paid_once(house: &House, payment: &SimulatedPayment) {
    let story = house.until_it_is(&payment.guid, "paid", "confirmed").await;
    let outcomes: Vec<_> = story["events"].as_array().unwrap().iter().map(|event| &event["outcome"]).collect();
    assert_eq!(outcomes, ["opened", "confirmed"], "{story:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_a_day_forward_and_back_repeats_nothing_and_stops_nothing() {
    let (house, disk) = with_a_clock(Settings::usual()).await;
    let today = house.pay("INV-1", "25.00").await;
    assert_paid_once(&house, &today).await;
    house.until_letters(1).await;
    until_runs(&house, 1).await;
    disk.set_clock_wrong_by(DAY);
    until_runs(&house, 2).await;
    house.until_letters(2).await;
    let tomorrow = house.pay("INV-2", "25.00").await;
    assert_paid_once(&house, &tomorrow).await;
    house.until_letters(3).await;
    disk.set_clock_wrong_by(-DAY);
    let yesterday = house.pay("INV-3", "25.00").await;
    assert_paid_once(&house, &yesterday).await;
    house.until_letters(4).await;
    disk.set_clock_wrong_by(0);
    let again = house.pay("INV-4", "25.00").await;
    assert_paid_once(&house, &again).await;
    let letters = house.until_letters(5).await;
    let (reports, told): (Vec<_>, Vec<_>) =
        subjects(&letters).into_iter().partition(|subject| subject.starts_with("Paynow "));
    assert_eq!(reports.len(), 1, "{reports:?}");
    let wanted = ["INV-1", "INV-2", "INV-3", "INV-4"].map(|reference| format!("Paid: USD 25.00, {reference}"));
    assert_eq!(told, wanted);
    assert_eq!(runs(&house), 2, "one night has passed, however often the clock went over it");
    for payment in [&today, &tomorrow, &yesterday] {
        assert_paid_once(&house, payment).await;
    }
    assert_sound(&house);
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_and_letters_that_wait_are_not_put_off_by_a_clock_that_is_set_back() {
    let office = PostOffice::open(Protection::Plain, &[Verdict::Later; 3]).await;
    let settings = Settings::usual().smtp(office.port, "none").set("mail.retry", ["1s"]);
    let (house, disk) = with_a_clock(settings).await;
    let told = house.pay("INV-1", "25.00").await;
    house.until_it_is(&told.guid, "paid", "confirmed").await;
    house.gateway.misbehave(Misbehaviour::UnsignedError);
    let asked = house.pay("INV-2", "25.00").await;
    house.until_logged("letter not sent yet").await;
    house.until(&asked.guid, |story| !story["polls"].as_array().unwrap().is_empty()).await;
    disk.set_clock_wrong_by(-DAY);
    house.gateway.behave();
    house.until_it_is(&asked.guid, "paid", "confirmed").await;
    office.until_letters(2).await;
}
