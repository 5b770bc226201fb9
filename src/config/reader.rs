//! Walks one section of a configuration and notes what is wrong instead of stopping at it. Every method answers with a
//! usable value; where it had to invent one there is a finding, and a configuration with an error is never handed out.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::value::{Dict, Value};

use super::document::Document;
use super::finding::{Level, contrast};
use super::spelling;
use super::units::{self, DURATIONS, SIZES_LIKE};
use crate::domain::excerpt;

/// How long a text may be, in bytes.
const LONGEST: usize = 1024;

/// How much of a name is repeated, in characters.
const NAME: usize = 64;

/// One table of the configuration, while it is being read.
pub(super) struct Section<'d> {
    document: &'d Document,
    path: String,
    name: &'d str,
    values: Option<&'d Dict>,
    asked: BTreeSet<&'static str>,
    forbidden: BTreeSet<&'static str>,
}

impl<'d> Section<'d> {
    /// What is outside any table.
    pub(super) const fn root(document: &'d Document, values: &'d Dict) -> Self {
        Self::new(document, String::new(), "", Some(values))
    }

    /// The table at `path`, whose last name is `name`; `values` is `None` where nobody wrote one.
    const fn new(document: &'d Document, path: String, name: &'d str, values: Option<&'d Dict>) -> Self {
        Self { document, path, name, values, asked: BTreeSet::new(), forbidden: BTreeSet::new() }
    }

