//! What the ledger keeps of Paynow Poland: through the same door as everything else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use paynowd::domain::{
    Announce, Class, GatewayKey, IntegrationName, Mode, PollSchedule, Refusal, Status, Terms, Timestamp, Trust,
};
use paynowd::ledger::{Admission, Arrival, Ledger, LedgerSettings, QuarantineLimits, Role, Story, Unanswered};
use paynowd::protocol::poland::signature;
use paynowd::protocol::{Answer, Gateway, Key, Keys, Post, Protocol, Setup, Unproven};

const SIGNATURE_KEY: &str = "b305b996-bca5-4404-a0b7-2ccea3d2b64b";

struct House {
    ledger: Ledger,
    file: PathBuf,
    gateway: Box<dyn Gateway>,
    terms: Arc<Terms>,
    _home: tempfile::TempDir,
}

impl House {
    fn open() -> Self {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("paynowd.db");
        let settings = LedgerSettings { path: file.clone(), queue: 16, quarantine: QuarantineLimits::default() };
        let gateway = Protocol::Poland.gateway(Setup {
            integration: name(),
            id: None,
            keys: Keys::new(Key::opaque(SIGNATURE_KEY), Vec::new()),
            api_key: Some(Key::opaque("97a55694-5478-43b5-b406-fb49ebfdd2b5")),
            origin: Protocol::Poland.default_origin().parse().unwrap(),
            max_fields: 64,
        });
        let minutely = paynowd::domain::Step {
            every: Duration::from_mins(1),
            bound: paynowd::domain::schedule::Bound::Times(100),
        };
        let schedule =
            PollSchedule { confirm: vec![Duration::ZERO], pending: vec![minutely], held: vec![], gap: Duration::ZERO };
        let terms = Terms {
            currency: "PLN".parse().unwrap(),
            mode: Mode::Live,
            announce: Announce::Confirmed,
            announce_after: Duration::from_mins(15),
            tolerance: paynowd::domain::Amount::ZERO,
            notify_on: vec![Status::Paid],
            recipients: vec!["owner@shop.example".into()],
            confirmable: true,
            schedule: Arc::new(schedule),
        };
        let ledger = Ledger::open(&settings, Role::Command).unwrap();
        Self { ledger, file, gateway, terms: Arc::new(terms), _home: home }
    }

    /// Records a notification.
    async fn told(&self, id: &str, word: &str, clock: &str) {
        self.told_for("A-1", id, word, clock).await;
    }

    /// Records a notification that it is for this order.
    async fn told_for(&self, order: &str, id: &str, word: &str, clock: &str) {
        let body = format!(r#"{{"paymentId":"{id}","externalId":"{order}","status":"{word}","modifiedAt":"{clock}"}}"#);
        let proof = signature::sign(body.as_bytes(), &Key::opaque(SIGNATURE_KEY));
        let post = Post { body: body.as_bytes(), signatures: &[proof.as_bytes()] };
        let seen = self.gateway.read_post(&post, now()).unwrap();
        let arrival = Arrival::new(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), post.signatures);
        self.ledger.record(seen, Some(arrival), Arc::clone(&self.terms), Admission::Refuse).await.unwrap();
    }

