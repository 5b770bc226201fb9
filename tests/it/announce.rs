//! When the merchant is told, and what becomes of a letter that turned out to be too early.

use paynowd::simulator::{Misbehaviour, PostSpec};
use serde_json::Value;

use crate::house::letters::{Letter, subjects};
use crate::house::post_office::{PostOffice, Protection, Verdict};
use crate::house::{House, Settings};

fn letters_of(story: &Value) -> Vec<(&str, &str)> {
    let letters = story["letters"].as_array().unwrap().iter();
    let mut letters: Vec<_> =
        letters.map(|letter| (letter["notice"].as_str().unwrap(), letter["state"].as_str().unwrap())).collect();
    letters.sort_unstable();
    letters
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_to_hear_at_once_is_told_at_once_and_not_again_on_confirmation() {
    let house = House::start(Settings::usual().set("integrations.shop.announce", "reported")).await;
    house.gateway.misbehave(Misbehaviour::UnsignedError);
    let payment = house.pay("INV-32", "25.00").await;
    let letters = house.until_letters(1).await;
    assert_eq!(subjects(&letters), ["Reported: Paid, USD 25.00, INV-32"]);
    assert!(letters[0].text.contains("Reported, not confirmed yet."), "{}", letters[0].text);
    assert!(letters[0].text.contains("before you hand over the goods"), "{}", letters[0].text);
    assert_eq!(house.show_json(&payment.guid)["trust"], "reported");
    house.gateway.behave();
    let story = house.until_it_is(&payment.guid, "paid", "confirmed").await;
    assert_eq!(letters_of(&story).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_posted_again_is_told_to_nobody_again() {
    let office = PostOffice::open(Protection::Plain, &[]).await;
    let settings = Settings::usual().set("integrations.shop.announce", "reported").smtp(office.port, "none");
    let house = House::start(settings).await;
    let payment = house.pay("INV-32", "25.00").await;
    office.until_letters(1).await;
    house.until(&payment.guid, |story| letters_of(story) == [("reported:paid", "sent")]).await;
    for _ in 0..3 {
        assert_eq!(house.post(&payment, &PostSpec::status("Paid")).await, 200);
    }
    // Whatever those posts may have written went before the letter of this one.
    house.pay("INV-33", "1.00").await;
    let letters = office.until_letters(2).await;
    let subjects: Vec<_> = letters.iter().map(|(.., letter)| letter.subject()).collect();
    assert_eq!(subjects, ["Reported: Paid, USD 25.00, INV-32", "Reported: Paid, USD 1.00, INV-33"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_confirmed_in_time_is_told_plainly_and_again_once_it_is_confirmed() {
    let house = House::start(Settings::usual().set("integrations.shop.announce_after", "300ms")).await;
    house.gateway.misbehave(Misbehaviour::UnsignedError);
    let payment = house.pay("INV-32", "25.00").await;
    let letters = house.until_letters(1).await;
    assert_eq!(subjects(&letters), ["Unconfirmed: Paid, USD 25.00, INV-32"]);
    assert!(letters[0].text.contains("How sure is this? Not confirmed."), "{}", letters[0].text);
    house.gateway.behave();
    let story = house.until_it_is(&payment.guid, "paid", "confirmed").await;
    assert_eq!(letters_of(&story).len(), 2);
    let letters = house.until_letters(2).await;
    assert_eq!(subjects(&letters), ["Paid: USD 25.00, INV-32", "Unconfirmed: Paid, USD 25.00, INV-32"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_confirmed_in_time_is_told_once() {
    let house = House::start(Settings::usual().set("integrations.shop.announce_after", "15m")).await;
    house.gateway.misbehave(paynowd::simulator::Mischief::next(1, Misbehaviour::ErrorThenOk));
    let payment = house.pay("INV-32", "25.00").await;
    let story = house.until_it_is(&payment.guid, "paid", "confirmed").await;
    assert_eq!(letters_of(&story).into_iter().map(|(notice, _)| notice).collect::<Vec<_>>(), ["paid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_about_a_claim_the_gateway_takes_back_is_followed_by_a_correction() {
    let house = House::start(Settings::usual().set("integrations.shop.announce", "reported")).await;
    house.gateway.misbehave(Misbehaviour::UnsignedError);
    let payment = house.begin("INV-32", "25.00");
    assert_eq!(house.post(&payment, &PostSpec::status("Paid")).await, 200);
    house.until_letters(1).await;
    house.gateway.set_status(&payment.guid, "Sent").unwrap();
    house.gateway.behave();
    house.until_it_is(&payment.guid, "pending", "confirmed").await;
    let letters = house.until_letters(2).await;
    assert_eq!(subjects(&letters), ["Correction: Sent, USD 25.00, INV-32", "Reported: Paid, USD 25.00, INV-32"]);
    assert!(letters[1].text.contains("Please set aside what we wrote about this payment before."));
    // Should it be paid after all, that is news.
    house.gateway.move_to(&payment.guid, "Paid").await.unwrap();
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    let letters = house.until_letters(3).await;
    assert_eq!(
        letters.iter().filter(|letter| letter.subject().contains("Paid")).count(),
        2,
        "{:?}",
        subjects(&letters)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_on_its_way_when_the_gateway_takes_the_claim_back_is_corrected_too() {
    let office = PostOffice::open(Protection::Plain, &[Verdict::TakeLate]).await;
    let settings = Settings::usual().set("integrations.shop.announce", "reported").smtp(office.port, "none");
    let house = House::start(settings).await;
    house.gateway.misbehave(Misbehaviour::UnsignedError);
    let payment = house.begin("INV-32", "25.00");
    assert_eq!(house.post(&payment, &PostSpec::status("Paid")).await, 200);
    office.until_letters(1).await;
    house.gateway.behave();
    house.until_it_is(&payment.guid, "created", "confirmed").await;
    office.take_it();
    let letters = office.until_letters(2).await;
    let subjects: Vec<_> = letters.iter().map(|(.., letter)| letter.subject()).collect();
    assert_eq!(subjects, ["Reported: Paid, USD 25.00, INV-32", "Correction: Created, USD 25.00, INV-32"]);
    let sent = |story: &Value| letters_of(story).iter().all(|(_, state)| *state == "sent");
    assert_eq!(letters_of(&house.until(&payment.guid, sent).await).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_on_its_way_when_its_claim_is_confirmed_does_not_swallow_the_confirmation() {
    let office = PostOffice::open(Protection::Plain, &[Verdict::TakeLate]).await;
    let settings = Settings::usual().set("integrations.shop.announce_after", "100ms").smtp(office.port, "none");
    let house = House::start(settings).await;
    house.gateway.misbehave(Misbehaviour::UnsignedError);
    let payment = house.pay("INV-32", "25.00").await;
    office.until_letters(1).await;
    house.gateway.behave();
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    office.take_it();
    let letters = office.until_letters(2).await;
    let subjects: Vec<_> = letters.iter().map(|(.., letter)| letter.subject()).collect();
    assert_eq!(subjects, ["Unconfirmed: Paid, USD 25.00, INV-32", "Paid: USD 25.00, INV-32"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_was_never_tried_does_not_go_out_once_its_claim_is_taken_back() {
    let office = PostOffice::open(Protection::Plain, &[Verdict::TakeLate]).await;
    let settings = Settings::usual()
        .set("integrations.shop.notify", ["one@shop.example", "two@shop.example"])
        .set("integrations.shop.announce", "reported");
    let house = House::start(settings.smtp(office.port, "none")).await;
    house.gateway.misbehave(Misbehaviour::UnsignedError);
    let payment = house.begin("INV-32", "25.00");
    assert_eq!(house.post(&payment, &PostSpec::status("Paid")).await, 200);
    // While the post office takes its time over the first letter, the second is in the postman's bag.
    let first = office.until_letters(1).await.remove(0).1;
    house.gateway.behave();
    house.until_it_is(&payment.guid, "created", "confirmed").await;
    office.take_it();
    let corrected = office.until_letters(2).await.remove(1);
    assert_eq!((corrected.1, corrected.2.subject()), (first, "Correction: Created, USD 25.00, INV-32"));
    house.pay("INV-33", "1.00").await;
    let letters = office.until_letters(4).await;
    assert!(letters[2..].iter().all(|(.., letter)| letter.subject().ends_with("USD 1.00, INV-33")), "{letters:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_letter_about_a_claim_the_gateway_takes_back_is_not_sent_by_hand() {
    let office = PostOffice::open(Protection::Plain, &[Verdict::Refuse]).await;
    let settings = Settings::usual().set("integrations.shop.announce", "reported").smtp(office.port, "none");
    let house = House::start(settings).await;
    house.gateway.misbehave(Misbehaviour::UnsignedError);
    let payment = house.begin("INV-32", "25.00");
    assert_eq!(house.post(&payment, &PostSpec::status("Paid")).await, 200);
    house.until(&payment.guid, |story| letters_of(story) == [("reported:paid", "refused")]).await;
    house.gateway.set_status(&payment.guid, "Cancelled").unwrap();
    house.gateway.behave();
    let told = |story: &Value| letters_of(story) == [("cancelled", "sent"), ("reported:paid", "withdrawn")];
    house.until(&payment.guid, told).await;
    assert!(house.done(&["mail", "retry"]).starts_with("no letter has been tried"), "there is nothing that may go");
    house.pay("INV-33", "1.00").await;
    let letters = office.until_letters(2).await;
    let subjects: Vec<_> = letters.iter().map(|(.., letter)| letter.subject()).collect();
    assert_eq!(subjects, ["Cancelled: USD 25.00, INV-32", "Reported: Paid, USD 1.00, INV-33"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_was_never_told_and_does_not_hold_is_not_corrected() {
    let house = House::start(Settings::usual().set("integrations.shop.announce_after", "15m")).await;
    let payment = house.begin("INV-32", "25.00");
    assert_eq!(house.post(&payment, &PostSpec::status("Paid")).await, 200);
    let story = house.until_it_is(&payment.guid, "created", "confirmed").await;
    assert!(letters_of(&story).is_empty());
    house.gateway.move_to(&payment.guid, "Paid").await.unwrap();
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    assert_eq!(subjects(&house.until_letters(1).await), ["Paid: USD 25.00, INV-32"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_recipient_gets_one_letter_about_each_state_they_asked_for() {
    let settings = Settings::usual()
        .set("integrations.shop.notify", ["owner@shop.example", "books@shop.example"])
        .set("integrations.shop.notify_on", ["paid", "refunded"]);
    let house = House::start(settings).await;
    let payment = house.begin("INV-32", "25.00");
    for (word, status) in [("Awaiting Delivery", "awaiting-delivery"), ("Paid", "paid"), ("Refunded", "refunded")] {
        for _ in 0..2 {
            house.gateway.move_to(&payment.guid, word).await.unwrap();
        }
        house.until_it_is(&payment.guid, status, "confirmed").await;
    }
    let letters = house.until_letters(4).await;
    let mut sent: Vec<_> = letters.iter().map(|letter| (letter.to(), letter.subject())).collect();
    sent.sort_unstable();
    let (paid, refunded) = ("Paid: USD 25.00, INV-32", "Refunded: USD 25.00, INV-32");
    let (books, owner) = ("books@shop.example", "owner@shop.example");
    assert_eq!(sent, [(books, paid), (books, refunded), (owner, paid), (owner, refunded)]);
    let mut names: Vec<_> = letters.iter().map(Letter::message_id).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 4, "each letter has a name of its own");
}
