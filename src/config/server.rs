//! `[server]` and `[admin]`: the two doors. Reads what is asked for; binding is the daemon's.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use secrecy::SecretString;

use super::reader::Section;
use super::secrets::Vault;
use crate::http::Cidr;

/// Where posts arrive and how many are let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The address to listen on; port 0 picks one.
    pub listen: SocketAddr,
    /// Networks whose `X-Forwarded-For` is believed, each an address or `address/prefix`.
    pub trusted_proxies: Vec<Cidr>,
    /// Connections at once.
    pub max_connections: usize,
    /// Of these, from one address that is no trusted proxy's.
    pub connections_per_peer: usize,
    /// The largest body, in bytes.
    pub max_body: usize,
    /// How many fields a form may have.
    pub max_fields: usize,
    /// How long a request's head may take.
    pub header_timeout: Duration,
    /// How long a whole request may take.
    pub request_timeout: Duration,
    /// How long requests in flight may take to finish once we are told to stop.
    pub drain_timeout: Duration,
    /// How many posts may wait for the disk; one more is answered 503.
    pub queue: usize,
    /// How many refused posts a minute are kept per peer; one more is answered 429.
    pub refusals_per_minute: u32,
}

/// Where operators look: health, metrics and, with a token, `/v1`.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// The address to listen on; port 0 picks one.
    pub listen: SocketAddr,
    /// What opens `/v1`; without one there is no `/v1`.
    pub token: Option<SecretString>,
}

impl ServerConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let timeouts = Duration::from_millis(100)..=Duration::from_mins(5);
        let max_connections = section.number("max_connections", 1024, 1..=65_536);
        let config = Self {
            listen: listen(&mut section, 8087),
            trusted_proxies: section
                .list("trusted_proxies", 0..=256, "a network like 10.0.0.0/8 or an address like ::1", |text| {
                    text.parse().ok()
                })
                .unwrap_or_default(),
            max_connections,
            connections_per_peer: section.number(
                "connections_per_peer",
                max_connections.div_ceil(4),
                1..=max_connections,
            ),
            max_body: section.size("max_body", 64 << 10, 1 << 10..=8 << 20),
            max_fields: section.number("max_fields", 64, 8..=1024),
            header_timeout: section.duration("header_timeout", Duration::from_secs(10), timeouts.clone()),
            request_timeout: section.duration("request_timeout", Duration::from_secs(15), timeouts),
            drain_timeout: section.duration(
                "drain_timeout",
                Duration::from_secs(8),
                Duration::ZERO..=Duration::from_mins(5),
            ),
            queue: section.number("queue", 4096, 1..=1_000_000),
            refusals_per_minute: section.number("refusals_per_minute", 60, 1..=100_000),
        };
        section.finish();
        config
    }
}

impl AdminConfig {
    /// `server` is where posts arrive: the two doors cannot be one.
    pub(super) fn read(mut section: Section<'_>, vault: &Vault, server: SocketAddr) -> Self {
        section.forbid(
            "token",
            "a token does not belong in the configuration: put it in a file and name it in token_file",
        );
        let config = Self { listen: listen(&mut section, 8088), token: vault.token(&mut section, "token_file") };
        if config.listen == server && server.port() != 0 {
            section.error("listen", "must differ from server.listen");
        }
        section.finish();
        config
    }
}

/// The address to listen on; this machine alone unless somebody says otherwise.
fn listen(section: &mut Section<'_>, port: u16) -> SocketAddr {
    let rule = format!("an IP address and a port like 127.0.0.1:{port} or [::1]:{port}");
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    section.read("listen", rule, |text| text.parse().ok()).unwrap_or(default)
}
