//! Goals 7 to 10: what grows when the ledger grows. Builds ledgers through the ledger's own door, with random keys as
//! in life, and measures each beside a small one in interleaved rounds, with the file in memory and dropped from it.
//!
//! `cargo bench --bench growth [-- --from 100_000 --to 1_000_000 --rounds 5 --round-ms 1000]` measures at `--from`
//! events and every ten-fold of that up to `--to`. To a million five minutes; ten million take a quarter of an hour,
//! and 7 GB of disk.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench ends when something is wrong, and prints"
)]

mod bench;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::house::{House, Wishes, empty};
use bench::load::{Requests, Round};
use bench::message::{Author, NOWHERE, guid, mixed};
use bench::numbers::{Ratio, Table, median, micros, millis, per_second};
use bench::{argument, machine, shop};
use paynowd::domain::{Payment, Posted, Status, Timestamp, Trust};
use paynowd::ledger::{Admission, Filter, Ledger, Reader};
use paynowd::protocol::{Answer, Integration, Post};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// How many events the small ledger has.
const SMALL: u64 = 50_000;

/// How many payments are on the schedule of even the smallest ledger. Of the others, one in a thousand is.
const SCHEDULED: u64 = 1000;

/// How many payments are being built at once.
const AT_ONCE: usize = 2048;

/// How far apart in time payments are built: ten million of them lie in two and a half years.
const APART: Duration = Duration::from_secs(8);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (small, large) = (Grown::new(), Grown::new());
    machine::describe(small.home.path());
    let (mut size, last) = (argument("from", 100_000), argument("to", 1_000_000));
    let (mut small, mut large) = (small.to(&runtime, SMALL.min(size / 2)), large);
    while size <= last {
        large = large.to(&runtime, size);
        (small, large) = measure(&runtime, small, large);
        size *= 10;
    }
}

/// A ledger that has grown so far.
struct Grown {
    home: TempDir,
    /// How many payments were built in it.
    payments: u64,
    events: u64,
    /// The number of the next payment posted to it from outside.
    next: u64,
}

impl Grown {
    fn new() -> Self {
        Self { home: empty(), payments: 0, events: 0, next: 1 << 40 }
    }

    fn path(&self) -> std::path::PathBuf {
        self.home.path().join("paynowd.db")
    }

    /// Builds on until there are so many events: each payment is posted as paid and confirmed when asked about, but for
    /// those that stay on the schedule.
    fn to(mut self, runtime: &Runtime, events: u64) -> Self {
        let start = Instant::now();
        let (before, first) = (self.events, self.payments);
        let ledger = Arc::new(shop::ledger(self.home.path(), AT_ONCE));
        let integration = Arc::new(shop::integration(&[]));
        let (author, now) = (Author::at(NOWHERE), shop::now());
        runtime.block_on(async {
            let mut open = JoinSet::new();
            while self.events < events {
                let serial = self.payments;
                self.payments += 1;
                let stays = serial < SCHEDULED || serial.is_multiple_of(1000);
                self.events += if stays { 1 } else { 2 };
                // What stays on the schedule is due in an hour, so that no daemon asks about it meanwhile.
                let at = if stays { now } else { seen_at(now, serial) };
                let bodies = [author.update(serial, if stays { "Created" } else { "Paid" })]
                    .into_iter()
                    .chain((!stays).then(|| author.update(serial, "Paid")))
                    .collect();
                open.spawn(live(Arc::clone(&ledger), Arc::clone(&integration), bodies, at));
                if open.len() >= AT_ONCE {
                    open.join_next().await.expect("a payment").expect("its end");
                }
            }
            open.join_all().await;
        });
        Arc::into_inner(ledger).expect("nobody else").close();
        let built = per_second(self.events - before, start.elapsed());
        println!(
            "built {} payments in {} s: {built} events a second",
            self.payments - first,
            start.elapsed().as_secs()
        );
        self
    }

