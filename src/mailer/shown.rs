//! Text from outside, made fit to be seen: nothing hidden, nothing that turns the line around, nothing endless.
//! It decides what people see, never what is stored.

use crate::domain::is_hidden;

/// Text as a person may see it on one line: without hidden characters, with single plain blanks between words.
pub fn shown(text: &str) -> String {
    let visible: String = text.chars().filter(|c| c.is_whitespace() || !is_hidden(*c)).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first `limit` characters of `text`, the last of them an ellipsis if there was more.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let kept: String = text.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// `text` as one word of a shell command that names exactly these characters, the hidden ones written out.
///
/// Plain text is quoted for any shell; text with hidden characters as `$'…'`, which bash and zsh read.
pub(super) fn shell_word(text: &str) -> String {
    if !text.chars().any(is_hidden) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let inner: String = text
        .chars()
        .map(|c| match c {
            '\'' | '\\' => format!("\\{c}"),
            c if is_hidden(c) => format!("\\U{:08x}", u32::from(c)),
            c => c.to_string(),
        })
        .collect();
    format!("$'{inner}'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hidden_characters_are_dropped_and_the_rest_is_kept() {
        for (raw, seen) in [
            ("INV-1042", "INV-1042"),
            ("INV\u{202E}2401\u{202C}", "INV2401"),
            ("IN\u{200B}V\u{FEFF}-\u{2066}7\u{2069}", "INV-7"),
            ("a\r\nBcc: x@y", "a Bcc: x@y"),
            ("  wide\u{3000}\u{00A0}gap ", "wide gap"),
            ("\u{200D}\u{E0041}", ""),
            ("Müller 訂單", "Müller 訂單"),
        ] {
            assert_eq!(shown(raw), seen, "{raw:?}");
        }
    }

    #[test]
    fn long_text_is_cut_with_an_ellipsis() {
        assert_eq!(shortened("INV-1042", 8), "INV-1042");
        assert_eq!(shortened("INV-10423", 8), "INV-104…");
        assert_eq!(shortened("INV 10423", 5), "INV…");
    }

    #[test]
    fn a_shell_reads_back_exactly_what_was_meant() {
        for text in ["INV-1042", "it's $(reboot) `x` \\ \"", "a'b\\c\u{202E}d\u{E0041}1", "-x", "!1 && 2"] {
            let script = format!("printf %s {}", shell_word(text));
            let output = std::process::Command::new("bash")
                .args(["-c", &script])
                .env("LC_ALL", "C.UTF-8")
                .output()
                .expect("bash is there");
            assert_eq!(String::from_utf8(output.stdout).as_deref(), Ok(text));
        }
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_ever_shown(text in any::<String>(), limit in 1..50_usize) {
            let seen = shown(&text);
            prop_assert!(!seen.chars().any(is_hidden));
            prop_assert!(shortened(&seen, limit).chars().count() <= limit);
            prop_assert!(!shell_word(&text).chars().any(is_hidden));
        }
    }
}
