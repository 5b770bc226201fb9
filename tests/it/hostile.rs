//! HTTP as nobody honest speaks it: requests that two readers might read differently, bodies without end, drips,
//! crowds. Whatever comes, the door answers or closes, stores nothing of it, and serves the next.

use std::fs;
use std::time::{Duration, Instant};

use crate::house::http::{FORM, Line, ask, post, request};
use crate::house::{DEADLINE, House, Settings};

const GIGABYTE: usize = 1 << 30;

/// The most memory the daemon has ever had, in bytes.
fn most_resident(house: &House) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", house.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// A genuine post about a new payment, and the payment.
fn genuine(house: &House, reference: &str) -> (String, String) {
    let payment = house.begin(reference, "25.00");
    (house.gateway.status_update_body(&payment.guid, "Sent").unwrap(), payment.guid)
}

async fn assert_serves(house: &House) {
    let (body, guid) = genuine(house, "INV-LAST");
    assert_eq!(post(house.public, "/paynow/shop", body).await.status, 200);
    assert_eq!(house.show_json(&guid)["status"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_two_readers_would_end_at_different_places_is_refused_and_the_connection_closed() {
    let house = House::start(Settings::usual()).await;
    let (body, _) = genuine(&house, "INV-1");
    let (length, chunked) = (body.len(), format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    let smuggled = "POST /paynow/shop HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=b";
    let shapes = [
        ("two lengths", format!("Content-Length: {length}\r\nContent-Length: 3"), body.clone()),
        ("two lengths in one line", format!("Content-Length: {length}, 3"), body.clone()),
        ("a signed length", format!("Content-Length: +{length}"), body.clone()),
        ("a negative length", "Content-Length: -1".into(), body.clone()),
        ("a length with a blank before its colon", format!("Content-Length : {length}"), body.clone()),
        ("a folded line", format!("X-A: b\r\n Content-Length: 3\r\nContent-Length: {length}"), body.clone()),
        ("a coding nobody knows", "Transfer-Encoding: xchunked".into(), chunked.clone()),
        ("chunked, but not at the end", "Transfer-Encoding: chunked, identity".into(), chunked.clone()),
        ("compressed on the way", "Transfer-Encoding: gzip, chunked".into(), chunked.clone()),
        ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked".into(), chunked.clone()),
        ("a chunk of a length that is none", "Transfer-Encoding: chunked".into(), format!("0x{chunked}")),
        (
            "a chunk too long for any number",
            "Transfer-Encoding: chunked".into(),
            format!("ffffffffffffffff1\r\n{body}"),
        ),
        ("a chunk without its end", "Transfer-Encoding: chunked".into(), format!("{length:x}\r\n{body}XX0\r\n\r\n")),
        ("a carriage return alone", format!("X-A: b\rContent-Length: 3\r\nContent-Length: {length}"), body.clone()),
        ("a zero byte in a header", format!("X-A: b\0c\r\nContent-Length: {length}"), body.clone()),
    ];
    for (name, headers, body) in shapes {
        let mut line = Line::open(house.public).await.unwrap();
        let whole = format!("POST /paynow/shop HTTP/1.1\r\nHost: x\r\n{FORM}\r\n{headers}\r\n\r\n{body}{smuggled}");
        let answer = line.ask(whole.as_bytes()).await;
        if let Ok(answer) = answer {
            assert!((400..500).contains(&answer.status), "{name}: {answer:?}");
            assert!(line.answer().await.is_err(), "{name}: the connection goes on");
        }
    }
    assert!(house.payments_json(&[]).is_empty() && house.quarantine().is_empty(), "{:?}", house.quarantine());
    assert_serves(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_beside_chunks_counts_for_nothing_and_whatever_follows_is_not_read() {
    let house = House::start(Settings::usual()).await;
    let (smuggled, stowaway) = genuine(&house, "INV-2");
    let smuggled = String::from_utf8(request("POST", "/paynow/shop", &[FORM], smuggled.as_bytes())).unwrap();
    for lengths in
        [["Content-Length: 3", "Transfer-Encoding: chunked"], ["Transfer-Encoding: chunked", "Content-Length: 3"]]
    {
        let (body, guid) = genuine(&house, "INV-1");
        let headers = lengths.join("\r\n");
        let head = format!("POST /paynow/shop HTTP/1.1\r\nHost: x\r\n{FORM}\r\n{headers}\r\n\r\n");
        let mut line = Line::open(house.public).await.unwrap();
        let answer = line.ask(format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n{smuggled}", body.len()).as_bytes()).await;
        assert_eq!(answer.unwrap().status, 200);
        line.answer().await.expect_err("the connection ends here");
        assert_eq!(house.show_json(&guid)["status"], "pending");
    }
    assert!(house.story(&stowaway).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn line_feeds_alone_mean_what_line_ends_mean() {
    let house = House::start(Settings::usual()).await;
    let (body, guid) = genuine(&house, "INV-1");
    let head = format!("POST /paynow/shop HTTP/1.1\nHost: x\n{FORM}\nContent-Length: {}\n\n", body.len());
    let mut line = Line::open(house.public).await.unwrap();
    let answer = line.ask(format!("{head}{body}{head}{body}").as_bytes()).await.unwrap();
    assert_eq!((answer.status, line.answer().await.unwrap().status), (200, 200));
    let events = house.show_json(&guid)["events"].as_array().unwrap().len();
    assert_eq!(events, 2, "two requests, and no third");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_sent_without_waiting_are_answered_in_their_order() {
    let house = House::start(Settings::usual()).await;
    let ((first, one), (second, two)) = (genuine(&house, "INV-1"), genuine(&house, "INV-2"));
    let of = |path: &str, body: &str| request("POST", path, &[FORM], body.as_bytes());
    let shop = "/paynow/shop";
    let row = [of(shop, &first), of(shop, "a=b"), of(shop, &second), of("/nowhere", &first), of(shop, &first)];
    let mut line = Line::open(house.public).await.unwrap();
    line.say(&row.concat()).await.unwrap();
    for wanted in [200, 400, 200, 404] {
        assert_eq!(line.answer().await.unwrap().status, wanted);
    }
    line.answer().await.expect_err("what is nobody's business ends the connection, and what is behind it is not read");
    for guid in [one, two] {
        let story = house.show_json(&guid);
        let posts = story["events"].as_array().unwrap().iter().filter(|event| event["channel"] == "post");
        assert_eq!(posts.count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_before_sending_is_told_to_go_on_or_spared_the_trouble() {
    let house = House::start(Settings::usual()).await;
    let (body, guid) = genuine(&house, "INV-1");
    let head = |path: &str, length: usize| {
        format!("POST {path} HTTP/1.1\r\nHost: x\r\n{FORM}\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
    };
    let mut line = Line::open(house.public).await.unwrap();
    assert_eq!(line.ask(head("/paynow/shop", body.len()).as_bytes()).await.unwrap().status, 100);
    assert_eq!(line.ask(body.as_bytes()).await.unwrap().status, 200);
    assert_eq!(house.show_json(&guid)["status"], "pending");
    for (path, length, wanted) in [("/paynow/shop", GIGABYTE, 413), ("/nowhere", body.len(), 404)] {
        let mut line = Line::open(house.public).await.unwrap();
        assert_eq!(line.ask(head(path, length).as_bytes()).await.unwrap().status, wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gigabyte_announced_or_not_is_refused_and_takes_no_room() {
    let house = House::start(Settings::usual()).await;
    assert_serves(&house).await;
    let before = most_resident(&house);
    let head = format!("POST /paynow/shop HTTP/1.1\r\nHost: x\r\n{FORM}\r\n");
    let piece = vec![b'x'; 1 << 20];
    let chunk = [b"100000\r\n".as_slice(), &piece, b"\r\n"].concat();
    for (framing, piece) in [
        (format!("Content-Length: {GIGABYTE}"), &piece),
        (format!("Content-Length: {}", u64::MAX), &piece),
        ("Transfer-Encoding: chunked".to_owned(), &chunk),
    ] {
        let mut line = Line::open(house.public).await.unwrap();
        line.say(format!("{head}{framing}\r\n\r\n").as_bytes()).await.unwrap();
        for _ in 0..64 {
            if line.say(piece).await.is_err() {
                break;
            }
        }
        let answer = line.answer().await.unwrap();
        assert!(matches!(answer.status, 413 | 431), "{framing}: {answer:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{framing}");
    }
    let grown = most_resident(&house) - before;
    assert!(grown < 16 << 20, "{grown} bytes more");
    assert!(house.quarantine().is_empty());
    assert_serves(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_trailers_is_not_read() {
    let house = House::start(Settings::usual()).await;
    let (body, guid) = genuine(&house, "INV-1");
    let (fields, hash) = body.split_once("&hash=").unwrap();
    let chunked = |body: &str, trailers: &str| {
        let head = format!("POST /paynow/shop HTTP/1.1\r\nHost: x\r\n{FORM}\r\nTransfer-Encoding: chunked\r\n");
        format!("{head}Trailer: hash\r\n\r\n{:x}\r\n{body}\r\n0\r\n{trailers}\r\n", body.len())
    };
    let proof_behind = chunked(fields, &format!("hash: {hash}\r\n"));
    let disguised = chunked(&body, "Content-Encoding: gzip\r\nContent-Length: 3\r\nstatus: Paid\r\n");
    for (bytes, wanted) in [(proof_behind, 400), (disguised, 200)] {
        let mut line = Line::open(house.public).await.unwrap();
        assert_eq!(line.ask(bytes.as_bytes()).await.unwrap().status, wanted);
    }
    assert_eq!(house.show_json(&guid)["status"], "pending");
    let endless = chunked(&body, &"x: y\r\n".repeat(100_000));
    let mut line = Line::open(house.public).await.unwrap();
    let answer = line.ask(endless.as_bytes()).await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 400), "trailers have an end");
    assert_serves(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_fields_and_the_same_field_ten_thousand_times_are_answered_400() {
    let house = House::start(Settings::usual().set("server.max_body", "1MiB")).await;
    let many = (0..10_000).map(|number| format!("field{number}={number}&")).collect::<Vec<_>>().concat();
    for body in [many, "a=1&".repeat(10_000), "&".repeat(10_000), "a".repeat(500_000)] {
        assert_eq!(post(house.public, "/paynow/shop", body).await.status, 400);
    }
    assert_eq!(house.quarantine().len(), 4);
    assert_serves(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drop_by_drop_a_request_gets_no_more_time_than_any_other() {
    let settings = Settings::usual().set("server.header_timeout", "400ms").set("server.request_timeout", "400ms");
    let house = House::start(settings).await;
    let (body, _) = genuine(&house, "INV-1");
    let whole = request("POST", "/paynow/shop", &[FORM], body.as_bytes());
    let head = whole.len() - body.len();
    for start in [0, head] {
        let mut line = Line::open(house.public).await.unwrap();
        line.say(&whole[..start]).await.unwrap();
        let began = Instant::now();
        let mut drops = whole[start..].iter();
        let ended = loop {
            let answer = tokio::time::timeout(Duration::from_millis(40), line.hear()).await;
            match (answer, drops.next()) {
                (Ok(ended), _) => break ended,
                (Err(_), Some(drop)) if line.say(&[*drop]).await.is_ok() => {}
                (Err(_), _) => panic!("every drop was heard"),
            }
        };
        assert!(ended.is_err() || ended.is_ok_and(|answer| answer.status == 408));
        assert!(began.elapsed() < DEADLINE / 2, "{:?}", began.elapsed());
    }
    assert!(house.payments_json(&[]).is_empty());
    assert_serves(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_at_all_ends_the_connection() {
    let house = House::start(Settings::usual()).await;
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let second = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice();
    for bytes in [hello.as_slice(), second, b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"POST /\x1b[2J HTTP/1.1\r\n\r\n"] {
        let mut line = Line::open(house.public).await.unwrap();
        let answer = line.ask(bytes).await;
        assert!(
            answer.is_err() || answer.as_ref().is_ok_and(|answer| (400..=505).contains(&answer.status)),
            "{answer:?}"
        );
    }
    let absolute = ask(house.public, "POST", "http://elsewhere.example/paynow/shop", &[FORM], b"a=b").await;
    assert_eq!(absolute.status, 400, "whichever host it was meant for");
    assert_serves(&house).await;
}