    /// A daemon over it.
    fn open(self) -> (House, Trace) {
        let Self { home, payments, events, next } = self;
        (House::start(Wishes { home: Some(home), ..Wishes::default() }), Trace { payments, events, next })
    }
}

/// What is known of a ledger while a daemon has it.
struct Trace {
    payments: u64,
    events: u64,
    next: u64,
}

impl Trace {
    fn back(self, house: House) -> Grown {
        Grown { home: house.stop(), payments: self.payments, events: self.events, next: self.next }
    }

    fn requests(&mut self, author: &Author, count: u64) -> Requests {
        let first = self.next;
        self.next += count;
        (first..self.next).map(|serial| author.post(serial, "Paid")).collect()
    }
}

fn seen_at(now: Timestamp, serial: u64) -> Timestamp {
    let began = now - APART * 10_000_000;
    began + APART * u32::try_from(serial % 10_000_000).unwrap_or_default()
}

/// The life of one payment: posted, then confirmed by the gateway if there is a second message.
async fn live(ledger: Arc<Ledger>, integration: Arc<Integration>, bodies: Vec<String>, at: Timestamp) {
    let mut bodies = bodies.iter();
    let post = bodies.next().expect("a post").as_bytes();
    let seen = integration.gateway.read_post(&Post { body: post, signatures: &[] }, at).expect("genuine");
    let payment = opened(&integration, seen.value(), at);
    let terms = || Arc::clone(&integration.terms);
    ledger.record(seen, None, terms(), Admission::Wait).await.expect("stored");
    if let Some(answer) = bodies.next() {
        let asked = at + Duration::from_secs(1);
        let answer = Answer { status: 200, body: answer.as_bytes(), asked };
        let seen = integration.gateway.read_answer(&payment, &answer, asked).expect("genuine");
        ledger.record(seen, None, terms(), Admission::Wait).await.expect("stored");
    }
}

/// The payment as its first message leaves it: whom the gateway is asked about.
fn opened(integration: &Integration, seen: &paynowd::domain::Observation, at: Timestamp) -> Payment {
    Payment {
        integration: integration.name.clone(),
        key: seen.key.clone(),
        facts: seen.facts.clone(),
        currency: integration.terms.currency,
        mode: integration.terms.mode,
        status: seen.status,
        wire_status: seen.wire_status.clone(),
        trust: Trust::Reported,
        poll_url: seen.poll_url.clone(),
        posted: Posted::Current,
        paid_at: None,
        first_seen: at,
        last_changed: at,
    }
}

/// Everything that is measured at one size.
fn measure(runtime: &Runtime, small: Grown, large: Grown) -> (Grown, Grown) {
    println!("\n# {} payments, {} events", large.payments, large.events);
    let bytes = std::fs::metadata(large.path()).expect("the ledger").len();
    println!("\nGoal 10: {} bytes per event", bytes / stored(&large.path()));
    read(runtime, &small, &large);
    let (small, large) = start(small, large);
    post(small, large)
}

/// How many events a ledger has: those that were built, and those that were posted to it since.
fn stored(ledger: &Path) -> u64 {
    let file = rusqlite::Connection::open(ledger).expect("a ledger");
    let events: i64 = file.query_row("SELECT count(*) FROM event", [], |row| row.get(0)).expect("a number");
    events.try_into().expect("a count")
}

