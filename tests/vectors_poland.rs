//! Every published vector of Paynow Poland, entry by entry: notifications through the gateway's own door, bodies and
//! questions through the signature.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::BTreeMap;

use paynowd::domain::{IntegrationName, Observation, Status, Timestamp};
use paynowd::protocol::poland::signature::{self, SignatureError};
use paynowd::protocol::{Key, Keys, Post, Protocol, Rejection, Setup, Verified};
use serde_json::Value;

/// How many entries there are: none may be skipped, none forgotten.
const ENTRIES: usize = 13;

struct Vector {
    kind: String,
    key: String,
    payload: String,
    signature: String,
    source: String,
}

fn vectors() -> Vec<Vector> {
    let entries: Vec<Value> = serde_json::from_str(include_str!("vectors/poland.json")).unwrap();
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
    let vectors: Vec<Vector> = entries
        .iter()
        .map(|entry| {
            assert!(entry["verifies"] == true && entry["should_verify"] == true, "{entry}");
            Vector {
                kind: text(entry, "kind"),
                key: text(entry, "key"),
                payload: text(entry, "payload"),
                signature: text(entry, "expected_signature"),
                source: text(entry, "source"),
            }
        })
        .collect();
    assert_eq!(vectors.len(), ENTRIES);
    vectors
}

fn of_kind(kind: &str) -> Vec<Vector> {
    vectors().into_iter().filter(|vector| vector.kind == kind).collect()
}

fn read(vector: &Vector, body: &str) -> Result<Verified<Observation>, Rejection> {
    let gateway = Protocol::Poland.gateway(Setup {
        integration: IntegrationName::parse("sklep").unwrap(),
        id: None,
        keys: Keys::new(Key::opaque(&vector.key), Vec::new()),
        api_key: None,
        origin: Protocol::Poland.default_origin().parse().unwrap(),
        max_fields: 64,
    });
    let signatures: [&[u8]; 1] = [vector.signature.as_bytes()];
    gateway.read_post(&Post { body: body.as_bytes(), signatures: &signatures }, Timestamp::UNIX_EPOCH)
}

#[test]
fn every_entry_is_of_a_kind_that_is_tried_here() {
    let counts = ["notification", "body_hmac_v1", "request_v3"].map(|kind| of_kind(kind).len());
    assert_eq!(counts.iter().sum::<usize>(), ENTRIES);
    assert!(counts.iter().all(|count| *count > 0));
}

#[test]
fn every_payload_has_the_published_signature_and_verifies() {
    for vector in vectors() {
        let key = Key::opaque(&vector.key);
        assert_eq!(signature::sign(vector.payload.as_bytes(), &key), vector.signature, "{}", vector.source);
        let keys = Keys::new(key, Vec::new());
        let proof: [&[u8]; 1] = [vector.signature.as_bytes()];
        assert_eq!(signature::verify(vector.payload.as_bytes(), &proof, &keys), Ok(0), "{}", vector.source);
        let other = format!("{} ", vector.payload);
        assert_eq!(signature::verify(other.as_bytes(), &proof, &keys), Err(SignatureError::Mismatch));
    }
}

#[test]
fn every_published_notification_is_believed_as_it_stands_and_in_no_other_spelling() {
    for vector in of_kind("notification") {
        let seen = read(&vector, &vector.payload).unwrap().into_value();
        assert_eq!((seen.key.as_str(), seen.status), ("NOLV-8F9-08K-WGD", Status::Paid), "{}", vector.source);
        assert_eq!(seen.said_at.unwrap().as_str(), "2018-12-12T13:24:52");
        assert_eq!(seen.facts.amount, None);
        let object: Value = serde_json::from_str(&vector.payload).unwrap();
        assert_eq!(seen.facts.reference.as_ref().map(ToString::to_string).as_deref(), object["externalId"].as_str());
        let respelt = [object.to_string(), serde_json::to_string_pretty(&object).unwrap()];
        for spelling in respelt.iter().filter(|spelling| **spelling != vector.payload) {
            assert!(matches!(read(&vector, spelling), Err(Rejection::Forged(_))), "{spelling}");
        }
    }
}

#[test]
fn every_published_question_is_written_byte_for_byte() {
    for vector in of_kind("request_v3") {
        let envelope: Value = serde_json::from_str(&vector.payload).unwrap();
        let header = |name: &str| envelope["headers"][name].as_str().unwrap();
        let parameters: BTreeMap<&str, Vec<&str>> = envelope["parameters"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, values)| {
                (name.as_str(), values.as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect())
            })
            .collect();
        let body = envelope["body"].as_str().unwrap();
        let written = signature::envelope(header("Api-Key"), header("Idempotency-Key"), &parameters, body);
        assert_eq!(written, vector.payload, "{}", vector.source);
    }
}
