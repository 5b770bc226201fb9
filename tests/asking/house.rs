//! What every test of asking starts from: a ledger, a poller at work on it, the gateway's twin, and the hands of the
//! clock.

use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use paynowd::domain::schedule::Bound;
use paynowd::domain::{
    Announce, Checked, Expectation, IntegrationName, MerchantTrace, Mode, PollSchedule, Reference, Status, Step, Terms,
    Timestamp, Trust,
};
use paynowd::http::{Client, ClientLimits, Method, Request};
use paynowd::ledger::{
    Admission, Booking, Expected, Ledger, LedgerSettings, OnConflict, QuarantineLimits, Role, Story, Sweep,
};
use paynowd::protocol::zimbabwe::{Fields, Rule, hash};
use paynowd::protocol::{Integration, Integrations, Key, Keys, Post, Protocol, Setup, Verified};
use paynowd::reconciler::{Clock, Poller, PollerSettings, SweepSettings, sweep};
use paynowd::simulator::{SimulatedPayment, Simulator, SimulatorSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

pub const KEY: &str = "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977";
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A ledger, a poller at work on it, the gateway's twin, and the only hands on the clock.
pub struct House {
    pub gateway: Simulator,
    pub ledger: Arc<Ledger>,
    pub integrations: Arc<Integrations>,
    client: Client,
    pub clock: Clock,
    hands: Arc<AtomicI64>,
    pub beat: watch::Sender<()>,
    pub shutdown: CancellationToken,
    pub settings: LedgerSettings,
    _until_dropped: DropGuard,
    _home: tempfile::TempDir,
}

/// How a house differs from the usual one.
pub struct Plan {
    /// What the configuration has for the merchant's id; the gateway knows 1201.
    pub id: &'static str,
    /// Where the configuration has the gateway, unless that is the simulator.
    pub origin: Option<String>,
    /// Where it has the gateway of a second shop, the annex, if there is one.
    pub annex: Option<String>,
    pub concurrency: usize,
}

pub const USUAL: Plan = Plan { id: "1201", origin: None, annex: None, concurrency: 4 };

impl House {
    pub async fn open(plan: Plan) -> Self {
        let gateway = Simulator::start(SimulatorSettings::new("1201", Key::guid(KEY).unwrap())).await.unwrap();
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("paynowd.db");
        let settings = LedgerSettings { path, queue: 64, quarantine: QuarantineLimits::default() };
        let ledger = Arc::new(Ledger::open(&settings, Role::Daemon).unwrap());
        let origin = plan.origin.unwrap_or_else(|| gateway.origin().to_owned());
        let annex = plan.annex.map(|origin| integration("annex", plan.id, &origin));
        let shops = iter::once(integration("shop", plan.id, &origin)).chain(annex);
        let integrations = Arc::new(Integrations::new(shops));
        let hands = Arc::new(AtomicI64::new(start().timestamp_millis()));
        let shown = Arc::clone(&hands);
        let clock = Clock::new(move || Timestamp::from_timestamp_millis(shown.load(Ordering::SeqCst)).unwrap());
        // Longer than any test waits: a gateway that keeps silent keeps its question open.
        let client = Client::new(ClientLimits { request_timeout: 2 * DEADLINE, ..ClientLimits::default() }).unwrap();
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

    pub fn shop(&self) -> Arc<Integration> {
        self.integrations.find("shop").unwrap()
    }

    /// Sets the clock forward and lets everyone look at it.
    pub fn later(&self, by: Duration) {
        self.unseen(by);
        self.beat.send_replace(());
    }

    /// Sets the clock back while nobody looks.
    pub fn back(&self, by: Duration) {
        self.hands.fetch_sub(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Sets the clock forward while nobody looks.
    pub fn unseen(&self, by: Duration) {
        self.hands.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub async fn expect(&self, order: Expectation) -> Expected {
        let terms = Arc::clone(&self.shop().terms);
        self.ledger.expect(Booking::new(order, terms, OnConflict::Keep), self.clock.now()).await.unwrap()
    }

    /// The shop begins a payment at the gateway, as its SDK does. What the gateway answers.
    pub async fn initiate(&self, reference: &str, trace: &str) -> Vec<u8> {
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
    pub async fn posted(&self, reference: &str, word: &str) -> SimulatedPayment {
        let payment = self.gateway.initiate(reference, "25.00", None);
        self.gateway.set_status(&payment.guid, word).unwrap();
        self.hear(&self.gateway.status_update_body(&payment.guid, word).unwrap()).await;
        payment
    }

    /// This post arrives.
    pub async fn hear(&self, body: &str) {
        self.hear_at("shop", body).await;
    }

    /// This post arrives at that shop.
    pub async fn hear_at(&self, shop: &str, body: &str) {
        let shop = self.integrations.find(shop).unwrap();
        let post = Post { body: body.as_bytes(), signatures: &[] };
        let seen: Verified<_> = shop.gateway.read_post(&post, self.clock.now()).unwrap();
        self.ledger.record(seen, None, Arc::clone(&shop.terms), Admission::Wait).await.unwrap();
    }

    /// Somebody does this to the file.
    pub fn hurt(&self, sql: &str) {
        rusqlite::Connection::open(&self.settings.path).unwrap().execute_batch(sql).unwrap();
    }

    pub fn story(&self, name: &str) -> Option<Story> {
        self.ledger.reader().stories(name, None).unwrap().pop()
    }

    /// Waits until the payment of this name stands so with the gateway's own word.
    pub async fn until_confirmed(&self, name: &str, status: Status) -> Story {
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
    pub async fn night(&self) -> Checked {
        self.night_on(&self.ledger).await
    }

    pub async fn night_on(&self, ledger: &Ledger) -> Checked {
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

pub const PATIENT: SweepSettings = SweepSettings { slice: 8, stalled: DEADLINE, within: DEADLINE };

fn start() -> Timestamp {
    Timestamp::from_timestamp(1_790_000_000, 0).unwrap()
}

pub fn shop() -> IntegrationName {
    IntegrationName::parse("shop").unwrap()
}

fn integration(name: &str, id: &str, origin: &str) -> Integration {
    let name = IntegrationName::parse(name).unwrap();
    let every = |seconds| Step { every: Duration::from_secs(seconds), bound: Bound::Times(3) };
    let gateway = Protocol::Zimbabwe.gateway(Setup {
        integration: name.clone(),
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
    Integration { name, gateway: Arc::from(gateway), terms: Arc::new(terms) }
}

/// What the shop's books expect under this reference.
pub fn order(reference: &str, trace: Option<&str>) -> Expectation {
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
pub async fn until(mut so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !so().await {
        assert!(Instant::now() < end, "it never came to that");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What the gateway writes of a payment of USD 25.00 that is asked about at `poll_url`.
pub fn update(reference: &str, poll_url: &str, word: &str) -> String {
    let fields = Fields::from_pairs([
        ("reference", reference),
        ("paynowreference", "35216224"),
        ("amount", "25.00"),
        ("status", word),
        ("pollurl", poll_url),
    ]);
    hash::sign(fields, "hash", Rule::Values, &Key::guid(KEY).unwrap()).encode()
}

/// A gateway that answers when the test says so, one request a connection.
pub struct ByHand {
    listener: TcpListener,
    pub origin: String,
}

impl ByHand {
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, origin }
    }

    /// What it writes of the payment of this reference, in which the last two digits of its GUID are.
    pub fn update(&self, reference: &str, word: &str) -> String {
        let (_, digits) = reference.split_at(reference.len() - 2);
        let guid = format!("06f656ab-ed60-4a03-8373-a3321b4b3e{digits}");
        update(reference, &format!("{}/Interface/CheckPayment/?guid={guid}", self.origin), word)
    }

    /// Whether a question waits for it.
    pub async fn is_asked(&self) -> bool {
        tokio::time::timeout(Duration::ZERO, self.listener.accept()).await.is_ok()
    }

    /// The next question that is put to it, as a connection that waits for its answer.
    pub async fn asked(&self) -> TcpStream {
        let accepted = tokio::time::timeout(DEADLINE, self.listener.accept()).await;
        let (mut stream, _) = accepted.unwrap().unwrap();
        let (mut request, mut head) = ([0_u8; 4096], Vec::new());
        while !head.windows(4).any(|four| four == b"\r\n\r\n") {
            let read = stream.read(&mut request).await.unwrap_or(0);
            if read == 0 {
                break;
            }
            head.extend_from_slice(&request[..read]);
        }
        stream
    }
}

/// Answers a question.
pub async fn answer(question: TcpStream, body: &str) {
    reply(question, "200 OK", "", body).await;
}

/// Replies to a question with this status and these headers, and waits until whoever asked hangs up.
pub async fn reply(mut question: TcpStream, status: &str, headers: &str, body: &str) {
    let length = body.len();
    let reply = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    question.write_all(reply.as_bytes()).await.ok();
    question.shutdown().await.ok();
    while question.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
}
