//! On which line of a TOML file a key stands. Not a parser: it looks at headers and at what stands before `=`, and is
//! only asked about files that parsed. When it is wrong, a finding names a neighbouring line and still the right key.

use std::collections::BTreeMap;

/// The lines of the keys and section headers of one file.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<String, usize>);

impl Lines {
    /// Notes every header and key of `text`.
    pub(super) fn scan(text: &str) -> Self {
        let mut found = BTreeMap::new();
        let mut section = String::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(header) = header(line) {
                section = header;
                found.entry(section.clone()).or_insert(at + 1);
            } else if let Some((key, _)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
                let key = dotted(key);
                let path = if section.is_empty() { key } else { format!("{section}.{key}") };
                found.entry(path).or_insert(at + 1);
            }
        }
        Self(found)
    }

    /// The line of `path`, or of the nearest section around it; `None` if the file has neither.
    pub(super) fn of(&self, path: &str) -> Option<usize> {
        let around = path.rmatch_indices('.').map(|(dot, _)| &path[..dot]);
        std::iter::once(path).chain(around).find_map(|path| self.0.get(path).copied())
    }
}

/// The line that `offset` bytes into `text` lie on.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The section that begins on `line` though it has begun before, and on which line it did. For files that do not parse.
pub(super) fn doubled_header(text: &str, line: usize) -> Option<(String, usize)> {
    let headers = || text.lines().map(|line| header(line.trim()));
    // An escaped name might hide what must not be repeated.
    let doubled = headers().nth(line.checked_sub(1)?)?.filter(|header| !header.contains('\\'))?;
    let first = headers().position(|header| header.as_ref() == Some(&doubled))? + 1;
    (first < line).then_some((doubled, first))
}

/// The name of the section that begins with a line without blanks around it.
fn header(line: &str) -> Option<String> {
    line.strip_prefix('[')?.split_once(']').map(|(name, _)| dotted(name))
}

/// A dotted key without blanks and quotes.
fn dotted(key: &str) -> String {
    let names: Vec<&str> = key.split('.').map(|name| name.trim().trim_matches(['"', '\''])).collect();
    names.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sections_and_what_is_missing_in_them_have_a_line() {
        let lines = Lines::scan("top = 1\n\n[a . \"b\"] # c\n# x = 1\nkey = [\n  \"p\",\n]\nc.d = 2\n");
        assert_eq!(lines.of("top"), Some(1));
        assert_eq!(lines.of("a.b.key"), Some(5));
        assert_eq!(lines.of("a.b.c.d"), Some(8));
        assert_eq!(lines.of("a.b.missing"), Some(3));
        assert_eq!(lines.of("other"), None);
        assert_eq!(line_at("one\ntwo\n", 5), 2);
    }

    #[test]
    fn a_section_that_begins_twice_is_named_with_its_first_line() {
        let text = "top = 1\n[a.b]\n[c]\n[ a . \"b\" ] # again\n[\"\\u0061\"]\n[\"\\u0061\"]\n";
        assert_eq!(doubled_header(text, 4), Some(("a.b".to_owned(), 2)));
        for (line, none) in [(0, "no line"), (1, "a key"), (2, "the first"), (6, "escaped"), (99, "behind the end")] {
            assert_eq!(doubled_header(text, line), None, "{none}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]=.#\"a-c\n é]{0,60}", path in ".{0,20}") {
            let _ = Lines::scan(&text).of(&path);
            let _ = doubled_header(&text, path.len());
        }
    }
}
