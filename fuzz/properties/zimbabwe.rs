//! Messages of Paynow Zimbabwe: the bytes as they are, which nothing proves, and their fields signed again, so that the
//! grammar behind the hash is reached.

use paynowd::domain::{Channel, Evidence, GatewayKey, Observation, Origin, PollUrl, Status};
use paynowd::protocol::zimbabwe::{Fields, Rule, hash};
use paynowd::protocol::{Answer, Gateway, Key, Post, Protocol, Rejection, Unproven, Verified};

use super::{CANARY, MAX_FIELDS, flipped, gateway, harmless, kept, now, payment, tells};

/// The documentation's key: known to everyone. <https://developers.paynow.co.zw/docs/generating_hash.html>
const KEY: &str = "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977";
/// A payment that no message speaks of unless it was made to.
const NOBODYS: &str = "00000000-0000-0000-0000-000000000000";
/// How many bits are turned over in each message.
const FLIPS: u64 = 4;

/// A post to the result URL.
pub fn status_update(body: &[u8]) {
    posts(Protocol::Zimbabwe, Rule::Values, body, |seen| {
        assert_eq!(seen.channel, Channel::Post);
        pinned(seen);
    });
}

/// A notification of a custom button.
pub fn button(body: &[u8]) {
    posts(Protocol::ZimbabweButton, Rule::NamesAndValues, body, |seen| {
        assert_eq!((seen.channel, seen.status, seen.poll_url.is_none()), (Channel::Button, Status::Paid, true));
        let reference = seen.facts.gateway_reference.as_ref().expect("a sale has a number");
        assert_eq!(reference.as_str(), seen.key.as_str());
        assert!(seen.facts.amount.is_some() && seen.facts.amount_paid.is_some() && seen.facts.reference.is_none());
    });
}

/// An answer of the poll URL.
pub fn poll_reply(body: &[u8]) {
    let shop = gateway(Protocol::Zimbabwe, KEY);
    let (own, wire) = (spoken_of(body, shop.origin()), signed(body, Rule::Values));
    for status in [200, 404, 503] {
        for body in [Some(body), wire.as_deref()].into_iter().flatten() {
            let answered = answer(&*shop, &own, status, body);
            let Ok(proven) = answered else { continue };
            assert_eq!(status, 200, "only a 200 is an answer");
            assert!(answer(&*shop, &key(NOBODYS), status, body).is_err() || own == key(NOBODYS));
            let seen = proven.into_value();
            assert_eq!((seen.channel, seen.asked, &seen.key), (Channel::Poll, Some(now()), &own));
            pinned(&seen);
            kept(&seen, body);
        }
    }
    for (at, marked) in marked(body) {
        let wire = sign(&marked, Rule::Values);
        let told = answer(&*shop, &own, 200, &wire).err().map(|unproven| unproven.to_string());
        assert!(!told.as_deref().is_some_and(|told| tells(told, CANARY)), "value {at}: {told:?}");
    }
}

/// What holds of every post, and of those that are believed also `believed`.
fn posts(protocol: Protocol, rule: Rule, body: &[u8], believed: impl Fn(&Observation)) {
    let shop = gateway(protocol, KEY);
    let judge = |body: &[u8]| {
        let read = post(&*shop, body);
        match &read {
            Ok(proven) => {
                let seen = proven.value();
                assert_eq!((proven.key(), seen.evidence, seen.asked), (0, Evidence::Sha512, None));
                kept(seen, body);
                believed(seen);
            }
            Err(refused) => harmless(&refused.to_string(), KEY),
        }
        read
    };
    let _ = judge(body);
    let Some(wire) = signed(body, rule) else { return };
    let read = judge(&wire);
    assert!(!matches!(read, Err(Rejection::Forged(_))), "what was signed is refused as forged");
    let hashed = values(&wire, rule, false).expect("what is signed is a form");
    for other in (0..FLIPS).map(|turn| flipped(&wire, turn)) {
        if matches!(judge(&other), Ok(_) | Err(Rejection::Suspect { .. })) {
            let same = [false, true].into_iter().any(|trimmed| values(&other, rule, trimmed).as_ref() == Some(&hashed));
            assert!(same, "believed, though its values are others: {}", String::from_utf8_lossy(&other));
        }
    }
    for (at, marked) in marked(body) {
        let told = post(&*shop, &sign(&marked, rule)).err().map(|refused| refused.to_string());
        assert!(!told.as_deref().is_some_and(|told| tells(told, CANARY)), "value {at}: {told:?}");
    }
}

