//! Poland's signatures: base64 of HMAC-SHA-256 with the Signature-Key, over a body or over a question's envelope.
//!
//! <https://docs.paynow.pl/docs/v3/integration>

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use sha2::Sha256;

use crate::protocol::{Key, Keys};

/// How long a signature is in base64.
const LENGTH: usize = 44;

/// Why a signature proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no `Signature` header.
    #[error("there is no Signature header")]
    Missing,
    /// There are several, and nobody says which counts.
    #[error("there is more than one Signature header")]
    Repeated,
    /// It is not the base64 of 32 bytes.
    #[error("the Signature header is not 44 characters of base64")]
    Unparsable,
    /// It is the signature of something else, or made with another key.
    #[error("the signature is wrong under every accepted key")]
    Mismatch,
}

/// Signs `message`: a notification's body, or an [`envelope`].
#[must_use]
pub fn sign(message: &[u8], key: &Key) -> String {
    mac(message, key).map_or_else(String::new, |mac| STANDARD.encode(mac.finalize().into_bytes()))
}

/// Checks the only one of `signatures` over the untouched `message` under every accepted key, in constant time.
/// Returns which key it was, zero being the current.
///
/// # Errors
/// Nothing is proven: no signature, several, or one of another shape make the message malformed, a mismatch makes it
/// forged.
pub fn verify(message: &[u8], signatures: &[&[u8]], keys: &Keys) -> Result<usize, SignatureError> {
    let claimed = match signatures {
        [] => return Err(SignatureError::Missing),
        [only] => *only,
        _ => return Err(SignatureError::Repeated),
    };
    if claimed.len() != LENGTH {
        return Err(SignatureError::Unparsable);
    }
    let claimed = STANDARD.decode(claimed).map_err(|_| SignatureError::Unparsable)?;
    let proves = |key: &Key| mac(message, key).is_some_and(|mac| mac.verify_slice(&claimed).is_ok());
    keys.accepted().position(proves).ok_or(SignatureError::Mismatch)
}

/// What is signed of a question: compact JSON in exactly this order, a slash as it is. Method and path are not in it.
#[must_use]
pub fn envelope(api_key: &str, idempotency_key: &str, parameters: &BTreeMap<&str, Vec<&str>>, body: &str) -> String {
    #[derive(Serialize)]
    struct Headers<'a> {
        #[serde(rename = "Api-Key")]
        api_key: &'a str,
        #[serde(rename = "Idempotency-Key")]
        idempotency_key: &'a str,
    }
    #[derive(Serialize)]
    struct Envelope<'a> {
        headers: Headers<'a>,
        parameters: &'a BTreeMap<&'a str, Vec<&'a str>>,
        body: &'a str,
    }
    let envelope = Envelope { headers: Headers { api_key, idempotency_key }, parameters, body };
    serde_json::to_string(&envelope).unwrap_or_default()
}

/// The code over `message`. HMAC takes a key of any length, so there always is one.
fn mac(message: &[u8], key: &Key) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).ok()?;
    mac.update(message);
    Some(mac)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The documentation's sandbox key: known to everyone.
    const KEY: &str = "b305b996-bca5-4404-a0b7-2ccea3d2b64b";

    fn keys() -> Keys {
        Keys::new(Key::opaque(KEY), Vec::new())
    }

    #[test]
    fn a_former_key_still_proves_and_is_told_apart() {
        let signature = sign(b"{}", &Key::opaque("old"));
        let rotating = Keys::new(Key::opaque(KEY), vec![Key::opaque("old")]);
        assert_eq!(verify(b"{}", &[signature.as_bytes()], &rotating), Ok(1));
        assert_eq!(verify(b"{}", &[signature.as_bytes()], &keys()), Err(SignatureError::Mismatch));
    }

    #[test]
    fn exactly_one_signature_of_the_right_shape_is_looked_at() {
        let good = sign(b"{}", &Key::opaque(KEY));
        let (good, head) = (good.as_bytes(), &good.as_bytes()[..43]);
        assert_eq!(verify(b"{}", &[good], &keys()), Ok(0));
        assert_eq!(verify(b"{}", &[], &keys()), Err(SignatureError::Missing));
        assert_eq!(verify(b"{}", &[good, good], &keys()), Err(SignatureError::Repeated));
        let long = [good, b"="].concat();
        let hexadecimal = [b'0'; 64];
        let foreign = [b'!'; 44];
        for odd in [head, &long, b"", &hexadecimal, &foreign] {
            assert_eq!(verify(b"{}", &[odd], &keys()), Err(SignatureError::Unparsable), "{odd:?}");
        }
    }

    #[test]
    fn an_envelope_is_compact_ordered_and_leaves_slashes_alone() {
        assert_eq!(
            envelope("a", "i", &BTreeMap::new(), ""),
            r#"{"headers":{"Api-Key":"a","Idempotency-Key":"i"},"parameters":{},"body":""}"#
        );
        assert_eq!(
            envelope("a", "i", &BTreeMap::from([("b", vec!["1", "2"]), ("a", vec!["PLN"])]), r#"{"u":"http://x"}"#),
            r#"{"headers":{"Api-Key":"a","Idempotency-Key":"i"},"parameters":{"a":["PLN"],"b":["1","2"]},"body":"{\"u\":\"http://x\"}"}"#
        );
    }

    proptest! {
        #[test]
        fn what_is_signed_verifies_and_no_other_bytes_do(message in prop::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
            let signature = sign(&message, &Key::opaque(KEY));
            prop_assert_eq!(verify(&message, &[signature.as_bytes()], &keys()), Ok(0));
            let mut other = message.clone();
            let at = at.index(other.len());
            other[at] ^= flip;
            prop_assert_eq!(verify(&other, &[signature.as_bytes()], &keys()), Err(SignatureError::Mismatch));
            prop_assert_eq!(verify(&message[1..], &[signature.as_bytes()], &keys()), Err(SignatureError::Mismatch));
        }
    }
}
