//! `/metrics` on the admin address: figures move as things happen, every line can be read, and nothing is told that is
//! nobody's business. And old keys: what they still prove is counted, kept and spoken of.

use std::collections::BTreeMap;

use paynowd::protocol::Key;
use paynowd::simulator::{ButtonSale, Misbehaviour, Mischief, PostSpec, Signature};
use serde_json::Value;

use crate::house::http::ask;
use crate::house::{BUTTON_KEY, House, SHOP_KEY, Settings};
use crate::shim::{Disk, on_a_disk};

/// The lines of a page by name and labels. Whatever is not a line of the format, or belongs to no family, fails here.
struct Page(BTreeMap<String, String>);

impl Page {
    async fn of(house: &House) -> Self {
        let answer = ask(house.admin, "GET", "/metrics", &[], b"").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        Self::parse(&answer.body)
    }

    fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'));
        let (mut lines, mut families) = (BTreeMap::new(), BTreeMap::new());
        let mut last = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').unwrap();
                assert!(
                    name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && !words.is_empty(),
                    "{line}"
                );
                name.clone_into(&mut last);
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert!(name == last && ["counter", "gauge", "histogram", "summary"].contains(&kind), "{line}");
                assert_eq!(families.insert(name.to_owned(), kind.to_owned()), None, "{name} is there twice");
            } else {
                let (name, value) = line.rsplit_once(' ').unwrap();
                assert!(value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'), "{line}");
                let bare = name.split('{').next().unwrap();
                let parts = ["_bucket", "_sum", "_count"];
                let family = parts.iter().find_map(|part| bare.strip_suffix(part)).unwrap_or(bare);
                assert_eq!(family, last, "{line} is not in its family");
                if let Some(labels) = name.strip_prefix(bare).filter(|labels| !labels.is_empty()) {
                    let labels = labels.strip_prefix('{').and_then(|labels| labels.strip_suffix('}')).unwrap();
                    for label in labels.split(',') {
                        let (label, value) = label.split_once('=').unwrap();
                        assert!(label.bytes().all(|byte| byte.is_ascii_lowercase()), "{line}");
                        assert!(value.len() > 2 && value.starts_with('"') && value.ends_with('"'), "{line}");
                    }
                }
                assert_eq!(lines.insert(name.to_owned(), value.to_owned()), None, "{name} is there twice");
            }
        }
        Self(lines)
    }

    /// The figure of this line; none is as good as zero.
    fn get(&self, line: &str) -> u64 {
        self.0.get(line).map_or(0, |value| value.parse().unwrap())
    }
}

