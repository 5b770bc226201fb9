//! Asking, with the real poller over loopback HTTP against the simulator, while the test keeps the clock: lost posts are
//! found by poll URL and by trace, what proves nothing is kept as that, and a night asks about everything once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should stop")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use paynowd::domain::schedule::Bound;
use paynowd::domain::{
    Announce, Checked, Expectation, IntegrationName, MerchantTrace, Mode, PollSchedule, PollUrl, Reference, Status,
    Step, Terms, Timestamp, Trust,
};
use paynowd::http::{Client, ClientLimits, Method, Request};
use paynowd::ledger::{
    Admission, Booking, Expected, Filter, Ledger, LedgerSettings, OnConflict, QuarantineLimits, Role, Story, Sweep,
};
use paynowd::protocol::zimbabwe::{Fields, Rule, hash};
use paynowd::protocol::{Integration, Integrations, Key, Keys, Post, Protocol, Setup, Verified};
use paynowd::reconciler::{Clock, Nightly, NightlySettings, Poller, PollerSettings, RunSettings, SweepSettings, sweep};
use paynowd::simulator::{Misbehaviour, Mischief, SimulatedPayment, Simulator, SimulatorSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

const KEY: &str = "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977";
const DEADLINE: Duration = Duration::from_secs(20);

/// A ledger, a poller at work on it, the gateway's twin, and the only hands on the clock.
struct House {
    gateway: Simulator,
    ledger: Arc<Ledger>,
    integrations: Arc<Integrations>,
    client: Client,
    clock: Clock,
    hands: Arc<AtomicI64>,
    beat: watch::Sender<()>,
    shutdown: CancellationToken,
    settings: LedgerSettings,
    _until_dropped: DropGuard,
    _home: tempfile::TempDir,
}

/// How a house differs from the usual one.
struct Plan {
    /// What the configuration has for the merchant's id; the gateway knows 1201.
    id: &'static str,
    /// Where the configuration has the gateway, unless that is the simulator.
    origin: Option<String>,
    concurrency: usize,
}

const USUAL: Plan = Plan { id: "1201", origin: None, concurrency: 4 };

impl House {
    async fn open(plan: Plan) -> Self {
        let gateway = Simulator::start(SimulatorSettings::new("1201", Key::guid(KEY).unwrap())).await.unwrap();
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("paynowd.db");
        let settings = LedgerSettings { path, queue: 64, quarantine: QuarantineLimits::default() };
        let ledger = Arc::new(Ledger::open(&settings, Role::Daemon).unwrap());
        let origin = plan.origin.unwrap_or_else(|| gateway.origin().to_owned());
        let integrations = Arc::new(Integrations::new([integration(plan.id, &origin)]));
        let hands = Arc::new(AtomicI64::new(start().timestamp_millis()));
        let shown = Arc::clone(&hands);
        let clock = Clock::new(move || Timestamp::from_timestamp_millis(shown.load(Ordering::SeqCst)).unwrap());
        let client = Client::new(ClientLimits::default()).unwrap();
        let poller = Poller::new(
            Arc::clone(&ledger),
            Arc::clone(&integrations),
            client.clone(),
            PollerSettings { concurrency: plan.concurrency },
            clock.clone(),
        );
        let (beat, heard) = watch::channel(());
        let shutdown = CancellationToken::new();
        tokio::spawn(poller.run(heard, shutdown.clone()));
        let guard = shutdown.clone().drop_guard();
        Self {
            gateway,
            ledger,
            integrations,
            client,
            clock,
            hands,
            beat,
            shutdown,
            settings,
            _until_dropped: guard,
            _home: home,
        }
    }

    fn shop(&self) -> Arc<Integration> {
        self.integrations.find("shop").unwrap()
    }

    /// Sets the clock forward and lets everyone look at it.
    fn later(&self, by: Duration) {
        self.hands.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
        self.beat.send_replace(());
    }

    async fn expect(&self, order: Expectation) -> Expected {
        let terms = Arc::clone(&self.shop().terms);
        self.ledger.expect(Booking::new(order, terms, OnConflict::Keep), self.clock.now()).await.unwrap()
    }

    /// The shop begins a payment at the gateway, as its SDK does. What the gateway answers.
    async fn initiate(&self, reference: &str, trace: &str) -> Vec<u8> {
        let fields = Fields::from_pairs([
            ("id", "1201"),
            ("reference", reference),
            ("amount", "25.00"),
            ("returnurl", "http://127.0.0.1:1/thanks"),
            ("resulturl", "http://127.0.0.1:1/paynow/shop"),
            ("merchanttrace", trace),
            ("status", "Message"),
        ]);
        let body = hash::sign(fields, "hash", Rule::Values, &Key::guid(KEY).unwrap()).encode();
        let uri = format!("{}/interface/initiatetransaction", self.gateway.origin()).parse().unwrap();
        let request = Request { method: Method::Post, uri, headers: Vec::new(), body: body.into() };
        self.client.send(request).await.unwrap().body.to_vec()
    }

    /// Begins and moves a payment of which only this first post arrives.
    async fn posted(&self, reference: &str, word: &str) -> SimulatedPayment {
        let payment = self.gateway.initiate(reference, "25.00", None);
        self.gateway.set_status(&payment.guid, word).unwrap();
        let body = self.gateway.status_update_body(&payment.guid, word).unwrap();
        let post = Post { body: body.as_bytes(), signatures: &[] };
        let seen: Verified<_> = self.shop().gateway.read_post(&post, self.clock.now()).unwrap();
        self.ledger.record(seen, None, Arc::clone(&self.shop().terms), Admission::Wait).await.unwrap();
        payment
    }

    fn story(&self, name: &str) -> Option<Story> {
        self.ledger.reader().stories(name, None).unwrap().pop()
    }

    /// Waits until the payment of this name stands so with the gateway's own word.
    async fn until_confirmed(&self, name: &str, status: Status) -> Story {
        let mut confirmed = None;
        until(async || {
            confirmed = self.story(name).filter(|story| {
                let payment = &story.known.payment;
                (payment.status, payment.trust) == (status, Trust::Confirmed)
            });
            confirmed.is_some()
        })
        .await;
        confirmed.unwrap()
    }

    /// Asks about everything, and about what became final within a week.
    async fn night(&self) -> Checked {
        self.night_on(&self.ledger).await
    }

    async fn night_on(&self, ledger: &Ledger) -> Checked {
        let began = self.clock.now();
        let what = Sweep {
            integration: shop(),
            began,
            final_since: began - Duration::from_hours(7 * 24),
            open_since: began - Duration::from_hours(90 * 24),
        };
        sweep(ledger, &self.clock, &what, PATIENT).await.unwrap()
    }
}

const PATIENT: SweepSettings = SweepSettings { slice: 8, stalled: DEADLINE, within: DEADLINE };

fn start() -> Timestamp {
    Timestamp::from_timestamp(1_790_000_000, 0).unwrap()
}

fn shop() -> IntegrationName {
    IntegrationName::parse("shop").unwrap()
}

fn integration(id: &str, origin: &str) -> Integration {
    let every = |seconds| Step { every: Duration::from_secs(seconds), bound: Bound::Times(3) };
    let gateway = Protocol::Zimbabwe.gateway(Setup {
        integration: shop(),
        id: Some(id.to_owned()),
        keys: Keys::new(Key::guid(KEY).unwrap(), Vec::new()),
        api_key: None,
        origin: origin.parse().unwrap(),
        max_fields: 64,
    });
    let terms = Terms {
        currency: "USD".parse().unwrap(),
        mode: Mode::Live,
        announce: Announce::Confirmed,
        announce_after: Duration::from_mins(15),
        tolerance: paynowd::domain::Amount::ZERO,
        notify_on: vec![],
        recipients: vec![],
        confirmable: true,
        schedule: Arc::new(PollSchedule {
            confirm: vec![Duration::ZERO],
            pending: vec![every(3600)],
            held: vec![every(3600)],
            gap: Duration::ZERO,
        }),
    };
    Integration { name: shop(), gateway: Arc::from(gateway), terms: Arc::new(terms) }
}

/// What the shop's books expect under this reference.
fn order(reference: &str, trace: Option<&str>) -> Expectation {
    Expectation {
        integration: shop(),
        reference: Reference::parse(reference).unwrap(),
        amount: "25.00".parse().unwrap(),
        currency: "USD".parse().unwrap(),
        mode: Mode::Live,
        created: start(),
        due: None,
        poll_url: None,
        trace: trace.map(|trace| MerchantTrace::parse(trace).unwrap()),
    }
}

/// Waits until it is so.
async fn until(mut so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !so().await {
        assert!(Instant::now() < end, "it never came to that");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A gateway that answers everything with this, one request a connection. Its origin.
async fn answering(body: impl FnOnce(&str) -> String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let body = body(&origin);
    let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut request, mut head) = ([0_u8; 4096], Vec::new());
            while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                let read = stream.read(&mut request).await.unwrap_or(0);
                if read == 0 {
                    break;
                }
                head.extend_from_slice(&request[..read]);
            }
            stream.write_all(reply.as_bytes()).await.ok();
        }
    });
    origin
}

