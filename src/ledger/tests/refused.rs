//! The quarantine: verbatim, and bounded three ways.

use super::*;
use crate::domain::Class;

fn refused(kind: &'static str, body: &[u8], when: Timestamp) -> Refused {
    Refused {
        integration: shop(),
        at: when,
        peer: Some(PEER),
        kind,
        reason: "field amount: is missing".into(),
        signature: None,
        key: Some(key(1)),
        body: body.to_vec(),
    }
}

fn bounded(posts: u32, bytes: u64, age: Duration) -> House {
    House::with(terms(), |settings| settings.quarantine = QuarantineLimits { posts, bytes, age })
}

impl House {
    async fn refuse(&self, body: &[u8], when: Timestamp) {
        self.ledger.refuse(refused("forged", body, when), Arc::clone(&self.terms)).await.unwrap();
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
    for table in ["payment", "event", "poll", "outbox", "discrepancy"] {
        assert_eq!(house.ask::<i64>(&format!("SELECT count(*) FROM {table}")), Some(0), "{table}");
    }
}

#[tokio::test]
async fn a_suspect_post_is_a_finding_and_has_its_payment_asked_about() {
    let house = House::new();
    house.post(1, "Created", at(0)).await;
    for _ in 0..2 {
        house.ledger.refuse(refused("suspect", b"x", at(10)), Arc::clone(&house.terms)).await.unwrap();
    }
    let story = house.story(1);
    assert_eq!((story.known.plan.due, story.known.payment.status), (Some(at(10)), Status::Created));
    assert_eq!((story.discrepancies[0].class, story.discrepancies[0].times), (Class::ContradictingPost, 2));
    let stranger = Refused { key: Some(key(9)), ..refused("suspect", b"x", at(10)) };
    house.ledger.refuse(stranger, Arc::clone(&house.terms)).await.unwrap();
    assert_eq!(house.ask::<i64>("SELECT count(*) FROM discrepancy WHERE payment_id IS NULL"), Some(1));
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
