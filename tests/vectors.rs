//! Every published and derived message of Paynow Zimbabwe, honoured one by one: what verifies, what must not, and what
//! a receiver makes of it.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paynowd::domain::{
    Announce, Known, MerchantTrace, Mode, Observation, Origin, Outcome, Payment, PollPlan, PollSchedule, Reference,
    Status, Terms, Timestamp,
};
use paynowd::protocol::zimbabwe::hash::{Blanks, digest};
use paynowd::protocol::zimbabwe::{Fields, Rule, StatusUpdate, hash};
use paynowd::protocol::{Answer, Gateway, Key, Keys, Post, Protocol, Rejection, Setup, Traced, Unproven, Verified};
use serde_json::Value;

/// How many messages of each kind the file holds. A new one must be counted here, and so be looked at.
const KINDS: [(&str, usize); 12] = [
    ("button_notification", 2),
    ("express_request", 2),
    ("express_response", 2),
    ("hash_unit", 2),
    ("initiate_request", 6),
    ("initiate_response", 3),
    ("negative", 5),
    ("omari_otp_request", 1),
    ("poll_response", 5),
    ("status_update", 10),
    ("trace_request", 1),
    ("trace_response", 2),
];

/// One message of the file.
struct Vector {
    kind: String,
    key: Option<String>,
    body: String,
    expected_hash: Option<String>,
    verifies: bool,
    rule: Rule,
    note: String,
    receiver_must: Option<String>,
}

fn vectors() -> Vec<Vector> {
    let all: Value = serde_json::from_str(include_str!("vectors/zimbabwe.json")).unwrap();
    let text = |entry: &Value, field: &str| entry[field].as_str().map(str::to_owned);
    let read = |entry: &Value| Vector {
        kind: text(entry, "kind").unwrap(),
        key: text(entry, "key"),
        body: text(entry, "body").unwrap(),
        expected_hash: text(entry, "expected_hash"),
        verifies: entry["verifies"].as_bool().unwrap(),
        rule: match entry["rule"].as_str().unwrap() {
            "values" => Rule::Values,
            "key+value" => Rule::NamesAndValues,
            other => panic!("an unknown rule: {other}"),
        },
        note: text(entry, "note").unwrap(),
        receiver_must: text(entry, "receiver_must"),
    };
    all.as_array().unwrap().iter().map(read).collect()
}

fn the(kind: &str, note: &str) -> Vector {
    let mut found = vectors().into_iter().filter(|vector| vector.kind == kind && vector.note.contains(note));
    let vector = found.next().unwrap_or_else(|| panic!("no {kind} with {note:?}"));
    assert!(found.next().is_none(), "more than one {kind} with {note:?}");
    vector
}

fn now() -> Timestamp {
    Timestamp::from_timestamp(1_790_000_000, 0).unwrap()
}

impl Vector {
    /// The key as a merchant configures it; keys of test suites that are no GUIDs as they are.
    fn keys(&self) -> Keys {
        let text = self.key.as_deref().unwrap_or("a key that nobody published");
        let key = Protocol::Zimbabwe.key(text).unwrap_or_else(|_| Key::opaque(text));
        Keys::new(key, Vec::new())
    }

    fn fields(&self) -> Option<Fields> {
        Fields::parse(self.body.as_bytes(), 64).ok()
    }

    /// The gateway this message came from: the origin of its poll URL, unless nobody should go there.
    fn origin(&self) -> Origin {
        let fields = self.fields();
        let url = fields.as_ref().and_then(|fields| fields.value("pollurl"));
        let origin = url.and_then(|url| url.to_ascii_lowercase().split_once("/interface/").map(|it| it.0.to_owned()));
        let origin = origin.and_then(|origin| origin.parse().ok());
        origin.unwrap_or_else(|| Protocol::Zimbabwe.default_origin().parse().unwrap())
    }

