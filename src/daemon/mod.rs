//! Floor 5: the one place of wiring, lifetime and signals.
//!
//! Check → bind → open the ledger → `READY=1` → serve → SIGTERM: stop accepting, finish what is open, stop the loops,
//! close the ledger last. A task that ends before it was told to stops the house, with its name in the log.

mod admin;
mod inspection;
mod metrics;
mod old_keys;
mod orders;
mod reconciliation;
mod signals;
mod systemd;
pub mod telemetry;
mod wiring;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Environment};
use crate::http;
use crate::ledger::{KeyFiles, Ledger, LedgerError, Role};
use crate::mailer::Postman;
use crate::protocol::Integrations;
use crate::receiver::Receiver;
use crate::reconciler::{Clock, ClockWatch, Heartbeat, HeartbeatError, Nightly, NightlySettings, Poller};
use admin::AdminDoor;
pub use inspection::{Probe, probe};
use metrics::{Doors, Metrics};
use old_keys::OldKeys;
pub use old_keys::idle_keys;
pub use orders::order_desk;
pub use reconciliation::{ReconcileError, compare, reconcile};
use signals::{Signal, Signals};
pub use wiring::{command as command_settings, ledger as ledger_settings, mailer as mailer_settings};

/// How long the loops may take to end once the last request has been answered.
const LOOPS_END: Duration = Duration::from_secs(5);

/// Why the daemon did not start, or did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// An address could not be listened on.
    #[error("{key}: cannot listen on {address}; choose another address or stop what uses it")]
    Listen {
        /// The configuration key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Something of the system could not be had.
    #[error("cannot {doing}")]
    System {
        /// What was being attempted.
        doing: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The ledger could not be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The gateway client could not be made.
    #[error(transparent)]
    Client(#[from] http::ClientError),
    /// The heartbeat could not be started.
    #[error(transparent)]
    Heartbeat(#[from] HeartbeatError),
    /// A task ended before it was told to: a bug. The log has its name.
    #[error("the {0} ended by itself")]
    Fell(&'static str),
}

/// Where to read the configuration again on SIGHUP.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file named on the command line, if any.
    pub file: Option<PathBuf>,
    /// The environment at start.
    pub environment: Environment,
}

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// It could not start, or a task of it fell; the caller exits with a code that says which.
pub async fn serve(config: Config, source: Source) -> Result<(), DaemonError> {
    let mut signals =
        Signals::listen().map_err(|source| DaemonError::System { doing: "listen for signals", source })?;
    let public = wiring::public_listener(&config)?;
    let admin = wiring::bind("admin.listen", config.admin.listen)?;
    let addresses = format!("listening on {}, admin on {}", wiring::address(&public)?, wiring::address(&admin)?);
    let client = http::Client::new(wiring::client(&config))?;
    let settings = wiring::ledger(&config);
    let opened = tokio::task::spawn_blocking(move || Ledger::open(&settings, Role::Daemon)).await;
    let ledger = Arc::new(opened.map_err(LedgerError::from)??);
    let heartbeat = Heartbeat::start().await?;

    let integrations = Arc::new(Integrations::new(wiring::integrations(&config)));
    let (nightly, schedule) = watch::channel(wiring::nightly(&config));
    let (keys, key_files) = watch::channel(old_keys::named(&config));
    let mut house = House::new(Arc::clone(&ledger), addresses);
    let metrics = Metrics::new(Arc::clone(&ledger), Arc::clone(&integrations), house.traffic.clone());
    let door = Arc::new(AdminDoor::new(Arc::clone(&ledger), Arc::clone(&integrations), metrics, &config));
    house.open_doors(&config, public, admin, &integrations, &door);
    house.start_loops(&config, client, &integrations, schedule, &heartbeat);
    house.watch_keys(key_files, &heartbeat);
    let told = Told { nightly, keys };

    tracing::info!(version = env!("CARGO_PKG_VERSION"), ledger = %config.ledger.path.display(), "{}", house.addresses);
    systemd::ready(&house.addresses);
    let fell = loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Stop => break None,
                Signal::Reload => reload(&source, &config, &integrations, &told, &door, &house.addresses).await,
            },
            fell = house.fallen() => break Some(fell),
        }
    };
    systemd::stopping();
    house.close().await;
    heartbeat.stop().await;
    drop(door);
    close(ledger).await;
    tracing::info!("stopped");
    fell.map_or(Ok(()), |name| Err(DaemonError::Fell(name)))
}

/// Everything that runs, by name, and the two words that end it.
struct House {
    ledger: Arc<Ledger>,
    addresses: String,
    traffic: Doors,
    /// No new requests.
    doors_shut: CancellationToken,
    /// No new work at all.
    loops_end: CancellationToken,
    doors: JoinSet<&'static str>,
    loops: JoinSet<&'static str>,
}

impl House {
    fn new(ledger: Arc<Ledger>, addresses: String) -> Self {
        Self {
            ledger,
            addresses,
            traffic: Doors::default(),
            doors_shut: CancellationToken::new(),
            loops_end: CancellationToken::new(),
            doors: JoinSet::new(),
            loops: JoinSet::new(),
        }
    }

