//! Where secrets are found, and that no finding repeats one.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use secrecy::ExposeSecret;

use super::tests::{House, KEY, SHOP};
use super::*;

/// A key that is none, and easy to recognise.
const WRONG: &str = "5ec2e7ab-cafe-cafe-cafe-5ec2e7abcafZ";

#[test]
fn keys_are_found_among_the_credentials_under_either_name_and_then_beside_the_file() {
    for (place, warns) in [("creds/shop.key", false), ("creds/paynowd_shop.key", false), ("shop.key", true)] {
        let house = House::with(SHOP);
        let credentials = house.path("creds");
        fs::create_dir_all(&credentials).unwrap();
        fs::remove_file(house.path("shop.key")).unwrap();
        house.secret(place, &format!("{KEY}\n"));
        fs::set_permissions(house.path(place), fs::Permissions::from_mode(0o644)).unwrap();
        let house = house.var("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap());
        let (_, warnings) = house.load().unwrap();
        assert_eq!(warnings.len(), usize::from(warns), "{place}: {warnings:?}");
        assert!(warnings.iter().all(|finding| finding.level == Level::Warning));
    }
}

#[test]
fn a_key_beside_the_file_that_others_can_read_is_a_warning() {
    let house = House::with(SHOP);
    fs::set_permissions(house.path("shop.key"), fs::Permissions::from_mode(0o640)).unwrap();
    let told = house.findings();
    assert_eq!(
        told,
        "daemon.toml:4: integrations.shop.key_files: entry 1 shop.key: can be read by others than its owner; \
         let it be: chmod 600"
    );
}

#[test]
fn the_first_key_is_current_and_the_others_are_still_accepted() {
    let house = House::with(&SHOP.replace("[\"shop.key\"]", "[\"shop.key\", \"old.key\"]"));
    house.secret("old.key", "00000000-0000-0000-0000-000000000001\r\n");
    assert_eq!(house.config().integrations[0].keys.accepted().count(), 2);
}

#[test]
fn a_missing_key_file_is_a_finding_that_names_every_place_looked_in() {
    let house = House::with(SHOP);
    fs::remove_file(house.path("shop.key")).unwrap();
    let beside = house.path("");
    let house = house.var("CREDENTIALS_DIRECTORY", "/run/credentials/x");
    let told = house.findings();
    for part in ["shop.key", "/run/credentials/x", "paynowd_", beside.to_str().unwrap().trim_end_matches('/')] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn a_byte_order_mark_that_nobody_sees_is_named() {
    let house = House::with(&format!(
        "[admin]\ntoken_file = \"admin.token\"\n[mail]\ntransport = \"smtp\"\nfrom = \"a@b.example\"\n[mail.smtp]\n\
         host = \"localhost\"\nusername = \"x\"\npassword_file = \"smtp.password\"\n{SHOP}"
    ));
    for file in ["admin.token", "smtp.password", "shop.key"] {
        house.secret(file, &format!("\u{feff}{KEY}\n"));
    }
    let told = house.findings();
    for key in ["admin.token_file", "mail.smtp.password_file", "integrations.shop.key_files"] {
        let named = told.lines().any(|line| line.contains(key) && line.contains("begins with a byte order mark"));
        assert!(named, "{key}: {told}");
    }
    assert_eq!(told.lines().count(), 3, "{told}");
}

#[test]
fn a_key_file_that_is_there_twice_is_refused() {
    let told = House::with(&SHOP.replace("[\"shop.key\"]", "[\"shop.key\", \"shop.key\"]")).findings();
    assert!(told.contains("integrations.shop.key_files: entry 2 is there twice; remove one"), "{told}");
}

#[test]
fn what_is_no_key_is_refused_and_not_repeated() {
    for (content, reason) in [
        (WRONG.to_owned(), "does not hold an integration key"),
        (format!("{WRONG}\n{WRONG}"), "holds more than one line"),
        (" \n".to_owned(), "is empty"),
        (WRONG.repeat(200), "is larger than 4KiB"),
    ] {
        let house = House::with(SHOP);
        house.secret("shop.key", &content);
        let told = house.findings();
        assert!(told.contains(reason) && !told.contains("cafe"), "{told}");
    }
    let house = House::with(SHOP);
    fs::remove_file(house.path("shop.key")).unwrap();
    fs::create_dir(house.path("shop.key")).unwrap();
    assert!(house.findings().contains("is not a file"));
    fs::remove_dir(house.path("shop.key")).unwrap();
    fs::write(house.path("shop.key"), [0xff, 0xfe, 0x00]).unwrap();
    assert!(house.findings().contains("is not text"));
}

#[test]
fn a_secret_in_the_configuration_is_refused_with_advice_and_never_repeated() {
    let inline =
        ["key", "keys", "integration_key", "api_key", "secret"].map(|key| format!("{SHOP}{key} = \"{KEY}\"\n"));
    let misplaced = [
        SHOP.replace("shop.key", KEY),
        SHOP.replace("shop.key", "hunter2-3e9fed89"),
        SHOP.replace("1201", KEY),
        SHOP.replace("\"USD\"", &format!("\"{KEY}\"")),
        SHOP.replace("USD\"", &format!("USD\"\nmode = \"{KEY}\"\nnotify = [\"{KEY}\"]\ngateway = \"{KEY}\"")),
        format!("{SHOP}paswd = \"{KEY}\"\n"),
        format!("[admin]\ntoken = \"{KEY}\"\n{SHOP}"),
        format!("[admin]\ntoken_file = \"{KEY}\"\n{SHOP}"),
        format!("[mail.smtp]\npassword = \"{KEY}\"\n{SHOP}"),
        format!("[server]\nlisten = \"{KEY}\"\nmax_body = \"{KEY}\"\ntrusted_proxies = [\"{KEY}\"]\n{SHOP}"),
        format!("[poll]\nconfirm = [\"{KEY}\"]\n[reconcile]\nschedule = \"{KEY}\"\n[log]\nlevel = \"{KEY}\"\n{SHOP}"),
    ];
    for text in inline.iter().chain(&misplaced) {
        let told = House::with(text).load().unwrap_err().to_string();
        assert!(!told.contains("3e9f") && !told.contains("60e1"), "{text}\n{told}");
    }
    assert!(House::with(&inline[0]).findings().contains("put it in a file and name it in key_files"));
    assert!(House::with(&misplaced[0]).findings().contains("entry 1 is itself a key: put it in a file of its own"));
    let told = House::with(SHOP).var("PAYNOWD_INTEGRATIONS__SHOP__KEY", KEY).findings();
    assert!(
        told.starts_with("PAYNOWD_INTEGRATIONS__SHOP__KEY: integrations.shop.key: a key does not belong"),
        "{told}"
    );
    assert!(!told.contains(KEY));
}

#[test]
fn passwords_and_tokens_come_from_files_and_are_not_printed() {
    let house = House::with(&format!(
        "[admin]\ntoken_file = \"admin.token\"\n[mail]\ntransport = \"smtp\"\nfrom = \"Shop <a@shop.example>\"\n\
         [mail.smtp]\nhost = \"localhost\"\nusername = \"ledger\"\npassword_file = \"smtp.password\"\n{SHOP}"
    ));
    house.secret("admin.token", "0123456789abcdef\n");
    house.secret("smtp.password", "hunter2 with blanks\n");
    let config = house.config();
    assert!(!format!("{config:?}").contains("hunter2") && !format!("{config:?}").contains("89abcdef"));
    assert_eq!(config.admin.token.unwrap().expose_secret(), "0123456789abcdef");
    let Transport::Smtp(smtp) = config.mail.transport else { panic!("not smtp") };
    let (username, password) = smtp.login.unwrap();
    assert_eq!((username.as_str(), password.expose_secret()), ("ledger", "hunter2 with blanks"));
    house.secret("admin.token", "short");
    assert!(house.load().unwrap().1[0].reason.contains("the token is short"));
    house.secret("admin.token", "two words are not one token");
    assert!(house.load().is_err());
}
