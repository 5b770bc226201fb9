//! A form as an ordered list of decoded fields. Order matters: the hash is over it.

use std::borrow::Cow;

use crate::protocol::gateway::excerpt;

/// The decoded fields of a message, in order of arrival, no name twice.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// Name, value, name, value, one directly after the other: every post is read, so it is read into one piece.
    text: String,
    /// How long each name is, and the value behind it.
    lengths: Vec<(usize, usize)>,
}

/// The body is not a form we can take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAForm {
    /// Nothing there.
    #[error("the body is empty")]
    Empty,
    /// More fields than any gateway sends.
    #[error("more than {0} fields")]
    TooManyFields(usize),
    /// Escapes or bytes that are not UTF-8.
    #[error("a field is not UTF-8")]
    NotUtf8,
    /// A name that occurs twice (letter case aside): implementations disagree on which value counts.
    #[error("field {0:?} occurs more than once")]
    Repeated(String),
}

impl Fields {
    /// Decodes `application/x-www-form-urlencoded`: `+` and `%20` are blanks, a name without `=` has an empty
    /// value, only the first `=` separates.
    ///
    /// # Errors
    /// The body is not such a form or breaks a bound; the message it came in is malformed.
    pub fn parse(body: &[u8], max_fields: usize) -> Result<Self, NotAForm> {
        if body.is_empty() {
            return Err(NotAForm::Empty);
        }
        let pairs = body.split(|byte| *byte == b'&');
        let count = pairs.clone().count();
        if count > max_fields {
            return Err(NotAForm::TooManyFields(max_fields));
        }
        let mut fields = Self { text: String::with_capacity(body.len()), lengths: Vec::with_capacity(count) };
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                Some(at) => (pair.get(..at).unwrap_or_default(), pair.get(at + 1..).unwrap_or_default()),
                None => (pair, &[][..]),
            };
            let (name, value) = (decode(name)?, decode(value)?);
            if fields.value(&name).is_some() {
                return Err(NotAForm::Repeated(excerpt(&name)));
            }
            fields.push(&name, &value);
        }
        Ok(fields)
    }

    /// Fields to be sent, in this order. The caller gives no name twice.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut fields = Self::default();
        pairs.into_iter().for_each(|(name, value)| fields.push(name.as_ref(), value.as_ref()));
        fields
    }

    /// The value of `name` in any letter case: the gateway's own vary.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Name and value of each field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = self.text.as_str();
        self.lengths.iter().map(move |(name, value)| {
            let (field, behind) = rest.split_at(name + value);
            rest = behind;
            field.split_at(*name)
        })
    }

    /// Appends a field.
    pub fn push(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        self.text.push_str(value);
        self.lengths.push((name.len(), value.len()));
    }

    /// The form as it goes over the wire.
    pub fn encode(&self) -> String {
        serde_urlencoded::to_string(self.iter().collect::<Vec<_>>()).unwrap_or_default()
    }
}

/// A name or a value as it is meant, read as `serde_urlencoded` reads it: what is no escape stays as it is. Most have
/// none in them, and are not copied.
fn decode(raw: &[u8]) -> Result<Cow<'_, str>, NotAForm> {
    let text = if raw.contains(&b'%') || raw.contains(&b'+') {
        let mut decoded = Vec::with_capacity(raw.len());
        let mut rest = raw;
        while let [first, behind @ ..] = rest {
            let (byte, behind) = match (first, behind) {
                (b'+', _) => (b' ', behind),
                (b'%', [high, low, after @ ..]) => hex_pair(*high, *low).map_or((b'%', behind), |byte| (byte, after)),
                _ => (*first, behind),
            };
            decoded.push(byte);
            rest = behind;
        }
        Cow::Owned(String::from_utf8(decoded).map_err(|_| NotAForm::NotUtf8)?)
    } else {
        Cow::Borrowed(str::from_utf8(raw).map_err(|_| NotAForm::NotUtf8)?)
    };
    // It stands where somebody before us could not decode something.
    if !text.is_ascii() && text.contains(char::REPLACEMENT_CHARACTER) { Err(NotAForm::NotUtf8) } else { Ok(text) }
}

/// The byte that two hexadecimal digits in any letter case mean.
fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// Names only: values may be personal.
impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(body: &str) -> Result<Fields, NotAForm> {
        Fields::parse(body.as_bytes(), 64)
    }

    /// What the decoder makes of a body that everybody uses.
    fn yardstick(body: &[u8], max_fields: usize) -> Result<Fields, NotAForm> {
        if body.is_empty() {
            return Err(NotAForm::Empty);
        }
        if body.split(|byte| *byte == b'&').count() > max_fields {
            return Err(NotAForm::TooManyFields(max_fields));
        }
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(body).unwrap();
        for (at, (name, value)) in pairs.iter().enumerate() {
            if format!("{name}{value}").contains(char::REPLACEMENT_CHARACTER) {
                return Err(NotAForm::NotUtf8);
            }
            if pairs.iter().take(at).any(|(earlier, _)| earlier.eq_ignore_ascii_case(name)) {
                return Err(NotAForm::Repeated(excerpt(name)));
            }
        }
        Ok(Fields::from_pairs(pairs))
    }

    #[test]
    fn blanks_escapes_and_missing_equals_signs_are_read_as_the_gateway_means_them() {
        let fields = parse("a=x+y%20z&B=1%2c082&c&d=e=f&g=*!").unwrap();
        let pairs: Vec<_> = fields.iter().collect();
        assert_eq!(pairs, [("a", "x y z"), ("B", "1,082"), ("c", ""), ("d", "e=f"), ("g", "*!")]);
        assert_eq!(fields.value("b"), Some("1,082"));
        assert_eq!(fields.value("h"), None);
    }

    #[test]
    fn what_is_not_a_form_is_refused() {
        assert_eq!(parse(""), Err(NotAForm::Empty));
        assert_eq!(parse("a=%ff"), Err(NotAForm::NotUtf8));
        assert_eq!(Fields::parse(b"a=\xff", 64), Err(NotAForm::NotUtf8));
        assert_eq!(parse("a=1&A=2"), Err(NotAForm::Repeated("A".into())));
        assert_eq!(parse(&"a&".repeat(64)), Err(NotAForm::TooManyFields(64)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(pairs in proptest::collection::btree_map("[a-z]{1,8}", "[^\u{fffd}]{0,20}", 1..20)) {
            let fields = Fields::from_pairs(pairs);
            prop_assert_eq!(parse(&fields.encode()), Ok(fields));
        }

        #[test]
        fn escapes_are_read_as_by_serde_urlencoded(body in "[aAb=&+%0-9c-fC-F\u{e9}\u{fffd}]{0,40}", raw in any::<u8>()) {
            for body in [body.as_bytes(), &[body.as_bytes(), &[raw]].concat(), &[&[raw, b'%'], body.as_bytes()].concat()] {
                prop_assert_eq!(Fields::parse(body, 8), yardstick(body, 8));
            }
        }

        #[test]
        fn any_bytes_are_read_as_by_serde_urlencoded(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert_eq!(Fields::parse(&body, 64), yardstick(&body, 64));
        }
    }
}
