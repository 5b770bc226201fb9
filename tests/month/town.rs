//! The town: three shops of one owner, a gateway's twin for each, and the real daemon's parts at work between them:
//! ledger, poller, nightly run and mailer. The test keeps the clock.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use paynowd::domain::schedule::Bound;
use paynowd::domain::{Amount, Announce, IntegrationName, Mode, PollSchedule, Step, Terms, Timestamp};
use paynowd::http::{Client, ClientLimits, Method, Request};
use paynowd::ledger::{Admission, Arrival, Ledger, LedgerSettings, QuarantineLimits, Refused, Role};
use paynowd::mailer::{MailerSettings, Postman, Way};
use paynowd::protocol::zimbabwe::{Fields, Rule, hash};
use paynowd::protocol::{Integration, Integrations, Key, Keys, Post, Protocol, Setup};
use paynowd::reconciler::{
    Clock, Nightly, NightlySettings, Poller, PollerSettings, Ran, RunSettings, SweepSettings, Wanted, reconcile,
};
use paynowd::simulator::{Simulator, SimulatorSettings};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

const KEY: &str = "3e9fed89-60e1-4ce5-ab6e-6b1eb2d4f977";

/// How long anything may take by a clock that nobody sets.
const DEADLINE: Duration = Duration::from_secs(30);

/// The shop that most of the story is about, in United States dollars.
pub const SHOP: &str = "shop";
/// A smaller one, in Zimbabwe Gold.
pub const GOLD: &str = "gold";
/// Where the shop tries things out.
pub const SANDBOX: &str = "sandbox";

/// Who reads the letters.
pub const READERS: [&str; 2] = ["books@shop.example", "owner@shop.example"];

/// Each shop, its id at the gateway, its currency, and whether its money is real.
const SHOPS: [(&str, &str, &str, Mode); 3] =
    [(SHOP, "1201", "USD", Mode::Live), (GOLD, "1202", "ZWG", Mode::Live), (SANDBOX, "1203", "USD", Mode::Test)];

pub struct Town {
    pub ledger: Arc<Ledger>,
    pub clock: Clock,
    pub letters: PathBuf,
    gateways: HashMap<&'static str, Simulator>,
    integrations: Arc<Integrations>,
    client: Client,
    hands: Arc<AtomicI64>,
    /// By how many milliseconds the clock goes on whenever somebody looks.
    pace: Arc<AtomicI64>,
    beat: watch::Sender<()>,
    run: RunSettings,
    _until_dropped: DropGuard,
    _home: tempfile::TempDir,
}

impl Town {
    /// Everything at work, its clock at `start`.
    pub async fn open(start: Timestamp) -> Self {
        let mut gateways = HashMap::new();
        let mut shops = Vec::new();
        for (name, id, currency, mode) in SHOPS {
            let gateway = Simulator::start(SimulatorSettings::new(id, Key::guid(KEY).unwrap())).await.unwrap();
            shops.push(integration(name, id, gateway.origin(), terms(currency, mode)));
            gateways.insert(name, gateway);
        }
        let integrations = Arc::new(Integrations::new(shops));
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("paynowd.db");
        let settings = LedgerSettings { path, queue: 64, quarantine: QuarantineLimits::default() };
        let ledger = Arc::new(Ledger::open(&settings, Role::Daemon).unwrap());
        let hands = Arc::new(AtomicI64::new(start.timestamp_millis()));
        let pace = Arc::new(AtomicI64::new(1));
        let (shown, by) = (Arc::clone(&hands), Arc::clone(&pace));
        let clock = Clock::new(move || {
            let now = shown.fetch_add(by.load(Ordering::SeqCst), Ordering::SeqCst);
            Timestamp::from_timestamp_millis(now).unwrap()
        });
        let client = Client::new(ClientLimits::default()).unwrap();

        let (beat, heard) = watch::channel(());
        let shutdown = CancellationToken::new();
        let asks = PollerSettings { concurrency: 8 };
        let poller = Poller::new(Arc::clone(&ledger), Arc::clone(&integrations), client.clone(), asks, clock.clone());
        tokio::spawn(poller.run(heard, shutdown.clone()));
        let run = run();
        let (keep, settings) =
            watch::channel(NightlySettings { schedule: "0 30 2 * * *".parse().unwrap(), run: run.clone() });
        let nightly = Nightly::new(Arc::clone(&ledger), Arc::clone(&integrations), settings, clock.clone());
        tokio::spawn(nightly.run(beat.subscribe(), shutdown.clone()));
        let letters = home.path().join("letters");
        let postman = Postman::new(Arc::clone(&ledger), mailer(letters.clone()));
        let (listens, until) = (beat.subscribe(), shutdown.clone());
        tokio::spawn(async move {
            postman.run(listens, until).await;
            drop(keep);
        });

        let town = Self {
            ledger,
            clock,
            letters,
            gateways,
            integrations,
            client,
            hands,
            pace,
            beat,
            run,
            _until_dropped: shutdown.drop_guard(),
            _home: home,
        };
        town.until_last_run(start).await;
        town
    }

