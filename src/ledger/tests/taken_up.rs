//! A letter between the ledger's note that it is being tried and its way to the mail server.

use super::letters::{OWNER, both, letter as told, reporting};
use super::*;

#[tokio::test]
async fn a_letter_that_was_taken_up_and_not_tried_waits_as_before() {
    let house = House::with(Terms { recipients: vec![OWNER.into()], ..reporting() }, |_| {});
    let tried = || house.story(1).letters.iter().map(|it| (it.state.clone(), it.attempts)).collect::<Vec<_>>();
    house.post(1, "Paid", at(0)).await;
    let letter = &house.due(at(0)).await[0];
    house.carry(letter, Attempt::NotMade, at(1)).await;
    assert_eq!(tried(), [("waiting".into(), 0)]);
    let later = Attempt::Deferred { until: at(1), error: "not now".into() };
    house.carry(letter, later, at(1)).await;
    house.carry(letter, Attempt::NotMade, at(1)).await;
    assert_eq!(tried(), [("waiting".into(), 1)], "tried once");
}

#[tokio::test]
async fn a_letter_that_was_retried_while_it_lay_here_untried_is_due_like_a_new_one() {
    let house = House::with(Terms { recipients: vec![OWNER.into()], ..reporting() }, |_| {});
    house.post(1, "Paid", at(0)).await;
    let letter = house.due(at(0)).await.remove(0);
    assert!(house.take_up(&letter).await);
    assert_eq!(house.ledger.retry_letters(None, at(1)).await.unwrap(), 1);
    house.settle(&letter, Attempt::NotMade, at(2)).await;
    let due = house.due(at(3)).await;
    assert_eq!(due.iter().map(|letter| letter.attempts).collect::<Vec<_>>(), [0]);
}

#[tokio::test]
async fn a_letter_is_taken_up_as_its_payment_stands_and_does_not_go_once_there_is_news_of_that() {
    let house = House::with(Terms { recipients: vec![OWNER.into()], ..both() }, |_| {});
    let stands = |letter: &Letter| match &letter.about {
        About::Payment { payment, .. } => payment.status,
        About::Report(_) => panic!("{letter:?}"),
    };
    for payment in [1, 2] {
        house.post(payment, "Paid", at(0)).await;
    }
    house.poll(1, "Paid", at(0)).await;
    let due = house.due(at(0)).await.remove(0);
    house.poll(1, "Disputed", at(1)).await;
    let take_up = |carried| house.ledger.next_letter(carried, Some(due.clone()), at(2));
    let before = take_up(Vec::new()).await.unwrap().unwrap();
    house.poll(2, "Paid", at(3)).await;
    house.poll(1, "Refunded", at(3)).await;
    assert!(!house.ledger.hand_out(due.id), "there is news");
    let after = take_up(vec![(due.id, Attempt::NotMade)]).await.unwrap().unwrap();
    assert_eq!([&due, &before, &after].map(stands), [Status::Paid, Status::Disputed, Status::Refunded]);
    house.poll(2, "Refunded", at(4)).await;
    assert!(house.ledger.hand_out(due.id), "that was news of another");
}

#[tokio::test]
async fn a_letter_that_lies_here_is_withdrawn_as_if_nobody_had_touched_it_and_one_that_is_on_its_way_is_corrected() {
    let house = House::with(Terms { recipients: vec![OWNER.into()], ..reporting() }, |_| {});
    for (payment, is_handed_out) in [(1, false), (2, true)] {
        house.post(payment, "Paid", at(0)).await;
        let letter = house.due(at(0)).await.pop().unwrap();
        assert!(house.take_up(&letter).await);
        assert!(!is_handed_out || house.ledger.hand_out(letter.id));
        house.poll(payment, "Created", at(1)).await;
        let corrected = [told(OWNER, "corrected:created", "waiting"), told(OWNER, "reported:paid", "withdrawn")];
        assert_eq!(house.letters(payment), if is_handed_out { &corrected[..] } else { &[] });
        assert!(!house.ledger.hand_out(letter.id), "it must not go, or has gone");
        if !is_handed_out {
            house.settle(&letter, Attempt::NotMade, at(2)).await;
            assert!(house.letters(payment).is_empty());
        }
    }
}

#[tokio::test]
async fn what_was_taken_up_by_a_process_that_ended_may_have_gone() {
    let house = House::with(Terms { recipients: vec![OWNER.into()], ..reporting() }, |_| {});
    house.post(1, "Paid", at(0)).await;
    assert!(house.take_up(&house.due(at(0)).await[0]).await);
    let house = house.begun_anew();
    house.poll(1, "Created", at(1)).await;
    assert_eq!(house.letters(1)[0], told(OWNER, "corrected:created", "waiting"));
}
