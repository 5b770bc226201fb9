//! The door's bounds: size, time, and how much nonsense one caller may leave.

use std::time::Instant;

use paynowd::simulator::{PostSpec, Recut, Signature};

use crate::house::http::{FORM, Line, ask, post, request};
use crate::house::{DEADLINE, House, Settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_announced_too_large_is_answered_413_unread() {
    let house = House::start(Settings::usual().set("server.max_body", "2KiB")).await;
    let mut line = Line::open(house.public).await.unwrap();
    let head = format!("POST /paynow/shop HTTP/1.1\r\nHost: x\r\n{FORM}\r\nContent-Length: 2049\r\n\r\n");
    let answer = line.ask(head.as_bytes()).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str(), answer.header("connection")), (413, "", Some("close")));
    let most = format!("a={}", "x".repeat(2046));
    assert_eq!(post(house.public, "/paynow/shop", most).await.status, 400, "2 KiB are not too large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_grows_too_large_is_answered_413() {
    let house = House::start(Settings::usual().set("server.max_body", "2KiB")).await;
    let mut line = Line::open(house.public).await.unwrap();
    let head = format!("POST /paynow/shop HTTP/1.1\r\nHost: x\r\n{FORM}\r\nTransfer-Encoding: chunked\r\n\r\n");
    line.say(head.as_bytes()).await.unwrap();
    for _ in 0..3 {
        line.say(format!("400\r\n{}\r\n", "x".repeat(1024)).as_bytes()).await.unwrap();
    }
    assert_eq!(line.answer().await.unwrap().status, 413);
    let genuine = house.gateway.status_update_body(&house.begin("INV-32", "1.00").guid, "Paid").unwrap();
    let mut line = Line::open(house.public).await.unwrap();
    line.say(head.as_bytes()).await.unwrap();
    let answer = line.ask(format!("{:x}\r\n{genuine}\r\n0\r\n\r\n", genuine.len()).as_bytes()).await.unwrap();
    assert_eq!(answer.status, 200, "chunks as such are fine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_answered_408_and_stores_nothing() {
    let house = House::start(Settings::usual().set("server.request_timeout", "300ms")).await;
    let payment = house.begin("INV-32", "25.00");
    let body = house.gateway.status_update_body(&payment.guid, "Paid").unwrap();
    let whole = request("POST", "/paynow/shop", &[FORM], body.as_bytes());
    let mut line = Line::open(house.public).await.unwrap();
    let began = Instant::now();
    let answer = line.ask(&whole[..whole.len() - 1]).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str(), answer.header("connection")), (408, "", Some("close")));
    assert!(began.elapsed() < DEADLINE / 2);
    assert!(house.payments_json(&[]).is_empty() && house.quarantine().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_came_in_time_but_could_not_be_stored_in_time_is_answered_503() {
    let house = House::start(Settings::usual().set("server.request_timeout", "300ms")).await;
    let payment = house.begin("INV-32", "25.00");
    let body = house.gateway.status_update_body(&payment.guid, "Paid").unwrap();
    let ledger = house.ledger();
    ledger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = post(house.public, "/paynow/shop", &body).await;
    assert_eq!((answer.status, answer.body.as_str(), answer.header("retry-after")), (503, "", Some("5")));
    ledger.execute_batch("ROLLBACK").unwrap();
    assert_eq!(post(house.public, "/paynow/shop", &body).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_too_slowly_is_answered_408() {
    let house = House::start(Settings::usual().set("server.header_timeout", "300ms")).await;
    let mut line = Line::open(house.public).await.unwrap();
    assert_eq!(line.ask(b"POST /paynow/shop HTTP/1.1\r\nHost:").await.unwrap().status, 408);
    assert_eq!(post(house.public, "/paynow/shop", "a=b").await.status, 400, "others are served");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sixty_fifth_field_is_one_too_many() {
    let house = House::start(Settings::usual()).await;
    let payment = house.begin("INV-32", "25.00");
    // Five base fields and the hash, and so many more.
    let with =
        |extra: usize| (0..extra).fold(PostSpec::status("Paid"), |spec, n| spec.field(&format!("extra{n}"), "x"));
    assert_eq!(house.post(&payment, &with(59)).await, 400);
    assert!(house.payments_json(&[]).is_empty());
    assert_eq!(house.post(&payment, &with(58)).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_forgeries_is_answered_429_while_genuine_posts_of_the_same_peer_pass() {
    let house = House::start(Settings::usual().set("server.refusals_per_minute", 5)).await;
    let payment = house.begin("INV-32", "25.00");
    let forged = PostSpec::status("Paid").signed(Signature::Wrong);
    for _ in 0..5 {
        assert_eq!(house.post(&payment, &forged).await, 403);
    }
    let body = house.gateway.body(&payment.guid, &forged).unwrap();
    for _ in 0..3 {
        let answer = post(house.public, "/paynow/shop", &body).await;
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (429, ""));
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(house.post(&payment, &PostSpec::status("Paid")).await, 200);
    }
    assert_eq!(house.quarantine().len(), 5);
    let odd = PostSpec::status("Paid").field("amount", "2.5e1");
    assert_eq!(house.post(&payment, &odd).await, 200, "it is authentic");
    assert_eq!(house.quarantine()[5].0, "suspect");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_genuine_and_sent_for_ever_is_answered_200_and_kept_sixteen_times() {
    let house = House::start(Settings::usual().set("server.refusals_per_minute", 2)).await;
    let payment = house.pay("INV-32", "25.00").await;
    house.until_it_is(&payment.guid, "paid", "confirmed").await;
    let older = house.gateway.status_update_body(&payment.guid, "Sent").unwrap();
    let same = house.gateway.status_update_body(&payment.guid, "Paid").unwrap();
    let odd = house.gateway.status_update_body(&payment.guid, "Quantum").unwrap();
    let recut = PostSpec::status("Paid").recut(Recut::GatewayReferenceToAmount);
    let recut = String::from_utf8(house.gateway.body(&payment.guid, &recut).unwrap()).unwrap();
    for body in [&older, &same, &odd, &recut] {
        for blanks in 0..40 {
            // No hash covers blanks around a value.
            let padded = body.replacen("status=", &format!("status={}", "+".repeat(blanks)), 1);
            let padded = padded.replacen("reference=INV-32", &format!("reference=INV-32{}", "%20".repeat(blanks)), 1);
            assert_eq!(post(house.public, "/paynow/shop", &padded).await.status, 200);
        }
    }
    let story = house.show_json(&payment.guid);
    let events = story["events"].as_array().unwrap();
    for outcome in ["repeated", "regressed", "unrecognised"] {
        assert_eq!(events.iter().filter(|event| event["outcome"] == outcome).count(), 16, "{outcome}");
    }
    assert_eq!(house.quarantine().len(), 16);
    assert_eq!(house.run(&["quarantine", "release", "--all"]).status.code(), Some(1));
    assert_eq!(house.quarantine().len(), 16, "what is not kept anew stays where it is");
    let again: Vec<_> = story["repeats"].as_array().unwrap().iter().map(|again| again["count"].as_i64()).collect();
    assert_eq!(again, [Some(40); 4]);
    let found = story["discrepancies"].as_array().unwrap();
    assert_eq!(found.iter().filter(|it| it["class"] == "contradicting-post").count(), 2, "a field each: {found:?}");
    assert!(house.done(&["payments", "show", &payment.guid]).contains("HEARD AGAIN"));
    assert_eq!((&story["status"], &story["trust"]), (&"paid".into(), &"confirmed".into()));
    // What brings news is kept, however much came before it.
    house.gateway.move_to(&payment.guid, "Refunded").await.unwrap();
    house.until_it_is(&payment.guid, "refunded", "confirmed").await;
    for command in [&["ledger", "verify"][..], &["ledger", "rebuild", "--check"]] {
        assert_eq!(house.done(command).lines().last(), Some("in order"));
    }
}

/// Posts `a=b` as if forwarded for `client`.
async fn forwarded(house: &House, client: &str) -> u16 {
    let header = format!("X-Forwarded-For: {client}");
    ask(house.public, "POST", "/paynow/shop", &[FORM, &header], b"a=b").await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_is_believed_about_its_clients() {
    let settings =
        Settings::usual().set("server.refusals_per_minute", 2).set("server.trusted_proxies", ["127.0.0.0/8"]);
    let house = House::start(settings).await;
    for wanted in [400, 400, 429] {
        assert_eq!(forwarded(&house, "198.51.100.7, 203.0.113.1").await, wanted);
    }
    assert_eq!(forwarded(&house, "203.0.113.1, 203.0.113.2").await, 400, "the rightmost stranger counts");
    assert_eq!(forwarded(&house, "203.0.113.3, 127.0.0.9").await, 400, "a proxy behind the proxy");
    let peers: Vec<_> = house.quarantine().into_iter().filter_map(|(.., peer)| peer).collect();
    assert_eq!(peers, ["203.0.113.1", "203.0.113.1", "203.0.113.2", "203.0.113.3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_not_believed_about_itself() {
    let house = House::start(Settings::usual().set("server.refusals_per_minute", 2)).await;
    for (client, wanted) in [("203.0.113.1", 400), ("203.0.113.2", 400), ("203.0.113.3", 429)] {
        assert_eq!(forwarded(&house, client).await, wanted);
    }
    assert!(house.quarantine().iter().all(|(.., peer)| peer.as_deref() == Some("127.0.0.1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_answered_503_and_the_others_go_on() {
    let settings = Settings::usual().set("server.max_connections", 2);
    let house = House::start(settings).await;
    let keep = request("POST", "/paynow/shop", &[FORM], b"a=b");
    let mut lines = Vec::new();
    for _ in 0..2 {
        let mut line = Line::open(house.public).await.unwrap();
        assert_eq!(line.ask(&keep).await.unwrap().status, 400);
        lines.push(line);
    }
    let mut third = Line::open(house.public).await.unwrap();
    let refused = third.ask(&keep).await.unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(lines[0].ask(&keep).await.unwrap().status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_cannot_take_all_connections_and_a_proxy_can() {
    let settings = Settings::usual().set("server.max_connections", 8).set("server.trusted_proxies", ["127.0.0.3"]);
    let house = House::start(settings).await;
    let keep = request("POST", "/paynow/shop", &[FORM], b"a=b");
    let (caller, other, proxy, here) = ([127, 0, 0, 2], [127, 0, 0, 4], [127, 0, 0, 3], [127, 0, 0, 1]);
    let mut lines = Vec::new();
    for (from, wanted) in [
        (caller, 400),
        (caller, 400),
        (caller, 503),
        (other, 400),
        (proxy, 400),
        (proxy, 400),
        (here, 400),
        (here, 400),
        (here, 400),
        (caller, 503),
    ] {
        let mut line = Line::open_from(from.into(), house.public).await.unwrap();
        assert_eq!(line.ask(&keep).await.unwrap().status, wanted, "{from:?}");
        lines.push(line);
    }
    lines.remove(0);
    let again = || Line::open_from(caller.into(), house.public);
    let freed = async { while again().await.unwrap().ask(&keep).await.unwrap().status != 400 {} };
    tokio::time::timeout(DEADLINE, freed).await.expect("a place that was given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_door_says_alive_and_ready_and_nothing_else() {
    let house = House::start(Settings::usual()).await;
    for (path, status, body) in [("/healthz", 200, "alive\n"), ("/readyz", 200, "ready\n"), ("/paynow/shop", 404, "")] {
        let answer = ask(house.admin, "GET", path, &[], b"").await;
        assert_eq!((answer.status, answer.body.as_str()), (status, body));
    }
    assert_eq!(ask(house.admin, "GET", "/v1/payments", &[], b"").await.status, 404, "no token, no /v1");
    assert_eq!(ask(house.admin, "POST", "/healthz", &[], b"").await.header("allow"), Some("GET, HEAD"));
}
