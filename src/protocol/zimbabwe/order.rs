//! An order whose payment is not known yet: asked about by the merchant's trace, or proven by what the shop was
//! answered when it began the payment.
//!
//! <https://developers.paynow.co.zw/docs/polling_status.html>,
//! <https://developers.paynow.co.zw/docs/initiate_transaction.html>

use super::status_update::proven;
use super::{Fields, Rule, hash};
use crate::domain::{MerchantTrace, PollUrl};
use crate::protocol::gateway::excerpt;
use crate::protocol::{Begun, Method, Question, Setup, Unproven, Verified};

/// Where the gateway takes traces.
const TRACE: &str = "/interface/trace";

/// Without it the gateway does not read the form.
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Asks for the payment that was begun with this trace.
pub(super) fn question(trace: &MerchantTrace, setup: &Setup) -> Option<Question> {
    let fields = [("id", setup.id.as_deref()?), ("merchanttrace", trace.as_str().trim()), ("status", "Message")];
    let signed = hash::sign(Fields::from_pairs(fields), "hash", Rule::Values, setup.keys.current());
    Some(Question {
        method: Method::Post,
        url: format!("{}{TRACE}", setup.origin),
        headers: vec![(FORM.0, FORM.1.to_owned())],
        body: signed.encode().into_bytes(),
    })
}

/// Whether a proven answer says that there is no such payment. It must say so and nothing else: the hash covers no
/// names, so any message with this word in it could be re-cut to say it.
pub(super) fn is_not_found(fields: &Fields) -> Result<bool, Unproven> {
    if !says(fields, "notfound") {
        return Ok(false);
    }
    let other = fields.iter().find(|(name, _)| !["status", "hash"].iter().any(|own| name.eq_ignore_ascii_case(own)));
    match other {
        None => Ok(true),
        Some((name, _)) => Err(Unproven::Suspect(format!("field {}: does not belong beside NotFound", excerpt(name)))),
    }
}

/// The payment that the answer to an initiate or express request says was begun.
pub(super) fn begun(body: &[u8], setup: &Setup) -> Result<Verified<Begun>, Unproven> {
    let (fields, key) = proven(body, setup)?;
    if !says(&fields, "ok") {
        return Err(Unproven::Suspect("field status: is not Ok".into()));
    }
    let url = fields.value("pollurl").ok_or_else(|| Unproven::Suspect("field pollurl: is missing".into()))?;
    let poll_url = PollUrl::parse(url.trim(), &setup.origin)
        .map_err(|error| Unproven::Suspect(format!("field pollurl: {error}")))?;
    Ok(Verified::attest(Begun { integration: setup.integration.clone(), poll_url, body: body.to_vec() }, key))
}

