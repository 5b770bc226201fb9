//! The ledger on real files. Here: a house to test in, and what its writer promises. Its rooms have files of their own.

mod chain;
mod file;
mod fold;
mod keys;
mod letters;
mod old_keys;
mod orders;
mod polls;
mod queries;
mod refused;
mod reports;
mod resolution;
mod snapshot;
mod sweep;
mod taken_up;
mod told_days;
mod unconfirmed;
mod verify;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use tempfile::TempDir;

use super::*;
use crate::domain::schedule::Bound;
use crate::domain::{
    Announce, Expectation, GatewayKey, IntegrationName, Mode, Outcome, Payment, PollSchedule, Settlement, Status, Step,
};
use crate::protocol::zimbabwe::{Fields, Rule, hash};
use crate::protocol::{Answer, Gateway, Key, Keys, Post, Protocol, Setup};

const KEY: &str = "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977";
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

/// A ledger in a directory of its own, and somebody to speak for the gateway.
struct House {
    home: TempDir,
    ledger: Ledger,
    gateway: Box<dyn Gateway>,
    terms: Arc<Terms>,
}

/// The instant `seconds` after the beginning.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
}

fn terms() -> Terms {
    Terms {
        currency: "USD".parse().unwrap(),
        mode: Mode::Live,
        announce: Announce::Confirmed,
        announce_after: Duration::from_mins(15),
        tolerance: crate::domain::Amount::ZERO,
        notify_on: vec![Status::Paid, Status::Refunded],
        recipients: vec!["owner@shop.example".into()],
        confirmable: true,
        schedule: Arc::new(PollSchedule {
            confirm: vec![Duration::ZERO, Duration::from_secs(5)],
            pending: vec![Step { every: Duration::from_mins(1), bound: Bound::Times(2) }],
            held: vec![Step { every: Duration::from_hours(6), bound: Bound::Times(2) }],
            gap: Duration::from_secs(5),
        }),
    }
}

fn shop() -> IntegrationName {
    IntegrationName::parse("shop").unwrap()
}

fn gateway(protocol: Protocol, name: &str) -> Box<dyn Gateway> {
    protocol.gateway(Setup {
        integration: IntegrationName::parse(name).unwrap(),
        id: None,
        keys: Keys::new(Key::guid(KEY).unwrap(), Vec::new()),
        origin: protocol.default_origin().parse().unwrap(),
        max_fields: 64,
        api_key: None,
    })
}

/// The key of the payment with this number.
fn key(payment: u8) -> GatewayKey {
    GatewayKey::from_guid([payment; 16])
}

/// A signed status update about the payment with this number.
fn message(payment: u8, status: &str, amount: &str) -> Vec<u8> {
    let fields = Fields::from_pairs([
        ("reference", format!("INV-{payment}")),
        ("paynowreference", format!("1{payment:03}")),
        ("amount", amount.to_owned()),
        ("status", status.to_owned()),
        ("pollurl", format!("https://www.paynow.co.zw/Interface/CheckPayment/?guid={}", key(payment))),
    ]);
    hash::sign(fields, "hash", Rule::Values, &Key::guid(KEY).unwrap()).encode().into_bytes()
}

fn settings(path: PathBuf) -> LedgerSettings {
    LedgerSettings { path, queue: 1024, quarantine: QuarantineLimits::default() }
}

impl House {
    fn new() -> Self {
        Self::with(terms(), |_| {})
    }

    fn with(terms: Terms, change: impl FnOnce(&mut LedgerSettings)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut settings = settings(home.path().join("paynowd.db"));
        change(&mut settings);
        let ledger = Ledger::open(&settings, Role::Daemon).unwrap();
        Self { home, ledger, gateway: gateway(Protocol::Zimbabwe, "shop"), terms: Arc::new(terms) }
    }

    fn path(&self) -> PathBuf {
        self.home.path().join("paynowd.db")
    }

