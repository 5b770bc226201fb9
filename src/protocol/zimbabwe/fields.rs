//! A form as an ordered list of decoded fields. Order matters: the hash is over it.

use crate::protocol::gateway::excerpt;

/// The decoded fields of a message, in order of arrival, no name twice.
#[derive(Clone, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

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
        if body.split(|byte| *byte == b'&').count() > max_fields {
            return Err(NotAForm::TooManyFields(max_fields));
        }
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(body).map_err(|_| NotAForm::NotUtf8)?;
        for (at, (name, value)) in pairs.iter().enumerate() {
            if name.contains(char::REPLACEMENT_CHARACTER) || value.contains(char::REPLACEMENT_CHARACTER) {
                return Err(NotAForm::NotUtf8);
            }
            if pairs.iter().take(at).any(|(earlier, _)| earlier.eq_ignore_ascii_case(name)) {
                return Err(NotAForm::Repeated(excerpt(name)));
            }
        }
        Ok(Self(pairs))
    }

    /// Fields to be sent, in this order. The caller gives no name twice.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The value of `name` in any letter case: the gateway's own vary.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Name and value of each field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Appends a field.
    pub fn push(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// The form as it goes over the wire.
    pub fn encode(&self) -> String {
        serde_urlencoded::to_string(&self.0).unwrap_or_default()
    }
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
        fn reading_never_panics(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Fields::parse(&body, 64);
        }
    }
}
