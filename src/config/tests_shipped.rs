//! That the shipped `daemon.toml` works as it is, explains every key, and states the defaults the code has.

use super::document::Document;
use super::tests::{House, KEY, SHOP};
use super::*;

/// The file sysadmins get.
const SHIPPED: &str = include_str!("../../daemon.toml");

/// The shipped file with every `#key = …` and `#[section]` made active.
fn uncommented() -> String {
    let active =
        |line: &'static str| line.strip_prefix('#').filter(|rest| !rest.starts_with([' ', '#'])).unwrap_or(line);
    SHIPPED.lines().map(active).collect::<Vec<_>>().join("\n")
}

/// A house with every file that the uncommented configuration names.
fn furnished(text: &str) -> House {
    let house = House::with(text);
    house.secret("button.key", KEY);
    house.secret("poland.key", KEY);
    house.secret("poland.api.key", KEY);
    house.secret("admin.token", "0123456789abcdef");
    house.secret("smtp.password", "hunter2");
    house
}

#[test]
fn the_shipped_file_is_accepted_as_soon_as_there_is_a_key() {
    let house = House::with(SHIPPED);
    assert_eq!(house.findings(), "");
    std::fs::remove_file(house.path("shop.key")).unwrap();
    assert_eq!(house.load().unwrap_err().0.len(), 1);
}

#[test]
fn every_key_is_in_the_shipped_file() {
    let text = uncommented();
    let house = furnished(&text);
    let environment = Environment { cwd: house.path(""), ..Environment::default() };
    let location = environment.locate(None).unwrap();
    let document = Document::open(&location, &environment).unwrap();
    Config::read(&document, &location, &environment).unwrap();
    let lines = lines::Lines::scan(&text);
    for key in document.known() {
        let name = key.rsplit('.').next().unwrap();
        let stands = |key: &str| {
            let found = lines.of(key).and_then(|line| text.lines().nth(line - 1)).unwrap_or_default();
            found.starts_with(&format!("{name} = "))
        };
        // What further accounts share with the first is explained there.
        let shared = key.starts_with("integrations.") && stands(&format!("integrations.shop.{name}"));
        assert!(shared || stands(&key), "{key} is not explained");
    }
    assert_eq!(document.into_findings().to_string(), "");
}

#[test]
fn the_defaults_it_states_are_the_defaults() {
    let stated = furnished(&uncommented()).var("STATE_DIRECTORY", "/state").config();
    let silent = House::with(SHOP).var("STATE_DIRECTORY", "/state").config();
    assert_eq!(stated.server, silent.server);
    assert_eq!(stated.admin.listen, silent.admin.listen);
    assert_eq!(stated.ledger, silent.ledger);
    assert_eq!(stated.poll, silent.poll);
    assert_eq!(stated.log, silent.log);
    assert_eq!(format!("{:?}", stated.reconcile), format!("{:?}", silent.reconcile));
    assert_eq!(format!("{:?}", stated.mail), format!("{:?}", silent.mail));
    let shop = |config: &Config| {
        let shop = config.integrations.iter().find(|integration| integration.name.as_str() == "shop").unwrap();
        format!("{:?} {:?} {:?}", shop.id, shop.origin, shop.terms)
    };
    assert_eq!(shop(&stated), shop(&silent));
}

#[test]
fn the_defaults_it_states_for_smtp_are_the_defaults() {
    let stated = furnished(&uncommented()).var("PAYNOWD_MAIL__TRANSPORT", "smtp").config();
    let silent = furnished(SHOP)
        .var("PAYNOWD_MAIL__TRANSPORT", "smtp")
        .var("PAYNOWD_MAIL__FROM", "paynowd <paynowd@localhost>")
        .var("PAYNOWD_MAIL__SMTP__HOST", "localhost")
        .var("PAYNOWD_MAIL__SMTP__USERNAME", "ledger")
        .var("PAYNOWD_MAIL__SMTP__PASSWORD_FILE", "smtp.password")
        .config();
    assert_eq!(format!("{:?}", stated.mail), format!("{:?}", silent.mail));
}

#[test]
fn the_defaults_it_states_for_poland_are_the_defaults() {
    let stated = furnished(&uncommented()).config();
    let poland = stated.integrations.iter().find(|integration| integration.name.as_str() == "poland").unwrap();
    assert_eq!(poland.origin.as_str(), poland.protocol.default_origin());
    assert!(poland.terms.confirmable);
}
