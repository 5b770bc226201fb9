//! The bearer token that opens `/v1` (RFC 6750, 2.1). Only its digest is kept.

use hyper::header::{AUTHORIZATION, HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a request must show.
pub(super) struct Pass([u8; 32]);

impl Pass {
    pub(super) fn new(token: &SecretString) -> Self {
        Self(Sha256::digest(token.expose_secret()).into())
    }

    /// Whether the request shows it, once. Digests of one length are compared, in constant time: how long the answer
    /// takes tells neither how much of a guess is right nor how long the token is.
    pub(super) fn opens(&self, headers: &HeaderMap) -> bool {
        let mut shown = headers.get_all(AUTHORIZATION).iter();
        let (Some(shown), None) = (shown.next(), shown.next()) else { return false };
        let Ok(shown) = shown.to_str() else { return false };
        let Some((scheme, token)) = shown.split_once(' ') else { return false };
        let digest: [u8; 32] = Sha256::digest(token.trim_start_matches(' ')).into();
        scheme.eq_ignore_ascii_case("bearer") & bool::from(digest.ct_eq(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn only_the_whole_token_shown_once_opens() {
        let pass = Pass::new(&SecretString::from("open-sesame-12345"));
        let opens = |shown: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in shown {
                headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            pass.opens(&headers)
        };
        assert!(opens(&["Bearer open-sesame-12345"]) && opens(&["bearer  open-sesame-12345"]));
        for shown in [
            &[][..],
            &["Bearer"],
            &["Bearer "],
            &["open-sesame-12345"],
            &["Basic open-sesame-12345"],
            &["Bearer open-sesame-1234"],
            &["Bearer open-sesame-12345 "],
            &["Bearer Open-sesame-12345"],
            &["Bearer open-sesame-12345", "Bearer open-sesame-12345"],
        ] {
            assert!(!opens(shown), "{shown:?}");
        }
    }
}
