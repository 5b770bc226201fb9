//! What things are called: by the merchant, by the gateway, and by us. Each name is parsed once, at the edge.

use std::fmt;

/// The text is not a name of this kind; the message says what would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAName(&'static str);

/// Declares a checked text: private content, one fallible constructor, shown as it is.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes `text` if it follows the rule of this name.
            ///
            /// # Errors
            /// The text does not; the caller refuses the message or the configuration it came from.
            pub fn parse(text: &str) -> Result<Self, NotAName> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.into())) } else { Err(NotAName($rule)) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// One configured Paynow account or button template, as named in `[integrations.NAME]` and in its URL.
    IntegrationName,
    "must be 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit",
    |text| {
        text.len() <= 64
            && text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_')
    }
);

name!(
    /// The merchant's own word for an order, byte for byte as decoded from the wire. Need not be unique.
    Reference,
    "must be 1 to 255 bytes without control characters",
    |text| (1..=255).contains(&text.len()) && printable(text)
);

name!(
    /// Paynow's number for a transaction. Text: thousands separators and leading zeros occur and belong to it.
    GatewayReference,
    "must be 1 to 20 digits and commas, beginning with a digit",
    |text| {
        (1..=20).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_digit())
            && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b',')
    }
);

name!(
    /// A status as the gateway spelled it, kept beside our reading of it.
    WireStatus,
    "must be 1 to 64 bytes without control characters",
    |text| (1..=64).contains(&text.len()) && printable(text)
);

name!(
    /// By which means a customer paid, in the gateway's word: `EcoCash`, `Visa`.
    Method,
    "must be 1 to 64 bytes without control characters",
    |text| (1..=64).contains(&text.len()) && printable(text)
);

name!(
    /// The merchant's own trace of an order at the gateway, given when the payment is begun: unique per merchant.
    MerchantTrace,
    "must be 1 to 32 characters without control characters",
    |text| (1..=32).contains(&text.chars().count()) && printable(text)
);

name!(
    /// The gateway's identity of a payment: the GUID of the poll URL (Zimbabwe), the Paynow reference (button) or
    /// the payment id (Poland). With the integration it names one payment, and nothing the payer can type is in it.
    GatewayKey,
    "must be 1 to 40 of letters, digits, commas and hyphens",
    |text| {
        (1..=40).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b',' || byte == b'-')
    }
);

impl GatewayKey {
    /// The 16 bytes of a GUID in its canonical spelling (lower case, hyphenated); `None` for any other key.
    pub fn guid(&self) -> Option<[u8; 16]> {
        guid_bytes(&self.0).filter(|_| !self.0.bytes().any(|byte| byte.is_ascii_uppercase()))
    }

    /// The key that is this GUID, in canonical spelling.
    pub fn from_guid(guid: [u8; 16]) -> Self {
        Self(guid_text(&guid).into())
    }
}

/// Nothing that would move a cursor, end a line or end a string; every other character may be somebody's order number.
fn printable(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// Control characters, line ends, and what Unicode calls format characters (category Cf) or ignorable by default:
/// they take no room, and some of them reorder their neighbours.
///
/// <https://www.unicode.org/Public/16.0.0/ucd/DerivedCoreProperties.txt>
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{034F}' | '\u{0600}'..='\u{0605}' | '\u{061C}' | '\u{06DD}' | '\u{070F}'
            | '\u{0890}'..='\u{0891}' | '\u{08E2}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{110BD}' | '\u{110CD}' | '\u{13430}'..='\u{1343F}' | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Reads a hyphenated GUID in any letter case.
pub fn guid_bytes(text: &str) -> Option<[u8; 16]> {
    // Every other spelling of one has another length.
    if text.len() == 36 { uuid::Uuid::try_parse(text).ok().map(uuid::Uuid::into_bytes) } else { None }
}

/// `text` with every hyphenated GUID in it as an ellipsis: a key of the gateway is one, and might have been pasted
/// where a name belongs.
pub fn without_guids(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.as_bytes().windows(36).position(|part| str::from_utf8(part).is_ok_and(is_guid)) {
        let (before, from) = rest.split_at(at);
        kept.push_str(before);
        kept.push('…');
        rest = from.split_at(36).1;
    }
    kept.push_str(rest);
    kept
}

fn is_guid(text: &str) -> bool {
    guid_bytes(text).is_some()
}

/// Writes a GUID as Paynow does: lower case, hyphenated.
pub fn guid_text(guid: &[u8; 16]) -> String {
    uuid::Uuid::from_bytes(*guid).hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn guids_are_left_out_wherever_they_stand() {
        let guid = "3E9FED89-60e1-4ce5-ab6e-6b1eb2d4f977";
        assert_eq!(without_guids(&format!("é{guid}{guid}-é {guid}")), "é……-é …");
        for whole in ["", "é", "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f97"] {
            assert_eq!(without_guids(whole), whole);
        }
    }

    #[test]
    fn gateway_references_keep_separators_and_leading_zeros() {
        for text in ["1,082", "0123456", "35216224"] {
            assert_eq!(GatewayReference::parse(text).unwrap().as_str(), text);
        }
        for text in ["", ",1", "12 3", "INV-32", "1.5", "123456789012345678901"] {
            assert!(GatewayReference::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn references_are_any_printable_text() {
        for text in ["INV-32", " INV-32 ", "Order%20100", "zażółć", "0"] {
            assert_eq!(Reference::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "a\r\nBcc: x", "a\0", "\u{1b}[31m", "\u{fffd}", "a\u{2028}b"] {
            assert!(Reference::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_guid_key_is_sixteen_bytes_only_in_its_canonical_spelling() {
        let text = "06f656ab-ed60-4a03-8373-a3321b4b3e68";
        let guid = guid_bytes(&text.to_uppercase()).unwrap();
        assert_eq!(GatewayKey::from_guid(guid).as_str(), text);
        assert_eq!(GatewayKey::parse(text).unwrap().guid(), Some(guid));
        assert_eq!(GatewayKey::parse(&text.to_uppercase()).unwrap().guid(), None);
        assert_eq!(GatewayKey::parse("NOLV-8F9-08K-WGD").unwrap().guid(), None);
    }

    proptest! {
        #[test]
        fn any_guid_survives_being_written_and_read(guid in any::<[u8; 16]>()) {
            prop_assert_eq!(guid_bytes(&guid_text(&guid)), Some(guid));
        }

        #[test]
        fn reading_names_never_panics(text in any::<String>()) {
            let _ = guid_bytes(&text);
            let _ = (Reference::parse(&text), GatewayKey::parse(&text), IntegrationName::parse(&text));
        }
    }
}
