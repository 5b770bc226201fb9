//! From the configuration to what each room wants of it, and the sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;

use super::DaemonError;
use crate::config::{Config, LedgerConfig, PollConfig, SmtpConfig, SmtpSecurity, Transport};
use crate::http::{Cidr, ClientLimits, Limits, Traffic};
use crate::ledger::{LedgerSettings, QuarantineLimits};
use crate::mailer::{MailerSettings, Security, SmtpSettings, Way};
use crate::protocol::Integration;
use crate::receiver::ReceiverSettings;
use crate::reconciler::{NightlySettings, PollerSettings, RunSettings, SweepSettings};

/// The public socket: one passed by systemd wins over the configured address.
pub(super) fn public_listener(config: &Config) -> Result<TcpListener, DaemonError> {
    let taken = |source| DaemonError::System { doing: "take over the socket passed by systemd", source };
    match listenfd::ListenFd::from_env().take_tcp_listener(0).map_err(taken)? {
        Some(passed) => adopt(passed).map_err(taken),
        None => bind("server.listen", config.server.listen),
    }
}

/// Listens on an address from the configuration.
pub(super) fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, DaemonError> {
    StdListener::bind(address).and_then(adopt).map_err(|source| DaemonError::Listen { key, address, source })
}

fn adopt(listener: StdListener) -> std::io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// The address a socket really has: port 0 was a wish.
pub(super) fn address(listener: &TcpListener) -> Result<SocketAddr, DaemonError> {
    listener.local_addr().map_err(|source| DaemonError::System { doing: "read a socket's address", source })
}

/// Where a proxy on this machine calls from, whether or not it is trusted to say for whom.
const THIS_MACHINE: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

pub(super) fn limits(config: &Config, traffic: Arc<Traffic>) -> Limits {
    let server = &config.server;
    Limits {
        connections: server.max_connections,
        connections_per_peer: server.connections_per_peer,
        header_timeout: server.header_timeout,
        request_timeout: server.request_timeout,
        drain_timeout: server.drain_timeout,
        proxies: server.trusted_proxies.iter().copied().chain(THIS_MACHINE.map(Cidr::from)).collect(),
        traffic,
    }
}

pub(super) fn receiver(config: &Config) -> ReceiverSettings {
    ReceiverSettings {
        max_body: config.server.max_body,
        refusals_per_minute: config.server.refusals_per_minute,
        trusted_proxies: config.server.trusted_proxies.clone(),
    }
}

/// How the ledger is kept.
pub fn ledger(config: &Config) -> LedgerSettings {
    LedgerSettings { queue: config.server.queue, ..command(&config.ledger) }
}

/// How many works of a command may wait: it does one after the other.
const COMMAND_QUEUE: usize = 16;

/// How the ledger is kept, for commands beside the daemon that need nothing but `[ledger]`.
pub fn command(ledger: &LedgerConfig) -> LedgerSettings {
    LedgerSettings {
        path: ledger.path.clone(),
        queue: COMMAND_QUEUE,
        quarantine: QuarantineLimits {
            posts: ledger.quarantine_max_posts,
            bytes: ledger.quarantine_max_bytes,
            age: ledger.quarantine_max_age,
        },
    }
}

pub(super) fn client(config: &Config) -> ClientLimits {
    ClientLimits {
        connect_timeout: config.poll.connect_timeout,
        request_timeout: config.poll.timeout,
        reply_bytes: config.poll.reply_bytes,
        kept_per_host: config.poll.concurrency,
    }
}

pub(super) fn poller(config: &Config) -> PollerSettings {
    PollerSettings { concurrency: config.poll.concurrency }
}

pub(super) fn nightly(config: &Config) -> NightlySettings {
    NightlySettings { schedule: config.reconcile.schedule.clone(), run: run(config) }
}

pub(super) fn run(config: &Config) -> RunSettings {
    let reconcile = &config.reconcile;
    RunSettings {
        zone: reconcile.timezone,
        look_back: reconcile.look_back,
        escrow_after: reconcile.escrow_after,
        report_to: reconcile.report_to.clone(),
        sweep: sweep(&config.poll),
    }
}

/// How many times what is asked at once a run makes due at once.
const AHEAD: usize = 16;

/// How long nothing may come back before a run gives up, at least: the poller itself rests for a minute after a bug.
const STALLED: Duration = Duration::from_mins(2);

/// How long a run may ask: until the shop opens.
const NIGHT: Duration = Duration::from_hours(6);

fn sweep(poll: &PollConfig) -> SweepSettings {
    SweepSettings { slice: poll.concurrency * AHEAD, stalled: STALLED.max(poll.timeout * 2), within: NIGHT }
}

pub(super) fn integrations(config: &Config) -> impl Iterator<Item = Integration> {
    config.integrations.iter().map(|integration| Integration {
        name: integration.name.clone(),
        gateway: Arc::clone(&integration.gateway),
        terms: Arc::clone(&integration.terms),
    })
}

/// How letters leave, for commands that try the post office.
pub fn mailer(config: &Config) -> MailerSettings {
    let mail = &config.mail;
    MailerSettings {
        from: mail.from.clone(),
        zone: config.reconcile.timezone,
        way: match &mail.transport {
            Transport::Directory(path) => Way::Directory(path.clone()),
            Transport::Smtp(server) => Way::Smtp(smtp(server)),
        },
        retry: mail.retry.clone(),
        give_up_after: mail.give_up_after,
    }
}

pub(super) fn smtp(server: &SmtpConfig) -> SmtpSettings {
    let (username, password) = server.login.clone().unzip();
    SmtpSettings {
        host: server.host.clone(),
        port: server.port,
        security: match server.security {
            SmtpSecurity::StartTls => Security::StartTls,
            SmtpSecurity::Tls => Security::Tls,
            SmtpSecurity::None => Security::None,
        },
        username,
        password,
        timeout: server.timeout,
    }
}

/// The sections that changed but are only read at start.
pub(super) fn needs_restart(running: &Config, wanted: &Config) -> Vec<&'static str> {
    [
        ("server", running.server != wanted.server),
        ("admin.listen", running.admin.listen != wanted.admin.listen),
        ("ledger", running.ledger != wanted.ledger),
        ("poll", PollConfig { schedule: Arc::clone(&wanted.poll.schedule), ..running.poll.clone() } != wanted.poll),
        ("mail", format!("{:?}", running.mail) != format!("{:?}", wanted.mail)),
        ("mail.smtp.password_file", password(running) != password(wanted)),
        ("reconcile.timezone, for letters", running.reconcile.timezone != wanted.reconcile.timezone),
        ("log", running.log != wanted.log),
    ]
    .into_iter()
    .filter_map(|(section, changed)| changed.then_some(section))
    .collect()
}

/// What proves to the mail server who we are; nobody prints it, so that a change of it shows nowhere else.
fn password(config: &Config) -> Option<&str> {
    let Transport::Smtp(SmtpConfig { login: Some((_, password)), .. }) = &config.mail.transport else { return None };
    Some(password.expose_secret())
}
