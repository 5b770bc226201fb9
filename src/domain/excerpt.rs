//! A piece of a text from outside, made fit to be repeated in a reason, a finding or a log.

use super::names::{is_hidden, without_guids};

/// The first `longest` characters of `text`, and an ellipsis if there was more: without anything that moves a cursor,
/// ends a line or hides, and without what might be a key.
pub(crate) fn excerpt(text: &str, longest: usize) -> String {
    // Both before the cut: hidden characters would tear a key apart, and so would the cut.
    let seen: String = text.chars().filter(|c| !is_hidden(*c)).collect();
    let mut harmless = without_guids(&seen);
    if let Some((end, _)) = harmless.char_indices().nth(longest) {
        harmless.truncate(end);
        harmless.push('…');
    }
    harmless
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977";

    #[test]
    fn an_excerpt_is_one_line_without_anything_hidden() {
        assert_eq!(excerpt("a\u{1b}[31m\r\nb\u{85}c\u{2028}d\u{2029}e", 80), "a[31mbcde");
        assert_eq!(excerpt("INV\u{202E}2401\u{202C}\u{200B}", 80), "INV2401");
    }

    #[test]
    fn an_excerpt_holds_no_key_and_no_part_of_one() {
        assert_eq!(excerpt(&format!("the key {KEY}\n is"), 80), "the key … is");
        assert_eq!(excerpt(&KEY.replace('-', "\u{200B}-"), 80), "…");
        assert_eq!(excerpt(&format!("key={KEY}"), 10), "key=…");
    }

    #[test]
    fn a_long_text_is_cut_with_an_ellipsis() {
        assert_eq!(excerpt(&"ż".repeat(80), 80), "ż".repeat(80));
        assert_eq!(excerpt(&"ż".repeat(81), 80), format!("{}…", "ż".repeat(80)));
        assert_eq!(excerpt("", 0), "");
    }

    proptest! {
        #[test]
        fn an_excerpt_of_any_text_is_bounded_and_hides_nothing(text in any::<String>(), longest in 0..50_usize) {
            let excerpt = excerpt(&text, longest);
            prop_assert!(excerpt.chars().count() <= longest + 1);
            prop_assert!(!excerpt.chars().any(is_hidden));
        }
    }
}
