//! A payment is a fold of its events, whatever happened.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const WORDS: [&str; 8] =
    ["Created", "Sent", "Paid", "Awaiting Delivery", "Cancelled", "Disputed", "Refunded", "On Hold"];

/// What a payment row and a fold of its events have in common.
type State = (String, String, Option<String>, Option<String>, Option<String>, Option<i64>);

/// The payments that are not what their events say.
fn unlike_their_events(file: &Connection) -> Vec<(i64, State, State)> {
    let state = |row: &rusqlite::Row<'_>| -> rusqlite::Result<State> {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
    };
    let mut payments = file
        .prepare("SELECT status, trust, wire_status, reference, gateway_reference, amount, id FROM payment")
        .unwrap();
    let payments = payments.query_map([], |row| Ok((state(row)?, row.get::<_, i64>(6)?))).unwrap();
    payments
        .map(Result::unwrap)
        .filter_map(|(payment, id)| {
            let mut events = file
                .prepare(
                    "SELECT status, trust, wire_status, reference, gateway_reference, amount, outcome FROM event \
                     WHERE payment_id = ?1 ORDER BY id",
                )
                .unwrap();
            let events = events.query_map([id], |row| Ok((state(row)?, row.get::<_, String>(6)?))).unwrap();
            let mut fold: Option<State> = None;
            for (event, outcome) in events.map(Result::unwrap) {
                fold = match fold {
                    Some(before) if matches!(&*outcome, "repeated" | "regressed" | "unrecognised") => {
                        assert_eq!((&before.0, &before.1), (&event.0, &event.1), "{outcome} changed something");
                        Some(before)
                    }
                    _ => Some(event),
                };
            }
            let fold = fold.expect("a payment has an event");
            (fold != payment).then_some((id, payment, fold))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn every_payment_is_the_fold_of_its_events(
        everything in prop::collection::vec((0..4_u8, select(&WORDS[..]), any::<bool>(), select(vec!["25.00", "25.00", "41.00"])), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let house = House::new();
            for (when, (payment, word, by_poll, amount)) in (0_i64..).zip(everything) {
                let known = !house.ledger.reader().stories(key(payment).as_str(), None).unwrap().is_empty();
                if by_poll && known {
                    house.poll(payment, word, at(when)).await;
                } else {
                    house.hear(&message(payment, word, amount), at(when), Admission::Wait).await.unwrap();
                }
            }
            assert_eq!(unlike_their_events(&house.foreign()), []);
            chain::assert_unbroken(&house.foreign());
            assert_eq!(house.ledger.reader().verify(Scope::Whole).unwrap().flaws, []);
        });
    }
}

#[tokio::test]
async fn a_payment_that_was_edited_is_unlike_its_events() {
    let house = House::new();
    house.post(1, "Created", at(0)).await;
    house.foreign().execute("UPDATE payment SET status = 'paid'", []).unwrap();
    assert_eq!(unlike_their_events(&house.foreign()).len(), 1);
}

#[tokio::test]
async fn what_the_gateway_last_confirmed_is_remembered_behind_later_claims() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    assert_eq!(house.story(1).known.proven, None);
    house.poll(1, "Paid", at(1)).await;
    assert_eq!(house.story(1).known.proven, Some(Status::Paid));
    house.post(1, "Refunded", at(2)).await;
    assert_eq!(house.story(1).known.proven, Some(Status::Paid));
    assert_eq!(house.poll(1, "Created", at(3)).await, Outcome::Regressed);
    assert_eq!(house.poll(1, "Paid", at(4)).await, Outcome::Corrected);
    assert_eq!(house.story(1).known.payment.status, Status::Paid);
}