/// Waits until a line has come to this figure.
async fn until(house: &House, line: &str, figure: u64) -> Page {
    let until = std::time::Instant::now() + crate::house::DEADLINE;
    loop {
        let page = Page::of(house).await;
        if page.get(line) >= figure {
            return page;
        }
        assert!(std::time::Instant::now() < until, "{line} never comes to {figure}: {:#?}", page.0);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_figure_moves_with_what_it_counts() {
    let house = House::start(Settings::usual()).await;
    let start = Page::of(&house).await;
    for line in [
        r#"paynowd_posts_total{integration="shop",outcome="forged"}"#,
        r#"paynowd_posts_total{integration="button",outcome="not-stored"}"#,
        r#"paynowd_letters_total{outcome="sent"}"#,
        "paynowd_polls_due",
        "paynowd_letters_waiting",
    ] {
        assert_eq!(start.0.get(line).map(String::as_str), Some("0"), "{line} is there from the beginning");
    }
    let version = format!(r#"paynowd_build_info{{version="{}"}}"#, env!("CARGO_PKG_VERSION"));
    assert_eq!(start.get(&version), 1);

    house.gateway.misbehave(Mischief::next(1, Misbehaviour::Html));
    let payment = house.pay("INV-1", "25.00").await;
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    house.until_letters(1).await;
    assert_eq!(house.post(&payment, &PostSpec::status("Paid")).await, 200);
    assert_eq!(house.post(&payment, &PostSpec::status("Paid").signed(Signature::Wrong)).await, 403);
    assert_eq!(house.gateway.post_button(&house.url("button"), &ButtonSale::default()).await.unwrap(), 200);
    assert_eq!(ask(house.public, "GET", "/paynow/shop", &[], b"").await.status, 405);
    let page = until(&house, r#"paynowd_letters_total{outcome="sent"}"#, 2).await;
    for (line, figure) in [
        (r#"paynowd_posts_total{integration="shop",outcome="opened"}"#, 1),
        (r#"paynowd_posts_total{integration="shop",outcome="repeated"}"#, 1),
        (r#"paynowd_posts_total{integration="shop",outcome="forged"}"#, 1),
        (r#"paynowd_posts_total{integration="button",outcome="opened"}"#, 1),
        (r#"paynowd_polls_total{integration="shop",outcome="web-page"}"#, 1),
        (r#"paynowd_polls_total{integration="shop",outcome="confirmed"}"#, 1),
        (r#"paynowd_replies_total{door="public",code="200"}"#, 3),
        (r#"paynowd_replies_total{door="public",code="403"}"#, 1),
        (r#"paynowd_replies_total{door="public",code="405"}"#, 1),
        (r#"paynowd_connections{door="admin"}"#, 1),
        ("paynowd_ledger_readable", 1),
        ("paynowd_commit_failures_total", 0),
    ] {
        assert_eq!(page.get(line), figure, "{line}: {:#?}", page.0);
    }
    let commits = page.get("paynowd_commit_seconds_count");
    assert!(commits >= 8 && page.get("paynowd_commit_group_size_sum") >= commits, "{:#?}", page.0);
    assert_eq!(page.get(r#"paynowd_commit_group_size_bucket{le="+Inf"}"#), commits);
    assert_ne!(page.0["paynowd_commit_seconds_sum"], "0.000000");
    assert!(page.get("paynowd_ledger_bytes") > 100_000);

    let ran: Value = serde_json::from_str(&house.done(&["reconcile", "--json"])).unwrap();
    let page = until(&house, r#"paynowd_letters_total{outcome="sent"}"#, 3).await;
    assert!(page.get("paynowd_nightly_run_timestamp_seconds") > 1_700_000_000, "{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_open_is_read_from_the_ledger() {
    let house = House::start(Settings::usual().smtp(1, "none").set("mail.retry", ["1h"])).await;
    for number in [1, 2] {
        let payment = house.pay("INV-7", "25.00").await;
        house.until_it_is(&payment.guid, "paid", "confirmed").await;
        until(&house, r#"paynowd_posts_total{integration="shop",outcome="opened"}"#, number).await;
    }
    let page = until(&house, r#"paynowd_findings_open{class="duplicate-payment"}"#, 1).await;
    assert!(page.get("paynowd_letters_waiting") >= 2, "{:#?}", page.0);
    until(&house, r#"paynowd_letters_total{outcome="deferred"}"#, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_behaves_like_the_others() {
    let house = House::start(Settings::usual()).await;
    let head = crate::house::http::request("HEAD", "/metrics", &["Connection: close"], b"");
    let mut line = crate::house::http::Line::open(house.admin).await.unwrap();
    line.say(&head).await.unwrap();
    let refused = ask(house.admin, "POST", "/metrics", &[], b"").await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(ask(house.admin, "GET", "/metrics/shop", &[], b"").await.status, 404);
    assert_eq!(ask(house.public, "GET", "/metrics", &[], b"").await.status, 404, "not for the public");
    let page = until(&house, r#"paynowd_replies_total{door="admin",code="405"}"#, 1).await;
    assert_eq!(page.get(r#"paynowd_replies_total{door="public",code="404"}"#), 1);
}

fn two_keys(settings: Settings) -> Settings {
    settings.set("integrations.shop.key_files", ["shop.key", "former.key"]).file("former.key", BUTTON_KEY)
}

/// File, count, and whether it was ever used, of every old key in the ledger.
fn old_keys(house: &House) -> Vec<(String, i64, bool)> {
    let ledger = house.ledger();
    let mut rows = ledger.prepare("SELECT file, count, last_used >= first_used FROM old_key").unwrap();
    let rows =
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<bool>>(2)?.unwrap_or(false))));
    rows.unwrap().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_old_key_proves_is_counted_kept_and_told() {
    let mut house = House::start(two_keys(Settings::usual())).await;
    let payment = house.begin("INV-32", "25.00");
    let signed = |key| PostSpec::status("Sent").signed(Signature::With(Key::opaque(key)));
    assert_eq!(house.post(&payment, &signed(SHOP_KEY)).await, 200);
    let line = r#"paynowd_old_key_proofs_total{integration="shop",key="2"}"#;
    assert_eq!(Page::of(&house).await.get(line), 0, "the current key is none of them");
    for _ in 0..3 {
        assert_eq!(house.post(&payment, &signed(BUTTON_KEY)).await, 200);
    }
    assert_eq!(Page::of(&house).await.get(line), 3);
    house.until_logged("an old key still proves messages").await;
    let told: Vec<String> = house.log().lines().filter(|line| line.contains("old key")).map(str::to_owned).collect();
    assert!(told.len() == 1 && told[0].contains("INFO") && told[0].contains("former.key"), "{told:?}");
    house.stop().await;
    assert_eq!(old_keys(&house), [("former.key".to_owned(), 3, true)], "whatever was not noted yet is at the end");

    house.open().await;
    let payment = house.begin("INV-33", "25.00");
    assert_eq!(house.post(&payment, &signed(BUTTON_KEY)).await, 200);
    house.stop().await;
    assert_eq!(old_keys(&house), [("former.key".to_owned(), 4, true)]);
    let ran = house.done(&["reconcile", "--json"]);
    house.open().await;
    let letter = house.until_letters(1).await.remove(0);
    assert!(
        letter.text.contains("Still proven by an old key: shop (former.key), 4 messages since "),
        "{ran}{}",
        letter.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_key_that_is_named_no_more_is_forgotten_and_a_demoted_one_begins_anew() {
    let mut house = House::start(two_keys(Settings::usual())).await;
    let known = |files: &'static [&str]| {
        let wanted: Vec<_> = files.iter().map(|file| ((*file).to_owned(), 0, false)).collect();
        move |house: &House| (old_keys(house) == wanted).then_some(())
    };
    assert!(house.wait(|| known(&["former.key"])(&house)).await.is_some());
    let settings = std::fs::read_to_string(house.path("daemon.toml")).unwrap();
    let turned = settings.replace(r#"["shop.key","former.key"]"#, r#"["former.key","shop.key"]"#);
    assert_ne!(settings, turned);
    house.write("daemon.toml", &turned);
    house.reload().await;
    assert!(house.wait(|| known(&["shop.key"])(&house)).await.is_some(), "{:?}", old_keys(&house));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_which_old_key_can_go_after_thirty_days() {
    let mut house = House::build(on_a_disk(two_keys(Settings::usual()))).await;
    let disk = Disk::under(&mut house);
    house.open().await;
    house.stop().await;
    let check = |house: &House| {
        let mut command = house.command(&["check"]);
        command.envs(house.daemon_environment.iter().map(|(name, value)| (name, value)));
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    for (days, idle) in [(0, false), (29, false), (31, true)] {
        disk.set_clock_wrong_by(days * 86_400);
        let (code, said) = check(&house);
        assert_eq!(
            (code, said.contains("former.key has proven nothing since")),
            (Some(i32::from(idle)), idle),
            "{said}"
        );
        assert!(!said.contains("shop.key has"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_go_on_one_round_are_counted_each() {
    let recipients = ["owner@shop.example", "books@shop.example", "shelves@shop.example"];
    let house = House::start(Settings::usual().set("integrations.shop.notify", recipients)).await;
    house.pay("INV-1", "25.00").await;
    let page = until(&house, r#"paynowd_letters_total{outcome="sent"}"#, 3).await;
    assert_eq!(page.get(r#"paynowd_letters_total{outcome="sent"}"#), 3);
}
