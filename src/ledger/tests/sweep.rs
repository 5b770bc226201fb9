//! What a run goes through, and what asking brought.

use std::collections::BTreeSet;

use super::*;

/// A sweep of the shop that begins at this instant and looks back to that.
fn sweep(began: Timestamp, final_since: Timestamp) -> Sweep {
    Sweep { integration: shop(), began, final_since, open_since: at(0) }
}

impl House {
    /// Every subject, in the order of the sweep, gathered in slices of `most`.
    async fn swept(&self, sweep: &Sweep, most: usize) -> Vec<Subject> {
        let (mut place, mut all) = (Some(Place::default()), Vec::new());
        while let Some(from) = place {
            let slice = self.ledger.reader().slice(sweep.clone(), from, most).await.unwrap();
            assert!(slice.subjects.len() <= most);
            all.extend(slice.subjects);
            place = slice.next;
        }
        all
    }

    /// The subject that is the payment with this number.
    fn subject(&self, payment: u8) -> Subject {
        let sql = format!("SELECT id FROM payment WHERE reference = 'INV-{payment}'");
        Subject::Payment(self.ask(&sql).unwrap())
    }

    /// Five payments of the first minute: 1 final, 2 claimed, 3 unpaid, 4 held, 5 final, and one of another
    /// integration.
    async fn with_five() -> Self {
        let mut house = Self::new();
        for (payment, word, polled) in [
            (1, "Paid", true),
            (2, "Paid", false),
            (3, "Created", true),
            (4, "Awaiting Delivery", true),
            (5, "Cancelled", true),
        ] {
            house.post(payment, word, at(0)).await;
            if polled {
                house.poll(payment, word, at(payment.into())).await;
            }
        }
        house.gateway = gateway(Protocol::Zimbabwe, "zig");
        house.post(6, "Paid", at(0)).await;
        house.gateway = gateway(Protocol::Zimbabwe, "shop");
        house
    }
}

#[tokio::test]
async fn a_sweep_goes_through_what_can_still_change_and_what_became_final_of_late() {
    let house = House::with_five().await;
    let subjects = |payments: &[u8]| payments.iter().map(|it| house.subject(*it)).collect::<Vec<_>>();
    let year = 365 * 86_400;
    for most in [1, 2, 3, 99] {
        assert_eq!(house.swept(&sweep(at(year), at(year - 60)), most).await, subjects(&[2, 3, 4]));
        assert_eq!(house.swept(&sweep(at(year), at(1)), most).await, subjects(&[2, 3, 4, 1, 5]));
        let left_behind = Sweep { open_since: at(4), ..sweep(at(year), at(year - 60)) };
        assert_eq!(house.swept(&left_behind, most).await, subjects(&[4]), "what has not changed for long is let be");
        assert_eq!(house.swept(&sweep(at(year), at(2)), most).await, subjects(&[2, 3, 4, 5]));
    }
    // What became final while the run went on has just been asked about.
    assert_eq!(house.swept(&sweep(at(5), at(0)), 9).await, subjects(&[2, 3, 4, 1]));
    let nobody = Sweep { integration: IntegrationName::parse("nobody").unwrap(), ..sweep(at(year), at(0)) };
    assert_eq!(house.swept(&nobody, 9).await, []);
}

#[tokio::test]
async fn payments_that_changed_at_the_same_instant_are_gone_through_once_each() {
    let house = House::new();
    for payment in 1..=7 {
        house.post(payment, "Paid", at(0)).await;
        house.poll(payment, "Paid", at(1)).await;
    }
    for most in 1..=8 {
        let swept = house.swept(&sweep(at(9), at(0)), most).await;
        assert_eq!((swept.len(), swept.iter().map(|it| format!("{it:?}")).collect::<BTreeSet<_>>().len()), (7, 7));
    }
}

#[tokio::test]
async fn a_slice_is_due_at_once_but_for_what_is_due_sooner_or_was_asked_about_since_the_run_began() {
    let house = House::with_five().await;
    let night = at(50_000);
    house.poll(4, "Awaiting Delivery", night).await;
    let rung = house.ledger.polls_due();
    tokio::time::timeout(Duration::ZERO, rung.notified()).await.ok();
    let slice = [1, 2, 3, 4].map(|payment| house.subject(payment)).to_vec();
    house.ledger.ask(slice, night, night + Duration::from_secs(1)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), rung.notified()).await.unwrap();
    let due = |payment| house.story(payment).known.plan.due;
    assert_eq!(due(1), Some(night + Duration::from_secs(1)), "final, but wanted");
    assert_eq!(due(2), Some(at(0)), "due for long");
    assert!(due(3).unwrap() < night, "due for long");
    assert!(due(4).unwrap() > night + Duration::from_hours(5), "just asked about");
    assert_eq!(due(5), None, "not of the slice");
}

#[tokio::test]
async fn what_asking_brought_since_the_run_began_is_proof_or_a_code() {
    let house = House::with_five().await;
    let slice = [1, 2, 3, 4].map(|payment| house.subject(payment)).to_vec();
    let night = at(50_000);
    assert_eq!(house.ledger.reader().brought(slice.clone(), (night, at(60_000))).await.unwrap(), []);
    house.ledger.ask(slice.clone(), night, night).await.unwrap();
    house.poll(1, "Paid", night).await;
    house.in_vain(2, "timed-out", at(50_001), None).await;
    house.poll(3, "Paid", at(50_002)).await;
    // The newest word counts.
    house.poll(4, "Awaiting Delivery", at(50_003)).await;
    house.in_vain(4, "web-page", at(50_004), None).await;
    // By a clock that was ahead.
    house.poll(2, "Paid", at(60_001)).await;
    let brought = house.ledger.reader().brought(slice.clone(), (night, at(60_000))).await.unwrap();
    let expected = [Ok(()), Err("timed-out".to_owned()), Ok(()), Err("web-page".to_owned())];
    assert_eq!(brought, slice.into_iter().zip(expected).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_final_payment_that_was_asked_about_once_more_has_no_plan_again() {
    let house = House::with_five().await;
    let night = at(50_000);
    for in_vain in [false, true] {
        house.ledger.ask(vec![house.subject(1)], night, night).await.unwrap();
        assert_eq!(house.story(1).known.plan.due, Some(night));
        if in_vain {
            house.in_vain(1, "http-status", night, Some(Duration::from_hours(1))).await;
        } else {
            house.poll(1, "Paid", at(49_999)).await;
        }
        let story = house.story(1);
        assert_eq!((story.known.plan.due, story.known.payment.status), (None, Status::Paid));
        assert!(story.discrepancies.is_empty(), "silence about what is settled worries nobody");
    }
}
