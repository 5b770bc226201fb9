//! Claims that nobody confirms: when their letters are due, and to whom.

use super::letters::{BOOKS, OWNER, both, letter};
use super::*;

#[tokio::test]
async fn an_unconfirmed_letter_waits_for_its_time_and_is_withdrawn_by_the_confirmation() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    house.post(2, "Paid", at(1)).await;
    let waits_until = |payment| house.story(payment).known.unconfirmed_at;
    assert_eq!((waits_until(1), waits_until(2)), (Some(at(15 * 60)), Some(at(15 * 60 + 1))));
    assert!(house.due(at(15 * 60 - 1)).await.is_empty());
    assert_eq!((house.letters(1), house.ledger.reader().waiting().await.unwrap().1), (Vec::new(), 0));
    assert_eq!(house.ledger.due_letters(at(1), 9).await.unwrap().1, Some(at(15 * 60)));
    house.poll(2, "Paid", at(5)).await;
    assert_eq!((house.letters(2), waits_until(2)), (vec![letter(OWNER, "paid", "waiting")], None));

    let house = house.begun_anew();
    let due: Vec<_> = house.due(at(15 * 60)).await.into_iter().map(|it| it.about.code()).collect();
    assert_eq!(due, ["paid", "unconfirmed:paid"]);
    assert_eq!(house.letters(1), [letter(OWNER, "unconfirmed:paid", "waiting")]);
    assert_eq!((house.story(1).known.unconfirmed_at, house.ledger.reader().waiting().await.unwrap().1), (None, 2));
    assert_eq!(house.ledger.due_letters(at(15 * 60), 9).await.unwrap().1, None, "it is said once");
    house.poll(1, "Paid", at(15 * 60 + 1)).await;
    assert_eq!(house.letters(1), [letter(OWNER, "paid", "waiting")], "it was never tried, so nobody can have it");
}

#[tokio::test]
async fn whoever_was_to_be_told_of_any_number_of_unconfirmed_claims_is() {
    let house = House::with(both(), |_| {});
    for payment in 0..=u8::MAX {
        house.post(payment, "Paid", at(0)).await;
    }
    let due = house.ledger.due_letters(at(15 * 60), 999).await.unwrap().0;
    for recipient in [OWNER, BOOKS] {
        assert_eq!(due.iter().filter(|letter| letter.recipient == recipient).count(), 256, "{recipient}");
    }
}

#[tokio::test]
async fn a_claim_is_told_to_those_who_were_to_hear_of_it_when_it_came() {
    let house = House::with(Terms { recipients: vec![OWNER.into()], ..terms() }, |_| {});
    house.post(1, "Paid", at(0)).await;
    let fields = Fields::parse(&message(1, "Paid", "25.00"), 64).unwrap();
    let more = fields.iter().filter(|(name, _)| *name != "hash").chain([("paymentchannel", "ecocash")]);
    let again = hash::sign(Fields::from_pairs(more), "hash", Rule::Values, &Key::guid(KEY).unwrap()).encode();
    let others = Arc::new(Terms { recipients: vec![BOOKS.into()], ..terms() });
    let again = house.posted(again.as_bytes(), at(1));
    let recorded = house.ledger.record(again, None, others, Admission::Wait).await.unwrap();
    assert_eq!((recorded.outcome, house.story(1).known.payment.last_changed), (Outcome::Repeated, at(1)));
    let told: Vec<_> = house.due(at(15 * 60)).await.into_iter().map(|letter| letter.recipient).collect();
    assert_eq!(told, [OWNER]);
}

#[tokio::test]
async fn a_damaged_claim_keeps_no_other_letter_waiting() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    house.post(2, "Paid", at(1)).await;
    house.foreign().execute("UPDATE payment SET status = 'splendid' WHERE id = 1", []).unwrap();
    let due = house.due(at(15 * 60 + 1)).await;
    let [letter] = &due[..] else { panic!("{due:?}") };
    let About::Payment { payment, .. } = &letter.about else { panic!("{letter:?}") };
    assert_eq!(payment.key, key(2));
}

#[tokio::test]
async fn a_claim_heard_by_a_clock_that_was_ahead_is_told_as_long_after_it_as_any_other() {
    let (house, day) = (House::new(), 24 * 3600);
    house.post(1, "Paid", at(day)).await;
    house.post(2, "Paid", at(1)).await;
    house.ledger.clock_set_back(Duration::from_hours(24), at(2)).await.unwrap();
    let waits_until = |payment| house.story(payment).known.unconfirmed_at;
    assert_eq!((waits_until(1), waits_until(2)), (Some(at(15 * 60)), Some(at(15 * 60 + 1))));
}
