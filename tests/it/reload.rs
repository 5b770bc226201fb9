//! SIGHUP: the integrations, the nightly run and the schedules are read again, all or nothing.

use paynowd::protocol::Key;
use paynowd::simulator::{PostSpec, Signature};

use crate::house::{BUTTON_KEY, House, SHOP_KEY, Settings};

fn signed_with(key: &str) -> PostSpec {
    PostSpec::status("Sent").signed(Signature::With(Key::opaque(key)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_accepted_after_a_reload_and_the_old_one_as_long_as_it_is_named() {
    let mut house = House::start(Settings::usual()).await;
    let payment = house.begin("INV-32", "25.00");
    assert_eq!(house.post(&payment, &signed_with(BUTTON_KEY)).await, 403);
    assert_eq!(house.post(&payment, &signed_with(SHOP_KEY)).await, 200);
    let settings = std::fs::read_to_string(house.path("daemon.toml")).unwrap();
    house.write("new.key", BUTTON_KEY);
    house.write("daemon.toml", &settings.replace(r#"["shop.key"]"#, r#"["new.key","shop.key"]"#));
    assert_eq!(house.post(&payment, &signed_with(BUTTON_KEY)).await, 403, "not before it is told to");
    house.reload().await;
    for key in [BUTTON_KEY, SHOP_KEY] {
        assert_eq!(house.post(&payment, &signed_with(key)).await, 200);
    }
    house.write("daemon.toml", &settings.replace(r#"["shop.key"]"#, r#"["new.key"]"#));
    house.reload().await;
    assert_eq!(house.post(&payment, &signed_with(SHOP_KEY)).await, 403);
    assert_eq!(house.post(&payment, &signed_with(BUTTON_KEY)).await, 200);
    assert!(house.log().contains("configuration reloaded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_and_new_integrations_are_taken_over() {
    let mut house = House::start(Settings::usual()).await;
    let settings = std::fs::read_to_string(house.path("daemon.toml")).unwrap();
    let more = "\n[integrations.stall]\nprotocol = \"paynow-zimbabwe-button\"\nkey_files = [\"button.key\"]\ncurrency = \"ZiG\"\n";
    house.write("daemon.toml", &(settings.replace("owner@shop.example", "books@shop.example") + more));
    house.reload().await;
    let payment = house.pay("INV-32", "25.00").await;
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    assert_eq!(house.until_letters(1).await[0].to(), "books@shop.example");
    let sale = paynowd::simulator::ButtonSale::default();
    assert_eq!(house.gateway.post_button(&house.url("stall"), &sale).await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_integration_counts_in_and_whose_money_it_is_counts_for_payments_from_then_on() {
    let mut house = House::start(Settings::usual()).await;
    let before = house.pay("INV-32", "25.00").await;
    let settings = std::fs::read_to_string(house.path("daemon.toml")).unwrap();
    let shop = "[integrations.shop]";
    house.write(
        "daemon.toml",
        &settings.replace("\"USD\"", "\"ZiG\"").replace(shop, &format!("{shop}\nmode = \"test\"")),
    );
    house.reload().await;
    let after = house.pay("INV-33", "25.00").await;
    let counted = |guid: &str| {
        let payment = house.show_json(guid);
        (payment["currency"].as_str().unwrap().to_owned(), payment["mode"].as_str().unwrap().to_owned())
    };
    assert_eq!(counted(&before.guid), ("USD".into(), "live".into()));
    assert_eq!(counted(&after.guid), ("ZWG".into(), "test".into()));
    assert!(!house.log().contains("only read at start"), "{}", house.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_does_not_hold_changes_nothing_and_says_why() {
    let mut house = House::start(Settings::usual()).await;
    let settings = std::fs::read_to_string(house.path("daemon.toml")).unwrap();
    let half = settings.replace("owner@shop.example", "books@shop.example").replace("\"USD\"", "\"dollars\"");
    for (broken, reason) in [(half.as_str(), "integrations.shop.currency: "), ("[server", "daemon.toml")] {
        house.write("daemon.toml", broken);
        house.reload().await;
        assert!(house.log().contains("configuration not reloaded: everything stays as it was"));
        assert!(house.log().lines().any(|line| line.contains("ERROR") && line.contains(reason)), "{}", house.log());
    }
    house.write("daemon.toml", &settings);
    house.write("shop.key", "not a key");
    house.reload().await;
    let payment = house.pay("INV-32", "25.00").await;
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    assert_eq!(house.until_letters(1).await[0].to(), "owner@shop.example");
    assert!(!house.log().contains("configuration reloaded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_read_at_start_is_named() {
    let login =
        Settings::usual().smtp(1, "none").set("mail.smtp.username", "shop").set("mail.smtp.password_file", "mail.key");
    let mut house = House::start(login.file("mail.key", "before").set("reconcile.timezone", "UTC")).await;
    let settings = std::fs::read_to_string(house.path("daemon.toml")).unwrap();
    house.write("daemon.toml", &settings.replace("[server]", "[server]\nqueue = 7").replace("UTC", "Africa/Harare"));
    house.write("mail.key", "after");
    house.reload().await;
    let log = house.log();
    for key in ["server", "mail.smtp.password_file", "reconcile.timezone, for letters"] {
        let named = format!("key=\"{key}\"");
        assert!(log.lines().any(|line| line.contains("only read at start") && line.contains(&named)), "{key}: {log}");
    }
}