/// Goal 9, and looking things up: straight through the reader, as commands do.
fn read(runtime: &Runtime, small: &Grown, large: &Grown) {
    remember(&large.path());
    let table = Table::new(
        "Goal 9 and looking up, µs, medians",
        &["what                              ", "rows", "small", "large", "ratio", "large, cold"],
    );
    for (name, look) in looks(large.payments) {
        let few = Reader::open(&small.path()).expect("a ledger");
        let many = Reader::open(&large.path()).expect("a ledger");
        // Once, and longer if it takes its time, is enough to know that it does not stay flat.
        let (_, first) = timed(|| look(runtime, &many));
        let times = if first > Duration::from_millis(200) { 1 } else { 15 };
        let pairs: Vec<_> = (0..times)
            .map(|_| (timed(|| look(runtime, &few)).1, timed(|| look(runtime, &many)).1))
            .map(|(few, many)| (micros(few), micros(many)))
            .collect();
        let (few, many): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let (few, many) = (median(&few), median(&many));
        forget(&large.path());
        let again = Reader::open(&large.path()).expect("a ledger");
        let (rows, cold) = timed(|| look(runtime, &again));
        table.row(&[&format!("{name:<34}"), &rows, &few, &many, &Ratio::of(many, few), &micros(cold)]);
        remember(&large.path());
    }
}

/// A question to the ledger; says how many rows answered it.
type Look = Box<dyn Fn(&Runtime, &Reader) -> usize>;

fn looks(payments: u64) -> Vec<(&'static str, Look)> {
    let now = shop::now();
    let middle = SCHEDULED / 2 + mixed(payments) % payments.saturating_sub(SCHEDULED).max(1) / 2;
    let list = |filter: Filter| -> Look {
        Box::new(move |_, reader| {
            let mut rows = 0;
            let count = |_| {
                rows += 1;
                true
            };
            reader.payments(&filter, count).expect("a list");
            rows
        })
    };
    let first = |filter: Filter| list(Filter { limit: Some(50), ..filter });
    let status = |status| first(Filter { statuses: vec![status], ..Filter::default() });
    let show =
        |name: String| -> Look { Box::new(move |_, reader| reader.stories(&name, None).expect("stories").len()) };
    let due = move |limit: usize| -> Look {
        Box::new(move |runtime, reader| {
            let later = now + Duration::from_hours(2);
            let due = reader.due_questions(vec!["shop".to_owned()], later, limit);
            runtime.block_on(due).expect("what is due").0.len()
        })
    };
    let hour_ago = seen_at(now, payments % 10_000_000) - Duration::from_hours(1);
    vec![
        ("100 due polls", due(100)),
        ("list --limit 50", first(Filter::default())),
        ("list --integration --limit 50", first(Filter { integration: Some("shop".into()), ..Filter::default() })),
        ("list --status paid --limit 50", status(Status::Paid)),
        ("list --status created --limit 50", status(Status::Created)),
        ("list --status disputed --limit 50", status(Status::Disputed)),
        ("list --trust reported --limit 50", first(Filter { trust: Some(Trust::Reported), ..Filter::default() })),
        ("list --reference", list(Filter { reference: Some(format!("INV-{middle}")), ..Filter::default() })),
        (
            "list --since --until, an hour",
            list(Filter {
                since: Some(hour_ago),
                until: Some(hour_ago + Duration::from_hours(1)),
                ..Filter::default()
            }),
        ),
        (
            "list --until long ago --limit 50",
            first(Filter { until: Some(seen_at(now, SCHEDULED + 60)), ..Filter::default() }),
        ),
        ("show KEY", show(guid(middle))),
        ("show PAYNOW-REFERENCE", show(format!("{}", 30_000_000 + middle))),
        ("show REFERENCE", show(format!("INV-{middle}"))),
    ]
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed())
}

/// Has the system drop what it holds of the ledger in memory.
fn forget(ledger: &Path) {
    for suffix in ["", "-wal"] {
        let mut name = ledger.as_os_str().to_owned();
        name.push(suffix);
        if let Ok(file) = File::open(name) {
            file.sync_all().expect("a disk");
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("advice is taken");
        }
    }
}

/// Has the system hold all of the ledger in memory.
fn remember(ledger: &Path) {
    let mut file = File::open(ledger).expect("the ledger");
    std::io::copy(&mut file, &mut std::io::sink()).expect("it can be read");
}

