//! As much `FastCGI` as it takes to have a process of PHP-FPM answer posts over a kept connection.
//!
//! <https://fastcgi-archives.github.io/FastCGI_Specification.html>

/// Types of records.
const BEGIN: u8 = 1;
const END: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;

/// A post with these parameters beside the usual ones.
pub fn request(parameters: &[(&str, &str)], body: &str) -> Vec<u8> {
    let length = body.len().to_string();
    let usual = [
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_URI", "/paynow/shop"),
        ("SCRIPT_NAME", "/receive.php"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("CONTENT_TYPE", "application/x-www-form-urlencoded"),
        ("CONTENT_LENGTH", &length),
    ];
    let mut named = Vec::new();
    for (name, value) in usual.iter().chain(parameters) {
        for text in [name, value] {
            let long = u32::try_from(text.len()).expect("a short text") | 1 << 31;
            named.extend_from_slice(&long.to_be_bytes());
        }
        named.extend_from_slice(name.as_bytes());
        named.extend_from_slice(value.as_bytes());
    }
    // The responder's role, and the connection is to be kept.
    let mut wire = record(BEGIN, &[0, 1, 1, 0, 0, 0, 0, 0]);
    for (kind, content) in [(PARAMS, named.as_slice()), (PARAMS, &[]), (STDIN, body.as_bytes()), (STDIN, &[])] {
        wire.extend(record(kind, content));
    }
    wire
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).expect("a short record").to_be_bytes();
    let mut record = vec![1, kind, 0, 1, high, low, 0, 0];
    record.extend_from_slice(content);
    record
}

/// The status and the length of the answer that these bytes begin with, once it is whole.
pub fn answer(heard: &[u8]) -> Option<(u16, usize)> {
    let (mut at, mut status) = (0, 200);
    loop {
        let header = heard.get(at..at + 8)?;
        let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let content = heard.get(at + 8..at + 8 + length)?;
        at += 8 + length + usize::from(header[6]);
        heard.get(..at)?;
        match header[1] {
            STDOUT => {
                let text = String::from_utf8_lossy(content);
                let stated = text.lines().find_map(|line| line.strip_prefix("Status: ")?.get(..3)?.parse().ok());
                status = stated.unwrap_or(status);
            }
            END => return Some((status, at)),
            _ => {}
        }
    }
}
