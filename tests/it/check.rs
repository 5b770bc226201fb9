//! `paynowd check` and everything else that is said about a configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use crate::house::{House, SHOP_KEY, Settings, paynowd, write};

fn code_and_words(output: &Output) -> (Option<i32>, String) {
    let words = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&words).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_wrong_is_said_at_once_with_file_and_key() {
    let settings = Settings::usual()
        .set("server.listen", "everywhere")
        .set("server.request_timeout", "15")
        .set("poll.pending", ["now and then"])
        .set("reconcile.timezone", "Africa/Bulawayo")
        .set("mail.transport", "pigeon")
        .set("integrations.shop.key", "x")
        .set("integrations.shop.currency", "dollars")
        .set("integrations.shop.notify", ["nobody"])
        .set("integrations.shop.notify_no", ["paid"])
        .set("integrations.button.key_files", ["lost.key"])
        .set("integrations.Far.protocol", "paynow-mars");
    let house = House::build(settings).await;
    fs::set_permissions(house.path("shop.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said) = code_and_words(&house.run(&["check"]));
    assert_eq!(code, Some(1), "{said}");
    let file = house.path("daemon.toml").display().to_string();
    for key in [
        "server.listen",
        "server.request_timeout",
        "poll.pending",
        "reconcile.timezone",
        "mail.transport",
        "integrations.shop.key",
        "integrations.shop.currency",
        "integrations.shop.notify",
        "integrations.shop.notify_no",
        "integrations.button.key_files",
        "integrations.Far",
        "integrations.Far.protocol",
        "integrations.Far.currency",
    ] {
        let told = said.lines().any(|line| line.contains(&file) && line.contains(&format!("{key}: ")));
        assert!(told, "{key} is not spoken of:\n{said}");
    }
    assert!(said.contains("can be read by others than its owner"), "{said}");
    let (code, said) = code_and_words(&house.run(&["serve"]));
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("server.listen") && said.contains("integrations.Far.protocol"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_configuration_passes_once_there_is_a_key() {
    let home = tempfile::tempdir().unwrap();
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/daemon.toml"), home.path().join("daemon.toml")).unwrap();
    let check = || code_and_words(&paynowd(home.path()).arg("check").output().unwrap());
    let (code, said) = check();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("integrations.shop.key_files") && said.contains("shop.key"), "{said}");
    write(&home.path().join("shop.key"), SHOP_KEY);
    let (code, said) = check();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("in order") && said.contains("/paynow/shop"), "{said}");
    assert!(said.contains("no letters, for notify is empty"), "{said}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 2, "checking leaves nothing behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_that_holds_no_key_is_not_repeated() {
    let house = House::build(Settings::usual().file("shop.key", "hunter2-3e9fed89-60e1\n")).await;
    for (command, wanted) in [("check", 1), ("serve", 78)] {
        let (code, said) = code_and_words(&house.run(&[command]));
        assert_eq!(code, Some(wanted), "{said}");
        assert!(said.contains("shop.key") && said.contains("expected a GUID"), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("3e9fed89"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_configuration_itself_is_refused_and_not_repeated() {
    let house = House::build(Settings::usual().set("integrations.shop.key_files", [SHOP_KEY])).await;
    let (code, said) = code_and_words(&house.run(&["check"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("key_files") && !said.contains(SHOP_KEY), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_be_read_ends_serve_with_78() {
    let home = tempfile::tempdir().unwrap();
    let serve = |arguments: &[&str]| code_and_words(&paynowd(home.path()).args(arguments).output().unwrap());
    let (code, said) = serve(&["serve", "-c", "nowhere.toml"]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("nowhere.toml"), "{said}");
    write(&home.path().join("daemon.toml"), "[server\nlisten = 1");
    let (code, said) = serve(&["serve"]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("daemon.toml"), "{said}");
    let (code, said) = serve(&["payments", "list"]);
    assert_eq!(code, Some(78), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_command_line_ends_with_64_and_help_with_0() {
    let house = House::build(Settings::usual()).await;
    for wrong in [
        &[][..],
        &["frobnicate"],
        &["serve", "now"],
        &["payments"],
        &["payments", "list", "--status", "rich"],
        &["payments", "list", "--trust", "me"],
        &["payments", "list", "--since", "yesterday"],
        &["payments", "list", "--date", "2026-03-12", "--until", "2026-03-13"],
        &["payments", "list", "--limit", "-1"],
        &["payments", "list", "--since", "26-03-12"],
        &["reconcile", "--dry-run", "--date=-262143-01-01"],
        &["export", "--format", "csv", "--from", "2026-03-12", "--to", "+262142-12-31"],
        &["mail", "retry", "all"],
        &["simulate", "--misbehave", "nicely"],
        &["simulate", "--time-factor", "0"],
    ] {
        let (code, said) = code_and_words(&house.run(wrong));
        assert_eq!(code, Some(64), "{wrong:?}: {said}");
    }
    for right in [&["--help"][..], &["--version"], &["payments", "list", "--help"]] {
        assert_eq!(house.run(right).status.code(), Some(0), "{right:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_ends_serve_with_69_and_names_the_key() {
    let first = House::start(Settings::usual()).await;
    let second = House::build(Settings::usual().set("server.listen", first.public.to_string())).await;
    let (code, said) = code_and_words(&second.run(&["serve"]));
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("server.listen") && said.contains(&first.public.to_string()), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_overrides_any_key_however_deep() {
    let settings = Settings::usual()
        .variable("PAYNOWD_INTEGRATIONS__SHOP__MODE", "test")
        .variable("PAYNOWD_LEDGER__PATH", "elsewhere/ledger.db")
        .variable("PAYNOWD_INTEGRATIONS__SHOP__NOTIFY", "a@shop.example, b@shop.example");
    let house = House::start(settings).await;
    let payment = house.pay("INV-32", "25.00").await;
    assert_eq!(house.until_it_is(&payment.guid, "paid", "confirmed").await["mode"], "test");
    assert!(house.path("elsewhere/ledger.db").exists() && !house.path("paynowd.db").exists());
    assert_eq!(house.until_letters(2).await.len(), 2);
    let unknown = House::build(Settings::usual().variable("PAYNOWD_SERVER__LISTEM", "127.0.0.1:0")).await;
    let (code, said) = code_and_words(&unknown.run(&["check"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("PAYNOWD_SERVER__LISTEM"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_online_tries_the_gateway_and_the_mail_server() {
    use crate::house::post_office::{PostOffice, Protection};
    let office = PostOffice::open(Protection::Plain, &[]).await;
    let house = House::build(Settings::usual().set("integrations.button.gateway", "http://127.0.0.1:1")).await;
    let (code, said) = code_and_words(&house.run(&["check", "--online"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("ok: gateway: {}", house.gateway.origin())), "{said}");
    assert!(said.contains("error: gateway: http://127.0.0.1:1: "), "{said}");
    let well = Settings::usual().smtp(office.port, "none").set("integrations.button.gateway", house.gateway.origin());
    let well = House::build(well).await;
    let (code, said) = code_and_words(&well.run(&["check", "--online"]));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ok: mail.smtp: localhost"), "{said}");
    assert!(office.letters().is_empty());
}