/// Goal 7: from the start of the process to the first post answered.
fn start(mut small: Grown, mut large: Grown) -> (Grown, Grown) {
    let table = Table::new("Goal 7: start to first answer, ms", &["ledger     ", "ready", "first answer"]);
    let author = Author::at(NOWHERE);
    let first_answer = |grown: Grown| {
        let (house, mut trace) = grown.open();
        let request = trace.requests(&author, 1);
        let answered = Round::closed(house.public, 1, Duration::from_secs(9)).drive(&request);
        let ready = house.started_in;
        (trace.back(house), ready, ready + answered.lasted)
    };
    let mut times = [const { Vec::new() }; 3];
    remember(&large.path());
    for _ in 0..argument("rounds", 5) {
        let (ready, answered);
        (small, ready, answered) = first_answer(small);
        times[0].push((answered, ready));
        let (ready, answered);
        (large, ready, answered) = first_answer(large);
        times[1].push((answered, ready));
        forget(&large.path());
        let (ready, answered);
        (large, ready, answered) = first_answer(large);
        times[2].push((answered, ready));
        remember(&large.path());
    }
    for (name, times) in ["small", "large", "large, cold"].into_iter().zip(times) {
        let (answered, ready) = median(&times);
        table.row(&[&name, &millis(ready), &millis(answered)]);
    }
    (small, large)
}

/// Goal 8: posts a second over 64 connections.
fn post(small: Grown, large: Grown) -> (Grown, Grown) {
    let (rounds, lasts) = (argument("rounds", 5), Duration::from_millis(argument("round-ms", 1000)));
    let author = Author::at(NOWHERE);
    let table = Table::new(
        "Goal 8: posts a second over 64 connections",
        &["posts                ", "small", "large", "ratio", "large p99 ms"],
    );
    let ledger = large.path();
    forget(&ledger);
    let ((few, mut less), (many, mut more)) = (small.open(), large.open());
    let most = 90 * argument("round-ms", 1000);
    let row = |name: &str, rounds: u64, less: &mut dyn FnMut() -> Requests, more: &mut dyn FnMut() -> Requests| {
        let mut pairs: Vec<_> = (0..rounds)
            .map(|_| {
                let little = Round::closed(few.public, 64, lasts).drive(&less());
                (little, Round::closed(many.public, 64, lasts).drive(&more()))
            })
            .collect();
        pairs.sort_by_key(|(little, much)| Ratio::of(much.rate(), little.rate()));
        let (little, much) = &pairs[pairs.len() / 2];
        let ratio = Ratio::of(much.rate(), little.rate());
        table.row(&[&format!("{name:<21}"), &little.rate(), &much.rate(), &ratio, &millis(much.p99())]);
    };
    row("new, large cold", 1, &mut || less.requests(&author, most), &mut || more.requests(&author, most));
    remember(&ledger);
    row("new", rounds, &mut || less.requests(&author, most), &mut || more.requests(&author, most));
    let (mut one, mut other) = (Archive::of(&less), Archive::of(&more));
    row("about random old ones", rounds, &mut || one.requests(&author, most / 2), &mut || {
        other.requests(&author, most / 2)
    });
    (less.back(few), more.back(many))
}

/// Old payments in no order, each once, then each once more.
struct Archive {
    payments: u64,
    drawn: u64,
}

impl Archive {
    const fn of(trace: &Trace) -> Self {
        Self { payments: trace.payments, drawn: 0 }
    }

    fn requests(&mut self, author: &Author, count: u64) -> Requests {
        let first = self.drawn;
        self.drawn += count;
        let draw = |at: u64| {
            // A prime far apart from any number of payments, so that none comes twice before all came once.
            let serial = (at % self.payments) * 7_368_787 % self.payments;
            author.post(serial, if at < self.payments { "Disputed" } else { "Refunded" })
        };
        (first..self.drawn).map(draw).collect()
    }
}
