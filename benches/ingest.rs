//! Goals 1, 2, 3 and 5: how many posts a second the daemon makes durable and how long one takes, beside a bare hyper
//! server that reads the body and answers 200, and beside commits of one post each; on this disk and on slower ones.
//!
//! `cargo bench --bench ingest [-- --rounds 3 --round-ms 1000]`. The daemon, the bare server and the load are three
//! processes. Rounds are interleaved; each row is the one with the median ratio. About four minutes. For a profiler,
//! `--connections 64` posts new payments over so many connections to this disk, and does nothing else.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench ends when something is wrong, and prints"
)]

mod bench;

use std::net::SocketAddr;
use std::time::Duration;

use bench::house::{House, Wishes, empty};
use bench::load::{Measured, Requests, Round};
use bench::message::Author;
use bench::numbers::{Ratio, Table, median, micros, millis};
use bench::{argument, child, machine, shop};

/// How many connections.
const CROWDS: [usize; 4] = [1, 16, 64, 256];

/// What is posted.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Payments nobody has heard of, paid: event, payment, poll and letter are written for each.
    New,
    /// What was posted before.
    Repeats,
    /// As in life: a payment is created, some time later paid, some time later said to be paid again.
    Mix,
}

fn main() {
    match child::role() {
        Some((role, _)) if role == "bare" => return child::be_bare(),
        Some((role, values)) if role == "door" => return shop::be_a_door(&values),
        Some((role, _)) => panic!("no role {role}"),
        None => {}
    }
    let (rounds, lasts) = (argument("rounds", 3), Duration::from_millis(argument("round-ms", 1000)));
    let alone = usize::try_from(argument("connections", 0)).expect("a number of connections");
    let home = empty();
    machine::describe(home.path());
    let (_bare, bare) = child::bare_hyper();
    let mut disks = vec![("as it is", Vec::new())];
    if alone == 0
        && let Some(library) = machine::slow_disk(home.path())
    {
        disks.push(("+1 ms", machine::slowed(&library, Duration::from_millis(1))));
        disks.push(("+5 ms", machine::slowed(&library, Duration::from_millis(5))));
    }
    let mut pen = Pen { author: Author::at(bench::message::NOWHERE), next: 1 };

    let table = Table::new(
        "Goals 1 and 2: durable posts ÷ bare hyper",
        &["disk    ", "posts  ", "connections", "bare/s ", "durable/s", "ratio", "p50 ms", "p99 ms", "CPU µs"],
    );
    for (disk, environment) in &disks {
        let daemon = House::start(Wishes { environment: environment.clone(), ..Wishes::default() });
        let kinds: &[Kind] =
            if environment.is_empty() && alone == 0 { &[Kind::New, Kind::Repeats, Kind::Mix] } else { &[Kind::New] };
        let crowds = if alone == 0 { CROWDS.to_vec() } else { vec![alone] };
        for (kind, connections) in kinds.iter().flat_map(|kind| crowds.iter().map(|crowd| (*kind, *crowd))) {
            let (mut spent, mut taken) = (Duration::ZERO, 0);
            let pairs: Vec<_> = (0..rounds)
                .map(|_| {
                    let requests = pen.write(kind, daemon.public, most(connections, lasts));
                    let ceiling = Round::closed(bare, connections, lasts).again().drive(&requests);
                    let kept = Round::closed(daemon.public, connections, lasts);
                    let kept = if matches!(kind, Kind::Repeats) { kept.again() } else { kept };
                    let before = machine::cpu(daemon.pid());
                    let kept = all_taken(kept.drive(&requests));
                    spent += machine::cpu(daemon.pid()).saturating_sub(before);
                    taken += kept.taken;
                    (ceiling, kept)
                })
                .collect();
            let (ceiling, kept) = middle(pairs);
            table.row(&[
                disk,
                &format!("{kind:?}").to_lowercase(),
                &connections,
                &ceiling.rate(),
                &kept.rate(),
                &Ratio::of(kept.rate(), ceiling.rate()),
                &millis(kept.p50()),
                &millis(kept.p99()),
                &(micros(spent) / taken.max(1)),
            ]);
        }
    }

    if alone > 0 {
        return;
    }
    let table = Table::new(
        "Goal 3: groups ÷ commits of one post each, 64 connections, the same code in one process each",
        &["disk    ", "one each/s", "groups/s", "ratio"],
    );
    for (disk, environment) in &disks {
        let (alone, together) = (empty(), empty());
        let (_alone, one) = shop::door(alone.path(), 1, environment);
        let (_together, many) = shop::door(together.path(), 4096, environment);
        let pairs: Vec<_> = (0..rounds)
            .map(|_| {
                let requests = pen.write(Kind::New, many, most(64, lasts));
                let single = all_taken(Round::closed(one, 64, lasts).drive(&requests));
                (single, all_taken(Round::closed(many, 64, lasts).drive(&requests)))
            })
            .collect();
        let (single, group) = middle(pairs);
        table.row(&[disk, &single.rate(), &group.rate(), &Ratio::of(group.rate(), single.rate())]);
    }

    let table = Table::new(
        "Goal 5: p99 ÷ bare hyper's, 1,000 new posts a second over 64 connections",
        &["disk    ", "bare p50 ms", "bare p99 ms", "durable p50 ms", "durable p99 ms", "ratio of p99"],
    );
    for (disk, environment) in &disks {
        let daemon = House::start(Wishes { environment: environment.clone(), ..Wishes::default() });
        let pairs: Vec<_> = (0..rounds)
            .map(|_| {
                // Three times as long: at this pace a hundredth of a round should be more than a few posts.
                let count = usize::try_from(lasts.as_millis() * 3).unwrap_or(3000);
                let requests = pen.write(Kind::New, daemon.public, count);
                let ceiling = Round::open(bare, 64, lasts * 3, 1000).drive(&requests);
                (ceiling, all_taken(Round::open(daemon.public, 64, lasts * 3, 1000).drive(&requests)))
            })
            .collect();
        let of = |time: fn(&Measured) -> Duration| {
            let (bare, kept): (Vec<_>, Vec<_>) = pairs.iter().map(|(bare, kept)| (time(bare), time(kept))).unzip();
            (median(&bare), median(&kept))
        };
        let ((bare_p50, kept_p50), (bare_p99, kept_p99)) = (of(Measured::p50), of(Measured::p99));
        let ratio = Ratio::of(micros(kept_p99), micros(bare_p99));
        table.row(&[disk, &millis(bare_p50), &millis(bare_p99), &millis(kept_p50), &millis(kept_p99), &ratio]);
    }
}

