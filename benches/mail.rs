//! Goal 13: letters a second over one kept connection, beside Python's smtplib against the same server, plain and over
//! TLS, one that takes several commands at once, as nearly all do, and one that does not; and how many a second leave the outbox of the daemon, where each is noted in the ledger before and after.
//!
//! `cargo bench --bench mail [-- --letters 2000 --rounds 3]`. Less than a minute. Without python3 it says so, and
//! compares with nothing.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench ends when something is wrong, and prints"
)]

mod bench;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bench::gateway::Authority;
use bench::house::{House, Wishes, empty};
use bench::letterbox::Letterbox;
use bench::load::{Requests, Round};
use bench::message::{Author, NOWHERE};
use bench::numbers::{Ratio, Table, median, per_second};
use bench::{argument, child, machine, shop};
use paynowd::domain::{NoticeKind, Payment, Posted, Status, Trust};
use paynowd::ledger::About;
use paynowd::mailer::{Composed, Letter, Security, Smtp, SmtpSettings, compose};
use paynowd::protocol::Post;

fn main() {
    match child::role() {
        Some((role, values)) if role == "post" => return post(&values),
        Some((role, _)) => panic!("no role {role}"),
        None => {}
    }
    let (letters, rounds) = (argument("letters", 2000), argument("rounds", 3));
    let home = empty();
    machine::describe(home.path());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let authority = Authority::new(home.path());
    let letter = home.path().join("letter.eml");
    std::fs::write(&letter, composed().bytes()).expect("a file of ours");
    let python = machine::has("python3");
    if !python {
        println!("!!! SKIPPED: python3 is not here: nothing to compare with");
    }
    let columns = ["link ", "commands at once", "smtplib", "paynowd", "ratio", "its outbox", "ratio"];
    let table = Table::new("Goal 13: letters a second over one kept connection", &columns);
    for ((link, secure), pipelines) in
        [("plain", false), ("TLS", true)].into_iter().flat_map(|link| [(link, true), (link, false)])
    {
        let letterbox = runtime.block_on(Letterbox::open(secure.then_some(&authority), pipelines));
        let words = [letterbox.port.to_string(), if secure { "tls" } else { "plain" }.to_owned(), letters.to_string()];
        let environment = [("SSL_CERT_FILE", authority.certificate().display().to_string())];
        let trios: Vec<[u64; 3]> = (0..rounds)
            .map(|_| {
                let theirs = if python { smtplib(&words, &letter, &authority) } else { 0 };
                let ours = rate(child::command("post", &words), letters, &authority);
                [theirs, ours, outbox(&letterbox, if secure { "tls" } else { "none" }, &environment, letters)]
            })
            .collect();
        let rates = |at: usize| median(&trios.iter().map(|trio| trio[at]).collect::<Vec<_>>());
        let ratios = |at: usize| median(&trios.iter().map(|trio| Ratio::of(trio[at], trio[0])).collect::<Vec<_>>());
        let at_once = if pipelines { "all" } else { "one" };
        let (link, at_once) = (format!("{link:<5}"), format!("{at_once:<16}"));
        table.row(&[&link, &at_once, &rates(0), &rates(1), &ratios(1), &rates(2), &ratios(2)]);
    }
}

fn smtplib(words: &[String], letter: &Path, authority: &Authority) -> u64 {
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/bench/send_letters.py")).args(words).arg(letter);
    rate(command, words[2].parse().expect("a number"), authority)
}

/// Letters a second, of a process that prints how many microseconds it took.
fn rate(mut command: Command, letters: u64, authority: &Authority) -> u64 {
    let output = command.env("SSL_CERT_FILE", authority.certificate()).output().expect("a process");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let micros = said.trim().parse().unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    per_second(letters, Duration::from_micros(micros))
}

/// Plays `post`: sends letters over one connection and prints how long it took.
fn post(values: &[String]) {
    let [port, link, letters] = values else { panic!("post PORT LINK LETTERS") };
    let settings = SmtpSettings {
        host: "localhost".into(),
        port: port.parse().expect("a port"),
        security: if link == "tls" { Security::Tls } else { Security::None },
        username: None,
        password: None,
        timeout: Duration::from_mins(1),
    };
    let letter = composed();
    let letters: u64 = letters.parse().expect("a number");
    // On a worker of the runtime, as in the daemon, and not on the thread that waits for it.
    let posted = async move {
        let mut server = Smtp::new(settings, "shop.example".into());
        server.deliver(&letter).await.expect("taken");
        let start = Instant::now();
        for _ in 0..letters {
            server.deliver(&letter).await.expect("taken");
        }
        println!("{}", start.elapsed().as_micros());
        server.close().await;
    };
    let runtime = child::runtime();
    runtime.block_on(runtime.spawn(posted)).expect("posted");
}

/// A letter about a payment.
fn composed() -> Composed {
    let (integration, now) = (shop::integration(&[]), shop::now());
    let body = Author::at(NOWHERE).update(1042, "Paid");
    let seen = integration.gateway.read_post(&Post { body: body.as_bytes(), signatures: &[] }, now).expect("genuine");
    let seen = seen.into_value();
    let payment = Payment {
        integration: seen.integration,
        key: seen.key,
        facts: seen.facts,
        currency: integration.terms.currency,
        mode: integration.terms.mode,
        status: seen.status,
        wire_status: seen.wire_status,
        trust: Trust::Confirmed,
        poll_url: seen.poll_url,
        posted: Posted::Current,
        paid_at: Some(now),
        first_seen: now,
        last_changed: now,
    };
    let letter = Letter {
        message_id: "bench@shop.example".into(),
        recipient: "owner@shop.example".into(),
        about: About::Payment { kind: NoticeKind::Reached(Status::Paid), payment: Box::new(payment) },
        written: now,
    };
    let from = "Paynow ledger <ledger@shop.example>".parse().expect("a sender");
    compose(&letter, &from, chrono_tz::Africa::Harare).expect("a letter")
}

/// Letters a second by the daemon's own way: each is noted in the ledger as taken up, sent, and noted as sent.
fn outbox(letterbox: &Letterbox, security: &str, environment: &[(&'static str, String)], letters: u64) -> u64 {
    let house = House::start(Wishes {
        lines: vec![
            ("integrations.shop", "announce", "\"reported\"".to_owned()),
            ("mail", "from", "\"Paynow ledger <ledger@shop.example>\"".to_owned()),
            ("mail", "transport", "\"smtp\"".to_owned()),
            ("mail.smtp", "host", "\"localhost\"".to_owned()),
            ("mail.smtp", "port", letterbox.port.to_string()),
            ("mail.smtp", "security", format!("\"{security}\"")),
        ],
        environment: environment.to_vec(),
        ..Wishes::default()
    });
    let first = letterbox.taken();
    let author = Author::at(NOWHERE);
    let requests: Requests = (0..letters).map(|serial| author.post(serial, "Paid")).collect();
    let posted = Round::closed(house.public, 64, Duration::from_mins(1)).drive(&requests);
    assert_eq!(posted.taken, letters, "every post is kept");
    let (start, before) = (Instant::now(), letterbox.taken());
    letterbox.until(first + letters);
    per_second(first + letters - before, start.elapsed())
}
