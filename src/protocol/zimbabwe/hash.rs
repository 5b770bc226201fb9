//! The hash of Paynow Zimbabwe: `UPPERHEX(SHA-512(value1 ‖ value2 ‖ … ‖ key))`.
//!
//! <https://developers.paynow.co.zw/docs/generating_hash.html>

use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;

use super::Fields;
use crate::protocol::{Key, Keys};

/// What goes into the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The values: every message but the custom button's.
    Values,
    /// Names and values: the custom button's notification.
    NamesAndValues,
}

/// How the sender treated blanks around a value: implementations of the gateway itself differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blanks {
    /// Hashed as they are.
    Kept,
    /// Trimmed away before hashing.
    Trimmed,
}

/// Why a hash proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// There is no `hash` field.
    #[error("there is no hash field")]
    Missing,
    /// It is not 128 hexadecimal digits.
    #[error("the hash field is not 128 hexadecimal digits")]
    Unparsable,
    /// It is the hash of something else, or made with another key.
    #[error("the hash is wrong under every accepted key")]
    Mismatch,
}

/// The digest of every field but `hash`, in order, and the key.
pub fn digest(fields: &Fields, rule: Rule, blanks: Blanks, key: &str) -> [u8; 64] {
    let mut sha = Sha512::new();
    for (name, value) in fields.iter().filter(|(name, _)| !is_hash(name)) {
        if rule == Rule::NamesAndValues {
            sha.update(name);
        }
        sha.update(if blanks == Blanks::Trimmed { value.trim() } else { value });
    }
    sha.update(key);
    sha.finalize().into()
}

/// Checks the `hash` field under every accepted key, in constant time. Returns which key it was, zero being the
/// current.
///
/// # Errors
/// Nothing is proven: a missing or unparsable hash makes the message malformed, a mismatch makes it forged.
pub fn verify(fields: &Fields, rule: Rule, keys: &Keys) -> Result<usize, HashError> {
    let claimed = fields.iter().find(|(name, _)| is_hash(name)).ok_or(HashError::Missing)?.1;
    let mut expected = [0_u8; 64];
    hex::decode_to_slice(claimed.trim(), &mut expected).map_err(|_| HashError::Unparsable)?;
    let has_blanks = fields.iter().any(|(name, value)| !is_hash(name) && value.trim().len() != value.len());
    let readings: &[Blanks] = if has_blanks { &[Blanks::Kept, Blanks::Trimmed] } else { &[Blanks::Kept] };
    keys.accepted()
        .position(|key| {
            readings.iter().any(|blanks| bool::from(digest(fields, rule, *blanks, key.expose()).ct_eq(&expected)))
        })
        .ok_or(HashError::Mismatch)
}

/// Appends the `name`d hash that proves `fields` with `key`: how the gateway, or a shop, sends them.
#[must_use]
pub fn sign(mut fields: Fields, name: &str, rule: Rule, key: &Key) -> Fields {
    let digest = digest(&fields, rule, Blanks::Kept, key.expose());
    fields.push(name, &hex::encode_upper(digest));
    fields
}

/// The hash field itself is not hashed; its letter case varies.
fn is_hash(name: &str) -> bool {
    name.eq_ignore_ascii_case("hash")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(text: &str) -> Keys {
        Keys::new(Key::opaque(text), vec![])
    }

    fn fields() -> impl Strategy<Value = Fields> {
        proptest::collection::btree_map("[a-z]{1,6}", "[^\u{fffd}]{0,12}", 1..12)
            .prop_filter("the hash field is ours", |map| !map.contains_key("hash"))
            .prop_map(Fields::from_pairs)
    }

    #[test]
    fn a_former_key_still_proves_and_is_told_apart() {
        let signed = sign(Fields::from_pairs([("a", "1")]), "hash", Rule::Values, &Key::opaque("old"));
        let rotating = Keys::new(Key::opaque("new"), vec![Key::opaque("old")]);
        assert_eq!(verify(&signed, Rule::Values, &rotating), Ok(1));
        assert_eq!(verify(&signed, Rule::Values, &key("new")), Err(HashError::Mismatch));
    }

    #[test]
    fn a_short_or_odd_hash_is_not_a_hash() {
        for claimed in ["", "00", "zz", &"0".repeat(127), &"0".repeat(129), &"g".repeat(128)] {
            let fields = Fields::from_pairs([("a", "1"), ("hash", claimed)]);
            assert_eq!(verify(&fields, Rule::Values, &key("k")), Err(HashError::Unparsable), "{claimed}");
        }
        assert_eq!(verify(&Fields::from_pairs([("a", "1")]), Rule::Values, &key("k")), Err(HashError::Missing));
    }

    proptest! {
        #[test]
        fn what_is_signed_verifies_over_the_wire(original in fields(), secret in "[a-z0-9-]{1,36}", names in any::<bool>()) {
            let rule = if names { Rule::NamesAndValues } else { Rule::Values };
            let wire = sign(original, "hash", rule, &Key::opaque(&secret)).encode();
            let received = Fields::parse(wire.as_bytes(), 64).unwrap();
            prop_assert_eq!(verify(&received, rule, &key(&secret)), Ok(0));
        }

        #[test]
        fn any_changed_value_byte_fails(original in fields(), at in any::<prop::sample::Index>(), with in "[A-Z]") {
            let signed = sign(original, "hash", Rule::Values, &Key::opaque("key"));
            let mut pairs: Vec<(String, String)> = signed.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            let count = pairs.len() - 1;
            pairs[at.index(count)].1.push_str(&with);
            prop_assert_eq!(verify(&Fields::from_pairs(pairs), Rule::Values, &key("key")), Err(HashError::Mismatch));
        }

        #[test]
        fn any_changed_hash_digit_fails(original in fields(), at in 0..128_usize) {
            let signed = sign(original, "hash", Rule::Values, &Key::opaque("key"));
            let pairs = signed.iter().map(|(name, value)| {
                let mut value = value.to_owned();
                if name == "hash" {
                    let other = if &value[at..=at] == "0" { "1" } else { "0" };
                    value.replace_range(at..=at, other);
                }
                (name.to_owned(), value)
            });
            prop_assert_eq!(verify(&Fields::from_pairs(pairs.collect::<Vec<_>>()), Rule::Values, &key("key")), Err(HashError::Mismatch));
        }
    }
}
