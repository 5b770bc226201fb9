//! What is wrong with a configuration, said so that it can be mended. Not a log line: whoever started us prints it.

use std::fmt;

use crate::domain::is_hidden;
use crate::domain::names::without_guids;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The daemon runs, but something should be mended.
    Warning,
    /// The daemon does not start.
    Error,
}

crate::domain::codes!(Level { Warning = "warning", Error = "error" });

/// One thing to mend. Never repeats a value that might be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// Where the value was written: `daemon.toml:12`, or the environment variable's name.
    pub source: String,
    /// The key, from the top: `integrations.shop.currency`. Empty where no single key is to blame.
    pub key: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

impl Finding {
    /// A finding that belongs to no single key.
    pub(super) fn general(source: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { level: Level::Error, source: source.into(), key: String::new(), reason: reason.into() }
    }
}

/// `daemon.toml:12: server.max_body: must be …`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.reason)
    }
}

/// Everything that was found, at least one error among it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// Whether anything among it keeps the daemon from starting.
    pub(super) fn has_errors(&self) -> bool {
        self.0.iter().any(|finding| finding.level == Level::Error)
    }
}

impl From<Finding> for Findings {
    fn from(finding: Finding) -> Self {
        Self(vec![finding])
    }
}

/// One finding a line.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, finding) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

/// How long a value may be to be repeated in a finding.
const QUOTABLE: usize = 32;

/// `value` as the end of a sentence, `, not "3 weeks"`, or nothing where it is long, odd or might be a secret.
///
/// Secrets are what keys with such names hold, and anything long enough to be one: keys get pasted into wrong places.
pub(super) fn contrast(key: &str, value: &str) -> String {
    let secretive = ["key", "password", "token", "secret"].iter().any(|word| key.contains(word));
    let run = value.split([' ', ',', '.', '/']).map(str::len).max().unwrap_or(0);
    let plain = value.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    if secretive || !plain || run > 15 || value.len() > QUOTABLE || value.contains('@') {
        return String::new();
    }
    format!(", not \"{value}\"")
}

/// How much of a parser's message is repeated, in characters.
const MESSAGE: usize = 200;

/// The first line of what a parser said. It quotes names, which may hold anything.
pub(super) fn quoted(message: &str) -> String {
    plain(message.lines().next().unwrap_or_default(), MESSAGE)
}

/// The beginning of a text that may hold anything: nothing that moves a cursor, and no key of the gateway.
pub(super) fn plain(text: &str, longest: usize) -> String {
    let plain: String = text.chars().filter(|c| !is_hidden(*c)).collect();
    without_guids(&plain).chars().take(longest).collect()
}