    fn gateway(&self) -> Box<dyn Gateway> {
        let protocol = match self.rule {
            Rule::Values => Protocol::Zimbabwe,
            Rule::NamesAndValues => Protocol::ZimbabweButton,
        };
        let integration = paynowd::domain::IntegrationName::parse("shop").unwrap();
        protocol.gateway(Setup {
            integration,
            id: Some("1201".into()),
            keys: self.keys(),
            origin: self.origin(),
            max_fields: 64,
            api_key: None,
        })
    }

    fn posted(&self) -> Result<Verified<Observation>, Rejection> {
        self.gateway().read_post(&Post { body: self.body.as_bytes(), signatures: &[] }, now())
    }

    /// The message as the answer to a trace.
    fn traced(&self) -> Result<Traced, Unproven> {
        self.gateway().read_traced(&trace(), &Answer { status: 200, body: self.body.as_bytes(), asked: now() }, now())
    }

    /// The message as an answer about the payment of the canonical status update, or about its own.
    fn answered(&self) -> Result<Verified<Observation>, Unproven> {
        let own = self.fields().and_then(|it| Some(it.value("pollurl")?.rsplit_once('=')?.1.to_owned()));
        let mut opened = opened(Status::Created);
        if let Some(guid) = own {
            opened.key = paynowd::domain::GatewayKey::parse(&guid).unwrap();
        }
        self.gateway().read_answer(&opened, &Answer { status: 200, body: self.body.as_bytes(), asked: now() }, now())
    }
}

/// The trace of the file's own trace request.
fn trace() -> MerchantTrace {
    MerchantTrace::parse("T-0001").unwrap()
}

fn terms() -> Terms {
    Terms {
        currency: "USD".parse().unwrap(),
        mode: Mode::Live,
        announce: Announce::Confirmed,
        announce_after: Duration::from_mins(15),
        tolerance: paynowd::domain::Amount::ZERO,
        notify_on: vec![Status::Paid],
        recipients: Vec::new(),
        confirmable: true,
        schedule: Arc::new(PollSchedule {
            confirm: vec![Duration::ZERO],
            pending: Vec::new(),
            held: Vec::new(),
            gap: Duration::ZERO,
        }),
    }
}

/// The payment of the canonical status update, as a first post with this status would have opened it.
fn opened(status: Status) -> Payment {
    let seen = the("status_update", "canonical").posted().unwrap().into_value();
    Payment::decide(None, &Observation { status, ..seen }, &terms()).payment
}

