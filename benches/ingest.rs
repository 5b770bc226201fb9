//! Goals 1, 2, 3 and 5: how many posts a second the daemon makes durable and how long one takes, beside a bare hyper
//! server that reads the body and answers 200, beside the least receiver that commits in groups (`bench/least.rs`), and
//! beside commits of one post each; on this disk and on slower ones.
//!
//! `cargo bench --bench ingest [-- --rounds 5 --round-ms 1000]`. The daemon, what it is compared with and the load are
//! processes of their own. Rounds are interleaved; each row is the one with the median ratio. Eight minutes. For a
//! profiler, `--connections 64` posts new payments over so many connections to this disk, and does nothing else.

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
use bench::{argument, child, least, machine, shop};

/// How many connections.
const CROWDS: [usize; 4] = [1, 16, 64, 256];

/// What is posted.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Payments nobody has heard of, paid: event, payment with its poll plan, and letter are written for each.
    New,
    /// What was posted before.
    Repeats,
    /// As in life: a payment is created, some time later paid, some time later said to be paid again.
    Mix,
}

fn main() {
    match child::role() {
        Some((role, _)) if role == "bare" => return child::be_bare(),
        Some((role, values)) if role == "least" => return least::be_least(&values),
        Some((role, values)) if role == "door" => return shop::be_a_door(&values),
        Some((role, _)) => panic!("no role {role}"),
        None => {}
    }
    let alone = usize::try_from(argument("connections", 0)).expect("a number of connections");
    let home = empty();
    machine::describe(home.path());
    let (_bare, bare) = child::bare_hyper();
    let mut bench = Bench {
        rounds: argument("rounds", 5),
        lasts: Duration::from_millis(argument("round-ms", 1000)),
        bare,
        pen: Pen { author: Author::at(bench::message::NOWHERE), next: 1 },
    };
    if alone > 0 {
        return bench.beside_the_ceilings(&[("as it is", Vec::new())], &[Kind::New], &[alone]);
    }
    let mut disks = vec![("as it is", Vec::new())];
    if let Some(library) = machine::slow_disk(home.path()) {
        disks.push(("+1 ms", machine::slowed(&library, Duration::from_millis(1))));
        disks.push(("+5 ms", machine::slowed(&library, Duration::from_millis(5))));
    }
    bench.beside_the_ceilings(&disks, &[Kind::New, Kind::Repeats, Kind::Mix], &CROWDS);
    bench.beside_commits_of_one(&disks);
    bench.at_a_steady_pace(&disks);
}

/// A disk, by its name and by what the environment must hold to have it.
type Disk = (&'static str, Vec<(&'static str, String)>);

/// What every part needs.
struct Bench {
    rounds: u64,
    lasts: Duration,
    bare: SocketAddr,
    pen: Pen,
}

impl Bench {
    /// Goals 1 and 2. Other posts than new ones are put to the first disk only.
    fn beside_the_ceilings(&mut self, disks: &[Disk], kinds: &[Kind], crowds: &[usize]) {
        let columns = [
            "disk    ",
            "posts  ",
            "connections",
            "bare/s ",
            "durable/s",
            "ratio",
            "the least's",
            "p50 ms",
            "p99 ms",
            "CPU µs",
        ];
        let table =
            Table::new("Goals 1 and 2: durable posts ÷ bare hyper, and what the least receiver has of it", &columns);
        for (at, (disk, environment)) in disks.iter().enumerate() {
            let daemon = House::start(Wishes { environment: environment.clone(), ..Wishes::default() });
            let shed = empty();
            let (_least, least) = least::receiver(shed.path(), environment);
            let kinds = if at == 0 { kinds } else { &[Kind::New] };
            for (kind, connections) in kinds.iter().flat_map(|kind| crowds.iter().map(|crowd| (*kind, *crowd))) {
                let (mut spent, mut taken, mut leasts) = (Duration::ZERO, 0, Vec::new());
                let pairs: Vec<_> = (0..self.rounds)
                    .map(|_| {
                        let requests = self.pen.write(kind, daemon.public, most(connections, self.lasts));
                        let closed = |server| Round::closed(server, connections, self.lasts);
                        let ceiling = closed(self.bare).again().drive(&requests);
                        if matches!(kind, Kind::New) {
                            let possible = all_taken(closed(least).drive(&requests));
                            leasts.push(Ratio::of(possible.rate(), ceiling.rate()));
                        }
                        let before = machine::cpu(daemon.pid());
                        let kept = closed(daemon.public);
                        let kept = if matches!(kind, Kind::Repeats) { kept.again() } else { kept };
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
                    &if leasts.is_empty() { "-".to_owned() } else { median(&leasts).to_string() },
                    &millis(kept.p50()),
                    &millis(kept.p99()),
                    &(micros(spent) / taken.max(1)),
                ]);
            }
        }
    }

    /// Goal 3.
    fn beside_commits_of_one(&mut self, disks: &[Disk]) {
        let table = Table::new(
            "Goal 3: groups ÷ commits of one post each, 64 connections, the same code in one process each",
            &["disk    ", "one each/s", "groups/s", "ratio"],
        );
        for (disk, environment) in disks {
            let (alone, together) = (empty(), empty());
            let (_alone, one) = shop::door(alone.path(), 1, environment);
            let (_together, many) = shop::door(together.path(), 4096, environment);
            let pairs: Vec<_> = (0..self.rounds)
                .map(|_| {
                    let requests = self.pen.write(Kind::New, many, most(64, self.lasts));
                    let single = all_taken(Round::closed(one, 64, self.lasts).drive(&requests));
                    (single, all_taken(Round::closed(many, 64, self.lasts).drive(&requests)))
                })
                .collect();
            let (single, group) = middle(pairs);
            table.row(&[disk, &single.rate(), &group.rate(), &Ratio::of(group.rate(), single.rate())]);
        }
    }

    /// Goal 5.
    fn at_a_steady_pace(&mut self, disks: &[Disk]) {
        let table = Table::new(
            "Goal 5: p99 ÷ bare hyper's, 1,000 new posts a second over 64 connections",
            &["disk    ", "bare p50 ms", "bare p99 ms", "durable p50 ms", "durable p99 ms", "ratio of p99"],
        );
        for (disk, environment) in disks {
            let daemon = House::start(Wishes { environment: environment.clone(), ..Wishes::default() });
            // Three times as long: at this pace a hundredth of a round should be more than a few posts.
            let lasts = self.lasts * 3;
            let pairs: Vec<_> = (0..self.rounds)
                .map(|_| {
                    let count = usize::try_from(lasts.as_millis()).unwrap_or(3000);
                    let requests = self.pen.write(Kind::New, daemon.public, count);
                    let ceiling = Round::open(self.bare, 64, lasts, 1000).drive(&requests);
                    (ceiling, all_taken(Round::open(daemon.public, 64, lasts, 1000).drive(&requests)))
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
