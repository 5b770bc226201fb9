//! Forms: read, written and read again they are the same, whatever they hold.

use paynowd::domain::Amount;
use paynowd::protocol::zimbabwe::Fields;

use super::{MAX_FIELDS, harmless, survives};

/// A form is refused in a sentence, or read as it will be written.
pub fn holds(body: &[u8]) {
    let fields = match Fields::parse(body, MAX_FIELDS) {
        Ok(fields) => fields,
        // There is no key here that could be told.
        Err(refused) => return harmless(&refused.to_string(), "\n"),
    };
    let pairs: Vec<(&str, &str)> = fields.iter().collect();
    assert!(pairs.len() <= MAX_FIELDS);
    for (at, (name, value)) in pairs.iter().enumerate() {
        assert!(!pairs.iter().take(at).any(|(earlier, _)| earlier.eq_ignore_ascii_case(name)), "{name:?} twice");
        assert!(!name.contains(char::REPLACEMENT_CHARACTER) && !value.contains(char::REPLACEMENT_CHARACTER));
        assert_eq!(fields.value(&name.to_ascii_uppercase()), Some(*value));
        if let Ok(amount) = value.parse::<Amount>() {
            survives(amount);
        }
    }
    let written = fields.encode();
    if pairs.is_empty() {
        // Of `&&` nothing is left to write.
        assert_eq!(written, "");
        return;
    }
    let again = Fields::parse(written.as_bytes(), MAX_FIELDS).expect("what is written is a form");
    assert!(again == fields, "{written:?}");
    assert_eq!(again.encode(), written);
}
