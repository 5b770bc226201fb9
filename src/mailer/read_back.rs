//! A letter read back, for tests: headers and parts, without the library that wrote it.

/// Headers and the two decoded parts of a message, read back without the library that wrote it.
pub(super) struct ReadBack {
    pub(super) headers: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) html: String,
}

pub(super) fn read_back(bytes: &[u8]) -> ReadBack {
    assert!(bytes.is_ascii());
    let message = std::str::from_utf8(bytes).unwrap();
    assert!(!message.replace("\r\n", "").contains(['\r', '\n']), "a bare line end");
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    let headers = headers(head);
    let boundary = headers.iter().find_map(|(_, value)| value.split_once("boundary=\"")).unwrap().1;
    let boundary = format!("--{}", boundary.split('"').next().unwrap());
    let parts: Vec<&str> = body.split(&boundary).collect();
    assert_eq!((parts.len(), parts[3].trim()), (4, "--"), "{message}");
    let decoded = |part: &str, kind: &str| {
        let (head, body) = part.trim_start().split_once("\r\n\r\n").unwrap();
        assert!(head.contains(kind) && head.contains("quoted-printable"), "{head}");
        unquoted(body.strip_suffix("\r\n").unwrap())
    };
    ReadBack { text: decoded(parts[1], "text/plain"), html: decoded(parts[2], "text/html"), headers }
}

fn headers(head: &str) -> Vec<(String, String)> {
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let split = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
    unfolded.split("\r\n").map(split).collect()
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