    pub fn gateway(&self, shop: &str) -> &Simulator {
        &self.gateways[shop]
    }

    pub fn integration(&self, shop: &str) -> Arc<Integration> {
        self.integrations.find(shop).unwrap()
    }

    /// Sets the clock, and waits until nothing is left to be asked at that hour.
    pub async fn at(&self, now: Timestamp) {
        assert!(now > self.clock.now(), "time goes on");
        self.hands.store(now.timestamp_millis(), Ordering::SeqCst);
        self.beat.send_replace(());
        self.quiet().await;
    }

    /// Waits until every question that is due has been answered, one way or the other.
    pub async fn quiet(&self) {
        let end = Instant::now() + DEADLINE;
        let names = || SHOPS.map(|(name, ..)| name.to_owned()).to_vec();
        while !self.ledger.reader().due_questions(names(), self.clock.now(), 1).await.unwrap().0.is_empty() {
            assert!(Instant::now() < end, "the poller never came to an end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets the night come and its run end. Nobody posts at night, and the clock stands still.
    pub async fn night(&self, now: Timestamp) {
        self.pace.store(0, Ordering::SeqCst);
        self.at(now).await;
        self.until_last_run(now).await;
        self.quiet().await;
    }

    /// From here on time goes by.
    pub fn wake(&self) {
        self.pace.store(1, Ordering::SeqCst);
    }

    async fn until_last_run(&self, since: Timestamp) {
        let end = Instant::now() + DEADLINE;
        while self
            .ledger
            .reader()
            .last_run("nightly", Timestamp::MAX_UTC)
            .await
            .unwrap()
            .is_none_or(|last| last < since)
        {
            assert!(Instant::now() < end, "the night never came");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What somebody does who does not trust the night: the same again. Unless time has gone by since, nothing is
    /// asked.
    pub async fn run_again(&self) -> Ran {
        let all = Wanted::default();
        loop {
            // The night writes its row before it lets go of the lock.
            match reconcile(&self.ledger, &self.integrations, &self.clock, &self.run, &all).await {
                Err(paynowd::reconciler::RunError::Busy) => tokio::task::yield_now().await,
                ran => return ran.unwrap(),
            }
        }
    }

    /// The files in the letter box, once there are so many.
    pub async fn letters(&self, wanted: usize) -> Vec<PathBuf> {
        let end = Instant::now() + DEADLINE;
        loop {
            let files = std::fs::read_dir(&self.letters).into_iter().flatten();
            let files: Vec<PathBuf> = files
                .map(|file| file.unwrap().path())
                .filter(|path| path.extension().is_some_and(|end| end == "eml"))
                .collect();
            if files.len() >= wanted {
                return files;
            }
            assert!(Instant::now() < end, "{} letters of {wanted} came", files.len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A message arrives at the shop's door, as the receiver would take it at this hour.
    pub async fn post(&self, shop: &str, body: Vec<u8>) {
        let integration = self.integration(shop);
        let (terms, now) = (Arc::clone(&integration.terms), self.clock.now());
        match integration.gateway.read_post(&Post { body: &body, signatures: &[] }, now) {
            Ok(seen) => {
                self.ledger.record(seen, None, terms, Admission::Wait).await.unwrap();
            }
            Err(rejection) => {
                let reason = rejection.to_string();
                let (kind, about) = rejection.kept_as();
                let refused = Refused {
                    integration: integration.name.clone(),
                    at: now,
                    arrival: Arrival::new(Some("203.0.113.9".parse().unwrap()), &[]),
                    kind,
                    reason,
                    about,
                    body,
                };
                self.ledger.refuse(refused, terms).await.unwrap();
            }
        }
    }

    /// The shop begins a payment that can be traced, as its SDK does. Its GUID.
    pub async fn begin_traced(&self, shop: &str, reference: &str, amount: &str, trace: &str) -> String {
        let gateway = self.gateway(shop);
        let id = SHOPS.iter().find(|(name, ..)| *name == shop).unwrap().1;
        let fields = Fields::from_pairs([
            ("id", id),
            ("reference", reference),
            ("amount", amount),
            ("returnurl", "http://127.0.0.1:1/thanks"),
            ("resulturl", "http://127.0.0.1:1/paynow/shop"),
            ("merchanttrace", trace),
            ("status", "Message"),
        ]);
        let body = hash::sign(fields, "hash", Rule::Values, &Key::guid(KEY).unwrap()).encode();
        let uri = format!("{}/interface/initiatetransaction", gateway.origin()).parse().unwrap();
        let request = Request { method: Method::Post, uri, headers: Vec::new(), body: body.into() };
        let answer = self.client.send(request).await.unwrap().body.to_vec();
        let begun = self.integration(shop).gateway.read_begun(&answer).unwrap().into_value();
        begun.poll_url.key().as_str().to_owned()
    }
}

fn integration(name: &str, id: &str, origin: &str, terms: Terms) -> Integration {
    let name = IntegrationName::parse(name).unwrap();
    let gateway = Protocol::Zimbabwe.gateway(Setup {
        integration: name.clone(),
        id: Some(id.to_owned()),
        keys: Keys::new(Key::guid(KEY).unwrap(), Vec::new()),
        api_key: None,
        origin: origin.parse().unwrap(),
        max_fields: 64,
    });
    Integration { name, gateway: Arc::from(gateway), terms: Arc::new(terms) }
}

/// What a configuration has that says nothing else, but for letters: only reports are of interest here.
fn terms(currency: &str, mode: Mode) -> Terms {
    let seconds = Duration::from_secs;
    let until = |every, hours| Step { every, bound: Bound::Until(Duration::from_hours(hours)) };
    let times = |every, times| Step { every: seconds(every), bound: Bound::Times(times) };
    Terms {
        currency: currency.parse().unwrap(),
        mode,
        announce: Announce::Confirmed,
        announce_after: Duration::from_mins(15),
        tolerance: Amount::ZERO,
        notify_on: Vec::new(),
        recipients: Vec::new(),
        confirmable: true,
        schedule: Arc::new(PollSchedule {
            confirm: [0, 5, 15, 45].map(seconds).to_vec(),
            pending: vec![
                times(15, 8),
                times(60, 10),
                until(seconds(300), 1),
                until(seconds(3600), 24),
                until(seconds(21_600), 14 * 24),
            ],
            held: vec![until(seconds(21_600), 90 * 24)],
            gap: seconds(5),
        }),
    }
}

fn run() -> RunSettings {
    let week = Duration::from_hours(7 * 24);
    RunSettings {
        zone: chrono_tz::Africa::Harare,
        look_back: week,
        escrow_after: week,
        report_to: READERS.map(str::to_owned).to_vec(),
        sweep: SweepSettings { slice: 128, stalled: DEADLINE, within: DEADLINE },
    }
}

fn mailer(directory: PathBuf) -> MailerSettings {
    MailerSettings {
        from: "paynowd <paynowd@shop.example>".parse().unwrap(),
        zone: chrono_tz::Africa::Harare,
        way: Way::Directory(directory),
        retry: vec![Duration::from_millis(10)],
        give_up_after: DEADLINE,
    }
}
