//! What a run costs without gateway traffic, beside a sequential scan of the payment table.
//!
//! `cargo bench --bench reconcile` builds ledgers of 10,000, 100,000 and 1,000,000 payments through the library: each
//! payment posted, confirmed by poll and expected by the books, every hundredth underpaid. It then compares, applies
//! and reports, twice: the first run opens the findings and links every order, the second changes nothing. Absolute
//! figures belong to the machine; the ratio to a scan travels. Sizes may be given:
//! `cargo bench --bench reconcile -- 10000 100000`.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench ends when something is wrong, and prints")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use paynowd::domain::schedule::Bound;
use paynowd::domain::{
    Amount, Announce, Checked, Expectation, IntegrationName, Mode, PollSchedule, Reference, Status, Step, Terms,
    Timestamp,
};
use paynowd::ledger::{
    Admission, Booking, Conclusion, Filter, Ledger, LedgerSettings, OnConflict, QuarantineLimits, Reader, ReportOrder,
    Role, Run,
};
use paynowd::protocol::zimbabwe::{Fields, Rule, hash};
use paynowd::protocol::{Answer, Gateway, Integration, Integrations, Key, Keys, Post, Protocol, Setup};
use paynowd::reconciler::{Compared, NIGHTLY, RunSettings, SweepSettings, Wanted, compare};

const KEY: &str = "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977";
const SIZES: [u64; 3] = [10_000, 100_000, 1_000_000];
/// How many payments are built at once: as many as share a commit.
const AT_ONCE: u64 = 128;
/// How often each thing is measured; the fastest counts.
const ROUNDS: usize = 3;

fn main() {
    let given: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if given.is_empty() { SIZES.to_vec() } else { given };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    println!(
        " payments   scan ms   listed ms   first run ms   ratio   next run ms   ratio   run's memory MiB   opened"
    );
    for payments in sizes {
        let home = std::env::temp_dir().join(format!("paynowd-bench-{}-{payments}", std::process::id()));
        fs::create_dir_all(&home).expect("a directory for the ledger");
        runtime.block_on(measure(&home, payments));
        let _ = fs::remove_dir_all(&home);
    }
}

async fn measure(home: &Path, payments: u64) {
    let path = home.join("paynowd.db");
    let (ledger, integrations) = build(&path, payments).await;
    let scan = fastest(|| scan(&path, payments));
    let listed = fastest(|| list(ledger.reader(), payments));
    let before = memory("VmRSS:");
    let _ = fs::write("/proc/self/clear_refs", "5");
    let (first, opened) = run(&ledger, &integrations).await;
    let mut next = Duration::MAX;
    for _ in 0..ROUNDS {
        let (time, opened) = run(&ledger, &integrations).await;
        assert_eq!(opened, 0, "a second run changes nothing");
        next = next.min(time);
    }
    let used = memory("VmHWM:").saturating_sub(before);
    println!(
        "{payments:>9}   {:>7}   {:>9}   {:>12}   {:>5}   {:>11}   {:>5}   {:>16}   {opened:>6}",
        millis(scan),
        millis(listed),
        millis(first),
        ratio(first, scan),
        millis(next),
        ratio(next, scan),
        used >> 10,
    );
    ledger.close();
}

fn fastest(mut work: impl FnMut() -> Duration) -> Duration {
    (0..ROUNDS).map(|_| work()).min().unwrap_or_default()
}

fn millis(time: Duration) -> String {
    format!("{}.{}", time.as_micros() / 1000, time.as_micros() % 1000 / 100)
}

