//! For each mistake: a notification that was signed with it is diagnosed as signed with it.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::domain::{IntegrationName, Timestamp};
use crate::protocol::doctor::{Verdict, diagnose};
use crate::protocol::poland::Account;
use crate::protocol::{Gateway, Keys, Post, Protocol};

/// The documentation's sandbox keys: known to everyone.
const SIGNATURE_KEY: &str = "b305b996-bca5-4404-a0b7-2ccea3d2b64b";
const API_KEY: &str = "97a55694-5478-43b5-b406-fb49ebfdd2b5";
const FORMER: &str = "0b9c3a44-52c9-4b0e-8a2c-9a4f0c1d2e3f";

/// As it arrives; and as an indented, padded, unsorted body with a slash.
const BODY: &str = "\r\n{\n  \"paymentId\": \"NOLV-8F9-08K-WGD\",\r\n \"externalId\":\"a/b\",\"status\":\"CONFIRMED\",\
    \"modifiedAt\":\"2018-12-12T13:24:52\"}\n ";

fn setup(keys: &[&str]) -> Setup {
    let mut keys = keys.iter().map(|key| Key::word(key).unwrap());
    Setup {
        integration: IntegrationName::parse("sklep").unwrap(),
        id: None,
        keys: Keys::new(keys.next().unwrap(), keys.collect()),
        api_key: Some(Key::word(API_KEY).unwrap()),
        origin: Protocol::Poland.default_origin().parse().unwrap(),
        max_fields: 64,
    }
}

/// The signature of `BODY`, made this way.
fn made(way: &Way, setup: &Setup, key: &Key) -> String {
    let search = Search { body: BODY.as_bytes(), setup, tried: 0 };
    way.writing.write(&search.code(way, &key.spelt(way.spelling).unwrap()).unwrap())
}

fn examined(signature: &str, setup: &Setup) -> Option<Fit> {
    let post = Post { body: BODY.as_bytes(), signatures: &[signature.as_bytes()] };
    examine(&Specimen { post, expected: None }, setup).claimed
}

fn codes(fit: &Fit) -> Vec<&'static str> {
    fit.mistakes.iter().map(|mistake| mistake.code).collect()
}

/// Every deviation that makes a difference to this body and key.
fn every() -> Vec<Deviation> {
    let idle = [Deviation::Spelling(Spelling::AsTyped), Deviation::Spelling(Spelling::Lower)];
    deviations().into_iter().filter(|deviation| !idle.contains(deviation)).collect()
}

#[test]
fn each_mistake_alone_is_named_under_each_key() {
    let setup = setup(&[SIGNATURE_KEY, FORMER]);
    for deviation in every() {
        let way = deviation.on(RIGHT);
        for (at, accepted) in setup.keys.accepted().enumerate() {
            let key = if way.holder == Holder::Api { setup.api_key.as_ref().unwrap() } else { accepted };
            let signature = made(&way, &setup, key);
            let fit = examined(&signature, &setup).unwrap();
            // Some kinds of base64 differ only in signs that this code may not have.
            if signature == made(&RIGHT, &setup, accepted) {
                assert!(fit.mistakes.is_empty());
                continue;
            }
            assert_eq!(codes(&fit), [deviation.mistake().code], "{deviation:?}");
            let keyed = way.holder == Holder::Signature && way.code != Code::NoKey;
            assert_eq!(fit.key, keyed.then_some(at), "{deviation:?}");
        }
    }
}

