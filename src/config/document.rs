//! The file and the variables over it, merged by figment, each value remembering where it was written, and the list of
//! what was found so far. Knows no key; `reader` walks it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

use super::environment::{Environment, Location};
use super::finding::{self, Finding, Findings, Level};
use super::lines::{Lines, doubled_header, line_at};
use super::reader::Section;

/// How large a configuration file may be, in bytes.
const LARGEST: u64 = 1 << 20;

/// A merged configuration and the findings about it.
pub(super) struct Document {
    figment: Figment,
    values: Dict,
    /// The file's name as people asked for it.
    file: String,
    lines: Lines,
    environment: Environment,
    findings: RefCell<Vec<Finding>>,
    known: RefCell<BTreeSet<String>>,
}

impl Document {
    /// Reads the file and lays the variables over it.
    ///
    /// # Errors
    /// The file cannot be read or is not TOML, so that nothing can be said about its keys.
    pub(super) fn open(file: &Location, environment: &Environment) -> Result<Self, Finding> {
        let text = contents(&file.path).map_err(|reason| Finding::general(&file.shown, reason))?;
        let values = <Toml as Format>::from_str::<Dict>(&text).map_err(|error| {
            let line = error.span().map(|span| line_at(&text, span.start));
            // Of a doubled header the parser does not say which, nor where the first one is.
            let reason = match line.and_then(|line| doubled_header(&text, line)) {
                Some((header, first)) => format!(
                    "duplicate section [{header}], which begins on line {first}; give one of the two another name, or \
                     put all its keys under one header"
                ),
                None => error.message().to_owned(),
            };
            let line = line.map(|line| format!(":{line}")).unwrap_or_default();
            Finding::general(format!("{}{line}", file.shown), format!("not TOML: {}", finding::quoted(&reason)))
        })?;
        let mut figment = Figment::from(Layer { variable: None, values });
        let mut findings = Vec::new();
        for (variable, names, value) in environment.overrides() {
            if names.iter().any(|name| name.is_empty() || name.contains('.')) {
                findings.push(Finding::general(variable, "names no key: write PAYNOWD_SECTION__KEY"));
                continue;
            }
            figment = figment.merge(Layer { variable: Some(variable.to_owned()), values: nested(names, value) });
        }
        let values = figment.find_value("").ok().and_then(Value::into_dict).unwrap_or_default();
        Ok(Self {
            figment,
            values,
            file: file.shown.clone(),
            lines: Lines::scan(&text),
            environment: environment.clone(),
            findings: RefCell::new(findings),
            known: RefCell::default(),
        })
    }

    /// Everything outside any section.
    pub(super) fn root(&self) -> Section<'_> {
        Section::root(self, &self.values)
    }

    /// Notes that `path` is a key somebody may write.
    pub(super) fn know(&self, path: &str) {
        if self.known.borrow_mut().insert(path.to_owned())
            && let Some((variable, mistaken)) = self.environment.mistaken(path)
        {
            self.findings.borrow_mut().push(Finding::general(mistaken, format!("is read by nobody: write {variable}")));
        }
    }

    /// Notes what is wrong with the key `path`; `value` is what was written there, if anything was.
    pub(super) fn find(&self, level: Level, path: &str, value: Option<&Value>, reason: String) {
        let source = value.and_then(|value| self.variable(value.tag())).unwrap_or_else(|| {
            let line = self.lines.of(path).map(|line| format!(":{line}")).unwrap_or_default();
            format!("{}{line}", self.file)
        });
        self.findings.borrow_mut().push(Finding { level, source, key: path.to_owned(), reason });
    }

    /// The exact name of the environment variable that a value came from.
    pub(super) fn variable(&self, tag: Tag) -> Option<String> {
        match self.figment.get_metadata(tag)?.source.as_ref()? {
            Source::Custom(variable) => Some(variable.clone()),
            _ => None,
        }
    }

    /// What was found, in the order of reading.
    pub(super) fn into_findings(self) -> Findings {
        Findings(self.findings.into_inner())
    }

    /// Every key that was asked for: what the shipped file has to explain.
    #[cfg(test)]
    pub(super) fn known(&self) -> BTreeSet<String> {
        self.known.borrow().clone()
    }
}

/// Values from one place.
struct Layer {
    variable: Option<String>,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        let named = Metadata::named("configuration");
        match &self.variable {
            Some(variable) => named.source(variable.as_str()),
            None => named,
        }
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// `value` under the last of `names`, inside one table for each name before it.
fn nested(names: Vec<String>, value: &str) -> Dict {
    let leaf = Value::from(value.to_owned());
    let tree = names.into_iter().rev().fold(leaf, |inner, name| Value::from(Dict::from([(name, inner)])));
    tree.into_dict().unwrap_or_default()
}

fn contents(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let length = file.take(LARGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(length).is_ok_and(|length| length <= LARGEST) {
        Ok(text)
    } else {
        Err("is larger than 1MiB: not a configuration".to_owned())
    }
}