fn post(shop: &dyn Gateway, body: &[u8]) -> Result<Verified<Observation>, Rejection> {
    shop.read_post(&Post { body, signatures: &[] }, now())
}

fn answer(shop: &dyn Gateway, about: &GatewayKey, status: u16, body: &[u8]) -> Result<Verified<Observation>, Unproven> {
    let answered = shop.read_answer(&payment(about.clone()), &Answer { status, body, asked: now() }, now());
    if let Err(unproven) = &answered {
        harmless(&unproven.to_string(), KEY);
    }
    answered
}

/// A believed status can be asked about where the gateway lives, and nowhere else, under the GUID that is its key.
fn pinned(seen: &Observation) {
    let url = seen.poll_url.as_ref().expect("a status has a poll URL");
    let home = format!("{}/interface/checkpayment", Protocol::Zimbabwe.default_origin());
    let asked = url.as_str().to_ascii_lowercase();
    let guid = asked.strip_prefix(&home).expect("the poll URL is the gateway's");
    let guid = guid.strip_prefix('/').unwrap_or(guid).strip_prefix("?guid=");
    assert_eq!((guid, url.key()), (Some(seen.key.as_str()), seen.key.clone()));
    assert!(seen.facts.reference.is_some() && seen.facts.amount.is_some() && seen.wire_status.is_some());
}

/// The payment whose poll URL the form holds.
fn spoken_of(body: &[u8], origin: &Origin) -> GatewayKey {
    let fields = Fields::parse(body, MAX_FIELDS).ok();
    let url = fields.as_ref().and_then(|fields| PollUrl::parse(fields.value("pollurl")?.trim(), origin).ok());
    url.map_or_else(|| key(NOBODYS), |url| url.key())
}

fn key(guid: &str) -> GatewayKey {
    GatewayKey::parse(guid).unwrap()
}

/// The fields of the form but its hash.
fn unsigned(body: &[u8]) -> Option<Vec<(String, String)>> {
    let fields = Fields::parse(body, MAX_FIELDS).ok()?;
    let unsigned = fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("hash"));
    Some(unsigned.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// The form as the gateway would send it, if it is one.
fn signed(body: &[u8], rule: Rule) -> Option<Vec<u8>> {
    // One more field must fit.
    unsigned(body).filter(|fields| fields.len() < MAX_FIELDS).map(|fields| sign(&fields, rule))
}

fn sign(fields: &[(String, String)], rule: Rule) -> Vec<u8> {
    let fields = Fields::from_pairs(fields.iter().cloned());
    hash::sign(fields, "hash", rule, &Key::guid(KEY).unwrap()).encode().into_bytes()
}

/// What the hash is over, without the key.
fn values(body: &[u8], rule: Rule, trimmed: bool) -> Option<String> {
    let fields = unsigned(body)?;
    let value = |value: &str| if trimmed { value.trim().to_owned() } else { value.to_owned() };
    let part = |(name, text): &(String, String)| match rule {
        Rule::Values => value(text),
        Rule::NamesAndValues => format!("{name}{}", value(text)),
    };
    Some(fields.iter().map(part).collect())
}

/// The form with one value after the other made a value that nobody may repeat.
fn marked(body: &[u8]) -> impl Iterator<Item = (usize, Vec<(String, String)>)> {
    let fields = unsigned(body).filter(|fields| fields.len() < MAX_FIELDS).unwrap_or_default();
    (0..fields.len().min(12)).map(move |at| {
        let mut marked = fields.clone();
        marked[at].1.push_str(CANARY);
        (at, marked)
    })
}