fn one(code: &str) -> std::collections::BTreeMap<String, u64> {
    [(code.to_owned(), 1)].into()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_posts_are_all_lost_is_found_by_its_poll_url() {
    let house = House::open(USUAL).await;
    let payment = house.gateway.initiate("INV-1", "25.00", None);
    house.gateway.set_status(&payment.guid, "Paid").unwrap();
    let poll_url = PollUrl::stored(&payment.poll_url);
    assert_eq!(house.expect(Expectation { poll_url, ..order("INV-1", None) }).await, Expected::New);
    let story = house.until_confirmed("INV-1", Status::Paid).await;
    assert_eq!(story.known.payment.posted.code(), "never");
    assert_eq!(story.events.iter().map(|event| event.channel.as_str()).collect::<Vec<_>>(), ["import", "poll"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_posts_are_all_lost_is_found_by_its_trace() {
    let house = House::open(USUAL).await;
    house.initiate("INV-1", "T-1").await;
    assert_eq!(house.expect(order("INV-1", Some("T-1"))).await, Expected::New);
    let story = house.until_confirmed("INV-1", Status::Created).await;
    assert_eq!(story.known.payment.posted.code(), "never");
    assert_eq!((&*story.events[0].channel, &*story.events[0].evidence), ("trace", "sha512"));
    assert_eq!(house.gateway.polls(story.known.payment.key.as_str()), 0);
    // From here on it is polled like any other.
    house.gateway.set_status(story.known.payment.key.as_str(), "Paid").unwrap();
    house.later(Duration::from_hours(2));
    let story = house.until_confirmed("INV-1", Status::Paid).await;
    assert_eq!(story.known.payment.posted.code(), "never");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_answered_the_shop_proves_where_the_payment_is() {
    let house = House::open(USUAL).await;
    let answer = house.initiate("INV-1", "T-1").await;
    let begun = house.shop().gateway.read_begun(&answer).unwrap();
    let (terms, now) = (Arc::clone(&house.shop().terms), house.clock.now());
    let expected = house
        .ledger
        .expect(Booking::new(order("INV-1", None), terms, OnConflict::Keep).begun(begun), now)
        .await
        .unwrap();
    assert_eq!(expected, Expected::New);
    let story = house.until_confirmed("INV-1", Status::Created).await;
    assert_eq!((&*story.events[0].channel, &*story.events[0].evidence), ("import", "sha512"));
    let refused = house.initiate("INV-2", "T-1").await;
    let why = house.shop().gateway.read_begun(&refused).unwrap_err();
    assert_eq!(why.to_string(), "the gateway answered with an unsigned error: Duplicate merchanttrace");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_the_gateway_does_not_know_is_looked_for_every_night_until_it_does() {
    let house = House::open(USUAL).await;
    house.expect(order("INV-1", Some("T-1"))).await;
    // Beyond its schedule, too.
    for _ in 0..5 {
        let checked = house.night().await;
        assert_eq!(checked, Checked { traced: 1, ..Checked::default() }, "looked for, not found, nothing amiss");
        house.later(Duration::from_hours(24));
    }
    assert!(house.story("INV-1").is_none(), "NotFound is no state");
    house.initiate("INV-1", "T-1").await;
    let checked = house.night().await;
    assert_eq!((checked.traced, checked.found), (1, 1));
    house.until_confirmed("INV-1", Status::Created).await;
    let checked = house.night().await;
    assert_eq!((checked.payments, checked.traced), (1, 0), "now it is a payment like any other");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_error_is_not_not_found() {
    let house = House::open(Plan { id: "1202", ..USUAL }).await;
    house.initiate("INV-1", "T-1").await;
    house.expect(order("INV-1", Some("T-1"))).await;
    let checked = house.night().await;
    assert_eq!(checked, Checked { traced: 1, unanswered: one("gateway-error"), ..Checked::default() });
    assert!(house.story("INV-1").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_answered_with_a_payment_of_another_place_is_refused() {
    let elsewhere = answering(|_| {
        let fields = Fields::from_pairs([
            ("reference", "INV-1"),
            ("paynowreference", "35216224"),
            ("amount", "25.00"),
            ("status", "Paid"),
            ("pollurl", "https://www.paynow.co.zw/Interface/CheckPayment/?guid=06f656ab-ed60-4a03-8373-a3321b4b3e68"),
        ]);
        hash::sign(fields, "hash", Rule::Values, &Key::guid(KEY).unwrap()).encode()
    })
    .await;
    let house = House::open(Plan { origin: Some(elsewhere), ..USUAL }).await;
    house.expect(order("INV-1", Some("T-1"))).await;
    let checked = house.night().await;
    assert_eq!(checked, Checked { traced: 1, unanswered: one("bad-field"), ..Checked::default() });
    assert!(house.story("INV-1").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_comes_by_post_ends_the_search_for_its_order() {
    let house = House::open(USUAL).await;
    house.expect(order("INV-1", Some("T-1"))).await;
    assert_eq!(house.night().await.traced, 1);
    house.posted("INV-1", "Paid").await;
    house.until_confirmed("INV-1", Status::Paid).await;
    house.later(Duration::from_hours(24));
    // Linked when its next trace comes due, which may be this night's.
    house.night().await;
    assert_eq!(house.night().await, Checked { payments: 1, answered: 1, ..Checked::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_asks_once_about_all_that_can_change_and_what_became_final_of_late() {
    let house = House::open(USUAL).await;
    let mut guids = Vec::new();
    for number in 0..40 {
        let word = ["Paid", "Awaiting Delivery", "Created", "Cancelled"][number % 4];
        guids.push(house.posted(&format!("INV-{number}"), word).await.guid);
    }
    let settled = ["paid", "cancelled", "awaiting-delivery"];
    until(async || {
        let mut open = 0;
        let each = |payment: paynowd::domain::Payment| {
            open += i32::from(settled.contains(&payment.status.code()) && payment.trust != Trust::Confirmed);
            true
        };
        house.ledger.reader().payments(&Filter::default(), each).unwrap();
        open == 0
    })
    .await;
    for (days, expected) in [(1, 40), (3, 40), (30, 20)] {
        let before: Vec<u32> = guids.iter().map(|guid| house.gateway.polls(guid)).collect();
        house.later(Duration::from_hours(24 * days));
        // The second time at once, when there is nothing left to ask; and what the schedule asks counts for the night.
        for _ in 0..2 {
            let checked = house.night().await;
            assert_eq!(checked, Checked { payments: expected, answered: expected, ..Checked::default() }, "{days}");
        }
        let asked: Vec<u32> =
            guids.iter().zip(before).map(|(guid, before)| house.gateway.polls(guid) - before).collect();
        assert!(asked.iter().all(|times| *times <= 1), "{asked:?}");
        assert_eq!(u64::from(asked.iter().sum::<u32>()), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_counts_what_proves_nothing_by_its_code_and_asks_no_second_time() {
    let house = House::open(USUAL).await;
    let payment = house.posted("INV-1", "Awaiting Delivery").await;
    house.until_confirmed("INV-1", Status::AwaitingDelivery).await;
    house.later(Duration::from_mins(1));
    house.gateway.misbehave(Mischief::next(1, Misbehaviour::Html));
    let checked = house.night().await;
    assert_eq!(checked, Checked { payments: 1, unanswered: one("web-page"), ..Checked::default() });
    assert_eq!(house.gateway.polls(&payment.guid), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_gives_up_on_a_gateway_that_brings_nothing_back_and_says_how_much_it_left() {
    let house = House::open(USUAL).await;
    for number in 0..20 {
        house.posted(&format!("INV-{number}"), "Created").await;
    }
    house.expect(order("INV-99", Some("T-1"))).await;
    house.shutdown.cancel();
    let began = house.clock.now() + Duration::from_hours(24);
    let what = Sweep { integration: shop(), began, final_since: began, open_since: began - Duration::from_hours(24) };
    let short = SweepSettings { stalled: Duration::from_millis(50), ..PATIENT };
    let checked = sweep(&house.ledger, &house.clock, &what, short).await.unwrap();
    assert_eq!((checked.payments, checked.traced, checked.left), (20, 1, 21));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_beside_the_daemon_has_the_daemon_ask() {
    let house = House::open(USUAL).await;
    for number in 0..20 {
        house.posted(&format!("INV-{number}"), "Created").await;
    }
    house.later(Duration::from_mins(1));
    let command = Ledger::open(&house.settings, Role::Command).unwrap();
    let beat = house.beat.clone();
    let beating = tokio::spawn(async move {
        let mut heart = tokio::time::interval(Duration::from_millis(30));
        loop {
            heart.tick().await;
            beat.send_replace(());
        }
    });
    let checked = house.night_on(&command).await;
    beating.abort();
    assert_eq!((checked.payments, checked.answered, checked.left), (20, 20, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_of_nights_passes_in_seconds() {
    let house = House::open(USUAL).await;
    let payment = house.posted("INV-1", "Awaiting Delivery").await;
    house.until_confirmed("INV-1", Status::AwaitingDelivery).await;
    let (_keep, settings) = watch::channel(NightlySettings {
        schedule: "0 30 2 * * *".parse().unwrap(),
        run: RunSettings {
            zone: chrono_tz::Africa::Harare,
            look_back: Duration::from_hours(7 * 24),
            escrow_after: Duration::from_hours(7 * 24),
            report_to: Vec::new(),
            sweep: PATIENT,
        },
    });
    let (ledger, integrations) = (Arc::clone(&house.ledger), Arc::clone(&house.integrations));
    let nightly = Nightly::new(ledger, integrations, settings, house.clock.clone());
    tokio::spawn(nightly.run(house.beat.subscribe(), house.shutdown.clone()));
    let reader = house.ledger.reader();
    let last_night = async || reader.last_run("nightly", Timestamp::MAX_UTC).await.unwrap();
    until(async || {
        house.later(Duration::ZERO);
        last_night().await.is_some()
    })
    .await;
    for _ in 0..30 {
        let last = last_night().await;
        house.later(Duration::from_hours(24));
        until(async || last_night().await != last).await;
    }
    assert!(house.gateway.polls(&payment.guid) >= 31, "asked about every night, beyond its schedule");
}
