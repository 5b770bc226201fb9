//! A letter read back, for tests: headers and parts, without the library that wrote it.

use base64::Engine as _;

/// Headers and the decoded parts of a message, read back without the library that wrote it.
pub(super) struct ReadBack {
    pub(super) headers: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) html: String,
    /// Attached files: what their part says of them, and their bytes.
    pub(super) files: Vec<(String, Vec<u8>)>,
}

pub(super) fn read_back(bytes: &[u8]) -> ReadBack {
    assert!(bytes.is_ascii());
    let message = std::str::from_utf8(bytes).unwrap();
    assert!(!message.replace("\r\n", "").contains(['\r', '\n']), "a bare line end");
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    let headers = headers(head);
    let mut parts = parts(head, body);
    let mut files = Vec::new();
    if head.contains("multipart/mixed") {
        files = parts.split_off(1).into_iter().map(file).collect();
        let (head, body) = parts[0].split_once("\r\n\r\n").unwrap();
        parts = self::parts(head, body);
    }
    assert_eq!(parts.len(), 2, "{message}");
    let decoded = |part: &str, kind: &str| {
        let (head, body) = part.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(kind) && head.contains("quoted-printable"), "{head}");
        unquoted(body)
    };
    let (text, html) = (decoded(parts[0], "text/plain"), decoded(parts[1], "text/html"));
    ReadBack { headers, text, html, files }
}

/// What stands between the boundaries that a head names.
fn parts<'a>(head: &str, body: &'a str) -> Vec<&'a str> {
    let boundary = format!("--{}", head.split_once("boundary=\"").unwrap().1.split('"').next().unwrap());
    let mut parts: Vec<&str> = body.split(&boundary).collect();
    assert_eq!(parts.pop().unwrap().trim(), "--");
    parts.into_iter().skip(1).map(|part| part.trim_start().strip_suffix("\r\n").unwrap()).collect()
}

fn file(part: &str) -> (String, Vec<u8>) {
    let (head, body) = part.split_once("\r\n\r\n").unwrap();
    let bytes = if head.contains("base64") {
        base64::engine::general_purpose::STANDARD.decode(body.replace("\r\n", "")).unwrap()
    } else {
        body.as_bytes().to_vec()
    };
    (head.to_owned(), bytes)
}

fn headers(head: &str) -> Vec<(String, String)> {
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let split = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
    unfolded.split("\r\n").map(split).collect()
}

/// A header as a mail program shows it: encoded words in base64 or quoted-printable decoded once, blanks between two of
/// them dropped (RFC 2047, 6).
pub(super) fn seen(value: &str) -> String {
    let mut text = String::new();
    let mut after_encoded = false;
    for word in value.split(' ') {
        let encoded = word.strip_prefix("=?utf-8?").and_then(|rest| rest.strip_suffix("?="));
        let is_dropped = text.is_empty() || (after_encoded && encoded.is_some());
        text += if is_dropped { "" } else { " " };
        after_encoded = encoded.is_some();
        text += &match encoded.and_then(|encoded| encoded.split_once('?')) {
            Some(("b", base64)) => {
                String::from_utf8(base64::engine::general_purpose::STANDARD.decode(base64).unwrap()).unwrap()
            }
            Some(("q", quoted)) => unquoted(&quoted.replace('_', " ")),
            _ => word.to_owned(),
        };
    }
    text
}

/// Undoes quoted-printable (RFC 2045, 6.7).
fn unquoted(text: &str) -> String {
    let joined = text.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        if *first == b'=' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&more[..2]).unwrap(), 16).unwrap());
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
}
