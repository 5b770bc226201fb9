//! What a process is given by whoever starts it: variables and a place. A value, so that tests need not change the
//! process they run in. Knows the names of the variables; does not know any key of the configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::finding::Finding;

/// Where the configuration is looked for when nobody says where, after `./daemon.toml`.
const SYSTEM_FILE: &str = "/etc/paynowd/daemon.toml";
/// What a configuration file is called.
const FILE: &str = "daemon.toml";
/// The variable that names a configuration file.
const FILE_VARIABLE: &str = "PAYNOWD_CONFIG";
/// What every variable of ours begins with.
const PREFIX: &str = "PAYNOWD_";
/// What stands between two names of a key in a variable's name.
const BETWEEN: &str = "__";

/// The environment variables and the working directory.
#[derive(Clone, Default)]
pub struct Environment {
    /// Every variable, by its exact name.
    pub vars: BTreeMap<String, String>,
    /// What relative paths on the command line are relative to.
    pub cwd: PathBuf,
}

/// A configuration file, as it is opened and as it is named to people.
#[derive(Clone, Debug)]
pub(super) struct Location {
    /// Absolute, unless even the working directory is unknown.
    pub(super) path: PathBuf,
    /// As it was asked for.
    pub(super) shown: String,
}

/// Names only: some values are secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("vars", &self.vars.keys()).field("cwd", &self.cwd).finish()
    }
}

impl Environment {
    /// The environment of this process. Bytes that are not UTF-8 are replaced, and then refused where they matter.
    pub fn from_process() -> Self {
        let vars = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect();
        Self { vars, cwd: std::env::current_dir().unwrap_or_default() }
    }

    /// The variables that override a key, each with the names that lead to it: `PAYNOWD_MAIL__SMTP__PORT` → mail, smtp,
    /// port. Upper case is the convention of variables; keys and integrations are lower case.
    pub(super) fn overrides(&self) -> impl Iterator<Item = (&str, Vec<String>, &str)> {
        self.vars.iter().filter_map(|(name, value)| {
            let key = name.strip_prefix(PREFIX).filter(|key| key.contains(BETWEEN))?;
            Some((name.as_str(), key.split(BETWEEN).map(str::to_ascii_lowercase).collect(), value.as_str()))
        })
    }

    /// The variable that overrides the key `path`, and one that looks as if it did but is read by nobody, if that is set.
    pub(super) fn mistaken(&self, path: &str) -> Option<(String, String)> {
        let named = |between| format!("{PREFIX}{}", path.replace('.', between).to_ascii_uppercase());
        Some((named(BETWEEN), named("_"))).filter(|(_, mistaken)| self.vars.contains_key(mistaken))
    }

    /// The configuration file: `explicit`, else `$PAYNOWD_CONFIG`, else the first that exists of the usual places.
    ///
    /// # Errors
    /// There is none; the finding lists where it was looked for.
    pub(super) fn locate(&self, explicit: Option<&Path>) -> Result<Location, Finding> {
        let there = |found: &Location| found.path.exists();
        if let Some(asked) = explicit {
            let found = self.location(asked);
            return if there(&found) { Ok(found) } else { Err(Finding::general(found.shown, "no such file")) };
        }
        if let Some(asked) = self.path(FILE_VARIABLE) {
            let found = Some(self.location(&asked)).filter(there);
            return found.ok_or_else(|| Finding::general(FILE_VARIABLE, format!("no such file: {}", asked.display())));
        }
        [FILE, SYSTEM_FILE].map(|usual| self.location(Path::new(usual))).into_iter().find(there).ok_or_else(|| {
            let places = format!("neither ./{FILE} nor {SYSTEM_FILE} exists");
            Finding::general(FILE, format!("{places}; name a file with --config FILE or ${FILE_VARIABLE}"))
        })
    }

    /// Where state is kept: `$STATE_DIRECTORY` (the first, if systemd made several), else beside the file.
    pub(super) fn state(&self, file: &Path) -> PathBuf {
        self.path("STATE_DIRECTORY").unwrap_or_else(|| beside(file))
    }

    /// Where systemd put credentials, if it did.
    pub(super) fn credentials(&self) -> Option<PathBuf> {
        self.path("CREDENTIALS_DIRECTORY")
    }

    /// The path in a variable; an empty one counts as absent.
    fn path(&self, variable: &str) -> Option<PathBuf> {
        let paths = self.vars.get(variable)?;
        let first = if variable == "STATE_DIRECTORY" { paths.split(':').next()? } else { paths };
        (!first.is_empty()).then(|| PathBuf::from(first))
    }

    fn location(&self, path: &Path) -> Location {
        Location { path: self.cwd.join(path), shown: path.display().to_string() }
    }
}

/// The directory a file lies in.
pub(super) fn beside(file: &Path) -> PathBuf {
    file.parent().map(Path::to_path_buf).unwrap_or_default()
}
