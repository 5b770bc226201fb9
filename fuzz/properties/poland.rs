//! Messages of Paynow Poland: the signature is over the bytes as they are, so every input is signed; and the same
//! bytes as an answer, which nothing but the connection proves.

use paynowd::domain::{Channel, Evidence, GatewayKey, Observation};
use paynowd::protocol::poland::signature;
use paynowd::protocol::{Answer, Gateway, Key, Post, Protocol, Rejection, Unproven, Verified};
use serde_json::Value;

use super::{CANARY, flipped, gateway, harmless, kept, now, payment, tells};

/// The documentation's sandbox key: known to everyone. <https://docs.paynow.pl/docs/v3/integration>
const KEY: &str = "b305b996-bca5-4404-a0b7-2ccea3d2b64b";
/// A payment that no message speaks of unless it was made to.
const NOBODYS: &str = "0000-000-000-000";
/// How many bits are turned over in each message.
const FLIPS: u64 = 4;

/// A notification, and a reply.
pub fn holds(body: &[u8]) {
    let shop = gateway(Protocol::Poland, KEY);
    notification(&*shop, body);
    reply(&*shop, body);
}

fn notification(shop: &dyn Gateway, body: &[u8]) {
    let proof = sign(body);
    let read = post(shop, body, &proof);
    assert!(!matches!(read, Err(Rejection::Forged(_))), "what was signed is refused as forged");
    for other in (0..FLIPS).map(|turn| flipped(body, turn)).filter(|other| other != body) {
        assert!(matches!(post(shop, &other, &proof), Err(Rejection::Forged(_))), "a bit turned over unnoticed");
    }
    let object: Option<Value> = serde_json::from_slice(body).ok();
    if let Ok(proven) = read {
        let seen = proven.value();
        assert_eq!((proven.key(), seen.channel, seen.evidence), (0, Channel::Post, Evidence::HmacSha256));
        assert!(seen.said_at.is_some() && seen.facts.amount.is_none() && seen.poll_url.is_none());
        kept(seen, body);
        let respelt = object.as_ref().expect("what is believed is JSON").to_string().into_bytes();
        let again = post(shop, &respelt, &sign(&respelt)).expect("another spelling says the same").into_value();
        assert_eq!(Observation { body: seen.body.clone(), ..again }, *seen);
        let twice = with_two_statuses(body);
        assert!(
            matches!(post(shop, &twice, &sign(&twice)), Err(Rejection::Malformed(_))),
            "two statuses in one message"
        );
    }
    let members = object.as_ref().and_then(Value::as_object).into_iter().flatten();
    for (name, value) in members.filter_map(|(name, value)| Some((name, value.as_str()?))).take(12) {
        let mut marked = object.clone().unwrap_or_default();
        marked[name] = format!("{value}{CANARY}").into();
        let marked = marked.to_string().into_bytes();
        let told = post(shop, &marked, &sign(&marked)).err().map(|refused| refused.to_string());
        assert!(!told.as_deref().is_some_and(|told| tells(told, CANARY)), "{name:?}: {told:?}");
    }
}

fn reply(shop: &dyn Gateway, body: &[u8]) {
    let object: Option<Value> = serde_json::from_slice(body).ok();
    let own = object.and_then(|object| GatewayKey::parse(object.get("paymentId")?.as_str()?).ok());
    let nobodys = GatewayKey::parse(NOBODYS).unwrap();
    let own = own.unwrap_or_else(|| nobodys.clone());
    for status in [200, 404, 503] {
        let Ok(proven) = answer(shop, &own, status, body) else { continue };
        let seen = proven.into_value();
        assert_eq!(status, 200, "only a 200 is a status");
        assert_eq!((seen.channel, seen.evidence, seen.asked), (Channel::Poll, Evidence::Tls, Some(now())));
        assert_eq!(seen.key, own);
        kept(&seen, body);
        let other = answer(shop, &nobodys, status, body);
        assert!(own == nobodys || other == Err(Unproven::OtherPayment), "{other:?}");
        let twice = answer(shop, &own, status, &with_two_statuses(body));
        assert!(matches!(twice, Err(Unproven::Malformed(_))), "two statuses in one answer");
    }
}

/// A message that has a status, with one more at its end.
fn with_two_statuses(body: &[u8]) -> Vec<u8> {
    let open = body.trim_ascii_end().strip_suffix(b"}").expect("what is believed is an object");
    [open, br#","status":"NEW"}"#].concat()
}

fn sign(body: &[u8]) -> String {
    signature::sign(body, &Key::opaque(KEY))
}

fn post(shop: &dyn Gateway, body: &[u8], proof: &str) -> Result<Verified<Observation>, Rejection> {
    let read = shop.read_post(&Post { body, signatures: &[proof.as_bytes()] }, now());
    if let Err(refused) = &read {
        harmless(&refused.to_string(), KEY);
    }
    read
}

fn answer(shop: &dyn Gateway, about: &GatewayKey, status: u16, body: &[u8]) -> Result<Verified<Observation>, Unproven> {
    let answered = shop.read_answer(&payment(about.clone()), &Answer { status, body, asked: now() }, now());
    if let Err(unproven) = &answered {
        harmless(&unproven.to_string(), KEY);
        if let Some(finding) = unproven.finding() {
            harmless(&finding.found, KEY);
        }
    }
    answered
}
