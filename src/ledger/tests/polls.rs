//! Whom to ask when, what asking brought, and what does not add up.

use super::*;
use crate::domain::{Class, Pace};

impl House {
    /// The payments to ask about, and when the next one is.
    async fn due_polls(&self, when: Timestamp) -> (Vec<GatewayKey>, Option<Timestamp>) {
        let (due, next) = self.ledger.reader().due_questions(vec!["shop".into()], when, 99).await.unwrap();
        let polls = due.into_iter().filter_map(|due| if let Due::Poll(poll) = due { Some(poll) } else { None });
        (polls.map(|poll| poll.payment.key).collect(), next)
    }

    pub(super) async fn in_vain(
        &self,
        payment: u8,
        code: &'static str,
        when: Timestamp,
        retry_after: Option<Duration>,
    ) {
        let poll = Unanswered {
            integration: shop(),
            key: key(payment),
            at: when,
            code,
            detail: code.into(),
            finding: None,
            retry_after,
        };
        self.ledger.unanswered(poll, Arc::clone(&self.terms)).await.unwrap();
    }
}

#[tokio::test]
async fn a_claim_is_due_at_once_and_the_longest_due_comes_first() {
    let house = House::new();
    house.post(1, "Paid", at(10)).await;
    house.post(2, "Paid", at(5)).await;
    house.post(3, "Created", at(5)).await;
    let (due, next) = house.due_polls(at(10)).await;
    assert_eq!(due, [key(2), key(1)]);
    assert!(next.unwrap() > at(50), "the unpaid one, in about a minute");
    assert_eq!(house.ledger.reader().due_questions(vec!["shop".into()], at(10), 1).await.unwrap().0.len(), 1);
    assert!(house.ledger.reader().due_questions(vec!["other".into()], at(10), 9).await.unwrap().0.is_empty());
    assert_eq!(house.ledger.reader().waiting().await.unwrap().0, 3);
}

#[tokio::test]
async fn a_poll_in_vain_is_tried_again_by_the_schedule_and_not_before_the_gateway_wants() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    house.in_vain(1, "timed-out", at(0), None).await;
    let plan = house.story(1).known.plan;
    assert!(plan.due.unwrap() > at(3) && plan.due.unwrap() < at(7));
    assert_eq!((plan.attempt, plan.pace, plan.asked), (1, Pace::Confirm, Some(at(0))));
    house.in_vain(1, "http-status", at(5), Some(Duration::from_hours(1))).await;
    assert_eq!(house.story(1).known.plan.due, Some(at(5 + 3600)));
    assert!(house.due_polls(at(3600)).await.0.is_empty());
    assert_eq!(house.story(1).known.payment.status, Status::Paid, "silence never changes a payment");
}

#[tokio::test]
async fn asking_about_a_payment_nobody_knows_is_no_error() {
    let house = House::new();
    house.in_vain(9, "timed-out", at(0), None).await;
    assert_eq!(house.ask::<i64>("SELECT count(*) FROM payment"), Some(0));
}

#[tokio::test]
async fn equal_answers_in_a_row_are_one_row() {
    let house = House::new();
    house.post(1, "Created", at(0)).await;
    for (second, code) in [(1, "timed-out"), (2, "timed-out"), (3, "web-page"), (4, "timed-out"), (5, "timed-out")] {
        house.in_vain(1, code, at(second), None).await;
    }
    house.poll(1, "Created", at(6)).await;
    house.poll(1, "Created", at(7)).await;
    house.poll(1, "Created", at(8)).await;
    let rows: Vec<_> =
        house.story(1).polls.into_iter().map(|row| (row.outcome, row.count, row.first_at, row.last_at)).collect();
    assert_eq!(
        rows,
        [
            ("timed-out".into(), 2, at(1), at(2)),
            ("web-page".into(), 1, at(3), at(3)),
            ("timed-out".into(), 2, at(4), at(5)),
            ("confirmed".into(), 1, at(6), at(6)),
            ("agreed".into(), 2, at(7), at(8)),
        ]
    );
}

#[tokio::test]
async fn the_end_of_the_schedule_is_a_finding_said_once_and_settled_by_the_answer() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    for second in 1..=9 {
        house.in_vain(1, "timed-out", at(second), None).await;
    }
    let story = house.story(1);
    assert_eq!(story.known.plan.due, None);
    let finding = &story.discrepancies[0];
    assert_eq!((finding.class, &*finding.state), (Class::PaidUnconfirmed, "open"));
    assert_eq!((story.discrepancies.len(), finding.opened), (1, at(4)));
    assert_eq!(finding.times, 1, "whoever asks beyond the end hears nothing new");
    house.poll(1, "Paid", at(20)).await;
    assert_eq!(house.story(1).discrepancies[0].state, "resolved");
    assert_eq!(house.ask::<i64>("SELECT resolved FROM discrepancy"), Some(at(20).timestamp_millis()));
}

#[tokio::test]
async fn a_different_finding_of_the_same_class_is_a_finding_of_its_own() {
    let house = House::new();
    house.post(1, "Created", at(0)).await;
    for amount in ["41.00", "41.00", "42.00"] {
        let outcome = house.hear(&message(1, "Paid", amount), at(1), Admission::Wait).await.unwrap().outcome;
        assert_eq!(outcome, Outcome::Contradicted);
    }
    let found: Vec<_> = house.story(1).discrepancies.into_iter().map(|it| (it.found, it.times)).collect();
    assert_eq!(found, [("amount 41.00".into(), 2), ("amount 42.00".into(), 1)]);
    assert_eq!(house.story(1).events.len(), 1, "what contradicts is no event");
    assert_eq!(house.ask::<i64>("SELECT count(*) FROM quarantine WHERE kind = 'contradicts'"), Some(3));
}

#[tokio::test]
async fn a_run_is_remembered_by_when_it_began_once_it_has_ended() {
    let house = House::new();
    assert_eq!(house.ledger.reader().last_run("nightly", at(1_000_000)).await.unwrap(), None);
    for start in [100, 200, 150] {
        house.ledger.note_run("nightly", at(start), at(start + 9), "3 payments".into()).await.unwrap();
    }
    house.foreign().execute("INSERT INTO run (name, started) VALUES ('nightly', 9000000000000)", []).unwrap();
    assert_eq!(house.ledger.reader().last_run("nightly", at(1_000_000)).await.unwrap(), Some(at(200)));
    assert_eq!(house.ledger.reader().last_run("nightly", at(199)).await.unwrap(), Some(at(150)));
    assert_eq!(house.ledger.reader().last_run("weekly", at(1_000_000)).await.unwrap(), None);
}