fn ratio(time: Duration, scan: Duration) -> String {
    let tenths = time.as_micros() * 10 / scan.as_micros().max(1);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// A line of this process's status, in KiB.
fn memory(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|text| text.strip_prefix(line));
    found.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Every column of every payment, in the order of the table.
fn scan(path: &Path, payments: u64) -> Duration {
    let file =
        rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a ledger");
    let started = Instant::now();
    let mut statement = file.prepare("SELECT * FROM payment").expect("a statement");
    let columns = statement.column_count();
    let mut rows = statement.query([]).expect("rows");
    let mut seen = 0;
    while let Some(row) = rows.next().expect("a row") {
        for column in 0..columns {
            std::hint::black_box(row.get_ref(column).expect("a value"));
        }
        seen += 1;
    }
    assert_eq!(seen, payments);
    started.elapsed()
}

/// Every payment, as `payments list` reads it.
fn list(reader: &Reader, payments: u64) -> Duration {
    let started = Instant::now();
    let mut seen = 0;
    let each = |payment| {
        std::hint::black_box(payment);
        seen += 1;
        true
    };
    reader.payments(&Filter::default(), each).expect("the payments");
    assert_eq!(seen, payments);
    started.elapsed()
}

/// One run without its gateway's leg. Returns how long it took and how many findings it opened.
async fn run(ledger: &Ledger, integrations: &Integrations) -> (Duration, usize) {
    let sweep = SweepSettings { slice: 1, stalled: Duration::ZERO, within: Duration::ZERO };
    let settings = RunSettings {
        zone: chrono_tz::Africa::Harare,
        look_back: Duration::from_hours(7 * 24),
        escrow_after: Duration::from_hours(7 * 24),
        report_to: Vec::new(),
        sweep,
    };
    let started = Instant::now();
    let Compared { days, changes, .. } =
        compare(ledger.reader(), integrations, &settings, &Wanted::default(), now()).expect("a comparison");
    let opened = changes.opening().count();
    let names = integrations.all().into_iter().map(|shop| (shop.name.clone(), shop.terms.mode)).collect();
    let order = ReportOrder {
        days,
        integrations: names,
        checked: Checked::default(),
        recipients: vec!["owner@shop.example".into()],
        nightly: NIGHTLY,
    };
    let apart = ledger.reader().apart().expect("another connection");
    let report = Some(apart.count_report(order, now()).await.expect("a report"));
    let run = Run { name: NIGHTLY, started: now(), summary: String::new() };
    ledger.conclude(Conclusion { run, changes, report }, now()).await.expect("it is applied");
    (started.elapsed(), opened)
}

fn now() -> Timestamp {
    Timestamp::from_timestamp(1_790_000_000, 0).expect("an instant")
}

/// A ledger of so many payments of the last days, each posted, confirmed and expected.
async fn build(path: &Path, payments: u64) -> (Ledger, Integrations) {
    let quarantine = QuarantineLimits::default();
    let settings = LedgerSettings { path: PathBuf::from(path), queue: 1024, quarantine };
    let ledger = Arc::new(Ledger::open(&settings, Role::Daemon).expect("a ledger"));
    let name = IntegrationName::parse("shop").expect("a name");
    let gateway: Arc<dyn Gateway> = Arc::from(Protocol::Zimbabwe.gateway(Setup {
        integration: name.clone(),
        id: None,
        keys: Keys::new(Key::guid(KEY).expect("a key"), Vec::new()),
        origin: Protocol::Zimbabwe.default_origin().parse().expect("an origin"),
        max_fields: 64,
        api_key: None,
    }));
    let terms = Arc::new(terms());
    let mut serial = 0;
    while serial < payments {
        let mut group = tokio::task::JoinSet::new();
        for one in serial..payments.min(serial + AT_ONCE) {
            let (ledger, gateway, terms) = (Arc::clone(&ledger), Arc::clone(&gateway), Arc::clone(&terms));
            group.spawn(async move { begin(&ledger, gateway.as_ref(), &terms, one).await });
        }
        group.join_all().await;
        serial += AT_ONCE;
    }
    let integrations = Integrations::new([Integration { name, gateway, terms }]);
    (Arc::into_inner(ledger).expect("nobody holds it any more"), integrations)
}

async fn begin(ledger: &Ledger, gateway: &dyn Gateway, terms: &Arc<Terms>, serial: u64) {
    let seconds = i64::try_from(serial % 500_000).expect("a few days");
    let then = now() - Duration::from_hours(6 * 24) + chrono::TimeDelta::seconds(seconds);
    let mixed = serial.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let guid = format!("{:08x}-{:04x}-4000-8000-{serial:012x}", mixed >> 32, mixed >> 16 & 0xffff);
    let fields = Fields::from_pairs([
        ("reference", format!("INV-{serial}")),
        ("paynowreference", format!("{}", 30_000_000 + serial)),
        ("amount", "25.00".to_owned()),
        ("status", "Paid".to_owned()),
        ("pollurl", format!("https://www.paynow.co.zw/Interface/CheckPayment/?guid={guid}")),
    ]);
    let body = hash::sign(fields, "hash", Rule::Values, &Key::guid(KEY).expect("a key")).encode().into_bytes();
    let post = gateway.read_post(&Post { body: &body, signatures: &[] }, then).expect("a genuine post");
    ledger.record(post, None, Arc::clone(terms), Admission::Wait).await.expect("it is recorded");
    let known = ledger.reader().stories(&guid, None).expect("a story").remove(0).known.payment;
    let answer = Answer { status: 200, body: &body, asked: then };
    let answer = gateway.read_answer(&known, &answer, then).expect("a genuine answer");
    ledger.record(answer, None, Arc::clone(terms), Admission::Wait).await.expect("it is recorded");
    let cost: Amount = if serial.is_multiple_of(100) { "26.00" } else { "25.00" }.parse().expect("an amount");
    let expected = Expectation {
        integration: known.integration,
        reference: Reference::parse(&format!("INV-{serial}")).expect("a reference"),
        amount: cost,
        currency: terms.currency,
        mode: terms.mode,
        created: then,
        due: None,
        poll_url: None,
        trace: None,
    };
    ledger.expect(Booking::new(expected, Arc::clone(terms), OnConflict::Keep), then).await.expect("it is expected");
}

fn terms() -> Terms {
    Terms {
        currency: "USD".parse().expect("a currency"),
        mode: Mode::Live,
        announce: Announce::Confirmed,
        announce_after: Duration::from_mins(15),
        tolerance: Amount::ZERO,
        notify_on: vec![Status::Paid],
        recipients: Vec::new(),
        confirmable: true,
        schedule: Arc::new(PollSchedule {
            confirm: vec![Duration::ZERO],
            pending: vec![Step { every: Duration::from_hours(1), bound: Bound::Times(24) }],
            held: vec![Step { every: Duration::from_hours(6), bound: Bound::Times(24) }],
            gap: Duration::from_secs(5),
        }),
    }
}
