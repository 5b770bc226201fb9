//! Goal 6, and what happens past capacity: how much memory the daemon takes idle, under load and for connections that
//! say nothing; how quickly it refuses what it cannot take, and how soon it takes posts again.
//!
//! `cargo bench --bench footprint [-- --idle 5000 --round-ms 2000]`. About half a minute. Start-up on large ledgers is
//! in `growth`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench ends when something is wrong, and prints"
)]

mod bench;

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bench::house::{House, Wishes, empty};
use bench::load::{Requests, Round};
use bench::message::{Author, NOWHERE};
use bench::numbers::{Ratio, Table, median, millis, per_second, percentile};
use bench::{argument, machine};

/// How much slower the disk is made where the daemon is to have too much to do.
const SLOW: Duration = Duration::from_millis(20);

fn main() {
    let lasts = Duration::from_millis(argument("round-ms", 2000));
    machine::describe(empty().path());
    let author = Author::at(NOWHERE);
    memory(&author, lasts);
    start();
    overload(&author, lasts);
}

fn memory(author: &Author, lasts: Duration) {
    let crowd = argument("idle", 5000);
    let lines =
        vec![("server", "max_connections", "65536".to_owned()), ("server", "header_timeout", "\"5m\"".to_owned())];
    let idle = House::start(Wishes { lines, ..Wishes::default() });
    let table = Table::new("Goal 6: memory and size", &["what                               ", "KiB    "]);
    let program = std::fs::metadata(env!("CARGO_BIN_EXE_paynowd")).expect("the program").len();
    table.row(&[&format!("{:<35}", "the program on disk"), &(program >> 10)]);
    let before = machine::resident(idle.pid(), false);
    table.row(&[&format!("{:<35}", "resident, idle"), &before]);

    let allowed = open_files();
    // Both ends are files; each process has some of its own.
    let crowd = crowd.min(allowed.saturating_sub(200));
    let connections: Vec<TcpStream> =
        (0..crowd).map(|_| TcpStream::connect(idle.public).expect("a connection that is let in")).collect();
    // Let in one after the other, so when this one is answered the others are in.
    let mut rest = (0..).map(|serial| author.post(serial, "Paid"));
    Round::closed(idle.public, 1, lasts).drive(&rest.by_ref().take(1).collect());
    let with = machine::resident(idle.pid(), false);
    table.row(&[&format!("{:<35}", format!("resident with {crowd} idle connections")), &with]);
    let each = (with.saturating_sub(before) * 1024) / crowd.max(1);
    table.row(&[&format!("{:<35}", "each of them, in bytes"), &each]);
    drop(connections);
    drop(idle);

    let busy = House::start(Wishes::default());
    let requests: Requests = rest.take(90 * usize::try_from(lasts.as_millis()).unwrap_or(2000)).collect();
    let measured = Round::closed(busy.public, 64, lasts).drive(&requests);
    table.row(&[&format!("{:<35}", "the most resident at 64 connections"), &machine::resident(busy.pid(), true)]);
    println!("\n(at 64 connections {} posts a second)", measured.rate());
}

/// How many files this process may have open.
fn open_files() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok()).unwrap_or(1024)
}

fn start() {
    let times: Vec<Duration> = (0..9).map(|_| House::start(Wishes::default()).started_in).collect();
    println!("\nFrom the start of the process to ready, on an empty ledger: {} ms", millis(median(&times)));
}

/// More posts than the disk can keep: those beyond the queue are told at once to come back, the others are kept as fast
/// as before, and nothing of it remains when the crowd has gone.
fn overload(author: &Author, lasts: Duration) {
    let home = empty();
    let Some(library) = machine::slow_disk(home.path()) else { return };
    let house = House::start(Wishes {
        lines: vec![("server", "queue", "64".to_owned()), ("log", "level", "\"off\"".to_owned())],
        environment: machine::slowed(&library, SLOW),
        ..Wishes::default()
    });
    let next = Cell::new(1 << 32);
    let requests = |count: u64| -> Requests {
        let first = next.get();
        next.set(first + count);
        (first..first + count).map(|serial| author.post(serial, "Paid")).collect()
    };
    let table = Table::new(
        "Overload: a queue of 64, each fsync 20 ms longer",
        &["connections      ", "kept/s", "kept p99 ms", "refused/s", "refused p50 ms", "refused p99 ms"],
    );
    let row = |name: &str, connections| {
        let measured = Round::closed(house.public, connections, lasts)
            .drive(&requests(60 * u64::try_from(lasts.as_millis()).unwrap_or(2000)));
        assert_eq!(measured.curt, 0, "a refusal must say when to come back");
        let refused = per_second(measured.refused, measured.lasted);
        let refusal = |permille| millis(percentile(&measured.refusal_times, permille));
        table.row(&[
            &format!("{name:<17}"),
            &measured.rate(),
            &millis(measured.p99()),
            &refused,
            &refusal(500),
            &refusal(990),
        ]);
        measured.rate()
    };
    let within = row("64 (within)", 64);
    let beyond = row("1000 (beyond)", 1000);
    let crowd_left = Instant::now();
    let answered = Round::closed(house.public, 1, Duration::from_secs(5)).drive(&requests(1));
    assert_eq!(answered.taken, 1, "the daemon has not recovered");
    println!("\nFirst post kept after the crowd had gone: {} ms", millis(crowd_left.elapsed()));
    let after = row("64 (afterwards)", 64);
    println!(
        "\nkept beyond ÷ within capacity {}, afterwards ÷ before {}",
        Ratio::of(beyond, within),
        Ratio::of(after, within)
    );
    drop(house);
    beyond_the_cap();
}

/// The cap on connections refuses politely, too.
fn beyond_the_cap() {
    let house =
        House::start(Wishes { lines: vec![("server", "max_connections", "4".to_owned())], ..Wishes::default() });
    let _inside: Vec<TcpStream> = (0..4).map(|_| TcpStream::connect(house.public).expect("a connection")).collect();
    let start = Instant::now();
    let mut outside = TcpStream::connect(house.public).expect("a connection");
    outside.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").expect("somebody listens");
    let mut heard = String::new();
    outside.read_to_string(&mut heard).expect("an answer");
    assert!(heard.starts_with("HTTP/1.1 503 ") && heard.to_ascii_lowercase().contains("retry-after:"), "{heard}");
    println!("A connection beyond the cap is told 503 and when to come back within {} ms", millis(start.elapsed()));
}
