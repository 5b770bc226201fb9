//! One refused post, whole. Its body may hold customers' data: it is the operator's to see. It came from a stranger, so
//! no character of it reaches the terminal as anything but itself.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::json;

use super::super::exit::Exit;
use super::super::output::{self, Table};
use super::super::when::stamp;
use super::{of_post, peer};
use crate::domain::is_hidden;
use crate::ledger::{LedgerError, Quarantined, Reader};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Its number in `quarantine list`.
    id: i64,
    /// Only the body, byte for byte.
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(reader: &Reader, wanted: &Arguments) -> Result<Exit, LedgerError> {
    let Some((post, body)) = reader.quarantined(wanted.id)? else {
        output::complain(&format!("nothing in quarantine has the number {}", wanted.id));
        return Ok(Exit::No);
    };
    if wanted.raw {
        output::bytes(&body);
    } else if wanted.json {
        let mut object = of_post(&post);
        object["signatures"] = json!(post.signatures);
        object["body"] = json!(std::str::from_utf8(&body).ok());
        object["body_base64"] = json!(STANDARD.encode(&body));
        output::line(object);
    } else {
        tell(&post, &body);
    }
    Ok(Exit::Done)
}

fn tell(post: &Quarantined, body: &[u8]) {
    let mut table = Table::new(&["REFUSED", ""]);
    for (name, value) in [
        ("id", post.id.to_string()),
        ("at", stamp(post.at)),
        ("integration", post.integration.to_string()),
        ("peer", peer(post)),
        ("kind", post.kind.code().to_owned()),
        ("reason", post.reason.clone()),
        ("bytes", post.bytes.to_string()),
    ] {
        table.row([name.into(), value]);
    }
    for signature in &post.signatures {
        table.row(["signature".into(), visible(signature.as_bytes())]);
    }
    table.print("");
    output::line("");
    output::line(visible(body));
}

/// `bytes` as text in which everything hidden is written out: `\n`, `\u{202e}`, `\xff`, and `\\` for a backslash.
fn visible(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' | '\n' | '\r' | '\t' => text.extend(c.escape_default()),
                c if is_hidden(c) => text.extend(c.escape_unicode()),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_written_out_and_can_be_told_from_what_looks_like_it() {
        for (bytes, seen) in [
            (&b"reference=INV+1&amount=1.00"[..], "reference=INV+1&amount=1.00"),
            (b"\x1b[2J\r\n\0", "\\u{1b}[2J\\r\\n\\u{0}"),
            (b"\\n", "\\\\n"),
            ("za\u{17c} \u{202e}x\u{feff}".as_bytes(), "za\u{17c} \\u{202e}x\\u{feff}"),
            (b"a\xff\xc3(", "a\\xff\\xc3("),
        ] {
            assert_eq!(visible(bytes), seen);
        }
    }
}
