//! The quarantine: verbatim, and bounded three ways.

use super::*;
use crate::domain::{Class, Facts, Refusal, Trust};
use crate::protocol::Rejection;

fn refused(kind: Refusal, body: &[u8], when: Timestamp) -> Refused {
    Refused {
        integration: shop(),
        at: when,
        arrival: Arrival::new(Some(PEER), &[]),
        kind,
        reason: "field amount: is missing".into(),
        about: None,
        body: body.to_vec(),
    }
}

fn bounded(posts: u32, bytes: u64, age: Duration) -> House {
    House::with(terms(), |settings| settings.quarantine = QuarantineLimits { posts, bytes, age })
}

impl House {
    async fn refuse(&self, body: &[u8], when: Timestamp) {
        self.ledger.refuse(refused(Refusal::Forged, body, when), Arc::clone(&self.terms)).await.unwrap();
    }

    async fn suspect(&self, payment: u8, when: Timestamp) {
        let body = message(payment, "Paid", "25,00");
        let Err(Rejection::Suspect { about, .. }) =
            self.gateway.read_post(&Post { body: &body, signatures: &[] }, when)
        else {
            panic!("not suspect")
        };
        let refused = Refused { about, ..refused(Refusal::Suspect, &body, when) };
        self.ledger.refuse(refused, Arc::clone(&self.terms)).await.unwrap();
    }

