//! What was refused: looked at, taken in under a corrected key, or thrown away, while the daemon runs.

use paynowd::protocol::Key;
use paynowd::simulator::{PostSpec, Recut, Signature};
use serde_json::Value;

use crate::house::http::{ask, post};
use crate::house::{BUTTON_KEY, House, SHOP_KEY, Settings};

fn signed_with(key: &str) -> PostSpec {
    PostSpec::status("Paid").signed(Signature::With(Key::opaque(key)))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn listed(house: &House, filters: &[&str]) -> Vec<Value> {
    lines(&house.done(&[&["quarantine", "list", "--json"], filters].concat()))
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_posts_are_listed_by_every_filter_and_shown_whole() {
    let house = House::start(Settings::usual()).await;
    assert_eq!(house.done(&["quarantine", "list"]), "nothing in quarantine\n");
    let payment = house.begin("INV-32", "25.00");
    let forged = house.gateway.body(&payment.guid, &signed_with(BUTTON_KEY)).unwrap();
    assert_eq!(post(house.public, "/paynow/shop", &forged).await.status, 403);
    assert_eq!(post(house.public, "/paynow/button", "hello").await.status, 400);
    let ids = |filters: &[&str]| -> Vec<i64> {
        listed(&house, filters).iter().map(|post| post["id"].as_i64().unwrap()).collect()
    };
    let today = listed(&house, &[])[0]["at"].as_str().unwrap()[..10].to_owned();
    for (filters, wanted) in [
        (&[][..], &[2, 1][..]),
        (&["--integration", "shop"], &[1]),
        (&["--kind", "malformed"], &[2]),
        (&["--date", &today], &[2, 1]),
        (&["--until", &today], &[]),
        (&["--since", "2999-01-01"], &[]),
        (&["--integration", "shop", "--kind", "malformed"], &[]),
    ] {
        assert_eq!(ids(filters), wanted, "{filters:?}");
    }
    let one = &listed(&house, &["--kind", "forged"])[0];
    assert_eq!((one["integration"].as_str(), one["peer"].as_str()), (Some("shop"), Some("127.0.0.1")));
    assert_eq!(one["bytes"], forged.len());
    assert!(one["reason"].as_str().unwrap().contains("hash is wrong"));

    let shown = house.done(&["quarantine", "show", "1"]);
    assert!(shown.contains(std::str::from_utf8(&forged).unwrap()) && shown.contains("hash is wrong"), "{shown}");
    assert_eq!(house.run(&["quarantine", "show", "1", "--raw"]).stdout, forged);
    let object: Value = serde_json::from_str(&house.done(&["quarantine", "show", "1", "--json"])).unwrap();
    assert_eq!(object["body"].as_str().unwrap().as_bytes(), forged);
    assert_eq!(house.run(&["quarantine", "show", "7"]).status.code(), Some(1));
    assert_eq!(house.run(&["quarantine", "list", "--kind", "odd"]).status.code(), Some(64));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_a_refused_post_reaches_the_terminal_as_anything_but_itself() {
    let house = House::start(Settings::usual()).await;
    let body = b"a=\x1b[2J\x07\r\n&\xff=\xe2\x80\xae".as_slice();
    let odd = "Content-Type: application/x-www-form-urlencoded";
    assert_eq!(ask(house.public, "POST", "/paynow/shop", &[odd], body).await.status, 400);
    let shown = house.done(&["quarantine", "show", "1"]);
    assert!(shown.ends_with("\na=\\u{1b}[2J\\u{7}\\r\\n&\\xff=\\u{202e}\n"), "{shown:?}");
    assert_eq!(house.run(&["quarantine", "show", "1", "--raw"]).stdout, body);
}

#[tokio::test(flavor = "multi_thread")]
async fn once_the_key_is_corrected_a_refused_post_goes_through_the_ordinary_door() {
    let house = House::start(Settings::usual().file("shop.key", BUTTON_KEY)).await;
    let payment = house.begin("INV-32", "25.00");
    house.gateway.set_status(&payment.guid, "Paid").unwrap();
    assert_eq!(house.post(&payment, &signed_with(SHOP_KEY)).await, 403);
    let stays = house.run(&["quarantine", "release", "1"]);
    assert_eq!(stays.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&stays.stdout).contains("1: stays: the hash is wrong"), "{stays:?}");
    assert!(house.payments_json(&[]).is_empty());

    house.write("shop.key", SHOP_KEY);
    let said = house.done(&["quarantine", "release", "1"]);
    assert!(said.starts_with("1: recorded (opened)"), "{said}");
    assert!(listed(&house, &[]).is_empty());
    let story = house.show_json(&payment.guid);
    assert_eq!((story["status"].as_str(), story["events"][0]["channel"].as_str()), (Some("paid"), Some("post")));
    assert_eq!(house.done(&["ledger", "verify"]).lines().last(), Some("in order"));
    // The daemon, which still has the wrong key, sees that there is something to ask.
    house.gateway.wait_for_polls(&payment.guid, 1, crate::house::DEADLINE).await.unwrap();
    let gone = house.run(&["quarantine", "release", "1"]);
    assert_eq!(gone.status.code(), Some(1), "what is gone is not released twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_only_what_verifies_is_released_and_the_rest_says_why() {
    let mut house = House::start(Settings::usual()).await;
    let [first, second] = ["INV-1", "INV-2"].map(|reference| house.begin(reference, "25.00"));
    let later = "0b9c3a44-52c9-4b0e-8a2c-9a4f0c1d2e3f";
    assert_eq!(house.post(&first, &signed_with(later)).await, 403);
    assert_eq!(house.post(&first, &signed_with("somebody's").recut(Recut::GatewayReferenceToAmount)).await, 403);
    assert_eq!(house.post(&second, &signed_with(later).field("amount", "zero")).await, 403);
    assert_eq!(house.post(&second, &signed_with(later).recut(Recut::GatewayReferenceToAmount)).await, 403);
    assert_eq!(house.post(&second, &signed_with(later)).await, 403);
    house.write("shop.key", later);
    house.stop().await;
    let output = house.run(&["quarantine", "release", "--all", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let told = lines(&String::from_utf8(output.stdout).unwrap());
    let brief: Vec<_> = told.iter().map(|post| (post["id"].as_i64().unwrap(), post["outcome"].as_str())).collect();
    // The fourth has a right hash and another amount; what came after it contradicts it.
    assert_eq!(brief, [(1, Some("opened")), (2, None), (3, None), (4, Some("opened")), (5, None)]);
    for (post, why) in [(1, "hash is wrong"), (2, "field amount"), (4, "contradicts")] {
        assert!(told[post]["reason"].as_str().unwrap().contains(why), "{:?}", told[post]);
    }
    let kinds: Vec<_> = listed(&house, &[]).iter().map(|post| post["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["contradicts", "forged", "forged"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_thrown_away_without_a_word_of_confirmation() {
    let house = House::start(Settings::usual()).await;
    for body in ["one", "two", "three"] {
        post(house.public, "/paynow/shop", body).await;
    }
    post(house.public, "/paynow/button", "four").await;
    let count = || listed(&house, &[]).len();
    for unconfirmed in [&["--all"][..], &["1", "2"], &["--older-than", "0s"]] {
        let output = house.run(&[&["quarantine", "purge"], unconfirmed].concat());
        assert_eq!((output.status.code(), count()), (Some(1), 4), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--yes"));
    }
    assert_eq!(house.run(&["quarantine", "purge", "--yes"]).status.code(), Some(64), "of what?");
    assert_eq!(house.done(&["quarantine", "purge", "2", "99", "--yes"]), "1 thrown away\n");
    for (age, code, why) in [
        ("1d", 1, "nothing of that kind"),
        ("4000000000d", 1, "nothing of that kind"),
        ("200000000000d", 1, "nothing of that kind"),
        ("99999999999999999999d", 64, "not an age like 30d"),
        ("30", 64, "not an age like 30d"),
    ] {
        let output = house.run(&["quarantine", "purge", "--older-than", age, "--yes"]);
        assert_eq!(output.status.code(), Some(code), "{age}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(why), "{age}: {output:?}");
    }
    assert_eq!(house.done(&["quarantine", "purge", "--all", "--integration", "button", "--yes"]), "1 thrown away\n");
    assert_eq!(count(), 2);
    assert_eq!(house.done(&["quarantine", "purge", "--older-than", "0s", "--yes"]), "2 thrown away\n");
    post(house.public, "/paynow/shop", "five").await;
    assert_eq!(listed(&house, &[])[0]["id"], 5, "numbers are not given twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_at_one_integration_leaves_the_others_posts_alone() {
    let settings = Settings::usual().set("ledger.quarantine_max_posts", 3).set("server.refusals_per_minute", 1000);
    let house = House::start(settings).await;
    assert_eq!(post(house.public, "/paynow/button", "precious").await.status, 400);
    for _ in 0..20 {
        assert_eq!(post(house.public, "/paynow/shop", "noise").await.status, 400);
    }
    assert_eq!(listed(&house, &["--integration", "shop"]).len(), 3);
    assert_eq!(house.run(&["quarantine", "show", "1", "--raw"]).stdout, b"precious");
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_into_a_quarantine_that_is_not_there_makes_no_ledger() {
    let house = House::build(Settings::usual()).await;
    for command in [&["list"][..], &["show", "1"], &["release", "1"], &["release", "--all"], &["purge", "1", "--yes"]] {
        assert_eq!(house.run(&[&["quarantine"], command].concat()).status.code(), Some(69), "{command:?}");
    }
    assert!(!house.path("paynowd.db").exists());
}
