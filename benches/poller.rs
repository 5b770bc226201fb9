//! Goals 11 and 12: how many payments the daemon asks about in a second, beside what the gateway's latency allows, and
//! what one question costs, beside Paynow's official Python SDK.
//!
//! `cargo bench --bench poller [-- --latency-ms 50 --round-ms 3000 --rounds 3]`. The gateway is in this process: it
//! answers over kept connections, plain and over TLS, and measures its own latency. The SDK asks the same gateway, in
//! turn with the daemon. About two minutes, and what it takes to install the SDK (skipped, loudly, where that does not
//! work). For a profiler, `--at-once 8` asks so many at once over TLS, and does nothing else.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench ends when something is wrong, and prints"
)]

mod bench;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bench::gateway::{Authority, Gateway, Seen};
use bench::house::{House, Wishes, empty};
use bench::load::{Requests, Round};
use bench::message::{Author, KEY};
use bench::numbers::{Ratio, Table, median, micros, millis, per_second};
use bench::{argument, machine};

/// How many questions at once.
const CONCURRENCY: [u64; 4] = [1, 8, 32, 128];

/// The official SDK, as the tests use it.
const SDK: &str = "paynow==1.0.8";

fn main() {
    let latency = Duration::from_millis(argument("latency-ms", 50));
    let (rounds, alone) = (argument("rounds", 3), argument("at-once", 0));
    let lasts = Duration::from_millis(argument("round-ms", 3000));
    let home = empty();
    machine::describe(home.path());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let authority = Authority::new(home.path());

    let table = Table::new(
        &format!("Goal 11: polls a second, a gateway that takes {} ms", latency.as_millis()),
        &["link ", "at once", "polls/s", "latency ms", "ratio to at once ÷ latency", "CPU µs a poll"],
    );
    for (link, secure) in [("plain", false), ("TLS", true)].into_iter().filter(|(_, secure)| alone == 0 || *secure) {
        for concurrency in if alone == 0 { CONCURRENCY.to_vec() } else { vec![alone] } {
            let gateway = runtime.block_on(Gateway::open(latency, secure.then_some(&authority)));
            let seen = ask(&gateway, &authority, concurrency, lasts);
            let rate = per_second(seen.answered, seen.lasted);
            let possible = concurrency * 1_000_000 / micros(seen.latency).max(1);
            let each = micros(seen.cpu) / seen.answered.max(1);
            table.row(&[
                &format!("{link:<5}"),
                &concurrency,
                &rate,
                &millis(seen.latency),
                &Ratio::of(rate, possible),
                &each,
            ]);
        }
    }

    if alone > 0 {
        return;
    }
    let Some(python) = sdk() else { return };
    let desk = runtime.block_on(Gateway::open(latency, Some(&authority)));
    desk.unlock();
    let table = Table::new("Goal 12: CPU of one poll over https, µs", &["at once", "paynowd", "Python SDK", "ratio"]);
    for concurrency in [8, 128] {
        let pairs: Vec<(u64, u64)> = (0..rounds)
            .map(|_| {
                let gateway = runtime.block_on(Gateway::open(latency, Some(&authority)));
                let theirs = asked_by_sdk(&python, &desk, &authority);
                let seen = ask(&gateway, &authority, concurrency, lasts);
                (micros(seen.cpu) / seen.answered.max(1), theirs)
            })
            .collect();
        let (ours, theirs): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        let ratios: Vec<Ratio> = pairs.iter().map(|(ours, theirs)| Ratio::of(*theirs, *ours)).collect();
        table.row(&[&concurrency, &median(&ours), &median(&theirs), &format!("1/{}", median(&ratios))]);
    }
}

/// What one question costs the SDK, which asks as many as can be asked one after the other in a while.
fn asked_by_sdk(python: &Path, gateway: &Gateway, authority: &Authority) -> u64 {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/bench/poll_sdk.py");
    let output = Command::new(python)
        .arg(script)
        .args([gateway.origin(), "100", KEY])
        .env("REQUESTS_CA_BUNDLE", authority.certificate())
        .output()
        .expect("python runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.trim().parse().unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Has a daemon ask about as many payments as it can for so long, from the moment they are all known to it.
fn ask(gateway: &Gateway, authority: &Authority, concurrency: u64, lasts: Duration) -> Seen {
    let house = House::start(Wishes {
        lines: vec![
            // Due at once, and the gateway's door is still shut; then not again.
            ("poll", "confirm", "[\"0s\", \"1h\"]".to_owned()),
            ("poll", "concurrency", concurrency.to_string()),
            ("poll", "timeout", "\"2m\"".to_owned()),
            // What a letter costs is not what a poll costs.
            ("integrations.shop", "notify", "[]".to_owned()),
            ("integrations.shop", "gateway", format!("\"{}\"", gateway.origin())),
        ],
        environment: vec![("SSL_CERT_FILE", authority.certificate().display().to_string())],
        ..Wishes::default()
    });
    let author = Author::at(gateway.origin());
    let most = concurrency * micros(lasts) / micros(gateway.latency().max(Duration::from_millis(1))) + concurrency;
    let requests: Requests = (0..most).map(|serial| author.post(serial, "Paid")).collect();
    let known = Round::closed(house.public, 64, Duration::from_mins(1)).drive(&requests);
    assert_eq!(known.taken, most, "every payment is known");
    gateway.let_in(lasts, || machine::cpu(house.pid()))
}

/// A Python that has the SDK.
fn sdk() -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-sdk");
    let python = home.join("bin/python");
    let installed = || Command::new(&python).args(["-c", "import paynow"]).output().is_ok_and(|o| o.status.success());
    if !installed() && machine::has("python3") {
        let _ = Command::new("python3").args(["-m", "venv"]).arg(&home).status();
        let _ = Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", SDK])
            .status();
    }
    if installed() {
        return Some(python);
    }
    println!("!!! SKIPPED: {SDK} could not be installed into a venv: nothing to compare a poll with");
    None
}
