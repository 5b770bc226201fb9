//! Paynow Poland promises neither order nor uniqueness: whatever comes, however often and whenever, a payment ends
//! where the gateway has it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::sync::Arc;
use std::time::Duration;

use paynowd::domain::schedule::Bound;
use paynowd::domain::{
    Announce, Known, Mode, Observation, Outcome, Payment, PollSchedule, Status, Step, Terms, Timestamp, Trust,
};
use paynowd::protocol::poland::signature;
use paynowd::protocol::{Answer, Gateway, Key, Keys, Post, Protocol, Setup};
use proptest::prelude::*;

/// The documentation's sandbox credentials.
const API_KEY: &str = "97a55694-5478-43b5-b406-fb49ebfdd2b5";
const SIGNATURE_KEY: &str = "b305b996-bca5-4404-a0b7-2ccea3d2b64b";
const ID: &str = "NOLV-8F9-08K-WGD";

/// Every move that <https://docs.paynow.pl/docs/v3/integration> draws.
const MOVES: [(&str, &[&str]); 7] = [
    ("NEW", &["PENDING", "CONFIRMED", "REJECTED", "ERROR", "EXPIRED"]),
    ("PENDING", &["CONFIRMED", "REJECTED", "ERROR", "EXPIRED", "ABANDONED"]),
    ("REJECTED", &["CONFIRMED", "ABANDONED"]),
    ("ERROR", &["CONFIRMED", "REJECTED", "ABANDONED"]),
    ("CONFIRMED", &[]),
    ("EXPIRED", &[]),
    ("ABANDONED", &[]),
];

/// Every life a payment can have had so far.
fn paths() -> Vec<Vec<&'static str>> {
    let (mut paths, mut grown) = (vec![vec!["NEW"]], 0);
    while grown < paths.len() {
        let path = paths[grown].clone();
        let (_, onward) = MOVES.iter().find(|(from, _)| path.last() == Some(from)).unwrap();
        paths.extend(onward.iter().map(|to| path.iter().copied().chain([*to]).collect::<Vec<_>>()));
        grown += 1;
    }
    paths
}

fn gateway() -> Box<dyn Gateway> {
    Protocol::Poland.gateway(Setup {
        integration: paynowd::domain::IntegrationName::parse("sklep").unwrap(),
        id: None,
        keys: Keys::new(Key::opaque(SIGNATURE_KEY), Vec::new()),
        api_key: Some(Key::opaque(API_KEY)),
        origin: Protocol::Poland.default_origin().parse().unwrap(),
        max_fields: 64,
    })
}

fn terms() -> Terms {
    let pending = vec![Step { every: Duration::from_mins(1), bound: Bound::Times(1000) }];
    let schedule = PollSchedule { confirm: vec![Duration::ZERO], pending, held: vec![], gap: Duration::ZERO };
    Terms {
        currency: "PLN".parse().unwrap(),
        mode: Mode::Live,
        announce: Announce::Confirmed,
        announce_after: Duration::from_mins(15),
        tolerance: paynowd::domain::Amount::ZERO,
        notify_on: Status::ALL.to_vec(),
        recipients: vec![],
        confirmable: true,
        schedule: Arc::new(schedule),
    }
}

fn at(second: u32) -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000 + i64::from(second), 0).unwrap()
}

