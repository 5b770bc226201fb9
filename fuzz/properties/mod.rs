//! What must hold of bytes from outside, as functions that panic where it does not. Two use them: the fuzz targets,
//! which search for such bytes, and `tests/fuzz_corpus.rs`, which tries every file of the corpora with any toolchain.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    missing_docs,
    reason = "a promise that does not hold stops the search"
)]

pub mod config;
pub mod form;
pub mod poland;
pub mod poll_url;
pub mod zimbabwe;

use paynowd::domain::{Amount, GatewayKey, IntegrationName, Mode, Observation, Payment, Status, Timestamp, Trust};
use paynowd::protocol::{Gateway, Key, Keys, Protocol, Setup};

/// How many fields a message may have, as configured unless somebody says otherwise.
pub const MAX_FIELDS: usize = 64;
/// How long a text about bytes from outside may be, in characters: a sentence of ours, and an excerpt of 80 characters
/// that may each be written as an escape like `\u{e0001}`.
const LONGEST: usize = 1000;
/// A value that nobody may repeat. No gateway writes it and no sentence of ours has it.
const CANARY: &str = "tell~Nobody~4711";

/// Panics where something does not hold of the bytes.
pub type Property = fn(&[u8]);

/// Every property, by the name of its target and of its corpus.
pub const ALL: [(&str, Property); 7] = [
    ("button", zimbabwe::button),
    ("config", config::holds),
    ("form", form::holds),
    ("poland", poland::holds),
    ("poll_reply", zimbabwe::poll_reply),
    ("poll_url", poll_url::holds),
    ("status_update", zimbabwe::status_update),
];

/// An integration of `protocol` whose only key is `key`.
fn gateway(protocol: Protocol, key: &str) -> Box<dyn Gateway> {
    protocol.gateway(Setup {
        integration: IntegrationName::parse("shop").unwrap(),
        id: Some("1201".into()),
        keys: Keys::new(protocol.key(key).unwrap(), Vec::new()),
        api_key: Some(Key::opaque("97a55694-5478-43b5-b406-fb49ebfdd2b5")),
        origin: protocol.default_origin().parse().unwrap(),
        max_fields: MAX_FIELDS,
    })
}

/// Any instant: nothing here depends on it.
fn now() -> Timestamp {
    Timestamp::from_timestamp(1_790_000_000, 0).unwrap()
}

/// The payment of this key, of which nothing else is known.
fn payment(key: GatewayKey) -> Payment {
    Payment {
        integration: IntegrationName::parse("shop").unwrap(),
        key,
        facts: paynowd::domain::Facts::default(),
        currency: "USD".parse().unwrap(),
        mode: Mode::Live,
        status: Status::Created,
        wire_status: None,
        trust: Trust::Reported,
        poll_url: None,
        posted: paynowd::domain::Posted::Current,
        paid_at: None,
        first_seen: now(),
        last_changed: now(),
    }
}

/// A text that goes to logs, letters and terminals: one line, bounded, nothing that moves a cursor, no secret.
fn harmless(text: &str, secret: &str) {
    one_line(text);
    assert!(!tells(text, secret), "the key in {text:?}");
}

/// A text that goes to terminals: one line, bounded, nothing that moves a cursor.
fn one_line(text: &str) {
    let moves = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    assert!(!text.contains(moves), "a control character in {text:?}");
    assert!(text.chars().count() <= LONGEST, "{} characters: {text:?}", text.chars().count());
}

/// Whether `text` repeats `secret`, letter case aside.
fn tells(text: &str, secret: &str) -> bool {
    text.to_ascii_lowercase().contains(&secret.to_ascii_lowercase())
}

/// Whatever is believed is kept as it came, and its words can be shown and read back.
fn kept(seen: &Observation, body: &[u8]) {
    assert_eq!(seen.body, body, "the message is kept byte for byte");
    assert_eq!(GatewayKey::parse(seen.key.as_str()).as_ref(), Ok(&seen.key));
    let facts = &seen.facts;
    let words = [
        facts.reference.as_ref().map(ToString::to_string),
        facts.gateway_reference.as_ref().map(ToString::to_string),
        seen.wire_status.as_ref().map(ToString::to_string),
        seen.said_at.as_ref().map(ToString::to_string),
    ];
    for word in words.into_iter().flatten() {
        assert!(!word.is_empty() && word.len() <= 255);
        assert!(!word.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')), "{word:?}");
    }
    for amount in [facts.amount, facts.amount_paid].into_iter().flatten() {
        survives(amount);
    }
}

/// An amount is the same after it was shown, and after it was stored.
fn survives(amount: Amount) {
    assert_eq!(amount.to_string().parse(), Ok(amount));
    assert_eq!(Amount::from_ten_thousandths(amount.ten_thousandths()), Some(amount));
}

/// `bytes` with one bit turned over, which one depends on the bytes and on `turn`.
fn flipped(bytes: &[u8], turn: u64) -> Vec<u8> {
    // FNV-1a: any mixing would do that is the same on every machine.
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let chosen = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64 ^ turn, mix);
    let mut other = bytes.to_vec();
    let length = u64::try_from(other.len()).unwrap();
    if let Some(byte) = usize::try_from((chosen >> 8) % length.max(1)).ok().and_then(|at| other.get_mut(at)) {
        *byte ^= 1 << (chosen % 8);
    }
    other
}