    /// The public door and the operators'.
    fn open_doors(
        &mut self,
        config: &Config,
        public: TcpListener,
        admin: TcpListener,
        integrations: &Arc<Integrations>,
        door: &Arc<AdminDoor>,
    ) {
        let receiver =
            Arc::new(Receiver::new(Arc::clone(&self.ledger), Arc::clone(integrations), wiring::receiver(config)));
        let handler = move |request, peer| {
            let receiver = Arc::clone(&receiver);
            async move { receiver.handle(request, peer).await }
        };
        let limits = wiring::limits(config, Arc::clone(&self.traffic.public));
        let shut = self.doors_shut.clone();
        self.doors.spawn(async move {
            http::serve(public, limits, shut, handler).await;
            "receiver"
        });
        let door = Arc::clone(door);
        let handler = move |request, _| {
            let door = Arc::clone(&door);
            async move { door.handle(request).await }
        };
        let limits = http::Limits { traffic: Arc::clone(&self.traffic.admin), ..http::Limits::default() };
        let shut = self.doors_shut.clone();
        self.doors.spawn(async move {
            http::serve(admin, limits, shut, handler).await;
            "admin door"
        });
    }

    /// Those who look at the ledger and do what is due.
    fn start_loops(
        &mut self,
        config: &Config,
        client: http::Client,
        integrations: &Arc<Integrations>,
        schedule: watch::Receiver<NightlySettings>,
        heartbeat: &Heartbeat,
    ) {
        let (ledger, clock) = (&self.ledger, Clock::system());
        let settings = wiring::poller(config);
        let poller = Poller::new(Arc::clone(ledger), Arc::clone(integrations), client, settings, clock.clone());
        let nightly = Nightly::new(Arc::clone(ledger), Arc::clone(integrations), schedule, clock);
        let postman = Postman::new(Arc::clone(&self.ledger), wiring::mailer(config));
        let (ledger, addresses) = (Arc::clone(&self.ledger), self.addresses.clone());
        let (beat, end) = (heartbeat.listen(), self.loops_end.clone());
        self.loops.spawn(named("poller", poller.run(beat.clone(), end.clone())));
        let clock = ClockWatch::new(Arc::clone(&self.ledger));
        self.loops.spawn(named("clock watch", clock.run(beat.clone(), end.clone())));
        self.loops.spawn(named("nightly run", nightly.run(beat.clone(), end.clone())));
        self.loops.spawn(named("mailer", postman.run(beat.clone(), end.clone())));
        let (writer, until) = (Arc::clone(&self.ledger), end.clone());
        self.loops.spawn(async move {
            tokio::select! { () = writer.writer_gone() => {}, () = until.cancelled() => {} }
            "ledger's writer"
        });
        self.loops.spawn(async move {
            systemd::attend(&ledger, &addresses, beat, end).await;
            "watchdog"
        });
    }

    /// Those who watch the keys that are on their way out.
    fn watch_keys(&mut self, files: watch::Receiver<Vec<KeyFiles>>, heartbeat: &Heartbeat) {
        let keys = OldKeys::new(Arc::clone(&self.ledger), files);
        self.loops.spawn(named("watch over old keys", keys.run(heartbeat.listen(), self.loops_end.clone())));
    }

    /// Waits until something ends that should not have, and says what.
    async fn fallen(&mut self) -> &'static str {
        let fell = tokio::select! {
            Some(fell) = self.doors.join_next() => fell,
            Some(fell) = self.loops.join_next() => fell,
            else => Ok("house"),
        };
        let name = fell.unwrap_or_else(|error| {
            tracing::error!(%error, "a task ended by a panic");
            "panicking task"
        });
        tracing::error!(task = name, "a task ended by itself; the house closes");
        name
    }

    /// Shuts the doors, lets what is inside finish, then ends the loops.
    async fn close(mut self) {
        self.doors_shut.cancel();
        while self.doors.join_next().await.is_some() {}
        self.loops_end.cancel();
        let ended = async { while self.loops.join_next().await.is_some() {} };
        if tokio::time::timeout(LOOPS_END, ended).await.is_err() {
            tracing::warn!("a loop did not end in time and is cut off; what it did is done again after the start");
        }
        self.loops.shutdown().await;
    }
}

async fn named(name: &'static str, task: impl Future<Output = ()>) -> &'static str {
    task.await;
    name
}

/// Closes the ledger once nobody holds it any more.
async fn close(ledger: Arc<Ledger>) {
    let Ok(ledger) = Arc::try_unwrap(ledger) else {
        tracing::warn!("the ledger is still in use; it is left to the operating system");
        return;
    };
    // The thread to be joined may be in the middle of a commit.
    let _ = tokio::task::spawn_blocking(move || ledger.close()).await;
}

/// Whom a reload tells.
struct Told {
    nightly: watch::Sender<NightlySettings>,
    keys: watch::Sender<Vec<KeyFiles>>,
}

/// SIGHUP: everything about the integrations, the nightly run, the schedules and the admin token, after a full check. A
/// bad file changes nothing and says why; what has changed and is only read at start is named.
async fn reload(
    source: &Source,
    running: &Config,
    integrations: &Integrations,
    told: &Told,
    door: &AdminDoor,
    status: &str,
) {
    systemd::reloading();
    let wanted = source.clone();
    let loaded = tokio::task::spawn_blocking(move || Config::load(wanted.file.as_deref(), &wanted.environment)).await;
    match loaded {
        Ok(Ok((config, warnings))) => {
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            for key in wiring::needs_restart(running, &config) {
                tracing::warn!(key, "changed, but is only read at start: restart to apply it");
            }
            integrations.replace(wiring::integrations(&config));
            told.nightly.send_replace(wiring::nightly(&config));
            told.keys.send_replace(old_keys::named(&config));
            door.reload(&config);
            tracing::info!("configuration reloaded");
        }
        Ok(Err(findings)) => {
            for finding in findings.0 {
                tracing::error!("{finding}");
            }
            tracing::error!("configuration not reloaded: everything stays as it was");
        }
        Err(error) => tracing::error!(%error, "configuration not reloaded"),
    }
    systemd::ready(status);
}