/// A notification, through the door.
fn told(word: &str, with_reference: bool, second: u32) -> Observation {
    let external_id = if with_reference { r#""externalId":"A-1","# } else { "" };
    let body = format!(
        r#"{{"paymentId":"{ID}",{external_id}"status":"{word}","modifiedAt":"2026-10-25T02:{:02}:00"}}"#,
        second % 60
    );
    let proof = signature::sign(body.as_bytes(), &Key::opaque(SIGNATURE_KEY));
    let post = Post { body: body.as_bytes(), signatures: &[proof.as_bytes()] };
    gateway().read_post(&post, at(second)).unwrap().into_value()
}

/// The gateway's answer, through the door.
fn answered(payment: &Payment, word: &str, second: u32) -> Observation {
    let body = format!(r#"{{"paymentId":"{ID}","status":"{word}"}}"#);
    let answer = Answer { status: 200, body: body.as_bytes(), asked: at(second) };
    gateway().read_answer(payment, &answer, at(second)).unwrap().into_value()
}

/// A payment and everything that was found on its way.
#[derive(Default)]
struct Life {
    known: Option<Known>,
    findings: usize,
    outcomes: Vec<Outcome>,
}

impl Life {
    fn hear(&mut self, seen: &Observation) {
        let decision = Payment::decide(self.known.as_ref(), seen, &terms());
        if let Some(before) = &self.known {
            let was_paid = before.payment.status == Status::Paid;
            assert!(!was_paid || decision.payment.status == Status::Paid, "CONFIRMED was left");
        }
        self.findings += decision.findings.len();
        self.outcomes.push(decision.outcome);
        let (payment, plan, unconfirmed_at) = (decision.payment, decision.plan, decision.unconfirmed_at);
        let before = self.known.as_ref().and_then(|known| known.proven);
        let proven = if payment.trust == Trust::Confirmed { Some(payment.status) } else { before };
        self.known = Some(Known { payment, proven, plan, unconfirmed_at });
    }

    fn payment(&self) -> &Payment {
        &self.known.as_ref().unwrap().payment
    }

    /// What must not depend on the order of things.
    fn end(&self) -> (Status, String, Trust, Option<String>) {
        let payment = self.payment();
        let reference = payment.facts.reference.as_ref().map(ToString::to_string);
        (payment.status, payment.wire_status.as_ref().unwrap().to_string(), payment.trust, reference)
    }
}

#[test]
fn there_are_as_many_lives_as_the_documentation_draws() {
    let paths = paths();
    assert_eq!(paths.len(), 25);
    assert!(paths.contains(&vec!["NEW", "PENDING", "ERROR", "REJECTED", "CONFIRMED"]));
}

#[test]
fn a_reference_is_taken_from_whichever_message_states_it_and_an_answer_without_one_erases_nothing() {
    let mut life = Life::default();
    life.hear(&told("CONFIRMED", false, 0));
    assert_eq!(life.end().3, None);
    life.hear(&told("CONFIRMED", true, 1));
    assert_eq!(life.end().3.as_deref(), Some("A-1"));
    assert_eq!(life.payment().last_changed, at(1));
    let answer = answered(life.payment(), "CONFIRMED", 2);
    life.hear(&answer);
    assert_eq!(life.end(), (Status::Paid, "CONFIRMED".into(), Trust::Confirmed, Some("A-1".into())));
    assert_eq!(life.outcomes, [Outcome::Opened, Outcome::Repeated, Outcome::Confirmed]);

    let mut late = Life::default();
    late.hear(&told("CONFIRMED", false, 0));
    late.hear(&told("NEW", true, 1));
    assert_eq!(late.end(), (Status::Paid, "CONFIRMED".into(), Trust::Reported, Some("A-1".into())));
}

#[test]
fn two_messages_that_name_different_orders_contradict_and_change_nothing() {
    let mut life = Life::default();
    life.hear(&told("NEW", true, 0));
    let mut other = told("CONFIRMED", true, 1);
    other.facts.reference = Some(paynowd::domain::Reference::parse("A-2").unwrap());
    life.hear(&other);
    assert_eq!(life.end(), (Status::Created, "NEW".into(), Trust::Reported, Some("A-1".into())));
    assert_eq!(life.outcomes, [Outcome::Opened, Outcome::Contradicted]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Notifications only, each at least once, in any order and number: the same end as in order.
    #[test]
    fn disorder_and_repetition_end_where_order_ends(
        path in prop::sample::select(paths()),
        copies in prop::collection::vec(1..4_usize, 5),
        bare in prop::collection::vec(any::<bool>(), 5),
        seed in prop::collection::vec(any::<u32>(), 20),
    ) {
        let mut in_order = Life::default();
        let mut messages = Vec::new();
        for (step, word) in path.iter().enumerate() {
            // At least one message says what the order is called.
            let named = step == path.len() - 1 || !bare[step];
            in_order.hear(&told(word, named, u32::try_from(step).unwrap()));
            messages.extend(vec![(*word, named); copies[step]]);
        }
        let mut order: Vec<usize> = (0..messages.len()).collect();
        order.sort_by_key(|at| seed[*at]);
        let mut disordered = Life::default();
        for (second, message) in order.into_iter().enumerate() {
            let (word, named) = messages[message];
            disordered.hear(&told(word, named, u32::try_from(second).unwrap()));
        }
        prop_assert_eq!(disordered.end(), in_order.end());
        prop_assert_eq!((disordered.findings, in_order.findings), (0, 0), "{:?}", disordered.outcomes);
    }

    /// A gateway that changes over time, notifications that are lost, late and repeated, questions at any time: after
    /// the last question the ledger stands where the gateway stands, and the gateway's own word is behind it.
    #[test]
    fn retry_chains_losses_and_polls_end_where_the_gateway_stands(
        path in prop::sample::select(paths()),
        chains in prop::collection::vec(prop::collection::vec(0..40_u32, 0..4), 5),
        first in 0..40_u32,
        polls in prop::collection::vec(0..60_u32, 0..6),
    ) {
        enum Happening<'a> { Told(&'a str), Asked }
        let changed = |step: usize| u32::try_from(step).unwrap() * 5;
        let mut happenings = vec![(first, Happening::Told(path[0]))];
        for (step, (word, chain)) in path.iter().zip(&chains).enumerate() {
            happenings.extend(chain.iter().map(|late| (changed(step) + late, Happening::Told(word))));
        }
        happenings.extend(polls.iter().map(|second| (*second, Happening::Asked)));
        happenings.push((100, Happening::Asked));
        happenings.sort_by_key(|(second, _)| *second);
        let stands = |second: u32| (0..path.len()).rev().find(|step| changed(*step) <= second).map(|step| path[step]);
        let mut life = Life::default();
        for (second, happening) in happenings {
            match (happening, &life.known) {
                (Happening::Told(word), _) => life.hear(&told(word, true, second)),
                (Happening::Asked, Some(known)) => {
                    let answer = answered(&known.payment, stands(second).unwrap(), second);
                    life.hear(&answer);
                }
                (Happening::Asked, None) => {}
            }
        }
        let word = path[path.len() - 1];
        let (status, wire, trust, reference) = life.end();
        prop_assert_eq!((wire.as_str(), trust, reference.as_deref()), (word, Trust::Confirmed, Some("A-1")));
        prop_assert_eq!(status, told(word, true, 0).status);
        prop_assert_eq!(life.findings, 0, "{:?}", life.outcomes);
    }
}
