//! The gate that noise cannot reach: how many instructions it takes to prove a post, and to apply it in a group of 64,
//! counted by valgrind and compared with `benches/instructions.toml`.
//!
//! `cargo bench --bench instructions` fails at more than 1.15 × the recorded count; `-- --record` records anew. Half a
//! minute. Without valgrind it says so and measures nothing.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench ends when something is wrong, and prints"
)]

mod bench;

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use bench::house::empty;
use bench::message::{Author, NOWHERE};
use bench::numbers::{Ratio, Table};
use bench::{child, flag, machine, shop};
use paynowd::ledger::Admission;
use paynowd::protocol::Post;

/// What was counted last: per operation.
const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.toml");

/// What is counted, and what it cannot be counted without.
const OPERATIONS: [(&str, &str); 2] = [("verify", "write"), ("apply", "verify")];

/// How often each is done in the shorter and in the longer run. The difference knows nothing of what starting and
/// ending cost.
const TIMES: (u64, u64) = (8 * GROUP, 40 * GROUP);

/// How many posts share a commit.
const GROUP: u64 = 64;

/// How much more than recorded is too much, in hundredths.
const TOO_MUCH: u64 = 115;

fn main() -> ExitCode {
    match child::role() {
        Some((role, times)) => work(&role, number(&times[0])),
        None if machine::has("valgrind") => return compare(),
        None => println!("!!! SKIPPED: valgrind is not here: instructions were not counted"),
    }
    ExitCode::SUCCESS
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

fn compare() -> ExitCode {
    let recorded = fs::read_to_string(RECORD).unwrap_or_default();
    let mut written = String::from(
        "# Instructions per operation in the release build, on x86-64. Recorded by:\n\
         #   cargo bench --bench instructions -- --record\n",
    );
    let table = Table::new("Instructions per post", &["operation", "recorded", "now    ", "ratio"]);
    let mut code = ExitCode::SUCCESS;
    for (operation, without) in OPERATIONS {
        let now = count(operation).saturating_sub(count(without));
        writeln!(written, "{operation} = {now}").expect("room for a line");
        let line = recorded.lines().find_map(|line| line.strip_prefix(operation)?.trim().strip_prefix('='));
        let Some(before) = line.and_then(|value| value.trim().parse::<u64>().ok()) else {
            table.row(&[&operation, &"-", &now, &"-"]);
            continue;
        };
        table.row(&[&operation, &before, &now, &Ratio::of(now, before)]);
        if now * 100 > before * TOO_MUCH && !flag("record") {
            println!("FAILED: {operation} takes more than 1.15 times the instructions recorded in {RECORD}");
            code = ExitCode::FAILURE;
        }
    }
    if flag("record") {
        fs::write(RECORD, written).expect("the record can be written");
    }
    code
}

/// How many instructions `role` takes each time.
fn count(role: &str) -> u64 {
    let (shorter, longer) = TIMES;
    // The fewer of two runs, as threads may split a group.
    let fewer = |times| run(role, times).min(run(role, times));
    (fewer(longer) - fewer(shorter)) / (longer - shorter)
}

/// How many instructions the whole process takes that plays `role`.
fn run(role: &str, times: u64) -> u64 {
    let program = child::command(role, &[times.to_string()]);
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(program.get_program())
        .args(program.get_args())
        .stdin(Stdio::null())
        .output()
        .expect("valgrind runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{role} fails under valgrind:\n{said}");
    let line = said.lines().find_map(|line| line.split_once("refs:"));
    number(&line.unwrap_or_else(|| panic!("valgrind counted nothing:\n{said}")).1.trim().replace(',', ""))
}

/// Plays a role: posts about new payments are written, proven if the role is more than that, and applied 64 at once if
/// it is that.
fn work(role: &str, times: u64) {
    let home = empty();
    let (author, integration) = (Author::at(NOWHERE), shop::integration(&["owner@shop.example"]));
    let ledger = (role == "apply").then(|| Arc::new(shop::ledger(home.path(), 4096)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut applied = tokio::task::JoinSet::new();
        for serial in 0..times {
            let body = author.update(serial, "Paid");
            if role == "write" {
                std::hint::black_box(body);
                continue;
            }
            let post = Post { body: body.as_bytes(), signatures: &[] };
            let seen = integration.gateway.read_post(&post, shop::now()).expect("genuine");
            if let Some(ledger) = ledger.clone() {
                let terms = Arc::clone(&integration.terms);
                applied.spawn(async move { ledger.record(seen, None, terms, Admission::Wait).await.expect("stored") });
            } else {
                std::hint::black_box(seen);
            }
            if (serial + 1) % GROUP == 0 {
                while applied.join_next().await.is_some() {}
            }
        }
    });
}