    /// The last name of its path, as it was written.
    pub(super) const fn name(&self) -> &'d str {
        self.name
    }

    /// The section `key` inside this one.
    pub(super) fn subsection(&mut self, key: &'static str) -> Self {
        self.asked.insert(key);
        let values = self.written(key).and_then(|value| {
            if value.as_dict().is_none() {
                self.error(key, format!("must be a section: [{}]", self.join(key)));
            }
            value.as_dict()
        });
        Self::new(self.document, self.join(key), key, values)
    }

    /// Every section inside this one, whatever its name.
    pub(super) fn subsections(self) -> Vec<Self> {
        let mut sections = Vec::new();
        for (name, value) in self.values.into_iter().flatten() {
            match value.as_dict() {
                Some(values) => sections.push(Self::new(self.document, self.join(name), name, Some(values))),
                None => self.error(name, format!("must be a section: [{}]", self.join(name))),
            }
        }
        sections
    }

    /// The text of `key` as `parse` understands it; `rule` says what it must be. `None` if absent or refused.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        rule: impl Display,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let text = plain(value);
        let parsed = text.as_deref().map(str::trim).filter(|text| is_sound(text)).and_then(parse);
        if parsed.is_none() {
            let seen = text.map(|text| contrast(key, text.trim())).unwrap_or_default();
            self.error(key, format!("must be {rule}{seen}"));
        }
        parsed
    }

    /// Any one line of text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.read(key, "text in quotes: one line, not empty, at most 1024 bytes", |text| Some(text.to_owned()))
    }

    /// A whole number within `range`.
    pub(super) fn number<T>(&mut self, key: &'static str, default: T, range: RangeInclusive<T>) -> T
    where
        T: Copy + Display + PartialOrd + TryFrom<u64>,
    {
        let rule = format!("a whole number from {} to {}", range.start(), range.end());
        let parse = |text: &str| T::try_from(text.parse().ok()?).ok().filter(|number| range.contains(number));
        self.read(key, rule, parse).unwrap_or(default)
    }

    /// A duration within `range`.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let parse = |text: &str| units::duration(text).filter(|duration| range.contains(duration));
        self.read(key, duration_rule(&range), parse).unwrap_or(default)
    }

    /// A size within `range`, in bytes.
    pub(super) fn size<T>(&mut self, key: &'static str, default: T, range: RangeInclusive<u64>) -> T
    where
        T: TryFrom<u64>,
    {
        let (least, most) = (units::spell_size(*range.start()), units::spell_size(*range.end()));
        let parse = |text: &str| T::try_from(units::size(text).filter(|size| range.contains(size))?).ok();
        self.read(key, format!("a size from {least} to {most}, {SIZES_LIKE}"), parse).unwrap_or(default)
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, default: T, choices: &[(&str, T)]) -> T {
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let parse = |text: &str| choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
        self.read(key, words.join(" or "), parse).unwrap_or(default)
    }

    /// A list of `lengths` entries, each a text as `parse` understands it. `None` if absent; refused entries are
    /// left out. A variable may say `a, b` or `["a", "b"]`.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        lengths: RangeInclusive<usize>,
        rule: impl Display,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.value(key)?;
        let entries: Vec<Option<String>> = match value {
            Value::Array(_, entries) => entries.iter().map(plain).collect(),
            Value::String(tag, text) if self.document.variable(*tag).is_some() => listed(text),
            _ => {
                self.error(key, "must be a list: [\"…\", \"…\"]");
                return None;
            }
        };
        if !lengths.contains(&entries.len()) {
            self.error(key, format!("must have {} to {} entries", lengths.start(), lengths.end()));
        }
        let mut list = Vec::new();
        for (at, entry) in entries.into_iter().enumerate() {
            let sound = entry.as_deref().map(str::trim).filter(|text| is_sound(text));
            if let Some(parsed) = sound.and_then(&parse) {
                list.push(parsed);
            } else {
                let seen = entry.map(|text| contrast(key, text.trim())).unwrap_or_default();
                self.error(key, format!("entry {} must be {rule}{seen}", at + 1));
            }
        }
        Some(list)
    }

    /// A list of durations within `range`.
    pub(super) fn durations(
        &mut self,
        key: &'static str,
        lengths: RangeInclusive<usize>,
        range: RangeInclusive<Duration>,
    ) -> Option<Vec<Duration>> {
        let parse = |text: &str| units::duration(text).filter(|duration| range.contains(duration));
        self.list(key, lengths, duration_rule(&range), parse)
    }

    /// Notes that `key` is missing, if it is; `advice` says what to write.
    pub(super) fn require(&mut self, key: &'static str, advice: impl Display) {
        if self.value(key).is_none() {
            self.error(key, format!("is required: {advice}"));
        }
    }

    /// Notes that somebody wrote `key`, which must not be here. Its value is not repeated.
    pub(super) fn forbid(&mut self, key: &'static str, advice: impl Display) {
        self.forbidden.insert(key);
        if self.written(key).is_some() {
            self.error(key, format!("{advice}"));
        }
    }

    /// Whether somebody wrote `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.written(key).is_some()
    }

    /// Notes an error at `key`, or at the whole section if `key` is empty.
    pub(super) fn error(&self, key: &str, reason: impl Into<String>) {
        self.document.find(Level::Error, &self.join(key), self.blamed(key), reason.into());
    }

    /// What was written at `key`; where nothing was, one of the variables that the section consists of, if the file has
    /// nothing of it.
    fn blamed(&self, key: &str) -> Option<&'d Value> {
        let of_variables = || {
            let mut values = self.values?.values();
            let first = values.next()?;
            let is_variable = |value: &Value| self.document.variable(value.tag()).is_some();
            (is_variable(first) && values.all(is_variable)).then_some(first)
        };
        self.written(key).or_else(of_variables)
    }

    /// The path under `key`, else `usual`; a relative one is relative to `state`. Nothing need be there yet, but something
    /// must be able to.
    pub(super) fn place(&mut self, key: &'static str, usual: &str, state: &Path) -> PathBuf {
        let path = state.join(self.text(key).unwrap_or_else(|| usual.to_owned()));
        if let Some(file) = path.ancestors().skip(1).find(|above| above.exists()).filter(|above| !above.is_dir()) {
            self.error(key, format!("{} is no directory: nothing can lie in it", file.display()));
        }
        path
    }

    /// Notes a warning at `key`.
    pub(super) fn warning(&self, key: &str, reason: impl Into<String>) {
        self.document.find(Level::Warning, &self.join(key), self.written(key), reason.into());
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(self) {
        for key in self.values.into_iter().flatten().map(|(key, _)| key.as_str()) {
            if self.asked.contains(key) || self.forbidden.contains(key) {
                continue;
            }
            let advice = spelling::nearest(key, self.asked.iter().copied()).map_or_else(
                || "remove it, or compare with the shipped daemon.toml".to_owned(),
                |known| format!("did you mean {known}?"),
            );
            let kind = if self.path.is_empty() { "section" } else { "key" };
            self.error(key, format!("is not a {kind} we know; {advice}"));
        }
    }

    /// The value of `key`, which from now on is known.
    fn value(&mut self, key: &'static str) -> Option<&'d Value> {
        self.asked.insert(key);
        self.document.know(&self.join(key));
        self.written(key)
    }

    fn written(&self, key: &str) -> Option<&'d Value> {
        self.values?.get(key)
    }

    fn join(&self, key: &str) -> String {
        let key = excerpt(key, NAME);
        match (self.path.as_str(), key.as_str()) {
            ("", _) => key,
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }
}

fn duration_rule(range: &RangeInclusive<Duration>) -> String {
    let (least, most) = (units::spell_duration(*range.start()), units::spell_duration(*range.end()));
    format!("a duration from {least} to {most}, {DURATIONS}")
}

/// Not empty, not endless, and on one line.
fn is_sound(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control)
}

/// A text, or a whole number as one: `id = 1201` means what `id = "1201"` means.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Char(_, letter) => Some(letter.to_string()),
        Value::Num(_, number) => {
            number.to_u128().map(|whole| whole.to_string()).or_else(|| number.to_i128().map(|whole| whole.to_string()))
        }
        _ => None,
    }
}

/// The entries of a list in a variable.
fn listed(text: &str) -> Vec<Option<String>> {
    let text = text.trim();
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let entry = |entry: &str| Some(entry.trim().trim_matches(['"', '\'']).to_owned());
    if inner.trim().is_empty() { Vec::new() } else { inner.split(',').map(entry).collect() }
}
