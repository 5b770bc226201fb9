//! An account through the gateway's trait, as receiver and poller use it.

use super::*;
use crate::domain::{IntegrationName, Mode, Trust};
use crate::protocol::{Key, Keys};

/// The documentation's sandbox credentials: known to everyone, good for nothing but this.
const API_KEY: &str = "97a55694-5478-43b5-b406-fb49ebfdd2b5";
const SIGNATURE_KEY: &str = "b305b996-bca5-4404-a0b7-2ccea3d2b64b";
const ID: &str = "NOLV-8F9-08K-WGD";

fn account() -> Account {
    Account::new(Setup {
        integration: IntegrationName::parse("sklep").unwrap(),
        id: None,
        keys: Keys::new(Key::opaque("new"), vec![Key::opaque(SIGNATURE_KEY)]),
        api_key: Some(Key::opaque(API_KEY)),
        origin: "https://api.paynow.pl".parse().unwrap(),
        max_fields: 64,
    })
}

fn post(body: &str, signatures: &[&str]) -> Result<Verified<Observation>, Rejection> {
    let signatures: Vec<&[u8]> = signatures.iter().map(|text| text.as_bytes()).collect();
    account().read_post(&Post { body: body.as_bytes(), signatures: &signatures }, Timestamp::UNIX_EPOCH)
}

fn signed(body: &str) -> Result<Verified<Observation>, Rejection> {
    post(body, &[&signature::sign(body.as_bytes(), &Key::opaque(SIGNATURE_KEY))])
}

fn told(status: &str) -> String {
    format!(r#"{{"paymentId":"{ID}","externalId":"A-1","status":"{status}","modifiedAt":"2018-12-12T13:24:52"}}"#)
}

fn payment() -> Payment {
    Payment {
        integration: IntegrationName::parse("sklep").unwrap(),
        key: GatewayKey::parse(ID).unwrap(),
        facts: Facts::default(),
        currency: "PLN".parse().unwrap(),
        mode: Mode::Live,
        status: Status::Created,
        wire_status: None,
        trust: Trust::Reported,
        poll_url: None,
        posted: crate::domain::Posted::Current,
        paid_at: None,
        first_seen: Timestamp::UNIX_EPOCH,
        last_changed: Timestamp::UNIX_EPOCH,
    }
}

#[test]
fn a_notification_says_what_it_says_and_nothing_of_money() {
    let verified = signed(&told("CONFIRMED")).unwrap();
    assert_eq!(verified.key(), 1, "a former key proved it");
    let seen = verified.into_value();
    assert_eq!((seen.key.as_str(), seen.status), (ID, Status::Paid));
    assert_eq!((seen.channel, seen.evidence), (Channel::Post, Evidence::HmacSha256));
    assert_eq!(seen.facts.reference.unwrap().as_str(), "A-1");
    assert_eq!((seen.facts.amount, seen.facts.amount_paid), (None, None));
    assert_eq!(seen.said_at.unwrap().as_str(), "2018-12-12T13:24:52");
    assert_eq!(seen.body, told("CONFIRMED").as_bytes());
}

#[test]
fn the_signature_is_over_the_bytes_as_they_came() {
    let compact = told("CONFIRMED");
    let proof = signature::sign(compact.as_bytes(), &Key::opaque(SIGNATURE_KEY));
    let value: serde_json::Value = serde_json::from_str(&compact).unwrap();
    for other in [serde_json::to_string_pretty(&value).unwrap(), format!("{compact}\n"), format!(" {compact}")] {
        assert!(matches!(post(&other, &[&proof]), Err(Rejection::Forged(_))), "{other}");
        assert!(signed(&other).is_ok(), "{other}");
    }
}

#[test]
fn what_has_no_single_signature_is_malformed_and_what_has_a_wrong_one_is_forged() {
    let body = told("CONFIRMED");
    let good = signature::sign(body.as_bytes(), &Key::opaque(SIGNATURE_KEY));
    for signatures in [&[][..], &[good.as_str(), &good], &["x"]] {
        assert!(matches!(post(&body, signatures), Err(Rejection::Malformed(_))), "{signatures:?}");
    }
    let wrong = signature::sign(body.as_bytes(), &Key::opaque("nobody's"));
    assert!(matches!(post(&body, &[&wrong]), Err(Rejection::Forged(_))));
}

#[test]
fn what_is_signed_but_not_a_message_is_malformed_and_what_breaks_the_grammar_is_suspect() {
    for body in ["", "status=Paid", "[]", r#"{"status":"NEW","status":"CONFIRMED"}"#] {
        assert!(matches!(signed(body), Err(Rejection::Malformed(_))), "{body}");
    }
    let Err(Rejection::Suspect { about, .. }) = signed(&told("paid")) else { panic!("not suspect") };
    let about = about.unwrap().into_value();
    assert_eq!((about.key.as_str(), about.status, about.facts), (ID, Status::Created, Facts::default()));
    let Err(Rejection::Suspect { about, .. }) = signed(&told("NEW").replace("NOLV-", "NOLV_")) else {
        panic!("not suspect")
    };
    assert_eq!(about, None);
}

#[test]
fn an_undocumented_word_is_taken_and_understood_as_unknown() {
    let seen = signed(&told("ON_HOLD")).unwrap().into_value();
    assert_eq!((seen.status, seen.wire_status.unwrap().as_str()), (Status::Unknown, "ON_HOLD"));
}

#[test]
fn every_question_has_a_number_of_its_own_and_is_signed_with_the_current_key() {
    let ask = |once: u128| account().question(&payment(), Uuid::from_u128(once)).unwrap();
    let (one, other) = (ask(1), ask(2));
    assert_eq!(one.url, "https://api.paynow.pl/v3/payments/NOLV-8F9-08K-WGD/status");
    let value = |question: &Question, name: &str| {
        question.headers.iter().find(|header| header.0 == name).map(|header| header.1.clone()).unwrap()
    };
    assert_ne!(value(&one, "idempotency-key"), value(&other, "idempotency-key"));
    assert!(value(&one, "idempotency-key").len() <= 45);
    let envelope =
        signature::envelope(API_KEY, &value(&one, "idempotency-key"), &std::collections::BTreeMap::new(), "");
    assert_eq!(value(&one, "signature"), signature::sign(envelope.as_bytes(), &Key::opaque("new")));
}

#[test]
fn an_answer_is_evidence_by_certificate_and_only_about_the_payment_that_was_asked_about() {
    let answer = |body: &str| {
        account().read_answer(
            &payment(),
            &Answer { status: 200, body: body.as_bytes(), asked: Timestamp::UNIX_EPOCH },
            Timestamp::UNIX_EPOCH,
        )
    };
    let seen = answer(r#"{"paymentId":"NOLV-8F9-08K-WGD","status":"CONFIRMED"}"#).unwrap().into_value();
    assert_eq!((seen.channel, seen.evidence, seen.status), (Channel::Poll, Evidence::Tls, Status::Paid));
    assert_eq!((seen.facts, seen.said_at), (Facts::default(), None));
    let other = answer(r#"{"paymentId":"NOLV-8F9-08K-WGE","status":"CONFIRMED"}"#);
    assert_eq!(other.unwrap_err(), Unproven::OtherPayment);
}

#[test]
fn nothing_about_an_account_is_printed_that_is_secret() {
    let printed = format!("{:?}", account());
    assert!(!printed.contains("97a5") && !printed.contains("b305"), "{printed}");
}