    /// Records the gateway's answer.
    async fn answered(&self, id: &str, word: &str) {
        let payment = self.story(id).known.payment;
        let body = format!(r#"{{"paymentId":"{id}","status":"{word}"}}"#);
        let answer = Answer { status: 200, body: body.as_bytes(), asked: now() };
        let seen = self.gateway.read_answer(&payment, &answer, now()).unwrap();
        self.ledger.record(seen, None, Arc::clone(&self.terms), Admission::Wait).await.unwrap();
    }

    /// Records that the gateway refused to answer. Whether that was news.
    async fn refused(&self, id: &str, why: &Unproven) -> bool {
        let unanswered = Unanswered {
            integration: name(),
            key: GatewayKey::parse(id).unwrap(),
            at: now(),
            code: why.code(),
            detail: why.to_string(),
            finding: why.finding(),
            retry_after: None,
        };
        self.ledger.unanswered(unanswered, Arc::clone(&self.terms)).await.unwrap()
    }

    fn story(&self, id: &str) -> Story {
        self.ledger.reader().stories(id, None).unwrap().remove(0)
    }

    /// Class, state and how often, of every finding; and whether it is about one payment.
    fn findings(&self) -> Vec<(String, String, i64, bool)> {
        let ledger = rusqlite::Connection::open(&self.file).unwrap();
        ledger
            .prepare("SELECT class, state, times, payment_id IS NOT NULL FROM discrepancy ORDER BY id")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap()
    }
}

fn name() -> IntegrationName {
    IntegrationName::parse("sklep").unwrap()
}

fn now() -> Timestamp {
    chrono::Utc::now()
}

const ONE: &str = "AAAA-AAA-AAA-AAA";
const TWO: &str = "BBBB-BBB-BBB-BBB";
const CLOCK: &str = "2018-12-12T13:24:52";

#[tokio::test]
async fn an_event_keeps_the_gateways_clock_as_given_and_as_both_instants_of_octobers_repeated_hour() {
    let house = House::open();
    house.told(ONE, "NEW", "2026-10-25T02:30:00").await;
    house.told(ONE, "CONFIRMED", CLOCK).await;
    house.answered(ONE, "CONFIRMED").await;
    let story = house.story(ONE);
    let said: Vec<_> = story.events.iter().map(|event| event.said_at.as_deref()).collect();
    assert_eq!(said, [Some("2026-10-25T02:30:00"), Some(CLOCK), None]);
    let (earliest, latest) = story.events[0].meant.unwrap();
    assert_eq!(earliest.to_rfc3339(), "2026-10-25T00:30:00+00:00");
    assert_eq!(latest.to_rfc3339(), "2026-10-25T01:30:00+00:00");
    // The gateway's clock runs backwards here, and decides nothing.
    assert_eq!((story.known.payment.status, story.known.payment.trust), (Status::Paid, Trust::Confirmed));
    let evidence: Vec<_> = story.events.iter().map(|event| event.evidence.as_str()).collect();
    assert_eq!(evidence, ["hmac-sha256", "hmac-sha256", "tls"]);
    assert_eq!(story.known.payment.facts.amount, None, "no message says how much");
    assert_eq!(story.letters.len(), 1);
}

#[tokio::test]
async fn an_order_that_is_paid_twice_is_a_finding_once_and_a_claim_is_not_enough() {
    let house = House::open();
    house.told(ONE, "CONFIRMED", CLOCK).await;
    house.answered(ONE, "CONFIRMED").await;
    house.told(TWO, "CONFIRMED", CLOCK).await;
    assert_eq!(house.findings(), []);
    house.answered(TWO, "CONFIRMED").await;
    house.answered(TWO, "CONFIRMED").await;
    house.told(ONE, "CONFIRMED", CLOCK).await;
    assert_eq!(house.findings(), [("duplicate-payment".into(), "open".into(), 1, true)]);
    let found = house.story(TWO).discrepancies.remove(0);
    assert_eq!(found.class, Class::DuplicatePayment);
    assert_eq!(found.found, format!("{TWO} is paid, and so is {ONE}"));
}

#[tokio::test]
async fn a_notification_that_contradicts_the_payment_is_kept_with_what_proves_it() {
    let house = House::open();
    house.told(ONE, "CONFIRMED", CLOCK).await;
    house.told_for("A-2", ONE, "CONFIRMED", CLOCK).await;
    let reader = house.ledger.reader();
    let (post, body) = reader.quarantined(1).unwrap().unwrap();
    assert_eq!(post.kind, Refusal::Contradicts);
    let signatures: Vec<&[u8]> = post.signatures.iter().map(String::as_bytes).collect();
    house.gateway.read_post(&Post { body: &body, signatures: &signatures }, now()).unwrap();
}

#[tokio::test]
async fn an_abandoned_payment_and_its_successor_are_no_double_payment() {
    let house = House::open();
    house.told(ONE, "ABANDONED", CLOCK).await;
    house.answered(ONE, "ABANDONED").await;
    house.told(TWO, "CONFIRMED", CLOCK).await;
    house.answered(TWO, "CONFIRMED").await;
    assert_eq!(house.findings(), []);
    let both = house.ledger.reader().stories("A-1", None).unwrap();
    assert_eq!(both.len(), 2, "both are found under the merchant's word");
}

#[tokio::test]
async fn a_refused_key_is_news_once_for_the_integration_until_an_answer_comes() {
    let house = House::open();
    house.told(ONE, "NEW", CLOCK).await;
    house.told(TWO, "NEW", CLOCK).await;
    assert!(house.refused(ONE, &Unproven::BadApiKey).await);
    assert!(!house.refused(ONE, &Unproven::BadApiKey).await);
    assert!(!house.refused(TWO, &Unproven::BadApiKey).await);
    assert_eq!(house.findings(), [("refused-polls".into(), "open".into(), 3, false)]);
    assert!(house.story(ONE).known.plan.due.is_some(), "it is asked again");
    house.answered(TWO, "PENDING").await;
    assert_eq!(house.findings(), [("refused-polls".into(), "resolved".into(), 3, false)]);
    assert!(house.refused(ONE, &Unproven::BadSignature).await);
}

#[tokio::test]
async fn an_unknown_payment_is_a_finding_of_its_own_and_a_passing_trouble_is_none() {
    let house = House::open();
    house.told(ONE, "NEW", CLOCK).await;
    house.told(TWO, "NEW", CLOCK).await;
    assert!(!house.refused(ONE, &Unproven::Error("SYSTEM_TEMPORARILY_UNAVAILABLE".into())).await);
    assert!(!house.refused(ONE, &Unproven::Status(503)).await);
    assert!(house.refused(ONE, &Unproven::NotFound).await);
    assert!(!house.refused(ONE, &Unproven::NotFound).await);
    assert!(house.refused(TWO, &Unproven::NotFound).await);
    house.answered(ONE, "PENDING").await;
    let states: Vec<_> = house.findings().into_iter().map(|(class, state, times, _)| (class, state, times)).collect();
    let missing = |state: &str, times| ("missing-at-gateway".to_owned(), state.to_owned(), times);
    assert_eq!(states, [missing("resolved", 2), missing("open", 1)]);
    assert_eq!(house.story(ONE).known.payment.status, Status::Pending);
}
