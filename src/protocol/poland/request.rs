//! Questions: `GET /v3/payments/{paymentId}/status`, named by an Api-Key, told apart by an Idempotency-Key, signed.
//!
//! <https://docs.paynow.pl/docs/v3/integration>

use std::collections::BTreeMap;

use uuid::Uuid;

use super::signature;
use crate::domain::{GatewayKey, Origin};
use crate::protocol::{Key, Method, Question};

/// The question how a payment stands. `once` has never been used before: the gateway answers a repeated key with its
/// former answer.
#[must_use]
pub fn status(origin: &Origin, payment: &GatewayKey, api_key: &Key, signature_key: &Key, once: Uuid) -> Question {
    let once = once.hyphenated().to_string();
    let envelope = signature::envelope(api_key.expose(), &once, &BTreeMap::new(), "");
    Question {
        method: Method::Get,
        url: format!("{origin}/v3/payments/{payment}/status"),
        headers: vec![
            ("accept", "application/json".to_owned()),
            ("api-key", api_key.expose().to_owned()),
            ("idempotency-key", once),
            ("signature", signature::sign(envelope.as_bytes(), signature_key)),
        ],
        body: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_question_has_the_documented_signature() {
        let question = status(
            &"https://api.sandbox.paynow.pl".parse().unwrap(),
            &GatewayKey::parse("NOLV-8F9-08K-WGD").unwrap(),
            &Key::opaque("97a55694-5478-43b5-b406-fb49ebfdd2b5"),
            &Key::opaque("b305b996-bca5-4404-a0b7-2ccea3d2b64b"),
            "d243fdb3-c287-484a-bb9c-58536f2794c1".parse().unwrap(),
        );
        assert_eq!(question.method, Method::Get);
        assert_eq!(question.url, "https://api.sandbox.paynow.pl/v3/payments/NOLV-8F9-08K-WGD/status");
        let wanted = [
            ("accept", "application/json"),
            ("api-key", "97a55694-5478-43b5-b406-fb49ebfdd2b5"),
            ("idempotency-key", "d243fdb3-c287-484a-bb9c-58536f2794c1"),
            ("signature", "fXwLZRwo0WiGll90PPl5oULX9VKA0gpFA/3+E+NRp5E="),
        ];
        assert_eq!(question.headers, wanted.map(|(name, value)| (name, value.to_owned())));
        assert!(question.body.is_empty());
        assert!(!format!("{question:?}").contains("97a55694"));
    }
}
