//! Configurations: any text as `daemon.toml`, in a directory of its own with one key. Names of files that lead out of
//! that directory are left alone, so that no input chooses what is read.

use std::fs;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};
use paynowd::config::{Config, Environment, Findings, LedgerConfig, Level};
use paynowd::domain::names::guid_bytes;
use tempfile::TempDir;

use super::{one_line, tells};

/// The documentation's key: known to everyone, and to no finding.
const KEY: &str = "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977";

thread_local! {
    static HOME: TempDir = home();
}

/// A text is refused with reasons, or it is a configuration that holds together.
pub fn holds(text: &[u8]) {
    let values = std::str::from_utf8(text).ok().and_then(|text| <Toml as Format>::from_str::<Dict>(text).ok());
    let mut written = Vec::new();
    for (key, value) in values.iter().flatten() {
        texts(key, value, &mut written);
    }
    if written.iter().any(|(key, value)| (key.ends_with("_file") || key.ends_with("_files")) && value.contains('/')) {
        return;
    }
    let environment = HOME.with(|home| {
        let file = home.path().join("daemon.toml");
        // A new file each time: one that is cut short and written again waits for the disk.
        drop(fs::remove_file(&file));
        fs::write(&file, text).unwrap();
        Environment { cwd: home.path().to_owned(), ..Environment::default() }
    });
    let alone = LedgerConfig::load(None, &environment);
    let findings = match Config::load(None, &environment) {
        Ok((config, warnings)) => {
            assert!(warnings.iter().all(|finding| finding.level == Level::Warning));
            together(&config);
            assert_eq!(alone.as_ref(), Ok(&config.ledger), "a section reads the same alone");
            Findings(warnings)
        }
        Err(findings) => {
            assert!(findings.0.iter().any(|finding| finding.level == Level::Error), "refused without a reason");
            findings
        }
    };
    // Where a key is the name of an integration, nobody can point at it without.
    let named = |secret: &str| {
        written.iter().any(|(key, _)| key.starts_with("integrations.") && key.to_ascii_lowercase().contains(secret))
    };
    for finding in findings.0.iter().chain(alone.err().iter().flat_map(|findings| &findings.0)) {
        let told = finding.to_string();
        one_line(&told);
        assert!(named(KEY) || !tells(&told, KEY), "the key in {told:?}");
        assert!(finding.source.starts_with("daemon.toml"), "{finding}");
    }
    // A key pasted where no key belongs is not repeated.
    let told = findings.to_string().to_ascii_lowercase();
    for (_, value) in written.iter().filter(|(_, value)| guid_bytes(value.trim()).is_some()) {
        let value = value.trim().to_ascii_lowercase();
        assert!(named(&value) || !told.contains(&value), "{told}");
    }
}

/// What the rest of the daemon relies on.
fn together(config: &Config) {
    assert!(!config.integrations.is_empty());
    assert!(config.server.listen != config.admin.listen || config.server.listen.port() == 0);
    assert!(config.server.max_body > 0 && config.server.max_fields > 0 && config.server.queue > 0);
    assert!(!config.mail.retry.is_empty() && !config.poll.schedule.confirm.is_empty());
    assert!(config.poll.connect_timeout <= config.poll.timeout);
    for integration in &config.integrations {
        assert_eq!(integration.gateway.origin(), &integration.origin);
        assert_eq!(integration.terms.confirmable, integration.gateway.confirmable());
    }
    let shown = format!("{config:?}").to_ascii_lowercase();
    assert!(!shown.contains(KEY) && !shown.contains(&KEY.replace('-', "")));
}

/// Every text in `value` with the dotted names that lead to it; tables and lists count as empty ones.
fn texts(path: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(_, text) => found.push((path.to_owned(), text.clone())),
        Value::Dict(_, table) => {
            found.push((path.to_owned(), String::new()));
            for (name, value) in table {
                texts(&format!("{path}.{name}"), value, found);
            }
        }
        Value::Array(_, entries) => {
            found.push((path.to_owned(), String::new()));
            for entry in entries {
                texts(path, entry, found);
            }
        }
        other => found.push((path.to_owned(), other.to_u128().map(|number| number.to_string()).unwrap_or_default())),
    }
}

fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("shop.key"), KEY).unwrap();
    home
}
