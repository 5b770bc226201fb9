//! The same JSON, written otherwise: what frameworks and proxies make of a body whose signature covers every byte of
//! it. Works on the text, token by token, so that order and numbers stay as they are.

use std::borrow::Cow;

use crate::protocol::doctor::Mistake;

/// One way to write the body that was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rewriting {
    /// As it came.
    None,
    /// Without line ends and blanks around it.
    Trimmed,
    /// With a line end behind it.
    LineEnd,
    /// Lines ended with LF where they end with CR LF.
    Unix,
    /// Lines ended with CR LF where they end with LF.
    Dos,
    /// Without a blank between tokens.
    Compact,
    /// The same, with `\/` for every slash.
    CompactEscaped,
    /// Over several lines, indented by so many blanks.
    Pretty(usize),
    /// Compact, members sorted by name.
    Sorted,
}

impl Rewriting {
    /// All that change something, the least change first.
    pub(super) const ALL: [Self; 9] = [
        Self::Trimmed,
        Self::LineEnd,
        Self::Unix,
        Self::Dos,
        Self::Compact,
        Self::CompactEscaped,
        Self::Pretty(2),
        Self::Pretty(4),
        Self::Sorted,
    ];

    /// What to tell whose body was signed so.
    pub(super) fn mistake(self) -> Mistake {
        let (code, what) = match self {
            Self::None | Self::Trimmed => {
                ("body-padded", "line ends or blanks were added around the body after signing")
            }
            Self::LineEnd => ("body-trimmed", "a line end behind the body was signed and is gone"),
            Self::Unix | Self::Dos => ("line-ends", "the line ends of the body were changed"),
            Self::Compact | Self::CompactEscaped => {
                ("body-was-compact", "the body was signed as compact JSON and written anew since")
            }
            Self::Pretty(_) => ("body-was-pretty", "the body was signed as indented JSON and written anew since"),
            Self::Sorted => ("body-was-sorted", "the body was signed with its members in the order of their names"),
        };
        let cure = "Sign and verify the very bytes of the body, before any JSON parser sees them, and let nothing on \
                    the way rewrite them.";
        Mistake { code, what: what.to_owned(), cure }
    }
}

/// `body` in this writing; `None` if it cannot be written so.
pub(super) fn rewritten(body: &[u8], rewriting: Rewriting) -> Option<Cow<'_, [u8]>> {
    let text = |text: String| Some(Cow::Owned(text.into_bytes()));
    match rewriting {
        Rewriting::None => Some(Cow::Borrowed(body)),
        Rewriting::Trimmed => Some(Cow::Borrowed(body.trim_ascii())),
        Rewriting::LineEnd => Some(Cow::Owned([body, b"\n"].concat())),
        Rewriting::Unix => text(std::str::from_utf8(body).ok()?.replace("\r\n", "\n")),
        Rewriting::Dos => text(std::str::from_utf8(body).ok()?.replace("\r\n", "\n").replace('\n', "\r\n")),
        Rewriting::Compact => text(compact(std::str::from_utf8(body).ok()?).replace("\\/", "/")),
        Rewriting::CompactEscaped => {
            text(compact(std::str::from_utf8(body).ok()?).replace("\\/", "/").replace('/', "\\/"))
        }
        Rewriting::Pretty(indent) => text(pretty(&compact(std::str::from_utf8(body).ok()?), indent)),
        // Maps of this JSON library are sorted.
        Rewriting::Sorted => text(serde_json::from_slice::<serde_json::Value>(body).ok()?.to_string()),
    }
}

/// Calls `each` with every character and whether it stands inside a string.
fn walk(json: &str, mut each: impl FnMut(char, bool)) {
    let (mut inside, mut escaped) = (false, false);
    for c in json.chars() {
        let quotes = c == '"' && !escaped;
        each(c, inside || quotes);
        escaped = inside && c == '\\' && !escaped;
        inside ^= quotes;
    }
}

fn compact(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    walk(json, |c, inside| {
        if inside || !c.is_ascii_whitespace() {
            text.push(c);
        }
    });
    text
}

fn pretty(compact: &str, indent: usize) -> String {
    let (mut text, mut depth) = (String::new(), 0_usize);
    let mut last = ' ';
    walk(compact, |c, inside| {
        let line = |text: &mut String, depth: usize| {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', depth * indent));
        };
        match c {
            '{' | '[' if !inside => {
                depth += 1;
                text.push(c);
            }
            '}' | ']' if !inside => {
                depth = depth.saturating_sub(1);
                if !matches!(last, '{' | '[') {
                    line(&mut text, depth);
                }
                text.push(c);
            }
            _ => {
                if matches!(last, '{' | '[' | ',') {
                    line(&mut text, depth);
                }
                text.push(c);
                if c == ':' && !inside {
                    text.push(' ');
                }
            }
        }
        // Inside of strings these signs mean nothing.
        last = if inside { ' ' } else { c };
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_rewritten_as_its_libraries_write_it() {
        let body = r#"{ "a" : [1, 2.50, {}], "b\" {": "x, y/z:\\",
            "c" : {"d":null} }"#;
        let seen = |rewriting| String::from_utf8(rewritten(body.as_bytes(), rewriting).unwrap().into_owned()).unwrap();
        assert_eq!(seen(Rewriting::Compact), r#"{"a":[1,2.50,{}],"b\" {":"x, y/z:\\","c":{"d":null}}"#);
        assert_eq!(seen(Rewriting::CompactEscaped), r#"{"a":[1,2.50,{}],"b\" {":"x, y\/z:\\","c":{"d":null}}"#);
        let ordered = r#"{"a":[1,true],"b":{"c":"x, {y}: [z]\\","d":[]},"e":{}}"#;
        let value: serde_json::Value = serde_json::from_str(ordered).unwrap();
        let pretty = rewritten(ordered.as_bytes(), Rewriting::Pretty(2)).unwrap();
        assert_eq!(std::str::from_utf8(&pretty).unwrap(), serde_json::to_string_pretty(&value).unwrap());
    }
}