#[test]
fn what_is_right_holds_at_the_door_and_before_the_doctor() {
    let setup = setup(&[SIGNATURE_KEY, FORMER]);
    let signature = made(&RIGHT, &setup, setup.keys.current());
    assert_eq!(examined(&signature, &setup).map(|fit| codes(&fit)), Some(vec![]));
    let name = setup.integration.clone();
    let account = Account::new(setup);
    for (signatures, holds, obstacle) in
        [(&[signature.as_bytes()][..], true, None), (&[], false, Some("no Signature")), (&[b"x"], false, Some("44"))]
    {
        let specimen = Specimen { post: Post { body: BODY.as_bytes(), signatures }, expected: None };
        let gateway: &dyn Gateway = &account;
        let found = diagnose(&[(&name, gateway)], None, &specimen, Timestamp::UNIX_EPOCH);
        assert_eq!(matches!(found.verdict, Verdict::Holds { .. }), holds);
        assert_eq!(found.obstacle.is_some(), obstacle.is_some());
        assert!(found.obstacle.is_none_or(|told| told.contains(obstacle.unwrap())));
    }
}

#[test]
fn where_there_is_no_signature_to_try_it_is_said_what_is_missing() {
    let setup = setup(&[SIGNATURE_KEY]);
    let two: &[&[u8]] = &[b"x", b"y"];
    for (body, signatures, what, is_message) in [
        (BODY, &[][..], "no Signature header", true),
        (BODY, &[&b" "[..]], "header is empty", true),
        (BODY, two, "more than one Signature", true),
        ("status=Paid", &[], "it is no JSON", false),
        ("", &[], "nothing in it", false),
    ] {
        let post = Post { body: body.as_bytes(), signatures };
        let found = examine(&Specimen { post, expected: None }, &setup);
        let lack = found.lack.unwrap();
        assert!(lack.what.contains(what), "{} is not {what}", lack.what);
        assert_eq!((lack.is_message, found.due.is_some(), found.tried), (is_message, is_message, 0));
    }
    let post = Post { body: BODY.as_bytes(), signatures: &[b"x"] };
    assert_eq!(examine(&Specimen { post, expected: None }, &setup).lack, None);
}

#[test]
fn a_signature_without_its_end_is_named_as_the_right_one_cut_off() {
    let setup = setup(&[SIGNATURE_KEY]);
    let signature = made(&RIGHT, &setup, setup.keys.current());
    let fit = examined(&signature[..40], &setup).unwrap();
    assert_eq!(codes(&fit), ["cut-off"]);
    assert!(fit.mistakes[0].what.contains("right signature, but cut off after 40 of its 44"), "{fit:?}");
    assert_eq!(codes(&examined(signature.trim_end_matches('='), &setup).unwrap()), ["other-base64"]);
}

#[test]
fn a_signature_is_made_and_checked_by_the_same_rule() {
    let account = Account::new(setup(&[SIGNATURE_KEY]));
    let header = account.sign(BODY.as_bytes()).unwrap();
    let signature = header.strip_prefix("Signature: ").unwrap();
    let post = Post { body: BODY.as_bytes(), signatures: &[signature.as_bytes()] };
    assert!(account.read_post(&post, Timestamp::UNIX_EPOCH).is_ok());
    assert!(account.sign(b"status=Paid").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn two_mistakes_at_once_are_explained_by_at_most_two(one in select(every()), other in select(every())) {
        prop_assume!(!one.is_like(other));
        let setup = setup(&[SIGNATURE_KEY]);
        let way = other.on(one.on(RIGHT));
        let key = if way.holder == Holder::Api { setup.api_key.as_ref().unwrap() } else { setup.keys.current() };
        prop_assume!(key.spelt(way.spelling).is_some());
        let fit = examined(&made(&way, &setup, key), &setup).unwrap();
        let made = [one.mistake().code, other.mistake().code];
        prop_assert!(fit.mistakes.len() <= 2 && codes(&fit).iter().all(|code| made.contains(code)), "{:?} for {:?}", codes(&fit), made);
    }

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..120), json in "[\\[\\]{}\",:a\\\\/ \n]{0,60}", signature in "[ -~]{0,60}") {
        for body in [body.as_slice(), json.as_bytes()] {
            let post = Post { body, signatures: &[signature.as_bytes()] };
            prop_assert_eq!(examine(&Specimen { post, expected: None }, &setup(&[SIGNATURE_KEY])).claimed, None);
        }
    }
}