/// More requests than a round of this length can use up.
fn most(connections: usize, lasts: Duration) -> usize {
    let rate = if connections == 1 { 12_000 } else { 90_000 };
    rate * usize::try_from(lasts.as_millis()).unwrap_or(1000) / 1000
}

/// The pair with the median ratio.
fn middle(mut pairs: Vec<(Measured, Measured)>) -> (Measured, Measured) {
    pairs.sort_by_key(|(ceiling, kept)| Ratio::of(kept.rate(), ceiling.rate()));
    pairs.swap_remove(pairs.len() / 2)
}

/// Nothing may be refused within capacity.
fn all_taken(measured: Measured) -> Measured {
    assert_eq!((measured.refused, measured.closed), (0, 0), "the server refused posts or closed connections");
    measured
}

/// Writes requests; no payment twice, unless it is meant to be.
struct Pen {
    author: Author,
    next: u64,
}

impl Pen {
    fn write(&mut self, kind: Kind, server: SocketAddr, count: usize) -> Requests {
        let first = self.next;
        let last = first + count as u64;
        self.next = last;
        match kind {
            Kind::New => (first..last).map(|serial| self.author.post(serial, "Paid")).collect(),
            Kind::Repeats => {
                let requests: Requests = (first..first + 2000).map(|serial| self.author.post(serial, "Paid")).collect();
                Round::closed(server, 64, Duration::from_secs(30)).drive(&requests);
                requests
            }
            Kind::Mix => (0..count as u64)
                .map(|at| {
                    let serial = first + at / 3;
                    // Farther behind than posts can be on their way at once, so that each finds the one before it.
                    match at % 3 {
                        0 => self.author.post(serial, "Created"),
                        1 => self.author.post(serial.saturating_sub(300).max(first), "Paid"),
                        _ => self.author.post(serial.saturating_sub(600).max(first), "Paid"),
                    }
                })
                .collect(),
        }
    }
}
