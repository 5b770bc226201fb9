//! Integration keys: what both sides know and nobody else may. Wiped when dropped, never printed.

use secrecy::{ExposeSecret, SecretString};

use super::doctor::Mistake;
use crate::domain::names::{guid_bytes, guid_text};

/// One secret shared with a gateway.
#[derive(Clone, Debug)]
pub struct Key {
    secret: SecretString,
    /// As it was typed, if that is something else.
    typed: Option<SecretString>,
}

/// The content of a key file is not a key. Says what was expected and nothing of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("does not hold an integration key: expected {0} and nothing else")]
pub struct NotAKey(&'static str);

/// What a GUID looks like.
const GUID: NotAKey = NotAKey("a GUID like xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
/// What a key is of which a gateway says only that it is one; those seen are GUIDs.
const WORD: NotAKey = NotAKey("one word of 8 to 128 letters, digits and punctuation");

impl Key {
    /// Paynow Zimbabwe's keys are GUIDs, hashed in lower case however they were typed.
    ///
    /// <https://developers.paynow.co.zw/docs/generating_hash.html>
    ///
    /// # Errors
    /// `text` is not a GUID; the caller names the file.
    pub fn guid(text: &str) -> Result<Self, NotAKey> {
        let guid = guid_bytes(text.trim()).ok_or(GUID)?;
        let secret = SecretString::from(guid_text(&guid));
        let typed = (secret.expose_secret() != text.trim()).then(|| text.trim().into());
        Ok(Self { secret, typed })
    }

    /// Paynow Poland's keys: given out as GUIDs, documented only as text, and used exactly as typed.
    ///
    /// <https://docs.paynow.pl/docs/v3/integration>
    ///
    /// # Errors
    /// `text` is too short, too long, or not one word; the caller names the file.
    pub fn word(text: &str) -> Result<Self, NotAKey> {
        let word = text.trim();
        let sound = (8..=128).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_graphic());
        if sound { Ok(Self::opaque(word)) } else { Err(WORD) }
    }

    /// A key that is any text, for a gateway that says no more about it. Used as it is.
    pub fn opaque(text: &str) -> Self {
        Self { secret: text.into(), typed: None }
    }

    /// The secret, for the one line that feeds it to a hash.
    pub(in crate::protocol) fn expose(&self) -> &str {
        self.secret.expose_secret()
    }

    /// The key as somebody might write it who does not know how; `None` where that is no other key.
    pub(in crate::protocol) fn spelt(&self, spelling: Spelling) -> Option<Self> {
        let agreed = self.expose();
        let odd: SecretString = match spelling {
            Spelling::Agreed => return Some(self.clone()),
            Spelling::AsTyped => self.typed.clone()?,
            Spelling::Upper => agreed.to_ascii_uppercase().into(),
            Spelling::Lower => agreed.to_ascii_lowercase().into(),
            Spelling::WithoutHyphens => agreed.replace('-', "").into(),
            Spelling::WithLineEnd => format!("{agreed}\n").into(),
            Spelling::WithCarriageReturn => format!("{agreed}\r\n").into(),
        };
        (odd.expose_secret() != agreed).then_some(Self { secret: odd, typed: None })
    }
}

/// How a key is written where it is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) enum Spelling {
    /// As both sides agreed.
    Agreed,
    AsTyped,
    Upper,
    Lower,
    WithoutHyphens,
    WithLineEnd,
    WithCarriageReturn,
}

impl Spelling {
    /// All but the agreed one.
    pub(in crate::protocol) const ODD: [Self; 6] =
        [Self::AsTyped, Self::Upper, Self::Lower, Self::WithoutHyphens, Self::WithLineEnd, Self::WithCarriageReturn];