/// RFC 2104, as it stands there.
fn hmac_by_hand<D: Digest>(block: usize, key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut padded = key.to_vec();
    padded.resize(block, 0);
    let with = |pad: u8| padded.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let inner = D::digest([with(0x36), text.to_vec()].concat());
    D::digest([with(0x5c), inner.to_vec()].concat()).to_vec()
}

/// The body that arrives and its signature, made with each mistake by somebody who has only read what it says.
fn by_hand(code: &str, value: &serde_json::Value) -> (String, String) {
    let key = SIGNATURE_KEY.as_bytes();
    let compact = value.to_string();
    let pretty = serde_json::to_string_pretty(value).unwrap();
    let right = |text: &str| hmac_by_hand::<Sha256>(64, key, text.as_bytes());
    let base64 = |code: Vec<u8>| STANDARD.encode(code);
    let joined = |parts: [&[u8]; 2]| Sha256::digest(parts.concat()).to_vec();
    let signature = match code {
        "" => base64(right(&pretty)),
        "body-was-compact" => base64(right(&compact)),
        "body-was-pretty" => return (compact, base64(right(&pretty))),
        "body-padded" => return (format!("{compact}\n"), base64(right(&compact))),
        "body-trimmed" => base64(right(&format!("{pretty}\n"))),
        "line-ends" => return (pretty.replace('\n', "\r\n"), base64(right(&pretty))),
        "api-key" => base64(hmac_by_hand::<Sha256>(64, API_KEY.as_bytes(), pretty.as_bytes())),
        "key-upper-case" => {
            base64(hmac_by_hand::<Sha256>(64, SIGNATURE_KEY.to_uppercase().as_bytes(), pretty.as_bytes()))
        }
        "key-with-line-end" => {
            base64(hmac_by_hand::<Sha256>(64, format!("{SIGNATURE_KEY}\n").as_bytes(), pretty.as_bytes()))
        }
        "hex" => hex::encode(right(&pretty)),
        "hex-in-base64" => base64(hex::encode(right(&pretty)).into_bytes()),
        "hmac-sha512" => base64(hmac_by_hand::<Sha512>(128, key, pretty.as_bytes())),
        "hmac-sha1" => base64(hmac_by_hand::<Sha1>(64, key, pretty.as_bytes())),
        "key-appended" => base64(joined([pretty.as_bytes(), key])),
        "key-prepended" => base64(joined([key, pretty.as_bytes()])),
        "no-key" => base64(joined([pretty.as_bytes(), b""])),
        other => panic!("{other}"),
    };
    (pretty, signature)
}

const BY_HAND: [&str; 16] = [
    "",
    "body-was-compact",
    "body-was-pretty",
    "body-padded",
    "body-trimmed",
    "line-ends",
    "api-key",
    "key-upper-case",
    "key-with-line-end",
    "hex",
    "hex-in-base64",
    "hmac-sha512",
    "hmac-sha1",
    "key-appended",
    "key-prepended",
    "no-key",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_notification_signed_with_a_mistake_is_diagnosed_as_signed_with_that_mistake(
        code in select(&BY_HAND[..]),
        members in prop::collection::btree_map("[a-z\"{}]{1,6}", "[a-z\\[\\],:{}\"\\\\ ]{0,12}", 1..6),
    ) {
        let (body, signature) = by_hand(code, &serde_json::json!(members));
        let post = Post { body: body.as_bytes(), signatures: &[signature.as_bytes()] };
        let found = examine(&Specimen { post, expected: None }, &setup(&[SIGNATURE_KEY]));
        let wanted: Vec<&str> = Some(code).filter(|code| !code.is_empty()).into_iter().collect();
        prop_assert_eq!(found.claimed.map(|fit| codes(&fit)), Some(wanted));
    }
}