    /// The file as another process sees it.
    fn foreign(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn posted(&self, body: &[u8], when: Timestamp) -> Verified<Observation> {
        self.gateway.read_post(&Post { body, signatures: &[] }, when).unwrap()
    }

    async fn hear(&self, body: &[u8], when: Timestamp, admission: Admission) -> Result<Recorded, LedgerError> {
        self.ledger
            .record(self.posted(body, when), Some(Arrival::new(Some(PEER), &[])), Arc::clone(&self.terms), admission)
            .await
    }

    async fn post(&self, payment: u8, status: &str, when: Timestamp) -> Outcome {
        self.hear(&message(payment, status, "25.00"), when, Admission::Wait).await.unwrap().outcome
    }

    async fn poll(&self, payment: u8, status: &str, when: Timestamp) -> Outcome {
        let asked = self.story(payment).known.payment;
        let body = message(payment, status, "25.00");
        let seen = self.gateway.read_answer(&asked, &Answer { status: 200, body: &body, asked: when }, when).unwrap();
        self.ledger.record(seen, None, Arc::clone(&self.terms), Admission::Wait).await.unwrap().outcome
    }

    fn story(&self, payment: u8) -> Story {
        let mut stories = self.ledger.reader().stories(key(payment).as_str(), None).unwrap();
        assert_eq!(stories.len(), 1);
        stories.remove(0)
    }

    /// The first column of the first row, by another connection.
    fn ask<T: rusqlite::types::FromSql>(&self, sql: &str) -> Option<T> {
        self.foreign().query_row(sql, [], |row| row.get(0)).optional().unwrap()
    }

    /// Holds the writer still while `works` are queued behind one another, so that they make one group. It holds still
    /// only once: if one of the group fails, all are applied again.
    async fn in_one_group<T>(&self, works: impl Future<Output = T>) -> T {
        let (entered, is_held) = std::sync::mpsc::channel();
        let (release, until) = std::sync::mpsc::channel::<()>();
        let hold = self.ledger.writer.write(Admission::Wait, move |_| {
            entered.send(()).ok();
            until.recv().ok();
            Ok(())
        });
        let queue_and_release = async {
            is_held.recv().unwrap();
            tokio::join!(works, async move { drop(release) }).0
        };
        let (ended, done) = tokio::join!(hold, queue_and_release);
        ended.unwrap();
        done
    }
}

#[tokio::test]
async fn what_is_recorded_can_be_read_at_once() {
    let house = House::new();
    assert_eq!(house.post(1, "Paid", at(0)).await, Outcome::Opened);
    let story = house.story(1);
    let payment = &story.known.payment;
    assert_eq!((payment.status, payment.key.clone()), (Status::Paid, key(1)));
    assert_eq!(payment.facts.amount.unwrap().to_string(), "25.00");
    assert_eq!((payment.first_seen, story.known.plan.due), (at(0), Some(at(0))));
    assert_eq!((story.events.len(), story.events[0].outcome.as_str()), (1, "opened"));
    assert_eq!(house.ask::<Vec<u8>>("SELECT body FROM event"), Some(message(1, "Paid", "25.00")));
}

#[tokio::test]
async fn a_repeat_is_an_event_and_a_poll_that_brings_nothing_new_is_none() {
    let house = House::new();
    house.post(1, "Paid", at(0)).await;
    assert_eq!(house.post(1, "Paid", at(1)).await, Outcome::Repeated);
    assert_eq!(house.poll(1, "Paid", at(2)).await, Outcome::Confirmed);
    assert_eq!(house.poll(1, "Paid", at(3)).await, Outcome::Agreed);
    let outcomes: Vec<_> = house.story(1).events.into_iter().map(|event| event.outcome).collect();
    assert_eq!(outcomes, ["opened", "repeated", "confirmed"]);
}

#[tokio::test]
async fn everyone_in_a_group_is_answered_only_when_their_word_can_be_read_by_others() {
    let house = House::new();
    let post = |payment: u8| {
        let house = &house;
        Box::pin(async move {
            house.post(payment, "Paid", at(0)).await;
            house.ask::<i64>("SELECT count(*) FROM event")
        })
    };
    let group = async { tokio::join!(post(1), post(2), post(1), post(3), post(4), post(2)) };
    assert_eq!(house.in_one_group(group).await, (Some(6), Some(6), Some(6), Some(6), Some(6), Some(6)));
}

#[tokio::test]
async fn a_work_that_fails_takes_nobody_of_its_group_with_it_and_leaves_no_trace() {
    let house = House::new();
    let fail = house.ledger.writer.write(Admission::Wait, |desk| {
        desk.connection.execute("INSERT INTO integration (name) VALUES ('half-done')", [])?;
        Err::<(), _>(rusqlite::Error::QueryReturnedNoRows)
    });
    let (first, failed, second) = house
        .in_one_group(async { tokio::join!(house.post(1, "Paid", at(0)), fail, house.post(2, "Paid", at(0))) })
        .await;
    assert_eq!((first, second), (Outcome::Opened, Outcome::Opened));
    assert!(matches!(failed, Err(LedgerError::Storage { doing: "written", .. })));
    assert_eq!(house.ask::<i64>("SELECT count(*) FROM integration"), Some(1));
    assert_eq!(house.ask::<i64>("SELECT count(*) FROM event"), Some(2));
    chain::assert_unbroken(&house.foreign());
}

#[tokio::test]
async fn a_writer_that_ended_by_a_bug_is_noticed() {
    let house = House::new();
    let alive = tokio::time::timeout(Duration::ZERO, house.ledger.writer_gone()).await;
    assert!(alive.is_err());
    let bug = house.ledger.writer.write(Admission::Wait, |_| -> rusqlite::Result<()> { panic!("a bug") });
    assert!(matches!(bug.await, Err(LedgerError::Closed)));
    tokio::time::timeout(Duration::from_secs(10), house.ledger.writer_gone()).await.unwrap();
}

#[tokio::test]
async fn a_question_that_ends_by_a_bug_is_told_so_and_the_next_one_is_answered() {
    let house = House::new();
    let reader = house.ledger.reader();
    let bug = reader.read(|_| -> rusqlite::Result<()> { panic!("a bug") }).await;
    assert!(matches!(bug, Err(LedgerError::Bug)), "{bug:?}");
    assert_eq!(reader.waiting().await.unwrap(), (0, 0));
}

#[tokio::test]
async fn a_work_that_fails_alone_hears_why() {
    let house = House::new();
    let fail = house.ledger.writer.write(Admission::Wait, |_| Err::<(), _>(rusqlite::Error::QueryReturnedNoRows));
    let failed = fail.await.unwrap_err();
    assert!(failed.blames_one() && failed.to_string().contains("cannot be written"), "{failed}");
}

#[tokio::test]
async fn a_failing_neighbour_silences_no_bell() {
    let house = House::new();
    let fail = house.ledger.writer.write(Admission::Wait, |_| Err::<(), _>(rusqlite::Error::QueryReturnedNoRows));
    let bell = house.ledger.polls_due();
    let group = house.in_one_group(async { tokio::join!(house.post(1, "Paid", at(0)), fail) });
    assert!(group.await.1.is_err());
    tokio::time::timeout(Duration::from_secs(10), bell.notified()).await.unwrap();
}

#[tokio::test]
async fn a_full_queue_refuses_who_can_come_back_and_keeps_who_waits() {
    let house = House::with(terms(), |settings| settings.queue = 2);
    let body = message(3, "Paid", "25.00");
    let (kept, also, refused, waited) = house
        .in_one_group(Box::pin(async {
            tokio::join!(
                Box::pin(house.post(1, "Paid", at(0))),
                Box::pin(house.post(2, "Paid", at(0))),
                Box::pin(house.hear(&body, at(0), Admission::Refuse)),
                Box::pin(house.post(4, "Paid", at(0))),
            )
        }))
        .await;
    assert_eq!((kept, also, waited), (Outcome::Opened, Outcome::Opened, Outcome::Opened));
    assert!(matches!(refused, Err(LedgerError::Full)));
    assert!(house.ledger.reader().stories(key(3).as_str(), None).unwrap().is_empty());
    assert!(house.hear(&body, at(1), Admission::Refuse).await.is_ok());
}

#[tokio::test]
async fn bells_ring_for_what_is_due_and_not_for_what_is_later() {
    let house = House::new();
    let (polls, letters) = (house.ledger.polls_due(), house.ledger.letters_due());
    house.post(1, "Paid", at(0)).await;
    tokio::time::timeout(Duration::from_secs(10), polls.notified()).await.unwrap();
    house.poll(1, "Paid", at(1)).await;
    tokio::time::timeout(Duration::from_secs(10), letters.notified()).await.unwrap();
    house.post(2, "Created", at(2)).await;
    house.ledger.ping(Admission::Wait).await.unwrap();
    assert!(tokio::time::timeout(Duration::ZERO, polls.notified()).await.is_err(), "due in a minute rings nothing");
}