    /// What to tell who wrote it so.
    pub(in crate::protocol) fn mistake(self, cure: &'static str) -> Mistake {
        let (code, what) = match self {
            Self::Agreed | Self::AsTyped => ("key-as-typed", "the key was used in the letter case it was typed in"),
            Self::Upper => ("key-upper-case", "the key was used in upper case"),
            Self::Lower => ("key-lower-case", "the key was used in lower case"),
            Self::WithoutHyphens => ("key-without-hyphens", "the key was used without its hyphens"),
            Self::WithLineEnd | Self::WithCarriageReturn => {
                ("key-with-line-end", "a line end behind the key, as files have it, was taken for a part of the key")
            }
        };
        Mistake { code, what: what.to_owned(), cure }
    }
}

/// The keys an integration accepts while one replaces another: the first is current.
#[derive(Clone, Debug)]
pub struct Keys {
    current: Key,
    former: Vec<Key>,
}

impl Keys {
    /// `current` signs and verifies; `former` only verify.
    pub const fn new(current: Key, former: Vec<Key>) -> Self {
        Self { current, former }
    }

    /// The key to sign with.
    pub const fn current(&self) -> &Key {
        &self.current
    }

    /// Every accepted key, the current one first.
    pub fn accepted(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.former)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_key_is_the_same_in_any_letter_case_and_with_a_line_end() {
        let key = Key::guid("3E9FED89-60e1-4CE5-AB6E-6B1EB2D4F977\n").unwrap();
        assert_eq!(key.expose(), "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977");
    }

    #[test]
    fn a_word_key_is_kept_in_its_letter_case_and_fits_into_a_header() {
        let key = Key::word(" 97A55694-5478-43b5-b406-fb49ebfdd2b5\n").unwrap();
        assert_eq!(key.expose(), "97A55694-5478-43b5-b406-fb49ebfdd2b5");
        // The gateway's own SDK is tested with this one.
        assert_eq!(Key::word("s3ecret-k3y").unwrap().expose(), "s3ecret-k3y");
        for text in [
            "short",
            "0123456789 0123456789",
            "0123456789\r\n0123456789",
            "za\u{17c}\u{f3}\u{142}\u{107} g\u{119}\u{15b}l\u{105} ja\u{17a}\u{144}",
        ] {
            let error = Key::word(text).unwrap_err().to_string();
            assert!(!error.contains(text), "{error}");
        }
        assert!(Key::word(&"k".repeat(129)).is_err());
    }

    #[test]
    fn what_is_not_a_key_is_refused_and_not_repeated() {
        for text in ["", "0123456789", "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f97", "3e9fed8960e14ce5ab6e6b1eb2d4f977"] {
            let error = Key::guid(text).unwrap_err().to_string();
            assert!(text.is_empty() || !error.contains(text));
        }
    }

    #[test]
    fn an_odd_spelling_is_another_key_or_none() {
        let key = Key::guid("3E9FED89-60e1-4ce5-ab6e-6b1eb2d4f977").unwrap();
        let spelt = |spelling| key.spelt(spelling).map(|odd: Key| odd.expose().to_owned());
        assert_eq!(spelt(Spelling::AsTyped).unwrap(), "3E9FED89-60e1-4ce5-ab6e-6b1eb2d4f977");
        assert_eq!(spelt(Spelling::Upper).unwrap(), "3E9FED89-60E1-4CE5-AB6E-6B1EB2D4F977");
        assert_eq!(spelt(Spelling::WithoutHyphens).unwrap(), "3e9fed8960e14ce5ab6e6b1eb2d4f977");
        assert_eq!(spelt(Spelling::WithLineEnd).unwrap(), "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977\n");
        assert_eq!(spelt(Spelling::Lower), None);
        assert!(Key::guid(key.expose()).unwrap().spelt(Spelling::AsTyped).is_none());
        for odd in Spelling::ODD.into_iter().filter_map(|spelling| key.spelt(spelling)) {
            assert!(!format!("{odd:?}").to_lowercase().contains("3e9f"));
        }
    }

    #[test]
    fn a_key_is_not_printed() {
        for text in ["3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977", "3E9FED89-60e1-4ce5-ab6e-6b1eb2d4f977"] {
            let key = Key::guid(text).unwrap();
            assert!(!format!("{:?}", Keys::new(key.clone(), vec![key])).to_lowercase().contains("3e9f"));
        }
    }
}
