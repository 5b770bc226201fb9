//! Letters as a mail program would read them: headers unfolded, the text part decoded.

use std::fs;
use std::path::Path;

/// One letter.
#[derive(Clone, Debug)]
pub struct Letter {
    pub headers: Vec<(String, String)>,
    /// The text part.
    pub text: String,
    /// Everything, as it is on disk or went over the wire.
    pub raw: String,
}

impl Letter {
    pub fn parse(raw: String) -> Self {
        let (head, body) = raw.split_once("\r\n\r\n").unwrap();
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let headers = unfolded
            .split("\r\n")
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("not a header: {line:?}")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        // The first part, after its own headers, up to the boundary.
        let first = body.split_once("\r\n\r\n");
        // With files attached, the words are a part of parts.
        let body = first.filter(|(part, _)| part.contains("multipart/alternative")).map_or(body, |(_, words)| words);
        let text = match body.split_once("\r\n\r\n") {
            Some((part, rest)) if part.starts_with("--") => {
                rest.split("\r\n--").next().map(unquoted).unwrap_or_default()
            }
            _ => unquoted(body),
        };
        Self { headers, text, raw }
    }

    /// The values of every header of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    fn only(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "header {name} in {}", self.raw);
        all[0]
    }

    pub fn subject(&self) -> &str {
        self.only("Subject")
    }

    pub fn to(&self) -> &str {
        self.only("To")
    }

    pub fn message_id(&self) -> &str {
        self.only("Message-ID")
    }
}

/// The letters in a directory, the oldest first. Unfinished ones do not count.
pub fn read(directory: &Path) -> Vec<Letter> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut letters: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "eml"))
        .map(|entry| (entry.metadata().unwrap().modified().unwrap(), entry.path()))
        .collect();
    letters.sort();
    letters.into_iter().map(|(_, file)| Letter::parse(fs::read_to_string(file).unwrap())).collect()
}

/// Subjects, sorted.
pub fn subjects(letters: &[Letter]) -> Vec<&str> {
    let mut subjects: Vec<&str> = letters.iter().map(Letter::subject).collect();
    subjects.sort_unstable();
    subjects
}

/// The same letter twice: a mail program would show it once. Only the MIME boundary is drawn anew.
pub fn assert_same(one: &Letter, other: &Letter) {
    let of = |letter: &Letter| {
        let (_, boundary) = letter.only("Content-Type").split_once("boundary=").unwrap();
        letter.raw.replace(boundary.trim_matches('"'), "BOUNDARY")
    };
    assert_eq!(of(one), of(other));
}

/// Quoted-printable, decoded.
fn unquoted(text: &str) -> String {
    let joined = text.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).filter(|_| *first == b'=').and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap()
}