    fn bodies(&self) -> Vec<Vec<u8>> {
        let file = self.foreign();
        let mut bodies = file.prepare("SELECT body FROM quarantine ORDER BY id").unwrap();
        bodies.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

#[tokio::test]
async fn a_refused_post_is_kept_byte_for_byte_and_believed_in_nothing() {
    let house = House::new();
    house.refuse(b"status=Paid\0\xff", at(0)).await;
    assert_eq!(house.bodies(), [b"status=Paid\0\xff"]);
    assert_eq!(house.ask::<String>("SELECT peer FROM quarantine").as_deref(), Some("203.0.113.7"));
    for table in ["payment", "event", "outbox", "discrepancy"] {
        assert_eq!(house.ask::<i64>(&format!("SELECT count(*) FROM {table}")), Some(0), "{table}");
    }
}

#[tokio::test]
async fn a_suspect_post_is_a_finding_and_has_its_payment_asked_about() {
    let house = House::new();
    house.post(1, "Created", at(0)).await;
    for _ in 0..2 {
        house.suspect(1, at(10)).await;
    }
    let story = house.story(1);
    assert_eq!((story.known.plan.due, story.known.payment.status), (Some(at(10)), Status::Created));
    assert_eq!((story.discrepancies[0].class, story.discrepancies[0].times), (Class::ContradictingPost, 2));
    assert_eq!(story.discrepancies[0].expected, crate::domain::AS_THE_GATEWAY_WRITES);
}

#[tokio::test]
async fn of_a_payment_that_only_a_suspect_post_speaks_of_no_more_is_taken_than_that_it_is_to_be_asked_about() {
    let house = House::new();
    house.suspect(9, at(10)).await;
    let Story { known, events, discrepancies, .. } = house.story(9);
    let payment = known.payment;
    assert_eq!((payment.status, payment.trust, payment.facts), (Status::Created, Trust::Reported, Facts::default()));
    assert_eq!((known.plan.due, events.len(), discrepancies.len()), (Some(at(10)), 1, 1));
    assert_eq!(house.bodies(), [message(9, "Paid", "25,00")]);
    house.poll(9, "Paid", at(11)).await;
    assert_eq!(house.story(9).known.payment.trust, Trust::Confirmed);
    assert!(house.ledger.reader().verify(Scope::Whole).unwrap().flaws.is_empty());
}

#[tokio::test]
async fn the_oldest_go_beyond_so_many_posts() {
    let house = bounded(3, 1000, Duration::from_hours(1));
    for post in 0..9_u8 {
        house.refuse(&[post], at(0)).await;
    }
    assert_eq!(house.bodies(), [[6], [7], [8]]);
}

#[tokio::test]
async fn the_oldest_go_beyond_so_many_bytes_but_never_the_newest() {
    let house = bounded(99, 10, Duration::from_hours(1));
    for size in [4, 4, 2, 3, 11] {
        house.refuse(&vec![size; size.into()], at(0)).await;
        let held: usize = house.bodies().iter().map(Vec::len).sum();
        assert!(held <= 10 || house.bodies().len() == 1, "{held}");
    }
    assert_eq!(house.bodies(), [vec![11; 11]]);
    house.refuse(b"1", at(0)).await;
    assert_eq!(house.bodies(), [b"1"]);
}

#[tokio::test]
async fn the_oldest_go_beyond_their_age() {
    let house = bounded(99, 1000, Duration::from_mins(1));
    for second in [0, 30, 61, 91] {
        house.refuse(&[second], at(second.into())).await;
    }
    assert_eq!(house.bodies(), [[61], [91]]);
}

#[tokio::test]
async fn what_a_command_takes_out_is_no_longer_counted() {
    let house = bounded(3, 1000, Duration::from_hours(1));
    for post in 0..3_u8 {
        house.refuse(&[post], at(0)).await;
    }
    house.foreign().execute("DELETE FROM quarantine", []).unwrap();
    for post in 3..6_u8 {
        house.refuse(&[post], at(1)).await;
    }
    assert_eq!(house.bodies(), [[3], [4], [5]]);
}

#[tokio::test]
async fn a_flood_at_one_door_pushes_nothing_out_at_the_next() {
    let house = bounded(3, 20, Duration::from_hours(1));
    for post in [b"a", b"b"] {
        let stall =
            Refused { integration: IntegrationName::parse("stall").unwrap(), ..refused(Refusal::Forged, post, at(0)) };
        house.ledger.refuse(stall, Arc::clone(&house.terms)).await.unwrap();
    }
    for size in [1, 1, 1, 1, 19, 19, 30] {
        house.refuse(&vec![size; size.into()], at(1)).await;
    }
    assert_eq!(house.bodies(), [b"a".to_vec(), b"b".to_vec(), vec![30; 30]]);
    // What is too old goes wherever it lies.
    house.refuse(b"c", at(3601)).await;
    assert_eq!(house.bodies(), [b"c"]);
    house.ledger.refuse(refused(Refusal::Forged, b"d", at(3602)), Arc::clone(&house.terms)).await.unwrap();
    assert_eq!(house.bodies(), [b"c", b"d"]);
}

#[tokio::test]
async fn what_was_to_prove_a_post_counts_like_its_body() {
    let house = bounded(99, 10, Duration::from_hours(1));
    for post in [b"1", b"2"] {
        let signed = Refused { arrival: Arrival::new(None, &[b"12345678"]), ..refused(Refusal::Forged, post, at(0)) };
        house.ledger.refuse(signed, Arc::clone(&house.terms)).await.unwrap();
    }
    assert_eq!(house.bodies(), [b"2"]);
    let signature = |id| house.ledger.reader().quarantined(id).unwrap().map(|(post, _)| post.signatures);
    assert_eq!((signature(1), signature(2)), (None, Some(vec!["12345678".to_owned()])));
}

#[tokio::test]
async fn what_is_taken_out_frees_its_room_and_its_number_is_never_given_again() {
    let house = bounded(3, 1000, Duration::from_hours(1));
    for post in 0..3_u8 {
        house.refuse(&[post], at(0)).await;
    }
    assert_eq!(house.ledger.discard(vec![1, 3, 77]).await.unwrap(), 2);
    for post in 3..5_u8 {
        house.refuse(&[post], at(1)).await;
    }
    assert_eq!(house.bodies(), [[1], [3], [4]]);
    let (newest, body) = house.ledger.reader().quarantined(5).unwrap().unwrap();
    assert_eq!((newest.at, newest.peer, newest.bytes, body), (at(1), Some(PEER), 1, vec![4]));
    assert!(house.ledger.reader().quarantined(3).unwrap().is_none());
}

#[tokio::test]
async fn refused_posts_are_listed_newest_first_by_every_filter() {
    let house = House::new();
    for (kind, when) in [(Refusal::Forged, 0), (Refusal::Malformed, 10), (Refusal::Forged, 20)] {
        house.ledger.refuse(refused(kind, b"x", at(when)), Arc::clone(&house.terms)).await.unwrap();
    }
    let listed = |filter: &QuarantineFilter| {
        let mut ids = Vec::new();
        let each = |post: Quarantined| {
            ids.push(post.id);
            true
        };
        house.ledger.reader().quarantine(filter, each).unwrap();
        ids
    };
    let all = QuarantineFilter::default;
    assert_eq!(listed(&all()), [3, 2, 1]);
    assert_eq!(listed(&QuarantineFilter { kind: Some(Refusal::Forged), ..all() }), [3, 1]);
    assert_eq!(listed(&QuarantineFilter { since: Some(at(10)), ..all() }), [3, 2]);
    assert_eq!(listed(&QuarantineFilter { until: Some(at(10)), ..all() }), [1]);
    assert_eq!(listed(&QuarantineFilter { integration: Some("stall".into()), ..all() }), [0_i64; 0]);
    assert_eq!(listed(&QuarantineFilter { integration: Some("shop".into()), ..all() }), [3, 2, 1]);
}

#[tokio::test]
async fn a_post_that_contradicts_a_recut_one_is_no_finding_once_the_gateway_bears_it_out() {
    let house = House::new();
    house.hear(&message(1, "Paid", "41.00"), at(0), Admission::Wait).await.unwrap();
    assert_eq!(house.post(1, "Paid", at(1)).await, Outcome::Contradicted);
    let open = || {
        let found = house.story(1).discrepancies.into_iter().filter(|it| it.state == "open");
        found.map(|it| (it.expected, it.found)).collect::<Vec<_>>()
    };
    assert_eq!(open(), [("amount 41.00".into(), "amount 25.00".into())]);
    assert_eq!(house.poll(1, "Paid", at(2)).await, Outcome::Corrected);
    assert_eq!(open(), [("amount 25.00".into(), "amount 41.00".into())], "what was wrong is told, and only that");
}
