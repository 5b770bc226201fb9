//! Which file is read, and what its relative paths are relative to.

use std::path::{Path, PathBuf};

use super::tests::{House, SHOP};
use super::*;

#[test]
fn a_file_that_is_not_toml_is_refused_with_its_line_and_without_its_text() {
    let told = House::with("[server]\nlisten = 3e9fed89-60e1-4ce5\n").findings();
    assert!(told.starts_with("daemon.toml:2: not TOML: "), "{told}");
    assert!(!told.contains("60e1"), "{told}");
}

#[test]
fn a_missing_file_is_refused_with_the_places_looked_in() {
    let nowhere = Environment { cwd: PathBuf::from("/nonexistent"), ..Environment::default() };
    if !Path::new("/etc/paynowd/daemon.toml").exists() {
        let told = Config::load(None, &nowhere).unwrap_err().to_string();
        assert!(told.contains("./daemon.toml") && told.contains("/etc/paynowd/daemon.toml"), "{told}");
    }
    let told = Config::load(Some(Path::new("other.toml")), &nowhere).unwrap_err().to_string();
    assert_eq!(told, "other.toml: no such file");
    let house = House::with(SHOP).var("PAYNOWD_CONFIG", "/nonexistent/x.toml");
    assert_eq!(house.findings(), "PAYNOWD_CONFIG: no such file: /nonexistent/x.toml");
}

#[test]
fn relative_paths_lie_in_the_state_directory_else_beside_the_file() {
    let house = House::with(SHOP);
    assert_eq!(house.config().ledger.path, house.path("paynowd.db"));
    let config = house.var("STATE_DIRECTORY", "/var/lib/paynowd:/var/lib/other").config();
    assert_eq!(config.ledger.path, PathBuf::from("/var/lib/paynowd/paynowd.db"));
    assert!(matches!(config.mail.transport, Transport::Directory(path) if path == Path::new("/var/lib/paynowd/mail")));
    let config = House::with(&format!("[ledger]\npath = \"/srv/l.db\"\n{SHOP}")).var("STATE_DIRECTORY", "/x").config();
    assert_eq!(config.ledger.path, PathBuf::from("/srv/l.db"));
}

#[test]
fn a_place_where_nothing_can_lie_is_found_before_anything_is_to_be_written_there() {
    for (line, complaint) in [
        ("[ledger]\npath = \"shop.key/paynowd.db\"\n", "ledger.path: "),
        ("[ledger]\npath = \"shop.key/deeper/paynowd.db\"\n", "shop.key is no directory: nothing can lie in it"),
        ("[ledger]\npath = \".\"\n", "ledger.path: is a directory; name a file in it"),
        ("[mail]\ndirectory = \"shop.key/mail\"\n", "mail.directory: "),
        ("[mail]\ndirectory = \"shop.key\"\n", "mail.directory: is a file; name a directory"),
    ] {
        let told = House::with(&format!("{SHOP}{line}")).findings();
        assert!(told.contains(complaint), "{told}");
    }
    let fine = House::with(&format!("{SHOP}[ledger]\npath = \"not/there/yet.db\"\n"));
    assert!(fine.config().ledger.path.ends_with("not/there/yet.db"));
}

#[test]
fn a_command_that_only_looks_needs_the_ledger_section_alone() {
    let house = House::with("[ledger]\npath = \"here.db\"\n\n[integrations.shop]\nkey_files = [\"unreadable.key\"]\n");
    assert!(house.load().is_err());
    assert_eq!(LedgerConfig::load(None, house.environment()).unwrap().path, house.path("here.db"));
    let wrong = House::with("[ledger]\npth = \"here.db\"\n");
    assert!(LedgerConfig::load(None, wrong.environment()).unwrap_err().to_string().contains("did you mean path?"));
}