/// Does with one message what its kind and `receiver_must` ask for.
fn honour(vector: &Vector) {
    let note = &vector.note;
    let proven = vector.fields().is_some_and(|fields| hash::verify(&fields, vector.rule, &vector.keys()).is_ok());
    assert_eq!(proven, vector.verifies, "{note}");
    if let (true, Some(expected), Some(fields)) = (proven, &vector.expected_hash, vector.fields()) {
        // The keys of the file hash in lower case; the digest must be the printed one, not merely one that is accepted.
        let key = vector.key.as_deref().unwrap().to_lowercase();
        let ours =
            [Blanks::Kept, Blanks::Trimmed].map(|blanks| hex::encode_upper(digest(&fields, vector.rule, blanks, &key)));
        assert!(ours.contains(&expected.to_uppercase()), "{note}");
    }
    match (vector.kind.as_str(), vector.receiver_must.as_deref()) {
        ("status_update", Some(must)) => accept_status_update(vector, must),
        ("button_notification", Some("accept")) => {
            let seen = vector.posted().unwrap().into_value();
            assert_eq!((seen.status, seen.key.as_str()), (Status::Paid, "40222"), "{note}");
            let amounts = [seen.facts.amount, seen.facts.amount_paid].map(|amount| amount.unwrap().to_string());
            assert_eq!(amounts, ["25.00", "26.30"], "{note}");
        }
        // Only a trace is answered so; to a poll it says nothing about the payment.
        ("trace_response", Some("accept")) => {
            assert_eq!(vector.traced(), Ok(Traced::NotFound), "{note}");
            assert!(matches!(vector.answered(), Err(Unproven::Suspect(_))), "{note}");
            assert!(matches!(vector.posted(), Err(Rejection::Suspect { about: None, .. })), "{note}");
        }
        ("negative", Some("reject 400")) => assert!(matches!(vector.posted(), Err(Rejection::Malformed(_))), "{note}"),
        ("negative", Some("reject")) => match vector.expected_hash.as_deref() {
            Some("") => assert!(matches!(vector.posted(), Err(Rejection::Malformed(_))), "{note}"),
            _ => assert!(matches!(vector.posted(), Err(Rejection::Forged(_))), "{note}"),
        },
        ("negative", Some("never a state change")) => {
            assert!(matches!(vector.answered(), Err(Unproven::Error(_))), "{note}");
            assert!(matches!(vector.posted(), Err(Rejection::Malformed(_))), "{note}");
        }
        ("negative", Some("treat as transient failure, back off")) => {
            assert_eq!(vector.answered().unwrap_err(), Unproven::WebPage, "{note}");
            assert!(matches!(vector.posted(), Err(Rejection::Malformed(_))), "{note}");
        }
        ("poll_response", None) => {
            // Also what cannot be proven without its key has a shape that is understood.
            let read = StatusUpdate::read(&vector.fields().unwrap(), &vector.origin()).unwrap();
            assert_ne!(read.status, Status::Unknown, "{note}");
            match vector.answered() {
                Ok(seen) => assert_eq!((vector.verifies, seen.value().status), (true, read.status), "{note}"),
                // One was printed without its hash, one with a digit missing.
                Err(Unproven::Malformed(_)) => assert_ne!(vector.expected_hash.as_ref().unwrap().len(), 128, "{note}"),
                Err(error) => assert_eq!((error, vector.verifies), (Unproven::Forged, false), "{note}"),
            }
        }
        ("button_notification", None) => {
            assert!(matches!(vector.posted(), Err(Rejection::Forged(_))), "{note}");
        }
        ("trace_response", None) => {
            assert!(matches!(vector.posted(), Err(Rejection::Forged(_))), "{note}");
            assert_eq!(vector.traced(), Err(Unproven::Forged), "{note}");
        }
        ("trace_request", None) => {
            let question = vector.gateway().trace(&trace()).unwrap();
            assert_eq!(String::from_utf8(question.body).unwrap(), vector.body, "{note}");
        }
        ("initiate_response" | "express_response", None) => match vector.gateway().read_begun(vector.body.as_bytes()) {
            Ok(begun) => {
                let told = vector.fields().unwrap().value("pollurl").map(str::to_owned);
                assert_eq!((vector.verifies, Some(begun.value().poll_url.as_str())), (true, told.as_deref()), "{note}");
            }
            Err(error) => assert_eq!((error, vector.verifies), (Unproven::Forged, false), "{note}"),
        },
        ("initiate_request" | "express_request" | "hash_unit" | "omari_otp_request", None) => {}
        (kind, must) => panic!("nobody knows what to do with {kind}, {must:?}: {note}"),
    }
}

