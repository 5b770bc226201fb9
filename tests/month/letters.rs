//! Letters as they lie in the letter box: who gets them, and their subject as a telephone shows it.

use std::path::Path;

use base64::Engine as _;

/// One letter.
#[derive(Debug)]
pub struct Letter {
    pub to: String,
    pub subject: String,
}

impl Letter {
    pub fn read(path: &Path) -> Self {
        let message = std::fs::read_to_string(path).unwrap();
        let (head, _) = message.split_once("\r\n\r\n").unwrap();
        let head = head.replace("\r\n ", " ");
        let header = |name: &str| {
            let line = head.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_else(|| panic!("no {name} in {head}")).to_owned()
        };
        Self { to: header("To"), subject: decoded(&header("Subject")) }
    }
}

/// Words of RFC 2047 in what is otherwise plain. Blanks between two such words are not the sender's.
fn decoded(header: &str) -> String {
    let (mut text, mut bytes) = (String::new(), Vec::new());
    for word in header.split(' ') {
        if let Some(word) = word.strip_prefix("=?utf-8?b?").and_then(|word| word.strip_suffix("?=")) {
            bytes.extend(base64::engine::general_purpose::STANDARD.decode(word).unwrap());
        } else {
            flush(&mut text, &mut bytes);
            text.push_str(word);
            text.push(' ');
        }
    }
    flush(&mut text, &mut bytes);
    text.trim_end().to_owned()
}

fn flush(text: &mut String, bytes: &mut Vec<u8>) {
    if !bytes.is_empty() {
        text.push_str(&String::from_utf8(std::mem::take(bytes)).unwrap());
        text.push(' ');
    }
}