fn says(fields: &Fields, word: &str) -> bool {
    fields.value("status").is_some_and(|status| status.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{GatewayKey, Status, Timestamp};
    use crate::protocol::{Answer, Gateway, Key, Keys, Protocol, Traced};

    const KEY: &str = "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977";
    const OLD: &str = "5a1d0e1c-7b6f-4c0a-9f0e-2d4b8c6a1e35";
    const URL: &str = "https://www.paynow.co.zw/Interface/CheckPayment/?guid=06f656ab-ed60-4a03-8373-a3321b4b3e68";

    fn gateway() -> Box<dyn Gateway> {
        Protocol::Zimbabwe.gateway(Setup {
            integration: crate::domain::IntegrationName::parse("shop").unwrap(),
            id: Some("1201".into()),
            keys: Keys::new(Key::guid(KEY).unwrap(), vec![Key::guid(OLD).unwrap()]),
            api_key: None,
            origin: Protocol::Zimbabwe.default_origin().parse().unwrap(),
            max_fields: 64,
        })
    }

    fn signed(key: &str, fields: &[(&str, &str)]) -> String {
        let fields = Fields::from_pairs(fields.iter().copied());
        hash::sign(fields, "hash", Rule::Values, &Key::guid(key).unwrap()).encode()
    }

    fn trace() -> MerchantTrace {
        MerchantTrace::parse("T-0001").unwrap()
    }

    fn traced(status: u16, body: &str) -> Result<Traced, Unproven> {
        let asked = Timestamp::from_timestamp(1_790_000_000, 0).unwrap();
        gateway().read_traced(&trace(), &Answer { status, body: body.as_bytes(), asked }, asked)
    }

    fn update<'a>(reference: &'a str, url: &'a str) -> [(&'a str, &'a str); 5] {
        let [number, amount, status] = [("paynowreference", "35216224"), ("amount", "1.00"), ("status", "Paid")];
        [("reference", reference), number, amount, status, ("pollurl", url)]
    }

    #[test]
    fn a_trace_is_asked_with_the_current_key_and_never_printed() {
        let question = gateway().trace(&trace()).unwrap();
        assert_eq!(question.url, "https://www.paynow.co.zw/interface/trace");
        let body = String::from_utf8(question.body.clone()).unwrap();
        assert_eq!(body, signed(KEY, &[("id", "1201"), ("merchanttrace", "T-0001"), ("status", "Message")]));
        assert!(!format!("{question:?}").contains("T-0001"));
    }

    #[test]
    fn a_traced_payment_is_an_observation_proven_under_any_accepted_key() {
        for (at, key) in [KEY, OLD].into_iter().enumerate() {
            let Ok(Traced::Found(seen)) = traced(200, &signed(key, &update("INV-32", URL))) else { panic!("{key}") };
            assert_eq!(seen.key(), at);
            let seen = seen.into_value();
            assert_eq!((seen.channel.code(), seen.evidence.code(), seen.status), ("trace", "sha512", Status::Paid));
            assert_eq!(seen.key, GatewayKey::parse("06f656ab-ed60-4a03-8373-a3321b4b3e68").unwrap());
            assert!(seen.asked.is_some() && seen.poll_url.is_some());
        }
    }

    #[test]
    fn only_a_hash_proves_that_there_is_no_such_payment() {
        assert_eq!(traced(200, &signed(KEY, &[("status", "NotFound")])), Ok(Traced::NotFound));
        assert_eq!(traced(200, &signed(OLD, &[("Status", "notfound")])), Ok(Traced::NotFound));
        let forged = signed("00000000-0000-0000-0000-000000000000", &[("status", "NotFound")]);
        assert_eq!(traced(200, &forged), Err(Unproven::Forged));
        assert!(matches!(traced(200, "status=NotFound"), Err(Unproven::Malformed(_))));
        assert_eq!(
            traced(200, "status=Error&error=Trace+failed"),
            Err(Unproven::Error("Trace failed".into())),
            "an error is not an absence"
        );
        assert_eq!(traced(404, &signed(KEY, &[("status", "NotFound")])), Err(Unproven::Status(404)));
        assert_eq!(traced(200, "<html>"), Err(Unproven::WebPage));
    }

    #[test]
    fn a_status_update_that_is_cut_to_say_not_found_says_nothing() {
        let genuine = signed(KEY, &update("NotFound", URL));
        let recut = genuine.replace("status=Paid", "x=Paid").replace("reference=NotFound", "status=NotFound");
        assert!(matches!(traced(200, &recut), Err(Unproven::Suspect(_))));
    }

    #[test]
    fn an_answer_of_elsewhere_or_about_another_order_is_refused() {
        let elsewhere = URL.replace("www.paynow.co.zw", "staging.paynow.co.zw");
        assert!(matches!(traced(200, &signed(KEY, &update("INV-32", &elsewhere))), Err(Unproven::Suspect(_))));
        let mut fields = update("INV-32", URL).to_vec();
        fields.push(("merchanttrace", "T-0002"));
        assert_eq!(traced(200, &signed(KEY, &fields)), Err(Unproven::OtherPayment));
        fields[5].1 = "T-0001";
        assert!(matches!(traced(200, &signed(KEY, &fields)), Ok(Traced::Found(_))));
    }

    #[test]
    fn a_begun_payment_is_proven_by_the_hash_of_the_answer_and_lies_at_the_gateway() {
        let begun = |body: &str| gateway().read_begun(body.as_bytes());
        let fields = [("status", "Ok"), ("browserurl", "https://www.paynow.co.zw/x"), ("pollurl", URL)];
        for (at, key) in [KEY, OLD].into_iter().enumerate() {
            let body = signed(key, &fields);
            let proof = begun(&body).unwrap();
            assert_eq!(
                (proof.key(), proof.value().poll_url.as_str(), &*proof.value().body),
                (at, URL, body.as_bytes())
            );
            assert!(!format!("{proof:?}").contains("guid"));
        }
        assert_eq!(begun(&signed(KEY, &fields).replace("Ok", "0k")), Err(Unproven::Forged));
        assert_eq!(begun("status=Error&error=Invalid+Id."), Err(Unproven::Error("Invalid Id.".into())));
        assert_eq!(begun("<!DOCTYPE html>"), Err(Unproven::WebPage));
        assert!(matches!(begun("status=Ok"), Err(Unproven::Malformed(_))));
        for wrong in [
            vec![("status", "Paid"), ("pollurl", URL)],
            vec![("status", "Ok")],
            vec![("status", "Ok"), ("pollurl", "https://evil.example/Interface/CheckPayment/?guid=0")],
        ] {
            assert!(matches!(begun(&signed(KEY, &wrong)), Err(Unproven::Suspect(_))), "{wrong:?}");
        }
    }

    #[test]
    fn gateways_that_know_no_traces_ask_none() {
        let button = Protocol::ZimbabweButton.gateway(Setup {
            integration: crate::domain::IntegrationName::parse("button").unwrap(),
            id: Some("1201".into()),
            keys: Keys::new(Key::guid(KEY).unwrap(), Vec::new()),
            api_key: None,
            origin: Protocol::Zimbabwe.default_origin().parse().unwrap(),
            max_fields: 64,
        });
        assert_eq!(button.trace(&trace()), None);
        let proof = signed(KEY, &[("status", "Ok"), ("pollurl", URL)]);
        assert!(matches!(button.read_begun(proof.as_bytes()), Err(Unproven::Malformed(_))));
    }
}