fn accept_status_update(vector: &Vector, must: &str) {
    let note = &vector.note;
    let seen = vector.posted().unwrap_or_else(|rejection| panic!("{note}: {rejection}")).into_value();
    assert_eq!(seen.key.as_str(), "06f656ab-ed60-4a03-8373-a3321b4b3e68", "{note}");
    assert_eq!(seen.facts.amount.unwrap().to_string(), "1.00", "{note}");
    assert_eq!(vector.answered().unwrap().value().status, seen.status, "an answer reads as a post does: {note}");
    let Ok(Traced::Found(traced)) = vector.traced() else { panic!("a traced payment reads as a post does: {note}") };
    assert_eq!((traced.value().status, &traced.value().key), (seen.status, &seen.key), "{note}");
    match must {
        "accept" => assert!(seen.status.is_paid(), "{note}"),
        "accept; keep as text" => assert_eq!(seen.facts.gateway_reference.unwrap().as_str(), "1,082", "{note}"),
        "accept (trimmed fallback)" => {
            assert_eq!(seen.facts.reference.as_ref().map(Reference::as_str), Some(" INV-32 "), "{note}");
        }
        "accept, terminal unpaid" => {
            assert!(seen.status == Status::Failed && seen.status.is_final() && !seen.status.is_paid(), "{note}");
        }
        "accept, record, do not change state, alert" => {
            let payment = opened(Status::Pending);
            let known = Known { payment, proven: None, plan: PollPlan::none(now()), unconfirmed_at: None };
            let decision = Payment::decide(Some(&known), &seen, &terms());
            assert_eq!((seen.status, decision.outcome), (Status::Unknown, Outcome::Unrecognised), "{note}");
            assert!(decision.outcome.is_event() && !decision.findings.is_empty(), "{note}");
            assert_eq!(decision.payment, known.payment, "{note}");
        }
        other => panic!("nobody knows how to {other:?}: {note}"),
    }
}

#[test]
fn every_vector_is_honoured_and_none_is_skipped() {
    let mut honoured: BTreeMap<String, usize> = BTreeMap::new();
    for vector in vectors() {
        honour(&vector);
        *honoured.entry(vector.kind).or_default() += 1;
    }
    let expected: BTreeMap<String, usize> = KINDS.map(|(kind, count)| (kind.to_owned(), count)).into();
    assert_eq!(honoured, expected);
}

#[test]
fn awaiting_delivery_is_understood_however_its_blank_is_escaped() {
    for note in ["space as +", "space as %20"] {
        assert_eq!(the("status_update", note).posted().unwrap().value().status, Status::AwaitingDelivery);
    }
}

#[test]
fn a_key_in_upper_case_is_the_same_key() {
    let vector = the("status_update", "upper case");
    assert_ne!(vector.key.as_deref().map(str::to_lowercase), vector.key);
    assert_eq!(vector.posted().unwrap().value().status, Status::Paid);
}

#[test]
fn a_message_of_another_gateway_is_never_taken() {
    let staging: Origin = "https://staging.paynow.co.zw".parse().unwrap();
    let vector = the("status_update", "canonical");
    let integration = paynowd::domain::IntegrationName::parse("shop").unwrap();
    let setup = Setup { integration, id: None, keys: vector.keys(), origin: staging, max_fields: 64, api_key: None };
    let post = Post { body: vector.body.as_bytes(), signatures: &[] };
    assert!(matches!(Protocol::Zimbabwe.gateway(setup).read_post(&post, now()), Err(Rejection::Suspect { .. })));
}

#[test]
fn characters_moved_between_neighbours_keep_the_hash_and_only_the_poll_can_tell() {
    let original = the("status_update", "canonical");
    let body = original.body.replace("paynowreference=35216224&amount=1.00", "paynowreference=3521622&amount=41.00");
    assert_ne!(body, original.body);
    let recut = Vector { body, ..original };
    let seen = recut.posted().unwrap().into_value();
    assert_eq!(seen.facts.amount.unwrap().to_string(), "41.00");
    let decision = Payment::decide(None, &seen, &terms());
    assert!(decision.payment.is_unproven() && decision.plan.due.is_some(), "believed only once the gateway agrees");
}

#[test]
fn one_more_digit_in_any_field_is_a_forgery() {
    let original = the("status_update", "canonical");
    for field in ["INV-32", "35216224", "1.00", "Paid", "3e68"] {
        let forged = Vector {
            body: original.body.replacen(field, &format!("{field}0"), 1),
            ..the("status_update", "canonical")
        };
        assert!(matches!(forged.posted(), Err(Rejection::Forged(_))), "{field}");
    }
}
