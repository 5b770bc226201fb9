//! An order that is paid twice, in Zimbabwe: the rule is every gateway's, and a refund settles it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::sync::Arc;
use std::time::Duration;

use paynowd::domain::{Announce, Class, GatewayKey, IntegrationName, Mode, PollSchedule, PollUrl, Status, Terms};
use paynowd::ledger::{Admission, Ledger, LedgerSettings, QuarantineLimits, Role};
use paynowd::protocol::zimbabwe::{Fields, Rule, hash};
use paynowd::protocol::{Answer, Gateway, Key, Keys, Post, Protocol, Setup};

const KEY: &str = "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977";

/// A ledger, a gateway, and payments told by their number: 1 is `…0001`, `35216001`.
struct House {
    ledger: Ledger,
    gateway: Box<dyn Gateway>,
    terms: Arc<Terms>,
    _home: tempfile::TempDir,
}

impl House {
    fn open() -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("paynowd.db");
        let settings = LedgerSettings { path, queue: 16, quarantine: QuarantineLimits::default() };
        let gateway = Protocol::Zimbabwe.gateway(Setup {
            integration: IntegrationName::parse("shop").unwrap(),
            id: None,
            keys: Keys::new(Key::guid(KEY).unwrap(), Vec::new()),
            api_key: None,
            origin: Protocol::Zimbabwe.default_origin().parse().unwrap(),
            max_fields: 64,
        });
        let schedule =
            PollSchedule { confirm: vec![Duration::ZERO], pending: vec![], held: vec![], gap: Duration::ZERO };
        let terms = Terms {
            currency: "USD".parse().unwrap(),
            mode: Mode::Live,
            announce: Announce::Confirmed,
            announce_after: Duration::from_mins(15),
            tolerance: paynowd::domain::Amount::ZERO,
            notify_on: vec![],
            recipients: vec![],
            confirmable: true,
            schedule: Arc::new(schedule),
        };
        let ledger = Ledger::open(&settings, Role::Command).unwrap();
        Self { ledger, gateway, terms: Arc::new(terms), _home: home }
    }

    /// Posts the payment's status.
    async fn is_said(&self, number: u32, word: &str) {
        let body = body(number, word);
        let seen = self.gateway.read_post(&Post { body: body.as_bytes(), signatures: &[] }, chrono::Utc::now());
        self.ledger.record(seen.unwrap(), None, Arc::clone(&self.terms), Admission::Wait).await.unwrap();
    }

    /// Posts the payment's status and lets the gateway confirm it.
    async fn reaches(&self, number: u32, word: &str) {
        self.is_said(number, word).await;
        let body = body(number, word);
        let payment = self.ledger.reader().stories(key(number).as_str(), None).unwrap().remove(0).known.payment;
        let answer = Answer { status: 200, body: body.as_bytes(), asked: chrono::Utc::now() };
        let seen = self.gateway.read_answer(&payment, &answer, chrono::Utc::now()).unwrap();
        let recorded = self.ledger.record(seen, None, Arc::clone(&self.terms), Admission::Wait).await.unwrap();
        assert_eq!(recorded.status, Status::from_code(word).unwrap());
    }

    /// What was ever found about double payments: the payment's number, what was found, and whether it is open.
    fn findings(&self) -> Vec<(u32, String, bool)> {
        let mut findings = Vec::new();
        for number in 1..=3 {
            for story in self.ledger.reader().stories(key(number).as_str(), None).unwrap() {
                let found = story.discrepancies.into_iter().filter(|it| it.class == Class::DuplicatePayment);
                findings.extend(found.map(|finding| (number, finding.found, finding.state == "open")));
            }
        }
        findings
    }

    /// Those that are open.
    fn open_findings(&self) -> Vec<(u32, String)> {
        let open = self.findings().into_iter().filter(|(_, _, open)| *open);
        open.map(|(number, found, _)| (number, found)).collect()
    }
}

fn poll_url(number: u32) -> String {
    format!("https://www.paynow.co.zw/Interface/CheckPayment/?guid=06f656ab-ed60-4a03-8373-a3321b4b{number:04}")
}

fn key(number: u32) -> GatewayKey {
    PollUrl::parse(&poll_url(number), &Protocol::Zimbabwe.default_origin().parse().unwrap()).unwrap().key()
}

fn body(number: u32, word: &str) -> String {
    let fields = [
        ("reference", "INV-7".to_owned()),
        ("paynowreference", format!("35216{number:03}")),
        ("amount", "25.00".to_owned()),
        ("status", word.to_owned()),
        ("pollurl", poll_url(number)),
    ];
    hash::sign(Fields::from_pairs(fields), "hash", Rule::Values, &Key::guid(KEY).unwrap()).encode()
}

#[tokio::test]
async fn a_second_paid_payment_for_an_order_is_a_finding_that_a_refund_settles() {
    let house = House::open();
    house.reaches(1, "Paid").await;
    assert_eq!(house.open_findings(), []);
    house.reaches(2, "Awaiting Delivery").await;
    assert_eq!(house.open_findings(), [(2, "35216002 is paid, and so is 35216001".to_owned())]);
    // Between the post and the answer the new state is only claimed: that settles nothing and finds nothing anew.
    house.reaches(2, "Paid").await;
    assert_eq!(house.findings(), [(2, "35216002 is paid, and so is 35216001".to_owned(), true)]);
    house.reaches(1, "Refunded").await;
    assert_eq!(house.open_findings(), []);
}

#[tokio::test]
async fn of_three_payments_one_refund_leaves_two_too_many() {
    let house = House::open();
    house.reaches(1, "Paid").await;
    house.reaches(2, "Paid").await;
    house.reaches(3, "Paid").await;
    assert_eq!(house.open_findings().len(), 2);
    house.reaches(3, "Refunded").await;
    assert_eq!(house.open_findings(), [(2, "35216002 is paid, and so is 35216001".to_owned())]);
    house.reaches(2, "Refunded").await;
    assert_eq!(house.open_findings(), []);
}

#[tokio::test]
async fn a_refund_that_comes_while_a_paid_state_is_only_claimed_settles_it_once_the_gateway_confirms() {
    let house = House::open();
    house.reaches(1, "Paid").await;
    house.reaches(2, "Awaiting Delivery").await;
    house.is_said(2, "Paid").await;
    house.is_said(2, "Refunded").await;
    assert_eq!(house.open_findings().len(), 1, "a post says so");
    house.reaches(2, "Refunded").await;
    assert_eq!(house.open_findings(), []);
}
