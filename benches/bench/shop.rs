//! The shop as the library sees it: an integration and its ledger in this process, for what cannot be measured through
//! the daemon's doors.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, StatusCode};
use paynowd::domain::{Announce, IntegrationName, Mode, Origin, PollSchedule, Status, Step, Terms, Timestamp};
use paynowd::http;
use paynowd::ledger::{Admission, Arrival, Ledger, LedgerSettings, QuarantineLimits, Role};
use paynowd::protocol::{Integration, Key, Keys, Post, Protocol, Setup};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::child;
use super::message::{KEY, NOWHERE};

/// The shop of the usual daemon of the benches; letters go to `recipients`.
pub fn integration(recipients: &[&str]) -> Integration {
    let name = IntegrationName::parse("shop").expect("a name");
    let setup = Setup {
        id: None,
        integration: name.clone(),
        keys: Keys::new(Key::opaque(KEY), Vec::new()),
        api_key: None,
        origin: NOWHERE.parse::<Origin>().expect("an origin"),
        max_fields: 64,
    };
    let hour = Duration::from_hours(1);
    let watch = vec![Step { every: hour, bound: paynowd::domain::schedule::Bound::Until(24 * hour) }];
    let schedule =
        PollSchedule { confirm: vec![hour], pending: watch.clone(), held: watch, gap: Duration::from_secs(5) };
    let terms = Terms {
        currency: "USD".parse().expect("a currency"),
        mode: Mode::Live,
        announce: Announce::Confirmed,
        announce_after: Duration::from_mins(15),
        tolerance: paynowd::domain::Amount::ZERO,
        notify_on: vec![Status::Paid],
        recipients: recipients.iter().map(|name| (*name).to_owned()).collect(),
        confirmable: true,
        schedule: Arc::new(schedule),
    };
    Integration { name, gateway: Arc::from(Protocol::Zimbabwe.gateway(setup)), terms: Arc::new(terms) }
}

/// The ledger `paynowd.db` in `home`, with room for `queue` works to wait.
pub fn ledger(home: &Path, queue: usize) -> Ledger {
    let quarantine = QuarantineLimits { posts: 10_000, bytes: 64 << 20, age: Duration::from_hours(24) };
    let settings = LedgerSettings { path: home.join("paynowd.db"), queue, quarantine };
    Ledger::open(&settings, Role::Daemon).expect("a ledger")
}

/// Now, by the wall clock.
pub fn now() -> Timestamp {
    std::time::SystemTime::now().into()
}

/// A door like the daemon's, in a process of its own, whose ledger lets no more than `queue` works wait, and so commits
/// no more than that together: with 1, every post has a commit of its own.
pub fn door(home: &Path, queue: usize, environment: &[(&'static str, String)]) -> (child::Running, SocketAddr) {
    let mut command = child::command("door", &[home.display().to_string(), queue.to_string()]);
    command.envs(environment.iter().cloned());
    child::serve(command)
}

/// Plays `door`.
pub fn be_a_door(values: &[String]) {
    let [home, queue] = values else { panic!("door HOME QUEUE") };
    let ledger = Arc::new(ledger(Path::new(home), queue.parse().expect("a number")));
    let integration = Arc::new(integration(&["owner@shop.example"]));
    let handler = move |request: Request<Incoming>, peer: SocketAddr| {
        let (ledger, integration) = (Arc::clone(&ledger), Arc::clone(&integration));
        async move {
            let body = http::read_body(request.into_body(), 64 << 10).await.expect("a whole body");
            let seen = integration.gateway.read_post(&Post { body: &body, signatures: &[] }, now()).expect("genuine");
            let terms = Arc::clone(&integration.terms);
            // With a queue of one, posts wait in line for it rather than being refused.
            let recorded = ledger.record(seen, Some(Arrival::new(Some(peer.ip()), &[])), terms, Admission::Wait).await;
            hyper::Response::builder()
                .status(if recorded.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE })
                .body(Full::new(Bytes::new()))
                .expect("an answer")
        }
    };
    child::runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        child::announce(listener.local_addr().expect("an address"));
        http::serve(listener, http::Limits::default(), CancellationToken::new(), handler).await;
    });
}
